//! `check_fetchlogs`, by several shells and readers of records.

use std::process::Command;

use crate::common::outside_program;
use crate::common::process::{Ended, run};
use crate::fleet::Fleet;
use crate::{assert_json, kit};

fn check(fleet: &Fleet, arguments: &[&str]) -> Ended {
    let mut said: Vec<Ended> = Vec::new();
    for shell in [&["dash"][..], &["busybox", "sh"]] {
        let Some(program) = outside_program(shell[0]) else {
            continue;
        };
        let mut command = Command::new(program);
        command
            .args(&shell[1..])
            .arg(kit("check_fetchlogs"))
            .arg("-d")
            .arg(fleet.snmp_dir())
            .args(arguments)
            .env("FETCH_LOGS", fleet.program());
        said.push(run(command));
    }
    let last = said.pop().unwrap();
    for other in said {
        assert_eq!(other.status, last.status);
        assert_eq!(other.stdout, last.stdout);
    }
    last
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
        (&["-e", "x"], 3, "x is no number"),
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
    fleet.stop();
    let text = check(&fleet, &["-j"]).stdout;
    assert_json(&text);
    assert!(text.starts_with("{\"collector\":{\"running\":0,"), "{text}");
}
