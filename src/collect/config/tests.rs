use super::*;

use std::fmt::Write;

use arbtest::arbtest;

use crate::limits;

const LINE: &str = "10.4.3.5 19 /var/log/messages /l/a /p/a";

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text.as_bytes())
}

fn one(text: &str) -> SourceConfig {
    let mut sources = parse(text).unwrap().sources;
    assert_eq!(sources.len(), 1, "{text:?}");
    sources.remove(0)
}

fn errors(text: &str) -> Vec<ConfigError> {
    parse(text).unwrap_err().first
}

/// Asserts that a text has exactly one error, there and that.
fn assert_fault(text: &str, line: u32, column: u32, problem: Problem) {
    let expected = ConfigError {
        line: LineNumber { file: 0, line },
        column,
        problem,
    };
    assert_eq!(errors(text), [expected], "{text:?}");
}

fn address(text: &str) -> Address {
    one(&format!("{text} 19 /r /l /p")).address
}

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().unwrap())
}

fn same_file(role: FileRole, other_role: FileRole, other_line: Option<u32>) -> Problem {
    Problem::SameFile {
        role,
        other_role,
        other: other_line.map(|line| LineNumber { file: 0, line }),
    }
}

// Lines

#[test]
fn a_line_of_1_1_is_a_source() {
    let source = one(LINE);
    assert_eq!(source.address, ip("10.4.3.5"));
    assert_eq!(source.port, 19);
    assert_eq!(*source.remote, *b"/var/log/messages");
    assert_eq!(*source.local, *Path::new("/l/a"));
    assert_eq!(*source.pointer, *Path::new("/p/a"));
    assert_eq!(scratch_of(&source.pointer), Path::new("/p/a.tmp"));
    assert_eq!((source.proto, source.history), (Proto::Auto, History::Live));
    assert_eq!(source.line.line, 1);
}

#[test]
fn blanks_comments_and_line_ends_do_not_matter() {
    let other = "10.4.3.6 19 /r /l/b /p/b";
    let texts = [
        format!("{LINE}\n{other}\n"),
        format!("{LINE}\n{other}"),
        format!("{LINE}\r\n{other}\r\n"),
        format!("\u{feff}{LINE}\n{other}"),
        format!("# {LINE}\n\n \t# 10.4.3.5\n  \n{LINE}\n#\n\t{other}\t \n\r\n"),
        format!("{}\n{other}", LINE.replace(' ', " \t ")),
    ];
    let expected = parse(&texts[0]).unwrap();
    for text in &texts {
        assert_eq!(parse(text).as_ref(), Ok(&expected), "{text:?}");
    }
}

#[test]
fn nothing_is_a_configuration() {
    for text in ["", "\n", "\u{feff}", "# nothing", "\r\n \r\n"] {
        assert_eq!(parse(text).unwrap().sources, [], "{text:?}");
    }
}

#[test]
fn lines_are_counted_with_those_that_do_not_count() {
    assert_eq!(one(&format!("# one\n\n{LINE}")).line.line, 3);
}

/// What is passed over in a text in which nothing is wrong.
fn warnings(text: &str) -> Vec<(u32, Problem)> {
    let warnings = parse(text).unwrap().warnings;
    let warnings = warnings.map_or(Vec::new(), |warnings| warnings.first);
    let place = |error: &ConfigError| (error.column, error.problem);
    warnings.iter().map(place).collect()
}

#[test]
fn a_number_sign_inside_a_field_is_a_character() {
    assert_eq!(*one("10.4.3.5 19 /a#b #l /p#").local, *Path::new("#l"));
    assert_eq!(warnings("10.4.3.5 19 /a#b #l /p#"), []);
}

#[test]
fn what_1_1_passed_over_is_passed_over_and_told() {
    let cases = [
        (" # mine, not=yours", 41, Problem::Comment),
        (" max=7 #mine", 47, Problem::Comment),
        (" router 5", 41, Problem::NotAnOption),
        (" max=7 router max=no", 47, Problem::NotAnOption),
    ];
    for (rest, column, problem) in cases {
        let text = format!("{LINE}{rest}");
        assert_eq!(warnings(&text), [(column, problem)], "{rest}");
        assert_eq!(one(&text).max.get().is_some(), rest.contains("max=7"));
    }
    // What has a `=` may be an option that is misspelled.
    assert_fault(
        &format!("{LINE} prot=v2 # x"),
        1,
        41,
        Problem::UnknownOption,
    );
}

