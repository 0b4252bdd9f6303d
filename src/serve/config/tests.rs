use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::allow::NetworkError;
use super::*;
use crate::limits::{CONFIG_ERRORS_MAX, PATH_MAX_LEN};
use crate::serve::glob::PatternError;

fn parsed(text: impl AsRef<[u8]>) -> Config {
    let text = text.as_ref();
    Config::parse(text).unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
        panic!("{}: {errors:?}", text.escape_ascii())
    })
}

/// The errors of a text as (line, column, what).
fn errors(text: impl AsRef<[u8]>) -> Vec<(u32, u32, Problem)> {
    let text = text.as_ref();
    match Config::parse(text) {
        Ok(_) => panic!("no fault in {}", text.escape_ascii()),
        Err(errors) => {
            let tuple = |error: ConfigError| (error.line, error.column, error.problem);
            errors.into_iter().map(tuple).collect()
        }
    }
}

fn allows(config: &Config, peer: &str) -> bool {
    config.hosts.allows(&peer.parse().unwrap())
}

fn paths(config: &Config) -> Vec<&Path> {
    config
        .files
        .iter()
        .map(|entry| entry.path.as_path())
        .collect()
}

fn patterns(text: &str) -> Patterns {
    Patterns::parse(text.as_bytes()).unwrap()
}

// What is understood.

#[test]
fn an_empty_file_gives_the_defaults() {
    for text in [
        "",
        "\n",
        "# nothing\n",
        "1;\n",
        // A byte order mark and nothing else.
        "\u{feff}",
        ";;;",
        "use strict;\n1;",
    ] {
        let config = parsed(text);
        assert_eq!(config, Config::default());
        assert!(config.hosts.is_empty());
        assert!(config.files.is_empty());
    }
    let config = Config::default();
    assert_eq!(config.bind, "0.0.0.0:19".parse::<SocketAddr>().unwrap());
    assert_eq!(
        (config.delay_check_ms, config.timeout_write_ms),
        (5_000, 60_000)
    );
    assert_eq!(
        (config.alive_interval_ms, config.grace_ms),
        (60_000, 10_000)
    );
    assert_eq!((config.max_clients, config.max_clients_per_ip), (64, 32));
}

#[test]
fn the_shipped_example_parses_as_it_stands() {
    let example = include_bytes!("../../../conf/gen_numbers.pl.locals");
    let config = parsed(example);
    assert!(config.hosts.is_empty(), "not even this machine is allowed");
    assert!(config.doubts().eq(["%hosts_allow allows nobody"]));
    assert_eq!(paths(&config), [Path::new("/var/log/messages")]);
    assert_eq!(
        config.files[0].patterns,
        patterns("/var/log/messages.*[0-9]")
    );
    let rest = Config {
        hosts: Hosts::default(),
        files: Vec::new(),
        ..config
    };
    assert_eq!(rest, Config::default(), "the example shows the defaults");
}

#[test]
fn what_the_shipped_example_has_in_comments_is_right_too() {
    let example = include_str!("../../../conf/gen_numbers.pl.locals");
    let config = parsed(example.replace("# $", "$"));
    assert!(allows(&config, "10.4.3.8") && !allows(&config, "10.4.3.9"));
    assert!(allows(&config, "2001:db8::1"));
    assert!(allows(&config, "127.0.0.1") && allows(&config, "::1"));
    assert_eq!(config.files.len(), 4);
    let without = config.index_of(Path::new("/var/log/boot.log")).unwrap() as usize;
    assert!(config.files[without].patterns.is_empty());
}

#[test]
fn every_log_is_found_in_whatever_order_they_stand() {
    let config = parsed(
        "$files{'/b'} = ''; $files{'/c'} = '/x*'; $files{'/a'} = ''; $files{'/c'} = '/c.*';",
    );
    assert_eq!(config.files.len(), 3);
    for path in ["/a", "/b", "/c"] {
        let at = config.index_of(Path::new(path)).unwrap() as usize;
        assert_eq!(config.files[at].path, Path::new(path));
    }
    assert_eq!(config.files[2].patterns, patterns("/c.*"));
    assert_eq!(config.index_of(Path::new("/d")), None);
}

#[test]
fn every_classic_line_is_understood() {
    let config = parsed(
        r#"
        $hosts_allow{"127.0.0.1"} = 1;
        $files{"/var/log/messages"} = "/var/log/messages.*[0-9]";
        $bind_port = 1919;
        $bind_addr = "10.4.3.5";
        $delay_check = 7;
        $timeout_write = 90;
        1;
        "#,
    );
    assert!(allows(&config, "127.0.0.1"));
    assert_eq!(paths(&config), [Path::new("/var/log/messages")]);
    assert_eq!(config.bind, "10.4.3.5:1919".parse::<SocketAddr>().unwrap());
    assert_eq!(
        (config.delay_check_ms, config.timeout_write_ms),
        (7_000, 90_000)
    );
}

