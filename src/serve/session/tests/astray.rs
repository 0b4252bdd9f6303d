//! What may stand at the live path besides the file that is sent: each is quiet, is told, and keeps
//! nothing back.

use std::path::Path;

use super::*;
use crate::inside::fake::Veil;
use crate::limits::CHUNK_LEN;
use crate::wire::frame::Reason;
use crate::wire::receiver::{Piece, Receiver};

const LIVE: &str = "/v/m";
const ALIVE_MS: u64 = 60_000;
const GRACE_MS: u64 = 10_000;

/// Calls of the file system within one keep-alive, at most: a look every five seconds, some more
/// when something has changed, and some searches.
const CALLS_MAX: usize = 200;

/// Turns within one keep-alive, at most.
const TURNS_MAX: usize = 60;

/// What becomes of the live path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Renamed,
    RenamedOutside,
    Deleted,
    Other(Kind),
    OtherAfterDelete(Kind),
    Hidden(i32),
    Ghost,
    UnreadableSuccessor,
}

const FATES: [Fate; 13] = [
    Fate::Renamed,
    Fate::RenamedOutside,
    Fate::Deleted,
    Fate::Other(Kind::Link),
    Fate::Other(Kind::Directory),
    Fate::Other(Kind::Special),
    Fate::OtherAfterDelete(Kind::Link),
    Fate::Hidden(EACCES),
    Fate::Hidden(EIO),
    Fate::Hidden(ELOOP),
    Fate::Hidden(ENOTDIR),
    Fate::Ghost,
    Fate::UnreadableSuccessor,
];

const EACCES: i32 = 13;
const EIO: i32 = 5;
const ELOOP: i32 = 40;
const ENOTDIR: i32 = 20;

impl Fate {
    fn befalls(self, disk: &Fake) {
        match self {
            Fate::Renamed => disk.rename_now(LIVE, "/v/m.1"),
            Fate::RenamedOutside => disk.rename_now(LIVE, "/v/old"),
            Fate::Deleted => disk.remove(LIVE),
            Fate::Other(kind) => {
                disk.rename_now(LIVE, "/v/m.1");
                disk.put_other(LIVE, kind);
            }
            Fate::OtherAfterDelete(kind) => {
                disk.remove(LIVE);
                disk.put_other(LIVE, kind);
            }
            Fate::Hidden(errno) => disk.veil(Path::new(LIVE), Some(Veil::Error(errno))),
            Fate::Ghost => disk.unlink_elsewhere(LIVE, true),
            Fate::UnreadableSuccessor => {
                disk.rename_now(LIVE, "/v/m.1");
                disk.write_as(LIVE, 9, b"ninth");
                disk.set_readable(LIVE, false);
            }
        }
    }

    /// A live file stands there again, and the one before is rotated.
    fn is_mended(self, disk: &Fake) {
        disk.veil(Path::new(LIVE), None);
        if self == Fate::Ghost {
            disk.unlink_elsewhere(LIVE, false);
        }
        if disk.exists(LIVE) {
            match self {
                Fate::Hidden(_) => disk.rename_now(LIVE, "/v/m.1"),
                Fate::UnreadableSuccessor => return disk.set_readable(LIVE, true),
                _ => disk.remove(LIVE),
            }
        }
        disk.write_as(LIVE, 9, b"ninth");
    }

    /// The code of ERROR, if it is one.
    fn code(self) -> Option<ErrorCode> {
        match self {
            Fate::Renamed => None,
            Fate::RenamedOutside | Fate::Deleted | Fate::Ghost => Some(ErrorCode::NoSuchFile),
            _ => Some(ErrorCode::NotReadable),
        }
    }
}

/// A session of version 2 with a client that takes everything, counted.
struct Watch {
    rig: Rig,
    receiver: Receiver,
    data: Vec<u8>,
    errors: Vec<ErrorCode>,
    alives: usize,
    ends: Vec<Reason>,
    notices: Vec<String>,
    calls: usize,
    turns: usize,
}

impl Watch {
    fn ask(disk: Fake, line: &str) -> Watch {
        let mut rig = Rig::new();
        rig.disk = disk;
        rig.now_ms = rig.disk.now_ms();
        let mut watch = Watch {
            rig,
            receiver: Receiver::new(),
            data: Vec::new(),
            errors: Vec::new(),
            alives: 0,
            ends: Vec::new(),
            notices: Vec::new(),
            calls: 0,
            turns: 0,
        };
        watch.rig.input(format!("{line}\n").as_bytes());
        let answer = watch.sent();
        let line = answer.iter().position(|&byte| byte == b'\n').unwrap();
        watch.take(&answer[line + 1..]);
        watch
    }

