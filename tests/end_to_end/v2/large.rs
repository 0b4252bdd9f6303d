//! What takes long delays nobody: neither a digest that was not to be had in passing nor one that somebody asks for.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use super::{prepare, start};
use crate::common::pair::content::{lines, noise};
use crate::common::pair::log::NotedLog;
use crate::common::pair::{Options, Pair};

#[test]
fn the_digest_of_a_large_generation_holds_up_no_line_of_the_next() {
    let (mut pair, mut log) = start(Options::brisk());
    log.append(noise(1, 1 << 20).repeat(64));
    // The second connection begins in the middle: the digest cannot be computed while the bytes pass by.
    pair.until(|pair| match local_size(pair) {
        0..0x80_0000 => Err("nothing comes".into()),
        _ => Ok(()),
    });
    pair.kill_collector();
    assert!(
        local_size(&pair) < 64 << 20,
        "there is nothing left to come"
    );
    pair.start_collector();
    pair.expect("m", &log.written);
    log.rotate();
    let mut delays = Vec::new();
    while !pair.events().contains(" verified ") {
        delays.push(delay_of_a_line(&mut pair, &mut log));
        thread::sleep(Duration::from_millis(5));
    }
    delays.sort();
    let worst = delays[delays.len() - 1];
    println!(
        "{} lines beside the digest of 64 MB, slowest {worst:?}",
        delays.len()
    );
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

#[test]
fn a_digest_that_somebody_asks_for_holds_up_no_line() {
    let (mut pair, mut log) = prepare(Options::brisk());
    const SIZE: u64 = 500_000_000;
    let large = File::create(log.rotated(1)).unwrap();
    large.set_len(SIZE).unwrap();
    pair.start_server();
    pair.start_collector();
    pair.expect_status("OK\n");
    let mut asking = TcpStream::connect(pair.address()).unwrap();
    let inode = large.metadata().unwrap().ino();
    let path = log.path().display();
    writeln!(asking, "{path} {inode} {SIZE} v2 op=digest").unwrap();
    let mut delays: Vec<Duration> = (0..300)
        .map(|_| delay_of_a_line(&mut pair, &mut log))
        .collect();
    delays.sort();
    let (middle, slow) = (delays[150], delays[297]);
    println!("300 lines beside the digest of 500 MB: p50 {middle:?}, p99 {slow:?}");
    assert!(slow < Duration::from_millis(200), "{slow:?}");

    asking.set_nonblocking(true).unwrap();
    let mut answer = [0; 1000];
    let len = asking.read(&mut answer).unwrap();
    let first_line = format!("O {inode} v2 at=0 size={SIZE} ");
    assert!(answer.starts_with(first_line.as_bytes()));
    assert_eq!(
        answer[len - 1],
        b'\n',
        "the digest came too early to delay anybody"
    );
}

fn local_size(pair: &Pair) -> u64 {
    fs::metadata(pair.local("m")).map_or(0, |metadata| metadata.len())
}

/// Writes a line and tells how long it took into the live copy.
fn delay_of_a_line(pair: &mut Pair, log: &mut NotedLog) -> Duration {
    log.append(lines(7..8));
    let wanted = log.written.last().unwrap().len() as u64;
    let start = Instant::now();
    loop {
        // A large size is that of the generation before.
        if local_size(pair) == wanted {
            return start.elapsed();
        }
        if start.elapsed() > Duration::from_secs(10) {
            panic!("the line does not come\n{}", pair.everything_said());
        }
        thread::sleep(Duration::from_micros(200));
    }
}