#[test]
fn every_new_setting_is_understood() {
    let config = parsed(
        "$alive_interval = 30; $grace = 0; $max_clients = 5; $max_clients_per_ip = 4; $bind_addr = '::1';",
    );
    assert_eq!((config.alive_interval_ms, config.grace_ms), (30_000, 0));
    assert_eq!((config.max_clients, config.max_clients_per_ip), (5, 4));
    assert_eq!(config.bind.ip(), "::1".parse::<IpAddr>().unwrap());
    let default_of_1_1 = parsed("$bind_addr = \"0\"; $bind_port = 5;").bind;
    assert_eq!(default_of_1_1, parsed("$bind_port = 5;").bind);
}

#[test]
fn blanks_and_comments_stand_anywhere_between() {
    for text in [
        "$bind_port=5;",
        "  $bind_port\t=\n5 # five\n ;",
        "$bind_port = 5; # $bind_port = 6;",
        "# $bind_port = 6;\n$bind_port = 5;",
        "#!/usr/bin/perl\r\n$bind_port = 5;\r\n1;\r\n",
        "\u{feff}$bind_port = 5;",
        "\x0c$bind_port = 5;\x0b",
        "$bind_port = 5",
        "$bind_port = 5; 1",
        "$bind_port = 5;; ;1;",
    ] {
        assert_eq!(parsed(text).bind.port(), 5, "{text}");
    }
    let config = parsed("$files # a\n { # b\n '/a' # c\n } # d\n = # e\n '' # f\n ;");
    assert_eq!(paths(&config), [Path::new("/a")]);
}

#[test]
fn pod_is_skipped_and_the_end_is_the_end() {
    for text in [
        "=pod\n\n$bind_port = 6;\n\n=cut\n\n$bind_port = 5;",
        "=head1 A\nx\n=cut\n$bind_port = 5;",
        "=begin x\r\n\r\n=cutlery\r\n=cut\r\n$bind_port = 5;",
        "$bind_port = 5;\n=pod\n$bind_port = 6;",
        "$bind_port = 5;\n=pod",
        "$bind_port = 5;\n=pod\n\n=cut",
        "=pod\n=cut\n\n=pod\n=cut\n;\n=pod\n=cut\n# x\n=pod\n=cut\n$bind_port = 5;",
        "$bind_port = 5;\n__END__\n$bind_port = 6; 'open",
        "$bind_port = 5;\n__DATA__\n$bind_port = 6;",
        "$bind_port = 5\n__END__\n",
        "$bind_port = 5;\n\u{1a}$bind_port = 6;",
        "$bind_port = 5;\n\u{4}junk",
    ] {
        assert_eq!(parsed(text).bind.port(), 5, "{text}");
    }
}

#[test]
fn pragmas_and_declarations_change_nothing() {
    for text in [
        "use strict; use warnings; $bind_port = 5;",
        "use vars qw($bind_port %files);\n$bind_port = 5;",
        "no strict 'vars'; $bind_port = 5;",
        "package main;\nrequire 5.004;\n$bind_port = 5;\nuse utf8",
        "my $bind_port = 5;",
        "our $bind_port = 5;",
        "our $bind_port; our %files; our\n%hosts_allow\n; $bind_port = 5;",
        "our $bind_port = 5; our $grace",
        "$main::bind_port = 5;",
        "$::bind_port = 5; %main::files = ();",
    ] {
        assert_eq!(parsed(text).bind.port(), 5, "{text}");
    }
}

