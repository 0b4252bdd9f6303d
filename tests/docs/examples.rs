//! What the papers tell somebody to type is understood by the programs.

use std::fs;
use std::process::{Command, Output};

use super::root;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fetchlogs");

#[test]
fn every_configuration_of_a_server_is_right() {
    let mut count = 0;
    for (name, text) in super::papers() {
        // Lines of a configuration that stand together are one.
        let mut config = String::new();
        for line in text.lines().chain([""]) {
            let is_setting = line.starts_with(['$']) && line.ends_with(';');
            if is_setting && !line.contains("...") {
                config.push_str(&line.replace("\\(dq", "\""));
                config.push('\n');
                continue;
            }
            if !config.is_empty() {
                count += 1;
                check(&name, "gen_numbers", &["-t", "-c"], &config);
                config.clear();
            }
        }
    }
    assert!(count > 4, "the configurations were not found: {count}");
}

#[test]
fn every_source_of_a_collector_is_right() {
    let mut count = 0;
    for (name, text) in super::papers() {
        for line in text.lines() {
            // What a line of shell writes, or the line itself.
            let quoted = line
                .strip_prefix("echo \"")
                .and_then(|rest| rest.split('"').next());
            let source = quoted.unwrap_or(line);
            let fields = source.split_whitespace().collect::<Vec<_>>();
            let is_source = fields.len() >= 5
                && fields[1].parse::<u16>().is_ok()
                && fields[2..5].iter().all(|path| path.starts_with('/'));
            let is_defaults = fields.first() == Some(&"defaults") && !source.contains("Ar");
            if is_source || (is_defaults && fields.get(1).is_some_and(|word| word.contains('='))) {
                count += 1;
                check(
                    &name,
                    "fetch_logs",
                    &["-t", "/nonexistent"],
                    &format!("{source}\n"),
                );
            }
        }
    }
    assert!(count > 4, "the sources were not found: {count}");
}

/// Whether a program takes a configuration; it is named last.
fn check(paper: &str, program: &str, options: &[&str], config: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    fs::write(&path, config).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(program).args(options).arg(&path);
    let Output { status, stderr, .. } = command.current_dir(root()).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{paper}:\n{config}{stderr}");
}
