//! Every text of an event, an error, a message or a verdict has its place in a manual page.

use std::fs;
use std::path::Path;

use super::{root, texts};

/// What has which pages, the first that fits. What both daemons can say is in the pages of both.
const PAGES: [(&str, &[&str]); 13] = [
    ("src/applets/fetch_logs/", &["fetch_logs.8"]),
    ("src/applets/gen_numbers.rs", &["gen_numbers.8"]),
    ("src/applets/keys.rs", &["fetchlogs.7"]),
    ("src/applets/snmp_from_file.rs", &["snmp_from_file.8"]),
    ("src/collect/", &["fetch_logs.8"]),
    ("src/reactor/connection/sealed.rs", &["fetch_logs.8"]),
    ("src/serve/", &["gen_numbers.8"]),
    ("src/snmp/", &["snmp_from_file.8"]),
    ("src/store/real/", &["fetch_logs.8"]),
    // Only the collector has a socket with a name.
    ("src/sys/local_socket.rs", &["fetch_logs.8"]),
    ("src/wire/request.rs", &["gen_numbers.8"]),
    ("src/wire/", &["fetch_logs.8"]),
    ("src/", &["fetch_logs.8", "gen_numbers.8"]),
];

/// Files whose texts no page repeats.
const WITHOUT: [(&str, &str); 12] = [
    ("src/applets/demo.rs", DEMO),
    ("src/applets/options.rs", USAGE),
    ("src/applets/seconds.rs", USAGE),
    ("src/collect/config/", FAULTS),
    ("src/collect/view/exchange/", HEADERS),
    ("src/collect/view/page/", HEADERS),
    ("src/demo/", DEMO),
    ("src/limits/", "numbers"),
    ("src/serve/config/allow.rs", FAULTS),
    ("src/serve/config/error.rs", FAULTS),
    ("src/serve/glob/", FAULTS),
    ("src/sys/cpu.rs", "what /proc/cpuinfo says"),
];
const DEMO: &str = "demo is not a daemon, and its usage tells all";
const USAGE: &str = "told above the usage";
const HEADERS: &str = "headers of HTTP, for programs";
const FAULTS: &str = "told with file, line and column, and with what to write instead";

/// Texts of other files that nobody is told.
const UNTOLD: [&str; 31] = [
    // Shown with the usage.
    "keeps live copies of log files on many servers",
    "serves log files to the hosts it allows",
    "shows the status files to net-snmp (pass_persist)",
    "makes a private key for sealed connections",
    "prints the public key that goes with a private one",
    "Every applet knows -h and -V. A link named like an applet runs it.",
    "option -j takes a number from 1 to",
    "cannot print:",
    "verify takes SNMP_DIR and CONF, and perhaps a box and one of its logs",
    // Not worth a line: clients come and go.
    "the client went away",
    "the file was rotated",
    "the file was truncated",
    "it was answered",
    "it is still being looked for",
    // Only for other parts of the program. A pointer file that is empty is as none.
    "the pointer file is empty; write the remote inode of the local copy into it, or remove it to set the local copy aside and begin anew",
    "the answer is not that of a log server",
    "this process catches signals already",
    // What fetch_logs says to itself through the control socket.
    "GET /status.tsv HTTP/1.0",
    "POST /ack HTTP/1.0\r\nContent-Length:",
    // Names of HTTP, by numbers that the page has with the reasons.
    "Bad Request",
    "Not Found",
    "Method Not Allowed",
    "Request Timeout",
    "Content Too Large",
    "Request Header Fields Too Large",
    "Service Unavailable",
    // Marks of the format of metrics, whose names and texts are in the page.
    "# HELP",
    "# TYPE",
    // The screen of status -w, as it is: the title of a column, and which key does what.
    "LAST BYTE",
    "sort: w worst n name b behind r rate l last, i invert; t troubles, j k move, q quit",
    "sort: w n b r l, i invert; t troubles, j k move, q quit",
];

