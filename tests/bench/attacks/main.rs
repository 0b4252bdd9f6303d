//! What a good source notices of an attack: `cargo bench --bench attacks`.
//!
//! A real server and a real collector keep a copy of a log that gets a line every few milliseconds. Beside it clients
//! harm the server, or another box with twenty logs harms the collector. It prints tables and judges nothing: how long a
//! line takes from the log into its copy, and what the program under attack needs. In the first one copies are in
//! memory. In the second one each sync of the collector takes 8 ms longer, for which a compiler of C is needed. In a
//! third one copies are on the disk of `FETCHLOGS_BENCH_DISK`, if that is set. Each table tells what syncs take there,
//! before and after. Behind `--` words may stand: only attacks with one of them in their names.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../../common/mod.rs"]
mod common;

mod good;
mod on_collector;
mod on_server;
mod usage;
mod volume;

use good::{Good, Target};
use volume::Volume;

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let others = [Volume::slow(), Volume::disk()];
    for volume in [Volume::memory()].iter().chain(others.iter().flatten()) {
        table(volume);
    }
}

/// What each attack does to those whose copies are there.
fn table(volume: &Volume) {
    println!("{volume}\n");
    println!(
        "| attack | on | lines | p50 ms | p99 ms | longest | answers | p50 ms | p99 ms | longest | memory | processor | attempts |"
    );
    println!("|{}", " --- |".repeat(13));
    let quiet = |_: &Good| usage::Attack::none();
    if is_wanted("none") {
        Good::start(&[], volume).measure("none", Target::Server, quiet);
        Good::start(&[], volume).measure("none", Target::Collector, quiet);
    }
    for (name, attack) in on_server::ATTACKS
        .iter()
        .filter(|(name, _)| is_wanted(name))
    {
        Good::start(&[], volume).measure(name, Target::Server, attack);
    }
    let evil = on_collector::ATTACKS.iter();
    for (name, evil) in evil.filter(|(name, _)| is_wanted(name)) {
        let (attack, box_address) = evil();
        Good::start(&[box_address], volume).measure(name, Target::Collector, |_| attack);
    }
    println!("\n{volume}\n");
}

fn is_wanted(name: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}
