//! A real Prometheus with the rules that are shipped, and a real collector that it scrapes.

use std::fs;
use std::process::Command;

use crate::common::outside_program;
use crate::common::process::{Guarded, run};
use crate::common::wait::until;
use crate::fleet::Fleet;
use crate::{daemon, encoded, free_port, get, kit, text_of};

#[test]
fn the_rules_do_what_their_tests_say() {
    let Some(promtool) = outside_program("promtool") else {
        return;
    };
    let mut command = Command::new(promtool);
    command
        .args(["test", "rules"])
        .arg(kit("prometheus.tests.yml"));
    let ended = run(command);
    assert_eq!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
}

/// Where it listens, and the daemon.
struct Prometheus(u16, #[allow(dead_code)] Guarded);

impl Prometheus {
    /// It scrapes each second, and the rules have seconds where they have minutes.
    fn start(fleet: &Fleet) -> Option<Prometheus> {
        let program = outside_program("prometheus")?;
        let rules = text_of("prometheus.rules.yml");
        let mut quick = String::new();
        for line in rules.lines() {
            let line = match line.trim_start().starts_with("for: ") {
                true => "        for: 1s",
                false => line,
            };
            quick += &line.replace("[10m]", "[3s]");
            quick.push('\n');
        }
        assert_eq!(quick.matches("[3s]").count(), 1);
        fs::write(fleet.path("rules.yml"), quick).unwrap();
        // As the comment at the head of the rules has it.
        let head: Vec<&str> = rules
            .lines()
            .skip_while(|line| !line.contains("scrape_configs:"))
            .take_while(|line| line.starts_with("#   "))
            .map(|line| &line[4..])
            .collect();
        let scrape = head.join("\n").replace("9119", &fleet.port.to_string());
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\n{scrape}\n"
        );
        fs::write(fleet.path("prometheus.yml"), config).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command
            .arg(format!(
                "--config.file={}",
                fleet.path("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                fleet.path("tsdb").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Some(Prometheus(port, daemon(&mut command)))
    }

    fn query(&self, query: &str) -> Option<String> {
        get(self.0, &format!("/api/v1/query?query={}", encoded(query)))
    }

    /// The labels of the alerts that fire.
    fn firing(&self, name: &str) -> String {
        let query = format!("ALERTS{{alertstate=\"firing\",alertname=\"{name}\"}}");
        self.query(&query).unwrap_or_default()
    }

    fn wait_for(&self, name: &str, labels: &str) {
        until(&format!("{name} of {labels}"), || {
            self.firing(name).contains(labels)
        });
    }
}

#[test]
fn it_fires_for_a_box_that_is_gone_a_loss_and_a_source_that_is_behind() {
    let mut fleet = Fleet::start();
    let Some(prometheus) = Prometheus::start(&fleet) else {
        return;
    };
    prometheus.wait_for("FetchlogsBoxGone", "\"box\":\"gone\"");
    prometheus.wait_for("FetchlogsLoss", "\"box\":\"lossy\"");
    prometheus.wait_for("FetchlogsBehind", "\"box\":\"behind\"");
    prometheus.wait_for("FetchlogsPaused", "\"box\":\"behind\"");
    for (name, boxes) in [
        ("FetchlogsBoxGone", &["well", "lossy", "behind"][..]),
        ("FetchlogsLoss", &["well", "gone", "behind"]),
        ("FetchlogsBehind", &["well", "gone", "lossy"]),
        (
            "FetchlogsSourceInError",
            &["well", "gone", "lossy", "behind"],
        ),
        ("FetchlogsPaused", &["well", "gone", "lossy"]),
        ("FetchlogsNotVerified", &["well", "gone", "lossy", "behind"]),
    ] {
        let firing = prometheus.firing(name);
        for name_of_box in boxes {
            let label = format!("\"box\":\"{name_of_box}\"");
            assert!(!firing.contains(&label), "{name}: {firing}");
        }
    }
    assert!(!prometheus.firing("FetchlogsCollectorGone").contains("job"));
    assert!(!prometheus.firing("FetchlogsNumbersOld").contains("job"));
    dashboard_shows_something(&prometheus);
    fleet.stop();
    prometheus.wait_for("FetchlogsCollectorGone", "\"job\":\"fetchlogs\"");
    prometheus.wait_for("FetchlogsCollectorUnknown", "critical");
}

/// Each query of the dashboard is one, and has an answer with such a fleet.
fn dashboard_shows_something(prometheus: &Prometheus) {
    let text = text_of("grafana_dashboard.json");
    let queries: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"expr\": \""))
        .map(|rest| rest.trim_end_matches("\","))
        .map(|query| query.replace("\\\"", "\""))
        .map(|query| query.replace("$job", ".*").replace("$box", ".*"))
        .collect();
    assert!(queries.len() > 12, "{queries:#?}");
    for query in queries {
        assert!(!query.contains('$'), "{query}");
        until(&query, || {
            let answer = prometheus.query(&query).unwrap_or_default();
            answer.contains("\"value\":[")
        });
    }
}
