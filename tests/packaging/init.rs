//! `gen_numbers-init`: what it finds on boxes of several kinds, and that the server takes what it prints.

use std::fs;
use std::process::Command;

use super::{Place, shipped, succeeds};
use crate::common::process::{Ended, same_by_shells};
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
        same_by_shells(|command| {
            command
                .arg(shipped("gen_numbers-init"))
                .arg("-r")
                .arg(self.0.path("root"))
                .args(arguments);
        })
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

/// The statement of a log, of which all globs are in the same directory.
fn files(log: &str, globs: &str) -> String {
    format!("$files{{'/var/log/{log}'}} = '{globs}';")
}

/// Globs of numbered files, with something behind the number.
fn numbered(begin: &str, end: &str) -> String {
    let digits = |count| "[0-9]".repeat(count);
    let globs = [1, 2, 3].map(|count| format!("/var/log/{begin}.{}{end}", digits(count)));
    globs.join(" ")
}

/// The same of dates, without and with the hour.
fn dated(begin: &str, end: &str) -> String {
    let digits = |count| "[0-9]".repeat(count);
    let globs = [8, 10].map(|count| format!("/var/log/{begin}-{}{end}", digits(count)));
    globs.join(" ")
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
            &files("old.log", &numbered("archive/old", ".log")),
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
            "rotate 4\ndateext\n/var/log/own {\n nodateext\n}\n",
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
    let many = Box::new(&[("etc/default/syslogd", "OPTS='-b20 -s 50'\n")]);
    let globs = "'/var/log/messages.[0-9] /var/log/messages.[0-9][0-9]'";
    assert!(many.says(&[]).stdout.contains(globs));
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
fn a_name_that_is_odd_keeps_no_other_log_from_being_served() {
    let odd = [
        "a b",
        "tab\tx",
        "new\nline",
        "{x,y}",
        "\"x\"",
        "q'q",
        "d$x",
        "b\\s",
        "s*r",
        "q?m",
        "br[a]",
        "@{[1]}",
        "\u{b}",
    ];
    let mut files = vec![
        ("etc/logrotate.conf".to_owned(), "rotate 4\n"),
        ("etc/logrotate.d/a".to_owned(), "/var/log/app/*.log {\n}\n"),
        ("var/log/app/fine.log".to_owned(), ""),
        ("var/log/sv/fine/current".to_owned(), ""),
        ("var/log/e\n/var/log/current".to_owned(), ""),
    ];
    for name in odd {
        files.push((format!("var/log/app/{name}.log"), ""));
        files.push((format!("var/log/sv/{name}/current"), ""));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), *b)).collect();
    let place = Box::new(&files);
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..],
        [
            "$files{'/var/log/sv/fine/current'} = '/var/log/sv/fine/@*.[su]';",
            "$files{'/var/log/app/fine.log'} = '/var/log/app/fine.log.*[0-9]';",
            "1;",
        ]
    );
    let said = place.says(&[]).stdout;
    assert_eq!(said.matches("A log is left out").count(), 2 * odd.len() + 1);
    assert!(said.contains("# /var/log/app/a?b.log\n"), "{said}");
}

#[test]
fn a_path_that_the_server_refuses_is_left_out() {
    let directories = format!("/var/log/{0}/{0}", "d".repeat(240));
    let long = format!("{directories}/{}", "x".repeat(30));
    let block = format!("{directories}/* {{\n}}\n");
    for (name, text) in [
        (&long[1..], ""),
        ("etc/conf.d/syslog", "SYSLOGD_OPTS='-O relative'\n"),
        ("etc/conf.d/syslog", "SYSLOGD_OPTS=\"-O /var/log/\"\n"),
        ("etc/config/system", "config system\n option log_file log\n"),
    ] {
        let place = Box::new(&[(name, text), ("etc/logrotate.d/a", &block)]);
        let statements = place.statements(&["10.4.3.1"]);
        assert_eq!(statements, ["$hosts_allow{'10.4.3.1'} = 1;", "1;"]);
        assert!(place.says(&[]).stdout.contains("A log is left out"));
    }
}

