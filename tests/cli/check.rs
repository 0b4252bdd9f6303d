//! `-t`: a configuration is judged, and nothing else happens.

use std::path::Path;

use super::*;

/// Checks the configuration of one of the daemons.
fn checked(place: &Place, applet: &str) -> Ended {
    run(place.daemon(applet, &["-t"]))
}

fn config_of(applet: &str) -> &'static str {
    match applet {
        "gen_numbers" => "gen_numbers.pl.locals",
        _ => "fetch_logs.conf",
    }
}

const DAEMONS: [&str; 2] = ["gen_numbers", "fetch_logs"];

#[test]
fn a_good_configuration_is_answered_with_what_the_kernel_can_confine() {
    let place = Place::new();
    place.write("log", "");
    let log = place.path("log").display().to_string();
    let text = format!("$hosts_allow{{'10.4.3.1'}} = 1; $files{{'{log}'}} = '{log}.*';");
    place.write("gen_numbers.pl.locals", &text);
    for applet in DAEMONS {
        let ended = checked(&place, applet);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.stderr, "");
        assert!(
            ended.stdout.starts_with(&format!("{applet}: files: ")),
            "{ended:?}"
        );
        let last = ended.stdout.lines().nth(1);
        let is_collector = applet == "fetch_logs";
        assert_eq!(last, is_collector.then_some("ok: 1 source on 1 server"));
    }
}

#[test]
fn what_may_not_be_meant_is_warned_of() {
    let place = Place::new();
    place.write("boot.log", "");
    let log = place.path("boot.log").display().to_string();
    let text = format!("$hosts_allow{{'::1'}} = 1; $files{{'{log}'}} = \"\";");
    place.write("gen_numbers.pl.locals", &text);
    let warnings = warnings(&place);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("every local user"), "{warnings:?}");
    let bare = format!("{log} is served without rotated files");
    assert!(warnings[1].starts_with(&bare), "{warnings:?}");
}

#[test]
fn logs_that_could_not_be_served_now_are_warned_of() {
    let place = Place::new();
    place.write("good", "");
    fs::create_dir(place.path("dir")).unwrap();
    std::os::unix::fs::symlink("good", place.path("link")).unwrap();
    let names = ["good", "absent", "dir", "link", "absent/below"];
    let path = |name: &str| place.path(name).display().to_string();
    let served = names.map(|name| format!("$files{{'{0}'}} = '{0}.*';", path(name)));
    let allowed = "$hosts_allow{'192.0.2.1'} = 1; ";
    place.write(
        "gen_numbers.pl.locals",
        allowed.to_owned() + &served.concat(),
    );
    let expected = [
        format!("{}: there is no such file now", path("absent")),
        format!("{}: there is no such file now", path("absent/below")),
        format!("{}: it is a directory", path("dir")),
        format!("{}: it is a symbolic link", path("link")),
    ];
    let warnings = warnings(&place);
    assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(&expected), "{warning}");
    }
}

/// What the server warns of in a configuration that is good.
fn warnings(place: &Place) -> Vec<String> {
    let ended = checked(place, "gen_numbers");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let config = place.path("gen_numbers.pl.locals");
    let begin = format!("{}: warning: ", config.display());
    let warning = |line: &str| line.strip_prefix(&begin).expect(line).to_owned();
    ended.stderr.lines().map(warning).collect()
}

#[test]
fn directories_that_are_not_there_are_warned_of() {
    let place = Place::new();
    let here = place.path("");
    let here = here.display();
    let text = format!(
        "10.0.0.1 19 /var/log/m {here}/m {here}/none/m.ptr\n\
         10.0.0.1 19 /var/log/n {here}/n {here}/none/n.ptr\n\
         10.0.0.2 19 /var/log/n {here}/fetch_logs.conf/o {here}/o.ptr\n"
    );
    place.write("fetch_logs.conf", &text);
    let ended = checked(&place, "fetch_logs");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stdout.ends_with("\nok: 3 sources on 2 servers\n"),
        "{ended:?}"
    );
    let warnings: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0].contains(".conf:1: warning: ") && warnings[0].ends_with("/none is not there")
    );
    assert!(warnings[1].contains(".conf:3: warning: ") && warnings[1].ends_with("is no directory"));
}

#[test]
fn the_shipped_examples_are_good() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let server = conf.join("gen_numbers.pl.locals");
    let collector = conf.join("fetch_logs.conf");
    for args in [
        ["gen_numbers", "-t", "-c", server.to_str().unwrap()],
        ["fetch_logs", "-t", "/snmp", collector.to_str().unwrap()],
    ] {
        let ended = ended(args);
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
}

