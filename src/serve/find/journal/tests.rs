//! The journal, told and not told what happens around a log.

use std::path::Path;

use super::*;
use crate::inside::fake::Fake;

const LOG: &str = "/v/m";

struct Rig {
    disk: Fake,
    config: Config,
    journal: Journal,
}

impl Rig {
    /// A log whose directory is watched.
    fn new() -> Rig {
        let rig = Rig {
            disk: Fake::new(),
            config: Config::parse(b"$files{'/v/m'} = '/v/m.*[0-9]';").unwrap(),
            journal: Journal::new(1),
        };
        rig.journal.take_up(&rig.config);
        rig.disk.take_trail(LOG);
        rig.journal.set_attended(0, Some(false));
        rig
    }

    /// What the kernel tells is heard, and what there is to find out is found out.
    fn look(&self) {
        self.disk.tell_journal(0, LOG, &self.journal, false);
        while self.journal.has_work() {
            self.journal.work(&self.config, &self.disk);
        }
    }

    fn rotate(&self, to: &str, bytes: &[u8]) {
        self.disk.rename_now(LOG, to);
        self.disk.write(LOG, bytes);
    }

    fn identity(&self, path: &str) -> Identity {
        let stat = self.disk.stat_path(Path::new(path)).unwrap();
        let born = self.disk.birth(Path::new(path), stat.id.device).born;
        Identity { id: stat.id, born }
    }

    fn standing(&self, path: &str) -> Standing {
        self.journal.standing(0, self.identity(path))
    }
}

#[test]
fn generations_are_numbered_as_they_come() {
    let rig = Rig::new();
    rig.disk.write("/v/m.7", b"before");
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.rotate("/v/m.1", b"two");
    rig.look();
    rig.rotate("/v/m.2", b"three");
    rig.look();
    assert_eq!(rig.standing("/v/m.7"), Standing::Elder);
    assert_eq!(rig.standing("/v/m.1"), Standing::Generation(2));
    assert_eq!(rig.standing("/v/m.2"), Standing::Generation(4));
    assert_eq!(rig.standing(LOG), Standing::Generation(6));
    assert!(rig.journal.is_gapless(0, 2, 6));
    assert!(
        !rig.journal.is_gapless(0, 0, 2),
        "nobody saw what was before"
    );
}

#[test]
fn what_goes_unseen_between_two_looks_is_missing_there_and_nowhere_else() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.rotate("/v/m.1", b"two");
    rig.rotate("/other/m.2", b"three");
    rig.look();
    rig.rotate("/v/m.3", b"four");
    rig.look();
    let seqs: Vec<u32> = rig.journal.records(0).iter().map(|it| it.seq).collect();
    let [.., three, four] = seqs[..] else {
        panic!("{seqs:?}");
    };
    assert!(rig.journal.is_gapless(0, three, four));
    assert!(!rig.journal.is_gapless(0, three - 2, three));
}

#[test]
fn what_was_never_live_came_from_somebody_else() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.disk.write("/v/m.9", b"one");
    assert_eq!(rig.standing("/v/m.9"), Standing::Newcomer);
}

#[test]
fn a_name_that_was_given_twice_between_two_looks_leaves_a_doubt() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.rotate("/v/m.1", b"two");
    // Nobody sees where it goes.
    rig.rotate("/other/m", b"three");
    rig.disk.rename_now("/other/m", "/v/m.2");
    rig.look();
    // What came between was not seen, and may be anything.
    assert_eq!(rig.standing("/v/m.2"), Standing::Elder);
    assert_eq!(rig.standing("/v/m.1"), Standing::Elder);
    let live = rig.journal.record_of(0, rig.identity(LOG)).unwrap();
    assert!(!live.is_next);
}

#[test]
fn rotations_between_two_looks_are_all_known() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    for bytes in [b"two", b"thr", b"fou"] {
        for n in [3, 2, 1] {
            let (from, to) = (format!("/v/m.{n}"), format!("/v/m.{}", n + 1));
            if rig.disk.stat_path(Path::new(&from)).is_ok() {
                rig.disk.rename_now(&from, &to);
            }
        }
        rig.rotate("/v/m.1", bytes);
    }
    rig.look();
    for (n, seq) in [(3, 2), (2, 4), (1, 6)] {
        assert_eq!(
            rig.standing(&format!("/v/m.{n}")),
            Standing::Generation(seq)
        );
    }
    assert!(rig.journal.is_gapless(0, 2, 8));
    assert!(!rig.journal.has_missed(0, 2, 8));
}

