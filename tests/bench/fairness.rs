//! How long a log's lines wait while the server is busy for other clients: `cargo bench --bench fairness`.
//!
//! One client follows a log that gets a line every few milliseconds. Beside it others fetch large files, have digests and
//! checksums of them computed, have copies searched for by content, and ask for logs in a directory of 20,000 files. It
//! prints a table and judges nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use common::logs::Logs;
use common::pair::content::proof_unlike_all;
use common::server::Server;

/// As many lines as are written in the time that is measured, if none has to wait.
const LINES: usize = 600;
const MEASURED: Duration = Duration::from_secs(10);
const BETWEEN_LINES: Duration = Duration::from_millis(5);
const LINE: &[u8] = b"Nov 22 13:29:56 router daemon: a line of usual length for a log\n";

/// Clients of each kind of load.
const CLIENTS: usize = 8;
/// What the measured log has before the first line: more than any socket takes.
const HELD_LEN: u64 = 32 << 20;
/// Large enough that no digest is done before the measurement is.
const LARGE: u64 = 64 << 30;
const CANDIDATES: usize = 64;
const CANDIDATE_LEN: u64 = 64 << 20;
const MANY: usize = 20_000;

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let logs = Logs::new();
    let server = Server::start(&settings(&logs));
    println!("| {CLIENTS} other clients | answers | lines | median | 99 of 100 | longest |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, ask) in loads(&logs) {
        measure(&server, &logs, name, ask);
    }
}

/// What the other clients ask.
enum Ask {
    /// There are none.
    Nothing,
    /// This, each time on a new connection.
    Questions(Box<dyn Fn(usize) -> String>),
    /// So many ask this, and read nothing of what comes.
    Unread(usize, String),
}

fn loads(logs: &Logs) -> Vec<(&'static str, Ask)> {
    let large = |n: usize, rest: &str| {
        let name = format!("large{n}");
        logs.request(&name, format!("{} {LARGE} v2 {rest}", logs.inode(&name)))
    };
    let streams: Vec<String> = (0..CLIENTS)
        .map(|n| logs.request(&format!("large{n}"), "0 0"))
        .collect();
    let digests: Vec<String> = (0..CLIENTS).map(|n| large(n, "op=digest")).collect();
    let sums: Vec<String> = (0..CLIENTS)
        .map(|n| large(n, &format!("op=sums:0:{}:1024", LARGE / 1024)))
        .collect();
    let search = logs.request(
        "s",
        format!("1 {CANDIDATE_LEN} v2 {}", proof_unlike_all(CANDIDATE_LEN)),
    );
    let all = logs.request("many/all", "1 1 v2 p=0:1:00000000");
    let none = logs.request("many/none", "1 1 v2 p=0:1:00000000");
    vec![
        ("none", Ask::Nothing),
        (
            "streams of large files",
            Ask::Questions(Box::new(move |n| streams[n].clone())),
        ),
        (
            "digests",
            Ask::Questions(Box::new(move |n| digests[n].clone())),
        ),
        (
            "checksums",
            Ask::Questions(Box::new(move |n| sums[n].clone())),
        ),
        (
            "searches by content",
            Ask::Questions(Box::new(move |_| search.clone())),
        ),
        (
            "globs that 20,000 files match",
            Ask::Questions(Box::new(move |_| all.clone())),
        ),
        (
            "globs that none of them matches",
            Ask::Questions(Box::new(move |_| none.clone())),
        ),
        (
            "24 that follow the same log and never read",
            Ask::Unread(24, logs.request("m", "0 0 v2")),
        ),
    ]
}

/// Makes all the logs and tells the configuration that serves them.
fn settings(logs: &Logs) -> String {
    let mut settings = String::from("$max_clients = 100; $max_clients_per_ip = 100;\n");
    let mut serve = |name: &str, globs: &str| {
        logs.write(name, "live\n");
        settings.push_str(&logs.served(name, globs));
    };
    serve("m", "");
    for n in 0..CLIENTS {
        serve(&format!("large{n}"), "");
    }
    serve("s", "s.*");
    fs::create_dir(logs.path("many")).unwrap();
    serve("many/all", "many/x*");
    serve("many/none", "many/y*");
    for n in 0..CLIENTS {
        logs.write_sparse(&format!("large{n}"), LARGE);
    }
    for n in 0..CANDIDATES {
        logs.write_sparse(&format!("s.{n}"), CANDIDATE_LEN);
    }
    for n in 0..MANY {
        File::create(logs.path(&format!("many/x{n}"))).unwrap();
    }
    settings
}