    /// One that is sent "abc" of inode 7, with an open writer or without.
    fn following(writers: Writers) -> Watch {
        let disk = Fake::new();
        disk.at_ms(1_000);
        disk.write_as(LIVE, 7, b"abc");
        disk.set_writers(7, writers);
        let watch = Watch::ask(disk, "/v/m 0 0 v2");
        assert_eq!(watch.data, b"abc");
        watch
    }

    /// What the session has to send, all of it.
    fn sent(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buf = vec![0; CHUNK_LEN];
        loop {
            let len = self.rig.with(|session, cx| session.output(&mut buf, cx));
            all.extend_from_slice(&buf[..len]);
            let now = Mono::from_ms(self.rig.now_ms);
            self.rig.session.consume_output(&buf, len, now);
            self.notices
                .extend(self.rig.session.take_notice(&self.rig.config));
            // What was sent may have left something to do.
            self.rig.with(|_, _| ());
            if len == 0 {
                return all;
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (taken, piece) = self.receiver.next(bytes);
            bytes = &bytes[taken..];
            match piece {
                Piece::Data(data) => self.data.extend_from_slice(data),
                Piece::Bad(bad) => panic!("{bad:?}"),
                Piece::Small => {
                    let (errors, ends) = (&mut self.errors, &mut self.ends);
                    let alives = &mut self.alives;
                    let note = |frame: Frame<'_>| match frame {
                        Frame::Error { code, .. } => errors.push(code),
                        Frame::End(end) => ends.push(end.reason),
                        Frame::Alive { .. } => *alives += 1,
                        _ => {}
                    };
                    self.receiver.small(note).unwrap();
                }
                _ => {}
            }
        }
    }

    fn hint(&mut self) {
        self.rig.hint();
        let sent = self.sent();
        self.take(&sent);
    }

    /// Lets time pass, deadline by deadline, for one client that takes everything. No keep-alive's
    /// time may cost more than so much.
    fn pass(&mut self, ms: u64) {
        let until = self.rig.now_ms + ms;
        let (mut since, mut calls, mut turns) = (self.rig.now_ms, 0, 0);
        while self.rig.session.ending().is_none() {
            let next = self
                .rig
                .session
                .poll_timeout(&self.rig.config)
                .unwrap()
                .ms();
            if next > until {
                break;
            }
            if next >= since + ALIVE_MS {
                (since, calls, turns) = (next, 0, 0);
            }
            self.rig.disk.take_done();
            self.rig.wait();
            let sent = self.sent();
            self.take(&sent);
            calls += self.rig.disk.take_done().steps;
            turns += 1;
            assert!(calls <= CALLS_MAX, "{calls} calls");
            assert!(turns <= TURNS_MAX, "{turns} turns");
            (self.calls, self.turns) = (self.calls + calls, self.turns + turns);
        }
        if self.rig.session.ending().is_none() {
            self.rig.now_ms = until;
            self.rig.disk.at_ms(until);
        }
    }

    /// What the collector would have in its status.
    fn is_wrong(&self) -> bool {
        !self.errors.is_empty()
    }
}

#[test]
fn whatever_stands_at_the_path_is_told_and_costs_little() {
    for fate in FATES {
        use Writers::{Nobody, Somebody};
        for (writers, watched) in [
            (Nobody, false),
            (Somebody, false),
            (Nobody, true),
            (Somebody, true),
        ] {
            let mut watch = Watch::following(writers);
            watch.rig.session.set_watched(watched);
            fate.befalls(&watch.rig.disk);
            if watched {
                watch.hint();
            }
            watch.pass(GRACE_MS - 1_000);
            // A file that has the name and cannot be read is no rotator's moment.
            if fate != Fate::UnreadableSuccessor {
                assert!(!watch.is_wrong(), "{fate:?}: a rotator has its moment");
            }
            watch.pass(ALIVE_MS - GRACE_MS + 12_000);
            let expected: Vec<_> = fate.code().into_iter().collect();
            let mut told = watch.errors.clone();
            told.dedup();
            assert_eq!(told, expected, "{fate:?}, {writers:?} writes");
            assert_eq!(watch.notices.len(), expected.len(), "{fate:?}");
            let lines = watch.errors.len();
            watch.pass(10 * ALIVE_MS);
            assert!(watch.errors.len() <= lines + 11, "{fate:?}");
            assert_eq!(watch.notices.len(), expected.len(), "{fate:?}: told once");
            assert!(watch.ends.is_empty() && watch.rig.session.ending().is_none());

            // Who asks again is told the same.
            if !matches!(fate, Fate::Ghost) {
                let again = Watch::ask(watch.rig.disk.clone(), "/v/m 7 3 v2 m=0");
                assert_eq!(again.errors, expected, "{fate:?}: after a reconnect");
            }

            fate.is_mended(&watch.rig.disk);
            watch.hint();
            watch.pass(2 * ALIVE_MS);
            assert_eq!(watch.ends.len(), 1, "{fate:?}");
            assert_eq!(watch.data, b"abcninth", "{fate:?}");
        }
    }
}