#[test]
fn braces_quotes_comments_and_scripts_are_logrotates() {
    let place = Box::new(&[
        ("etc/logrotate.conf", "rotate 4\n"),
        (
            "etc/logrotate.d/a",
            "/var/log/two.log { daily\n missingok }\n/var/log/one.log { daily missingok }\n\
             \"/var/log/my app/*.log\" '/var/log/quoted.log'{\n  prerotate\n    echo } { rotate 0\n    \
             endscripts\n  endscript\n  rotate=2\n}\n# /var/log/no {\n/var/log/list # no {\n\n  # no {\n\
             '/var/log/listed' \n{\n postrotate\n  x\n endscript }\n/var/log/zero { rotate 0 }\n\
             /var/log/open {\n missingok",
        ),
        (
            "etc/logrotate.d/crlf",
            "/var/log/crlf {\r\n dateext\r\n}\r\n",
        ),
        (
            "etc/logrotate.d/my d",
            "/var/log/named {\n dateext\n}\n/var/log/d\n{\n}\n",
        ),
        ("etc/logrotate.d/new\nline", "/var/log/no {\n}\n"),
        ("var/log/two.log", ""),
        ("var/log/one.log", ""),
        ("var/log/my", ""),
        ("var/log/my app/z.log", ""),
        ("var/log/quoted.log", ""),
        ("var/log/list", ""),
        ("var/log/listed", ""),
        ("var/log/zero", ""),
        ("var/log/open", ""),
        ("var/log/crlf", ""),
        ("var/log/named", ""),
        ("var/log/d", ""),
        ("var/log/no", ""),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..],
        [
            "$files{'/var/log/two.log'} = '/var/log/two.log.*[0-9]';",
            "$files{'/var/log/one.log'} = '/var/log/one.log.*[0-9]';",
            "$files{'/var/log/quoted.log'} = '/var/log/quoted.log.*[0-9]';",
            "$files{'/var/log/list'} = '/var/log/list.*[0-9]';",
            "$files{'/var/log/listed'} = '/var/log/listed.*[0-9]';",
            "$files{'/var/log/zero'} = '';",
            "$files{'/var/log/open'} = '/var/log/open.*[0-9]';",
            "$files{'/var/log/crlf'} = '/var/log/crlf-*[0-9]';",
            "$files{'/var/log/named'} = '/var/log/named-*[0-9]';",
            "$files{'/var/log/d'} = '/var/log/d.*[0-9]';",
            "1;",
        ]
    );
    let said = place.says(&[]).stdout;
    for words in [
        "# /var/log/my?app/z.log\n",
        "# logrotate (/etc/logrotate.d/my d).",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("#$files"), "{said}");
}

#[test]
fn names_of_rotated_files_follow_the_dateformat_or_are_told_as_unknown() {
    let place = Box::new(&[
        ("etc/logrotate.conf", "rotate 4\ndateext\n"),
        (
            "etc/logrotate.d/a",
            "/var/log/dots {\n dateformat .%Y-%m-%d\n}\n/var/log/since {\n dateformat -%s\n}\n\
             /var/log/odd {\n dateformat _%Y/%m\n}\n/var/log/moved {\n olddir my old\n}\n\
             /var/log/added {\n nodateext\n addextension .old\n}\n\
             /var/log/both.log {\n nodateext\n extension .log\n addextension .old\n}\n",
        ),
        ("var/log/dots", ""),
        ("var/log/since", ""),
        ("var/log/odd", ""),
        ("var/log/moved", ""),
        ("var/log/added", ""),
        ("var/log/both.log", ""),
    ]);
    let two = "[0-9][0-9]";
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..],
        [
            &format!("$files{{'/var/log/dots'}} = '/var/log/dots.{two}{two}-{two}-{two}';")[..],
            &format!(
                "$files{{'/var/log/since'}} = '/var/log/since-{}';",
                two.repeat(5)
            ),
            "$files{'/var/log/odd'} = '';",
            "$files{'/var/log/moved'} = '';",
            &files("added", &numbered("added", ".old")),
            &files("both.log", &numbered("both", ".log")),
            "1;",
        ]
    );
    let said = place.says(&[]).stdout;
    assert_eq!(said.matches("are not known here: name them").count(), 2);
}

