//! A box in memory, its rotators and writers, and a few clients that may say anything: no call of a
//! [`Session`] does more than a little, no session spins, and whatever is sent can be read.

use std::net::{IpAddr, Ipv4Addr};

use super::script::Script;
use crate::inside::fair::Turn;
use crate::inside::fake::{Fake, Handle, Veil};
use crate::limits::CHUNK_LEN;
use crate::serve::config::Config;
use crate::serve::find::journal::Journal;
use crate::serve::find::sightings::Sightings;
use crate::serve::send::context::Context;
use crate::serve::session::Session;
use crate::store::{Kind, Writers};
use crate::time::{Mono, Now, Wall};
use crate::wire::crc32::Crc32;
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::reply::{Mark, Reply};

const CONFIG: &[u8] =
    b"$files{'/v/m'} = '/v/m.*[0-9] /v/old/m*'; $files{'/v/n'} = ''; $delay_check = 5; \
                        $alive_interval = 60; $timeout_write = 50; $grace = 10;";

const LOGS: [&str; 2] = ["/v/m", "/v/n"];
const NAMES: [&str; 8] = [
    "/v/m", "/v/m.1", "/v/m.2", "/v/m.20", "/v/m.old", "/v/old/m", "/v/n", "/v/n.1",
];

/// Parts of work in a row for which nothing comes: the files here are small and few.
const WORK_MAX: usize = 5_000;

/// Deadlines in a row that come within one second.
const DEADLINES_MAX: usize = 20;

/// Bytes of all files together: a script is short, and what it makes is to be quick.
const DISK_MAX_LEN: usize = 512 * 1024;

const EVENTS_MAX: usize = 200;

/// A script: what happens to the files, what clients say and take.
pub fn session(input: &[u8]) {
    let mut script = Script::new(input);
    let mut world = World::new();
    for _ in 0..EVENTS_MAX {
        let Some(event) = script.next() else { break };
        world.happen(event, &mut script);
    }
    world.go_on_alone();
}

struct World {
    disk: Fake,
    config: Config,
    journal: Journal,
    sightings: Sightings,
    now_ms: u64,
    clients: Vec<Client>,
    buf: Vec<u8>,
    written: usize,
}

struct Client {
    session: Session<Handle>,
    reader: Reader,
}

impl World {
    fn new() -> World {
        let disk = Fake::new();
        disk.at_ms(1_000);
        let config = Config::parse(CONFIG).unwrap();
        let journal = Journal::new(1);
        journal.take_up(&config);
        let mut world = World {
            disk,
            config,
            journal,
            sightings: Sightings::new(),
            now_ms: 1_000,
            clients: Vec::new(),
            buf: vec![0; CHUNK_LEN],
            written: 0,
        };
        world.tell_journal();
        world.connect();
        world
    }

    fn happen(&mut self, event: u8, script: &mut Script<'_>) {
        let client = usize::from(event >> 6) % self.clients.len().max(1);
        match event & 0x3f {
            0 => self.connect(),
            1 => self.say(client, script.bytes()),
            2..=7 => self.ask(client, script),
            8..=11 => {
                let (room, size) = (script.below(CHUNK_LEN) + 1, script.below(CHUNK_LEN) + 1);
                self.take(client, room, size, script.byte());
            }
            12..=15 => self.wait(script.below(120_000) as u64),
            16..=19 => self.write(NAMES[script.below(NAMES.len())], &script.content()),
            20 => self.write_at(script),
            21..=24 => self.rotate(script),
            25..=27 => self.spoil(script),
            28 => self.set_writers(script),
            29 => self.with(client, |session, cx| session.handle_hint(cx)),
            30 => self.work(client),
            31 => self.tell_journal(),
            32 => self.with_session(client, Session::handle_closed),
            33 => {
                let is_watched = script.flag();
                self.with_session(client, |session| session.set_watched(is_watched));
            }
            34 => self.renumber(client, script),
            35 => self.disk.tell_holes(),
            36 => self.disk.hide_births(),
            37 => self.reboot(),
            _ => self.work(client),
        }
        self.forget_the_dead();
    }

    // Clients.

