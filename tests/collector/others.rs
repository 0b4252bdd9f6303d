//! Directories that belong to other users, who put links and second names there to write what is root's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, fcntl_lock, mknodat};
use rustix::process::geteuid;

use super::common::collector::{Place, REMOTE, Signal};
use super::common::scripted::Scripted;
use super::common::skipped::skipped;
use super::common::wait::for_a_while;

const OTHER: u32 = 65_533;

pub fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        skipped("root alone can give files to others");
    }
    is_root
}

/// A collector whose copy stands in a directory `app/copies` of a user.
fn place_of_a_user(server: &Scripted) -> Place {
    let place = Place::with(|place| {
        vec![format!(
            "127.0.0.1 {} {REMOTE} {} {}",
            server.address().port(),
            place.path("app/copies/log").display(),
            place.path("app/copies/ptr").display()
        )]
    });
    for dir in ["app", "app/copies"] {
        fs::create_dir(place.path(dir)).unwrap();
        chown(place.path(dir), Some(OTHER), Some(OTHER)).unwrap();
    }
    fs::create_dir(place.path("root")).unwrap();
    place
}

#[test]
fn nothing_is_written_where_a_link_of_somebody_else_leads() {
    if !is_root() {
        return;
    }
    let server = Scripted::new();
    let place = place_of_a_user(&server);
    fs::rename(place.path("app/copies"), place.path("app/kept")).unwrap();
    symlink(place.path("root"), place.path("app/copies")).unwrap();
    lchown(place.path("app/copies"), Some(OTHER), None).unwrap();
    let collector = place.start(&[]);
    let told = collector.out.wait_for("is a link of user 65533");
    assert!(told.contains("app/copies"), "{told}");
    place.wait_for_status("127.0.0.1", "ERR\n");
    for_a_while(250, "nothing is written", || {
        fs::read_dir(place.path("root")).unwrap().next().is_none()
    });
    assert_eq!(collector.out.all().len(), 1, "told once");
    fs::remove_file(place.path("app/copies")).unwrap();
    fs::rename(place.path("app/kept"), place.path("app/copies")).unwrap();
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("app/copies/log", b"abc");
    place.wait_for_status("127.0.0.1", "OK\n");
}

#[test]
fn a_second_name_of_a_file_of_roots_is_not_written_to() {
    if !is_root() {
        return;
    }
    let server = Scripted::new();
    let place = place_of_a_user(&server);
    fs::write(place.path("root/precious"), "").unwrap();
    fs::hard_link(place.path("root/precious"), place.path("app/copies/log")).unwrap();
    fs::write(place.path("app/copies/ptr"), "7\n").unwrap();
    let collector = place.start(&[]);
    collector.out.wait_for("has a second name");
    place.wait_for_status("127.0.0.1", "ERR\n");
    assert_eq!(place.read("root/precious"), b"");
}

#[test]
fn what_was_planted_in_the_status_directory_is_replaced() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let snmp = place.path("snmp");
    fs::create_dir_all(&snmp).unwrap();
    fs::write(place.path("precious"), "precious").unwrap();
    for plant in 0..3 {
        for name in [".fetch_logs.tmp", "127.0.0.1.tmp", "127.0.0.1"] {
            let path = snmp.join(name);
            let _ = fs::remove_file(&path);
            match plant {
                // The test itself would wait for a writer there.
                2 if name == "127.0.0.1" => {}
                0 => symlink(place.path("precious"), &path).unwrap(),
                1 => fs::hard_link(place.path("precious"), &path).unwrap(),
                _ => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
            }
        }
        let collector = place.start(&[]);
        // From the second time on it has a pointer.
        let mut call = server.accept_asking(if plant == 0 { 0 } else { 7 }, 0);
        call.send("O 7\n");
        place.wait_for_status("127.0.0.1", "OK\n");
        collector.stop();
        assert_eq!(place.read("precious"), b"precious");
    }
    let mode = |name: &str| fs::metadata(snmp.join(name)).unwrap().mode() & 0o777;
    assert_eq!(mode(".fetch_logs.lock"), 0o600);
    assert_eq!(mode("127.0.0.1") & 0o600, 0o600);
}

#[test]
fn a_lock_for_reading_keeps_nobody_from_writing() {
    let server = Scripted::new();
    let place = Place::following(server.address());
    let snmp = place.path("snmp");
    fs::create_dir_all(&snmp).unwrap();
    // As an older version left it, for everybody to read.
    fs::write(snmp.join(".fetch_logs.lock"), "").unwrap();
    let old = Permissions::from_mode(0o644);
    fs::set_permissions(snmp.join(".fetch_logs.lock"), old).unwrap();
    fs::write(place.path("log"), "").unwrap();
    let held = [snmp.join(".fetch_logs.lock"), place.path("log")].map(|path| {
        let file = fs::File::open(path).unwrap();
        fcntl_lock(&file, FlockOperation::NonBlockingLockShared).unwrap();
        file
    });
    let _collector = place.start(&[]);
    let mut call = server.accept_asking(0, 0);
    call.send("O 7\nabc");
    place.wait_for("log", b"abc");
    drop(held);
}

/// Whoever is first: a lock of another user cannot be asked, and his table says what he fetches.
#[test]
fn a_collector_of_another_user_has_a_seat_of_its_own() {
    if !is_root() {
        return;
    }
    let [first, second] = [120, 121].map(Scripted::numbered);
    let place = Place::new();
    for dir in ["snmp", "theirs"] {
        fs::create_dir_all(place.path(dir)).unwrap();
    }
    fs::set_permissions(place.path("."), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.path("snmp"), Permissions::from_mode(0o1777)).unwrap();
    chown(place.path("theirs"), Some(OTHER), Some(OTHER)).unwrap();
    let user = format!("{OTHER}:{OTHER}");
    place.configure(&[place.line(first.address(), REMOTE, "log")]);
    let ours = place.start(&[]);
    let mut call = first.accept();
    call.send("O 7\nabc");
    place.wait_for_status("127.0.0.120", "OK\n");

    // Who is to have the same copy does not start.
    let mut other = place.start(&["-u", &user]);
    assert!(!other.wait().success());
    let told = other.err.wait_for("cannot lock ");
    assert!(
        told.contains(".fetch_logs.lock: Permission denied"),
        "{told}"
    );

    place.configure(&[place.line(second.address(), REMOTE, "theirs/log")]);
    let other = place.start(&["-u", &user]);
    let mut other_call = second.accept();
    other_call.send("O 7\nabc");
    place.wait_for_status("127.0.0.121", "OK\n");
    assert!(place.path("snmp/.fetch_logs.2.sock").exists());

    // Nor has he it at HUP; nor do we give up what is his.
    place.configure(&[
        place.line(second.address(), REMOTE, "theirs/log"),
        place.line(first.address(), REMOTE, "log"),
    ]);
    other.signal(Signal::HUP);
    other.err.wait_for("has the copy ");
    ours.signal(Signal::HUP);
    ours.err.wait_for("has the copy ");
    assert!(call.is_held() && other_call.is_held());
}
