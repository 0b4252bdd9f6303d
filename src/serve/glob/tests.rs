use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::*;
use crate::ids::{FileId, Inode};
use crate::limits::{GLOB_ENTRIES_MAX, GLOB_PATH_MAX_LEN, GLOB_WAITING_LEN};
use crate::store::{Kind, Names, ReadStore, Stat, Writers};

// One component.

#[test]
fn a_component_takes_the_names_it_should() {
    for (pattern, name) in [
        ("", ""),
        ("messages", "messages"),
        ("*", ""),
        ("*", "messages"),
        ("**", "a"),
        // The glob of fetchlogs(7) for logrotate: the star may take nothing.
        ("messages.*[0-9]", "messages.1"),
        ("messages.*[0-9]", "messages.old.12"),
        ("?", "a"),
        ("a?c", "abc"),
        ("*.gz", "a.b.gz"),
        ("a*b*c", "aXbYbZc"),
        ("*a*a*a", "aaa"),
        ("[abc]", "b"),
        ("[a-c]", "b"),
        ("[!a-c]", "d"),
        ("[^a-c]", "d"),
        ("[a-]", "-"),
        ("[-a]", "-"),
        // POSIX: right behind the opening a closing bracket is a member.
        ("[]]", "]"),
        ("[]a]", "a"),
        ("[!]]", "a"),
        ("[a!]", "!"),
        ("[\\]]", "]"),
        ("[a\\-c]", "-"),
        ("[*]", "*"),
        ("[a-cx-z]", "y"),
        ("\\*", "*"),
        ("\\a", "a"),
        ("\\\\", "\\"),
        // What is not closed or protects nothing stands for itself.
        ("a\\", "a\\"),
        ("[abc", "[abc"),
        ("a[", "a["),
        ("{a,b}", "{a,b}"),
        (".*", ".hidden"),
        ("\\.h*", ".hidden"),
        (".", "."),
        ("a.*", "a..b"),
        ("m-????????", "m-20261122"),
        ("@*.[su]", "@4000000063.s"),
    ] {
        assert!(
            matches(pattern.as_bytes(), name.as_bytes()),
            "{pattern} {name}"
        );
    }
}

#[test]
fn a_component_leaves_the_names_it_should() {
    for (pattern, name) in [
        ("", "a"),
        ("messages", "message"),
        ("messages", "messages2"),
        ("messages.*[0-9]", "messages."),
        ("messages.*[0-9]", "messages.1.gz"),
        ("messages.*[0-9]", "messages"),
        ("?", ""),
        ("?", "ab"),
        ("[a-c]", "d"),
        ("[a-c]", ""),
        ("[!a-c]", "b"),
        ("[^a-c]", "b"),
        ("[c-a]", "b"),
        ("[a\\-c]", "b"),
        ("[!]]", "]"),
        ("\\*", "a"),
        ("\\[a]", "a"),
        // A leading dot has to be asked for.
        ("*", ".hidden"),
        ("?hidden", ".hidden"),
        ("[.]hidden", ".hidden"),
        ("[!a]hidden", ".hidden"),
        ("*.x", ".x"),
        // Names are bytes, and a slash is never part of one.
        ("M", "m"),
        ("*", "a/b"),
        ("a?b", "a/b"),
        ("a[/]b", "a/b"),
        ("a[!x]b", "a/b"),
    ] {
        assert!(
            !matches(pattern.as_bytes(), name.as_bytes()),
            "{pattern} {name}"
        );
    }
}

#[test]
fn bytes_are_bytes() {
    assert!(matches(b"caf?", b"caf\xe9"));
    assert!(!matches(b"caf?", "caf\u{e9}".as_bytes()));
    assert!(matches(b"[\x80-\xff]*", b"\xc3\xa9"));
}

#[test]
fn many_stars_take_no_more_than_the_product_of_the_lengths() {
    // A matcher that tries every star anew would not end in this century.
    let pattern = format!("{}b", "*a".repeat(500));
    let name = "a".repeat(10_000);
    assert!(!matches(pattern.as_bytes(), name.as_bytes()));
    assert!(matches(pattern.as_bytes(), format!("{name}b").as_bytes()));
}