#[test]
fn a_line_that_makes_no_sense_stops_only_itself() {
    let read = |text: &str| Config::read(Path::new(""), &Texts::of(text.as_bytes()));
    let config = read(&format!("10.0.0.1 19 /old\n{LINE}\na 19 /r /l/a /q")).unwrap();
    assert_eq!(config.sources, parse(LINE).unwrap().sources);
    let faults = config.faults.unwrap().first;
    assert_eq!(faults.len(), 2);
    assert_eq!(
        faults[1].problem,
        same_file(FileRole::Local, FileRole::Local, Some(2))
    );
    // What goes for other lines is another matter, and so is a file in which nothing is right.
    let text = |line: &str| format!("{line}\n{LINE}");
    for line in [
        "defaults max=x",
        "defaults x",
        "copies /x",
        "include",
        "include none",
    ] {
        assert!(read(&text(line)).is_err(), "{line}");
    }
    assert!(read("x\ny").is_err());
    assert!(read("# nothing").is_ok());
}

#[test]
fn a_short_line_names_the_first_missing_field() {
    let cases = [
        ("10.4.3.5", 9, Field::Port),
        ("10.4.3.5 19  ", 14, Field::Remote),
        ("10.4.3.5 19 /r", 15, Field::Local),
        ("10.4.3.5 19 /r /l\r", 18, Field::Pointer),
    ];
    for (text, column, field) in cases {
        assert_fault(text, 1, column, Problem::Missing(field));
    }
}

// Fields

#[test]
fn addresses_are_numbers_or_names() {
    assert_eq!(address("10.4.3.5"), ip("10.4.3.5"));
    assert_eq!(address("2001:DB8::1"), ip("2001:db8::1"));
    assert_eq!(address("[2001:db8::1]"), ip("2001:db8::1"));
    assert_eq!(address("::ffff:10.4.3.5"), ip("10.4.3.5"));
    assert_eq!(address("[::ffff:a04:305]"), ip("10.4.3.5"));
    for name in ["localhost", "log-1.example_net.", "7up", "1.2.3.4.example"] {
        assert_eq!(address(name), Address::Name(name.into()));
    }
    assert_eq!(address("Router5.LAN"), Address::Name("router5.lan".into()));
    assert_eq!(address("[::1]").to_string(), "::1");
    assert_eq!(address("localhost").to_string(), "localhost");
}

#[test]
fn what_is_no_address_says_what_it_was_taken_for() {
    let long = "a".repeat(limits::HOST_NAME_MAX_LEN + 1);
    let cases: &[(&[&str], Problem)] = &[
        (
            &["256.1.1.1", "10.4.3", "19", "010.4.3.5", "1.2.3.4."],
            Problem::BadIpv4,
        ),
        (
            &[
                ":",
                "10.4.3.5:19",
                "[::1",
                "::1]",
                "[10.4.3.5]",
                "[]",
                "[::1]:19",
            ],
            Problem::BadIpv6,
        ),
        (
            &["a..b", ".a", "-a", "a/b", "bücher.de", "a\0b", "a]", &long],
            Problem::BadName,
        ),
    ];
    for (addresses, problem) in cases {
        for address in *addresses {
            assert_fault(&format!("{address} 19 /r /l /p"), 1, 1, *problem);
        }
    }
    assert_eq!(address(&long[1..]).to_string(), long[1..]);
}

#[test]
fn ports_go_from_1_to_65535() {
    for port in [1, 19, 65535] {
        assert_eq!(one(&format!("a {port} /r /l /p")).port, port);
    }
    for port in ["0", "65536", "-1", "+19", "0x13", "19a", "chargen", "ö"] {
        assert_fault(&format!("a {port} /r /l /p"), 1, 3, Problem::BadPort);
    }
}

#[test]
fn remote_files_are_absolute_and_short_enough_to_ask_for() {
    let longest = format!("/{}", "r".repeat(limits::PATH_MAX_LEN - 1));
    assert_eq!(
        *one(&format!("a 19 {longest} /l /p")).remote,
        *longest.as_bytes()
    );
    let too_long = Problem::TooLong(Field::Remote, limits::PATH_MAX_LEN);
    assert_fault(&format!("a 19 {longest}r /l /p"), 1, 6, too_long);
    assert_fault("a 19 var/log /l /p", 1, 6, Problem::RemoteNotAbsolute);
    assert_fault(
        "a 19 /ü\x07 /l /p",
        1,
        8,
        Problem::ControlByte(Field::Remote, 7),
    );
}

