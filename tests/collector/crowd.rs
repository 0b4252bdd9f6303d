//! Many sources at once, and servers that send whatever comes to mind.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::common::collector::{Collector, Place, REMOTE, Signal};
use super::common::scripted::{Call, Scripted, Step};
use super::common::wait::eventually;

/// A place with so many sources of one server; the remote file `/N` is copied to `logN`.
fn crowd(server: &Scripted, sources: usize) -> Place {
    let line =
        |place: &Place, at| place.line(server.address(), &format!("/{at}"), &format!("log{at}"));
    Place::with(|place| (0..sources).map(|at| line(place, at)).collect())
}

/// What is in the remote file of the source with this number.
fn text_of(at: usize) -> Vec<u8> {
    format!("line of {at}\n").repeat(200 + at).into_bytes()
}

fn number_of(call: &Call) -> usize {
    call.parts().0[1..].parse().unwrap()
}

#[test]
fn hundreds_of_sources_raise_the_limit_on_descriptors_themselves() {
    const SOURCES: usize = 300;
    let server = Scripted::new();
    let place = crowd(&server, SOURCES);
    let held = Arc::new(AtomicUsize::new(0));
    server.serve({
        let held = held.clone();
        move |_, mut call| {
            let at = number_of(&call);
            held.fetch_add(1, Ordering::Relaxed);
            // Nobody is done before everybody is there.
            eventually("all to be connected at once", || {
                (held.load(Ordering::Relaxed) == SOURCES).then_some(())
            });
            call.send(format!("O {}\n", at + 1));
            call.send(text_of(at));
            call.wait_until_left();
        }
    });
    let collector = place.command(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -S -n 256 && exec \"$@\"", "sh"])
        .arg(collector.get_program())
        .args(collector.get_args());
    let collector = Collector::spawn(&mut command);
    for at in 0..SOURCES {
        place.wait_for(&format!("log{at}"), &text_of(at));
        assert_eq!(place.pointer(&format!("log{at}.ptr")), (at + 1).to_string());
    }
    place.wait_for_status("127.0.0.1", "OK\n");
    collector.out.wait_for_nth("following", SOURCES);
    assert_eq!(collector.out.all().len(), SOURCES);
    assert_eq!(collector.stop().code(), Some(0));
}

/// More answers wait than one turn of the loop takes: no deadline judges before all of them are heard.
#[test]
fn a_crowd_is_heard_before_it_is_judged() {
    const SOURCES: usize = 200;
    const WAIT_S: u64 = 3;
    let server = Scripted::new();
    let place = crowd(&server, SOURCES);
    let waiting = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(AtomicBool::new(false));
    server.serve({
        let (waiting, go) = (waiting.clone(), go.clone());
        move |_, mut call| {
            waiting.fetch_add(1, Ordering::SeqCst);
            eventually("the word", || {
                (go.load(Ordering::SeqCst) || !call.is_held()).then_some(())
            });
            waiting.fetch_sub(1, Ordering::SeqCst);
            call.try_send("O 1\nabc");
            call.wait_until_left();
        }
    });
    let collector = place.start(&["-w", &WAIT_S.to_string()]);
    let all_wait = || waiting.load(Ordering::SeqCst) == SOURCES;
    // Whoever was judged before it was stopped asks again, and is waited for.
    eventually("all to wait while the collector is stopped", || {
        eventually("all to wait", || all_wait().then_some(()));
        collector.pause();
        thread::sleep(Duration::from_millis(100));
        if !all_wait() {
            collector.signal(Signal::CONT);
        }
        all_wait().then_some(())
    });
    go.store(true, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(WAIT_S * 1000 + 100));
    let judged = collector.out.with("in time").len();
    collector.signal(Signal::CONT);
    for at in 0..SOURCES {
        place.wait_for(&format!("log{at}"), b"abc");
    }
    assert_eq!(collector.out.with("in time").len(), judged);
}

