//! Waiting for something to become true, and watching that it stays so.

use std::thread;
use std::time::{Duration, Instant};

/// How long a machine that is busy with other tests may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks again and again until the answer is `Ok`; returns the last refusal if it never is.
pub fn attempt<T>(check: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    poll(PATIENCE, PAUSE, check)
}

/// The same for those who have a patience of their own, or have to look more often.
pub fn poll<T, E>(
    patience: Duration,
    pause: Duration,
    mut check: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let start = Instant::now();
    loop {
        match check() {
            Err(why) if start.elapsed() > patience => return Err(why),
            Err(_) => thread::sleep(pause),
            fine => return fine,
        }
    }
}

/// Looks again and again until there is something to be had, and fails the test if there never is.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = poll(PATIENCE, PAUSE, || look().ok_or(()));
    found.unwrap_or_else(|()| panic!("waited in vain: {what}"))
}

/// The same for what is only true or not.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, || is_so().then_some(()));
}

/// Watches for a while that something stays as it is, and fails the test at once when it does not.
pub fn for_a_while(ms: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        assert!(holds(), "no longer so: {what}");
        thread::sleep(PAUSE);
    }
}
