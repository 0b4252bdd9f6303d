//! `-b` and `-P`: a daemon that an init script starts and finds again.

use std::net::SocketAddr;
use std::path::Path;

use super::*;
use crate::common::classic::Client;
use crate::common::descriptors;
use crate::common::process::{Process, Signal, send};
use crate::common::wait::{eventually, until};

const DAEMONS: [&str; 2] = ["gen_numbers", "fetch_logs"];

/// A daemon in the background, known by its pid file; killed when dropped.
struct Daemon {
    pid: u32,
    started: Ended,
}

impl Daemon {
    fn start(place: &Place, applet: &str) -> Daemon {
        let pid_file = place.path("pid");
        let options = ["-b", "-P", pid_file.to_str().unwrap()];
        Daemon::start_by(place.daemon(applet, &options), place)
    }

    fn start_by(command: Command, place: &Place) -> Daemon {
        let started = run(command);
        assert_eq!(started.status, Some(0), "{started:?}");
        Daemon {
            pid: pid_in(&place.path("pid")).unwrap(),
            started,
        }
    }

    /// Where the server says that it listens.
    fn address(&self) -> SocketAddr {
        let line = self.started.stderr.lines().next().unwrap();
        let address = line.strip_prefix("gen_numbers: listening on ");
        address.unwrap().parse().unwrap()
    }

    fn is_running(&self) -> bool {
        // Whoever adopted it may not have asked for its status yet.
        state(self.pid).is_some_and(|state| state != "Z")
    }

    fn stop(&self, signal: Signal) {
        send(self.pid, signal);
        until("the end of a daemon", || !self.is_running());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_running() {
            send(self.pid, Signal::KILL);
        }
    }
}

fn pid_in(pid_file: &Path) -> Option<u32> {
    let text = fs::read_to_string(pid_file).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

/// Some word of what the system knows about a process, counted from the one behind its name.
fn stat_word(pid: u32, place: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, words) = stat.rsplit_once(") ")?;
    words.split(' ').nth(place).map(str::to_owned)
}

fn state(pid: u32) -> Option<String> {
    stat_word(pid, 0)
}

fn session(pid: u32) -> Option<String> {
    stat_word(pid, 3)
}

#[test]
fn it_returns_when_the_daemon_is_ready() {
    let place = Place::new();
    let daemon = Daemon::start(&place, "gen_numbers");
    Client::connect(daemon.address());
}

#[test]
fn the_daemon_lets_go_of_everything_it_was_started_with() {
    for applet in DAEMONS {
        let place = Place::new();
        // That the start ended at all means that nobody holds its stdout and stderr any more.
        let daemon = Daemon::start(&place, applet);
        assert!(daemon.is_running());
        for standard in 0..=2 {
            let target = descriptors::target(daemon.pid, standard);
            assert_eq!(target.unwrap(), Path::new("/dev/null"));
        }
        let dir = fs::read_link(format!("/proc/{}/cwd", daemon.pid));
        assert_eq!(dir.unwrap(), Path::new("/"));
        assert_eq!(session(daemon.pid), Some(daemon.pid.to_string()));
    }
}

#[test]
fn the_pid_file_goes_when_the_daemon_stops() {
    for applet in DAEMONS {
        for signal in [Signal::TERM, Signal::INT] {
            let place = Place::new();
            let daemon = Daemon::start(&place, applet);
            daemon.stop(signal);
            assert!(!place.path("pid").exists());
        }
    }
}

#[test]
fn a_second_daemon_is_refused_and_leaves_the_first_alone() {
    for applet in DAEMONS {
        let place = Place::new();
        let pid_file = place.path("pid");
        let daemon = Daemon::start(&place, applet);
        for more in [&["-b"][..], &[]] {
            let options = [&["-P", pid_file.to_str().unwrap()], more].concat();
            let second = run(place.daemon(applet, &options));
            assert_eq!(second.status, Some(1), "{second:?}");
            let text = format!("belongs to process {}, which is running", daemon.pid);
            assert!(second.stderr.contains(&text), "{second:?}");
        }
        assert_eq!(pid_in(&pid_file), Some(daemon.pid));
        assert!(daemon.is_running());
    }
}

#[test]
fn a_pid_file_of_a_daemon_that_is_gone_is_replaced() {
    let gone = {
        let mut process = Process::start(Command::new("true"));
        process.wait();
        process.pid()
    };
    for left_behind in [format!("{gone}\n"), "nonsense".into(), String::new()] {
        let place = Place::new();
        place.write("pid", left_behind);
        let daemon = Daemon::start(&place, "gen_numbers");
        assert!(daemon.is_running());
    }
}

#[test]
fn what_fails_is_told_before_the_daemon_is_left_alone() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let pid_file = place.path("pid");
    place.configure("127.0.0.1", taken.local_addr().unwrap().port());
    let options = ["-b", "-P", pid_file.to_str().unwrap()];
    let ended = run(place.daemon("gen_numbers", &options));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot listen on 127.0.0.1:"));
    assert!(!pid_file.exists());

    place.write("not_a_directory", "");
    let nowhere = place.path("not_a_directory/pid");
    place.configure("127.0.0.1", 0);
    for applet in DAEMONS {
        let options = ["-b", "-P", nowhere.to_str().unwrap()];
        let ended = run(place.daemon(applet, &options));
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("cannot write the pid file"));
    }

    fs::remove_dir_all(place.path("snmp")).unwrap_or_default();
    place.write("snmp", "");
    let ended = run(place.daemon("fetch_logs", &["-b"]));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot write status files to"));
}

#[test]
fn in_the_foreground_there_is_a_pid_file_too() {
    for applet in DAEMONS {
        let place = Place::new();
        let pid_file = place.path("pid");
        let options = ["-P", pid_file.to_str().unwrap()];
        let mut process = Process::start(place.daemon(applet, &options));
        let pid = eventually("a pid file", || pid_in(&pid_file));
        assert_eq!(pid, process.pid());
        until("a daemon that catches signals", || catches_signals(pid));
        process.signal(Signal::HUP);
        process.signal(Signal::TERM);
        let ended = process.wait();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(!pid_file.exists());
    }
}

/// Whether SIGHUP has an effect of the program's own.
fn catches_signals(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask & 1 != 0
}

#[test]
fn a_pid_file_that_now_names_another_process_is_not_taken_away() {
    let place = Place::new();
    let daemon = Daemon::start(&place, "gen_numbers");
    place.write("pid", "1\n");
    daemon.stop(Signal::TERM);
    assert_eq!(pid_in(&place.path("pid")), Some(1));
}

#[test]
fn relative_paths_mean_the_same_in_the_background() {
    let place = Place::new();
    let args = [
        "gen_numbers",
        "-b",
        "-c",
        "gen_numbers.pl.locals",
        "-P",
        "pid",
    ];
    let mut command = fetchlogs(args);
    command.current_dir(place.dir.path());
    let daemon = Daemon::start_by(command, &place);
    let mut client = Client::connect(daemon.address());
    let config = fs::read_to_string(place.path("gen_numbers.pl.locals")).unwrap();
    place.write("gen_numbers.pl.locals", config.replace("= 1;", "= 0;"));
    send(daemon.pid, Signal::HUP);
    client.expect_closed_without_a_word();
    daemon.stop(Signal::TERM);
    assert!(!place.path("pid").exists());
}
