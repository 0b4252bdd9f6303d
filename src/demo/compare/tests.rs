use super::*;
use tempfile::TempDir;

/// A log and a copy with these files.
struct Sides {
    root: TempDir,
}

type Files<'a> = &'a [(&'a str, &'a [u8])];

const STAMP: &str = "messages.20261122132956";
const LATER: &str = "messages.20261122132957";

fn sides(log: Files<'_>, copy: Files<'_>) -> Sides {
    let root = tempfile::tempdir().unwrap();
    for (dir, files) in [("log", log), ("copy", copy)] {
        let dir = root.path().join(dir);
        fs::create_dir(&dir).unwrap();
        for (name, bytes) in files {
            fs::write(dir.join(name), bytes).unwrap();
        }
    }
    Sides { root }
}

impl Sides {
    fn of(&self, dir: &str, naming: Naming) -> Vec<Generation> {
        generations(&self.root.path().join(dir), "messages".as_ref(), naming).unwrap()
    }

    fn compare(&self) -> Vec<Pair> {
        let log = self.of("log", Naming::Numbered);
        let copy = self.of("copy", Naming::Stamped);
        compare(log, copy, &mut || Ok(())).unwrap()
    }

    /// The complaints about each pair; empty if there are none.
    fn differences(&self) -> Vec<String> {
        let pairs = self.compare();
        let bad = pairs.iter().filter(|pair| !pair.is_identical());
        let told: Vec<String> = bad
            .map(|pair| pair.difference(&mut || Ok(())).unwrap())
            .collect();
        assert_eq!(told.is_empty(), are_identical(&pairs));
        told
    }
}

fn names(generations: &[Generation]) -> Vec<&str> {
    generations.iter().map(|one| one.name.as_str()).collect()
}

#[test]
fn the_same_files_are_identical() {
    let sides = sides(
        &[
            ("messages", b"c"),
            ("messages.2", b"a"),
            ("messages.1", b""),
        ],
        &[("messages", b"c"), (STAMP, b"a"), (LATER, b"")],
    );
    assert!(sides.differences().is_empty());
    let line = sides.compare()[0].copy.as_ref().unwrap().to_string();
    assert_eq!(
        line,
        "0cc175b9c0f1b6a831c399e269772661  copy/messages.20261122132956           1"
    );
    assert!(line.len() < 80);
}

#[test]
fn another_byte_is_different_and_named() {
    // The difference lies in the second piece, so that its place has to be added up.
    let mut bytes = vec![b'x'; CHUNK_LEN + 10];
    let log = bytes.clone();
    bytes[CHUNK_LEN + 1] = 0xff;
    let sides = sides(&[("messages", &log)], &[("messages", &bytes)]);
    assert_eq!(
        sides.differences(),
        ["they differ from byte 65,537 on: 0x78 in the log, 0xff in the copy"]
    );
}

#[test]
fn a_byte_too_few_or_too_many_is_different() {
    let short = sides(&[("messages", b"abc")], &[("messages", b"ab")]);
    assert_eq!(
        short.differences(),
        ["they differ from byte 2 on: 0x63 in the log, the copy ends"]
    );
    let long = sides(&[("messages", b"")], &[("messages", b"a")]);
    assert_eq!(
        long.differences(),
        ["they differ from byte 0 on: the log ends, 0x61 in the copy"]
    );
}

#[test]
fn the_right_bytes_in_the_wrong_generation_are_different() {
    let sides = sides(
        &[("messages.1", b"ab"), ("messages", b"c")],
        &[(STAMP, b"a"), ("messages", b"bc")],
    );
    assert_eq!(sides.differences().len(), 2);
}

#[test]
fn a_generation_too_many_on_either_side_is_different() {
    let lost = sides(
        &[("messages.1", b"a"), ("messages", b"b")],
        &[("messages", b"a")],
    );
    assert_eq!(lost.differences(), ["the copy of it is missing"]);
    // What a collector that lost its pointer would leave: the same bytes fetched a second time.
    let twice = sides(&[("messages", b"a")], &[(STAMP, b"a"), ("messages", b"a")]);
    assert_eq!(
        twice.differences(),
        ["there is no such generation of the log"]
    );
    let aside = sides(
        &[("messages", b"a")],
        &[("messages.rescued.20261122132956", b""), ("messages", b"a")],
    );
    assert_eq!(aside.differences().len(), 2);
}

#[test]
fn nothing_at_all_is_not_identical() {
    assert!(!are_identical(&sides(&[], &[]).compare()));
}

#[test]
fn generations_come_oldest_first() {
    let log = [
        "messages",
        "messages.1",
        "messages.10",
        "messages.2",
        "messages-old",
        "other",
    ];
    let copy = [
        "messages",
        LATER,
        &format!("{STAMP}.10"),
        &format!("{STAMP}.2"),
        STAMP,
        "messages.rescued.20261122132956",
    ];
    let sides = sides(
        &log.map(|name| (name, b"".as_slice())),
        &copy.map(|name| (name, b"".as_slice())),
    );
    assert_eq!(
        names(&sides.of("log", Naming::Numbered)),
        [
            "log/messages-old",
            "log/messages.10",
            "log/messages.2",
            "log/messages.1",
            "log/messages"
        ]
    );
    assert_eq!(
        names(&sides.of("copy", Naming::Stamped)),
        [
            "copy/messages.rescued.20261122132956",
            "copy/messages.20261122132956",
            "copy/messages.20261122132956.2",
            "copy/messages.20261122132956.10",
            "copy/messages.20261122132957",
            "copy/messages"
        ]
    );
}

#[test]
fn only_the_bytes_that_count_are_compared() {
    let sides = sides(&[("messages", b"abcX")], &[("messages", b"abcY")]);
    let prefix = |dir, naming| {
        let mut all = sides.of(dir, naming);
        all[0].bytes = 3;
        all
    };
    let (log, copy) = (
        prefix("log", Naming::Numbered),
        prefix("copy", Naming::Stamped),
    );
    assert!(are_identical(&compare(log, copy, &mut || Ok(())).unwrap()));
    assert_eq!(sides.differences().len(), 1);
}

#[test]
fn a_stop_ends_the_comparison() {
    let sides = sides(&[("messages", b"a")], &[("messages", b"a")]);
    let (log, copy) = (
        sides.of("log", Naming::Numbered),
        sides.of("copy", Naming::Stamped),
    );
    let stopped = compare(log, copy, &mut || Err(Failure::Stopped));
    assert!(matches!(stopped, Err(Failure::Stopped)));
}