    fn connect(&mut self) {
        if self.clients.len() < 4 {
            let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.clients.len() as u8));
            let now = Mono::from_ms(self.now_ms);
            let session = match self.clients.len() {
                3 => Session::turned_away(peer, "no place", self.now_ms.is_multiple_of(2), now),
                _ => Session::new(peer, now),
            };
            self.clients.push(Client {
                session,
                reader: Reader::default(),
            });
        }
    }

    fn say(&mut self, client: usize, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(client) {
            client.reader.hear_request(bytes);
        }
        self.with(client, |session, cx| session.handle_input(bytes, cx));
    }

    /// A line that fits the files, or nearly so.
    fn ask(&mut self, client: usize, script: &mut Script<'_>) {
        let log = LOGS[script.below(LOGS.len())];
        let held = NAMES[script.below(NAMES.len())];
        let bytes = self.disk.read(held).unwrap_or_default();
        let inode = match (script.byte(), self.disk.read(held)) {
            (0..200, Some(_)) => self.disk.inode_of(held),
            (other, _) => u64::from(other),
        };
        let offset = match script.byte() {
            255 => script.number(),
            part => bytes.len() as u64 * u64::from(part) / 200,
        };
        let mut line = format!("{log} {inode} {offset}");
        let fields = script.byte();
        if fields & 1 == 0 {
            line += " v2";
            line += &proof_of(&bytes, offset, fields, script);
            line += match script.byte() % 8 {
                0 => " op=digest",
                1 => " prefix=0",
                2 => " history=all",
                3 => " x=holes,notes",
                4 => " x=notes history=all",
                5 => " x=holes f=64",
                6 => " c=1",
                _ => "",
            };
            line += &self.operation(script);
        }
        if fields & 2 != 0 {
            line += &String::from_utf8_lossy(script.bytes());
        }
        self.say(client, format!("{line}\n").as_bytes());
    }

    fn operation(&self, script: &mut Script<'_>) -> String {
        let (start, len) = (script.number(), script.number());
        match script.byte() % 8 {
            0 => format!(" op=sums:{start}:{len}:{}", script.number()),
            1 => format!(" op=range:{start}:{len}"),
            2 => format!(" m={start}"),
            3 => format!(" b={len:08x}"),
            4 => format!(" i={}", String::from_utf8_lossy(script.bytes())),
            5 => format!(" g={}", String::from_utf8_lossy(script.bytes())),
            _ => String::new(),
        }
    }

    /// A client reads: so many times, with so much room, so many bytes of each.
    fn take(&mut self, client: usize, room: usize, size: usize, times: u8) {
        let mut buf = std::mem::take(&mut self.buf);
        for _ in 0..=times {
            self.work(client);
            let mut len = 0;
            self.with(client, |session, cx| {
                len = session.output(&mut buf[..room], cx)
            });
            assert!(len <= room);
            let len = len.min(size);
            if len == 0 {
                break;
            }
            let now = Mono::from_ms(self.now_ms);
            if let Some(client) = self.clients.get_mut(client) {
                client.session.consume_output(&buf[..room], len, now);
                client.reader.read(&buf[..len]);
            }
        }
        self.buf = buf;
    }

    fn renumber(&mut self, client: usize, script: &mut Script<'_>) {
        let file = match script.byte() % 3 {
            0 => None,
            1 => self.clients.get(client).and_then(|it| it.session.file()),
            _ => Some(u32::from(script.byte() % 3)),
        };
        self.with_session(client, |session| session.renumber(file));
    }

    fn forget_the_dead(&mut self) {
        for client in &mut self.clients {
            let _ = client.session.take_notice(&self.config);
            if let Some(ending) = client.session.ending() {
                assert!(!ending.to_string().is_empty());
                assert!(client.session.poll_timeout(&self.config).is_none());
            }
        }
        self.clients.retain(|it| it.session.ending().is_none());
    }

    // Time.

    /// Time goes by, deadline after deadline.
    fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        let (mut second, mut count) = (0, 0);
        loop {
            let deadlines = self.clients.iter().enumerate().filter_map(|(at, client)| {
                let due = client.session.poll_timeout(&self.config)?;
                Some((due.ms(), at))
            });
            let Some((due, at)) = deadlines.min().filter(|(due, _)| *due <= until) else {
                break;
            };
            self.set_time(self.now_ms.max(due));
            self.with(at, |session, cx| session.handle_timeout(cx));
            self.work(at);
            self.forget_the_dead();
            count = if self.now_ms / 1_000 == second {
                count + 1
            } else {
                0
            };
            second = self.now_ms / 1_000;
            assert!(count <= DEADLINES_MAX * 4, "deadline after deadline");
        }
        self.set_time(until);
    }

    fn set_time(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.disk.at_ms(now_ms);
    }

    fn work(&mut self, client: usize) {
        // With little room for each part a digest takes many; it is not that.
        for room in [64, CHUNK_LEN] {
            let mut buf = vec![0; room];
            for _ in 0..WORK_MAX {
                let client_has = self.clients.get(client);
                if !client_has.is_some_and(|it| it.session.has_work()) {
                    return;
                }
                self.with(client, |session, cx| session.work(&mut buf, cx));
            }
        }
        panic!("work without an end");
    }

    /// In the end nothing happens any more: whoever is left comes to rest, and then has nothing to
    /// do but to say that he is there.
    fn go_on_alone(&mut self) {
        for _ in 0..4 {
            for client in 0..self.clients.len() {
                self.take(client, CHUNK_LEN, CHUNK_LEN, 255);
            }
            self.wait(700_000);
        }
    }

    fn with_session(&mut self, client: usize, act: impl FnOnce(&mut Session<Handle>)) {
        self.with(client, |session, _| act(session));
    }

    /// Something happens to a session, and it is measured what that costs.
    fn with(
        &mut self,
        client: usize,
        act: impl FnOnce(&mut Session<Handle>, &mut Context<'_, Fake>),
    ) {
        let Some(client) = self.clients.get_mut(client) else {
            return;
        };
        if client.session.ending().is_some() {
            return;
        }
        self.disk.take_done();
        let mut cx = Context {
            store: &self.disk,
            config: &self.config,
            journal: &self.journal,
            sightings: &mut self.sightings,
            now: Now {
                mono: Mono::from_ms(self.now_ms),
                wall: Wall::from_ms(self.now_ms),
            },
        };
        act(&mut client.session, &mut cx);
        let done = self.disk.take_done();
        let turn = Turn {
            syncs: 0,
            calls: done.steps as u64,
            bytes: done.bytes as u64,
        };
        assert_eq!(turn.complaint(Turn::OF_SMALL_SESSION), None);
    }

    // Files.

    fn write(&mut self, path: &str, bytes: &[u8]) {
        self.written += bytes.len();
        if self.written <= DISK_MAX_LEN {
            self.disk.write(path, bytes);
        }
    }

    fn write_at(&mut self, script: &mut Script<'_>) {
        let path = NAMES[script.below(NAMES.len())];
        let (at, bytes, chunk) = (script.below(20_000), script.bytes(), script.below(9_000));
        self.written += at + bytes.len() + chunk;
        if self.disk.read(path).is_some() && self.written <= DISK_MAX_LEN {
            let inode = self.disk.inode_of(path);
            match chunk {
                0 => self.disk.write_at(inode, at, bytes),
                chunk => self.disk.write_ahead(inode, at, bytes, chunk),
            }
        }
    }

    fn rotate(&mut self, script: &mut Script<'_>) {
        let (from, to) = (NAMES[script.below(8)], NAMES[script.below(8)]);
        match (script.byte() % 8, self.disk.read(from)) {
            (0..4, Some(_)) if from != to => {
                self.disk.rename_now(from, to);
                if script.flag() {
                    self.write(from, script.bytes());
                }
            }
            (4, Some(bytes)) if from != to => {
                self.write(to, &bytes);
                self.disk.truncate_to(from, 0);
            }
            (5, Some(_)) => self.disk.remove(from),
            (6, Some(bytes)) => self.disk.truncate_to(from, script.below(bytes.len() + 1)),
            (7, Some(bytes)) => {
                self.disk.truncate_to(from, 0);
                self.write(from, &bytes);
            }
            _ => {}
        }
    }

    /// What else befalls a file.
    fn spoil(&mut self, script: &mut Script<'_>) {
        let path = NAMES[script.below(NAMES.len())];
        let veil = match script.byte() % 12 {
            0 => Some(Veil::Kind(Kind::Special)),
            1 => Some(Veil::Kind(Kind::Link)),
            2 => Some(Veil::Kind(Kind::Directory)),
            3 => Some(Veil::Error(13)),
            4 => Some(Veil::Error(5)),
            5..=7 => None,
            _ if self.disk.read(path).is_none() => return,
            8 => return self.disk.set_mtime_ns(path, script.number()),
            9 => return self.disk.set_readable(path, script.flag()),
            10 => return self.disk.set_sound_up_to(path, script.number()),
            _ => return self.disk.hollow(self.disk.inode_of(path), script.flag()),
        };
        self.disk.veil(path.as_ref(), veil);
    }

    fn set_writers(&mut self, script: &mut Script<'_>) {
        let path = NAMES[script.below(NAMES.len())];
        let writers = [Writers::Nobody, Writers::Somebody, Writers::Unknown][script.below(3)];
        if self.disk.read(path).is_some() {
            self.disk.set_writers(self.disk.inode_of(path), writers);
        }
    }

    fn tell_journal(&mut self) {
        for (index, log) in (0..).zip(LOGS) {
            let trail = self.disk.take_trail(log);
            let arrivals = trail.arrivals(log.as_ref(), &self.disk);
            self.journal
                .note_arrivals(index, &arrivals, trail.is_vacant());
            let _ = self.journal.look(index, log.as_ref(), &self.disk);
        }
        for _ in 0..WORK_MAX {
            if !self.journal.has_work() {
                return;
            }
            self.journal.work(&self.config, &self.disk);
        }
        panic!("the journal has work without an end");
    }

    /// The box starts anew: all its clients are gone.
    fn reboot(&mut self) {
        self.disk.reboot();
        self.clients.clear();
        self.journal = Journal::new(2);
        self.journal.take_up(&self.config);
        self.sightings = Sightings::new();
        self.tell_journal();
        self.connect();
    }
}

