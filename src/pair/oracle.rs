//! What the collector must hold, compared with what it holds.

use super::Pair;
use super::log::{Generation, ends};

impl Pair {
    /// The whole promise: every generation in order, once, each finished copy verified, the status right.
    pub fn check(&self) {
        self.check_bytes();
        self.check_status();
        self.check_verified();
    }

    /// Every byte that the box has not destroyed is there, in order, once.
    pub fn check_bytes(&self) {
        if let Err(why) = self.compare(true) {
            panic!("{why}\n{}", self.report());
        }
    }

    /// In error only if something is on record.
    pub fn check_status(&self) {
        let on_record = self.says("lost ") || self.says("differs from");
        assert_eq!(
            self.source.in_error(),
            on_record,
            "status\n{}",
            self.report()
        );
    }

    /// Each finished copy that is byte for byte what the box had was found to be so.
    pub fn check_verified(&self) {
        for path in self.kept() {
            let bytes = self.host.read(path.to_str().unwrap()).unwrap();
            let is_whole = self
                .log
                .generations()
                .iter()
                .any(|g| g.bytes == bytes && !g.harmed);
            let line = format!(" {}", path.display());
            let is_verified = self
                .said
                .borrow()
                .iter()
                .any(|said| said.starts_with("verified md5=") && said.ends_with(&line));
            assert!(
                is_verified || !is_whole,
                "{} was never verified\n{}",
                path.display(),
                self.report()
            );
        }
    }

    /// What cannot be had any more is told, and nothing is said to be lost while all is there.
    pub fn check_losses(&self) {
        let generations = self.log.generations();
        if let Err(why) = self.find_untold_loss() {
            panic!("{why}\n{}", self.report());
        }
        let is_harmed = generations.iter().any(|g| g.harmed);
        assert!(
            is_harmed || !self.says("lost "),
            "a false alarm\n{}",
            self.report()
        );
    }

    /// What can be said already while the collector is still behind.
    pub fn check_so_far(&self) {
        if let Err(why) = self.find_untold_loss() {
            panic!("{why}\n{}", self.report());
        }
    }

    fn find_untold_loss(&self) -> Result<(), String> {
        let generations = self.log.generations();
        let held = self.compare(false)?;
        let last = held.iter().rposition(|held| *held > 0).unwrap_or_default();
        let untold = (0..last).find(|&number| held[number] < generations[number].traced);
        match untold.filter(|_| !self.says("lost ") && !self.says("truncated")) {
            Some(number) => Err(format!(
                "of generation {number} only {} bytes are held and that is not told: {}",
                held[number],
                generations[number].describe()
            )),
            None => Ok(()),
        }
    }

    /// Lays the copies beside the generations, oldest first, and tells how much is held of each. Unless all is
    /// `settled` the collector may be behind.
    fn compare(&self, settled: bool) -> Result<Vec<usize>, String> {
        let generations = self.log.generations();
        let mut held = vec![0; generations.len()];
        let mut next = 0;
        let copies = self.copies();
        for (number, copy) in copies.iter().enumerate() {
            if copy.is_empty() {
                continue;
            }
            let is_live = number + 1 == copies.len();
            let is_copy = |generation: &Generation| {
                let is_whole = copy.len() >= generation.must || (is_live && !settled);
                is_whole && generation.bytes.starts_with(copy)
            };
            let found = generations[next..]
                .iter()
                .position(is_copy)
                .map(|place| next + place);
            let Some(found) = found else {
                let near = generations[next.saturating_sub(2)..].iter().take(4);
                let near: Vec<String> = near.map(Generation::describe).collect();
                let before = number
                    .checked_sub(1)
                    .map(|before| ends(&self.copies()[before]));
                return Err(format!(
                    "copy {number} ({}, after {}) is no generation from {next} on, or not whole; near that are\n{}",
                    ends(copy),
                    before.unwrap_or_default(),
                    near.concat()
                ));
            };
            if let Some(skipped) = generations[next..found].iter().position(|g| g.must > 0) {
                return Err(format!("generation {} was skipped", next + skipped));
            }
            held[found] = copy.len();
            next = found + 1;
        }
        match generations[next..]
            .iter()
            .position(|g| g.must > 0 && settled)
        {
            Some(left) => Err(format!("generation {} was not fetched", next + left)),
            None => Ok(held),
        }
    }
}