#[test]
fn local_files_and_pointers_are_files() {
    let source = one("a 19 /r l ../p/./x");
    assert_eq!(*source.local, *Path::new("l"));
    assert_eq!(*source.pointer, *Path::new("../p/./x"));

    for path in ["/", "/l/", ".", "..", "/l/.", "l/.."] {
        assert_fault(
            &format!("a 19 /r {path} /p"),
            1,
            9,
            Problem::NotAFile(Field::Local),
        );
        assert_fault(
            &format!("a 19 /r /l {path}"),
            1,
            12,
            Problem::NotAFile(Field::Pointer),
        );
    }
    for option in [
        "proto=v2",
        "history=all",
        "max=2G",
        "mode=0644",
        "group=adm",
        "keep_free=5%",
    ] {
        let fault = Problem::OptionAsPath(Field::Pointer);
        assert_fault(&format!("a 19 /r /l {option}"), 1, 12, fault);
        let fault = Problem::OptionAsPath(Field::Local);
        assert_fault(&format!("a 19 /r {option} /p"), 1, 9, fault);
        assert!(parse(&format!("a 19 /r ./{option} /p")).is_ok());
    }
    assert_fault(
        "a 19 /r /l\0 /p",
        1,
        11,
        Problem::ControlByte(Field::Local, 0),
    );
    assert_fault(
        "a 19 /r /l \x7f",
        1,
        12,
        Problem::ControlByte(Field::Pointer, 0x7f),
    );
}

#[test]
fn local_names_leave_room_for_stamps() {
    let name = "n".repeat(limits::LOCAL_NAME_MAX_LEN);
    let path = "/p".repeat(limits::LOCAL_PATH_MAX_LEN / 2);
    assert_eq!(
        *one(&format!("a 19 /r {name} {path}")).local,
        *Path::new(&name)
    );
    assert_fault(
        &format!("a 19 /r x{name} /p"),
        1,
        9,
        Problem::NameTooLong(Field::Local, limits::LOCAL_NAME_MAX_LEN),
    );
    assert_fault(
        &format!("a 19 /r /l {path}p"),
        1,
        12,
        Problem::TooLong(Field::Pointer, limits::LOCAL_PATH_MAX_LEN),
    );
}

#[test]
fn paths_need_not_be_text() {
    let config = Config::parse(b"a 19 /r\xff /l\xfe /p").unwrap();
    assert_eq!(*config.sources[0].remote, *b"/r\xff");
    assert_eq!(
        config.sources[0].local.as_os_str().as_encoded_bytes(),
        b"/l\xfe"
    );
}

// Options

#[test]
fn options_are_taken_in_any_order() {
    let source = one(&format!("{LINE} history=all\tproto=v2"));
    assert_eq!((source.proto, source.history), (Proto::V2, History::All));
    let source = one(&format!("{LINE} proto=classic history=live"));
    assert_eq!(
        (source.proto, source.history),
        (Proto::Classic, History::Live)
    );
    assert_eq!(one(&format!("{LINE} proto=auto")), one(LINE));
}

#[test]
fn bad_options_are_faults_at_their_place() {
    let cases = [
        ("proto=v3", 47, Problem::BadProto),
        ("proto=", 47, Problem::BadProto),
        ("history=All", 49, Problem::BadHistory),
        ("mode=0755", 46, Problem::BadMode),
        ("group=a:b", 47, Problem::BadGroup),
        ("prot=v2", 41, Problem::UnknownOption),
        ("=", 41, Problem::UnknownOption),
        ("proto=v2 proto=v2", 50, Problem::RepeatedOption),
        ("history=all history=x", 53, Problem::RepeatedOption),
    ];
    for (options, column, problem) in cases {
        let found = errors(&format!("{LINE} {options}"));
        assert_eq!(found.len(), 1, "{options}");
        assert_eq!((found[0].column, found[0].problem), (column, problem));
    }
}

#[test]
fn defaults_go_for_all_lines_that_do_not_say_otherwise() {
    let other = "a 19 /r /l/b /p/b proto=v2 max=0";
    let text = format!("{LINE}\ndefaults max=512M proto=classic\n{other}\ndefaults keep_free=2G");
    let sources = parse(&text).unwrap().sources;
    assert_eq!(
        (sources[0].max.get(), sources[1].max.get()),
        (Some(512 << 20), None)
    );
    assert_eq!(
        (sources[0].proto, sources[1].proto),
        (Proto::Classic, Proto::V2)
    );
    for source in &sources {
        assert_eq!(source.keep_free, KeepFree::Bytes(2 << 30));
    }
    let source = one(LINE);
    assert_eq!((source.max.get(), source.keep_free), (None, KeepFree::Auto));
    assert_eq!(one(&format!("defaults\n{LINE}")), source);
}