/// Random servers beside a good one. `FETCHLOGS_SEED` in the environment replays a run.
#[test]
fn random_servers_neither_end_the_collector_nor_disturb_a_good_source() {
    const SOURCES: usize = 25;
    const BAD_CALLS: usize = 8;
    let seed = std::env::var("FETCHLOGS_SEED").map_or(0x5eed, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let good = Scripted::numbered(20);
    let bad: Vec<Scripted> = (0..SOURCES).map(|_| Scripted::numbered(21)).collect();
    let name = |at: usize| format!("bad{at}");
    let place = Place::with(|place| {
        let lines = bad.iter().enumerate();
        lines
            .map(|(at, server)| place.line(server.address(), REMOTE, &name(at)))
            .chain([place.line(good.address(), REMOTE, "good")])
            .collect()
    });
    for (at, server) in bad.into_iter().enumerate() {
        server.serve(move |number, call| {
            if number < BAD_CALLS {
                let mut dice = Dice::new(seed, at * BAD_CALLS + number);
                call.play(&dice.script());
            } else {
                come_to_senses(call);
            }
        });
    }
    let mut collector = place.start(&["-r", "0.001", "-w", "5", "-i", "5"]);
    let mut call = good.accept_asking(0, 0);
    call.send("O 7\n");
    let mut expected = Vec::new();
    for number in 0..100 {
        let line = format!("line {number}\n");
        call.send(&line);
        expected.extend_from_slice(line.as_bytes());
        // A reader of the socket waits; the keep-alives hold the connection while the bad ones play.
        thread::sleep(Duration::from_millis(2));
        assert!(collector.runs(), "seed {seed}");
    }
    place.wait_for("good", &expected);
    for at in 0..SOURCES {
        eventually("a bad server to be believed again", || {
            call.try_send([7]);
            (place.read(&name(at)) == SENSIBLE).then_some(())
        });
        assert_eq!(
            place.pointer(&format!("{}.ptr", name(at))),
            SENSIBLE_INODE.to_string()
        );
    }
    call.send("the end\n");
    expected.extend_from_slice(b"the end\n");
    place.wait_for("good", &expected);
    assert!(call.is_held());
    place.wait_for_status("127.0.0.20", "OK\n");
    place.wait_for_status("127.0.0.21", "OK\n");
    for name in place.names().iter().filter(|name| name.starts_with("bad")) {
        assert!(!place.read(name).contains(&7), "{name}");
    }
    assert_eq!(collector.err.with("panicked").len(), 0);
    assert_eq!(collector.stop().code(), Some(0));
}

const SENSIBLE: &[u8] = b"all is well again\n";
const SENSIBLE_INODE: u64 = 987_654_321;

fn come_to_senses(mut call: Call) {
    let (_, inode, offset) = call.parts();
    let from = if inode == SENSIBLE_INODE {
        offset as usize
    } else {
        0
    };
    let rest = SENSIBLE.get(from..).unwrap_or_default();
    call.try_send([format!("O {SENSIBLE_INODE}\n").as_bytes(), rest].concat());
    while call.try_send([7]) {
        thread::sleep(Duration::from_millis(200));
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    /// The dice of one connection, so that the order of threads does not matter.
    fn new(seed: u64, connection: usize) -> Dice {
        let mut dice =
            Dice((seed ^ (connection as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(2);
        dice
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most + 1);
        (0..len).map(|_| self.below(256) as u8).collect()
    }

    /// An answer that is right, nearly right or no answer.
    fn answer(&mut self) -> Vec<u8> {
        let inode = self.below(5) as u64;
        let mut line = match self.below(6) {
            0 => return self.bytes(600),
            1 => format!("L {inode}\n"),
            2 => format!("O 0{inode} v2 x=1\r\n"),
            3 => format!("O {}\n", u64::MAX - inode),
            _ => format!("O {inode}\n"),
        }
        .into_bytes();
        if self.below(3) == 0 {
            let at = self.below(line.len());
            line[at] = self.below(256) as u8;
        }
        line
    }

    /// What a server does on one connection.
    fn script(&mut self) -> Vec<Step> {
        let mut steps = vec![Step::Send(self.answer())];
        for _ in 0..self.below(4) {
            steps.push(match self.below(4) {
                0 => Step::Pause(self.below(30) as u64),
                1 => Step::Trickle(self.bytes(20)),
                2 => Step::Send(self.answer()),
                _ => Step::Send(self.bytes(100_000)),
            });
        }
        steps.push(match self.below(8) {
            0 => Step::Silence,
            1..4 => Step::Reset,
            _ => Step::Close,
        });
        steps
    }
}