/// The same in the plainest way: try everything a star can take.
fn plain_matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        (['*', rest @ ..], name) => {
            (0..=name.len()).any(|taken| plain_matches(rest, &name[taken..]))
        }
        (_, []) => false,
        (['?', rest @ ..], [_, name @ ..]) => plain_matches(rest, name),
        (['[', '!', low, '-', high, ']', rest @ ..], [c, name @ ..]) => {
            !(low..=high).contains(&c) && plain_matches(rest, name)
        }
        (['[', low, '-', high, ']', rest @ ..], [c, name @ ..]) => {
            (low..=high).contains(&c) && plain_matches(rest, name)
        }
        (['\\', c, rest @ ..], [d, name @ ..]) => c == d && plain_matches(rest, name),
        ([c, rest @ ..], [d, name @ ..]) => c == d && plain_matches(rest, name),
    }
}

#[test]
fn random_components_match_as_the_plain_matcher_says() {
    const PIECES: [&str; 12] = [
        "a", "b", "a", "b", "*", "*", "?", "[a-b]", "[!a-a]", "[b-c]", "\\*", "\\a",
    ];
    let (mut hits, mut misses) = (0, 0);
    arbtest::arbtest(|u| {
        let mut pattern = String::new();
        for _ in 0..u.int_in_range(0..=9)? {
            pattern.push_str(u.choose(&PIECES)?);
        }
        let mut name = String::new();
        for _ in 0..u.int_in_range(0..=9)? {
            name.push(*u.choose(&['a', 'b', 'b', 'c', '*'])?);
        }
        let chars = |text: &str| text.chars().collect::<Vec<char>>();
        let expected = plain_matches(&chars(&pattern), &chars(&name));
        assert_eq!(
            matches(pattern.as_bytes(), name.as_bytes()),
            expected,
            "{pattern} {name}"
        );
        *if expected { &mut hits } else { &mut misses } += 1;
        Ok(())
    })
    .budget_ms(100);
    assert!(
        hits > 0 && misses > 0,
        "{hits} hits and {misses} misses are no mix"
    );
}

#[test]
fn random_bytes_never_panic() {
    arbtest::arbtest(|u| {
        let (pattern, name): (Vec<u8>, Vec<u8>) = u.arbitrary()?;
        let _ = matches(&pattern, &name);
        let _ = Patterns::parse(&pattern);
        Ok(())
    })
    .budget_ms(100);
}

#[test]
fn random_pieces_never_panic_and_stay_absolute() {
    const PIECES: [&str; 16] = [
        "/", "/", "/a", " ", "{", "{", "}", "}", ",", "[", "]", "!", "*", "\\", "'", "\"",
    ];
    arbtest::arbtest(|u| {
        let mut text = String::from("/");
        for _ in 0..u.int_in_range(0..=30)? {
            text.push_str(u.choose(&PIECES)?);
        }
        if let Ok(patterns) = Patterns::parse(text.as_bytes()) {
            assert!(
                (1..=GLOB_PATTERNS_MAX).contains(&patterns.list().len()),
                "{text}"
            );
            assert!(
                patterns
                    .list()
                    .iter()
                    .all(|pattern| !pattern.steps.is_empty()),
                "{text}"
            );
        }
        Ok(())
    })
    .budget_ms(100);
}

// The text taken apart.

/// The patterns of a text, written out: literal steps as they are, wild ones in angle brackets.
fn expanded(text: &str) -> Vec<String> {
    let patterns =
        Patterns::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let show = |step: &Step| match step {
        Step::Literal(name) => format!("/{}", name.escape_ascii()),
        Step::Wild(name) => format!("/<{}>", name.escape_ascii()),
    };
    patterns
        .list()
        .iter()
        .map(|pattern| pattern.steps.iter().map(show).collect())
        .collect()
}

#[test]
fn blanks_separate_and_quotes_join() {
    for (text, patterns) in [
        ("", &[][..]),
        (" \t\n", &[]),
        ("/a", &["/a"]),
        ("  /a\t/b\n /c\r/d\x0b/e ", &["/a", "/b", "/c", "/d", "/e"]),
        ("'/a b'", &["/a b"]),
        ("\"/a b\" /c", &["/a b", "/c"]),
        ("/a' 'b", &["/a b"]),
        ("'/it\"s'", &["/it\\\"s"]),
        ("/a\\ b", &["/a b"]),
        ("/a\\'b", &["/a\\'b"]),
        ("'/a b*'", &["/<a b*>"]),
        ("/a''b", &["/ab"]),
    ] {
        assert_eq!(expanded(text), patterns, "{text}");
    }
    assert!(Patterns::parse(b" ").unwrap().is_empty());
    assert!(Patterns::default().is_empty());
    assert!(!Patterns::parse(b"/a").unwrap().is_empty());
}

