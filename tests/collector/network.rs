//! Servers that are away, refuse, hang, break off or are no log servers at all.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

use super::common::collector::{Place, REMOTE, Signal};
use super::common::scripted::{Call, Scripted, Step};
use super::common::skipped;
use super::common::wait::{eventually, for_a_while};
use super::is_event;

/// What a server does at first, and what the collector says about it. Then every server comes to its senses.
fn troubles() -> Vec<(Vec<Step>, &'static str)> {
    let send = |bytes: &[u8]| Step::Send(bytes.to_vec());
    let no_log_server = "what answered is not a log server";
    let refused = "the server closed without an answer: it does not serve this file, or not to us, or the file does not exist";
    let mut troubles = vec![
        (vec![Step::Close], refused),
        (vec![Step::Reset], refused),
        (vec![Step::Silence], "the server did not answer in time"),
        (
            vec![send(b"O 1"), Step::Silence],
            "the server did not answer in time",
        ),
        (
            vec![send(b"O 7"), Step::Close],
            "connection lost: closed by the server",
        ),
        (
            vec![send(b"O 7\n"), Step::Close],
            "connection lost: closed by the server",
        ),
        (vec![send(&[b'x'; 1 << 20]), Step::Silence], no_log_server),
        (vec![send(&[0; 1 << 20]), Step::Reset], no_log_server),
        (
            vec![
                Step::Trickle(vec![b' '; 20]),
                send(&[b' '; 280]),
                Step::Silence,
            ],
            no_log_server,
        ),
    ];
    for garbage in [
        &b"HTTP/1.0 400 Bad Request\r\n\r\n"[..],
        b"\n",
        b"\x07O 7\n",
        b"O\n",
        b"O 0\n",
        b"O -7\n",
        b"O 7f\n",
        b"O 18446744073709551616\n",
        b"o 7\n",
        b"OL 7\n",
        b"\xff\xfe\x00O 7\n",
    ] {
        troubles.push((vec![send(garbage), Step::Silence], no_log_server));
    }
    troubles
}

#[test]
fn every_trouble_has_its_words_and_passes() {
    let troubles = troubles();
    let remote = |at: usize| format!("/var/log/{at}");
    let servers: Vec<Scripted> = (0..troubles.len()).map(|_| Scripted::new()).collect();
    let place = Place::with(|place| {
        let lines = servers.iter().enumerate();
        lines
            .map(|(at, server)| place.line(server.address(), &remote(at), &format!("log{at}")))
            .collect()
    });
    for (server, (steps, _)) in servers.into_iter().zip(troubles.clone()) {
        let well = [Step::Send(b"O 7\nfine".to_vec()), Step::Silence];
        server.serve(move |number, call| call.play(if number == 0 { &steps } else { &well }));
    }
    // The silent ones take as long as this; the others must not be taken for silent.
    let collector = place.start(&["-w", "15"]);
    for (at, (steps, text)) in troubles.iter().enumerate() {
        place.wait_for(&format!("log{at}"), b"fine");
        let first = eventually("an event", || {
            let events = collector.out.with(&format!(" {} ", remote(at)));
            let following = |line: &String| line.contains("following");
            events.into_iter().find(|line| !following(line))
        });
        assert!(
            is_event(&first, "127.0.0.1", &remote(at), text),
            "{first} after {steps:.80?}"
        );
    }
    place.wait_for_status("127.0.0.1", "OK\n");
    assert!(place.rotated("log").is_empty());
}

/// What a server says before it is asked is taken for its answer, which it rarely is.
#[test]
fn a_server_that_talks_first_is_given_up() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut call = server.accept_unread();
    call.send("220 mail.example.net ready\r\n");
    collector.out.wait_for("is not a log server");
    call.wait_until_left();
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nfine");
    place.wait_for("log", b"fine");
}

