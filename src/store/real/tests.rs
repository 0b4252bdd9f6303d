use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;
use crate::sys::testing::{in_child, make_fifo};

/// A directory with a file `log` of ten bytes, a FIFO, a link to the log, a link to nowhere and a
/// directory.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(scene.at("log"), "0123456789").unwrap();
        make_fifo(&scene.at("fifo"));
        symlink("log", scene.at("link")).unwrap();
        symlink("nowhere", scene.at("dangling")).unwrap();
        fs::create_dir(scene.at("dir")).unwrap();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }
}

fn kind_of_error<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.map(drop).err().map(|error| error.kind())
}

/// What opening a link gives where links are refused; the standard library has no stable name for
/// it.
fn is_link_refusal<T>(result: io::Result<T>) -> bool {
    let error = result.map(drop).err();
    error.is_some_and(|error| matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EMLINK)))
}

mod reading {
    use super::*;

    #[test]
    fn a_log_is_opened_and_read_at_any_offset() {
        let scene = Scene::new();
        let file = RealRead::new().open(&scene.at("log")).unwrap();
        let mut buf = [0; 4];
        assert_eq!(RealRead::new().read_at(&file, &mut buf, 3).unwrap(), 4);
        assert_eq!(&buf, b"3456");
        assert_eq!(RealRead::new().read_at(&file, &mut buf, 8).unwrap(), 2);
        assert_eq!(&buf[..2], b"89");
        assert_eq!(RealRead::new().read_at(&file, &mut buf, 10).unwrap(), 0);
        assert_eq!(
            RealRead::new().read_at(&file, &mut buf, 1 << 40).unwrap(),
            0
        );
        assert_eq!(RealRead::new().read_at(&file, &mut [], 0).unwrap(), 0);
    }

    #[test]
    fn an_offset_beyond_the_systems_is_an_error_or_nothing() {
        let scene = Scene::new();
        let file = RealRead::new().open(&scene.at("log")).unwrap();
        assert!(matches!(
            RealRead::new().read_at(&file, &mut [0; 4], u64::MAX),
            Ok(0) | Err(_)
        ));
    }

    #[test]
    fn a_link_is_refused_and_a_fifo_does_not_wait() {
        let scene = Scene::new();
        assert!(is_link_refusal(RealRead::new().open(&scene.at("link"))));
        assert!(is_link_refusal(RealRead::new().open(&scene.at("dangling"))));
        let fifo = RealRead::new().open(&scene.at("fifo")).unwrap();
        assert_eq!(RealRead::new().stat(&fifo).unwrap().kind, Kind::Special);
        assert_eq!(
            kind_of_error(RealRead::new().open(&scene.at("none"))),
            Some(ErrorKind::NotFound)
        );
    }

    #[test]
    fn a_linked_directory_is_followed() {
        let scene = Scene::new();
        fs::write(scene.at("dir/inside"), "x").unwrap();
        symlink("dir", scene.at("to_dir")).unwrap();
        RealRead::new().open(&scene.at("to_dir/inside")).unwrap();
        let names = RealRead::new().names(&scene.at("to_dir")).unwrap();
        assert_eq!(names.count(), 1);
    }

    #[test]
    fn stat_tells_what_the_file_is() {
        let scene = Scene::new();
        let path = scene.at("log");
        let mtime = SystemTime::UNIX_EPOCH + Duration::new(1_795_354_196, 123_456_789);
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(mtime)
            .unwrap();
        let file = RealRead::new().open(&path).unwrap();
        let stat = RealRead::new().stat(&file).unwrap();
        assert_eq!(stat, RealRead::new().stat_path(&path).unwrap());
        assert_eq!((stat.size, stat.links, stat.kind), (10, 1, Kind::Regular));
        assert_eq!(stat.mtime_ns, 1_795_354_196_123_456_789);
        assert_eq!(stat.id.inode.0, fs::metadata(&path).unwrap().ino());
        fs::hard_link(&path, scene.at("second")).unwrap();
        assert_eq!(RealRead::new().stat(&file).unwrap().links, 2);
        fs::remove_file(scene.at("second")).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(RealRead::new().stat(&file).unwrap().links, 0);
        assert_eq!(
            kind_of_error(RealRead::new().stat_path(&path)),
            Some(ErrorKind::NotFound)
        );
    }

