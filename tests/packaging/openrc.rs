//! The scripts for OpenRC, which is not here: a few lines of shell stand for what it does with them.

use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::process::Ended;

/// Reads the script as `openrc-run` does, and starts the program that it describes.
const RUN: &str = r#"
ebegin() { echo "$1"; }
eend() { return "$1"; }
start-stop-daemon() { echo "start-stop-daemon $*"; }
. "$SCRIPT"
if [ "$ACTION" = start ]; then start_pre && exec "$command" $command_args; fi
"$ACTION"
"#;

struct Host {
    place: Place,
}

impl Host {
    fn new(name: &str, settings: &str) -> Host {
        let place = Place::new();
        let script = std::fs::read_to_string(shipped(&format!("openrc/{name}"))).unwrap();
        let here = format!("{}/", place.dir.path().display());
        let script = script.replace("/usr/sbin/", &here).replace("/run/", &here);
        place.write(
            "script",
            &format!("{}\n{script}", settings.replace("HERE/", &here)),
        );
        place.write("run", RUN);
        Host { place }
    }

    fn does(&self, action: &str) -> Command {
        // The name of start-stop-daemon is one that the POSIX shell does not take for a function.
        let mut command = Command::new("bash");
        command.arg(self.place.path("run"));
        command.env("SCRIPT", self.place.path("script"));
        command.env("ACTION", action);
        command
    }

    fn says(&self, action: &str) -> Ended {
        run(self.does(action))
    }
}

#[test]
fn the_server_starts_and_is_told_to_reload() {
    let host = Host::new(
        "gen_numbers",
        "gen_numbers_conf=HERE/conf gen_numbers_args=",
    );
    host.place
        .write("conf", "$bind_addr = '127.0.0.1'; $bind_port = 0;\n");
    succeeds(host.does("start"));
    let pid = host.place.read("gen_numbers.pid");
    let reloaded = succeeds(host.does("reload")).stdout;
    assert!(reloaded.contains("--signal HUP --pidfile"), "{reloaded}");
    host.place.write("conf", "$nonsense = 1;\n");
    assert_ne!(host.says("reload").status, Some(0));
    assert_ne!(host.says("start").status, Some(0));
    crate::common::process::send(
        pid.trim().parse().unwrap(),
        crate::common::process::Signal::TERM,
    );
}

#[test]
fn the_collector_starts_and_is_told_to_reopen() {
    let settings = "fetch_logs_conf=HERE/conf fetch_logs_snmp_dir=HERE/snmp fetch_logs_args=";
    let host = Host::new("fetch_logs", settings);
    host.place.write("conf", "");
    succeeds(host.does("start"));
    let pid = host.place.read("fetch_logs.pid");
    let reopened = succeeds(host.does("reopen")).stdout;
    assert!(reopened.contains("--signal USR1 --pidfile"), "{reopened}");
    crate::common::process::send(
        pid.trim().parse().unwrap(),
        crate::common::process::Signal::TERM,
    );
}
