//! The local copy over a file system in memory: every starting state, and a kill before every call.

use super::pointer::{BootId, Pending, RotatedSuffix};
use super::*;
use crate::inside::fake::{Fake, Handle};
use crate::limits::SUFFIX_ATTEMPTS_MAX;

const STAMP: &str = "20261122132956";

fn classic(inode: u64) -> Generation {
    Generation::classic(Inode(inode))
}

fn paths() -> Paths<'static> {
    Paths {
        remote: b"/var/log/m",
        local: Path::new("/l/m"),
        pointer: Path::new("/p/m"),
    }
}

struct Fixture {
    disk: Fake,
    paths: Paths<'static>,
    boot: Option<BootId>,
    found: Vec<Found>,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture {
            disk: Fake::new(),
            paths: paths(),
            boot: BootId::new("first"),
            found: Vec::new(),
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut LocalFiles<'_, Fake>) -> R) -> R {
        let mut store = self.disk.clone();
        act(&mut LocalFiles {
            store: &mut store,
            paths: self.paths,
            boot: self.boot.as_ref(),
            stamp: STAMP,
            hooks: None,
        })
    }

    fn open(&mut self) -> Result<LocalCopy<Handle>, FileError> {
        let mut found = Vec::new();
        let copy = self.with(|files| LocalCopy::open(files, &mut |f| found.push(f)));
        self.found = found;
        copy
    }

    fn streaming(inode: u64, bytes: &[u8]) -> (Fixture, LocalCopy<Handle>) {
        let mut fixture = Fixture::new();
        let mut copy = fixture.open().unwrap();
        fixture
            .with(|files| copy.begin(classic(inode), files))
            .unwrap();
        fixture.with(|files| copy.append(bytes, files)).unwrap();
        (fixture, copy)
    }

    fn pointer(&self) -> Pointer {
        Pointer::parse(&self.disk.read("/p/m").unwrap()).unwrap()
    }
}

#[test]
fn nothing_at_all_is_a_first_contact() {
    let mut fixture = Fixture::new();
    let copy = fixture.open().unwrap();
    assert_eq!((copy.inode(), copy.size()), (None, 0));
    assert!(fixture.found.is_empty());
    assert!(
        fixture.disk.names().is_empty(),
        "nothing is created before the server answers"
    );
}

#[test]
fn an_empty_copy_without_pointer_is_used_as_it_is() {
    let mut fixture = Fixture::new();
    fixture.disk.write("/l/m", b"");
    let mut copy = fixture.open().unwrap();
    fixture.with(|files| copy.begin(classic(7), files)).unwrap();
    assert_eq!(fixture.disk.names(), ["/l/m", "/p/m"]);
}

#[test]
fn a_copy_without_pointer_is_set_aside() {
    let mut fixture = Fixture::new();
    fixture.disk.write("/l/m", b"older");
    let copy = fixture.open().unwrap();
    assert_eq!(copy.inode(), None);
    assert_eq!(
        fixture.found,
        [Found::SetAside("/l/m.20261122132956".into())]
    );
    assert_eq!(fixture.disk.read("/l/m.20261122132956").unwrap(), b"older");
    assert!(!fixture.disk.exists("/l/m"));
}

#[test]
fn an_empty_pointer_left_by_1_1_counts_as_none() {
    let mut fixture = Fixture::new();
    fixture.disk.write("/p/m", b"");
    fixture.disk.write("/l/m", b"older");
    assert_eq!(fixture.open().unwrap().inode(), None);
    assert!(fixture.disk.exists("/l/m.20261122132956"));
}

#[test]
fn a_pointer_of_1_1_is_accepted() {
    let mut fixture = Fixture::new();
    fixture.disk.write("/p/m", b"4711\n");
    fixture.disk.write("/l/m", b"abc");
    let copy = fixture.open().unwrap();
    assert_eq!((copy.inode(), copy.size()), (Some(Inode(4711)), 3));
}

