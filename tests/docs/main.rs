//! What the papers name exists, what others build on is in them, and they can be read.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod events;
mod examples;
mod limits;
mod links;
mod sentences;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};

const README: &str = include_str!("../../README.md");
const SOURCES: &str = include_str!("../../src/README.md");
const TESTS: &str = include_str!("../../tests/README.md");
const PROTOCOL: &str = include_str!("../../src/wire/PROTOCOL.md");
const SERVER: &str = include_str!("../../conf/man/gen_numbers.8");
const COLLECTOR: &str = include_str!("../../conf/man/fetch_logs.8");

/// What tells a row of the table of situations from other lines.
const COLUMNS: usize = 5;

#[test]
fn every_situation_has_tests_and_they_exist() {
    let mut sources = String::new();
    for dir in ["src", "tests"] {
        read_all(&root().join(dir), &mut sources);
    }
    let mut rows = 0;
    for row in section(TESTS, "## Situations")
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
    let src = root().join("src");
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
fn every_field_of_version_2_is_described() {
    let sources = [
        include_str!("../../src/wire/request.rs"),
        include_str!("../../src/wire/reply.rs"),
    ];
    let text = section(PROTOCOL, "## Version 2");
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
    let text = section(PROTOCOL, "## Version 2");
    let source = include_str!("../../src/wire/frame/mod.rs");
    let kinds: Vec<(&str, &str)> = source
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("pub const ")?
                .split_once(": u8 = ")
        })
        .filter(|(name, _)| *name != "OPTIONAL")
        .collect();
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    for (name, number) in kinds {
        let number = number.trim_end_matches(';');
        assert!(text.contains(&format!("\n| {number} {name} |")), "{name}");
    }
}

/// The longest that the sentences of a paper may be: half of them, and all.
const MEDIAN_MAX: usize = 16;
const LONGEST_MAX: usize = 45;

#[test]
fn every_paper_speaks_in_short_sentences() {
    let mut long = Vec::new();
    println!("| paper | lines | words | sentences | median | longest |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, text) in papers() {
        let mut sentences = match name.ends_with(".md") {
            true => sentences::of_markdown(&text),
            false => sentences::of_manual(&text),
        };
        assert!(!sentences.is_empty(), "{name} has no sentences");
        sentences.sort_by_key(Vec::len);
        let median = sentences[sentences.len() / 2].len();
        let longest = sentences[sentences.len() - 1].len();
        println!(
            "| {name} | {} | {} | {} | {median} | {longest} |",
            text.lines().count(),
            text.split_whitespace().count(),
            sentences.len()
        );
        if median > MEDIAN_MAX {
            long.push(format!("{name}: the median is {median}"));
        }
        for words in sentences.iter().filter(|words| words.len() > LONGEST_MAX) {
            long.push(format!(
                "{name}: {} words: {}",
                words.len(),
                words.join(" ")
            ));
        }
    }
    assert!(long.is_empty(), "too long:\n{}", long.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every paper, by its path within the repository.
fn papers() -> Vec<(String, String)> {
    let root = root();
    let mut paths: Vec<PathBuf> = Vec::new();
    find_papers(root, &mut paths);
    paths.sort();
    let papers: Vec<(String, String)> = paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(papers.len() > 8, "the papers were not found");
    papers
}

/// Papers are what is written in Markdown, and the manual pages.
fn find_papers(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            find_papers(&path, paths);
        } else if name.ends_with(".md")
            || path.parent().is_some_and(|dir| dir.ends_with("conf/man"))
        {
            paths.push(path);
        }
    }
}

/// The most lines of the paper that everybody sees first.
const README_LINES_MAX: usize = 200;

#[test]
fn the_readme_is_short() {
    let count = README.lines().count();
    assert!(count <= README_LINES_MAX, "README.md has {count} lines");
}

/// "Log server" may be the box or the program: only the program is a server.
#[test]
fn the_machine_with_the_logs_is_the_box() {
    for (name, text) in papers() {
        let text = text
            .to_lowercase()
            .replace("what answered is not a log server", "");
        assert!(!text.contains("log server"), "{name} says \"log server\"");
    }
}

/// Everything of a paper below a heading up to the next of its rank.
fn section(paper: &'static str, heading: &str) -> &'static str {
    let (_, rest) = paper.split_once(&format!("\n{heading}\n")).unwrap();
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
