//! The install script, into an empty directory and over an older installation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::FETCHLOGS;

fn install(place: &Place, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(shipped("install"));
    command
        .arg(FETCHLOGS)
        .env("DESTDIR", place.dir.path())
        .envs(variables.iter().copied());
    command
}

fn uninstall(place: &Place, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(shipped("install"));
    command
        .arg("-u")
        .env("DESTDIR", place.dir.path())
        .envs(variables.iter().copied());
    command
}

fn mode(place: &Place, name: &str) -> u32 {
    let metadata = fs::metadata(place.path(name)).expect(name);
    metadata.permissions().mode() & 0o7777
}

#[test]
fn everything_is_laid_out_below_destdir() {
    let place = Place::new();
    succeeds(install(&place, &[]));
    for program in ["fetchlogs", "gen_numbers", "fetch_logs", "snmp_from_file"] {
        let mut command = Command::new(place.path(&format!("usr/local/sbin/{program}")));
        command.arg("-V");
        assert!(succeeds(command).stdout.starts_with(program));
    }
    for file in [
        "etc/gen_numbers.pl.locals",
        "etc/fetch_logs.conf",
        "usr/local/share/man/man8/gen_numbers.8",
        "usr/local/share/man/man8/fetch_logs.8",
        "usr/local/share/man/man8/snmp_from_file.8",
        "usr/local/share/man/man5/gen_numbers.pl.locals.5",
        "usr/local/share/man/man5/fetch_logs.conf.5",
        "usr/local/share/snmp/mibs/FETCHLOGS-MIB.txt",
        "usr/local/share/fetchlogs/prometheus.rules.yml",
        "usr/local/share/fetchlogs/snmpd.conf.example",
        "usr/local/share/man/man7/fetchlogs.7",
    ] {
        assert_eq!(mode(&place, file), 0o644, "{file}");
    }
    assert!(place.path("var/log/fetchlogs").is_dir());
    let script = "usr/local/sbin/fetchlogs-retention";
    assert_eq!(mode(&place, script), 0o755);
    assert!(place.read(script).contains("/usr/local/sbin/fetch_logs"));
}