#[test]
fn a_host_may_be_called_defaults() {
    let host = Address::Name("defaults".into());
    assert_eq!(one("defaults 19 /r /l /p").address, host);
    assert_eq!(one("defaults 19 /r=1 /l=1 /p=1 max=1").max.get(), Some(1));
    assert_eq!(one("defaults.example 19 /r /l /p").max.get(), None);
    // As many words as a source has.
    let four = "defaults max=1 keep_free=1 proto=v2 history=all";
    assert_eq!(one(&format!("{four}\n{LINE}")).max.get(), Some(1));
    assert_fault("defaults 19 /r /l", 1, 10, Problem::NotADefault);
}

#[test]
fn what_is_kept_free_is_an_amount_or_a_part() {
    let cases = [
        ("0", KeepFree::Bytes(0), 0),
        ("4096", KeepFree::Bytes(4096), 4096),
        ("3K", KeepFree::Bytes(3072), 3072),
        ("1T", KeepFree::Bytes(1 << 40), 1 << 40),
        ("0%", KeepFree::Percent(0), 0),
        ("99%", KeepFree::Percent(99), 99 << 20),
    ];
    for (text, expected, of_100_mib) in cases {
        let source = one(&format!("defaults keep_free={text}\n{LINE}"));
        assert_eq!(source.keep_free, expected);
        assert_eq!(expected.of(100 << 20), of_100_mib, "{text}");
    }
    assert_eq!(KeepFree::Auto.of(100 << 20), 5 << 20);
    assert_eq!(KeepFree::Auto.of(u64::MAX), 1 << 30);
}

#[test]
fn bad_amounts_are_faults_at_their_place() {
    for bad in [
        "",
        "x",
        "-1",
        "+1",
        "1.5G",
        "1 M",
        "1m",
        "M",
        "99999999T",
        "10%",
    ] {
        let bad = bad.split(' ').next_back().unwrap();
        let fault = |text: &str, column| assert_fault(text, 1, column, Problem::BadMax);
        fault(&format!("{LINE} max={bad}"), 45);
        fault(&format!("defaults max={bad}"), 14);
    }
    for bad in ["", "%", "100%", "-1%", "256%", "x", "1Q", "1G%"] {
        let text = format!("defaults keep_free={bad}");
        assert_fault(&text, 1, 20, Problem::BadKeepFree);
    }
    let text = format!("{LINE} keep_free=1");
    assert_fault(&text, 1, 41, Problem::OnlyADefault);
    let text = "defaults max=1\ndefaults max=1";
    assert_fault(text, 2, 10, Problem::RepeatedOption);
    assert_fault("defaults mx=1", 1, 10, Problem::UnknownOption);
}

// Several lines

#[test]
fn all_faults_are_told_in_order() {
    let text = "10.4.3 0 r / . x\n# fine\nb 19 /r /l /p\na 19 /r /l\nb 19 /r /m /q";
    let found = parse(text).unwrap_err();
    let places: Vec<(u32, u32)> = found
        .first
        .iter()
        .map(|f| (f.line.line, f.column))
        .collect();
    assert_eq!(
        places,
        [(1, 1), (1, 8), (1, 10), (1, 12), (1, 14), (4, 11), (5, 1)]
    );
    assert_eq!(found.omitted, 0);
}

#[test]
fn beyond_the_first_twenty_faults_there_is_a_number() {
    let found = parse(&"x\n".repeat(10_000)).unwrap_err();
    assert_eq!(found.first.len(), limits::CONFIG_ERRORS_MAX);
    assert_eq!(found.first.last().map(|error| error.line.line), Some(20));
    assert_eq!(found.omitted, 9_980);
    assert!(found.to_string().ends_with("\n... and 9980 more"));
}

#[test]
fn the_same_source_twice_is_a_fault() {
    let twin = |address: &str, remote: &str| {
        format!("::ffff:10.4.3.5 19 /r /l /p\n\n {address} 19 {remote} /m /q")
    };
    assert_fault(
        &twin("10.4.3.5", "/r"),
        3,
        2,
        Problem::SameSource {
            other: LineNumber { file: 0, line: 1 },
        },
    );
    assert!(parse(&twin("10.4.3.6", "/r")).is_ok());
    assert!(parse(&twin("10.4.3.5", "//r")).is_ok());
    assert!(parse("a 19 /r /l /p\na 20 /r /m /q").is_ok());
    assert_fault(
        "a 19 /r /l /p\nA 19 /r /m /q",
        2,
        1,
        Problem::SameSource {
            other: LineNumber { file: 0, line: 1 },
        },
    );
}

