//! Every row of the table of classic answers, over a file system in memory.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::*;
use crate::inside::fake::{Fake, Handle};
use crate::inside::search::{query_of, search};
use crate::limits::CANDIDATES_MAX;
use crate::serve::config::Config;
use crate::serve::find::crowd::Reached;
use crate::serve::find::journal::Journal;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::v2::next::Left;
use crate::store::{Kind, Names, Writers};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A log with two rotated files behind it: generations 1 (oldest), 2 and 3 (live), "1", "22" and
/// "333" in them.
struct Rig {
    disk: Fake,
    config: Config,
    sightings: Sightings,
    quiet_since_ms: u64,
}

impl Rig {
    fn new() -> Rig {
        let disk = Fake::new();
        for (at_ms, path, inode, bytes) in [
            (1_000, "/v/m.2", 1, &b"1"[..]),
            (2_000, "/v/m.1", 2, b"22"),
            (3_000, "/v/m", 3, b"333"),
        ] {
            disk.at_ms(at_ms);
            disk.write_as(path, inode, bytes);
        }
        let config = Config::parse(b"$files{'/v/m'} = '/v/m.*[0-9]';").unwrap();
        Rig {
            disk,
            config,
            sightings: Sightings::new(),
            quiet_since_ms: 5_000,
        }
    }

    fn choose(&mut self, line: &str) -> Result<Choice<Handle>, Refusal> {
        let request = Request::parse(line.as_bytes()).unwrap();
        let journal = Journal::new(1);
        let query = Query {
            quiet_since_ns: self.quiet_since_ms * 1_000_000,
            reached: Reached {
                own: Some(request.inode.inode()),
                floor_ns: None,
            },
            ..query_of(&self.disk, &self.config, &journal)
        };
        search(&query, |query| query.choose(&request, &mut self.sightings))
    }

    /// The answer line without its newline, the offset and the inode of the file that is sent.
    fn answer(&mut self, line: &str) -> (String, u64, u64) {
        let choice = self
            .choose(line)
            .unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
        let reply = String::from_utf8(choice.reply.to_line().to_vec()).unwrap();
        (
            reply.trim_end().into(),
            choice.offset,
            choice.stat.id.inode.0,
        )
    }
}

fn says(text: &str, offset: u64, inode: u64) -> (String, u64, u64) {
    (text.into(), offset, inode)
}

#[test]
fn without_an_inode_the_live_file_from_the_offset() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer("/v/m"), says("O 3", 0, 3));
    assert_eq!(rig.answer("/v/m 0 0"), says("O 3", 0, 3));
    assert_eq!(rig.answer("/v/m 0 2"), says("O 3", 2, 3));
    assert_eq!(rig.answer("/v/m 0 4"), says("L 3", 0, 3));
}

#[test]
fn the_live_inode_goes_on_and_is_written_as_it_was_asked() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer("/v/m 3 1"), says("O 3", 1, 3));
    assert_eq!(rig.answer("/v/m 3 3"), says("O 3", 3, 3));
    assert_eq!(rig.answer("/v/m 003 3"), says("O 003", 3, 3));
}

#[test]
fn an_offset_behind_the_end_means_truncated() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer("/v/m 3 4"), says("L 03", 0, 3));
    assert_eq!(rig.answer("/v/m 03 4"), says("L 3", 0, 3));
}

#[test]
fn whoever_was_dropped_because_of_a_truncation_starts_over_even_if_the_file_has_grown() {
    let mut rig = Rig::new();
    rig.sightings.was_truncated(PEER, 0, Inode(3), 2);
    assert_eq!(rig.answer("/v/m 3 2"), says("L 03", 0, 3));
    assert_eq!(rig.answer("/v/m 3 2"), says("O 3", 2, 3));
}

#[test]
fn a_rotated_file_is_finished() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer("/v/m 2 1"), says("O 2", 1, 2));
    assert_eq!(rig.answer("/v/m 1 0"), says("O 1", 0, 1));
    assert_eq!(rig.answer("/v/m 01 0"), says("O 01", 0, 1));
}

#[test]
fn a_finished_one_is_followed_by_the_next_newer() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer("/v/m 1 1"), says("O 2", 0, 2));
    assert_eq!(rig.answer("/v/m 2 2"), says("O 3", 0, 3));
}

