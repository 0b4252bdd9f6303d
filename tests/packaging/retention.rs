//! The retention script, by several shells, over copies with all the names that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use fetchlogs::time::Civil;

use super::{Place, shipped, succeeds};
use crate::common::outside_program;
use crate::common::process::{Ended, run};

/// Copies of a log `a b` and of one `c`, and a shell to run the script.
struct Copies {
    place: Place,
    shell: Vec<PathBuf>,
}

/// What stays as it is whatever is asked for.
const STAYS: [&str; 14] = [
    "a b",
    "a b.gaps",
    "a b.gaps.20200101000000",
    "a b.kept",
    "a b.inflating",
    "a b.rescued.20200101000000",
    "a b.20200101000000.damaged",
    "a b.20200101000000.damaged.1",
    "a b.20200101000000.healing",
    "a b.20200101000001",
    "a b.20200101000002.1",
    "a b.20200101000005",
    "c",
    "nobodys.20200101000000",
];

/// What may go.
const GOES: [&str; 4] = [
    "a b.20200101000000",
    "a b.20200101000000.1",
    "a b.20200101000006.gz",
    "c.20200101000007",
];

impl Copies {
    /// One for each shell that is there.
    fn all() -> Vec<Copies> {
        let shells = [("dash", None), ("busybox", Some("sh"))];
        let shells = shells.into_iter().filter_map(|(name, applet)| {
            let shell = outside_program(name)?;
            Some(
                [shell]
                    .into_iter()
                    .chain(applet.map(PathBuf::from))
                    .collect(),
            )
        });
        shells.map(Copies::new).collect()
    }

    fn new(shell: Vec<PathBuf>) -> Copies {
        let copies = Copies {
            place: Place::new(),
            shell,
        };
        for name in STAYS.iter().chain(&GOES) {
            copies.write(name, format!("{name}\n").repeat(100).as_bytes());
        }
        copies.write(&copies.fresh(), b"of today\n");
        let gaps = format!(
            "20200101000009 /var/log/m lost 7:3, WHY and is now {}\n",
            copies.path("a b.20200101000005").display()
        );
        copies.write("a b.gaps", gaps.as_bytes());
        let place = &copies.place;
        let dir = place.dir.path().display();
        place.write("pointers/a.unverified", "20200101000001 7 3 -\n");
        place.write("pointers/a.hooks", "verified 20200101000002.1 3 - -\n");
        place.write("pointers/a", "8\n");
        let config = format!(
            "10.0.0.1 19 /var/log/m \"{dir}/logs/a b\" {dir}/pointers/a\n\
             10.0.0.1 19 /var/log/c {dir}/logs/c {dir}/pointers/c\n"
        );
        place.write("conf", &config);
        copies
    }

    /// A copy of today.
    fn fresh(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let stamp = Civil::from_unix(now.as_secs() as i64 - 3_600).stamp();
        format!("a b.{stamp}")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path("logs").join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.place.path("logs")).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.place.path("logs")).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| name(entry.unwrap())).collect()
    }

    fn command(&self, options: &str) -> Command {
        let mut command = Command::new(&self.shell[0]);
        command
            .args(&self.shell[1..])
            .arg(shipped("retention/fetchlogs-retention"))
            .args(options.split_whitespace())
            .arg(self.place.path("conf"))
            .env("FETCH_LOGS", self.place.path("fetch_logs"))
            .env("TZ", "UTC0");
        command
    }

    fn run(&self, options: &str) -> Ended {
        succeeds(self.command(options))
    }

    /// What is there besides what always is.
    fn left(&self) -> Vec<String> {
        let mut names = self.names();
        let fresh = names.iter().rfind(|name| name.starts_with("a b.2"));
        let fresh = fresh.unwrap().clone();
        assert_eq!(fs::read(self.path(&fresh)).unwrap(), b"of today\n");
        for name in STAYS.iter().copied().chain([&*fresh]) {
            assert!(names.remove(name), "{name} is gone");
        }
        names.into_iter().collect()
    }

    /// What a compressed copy holds.
    fn unpacked(&self, name: &str) -> String {
        let mut command = Command::new("gzip");
        command.arg("-dc").arg(self.path(name));
        succeeds(command).stdout
    }
}

#[test]
fn what_is_old_and_verified_is_compressed_and_nothing_else() {
    for copies in Copies::all() {
        let before = copies.names();
        let ended = copies.run("-n");
        assert_eq!(ended.stdout.matches("would compress").count(), 3);
        assert_eq!(copies.names(), before, "a dry run changes nothing");
        assert_eq!(copies.run("").stderr, "");
        let expected = [
            "a b.20200101000000.1.gz",
            "a b.20200101000000.gz",
            "a b.20200101000006.gz",
            "c.20200101000007.gz",
        ];
        assert_eq!(copies.left(), expected);
        copies.run("-z 1");
        assert_eq!(copies.left(), expected, "and so it stays");
    }
}

/// A copy and another of the same second: an example for logrotate renamed the first over the second.
#[test]
fn two_copies_of_one_second_stay_two() {
    for copies in Copies::all() {
        copies.run("");
        for name in ["a b.20200101000000", "a b.20200101000000.1"] {
            let text = copies.unpacked(&format!("{name}.gz"));
            assert_eq!(text, format!("{name}\n").repeat(100));
        }
    }
}