#[test]
fn a_missing_copy_starts_from_nothing() {
    let mut fixture = Fixture::new();
    fixture.disk.write("/p/m", b"4711\n");
    let copy = fixture.open().unwrap();
    assert_eq!((copy.inode(), copy.size()), (Some(Inode(4711)), 0));
    assert_eq!(fixture.found, [Found::CopyMissing]);
}

#[test]
fn a_damaged_pointer_stops_the_source_and_changes_nothing() {
    let (mut fixture, copy) = Fixture::streaming(7, b"abc");
    drop(copy);
    let mut text = fixture.disk.read("/p/m").unwrap();
    text[0] ^= 1;
    fixture.disk.remove("/p/m");
    fixture.disk.write("/p/m", &text);
    let before = fixture.disk.names();
    assert!(matches!(fixture.open(), Err(FileError::Pointer(..))));
    assert_eq!(fixture.disk.names(), before);
    assert_eq!(fixture.disk.read("/l/m").unwrap(), b"abc");
}

#[test]
fn a_copy_that_another_process_writes_is_left_alone() {
    let mut fixture = Fixture::new();
    fixture.disk.write("/p/m", b"4711\n");
    let inode = fixture.disk.write("/l/m", b"abc");
    fixture.disk.lock_elsewhere(inode);
    assert!(matches!(fixture.open(), Err(FileError::Locked(_, 4711))));
}

/// The inode that a file has here.
fn inode_of(disk: &Fake, path: &str) -> u64 {
    let stat = disk.clone().stat_path(Path::new(path)).unwrap().unwrap();
    stat.id.inode.0
}

#[test]
fn a_rotation_that_another_process_is_making_is_left_alone() {
    for steps in 1..4 {
        let (mut fixture, mut copy) = Fixture::streaming(7, b"abc");
        let inode = inode_of(&fixture.disk, "/l/m");
        fixture.with(|files| copy.start_change(classic(8), None, None, files));
        for _ in 0..steps {
            fixture
                .with(|files| copy.step_change(Syncs::Own, files))
                .unwrap();
        }
        fixture.disk.lock_elsewhere(inode);
        let (names, pointer) = (fixture.disk.names(), fixture.disk.read("/p/m"));
        assert!(
            matches!(fixture.open(), Err(FileError::Locked(_, 4711))),
            "{steps}"
        );
        assert_eq!(fixture.disk.names(), names);
        assert_eq!(fixture.disk.read("/p/m"), pointer);
    }
}

#[test]
fn the_pointer_is_there_before_the_first_byte() {
    let (fixture, copy) = Fixture::streaming(7, b"");
    assert_eq!(fixture.pointer().inode, Inode(7));
    assert_eq!(copy.size(), 0);
}

#[test]
fn rotation_keeps_the_old_copy_and_starts_an_empty_one() {
    let (fixture, mut copy) = Fixture::streaming(7, b"abc");
    let kept = fixture
        .with(|files| copy.rotate(classic(8), files))
        .unwrap();
    assert_eq!(kept, PathBuf::from("/l/m.20261122132956"));
    assert_eq!(fixture.disk.read("/l/m.20261122132956").unwrap(), b"abc");
    assert_eq!(fixture.disk.read("/l/m").unwrap(), b"");
    assert_eq!((copy.inode(), copy.size()), (Some(Inode(8)), 0));
    assert_eq!(fixture.pointer().pending, None);
}

#[test]
fn two_rotations_within_a_second_keep_both_copies() {
    let (fixture, mut copy) = Fixture::streaming(7, b"one");
    fixture
        .with(|files| copy.rotate(classic(8), files))
        .unwrap();
    fixture.with(|files| copy.append(b"two", files)).unwrap();
    fixture
        .with(|files| copy.rotate(classic(9), files))
        .unwrap();
    assert_eq!(fixture.disk.read("/l/m.20261122132956").unwrap(), b"one");
    assert_eq!(fixture.disk.read("/l/m.20261122132956.1").unwrap(), b"two");
}

