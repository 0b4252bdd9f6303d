//! snmp_exporter with the module that is shipped, before net-snmp's agent with the example that is.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::process::{Guarded, run};
use crate::common::wait::eventually;
use crate::common::{FETCHLOGS, outside_program};
use crate::fleet::Fleet;
use crate::{daemon, free_port, get, kit, text_of};

fn agent(fleet: &Fleet, port: u16) -> Option<Guarded> {
    let snmpd = outside_program("snmpd")?;
    let helper = fleet.path("snmp_from_file");
    symlink(FETCHLOGS, &helper).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/snmpd.conf.example");
    let text = fs::read_to_string(example)
        .unwrap()
        .replace("udp:127.0.0.1:161", &format!("udp:127.0.0.1:{port}"))
        .replace(
            "/usr/local/sbin/snmp_from_file",
            &helper.display().to_string(),
        )
        .replace("/var/snmp_data", &fleet.snmp_dir().display().to_string());
    fs::write(fleet.path("snmpd.conf"), text).unwrap();
    let mut command = Command::new(snmpd);
    command
        .args(["-f", "-r", "-Lo", "-C", "-c"])
        .arg(fleet.path("snmpd.conf"))
        .envs(["HOME", "SNMPCONFPATH", "SNMP_PERSISTENT_DIR"].map(|name| (name, fleet.path(""))))
        .env("MIBS", "");
    Some(daemon(&mut command))
}

/// Names and places of the metrics of the module.
fn metrics(module: &str) -> Vec<(&str, &str)> {
    let mut lines = module.lines().map(str::trim).peekable();
    let mut metrics = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("- name: ") {
            metrics.push((name, lines.next().unwrap().strip_prefix("oid: ").unwrap()));
        }
    }
    metrics
}

/// The module since 0.23, and the one before.
const NEW: &str = "snmp_exporter.yml";
const OLD: &str = "snmp_exporter-0.22.yml";

/// Only one of them is tried, as the exporter is here.
#[test]
fn the_modules_of_both_formats_are_the_same() {
    let (new, old) = (text_of(NEW), text_of(OLD));
    let (_, new) = new
        .split_once(
            "\nauths:\n  fetchlogs:\n    version: 2\n    community: logs\nmodules:\n  fetchlogs:\n",
        )
        .unwrap();
    let (_, old) = old
        .split_once("\nfetchlogs:\n  version: 2\n  auth:\n    community: logs\n")
        .unwrap();
    let old: String = old.lines().map(|line| format!("  {line}\n")).collect();
    assert_eq!(new, old);
}

#[test]
fn every_metric_of_the_module_has_a_value_of_the_collector() {
    let Some(exporter) = outside_program("prometheus-snmp-exporter") else {
        return;
    };
    let fleet = Fleet::start();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let agents = udp.local_addr().unwrap().port();
    drop(udp);
    let Some(_agent) = agent(&fleet, agents) else {
        return;
    };
    let port = free_port();
    let mut version = Command::new(&exporter);
    version.arg("--version");
    let ended = run(version);
    let version = ended.stdout + &ended.stderr;
    let is_old = (1..=22).any(|minor| version.contains(&format!("version 0.{minor}.")));
    let module = kit(if is_old { OLD } else { NEW });
    let mut command = Command::new(exporter);
    command
        .arg(format!("--config.file={}", module.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _exporter = daemon(&mut command);
    let auth = if is_old { "" } else { "auth=fetchlogs&" };
    let path = format!("/snmp?{auth}module=fetchlogs&target=127.0.0.1:{agents}");
    let text = eventually("an answer of the exporter", || {
        get(port, &path).filter(|text| text.contains("fetchlogsSourceState{"))
    });
    let module = text_of(NEW);
    let metrics = metrics(&module);
    assert!(metrics.len() > 20);
    for (name, _) in metrics {
        let has = text.contains(&format!("\n{name} ")) || text.contains(&format!("\n{name}{{"));
        assert!(has, "{name}: {text}");
    }
    let value = |begin: &str| {
        let line = text.lines().find(|line| line.starts_with(begin));
        line.unwrap_or_else(|| panic!("{begin}: {text}"))
            .rsplit(' ')
            .next()
            .unwrap()
    };
    assert_eq!(value("fetchlogsServers "), "4");
    assert_eq!(value("fetchlogsSources "), "5");
    assert_eq!(value("fetchlogsSourcesInError "), "3");
    assert_eq!(value("fetchlogsSourcesWithLosses "), "1");
    assert_eq!(value("fetchlogsServerState{box=\"well\""), "1");
    assert_eq!(value("fetchlogsServerState{box=\"gone\""), "3");
    assert_eq!(value("fetchlogsSourceLosses{box=\"lossy\""), "1");
    assert!(
        value("fetchlogsServerBehind{box=\"behind\"")
            .parse::<f64>()
            .unwrap()
            > 2e6
    );
}

/// The names stand for what they stand for in the MIB.
#[test]
fn the_module_has_the_names_of_the_mib() {
    let Some(translate) = outside_program("snmptranslate") else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dirs = ["conf/snmp", "tests/snmp/mibs"].map(|dir| root.join(dir).display().to_string());
    let module = text_of(NEW);
    let lookups = module
        .lines()
        .filter(|line| line.contains("type: DisplayString"))
        .filter_map(|line| {
            let (_, oid) = line.split_once("oid: ")?;
            oid.split(',').next()
        });
    assert!(lookups.clone().count() > 10);
    for (name, oid) in metrics(&module) {
        let mut command = Command::new(&translate);
        command
            .args(["-On", &format!("FETCHLOGS-MIB::{name}")])
            .env("MIBDIRS", dirs.join(":"))
            .env("MIBS", "FETCHLOGS-MIB");
        assert_eq!(run(command).stdout.trim(), format!(".{oid}"), "{name}");
    }
    for oid in lookups {
        assert!(
            ["2.1.2", "3.1.2", "3.1.3"].contains(&&oid["1.3.6.1.4.99.1000.1.".len()..]),
            "{oid}"
        );
    }
}
