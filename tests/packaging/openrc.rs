//! The scripts for OpenRC: under a real one where it is installed and may run, and everywhere under a few lines of shell
//! that stand for what it does with them.

use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::process::{Ended, Signal, send};
use crate::common::{outside_program, skipped};

/// Reads the script as `openrc-run` does, and starts the program that it describes.
const RUN: &str = r#"
ebegin() { echo "$1"; }
eend() { return "$1"; }
kill() { echo "kill $*"; }
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
        // Behind the first line, which says who runs it.
        let (first, rest) = script.split_once('\n').unwrap();
        let settings = settings.replace("HERE/", &here);
        place.write("script", &format!("{first}\n{settings}\n{rest}"));
        place.write("run", RUN);
        Host { place }
    }

    fn does(&self, action: &str) -> Command {
        let mut command = Command::new("sh");
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
    assert!(
        reloaded.contains(&format!("kill -s HUP {}", pid.trim())),
        "{reloaded}"
    );
    host.place.write("conf", "$nonsense = 1;\n");
    assert_ne!(host.says("reload").status, Some(0));
    assert_ne!(host.says("start").status, Some(0));
    send(pid.trim().parse().unwrap(), Signal::TERM);
}

#[test]
fn somebody_elses_number_in_the_pid_file_is_no_obstacle() {
    let host = Host::new(
        "gen_numbers",
        "gen_numbers_conf=HERE/conf gen_numbers_args=",
    );
    host.place
        .write("conf", "$bind_addr = '127.0.0.1'; $bind_port = 0;\n");
    let mine = std::process::id().to_string();
    host.place.write("gen_numbers.pid", &mine);
    assert_ne!(host.says("reload").status, Some(0));
    succeeds(host.does("start"));
    let pid = host.place.read("gen_numbers.pid");
    assert_ne!(pid.trim(), mine);
    send(pid.trim().parse().unwrap(), Signal::TERM);
}

#[test]
fn a_process_that_ended_and_was_not_waited_for_is_no_obstacle() {
    let host = Host::new(
        "gen_numbers",
        "gen_numbers_conf=HERE/conf gen_numbers_args=",
    );
    host.place
        .write("conf", "$bind_addr = '127.0.0.1'; $bind_port = 0;\n");
    let mut ended = host.place.ended_server();
    let number = ended.id().to_string();
    host.place.write("gen_numbers.pid", &number);
    assert_ne!(host.says("reload").status, Some(0));
    succeeds(host.does("start"));
    let pid = host.place.read("gen_numbers.pid");
    assert_ne!(pid.trim(), number);
    send(pid.trim().parse().unwrap(), Signal::TERM);
    ended.wait().unwrap();
}

#[test]
fn the_collector_starts_and_is_told_to_reopen() {
    let settings = "fetch_logs_conf=HERE/conf fetch_logs_snmp_dir=HERE/snmp fetch_logs_args=";
    let host = Host::new("fetch_logs", settings);
    host.place.write("conf", "");
    succeeds(host.does("start"));
    let pid = host.place.read("fetch_logs.pid");
    let reopened = succeeds(host.does("reopen")).stdout;
    assert!(
        reopened.contains(&format!("kill -s USR1 {}", pid.trim())),
        "{reopened}"
    );
    send(pid.trim().parse().unwrap(), Signal::TERM);
}

/// What OpenRC expects of `/run`, in one that is nobody else's; then the actions of `ACTIONS`, each with its status.
const REAL: &str = r#"
mount -t tmpfs none /run || exit 9
for state in exclusive daemons failed options scheduled started starting stopping tmp; do
	mkdir -p "/run/openrc/$state"
done
touch /run/openrc/softlevel
for action in $ACTIONS; do
	"$SCRIPT" --nodeps --nocolor "$action"
	echo "$action: $?"
done
"#;

/// What a real OpenRC says of some actions, one after the other; `None` where there is none or it may not run.
fn under_openrc(host: &Host, actions: &str) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    outside_program("openrc-run")?;
    let can = "mount -t tmpfs none /run";
    let can = Command::new("unshare")
        .args(["-m", "sh", "-c", can])
        .output();
    if !can.is_ok_and(|output| output.status.success()) {
        skipped("no mount namespace of our own here");
        return None;
    }
    let script = host.place.path("script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", REAL]);
    command.env("SCRIPT", script).env("ACTIONS", actions);
    Some(run(command).stdout)
}

/// The statuses of actions that a real OpenRC was told.
fn statuses(said: &str) -> Vec<&str> {
    let is_status = |line: &&str| {
        line.split_once(": ")
            .is_some_and(|(_, s)| s.parse::<u8>().is_ok())
    };
    said.lines().filter(is_status).collect()
}

/// What a real OpenRC answers to one action after the other, each told as `ACTION: STATUS`.
fn assert_life(host: &Host, life: &[&str]) {
    let actions: Vec<&str> = life
        .iter()
        .filter_map(|step| step.split(':').next())
        .collect();
    if let Some(said) = under_openrc(host, &actions.join(" ")) {
        assert_eq!(statuses(&said), life, "{said}");
    }
}

#[test]
fn under_a_real_openrc_the_server_lives_its_life() {
    let host = Host::new(
        "gen_numbers",
        "gen_numbers_conf=HERE/conf gen_numbers_args=",
    );
    host.place
        .write("conf", "$bind_addr = '127.0.0.1'; $bind_port = 0;\n");
    assert_life(
        &host,
        &[
            "status: 3",
            "start: 0",
            "start: 0",
            "status: 0",
            "reload: 0",
            "restart: 0",
            "status: 0",
            "stop: 0",
            "status: 3",
            "stop: 0",
            "reload: 1",
        ],
    );
}

#[test]
fn under_a_real_openrc_the_collector_lives_its_life() {
    let settings = "fetch_logs_conf=HERE/conf fetch_logs_snmp_dir=HERE/snmp fetch_logs_args=";
    let host = Host::new("fetch_logs", settings);
    host.place.write("conf", "");
    assert_life(
        &host,
        &[
            "status: 3",
            "start: 0",
            "reload: 0",
            "reopen: 0",
            "restart: 0",
            "reopen: 0",
            "status: 0",
            "stop: 0",
            "status: 3",
        ],
    );
}

#[test]
fn under_a_real_openrc_a_faulty_configuration_does_not_start() {
    let host = Host::new(
        "gen_numbers",
        "gen_numbers_conf=HERE/conf gen_numbers_args=",
    );
    host.place.write("conf", "$nonsense = 1;\n");
    assert_life(&host, &["start: 1"]);
}