#[test]
fn the_name_after_hundreds_of_one_second_is_found_at_once() {
    for taken in [1, 2, 3, 7, 8, 109, 500, 998, 999] {
        let (fixture, mut copy) = Fixture::streaming(7, b"the next");
        let name = |number| match number {
            0 => "/l/m.20261122132956".to_owned(),
            number => format!("/l/m.20261122132956.{number}"),
        };
        for number in 0..taken {
            fixture.disk.write(&name(number), b"");
        }
        let before = fixture.disk.calls();
        let rotated = fixture.with(|files| copy.rotate(classic(8), files));
        rotated.unwrap();
        assert_eq!(fixture.disk.read(&name(taken)).unwrap(), b"the next");
        let calls = fixture.disk.calls() - before;
        assert!(calls < 80, "{calls} for {taken}");
    }
}

#[test]
fn where_names_were_taken_out_of_a_row_the_next_one_is_still_free() {
    for gone in 1..20_u32 {
        let (fixture, mut copy) = Fixture::streaming(7, b"the next");
        fixture.disk.write("/l/m.20261122132956", b"another");
        for number in (1..20).filter(|number| number % gone != 0) {
            let name = format!("/l/m.20261122132956.{number}");
            fixture.disk.write(&name, b"another");
        }
        let rotated = fixture.with(|files| copy.rotate(classic(8), files));
        let kept = rotated.unwrap();
        assert_eq!(
            fixture.disk.read(kept.to_str().unwrap()).unwrap(),
            b"the next"
        );
    }
}

#[test]
fn where_all_names_of_a_second_are_taken_it_is_said() {
    let (fixture, mut copy) = Fixture::streaming(7, b"the next");
    fixture.disk.write("/l/m.20261122132956", b"");
    for number in 1..SUFFIX_ATTEMPTS_MAX {
        let name = format!("/l/m.20261122132956.{number}");
        fixture.disk.write(&name, b"");
    }
    let rotated = fixture.with(|files| copy.rotate(classic(8), files));
    assert!(
        matches!(rotated, Err(FileError::NoFreeName(_))),
        "{rotated:?}"
    );
    assert_eq!(fixture.disk.read("/l/m").unwrap(), b"the next");
}

#[test]
fn a_name_under_which_a_copy_was_compressed_is_taken() {
    for ending in PACKED_ENDINGS {
        let (fixture, mut copy) = Fixture::streaming(7, b"two");
        let packed = format!("/l/m.20261122132956{ending}");
        fixture.disk.write(&packed, b"one, made small");
        let rotated = fixture.with(|files| copy.rotate(classic(8), files));
        rotated.unwrap();
        assert_eq!(fixture.disk.read("/l/m.20261122132956.1").unwrap(), b"two");
        assert!(!fixture.disk.exists("/l/m.20261122132956"), "{ending}");
    }
}

#[test]
fn rotation_works_where_a_rename_cannot_refuse_to_overwrite() {
    let (fixture, mut copy) = Fixture::streaming(7, b"abc");
    fixture.disk.forbid_rename_new();
    fixture
        .with(|files| copy.rotate(classic(8), files))
        .unwrap();
    assert_eq!(fixture.disk.read("/l/m.20261122132956").unwrap(), b"abc");
    assert_eq!(fixture.disk.read("/l/m").unwrap(), b"");
}

#[test]
fn rotation_works_on_a_file_system_without_links_and_overwrites_nothing() {
    let (fixture, mut copy) = Fixture::streaming(7, b"abc");
    fixture.disk.forbid_link();
    fixture.with(|files| {
        copy.start_change(classic(8), None, None, files);
        // Between the announcement and the rename somebody takes the name.
        for _ in 0..2 {
            let progress = copy.step_change(Syncs::Own, files).unwrap();
            assert!(matches!(progress, Progress::More));
        }
    });
    fixture.disk.write("/l/m.20261122132956", b"another's");
    fixture.with(|files| copy.make_change(files)).unwrap();
    assert_eq!(
        fixture.disk.read("/l/m.20261122132956").unwrap(),
        b"another's"
    );
    assert_eq!(fixture.disk.read("/l/m.20261122132956.1").unwrap(), b"abc");
    assert_eq!(fixture.disk.read("/l/m").unwrap(), b"");
}

