//! Our reading of the server's configuration beside that of a real Perl: what we accept, Perl accepts and means the
//! same. Skipped where there is no Perl.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::outside_program;
use fetchlogs::serve::config::Config;
use fetchlogs::serve::glob::{Patterns, Progress, Walk};
use fetchlogs::store::real::RealRead;

/// Evaluates texts, each in hexadecimal on a line, and tells line by line, in hexadecimal, what has become of the
/// settings. Times are in thousandths. Every answer ends in `ok` or `fault`.
const EVALUATE: &str = r#"
no warnings;
our (%hosts_allow, %files, $bind_port, $bind_addr, $delay_check, $timeout_write);
our ($alive_interval, $grace, $max_clients, $max_clients_per_ip);
sub show { print join(" ", map { "x" . unpack("H*", $_) } @_), "\n" }
while (my $line = <STDIN>) {
    chomp $line;
    %hosts_allow = %files = ();
    ($bind_port, $bind_addr, $delay_check, $timeout_write) = (19, "0.0.0.0", 5, 60);
    ($alive_interval, $grace, $max_clients, $max_clients_per_ip) = (60, 10, 64, 32);
    eval pack("H*", $line);
    my $error = $@;
    show("host", $_, $hosts_allow{$_} ? 1 : 0) for keys %hosts_allow;
    show("file", $_, $files{$_}) for grep { defined $files{$_} } keys %files;
    show("bind", $bind_addr, $bind_port + 0);
    show("times", map { int($_ * 1000 + 1e-6) } $delay_check, $timeout_write, $alive_interval, $grace);
    show("clients", $max_clients + 0, $max_clients_per_ip + 0);
    show($error ? "fault" : "ok", $error);
}
"#;

/// What a pattern finds that is there, in hexadecimal. One pattern a line; an empty line ends each answer.
const GLOB: &str = r#"
while (my $line = <STDIN>) {
    chomp $line;
    print unpack("H*", $_), "\n" for grep { -e } glob(pack("H*", $line));
    print "\n";
}
"#;

