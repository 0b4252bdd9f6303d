//! `-s`, `-u`, the name in the process table, and a port that is taken.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use rustix::process::{getegid, geteuid};

use super::*;
use crate::common::classic::Client;
use crate::common::descriptors;
use crate::common::process::Process;
use crate::common::wait::{eventually, until};
use crate::common::{outside_program, skipped};

const DAEMONS: [&str; 2] = ["gen_numbers", "fetch_logs"];

fn start(place: &Place, applet: &str, options: &[&str]) -> Process {
    Process::start(place.daemon(applet, options))
}

/// Waits until the daemon does its work: the server listens, the collector has written a status.
fn wait_for_work(place: &Place, process: &Process, applet: &str) {
    match applet {
        "gen_numbers" => drop(process.stderr.wait_for("listening on ")),
        _ => until("a status file", || place.path("snmp/127.0.0.1").exists()),
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    place.configure("127.0.0.1", address.port());
    let ended = run(place.daemon("gen_numbers", &[]));
    assert_eq!(ended.status, Some(1));
    let text = format!("gen_numbers: cannot listen on {address}: Address already in use");
    assert!(ended.stderr.starts_with(&text), "{ended:?}");
}

#[test]
fn an_address_that_is_not_there_yet_is_said_and_waited_for() {
    let busybox = outside_program("busybox");
    let unshare = outside_program("unshare");
    let (Some(busybox), Some(unshare)) = (busybox, unshare) else {
        return;
    };
    // In a network of its own the test may give itself addresses.
    let alone = |script: &str, arguments: &[&OsStr]| {
        let mut command = Command::new(&unshare);
        command.args(["-U", "-r", "-n", "sh", "-e", "-c", script, "sh"]);
        command.args(arguments);
        command
    };
    if run(alone("true", &[])).status != Some(0) {
        skipped("this system lets nobody have a network namespace");
        return;
    }
    let place = Place::new();
    place.write(
        "gen_numbers.pl.locals",
        "$bind_addr = '192.0.2.1'; $bind_port = 4019; $hosts_allow{'192.0.2.1'} = 1;\n",
    );
    let script = "\
        \"$1\" ip link set lo up; \
        \"$2\" gen_numbers -c \"$3\" 2>messages & \
        until grep -q listening messages; do \"$1\" usleep 10000; done; \
        \"$1\" ip address add 192.0.2.1/32 dev lo; \
        echo 'no_such_file 0 0' | \"$1\" nc 192.0.2.1 4019; \
        kill $!; wait; cat messages";
    let config = place.path("gen_numbers.pl.locals");
    let mut command = alone(
        script,
        &[busybox.as_ref(), FETCHLOGS.as_ref(), config.as_ref()],
    );
    command.current_dir(place.path(""));
    let ended = run(command);
    let asked = "192.0.2.1: no_such_file is not in %files\n";
    assert!(ended.stdout.contains(asked), "{ended:?}");
    let text = "gen_numbers: listening on 192.0.2.1:4019, which this machine has not got yet\n";
    assert!(ended.stdout.contains(text), "{ended:?}");
}

#[test]
fn the_process_is_named_like_the_applet() {
    for applet in DAEMONS {
        let place = Place::new();
        let process = start(&place, applet, &[]);
        let comm = format!("/proc/{}/comm", process.pid());
        until("the name of the applet", || {
            fs::read_to_string(&comm).unwrap().trim_end() == applet
        });
    }
}

#[test]
fn with_syslog_nothing_is_printed_and_a_missing_logger_does_no_harm() {
    let place = Place::new();
    let mut server = start(&place, "gen_numbers", &["-s"]);
    let address = eventually("a server that listens", || {
        descriptors::listener(server.pid())
    });
    let mut client = Client::connect(address);
    client.send("/not/served\n");
    client.expect_closed_without_a_word();
    assert!(!server.has_ended());
    assert_eq!(server.stderr.text() + &server.stdout.text(), "");

    let mut collector = start(&place, "fetch_logs", &["-s"]);
    wait_for_work(&place, &collector, "fetch_logs");
    assert!(!collector.has_ended());
    assert_eq!(collector.stderr.text() + &collector.stdout.text(), "");
}

#[test]
fn a_user_that_does_not_exist_is_said() {
    for applet in DAEMONS {
        let place = Place::new();
        for more in [&["-b"][..], &[]] {
            let options = [&["-u", "no.such.user"], more].concat();
            let ended = run(place.daemon(applet, &options));
            assert_eq!(ended.status, Some(1), "{ended:?}");
            let text = format!("{applet}: cannot become the user no.such.user: no user");
            assert!(ended.stderr.contains(&text), "{ended:?}");
        }
    }
}

/// The numbers behind a word of /proc/PID/status.
fn status_numbers(pid: u32, word: &str) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(word));
    let numbers = line.unwrap().split_whitespace();
    numbers.map(|number| number.parse().unwrap()).collect()
}

/// The user and the group of a name in /etc/passwd.
fn ids_of(user: &str) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd
        .lines()
        .find(|line| line.starts_with(&format!("{user}:")))?;
    let mut numbers = line
        .split(':')
        .skip(2)
        .map_while(|field| field.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

#[test]
fn root_can_become_nobody() {
    let Some((uid, gid)) = ids_of("nobody").filter(|_| geteuid().is_root()) else {
        skipped("only root can become somebody else");
        return;
    };
    for applet in DAEMONS {
        let place = Place::new();
        open_to_all(&place);
        let numbers = format!("{uid}:{gid}");
        for user in ["nobody", &numbers] {
            let process = start(&place, applet, &["-u", user]);
            wait_for_work(&place, &process, applet);
            assert_eq!(status_numbers(process.pid(), "Uid:"), [uid; 4]);
            assert_eq!(status_numbers(process.pid(), "Gid:"), [gid; 4]);
            assert!(status_numbers(process.pid(), "Groups:").is_empty());
            assert_eq!(status_numbers(process.pid(), "CapEff:"), [0]);
            let _ = fs::remove_dir_all(place.path("snmp"));
        }
    }
}

fn open_to_all(place: &Place) {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::Permissions::from_mode(0o777);
    fs::set_permissions(place.dir.path(), permissions).unwrap();
}

#[test]
fn whoever_one_is_already_one_can_become() {
    let own = format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
    let place = Place::new();
    let process = start(&place, "gen_numbers", &["-u", &own]);
    wait_for_work(&place, &process, "gen_numbers");
}

#[test]
fn only_root_can_become_somebody_else() {
    if geteuid().is_root() {
        skipped("root can become anybody");
        return;
    }
    let place = Place::new();
    let ended = run(place.daemon("gen_numbers", &["-u", "root"]));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot become the user root: "));
}

#[test]
fn the_collector_creates_its_status_directory() {
    let place = Place::new();
    let _process = start(&place, "fetch_logs", &[]);
    let status = eventually("a status", || {
        fs::read_to_string(place.path("snmp/127.0.0.1")).ok()
    });
    assert_eq!(status, "ERR\n");
    assert!(Path::new(&place.path("snmp")).is_dir());
}
