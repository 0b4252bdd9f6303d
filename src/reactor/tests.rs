use std::io::{Read, Write};

use mio::net::{TcpListener, TcpStream};

use super::*;
use crate::sys::testing::{alone, raise};

fn reactor() -> Reactor {
    Reactor::new(Signals::install(&[]).unwrap()).unwrap()
}

fn soon(now: Now) -> Option<Mono> {
    Some(now.mono.plus_ms(10_000))
}

fn token(index: u32) -> Token {
    Token {
        kind: 2,
        index,
        life: 5,
    }
}

/// Waits until an event satisfies `wanted`; panics after ten seconds.
fn wait_for(reactor: &mut Reactor, wanted: impl Fn(&Event) -> bool) -> Event {
    let end = soon(clock::now());
    loop {
        let now = reactor.wait(end).unwrap();
        if let Some(event) = reactor.events().into_iter().find(&wanted) {
            return event;
        }
        assert!(Some(now.mono) < end, "no such event");
    }
}

#[test]
fn a_wait_ends_at_its_moment_and_not_before() {
    let mut reactor = reactor();
    for _ in 0..5 {
        let until = clock::now().mono.plus_ms(3);
        let now = reactor.wait(Some(until)).unwrap();
        assert!(
            now.mono >= until,
            "woke up too early, which makes a loop spin"
        );
        assert!(reactor.events().is_empty());
    }
}

#[test]
fn a_moment_that_has_passed_is_not_waited_for() {
    let mut reactor = reactor();
    let before = clock::now();
    let now = reactor.wait(Some(Mono::from_ms(0))).unwrap();
    assert!(now.mono.since_ms(before.mono) < 5_000);
}

#[test]
fn a_connection_is_told_ready_and_closed() {
    let mut reactor = reactor();
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    reactor
        .registry()
        .register(&mut listener, token(0).pack(), Interest::READABLE)
        .unwrap();
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let event = wait_for(&mut reactor, |event| event.token == token(0));
    assert!(event.readable && !event.closed);

    let (mut server, _) = listener.accept().unwrap();
    let both = Interest::READABLE | Interest::WRITABLE;
    reactor
        .registry()
        .register(&mut server, token(1).pack(), both)
        .unwrap();
    let event = wait_for(&mut reactor, |event| event.token == token(1));
    assert!(event.writable && !event.closed);

    client.write_all(b"line\n").unwrap();
    let event = wait_for(&mut reactor, |event| {
        event.token == token(1) && event.readable
    });
    assert!(!event.closed);
    let mut buf = [0; 16];
    assert_eq!(server.read(&mut buf).unwrap(), 5);

    client.shutdown(std::net::Shutdown::Both).unwrap();
    let event = wait_for(&mut reactor, |event| event.closed);
    assert!(event.readable, "the end is found by reading");
    assert_eq!((event.token, server.read(&mut buf).unwrap()), (token(1), 0));
}

#[test]
fn a_reset_connection_is_closed_in_both_directions() {
    let _alone = alone();
    let mut reactor = reactor();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let both = Interest::READABLE | Interest::WRITABLE;
    reactor
        .registry()
        .register(&mut client, token(3).pack(), both)
        .unwrap();
    let event = wait_for(&mut reactor, |event| event.writable);
    assert!(!event.closed);
    client.write_all(b"never read").unwrap();
    let (server, _) = listener.accept().unwrap();
    server.peek(&mut [0; 16]).unwrap();
    // A close with unread bytes is a reset.
    drop(server);
    let event = wait_for(&mut reactor, |event| event.closed);
    assert!(event.token == token(3) && event.readable && event.writable);
}

#[test]
fn a_signal_ends_the_wait_and_is_no_event() {
    let _alone = alone();
    let mut reactor = Reactor::new(Signals::install(&[Signal::Usr1]).unwrap()).unwrap();
    for _ in 0..2 {
        raise(libc::SIGUSR1);
        raise(libc::SIGUSR1);
        let start = clock::now();
        let now = reactor.wait(soon(start)).unwrap();
        assert!(Some(now.mono) < soon(start));
        assert!(reactor.events().is_empty());
        assert_eq!(
            reactor.signals().collect::<std::vec::Vec<_>>(),
            [Signal::Usr1]
        );
    }
    assert_eq!(reactor.signals().count(), 0);
}