#[test]
fn what_was_not_told_yet_is_not_believed() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.rotate("/v/m.1", b"two");
    rig.rotate("/v/m.2", b"three");
    assert!(!rig.journal.look(0, Path::new(LOG), &rig.disk));
    assert_eq!(rig.journal.take_behind(), [0]);
    assert!(rig.journal.record_of(0, rig.identity(LOG)).is_none());
    rig.look();
    assert!(!rig.journal.is_behind());
    assert!(rig.journal.is_gapless(0, 2, 6));
}

#[test]
fn a_file_that_came_and_was_deleted_between_two_looks_is_missed() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.rotate("/v/m.1", b"two");
    rig.disk.remove(LOG);
    rig.look();
    rig.disk.write(LOG, b"three");
    rig.look();
    let live = rig.journal.record_of(0, rig.identity(LOG)).unwrap().seq;
    assert!(rig.journal.has_missed(0, live - 2, live));
    assert!(!rig.journal.is_gapless(0, live - 2, live));
}

#[test]
fn what_came_while_nobody_could_look_may_be_newer_than_the_last_that_was_seen() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    // The directory is closed, and the word of what happens in it with it.
    rig.journal.set_attended(0, Some(false));
    rig.disk.rename_now(LOG, "/v/m.2");
    rig.look();
    rig.disk.write("/v/m.1", b"two");
    assert!(!rig.journal.knows_order(0));
    assert_eq!(rig.standing("/v/m.2"), Standing::Unknown);
    // Nor does the next one tell which of the two was first.
    rig.disk.write(LOG, b"three");
    rig.look();
    assert_eq!(rig.standing("/v/m.2"), rig.standing("/v/m.1"));
    assert!(rig.journal.knows_order(0));
}

#[test]
fn a_file_that_becomes_shorter_holds_another_generation() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one one one");
    rig.look();
    rig.disk.truncate_to(LOG, 0);
    rig.disk.write(LOG, b"two");
    rig.look();
    assert_eq!(rig.standing(LOG), Standing::Generation(4));
    let first = rig.journal.record(0, 2).unwrap();
    assert_eq!((first.state, first.size), (record::State::Truncated, 11));
    // Whoever notices it later changes nothing.
    rig.journal.note_truncated(0, 2);
    assert_eq!(rig.standing(LOG), Standing::Generation(4));
    rig.journal.note_truncated(0, 4);
    assert_eq!(rig.standing(LOG), Standing::Generation(6));
}

#[test]
fn an_inode_that_is_given_out_again_is_another_file() {
    let rig = Rig::new();
    rig.disk.write_as(LOG, 7, b"one");
    rig.look();
    rig.disk.remove(LOG);
    rig.disk.write_as(LOG, 7, b"other");
    rig.look();
    assert_eq!(rig.standing(LOG), Standing::Generation(4));
}

#[test]
fn without_word_from_the_kernel_nothing_is_certain() {
    let rig = Rig::new();
    rig.journal.set_attended(0, None);
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.disk.write("/v/m.9", b"one");
    assert_eq!(rig.standing("/v/m.9"), Standing::Unknown);
    rig.rotate("/v/m.1", b"two");
    rig.look();
    assert_eq!(rig.standing("/v/m.1"), Standing::Unknown);
}

#[test]
fn a_configuration_that_is_read_again_keeps_the_records() {
    let mut rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    rig.config = Config::parse(b"$files{'/v/a'} = ''; $files{'/v/m'} = '/v/m.*';").unwrap();
    rig.journal.take_up(&rig.config);
    let identity = rig.identity(LOG);
    assert!(rig.journal.record_of(0, identity).is_none());
    assert!(rig.journal.record_of(1, identity).is_some());
}

#[test]
fn records_that_are_forgotten_are_no_newcomers() {
    let rig = Rig::new();
    rig.disk.write(LOG, b"one");
    rig.look();
    for n in 0..2 * crate::limits::RECORDS_MAX {
        rig.rotate(&format!("/v/m.{n}"), b"line");
        rig.look();
    }
    assert_eq!(rig.standing("/v/m.0"), Standing::Elder);
    assert_eq!(rig.journal.records(0).len(), crate::limits::RECORDS_MAX);
    // Elders that are gone need no room.
    rig.disk.remove("/v/m.0");
    let left = [rig.identity("/v/m.1")];
    rig.journal.forget_all_but(0, &mut left.into_iter());
    assert_eq!(rig.standing("/v/m.1"), Standing::Elder);
}