/// The proof that somebody gives who holds these bytes, or, now and then, some others.
fn proof_of(bytes: &[u8], offset: u64, fields: u8, script: &mut Script<'_>) -> String {
    let size = offset.min(bytes.len() as u64);
    if fields & 4 != 0 || size == 0 {
        return String::new();
    }
    let places = crate::wire::proof::places(size, 0, &[u64::from(fields)]);
    let wrong = script.byte();
    let blocks = places.iter().zip(0..).map(|((start, len), number)| {
        let block = &bytes[*start as usize..][..usize::from(*len)];
        let crc = Crc32::new().update(block).finish() ^ u32::from(number == wrong);
        format!("{start}:{len}:{crc:08x}")
    });
    let size = u64::from(fields & 8 != 0) * size;
    format!(" p={} m={size}", blocks.collect::<Vec<_>>().join(","))
}

/// Reads what a session sends as a client would.
#[derive(Default)]
struct Reader {
    request: Vec<u8>,
    line: Vec<u8>,
    stream: Option<Receiver>,
    is_classic: bool,
}

impl Reader {
    fn hear_request(&mut self, bytes: &[u8]) {
        self.request.extend_from_slice(bytes);
    }

    fn read(&mut self, mut bytes: &[u8]) {
        assert!(
            self.request.contains(&b'\n'),
            "an answer before the question"
        );
        while self.stream.is_none() && !self.is_classic {
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            bytes = rest;
            match first {
                b'\n' => self.begin(),
                other => self.line.push(*other),
            }
        }
        let Some(receiver) = &mut self.stream else {
            return;
        };
        loop {
            let (taken, piece) = receiver.next(bytes);
            bytes = &bytes[taken..];
            match piece {
                Piece::Nothing if taken == 0 && bytes.is_empty() => return,
                Piece::Bad(bad) => panic!("a frame that nobody can read: {bad:?}"),
                Piece::Small => receiver.small(|_| ()).unwrap(),
                Piece::Sums => drop(receiver.sums()),
                _ => {}
            }
        }
    }

    fn begin(&mut self) {
        let reply = Reply::parse(&self.line).unwrap();
        assert!(reply.v2.is_some() || reply.mark != Mark::Refused);
        match reply.v2 {
            Some(_) => self.stream = Some(Receiver::new()),
            None => self.is_classic = true,
        }
    }
}
