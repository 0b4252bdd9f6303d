//! Both programs killed and connections cut at moments nobody chose, while a box writes and rotates.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use std::io::Read;

use super::writers::{WAITING, assert_holds, copy_and_truncate, generations_of, write_lines};
use crate::common::v2pair::{Boxed, Names, Pair, Random, Setup, lines, noise};

/// Another one with each run where `V2_SEED` is set to `random`, or the one it is set to.
fn seed() -> u64 {
    let text = std::env::var("V2_SEED").unwrap_or_default();
    let seed = match text.parse() {
        Ok(seed) => seed,
        Err(_) if text.is_empty() => 1,
        Err(_) => u64::from(std::process::id()),
    };
    println!("V2_SEED={seed}");
    seed
}

const ROUNDS: u64 = 10;

#[test]
fn killed_while_a_box_writes_and_rotates() {
    let (mut pair, mut log) = Pair::start(WAITING);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_and_rotate(&mut log, &stop, seed()));
        kill_at_random(&mut pair, seed());
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
    pair.expect_copies(&log.written);
    pair.assert_no_losses();
}

/// Writes lines and rotates now and then; some late lines go into the old file.
fn write_and_rotate(log: &mut Boxed, stop: &AtomicBool, seed: u64) {
    let mut random = Random(seed);
    let mut file = log.writer();
    let mut number = 0;
    let mut write = |log: &mut Boxed, file: &mut fs::File, back: usize, count: u64| {
        let text = lines(number..number + count);
        number += count;
        file.write_all(&text).unwrap();
        let generation = log.written.len() - 1 - back;
        log.written[generation].extend(text);
    };
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..random.below(40) {
            write(log, &mut file, 0, 1 + random.below(60));
            thread::sleep(Duration::from_millis(random.below(4)));
        }
        if log.written.len() < 40 {
            log.rotate(Names::From(1));
            let late = random.below(3);
            for _ in 0..late {
                write(log, &mut file, 1, 1 + random.below(3));
                thread::sleep(Duration::from_millis(random.below(20)));
            }
            file = log.writer();
        }
    }
}

fn kill_at_random(pair: &mut Pair, seed: u64) {
    let mut random = Random(seed + 1);
    let mut pause = |most: u64| {
        let wait_ms = random.below(most);
        thread::sleep(Duration::from_millis(wait_ms));
        wait_ms
    };
    for _ in 0..ROUNDS {
        let which = pause(150) % 3;
        if which != 0 {
            pair.kill_server();
        }
        if which != 1 {
            pair.kill_collector();
        }
        pause(100);
        if which != 0 {
            pair.start_server();
        }
        if which != 1 {
            pair.start_collector();
        }
    }
}

#[test]
fn killed_while_a_box_copies_and_truncates() {
    let (mut pair, mut log) = Pair::start(Setup::default());
    // Only where there is something older, a copy made meanwhile is known to be the first.
    log.append(b"the first one\n");
    pair.expect(&log.written);
    copy_and_truncate(&log);
    pair.expect(&[&b"the first one\n"[..], b""]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_lines(&log, &stop, Duration::from_millis(1)));
        let rotator = scope.spawn(|| {
            let mut random = Random(seed());
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20 + random.below(150)));
                copy_and_truncate(&log);
            }
        });
        kill_at_random(&mut pair, seed() + 2);
        stop.store(true, Ordering::Relaxed);
        rotator.join().unwrap();
        writer.join().unwrap();
    });
    // What nobody copies is lost between the two steps; the last line is not among that.
    let end = lines(99_999_999..100_000_000);
    log.writer().write_all(&end).unwrap();
    let kept = generations_of(&log);
    pair.until(|pair| match pair.held().ends_with(&end) {
        true => Ok(()),
        false => Err("the end has not come".into()),
    });
    assert_holds(&mut pair, &kept);
    pair.assert_no_losses();
}

#[test]
fn cut_in_the_middle_of_frames() {
    let (mut pair, mut log) = Pair::prepare(Setup::default());
    pair.start_server();
    let relay = Relay::to(pair.address, seed());
    pair.via = Some(relay.address);
    pair.start_collector();
    pair.expect_status("OK\n");
    for round in 0..6 {
        log.append(noise(round, 300_000));
        log.append(lines(round * 100..round * 100 + 100));
        if round % 2 == 1 {
            log.rotate(Names::From(1));
        }
    }
    pair.expect_copies(&log.written);
    assert!(relay.cuts() > 5, "{} cuts", relay.cuts());
    relay.be_honest();
    log.append(b"one more\n");
    log.rotate(Names::From(1));
    pair.expect_copies(&log.written);
    pair.assert_no_losses();
    let held = [" differs ", " damaged "].map(|word| pair.events().contains(word));
    assert_eq!(held, [false; 2]);
}

/// Cuts each connection after a random number of the server's bytes.
struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    random: Mutex<Random>,
    cuts: Mutex<u32>,
    is_honest: AtomicBool,
    is_over: AtomicBool,
}

impl Relay {
    fn to(server: SocketAddr, seed: u64) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                server,
                random: Mutex::new(Random(seed)),
                cuts: Mutex::new(0),
                is_honest: AtomicBool::new(false),
                is_over: AtomicBool::new(false),
            }),
        };
        let shared = relay.shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = shared.clone();
                thread::spawn(move || shared.hand_on(client.unwrap()));
            }
        });
        relay
    }

    fn cuts(&self) -> u32 {
        *self.shared.cuts.lock().unwrap()
    }

    fn be_honest(&self) {
        self.shared.is_honest.store(true, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn hand_on(&self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else {
            return;
        };
        let most = match self.is_honest.load(Ordering::SeqCst) {
            true => u64::MAX,
            false => 200 + self.random.lock().unwrap().below(200_000),
        };
        let (mut from, mut to) = (&client, &server);
        thread::scope(|scope| {
            scope.spawn(move || std::io::copy(&mut from, &mut to));
            let _ = std::io::copy(&mut (&server).take(most), &mut &client);
            *self.cuts.lock().unwrap() += 1;
            for stream in [&client, &server] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}
