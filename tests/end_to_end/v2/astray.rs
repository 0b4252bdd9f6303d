//! What may come to stand at the path of a log that is followed: the server does not spin on it, both programs tell it,
//! and what comes next arrives at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::pair::{Options, Pair};
use crate::common::process::cpu_ticks;

/// What becomes of the live file; it is rotated before.
const FATES: [&str; 8] = [
    "link",
    "dangling",
    "directory",
    "fifo",
    "gone",
    "deleted",
    "moved",
    "closed",
];

/// Each has a log of its own in a directory of its own.
fn start() -> Pair {
    let mut options = Options {
        grace_s: 0.3,
        alive_s: 0.5,
        check_s: 0.2,
        retry_s: 0.2,
        ..Options::default()
    };
    options.logs = FATES
        .map(|fate| (format!("{fate}/m"), format!("{fate}/m.*[0-9]")))
        .to_vec();
    let mut pair = Pair::prepare(options);
    for fate in FATES {
        pair.log(&format!("{fate}/m")).append("first\n");
    }
    pair.start_server();
    pair.start_collector();
    for fate in FATES {
        pair.expect_live(&format!("{fate}/m"), b"first\n");
    }
    pair.expect_status("OK\n");
    pair
}

fn befall(fate: &str, live: &Path) {
    let dir = live.parent().unwrap();
    match fate {
        // Its directory is gone, and no directory any more.
        "moved" => {
            fs::rename(dir, dir.with_extension("away")).unwrap();
            return fs::write(dir, "").unwrap();
        }
        "closed" => return set_mode(dir, 0o000),
        "deleted" => return fs::remove_file(live).unwrap(),
        _ => fs::rename(live, dir.join("m.1")).unwrap(),
    }
    match fate {
        "link" => {
            fs::write(dir.join("other"), "behind the link\n").unwrap();
            symlink(dir.join("other"), live).unwrap();
        }
        "dangling" => symlink(dir.join("nowhere"), live).unwrap(),
        "directory" => fs::create_dir(live).unwrap(),
        "fifo" => assert!(Command::new("mkfifo").arg(live).status().unwrap().success()),
        _ => {}
    }
}

fn mend(fate: &str, live: &Path) {
    let dir = live.parent().unwrap();
    match fate {
        "moved" => {
            fs::remove_file(dir).unwrap();
            fs::rename(dir.with_extension("away"), dir).unwrap();
            fs::rename(live, dir.join("m.1")).unwrap();
        }
        "closed" => {
            set_mode(dir, 0o755);
            fs::rename(live, dir.join("m.1")).unwrap();
        }
        "directory" => fs::remove_dir(live).unwrap(),
        "gone" | "deleted" => {}
        _ => fs::remove_file(live).unwrap(),
    }
    fs::write(live, "second\n").unwrap();
}

fn set_mode(dir: &Path, mode: u32) {
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether permissions mean nothing to whoever runs this.
fn may_all(pair: &Pair) -> bool {
    fs::read_dir(pair.log("closed/m").path().parent().unwrap()).is_ok()
}

#[test]
fn what_is_no_log_at_the_live_path_costs_nothing_and_is_told() {
    let mut pair = start();
    for fate in FATES {
        befall(fate, pair.log(&format!("{fate}/m")).path());
    }
    pair.expect_status("ERR\n");
    // A writer that takes its time is nothing to tell, and root may look into every directory.
    let root = may_all(&pair);
    let is_told = |fate: &&str| *fate != "gone" && !(root && *fate == "closed");
    for fate in FATES.into_iter().filter(is_told) {
        let path = pair.log(&format!("{fate}/m"));
        let path = path.path().display().to_string();
        pair.expect_event(&format!("the server refuses: {path}: "));
        let said = pair.server().complaints();
        let count = said.matches(&format!("127.0.0.1: {path}: ")).count();
        assert_eq!(count, 1, "{path}\n{said}");
    }
    let before = cpu_ticks(pair.server().pid());
    std::thread::sleep(Duration::from_secs(2));
    let used = cpu_ticks(pair.server().pid()) - before;
    assert!(used <= 20, "{used} hundredths of a second of 200");
    let refusals = pair.events().matches("the server refuses").count();
    assert_eq!(refusals, FATES.into_iter().filter(is_told).count());

    for fate in FATES {
        mend(fate, pair.log(&format!("{fate}/m")).path());
    }
    for fate in FATES {
        pair.expect(&format!("{fate}/m"), &["first\n", "second\n"]);
    }
    pair.expect_status("OK\n");
    pair.assert_no_losses();
}
