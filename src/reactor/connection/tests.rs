use std::net::{TcpListener, TcpStream as StdStream};
use std::ops::ControlFlow::{Break, Continue};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use super::*;
use crate::reactor::{Event, Reactor};
use crate::sys::clock;
use crate::sys::signals::Signals;
use crate::sys::testing::{alone, limit_room};

// A transform.

/// Records of a length, a checksum and a disguised content, behind a handshake of one message and
/// its answer.
struct Records {
    is_ready: bool,
    /// What the first record of the peer has to say, and what is answered.
    greeting: &'static [u8],
    answer: Option<&'static [u8]>,
    held: Vec<u8>,
    pending: Vec<u8>,
    /// Received bytes.
    seen: usize,
    records: usize,
    /// Records of which the socket took a part.
    cuts: usize,
}

const RECORD_MAX: usize = 16 * 1024;
const HEAD_LEN: usize = 3;
const HELLO: &[u8] = b"hello";
const WELCOME: &[u8] = b"you are welcome";

impl Records {
    fn asking() -> Records {
        Records {
            is_ready: false,
            greeting: WELCOME,
            answer: None,
            held: Vec::new(),
            pending: record(HELLO),
            seen: 0,
            records: 0,
            cuts: 0,
        }
    }

    fn answering() -> Records {
        Records {
            greeting: HELLO,
            answer: Some(WELCOME),
            pending: Vec::new(),
            ..Records::asking()
        }
    }

    fn greet(&mut self, content: &[u8]) -> Result<(), &'static str> {
        if content != self.greeting {
            return Err("it does not greet");
        }
        self.is_ready = true;
        if let Some(answer) = self.answer {
            assert!(self.pending.is_empty(), "two records are pending");
            self.pending = record(answer);
        }
        Ok(())
    }
}

impl Transform for Records {
    fn restore(&self, buf: &mut [u8]) -> usize {
        buf[..self.held.len()].copy_from_slice(&self.held);
        self.held.len()
    }

    fn open(&mut self, buf: &mut [u8], len: usize) -> Result<usize, &'static str> {
        self.seen += len - self.held.len();
        let (mut at, mut plain) = (0, 0);
        while let Some(head) = buf[at..len].first_chunk::<HEAD_LEN>() {
            let content_len = usize::from(u16::from_be_bytes([head[0], head[1]]));
            let checksum = head[2];
            if content_len > RECORD_MAX {
                return Err("a record is too long");
            }
            let start = at + HEAD_LEN;
            if len - start < content_len {
                break;
            }
            at = start + content_len;
            buf[start..at].iter_mut().for_each(|byte| *byte ^= MASK);
            if checksum_of(&buf[start..at]) != checksum {
                return Err("a checksum is wrong");
            }
            if self.is_ready {
                buf.copy_within(start..at, plain);
                plain += content_len;
            } else {
                let content = buf[start..at].to_vec();
                self.greet(&content)?;
            }
        }
        self.held = buf[at..len].to_vec();
        Ok(plain)
    }

    fn seal(&mut self, plain: &[u8]) -> usize {
        assert!(self.pending.is_empty(), "two records are pending");
        if !self.is_ready {
            return 0;
        }
        // Odd lengths, so that records and pieces seldom end together.
        self.records += 1;
        let len = plain.len().min(1 + self.records * 3701 % RECORD_MAX);
        self.pending = record(&plain[..len]);
        len
    }

    fn pending(&self) -> &[u8] {
        &self.pending
    }

    fn consume_pending(&mut self, len: usize) {
        self.cuts += usize::from(0 < len && len < self.pending.len());
        self.pending.drain(..len);
    }
}

const MASK: u8 = 0x5a;

fn checksum_of(content: &[u8]) -> u8 {
    content
        .iter()
        .fold(7, |sum: u8, byte| sum.rotate_left(1).wrapping_add(*byte))
}

fn record(content: &[u8]) -> Vec<u8> {
    let mut record = (content.len() as u16).to_be_bytes().to_vec();
    record.push(checksum_of(content));
    record.extend(content.iter().map(|byte| byte ^ MASK));
    record
}

// Two ends.

/// A machine that says something and keeps what it hears.
#[derive(Default)]
struct Machine {
    says: Vec<u8>,
    said: usize,
    heard: Vec<u8>,
}

impl Machine {
    fn saying(seed: u8, len: usize) -> Machine {
        let byte = |at: usize| (at as u8).wrapping_mul(seed) ^ (at >> 8) as u8;
        Machine {
            says: (0..len).map(byte).collect(),
            ..Machine::default()
        }
    }