#[test]
fn a_file_without_a_live_name_is_sent_on() {
    for fate in FATES {
        let mut watch = Watch::following(Writers::Somebody);
        fate.befalls(&watch.rig.disk);
        for n in 0..20 {
            watch.rig.disk.write_inode(7, b"x");
            watch.pass(5_000 + n);
        }
        assert_eq!(watch.data.len(), 23, "{fate:?}");
        watch.pass(ALIVE_MS + GRACE_MS);
        let mut told = watch.errors.clone();
        told.dedup();
        assert_eq!(
            told,
            fate.code().into_iter().collect::<Vec<_>>(),
            "{fate:?}"
        );
    }
}

#[test]
fn a_name_that_comes_back_ends_the_trouble() {
    for fate in FATES {
        let mut watch = Watch::following(Writers::Somebody);
        fate.befalls(&watch.rig.disk);
        watch.pass(ALIVE_MS + GRACE_MS);
        let (errors, alives) = (watch.errors.len(), watch.alives);
        match fate {
            Fate::Renamed => continue,
            Fate::Hidden(_) => watch.rig.disk.veil(Path::new(LIVE), None),
            Fate::RenamedOutside => watch.rig.disk.rename_now("/v/old", LIVE),
            Fate::Other(_) => watch.rig.disk.rename_now("/v/m.1", LIVE),
            _ => continue,
        }
        watch.hint();
        assert_eq!(watch.alives, alives + 1, "{fate:?}: said at once");
        watch.pass(3 * ALIVE_MS);
        assert_eq!(watch.errors.len(), errors, "{fate:?}");
        watch.rig.disk.write_inode(7, b"def");
        watch.pass(ALIVE_MS);
        assert_eq!(watch.data, b"abcdef");
    }
}

#[test]
fn every_fate_at_every_step() {
    for fate in FATES {
        for step in 0..12 {
            let disk = Fake::new();
            disk.at_ms(500);
            disk.write_as("/v/m.2", 5, b"fifth");
            disk.at_ms(1_000);
            disk.write_as(LIVE, 7, b"abc");
            disk.at_ms(20_000);
            let mut watch = Watch::ask(disk, "/v/m 0 0 v2 history=all");
            let befall = |n: usize, watch: &mut Watch| {
                if n == step {
                    fate.befalls(&watch.rig.disk);
                }
            };
            let mut n = 0;
            for _ in 0..4 {
                befall(n, &mut watch);
                watch.pass(3_000);
                befall(n + 1, &mut watch);
                watch.rig.disk.write_inode(7, b"x");
                watch.hint();
                befall(n + 2, &mut watch);
                watch.pass(4_000);
                n += 3;
            }
            watch.pass(5 * ALIVE_MS);
            fate.is_mended(&watch.rig.disk);
            watch.hint();
            watch.pass(5 * ALIVE_MS);
            let all = String::from_utf8(watch.data).unwrap();
            let is_gone = matches!(
                fate,
                Fate::RenamedOutside | Fate::Deleted | Fate::OtherAfterDelete(_)
            );
            let expected = match is_gone && !all.contains("abc") {
                // Nobody had opened it yet.
                true => "ninth",
                false => "abcxxxxninth",
            };
            assert!(all.ends_with(expected), "{fate:?} at {step}: {all}");
        }
    }
}

#[test]
fn a_writer_has_its_grace_from_when_the_new_file_is_seen() {
    for errno in [EACCES, EIO, ENOTDIR] {
        let mut watch = Watch::following(Writers::Somebody);
        let disk = watch.rig.disk.clone();
        disk.veil(Path::new(LIVE), Some(Veil::Error(errno)));
        watch.hint();
        watch.pass(2 * ALIVE_MS);
        disk.rename_now(LIVE, "/v/m.1");
        disk.write_as(LIVE, 9, b"ninth");
        disk.veil(Path::new(LIVE), None);
        watch.hint();
        watch.pass(GRACE_MS - 1_000);
        disk.write_inode(7, b"late");
        watch.pass(ALIVE_MS);
        assert_eq!(watch.data, b"abclateninth");
    }
}

