//! What no administrator would do: closed and full outputs, arguments that are no text or far too long.

use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::common::classic::Client;
use crate::common::descriptors;
use crate::common::logs::Logs;
use crate::common::process::Process;
use crate::common::wait::eventually;

/// The program with these arguments, started by a shell with this redirection.
fn redirected<I: AsRef<OsStr>>(how: &str, args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$@\" {how}"), "sh", FETCHLOGS]);
    command.args(args);
    command
}

#[test]
fn a_closed_stdout_is_nothing_to_crash_of() {
    for args in [
        &["-h"][..],
        &["-V"],
        &["gen_numbers", "--help"],
        &["snmp_from_file", "-V"],
    ] {
        for how in [">&-", ">&- 2>&-", "<&- >&- 2>&-"] {
            let ended = run(redirected(how, args));
            assert!(matches!(ended.status, Some(0 | 1)), "{args:?}: {ended:?}");
            assert_eq!(ended.stderr, "");
        }
    }
}

#[test]
fn a_stdout_that_takes_nothing_is_said() {
    for args in [&["-h"][..], &["gen_numbers", "-V"], &["fetch_logs", "-h"]] {
        let ended = run(redirected(">/dev/full", args));
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("cannot print: "), "{ended:?}");
    }
}

#[test]
fn a_closed_stderr_does_not_change_how_misuse_ends() {
    for how in ["2>&-", "2>/dev/full"] {
        for args in [&[][..], &["nonsense"], &["gen_numbers", "-x"]] {
            let ended = run(redirected(how, args));
            assert_eq!(ended.status, Some(2), "{how}: {args:?}");
        }
    }
}

#[test]
fn a_server_without_standard_descriptors_serves_and_prints_to_nobody() {
    let (place, logs) = (Place::new(), Logs::new());
    logs.write("messages", "one line\n");
    let config = place.path("gen_numbers.pl.locals");
    let settings = fs::read_to_string(&config).unwrap();
    fs::write(&config, settings + &logs.served("messages", "")).unwrap();
    let command = redirected("<&- >&- 2>&-", place.args("gen_numbers", &[]));
    let mut server = Process::start(command);
    let address = eventually("a server that listens", || {
        descriptors::listener(server.pid())
    });
    let mut client = Client::connect(address);
    client.send(logs.request("messages", "0 0\n"));
    client.reply();
    client.expect("one line\n");
    // This is worth a message, which must not find its way into anybody's socket.
    let mut refused = Client::connect_from([127, 0, 0, 2].into(), address);
    refused.expect_closed_without_a_word();
    logs.append("messages", "and another\n");
    client.expect("and another\n");
    assert!(!server.has_ended());
}

#[test]
fn a_collector_that_nobody_listens_to_goes_on() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let port = server.local_addr().unwrap().port();
    for how in [">&- 2>&-", ">/dev/full 2>/dev/full"] {
        let place = Place::new();
        let config = fs::read_to_string(place.path("fetch_logs.conf")).unwrap();
        let config = config.replace(" 1 ", &format!(" {port} "));
        place.write("fetch_logs.conf", config);
        let (status, config) = (place.path("snmp"), place.path("fetch_logs.conf"));
        let args = ["fetch_logs", "-r", "0.05"].map(OsStr::new);
        let paths = [status.as_os_str(), config.as_os_str()];
        let _collector = Process::start(redirected(how, args.into_iter().chain(paths)));
        // Each of these ends in an error that it reports.
        for _ in 0..3 {
            eventually("a collector that tries again", || server.accept().ok());
        }
    }
}

#[test]
fn arguments_that_are_no_text_are_refused_like_others() {
    let broken = OsStr::from_bytes(b"\xff\xfe");
    let option = OsStr::from_bytes(b"-\xff");
    let long_option = OsStr::from_bytes(b"--\xff");
    let [server, collector] = ["gen_numbers", "fetch_logs"].map(OsStr::new);
    for args in [
        &[broken][..],
        &[server, broken],
        &[server, option],
        &[server, long_option],
        &[collector, OsStr::new("-r"), broken, broken, broken],
        &[OsStr::new("snmp_from_file"), OsStr::new("-o"), broken],
        &[OsStr::new("snmp_from_file"), OsStr::new("-S"), broken],
    ] {
        let ended = ended(args);
        assert_eq!(ended.status, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains("usage: "));
    }
}

#[test]
fn a_path_need_not_be_text() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"\xff.conf");
    fs::rename(place.path("gen_numbers.pl.locals"), place.path(name)).unwrap();
    let args = |options: &[&str]| {
        let mut command = fetchlogs(["gen_numbers", "-c"]);
        command.arg(place.path(name)).args(options);
        command
    };
    assert_eq!(run(args(&["-t"])).status, Some(0));
    fs::write(place.path(name), "nonsense").unwrap();
    let faulty = run(args(&["-t"]));
    assert_eq!(faulty.status, Some(78));
    assert!(faulty.stderr.contains(".conf:1:1: "), "{faulty:?}");

    let mut other = fetchlogs(["fetch_logs", "-t"]);
    other
        .arg(place.path(name))
        .arg(place.path("fetch_logs.conf"));
    assert_eq!(run(other).status, Some(0));
}

#[test]
fn a_user_that_is_no_text_does_not_exist() {
    let place = Place::new();
    let options = [OsStr::new("-u"), OsStr::from_bytes(b"\xff")];
    let ended = run(fetchlogs(place.args("gen_numbers", &options)));
    assert_eq!(ended.status, Some(1), "{ended:?}");
}

#[test]
fn far_too_long_arguments_are_refused_like_others() {
    let long = "x".repeat(100_000);
    let place = Place::new();
    let config = place.path("gen_numbers.pl.locals");
    let config = config.to_str().unwrap();
    for (args, status) in [
        (&[long.as_str()][..], 2),
        (&["gen_numbers", &long], 2),
        (&["gen_numbers", &format!("-{long}")], 2),
        (&["gen_numbers", &format!("--{long}")], 2),
        (&["gen_numbers", "-c", &long], 78),
        (&["gen_numbers", "-c", config, "-P", &long], 1),
        (&["gen_numbers", "-c", config, "-u", &long], 1),
        (&["fetch_logs", "-r", &"9".repeat(100_000), "a", "b"], 2),
        (&["fetch_logs", "/snmp", &long], 78),
        (&["snmp_from_file", "-o", &".1".repeat(50_000)], 2),
    ] {
        let ended = ended(args);
        assert_eq!(ended.status, Some(status), "{:.300}", ended.stderr);
    }
}

#[test]
fn empty_arguments_are_refused() {
    for (args, status) in [
        (&["gen_numbers", ""][..], 2),
        (&["gen_numbers", "-c", "", "-t"], 1),
        (&["fetch_logs", "-t", "", ""], 1),
        (&["snmp_from_file", ""], 2),
    ] {
        let ended = ended(args);
        assert_eq!(ended.status, Some(status), "{args:?}: {ended:?}");
    }
}

#[test]
fn thousands_of_arguments_are_read() {
    let place = Place::new();
    let many = vec![OsStr::new("-t"); 10_000];
    let ended = run(fetchlogs(place.args("gen_numbers", &many)));
    assert_eq!(ended.status, Some(0), "{ended:?}");
}