#[test]
fn a_full_disk_keeps_what_fitted_and_goes_on_when_there_is_room() {
    let (mut fixture, mut copy) = Fixture::streaming(7, b"");
    fixture.disk.set_room(Some(2));
    let error = fixture
        .with(|files| copy.append(b"abcd", files))
        .unwrap_err();
    assert!(matches!(
        error,
        FileError::System {
            operation: "append to",
            ..
        }
    ));
    drop(copy);
    fixture.disk.set_room(None);
    let mut copy = fixture.open().unwrap();
    assert_eq!(copy.size(), 2);
    fixture.with(|files| copy.append(b"cd", files)).unwrap();
    assert_eq!(fixture.disk.read("/l/m").unwrap(), b"abcd");
}

/// How the steps of a change are made durable in a scenario.
type Change = fn(&Fixture, &mut LocalCopy<Handle>, Generation) -> Result<(), FileError>;

/// Each step by itself.
fn alone(
    fixture: &Fixture,
    copy: &mut LocalCopy<Handle>,
    next: Generation,
) -> Result<(), FileError> {
    fixture.with(|files| {
        copy.start_change(next, None, None, files);
        copy.make_change(files).map(drop)
    })
}

/// By barriers between the steps.
fn together(
    fixture: &Fixture,
    copy: &mut LocalCopy<Handle>,
    next: Generation,
) -> Result<(), FileError> {
    fixture.with(|files| {
        copy.start_change(next, None, None, files);
        while let Progress::More = copy.step_change(Syncs::Barrier, files)? {
            files.barrier()?;
        }
        Ok(())
    })
}

/// Runs `first contact, append, rotate, append`, dying before call `nth`; a second run finishes it,
/// itself dying at call `again`; a third must leave what an undisturbed run leaves.
fn survive(nth: u32, again: u32, prepare: fn(&Fake), change: Change) -> bool {
    let mut fixture = Fixture::new();
    prepare(&fixture.disk);
    fixture.disk.die_at_call(nth);
    let died = run_to_the_end(&mut fixture, change).is_err();
    fixture.disk.revive();
    fixture.disk.die_at_call(again);
    let _ = run_to_the_end(&mut fixture, change);
    fixture.disk.revive();
    run_to_the_end(&mut fixture, change).unwrap();
    let mut whole = fixture.disk.read("/l/m.20261122132956").unwrap();
    whole.extend(fixture.disk.read("/l/m").unwrap());
    assert_eq!(
        whole, b"onetwo",
        "killed before call {nth}, then before call {again}"
    );
    let names: Vec<_> = fixture
        .disk
        .names()
        .into_iter()
        .filter(|name| !name.ends_with("tmp"))
        .collect();
    assert_eq!(
        names,
        ["/l/m", "/l/m.20261122132956", "/p/m"],
        "killed before call {nth}, then {again}"
    );
    died
}

/// Goes on from wherever the files are: generation 7 is "one", generation 8 is "two".
fn run_to_the_end(fixture: &mut Fixture, change: Change) -> Result<(), FileError> {
    let mut copy = fixture.open()?;
    if copy.inode().is_none() {
        change(fixture, &mut copy, classic(7))?;
    }
    if copy.inode() == Some(Inode(7)) {
        let rest = &b"one"[copy.size() as usize..];
        fixture.with(|files| copy.append(rest, files))?;
        change(fixture, &mut copy, classic(8))?;
    }
    let rest = &b"two"[copy.size() as usize..];
    fixture.with(|files| copy.append(rest, files))
}

