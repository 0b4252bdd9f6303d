//! The rules of the source text that no compiler keeps: where unsafe code may stand, what a pure module may name,
//! which layer may know which. Each rule is a function from one file to its faults and is itself tried on a bad one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod source;

use source::{Part, Source, all_sources, words};

/// Longer than this, a file does more than one thing; a table of test cases may be longer.
const LINES_MAX: usize = 600;
const TEST_LINES_MAX: usize = 1000;

/// Where comments end; a table or a grammar between fences may be as wide as it has to be.
const COMMENT_COLUMNS_MAX: usize = 100;

/// How far above the unsafe code its reason may begin.
const SAFETY_LINES: usize = 3;

type Rule = fn(&Source) -> Vec<String>;

const RULES: [Rule; 13] = [
    unsafe_stays_in_sys,
    unsafe_says_why,
    pure_modules_are_pure,
    mio_stays_in_the_shells,
    programs_are_strangers,
    layers_point_down,
    rooms_point_down,
    tests_stand_apart,
    what_is_public_is_documented,
    nothing_is_left_over,
    atomics_are_narrow,
    files_are_short,
    comments_are_narrow,
];

#[test]
fn the_sources_are_tidy() {
    let sources = all_sources();
    assert!(sources.len() > 10, "the sources were not found");
    let faults: Vec<String> = sources.iter().flat_map(faults_of).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn faults_of(source: &Source) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(source)).collect()
}

// The rules.

fn unsafe_stays_in_sys(source: &Source) -> Vec<String> {
    if source.is_under("src/sys/") {
        return Vec::new();
    }
    source
        .lines_with_word("unsafe")
        .map(|line| source.fault(line, "unsafe code outside of sys"))
        .collect()
}

fn unsafe_says_why(source: &Source) -> Vec<String> {
    let text: Vec<&str> = source.text.lines().collect();
    let says_why = |line: &usize| {
        let here = line - 1;
        let above = &text[here.saturating_sub(SAFETY_LINES)..here];
        above.iter().any(|line| line.contains("// SAFETY: "))
    };
    let unexplained = source
        .lines_with_word("unsafe")
        .filter(|line| !says_why(line));
    unexplained
        .map(|line| source.fault(line, "unsafe code without a SAFETY sentence"))
        .collect()
}

fn pure_modules_are_pure(source: &Source) -> Vec<String> {
    if !source.is_pure() {
        return Vec::new();
    }
    let impure = |path: &[&str]| match path {
        INSTRUCTIONS => false,
        ["mio" | "libc", ..] => true,
        ["std", "fs" | "env" | "process", ..] => true,
        [
            "crate",
            "sys" | "reactor" | "report" | "demo" | "applets",
            ..,
        ] => true,
        ["crate", "store", "real", ..] => true,
        path => path.iter().any(|name| IMPURE_TYPES.contains(name)),
    };
    source.faults_in_paths(Part::Program, impure, "is not for a pure module")
}

/// Nothing but its arguments is touched there; it stands in sys for its unsafe code.
const INSTRUCTIONS: &[&str] = &["crate", "sys", "cpu"];

const IMPURE_TYPES: [&str; 6] = [
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "Instant",
    "SystemTime",
];

fn mio_stays_in_the_shells(source: &Source) -> Vec<String> {
    if source.is_under("src/reactor/") || source.is_shell() {
        return Vec::new();
    }
    source.faults_in_paths(
        Part::Whole,
        |path| path[0] == "mio",
        "is for the reactor and the shells",
    )
}

fn programs_are_strangers(source: &Source) -> Vec<String> {
    const PROGRAMS: [&str; 3] = ["serve", "collect", "snmp"];
    let Some(own) = PROGRAMS.into_iter().find(|name| source.module() == *name) else {
        return Vec::new();
    };
    let foreign = |path: &[&str]| matches!(path, ["crate", name, ..] if PROGRAMS.contains(name) && *name != own);
    source.faults_in_paths(Part::Whole, foreign, "is another program")
}

