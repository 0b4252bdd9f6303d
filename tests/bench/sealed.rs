//! What sealing costs, without sockets and files: `cargo bench --features noise --bench sealed`.
//!
//! It prints how many handshakes a server answers in a second, how many messages with a wrong mark it refuses, and how
//! many bytes one core seals and opens, and judges nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::rc::Rc;
use std::time::{Duration, Instant};

use fetchlogs::noise::channel::{Channel, Terms};
use fetchlogs::noise::key::{Identity, PrivateKey};

const WHILE: Duration = Duration::from_secs(3);
const CHUNK_LEN: usize = 64 * 1024;

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let own = |seed| Rc::new(Identity::new(key(seed)));
    let (client, server) = (own(1), own(2));
    let asking = || Channel::asking(client.clone(), server.public(), key(3)).unwrap();
    let listening = || Channel::listening(server.clone(), Terms::OnlySealed);
    let mut buf = vec![0; 2 * CHUNK_LEN];

    let first = take(&mut asking());
    let answered = per_second(|| {
        let mut channel = listening();
        open(&mut channel, &first, &mut buf).unwrap();
        channel.answer(&|_| true, &key(4)).unwrap();
    });
    println!("handshakes answered: {answered:.0} a second");
    let mut wrong = first.clone();
    wrong[5] ^= 1;
    let refused = per_second(|| {
        assert!(open(&mut listening(), &wrong, &mut buf).is_err());
    });
    println!("messages with a wrong mark refused: {refused:.0} a second");

    let (_, mut server) = shake_hands(asking(), listening(), &mut buf);
    let plain = vec![b'x'; CHUNK_LEN];
    let mut records = Vec::new();
    let sealed = per_second(|| {
        records.clear();
        let mut at = 0;
        while at < plain.len() {
            at += server.seal(&plain[at..]);
            records.push(take(&mut server));
        }
    });
    let mb = CHUNK_LEN as f64 / 1e6;
    println!("sealed: {:.0} MB/s", sealed * mb);
    let (mut client, mut server) = shake_hands(asking(), listening(), &mut buf);
    let both = per_second(|| {
        let mut at = 0;
        while at < plain.len() {
            at += server.seal(&plain[at..]);
            let record = take(&mut server);
            open(&mut client, &record, &mut buf).unwrap();
        }
    });
    println!("sealed and opened in one core: {:.0} MB/s", both * mb);
}

/// Both ends of a connection over which something can be said.
fn shake_hands(mut client: Channel, mut server: Channel, buf: &mut [u8]) -> (Channel, Channel) {
    open(&mut server, &take(&mut client), buf).unwrap();
    server.answer(&|_| true, &key(4)).unwrap();
    open(&mut client, &take(&mut server), buf).unwrap();
    (client, server)
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::new([seed; 32])
}

fn take(channel: &mut Channel) -> Vec<u8> {
    let pending = channel.pending().to_vec();
    channel.consume_pending(pending.len());
    pending
}

fn open(channel: &mut Channel, bytes: &[u8], buf: &mut [u8]) -> Result<usize, &'static str> {
    let held = channel.restore(buf);
    buf[held..held + bytes.len()].copy_from_slice(bytes);
    channel.open(buf, held + bytes.len())
}

/// How often something can be done in a second.
fn per_second(mut act: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < WHILE {
        act();
        times += 1;
    }
    f64::from(times) / start.elapsed().as_secs_f64()
}