#[test]
fn one_that_may_still_be_written_to_is_not_finished() {
    let mut rig = Rig::new();
    rig.quiet_since_ms = 1_500;
    rig.disk.set_writers(2, Writers::Somebody);
    assert_eq!(rig.answer("/v/m 2 2"), says("O 2", 2, 2));
    rig.disk.set_writers(2, Writers::Nobody);
    assert_eq!(rig.answer("/v/m 2 2"), says("O 3", 0, 3));
}

#[test]
fn the_newest_one_is_not_finished_because_it_was_quiet_before_it_was_renamed() {
    let mut rig = Rig::new();
    for inode in [1, 2] {
        rig.disk.set_writers(inode, Writers::Somebody);
    }
    assert_eq!(rig.answer("/v/m 1 1"), says("O 2", 0, 2));
    assert_eq!(rig.answer("/v/m 2 2"), says("O 2", 2, 2));
    for (asked, place) in [("/v/m 1 0", Place::Older), ("/v/m 2 1", Place::Latest)] {
        assert_eq!(rig.choose(asked).unwrap().place, place);
    }
    let (index, inode) = (0, Inode(2));
    rig.sightings.was_completed(index, inode, 2_000_000_000, 2);
    assert_eq!(rig.answer("/v/m 2 2"), says("O 3", 0, 3));
}

#[test]
fn an_unknown_inode_is_lost() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer("/v/m 9 9"), says("L 3", 0, 3));
}

#[test]
fn after_a_lost_generation_that_was_seen_come_all_newer_ones() {
    let mut rig = Rig::new();
    rig.sightings.saw_live(0, Inode(9), 1_500_000_000);
    assert_eq!(rig.answer("/v/m 9 9"), says("L 2", 0, 2));
    rig.sightings.saw_live(0, Inode(8), 500_000_000);
    assert_eq!(rig.answer("/v/m 8 9"), says("L 1", 0, 1));
    rig.sightings.saw_live(0, Inode(7), 2_500_000_000);
    assert_eq!(rig.answer("/v/m 7 9"), says("L 3", 0, 3));
}

#[test]
fn a_generation_that_went_after_it_was_sent_whole_is_not_lost() {
    let mut rig = Rig::new();
    rig.sightings.saw_live(0, Inode(9), 2_500_000_000);
    rig.sightings.was_completed(0, Inode(9), 2_500_000_000, 10);
    assert_eq!(rig.answer("/v/m 9 10"), says("O 3", 0, 3));
    assert_eq!(rig.answer("/v/m 9 9"), says("L 3", 0, 3));
}

#[test]
fn what_a_writer_adds_that_never_moves_on_is_left_to_its_own() {
    let mut rig = Rig::new();
    rig.sightings.was_left_behind(0, Inode(2), 2_000_000_000, 1);
    assert_eq!(
        rig.answer("/v/m 2 0"),
        says("O 2", 0, 2),
        "what comes before is not"
    );
    assert_eq!(rig.answer("/v/m 2 1"), says("O 3", 0, 3));
}

#[test]
fn an_inode_used_again_by_a_shorter_file_is_lost() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer("/v/m 2 100"), says("L 3", 0, 3));
}

#[test]
fn without_a_live_file_a_rotated_one_still_answers() {
    let mut rig = Rig::new();
    rig.disk.remove("/v/m");
    assert_eq!(
        rig.answer("/v/m 1 1"),
        says("O 2", 0, 2),
        "another one was rotated since"
    );
    assert_eq!(rig.answer("/v/m 2 1"), says("O 2", 1, 2));
    assert_eq!(
        rig.answer("/v/m 2 2"),
        says("O 2", 2, 2),
        "its writer has not moved on"
    );
    assert!(matches!(rig.choose("/v/m 9 9"), Err(Refusal::Missing)));
    assert!(matches!(rig.choose("/v/m"), Err(Refusal::Missing)));
}

#[test]
fn what_is_no_regular_file_is_refused_by_name() {
    for kind in [Kind::Link, Kind::Directory, Kind::Special] {
        let mut rig = Rig::new();
        rig.disk.remove("/v/m");
        rig.disk.put_other("/v/m", kind);
        for line in ["/v/m 0 0", "/v/m 2 2", "/v/m 9 9"] {
            assert!(matches!(rig.choose(line), Err(Refusal::NotRegular(k)) if k == kind));
        }
        assert_eq!(rig.answer("/v/m 2 1"), says("O 2", 1, 2), "there is more");
        assert_eq!(rig.answer("/v/m 1 1"), says("O 2", 0, 2));
    }
}

