//! Over plain pipes: what the agent would see, and what it must never see.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::common::FETCHLOGS;
use super::*;

/// How long an answer may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running helper with a pipe at each end.
struct Helper {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Helper {
    fn start(status: &StatusFiles, options: &[&str]) -> Helper {
        let mut command = Command::new(FETCHLOGS);
        command
            .arg("snmp_from_file")
            .arg("-d")
            .arg(status.path())
            .args(options);
        Helper::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Helper {
        let mut child = piped(command).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // A thread, so that an answer that never comes fails the test instead of stopping it.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Helper {
            child,
            input,
            lines,
        }
    }

    fn say(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
    }

    fn hear(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("an answer")
    }

    fn ping(&mut self) {
        self.say("PING\n");
        assert_eq!(self.hear(), "PONG");
    }

    /// One request as the agent makes it; the identifier and the value, or `None` for NONE.
    fn ask(&mut self, command: &str, oid: &str) -> Option<(String, String)> {
        self.ping();
        self.say(&format!("{command}\n{oid}\n"));
        let found = self.hear();
        if found == "NONE" {
            return None;
        }
        assert_eq!(self.hear(), "string");
        Some((found, self.hear()))
    }

    fn get(&mut self, suffix: &str) -> Option<String> {
        let oid = format!("{BASE}.{suffix}");
        let (found, value) = self.ask("get", &oid)?;
        assert_eq!(found, oid);
        Some(value)
    }

