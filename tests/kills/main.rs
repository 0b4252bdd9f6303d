//! Both programs, killed at every single system call of theirs, and with every single one failing: whatever happens,
//! they go on, or are started anew and go on, and every copy is in the end what the box had, byte for byte.
//!
//! `cargo test` takes a small sample. All of it, with a table:
//!
//! ```sh
//! cargo test --release --test kills -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod boxed;
mod campaign;
mod fault;
mod patience;
mod place;
mod plan;
mod pool;
mod running;
mod scenarios;
mod stage;
mod trace;

use std::str::FromStr;
use std::time::Duration;

use campaign::Campaign;
use common::pair::strace;

#[test]
fn some_calls_of_all_scenarios() {
    let Some(strace) = strace::program() else {
        return;
    };
    let campaign = Campaign {
        strace: &strace,
        jobs: 6,
        seed: setting("FETCHLOGS_SEED").unwrap_or(2026),
        countings: 1,
        time: None,
        most: Some(2),
        only: String::new(),
        record: None,
    };
    assert_eq!(campaign.run(), 0);
}

/// Every call of all scenarios, unless one of these says otherwise:
///
/// - `FETCHLOGS_KILLS_S=n`: a sample, for so many seconds
/// - `FETCHLOGS_SEED=n`: the order; a new one each time unless given
/// - `FETCHLOGS_KILLS_JOBS=n`: runs at the same time
/// - `FETCHLOGS_KILLS_ONLY=rotation/collector/fsync/2/KILL`: only this run; a `*` is any, and so is a part
///   that is left out at the end
/// - `FETCHLOGS_KILLS_RECORD=FILE`: what went well is kept there and left out the next time
#[test]
#[ignore = "takes a quarter of an hour and more"]
fn every_call_of_all_scenarios() {
    let Some(strace) = strace::program() else {
        return;
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let campaign = Campaign {
        strace: &strace,
        jobs: setting("FETCHLOGS_KILLS_JOBS").unwrap_or(4 * cores),
        seed: setting("FETCHLOGS_SEED").unwrap_or(now.map_or(0, |now| now.as_secs())),
        countings: plan::COUNTINGS,
        time: setting("FETCHLOGS_KILLS_S").map(Duration::from_secs),
        most: None,
        only: setting("FETCHLOGS_KILLS_ONLY").unwrap_or_default(),
        record: setting("FETCHLOGS_KILLS_RECORD"),
    };
    assert_eq!(campaign.run(), 0);
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name}={text} makes no sense"),
    }
}