#[test]
fn compressed_and_special_files_are_no_candidates() {
    let mut rig = Rig::new();
    rig.disk.write_as("/v/m.3.bz2", 4, b"4444");
    rig.disk.put_other("/v/m.4", Kind::Special);
    assert_eq!(rig.answer("/v/m 4 0"), says("L 3", 0, 3));
}

#[test]
fn more_rotated_files_than_fit_come_one_after_the_other() {
    let mut rig = Rig::new();
    rig.disk.remove("/v/m.1");
    rig.disk.remove("/v/m.2");
    let files = 2 * CANDIDATES_MAX as u64;
    for n in 0..files {
        rig.disk.at_ms(10_000 + n);
        let path = format!("/v/m.{}", 5_000 - n);
        rig.disk.write_as(&path, 1_000 + n, b"x");
    }
    rig.quiet_since_ms = 100_000;
    // A 1.1 client tells no more than the inode; the file tells the rest.
    for n in [0, 1, files / 2 - 1, files / 2, files - 2] {
        let line = format!("/v/m {} 1", 1_000 + n);
        assert_eq!(rig.answer(&line).2, 1_001 + n);
    }
    assert_eq!(rig.answer(&format!("/v/m {} 1", 999 + files)).2, 3);
}

#[test]
fn an_old_generation_that_was_touched_does_not_hide_the_newer_ones() {
    let mut rig = Rig::new();
    rig.disk.at_ms(4_000);
    rig.disk.write("/v/m.2", b"late");
    assert_eq!(rig.answer("/v/m 1 5"), says("O 2", 0, 2));
}

#[test]
fn every_generation_is_walked_through_in_order() {
    let mut rig = Rig::new();
    let mut held = (1, 0);
    let mut walked = Vec::new();
    for _ in 0..6 {
        let choice = rig.choose(&format!("/v/m {} {}", held.0, held.1)).unwrap();
        held = (choice.stat.id.inode.0, choice.stat.size);
        walked.push(held.0);
    }
    assert_eq!(walked, [1, 2, 3, 3, 3, 3]);
}

/// A disk on which a rotation happens just before a certain call.
struct Rotating<'a> {
    disk: &'a Fake,
    calls_left: Cell<i32>,
}

impl Rotating<'_> {
    fn count_call(&self) {
        let left = self.calls_left.get();
        self.calls_left.set(left - 1);
        if left == 0 {
            for (from, to) in [
                ("/v/m.2", "/v/m.3"),
                ("/v/m.1", "/v/m.2"),
                ("/v/m", "/v/m.1"),
            ] {
                self.disk.rename_now(from, to);
            }
            self.disk.write_as("/v/m", 4, b"4444");
        }
    }
}

impl ReadStore for Rotating<'_> {
    type File = Handle;

    fn open(&self, path: &Path) -> io::Result<Handle> {
        self.count_call();
        self.disk.open(path)
    }

    fn stat(&self, file: &Handle) -> io::Result<Stat> {
        ReadStore::stat(self.disk, file)
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        self.count_call();
        ReadStore::stat_path(self.disk, path)
    }

    fn read_at(&self, file: &Handle, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadStore::read_at(self.disk, file, buf, offset)
    }

    fn hole_end(&self, file: &Handle, offset: u64) -> u64 {
        self.disk.hole_end(file, offset)
    }

    fn writers(&self, file: &Handle) -> Writers {
        self.disk.writers(file)
    }

    fn boot(&self) -> u32 {
        self.disk.boot()
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        self.count_call();
        ReadStore::names(self.disk, dir)
    }
}

/// Asks something of the log while it is rotated just before the first call, the second, and so on.
/// The answer has to be `expected`.
fn expect_through_rotation(
    expected: &str,
    ask: impl Fn(&Query<'_, Rotating<'_>>, &mut Sightings) -> Result<String, Refusal>,
) {
    for call in 0..40 {
        let mut rig = Rig::new();
        let store = Rotating {
            disk: &rig.disk,
            calls_left: Cell::new(call),
        };
        let journal = Journal::new(1);
        let query = Query {
            quiet_since_ns: u64::MAX,
            ..query_of(&store, &rig.config, &journal)
        };
        let answer = search(&query, |query| ask(query, &mut rig.sightings)).unwrap();
        assert_eq!(answer, expected, "with a rotation before call {call}");
    }
}

