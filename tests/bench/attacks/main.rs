//! What a good source notices of an attack: `cargo bench --bench attacks`.
//!
//! A real server and a real collector keep a copy of a log that gets a line every few milliseconds. Beside it clients
//! harm the server, or other boxes harm the collector. It prints a table and judges nothing: how long a line takes from
//! the log into its copy, and what the program under attack needs. `FETCHLOGS_BENCH_DIR` says where copies are, which is
//! in memory otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../../common/mod.rs"]
mod common;

mod good;
mod on_collector;
mod on_server;
mod usage;

use good::{Good, Target};

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!(
        "| attack | on | lines | p50 ms | p99 ms | longest | answers | p50 ms | p99 ms | longest | memory | processor | attempts |"
    );
    println!("|{}", " --- |".repeat(13));
    let quiet = |_: &Good| usage::Attack::none();
    Good::start(&[]).measure("none", Target::Server, quiet);
    Good::start(&[]).measure("none", Target::Collector, quiet);
    for (name, attack) in on_server::ATTACKS {
        Good::start(&[]).measure(name, Target::Server, attack);
    }
    for (name, evil) in on_collector::ATTACKS {
        let (attack, box_address) = evil();
        Good::start(&[box_address]).measure(name, Target::Collector, |_| attack);
    }
}
