//! Both configurations.

use std::path::Path;

use crate::collect::config as collector_config;
use crate::limits::{CLIENTS_MAX, CONFIG_ERRORS_MAX, PERIOD_MAX_MS};
use crate::serve::config as server_config;

/// The server's configuration.
pub fn server(text: &[u8]) {
    match server_config::Config::parse(text) {
        Ok(config) => check_server(&config),
        Err(errors) => check_message(&errors.to_string()),
    }
}

fn check_server(config: &server_config::Config) {
    for ms in [
        config.delay_check_ms,
        config.timeout_write_ms,
        config.alive_interval_ms,
        config.grace_ms,
    ] {
        assert!(ms <= PERIOD_MAX_MS);
    }
    assert!(config.max_clients <= CLIENTS_MAX);
    let mut indices = 0..;
    for entry in &config.files {
        assert!(entry.path.is_absolute());
        assert_eq!(config.index_of(&entry.path), indices.next());
    }
    for family in &config.families {
        let entry = family.entry(Path::new("/x/y*[z")).unwrap();
        assert!(entry.patterns.is_empty() || entry.patterns != family.logs);
        assert!(family.roots().iter().all(|root| root.is_absolute()));
    }
}

/// The collector's configuration, its relative paths below a directory.
pub fn collector(text: &[u8]) {
    match collector_config::Config::parse_in(Path::new("/top"), text) {
        Ok(config) => check_collector(&config),
        Err(errors) => check_message(&errors.to_string()),
    }
}

fn check_collector(config: &collector_config::Config) {
    let mut files = std::collections::BTreeSet::new();
    for source in &config.sources {
        assert!(source.local.is_absolute() && source.pointer.is_absolute());
        assert!(!source.remote.is_empty());
        // No two sources write into one file.
        assert!(files.insert(&source.local) && files.insert(&source.pointer));
    }
    for family in &config.families {
        // Where a box tells of the glob itself, that is a log like any other.
        if let Ok(member) = family.member(&family.source.remote) {
            assert_eq!(member, family.source);
        }
        assert!(config.root.is_some());
    }
}

/// What an operator is told stays a message: some lines, nothing in them that a terminal obeys.
fn check_message(text: &str) {
    assert!(!text.trim().is_empty());
    assert!(text.lines().count() <= CONFIG_ERRORS_MAX + 1, "{text}");
    let is_plain = |c: char| c == '\n' || !c.is_control();
    assert!(text.chars().all(is_plain), "{text:?}");
}