/// Runs a Perl program over the inputs; `None` if there is no Perl.
fn perl(program: &str, inputs: &[Vec<u8>]) -> Option<String> {
    let mut child = Command::new(outside_program("perl")?)
        .args(["-e", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = inputs.iter().map(|input| hex(input) + "\n").collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// The settings as Perl has them.
#[derive(Default)]
struct Settings {
    hosts: BTreeMap<Vec<u8>, bool>,
    files: BTreeMap<Vec<u8>, Vec<u8>>,
    bind: Vec<String>,
    times: Vec<String>,
    clients: Vec<String>,
}

/// Perl's answers, `Err` with its message where it found a fault.
fn perl_settings(texts: &[Vec<u8>]) -> Option<Vec<Result<Settings, String>>> {
    let mut answers = Vec::new();
    let mut settings = Settings::default();
    for line in perl(EVALUATE, texts)?.lines() {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| unhex(&word[1..])).collect();
        let rest = || {
            words[1..]
                .iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
        };
        match words[0].as_slice() {
            b"host" => _ = settings.hosts.insert(words[1].clone(), words[2] == b"1"),
            b"file" => _ = settings.files.insert(words[1].clone(), words[2].clone()),
            b"bind" => settings.bind = rest().collect(),
            b"times" => settings.times = rest().collect(),
            b"clients" => settings.clients = rest().collect(),
            b"ok" => answers.push(Ok(std::mem::take(&mut settings))),
            _ => {
                settings = Settings::default();
                answers.push(Err(rest().collect()));
            }
        }
    }
    assert_eq!(answers.len(), texts.len());
    Some(answers)
}

fn assert_same(text: &str, ours: &Config, perls: &Settings) {
    let bind: IpAddr = perls.bind[0].parse().unwrap();
    assert_eq!(ours.bind.ip(), bind, "{text}");
    assert_eq!(ours.bind.port().to_string(), perls.bind[1], "{text}");
    let times = [
        ours.delay_check_ms,
        ours.timeout_write_ms,
        ours.alive_interval_ms,
        ours.grace_ms,
    ];
    assert_eq!(
        times.map(|ms| ms.to_string()).as_slice(),
        perls.times,
        "{text}"
    );
    let clients = [ours.max_clients, ours.max_clients_per_ip];
    assert_eq!(
        clients.map(|n| n.to_string()).as_slice(),
        perls.clients,
        "{text}"
    );

    for host in HOSTS {
        let allowed = perls
            .hosts
            .get(host.as_bytes())
            .is_some_and(|&allowed| allowed);
        assert_eq!(
            ours.hosts.allows(&host.parse().unwrap()),
            allowed,
            "{host} in {text}"
        );
    }
    assert_eq!(
        ours.hosts.is_empty(),
        !perls.hosts.values().any(|&allowed| allowed),
        "{text}"
    );

    let entry =
        |(path, globs): (&Vec<u8>, &Vec<u8>)| (path.clone(), Patterns::parse(globs).unwrap());
    let perls: BTreeMap<_, _> = perls.files.iter().map(entry).collect();
    let entries = ours.files.iter();
    let ours: BTreeMap<_, _> = entries
        .map(|entry| {
            (
                entry.path.as_os_str().as_bytes().to_vec(),
                entry.patterns.clone(),
            )
        })
        .collect();
    assert_eq!(ours, perls, "{text}");
}

const HOSTS: [&str; 4] = ["127.0.0.1", "10.4.3.5", "::1", "2001:db8::1"];

#[test]
fn files_from_the_field_mean_what_perl_says() {
    let texts = [
        include_str!("../../conf/gen_numbers.pl.locals"),
        "",
        "1;",
        "$hosts_allow{\"127.0.0.1\"} = 1;\n$files{\"/var/log/messages\"} = \"/var/log/messages.*[0-9]\";\n1;\n",
        "$bind_port = 1_9; $bind_addr = '10.4.3.5'; $delay_check = .5; $timeout_write = \"0.25\";\r\n1;\r\n",
        "use strict;\nuse warnings;\nour $bind_port = '19';\nour %files;\n$files{q(/a)} = qq{/a.{1,2}};\n1",
        "%hosts_allow = (\"10.4.3.5\" => 1, '::1', 0,, '127.0.0.1' => '0',);\n$hosts_allow{'::1'} = undef;",
        "$files{'/a'} = '/b'; %files = ('/c' => q</a>, '/d', \"\") ; $files { '/c' } = '/e' # end",
        "$files{'/a'} = '/b'; $files{\"/\\x61\"} = \"/c\\t/d\\\\ e\\*\"; $files{'/it\\'s\\x'} = '/\\\\x\\y';",
        "$files{\"/a@.b\"} = '/a'; $files{\"/c@\"} = \"/\\$x\\@y\"; $files{'/$x@y'} = '';",
        "=head1 Title\n\n$bind_port = 5;\n\n=cut\n\n$grace = 0; # $grace = 1;\n__END__\n$grace = 2;\n",
        "$::bind_port = 5; $main::grace = 2; %main::hosts_allow = ('::1' => '1'); $max_clients = '07';",
        "$bind_port = 5;\n\u{1a}$bind_port = 6;",
    ];
    let inputs: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let Some(answers) = perl_settings(&inputs) else {
        return;
    };
    for (text, answer) in texts.iter().zip(answers) {
        let perls = answer.unwrap_or_else(|fault| panic!("{text}: {fault}"));
        let ours = Config::parse(text.as_bytes()).unwrap_or_else(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            panic!("{text}: {faults:?}")
        });
        assert_same(text, &ours, &perls);
    }
}

/// A generator of numbers that is the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(n).unwrap()).unwrap()
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const NUMBERS: [&str; 16] = [
    "0", "1", "5", "19", "1_0", "0.2", ".5", "7.", "'3'", "\"2.5\"", "'05'", "-1", "010", "0x10",
    "1e1", "undef",
];
const PATHS: [&str; 13] = [
    "'/a'",
    "\"/a\"",
    "q(/a)",
    "\"/\\x61\"",
    "'/b\\\\c'",
    "'/b\\c'",
    "\"/b\\.c\"",
    "\"/b@c\"",
    "\"/b@ c\"",
    "q{/{b}}",
    "'/d\\'e'",
    "\"/d'e\"",
    "qq[/[d\\]]",
];
const GLOBS: [&str; 10] = [
    "''",
    "'/a.*'",
    "\"/a.* /b.{1,2}\"",
    "\"/a\\t/b\"",
    "q(/a.(1))",
    "'/a\\ b'",
    "\"/a\\\\*\"",
    "undef",
    "'\"/a b\"'",
    "0",
];
const HOST_KEYS: [&str; 6] = [
    "'127.0.0.1'",
    "\"10.4.3.5\"",
    "q<::1>",
    "'2001:db8::1'",
    "\"::\\x31\"",
    "qq(10.4\\.3.5)",
];
const TRUTHS: [&str; 12] = [
    "1",
    "0",
    "''",
    "\"0\"",
    "'00'",
    "0.0",
    "'0.0'",
    "-0",
    "undef",
    "' '",
    "'no'",
    "\"\\x30\"",
];
const BLANKS: [&str; 7] = ["", " ", "\t", "\n", " # x;\n", "\r\n", " "];
const POD: &str = "\n=pod\n\n$bind_port = 'x\n\n=cut\n";
const SLIPS: [&str; 12] = [";", "'", "\"", "(", ")", "}", ",", "=", "$", "@", "1", "\\"];

fn statement(dice: &mut Dice) -> String {
    let numbers = [
        "$bind_port",
        "$delay_check",
        "$timeout_write",
        "$alive_interval",
        "$grace",
        "$max_clients",
        "$max_clients_per_ip",
    ];
    let mut words: Vec<&str> = match dice.below(6) {
        0 => vec![dice.one_of(&numbers), "=", dice.one_of(&NUMBERS)],
        1 => vec!["$bind_addr", "=", dice.one_of(&HOST_KEYS)],
        2 => vec![
            "$hosts_allow",
            "{",
            dice.one_of(&HOST_KEYS),
            "}",
            "=",
            dice.one_of(&TRUTHS),
        ],
        3 => vec![
            "$files",
            "{",
            dice.one_of(&PATHS),
            "}",
            "=",
            dice.one_of(&GLOBS),
        ],
        kind => {
            let (name, keys, values): (_, &[&str], &[&str]) = match kind {
                4 => ("%hosts_allow", &HOST_KEYS, &TRUTHS),
                _ => ("%files", &PATHS, &GLOBS),
            };
            let mut words = vec![name, "=", "("];
            for _ in 0..dice.below(4) {
                let commas = [",", "=>"];
                words.extend([dice.one_of(keys), dice.one_of(&commas)]);
                words.extend([dice.one_of(values), dice.one_of(&commas)]);
            }
            words.push(")");
            words
        }
    };
    if dice.below(8) == 0 {
        words.insert(0, "our ");
    }
    words.push(";");
    if dice.below(8) == 0 {
        words.push(POD);
    }
    // Now and then a word is missing, or one too many.
    match dice.below(20) {
        0 => _ = words.remove(dice.below(words.len())),
        1 => words.insert(dice.below(words.len()), dice.one_of(&SLIPS)),
        _ => {}
    }
    words
        .iter()
        .flat_map(|word| [word, dice.one_of(&BLANKS)])
        .collect()
}

#[test]
fn what_we_accept_perl_accepts_and_means_the_same() {
    let mut dice = Dice(0x2026_1122);
    let mut text = || -> String { (0..dice.below(6)).map(|_| statement(&mut dice)).collect() };
    let texts: Vec<String> = (0..4000).map(|_| text()).collect();
    let accepted: Vec<(&String, Config)> = texts
        .iter()
        .filter_map(|text| Some((text, Config::parse(text.as_bytes()).ok()?)))
        .collect();
    assert!(
        (1000..3500).contains(&accepted.len()),
        "{} are no mix",
        accepted.len()
    );
    let inputs: Vec<Vec<u8>> = accepted
        .iter()
        .map(|(text, _)| text.as_bytes().to_vec())
        .collect();
    let Some(answers) = perl_settings(&inputs) else {
        return;
    };
    for ((text, ours), perls) in accepted.iter().zip(answers) {
        let perls = perls.unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_same(text, ours, &perls);
    }
}

#[test]
fn globs_find_what_perl_finds() {
    let files = [
        "m",
        "m.1",
        "m.2",
        "m.10",
        "m.x",
        "m.1.gz",
        ".m.1",
        "m 1",
        "m*1",
        "m[1]",
        "m{1}",
        "m,1",
        "m\\1",
        "it's",
        "q\"q",
        "m]",
        "m-",
        "caf\u{e9}",
        "old/m.1",
        "old/m.2",
        "older/m.3",
        "old/deep/m.4",
        ".hid/m.5",
    ];
    let globs = [
        "R/m.*[0-9]",
        "R/m.*",
        "R/m.?",
        "R/*",
        "R/.*[0-9]",
        "R/m",
        "R/n",
        "R/m.{1,2,3}",
        "R/{m.{1,x},old/*}",
        "{R/m.1,R/m.2}",
        "R/m.1 R/m.2",
        "\"R/m 1\" R/m",
        "'R/m 1'",
        "R/m\\ 1",
        "R/m' '1",
        "R/m\\*1",
        "R/m[*]1",
        "R/m*1",
        "R/m\\[1]",
        "R/m[[]1]",
        "R/m\\{1\\}",
        "R/m{.,-}*",
        "R/m{,.1}",
        "R/m\\\\1",
        "R/it\\'s",
        "R/it?s",
        "R/q\\\"q",
        "R/m[]-]",
        "R/m[!.]*",
        "R/m.[!0-9]",
        "R/m.[0-1x]",
        "R/m.[x-]",
        "R/caf??",
        "R/old/m.[12]",
        "R/old*/m.*",
        "R/*/m.*",
        "R/*/*/m.*",
        "R/*/deep/m.4",
        "R/.h*/m.*",
        "R/?hid/m.*",
        "R/[.]hid/*",
        "R//old///m.1",
        "R/old/../m.1",
        "R/old/./*",
        "R/m/*",
        "R/nothing/*",
        "\tR/m.1\n R/m.2 ",
        "",
        " ",
        "R/m[1-",
        "R/m,1",
        "R/m.[2-1]",
        "R/m.1*.gz",
    ];
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let globs = globs.map(|glob| glob.replace('R', root.path().to_str().unwrap()));
    let accepted: Vec<(&String, Patterns)> = globs
        .iter()
        .filter_map(|glob| Some((glob, Patterns::parse(glob.as_bytes()).ok()?)))
        .collect();
    assert_eq!(
        accepted.len(),
        globs.len() - 1,
        "only the open bracket is refused"
    );
    let inputs: Vec<Vec<u8>> = accepted
        .iter()
        .map(|(glob, _)| glob.as_bytes().to_vec())
        .collect();
    let Some(output) = perl(GLOB, &inputs) else {
        return;
    };
    let mut lines = output.lines();
    for (glob, patterns) in accepted {
        let answer = lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .map(unhex);
        // The same file has several names where a pattern has slashes to spare, and Perl tells `.` and `..`, too.
        let plain = |path: &Path| path.components().as_path().to_owned();
        let mut perls: Vec<_> = answer
            .map(|path| plain(Path::new(OsStr::from_bytes(&path))))
            .collect();
        let mut ours = Vec::new();
        let mut walk = Walk::new(&patterns);
        loop {
            match walk.advance(&RealRead::new()) {
                Progress::Found => ours.push(plain(walk.found())),
                Progress::On => {}
                Progress::Over => break,
            }
        }
        walk.end().unwrap();
        // What was compressed is found besides, by the name that it had before.
        ours.retain(|path| perls.contains(path) || path.extension() != Some(OsStr::new("gz")));
        perls.sort();
        ours.sort();
        assert_eq!(ours, perls, "{glob}");
    }
}
