//! Every metric that a kit names is one that a real collector tells.

use std::collections::BTreeSet;

use crate::fleet::Fleet;
use crate::{assert_json, get, text_of};

/// The words of a text that are names of metrics.
fn metrics_of(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("fetchlogs_"))
        .collect()
}

#[test]
fn every_metric_of_a_kit_is_told() {
    let fleet = Fleet::start();
    let told = get(fleet.port, "/metrics").unwrap();
    let told: BTreeSet<&str> = told
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for (kit, least) in [
        ("prometheus.rules.yml", 8),
        ("prometheus.tests.yml", 8),
        ("grafana_dashboard.json", 12),
    ] {
        let text = text_of(kit);
        let named = metrics_of(&text);
        assert!(named.len() >= least, "{kit}: {named:?}");
        let unknown: Vec<_> = named.difference(&told).collect();
        assert!(unknown.is_empty(), "{kit}: {unknown:?}");
    }
}

/// A rule that nothing is tried of could be anything.
#[test]
fn every_rule_has_tests_both_ways() {
    let rules = text_of("prometheus.rules.yml");
    let tests = text_of("prometheus.tests.yml");
    let names: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let silent = format!("alertname: {name}}}");
        let fires = format!("alertname: {name}\n        exp_alerts:");
        assert!(tests.contains(&silent), "{name} is never silent");
        assert!(tests.contains(&fires), "{name} never fires");
    }
}

#[test]
fn the_dashboard_is_json() {
    assert_json(&text_of("grafana_dashboard.json"));
}