#[test]
fn a_kill_before_any_call_loses_and_repeats_nothing() {
    let surroundings = [
        (|_: &Fake| ()) as fn(&Fake),
        Fake::forbid_rename_new,
        Fake::forbid_link,
    ];
    for prepare in surroundings {
        for change in [alone as Change, together] {
            let mut nth = 1;
            while survive(nth, 1, prepare, change) {
                for again in 2..40 {
                    survive(nth, again, prepare, change);
                }
                nth += 1;
            }
            assert!(nth > 20, "the scenario has more calls than {nth}");
        }
    }
}

#[test]
fn a_failing_call_loses_and_repeats_nothing() {
    const EIO: i32 = 5;
    for nth in 1..60 {
        let mut fixture = Fixture::new();
        fixture.disk.fail_call(nth, EIO);
        if run_to_the_end(&mut fixture, alone).is_err() {
            run_to_the_end(&mut fixture, alone).unwrap();
        }
        let mut whole = fixture.disk.read("/l/m.20261122132956").unwrap();
        whole.extend(fixture.disk.read("/l/m").unwrap());
        assert_eq!(whole, b"onetwo", "call {nth} failed");
    }
}

#[test]
fn a_vanished_rotated_copy_is_reported() {
    let (mut fixture, mut copy) = Fixture::streaming(7, b"abc");
    // Die just after the local copy got its new name.
    fixture.disk.die_at_call(10 + PACKED_ENDINGS.len() as u32);
    assert!(
        fixture
            .with(|files| copy.rotate(classic(8), files))
            .is_err()
    );
    drop(copy);
    fixture.disk.revive();
    assert!(!fixture.disk.exists("/l/m"));
    fixture.disk.remove("/l/m.20261122132956");
    let copy = fixture.open().unwrap();
    assert_eq!(copy.inode(), Some(Inode(8)));
    assert_eq!(
        fixture.found,
        [Found::RotatedMissing("/l/m.20261122132956".into())]
    );
    let record = fixture.disk.read("/l/m.gaps").unwrap();
    let record = String::from_utf8(record).unwrap();
    assert_eq!(
        record,
        "20261122132956 /var/log/m finished an interrupted rotation, but the older copy \
         /l/m.20261122132956 is missing\n"
    );
}