#[test]
fn braces_expand_in_order() {
    for (text, patterns) in [
        ("/a{b,c}d", &["/abd", "/acd"][..]),
        ("/{a,b}{1,2}", &["/a1", "/a2", "/b1", "/b2"]),
        ("/{a,b{1,2}}.x", &["/a.x", "/b1.x", "/b2.x"]),
        ("/{a/x,b/y*}/z", &["/a/x/z", "/b/<y*>/z"]),
        ("{/a,/b}/c /d", &["/a/c", "/b/c", "/d"]),
        ("/a{,.1,.2}", &["/a", "/a.1", "/a.2"]),
        ("/a{b}c", &["/abc"]),
        ("/a{}b", &["/ab"]),
        ("/a}b,c", &["/a}b,c"]),
        ("/a\\{b,c\\}", &["/a{b,c}"]),
        ("/a{b\\,c,d}", &["/ab,c", "/ad"]),
        ("/a{[,x]b,c}", &["/<a[,x]b>", "/ac"]),
        ("/a[{]b", &["/<a[{]b>"]),
        ("/a{'b c',d}", &["/ab c", "/ad"]),
    ] {
        assert_eq!(expanded(text), patterns, "{text}");
    }
}

#[test]
fn components_are_split_and_plain_neighbours_joined() {
    for (text, pattern) in [
        ("/var/log/messages.*", "/var/log/<messages.*>"),
        ("/var/*/log/x", "/var/<*>/log/x"),
        ("//var///log//x", "/var/log/x"),
        ("/a\\/b*", "/a/<b*>"),
        ("/a[\\/]b", "/<a[\\\\/]b>"),
        ("/a\\*b", "/a*b"),
        ("/a\\[b", "/a[b"),
        ("/a\\", "/a\\\\"),
        ("/*/?/[a]", "/<*>/<?>/<[a]>"),
        ("/./a/../b", "/./a/../b"),
    ] {
        assert_eq!(expanded(text), [pattern], "{text}");
    }
}

#[test]
fn what_is_no_pattern_is_named() {
    for (text, error) in [
        ("a.*", PatternError::NotAbsolute),
        ("/a b", PatternError::NotAbsolute),
        ("~/a", PatternError::NotAbsolute),
        ("''", PatternError::NotAbsolute),
        ("{/a,b}", PatternError::NotAbsolute),
        ("/", PatternError::Directory),
        ("/var/log/", PatternError::Directory),
        ("/a{/,b}", PatternError::Directory),
        ("/a{b,c", PatternError::BraceOpen),
        ("/a{b,{c}", PatternError::BraceOpen),
        ("/a{b\\}", PatternError::BraceOpen),
        ("/a[0-9", PatternError::BracketOpen),
        ("/a[]", PatternError::BracketOpen),
        ("/a[b/c]", PatternError::BracketOpen),
        ("/a[b\\]", PatternError::BracketOpen),
        ("/it's", PatternError::QuoteOpen),
        ("'/a\\'", PatternError::QuoteOpen),
        ("\"/a'", PatternError::QuoteOpen),
        ("/a\0", PatternError::Nul),
    ] {
        assert_eq!(Patterns::parse(text.as_bytes()), Err(error), "{text}");
        assert!(error.to_string().len() > 20);
    }
}

#[test]
fn the_number_of_patterns_is_limited() {
    let parse = |text: &str| Patterns::parse(text.as_bytes()).map(|patterns| patterns.list().len());
    assert_eq!(
        parse("/{a,b}{c,d}{e,f}{g,h}{i,j}{k,l}"),
        Ok(GLOB_PATTERNS_MAX)
    );
    assert_eq!(
        parse("/{a,b}{c,d}{e,f}{g,h}{i,j}{k,l} /m"),
        Err(PatternError::TooMany)
    );
    assert_eq!(
        parse(&format!("/{}", "{a,b}".repeat(200))),
        Err(PatternError::TooMany)
    );
    assert_eq!(
        parse(&"/a ".repeat(GLOB_PATTERNS_MAX)),
        Ok(GLOB_PATTERNS_MAX)
    );
    assert_eq!(
        parse(&"/a ".repeat(GLOB_PATTERNS_MAX + 1)),
        Err(PatternError::TooMany)
    );
    assert!(PatternError::TooMany.to_string().contains("64"));
}