/// Texts of code that both daemons have, of which one has no use.
const UNUSED: [(&str, &str); 9] = [
    ("fetch_logs.8", "other clients"),
    ("fetch_logs.8", ": one more line was left out"),
    ("fetch_logs.8", "more lines were left out"),
    // Of a sealed connection each side says what is wrong with the other.
    (
        "fetch_logs.8",
        "speaks without a key, and $require_key is set",
    ),
    (
        "fetch_logs.8",
        "does not know the public key of this server",
    ),
    ("fetch_logs.8", "sent a handshake that is not right"),
    ("fetch_logs.8", "has a key that is not in %keys_allow"),
    (
        "gen_numbers.8",
        "the server does not have the private key that belongs to key=",
    ),
    ("gen_numbers.8", "key= is no key that anybody could have"),
];

/// A text that is not looked for is one that nobody finds in the pages. So everything is looked at
/// that is not named above.
#[test]
fn every_text_that_a_program_says_has_its_place() {
    let mut count = 0;
    let mut missing = Vec::new();
    let mut untold = UNTOLD.to_vec();
    for file in source_files() {
        if WITHOUT.iter().any(|(begin, _)| file.starts_with(begin)) {
            continue;
        }
        let source = fs::read_to_string(root().join(&file)).unwrap();
        let (_, names) = PAGES
            .iter()
            .find(|(begin, _)| file.starts_with(begin))
            .unwrap();
        let said = texts::of(&source)
            .into_iter()
            .filter(|text| !text.starts_with("usage: "));
        for piece in said.flat_map(|text| pieces(&text)) {
            if UNTOLD.contains(&&*piece) {
                untold.retain(|text| *text != piece);
                continue;
            }
            count += 1;
            let lacks =
                |name: &str| !UNUSED.contains(&(name, &*piece)) && !page(name).contains(&piece);
            for name in names.iter().filter(|name| lacks(name)) {
                missing.push(format!("{name} lacks what {file} says: {piece}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(untold.is_empty(), "nobody says {untold:?}");
    assert!(count > 250, "the texts were not found: {count}");
    for (begin, _) in WITHOUT {
        assert!(root().join(begin).exists(), "there is no {begin}");
    }
}

/// Names of metrics are programmed against, as words of events are.
#[test]
fn every_word_for_programs_has_its_place() {
    let text = fs::read_to_string(root().join("conf/man/fetch_logs.8")).unwrap();
    let items: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(".It Li "))
        .flat_map(|line| line.split(" , "))
        .collect();
    let kinds = ["gauge", "counter"];
    for (file, prefix, least) in [("metrics", "fetchlogs_", 18), ("events", "", 20)] {
        let source = root().join(format!("src/collect/view/{file}.rs"));
        let mut names = texts::of(&fs::read_to_string(source).unwrap());
        names.retain(|name| name.bytes().all(|c| c == b'_' || c.is_ascii_lowercase()));
        names.retain(|name| name != prefix && !kinds.contains(&&**name));
        assert!(names.len() >= least, "the names were not found: {names:?}");
        for name in names {
            let name = format!("{prefix}{name}");
            assert!(items.contains(&&*name), "fetch_logs.8 lacks {name}");
        }
    }
}

/// The program's own sources without those of its tests, by their paths within the repository.
fn source_files() -> Vec<String> {
    let mut paths = Vec::new();
    find_sources(&root().join("src"), &mut paths);
    paths.sort();
    paths
}

fn find_sources(dir: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if matches!(&*name, "tests" | "testing") {
            continue;
        }
        if path.is_dir() {
            find_sources(&path, paths);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let path = path.strip_prefix(root()).unwrap();
            paths.push(path.display().to_string());
        }
    }
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
    pieces.filter(|piece| is_said(piece)).collect()
}

/// Whether it says something to a person: not a path, a field of a line, or a mark.
fn is_said(piece: &str) -> bool {
    let marks = |c| matches!(c, ',' | ';' | ':' | '.' | '(' | ')');
    let mut words = piece
        .split_whitespace()
        .map(|word| word.trim_matches(marks));
    let is_word = |word: &str| word.len() > 2 && word.bytes().all(|c| c.is_ascii_alphabetic());
    (piece.contains(' ') || piece.len() > 7) && words.any(is_word)
}

#[test]
fn pieces_are_what_stands_between_values() {
    assert_eq!(
        pieces("lost {}:{from}, at least {} bytes: they were"),
        [", at least", "bytes: they were"]
    );
}
