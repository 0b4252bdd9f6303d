//! kill -9 at any moment, of either, while the log grows and rotates: everything arrives once and in order.
//!
//! `FETCHLOGS_SEED=n` repeats a run that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fetchlogs::random::Random;

use crate::common::pair::log::Log;
use crate::common::pair::{NOTHING, Options, Pair};
use crate::every_way;

/// More are not looked at.
const ROTATIONS_MAX: usize = 40;

every_way!(kills_at_random_moments);

fn kills_at_random_moments(options: Options) {
    let given = std::env::var("FETCHLOGS_SEED").ok();
    let seed = given.map_or(2026, |seed| seed.parse().unwrap());
    println!("FETCHLOGS_SEED={seed}");
    let mut random = Random::new(seed);
    let mut pair = Pair::start(options);
    let writer = Writer::start(pair.log("m"), Random::new(random.below(u64::MAX)));
    for _ in 0..10 {
        // Any moment will do: this waits for nothing.
        thread::sleep(Duration::from_millis(random.below(150)));
        if random.below(2) == 0 {
            pair.kill_server();
            pair.start_server();
        } else {
            pair.kill_collector();
            pair.start_collector();
        }
    }
    writer.stop();
    pair.expect_same("m");
    assert_eq!(pair.losses(), NOTHING);
}

/// Writes lines and rotates until it is stopped.
struct Writer {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(log: Log, mut random: Random) -> Writer {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = is_over.clone();
        let thread = thread::spawn(move || {
            let mut line = 0;
            while !flag.load(Ordering::SeqCst) {
                for _ in 0..random.below(20) {
                    line += 1;
                    log.append(format!("line {line}\n"));
                }
                if random.below(12) == 0 && log.rotated_count() < ROTATIONS_MAX {
                    log.rotate();
                }
                thread::sleep(Duration::from_millis(random.below(4)));
            }
        });
        Writer { is_over, thread }
    }

    fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
    }
}
