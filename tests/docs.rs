//! What the README names exists, and what others build on is in it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::Path;

use fetchlogs::limits;
use fetchlogs::wire::{frame, proof};

const README: &str = include_str!("../README.md");
const SOURCES: &str = include_str!("../src/README.md");

/// What tells a row of the table of situations from other lines.
const COLUMNS: usize = 5;

#[test]
fn every_situation_has_tests_and_they_exist() {
    let mut sources = String::new();
    for dir in ["src", "tests"] {
        read_all(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(dir),
            &mut sources,
        );
    }
    let mut rows = 0;
    for row in section("## Situations")
        .lines()
        .filter_map(row_of_situations)
        .skip(2)
    {
        let names: Vec<&str> = in_backquotes(row[COLUMNS - 1]).collect();
        assert!(!names.is_empty(), "no test: {}", row[0]);
        for name in names {
            let is_there = sources.contains(&format!("fn {name}("));
            assert!(is_there, "there is no test {name}: {}", row[0]);
        }
        rows += 1;
    }
    assert!(rows > 15, "the table of situations was not found");
}

#[test]
fn every_place_where_something_is_to_be_changed_exists() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (_, table) = SOURCES.split_once("| to change | look in |").unwrap();
    let rows = table.lines().take_while(|line| !line.starts_with('#'));
    let mut count = 0;
    for row in rows.filter_map(cells).skip(1) {
        let places: Vec<&str> = in_backquotes(row[1])
            .filter(|place| place.contains(['/', '.']) || src.join(place).is_dir())
            .collect();
        assert!(!places.is_empty(), "no place: {}", row[0]);
        for place in places {
            assert!(src.join(place).exists(), "there is no {place}: {}", row[0]);
            count += 1;
        }
    }
    assert!(count > 30, "the table of places was not found");
}

#[test]
fn no_word_has_two_meanings() {
    let (_, table) = SOURCES.split_once("| word | meaning |").unwrap();
    let mut words = std::collections::BTreeSet::new();
    for row in table.lines().filter_map(cells).skip(1) {
        for word in row[0].split(", ") {
            assert!(words.insert(word), "{word} stands there twice");
        }
    }
    assert!(words.len() >= 25, "the table of words was not found");
}

#[test]
fn every_link_within_leads_to_a_heading() {
    let anchors: Vec<String> = headings().map(anchor).collect();
    let links = README.split("](#").skip(1);
    let links: Vec<&str> = links.filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 5, "the links were not found");
    for link in links {
        assert!(anchors.iter().any(|anchor| anchor == link), "#{link}");
    }
}

#[test]
fn every_field_of_version_2_is_described() {
    let sources = [
        include_str!("../src/wire/request.rs"),
        include_str!("../src/wire/reply.rs"),
    ];
    let text = section("## Protocol, version 2");
    let arms = sources.iter().flat_map(|source| source.lines());
    let keys: Vec<&str> = arms
        .filter_map(|line| line.trim().strip_prefix("b\"")?.split_once("\" => "))
        .filter(|(_, what)| what.starts_with("self.") || what.starts_with("terms."))
        .map(|(key, _)| key)
        .collect();
    assert!(keys.len() > 10, "the fields were not found: {keys:?}");
    for key in keys {
        assert!(text.contains(&format!("| `{key}=")), "the field {key}");
    }
}

#[test]
fn every_kind_of_frame_is_described() {
    let text = section("## Protocol, version 2");
    let source = include_str!("../src/wire/frame/mod.rs");
    let kinds: Vec<(&str, &str)> = source
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("pub const ")?
                .split_once(": u8 = ")
        })
        .filter(|(name, _)| *name != "OPTIONAL")
        .collect();
    assert_eq!(kinds.len(), 10, "{kinds:?}");
    for (name, number) in kinds {
        let number = number.trim_end_matches(';');
        assert!(text.contains(&format!("\n| {number} {name} |")), "{name}");
    }
}

#[test]
fn the_limits_of_version_2_are_the_ones_in_force() {
    let data_max = frame::PAYLOAD_MAX - frame::DATA_OFFSET_LEN;
    let sums_max = 16 + 4 * frame::SUMS_MAX;
    for row in [
        format!(
            "| blocks in a proof; bytes of one | {}; {} |",
            proof::BLOCKS_MAX,
            proof::BLOCK_LEN_MAX
        ),
        format!(
            "| file bytes in a DATA frame; bytes of other frames, of SUMS | {data_max}; {}, {sums_max} | connection \
             given up. Our server sends at most {} |",
            frame::SMALL_MAX,
            frame::DATA_MAX
        ),
        format!(
            "| generations over one connection in {} s | {} |",
            limits::GENERATIONS_PERIOD_MS / 1_000,
            limits::GENERATIONS_PER_PERIOD_MAX
        ),
        format!(
            "| generations, notes and connections of one source in one go; one each, then; in hours; one each, then | \
             {}; {} ms; {}; {} s | they wait, and what comes behind them; other sources do not |",
            limits::PACE_BURST,
            limits::PACE_MS,
            limits::PACE_LASTING,
            limits::PACE_LASTING_MS / 1_000
        ),
        format!(
            "| finished copies that wait to be verified, for one source | {} |",
            limits::CHECKS_WAITING_MAX
        ),
        format!(
            "| attempts to heal a copy; block that is looked at by itself | {}; {} bytes |",
            limits::HEAL_ATTEMPTS_MAX,
            limits::HEAL_BLOCK_LEN
        ),
    ] {
        assert!(section("## Limits").contains(&row), "{row}");
    }
}

/// Everything below a heading up to the next of its rank.
fn section(heading: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("\n{heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The cells of a row of the table of situations.
fn row_of_situations(line: &str) -> Option<Vec<&str>> {
    cells(line).filter(|cells| cells.len() == COLUMNS)
}

/// The cells of a row of any table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").collect())
}

fn in_backquotes(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn headings() -> impl Iterator<Item = &'static str> {
    let is_heading =
        |line: &&str| line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
    README.lines().filter(is_heading)
}

/// The anchor that readers of Markdown give a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn read_all(dir: &Path, sources: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
