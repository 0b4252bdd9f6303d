//! A good log, its copy, and the time a line takes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::collector::{Collector, Place};
use crate::common::logs::Logs;
use crate::common::process::cpu_ticks;
use crate::common::server::Server;
use crate::usage::{Attack, memory_kib};
use crate::volume::Volume;

const LINES: usize = 400;
/// One new client for so many lines.
const LINES_TO_AN_ANSWER: usize = 10;
const BETWEEN_LINES: Duration = Duration::from_millis(10);
/// Before the first line, so that the attack is under way.
const BEFORE: Duration = Duration::from_millis(1500);
const MEASURED: Duration = Duration::from_secs(12);
const LINE: &[u8] = b"Nov 22 13:29:56 router daemon: a line of usual length for a log\n";
/// The attackers' log on the good server has more than any socket takes.
const LARGE: u64 = 64 << 30;
const MANY: usize = 20_000;
const CANDIDATES: usize = 64;
/// Rotated files of a log that are asked for, all.
const BACKLOG: usize = 900;
/// Logs of a box that harms the collector.
const EVIL_LOGS: usize = 20;
pub const CANDIDATE_LEN: u64 = 64 << 20;

/// Which program is attacked.
pub enum Target {
    Server,
    Collector,
}

/// A server, a collector and a log.
pub struct Good {
    pub logs: Logs,
    server: Server,
    place: Place,
    collector: Collector,
}

impl Good {
    /// Everybody on this machine is allowed, but for 127.0.0.99. The collector has these other boxes too, with twenty logs each.
    pub fn start(boxes: &[SocketAddr], volume: &Volume) -> Good {
        let logs = Logs::new();
        let mut settings = "$hosts_allow{\"127.0.0.0/26\"} = 1;\n".to_owned();
        let mut serve = |name: &str, globs: &str| {
            logs.write(name, "");
            settings.push_str(&logs.served(name, globs));
        };
        for (name, globs) in [
            ("good", "good.*"),
            ("large", ""),
            ("s", "s.*"),
            ("old", "old.*"),
        ] {
            serve(name, globs);
        }
        fs::create_dir(logs.path("many")).unwrap();
        serve("many/log", "many/x*");
        logs.write_sparse("large", LARGE);
        for n in 0..CANDIDATES {
            logs.write_sparse(&format!("s.{n}"), CANDIDATE_LEN);
        }
        for n in 0..MANY {
            File::create(logs.path(&format!("many/x{n}"))).unwrap();
        }
        for n in 1..=BACKLOG {
            logs.write(&format!("old.{n}"), format!("{n}\n"));
            logs.age(&format!("old.{n}"), 1_000 + n as u64);
        }
        let server = Server::start(&settings);
        let place = Place::inside(volume.path());
        let remote = logs.path("good").display().to_string();
        let mut lines = vec![place.line(server.address(), &remote, "copy")];
        for address in boxes {
            for n in 0..EVIL_LOGS {
                lines.push(place.line(*address, &format!("/evil{n}"), &format!("evil{n}")));
            }
        }
        place.configure(&lines);
        let mut command = place.command(&[]);
        volume.slow_down(&mut command);
        let collector = Collector::spawn(&mut command);
        logs.append("good", LINE);
        place.wait_for("copy", LINE);
        Good {
            logs,
            server,
            place,
            collector,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Prints one line of the table.
    pub fn measure(self, name: &str, target: Target, attack: impl FnOnce(&Good) -> Attack) {
        let (on, pid) = match target {
            Target::Server => ("server", self.server.pid()),
            Target::Collector => ("collector", self.collector.pid()),
        };
        let attack = attack(&self);
        thread::sleep(BEFORE);
        let (began, used) = (Instant::now(), cpu_ticks(pid));
        let mut latencies = self.latencies();
        let used = (cpu_ticks(pid) - used) as f64 / began.elapsed().as_secs_f64();
        attack.end();
        println!(
            "| {name} | {on} | {} | {} | {} KiB | {:.0} % | {} |",
            in_numbers(&mut latencies.0),
            in_numbers(&mut latencies.1),
            memory_kib(pid),
            used,
            attack.attempts(),
        );
    }

    /// Appends lines and tells how long each took into the copy; and how long new clients waited for their answer.
    fn latencies(&self) -> (Vec<Duration>, Vec<Duration>) {
        let mut writer = self.logs.writer("good");
        let copy = self.place.path("copy");
        let mut len = fs::metadata(&copy).unwrap().len();
        let end = Instant::now() + MEASURED;
        let mut latencies = Vec::with_capacity(LINES);
        let mut answers = Vec::new();
        while latencies.len() < LINES && Instant::now() < end {
            if latencies.len() % LINES_TO_AN_ANSWER == 0 {
                answers.push(self.answer());
            }
            let start = Instant::now();
            writer.write(LINE);
            len += LINE.len() as u64;
            while fs::metadata(&copy).unwrap().len() < len && start.elapsed() < MEASURED {
                thread::sleep(Duration::from_micros(200));
            }
            let taken = start.elapsed();
            latencies.push(taken);
            thread::sleep(BETWEEN_LINES.saturating_sub(taken));
        }
        (latencies, answers)
    }

    /// How long a new client waits for the first line of its answer, put out and coming again if need be.
    fn answer(&self) -> Duration {
        let start = Instant::now();
        let request = self.logs.request("good", "0 0\n");
        while start.elapsed() < MEASURED {
            let Ok(mut stream) = TcpStream::connect(self.address()) else {
                continue;
            };
            stream.set_read_timeout(Some(MEASURED)).unwrap();
            let asked = stream.write_all(request.as_bytes());
            if asked.is_ok() && stream.read(&mut [0]).is_ok_and(|len| len > 0) {
                break;
            }
        }
        start.elapsed()
    }
}

/// Median, 99 of 100, and the longest.
fn in_numbers(all: &mut [Duration]) -> String {
    all.sort();
    let ms = |at: usize| all[at.max(1) - 1].as_secs_f64() * 1e3;
    let count = all.len();
    let (half, most) = (ms(count / 2), ms(count * 99 / 100));
    format!("{count} | {half:.1} | {most:.1} | {:.1}", ms(count))
}