/// Prints one line of the table.
fn measure(server: &Server, logs: &Logs, name: &str, ask: Ask) {
    logs.write_sparse("m", HELD_LEN);
    let held = format!("0 {HELD_LEN}");
    let received = follow(server.address(), &logs.request("m", &held));
    let load = Load::start(server.address(), &ask);
    let mut latencies = latencies(logs, &received);
    let answers = load.stop();
    latencies.sort();
    let lines = latencies.len();
    let ms = |at: usize| latencies[at.max(1) - 1].as_secs_f64() * 1e3;
    println!(
        "| {name} | {answers} | {lines} | {:.2} ms | {:.2} ms | {:.2} ms |",
        ms(lines / 2),
        ms(lines * 99 / 100),
        ms(lines)
    );
}

/// Appends lines and tells how long each took to arrive.
fn latencies(logs: &Logs, received: &Receiver<(usize, Instant)>) -> Vec<Duration> {
    let mut writer = logs.writer("m");
    let mut arrived = (0, Instant::now());
    let mut latencies = Vec::with_capacity(LINES);
    let end = Instant::now() + MEASURED;
    for n in 1..=LINES {
        let start = Instant::now();
        if start > end {
            break;
        }
        writer.write(LINE);
        while arrived.0 < n * LINE.len() {
            arrived = received.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        let taken = arrived.1.duration_since(start);
        latencies.push(taken);
        thread::sleep(BETWEEN_LINES.saturating_sub(taken));
    }
    latencies
}

/// Follows a log and tells how much of it has arrived when, for as long as somebody listens.
fn follow(server: SocketAddr, request: &str) -> Receiver<(usize, Instant)> {
    let (teller, received) = mpsc::channel();
    let mut stream = ask(server, request);
    assert!(answer_line(&mut stream).starts_with('O'));
    thread::spawn(move || {
        let mut buf = [0; 4096];
        let mut total = 0;
        while let Ok(len @ 1..) = stream.read(&mut buf) {
            total += buf[..len].iter().filter(|&&byte| byte != 7).count();
            if teller.send((total, Instant::now())).is_err() {
                return;
            }
        }
    });
    received
}

/// Clients that keep the server busy.
struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<()>>,
    /// Connections that nobody reads from.
    unread: Vec<TcpStream>,
}

impl Load {
    /// Each client asks its question, again and again if it reads.
    fn start(server: SocketAddr, ask: &Ask) -> Load {
        match ask {
            Ask::Nothing => Load::asking(server, Vec::new()),
            Ask::Questions(question) => Load::asking(server, (0..CLIENTS).map(question).collect()),
            Ask::Unread(clients, request) => Load {
                unread: (0..*clients).map(|_| self::ask(server, request)).collect(),
                ..Load::asking(server, Vec::new())
            },
        }
    }

    fn asking(server: SocketAddr, questions: Vec<String>) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicUsize::new(0));
        let clients = questions.into_iter().map(|request| {
            let (stop, answers) = (stop.clone(), answers.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = ask(server, &request);
                    if is_answered(&mut stream, !is_line_enough(&request), &stop) {
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        let clients = clients.collect();
        Load {
            stop,
            answers,
            clients,
            unread: Vec::new(),
        }
    }

    /// Ends it and tells how many questions were answered.
    fn stop(self) -> usize {
        let answers = self.answers.load(Ordering::Relaxed);
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        drop(self.unread);
        answers
    }
}

/// Waits for the answer: the line, or with `whole` all that comes until the server closes.
fn is_answered(stream: &mut TcpStream, whole: bool, stop: &AtomicBool) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut buf = vec![0; 256 * 1024];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buf) {
            Ok(0) => return true,
            Ok(len) if !whole && buf[..len].contains(&b'\n') => return true,
            _ => {}
        }
    }
    false
}

/// Whether a request is one for a search, of which the first line shows that it is over.
fn is_line_enough(request: &str) -> bool {
    request.contains(" v2 ") && !request.contains(" op=")
}

fn ask(server: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    stream
}

fn answer_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).into_owned()
}
