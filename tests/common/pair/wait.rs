//! Waiting for something to become true.

use std::thread;
use std::time::{Duration, Instant};

/// How long a machine that is busy with other tests may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is `Ok`; returns the last refusal if it never is.
pub fn eventually<T>(mut check: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match check() {
            Err(why) if start.elapsed() > PATIENCE => return Err(why),
            Err(_) => thread::sleep(Duration::from_millis(5)),
            fine => return fine,
        }
    }
}
