//! How fast, how large, how flat: `cargo bench --bench compare`.
//!
//! It prints tables for tests/bench/README.md and judges nothing. Whatever is compared runs in the same run, in turns,
//! because machines are noisy; medians are told, and ratios.
//!
//! ```text
//! cargo bench --bench compare                         all sections
//! cargo bench --bench compare -- backlog idle         some of them
//! cargo bench --bench compare -- --save FILE          keeps the figures
//! cargo bench --bench compare -- --against FILE       shows those of an earlier run beside
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../../common/mod.rs"]
mod common;

mod backlog;
mod busy;
mod contestants;
mod figures;
mod idle;
mod latency;
mod measure;
mod midnight;
mod stand;
mod storm;

use figures::Figures;

/// A part of the comparison that can be asked for by name.
struct Section {
    name: &'static str,
    run: fn(&mut Figures),
}

const SECTIONS: [Section; 6] = [
    Section {
        name: "backlog",
        run: backlog::run,
    },
    Section {
        name: "latency",
        run: latency::run,
    },
    Section {
        name: "idle",
        run: idle::run,
    },
    Section {
        name: "storm",
        run: storm::run,
    },
    Section {
        name: "midnight",
        run: midnight::run,
    },
    Section {
        name: "busy",
        run: busy::run,
    },
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` is content with a program that starts.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    let after = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        Some(
            args.get(at + 1)
                .expect("--save and --against need a file")
                .clone(),
        )
    };
    let (save, against) = (after("--save"), after("--against"));
    let is_section = |arg: &&String| SECTIONS.iter().any(|section| section.name == **arg);
    let asked: Vec<&String> = args.iter().filter(is_section).collect();
    let mut figures = Figures::new(against.as_deref());
    for section in &SECTIONS {
        if asked.is_empty() || asked.iter().any(|name| *name == section.name) {
            eprintln!("== {}", section.name);
            (section.run)(&mut figures);
        }
    }
    if let Some(file) = save {
        figures.save(&file);
    }
}