#[test]
fn what_is_old_goes_by_age_and_nothing_that_is_not() {
    for copies in Copies::all() {
        let ended = copies.run("-n -d 365");
        assert_eq!(ended.stdout.matches("would remove").count(), 4);
        assert_eq!(ended.stdout.lines().count(), 4, "{}", ended.stdout);
        // Nothing is old enough.
        copies.run("-z never -d 36500");
        assert_eq!(copies.left(), GOES);
        copies.run("-d 365");
        assert_eq!(copies.left(), [""; 0]);
        // Who is younger than a day stays, whatever is said.
        copies.run("-d 0 -z 0");
        assert_eq!(copies.left(), [""; 0]);
    }
}

#[test]
fn the_oldest_go_by_size() {
    for copies in Copies::all() {
        let sizes = copies.names().into_iter();
        let listed = |name: &String| name.contains(".2020") || name.contains(".202");
        let waits = sizes.filter(listed).filter(|name| {
            // Not the names that are no finished copies.
            !["rescued", "damaged", "healing", "gaps", "nobodys"]
                .iter()
                .any(|other| name.contains(other))
        });
        let total: u64 = waits
            .map(|name| fs::metadata(copies.path(&name)).unwrap().len())
            .sum();
        copies.run(&format!("-z never -s {total}"));
        assert_eq!(copies.left(), GOES);
        copies.run(&format!("-z never -s {}", total - 1));
        assert_eq!(copies.left(), GOES[1..], "the oldest");
        let ended = copies.run("-z never -s 1K");
        assert_eq!(copies.left(), [""; 0]);
        assert!(ended.stderr.contains("the others may not go yet"));
    }
}

#[test]
fn whatever_was_cut_short_is_finished_and_nothing_is_overwritten() {
    for copies in Copies::all() {
        copies.run("-z 1");
        // Both are there: the run was killed before it removed the first.
        copies.write(
            "c.20200101000007",
            "c.20200101000007\n".repeat(100).as_bytes(),
        );
        // And what one that was killed has left, as well as an older script.
        for left in ["gz.part", "gz.4194304999.part"] {
            copies.write(&format!("c.20200101000007.{left}"), b"half");
        }
        copies.write("a b.20200101000006", b"something else\n");
        let ended = run(copies.command("-z 1"));
        assert_eq!(ended.status, Some(1));
        assert!(ended.stderr.contains("is there and is something else"));
        let left = copies.left();
        assert!(!left.contains(&"c.20200101000007".to_owned()));
        assert!(!left.iter().any(|name| name.ends_with(".part")), "{left:?}");
        assert!(left.contains(&"a b.20200101000006".to_owned()));
    }
}

/// One by the timer and one by hand.
#[test]
fn runs_at_the_same_time_spoil_nothing() {
    for copies in Copies::all() {
        let names: Vec<String> = (100..140).map(|n| format!("c.20200101000{n}")).collect();
        let text = |name: &str| format!("{name}\n").repeat(5_000);
        for name in &names {
            copies.write(name, text(name).as_bytes());
        }
        let start = |_| copies.command("-z 1").spawn().unwrap();
        let mut runs: Vec<_> = (0..4).map(start).collect();
        for run in &mut runs {
            assert!(run.wait().unwrap().success());
        }
        for name in &names {
            assert!(!copies.path(name).exists(), "{name}");
            assert_eq!(copies.unpacked(&format!("{name}.gz")), text(name));
        }
        let left = copies.names();
        assert!(!left.iter().any(|name| name.ends_with(".part")), "{left:?}");
    }
}

#[test]
fn where_it_is_not_known_what_is_there_nothing_is_done() {
    for copies in Copies::all() {
        fs::create_dir(copies.place.path("pointers/c.hooks")).unwrap();
        let ended = run(copies.command("-d 1"));
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert_eq!(copies.left(), GOES);
        let mut bad = copies.command("-d 1");
        bad.env("FETCH_LOGS", "/nobody");
        assert_eq!(run(bad).status, Some(1));
        assert_eq!(copies.left(), GOES);
        for options in ["-z x", "-d 1d", "-s 1X", "-q", "-d 1 another"] {
            assert_eq!(run(copies.command(options)).status, Some(64), "{options}");
        }
    }
}

#[test]
fn shellcheck_finds_no_fault() {
    let Some(shellcheck) = outside_program("shellcheck") else {
        return;
    };
    let mut command = Command::new(shellcheck);
    command.arg(shipped("retention/fetchlogs-retention"));
    succeeds(command);
}

#[test]
fn systemd_analyze_finds_no_fault_with_the_timer() {
    let Some(analyze) = outside_program("systemd-analyze") else {
        return;
    };
    let place = Place::new();
    let here = format!("{}/", place.dir.path().display());
    let name = Path::new("fetchlogs-retention");
    fs::copy(
        shipped("retention").join(name),
        place.path("fetchlogs-retention"),
    )
    .unwrap();
    for kind in ["service", "timer"] {
        let unit = shipped("retention").join(name.with_extension(kind));
        let unit = fs::read_to_string(unit)
            .unwrap()
            .replace("/usr/sbin/", &here);
        place.write(&format!("fetchlogs-retention.{kind}"), &unit);
    }
    let mut command = Command::new(analyze);
    command.args(["verify", "--man=no"]);
    command.arg(place.path("fetchlogs-retention.timer"));
    let ended = succeeds(command);
    assert!(!ended.stderr.contains("retention"), "{}", ended.stderr);
}
