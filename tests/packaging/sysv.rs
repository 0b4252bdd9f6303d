//! The scripts for System V init, under a real busybox: its shell and its start-stop-daemon.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::outside_program;
use crate::common::process::Ended;
use crate::common::wait::until;

/// What the scripts call.
const APPLETS: [&str; 6] = ["sh", "cat", "rm", "sleep", "kill", "start-stop-daemon"];

struct Box {
    place: Place,
    busybox: PathBuf,
    name: &'static str,
}

impl Box {
    fn new(name: &'static str) -> Option<Box> {
        let busybox = outside_program("busybox")?;
        let place = Place::new();
        fs::create_dir(place.path("bin")).unwrap();
        for applet in APPLETS {
            let link = place.path("bin").join(applet);
            std::os::unix::fs::symlink(&busybox, link).unwrap();
        }
        let path = |name: &str| place.path(name).display().to_string();
        place.write("server", "$bind_addr = '127.0.0.1'; $bind_port = 0;\n");
        place.write("collector", "");
        let conf = if name == "gen_numbers" {
            "server"
        } else {
            "collector"
        };
        let defaults = format!(
            "DAEMON={}\nCONF={}\nSNMP_DIR={}\nPIDFILE={}\nOPTIONS=\n",
            path(name),
            path(conf),
            path("snmp"),
            path("pid"),
        );
        place.write(&format!("defaults/{name}"), &defaults);
        Some(Box {
            place,
            busybox,
            name,
        })
    }

    fn script(&self, action: &str) -> Command {
        let mut command = Command::new(&self.busybox);
        command
            .arg("sh")
            .arg(shipped("sysv").join(self.name))
            .arg(action)
            .env("PATH", self.place.path("bin"))
            .env("FETCHLOGS_DEFAULTS", self.place.path("defaults"));
        command
    }

    fn says(&self, action: &str) -> Ended {
        run(self.script(action))
    }

    fn pid(&self) -> String {
        self.place.read("pid").trim().to_owned()
    }

    fn life(&self) {
        assert_eq!(self.says("status").status, Some(3));
        succeeds(self.script("start"));
        let status = self.says("status").stdout;
        let first = self.pid();
        assert_eq!(status, format!("{} runs, process {first}\n", self.name));
        // A second start, and a reload, leave it as it is.
        succeeds(self.script("start"));
        succeeds(self.script("reload"));
        assert_eq!(self.pid(), first);
        succeeds(self.script("restart"));
        assert_ne!(self.pid(), first);
        succeeds(self.script("stop"));
        assert_eq!(self.says("status").status, Some(3));
        succeeds(self.script("stop"));
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        let _ = self.says("stop");
    }
}

#[test]
fn the_server_lives_its_life() {
    if let Some(server) = Box::new("gen_numbers") {
        server.life();
    }
}

#[test]
fn the_collector_lives_its_life() {
    if let Some(collector) = Box::new("fetch_logs") {
        collector.life();
    }
}

#[test]
fn somebody_elses_number_in_the_pid_file_is_not_killed() {
    let Some(server) = Box::new("gen_numbers") else {
        return;
    };
    let mut innocent = Command::new("sleep").arg("3600").spawn().unwrap();
    server.place.write("pid", &format!("{}\n", innocent.id()));
    succeeds(server.script("stop"));
    assert!(innocent.try_wait().unwrap().is_none(), "it was killed");
    succeeds(server.script("start"));
    assert_eq!(server.says("status").status, Some(0));
    assert!(innocent.try_wait().unwrap().is_none(), "it was killed");
    innocent.kill().unwrap();
    innocent.wait().unwrap();
}

#[test]
fn a_process_that_ended_and_was_not_waited_for_does_not_run() {
    let Some(server) = Box::new("gen_numbers") else {
        return;
    };
    let mut ended = server.place.ended_server();
    server.place.write("pid", &format!("{}\n", ended.id()));
    assert_eq!(server.says("status").status, Some(1));
    succeeds(server.script("start"));
    assert_ne!(server.pid(), ended.id().to_string());
    assert_eq!(server.says("status").status, Some(0));
    ended.wait().unwrap();
}

/// As after a removal by hand: 0 would say that it runs.
#[test]
fn without_the_program_its_status_is_told_and_what_runs_is_stopped() {
    for name in ["gen_numbers", "fetch_logs"] {
        let Some(daemon) = Box::new(name) else {
            return;
        };
        succeeds(daemon.script("start"));
        fs::remove_file(daemon.place.path(name)).unwrap();
        assert_eq!(daemon.says("status").status, Some(0), "{name}");
        succeeds(daemon.script("stop"));
        assert_eq!(daemon.says("status").status, Some(3), "{name}");
        daemon.place.write("pid", "4194304\n");
        let ended = daemon.says("status");
        assert_eq!(ended.status, Some(1), "{name}");
        assert!(ended.stdout.contains(" does not run, but its "), "{name}");
        // A script whose package is gone is no fault at boot.
        assert_eq!(succeeds(daemon.script("start")).stdout, "");
    }
}

#[test]
fn a_faulty_configuration_is_told_and_the_server_goes_on() {
    let Some(server) = Box::new("gen_numbers") else {
        return;
    };
    succeeds(server.script("start"));
    server.place.write("server", "$nonsense = 1;\n");
    let ended = server.says("reload");
    assert_ne!(ended.status, Some(0));
    assert!(ended.stderr.contains("nonsense"), "{}", ended.stderr);
    until("the server to run", || {
        server.says("status").status == Some(0)
    });
    let ended = server.says("restart");
    assert_ne!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn the_scripts_are_plain_shell() {
    let Some(shellcheck) = outside_program("shellcheck") else {
        return;
    };
    for name in ["sysv/gen_numbers", "sysv/fetch_logs", "install"] {
        let mut command = Command::new(&shellcheck);
        command.arg(shipped(name));
        succeeds(command);
    }
}