    #[test]
    fn stat_of_a_path_does_not_follow_a_link() {
        let scene = Scene::new();
        let kind = |name: &str| RealRead::new().stat_path(&scene.at(name)).unwrap().kind;
        assert_eq!(kind("log"), Kind::Regular);
        assert_eq!(kind("link"), Kind::Link);
        assert_eq!(kind("dangling"), Kind::Link);
        assert_eq!(kind("dir"), Kind::Directory);
        assert_eq!(kind("fifo"), Kind::Special);
    }

    #[test]
    fn a_time_before_1970_is_0() {
        assert_eq!(mtime_ns(1, 5), 1_000_000_005);
        assert_eq!(mtime_ns(0, 5), 5);
        #[cfg(target_pointer_width = "64")]
        assert_eq!(mtime_ns(-1, 999_999_999), 0);
    }

    #[test]
    fn a_directory_has_every_name_once() {
        let scene = Scene::new();
        let names = RealRead::new().names(scene.dir.path()).unwrap();
        let mut names: Vec<_> = names.map(Result::unwrap).collect();
        names.sort();
        assert_eq!(names, ["dangling", "dir", "fifo", "link", "log"]);
        let file = RealRead::new().names(&scene.at("log"));
        assert_eq!(kind_of_error(file), Some(ErrorKind::NotADirectory));
    }
}

mod writing {
    use super::*;

    fn store() -> RealWrite {
        RealWrite::default()
    }

    #[test]
    fn only_a_regular_file_is_opened_for_appending() {
        let scene = Scene::new();
        let open = |name: &str| store().open_append(&scene.at(name));
        assert!(open("log").unwrap().is_some());
        assert!(open("none").unwrap().is_none());
        assert!(is_link_refusal(open("link")));
        assert!(is_link_refusal(open("dangling")));
        assert_eq!(kind_of_error(open("fifo")), Some(ErrorKind::InvalidInput));
        assert_eq!(kind_of_error(open("dir")), Some(ErrorKind::IsADirectory));
    }

    #[test]
    fn what_is_appended_stands_at_the_end_and_can_be_read() {
        let scene = Scene::new();
        let mut store = store();
        let file = store.open_append(&scene.at("log")).unwrap().unwrap();
        let mut buf = [0; 4];
        assert_eq!(store.read_at(&file, &mut buf, 0).unwrap(), 4);
        assert_eq!(store.append(&file, b"ab").unwrap(), 2);
        assert_eq!(store.stat(&file).unwrap().size, 12);
        assert_eq!(store.read_at(&file, &mut buf, 9).unwrap(), 3);
        assert_eq!(&buf[..3], b"9ab");
        // Somebody else makes the copy shorter: without `O_APPEND` a hole would come of the next
        // append.
        fs::write(scene.at("log"), "cut").unwrap();
        store.append(&file, b"!").unwrap();
        assert_eq!(
            scene.text("log"),
            "cut!",
            "an append goes to where the end is now"
        );
        store.sync_file(&file).unwrap();
    }

    #[test]
    fn a_new_file_takes_no_name_that_is_taken() {
        let scene = Scene::new();
        let mut store = store();
        for taken in ["log", "link", "dangling", "fifo", "dir"] {
            let result = store.create_new(&scene.at(taken));
            assert_eq!(
                kind_of_error(result),
                Some(ErrorKind::AlreadyExists),
                "{taken}"
            );
        }
        let file = store.create_new(&scene.at("new")).unwrap();
        store.append(&file, b"x").unwrap();
        assert_eq!(store.read_at(&file, &mut [0; 2], 0).unwrap(), 1);
        let nowhere = store.create_new(&scene.at("none/new"));
        assert_eq!(kind_of_error(nowhere), Some(ErrorKind::NotFound));
    }

    #[test]
    fn scratch_is_emptied_and_never_a_way_around_a_link() {
        let scene = Scene::new();
        let mut store = store();
        let file = store.create_scratch(&scene.at("log")).unwrap();
        store.append(&file, b"one").unwrap();
        store.append(&file, b"two").unwrap();
        assert_eq!(scene.text("log"), "onetwo");
        let mut buf = [0; 8];
        assert_eq!(store.read_at(&file, &mut buf, 1).unwrap(), 5);
        assert_eq!(&buf[..5], b"netwo");
        store.truncate(&file, 3).unwrap();
        store.append(&file, b"2").unwrap();
        assert_eq!(scene.text("log"), "one2");
        store.create_scratch(&scene.at("new")).unwrap();
        assert_eq!(scene.text("new"), "");
        assert!(is_link_refusal(store.create_scratch(&scene.at("link"))));
        assert!(store.create_scratch(&scene.at("fifo")).is_err());
        let _reader = RealRead::new().open(&scene.at("fifo")).unwrap();
        let fifo = store.create_scratch(&scene.at("fifo"));
        assert_eq!(kind_of_error(fifo), Some(ErrorKind::InvalidInput));
    }