#[test]
fn a_refused_connection_is_told_once_and_tried_again() {
    // An address of its own, so that no other test is given the port meanwhile.
    let server = Scripted::numbered(77);
    let address = server.address();
    drop(server);
    let place = Place::following(address);
    let collector = place.start(&[]);
    let line = collector.out.wait_for("cannot connect");
    assert!(line.contains("Connection refused"), "{line}");
    place.wait_for_status("127.0.0.77", "ERR\n");
    for_a_while(200, "told once", || collector.out.all().len() == 1);
    let server = Scripted::from(TcpListener::bind(address).unwrap());
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\n");
    place.wait_for_status("127.0.0.77", "OK\n");
}

#[test]
fn a_server_that_takes_no_connection_is_told_in_time() {
    let (listener, _queued) = full_listener();
    let place = Place::following(listener.local_addr().unwrap());
    let collector = place.start(&["-w", "0.2"]);
    let line = collector.out.wait_for("cannot connect");
    let text = "cannot connect: no answer in time";
    assert!(is_event(&line, "127.0.0.1", REMOTE, text), "{line}");
    place.wait_for_status("127.0.0.1", "ERR\n");
    assert_eq!(place.read("log"), b"");
}

/// A listener whose queue is full, so that a further connection gets no answer at all, and what fills the queue.
fn full_listener() -> (TcpListener, Vec<TcpStream>) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    bind(&socket, &any).unwrap();
    listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue of a listener has an end");
    }
    (listener, queued)
}

#[test]
fn silence_ends_a_connection_and_is_no_loss() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&["-i", "0.3"]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    call.wait_until_left();
    let text = "connection lost: nothing was heard for too long";
    let line = collector.out.wait_for("connection lost");
    assert!(is_event(&line, "127.0.0.1", REMOTE, text), "{line}");
    place.wait_for_status("127.0.0.1", "ERR\n");
    let mut call = server.accept_asking(7, 3);
    call.send("O 7\ndef");
    place.wait_for("log", b"abcdef");
    // The next is good for as long as its keep-alive come in time, however seldom that is.
    server.serve(|_, mut call| {
        call.try_send("O 7\n");
        call.keep_alive_until_left();
    });
    place.wait_for_status("127.0.0.1", "OK\n");
}

/// A server that has brought something and closes has most likely rotated: nobody is to be alarmed.
#[test]
fn a_reset_in_the_middle_of_data_goes_on_where_it_was() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&[]);
    let mut whole = Vec::new();
    for round in 0..5 {
        let inode = if round == 0 { 0 } else { 7 };
        let mut call = server.accept_asking(inode, whole.len() as u64);
        let more = format!("round {round}\n").repeat(1000);
        call.send(format!("O 7\n{more}"));
        whole.extend_from_slice(more.as_bytes());
        place.wait_for("log", &whole);
        call.reset();
    }
    let mut call = server.accept_asking(7, whole.len() as u64);
    call.send("O 7\n");
    assert_eq!(collector.out.with("lost").len(), 0);
    assert_eq!(place.read("snmp/127.0.0.1"), b"OK\n");
}

/// Bytes that were on their way when the connection broke are asked for again, not assumed.
#[test]
fn nothing_is_counted_that_did_not_arrive() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = place.start(&[]);
    let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let text: Vec<u8> = text.into_iter().filter(|byte| *byte != 7).collect();
    let served = text.clone();
    let resets = 6;
    let piece = text.len() / resets;
    for _ in 0..resets {
        let mut call = server.accept();
        let (_, _, offset) = call.parts();
        let from = usize::try_from(offset).unwrap();
        assert_eq!(place.read("log"), served[..from]);
        call.send("O 7\n");
        let to = (from + piece).min(text.len());
        call.send(&served[from..to]);
        call.reset();
    }
    let mut call = server.accept();
    let (_, _, offset) = call.parts();
    call.send("O 7\n");
    call.send(&served[usize::try_from(offset).unwrap()..]);
    place.wait_for("log", &text);
}