#[test]
fn where_no_rotate_is_said_nothing_is_kept() {
    let place = Box::new(&[
        ("etc/logrotate.d/a", "/var/log/a {\n weekly\n}\n"),
        ("var/log/a", ""),
    ]);
    let statements = place.statements(&["10.4.3.1"]);
    assert_eq!(statements[1], "$files{'/var/log/a'} = '';");
    assert!(place.says(&[]).stdout.contains("It keeps nothing"));
}

/// As app.log beside app.web.log, which has app.web.1.log.
#[test]
fn what_is_behind_a_number_makes_no_other_log_a_rotated_file() {
    let place = Box::new(&[
        ("etc/logrotate.conf", "rotate 4\nextension .log\n"),
        (
            "etc/logrotate.d/a",
            "/var/log/app.log /var/log/app.web.log {\n}\n/var/log/day.log /var/log/day-web.log {\n dateext\n}\n",
        ),
        ("var/log/app.log", "1\n"),
        ("var/log/app.1.log", "2\n"),
        ("var/log/app.web.log", "3\n"),
        ("var/log/app.web.1.log", "4\n"),
        ("var/log/day.log", "5\n"),
        ("var/log/day-20260101.log", "6\n"),
        ("var/log/day-web.log", "7\n"),
        ("var/log/day-web-20260101.log", "8\n"),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..],
        [
            files("app.log", &numbered("app", ".log")),
            files("app.web.log", &numbered("app.web", ".log")),
            files("day.log", &dated("day", ".log")),
            files("day-web.log", &dated("day-web", ".log")),
            "1;".to_owned(),
        ]
    );
    // And the server makes of it what is meant.
    let root = format!("'{}/var/", place.0.path("root").display());
    let text = place.says(&["10.4.3.1"]).stdout;
    let text = text
        .replace("'/var/", &root)
        .replace(" /var/", &root.replace('\'', " "));
    let config = place.0.write("config", &text);
    let mut command = Command::new(FETCHLOGS);
    command.args(["gen_numbers", "-l", "-c"]).arg(config);
    let said = succeeds(command).stdout;
    assert_eq!(said.matches("\n  rotated 1").count(), 4, "{said}");
    assert_eq!(said.matches("\n  rotated").count(), 4, "{said}");
}

/// Logrotate 3.21 takes an addextension from a block only; both names are looked for.
#[test]
fn an_addextension_of_the_defaults_may_be_forgotten() {
    let place = Box::new(&[
        (
            "etc/logrotate.conf",
            "rotate 4\naddextension .log\ninclude /etc/logrotate.d\n",
        ),
        (
            "etc/logrotate.d/a",
            "/var/log/a.log /var/log/b {\n}\n/var/log/c.log {\n dateext\n}\n/var/log/d.x {\n addextension .x\n}\n\
             /var/log/e.end {\n extension .end\n}\n",
        ),
        ("var/log/a.log", ""),
        ("var/log/b", ""),
        ("var/log/c.log", ""),
        ("var/log/d.x", ""),
        ("var/log/e.end", ""),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..],
        [
            files("a.log", &(numbered("a", ".log") + " /var/log/a.log.*[0-9]")),
            files("b", &(numbered("b", ".log") + " /var/log/b.*[0-9]")),
            files("c.log", &(dated("c", ".log") + " /var/log/c.log-*[0-9]")),
            files("d.x", &numbered("d", ".x")),
            files("e.end", &numbered("e", ".end")),
            "1;".to_owned(),
        ]
    );
}