    #[test]
    fn the_lock_keeps_another_process_off() {
        let scene = Scene::new();
        let mut store = store();
        let file = store.open_append(&scene.at("log")).unwrap().unwrap();
        assert_eq!(store.lock(&file).unwrap(), None);
        let holder = std::process::id();
        // In the same process the lock would be granted: record locks belong to a process.
        let child = in_child(|| {
            let file = RealWrite::default()
                .open_append(&scene.at("log"))
                .unwrap()
                .unwrap();
            u8::from(RealWrite::default().lock(&file).unwrap() == Some(holder))
        });
        assert_eq!(child.wait(), 1);
    }

    #[test]
    fn a_locked_file_is_not_opened_twice_by_any_name() {
        let scene = Scene::new();
        let (path, other) = (scene.at("new"), scene.at("other"));
        let mut store = store();
        let file = store.create_new(&path).unwrap();
        assert_eq!(store.lock(&file).unwrap(), None);
        store.link(&path, &other).unwrap();
        let busy = Some(ErrorKind::ResourceBusy);
        assert_eq!(kind_of_error(store.open_append(&other)), busy);
        assert_eq!(kind_of_error(store.create_scratch(&other)), busy);
        assert_eq!(kind_of_error(store.read_small(&other, &mut [0; 8])), busy);
        drop(file);
        let file = store.open_append(&other).unwrap().unwrap();
        assert_eq!(store.lock(&file).unwrap(), None);
    }

    #[test]
    fn stat_of_a_path_knows_absence_and_links() {
        let scene = Scene::new();
        let kind = |name: &str| {
            store()
                .stat_path(&scene.at(name))
                .unwrap()
                .map(|stat| stat.kind)
        };
        assert_eq!(kind("none"), None);
        assert_eq!(kind("log"), Some(Kind::Regular));
        assert_eq!(kind("dangling"), Some(Kind::Link));
        // A file in the place of a directory is no expected state, as absence is.
        let below_a_file = store().stat_path(&scene.at("log/below"));
        assert_eq!(kind_of_error(below_a_file), Some(ErrorKind::NotADirectory));
    }

    #[test]
    fn a_small_file_is_read_from_its_start() {
        let scene = Scene::new();
        let mut store = store();
        let mut buf = [0; 16];
        assert_eq!(
            store.read_small(&scene.at("log"), &mut buf).unwrap(),
            Some(10)
        );
        assert_eq!(&buf[..10], b"0123456789");
        assert_eq!(
            store.read_small(&scene.at("log"), &mut buf[..4]).unwrap(),
            Some(4)
        );
        assert_eq!(store.read_small(&scene.at("none"), &mut buf).unwrap(), None);
        assert!(is_link_refusal(
            store.read_small(&scene.at("link"), &mut buf)
        ));
        let fifo = store.read_small(&scene.at("fifo"), &mut buf);
        assert_eq!(kind_of_error(fifo), Some(ErrorKind::InvalidInput));
    }

    #[test]
    fn directories_and_file_systems_are_synced() {
        let scene = Scene::new();
        let mut store = store();
        store.sync_dir(scene.dir.path()).unwrap();
        store.sync_all(scene.dir.path()).unwrap();
        assert_eq!(
            kind_of_error(store.sync_dir(&scene.at("none"))),
            Some(ErrorKind::NotFound)
        );
        assert_eq!(
            kind_of_error(store.sync_all(&scene.at("none"))),
            Some(ErrorKind::NotFound)
        );
        assert_eq!(
            kind_of_error(store.sync_dir(&scene.at("log"))),
            Some(ErrorKind::NotADirectory)
        );
    }

    #[test]
    fn a_batch_syncs_each_device_once() {
        let scene = Scene::new();
        let device = fs::metadata(scene.dir.path()).unwrap().dev();
        let mut store = store();
        store.sync_all(scene.dir.path()).unwrap();
        let is_synced = |store: &RealWrite| matches!(store.synced(device), Some(Ok(())));
        assert!(!is_synced(&store), "outside a batch nothing is remembered");
        store.batch(true);
        assert!(store.sync_all(&scene.at("none")).is_err());
        assert!(!is_synced(&store));
        store.sync_all(scene.dir.path()).unwrap();
        assert!(is_synced(&store));
        // A file instead of a directory cannot be synced: no error shows that nothing was tried.
        store.sync_all(&scene.at("log")).unwrap();
        store.batch(false);
        assert!(store.sync_all(&scene.at("log")).is_err());
    }