fn layers_point_down(source: &Source) -> Vec<String> {
    let below: &[&str] = match source.module() {
        "limits" | "ids" | "mutation" | "random" => &[],
        "time" => &["limits"],
        "backoff" => &["limits", "mutation", "random"],
        "noise" => &["limits", "noise"],
        "wire" => &["limits", "time", "ids", "wire"],
        "store" if source.path == "src/store/mod.rs" => &["limits", "time", "ids", "wire", "store"],
        "store" => &["limits", "time", "ids", "wire", "noise", "store", "sys"],
        "sys" => &["limits", "time", "ids", "sys"],
        "reactor" => &[
            "limits", "time", "ids", "mutation", "noise", "sys", "reactor",
        ],
        "report" => &["limits", "time", "ids", "wire", "sys", "report"],
        _ => return Vec::new(),
    };
    let upward = |path: &[&str]| {
        path != INSTRUCTIONS && matches!(path, ["crate", name, ..] if !below.contains(name))
    };
    source.faults_in_paths(Part::Whole, upward, "is no layer below")
}

/// The rooms of the two programs, lowest first: each names only those before it, and what it shares a place with is one
/// room with it.
const SERVE: &[&str] = &["glob", "config", "find", "send", "session", "shell"];
const COLLECT: &[&str] = &[
    "config", "status", "copy", "error", "asking", "event", "archive", "blocks", "finished",
    "hooks", "source", "family", "verify", "probe", "view", "shell",
];

fn rooms_point_down(source: &Source) -> Vec<String> {
    let (program, rooms) = match source.module() {
        "serve" => ("serve", SERVE),
        "collect" => ("collect", COLLECT),
        _ => return Vec::new(),
    };
    let own = source.room();
    if own == "mod" {
        return Vec::new();
    }
    let Some(floor) = rooms.iter().position(|room| *room == own) else {
        return vec![source.fault(1, "a room that has no floor here")];
    };
    let is_above = |room: &str| rooms.iter().skip(floor + 1).any(|above| *above == room);
    // `super::error` means a room only from the top of one.
    let is_top = source.path.matches('/').count() == 2;
    let upward = |path: &[&str]| match path {
        ["crate", name, room, ..] => *name == program && is_above(room),
        ["super", room, ..] => is_top && is_above(room),
        _ => false,
    };
    source.faults_in_paths(Part::Program, upward, "is a room above")
}

/// Items that are there only for tests stand in modules of tests, so that what ships can be read by itself.
fn tests_stand_apart(source: &Source) -> Vec<String> {
    if source.is_tests() || source.module() == "mutation" {
        return Vec::new();
    }
    let lines: Vec<&str> = source.code.lines().collect();
    let is_apart = |at: &usize| {
        let rest = lines.iter().skip(at + 1).map(|line| line.trim());
        let item = rest.skip_while(|line| line.starts_with("#["));
        let mut item = item.map(|line| line.trim_start_matches("pub(crate) "));
        item.next().is_some_and(|line| line.starts_with("mod "))
    };
    let marks = (0..lines.len()).filter(|at| lines[*at].contains("cfg(test)"));
    marks
        .filter(|at| !is_apart(at))
        .map(|at| source.fault(at + 1, "an item for tests in the program"))
        .collect()
}

/// The compiler asks this only of what is seen outside of the library.
fn what_is_public_is_documented(source: &Source) -> Vec<String> {
    const ITEMS: [&str; 9] = [
        "fn", "const", "struct", "enum", "trait", "type", "static", "async", "unsafe",
    ];
    if source.is_tests() {
        return Vec::new();
    }
    let text: Vec<&str> = source.text.lines().collect();
    let is_documented = |line: usize| {
        let above = text[..line - 1].iter().rev().map(|line| line.trim());
        let mut above = above.skip_while(|line| line.starts_with("#[") || line.ends_with(']'));
        above.next().is_some_and(|line| line.starts_with("///"))
    };
    let is_item = |line: &str| {
        let rest = line.trim().strip_prefix("pub ")?;
        let first = words(rest).next()?;
        Some(ITEMS.contains(&first))
    };
    let items = std::iter::zip(1.., source.program().lines())
        .filter(|(_, line)| is_item(line) == Some(true))
        .map(|(line, _)| line);
    items
        .filter(|line| !is_documented(*line))
        .map(|line| source.fault(line, "public, and not documented"))
        .collect()
}

