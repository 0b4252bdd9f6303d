//! Command lines and configurations that make no sense.

use std::fs;
use std::process::{Command, Output};

use super::common::FETCHLOGS;

fn verify(args: &[&str]) -> Output {
    Command::new(FETCHLOGS)
        .args(["fetch_logs", "verify"])
        .args(args)
        .output()
        .unwrap()
}

/// How its usage begins.
const USAGE: &str = "fetch_logs verify [-a] [-q] [-J] [-k KEYFILE] [-w WAIT] [-j N]\n";

#[test]
fn misuse_is_told_with_the_usage() {
    let misuses: [&[&str]; 11] = [
        &[],
        &["status"],
        &["status", "conf", "box", "log", "more"],
        &["-t", "status", "conf"],
        &["-b", "status", "conf"],
        &["-j"],
        &["-j", "0", "status", "conf"],
        &["-j", "-1", "status", "conf"],
        &["-j", "513", "status", "conf"],
        &["-w", "0", "status", "conf"],
        &["-w", "soon", "status", "conf"],
    ];
    for misuse in misuses {
        let output = verify(misuse);
        assert_eq!(output.status.code(), Some(2), "{misuse:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("fetch_logs: "), "{misuse:?}: {stderr}");
        assert!(stderr.contains(USAGE));
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn help_tells_of_it() {
    for args in [&["-h"][..], &["verify", "-h"]] {
        let output = Command::new(FETCHLOGS)
            .arg("fetch_logs")
            .args(args)
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(USAGE));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn a_faulty_configuration_is_told_with_its_places() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("conf");
    fs::write(&conf, "10.0.0.1 19 /var/log/m\n").unwrap();
    let conf = conf.to_str().unwrap();
    let output = verify(&["status", conf]);
    assert_eq!(output.status.code(), Some(78));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with(&format!("{conf}:1:")), "{stderr}");
    let output = verify(&["status", "/nonexistent/conf"]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn no_source_at_all_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("conf");
    fs::write(&conf, "# nothing yet\n").unwrap();
    let output = verify(&["status", conf.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        stdout,
        "0 copies: 0 as they should be, 0 not; 0 bytes compared in 0 s\n"
    );
}
