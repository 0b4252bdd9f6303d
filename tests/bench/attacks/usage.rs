//! What a process uses, and an attack that can be ended.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Threads that do harm until it is ended. Clones are the same attack.
#[derive(Clone)]
pub struct Attack {
    stop: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
}

impl Attack {
    /// Nobody does any harm.
    pub fn none() -> Attack {
        Attack {
            stop: Arc::default(),
            attempts: Arc::default(),
        }
    }

    /// So many threads try the same again and again.
    pub fn again(threads: usize, act: impl Fn(usize) + Send + Sync + 'static) -> Attack {
        let attack = Attack::none();
        let act = Arc::new(act);
        for number in 0..threads {
            let (stop, attempts, act) = (attack.stop.clone(), attack.attempts.clone(), act.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    act(number);
                    attempts.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        attack
    }

    /// For acts that come from elsewhere: whether it is over, and each attempt counted.
    pub fn has_ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts one.
    pub fn count(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was tried.
    pub fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The most memory that a process ever had, in KiB.
pub fn memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