#[test]
fn includes_are_read_where_they_stand() {
    let place = Box::new(&[
        (
            "etc/logrotate.conf",
            "rotate 4\ntabooext + .off, .no*\ninclude /etc/logrotate.d\ndateext\n/var/log/late {\n}\n",
        ),
        (
            "etc/logrotate.d/a",
            "include /etc/logrotate.d\ninclude /nowhere\n/var/log/a {\n}\ninclude ../more\n",
        ),
        ("etc/logrotate.d/b.off", "/var/log/no {\n}\n"),
        ("etc/logrotate.d/b.not", "/var/log/no {\n}\n"),
        ("etc/logrotate.d/b.ucf-dist", "/var/log/no {\n}\n"),
        ("etc/logrotate.d/c", "/var/log/c {\n tabooext + .d\n}\n"),
        ("etc/logrotate.d/c.d", "/var/log/c.d {\n}\n"),
        ("etc/more/x", "/var/log/x {\n}\nextension .old\nrotate 0\n"),
        ("var/log/late", ""),
        ("var/log/a", ""),
        ("var/log/c", ""),
        ("var/log/c.d", ""),
        ("var/log/x", ""),
        ("var/log/no", ""),
    ]);
    assert_eq!(
        place.statements(&["10.4.3.1"])[1..],
        [
            "$files{'/var/log/c'} = '/var/log/c.*[0-9]';",
            "$files{'/var/log/c.d'} = '/var/log/c.d.*[0-9]';",
            "$files{'/var/log/a'} = '/var/log/a.*[0-9]';",
            "$files{'/var/log/x'} = '/var/log/x.*[0-9]';",
            "$files{'/var/log/late'} = '';",
            "1;",
        ]
    );
}

#[test]
fn only_addresses_and_networks_that_the_server_takes_are_accepted() {
    let place = Box::new(&[]);
    for host in [
        "",
        "face",
        "10.4.3",
        "10.4.3.256",
        "01.2.3.4",
        "10.0.0.0/33",
        "10.0.0.0/",
        "/8",
        "1:2",
        "1::2::3",
        ":::",
        "g::1",
        "::/129",
        "1:2:3:4:5:6:7:8::",
        "10.4.3.1 ",
        "10.4.3.1\n",
    ] {
        let ended = place.says(&["-n", host]);
        assert_eq!(ended.status, Some(1), "{host:?}");
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("neither an address"), "{host:?}");
    }
    for host in [
        "10.0.0.0/8",
        "::1",
        "::",
        "fd00::/8",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "::ffff:10.4.3.1",
    ] {
        let statements = place.statements(&["-n", host]);
        assert_eq!(statements[0], format!("$hosts_allow{{'{host}'}} = 1;"));
    }
}

#[test]
fn the_file_of_logd_may_have_quotes_and_blanks() {
    for (said, path) in [
        ("'/tmp/all'\t# here", "/tmp/all"),
        ("\"/tmp/all\"", "/tmp/all"),
        ("/tmp/all\r", "/tmp/all"),
        ("'/tmp/all of it'", ""),
    ] {
        let system = format!("config system\n\toption 'log_file' {said}\n");
        let place = Box::new(&[
            ("etc/config/system", &system),
            ("tmp/all", ""),
            ("tmp/all of it", ""),
        ]);
        let statements = place.statements(&["10.4.3.1"]);
        if path.is_empty() {
            assert_eq!(statements.len(), 2, "{statements:?}");
            assert!(place.says(&[]).stdout.contains("/tmp/all?of?it"));
        } else {
            let log = format!("$files{{'{path}'}} = '{path}.old';");
            assert_eq!(statements[1..], [log.as_str(), "1;"]);
        }
    }
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
