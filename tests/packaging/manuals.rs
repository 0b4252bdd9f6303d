//! The manual pages: sound, and with everything in them that can be set.

use std::fs;
use std::process::Command;

use super::{run, shipped};
use crate::common::{FETCHLOGS, outside_program};

const PAGES: [&str; 6] = [
    "gen_numbers.8",
    "fetch_logs.8",
    "snmp_from_file.8",
    "gen_numbers.pl.locals.5",
    "fetch_logs.conf.5",
    "fetchlogs.7",
];

fn page(name: &str) -> String {
    fs::read_to_string(shipped("man").join(name)).unwrap()
}

#[test]
fn mandoc_finds_no_fault() {
    let Some(mandoc) = outside_program("mandoc") else {
        return;
    };
    for name in PAGES {
        let mut command = Command::new(&mandoc);
        command
            .args(["-T", "lint", "-W", "style"])
            .arg(shipped("man").join(name));
        let ended = run(command);
        // Which other pages are installed is not ours to know.
        let faults: Vec<&str> = ended
            .stdout
            .lines()
            .chain(ended.stderr.lines())
            .filter(|line| {
                !line.contains("referenced manual not found") && !line.contains("mandoc.db")
            })
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn every_option_has_its_place() {
    for program in ["gen_numbers", "fetch_logs", "snmp_from_file"] {
        let mut command = Command::new(FETCHLOGS);
        command.args([program, "--help"]);
        let help = run(command).stdout;
        let text = page(&format!("{program}.8"));
        let options: Vec<char> = help
            .lines()
            .filter_map(|line| line.strip_prefix("  -")?.chars().next())
            .collect();
        assert!(options.len() > 3, "the options were not found in: {help}");
        for option in options {
            assert!(
                text.contains(&format!("\n.It Fl {option}")),
                "{program}: -{option}"
            );
        }
    }
}

/// What `--help` gives in brackets behind an option.
#[test]
fn every_default_of_an_option_is_told() {
    let mut count = 0;
    for program in ["fetch_logs", "snmp_from_file"] {
        let mut command = Command::new(FETCHLOGS);
        command.args([program, "--help"]);
        let help = run(command).stdout;
        let text = page(&format!("{program}.8"));
        for line in help.lines().filter(|line| line.ends_with(')')) {
            let Some((option, default)) = line
                .strip_prefix("  -")
                .zip(line.rsplit_once('(').map(|(_, default)| default))
            else {
                continue;
            };
            let default = default.trim_end_matches(')');
            let letter = option.chars().next().unwrap();
            let (_, item) = text.split_once(&format!("\n.It Fl {letter} ")).unwrap();
            let item = item.split("\n.It ").next().unwrap();
            let is_told = item.contains(&format!("The default is {default}."))
                || item.contains(&format!("The default is\n.Pa {default} ."));
            assert!(is_told, "{program} -{letter}: {default}");
            count += 1;
        }
    }
    assert!(count > 5, "the defaults were not found: {count}");
}

/// What stands in the example is the default, and the page says so.
#[test]
fn every_default_of_the_server_is_told() {
    let text = page("gen_numbers.pl.locals.5");
    let example = fs::read_to_string(shipped("gen_numbers.pl.locals")).unwrap();
    let mut count = 0;
    for line in example.lines().filter(|line| line.starts_with('$')) {
        let Some((name, value)) = line
            .split_once(" = ")
            .filter(|(name, _)| !name.contains('{'))
        else {
            continue;
        };
        let value = value.trim_end_matches(';');
        let (_, item) = text.split_once(&format!("\n.It Va {name}\n")).unwrap();
        let item = item.split("\n.It ").next().unwrap();
        let quoted = value.replace('"', "\\(dq");
        let is_told = item.contains(&format!("The default is {value}."))
            || item.contains(&format!("The default is\n.Li {quoted} ."));
        assert!(is_told, "{name}: {value}");
        count += 1;
    }
    assert!(count > 6, "the defaults were not found: {count}");
}

#[test]
fn every_setting_of_the_server_has_its_place() {
    let text = page("gen_numbers.pl.locals.5");
    let example = fs::read_to_string(shipped("gen_numbers.pl.locals")).unwrap();
    let settings: Vec<&str> = example
        .lines()
        .map(|line| line.trim_start_matches("# "))
        .filter_map(|line| line.strip_prefix('$')?.split(['{', ' ']).next())
        .collect();
    assert!(settings.len() > 8, "{settings:?}");
    for setting in settings {
        assert!(text.contains(&format!("\n.It Va ${setting}")), "{setting}");
    }
}

#[test]
fn every_option_of_a_source_has_its_place() {
    let text = page("fetch_logs.conf.5");
    let example = fs::read_to_string(shipped("fetch_logs.conf")).unwrap();
    let options: Vec<(&str, &str)> = example
        .lines()
        .filter_map(|line| {
            line.strip_prefix("#   ")?
                .split(' ')
                .next()?
                .split_once('=')
        })
        .collect();
    assert!(options.len() > 4, "{options:?}");
    for (key, value) in options {
        // What stands for a value is in capitals there and in small letters here.
        let item = match value.bytes().all(|byte| byte.is_ascii_uppercase()) {
            true => format!("\n.It Cm {key} Ns = Ns Ar {}", value.to_lowercase()),
            false => format!("\n.It Cm {key} Ns = Ns Cm {value}\n"),
        };
        assert!(text.contains(&item), "{key}={value}");
    }
}

#[test]
fn every_exit_status_has_its_place() {
    for name in ["gen_numbers.8", "fetch_logs.8"] {
        for status in [0, 1, 2, 78] {
            assert!(
                page(name).contains(&format!("\n.It {status}\n")),
                "{name}: {status}"
            );
        }
    }
}
