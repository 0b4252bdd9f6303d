//! The model keeps its own promises: what is durable survives, what is not may go, and nothing else
//! happens.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::store::{ReadStore, WriteStore};

const EIO: i32 = 5;

const ALL: usize = 1_000;

/// The names with their bytes.
fn shown(disk: &Disk) -> Vec<(String, Vec<u8>)> {
    let bytes = |path: &str| disk.read(path).unwrap_or_default().to_vec();
    let names = disk.names().map(|path| path.display().to_string());
    names.map(|name| (name.clone(), bytes(&name))).collect()
}

/// What each name may hold after a power cut; names with their bytes, all outcomes.
fn left(model: &Model, cut: PowerCut) -> BTreeSet<Vec<(String, Vec<u8>)>> {
    let outcomes = model.disk().all_after_power_cut(cut, ALL);
    outcomes.iter().map(shown).collect()
}

fn create(model: &mut Model, path: &str, bytes: &[u8]) -> Handle {
    let file = model.create_new(Path::new(path)).unwrap();
    model.append(&file, bytes).unwrap();
    file
}

#[test]
fn nothing_is_durable_before_a_sync_and_everything_after() {
    let mut model = Model::new();
    let file = create(&mut model, "/l/m", b"abc");
    let nothing = Vec::new();
    assert!(left(&model, PowerCut::Ordered).contains(&nothing));
    model.sync_file(&file).unwrap();
    let whole = vec![("/l/m".to_owned(), b"abc".to_vec())];
    let either = BTreeSet::from([nothing, whole.clone()]);
    assert_eq!(left(&model, PowerCut::Ordered), either);
    model.sync_dir(Path::new("/p")).unwrap();
    assert_eq!(left(&model, PowerCut::Ordered), either);
    model.sync_dir(Path::new("/l")).unwrap();
    assert_eq!(left(&model, PowerCut::Ordered), BTreeSet::from([whole]));
}

#[test]
fn bytes_that_are_not_durable_are_cut_anywhere_or_zero() {
    let mut model = Model::new();
    let file = create(&mut model, "/l/m", b"ab");
    model.sync_all(Path::new("/l")).unwrap();
    model.append(&file, b"cdef").unwrap();
    let contents: BTreeSet<Vec<u8>> = (left(&model, PowerCut::Ordered).into_iter())
        .map(|names| names[0].1.clone())
        .collect();
    let expected = [
        &b"ab"[..],
        b"abcd",
        b"abcde",
        b"abcdef",
        b"ab\0\0\0\0",
        b"abcd\0\0",
        b"abcde\0",
    ];
    assert_eq!(contents, expected.map(<[u8]>::to_vec).into());
}

#[test]
fn a_cut_that_is_not_durable_may_not_have_happened() {
    let mut model = Model::new();
    let file = create(&mut model, "/l/m", b"abcdef");
    model.sync_all(Path::new("/l")).unwrap();
    model.truncate(&file, 2).unwrap();
    model.append(&file, b"X").unwrap();
    let contents: BTreeSet<Vec<u8>> = (left(&model, PowerCut::Ordered).into_iter())
        .map(|names| names[0].1.clone())
        .collect();
    let expected = [&b"abcdef"[..], b"ab", b"ab\0", b"abX"];
    assert_eq!(contents, expected.map(<[u8]>::to_vec).into());
}

#[test]
fn where_bytes_were_written_over_others_either_are_on_the_disk() {
    let mut model = Model::new();
    let file = create(&mut model, "/l/m", b"abcdef");
    model.sync_all(Path::new("/l")).unwrap();
    model.overwrite(&file, b"XYZ", 1).unwrap();
    let contents: BTreeSet<Vec<u8>> = (left(&model, PowerCut::Ordered).into_iter())
        .map(|names| names[0].1.clone())
        .collect();
    let expected = [&b"abcdef"[..], b"aXYdef", b"aXYZef"];
    assert_eq!(contents, expected.map(<[u8]>::to_vec).into());
    model.fail_call(1, EIO);
    assert!(model.sync_file(&file).is_err());
    model.sync_file(&file).unwrap();
    let before = vec![("/l/m".to_owned(), b"abcdef".to_vec())];
    assert_eq!(left(&model, PowerCut::Ordered), BTreeSet::from([before]));
}

