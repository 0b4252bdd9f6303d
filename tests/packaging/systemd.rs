//! The units for systemd, and the word that it waits for.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::{Place, shipped, succeeds};
use crate::common::outside_program;
use crate::common::process::{Process, run};
use crate::common::wait::PATIENCE;

#[test]
fn systemd_analyze_finds_no_fault() {
    let Some(analyze) = outside_program("systemd-analyze") else {
        return;
    };
    let place = Place::new();
    for name in ["gen_numbers", "fetch_logs"] {
        // It looks for the programs that the unit names.
        let unit = fs::read_to_string(shipped(&format!("systemd/{name}.service"))).unwrap();
        let here = format!("{}/", place.dir.path().display());
        let unit = unit.replace("/usr/sbin/", &here);
        let unit = place.write(&format!("{name}.service"), &unit);
        let mut command = Command::new(&analyze);
        command.args(["verify", "--man=no"]).arg(unit);
        let ended = run(command);
        let ours: Vec<&str> = ended
            .stderr
            .lines()
            .filter(|line| line.contains(name))
            .collect();
        assert!(ours.is_empty(), "{ours:#?}");
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
}

#[test]
fn little_is_exposed() {
    let Some(analyze) = outside_program("systemd-analyze") else {
        return;
    };
    for (name, most) in [("gen_numbers", 1.7), ("fetch_logs", 1.5)] {
        let unit = shipped(&format!("systemd/{name}.service"));
        let mut command = Command::new(&analyze);
        command
            .args(["security", "--offline=true", "--no-pager"])
            .arg(unit);
        let ended = run(command);
        let words = format!("Overall exposure level for {name}.service: ");
        let (_, level) = ended.stdout.rsplit_once(&words).expect(&ended.stderr);
        let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
        assert!(level <= most, "{name}: {level}");
    }
}

/// The lines of a drop-in that a comment shows.
fn drop_in(unit: &str) -> String {
    let lines = unit.lines().filter_map(|line| line.strip_prefix("#   "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_addresses_of_the_comments_are_taken() {
    let Some(analyze) = outside_program("systemd-analyze") else {
        return;
    };
    for name in ["gen_numbers", "fetch_logs"] {
        let unit = fs::read_to_string(shipped(&format!("systemd/{name}.service"))).unwrap();
        let lines = drop_in(&unit);
        assert!(
            lines.contains("\nIPAddressDeny=any\nIPAddressAllow="),
            "{lines}"
        );
        let place = Place::new();
        let unit = place.write(&format!("{name}.service"), &format!("{unit}{lines}"));
        let mut command = Command::new(&analyze);
        command
            .args(["security", "--offline=true", "--no-pager"])
            .arg(unit);
        let ended = run(command);
        let defines = "Service defines IP address allow list with non-localhost entries";
        assert!(ended.stdout.contains(defines), "{}", ended.stdout);
        assert!(!ended.stderr.contains("invalid"), "{}", ended.stderr);
    }
}

/// What is there already is somebody's, who may be another user that the collector runs as.
#[test]
fn the_directory_of_the_status_files_is_made_where_there_is_none() {
    let unit = fs::read_to_string(shipped("systemd/fetch_logs.service")).unwrap();
    let (_, line) = unit.split_once("\nExecStartPre=-+/bin/sh -c '").unwrap();
    let (script, _) = line.split_once("'\n").unwrap();
    let place = Place::new();
    let dir = place.path("snmp_data");
    let mut id = Command::new("id");
    id.arg("-un");
    let me = succeeds(id).stdout;
    let start = || {
        let script = script.replace("/var/snmp_data", &dir.display().to_string());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).env("USER", me.trim_end());
        run(command).status
    };
    let mode = || fs::metadata(&dir).unwrap().permissions().mode() & 0o7777;
    assert_eq!((start(), mode()), (Some(0), 0o755));
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    assert_eq!((start(), mode()), (Some(0), 0o700));
    // Root makes nothing where somebody's link leads to.
    fs::remove_dir(&dir).unwrap();
    symlink(place.path("elsewhere"), &dir).unwrap();
    assert_ne!(start(), Some(0));
    assert!(!place.path("elsewhere").exists());
}

/// Starts a daemon under a manager that listens, and returns what that heard.
fn word_of(place: &Place, mut command: Command) -> String {
    let socket = place.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(PATIENCE.as_secs())))
        .unwrap();
    command.env("NOTIFY_SOCKET", &socket);
    let _daemon = Process::start(command);
    let mut buf = [0; 64];
    let len = manager.recv(&mut buf).expect("a word to the manager");
    String::from_utf8(buf[..len].to_vec()).unwrap()
}

#[test]
fn the_server_says_when_it_is_ready() {
    let place = Place::new();
    let config = place.write("locals", "$bind_addr = '127.0.0.1'; $bind_port = 0;\n");
    let mut command = Command::new(place.path("gen_numbers"));
    command.arg("-c").arg(config);
    assert_eq!(word_of(&place, command), "READY=1\n");
}

#[test]
fn the_collector_says_when_it_is_ready() {
    let place = Place::new();
    let config = place.write("conf", "");
    let mut command = Command::new(place.path("fetch_logs"));
    command.arg(place.path("snmp")).arg(config);
    assert_eq!(word_of(&place, command), "READY=1\n");
}

#[test]
fn a_manager_that_does_not_listen_is_no_obstacle() {
    let place = Place::new();
    let config = place.write("locals", "$bind_addr = '127.0.0.1'; $bind_port = 0;\n");
    let mut command = Command::new(place.path("gen_numbers"));
    command
        .arg("-c")
        .arg(config)
        .env("NOTIFY_SOCKET", place.path("nobody"));
    let server = Process::start(command);
    server.stderr.wait_for("listening");
}