    /// Closes the input and checks that the helper goes, in order and without another word.
    fn end(self) {
        let Helper {
            mut child,
            input,
            lines,
        } = self;
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(lines.recv_timeout(PATIENCE).ok(), None);
        assert_eq!(complaints(&mut child), "");
    }
}

fn piped(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

fn complaints(child: &mut Child) -> String {
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// Runs the helper on all of `input` at once.
fn run(status: &StatusFiles, input: &str) -> Output {
    let mut command = Command::new(FETCHLOGS);
    command.arg("snmp_from_file").arg("-d").arg(status.path());
    let mut child = piped(&mut command).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn each_request_is_answered_before_the_next_is_sent() {
    let status = StatusFiles::new(&[("10.0.0.2", "OK\n"), ("::1", "ERR\n")]);
    let mut helper = Helper::start(&status, &[]);
    assert_eq!(helper.get("10.0.0.2").unwrap(), "OK");
    assert_eq!(helper.get("1.10.0.0.2").unwrap(), "OK");
    assert_eq!(
        helper.get("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1").unwrap(),
        "ERR"
    );
    assert_eq!(
        helper.get("10.0.0.9").unwrap(),
        "ERR no status for 10.0.0.9"
    );
    assert_eq!(helper.get("10.0.0"), None);
    helper.end();
}

#[test]
fn nothing_is_kept_between_two_requests() {
    let status = StatusFiles::new(&[("10.0.0.2", "OK\n")]);
    let mut helper = Helper::start(&status, &[]);
    assert_eq!(helper.get("10.0.0.2").unwrap(), "OK");
    status.write("10.0.0.2", "ERR\n");
    assert_eq!(helper.get("10.0.0.2").unwrap(), "ERR");
    status.write("10.0.0.2", "");
    assert_eq!(helper.get("10.0.0.2").unwrap(), "ERR 10.0.0.2 is empty");
    fs::remove_file(status.file("10.0.0.2")).unwrap();
    assert_eq!(
        helper.get("10.0.0.2").unwrap(),
        "ERR no status for 10.0.0.2"
    );
    assert_eq!(helper.ask("getnext", BASE), None);
    status.write("0:0::1", "OK\n");
    assert_eq!(helper.get("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1").unwrap(), "OK");
    helper.end();
}

#[test]
fn a_file_that_nobody_touched_is_stale() {
    let status = StatusFiles::new(&[("10.0.0.2", "OK\n"), ("10.0.0.3", "OK\n")]);
    status.age("10.0.0.2", Duration::from_secs(60));
    status.age("10.0.0.3", Duration::from_secs(121));
    let mut helper = Helper::start(&status, &[]);
    assert_eq!(helper.get("10.0.0.2").unwrap(), "OK");
    assert_eq!(helper.get("10.0.0.3").unwrap(), "ERR 10.0.0.3 is stale");
    helper.end();
}

#[test]
fn the_options_change_the_base_and_the_age() {
    let status = StatusFiles::new(&[("10.0.0.2", "OK\n"), ("10.0.0.3", "OK\n")]);
    status.age("10.0.0.2", Duration::from_secs(45));
    status.age("10.0.0.3", Duration::from_secs(91));
    let mut helper = Helper::start(&status, &["-o", "1.3.6.1.4.1.7", "-S", "90.9"]);
    let mut ask = |oid| helper.ask("get", oid).map(|(_, value)| value);
    assert_eq!(ask(".1.3.6.1.4.1.7.10.0.0.2").unwrap(), "OK");
    assert_eq!(
        ask(".1.3.6.1.4.1.7.10.0.0.3").unwrap(),
        "ERR 10.0.0.3 is stale"
    );
    assert_eq!(ask(".1.3.6.1.4.99.10.0.0.2"), None);
    helper.end();
}

#[test]
fn a_walk_over_many_files_is_complete_and_in_order() {
    let status = StatusFiles::new(&[("10.0.0.1.tmp", "OK\n"), ("loghost", "OK\n")]);
    let mut model = Vec::new();
    for number in 0..150u32 {
        let [_, _, high, low] = number.wrapping_mul(40_503).to_be_bytes();
        let address = if number % 3 == 0 {
            IpAddr::from([0x2001, 0x0db8, 0, 0, 0, 0, u16::from(low), u16::from(high)])
        } else {
            IpAddr::from([1 + low % 12, 0, high, low])
        };
        status.write(&address.to_string(), "OK\n");
        let bytes: Vec<u32> = match address {
            IpAddr::V4(v4) => v4.octets().map(u32::from).to_vec(),
            IpAddr::V6(v6) => v6.octets().map(u32::from).to_vec(),
        };
        model.push([&[1], &bytes[..]].concat());
        model.push(bytes);
    }
    model.sort();
    model.dedup();

    let mut helper = Helper::start(&status, &["-w"]);
    let mut at = BASE.to_owned();
    for suffix in model {
        let suffix: String = suffix.iter().map(|part| format!(".{part}")).collect();
        let (found, value) = helper.ask("getnext", &at).expect("the walk goes on");
        assert_eq!(found, format!("{BASE}{suffix}"));
        assert_eq!(value, "OK");
        at = found;
    }
    assert_eq!(helper.ask("getnext", &at), None);
    helper.end();
}

#[test]
fn set_is_refused_without_waiting_for_the_value() {
    let status = StatusFiles::new(&[("10.0.0.2", "OK\n")]);
    let mut helper = Helper::start(&status, &[]);
    for value in ["", "\n", "\n\n", "integer 5\n", "string \"get\"\n\n"] {
        helper.ping();
        helper.say(&format!("set\n{BASE}.10.0.0.2\n"));
        assert_eq!(helper.hear(), "not-writable");
        helper.say(value);
        assert_eq!(helper.get("10.0.0.2").unwrap(), "OK", "{value:?}");
    }
    helper.end();
}

#[test]
fn what_is_not_a_regular_file_is_refused_and_never_waited_for() {
    let status = StatusFiles::new(&[("10.0.0.1", "OK\n")]);
    symlink("10.0.0.1", status.file("10.0.0.2")).unwrap();
    fs::create_dir(status.file("10.0.0.3")).unwrap();
    let made = Command::new("mkfifo").arg(status.file("10.0.0.4")).status();
    assert!(made.unwrap().success());
    let mut helper = Helper::start(&status, &[]);
    for name in ["10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        let expected = format!("ERR {name} is not a regular file");
        assert_eq!(helper.get(name).unwrap(), expected);
    }
    helper.end();
}

#[test]
fn the_directory_may_come_later() {
    let status = StatusFiles::new(&[]);
    let later = status.file("later");
    let mut command = Command::new(FETCHLOGS);
    let mut helper = Helper::spawn(command.arg("snmp_from_file").arg("-d").arg(&later));
    assert_eq!(helper.ask("getnext", BASE), None);
    assert_eq!(
        helper.get("10.0.0.2").unwrap(),
        "ERR no status for 10.0.0.2"
    );
    fs::create_dir(&later).unwrap();
    fs::write(later.join("10.0.0.2"), "OK\n").unwrap();
    assert_eq!(helper.get("10.0.0.2").unwrap(), "OK");
    helper.end();
}

#[test]
fn junk_of_every_sort_leaves_it_running_and_in_step() {
    let status = StatusFiles::new(&[("10.0.0.2", "OK\n")]);
    let mut helper = Helper::start(&status, &[]);
    helper.say(&"x".repeat(1_000_000));
    helper.say("\n\n\r\n\0\x01\x7f\nset\n");
    helper.say(&"9.".repeat(100_000));
    helper.say("\n");
    assert_eq!(helper.hear(), "not-writable");
    assert_eq!(helper.get("10.0.0.2").unwrap(), "OK");
    helper.end();
}

#[test]
fn end_of_input_is_a_good_end_wherever_it_comes() {
    let status = StatusFiles::new(&[]);
    for input in [
        "",
        "PI",
        "PING\n",
        "PING\nget\n",
        "PING\nget\n.1.3",
        "PING\nset\n.1\ninte",
    ] {
        let output = run(&status, input);
        assert_eq!(output.status.code(), Some(0), "{input:?}");
        assert_eq!(output.stderr, b"", "{input:?}");
    }
}

#[test]
fn closed_output_is_a_good_end_too() {
    let status = StatusFiles::new(&[]);
    let mut command = Command::new(FETCHLOGS);
    command.arg("snmp_from_file").arg("-d").arg(status.path());
    let mut child = piped(&mut command).spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // More than once: a program that another test is about to start holds a copy of the reading end for a moment.
    while input.write_all(b"PING\n").is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(complaints(&mut child), "");
}

#[test]
fn it_answers_to_its_own_name_and_to_the_historic_one() {
    let status = StatusFiles::new(&[("10.0.0.2", "OK\n")]);
    let names = tempfile::tempdir().unwrap();
    for name in ["snmp_from_file", "snmp_from_file.pl"] {
        let link = names.path().join(name);
        symlink(FETCHLOGS, &link).unwrap();
        let mut helper = Helper::spawn(Command::new(link).arg("-d").arg(status.path()));
        assert_eq!(helper.get("10.0.0.2").unwrap(), "OK");
        helper.end();
    }
}

#[test]
fn a_wrong_command_line_is_the_only_thing_it_complains_about() {
    for arguments in [
        &["snmp_from_file", "-o", "iso.3"][..],
        &["snmp_from_file", "-o", ""],
        &["snmp_from_file", "-S", "soon"],
        &["snmp_from_file", "-x"],
        &["snmp_from_file", "-d"],
    ] {
        let output = Command::new(FETCHLOGS).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        assert_ne!(output.stderr, b"", "{arguments:?}");
    }
}

#[test]
fn standard_error_leads_nowhere_once_it_runs() {
    let mut helper = Helper::start(&StatusFiles::new(&[]), &[]);
    helper.ping();
    let error = format!("/proc/{}/fd/2", helper.child.id());
    assert_eq!(fs::read_link(error).unwrap(), Path::new("/dev/null"));
    helper.end();
}

/// The test starts itself again to play the helper that panics.
#[test]
fn a_panic_ends_it_without_a_word() {
    const PLAY: &str = "FETCHLOGS_TEST_PANIC";
    if std::env::var_os(PLAY).is_some() {
        fetchlogs::snmp::shell::fall_silent().unwrap();
        eprintln!("this is not heard");
        panic!("nor is this");
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "pipes::a_panic_ends_it_without_a_word",
            "--nocapture",
        ])
        .env(PLAY, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("heard"));
}