#[test]
fn a_live_copy_that_was_deleted_under_us_is_on_record_once_it_should_have_got_its_name() {
    let (mut fixture, mut copy) = Fixture::streaming(7, b"abc");
    fixture.disk.remove("/l/m");
    let rotated = fixture.with(|files| copy.rotate(classic(8), files));
    assert!(rotated.unwrap_err().to_string().contains("cannot rename"));
    drop(copy);
    for failing in [1, 8, 9, 11, 13] {
        fixture.disk.fail_call(failing, 28);
        fixture.open().map(drop).unwrap_err();
        fixture.disk.revive();
    }
    let copy = fixture.open().unwrap();
    assert_eq!((copy.inode(), copy.size()), (Some(Inode(8)), 0));
    let record = fixture.disk.read("/l/m.gaps").unwrap();
    assert_eq!(record.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert!(record.ends_with(b"is missing\n"));
}

#[test]
fn a_pointer_that_another_collector_has_written_meanwhile_is_not_gone_by() {
    let pending = |next| Pending {
        local: FileId {
            device: 1,
            inode: Inode(1),
        },
        size: 3,
        next: Inode(next),
        suffix: RotatedSuffix::new(STAMP, 0).unwrap(),
        is_lossy: false,
    };
    let (fixture, copy) = Fixture::streaming(7, b"abc");
    drop(copy);
    let read = fixture.pointer();
    let next = Pointer {
        inode: Inode(8),
        ..read.clone()
    };
    // It was read, and then the other one wrote the next before it gave up the lock.
    fixture.with(|files| files.write_pointer(&next)).unwrap();
    let nothing = &mut |_| panic!("nothing is put right");
    let opened = [
        fixture.with(|files| files.open_without_pointer(nothing)),
        fixture.with(|files| files.open_plain(read.clone(), nothing)),
        fixture.with(|files| files.finish_rotation(read, Box::new(pending(9)), nothing)),
    ];
    for opened in opened {
        let error = opened.map(drop).unwrap_err().to_string();
        assert!(error.contains("another collector has just written it"));
    }
    assert_eq!(fixture.disk.read("/l/m").unwrap(), b"abc");
    assert_eq!(fixture.pointer(), next);
}

#[test]
fn a_name_taken_between_announcement_and_rename_is_not_overwritten() {
    let (mut fixture, mut copy) = Fixture::streaming(7, b"abc");
    // Die just before the rename, then let somebody take the announced name.
    fixture.disk.die_at_call(9 + PACKED_ENDINGS.len() as u32);
    assert!(
        fixture
            .with(|files| copy.rotate(classic(8), files))
            .is_err()
    );
    drop(copy);
    fixture.disk.revive();
    assert!(fixture.disk.exists("/l/m"));
    fixture.disk.write("/l/m.20261122132956", b"somebody's");
    fixture.open().unwrap();
    assert_eq!(
        fixture.disk.read("/l/m.20261122132956").unwrap(),
        b"somebody's"
    );
    assert_eq!(fixture.disk.read("/l/m.20261122132956.1").unwrap(), b"abc");
}

/// Many copies on one disk, each with a generation and its bytes.
fn crowd(disk: &Fake, count: u32) -> Vec<(Fixture, LocalCopy<Handle>)> {
    let member = |number: u32| {
        // Names of a fixture last as long as the tests.
        let at = |name: &str| Path::new(format!("{name}{number}").leak());
        let mut fixture = Fixture {
            disk: disk.clone(),
            paths: Paths {
                local: at("/l/m"),
                pointer: at("/p/m"),
                ..paths()
            },
            boot: BootId::new("first"),
            found: Vec::new(),
        };
        let copy = fixture.open().unwrap();
        (fixture, copy)
    };
    (0..count).map(member).collect()
}

/// One change of all of them, with barriers that each serve all. Returns how many barriers that
/// took.
fn change_together(crowd: &mut [(Fixture, LocalCopy<Handle>)], next: u64) -> u32 {
    for (fixture, copy) in &mut *crowd {
        fixture.with(|files| copy.start_change(classic(next), None, None, files));
    }
    let mut barriers = 0;
    loop {
        let mut is_more = false;
        for (fixture, copy) in &mut *crowd {
            let progress = fixture.with(|files| copy.step_change(Syncs::Barrier, files));
            is_more |= matches!(progress.unwrap(), Progress::More);
        }
        if !is_more {
            return barriers;
        }
        barriers += 1;
    }
}

#[test]
fn a_thousand_copies_share_three_barriers() {
    let disk = Fake::new();
    let mut crowd = crowd(&disk, 1_000);
    disk.forget_syncs();
    assert_eq!(change_together(&mut crowd, 7), 2);
    for (fixture, copy) in &mut crowd {
        fixture.with(|files| copy.append(b"one", files)).unwrap();
    }
    assert_eq!(change_together(&mut crowd, 8), 3);
    assert_eq!(disk.syncs(), 0, "none but the barriers");
    for number in 0..1_000 {
        let kept = disk.read(&format!("/l/m{number}.{STAMP}")).unwrap();
        assert_eq!(kept, b"one");
    }

    let (fixture, copy) = &mut crowd[0];
    alone(fixture, copy, classic(9)).unwrap();
    assert_eq!(disk.syncs(), 6);
}

/// The whole of a change at once.
impl<F> LocalCopy<F> {
    /// First contact.
    pub fn begin<S: WriteStore<File = F>>(
        &mut self,
        generation: Generation,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<(), FileError> {
        self.start_change(generation, None, None, files);
        self.make_change(files).map(drop)
    }

    /// The present generation is complete. Returns the name that its copy gets.
    pub fn rotate<S: WriteStore<File = F>>(
        &mut self,
        next: Generation,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<PathBuf, FileError> {
        self.start_change(next, None, None, files);
        self.make_change(files)
            .map(|changed| changed.kept.unwrap_or_default())
    }
}