#[test]
fn a_rotation_in_the_middle_of_a_look_hides_no_generation() {
    for (line, reply) in [
        ("/v/m 1 1", "O 2\n"),
        ("/v/m 2 2", "O 3\n"),
        ("/v/m 1 0", "O 1\n"),
    ] {
        expect_through_rotation(reply, |query, sightings| {
            let choice = query.choose(&Request::parse(line.as_bytes()).unwrap(), sightings)?;
            Ok(String::from_utf8_lossy(&choice.reply.to_line()).into_owned())
        });
    }
}

#[test]
fn a_rotation_in_the_middle_of_a_look_hides_nothing_from_version_2_either() {
    expect_through_rotation("1", |query, _| {
        let before_all = Left {
            id: None,
            mtime_ns: 500_000_000,
            floor_ns: 0,
            then: None,
            seq: 0,
        };
        Ok(query.next_after(&before_all)?.stat.id.inode.to_string())
    });
}

#[test]
fn a_copy_of_the_live_file_counts_as_no_older_than_it() {
    let disk = Fake::new();
    for (at_ms, path, inode, bytes) in [
        (1_000, "/v/m.2", 1, &b"the one before\n"[..]),
        (3_000, "/v/m.1", 2, b"this one, copied\n"),
        (3_000, "/v/m", 3, b"this one, copied\nand goes on\n"),
    ] {
        disk.at_ms(at_ms);
        disk.write_as(path, inode, bytes);
    }
    let config = Config::parse(b"$files{'/v/m'} = '/v/m.*[0-9]';").unwrap();
    let journal = Journal::new(1);
    let query = query_of(&disk, &config, &journal);
    let before = Left {
        id: Some(FileId {
            device: 1,
            inode: Inode(1),
        }),
        mtime_ns: 1_000_000_000,
        floor_ns: 0,
        then: None,
        seq: 0,
    };
    let next = search(&query, |query| query.next_after(&before)).unwrap();
    assert_eq!(next.stat.id.inode, Inode(3));

    // Truncated before any of it was sent: the copy is all there is of it.
    disk.truncate_to("/v/m", 0);
    disk.write("/v/m", b"the one after, and it is longer than all others\n");
    let copy = search(&query, |query| {
        query.first_duplicate(
            next.stat,
            Some(FileId {
                device: 1,
                inode: Inode(1),
            }),
            next.floor_ns,
            0,
        )
    });
    let copy = copy.unwrap();
    assert_eq!(copy.map(|copy| copy.stat.id.inode), Some(Inode(2)));
}

/// A file system that counts how often a directory is listed.
struct Counted(Fake, Cell<u32>);

impl ReadStore for Counted {
    type File = Handle;

    fn open(&self, path: &Path) -> io::Result<Handle> {
        self.0.open(path)
    }

    fn stat(&self, file: &Handle) -> io::Result<Stat> {
        ReadStore::stat(&self.0, file)
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        ReadStore::stat_path(&self.0, path)
    }

    fn read_at(&self, file: &Handle, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadStore::read_at(&self.0, file, buf, offset)
    }

    fn hole_end(&self, file: &Handle, offset: u64) -> u64 {
        self.0.hole_end(file, offset)
    }

    fn writers(&self, file: &Handle) -> Writers {
        self.0.writers(file)
    }

    fn boot(&self) -> u32 {
        self.0.boot()
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        self.1.set(self.1.get() + 1);
        ReadStore::names(&self.0, dir)
    }
}

#[test]
fn a_search_by_content_lists_a_directory_no_oftener_for_more_files() {
    let config = Config::parse(b"$files{'/v/m'} = '/v/m.*[0-9]';").unwrap();
    for op in ["", " op=digest"] {
        let lists = [2, CANDIDATES_MAX].map(|files| {
            let disk = Fake::new();
            disk.write_as("/v/m", 1, b"live");
            for number in 0..files {
                disk.write_as(&format!("/v/m.{number}"), 10 + number as u64, b"rotated");
            }
            let counted = Counted(disk, Cell::new(0));
            let journal = Journal::new(1);
            let query = query_of(&counted, &config, &journal);
            let line = format!("/v/m 9 5 v2 p=0:4:00000000{op}");
            let request = Request::parse(line.as_bytes()).unwrap();
            let v2 = request.v2.as_ref().unwrap();
            match op {
                "" => drop(search(&query, |query| query.resume(&request, v2))),
                _ => drop(search(&query, |query| query.held(&request, v2))),
            }
            counted.1.get()
        });
        assert_eq!(lists[0], lists[1], "{op}");
        assert!(lists[0] > 0);
    }
}