/// Every file and link below a directory, without the directory's name.
fn files_of(place: &Place) -> Vec<String> {
    let mut command = Command::new("find");
    command.args([".", "!", "-type", "d"]);
    command.current_dir(place.dir.path());
    let mut names: Vec<String> = succeeds(command)
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

#[test]
fn units_go_where_systemd_looks() {
    for (prefix, units, users) in [
        ("/usr", "usr/lib/systemd/system", "usr/lib"),
        (
            "/usr/local",
            "usr/local/lib/systemd/system",
            "usr/local/lib",
        ),
        ("/opt/fetchlogs", "etc/systemd/system", "etc"),
    ] {
        let place = Place::new();
        let variables = [("PREFIX", prefix), ("INIT", "systemd")];
        succeeds(install(&place, &variables));
        for unit in [
            "gen_numbers.service",
            "fetch_logs.service",
            "fetchlogs-retention.timer",
        ] {
            assert_eq!(mode(&place, &format!("{units}/{unit}")), 0o644);
        }
        let user = format!("{users}/sysusers.d/fetchlogs.conf");
        assert_eq!(mode(&place, &user), 0o644);
        // At each boot that would take the status files of a collector that runs as somebody else.
        assert!(!place.path(&format!("{users}/tmpfiles.d")).exists());
    }
}

/// What is to be typed or called is where it was put.
#[test]
fn nothing_names_another_prefix() {
    let place = Place::new();
    succeeds(install(&place, &[("PREFIX", "/usr"), ("INIT", "systemd")]));
    let mut command = Command::new("grep");
    command.args(["-rIl", "/usr/local/"]).arg(place.path("usr"));
    assert_eq!(run(command).stdout, "");
}

#[test]
fn it_says_what_it_did_and_what_is_next() {
    for (init, start) in [
        ("systemd", "systemctl enable --now gen_numbers"),
        ("openrc", "rc-update add fetch_logs default"),
        ("sysv", "/etc/init.d/fetch_logs start"),
        ("none", "/usr/local/sbin/fetch_logs -b -s"),
    ] {
        let place = Place::new();
        let said = succeeds(install(&place, &[("INIT", init)])).stdout;
        for words in [
            start,
            "/usr/local/sbin/fetchlogs",
            "/etc/fetch_logs.conf",
            "gen_numbers-init",
        ] {
            assert!(said.contains(words), "{init}: {words}: {said}");
        }
    }
}

/// Nothing of the programs is left, and everything of the operator.
#[test]
fn it_uninstalls_what_it_installed() {
    for init in ["none", "systemd", "openrc", "sysv"] {
        let place = Place::new();
        // Links to the program under test are no part of it.
        for name in ["gen_numbers", "fetch_logs", "snmp_from_file"] {
            fs::remove_file(place.path(name)).unwrap();
        }
        succeeds(install(&place, &[("INIT", init)]));
        assert!(files_of(&place).len() > 15);
        place.write("var/log/fetchlogs/a", "copy\n");
        let said = succeeds(uninstall(&place, &[("INIT", init)])).stdout;
        assert!(said.contains("stays: "), "{said}");
        assert_eq!(
            files_of(&place),
            [
                "./etc/fetch_logs.conf",
                "./etc/gen_numbers.pl.locals",
                "./var/log/fetchlogs/a"
            ],
            "{init}"
        );
    }
}

/// Whoever forgets INIT hears of what would be started and is gone.
#[test]
fn what_starts_the_daemons_is_told_where_it_stays() {
    for (init, starter) in [
        ("systemd", "usr/local/lib/systemd/system/fetch_logs.service"),
        ("sysv", "etc/init.d/gen_numbers"),
    ] {
        let place = Place::new();
        succeeds(install(&place, &[("INIT", init)]));
        let said = succeeds(uninstall(&place, &[])).stderr;
        let words = format!(
            "stays: {}, which INIT did not name",
            place.path(starter).display()
        );
        assert!(said.contains(&words), "{init}: {said}");
        let ended = succeeds(uninstall(&place, &[("INIT", init)]));
        assert_eq!(ended.stderr, "");
        assert!(!place.path(starter).exists());
    }
}

/// They would be dangling, and each boot would tell of them.
#[test]
fn links_that_start_what_it_uninstalls_go_with_it() {
    for (init, link, stays) in [
        (
            "sysv",
            "etc/rc2.d/S01fetch_logs",
            "etc/rc2.d/S01fetch_logs2",
        ),
        ("sysv", "etc/rc0.d/K01gen_numbers", "etc/rc0.d/K01other"),
        (
            "sysv",
            "etc/rc.d/rc3.d/S20gen_numbers",
            "etc/rc.d/rc3.d/S20",
        ),
        (
            "openrc",
            "etc/runlevels/default/gen_numbers",
            "etc/runlevels/default/other",
        ),
    ] {
        let place = Place::new();
        succeeds(install(&place, &[("INIT", init)]));
        let script = if link.ends_with("fetch_logs") {
            "../init.d/fetch_logs"
        } else {
            "../init.d/gen_numbers"
        };
        fs::create_dir_all(place.path(link).parent().unwrap()).unwrap();
        for name in [link, stays] {
            std::os::unix::fs::symlink(script, place.path(name)).unwrap();
        }
        let said = succeeds(uninstall(&place, &[("INIT", init)])).stdout;
        assert!(said.contains(&format!("/{link}\n")), "{said}");
        let left = files_of(&place);
        assert!(!left.contains(&format!("./{link}")), "{left:?}");
        assert!(left.contains(&format!("./{stays}")), "{left:?}");
    }
}

#[test]
fn what_was_installed_works_as_it_is() {
    let place = Place::new();
    succeeds(install(&place, &[("PREFIX", "/usr")]));
    let mut server = Command::new(place.path("usr/sbin/gen_numbers"));
    server
        .arg("-t")
        .arg("-c")
        .arg(place.path("etc/gen_numbers.pl.locals"));
    succeeds(server);
    let mut collector = Command::new(place.path("usr/sbin/fetch_logs"));
    collector
        .args(["-t", "/var/snmp_data"])
        .arg(place.path("etc/fetch_logs.conf"));
    succeeds(collector);
}

#[test]
fn an_archive_brings_its_own_binary() {
    let place = Place::new();
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(shipped("")).arg(place.path("conf"));
    succeeds(copy);
    fs::copy(FETCHLOGS, place.path("fetchlogs")).unwrap();
    let mut command = Command::new(place.path("conf/install"));
    command.env("DESTDIR", place.path("root"));
    succeeds(command);
    assert!(place.path("root/usr/local/sbin/fetchlogs").is_file());
}

#[test]
fn a_configuration_that_is_there_stays() {
    let place = Place::new();
    place.write("etc/fetch_logs.conf", "# mine\n");
    let ended = succeeds(install(&place, &[]));
    assert!(ended.stdout.contains("left alone"), "{}", ended.stdout);
    assert_eq!(place.read("etc/fetch_logs.conf"), "# mine\n");
}

#[test]
fn what_starts_the_daemons_has_the_paths_of_the_installation() {
    for (init, file) in [
        (
            "systemd",
            "usr/local/lib/systemd/system/gen_numbers.service",
        ),
        ("openrc", "opt/etc/init.d/gen_numbers"),
        ("sysv", "opt/etc/init.d/gen_numbers"),
    ] {
        let place = Place::new();
        let variables = [
            ("INIT", init),
            ("SBINDIR", "/opt/sbin"),
            ("SYSCONFDIR", "/opt/etc"),
        ];
        succeeds(install(&place, &variables));
        let text = place.read(file);
        assert!(text.contains("/opt/sbin/gen_numbers"), "{init}: {text}");
        assert!(
            text.contains("/opt/etc/gen_numbers.pl.locals"),
            "{init}: {text}"
        );
        assert!(!text.contains("/usr/sbin"), "{init}: {text}");
    }
}

/// The words of a text that are paths of a program.
fn paths_of<'a>(program: &str, text: &'a str) -> Vec<&'a str> {
    let end = format!("/{program}");
    text.split_whitespace()
        .filter(|word| word.starts_with('/') && word.ends_with(&end))
        .collect()
}

