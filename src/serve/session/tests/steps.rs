//! The steps of a session: however much there is to search and to compute, no call does more than a
//! little of it.

use super::*;
use crate::limits::{ARCHIVES_MAX, CANDIDATES_MAX, CHUNK_LEN, LOOKS_MAX, NOTES_MAX};
use crate::wire::crc32::Crc32;
use crate::wire::frame::{End, Reason};
use crate::wire::md5::Md5;

/// Calls of the file system and names in directories, at once.
const STEPS_MAX: usize = 48;

/// Bytes at once: a chunk, and what is read besides to know it again.
const BYTES_MAX: usize = CHUNK_LEN + 4096;

/// Names in a large directory.
const MANY: usize = 5_000;

/// A session every call of which is measured.
struct Measured {
    session: Session<Handle>,
    disk: Fake,
    config: Config,
    journal: Journal,
    sightings: Sightings,
    now_ms: u64,
    /// Calls so far.
    calls: usize,
}

impl Measured {
    fn new(disk: Fake) -> Measured {
        Measured {
            session: Session::new(PEER, Mono::from_ms(1_000)),
            disk,
            config: Config::parse(b"$files{'/v/m'} = '/v/m?*'; $grace = 10;").unwrap(),
            journal: Journal::new(1),
            sightings: Sightings::new(),
            now_ms: 1_000_000,
            calls: 0,
        }
    }