#[test]
fn the_length_of_the_text_is_limited() {
    let text = format!("/{}", "a".repeat(GLOB_TEXT_MAX_LEN - 1));
    assert!(Patterns::parse(text.as_bytes()).is_ok());
    assert_eq!(
        Patterns::parse(format!("{text}a").as_bytes()),
        Err(PatternError::TooLong)
    );
    let deep = format!("/{}a{}", "{".repeat(500), "}".repeat(500));
    assert_eq!(expanded(&deep), ["/a"]);
    assert!(PatternError::TooLong.to_string().contains("1024"));
}

// Through the directories.

/// Directories with their entries. An entry that is no directory itself is a file.
#[derive(Default)]
struct Tree {
    directories: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Paths that answer with an error, however they are asked.
    broken: BTreeMap<Vec<u8>, io::ErrorKind>,
    calls: RefCell<Vec<String>>,
}

impl Tree {
    fn of(files: &[&str]) -> Tree {
        let mut tree = Tree::default();
        files.iter().for_each(|file| tree.add(file.as_bytes()));
        tree
    }

    fn add(&mut self, path: &[u8]) {
        let slash = path.iter().rposition(|&byte| byte == b'/').unwrap();
        let (parent, name) = (&path[..slash], path[slash + 1..].to_vec());
        if !parent.is_empty() {
            self.add(parent);
        }
        let parent = if parent.is_empty() { b"/" } else { parent };
        let names = self.directories.entry(parent.to_vec()).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }

    fn check(&self, call: &str, path: &Path) -> io::Result<()> {
        self.calls
            .borrow_mut()
            .push(format!("{call} {}", path.display()));
        match self.broken.get(path.as_os_str().as_bytes()) {
            Some(kind) => Err((*kind).into()),
            None => Ok(()),
        }
    }

    fn exists(&self, path: &[u8]) -> bool {
        let child = |(dir, names): (&Vec<u8>, &Vec<Vec<u8>>)| {
            let dir = if dir == b"/" { &[] } else { dir.as_slice() };
            names.iter().any(|name| [dir, b"/", name].concat() == path)
        };
        self.directories.iter().any(child)
    }
}

impl ReadStore for Tree {
    type File = ();

    fn open(&self, _: &Path) -> io::Result<()> {
        unreachable!("a glob opens nothing")
    }