/// What comes first in a generation is searched for before it is sent.
#[test]
fn first_bytes_that_come_without_a_live_name() {
    for fate in FATES {
        let disk = Fake::new();
        disk.at_ms(500);
        disk.write_as("/v/m.2", 5, b"fifth");
        disk.at_ms(1_000);
        disk.write_as(LIVE, 7, b"");
        disk.set_writers(7, Writers::Somebody);
        let mut watch = Watch::ask(disk, "/v/m 0 0 v2");
        fate.befalls(&watch.rig.disk);
        watch.hint();
        watch.rig.disk.write_inode(7, b"abc");
        watch.hint();
        watch.pass(5 * ALIVE_MS);
        // Who cannot be sure which bytes come first is closed, and is told when it asks again.
        let is_closed = watch.rig.session.ending().is_some();
        let is_unsure = matches!(fate, Fate::Hidden(_) | Fate::UnreadableSuccessor);
        assert_eq!(is_closed, is_unsure, "{fate:?}");
        assert!(is_closed || watch.data == b"abc", "{fate:?}");
    }
}

#[test]
fn a_file_that_has_fewer_bytes_than_its_size_says_is_not_read_all_the_time() {
    for line in ["/v/m 0 0 v2", "/v/m 0 0"] {
        let mut rig = Rig::new();
        rig.disk.write_as(LIVE, 7, b"abc");
        rig.disk.hollow(7, true);
        rig.input(format!("{line}\n").as_bytes());
        let mut turns = 0;
        rig.disk.take_done();
        // Less than `$timeout_write`, after which the client is given up.
        while rig.now_ms < 45_000 {
            turns += 1;
            rig.take();
            rig.now_ms = rig
                .session
                .poll_timeout(&rig.config)
                .unwrap()
                .ms()
                .max(rig.now_ms);
            rig.disk.at_ms(rig.now_ms);
            rig.with(|session, cx| session.handle_timeout(cx));
            assert!(turns < 40, "{line}");
        }
        assert!(rig.disk.take_done().steps < 200, "{line}");
    }
}

#[test]
fn classic_is_closed_where_nothing_follows() {
    for fate in FATES {
        let mut rig = Rig::streaming();
        rig.disk.set_writers(7, Writers::Nobody);
        fate.befalls(&rig.disk);
        rig.hint();
        rig.disk.take_done();
        let mut turns = 0;
        while rig.session.ending().is_none() && rig.now_ms < 20 * ALIVE_MS {
            rig.wait();
            rig.take();
            turns += 1;
        }
        let is_over = rig.session.ending().is_some();
        let goes_on = matches!(fate, Fate::Renamed | Fate::RenamedOutside | Fate::Ghost);
        assert_eq!(is_over, !goes_on, "{fate:?}");
        assert!(turns < 320, "{fate:?}: {turns} turns");
        assert!(rig.disk.take_done().steps < 2_000, "{fate:?}");
        if is_over {
            let is_told = rig.ending().is_noteworthy();
            let is_ordinary = matches!(fate, Fate::Deleted | Fate::UnreadableSuccessor);
            assert_eq!(is_told, !is_ordinary, "{fate:?}");
        }
    }
}

#[test]
fn a_rotated_file_with_a_rotated_successor_ends_without_a_live_one() {
    let disk = Fake::new();
    for (at_ms, path, inode, bytes) in [
        (1_000, "/v/m.3", 3, "one"),
        (2_000, "/v/m.2", 4, "two"),
        (3_000, "/v/m.1", 5, "three"),
    ] {
        disk.at_ms(at_ms);
        disk.write_as(path, inode, bytes.as_bytes());
    }
    disk.at_ms(100_000);
    for kind in [None, Some(Kind::Link), Some(Kind::Directory)] {
        if let Some(kind) = kind {
            disk.put_other(LIVE, kind);
        }
        let mut watch = Watch::ask(disk.clone(), "/v/m 3 3 v2 m=0");
        watch.pass(2 * ALIVE_MS);
        assert_eq!(watch.data, b"twothree", "{kind:?}");
        assert_eq!(watch.is_wrong(), kind.is_some());

        // Classic: the next at every request.
        let mut rig = Rig::new();
        rig.disk = disk.clone();
        rig.now_ms = 100_000;
        rig.input(b"/v/m 3 3\n");
        assert_eq!(rig.take(), b"O 4\ntwo", "{kind:?}");
        rig.wait();
        assert!(matches!(rig.ending(), Ending::Rotated));
    }
}