    fn with<R>(
        &mut self,
        act: impl FnOnce(&mut Session<Handle>, &mut Context<'_, Fake>) -> R,
    ) -> R {
        self.disk.take_done();
        self.calls += 1;
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
        let result = act(&mut self.session, &mut cx);
        let done = self.disk.take_done();
        assert!(done.steps <= STEPS_MAX, "{} steps", done.steps);
        assert!(done.bytes <= BYTES_MAX, "{} bytes", done.bytes);
        result
    }

    /// Lets the session work and send until there is nothing left; the first bytes of what it has
    /// sent.
    fn take(&mut self) -> String {
        let mut buf = vec![0; CHUNK_LEN];
        let mut start = Vec::new();
        loop {
            let len = self.with(|session, cx| session.output(&mut buf, cx));
            start.extend_from_slice(&buf[..len.min(1_000)]);
            let now = Mono::from_ms(self.now_ms);
            self.session.consume_output(&buf, len, now);
            if self.session.has_work() {
                self.with(|session, cx| session.work(&mut buf, cx));
            } else if len == 0 {
                return String::from_utf8_lossy(&start).into_owned();
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.with(|session, cx| session.handle_input(format!("{line}\n").as_bytes(), cx));
        self.take()
    }
}

/// Rotated files that are alike but for their ends.
const ALIKE: usize = 64;

/// A live log, and rotated files that are alike.
fn alike() -> Fake {
    let disk = Fake::new();
    for n in 0..ALIKE {
        let mut bytes = vec![b'x'; 40_000];
        bytes.extend_from_slice(format!("{n:02}").as_bytes());
        disk.at_ms(100 + n as u64);
        disk.write_as(&format!("/v/m.{n}"), 1_000 + n as u64, &bytes);
    }
    disk.at_ms(900_000);
    disk.write_as("/v/m", 7, b"live");
    disk
}

/// A proof that all of them have but for its end, which is that of the one with this number.
fn proof(n: usize) -> String {
    let crc = |bytes: &[u8]| Crc32::new().update(bytes).finish();
    let same = crc(&[b'x'; 4096]);
    let blocks = (0..7).map(|at| format!("{}:4096:{same:08x}", at * 5_000));
    let end = format!("40000:2:{:08x}", crc(format!("{n:02}").as_bytes()));
    blocks.chain([end]).collect::<Vec<_>>().join(",")
}

#[test]
fn a_digest() {
    let disk = Fake::new();
    disk.write_as("/v/m", 7, &[b'x'; 20 * CHUNK_LEN]);
    for op in ["digest", "sums:0:100000:14", "range:0:1000000"] {
        let mut measured = Measured::new(disk.clone());
        let size = 20 * CHUNK_LEN;
        assert!(
            measured
                .ask(&format!("/v/m 7 {size} v2 op={op}"))
                .starts_with("O 7 v2")
        );
        assert!(measured.calls > 15, "{op}");
    }
}

#[test]
fn a_backlog_is_digested_once_all_of_it_is_sent() {
    let bytes = vec![b'x'; 20 * CHUNK_LEN];
    let disk = Fake::new();
    disk.write_as("/v/m", 7, &bytes);
    let mut measured = Measured::new(disk.clone());
    measured.with(|session, cx| session.handle_input(b"/v/m 0 0 v2\n", cx));
    let mut buf = vec![0; CHUNK_LEN];
    loop {
        while measured.session.is_searching() {
            measured.with(|session, cx| session.work(&mut buf, cx));
        }
        let len = measured.with(|session, cx| session.output(&mut buf, cx));
        let is_searching = measured.session.is_searching();
        if len == 0 && !is_searching {
            break;
        }
        assert!(
            is_searching || !measured.session.has_work(),
            "the bytes come first"
        );
        let now = Mono::from_ms(measured.now_ms);
        measured.session.consume_output(&buf, len, now);
    }
    assert!(measured.session.has_work());
    assert_eq!(measured.take(), "");

    disk.rename_now("/v/m", "/v/m.1");
    disk.write_as("/v/m", 8, b"");
    measured.with(|session, cx| session.handle_hint(cx));
    let end = Frame::End(End {
        size: bytes.len() as u64,
        reason: Reason::Rotated,
        md5: Some(Md5::new().update(&bytes).finish()),
    });
    let mut sent = Vec::new();
    while sent.is_empty() {
        measured.with(|session, cx| session.handle_timeout(cx));
        if measured.session.has_work() {
            measured.with(|session, cx| session.work(&mut buf, cx));
        }
        let len = measured.with(|session, cx| session.output(&mut buf, cx));
        sent.extend_from_slice(&buf[..len]);
        measured.now_ms += 1_000;
    }
    let end = end.to_bytes();
    assert!(sent.windows(end.len()).any(|part| part == end));
}

#[test]
fn a_search_by_content() {
    for (n, reply) in [(0, "O 1000 "), (63, "O 1063 "), (99, "L 1000 ")] {
        let mut measured = Measured::new(alike());
        let line = format!("/v/m 5 40002 v2 p={} m=50000000", proof(n));
        let answer = measured.ask(&line);
        assert!(answer.starts_with(reply), "{answer}");
        let mut measured = Measured::new(alike());
        let answer = measured.ask(&format!("{line} op=digest"));
        assert!(answer.starts_with("O 10"), "{answer}");
        assert!(n == 0 || measured.calls > ALIKE);
    }
}

/// A backlog as long as what is looked at.
#[test]
fn a_backlog() {
    let disk = Fake::new();
    for n in 0..CANDIDATES_MAX {
        disk.at_ms(100 + n as u64);
        disk.write_as(
            &format!("/v/m-{}", 20_010_101 + n),
            1_000 + n as u64,
            b"x\n",
        );
    }
    disk.at_ms(900_000);
    disk.write_as("/v/m", 7, b"live");
    let mut measured = Measured::new(disk);
    assert!(
        measured
            .ask("/v/m 0 0 v2 history=all")
            .starts_with("O 1000 ")
    );
    let mut seconds = 0;
    while !measured.take().contains("live") {
        let next = measured.session.poll_timeout(&measured.config);
        if next.is_none_or(|next| next.ms() > measured.now_ms) {
            measured.now_ms += 1_000;
            seconds += 1;
        }
        measured.with(|session, cx| session.handle_timeout(cx));
        // A client that is told more generations at once gives the server up.
        assert!(seconds < 100, "it stands still");
    }
    assert!(seconds > 60, "{seconds}");
    // A search takes some two calls for each of the files it finds, 16 of them at once. It serves
    // for more than one generation.
    let searches = measured.calls / (CANDIDATES_MAX / 4);
    assert!(searches < 100, "{searches}");
}

/// The ends of archives are looked at a few at a time, and each once: their sizes tell what the
/// client was given.
#[test]
fn an_outage_of_many_archives() {
    let disk = Fake::new();
    for n in 0..ALIKE {
        disk.at_ms(1_000 + n as u64);
        let path = format!("/v/m-{}.gz", 20_260_101 + n);
        disk.write_as(&path, 1_000 + n as u64, &[n as u8 + 1; 30]);
    }
    disk.at_ms(900_000);
    disk.write_as("/v/m", 7, b"live");
    let proof = proof(0);
    let notes = ARCHIVES_MAX.min(NOTES_MAX);
    // With the bytes of its end as its size; and one that none of them has.
    for (given, told) in [(0x3f3f_3f3f, 1), (77, notes)] {
        let mut measured = Measured::new(disk.clone());
        let line = format!("/v/m 5 40002 v2 p={proof} g={given}:-:- x=notes");
        let answer = measured.ask(&line);
        assert!(answer.starts_with("L 7 "), "{answer}");
        assert!(measured.calls > ALIKE / 2);
        assert!(measured.calls < 3 * ALIKE, "{}", measured.calls);
        let names = answer.matches(".gz").count();
        assert_eq!(names, told);
    }
}

/// A directory of which the globs find every entry, and which holds the generations 5 and 6 besides
/// the live one, 7.
fn crowded() -> Fake {
    let disk = Fake::new();
    disk.at_ms(10);
    for n in 0..MANY {
        disk.write(&format!("/v/m_{n}"), b"");
    }
    disk.at_ms(900_000);
    disk.write_as("/v/m.2", 100_005, b"five");
    disk.at_ms(900_001);
    disk.write_as("/v/m.1", 100_006, b"six");
    disk.at_ms(900_002);
    disk.write_as("/v/m", 100_007, b"seven");
    disk
}

#[test]
fn a_walk_through_a_large_directory() {
    for (line, reply) in [
        ("/v/m 100005 4", "O 100006\nsix"),
        ("/v/m 100005 2", "O 100005\nve"),
        ("/v/m 100005 2 v2", "O 100005 v2"),
        ("/v/m 0 0 v2", "O 100007 v2"),
    ] {
        let mut measured = Measured::new(crowded());
        let answer = measured.ask(line);
        assert!(answer.starts_with(reply), "{answer}");
        assert!(measured.calls > 2 * MANY / 20, "two looks in parts");
    }
}

#[test]
fn a_rotation_in_a_large_directory() {
    let mut measured = Measured::new(crowded());
    measured.ask("/v/m 0 0 v2");
    let disk = measured.disk.clone();
    disk.rename_now("/v/m", "/v/m.0");
    disk.write_as("/v/m", 100_008, b"the eighth");
    let before = measured.calls;
    measured.with(|session, cx| session.handle_hint(cx));
    let sent = measured.take();
    assert!(sent.contains("the eighth"), "{sent:?}");
    assert!(measured.calls - before > 2 * MANY / 20);
}

#[test]
fn a_truncation_in_a_large_directory() {
    let mut measured = Measured::new(crowded());
    measured.ask("/v/m 0 0 v2");
    let disk = measured.disk.clone();
    disk.at_ms(999_999);
    disk.write("/v/m.0", b"seven and what was not sent");
    disk.rewrite("/v/m", b"8");
    let before = measured.calls;
    measured.with(|session, cx| session.handle_hint(cx));
    let sent = measured.take();
    assert!(sent.contains(" and what was not sent"), "{sent:?}");
    assert!(measured.calls - before > 2 * MANY / 20);
}

#[test]
fn what_can_never_be_opened_is_not_searched_for_for_ever() {
    let disk = Fake::new();
    disk.at_ms(900_000);
    disk.write_as("/v/m", 7, b"first");
    let mut measured = Measured::new(disk.clone());
    measured.ask("/v/m 0 0 v2");
    disk.rename_now("/v/m", "/v/m.2");
    disk.at_ms(900_001);
    disk.write_as("/v/m.1", 8, b"second");
    disk.disguise(8, true);
    disk.at_ms(900_002);
    disk.write_as("/v/m", 9, b"third");
    measured.with(|session, cx| session.handle_hint(cx));
    assert_eq!(measured.take(), "");
    for _ in 0..3 {
        measured.now_ms += 5_000;
        let before = measured.calls;
        measured.with(|session, cx| session.handle_timeout(cx));
        assert_eq!(measured.take(), "");
        assert!(
            measured.calls - before > LOOKS_MAX,
            "the next look tries again"
        );
    }
    disk.disguise(8, false);
    measured.now_ms += 5_000;
    measured.with(|session, cx| session.handle_timeout(cx));
    assert!(measured.take().contains("second"));
}

#[test]
fn what_comes_after_a_small_start_comes_in_large_pieces() {
    let disk = Fake::new();
    disk.write_as("/v/m", 7, b"x\n");
    let mut measured = Measured::new(disk.clone());
    measured.ask("/v/m 0 0 v2");
    disk.write("/v/m", &[b'x'; 10 * CHUNK_LEN]);
    let before = measured.calls;
    measured.with(|session, cx| session.handle_hint(cx));
    measured.take();
    assert!(measured.calls - before < 100, "{}", measured.calls - before);
}