    #[test]
    fn a_full_batch_still_syncs() {
        let scene = Scene::new();
        let mut store = store();
        store.batch(true);
        // Numbers that no real device has.
        for device in 0..BATCH_DEVICES_MAX as u64 {
            store.note_synced(u64::MAX - device, &Ok(()));
        }
        store.sync_all(scene.dir.path()).unwrap();
        assert!(store.sync_all(&scene.at("log")).is_err());
    }

    #[test]
    fn a_failed_sync_fails_for_everybody_in_the_batch() {
        let scene = Scene::new();
        let device = fs::metadata(scene.dir.path()).unwrap().dev();
        let mut store = store();
        let failure = || Err(io::Error::from_raw_os_error(libc::EIO));
        store.batch(true);
        for other in 1..=BATCH_DEVICES_MAX as u64 {
            store.note_synced(u64::MAX - other, &Ok(()));
        }
        store.note_synced(device, &failure());
        assert!(store.sync_all(scene.dir.path()).is_err());
        store.batch(false);
        store.note_synced(device, &failure());
        store.sync_all(scene.dir.path()).unwrap();
    }

    #[test]
    fn a_failed_sync_is_remembered_for_its_device() {
        let scene = Scene::new();
        let device = fs::metadata(scene.dir.path()).unwrap().dev();
        let mut store = store();
        let failure = || Err(io::Error::from_raw_os_error(libc::EIO));
        store.note_synced(u64::MAX - device, &failure());
        assert!(store.sync_all(&scene.at("none")).is_err());
        assert!(store.sync_all(&scene.at("log")).is_err());
        store.sync_all(scene.dir.path()).unwrap();
        assert_eq!(store.failed_syncs(scene.dir.path()), 0);
        for times in 1..=2 {
            store.note_synced(device, &failure());
            assert_eq!(store.failed_syncs(scene.dir.path()), times);
            assert_eq!(store.all_failed_syncs(), times + 1);
        }
        store.note_synced(device, &Ok(()));
        assert_eq!(store.failed_syncs(scene.dir.path()), 2);
        assert_eq!(store.failed_syncs(&scene.at("none")), 0);
    }

    #[test]
    fn renames_links_and_unlinks() {
        let scene = Scene::new();
        let mut store = store();
        fs::write(scene.at("old"), "old").unwrap();
        store.rename(&scene.at("log"), &scene.at("old")).unwrap();
        assert_eq!(scene.text("old"), "0123456789");
        store.link(&scene.at("old"), &scene.at("second")).unwrap();
        let taken = store.link(&scene.at("old"), &scene.at("second"));
        assert_eq!(kind_of_error(taken), Some(ErrorKind::AlreadyExists));
        store.unlink(&scene.at("old")).unwrap();
        assert_eq!(
            kind_of_error(store.unlink(&scene.at("old"))),
            Some(ErrorKind::NotFound)
        );
        assert_eq!(scene.text("second"), "0123456789");
    }

    #[test]
    fn a_rename_to_a_new_name_overwrites_nothing() {
        let scene = Scene::new();
        let mut store = store();
        let taken = kind_of_error(store.rename_new(&scene.at("log"), &scene.at("dangling")));
        // Not a failure of the test: some file systems under TMPDIR cannot do it.
        if taken == Some(ErrorKind::Unsupported) {
            return;
        }
        assert_eq!(taken, Some(ErrorKind::AlreadyExists));
        store
            .rename_new(&scene.at("log"), &scene.at("log.20261122132956"))
            .unwrap();
        assert_eq!(scene.text("log.20261122132956"), "0123456789");
    }
}

#[test]
fn a_scratch_file_with_a_second_name_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, path) = (dir.path().join("victim"), dir.path().join("scratch"));
    fs::write(&victim, "precious").unwrap();
    fs::hard_link(&victim, &path).unwrap();
    let mut store = RealWrite::default();
    let file = store.create_scratch(&path).unwrap();
    assert_eq!(store.append(&file, b"new").unwrap(), 3);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn copies_and_records_are_not_for_everybody() {
    let scene = Scene::new();
    let mut store = RealWrite::default();
    drop(store.create_new(&scene.at("copy")).unwrap());
    drop(store.create_scratch(&scene.at("record")).unwrap());
    drop(store.create_scratch(&scene.at("log")).unwrap());
    for name in ["copy", "record", "log"] {
        let mode = fs::metadata(scene.at(name)).unwrap().mode();
        assert_eq!(mode & 0o137, 0, "{name}: {mode:o}");
    }
}