fn nothing_is_left_over(source: &Source) -> Vec<String> {
    let is_note = |word: &str| ["TODO", "FIXME", "XXX"].contains(&word);
    let notes = source
        .text_lines()
        .filter(|(_, line)| words(line).any(is_note));
    let macros = source
        .macros()
        .filter(|(_, name)| ["dbg", "todo", "unimplemented"].contains(name));
    let left = notes.chain(macros);
    left.map(|(line, _)| source.fault(line, "left over from writing"))
        .collect()
}

fn atomics_are_narrow(source: &Source) -> Vec<String> {
    let lines = ["AtomicU64", "AtomicI64"]
        .into_iter()
        .flat_map(|name| source.lines_with_word(name));
    lines
        .map(|line| source.fault(line, "32-bit MIPS has no 64-bit atomics"))
        .collect()
}

fn files_are_short(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let most = if source.is_tests() {
        TEST_LINES_MAX
    } else {
        LINES_MAX
    };
    if lines <= most {
        return Vec::new();
    }
    vec![source.fault(lines, "too long a file")]
}

fn comments_are_narrow(source: &Source) -> Vec<String> {
    let is_fence = |line: &str| {
        let comment = line.trim_start().trim_start_matches(['/', '!']);
        comment.trim_start().starts_with("```")
    };
    let mut is_fenced = false;
    let mut wide = Vec::new();
    for (number, line) in source.text_lines() {
        let is_comment = line.trim_start().starts_with("//");
        is_fenced = is_comment && is_fenced != is_fence(line);
        let is_wide = line.chars().count() > COMMENT_COLUMNS_MAX;
        if is_comment && is_wide && !is_fenced && !line.contains(" | ") {
            wide.push(source.fault(number, "too wide a comment"));
        }
    }
    wide
}

mod each_rule {
    use super::*;

    /// The lines at which a rule finds fault with a text.
    fn faults(rule: Rule, path: &str, text: &str) -> Vec<usize> {
        let line_of = |fault: String| fault.split(':').nth(1).unwrap().parse().unwrap();
        rule(&Source::new(path, text))
            .into_iter()
            .map(line_of)
            .collect()
    }