    fn output(&self) -> &[u8] {
        let rest = &self.says[self.said..];
        &rest[..rest.len().min(50_000)]
    }
}

/// One side of a connection.
struct End<T> {
    connection: Connection<T>,
    machine: Machine,
    /// It makes its output only where there is room, as the server does.
    asks_for_room: bool,
    buf: Vec<u8>,
    rest: Rest,
}

impl<T: Transform> End<T> {
    fn new(connection: Connection<T>, machine: Machine, asks_for_room: bool) -> End<T> {
        End {
            connection,
            machine,
            asks_for_room,
            buf: vec![0; 20_011],
            rest: Rest::None,
        }
    }

    fn handle(&mut self, event: &Event) -> Result<(), Ended> {
        if event.writable {
            self.connection.handle_writable()?;
        }
        if event.readable {
            self.read()?;
        }
        self.send()
    }

    fn read(&mut self) -> Result<(), Ended> {
        let heard = &mut self.machine.heard;
        let mut take = |input: &mut [u8]| {
            heard.extend_from_slice(input);
            Continue(())
        };
        self.rest = self.connection.read(&mut self.buf, 50_000, &mut take)?;
        Ok(())
    }

    fn send(&mut self) -> Result<(), Ended> {
        if !self.asks_for_room {
            return self
                .connection
                .send(&mut self.machine, Machine::output, |it, len| it.said += len);
        }
        while self.connection.has_room()? && !self.machine.output().is_empty() {
            match self.connection.write(self.machine.output())? {
                0 => break,
                taken => self.machine.said += taken,
            }
        }
        Ok(())
    }
}

fn reactor() -> Reactor {
    Reactor::new(Signals::install(&[]).unwrap()).unwrap()
}

