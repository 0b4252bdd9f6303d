//! `gen_numbers-init`: what it finds on boxes of several kinds, and that the server takes what it prints.

use std::fs;
use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::process::Ended;
use crate::common::{FETCHLOGS, outside_program};

/// A box with these files; its log host is 10.4.3.1.
struct Box(Place);

impl Box {
    fn new(files: &[(&str, &str)]) -> Box {
        let place = Place::new();
        for (name, text) in files {
            place.write(&format!("root/{name}"), text);
        }
        Box(place)
    }

    /// What each shell makes of it is the same.
    fn says(&self, arguments: &[&str]) -> Ended {
        let mut said: Vec<Ended> = Vec::new();
        for shell in [&["dash"][..], &["busybox", "sh"]] {
            let Some(program) = outside_program(shell[0]) else {
                continue;
            };
            let mut command = Command::new(program);
            command
                .args(&shell[1..])
                .arg(shipped("gen_numbers-init"))
                .arg("-r")
                .arg(self.0.path("root"))
                .args(arguments);
            said.push(run(command));
        }
        let last = said.pop().unwrap();
        for other in said {
            assert_eq!(other.stdout, last.stdout);
        }
        last
    }

    /// The statements that are printed, without comments and empty lines.
    fn statements(&self, arguments: &[&str]) -> Vec<String> {
        let ended = self.says(arguments);
        assert_eq!(ended.stderr, "");
        assert_eq!(ended.status, Some(0));
        if ended.stdout.ends_with("1;\n") {
            let config = self.0.write("config", &ended.stdout);
            let mut command = Command::new(FETCHLOGS);
            command.args(["gen_numbers", "-t", "-c"]).arg(config);
            succeeds(command);
        }
        let lines = ended.stdout.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn logrotates_blocks_are_read() {
    let place = Box::new(&[
        (
            "etc/logrotate.conf",
            "weekly\nrotate 4\n# dateext\ninclude /etc/logrotate.d\n",
        ),
        (
            "etc/logrotate.d/rsyslog",
            "/var/log/syslog\n/var/log/mail.log\n\"/var/log/with blank.log\"\n{\n  rotate 4\n  compress\n  \
             delaycompress\n  postrotate\n    /usr/lib/rsyslog/rsyslog-rotate {\n  endscript\n}\n",
        ),
        (
            "etc/logrotate.d/app",
            "/var/log/app/*.log {\n dateext\n compress\n}\n/var/log/t { copytruncate\n copytruncate\n}\n\
             /var/log/old.log {\n olddir archive\n extension .log\n}\n/var/log/none {\n rotate 0\n}\n",
        ),
        ("etc/logrotate.d/app.dpkg-old", "/var/log/boot {\n}\n"),
        ("var/log/syslog", ""),
        ("var/log/app/a.log", ""),
        ("var/log/app/a.log-20260101", ""),
        ("var/log/t", ""),
        ("var/log/old.log", ""),
        ("var/log/none", ""),
        ("var/log/boot", ""),
        ("var/log/wtmp", ""),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1", "2001:db8::/32"]),
        [
            "$hosts_allow{'10.4.3.1'} = 1;",
            "$hosts_allow{'2001:db8::/32'} = 1;",
            "$files{'/var/log/app/a.log'} = '/var/log/app/a.log-*[0-9]';",
            "$files{'/var/log/t'} = '/var/log/t.*[0-9]';",
            "$files{'/var/log/old.log'} = '/var/log/archive/old.*[0-9].log';",
            "$files{'/var/log/none'} = '';",
            "$files{'/var/log/syslog'} = '/var/log/syslog.*[0-9]';",
            "1;",
        ]
    );
    let said = place.says(&[]).stdout;
    for words in [
        "# Name the log host:",
        "# logrotate (/etc/logrotate.d/app). It compresses at once: say delaycompress",
        "It copies and truncates",
        "It keeps nothing (rotate 0)",
        "# It is not there yet. Take the # away when it is:\n#$files{'/var/log/mail.log'}",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("boot"), "{said}");
}

#[test]
fn the_defaults_of_logrotate_go_for_what_is_included() {
    let place = Box::new(&[
        (
            "etc/logrotate.conf",
            "dateext\n/var/log/own {\n nodateext\n}\n",
        ),
        ("etc/logrotate.d/a", "/var/log/a {\n}\n"),
        ("var/log/a", ""),
        ("var/log/own", ""),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..3],
        [
            "$files{'/var/log/own'} = '/var/log/own.*[0-9]';",
            "$files{'/var/log/a'} = '/var/log/a-*[0-9]';",
        ]
    );
}

#[test]
fn supervised_logs_and_busybox_are_found() {
    let place = Box::new(&[
        (
            "etc/conf.d/syslog",
            "# of Alpine\nSYSLOGD_OPTS=\"-t -O /var/log/all -s 200 -b 3\"\n",
        ),
        ("var/log/all", ""),
        ("var/log/all.0", ""),
        ("var/log/sshd/current", ""),
        ("var/log/sv/web/current", ""),
        ("var/log/kern.log", ""),
        ("var/log/cron", ""),
        ("var/log/cron.1", ""),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..],
        [
            "$files{'/var/log/all'} = '/var/log/all.[0-9]';",
            "$files{'/var/log/sshd/current'} = '/var/log/sshd/@*.[su]';",
            "$files{'/var/log/sv/web/current'} = '/var/log/sv/web/@*.[su]';",
            "$files{'/var/log/kern.log'} = '';",
            "$files{'/var/log/cron'} = '/var/log/cron.*[0-9]';",
            "1;",
        ]
    );
    let memory = Box::new(&[("etc/conf.d/syslog", "SYSLOGD_OPTS=\"-C128\"\n")]);
    assert!(
        memory
            .says(&[])
            .stdout
            .contains("keeps the log in memory only (-C)")
    );
    let empties = Box::new(&[("etc/default/syslogd", "OPTS=\"-b 0\"\n")]);
    assert!(empties.says(&[]).stdout.contains("with -b 0 empties"));
}

#[test]
fn a_router_gets_its_own_form() {
    let files = [
        ("etc/openwrt_release", ""),
        (
            "etc/config/system",
            "config system\n\toption hostname 'OpenWrt'\n\toption log_file '/tmp/log/all'\n\n\
             config timeserver 'ntp'\n\toption log_file 'no'\n",
        ),
        ("tmp/log/all", ""),
    ];
    let router = Box::new(&files);
    assert_eq!(
        router.statements(&["10.4.3.1"]),
        [
            "config gen_numbers 'main'",
            "option enabled '1'",
            "list allow '10.4.3.1'",
            "config log",
            "option path '/tmp/log/all'",
            "list rotated '/tmp/log/all.old'",
        ]
    );
    assert_eq!(
        router.statements(&["-n", "10.4.3.1"])[1],
        "$files{'/tmp/log/all'} = '/tmp/log/all.old';"
    );
    assert!(router.says(&[]).stdout.contains("option enabled '0'"));
    let stock = Box::new(&[files[0], ("etc/config/system", "config system\n")]);
    let said = stock.says(&["10.4.3.1"]).stdout;
    for words in [
        "uci set system.@system[0].log_file=/var/log/messages",
        "#\toption path '/var/log/messages'",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_is_no_address_and_names_that_are_odd_become_no_statement() {
    let place = Box::new(&[
        ("etc/logrotate.d/a", "/var/log/it's {\n}\n"),
        ("var/log/it's", ""),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1"]),
        ["$hosts_allow{'10.4.3.1'} = 1;", "1;"]
    );
    for host in ["1'; system('x", "router.example.net", "-1"] {
        let ended = place.says(&["--", host]);
        assert_eq!(ended.status, Some(1), "{host}");
        assert_eq!(ended.stdout, "");
    }
}

/// As it is sent to a box that it is not on yet.
#[test]
fn it_may_come_by_standard_input() {
    let there = Box::new(&[("var/log/messages", "")]);
    let expected = there.says(&["10.4.3.1"]).stdout;
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec sh -s -- -r "$2" 10.4.3.1 <"$1""#, "sh"]);
    command.arg(shipped("gen_numbers-init"));
    command.arg(there.0.path("root"));
    assert_eq!(succeeds(command).stdout, expected);
}

#[test]
fn a_symbolic_link_is_told() {
    let place = Box::new(&[
        ("etc/logrotate.d/a", "/var/log/a {\n}\n"),
        ("var/log/b", ""),
    ]);
    std::os::unix::fs::symlink("b", place.0.path("root/var/log/a")).unwrap();
    assert_eq!(place.statements(&["10.4.3.1"]).len(), 2);
    assert!(
        place
            .says(&[])
            .stdout
            .contains("symbolic link, which is not followed")
    );
}

#[test]
fn shellcheck_finds_no_fault_in_any_script() {
    let Some(shellcheck) = outside_program("shellcheck") else {
        return;
    };
    let mut command = Command::new(shellcheck);
    command.args([
        "gen_numbers-init",
        "install",
        "debian/build",
        "image/build",
        "debian/postinst",
        "debian/prerm",
        "debian/postrm",
        "monitoring/check_fetchlogs",
        "../tests/packaging/dpkg",
        "../tests/monitoring/walk",
    ]);
    command.current_dir(shipped(""));
    succeeds(command);
    assert!(fs::metadata(shipped("gen_numbers-init")).is_ok());
}
