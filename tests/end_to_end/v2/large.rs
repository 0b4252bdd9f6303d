//! What takes long delays nobody: neither a digest that was not to be had in passing nor one that somebody asks for.
//! That it is computed in small steps is asserted where steps are counted, in the tests of the server's session; how
//! long a line takes beside it is measured by the benches. Here each line just has to arrive while the digest goes on.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;

use super::{prepare, start};
use crate::common::pair::content::{lines, noise};
use crate::common::pair::log::NotedLog;
use crate::common::pair::relay::Fate;
use crate::common::pair::{Options, Pair};

/// Nobody can compute a digest of so much before a test is over.
const ENDLESS: u64 = 1 << 40;

#[test]
fn the_digest_of_a_large_generation_holds_up_no_line_of_the_next() {
    const PASSED: usize = 2 << 20;
    let (mut pair, mut log) = prepare(Options {
        relayed: true,
        ..Options::brisk()
    });
    log.append(noise(1, 1 << 20).repeat(16));
    pair.start_server();
    pair.relay().decree([Fate::HeldAfter(PASSED)]);
    pair.start_collector();
    // The second connection begins in the middle: the digest cannot be computed while the bytes pass by.
    pair.until(|pair| match local_size(pair) < PASSED as u64 / 2 {
        true => Err("nothing comes".into()),
        false => Ok(()),
    });
    pair.kill_collector();
    assert!(local_size(&pair) < PASSED as u64);
    pair.start_collector();
    pair.expect("m", &log.written);
    log.rotate();
    while !pair.events().contains(" verified ") {
        expect_a_line(&mut pair, &mut log);
    }
    pair.expect_verified("m", &log.written);
    pair.assert_no_losses();
}

/// Both sides hold a generation of which no byte passes any more: its digest has to be computed from the start, on
/// either side, and that never ends.
#[test]
fn a_digest_without_end_holds_up_no_line_of_the_next() {
    let (mut pair, mut log) = start(Options::brisk());
    log.append(lines(0..10));
    pair.expect_verified("m", &log.written);
    pair.kill_collector();
    pair.kill_server();
    for path in [pair.local("m"), log.path().to_owned()] {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(ENDLESS).unwrap();
    }
    pair.start_server();
    pair.start_collector();
    log.rotate();
    for _ in 0..100 {
        expect_a_line(&mut pair, &mut log);
    }
    assert_eq!(pair.copies("m").rotated().len(), 1);
    assert!(!pair.events().contains(" verified "));
    pair.assert_no_losses();
}

#[test]
fn a_digest_that_somebody_asks_for_holds_up_no_line() {
    let (mut pair, mut log) = prepare(Options::brisk());
    let large = File::create(log.rotated(1)).unwrap();
    large.set_len(ENDLESS).unwrap();
    pair.start_server();
    pair.start_collector();
    pair.expect_status("OK\n");
    let mut asking = TcpStream::connect(pair.address()).unwrap();
    let inode = large.metadata().unwrap().ino();
    let path = log.path().display();
    writeln!(asking, "{path} {inode} {ENDLESS} v2 op=digest").unwrap();
    let first_line = format!("O {inode} v2 at=0 size={ENDLESS} ");
    let mut start = vec![0; first_line.len()];
    asking.read_exact(&mut start).unwrap();
    assert_eq!(start, first_line.as_bytes());
    for _ in 0..300 {
        expect_a_line(&mut pair, &mut log);
    }

    asking.set_nonblocking(true).unwrap();
    let mut rest = [0; 1000];
    let len = asking.read(&mut rest).unwrap();
    assert_eq!(rest[len - 1], b'\n', "nobody can know the digest yet");
}

fn local_size(pair: &Pair) -> u64 {
    fs::metadata(pair.local("m")).map_or(0, |metadata| metadata.len())
}

/// Writes a line and waits until it is in the live copy.
fn expect_a_line(pair: &mut Pair, log: &mut NotedLog) {
    log.append(lines(7..8));
    let wanted = log.written.last().unwrap().len() as u64;
    // A large size is that of the generation before.
    pair.until(|pair| match local_size(pair) {
        size if size == wanted => Ok(()),
        size => Err(format!("the copy has {size} bytes instead of {wanted}")),
    });
}