#[test]
fn checking_touches_nothing() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    place.configure("127.0.0.1", taken.local_addr().unwrap().port());
    let pid_file = place.path("pid");
    for applet in DAEMONS {
        let options = ["-t", "-b", "-P", pid_file.to_str().unwrap(), "-u", "nobody"];
        let ended = run(place.daemon(applet, &options));
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let mut names: Vec<_> = fs::read_dir(place.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["fetch_logs.conf", "gen_numbers.pl.locals"]);
}

/// Every line of stderr is `FILE:LINE:COLUMN: text`; the places are these.
fn expect_faults(place: &Place, applet: &str, places: &[&str]) {
    let ended = checked(place, applet);
    assert_eq!(ended.status, Some(78), "{ended:?}");
    assert_eq!(ended.stdout, "");
    let prefix = format!("{}:", place.path(config_of(applet)).display());
    let found: Vec<&str> = ended
        .stderr
        .lines()
        .map(|line| {
            let fault = line
                .strip_prefix(&prefix)
                .unwrap_or_else(|| panic!("{line}"));
            let (place, text) = fault.split_once(": ").unwrap_or_else(|| panic!("{line}"));
            assert!(!text.is_empty());
            place
        })
        .collect();
    assert_eq!(found, places, "{}", ended.stderr);
    assert!(ended.stderr.ends_with('\n') && !ended.stderr.ends_with("\n\n"));
}

#[test]
fn every_fault_of_the_server_is_told_with_its_place() {
    let place = Place::new();
    for (text, places) in [
        ("nonsense", &["1:1"][..]),
        ("$bind_port = 70000;\n", &["1:14"]),
        ("# fine\n\n  $bind_prot = 19;\n", &["3:3"]),
        ("$delay_check = 5\n$bind_port = 19;", &["1:17"]),
        (
            "$files{'messages'} = '';\n$hosts_allow{'router'} = 1;\n$grace = -1;\n",
            &["1:8", "2:14", "3:10"],
        ),
    ] {
        place.write("gen_numbers.pl.locals", text);
        expect_faults(&place, "gen_numbers", places);
    }
}

#[test]
fn every_fault_of_the_collector_is_told_with_its_place() {
    let place = Place::new();
    for (text, places) in [
        ("127.0.0.1 99999 /a /b /c\n", &["1:11"][..]),
        ("# fine\n\n127.0.0.1 19 a /b /c\n", &["3:14"]),
        (
            "127.0.0.1 x /a /b /c\n127.0.0.1 19 /a /d /e nonsense=1\n",
            &["1:11", "2:23"],
        ),
    ] {
        place.write("fetch_logs.conf", text);
        expect_faults(&place, "fetch_logs", places);
    }
}

#[test]
fn the_same_faults_keep_a_daemon_from_starting() {
    let place = Place::new();
    place.write("gen_numbers.pl.locals", "nonsense");
    place.write("fetch_logs.conf", "nonsense");
    for applet in DAEMONS {
        let checked = checked(&place, applet);
        for options in [&[][..], &["-b"]] {
            let started = run(place.daemon(applet, options));
            assert_eq!(started.status, Some(78));
            assert_eq!(started.stderr, checked.stderr);
        }
    }
    assert!(!place.path("snmp").exists());
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_fault_too() {
    let place = Place::new();
    for applet in DAEMONS {
        let config = place.path(config_of(applet));
        fs::remove_file(&config).unwrap();
        let missing = checked(&place, applet);
        assert_eq!(missing.status, Some(78), "{missing:?}");
        let text = format!("cannot read {}: No such file", config.display());
        assert!(missing.stderr.contains(&text), "{missing:?}");
        fs::create_dir(&config).unwrap();
        let directory = checked(&place, applet);
        // That of the collector may be one.
        let is_collector = applet == "fetch_logs";
        let expected = if is_collector { 0 } else { 78 };
        assert_eq!(directory.status, Some(expected), "{directory:?}");
        assert_eq!(directory.stderr.contains("cannot read "), !is_collector);
    }
}

#[test]
fn a_fifo_for_a_configuration_is_not_waited_for() {
    let place = Place::new();
    for applet in DAEMONS {
        let config = place.path(config_of(applet));
        fs::remove_file(&config).unwrap();
        let made = Command::new("mkfifo").arg(&config).status();
        assert!(made.unwrap().success());
        for options in [&["-t"][..], &[]] {
            let ended = run(place.daemon(applet, options));
            assert_eq!(ended.status, Some(78), "{ended:?}");
            let text = format!("cannot read {}: it is not a regular file", config.display());
            assert!(ended.stderr.contains(&text), "{ended:?}");
        }
    }
}
