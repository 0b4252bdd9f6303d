//! Whoever is not who they say: closed without a byte, and told once.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::common::wait::{PATIENCE, until};
use super::{Link, Sealed};

/// All that a client sends before it is answered.
const FIRST_LEN: usize = 113;

/// The first message of a real collector with this key, which then hears nothing.
fn first_message(sealed: &Sealed, key: &str) -> Vec<u8> {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let link = Link::to(nobody.local_addr().unwrap());
    let place = sealed.place(&link);
    let file = sealed.keys.file(key).display().to_string();
    let _collector = place.start(&["-k", &file]);
    until("a first message", || link.seen().len() >= FIRST_LEN);
    link.seen()[..FIRST_LEN].to_vec()
}

/// What a server answers to these bytes until it closes; `None` if it does not.
fn answer(sealed: &Sealed, bytes: &[u8], wait: Duration) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(sealed.server.address()).unwrap();
    stream.set_read_timeout(Some(wait)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => Some(answer),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(answer),
        Err(_) => None,
    }
}

fn times(sealed: &Sealed, words: &str) -> usize {
    sealed.server.said().matches(words).count()
}

#[test]
fn what_is_flipped_or_made_up_is_closed_with_one_line() {
    let sealed = Sealed::start("$require_key = 1;\n");
    let first = first_message(&sealed, "host");
    for byte in 0..FIRST_LEN {
        let mut flipped = first.clone();
        flipped[byte] ^= 4;
        let answer = answer(&sealed, &flipped, PATIENCE);
        assert_eq!(answer.as_deref(), Some(&b""[..]), "byte {byte}");
    }
    // A request in plain words, and an endless handshake.
    for bytes in [
        sealed.logs.request("m", "0 0 v2\n").into_bytes(),
        vec![1; 100_000],
    ] {
        assert_eq!(answer(&sealed, &bytes, PATIENCE).as_deref(), Some(&b""[..]));
    }
    // All of it was from one address, in less than a minute: what is said again is only counted.
    let said = sealed.server.said();
    assert!(times(&sealed, "127.0.0.1: ") <= 8, "{said}");
    assert!(
        times(&sealed, "does not know the public key") <= 2,
        "{said}"
    );
}

#[test]
fn a_half_of_a_handshake_waits_and_is_not_answered() {
    let sealed = Sealed::start("");
    let first = first_message(&sealed, "host");
    let wait = Duration::from_millis(300);
    for len in [1, 16, 17, 112] {
        assert_eq!(answer(&sealed, &first[..len], wait), None);
    }
    // A replay is answered, by a handshake that only the owner of the key can finish.
    let mut stream = TcpStream::connect(sealed.server.address()).unwrap();
    stream.write_all(&first).unwrap();
    let mut second = [0; 48];
    stream.read_exact(&mut second).unwrap();
    stream.write_all(&[0, 20]).unwrap();
    stream.write_all(&[7; 20]).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    sealed.server.wait_for("a record is not right");
}

#[test]
fn replays_are_answered_only_so_often() {
    let sealed = Sealed::start("");
    let first = first_message(&sealed, "host");
    let answered = |_: &usize| {
        let mut stream = TcpStream::connect(sealed.server.address()).unwrap();
        stream.write_all(&first).unwrap();
        let mut second = [0; 48];
        stream.read_exact(&mut second).is_ok()
    };
    let answered = (0..60).filter(answered).count();
    assert!((32..=40).contains(&answered), "{answered} were answered");
    sealed
        .server
        .wait_for("has tried handshakes in vain too often");
    // Who speaks plainly is served all the same.
    let request = sealed.logs.request("m", "0 0\n");
    let mut stream = TcpStream::connect(sealed.server.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut letter = [0; 1];
    stream.read_exact(&mut letter).unwrap();
    assert_eq!(&letter, b"O");
}

#[test]
fn another_key_gets_nothing_and_says_why() {
    let sealed = Sealed::start("");
    let link = Link::to(sealed.server.address());
    let place = sealed.place(&link);
    let stranger = sealed.keys.file("stranger").display().to_string();
    let collector = place.start(&["-k", &stranger]);
    collector.out.wait_for("closed during the handshake");
    sealed
        .server
        .wait_for("has a key that is not in %keys_allow");
    until("some tries", || link.seen().len() > 3 * FIRST_LEN);
    assert_eq!(times(&sealed, "has a key that is not in %keys_allow"), 1);
    // Nothing but first messages went by.
    assert_eq!(link.seen()[FIRST_LEN], 1);
}