#[test]
fn names_are_lost_from_the_end_or_in_any_order() {
    let mut model = Model::new();
    create(&mut model, "/l/a", b"");
    create(&mut model, "/l/b", b"");
    let names = |cut| -> BTreeSet<Vec<String>> {
        let outcomes = left(&model, cut).into_iter();
        outcomes
            .map(|names| names.into_iter().map(|(name, _)| name).collect())
            .collect()
    };
    let some = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let ordered = BTreeSet::from([some(&[]), some(&["/l/a"]), some(&["/l/a", "/l/b"])]);
    assert_eq!(names(PowerCut::Ordered), ordered);
    let mut unordered = ordered;
    unordered.insert(some(&["/l/b"]));
    assert_eq!(names(PowerCut::Unordered), unordered);
}

#[test]
fn a_replaced_file_comes_back_unless_the_rename_is_durable() {
    let mut model = Model::new();
    drop(create(&mut model, "/p/m", b"old"));
    let next = create(&mut model, "/p/m.tmp", b"new");
    model.sync_all(Path::new("/p")).unwrap();
    drop(next);
    model
        .rename(Path::new("/p/m.tmp"), Path::new("/p/m"))
        .unwrap();
    let outcomes = left(&model, PowerCut::Unordered);
    let after = vec![("/p/m".to_owned(), b"new".to_vec())];
    let before = vec![
        ("/p/m".to_owned(), b"old".to_vec()),
        ("/p/m.tmp".to_owned(), b"new".to_vec()),
    ];
    assert_eq!(outcomes, BTreeSet::from([before, after.clone()]));
    model.sync_dir(Path::new("/p")).unwrap();
    assert_eq!(left(&model, PowerCut::Unordered), BTreeSet::from([after]));
}

#[test]
fn what_a_failed_sync_left_is_never_written() {
    let mut model = Model::new();
    let file = create(&mut model, "/l/m", b"ab");
    model.sync_all(Path::new("/l")).unwrap();
    model.append(&file, b"cd").unwrap();
    model.fail_call(1, EIO);
    assert!(model.sync_file(&file).is_err());
    model.append(&file, b"ef").unwrap();
    model.sync_file(&file).unwrap();
    assert_eq!(model.read("/l/m").unwrap(), b"abcdef");
    let zeros = vec![("/l/m".to_owned(), b"ab\0\0ef".to_vec())];
    assert_eq!(left(&model, PowerCut::Ordered), BTreeSet::from([zeros]));
    model.truncate(&file, 2).unwrap();
    model.append(&file, b"cdef").unwrap();
    model.sync_file(&file).unwrap();
    let whole = vec![("/l/m".to_owned(), b"abcdef".to_vec())];
    assert_eq!(left(&model, PowerCut::Ordered), BTreeSet::from([whole]));
}

#[test]
fn a_kill_takes_handles_and_locks_and_leaves_what_is_seen() {
    let mut model = Model::new();
    let file = create(&mut model, "/l/m", b"abc");
    assert_eq!(model.lock(&file).unwrap(), None);
    let mut other = model.process(2);
    let theirs = other.open_append(Path::new("/l/m")).unwrap().unwrap();
    assert_eq!(other.lock(&theirs).unwrap(), Some(1));
    assert!(model.open_append(Path::new("/l/m")).is_err());
    model.kill();
    assert_eq!(other.lock(&theirs).unwrap(), None);
    assert!(model.append(&file, b"d").is_err());
    assert_eq!(model.read("/l/m").unwrap(), b"abc");
    drop((file, theirs));
    assert_eq!(model.open_handles(), 0);
}

#[test]
fn a_power_cut_takes_all_processes() {
    let mut model = Model::new();
    let file = create(&mut model, "/l/m", b"abc");
    model.sync_all(Path::new("/l")).unwrap();
    model.cut_power(PowerCut::Ordered, &mut |_| 0);
    assert_eq!(ReadStore::boot(&model), 1);
    assert!(model.sync_file(&file).is_err());
    assert_eq!(model.read("/l/m").unwrap(), b"abc");
}