#[test]
fn paths_to_be_typed_are_those_of_the_installation() {
    for variables in [&[][..], &[("PREFIX", "/opt/a&b#c")]] {
        let place = Place::new();
        succeeds(install(&place, variables));
        let prefix = variables.first().map_or("/usr/local", |(_, prefix)| prefix);
        let page = place.read(&format!("{prefix}/share/man/man8/snmp_from_file.8")[1..]);
        let paths = paths_of("snmp_from_file", &page);
        assert_eq!(paths, [format!("{prefix}/sbin/snmp_from_file")]);
        assert!(place.path(&paths[0][1..]).is_file());
    }
    let example = fs::read_to_string(shipped("snmpd.conf.example")).unwrap();
    let readme = fs::read_to_string(shipped("README.md")).unwrap();
    for text in [example, readme] {
        let paths = paths_of("snmp_from_file", &text);
        assert_eq!(paths, ["/usr/local/sbin/snmp_from_file"]);
    }
}

/// The line for cron runs as whoever the collector runs as, who is there: nobody makes a user without systemd.
#[test]
fn the_line_for_cron_has_the_collectors_user() {
    for (init, user) in [
        ("none", "root"),
        ("openrc", "root"),
        ("sysv", "root"),
        ("systemd", "fetchlogs"),
    ] {
        let place = Place::new();
        succeeds(install(&place, &[("INIT", init)]));
        let file = "usr/local/share/fetchlogs/fetchlogs-retention.cron";
        assert_eq!(mode(&place, file), 0o644);
        let text = place.read(file);
        let line = text.lines().last().unwrap();
        let words: Vec<&str> = line.split(' ').skip(5).take(3).collect();
        let expected = [
            user,
            "FETCH_LOGS=/usr/local/sbin/fetch_logs",
            "/usr/local/sbin/fetchlogs-retention",
        ];
        assert_eq!(words, expected, "{init}");
    }
}

#[test]
fn everybody_may_read_what_a_careful_root_installs() {
    let place = Place::new();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077 && exec \"$@\"", "sh"]);
    command.arg(shipped("install")).arg(FETCHLOGS);
    command.env("DESTDIR", place.dir.path());
    succeeds(command);
    for dir in ["usr/local/sbin", "usr/local/share/man/man8", "etc", "var"] {
        assert_eq!(mode(&place, dir), 0o755, "{dir}");
    }
    assert_eq!(mode(&place, "var/log/fetchlogs"), 0o750);
}

#[test]
fn who_may_read_the_copies_stays_as_it_is() {
    let place = Place::new();
    let copies = place.path("var/log/fetchlogs");
    fs::create_dir_all(&copies).unwrap();
    fs::set_permissions(&copies, fs::Permissions::from_mode(0o711)).unwrap();
    succeeds(install(&place, &[]));
    assert_eq!(mode(&place, "var/log/fetchlogs"), 0o711);
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = Place::new();
    for (variables, words) in [
        (&[("INIT", "upstart")][..], "systemd, openrc or sysv"),
        (&[("PREFIX", "usr")], "begin with /"),
        (&[("INIT", "sysv"), ("PREFIX", "/o p")], "letters, digits"),
    ] {
        let ended = run(install(&place, variables));
        assert_eq!(ended.status, Some(1));
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert!(!place.path("etc").exists(), "half of it was installed");
    }
    let mut command = install(&place, &[]);
    command.arg("more");
    let ended = run(command);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("too much"), "{}", ended.stderr);
    let mut command = Command::new(shipped("install"));
    command.arg("/nonexistent").env("DESTDIR", place.dir.path());
    let ended = run(command);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("cargo build --release"),
        "{}",
        ended.stderr
    );
}