#[test]
fn what_others_may_have_turned_elsewhere_is_told_once() {
    let scene = Scene::new();
    let store = RealRead::new();
    if fs::metadata(scene.dir.path()).unwrap().uid() != 0 {
        println!("skipped: root alone can give files to others");
        return;
    }
    for number in 0..2 * REFUSED_MAX {
        let link = scene.at(&format!("to{number}"));
        symlink(scene.at("dir"), &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65_533), None).unwrap();
    }
    assert!(store.refused().is_empty());
    for _ in 0..2 {
        assert!(store.open(&scene.at("to0/log")).is_err());
        assert!(store.names(&scene.at("to0")).is_err());
        assert!(store.open(&scene.at("none/log")).is_err());
    }
    assert!(store.names(&scene.at("to1")).is_err());
    let told: Vec<String> = store.refused().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("/to0 is a link of user 65533"));
    assert!(store.open(&scene.at("to0/log")).is_err());
    // Nobody is told what is behind it, either.
    let behind = store.stat_path(&scene.at("to0/log")).unwrap_err();
    assert!(Untrusted::of(&behind).is_some(), "{behind}");
    let kind = store.stat_path(&scene.at("to0")).unwrap().kind;
    assert_eq!(kind, Kind::Link);
    assert!(
        RealWrite::default()
            .stat_path(&scene.at("to0/log"))
            .is_err()
    );
    assert!(store.refused().is_empty());
    for number in 0..2 * REFUSED_MAX {
        assert!(store.names(&scene.at(&format!("to{number}"))).is_err());
    }
    assert_eq!(store.refused().len(), REFUSED_MAX - 2);
    store.forget_refused();
    assert!(store.open(&scene.at("to0/log")).is_err());
    assert_eq!(store.refused().len(), 1);
}

#[test]
fn a_hole_is_told_and_made_where_there_can_be_one() {
    let scene = Scene::new();
    let mut store = RealWrite::default();
    let copy = store.open_append(&scene.at("log")).unwrap().unwrap();
    store.append_zeros(&copy, 1 << 20).unwrap();
    store.append_all(&copy, b"behind").unwrap();
    let size = WriteStore::stat(&mut store, &copy).unwrap().size;
    assert_eq!(size, 10 + (1 << 20) + 6);
    let read = RealRead::new();
    let file = read.open(&scene.at("log")).unwrap();
    let mut bytes = vec![1; size as usize];
    read.read_at(&file, &mut bytes, 0).unwrap();
    let expected = [&b"0123456789"[..], &[0; 1 << 20], b"behind"].concat();
    assert!(bytes == expected);
    // Whatever this file system keeps, nothing but zeros is left out, and nothing behind the end.
    for at in [0, 10, 100_000, 10 + (1 << 20), size, size + 1] {
        let end = read.hole_end(&file, at);
        assert!(end >= at);
        assert!(end <= size.max(at), "{at} to {end}");
        let left_out = bytes.get(at as usize..end as usize).unwrap_or_default();
        assert!(left_out.iter().all(|byte| *byte == 0), "{at} to {end}");
    }
    assert!(store.append_zeros(&copy, u64::MAX).is_err());
}

#[test]
fn the_room_is_that_of_the_file_system_and_less_than_all_of_it() {
    let scene = Scene::new();
    let mut store = RealWrite::default();
    let room = store.room(scene.dir.path()).unwrap();
    assert!(room.total > 0 && room.free <= room.total);
    let error = store.room(&scene.at("not/here")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn the_writing_side_lists_a_directory_as_the_reading_one_does() {
    let scene = Scene::new();
    fs::write(scene.at("dir/one"), "").unwrap();
    let dir = scene.at("dir");
    let names = |names: Names| -> Vec<_> { names.map(Result::unwrap).collect() };
    let listed = names(RealWrite::default().list(&dir).unwrap());
    assert_eq!(listed, names(RealRead::new().names(&dir).unwrap()));
    assert!(listed.iter().any(|name| name == "one"));
}