#[test]
fn every_file_has_one_use() {
    use FileRole::{Local, Pointer, Record, Scratch};
    let gaps = Record("record LOCAL_FILE.gaps");
    let given = Record("record POINTER_FILE.given");
    let hooks = Record("record POINTER_FILE.hooks");
    // The local and pointer files of two lines; the error's column and problem on the second.
    let cases = [
        ("l p", "l q", 9, same_file(Local, Local, Some(1))),
        ("l p", "m p", 11, same_file(Pointer, Pointer, Some(1))),
        ("l p", "p q", 9, same_file(Local, Pointer, Some(1))),
        ("l p", "m l", 11, same_file(Pointer, Local, Some(1))),
        ("l p", "p.tmp q", 9, same_file(Local, Scratch, Some(1))),
        ("l p", "m p.tmp", 11, same_file(Pointer, Scratch, Some(1))),
        ("l.tmp p", "m l", 11, same_file(Scratch, Local, Some(1))),
        ("l p.tmp", "m p", 11, same_file(Scratch, Pointer, Some(1))),
        ("l p", "m m", 11, same_file(Pointer, Local, None)),
        ("l p", "l.gaps q", 9, same_file(Local, gaps, Some(1))),
        ("l.gaps p", "l q", 9, same_file(gaps, Local, Some(1))),
        ("l p", "p.given.tmp q", 9, same_file(Local, given, Some(1))),
        ("l p", "m m.gaps", 11, same_file(Pointer, gaps, None)),
        ("l p", "m p.hooks", 11, same_file(Pointer, hooks, Some(1))),
        ("l p", "m.tmp m", 15, same_file(Scratch, Local, None)),
    ];
    for (first, second, column, problem) in cases {
        let text = format!("a 19 /1 {first}\na 19 /2 {second}");
        assert_fault(&text, 2, column, problem);
    }
}

#[test]
fn spellings_of_one_path_are_one_path() {
    let spellings = [
        ("/a//b", "/a/b"),
        ("./a", "a"),
        ("a/./b", ".//a/b"),
        ("/./a", "/a"),
        ("//a", "/a"),
    ];
    for (one, other) in spellings {
        let text = format!("a 19 /1 {one} p\na 19 /2 {other} q");
        let problem = same_file(FileRole::Local, FileRole::Local, Some(1));
        assert_fault(&text, 2, 9, problem);
    }
    for (one, other) in [("/a", "a"), ("../a", "a"), ("b/../a", "a"), ("a.b", "a/b")] {
        assert!(parse(&format!("a 19 /1 {one} p\na 19 /2 {other} q")).is_ok());
    }
}

#[test]
fn many_lines_with_one_file_all_name_the_first() {
    let text = (1..=10).fold(String::new(), |text, n| {
        text + &format!("a 19 /{n} same p{n}\n")
    });
    let found = errors(&text);
    assert_eq!(found.len(), 9);
    assert!(
        found
            .iter()
            .all(|error| error.problem == same_file(FileRole::Local, FileRole::Local, Some(1)))
    );
}

#[test]
fn ten_thousand_lines_are_no_burden() {
    let mut text = String::new();
    for n in 0..10_000 {
        writeln!(text, "10.0.{}.{} 19 /r /l/{n} /p/{n}", n / 250, n % 250).unwrap();
    }
    assert_eq!(parse(&text).unwrap().sources.len(), 10_000);

    let twice = format!("{text}{text}");
    let found = parse(&twice).unwrap_err();
    assert_eq!(found.first.len() + found.omitted, 30_000);
}

// The value

#[test]
fn sources_are_equal_wherever_they_stand_and_different_in_anything_else() {
    let source = one(LINE);
    assert_eq!(source, one(&format!("\n# moved\n{LINE}")));
    let others = [
        "10.4.3.6 19 /var/log/messages /l/a /p/a",
        "10.4.3.5 20 /var/log/messages /l/a /p/a",
        "10.4.3.5 19 /var/log/messages2 /l/a /p/a",
        "10.4.3.5 19 /var/log/messages /l/b /p/a",
        "10.4.3.5 19 /var/log/messages /l/a /p/b",
        "10.4.3.5 19 /var/log/messages /l/a /p/a proto=v2",
        "10.4.3.5 19 /var/log/messages /l/a /p/a history=all",
        "10.4.3.5 19 /var/log/messages /l/a /p/a max=1",
        "10.4.3.5 19 /var/log/messages /l/a /p/a\ndefaults keep_free=1",
    ];
    for other in others {
        assert_ne!(source, one(other), "{other}");
    }
}

