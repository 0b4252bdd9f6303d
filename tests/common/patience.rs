//! Watching that something stays as it is.

use std::thread;
use std::time::{Duration, Instant};

pub use super::process::{DEADLINE as PATIENCE, eventually};

/// Watches for a while that something stays as it is, and fails the test at once when it does not.
pub fn for_a_while(ms: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        assert!(holds(), "no longer so: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
