//! Local files and directories that are missing, full, odd or damaged.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::process::geteuid;

use super::common::collector::{Collector, Place, REMOTE, Signal};
use super::common::scripted::{Call, Scripted};
use super::common::wait::for_a_while;
use super::common::{FETCHLOGS, skipped};
use super::is_event;

/// Waits for the one event that tells what is wrong, watches that it is told once while the source tries again and
/// again, and gives its text.
fn told_once(collector: &Collector, place: &Place, text: &str) -> String {
    let line = collector.out.wait_for(text);
    place.wait_for_status("127.0.0.1", "ERR\n");
    for_a_while(250, "told once", || collector.out.all().len() == 1);
    let prefix = format!("127.0.0.1 {REMOTE} ");
    let (_, text) = line.split_once(&prefix).unwrap();
    assert!(is_event(&line, "127.0.0.1", REMOTE, text), "{line}");
    text.to_owned()
}

/// The server is asked as if for the first time and everything is well.
fn first_contact_works(server: &Scripted, place: &Place) {
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    place.wait_for_status("127.0.0.1", "OK\n");
}

#[test]
fn new_files_get_the_mode_and_the_group_that_are_configured() {
    if !geteuid().is_root() {
        return skipped("root");
    }
    let server = Scripted::new();
    let place = Place::following(server.address());
    let line = fs::read_to_string(place.path("conf")).unwrap();
    let rights = |name: &str| {
        let found = fs::metadata(place.path(name)).unwrap();
        (found.gid(), found.permissions().mode() & 0o7777)
    };
    let with = |options: &str| place.configure(&[format!("{} {options}", line.trim_end())]);
    with("mode=0664 group=4711");
    let collector = place.start(&[]);
    first_contact_works(&server, &place);
    assert_eq!([rights("log"), rights("log.ptr")], [(4711, 0o664); 2]);
    drop(collector);

    // Somebody who is in no such group is told so, and the copies go on.
    for name in place.names().iter().filter(|name| name.starts_with("log")) {
        fs::remove_file(place.path(name)).unwrap();
    }
    fs::remove_dir_all(place.path("snmp")).unwrap();
    fs::create_dir(place.path("snmp")).unwrap();
    for name in ["", "snmp"] {
        chown(place.path(name), Some(65534), Some(65534)).unwrap();
    }
    with("mode=0604 group=4711");
    let collector = place.start(&["-u", "65534:65534"]);
    first_contact_works(&server, &place);
    assert_eq!(rights("log").0, 65534);
    collector.err.wait_for("cannot give new files of ");
}

#[test]
fn a_directory_may_be_made_later() {
    let server = Scripted::new();
    let place = Place::with(|place| {
        vec![format!(
            "127.0.0.1 {} {REMOTE} {} {}",
            server.address().port(),
            place.path("later/log").display(),
            place.path("ptr").display()
        )]
    });
    let collector = place.start(&[]);
    let text = told_once(&collector, &place, "No such file or directory");
    assert!(text.contains("later"), "{text}");
    server.expect_no_call(50);
    fs::create_dir(place.path("later")).unwrap();
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("later/log", b"abc");
    place.wait_for_status("127.0.0.1", "OK\n");
}

#[test]
fn a_directory_where_the_copy_should_be_is_refused() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::create_dir(place.path("log")).unwrap();
    let collector = place.start(&[]);
    let text = told_once(&collector, &place, "cannot open");
    assert!(text.contains("directory"), "{text}");
    server.expect_no_call(50);
    fs::remove_dir(place.path("log")).unwrap();
    first_contact_works(&server, &place);
}

#[test]
fn a_link_where_the_copy_should_be_is_refused() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    fs::write(place.path("precious"), "precious").unwrap();
    symlink("precious", place.path("log")).unwrap();
    let collector = place.start(&[]);
    told_once(&collector, &place, "cannot open");
    server.expect_no_call(50);
    assert_eq!(place.read("precious"), b"precious");
    fs::remove_file(place.path("log")).unwrap();
    first_contact_works(&server, &place);
    assert_eq!(place.read("precious"), b"precious");
}

#[test]
fn a_fifo_where_the_copy_should_be_is_refused_without_waiting_for_its_reader() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    make_fifo(&place.path("log"));
    let collector = place.start(&[]);
    let text = told_once(&collector, &place, "cannot open");
    assert!(text.contains("not a regular file"), "{text}");
    server.expect_no_call(50);
    fs::remove_file(place.path("log")).unwrap();
    first_contact_works(&server, &place);
}