#[test]
fn a_deleted_file_stays_readable_while_it_is_open_and_no_longer() {
    let mut model = Model::new();
    model.reuse_inodes();
    let file = create(&mut model, "/l/m", b"abc");
    let inode = model.inode_of("/l/m");
    model.unlink(Path::new("/l/m")).unwrap();
    model.flush();
    let mut buf = [0; 3];
    assert_eq!(
        WriteStore::read_at(&mut model, &file, &mut buf, 0).unwrap(),
        3
    );
    assert!(model.has_inode(inode));
    assert_ne!(model.write("/l/other", b""), inode);
    drop(file);
    assert!(!model.has_inode(inode));
    assert_eq!(model.write("/l/third", b""), inode);
}

#[test]
fn a_device_is_synced_by_itself() {
    let mut model = Model::new();
    model.mount("/l", 1);
    model.mount("/p", 2);
    drop(create(&mut model, "/l/m", b"l"));
    drop(create(&mut model, "/p/m", b"p"));
    model.sync_all(Path::new("/p")).unwrap();
    let left = left(&model, PowerCut::Ordered);
    assert!(
        left.iter()
            .all(|names| names.contains(&("/p/m".to_owned(), b"p".to_vec())))
    );
    assert!(left.iter().any(|names| names.len() == 1));
    let across = model.rename(Path::new("/l/m"), Path::new("/p/n"));
    assert_eq!(across.unwrap_err().kind(), io::ErrorKind::CrossesDevices);
}

#[test]
fn disks_of_the_same_content_have_the_same_fingerprint() {
    let build = |scratches: u32, bytes: &[u8]| {
        let mut model = Model::new();
        model.reuse_inodes();
        for _ in 0..scratches {
            drop(create(&mut model, "/l/scratch", b"x"));
            model.unlink(Path::new("/l/scratch")).unwrap();
            model.flush();
        }
        drop(create(&mut model, "/l/m", bytes));
        model.disk().fingerprint()
    };
    assert_eq!(build(0, b"abc"), build(3, b"abc"));
    assert_ne!(build(0, b"abc"), build(0, b"abd"));
    let synced = {
        let mut model = Model::new();
        drop(create(&mut model, "/l/m", b"abc"));
        model.flush();
        model.disk().fingerprint()
    };
    assert_ne!(synced, build(0, b"abc"));
}

#[test]
fn a_hook_sees_every_call_and_has_the_last_word() {
    let mut model = Model::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let notes = seen.clone();
    model.set_hook(Some(Rc::new(move |call: &Call<'_>, disk: &Disk| {
        let to = call.to.map(Path::to_path_buf);
        notes.borrow_mut().push((call.op, to, disk.names().count()));
        match call.op {
            Op::Append => Verdict::Short(2),
            Op::SyncFile => Verdict::Swallow,
            Op::Unlink => Verdict::Fail(EIO),
            _ => Verdict::Make,
        }
    })));
    let file = create(&mut model, "/l/m", b"abc");
    model.sync_file(&file).unwrap();
    model.rename(Path::new("/l/m"), Path::new("/l/n")).unwrap();
    assert!(model.unlink(Path::new("/l/n")).is_err());
    assert_eq!(model.read("/l/n").unwrap(), b"ab");
    let expected = [
        (Op::CreateNew, None, 0),
        (Op::Append, None, 1),
        (Op::SyncFile, None, 1),
        (Op::Rename, Some("/l/n".into()), 1),
        (Op::Unlink, None, 1),
    ];
    assert_eq!(*seen.borrow(), expected);
    model.set_hook(None);
    model.sync_dir(Path::new("/l")).unwrap();
    assert_eq!(
        model
            .disk()
            .all_after_power_cut(PowerCut::Ordered, ALL)
            .len(),
        5
    );
}

#[test]
fn what_is_no_regular_file_is_seen_and_never_opened_for_appending() {
    let mut model = Model::new();
    for kind in [Kind::Link, Kind::Directory, Kind::Special] {
        model.put_other("/l/m", kind);
        assert_eq!(
            WriteStore::stat_path(&mut model, Path::new("/l/m"))
                .unwrap()
                .unwrap()
                .kind,
            kind
        );
        assert!(model.open_append(Path::new("/l/m")).is_err());
    }
}