#[test]
fn faults_read_like_sentences() {
    let text = "10.4.3.5 19 /r /l\na 19 /1 x p\na 19 /2 y x\n\
                a 19 /3 z z\na 19 /1 u v\na 19 /4 w p.tmp\na 1\0 /r";
    assert_eq!(
        parse(text).unwrap_err().to_string(),
        "1:18: POINTER_FILE is missing; a source is ADDRESS PORT REMOTE_FILE LOCAL_FILE POINTER_FILE [key=value ...], or, behind a line with copies, ADDRESS [PORT] REMOTE_FILE [key=value ...]\n\
         3:11: POINTER_FILE is the LOCAL_FILE of line 2 as well; each needs a file of its own\n\
         4:11: POINTER_FILE is the LOCAL_FILE of this line as well; each needs a file of its own\n\
         5:1: the same REMOTE_FILE of the same server is fetched by line 2 already\n\
         6:11: POINTER_FILE is the scratch file POINTER_FILE.tmp of line 2 as well; each needs a file of its own\n\
         7:3: PORT is not a number from 1 to 65535\n\
         7:8: LOCAL_FILE is missing; a source is ADDRESS PORT REMOTE_FILE LOCAL_FILE POINTER_FILE [key=value ...], or, behind a line with copies, ADDRESS [PORT] REMOTE_FILE [key=value ...]"
    );
    let found = parse("a 19 /1 x p\na 19 /2 p.tmp q\na 19 /3 \x07 r").unwrap_err();
    assert_eq!(
        found.to_string(),
        "2:9: LOCAL_FILE is the scratch file POINTER_FILE.tmp of line 1 as well; each needs a file of its own\n\
         3:9: LOCAL_FILE holds a control character (byte 0x07)"
    );
}

/// No bytes are a panic, and every error lies within the text.
#[test]
fn arbitrary_bytes_are_sources_or_faults() {
    const PIECES: [&[u8]; 25] = [
        b" ",
        b" ",
        b" ",
        b"\n",
        b"\t",
        b"\r\n",
        b"a",
        b"19",
        b"/r",
        b"/l",
        b"x",
        b"#",
        b"proto=",
        b"v2",
        b".tmp",
        b"\xff",
        b"defaults",
        b"keep_free=",
        b"9%",
        b"copies /%h/%f\n",
        b"copies",
        b"%h%p",
        b"include",
        b"name=",
        b"\"",
    ];
    arbtest(|u| {
        let mut text = Vec::new();
        while !u.is_empty() {
            if u.ratio(1, 20)? {
                text.push(u.arbitrary()?);
            } else {
                text.extend_from_slice(u.choose(&PIECES)?);
            }
        }
        if let Err(errors) = Config::parse(&text) {
            let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            assert!(!errors.first.is_empty());
            for error in &errors.first {
                let line = lines[error.line.line as usize - 1];
                assert!((1..=line.len() + 1).contains(&(error.column as usize)));
            }
        }
        Ok(())
    })
    .budget_ms(100);
}

// Short lines

#[test]
fn a_short_line_is_whole_behind_a_template() {
    let text = "copies /c/%h/%f.log\n10.0.0.1 /var/log/m\nbox 20 \"/var/log/a b\" max=5 # x\n";
    let sources = parse(&format!("{text}{LINE} name=r5")).unwrap().sources;
    assert_eq!((sources[0].port, sources[0].makes_dirs), (19, true));
    assert_eq!(*sources[0].local, *Path::new("/c/10.0.0.1/m.log"));
    assert_eq!(*sources[0].pointer, *Path::new("/c/10.0.0.1/m.log.pointer"));
    assert_eq!((sources[1].port, sources[1].max.get()), (20, Some(5)));
    assert_eq!(*sources[1].local, *Path::new("/c/box/a b.log"));
    assert_eq!(
        (&*sources[2].local, sources[2].makes_dirs),
        (Path::new("/l/a"), false)
    );

    let named = one("copies %h-%p%%\nfe80::1%eth0 /var/log/m name=r5");
    assert_eq!(*named.local, *Path::new("r5-var/log/m%"));
    assert_eq!(
        *one("copies %h-%f\nfe80::1%eth0 /m").local,
        *Path::new("fe80::1%eth0-m")
    );
    let root = |text: &str| parse(text).unwrap().root;
    assert_eq!(root("copies /c/d-%h/%f"), Some("/c/".into()));
    assert_eq!(root("copies c%h/%f"), None);
    assert_eq!(root("copies /%h/%f"), None, "all of the machine");
    assert_eq!(root(LINE), None);
    // A host may be called so.
    assert_eq!(
        one("copies 19 /r /l /p").address,
        Address::Name("copies".into())
    );
    assert_eq!(
        one("include 19 /r /l /p").address,
        Address::Name("include".into())
    );
}

