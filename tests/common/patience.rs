//! Waiting for what another process or thread is going to do.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait between two looks.
const STEP: Duration = Duration::from_millis(5);

/// Waits until `look` finds something. Fails the test, saying what was waited for, when patience is over.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(STEP);
    }
}

/// Watches for a while that something stays as it is, and fails the test at once when it does not.
pub fn for_a_while(ms: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        assert!(holds(), "no longer so: {what}");
        thread::sleep(STEP);
    }
}