/// The collector was stopped, not the server: what arrived meanwhile counts before any deadline does.
#[test]
fn a_collector_that_was_held_up_does_not_blame_the_server() {
    const DEADLINE: Duration = Duration::from_millis(800);
    let server = Scripted::new();
    let place = Place::following(server.address());
    let collector = place.start(&["-w", "0.8", "-i", "0.8"]);
    // What is sent only once, to a collector that is stopped, arrives on this connection or never.
    let hold_up = |mut call: Call, text: &str, whole: &[u8]| {
        call.send(text);
        thread::sleep(DEADLINE + Duration::from_millis(200));
        collector.signal(Signal::CONT);
        place.wait_for("log", whole);
    };
    // Whoever is slow to stop it in time does so again.
    let call = eventually("a collector that is stopped before the deadline", || {
        let call = server.accept_asking(0, 0);
        collector.pause();
        let call = Some(call).filter(Call::is_held);
        if call.is_none() {
            collector.signal(Signal::CONT);
        }
        call
    });
    hold_up(call, "O 7\nabc", b"abc");
    let mut whole = b"abc".to_vec();
    let call = eventually("the same while it follows", || {
        let mut call = server.accept_asking(7, whole.len() as u64);
        call.send("O 7\nx");
        whole.push(b'x');
        place.wait_for("log", &whole);
        collector.pause();
        let call = Some(call).filter(Call::is_held);
        if call.is_none() {
            collector.signal(Signal::CONT);
        }
        call
    });
    hold_up(call, "def", &[&whole[..], b"def"].concat());
}

/// One of many sources is slow: the others do not wait for it.
#[test]
fn a_slow_or_greedy_source_slows_nobody() {
    const LINES: usize = 50;
    let greedy = Scripted::new();
    let slow = Scripted::new();
    let good = Scripted::new();
    let place = Place::with(|place| {
        vec![
            place.line(greedy.address(), REMOTE, "greedy"),
            place.line(slow.address(), REMOTE, "slow"),
            place.line(good.address(), REMOTE, "good"),
        ]
    });
    // Neither comes to an end: whoever waited for one of them would wait for ever. Signs of life need no disk.
    greedy.serve(|_, mut call| {
        let mut goes_on = call.try_send("O 7\n");
        for _ in 0..256 {
            goes_on = goes_on && call.try_send([b'g'; 1 << 16]);
        }
        while goes_on {
            goes_on = call.try_send([7; 1 << 16]);
        }
    });
    slow.serve(|_, mut call| {
        let mut goes_on = call.try_send("O 7\n");
        while goes_on {
            thread::sleep(Duration::from_millis(2));
            goes_on = call.try_send("s");
        }
    });
    let _collector = place.start(&[]);
    let mut call = good.accept();
    call.send("O 7\n");
    let mut expected = Vec::new();
    for number in 0..LINES {
        let line = format!("line {number}\n");
        expected.extend_from_slice(line.as_bytes());
        call.send(line);
        eventually("the line", || {
            (place.read("good").len() == expected.len()).then_some(())
        });
    }
    assert_eq!(place.read("good"), expected);
}

/// The second address of a name is tried where the first does not answer.
#[test]
fn every_address_of_a_name_has_its_turn() {
    use std::net::ToSocketAddrs;
    let addresses: Vec<SocketAddr> = ("localhost", 1).to_socket_addrs().unwrap().collect();
    let [_, .., last] = &addresses[..] else {
        skipped("localhost has one address only");
        return;
    };
    let server = Scripted::on(last.ip());
    let place = Place::with(|place| {
        let line = place.line(server.address(), REMOTE, "log");
        vec![line.replacen(&last.ip().to_string(), "localhost", 1)]
    });
    let collector = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    // Where it works it stays.
    call.close();
    server.accept_asking(7, 3);
    assert_eq!(
        collector.out.with("cannot connect").len(),
        addresses.len() - 1
    );
}