#[test]
fn odd_files_where_the_pointer_should_be_are_refused() {
    let make: [fn(&Path); 3] = [
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("conf", path).unwrap(),
        make_fifo,
    ];
    for make in make {
        let server = Scripted::new();
        let place = Place::following(server.address());
        fs::write(place.path("log"), "precious").unwrap();
        make(&place.path("log.ptr"));
        let collector = place.start(&[]);
        told_once(&collector, &place, "cannot read the pointer file");
        server.expect_no_call(50);
        assert_eq!(place.read("log"), b"precious");
        assert!(place.rotated("log").is_empty());
    }
}

fn make_fifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

/// Not even root can have a file in a file.
#[test]
fn a_copy_that_cannot_be_made_is_told_and_disturbs_nobody() {
    let server = Scripted::new();
    let good = Scripted::numbered(2);
    let place = Place::with(|place| {
        vec![
            place.line(server.address(), REMOTE, "file/log"),
            place.line(good.address(), REMOTE, "log"),
        ]
    });
    fs::write(place.path("file"), "").unwrap();
    let collector = place.start(&[]);
    let mut call = good.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    place.wait_for_status("127.0.0.2", "OK\n");
    let line = collector.out.wait_for("Not a directory");
    assert!(line.contains("file"), "{line}");
    place.wait_for_status("127.0.0.1", "ERR\n");
    for_a_while(200, "told once", || {
        collector.out.with("Not a directory").len() == 1
    });
    fs::remove_file(place.path("file")).unwrap();
    fs::create_dir(place.path("file")).unwrap();
    server.accept_asking(0, 0);
}

#[test]
fn a_damaged_pointer_stops_its_source_until_it_is_mended() {
    let whole = written_pointer();
    let mut flipped = whole.clone();
    flipped[2] ^= 1;
    let torn = whole[..whole.len() - 3].to_vec();
    let long = [b"7 ".as_slice(), &[b'x'; 5000]].concat();
    for damaged in [
        flipped,
        torn,
        long,
        b"seven".to_vec(),
        vec![0; 40],
        vec![0xff],
    ] {
        let server = Scripted::new();
        let place = Place::following(server.address());
        fs::write(place.path("log"), "abc").unwrap();
        fs::write(place.path("log.ptr"), &damaged).unwrap();
        let collector = place.start(&[]);
        let text = told_once(&collector, &place, "the pointer file");
        let pointer = place.path("log.ptr");
        assert!(text.contains(pointer.to_str().unwrap()), "{text}");
        server.expect_no_call(20);
        assert_eq!(place.read("log"), b"abc");
        assert_eq!(place.read("log.ptr"), damaged);
        assert_eq!(place.names().len(), 4);
        fs::write(&pointer, &whole).unwrap();
        let mut call = server.accept_asking(4711, 3);
        call.send("O 4711\ndef");
        place.wait_for("log", b"abcdef");
        place.wait_for_status("127.0.0.1", "OK\n");
    }
}

/// A pointer file as the collector writes it, of generation 4711.
fn written_pointer() -> Vec<u8> {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let _collector = place.start(&[]);
    let mut call = server.accept();
    call.send("O 4711\nabc");
    place.wait_for("log", b"abc");
    place.read("log.ptr")
}

/// Links make two names of one file that no comparison of names finds. Only one source may have it.
#[test]
fn two_names_of_one_file_are_noticed() {
    let [one, two] = [22, 23].map(Scripted::numbered);
    let place = Place::with(|place| {
        vec![
            place.line(one.address(), REMOTE, "dir/log"),
            place.line(two.address(), REMOTE, "link/log"),
        ]
    });
    fs::create_dir(place.path("dir")).unwrap();
    symlink("dir", place.path("link")).unwrap();
    fs::write(place.path("dir/log"), "abc").unwrap();
    fs::write(place.path("dir/log.ptr"), "7").unwrap();
    let collector = place.start(&[]);
    one.accept_asking(7, 3).send("O 7\n");
    let mut call = one.accept_asking(7, 0);
    call.send("O 7\nabcdef");
    place.wait_for("dir/log", b"abcdef");
    let line = collector.out.wait_for("127.0.0.23");
    assert!(line.contains("another source writes to it"), "{line}");
    place.wait_for_status("127.0.0.23", "ERR\n");
    two.expect_no_call(100);
    call.send("ghi");
    place.wait_for("dir/log", b"abcdefghi");

    // Neither did the second take the lock away from the first.
    let mut command = Command::new(FETCHLOGS);
    command.args(["fetch_logs".into(), place.path("snmp2"), place.path("conf")]);
    let second = Collector::spawn(&mut command);
    second.out.wait_for_nth("another collector", 2);
    second.kill();

    // Whoever is left may have it.
    place.configure(&[place.line(two.address(), REMOTE, "link/log")]);
    collector.signal(Signal::HUP);
    two.accept_asking(7, 9);
}

