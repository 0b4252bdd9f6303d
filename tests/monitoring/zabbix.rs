//! A real Zabbix agent with the file that is shipped, and what the template makes of its answer.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crate::common::outside_program;
use crate::common::process::{Guarded, Signal, run};
use crate::common::wait::{PATIENCE, eventually, poll};
use crate::fleet::Fleet;
use crate::{assert_json, daemon, kit, text_of};

/// The keys that the agent is asked for; the others are made of their answers.
fn keys_of_the_agent(template: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut kind = "";
    for line in template.lines().map(str::trim) {
        if let Some(value) = line.strip_prefix("type: ") {
            kind = value;
        } else if let Some(key) = line
            .strip_prefix("key: ")
            .filter(|_| kind.starts_with("ZABBIX"))
        {
            keys.push(key.trim_matches('\'').to_owned());
            kind = "";
        }
    }
    keys
}

/// The paths into the answer.
fn paths_of(template: &str) -> Vec<&str> {
    template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- '$."))
        .map(|path| path.trim_end_matches('\''))
        .collect()
}

/// An agent, whose children outlive it unless it is asked to end.
struct Agent(Guarded);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.signal(Signal::TERM);
        let _ = poll(PATIENCE, PAUSE, || self.0.end().ok_or(()));
    }
}

const PAUSE: Duration = Duration::from_millis(10);

/// A port that nobody has: the agent takes none above 32767.
fn low_port() -> u16 {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_768).find(is_free).unwrap()
}

#[test]
fn every_key_and_path_of_the_template_has_an_answer() {
    let template = text_of("zabbix_template.yaml");
    assert_eq!(keys_of_the_agent(&template), ["fetchlogs.state"]);
    let (Some(agent), Some(zabbix_get)) = (
        outside_program("zabbix_agentd"),
        outside_program("zabbix_get"),
    ) else {
        return;
    };
    let fleet = Fleet::start();
    let port = low_port();
    let parameters = text_of("zabbix_agentd.fetchlogs.conf")
        .replace(
            "/usr/local/sbin/fetch_logs",
            &fleet.program().display().to_string(),
        )
        .replace(
            "/usr/local/share/fetchlogs/check_fetchlogs",
            &kit("check_fetchlogs").display().to_string(),
        )
        .replace("/var/snmp_data", &fleet.snmp_dir().display().to_string());
    let config = format!(
        "Hostname=h\nServer=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\nStartAgents=1\nAllowRoot=1\n\
         LogType=console\nPidFile={}\n{parameters}",
        fleet.path("agent.pid").display()
    );
    fs::write(fleet.path("agent.conf"), config).unwrap();
    let mut command = Command::new(agent);
    command.args(["-f", "-c"]).arg(fleet.path("agent.conf"));
    let _agent = Agent(daemon(&mut command));
    let answer = eventually("an answer of the agent", || {
        let mut command = Command::new(&zabbix_get);
        command.args([
            "-s",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-k",
            "fetchlogs.state",
        ]);
        let ended = run(command);
        ended.stdout.starts_with('{').then_some(ended.stdout)
    });
    assert_json(&answer);
    let (collector, boxes) = answer.split_once("\"boxes\":[").unwrap();
    let boxes: Vec<&str> = boxes.split("},{").collect();
    assert_eq!(boxes.len(), 4, "{answer}");
    let paths = paths_of(&template);
    assert!(paths.len() > 14, "{paths:?}");
    for path in paths {
        if path == "boxes" {
            continue;
        } else if let Some(name) = path.strip_prefix("collector.") {
            assert!(collector.contains(&format!("\"{name}\":")), "{path}");
        } else {
            let (choice, name) = path.split_once(")].").unwrap();
            assert_eq!(choice, "boxes[?(@.box==\"{#BOX}\"");
            let name = name.strip_suffix(".first()").unwrap();
            for one in &boxes {
                assert!(one.contains(&format!(",\"{name}\":")), "{path}: {one}");
            }
        }
    }
    assert!(boxes.iter().all(|one| one.contains("\"box\":\"")));
    assert!(template.contains("path: $.box\n"));
}

/// Zabbix refuses a file in which two things have one identifier.
#[test]
fn identifiers_are_of_version_4_and_no_two_are_the_same() {
    let template = text_of("zabbix_template.yaml");
    let mut ids: Vec<&str> = template
        .lines()
        .filter_map(|line| line.split_once("uuid: ").map(|(_, id)| id))
        .collect();
    assert!(ids.len() > 20);
    for id in &ids {
        assert_eq!(id.len(), 32);
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(&id[12..13], "4", "{id}");
        assert!("89ab".contains(&id[16..17]), "{id}");
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