    #[test]
    fn unsafe_code_outside_of_sys() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(faults(unsafe_stays_in_sys, "src/serve/shell.rs", text), [2]);
        assert_eq!(faults(unsafe_stays_in_sys, "src/sys/clock.rs", text), []);
        let harmless = "// unsafe\n#![deny(unsafe_code)]\nlet x = \"unsafe\";\n";
        assert_eq!(faults(unsafe_stays_in_sys, "src/lib.rs", harmless), []);
    }

    #[test]
    fn unsafe_code_without_a_reason() {
        let path = "src/sys/clock.rs";
        for code in [
            "unsafe { g() }",
            "unsafe impl Send for T {}",
            "unsafe extern \"C\" {}",
        ] {
            assert_eq!(
                faults(unsafe_says_why, path, &format!("fn f();\n{code}\n")),
                [2]
            );
            let explained = format!("// SAFETY: a reason\n\n\n{code}\n");
            assert_eq!(faults(unsafe_says_why, path, &explained), []);
            let too_far = format!("// SAFETY: a reason\n\n\n\n{code}\n");
            assert_eq!(faults(unsafe_says_why, path, &too_far), [5]);
        }
        assert_eq!(
            faults(unsafe_says_why, path, "unsafe { g() } // SAFETY: late\n"),
            [1]
        );
    }

    #[test]
    fn impure_names_in_pure_modules() {
        let bad = [
            "use mio::Poll;",
            "let x = libc::EINTR;",
            "use std::fs;",
            "use std::{fmt, fs::File};",
            "use std::{\n    io,\n    net::{IpAddr, TcpStream},\n};",
            "let t = std::time::Instant::now();",
            "fn f(t: SystemTime) {}",
            "use std::env;",
            "std::process::exit(1);",
            "use crate::sys::clock;",
            "use crate::store::{Stat, real};",
            "use crate::{report::Report, time::Now};",
        ];
        for text in bad {
            for path in [
                "src/wire/request.rs",
                "src/serve/session.rs",
                "src/snmp/mod.rs",
                "src/time.rs",
            ] {
                assert_eq!(
                    faults(pure_modules_are_pure, path, text).len(),
                    1,
                    "{path}: {text}"
                );
            }
            for path in [
                "src/serve/shell.rs",
                "src/collect/shell/peers.rs",
                "src/store/real.rs",
                "src/serve/session/tests.rs",
            ] {
                assert_eq!(
                    faults(pure_modules_are_pure, path, text),
                    [],
                    "{path}: {text}"
                );
            }
            let in_tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{text}\n}}\n");
            assert_eq!(
                faults(pure_modules_are_pure, "src/wire/request.rs", &in_tests),
                []
            );
            let after_other_test_code = format!("#[cfg(test)]\nuse x;\n{text}\n");
            assert_eq!(
                faults(
                    pure_modules_are_pure,
                    "src/wire/request.rs",
                    &after_other_test_code
                )
                .len(),
                1
            );
        }
        let good = "// the mio half\nuse std::net::{IpAddr, SocketAddr};\nlet version = env!(\"X\");\nuse crate::store::ReadStore;\n";
        assert_eq!(
            faults(pure_modules_are_pure, "src/serve/session.rs", good),
            []
        );
    }

    #[test]
    fn mio_outside_of_the_loop() {
        let text = "fn f() {}\nuse mio::Poll;\n";
        assert_eq!(faults(mio_stays_in_the_shells, "src/report.rs", text), [2]);
        assert_eq!(
            faults(mio_stays_in_the_shells, "src/reactor/mod.rs", text),
            []
        );
        assert_eq!(
            faults(mio_stays_in_the_shells, "src/serve/shell.rs", text),
            []
        );
    }

    #[test]
    fn programs_that_know_each_other() {
        let text = "use crate::serve::config;\nuse crate::{collect, wire};\n";
        assert_eq!(
            faults(programs_are_strangers, "src/collect/mod.rs", text),
            [1]
        );
        assert_eq!(
            faults(programs_are_strangers, "src/serve/mod.rs", text),
            [2]
        );
        assert_eq!(
            faults(programs_are_strangers, "src/snmp/shell.rs", text),
            [1, 2]
        );
        assert_eq!(faults(programs_are_strangers, "src/demo/mod.rs", text), []);
    }

    #[test]
    fn layers_that_look_up() {
        let text = "use crate::reactor::Reactor;\nuse crate::limits;\n";
        for path in [
            "src/wire/mod.rs",
            "src/store/mod.rs",
            "src/store/real.rs",
            "src/sys/mod.rs",
            "src/time.rs",
            "src/report.rs",
        ] {
            assert_eq!(faults(layers_point_down, path, text), [1], "{path}");
        }
        assert_eq!(faults(layers_point_down, "src/limits/mod.rs", text), [1, 2]);
        assert_eq!(faults(layers_point_down, "src/serve/shell.rs", text), []);
        let system = "use crate::sys::files;\n";
        assert_eq!(faults(layers_point_down, "src/store/mod.rs", system), [1]);
        assert_eq!(faults(layers_point_down, "src/store/real.rs", system), []);
        let instructions = "use crate::sys::cpu;\n";
        assert_eq!(faults(layers_point_down, "src/wire/mod.rs", system), [1]);
        assert_eq!(
            faults(layers_point_down, "src/wire/mod.rs", instructions),
            []
        );
        assert_eq!(
            faults(pure_modules_are_pure, "src/wire/mod.rs", instructions),
            []
        );
    }

    #[test]
    fn rooms_that_look_up() {
        let text = "use crate::serve::send::v2;\nuse crate::serve::glob;\nuse crate::wire;\n";
        for path in ["src/serve/find/query.rs", "src/serve/config/mod.rs"] {
            assert_eq!(faults(rooms_point_down, path, text), [1], "{path}");
        }
        for path in [
            "src/serve/session/mod.rs",
            "src/serve/mod.rs",
            "src/sys/x.rs",
        ] {
            assert_eq!(faults(rooms_point_down, path, text), [], "{path}");
        }
        let text = "use super::source::v2;\nuse super::copy;\n";
        assert_eq!(faults(rooms_point_down, "src/collect/event.rs", text), [1]);
        assert_eq!(
            faults(rooms_point_down, "src/collect/copy/files.rs", text),
            []
        );
        assert_eq!(
            faults(rooms_point_down, "src/collect/new/mod.rs", text),
            [1]
        );
        let in_tests = "#[cfg(test)]\nmod tests {\nuse crate::collect::shell;\n}\n";
        assert_eq!(
            faults(rooms_point_down, "src/collect/error.rs", in_tests),
            []
        );
    }

    #[test]
    fn items_for_tests_among_others() {
        let path = "src/serve/find/scan.rs";
        for text in [
            "#[cfg(test)]\nuse x;\n",
            "#[cfg(test)]\npub fn f() {}\n",
            "#[cfg(not(test))]\nfn f() {}\n",
        ] {
            let is_bad = !text.contains("not(test)");
            assert_eq!(
                faults(tests_stand_apart, path, text).len(),
                usize::from(is_bad)
            );
        }
        for text in [
            "#[cfg(test)]\nmod tests;\n",
            "#[cfg(test)]\n#[path = \"x\"]\nmod inside;\n",
            "#[cfg(test)]\npub(crate) mod testing;\n",
        ] {
            assert_eq!(faults(tests_stand_apart, path, text), [], "{text}");
        }
    }

    #[test]
    fn public_items_without_a_word() {
        let path = "src/serve/find/scan.rs";
        for text in ["fn f();\npub fn g() {}\n", "// no\npub struct S;\n"] {
            assert_eq!(
                faults(what_is_public_is_documented, path, text),
                [2],
                "{text}"
            );
        }
        for text in [
            "/// It is.\npub fn f() {}\n",
            "/// It is.\n#[derive(Debug)]\npub struct S;\n",
            "pub(super) fn f() {}\npub use x;\npub mod y;\n",
            "#[cfg(test)]\nmod tests {\npub fn f() {}\n}\n",
        ] {
            assert_eq!(
                faults(what_is_public_is_documented, path, text),
                [],
                "{text}"
            );
        }
    }

    #[test]
    fn notes_that_were_left_over() {
        let path = "src/serve/mod.rs";
        let left = [
            "// TODO: more",
            "let x = 1; // FIXME",
            "/// XXX",
            "dbg!(x);",
            "    todo!()",
            "unimplemented!()",
        ];
        for text in left {
            assert_eq!(faults(nothing_is_left_over, path, text), [1], "{text}");
        }
        let fine =
            "// a todo! list\nlet todo = 1;\nlet name = \"dbg!\";\nlet x = !todo;\nXXXL();\n";
        assert_eq!(faults(nothing_is_left_over, path, fine), []);
    }

    #[test]
    fn wide_atomics() {
        let text = "use std::sync::atomic::{AtomicBool, AtomicU64};\nstatic N: AtomicI64;\n";
        assert_eq!(
            faults(atomics_are_narrow, "src/sys/signals.rs", text),
            [1, 2]
        );
        assert_eq!(
            faults(
                atomics_are_narrow,
                "src/sys/signals.rs",
                "static N: AtomicU32;\n"
            ),
            []
        );
    }

    #[test]
    fn wide_comments() {
        let path = "src/serve/mod.rs";
        let words = "word ".repeat(20);
        let text = format!("/// {words}\n    // {words}\nlet text = \"{words}{words}\";\n");
        assert_eq!(faults(comments_are_narrow, path, &text), [1, 2]);
        let fenced = format!("//! ```text\n//! {words}\n//! ```\n//! {words}\n// {words}\n");
        assert_eq!(faults(comments_are_narrow, path, &fenced), [4, 5]);
        assert_eq!(faults(comments_are_narrow, path, "// short\n"), []);
    }

    #[test]
    fn long_files() {
        let path = "src/serve/mod.rs";
        assert_eq!(
            faults(files_are_short, path, &"\n".repeat(LINES_MAX + 1)),
            [LINES_MAX + 1]
        );
        assert_eq!(faults(files_are_short, path, &"\n".repeat(LINES_MAX)), []);
    }
}
