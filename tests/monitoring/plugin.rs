//! `check_fetchlogs`, by several shells and readers of records.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::outside_program;
use crate::common::process::{Ended, run, same_by_shells};
use crate::fleet::Fleet;
use crate::{assert_json, kit};

fn check(fleet: &Fleet, arguments: &[&str]) -> Ended {
    same_by_shells(|command| {
        command
            .arg(kit("check_fetchlogs"))
            .arg("-d")
            .arg(fleet.snmp_dir())
            .args(arguments)
            .env("FETCH_LOGS", fleet.program());
    })
}

#[test]
fn its_status_is_that_of_the_worst() {
    let mut fleet = Fleet::start();
    for (arguments, status, words) in [
        (&["well"][..], 0, "FETCHLOGS OK: 1 sources on 1 boxes"),
        (&["gone"], 1, "FETCHLOGS WARNING: gone /"),
        (&["-e", "0", "gone"], 2, "FETCHLOGS CRITICAL: gone /"),
        (&["lossy"], 2, "FETCHLOGS CRITICAL: lossy /"),
        (&["behind"], 1, "paused: "),
        (&["-e", "9999", "-w", "1000", "behind"], 1, " bytes behind"),
        (&["-c", "1000", "behind"], 2, " bytes behind"),
        (&["-c", "9999999", "well"], 0, "OK"),
        (&[], 2, "1 loss on record"),
        (&["nobody"], 3, "there is no box nobody"),
        (&["-e", "x"], 3, "the value of -e is no number: x"),
        (&["-e", ""], 3, "the value of -e is no number"),
        (&["-t", "1s"], 3, "the value of -t is no number: 1s"),
        (&["-?"], 3, "check_fetchlogs [-d SNMP_DIR]"),
    ] {
        let ended = check(&fleet, arguments);
        let said = &ended.stdout;
        assert_eq!(ended.status, Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let all = check(&fleet, &[]).stdout;
    assert!(
        all.contains("| sources=5 error=3 losses=1 behind="),
        "{all}"
    );
    // A bar begins what is for machines.
    assert_eq!(all.matches('|').count(), 1, "{all}");
    assert_eq!(all.lines().count(), 1, "{all}");

    fleet.stop();
    let ended = check(&fleet, &[]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.stdout, "FETCHLOGS CRITICAL: no collector runs\n");
}

#[test]
fn its_json_is_json_whatever_the_logs_are_called() {
    let mut fleet = Fleet::start();
    let text = check(&fleet, &["-j"]).stdout;
    assert_json(&text);
    let of = |name: &str| {
        let (_, rest) = text.split_once(&format!("{{\"box\":\"{name}\",")).unwrap();
        rest.split('}').next().unwrap().to_owned()
    };
    assert!(text.starts_with(
        "{\"collector\":{\"running\":1,\"boxes\":4,\"sources\":5,\"error\":3,\"losses\":1,"
    ));
    assert!(of("gone").starts_with("\"sources\":2,\"error\":2,\"losses\":0,\"behind\":0,"));
    assert!(of("lossy").starts_with("\"sources\":1,\"error\":0,\"losses\":1,"));
    assert!(of("gone").contains("\"why\":\"cannot connect: "));
    assert!(of("gone").contains("\"paused\":0,"));
    assert!(of("behind").contains("\"paused\":1,"));
    fleet.stop();
    let text = check(&fleet, &["-j"]).stdout;
    assert_json(&text);
    assert!(text.starts_with("{\"collector\":{\"running\":0,"), "{text}");
}

/// Says what a collector would, of five sources in error and a last one that has great numbers.
const MANY: &str = r#"#!/bin/sh
echo '{"sources":['
for box in a b c d e f; do
    losses=0
    [ $box != f ] || losses=3000000000
    echo '{"box":"'$box'","remote_file":"/m","state":"error","since":95,"behind":6000000000,"losses":'$losses',"why":"no"},'
done
echo '"summary":{"servers":6},"collector":{"version":"2.0.0","since":1,"until":null,"now":100}}'
exit 2
"#;

fn by_program(text: &str, arguments: &[&str]) -> Vec<Ended> {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("fetch_logs");
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut ends = Vec::new();
    for awk in [&["mawk"][..], &["busybox", "awk"]] {
        if outside_program(awk[0]).is_none() {
            continue;
        }
        let path = dir.path().join("awk");
        fs::write(&path, format!("#!/bin/sh\nexec {} \"$@\"\n", awk.join(" "))).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let before = std::env::var("PATH").unwrap();
        let mut command = Command::new("sh");
        command
            .arg(kit("check_fetchlogs"))
            .args(arguments)
            .env("PATH", format!("{}:{before}", dir.path().display()))
            .env("FETCH_LOGS", &program);
        ends.push(run(command));
    }
    ends
}

#[test]
fn the_worst_is_told_first_and_with_all_of_its_digits() {
    for ended in by_program(MANY, &["-w", "10"]) {
        let said = &ended.stdout;
        assert_eq!(ended.status, Some(2), "{said}");
        let first = "FETCHLOGS CRITICAL: f /m: 3000000000 losses on record; a /m: no; ";
        assert!(said.starts_with(first), "{said}");
        assert!(said.contains("a /m: 6000000000 bytes behind; "), "{said}");
        let numbers = "; 8 more | sources=6 error=6 losses=3000000000 behind=36000000000B ";
        assert!(said.contains(numbers), "{said}");
    }
    for ended in by_program(MANY, &["-j"]) {
        assert!(ended.stdout.contains("\"losses\":3000000000,"));
    }
}

/// Says what a collector would that left lines of its configuration out, and has a hook that fails.
const FAULTY: &str = r#"#!/bin/sh
echo '{"sources":['
echo '{"box":"a","remote_file":"/m","state":"following","since":95,"behind":0,"losses":0,"why":"","hooks_waiting":2},'
echo '{"box":"a","remote_file":"/,\"faulty\":true","state":"following","since":95,"behind":0,"losses":0,"why":"","hooks_waiting":1}],'
echo '"summary":{"servers":1},"collector":{"version":"2.0.0","since":1,"until":null,"now":100,"faulty":'$FAULTY',"hooks_left":7}}'
"#;

#[test]
fn a_configuration_that_is_not_all_in_force_is_a_warning() {
    for (faulty, status, begin) in [
        (
            "true",
            1,
            "FETCHLOGS WARNING: not all of the configuration is in force",
        ),
        ("false", 0, "FETCHLOGS OK: 2 sources on 1 boxes"),
    ] {
        let text = FAULTY.replace("$FAULTY", faulty);
        for ended in by_program(&text, &[]) {
            let said = &ended.stdout;
            assert_eq!(ended.status, Some(status), "{said}");
            assert!(said.starts_with(begin), "{said}");
            assert!(said.ends_with(" hooks=3 hooks_left=7c\n"), "{said}");
        }
        for ended in by_program(&text, &["-j"]) {
            let number = u8::from(status == 1);
            let of_collector = format!(",\"faulty\":{number},\"hooks_left\":7}}");
            assert!(ended.stdout.contains(&of_collector), "{}", ended.stdout);
            assert!(ended.stdout.contains(",\"hooks\":3,"), "{}", ended.stdout);
        }
    }
}

#[test]
fn a_collector_that_hangs_is_not_waited_for_long() {
    for ended in by_program("#!/bin/sh\nexec sleep 100\n", &["-t", "1"]) {
        let said = "FETCHLOGS CRITICAL: the collector does not answer within 1 s\n";
        assert_eq!(ended.stdout, said);
        assert_eq!(ended.status, Some(2));
    }
}