/// Nothing is lost by a full disk, the operator hears of it once, and it passes by itself when there is room.
#[test]
fn a_full_disk_loses_nothing() {
    let text = "0123456789abcde\n".repeat(3000).into_bytes();
    let server = Scripted::new();
    let place = Place::with(|place| vec![place.line(server.address(), REMOTE, "disk/log")]);
    let Some(disk) = SmallDisk::mount(place.path("disk"), "64k") else {
        return;
    };
    fs::write(disk.path.join("ballast"), [0; 32 * 1024]).unwrap();
    let served = text.clone();
    server.serve(move |_, call| answer_from(&served, call));
    let collector = place.start(&[]);
    let line = collector.out.wait_for("No space left");
    assert!(line.contains("disk/log"), "{line}");
    place.wait_for_status("127.0.0.1", "ERR\n");
    for_a_while(400, "told once", || {
        collector.out.with("No space left").len() == 1
    });
    let held = place.read("disk/log");
    assert!(!held.is_empty() && text.starts_with(&held));
    fs::remove_file(disk.path.join("ballast")).unwrap();
    place.wait_for("disk/log", &text);
    place.wait_for_status("127.0.0.1", "OK\n");
    assert!(place.rotated("disk/log").is_empty());
}

/// A box that writes as much as it can leaves room for the others, and goes on when there is more.
#[test]
fn one_box_does_not_fill_the_disk_for_all() {
    const LEN: usize = 6 << 20;
    let text = Arc::new("0123456789abcde\n".repeat(LEN / 16).into_bytes());
    let (flood, calm) = (Scripted::new(), Scripted::new());
    let place = Place::with(|place| {
        let line = |server: &Scripted, file| place.line(server.address(), REMOTE, file);
        let defaults = "defaults keep_free=1M".to_owned();
        vec![
            defaults,
            line(&flood, "disk/flood"),
            line(&calm, "disk/calm"),
        ]
    });
    let Some(disk) = SmallDisk::mount(place.path("disk"), "8m") else {
        return;
    };
    let ballast = disk.path.join("ballast");
    fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let served = Arc::clone(&text);
    flood.serve(move |_, call| answer_from(&served, call));
    let collector = place.start(&[]);
    let line = collector.out.wait_for("paused: ");
    assert!(line.contains("and keep_free= keeps 1.0 MiB;"), "{line}");
    let held = place.read("disk/flood");
    assert!(held.len() < 7 << 19 && text.starts_with(&held));
    calm.serve(|_, call| answer_from(&[b'c'; 20_000], call));
    place.wait_for("disk/calm", &[b'c'; 20_000]);
    assert_eq!(collector.out.with("paused: ").len(), 1);
    assert_eq!(place.read("disk/flood").len(), held.len());
    fs::remove_file(&ballast).unwrap();
    place.wait_for("disk/flood", &text);
    assert_eq!(collector.out.with("paused: ").len(), 1);
}

/// Where there is no room for a pointer, nothing is begun.
#[test]
fn a_disk_that_is_full_from_the_start_is_waited_for() {
    let server = Scripted::new();
    let place = Place::with(|place| vec![place.line(server.address(), REMOTE, "disk/log")]);
    let Some(disk) = SmallDisk::mount(place.path("disk"), "16k") else {
        return;
    };
    let ballast = disk.path.join("ballast");
    let _ = fs::write(&ballast, [0; 64 * 1024]);
    server.serve(|_, call| answer_from(b"abc", call));
    let collector = place.start(&[]);
    let line = collector.out.wait_for("No space left");
    assert!(line.contains("disk/log"), "{line}");
    place.wait_for_status("127.0.0.1", "ERR\n");
    fs::remove_file(&ballast).unwrap();
    place.wait_for("disk/log", b"abc");
    place.wait_for_status("127.0.0.1", "OK\n");
}

/// One generation, from the offset asked for, then a keep-alive.
fn answer_from(text: &[u8], mut call: Call) {
    let (_, _, offset) = call.parts();
    let rest = &text[usize::try_from(offset).unwrap()..];
    call.try_send("O 7\n");
    call.try_send(rest);
    call.try_send([7]);
    call.wait_until_left();
}

/// A file system of a few pages.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Takes root; `None`, with a word, for others.
    fn mount(path: PathBuf, size: &str) -> Option<SmallDisk> {
        fs::create_dir(&path).unwrap();
        let size = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "fetchlogs-test"])
            .arg(&path)
            .output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk { path });
        }
        skipped("a small file system cannot be mounted here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
