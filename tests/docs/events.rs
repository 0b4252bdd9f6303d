//! Every text of an event, an error or a verdict has its place in fetch_logs(8).

use std::fs;

use super::root;

/// Where the texts are made, from which line on, and up to which.
const SOURCES: [(&str, &str, &str); 9] = [
    (
        "src/collect/event.rs",
        "impl fmt::Display for Event<'_>",
        "",
    ),
    ("src/collect/copy/loss.rs", "impl fmt::Display", ""),
    (
        "src/collect/copy/left_out.rs",
        "impl fmt::Display",
        "#[cfg(test)]",
    ),
    (
        "src/collect/error.rs",
        "impl fmt::Display for ProtocolError",
        "/// What there is too",
    ),
    (
        "src/collect/error.rs",
        "impl fmt::Display for Shortage",
        "/// A number of bytes",
    ),
    (
        "src/collect/error.rs",
        "impl fmt::Display for SourceError",
        "#[cfg(test)]",
    ),
    (
        "src/collect/copy/error.rs",
        "impl fmt::Display for Found",
        "/// An error for",
    ),
    (
        "src/collect/copy/error.rs",
        "impl fmt::Display for FileError",
        "impl FileError",
    ),
    (
        "src/collect/verify/verdict.rs",
        "impl fmt::Display for Verdict",
        "",
    ),
];

/// The others, text by text: those of frames, pointers and digests.
const OTHERS: [(&str, &str); 3] = [
    (
        "src/wire/frame/mod.rs",
        "impl std::fmt::Display for BadFrame|\n}\n",
    ),
    (
        "src/collect/copy/pointer/mod.rs",
        "PointerError::BadCrc => {|\n}\n",
    ),
    (
        "src/collect/source/digest.rs",
        "pub(super) const GONE|/// Takes bytes",
    ),
];

#[test]
fn every_text_of_an_event_has_its_place() {
    let page = page("fetch_logs.8");
    let mut count = 0;
    let mut missing = Vec::new();
    let parts = OTHERS.iter().map(|(file, range)| {
        let (from, to) = range.split_once('|').unwrap();
        (*file, from, to)
    });
    for (file, from, to) in SOURCES.into_iter().chain(parts) {
        let source = fs::read_to_string(root().join(file)).unwrap();
        let (_, part) = source
            .split_once(from)
            .unwrap_or_else(|| panic!("{file} has no {from}"));
        let part = match to {
            "" => part,
            _ => part.split(to).next().unwrap(),
        };
        for piece in literals(part).iter().flat_map(|text| pieces(text)) {
            count += 1;
            if !page.contains(&piece) {
                missing.push(format!("{file}: {piece}"));
            }
        }
    }
    assert!(count > 100, "the texts were not found: {count}");
    assert!(missing.is_empty(), "fetch_logs.8 lacks: {missing:#?}");
}

/// The text of a manual page without its macros.
fn page(name: &str) -> String {
    let text = fs::read_to_string(root().join("conf/man").join(name)).unwrap();
    let lines = text.lines().map(|line| {
        let line = match line.strip_prefix('.') {
            Some(request) => request.split_once(' ').map_or("", |(_, rest)| rest),
            None => line,
        };
        line.replace("\\(dq", "\"").replace("\\&", "")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The string literals of a piece of source, comments left out.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    // A backslash at the end of a line goes on behind the blanks of the next one.
    let mut joined = String::new();
    let mut rest = code.as_str();
    while let Some((before, behind)) = rest.split_once("\\\n") {
        joined.push_str(before);
        rest = behind.trim_start();
    }
    joined.push_str(rest);
    for (at, part) in joined.split('"').enumerate() {
        if at % 2 == 1 {
            found.push(part.to_owned());
        }
    }
    found
}

/// What stands between the places for values, as far as it says something.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '{' => {
                depth += 1;
                pieces.push(String::new());
            }
            '}' => depth -= 1,
            _ if depth == 0 => pieces.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    let pieces = pieces.iter().map(|piece| piece.trim().to_owned());
    pieces
        .filter(|piece| piece.contains(' ') || piece.len() > 7)
        .collect()
}

#[test]
fn pieces_are_what_stands_between_values() {
    assert_eq!(
        pieces("lost {}:{from}, at least {} bytes: they were"),
        [", at least", "bytes: they were"]
    );
    assert_eq!(
        literals("f(\"one \\\n   two\") // \n\"three\""),
        ["one two", "three"]
    );
}