#[test]
fn strings_hold_what_perl_says() {
    for (text, path) in [
        (r"'/a'", "/a"),
        (r#""/a""#, "/a"),
        (r"'/a\b'", r"/a\b"),
        (r"'/a\\b'", r"/a\b"),
        (r"'/a\'b'", "/a'b"),
        (r"'/$a@b'", "/$a@b"),
        (r#"'/a"b'"#, "/a\"b"),
        (r#""/a'b""#, "/a'b"),
        (r#""/a\"b""#, "/a\"b"),
        (r#""/a\\b""#, r"/a\b"),
        (r#""/\$a\@b""#, "/$a@b"),
        (r#""/a\x41\x4a\x4Bz""#, "/aAJKz"),
        (r#""\x2fx""#, "/x"),
        (r#""\x2Fx""#, "/x"),
        (r#""/a\.b\\\*""#, "/a.b*"),
        (r#""/a@""#, "/a@"),
        (r#""/a@.b""#, "/a@.b"),
        (r#""/a#b;c""#, "/a#b;c"),
        ("q(/a(b)c)", "/a(b)c"),
        (r"q(/a\)c)", "/a)c"),
        ("q{/a{b}}", "/a{b}"),
        ("q[/a]", "/a"),
        ("q</a>", "/a"),
        ("q!/a!", "/a"),
        ("q|/a|", "/a"),
        ("q'/a'", "/a"),
        ("qq(/a\\x62(c))", "/ab(c)"),
        ("qq{/a\\}b}", "/a}b"),
        ("\"/\u{e9}t\u{e9}\"", "/\u{e9}t\u{e9}"),
    ] {
        let config = parsed(format!("$files{{{text}}} = '';"));
        assert_eq!(paths(&config), [Path::new(path)], "{text}");
    }
}

#[test]
fn bytes_that_are_no_utf8_pass_through() {
    use std::os::unix::ffi::OsStrExt;
    let config = parsed(b"$files{\"/log/caf\xe9\"} = '/log/caf\xe9.*';");
    assert_eq!(config.files[0].path.as_os_str().as_bytes(), b"/log/caf\xe9");
}

#[test]
fn escapes_make_blanks_between_patterns() {
    let config = parsed("$files{'/a'} = \"/b*\\t/c*\\n/d*\\r/e*\";");
    assert_eq!(config.files[0].patterns, patterns("/b* /c* /d* /e*"));
}

#[test]
fn keys_go_without_quotes_where_perl_lets_them() {
    assert_eq!(
        errors("$files{messages} = '';"),
        [(1, 8, Problem::PathNotAbsolute)]
    );
    assert_eq!(
        errors("$files{ 5 } = '';"),
        [(1, 9, Problem::PathNotAbsolute)]
    );
    assert_eq!(
        errors("$files{q} = '';"),
        [(1, 8, Problem::PathNotAbsolute)]
    );
    assert_eq!(
        errors("%files = (q => '');"),
        [(1, 11, Problem::PathNotAbsolute)]
    );
}

#[test]
fn numbers_are_decimal_with_fractions_and_underscores() {
    for (text, ms) in [
        ("5", 5_000),
        ("0.2", 200),
        (".2", 200),
        ("2.", 2_000),
        ("1_000", 1_000_000),
        ("1_0.2_5", 10_250),
        ("0.001", 1),
        ("0.0019", 1),
        ("1.9999", 1_999),
        ("86400", 86_400_000),
        ("\"5\"", 5_000),
        ("'0.25'", 250),
        ("'.5'", 500),
        ("'07'", 7_000),
        ("'86400.000'", 86_400_000),
    ] {
        let config = parsed(format!("$delay_check = {text};"));
        assert_eq!(config.delay_check_ms, ms, "{text}");
    }
    for (text, ms) in [
        ("0", 0),
        ("0.0", 0),
        ("'0'", 0),
        ("0.0004", 0),
        ("2", 2_000),
    ] {
        assert_eq!(parsed(format!("$grace = {text};")).grace_ms, ms, "{text}");
    }
    for (text, port) in [("0", 0), ("65535", 65_535), ("1_9", 19), ("'19'", 19)] {
        assert_eq!(
            parsed(format!("$bind_port = {text};")).bind.port(),
            port,
            "{text}"
        );
    }
    for (text, clients) in [("1", 1), ("4096", 4096), ("'64'", 64)] {
        assert_eq!(
            parsed(format!("$max_clients = {text};")).max_clients,
            clients,
            "{text}"
        );
    }
}

#[test]
fn a_host_is_allowed_by_1_and_refused_by_what_is_nothing() {
    for value in ["1", "'1'", "\"1\"", "q(1)"] {
        let config = parsed(format!("$hosts_allow{{'10.0.0.1'}} = {value};"));
        assert!(allows(&config, "10.0.0.1"), "{value}");
    }
    for value in ["0", "''", "\"\"", "undef", "'0'", "0.00", "-0", "q()"] {
        let config = parsed(format!("$hosts_allow{{'10.0.0.1'}} = {value};"));
        assert!(!allows(&config, "10.0.0.1"), "{value}");
        assert!(config.hosts.is_empty());
    }
}

#[test]
fn a_word_neither_allows_nor_refuses_a_host() {
    let words = [
        "\"yes\"", "'no'", "'false'", "'off'", "'deny'", "'00'", "'0.0'", "'01'",
    ];
    let numbers = ["2", "10", "0.5", "1.0", "-1"];
    for value in words.into_iter().chain(numbers) {
        let text = format!("$hosts_allow{{'10.0.0.1'}} = {value};");
        assert_eq!(errors(&text), [(1, 28, Problem::YesOrNo)], "{value}");
    }
    for value in ["' '", "'0 '", "' 1'", "'1 '"] {
        let text = format!("%hosts_allow = ('10.0.0.1', {value});");
        assert_eq!(errors(&text), [(1, 29, Problem::YesOrNo)], "{value}");
    }
    let both = "$hosts_allow{'router'} = 'no';";
    assert_eq!(errors(both).len(), 2);
}

#[test]
fn what_is_undef_is_not_served() {
    let config = parsed("$files{'/a'} = undef; $files{'/b'} = '/b.*'; $files{'/c'} = '';");
    assert_eq!(paths(&config), ["/b", "/c"].map(Path::new));
    let config = parsed("$files{'/a'} = '/a.*'; $files{'/a'} = undef;");
    assert!(config.files.is_empty());
    let config = parsed("%files = ('/a', undef); $files{'/a'} = '/a.*';");
    assert_eq!(config.files[0].patterns, patterns("/a.*"));
}

#[test]
fn what_may_not_be_meant_is_told() {
    let doubts = |text: &str| parsed(text).doubts().collect::<Vec<_>>();
    let good = "$hosts_allow{'10.4.0.0/16'} = 1; $files{'/a'} = '/a.*';";
    assert!(doubts(good).is_empty());
    let bare = doubts(
        "$hosts_allow{'10.4.3.1'} = 1; $files{'/a'} = '/a.*'; $files{'/b'} = ''; $files{'/c'} = ' ';",
    );
    assert_eq!(bare.len(), 2);
    assert!(bare[0].starts_with("/b is served without rotated files"));
    assert_eq!(
        doubts(""),
        ["%hosts_allow allows nobody", "%files names no log"]
    );
    let loose = doubts(&format!("$hosts_allow{{'10.4.3.1/24'}} = 1; {good}"));
    assert_eq!(
        loose,
        [
            "%hosts_allow has 10.4.3.0/24 with an address of it in front of the /: all of the network is meant"
        ]
    );
    let few = doubts(&format!(
        "$max_clients_per_ip = 1; $files{{'/b'}} = '/b.*'; {good}"
    ));
    assert_eq!(few.len(), 1);
    assert!(few[0].starts_with("there are more logs than one address may have connections"));
    for local in [
        "127.0.0.1",
        "127.0.0.0/8",
        "0.0.0.0/0",
        "::1",
        "::/0",
        "::ffff:127.0.0.1",
    ] {
        let text = format!("$hosts_allow{{'{local}'}} = 1;");
        assert!(parsed(&text).local_doubt().is_none(), "nothing to read");
        let config = parsed(text + "$files{'/a'} = '/a.*';");
        assert!(config.local_doubt().is_some(), "{local}");
    }
    let refused =
        "$hosts_allow{'0.0.0.0/0'} = 1; $hosts_allow{'127.0.0.0/8'} = 0; $files{'/a'} = '/a.*';";
    assert!(doubts(refused).is_empty());
}

#[test]
fn there_are_places_for_twice_as_many_connections_as_logs() {
    let limits = |logs: u32, more: &str| {
        let files: String = (0..logs)
            .map(|at| format!("$files{{'/{at}'}} = '';"))
            .collect();
        let config = parsed(files + more);
        (config.max_clients, config.max_clients_per_ip)
    };
    assert_eq!(limits(0, ""), (64, 32));
    assert_eq!(limits(16, ""), (64, 32));
    assert_eq!(limits(40, ""), (160, 80));
    assert_eq!(limits(40, "$max_clients_per_ip = 8;"), (160, 8));
    assert_eq!(limits(40, "$max_clients = 8;"), (8, 80));
}

#[test]
fn a_false_host_is_taken_out_of_its_network() {
    for text in [
        "$hosts_allow{'10.0.0.0/8'} = 1; $hosts_allow{'10.0.0.1'} = 0;",
        "$hosts_allow{'10.0.0.1'} = 0; $hosts_allow{'10.0.0.0/8'} = 1;",
    ] {
        let config = parsed(text);
        assert!(allows(&config, "10.0.0.2") && !allows(&config, "10.0.0.1"));
    }
}

#[test]
fn a_hash_can_be_assigned_as_a_whole() {
    let config = parsed("%hosts_allow = (\"1.2.3.4\" => 1, '::1', 1);");
    assert!(allows(&config, "1.2.3.4") && allows(&config, "::1"));
    let config = parsed("%files = (\n'/a' => '/a.*', # one\n'/b', '',\n,\n'/c' => undef,\n);");
    assert_eq!(paths(&config), ["/a", "/b"].map(Path::new));
    assert_eq!(config.files[0].patterns, patterns("/a.*"));
    assert!(config.files[1].patterns.is_empty());
    assert_eq!(parsed("our %files = ();"), Config::default());
    assert_eq!(parsed("%files=();"), Config::default());
}

#[test]
fn a_whole_hash_replaces_what_was_there() {
    let config = parsed(
        "$files{'/a'} = ''; $hosts_allow{'::1'} = 1;
         %files = ('/b' => ''); %hosts_allow = ('::2' => 1);
         $files{'/c'} = ''; $hosts_allow{'::3'} = 1;",
    );
    assert_eq!(paths(&config), ["/b", "/c"].map(Path::new));
    let answers = ["::1", "::2", "::3"].map(|peer| allows(&config, peer));
    assert_eq!(answers, [false, true, true]);
}

#[test]
fn later_assignments_win() {
    let config = parsed(
        "$files{'/a'} = '/a.1'; $files{'/b'} = ''; $files{'/a'} = '/a.2';
         $bind_port = 1; $bind_port = 2; $hosts_allow{'::1'} = 1; $hosts_allow{'0::1'} = 0;",
    );
    assert_eq!(paths(&config), ["/a", "/b"].map(Path::new));
    assert_eq!(config.files[0].patterns, patterns("/a.2"));
    assert_eq!(config.bind.port(), 2);
    assert!(config.hosts.is_empty());
}

#[test]
fn the_order_of_different_settings_means_nothing() {
    let lines = [
        "$bind_addr = '::1';",
        "$bind_port = 5;",
        "$hosts_allow{'10.0.0.0/8'} = 1;",
        "$max_clients = 3;",
        "$max_clients_per_ip = 5;",
        "$files{'/a'} = '';",
    ];
    let forwards = parsed(lines.join("\n"));
    let mut lines = lines;
    lines.reverse();
    assert_eq!(forwards, parsed(lines.join("\n")));
}

// What is wrong, and where.

/// One faulty text for each error of form, with its place.
fn faults_of_form() -> Vec<(&'static str, u32, u32, Problem)> {
    vec![
        ("print 'hello';", 1, 1, Problem::NotUnderstood),
        ("  @files = ();", 1, 3, Problem::NotUnderstood),
        ("1; if (1) { }", 1, 4, Problem::NotUnderstood),
        ("local $grace = 5;", 1, 1, Problem::NotUnderstood),
        ("undef;", 1, 1, Problem::NotUnderstood),
        (
            "$bind_port = 5 $grace = 1;",
            1,
            15,
            Problem::SemicolonMissing,
        ),
        (
            "$bind_port = 5\n$grace = 1;",
            1,
            15,
            Problem::SemicolonMissing,
        ),
        (
            "$bind_port = 5   # five\n1;",
            1,
            15,
            Problem::SemicolonMissing,
        ),
        (
            "$bind_addr = '10.' . '0.0.1';",
            1,
            19,
            Problem::SemicolonMissing,
        ),
        (
            "$bind_port = 5\n=pod\n\nx;\n\n=cut\n;",
            1,
            15,
            Problem::SemicolonMissing,
        ),
        ("$bind_port =\n=pod\n=cut\n5;", 2, 1, Problem::ValueExpected),
        ("$bind_port = 5 if 1;", 1, 15, Problem::SemicolonMissing),
        ("use strict\n$bind_port = 5;", 1, 1, Problem::PragmaOpen),
        ("$bind_addr = '10.4.3.5;\n", 1, 14, Problem::QuoteOpen),
        ("$bind_addr = \"10.4.3.5;\r\n", 1, 14, Problem::QuoteOpen),
        ("$bind_addr = \"10.4.3.5\\\"", 1, 14, Problem::QuoteOpen),
        ("$bind_addr = '10.4.3.5\\", 1, 14, Problem::QuoteOpen),
        ("$files{q(/a(b)} = '';", 1, 8, Problem::QuoteOpen),
        ("$files{\"/a/$b\"} = '';", 1, 12, Problem::Interpolation),
        ("$files{\"/a$\"} = '';", 1, 11, Problem::Interpolation),
        ("$files{\"/a@b\"} = '';", 1, 11, Problem::Interpolation),
        ("$files{\"/@4000\"} = '';", 1, 10, Problem::Interpolation),
        ("$files{qq(/@{b})} = '';", 1, 12, Problem::Interpolation),
        ("$files{\"/\\d\"} = '';", 1, 10, Problem::UnknownEscape),
        ("$files{\"/\\x{41}\"} = '';", 1, 10, Problem::UnknownEscape),
        ("$files{\"/\\0\"} = '';", 1, 10, Problem::UnknownEscape),
        ("$files{\"/\\U$a\"} = '';", 1, 10, Problem::UnknownEscape),
        ("$bind_port = 0x13;", 1, 14, Problem::BadNumber),
        ("$bind_port = 1e3;", 1, 14, Problem::BadNumber),
        ("$grace = 5s;", 1, 10, Problem::BadNumber),
        ("$bind_port = 019;", 1, 14, Problem::Octal),
        ("$bind_port = 0_19;", 1, 14, Problem::Octal),
        ("$bind_addr = 10.4.3.5;", 1, 14, Problem::BareAddress),
        ("$hosts_allow{127.0.0.1} = 1;", 1, 14, Problem::BareAddress),
        (
            "%hosts_allow = (10.0.0.1 => 1);",
            1,
            17,
            Problem::BareAddress,
        ),
        ("$ = 5;", 1, 1, Problem::VariableExpected),
        ("${bind_port} = 5;", 1, 1, Problem::VariableExpected),
        ("my ($bind_port) = 5;", 1, 4, Problem::VariableExpected),
        ("our;", 1, 4, Problem::VariableExpected),
        (
            "$bind_prot = 5;",
            1,
            1,
            Problem::UnknownName("bind_prot".into()),
        ),
        ("%hosts = ();", 1, 1, Problem::UnknownName("hosts".into())),
        (
            "$file{'/a'} = '';",
            1,
            1,
            Problem::UnknownName("file".into()),
        ),
        ("my $dir = '/a';", 1, 4, Problem::UnknownName("dir".into())),
        (
            "$Other::bind_port = 5;",
            1,
            1,
            Problem::UnknownName("Other".into()),
        ),
        ("$files = '/a';", 1, 1, Problem::IsHash(Hash::Files)),
        (
            "%hosts_allow{'::1'} = 1;",
            1,
            1,
            Problem::IsHash(Hash::HostsAllow),
        ),
        ("%bind_port = 5;", 1, 1, Problem::IsScalar(Scalar::BindPort)),
        ("$grace{'5'} = 5;", 1, 1, Problem::IsScalar(Scalar::Grace)),
        ("our $files{'/a'} = '';", 1, 5, Problem::DeclaredElement),
        ("$bind_port 5;", 1, 12, Problem::EqualsExpected),
        ("$bind_port := 5;", 1, 12, Problem::EqualsExpected),
        ("$files{'/a'};", 1, 13, Problem::EqualsExpected),
        ("%files ('/a' => '');", 1, 8, Problem::EqualsExpected),
        ("$bind_port", 1, 11, Problem::EqualsExpected),
        ("$bind_port = ;", 1, 14, Problem::ValueExpected),
        ("$bind_port = five;", 1, 14, Problem::ValueExpected),
        ("$bind_port == 5;", 1, 13, Problem::ValueExpected),
        ("$bind_port =", 1, 13, Problem::ValueExpected),
        ("$bind_addr = <<EOT;", 1, 14, Problem::ValueExpected),
        ("%files = ('/a' => b);", 1, 19, Problem::ValueExpected),
        ("%files = (('/a' => ''));", 1, 11, Problem::ValueExpected),
        ("%files = ('/a' => '';", 1, 21, Problem::SeparatorExpected),
        ("$bind_port = $grace;", 1, 14, Problem::VariableAsValue),
        (
            "%files = (%files, '/a' => '');",
            1,
            11,
            Problem::VariableAsValue,
        ),
        (
            "$files{/var/log/messages} = '';",
            1,
            8,
            Problem::KeyExpected,
        ),
        ("$files{} = '';", 1, 8, Problem::KeyExpected),
        ("$hosts_allow{::1} = 1;", 1, 14, Problem::KeyExpected),
        ("$hosts_allow{fe80::1} = 1;", 1, 18, Problem::BraceExpected),
        ("$files{'/a', '/b'} = '';", 1, 12, Problem::BraceExpected),
        ("$files{'/a' = '';", 1, 13, Problem::BraceExpected),
        ("%files = '/a';", 1, 10, Problem::ListExpected),
        ("%files = { '/a' => '' };", 1, 10, Problem::ListExpected),
        ("%files = qw(/a /b);", 1, 10, Problem::ListExpected),
        ("%files = (,);", 1, 11, Problem::ValueExpected),
        ("%files = 5\n__END__\n; x", 1, 10, Problem::ListExpected),
        ("%files = ('/a' '');", 1, 16, Problem::SeparatorExpected),
        ("%files = ('/a' => '', '/b');", 1, 10, Problem::OddList),
    ]
}

/// One faulty text for each error of meaning, with its place.
fn faults_of_meaning() -> Vec<(&'static str, u32, u32, Problem)> {
    let not_an_address = || Problem::Network(NetworkError::NotAnAddress);
    vec![
        ("$bind_addr = 'localhost';", 1, 14, Problem::BindAddress),
        ("$bind_addr = '10.4.3';", 1, 14, Problem::BindAddress),
        ("$bind_addr = '10.0.0.0/8';", 1, 14, Problem::BindAddress),
        ("$bind_addr = '';", 1, 14, Problem::BindAddress),
        ("$bind_addr = undef;", 1, 14, Problem::BindAddress),
        ("$bind_addr = \"\\x80\";", 1, 14, Problem::BindAddress),
        ("$bind_port = 65536;", 1, 14, Problem::Port),
        ("$bind_port = -1;", 1, 14, Problem::Port),
        ("$bind_port = 19.5;", 1, 14, Problem::Port),
        ("$bind_port = '';", 1, 14, Problem::Port),
        ("$bind_port = 'chargen';", 1, 14, Problem::Port),
        ("$bind_port = '1_9';", 1, 14, Problem::Port),
        (
            "$bind_port = 99999999999999999999999;",
            1,
            14,
            Problem::Port,
        ),
        ("$delay_check = 0;", 1, 16, Problem::Period),
        ("$delay_check = 0.0009;", 1, 16, Problem::Period),
        ("$delay_check = -5;", 1, 16, Problem::Period),
        ("$timeout_write = 86400.001;", 1, 18, Problem::Period),
        ("$timeout_write = '60s';", 1, 18, Problem::Period),
        ("$timeout_write = '.';", 1, 18, Problem::Period),
        ("$timeout_write = '1.2.3';", 1, 18, Problem::Period),
        ("$alive_interval = undef;", 1, 19, Problem::Period),
        (
            "$alive_interval = 99999999999999999999999;",
            1,
            19,
            Problem::Period,
        ),
        ("$grace = -1;", 1, 10, Problem::PeriodOrZero),
        ("$grace = 90000;", 1, 10, Problem::PeriodOrZero),
        ("$max_clients = 0;", 1, 16, Problem::Clients),
        ("$max_clients = 20001;", 1, 16, Problem::Clients),
        ("$max_clients_per_ip = 'many';", 1, 23, Problem::Clients),
        ("$hosts_allow{'router7'} = 1;", 1, 14, not_an_address()),
        ("$hosts_allow{localhost} = 1;", 1, 14, not_an_address()),
        ("$hosts_allow{10.1} = 1;", 1, 14, not_an_address()),
        ("$hosts_allow{''} = 0;", 1, 14, not_an_address()),
        (
            "%hosts_allow = ('::1' => 1,\n  'x' => 1);",
            2,
            3,
            not_an_address(),
        ),
        ("%hosts_allow = (undef, 1);", 1, 17, not_an_address()),
        (
            "$hosts_allow{'10.0.0.0/33'} = 1;",
            1,
            14,
            Problem::Network(NetworkError::BadPrefix),
        ),
        (
            "$files{'var/log/messages'} = '';",
            1,
            8,
            Problem::PathNotAbsolute,
        ),
        ("$files{''} = '';", 1, 8, Problem::PathNotAbsolute),
        ("$files{'/var/log/'} = '';", 1, 8, Problem::PathIsDirectory),
        (
            "$files{\"/var/a\\nb\"} = '';",
            1,
            8,
            Problem::PathHasLineFeed,
        ),
        (
            "$files{\"/var/a\\x00b\"} = '';",
            1,
            8,
            Problem::PathHasLineFeed,
        ),
        (
            "$files{'/a'} = 'a.*';",
            1,
            16,
            Problem::Pattern(PatternError::NotAbsolute),
        ),
        (
            "$files{'/a'} = 1;",
            1,
            16,
            Problem::Pattern(PatternError::NotAbsolute),
        ),
        (
            "%files = ('/a', '/a.[0-9');",
            1,
            17,
            Problem::Pattern(PatternError::BracketOpen),
        ),
        (
            "$files{'/a'} = '/a.{1,2';",
            1,
            16,
            Problem::Pattern(PatternError::BraceOpen),
        ),
    ]
}

#[test]
fn every_fault_has_its_place() {
    let mut all = faults_of_form();
    all.extend(faults_of_meaning());
    for (text, line, column, problem) in all {
        assert_eq!(errors(text), [(line, column, problem)], "{text}");
    }
}

#[test]
fn a_path_may_be_as_long_as_a_request_allows() {
    let path = format!("/{}", "x".repeat(PATH_MAX_LEN - 1));
    assert_eq!(
        paths(&parsed(format!("$files{{'{path}'}} = '';"))),
        [Path::new(&path)]
    );
    let longer = format!("$files{{'{path}x'}} = '';");
    assert_eq!(errors(longer), [(1, 8, Problem::PathTooLong)]);
}

#[test]
fn columns_count_characters_and_lines_count_line_feeds() {
    assert_eq!(
        errors("\u{feff}$bind_port = x;"),
        [(1, 14, Problem::ValueExpected)]
    );
    assert_eq!(
        errors("1; '\u{e9}\u{20ac}\u{1f600}'; x;"),
        [(1, 11, Problem::NotUnderstood)]
    );
    assert_eq!(
        errors("\r\n\r\n\t$bind_port = x;\r\n"),
        [(3, 15, Problem::ValueExpected)]
    );
    assert_eq!(
        errors("=pod\n\n=cut\n# \u{e9}\n x;"),
        [(5, 2, Problem::NotUnderstood)]
    );
    assert_eq!(
        errors("$files{\n'a'\n} =\n'b'\n;"),
        [
            (2, 1, Problem::PathNotAbsolute),
            (4, 1, Problem::Pattern(PatternError::NotAbsolute)),
        ]
    );
}

#[test]
fn all_faults_are_told_in_the_order_of_the_file() {
    let text = "$bind_port = 99999;
$bind_addr = \"10.4.3.5;
$hosts_allow{'x'} = 1;
$delay_check = 5
$grace = 'y';
$nonsense = { a => ';' }; $timeout_write = 0;
%files = ('/a' => 'b', 'c' => 'd');
$files{\"/$x;\"} = ''; $max_clients = 0;
use strict
$max_clients_per_ip = 0;
";
    assert_eq!(
        errors(text),
        [
            (1, 14, Problem::Port),
            (2, 14, Problem::QuoteOpen),
            (3, 14, Problem::Network(NetworkError::NotAnAddress)),
            (4, 17, Problem::SemicolonMissing),
            (5, 10, Problem::PeriodOrZero),
            (6, 1, Problem::UnknownName("nonsense".into())),
            (6, 44, Problem::Period),
            (7, 19, Problem::Pattern(PatternError::NotAbsolute)),
            (7, 24, Problem::PathNotAbsolute),
            (7, 31, Problem::Pattern(PatternError::NotAbsolute)),
            (8, 10, Problem::Interpolation),
            (8, 37, Problem::Clients),
            (9, 1, Problem::PragmaOpen),
            (10, 23, Problem::Clients),
        ]
    );
}

#[test]
fn only_a_screenful_of_faults_is_told() {
    let lines = "$bind_port = x;\n".repeat(CONFIG_ERRORS_MAX + 5);
    let places: Vec<u32> = errors(lines).iter().map(|(line, _, _)| *line).collect();
    let first: Vec<u32> = (1..).take(CONFIG_ERRORS_MAX).collect();
    assert_eq!(places, first);
    let pairs = "'x' => 1, ".repeat(CONFIG_ERRORS_MAX + 5);
    assert_eq!(
        errors(format!("%hosts_allow = ({pairs});")).len(),
        CONFIG_ERRORS_MAX
    );
}

#[test]
fn a_fault_is_shown_with_its_place_in_front() {
    let show = |text: &str| -> Vec<String> {
        let errors = Config::parse(text.as_bytes()).unwrap_err();
        (&errors).into_iter().map(ConfigError::to_string).collect()
    };
    assert_eq!(
        show("\n$bind_port = 65536;"),
        ["2:14: a port is a whole number from 0 to 65535"]
    );
    assert_eq!(
        show("$delay_check = 0;"),
        ["1:16: a number of seconds is needed, from 0.001 to 86400"]
    );
    assert_eq!(
        show("$bind_prot = 19;"),
        [
            "1:1: bind_prot is no setting; there are %hosts_allow %files %series %keys_allow $bind_addr $bind_port $delay_check \
             $timeout_write $alive_interval $grace $max_clients $max_clients_per_ip $keep_deleted $private_key_file \
             $require_key"
        ]
    );
    assert_eq!(
        show("$files = '/a';"),
        ["1:1: files is a hash: write $files{\"/var/log/messages\"} = ...; or %files = (...);"]
    );
    assert!(show(&format!("${} = 1;", "x".repeat(10_000)))[0].len() < 300);
}

#[test]
fn every_fault_says_something_of_its_own_on_one_line() {
    let mut said = std::collections::HashMap::new();
    let mut all = faults_of_form();
    all.extend(faults_of_meaning());
    for (text, _, _, problem) in all {
        let words = problem.to_string();
        assert!(words.len() > 10 && !words.contains('\n'), "{text}: {words}");
        let kind = std::mem::discriminant(&problem);
        let first = said.entry(words.clone()).or_insert(kind);
        assert_eq!(
            *first, kind,
            "{text}: {words} is said of another fault, too"
        );
    }
}

// Whatever comes.

#[test]
fn random_bytes_never_panic() {
    arbtest::arbtest(|u| {
        let text: Vec<u8> = u.arbitrary()?;
        let _ = Config::parse(&text);
        Ok(())
    })
    .budget_ms(100);
}

#[test]
fn random_tokens_never_panic_and_faults_stay_within_the_text() {
    const TOKENS: [&str; 50] = [
        "$bind_port",
        "$bind_addr",
        "$delay_check",
        "%files",
        "$files",
        "%hosts_allow",
        "$hosts_allow",
        "$x",
        "$",
        "%",
        "@",
        "=",
        "=",
        "=",
        "=>",
        "(",
        ")",
        "{",
        "}",
        ";",
        ";",
        ";",
        "\n",
        "\r\n",
        " ",
        ",",
        "\"",
        "'",
        "\\",
        "q(",
        "qq{",
        "q",
        "1",
        "0",
        ".5",
        "1.2.3.4",
        "'1.2.3.4'",
        "'/a'",
        "\"/b.*\"",
        "'/c.{1,2}'",
        "undef",
        "use",
        "my ",
        "our ",
        "__END__",
        "\n=pod\n",
        "\n=cut\n",
        "#",
        "-",
        "\u{e9}",
    ];
    let (mut sound, mut faulty) = (0, 0);
    arbtest::arbtest(|u| {
        let mut text = String::new();
        while text.len() < 200 && !u.is_empty() {
            text.push_str(u.choose(&TOKENS)?);
        }
        match Config::parse(text.as_bytes()) {
            Ok(_) => sound += 1,
            Err(errors) => {
                faulty += 1;
                let lines: Vec<&str> = text.split('\n').collect();
                assert!((1..=CONFIG_ERRORS_MAX).contains(&errors.iter().count()));
                for error in &errors {
                    let line = lines.get(error.line as usize - 1);
                    let len = line.expect("the line exists").chars().count() as u32;
                    assert!((1..=len + 1).contains(&error.column), "{error} in {text:?}");
                }
                assert!(
                    errors
                        .iter()
                        .is_sorted_by_key(|error| (error.line, error.column))
                );
            }
        }
        Ok(())
    })
    .budget_ms(100);
    assert!(
        sound > 0 && faulty > 0,
        "{sound} sound and {faulty} faulty texts are no mix"
    );
}

#[test]
fn cutting_a_sound_file_anywhere_never_panics() {
    let example = include_bytes!("../../../conf/gen_numbers.pl.locals");
    for len in 0..example.len() {
        if let Err(errors) = Config::parse(&example[..len]) {
            assert!(errors.iter().count() == 1, "only the cut itself is a fault");
        }
    }
}