    fn stat(&self, (): &()) -> io::Result<Stat> {
        unreachable!("a glob opens nothing")
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        self.check("stat", path)?;
        if !self.exists(path.as_os_str().as_bytes()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let id = FileId {
            device: 1,
            inode: Inode(1),
        };
        Ok(Stat {
            id,
            size: 0,
            mtime_ns: 0,
            links: 1,
            kind: Kind::Regular,
        })
    }

    fn boot(&self) -> u32 {
        unreachable!("a glob opens nothing")
    }

    fn hole_end(&self, (): &(), _: u64) -> u64 {
        unreachable!("a glob opens nothing")
    }

    fn writers(&self, (): &()) -> Writers {
        unreachable!("a glob opens nothing")
    }

    fn read_at(&self, (): &(), _: &mut [u8], _: u64) -> io::Result<usize> {
        unreachable!("a glob reads nothing")
    }

    fn names(&self, dir: &Path) -> io::Result<Names> {
        self.check("list", dir)?;
        let path = dir.as_os_str().as_bytes();
        let Some(names) = self.directories.get(path) else {
            let is_file = self.exists(path);
            return Err(if is_file {
                io::ErrorKind::NotADirectory.into()
            } else {
                io::ErrorKind::NotFound.into()
            });
        };
        let names: Vec<_> = names
            .iter()
            .map(|name| OsString::from_vec(name.clone()))
            .collect();
        Ok(Box::new(names.into_iter().map(Ok)))
    }
}

/// What a glob finds, and how the walk ends.
fn walked(text: &str, tree: &mut Tree) -> (Vec<String>, io::Result<()>) {
    let mut walk = Walk::new(&Patterns::parse(text.as_bytes()).unwrap());
    let mut found = Vec::new();
    loop {
        match walk.advance(tree) {
            Progress::Found => found.push(walk.found().to_str().unwrap().to_owned()),
            Progress::On => {}
            Progress::Over => return (found, walk.end()),
        }
    }
}

fn found(text: &str, tree: &mut Tree) -> Vec<String> {
    let (found, end) = walked(text, tree);
    end.unwrap();
    found
}

fn logs() -> Tree {
    Tree::of(&[
        "/var/log/messages",
        "/var/log/messages.1",
        "/var/log/messages.2",
        "/var/log/messages.3.gz",
        "/var/log/.messages.9",
        "/var/log/old/messages.8",
        "/var/log/older/messages.7",
        "/var/log/older/deep/messages.6",
        "/var/run/pid",
    ])
}

#[test]
fn a_wild_name_is_found_in_its_directory() {
    let mut tree = logs();
    let rotated = found("/var/log/messages.*[0-9]", &mut tree);
    // What a rotator has compressed since is found, too.
    assert_eq!(
        rotated,
        [
            "/var/log/messages.1",
            "/var/log/messages.2",
            "/var/log/messages.3.gz"
        ]
    );
    assert_eq!(*tree.calls.borrow(), ["list /var/log"]);
    assert_eq!(found("/var/log/.m*", &mut tree), ["/var/log/.messages.9"]);
    assert_eq!(found("/*", &mut tree), ["/var"]);
    assert_eq!(found("/var/log/z*", &mut tree), [""; 0]);
}

#[test]
fn a_plain_pattern_is_found_if_it_is_there() {
    let mut tree = logs();
    assert_eq!(
        found("/var/log/messages.1", &mut tree),
        ["/var/log/messages.1"]
    );
    assert_eq!(
        found("/var/log/messages.3", &mut tree),
        ["/var/log/messages.3.gz"]
    );
    assert_eq!(found("/var/log/messages.5", &mut tree), [""; 0]);
    assert_eq!(
        *tree.calls.borrow(),
        [
            "stat /var/log/messages.1",
            "stat /var/log/messages.1.gz",
            "stat /var/log/messages.3",
            "stat /var/log/messages.3.gz",
            "stat /var/log/messages.5",
            "stat /var/log/messages.5.gz"
        ]
    );
    assert_eq!(found("", &mut tree), [""; 0]);
}

#[test]
fn wildcards_stand_for_directories_too() {
    let mut tree = logs();
    assert_eq!(
        found("/var/log/old*/messages.*", &mut tree),
        ["/var/log/old/messages.8", "/var/log/older/messages.7"]
    );
    assert_eq!(found("/var/*/pid", &mut tree), ["/var/run/pid"]);
    assert_eq!(
        found("/*/*/older/deep/m*", &mut tree),
        ["/var/log/older/deep/messages.6"]
    );
    assert_eq!(
        found("/*/*/*/messages.?", &mut tree),
        ["/var/log/old/messages.8", "/var/log/older/messages.7"]
    );
    assert_eq!(
        found("/var/log/*/*/*", &mut tree),
        ["/var/log/older/deep/messages.6"]
    );
}

#[test]
fn two_patterns_find_what_both_find_twice() {
    let mut tree = logs();
    assert_eq!(
        found(
            "/var/log/{messages.1,old/*} /var/log/messages.[1]",
            &mut tree
        ),
        [
            "/var/log/messages.1",
            "/var/log/old/messages.8",
            "/var/log/messages.1"
        ]
    );
}

#[test]
fn a_step_is_no_more_than_one_call() {
    let tree = logs();
    let mut walk = Walk::new(&Patterns::parse(b"/var/log/messages.1 /v*/*/messages.?").unwrap());
    let mut steps = [0, 0];
    for count in &mut steps {
        walk.restart();
        while walk.advance(&tree) != Progress::Over {
            assert!(tree.calls.borrow_mut().drain(..).count() <= 1);
            *count += 1;
        }
    }
    assert_eq!(steps[0], steps[1]);
}

#[test]
fn what_is_missing_or_closed_contributes_nothing() {
    let mut tree = logs();
    tree.broken
        .insert(b"/var/log/old".into(), io::ErrorKind::PermissionDenied);
    tree.broken
        .insert(b"/var/run/pid".into(), io::ErrorKind::PermissionDenied);
    assert_eq!(
        found("/var/log/old*/*.[78]", &mut tree),
        ["/var/log/older/messages.7"]
    );
    assert_eq!(
        found("/var/run/pid /nowhere/* /var/log/messages/*", &mut tree),
        [""; 0]
    );
}

#[test]
fn other_errors_are_told_after_everything_that_is_found() {
    let mut tree = logs();
    tree.broken
        .insert(b"/var/log/old".into(), io::ErrorKind::TimedOut);
    tree.broken
        .insert(b"/var/run/pid".into(), io::ErrorKind::OutOfMemory);
    let (paths, end) = walked(
        "/var/log/old*/*.[78] /var/run/pid /var/log/messages.2",
        &mut tree,
    );
    assert_eq!(paths, ["/var/log/older/messages.7", "/var/log/messages.2"]);
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

fn is_too_much(end: io::Result<()>) -> bool {
    end.is_err_and(|error| error.get_ref().is_some_and(|inner| inner.is::<TooMuch>()))
}

#[test]
fn the_number_of_entries_is_limited() {
    let mut tree = Tree::default();
    let name = |n: usize| format!("m.{n}").into_bytes();
    let half = GLOB_ENTRIES_MAX / 2;
    tree.directories
        .insert(b"/a".into(), (0..half).map(name).collect());
    tree.directories
        .insert(b"/b".into(), (0..half).map(name).collect());
    tree.directories.insert(b"/c".into(), vec![b"m.1".into()]);
    let (paths, end) = walked("/a/m.7 /a/*.7 /b/*.8", &mut tree);
    assert_eq!(paths, ["/a/m.7", "/a/m.7", "/b/m.8"]);
    assert!(end.is_ok(), "as many as the limit says");
    let (paths, end) = walked("/a/*.7 /b/*.8 /c/*.1 /a/m.7", &mut tree);
    assert_eq!(paths, ["/a/m.7", "/b/m.8"], "one more ends the walk");
    assert!(is_too_much(end));
    let (_, end) = walked("/{a,b,c}/*/x", &mut tree);
    assert!(is_too_much(end));
    assert!(TooMuch.to_string().contains("65536"));
}

#[test]
fn the_names_of_waiting_directories_are_limited() {
    let long = "x".repeat(255);
    let room = GLOB_WAITING_LEN / (255 + 1);
    let mut tree = Tree::default();
    for n in 0..room {
        tree.add(format!("/d/{n:03}{}/f", &long[3..]).as_bytes());
    }
    let (paths, end) = walked("/d/*/f", &mut tree);
    assert!(end.is_ok());
    assert_eq!(paths.len(), room);
    tree.add(b"/d/y/f");
    assert!(is_too_much(walked("/d/*/f", &mut tree).1));
    assert_eq!(
        found("/d/y*/f /d/y/f", &mut tree),
        ["/d/y/f"; 2],
        "only names that match take room"
    );
}

#[test]
fn a_path_too_long_for_the_system_leads_nowhere() {
    let name = "x".repeat(255);
    let fits = format!("/{name}").repeat(GLOB_PATH_MAX_LEN / 256);
    let file = "y".repeat(GLOB_PATH_MAX_LEN - fits.len() - 1);
    let mut tree = Tree::default();
    tree.directories.insert(
        fits.clone().into_bytes(),
        vec![file.clone().into(), format!("{file}y").into()],
    );
    let mut parent = fits.as_str();
    while let Some(slash) = parent.rfind('/') {
        parent = &parent[..slash];
        let key = if parent.is_empty() { "/" } else { parent };
        tree.directories
            .insert(key.into(), vec![name.clone().into()]);
    }
    let stars = "/*".repeat(fits.len() / 256);
    assert_eq!(
        found(&format!("{stars}/y*"), &mut tree),
        [format!("{fits}/{file}")]
    );
    assert_eq!(found(&format!("{stars}/*/z"), &mut tree), [""; 0]);
}

#[test]
fn names_of_compressed_files_are_recognised() {
    for (name, before) in [
        ("m.1.gz", "m.1"),
        ("m.0.bz2", "m.0"),
        ("m.xz", "m"),
        ("m.1.zst", "m.1"),
        ("m.lz4", "m"),
        ("m.Z", "m"),
        ("m.gz.gz", "m.gz"),
    ] {
        assert_eq!(
            uncompressed(name.as_bytes()),
            Some(before.as_bytes()),
            "{name}"
        );
    }
    for name in ["m.1", "gz", "m.gzip", "m.z", "m-20261122", ".gz"] {
        assert_eq!(uncompressed(name.as_bytes()), None, "{name}");
    }
}
