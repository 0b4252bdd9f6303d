//! One program for all targets: the environment names the one to run, so that nothing is built
//! twice.
#![no_main]

use std::sync::OnceLock;

use fetchlogs::fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    TARGET.get_or_init(chosen)(data);
});

fn chosen() -> Target {
    let name = std::env::var("FETCHLOGS_FUZZ_TARGET").unwrap_or_default();
    match target(&name) {
        Some(target) => target,
        None => panic!("FETCHLOGS_FUZZ_TARGET={name:?} names no target"),
    }
}
