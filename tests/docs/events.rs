//! Every text of an event, an error or a verdict has its place in a manual page.

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

/// The same of the server, and of the helper of net-snmp.
const OF_THE_SERVER: [(&str, &str, &str); 4] = [
    (
        "src/serve/find/refusal.rs",
        "impl fmt::Display for Refusal",
        "Refusal::Later",
    ),
    (
        "src/serve/find/left_out.rs",
        "impl fmt::Display for LeftOut",
        "_ =>",
    ),
    (
        "src/serve/shell/admission.rs",
        "TurnedAway::NotAllowed =>",
        "}",
    ),
    (
        "src/sys/trusted/mod.rs",
        "impl fmt::Display",
        "#[cfg(test)]",
    ),
];
const OF_THE_HELPER: [(&str, &str, &str); 1] =
    [("src/snmp/status.rs", "is stale\"))", "fn age_ms")];

#[test]
fn every_text_of_an_event_has_its_place() {
    let parts = OTHERS.iter().map(|(file, range)| {
        let (from, to) = range.split_once('|').unwrap();
        (*file, from, to)
    });
    let count = compare("fetch_logs.8", SOURCES.into_iter().chain(parts));
    assert!(count > 100, "the texts were not found: {count}");
}

#[test]
fn every_message_about_a_client_or_a_log_has_its_place() {
    let count = compare("gen_numbers.8", OF_THE_SERVER.into_iter());
    assert!(count > 15, "the texts were not found: {count}");
}

#[test]
fn every_value_of_snmp_has_its_place() {
    let count = compare("snmp_from_file.8", OF_THE_HELPER.into_iter());
    assert!(count > 3, "the texts were not found: {count}");
}

/// Sees that a page has all the texts, and tells how many there are.
fn compare<'a>(name: &str, parts: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> usize {
    let page = page(name);
    let mut count = 0;
    let mut missing = Vec::new();
    for (file, from, to) in parts {
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
    assert!(missing.is_empty(), "{name} lacks: {missing:#?}");
    count
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