#[test]
fn a_short_line_is_a_fault_where_it_cannot_be_whole() {
    let cases = [
        ("10.0.0.1 /m", 2, 12, Problem::BadPort),
        ("copies /c/%h/%f\na", 2, 2, Problem::Missing(Field::Port)),
        (
            "copies /c/%h/%f\na 19",
            2,
            5,
            Problem::Missing(Field::Remote),
        ),
        ("copies /c/%h/%f\na /m /n", 2, 6, Problem::NotAnOption),
        (
            "copies /c/%h/%f\na 19 /m prot=v2 max=1",
            2,
            9,
            Problem::UnknownOption,
        ),
        ("copies /c/%h/%p\na /m/../n", 2, 3, Problem::LeavesTemplate),
        ("copies /c/%h/%p\na //m", 2, 3, Problem::LeavesTemplate),
        ("copies /c/%h/%f\na /m/..", 2, 3, Problem::LeavesTemplate),
        (
            "copies /c/%h/%f\na \"/m/\x07\"",
            2,
            3,
            Problem::ControlByte(Field::Local, 7),
        ),
        (
            "copies /c/%h%f/\na /m",
            2,
            3,
            Problem::NotAFile(Field::Local),
        ),
        (
            "copies /c/%h/%f\na /x/m\na /y/m",
            3,
            3,
            same_file(FileRole::Local, FileRole::Local, Some(2)),
        ),
        (
            "copies /c/%h/%f\na /m\na /m.pointer",
            3,
            3,
            same_file(FileRole::Local, FileRole::Pointer, Some(2)),
        ),
    ];
    for (text, line, column, problem) in cases {
        let found = errors(text);
        let first = found
            .first()
            .map(|it| (it.line.line, it.column, it.problem));
        let expected = match text.starts_with("10.0.0.1") {
            true => (1, 10, problem),
            false => (line, column, problem),
        };
        assert_eq!(first, Some(expected), "{text}");
    }
    for template in ["/c", "/c/%h", "/c/%f", "/c/%h/%x/%f", "/c/%h/%f%"] {
        assert_fault(&format!("copies {template}"), 1, 8, Problem::BadTemplate);
    }
    for template in ["/c/%h/../%f", "/c/%h/%f/..", "%h/..%f/../m"] {
        assert_fault(&format!("copies {template}"), 1, 8, Problem::TemplateClimbs);
    }
    for template in ["../c/%h/%f", "..%h..%f", "/c/../d/%h/%f..x"] {
        assert!(
            parse(&format!("copies {template}\na /m")).is_ok(),
            "{template}"
        );
    }
    assert_fault("copies", 1, 1, Problem::OnePath);
    assert_fault("copies /c/%h/%f more", 1, 17, Problem::OnePath);
    assert_fault(
        "copies /c/%h/%f\ncopies /d/%h/%f",
        2,
        1,
        Problem::RepeatedCopies,
    );
    assert_fault("include a b", 1, 11, Problem::OnePath);
}

#[test]
fn a_thousand_sources_are_a_template_and_their_boxes() {
    let mut text = "copies /c/%h/%p\n".to_owned();
    for n in 0..1_000 {
        writeln!(text, "10.0.{}.{} /var/log/messages", n / 250, n % 250).unwrap();
    }
    assert_eq!(parse(&text).unwrap().sources.len(), 1_000);
}

// Names

#[test]
fn a_box_may_have_a_name() {
    let source = one(&format!("{LINE} name=east-1.x_Y"));
    assert_eq!(source.server().to_string(), "east-1.x_Y");
    for called in ["10.4.3.5", "east-1.x_Y", "EAST-1.X_y"] {
        assert!(source.server().is_called(called), "{called}");
    }
    assert!(!source.server().is_called("10.4.3.6"));
    assert_eq!(one(LINE).server().to_string(), "10.4.3.5");
    let long = "x".repeat(64);
    for name in ["", ".x", "a/b", "ä", "%h", &long] {
        let found = errors(&format!("{LINE} name={name}"));
        assert_eq!(found[0].problem, Problem::BadBoxName, "{name}");
    }
    assert_fault("defaults name=x", 1, 10, Problem::OnlyOfASource);
}

#[test]
fn a_name_is_that_of_one_address() {
    let lines = |first: &str, second: &str| format!("{first} /l /p\n{second} /m /q");
    let other = |line| Problem::SameName {
        other: LineNumber { file: 0, line },
    };
    let text = |a: &str, b: &str| {
        let (a, b) = (
            format!("{a} 19 /r /l/a /p/a"),
            format!("{b} 19 /s /l/b /p/b"),
        );
        format!("{a} name=x\n{b} name=x")
    };
    assert!(parse(&text("10.0.0.1", "10.0.0.1")).is_ok());
    assert_fault(&text("10.0.0.1", "10.0.0.2"), 2, 1, other(1));
    // Two boxes behind one address.
    let nat = "10.0.0.1 19 /r /l/a /p/a name=x\n10.0.0.1 20 /r /l/b /p/b name=y";
    assert!(parse(nat).is_ok());
    // Its status would be that of another box.
    let taken = lines("10.0.0.1 19 /r", "10.0.0.2 19 /r");
    assert_fault(&format!("{taken} name=10.0.0.1"), 2, 1, other(1));
    assert!(parse(&format!("{taken} name=10.0.0.2")).is_ok());
}