fn token(index: u32) -> Token {
    Token {
        kind: 0,
        index,
        life: 0,
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A connection whose sockets take little at once: one end that connected and one that accepted,
/// which is not polled yet.
fn pair<T: Transform>(reactor: &Reactor, asking: T, answering: T) -> [Connection<T>; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    limit_room(&listener);
    let address = listener.local_addr().unwrap();
    let asking = Connection::connect(address, asking, token(0), reactor.registry());
    let asking = asking.unwrap();
    limit_room(&asking.stream);
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut answering = Connection::accepted(TcpStream::from_std(stream), answering);
    answering.register(token(1), reactor.registry()).unwrap();
    [asking, answering]
}

/// Lets two machines talk until each has heard what the other says.
fn talk<T: Transform>(asking: T, answering: T, lens: [usize; 2]) -> [End<T>; 2] {
    let mut reactor = reactor();
    let [asking, answering] = pair(&reactor, asking, answering);
    let mut ends = [
        End::new(asking, Machine::saying(3, lens[0]), false),
        End::new(answering, Machine::saying(5, lens[1]), true),
    ];
    let start = Instant::now();
    while ends[0].machine.heard.len() < lens[1] || ends[1].machine.heard.len() < lens[0] {
        assert!(start.elapsed() < PATIENCE, "they stand still");
        let has_more = ends.iter().any(|end| end.rest == Rest::More);
        let wait_ms = if has_more { 0 } else { 1000 };
        let until = clock::now().mono.plus_ms(wait_ms);
        reactor.wait(Some(until)).unwrap();
        for event in reactor.events() {
            ends[event.token.index as usize].handle(&event).unwrap();
        }
        for end in ends.iter_mut().filter(|end| end.rest == Rest::More) {
            end.read().unwrap();
            end.send().unwrap();
        }
    }
    ends
}

fn assert_all_was_heard<T>(ends: &[End<T>; 2]) {
    assert!(ends[0].machine.heard == ends[1].machine.says);
    assert!(ends[1].machine.heard == ends[0].machine.says);
}

/// A connection of which the other end is played by the test.
fn played<T: Transform>(transform: T) -> (Connection<T>, StdStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    (
        Connection::accepted(TcpStream::from_std(stream), transform),
        peer,
    )
}

/// Reads whatever comes until `is_enough`, or the connection ends.
fn read_until<T: Transform>(
    connection: &mut Connection<T>,
    heard: &mut Vec<u8>,
    is_enough: impl Fn(&Connection<T>, &[u8]) -> bool,
) -> Result<(), Ended> {
    let start = Instant::now();
    let mut buf = vec![0; 20_011];
    while !is_enough(connection, heard) {
        assert!(start.elapsed() < PATIENCE, "nothing comes any more");
        connection.read(&mut buf, usize::MAX, &mut |input| {
            heard.extend_from_slice(input);
            Continue(())
        })?;
        yield_now();
    }
    Ok(())
}

/// The end of a connection that has one.
fn ended<T: Transform>(connection: &mut Connection<T>) -> Ended {
    read_until(connection, &mut Vec::new(), |_, _| false).unwrap_err()
}

// Without a transform.

#[test]
fn the_place_for_a_transform_takes_no_room() {
    assert_eq!(size_of::<Plain>(), 0);
    assert_eq!(
        size_of::<Connection<Plain>>(),
        size_of::<(TcpStream, bool)>()
    );
}

#[test]
fn plain_bytes_pass_both_ways() {
    assert_all_was_heard(&talk(Plain, Plain, [1_000_000, 800_001]));
}

#[test]
fn a_reader_takes_its_share_and_no_more() {
    let (mut connection, mut peer) = played(Plain);
    peer.write_all(&[b'x'; 1000]).unwrap();
    let mut buf = [0; 100];
    let start = Instant::now();
    while connection.stream.peek(&mut [0; 1000]).unwrap_or(0) < 1000 {
        assert!(start.elapsed() < PATIENCE);
    }
    let mut pieces = Vec::new();
    let mut take = |input: &mut [u8]| {
        pieces.push(input.len());
        match pieces.len() {
            4 => Break(()),
            _ => Continue(()),
        }
    };
    let rest = connection.read(&mut buf, 250, &mut take);
    assert_eq!(rest.unwrap(), Rest::More, "it had its share");
    let rest = connection.read(&mut buf, 1000, &mut take);
    assert_eq!(rest.unwrap(), Rest::More, "it wanted no more");
    let rest = connection.read(&mut buf, 1000, &mut take);
    assert_eq!(rest.unwrap(), Rest::None, "there is no more");
    assert_eq!(pieces, [100; 10]);
}

#[test]
fn a_full_connection_has_no_room_until_an_event_tells() {
    let mut reactor = reactor();
    let [mut connection, mut peer] = pair(&reactor, Plain, Plain);
    let start = Instant::now();
    while !connection.is_made() {
        assert!(start.elapsed() < PATIENCE);
        assert!(!connection.has_room().unwrap(), "it does not stand yet");
        connection.handle_writable().unwrap();
    }
    let mut sent = 0;
    while connection.has_room().unwrap() {
        sent += connection.write(&[b'x'; 50_000]).unwrap();
    }
    assert!(sent > 0);
    let mut heard = Vec::new();
    read_until(&mut peer, &mut heard, |_, heard| heard.len() == sent).unwrap();
    assert!(!connection.has_room().unwrap());
    let soon = Some(clock::now().mono.plus_ms(10_000));
    reactor.wait(soon).unwrap();
    let events = reactor.events();
    let event = events.iter().find(|event| event.token == token(0));
    assert!(event.unwrap().writable);
    assert!(!connection.handle_writable().unwrap());
    assert!(connection.has_room().unwrap());
}

#[test]
fn a_close_and_a_break_are_told_apart() {
    let _alone = alone();
    let (mut connection, peer) = played(Plain);
    drop(peer);
    assert!(matches!(ended(&mut connection), Ended::ByPeer));

    let (mut connection, peer) = played(Plain);
    connection.write(b"never read").unwrap();
    peer.peek(&mut [0; 16]).unwrap();
    // A close with unread bytes is a reset.
    drop(peer);
    assert!(matches!(ended(&mut connection), Ended::Broken(_)));
    let sent = connection.send(&mut Machine::saying(1, 9), Machine::output, |_, _| {});
    assert!(matches!(sent, Err(Ended::Broken(_))));
}

#[test]
fn what_nobody_accepts_is_not_made() {
    let _alone = alone();
    let mut reactor = reactor();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = Connection::connect(address, Plain, token(0), reactor.registry());
    let outcome = outcome.and_then(|mut connection| {
        assert!(!connection.is_made());
        let mut machine = Machine::saying(1, 9);
        connection.send(&mut machine, Machine::output, |it, len| it.said += len)?;
        let rest = connection.read(&mut [0; 9], 9, &mut |_| Continue(()))?;
        assert_eq!((machine.said, rest), (0, Rest::None));
        let soon = Some(clock::now().mono.plus_ms(10_000));
        reactor.wait(soon).unwrap();
        connection.handle_writable()
    });
    assert!(matches!(outcome, Err(Ended::NotMade(_))), "{outcome:?}");
}

// With a transform.

#[test]
fn records_pass_both_ways() {
    let ends = talk(
        Records::asking(),
        Records::answering(),
        [1_000_001, 800_000],
    );
    assert_all_was_heard(&ends);
    let transforms = ends.map(|end| end.connection.transform);
    assert!(transforms.iter().all(|it| it.records > 50));
    assert!(transforms.iter().any(|it| it.cuts > 0), "none was cut");
}

#[test]
fn records_are_opened_wherever_they_are_cut() {
    let contents: [&[u8]; 3] = [b"one", b"a second one", b"3"];
    let mut wire = record(HELLO);
    wire.extend(contents.iter().flat_map(|content| record(content)));
    for cut in 0..=wire.len() {
        let (mut connection, mut peer) = played(Records::answering());
        let mut heard = Vec::new();
        for part in [&wire[..cut], &wire[cut..]] {
            let seen = connection.transform.seen + part.len();
            peer.write_all(part).unwrap();
            read_until(&mut connection, &mut heard, |it, _| {
                it.transform.seen == seen
            })
            .unwrap();
        }
        assert_eq!(heard, contents.concat(), "cut at {cut}");
        assert!(connection.flush().unwrap());
        let mut answer = record(WELCOME);
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(answer, record(WELCOME));
    }
}

#[test]
fn nothing_is_said_before_the_handshake_is_answered() {
    let (mut connection, mut peer) = played(Records::asking());
    let mut machine = Machine::saying(3, 40);
    for _ in 0..3 {
        let sent = connection.send(&mut machine, Machine::output, |it, len| it.said += len);
        sent.unwrap();
        assert_eq!(connection.write(b"a secret").unwrap(), 0);
    }
    assert_eq!(machine.said, 0);
    let mut hello = record(HELLO);
    peer.read_exact(&mut hello).unwrap();
    assert_eq!(hello, record(HELLO));
    peer.set_nonblocking(true).unwrap();
    assert!(peer.read(&mut [0; 9]).is_err(), "there was more");

    peer.write_all(&record(WELCOME)).unwrap();
    read_until(&mut connection, &mut Vec::new(), |it, _| {
        it.transform.is_ready
    })
    .unwrap();
    let sent = connection.send(&mut machine, Machine::output, |it, len| it.said += len);
    sent.unwrap();
    assert_eq!(machine.said, 40);
}

#[test]
fn a_record_that_a_full_socket_did_not_take_is_sent_before_all_else() {
    let reactor = reactor();
    let mut asking = Records::asking();
    asking.is_ready = true;
    let [mut connection, mut peer] = pair(&reactor, asking, Records::answering());
    let start = Instant::now();
    while !connection.handle_writable().unwrap() {
        assert!(start.elapsed() < PATIENCE);
    }
    let says = Machine::saying(3, 1_000_000).says;
    let mut said = 0;
    while connection.has_room().unwrap() {
        said += connection.write(&says[said..]).unwrap();
    }
    assert!(!connection.transform.pending.is_empty());
    assert!(connection.transform.pending.len() <= HEAD_LEN + RECORD_MAX);
    said += connection.write(&says[said..]).unwrap();

    let mut heard = Vec::new();
    let mut is_out = false;
    while !is_out {
        assert!(start.elapsed() < PATIENCE);
        let before = heard.len();
        read_until(&mut peer, &mut heard, |_, heard| heard.len() > before).unwrap();
        is_out = connection.flush().unwrap();
    }
    drop(connection);
    let end = read_until(&mut peer, &mut heard, |_, _| false);
    assert!(matches!(end, Err(Ended::ByPeer)));
    assert!(heard == says[..said]);
}

#[test]
fn bytes_that_cannot_be_from_the_peer_end_the_connection_with_the_reason() {
    let mut flipped = record(b"one");
    flipped[HEAD_LEN] ^= 1;
    let cases = [
        (record(b"who is there"), "it does not greet"),
        ([record(HELLO), flipped].concat(), "a checksum is wrong"),
        (b"sda:data\n".to_vec(), "a record is too long"),
    ];
    for (wire, reason) in cases {
        let (mut connection, mut peer) = played(Records::answering());
        peer.write_all(&wire).unwrap();
        let end = ended(&mut connection);
        assert!(
            matches!(end, Ended::Rejected(why) if why == reason),
            "{end:?}"
        );
    }
}