// The shipped file

const SHIPPED: &[u8] = include_bytes!("../../../conf/fetch_logs.conf");

#[test]
fn the_shipped_file_is_sound() {
    let config = Config::parse(SHIPPED).unwrap();
    assert!(config.sources.is_empty(), "no server allows us yet");
}

/// Its examples are the comments without a blank behind the `#`.
#[test]
fn the_examples_in_the_shipped_file_are_sound() {
    let text = str::from_utf8(SHIPPED).unwrap();
    let enabled: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if !example.is_empty() && !example.starts_with(' ') => example,
            _ => line,
        })
        .collect();
    let config = parse(&enabled.join("\n")).unwrap();
    assert_eq!(config.sources.len(), 5);
    assert_eq!(config.sources[0].address, ip("127.0.0.1"));
    assert!(config.sources.iter().any(|s| s.history == History::All));
    assert!(config.sources.iter().any(|s| s.proto == Proto::V2));
    assert!(config.sources.iter().any(|s| s.proto == Proto::Classic));
}

#[test]
fn paths_in_quotes_may_have_blanks() {
    let text = r#"a 19 "/v/My Log \"x\" \\ ü" "/l/my copy" "p q" max=2G"#;
    let source = one(text);
    assert_eq!(*source.remote, *"/v/My Log \"x\" \\ ü".as_bytes());
    assert_eq!(*source.local, *Path::new("/l/my copy"));
    assert_eq!(*source.pointer, *Path::new("p q"));
    assert_eq!(*one("a 19 \"/v\ta\x01\" /l /p").remote, *b"/v\ta\x01");
    assert_eq!(*one("a 19 \"/v\" \"/l\"\t\"/p\"\r").remote, *b"/v");
    for (text, column) in [
        (r#"a 19 "/v /l /p"#, 6),
        (r#"a 19 "/v"x /l /p"#, 6),
        (r#"a 19 "/v\n" /l /p"#, 6),
        (r#"a 19 /v "/l" "p"x"#, 14),
        (r#"a 19 /v "/l\" /p"#, 9),
    ] {
        let errors = parse(text).unwrap_err();
        assert_eq!(
            (errors.first[0].column, errors.first[0].problem),
            (column, Problem::BadQuotes),
            "{text}"
        );
    }
    assert_fault(
        "a 19 \"/v\0\" /l /p",
        1,
        6,
        Problem::ControlByte(Field::Remote, 0),
    );
    assert_fault(
        "a 19 /v \"/l\t\" /p",
        1,
        12,
        Problem::ControlByte(Field::Local, 9),
    );
    assert_fault(
        "a 19 \"/v x\" /l /p proto=classic",
        1,
        1,
        Problem::ClassicBlank,
    );
    assert_fault(
        "defaults proto=classic\n a 19 \"/v x\" /l /p",
        2,
        2,
        Problem::ClassicBlank,
    );
}

#[test]
fn an_address_may_have_a_zone() {
    for text in ["fe80::1%eth0", "[FE80::1%eth0]", "[fe80:0::1%eth0]"] {
        assert_eq!(address(text), Address::Name("fe80::1%eth0".into()));
    }
    assert_eq!(address("fe80::1%2").to_string(), "fe80::1%2");
    for text in [
        "fe80::1%",
        "fe80::1%a/b",
        "[fe80::1%eth0",
        "fe80::1%abcdefghijklmnop",
        "fe80::1%a%b",
    ] {
        assert_fault(&format!("{text} 19 /r /l /p"), 1, 1, Problem::BadIpv6);
    }
}

#[test]
fn who_may_read_is_said_by_a_source_or_by_the_defaults() {
    let text = "defaults mode=0644 group=adm\n10.4.3.5 19 /a /l/a /p/a\n10.4.3.6 19 /a /l/b /p/b mode=600\n";
    let config = Config::parse(text.as_bytes()).unwrap();
    let said = config.sources.iter().map(|source| {
        let access = source.access.as_ref().unwrap();
        (access.mode, access.group.as_deref())
    });
    let wanted = [(Some(0o644), Some("adm")), (Some(0o600), Some("adm"))];
    assert_eq!(said.collect::<Vec<_>>(), wanted);
    assert_eq!(one(LINE).access, None);
    assert_ne!(config.sources[0], one("10.4.3.5 19 /a /l/a /p/a"));
}
