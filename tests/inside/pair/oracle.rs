//! What the collector must hold, compared with what it holds.

use super::Pair;
use super::log::{Generation, ends};

/// A copy that is not empty, and the generation that it is of.
struct Laid {
    copy: usize,
    generation: usize,
    held: usize,
}

impl Pair {
    /// The whole promise: every generation in order, once, each finished copy verified, the status
    /// right.
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

    /// What cannot be had any more is told where it is missing, and nothing is said to be lost
    /// where all is there.
    pub fn check_losses(&self) {
        if let Err(why) = self.find_wrong_words(true) {
            panic!("{why}\n{}", self.report());
        }
    }

    /// What can be said already while the collector is still behind.
    pub fn check_so_far(&self) {
        if let Err(why) = self.find_wrong_words(false) {
            panic!("{why}\n{}", self.report());
        }
    }

    /// Looks at what lies between each copy and the next: a loss untold, or a false alarm.
    fn find_wrong_words(&self, settled: bool) -> Result<(), String> {
        let generations = self.log.generations();
        let laid = self.compare(settled)?;
        let full = laid.iter();
        for (this, next) in full.clone().zip(full.skip(1)) {
            let mut told = self.lost.borrow().clone();
            told.retain(|(copy, _)| (this.copy..next.copy).contains(copy));
            let between = &generations[this.generation..next.generation];
            let missing = |(place, generation): (usize, &Generation)| match place {
                0 => this.held < generation.traced,
                _ => generation.traced > 0 && !generation.traced_if_held,
            };
            let is_missing = between.iter().enumerate().any(missing);
            // A file that is gone may have held more than what was copied of it before.
            let after = generations[this.generation + 1].inode;
            let is_gone = |generation: &Generation| {
                let mut inodes = told.iter().map(|(_, inode)| *inode).chain([after]);
                generation.harmed && inodes.any(|inode| inode == generation.inode)
            };
            let is_harmed = between.iter().any(|generation| generation.harmed)
                || generations[this.generation..].iter().any(is_gone);
            if is_missing && told.is_empty() {
                return Err(format!(
                    "something after {} bytes of generation {} is missing and that is not told",
                    this.held, this.generation
                ));
            }
            if !is_harmed && !told.is_empty() {
                return Err(format!(
                    "a false alarm after generation {}",
                    this.generation
                ));
            }
        }
        Ok(())
    }

    /// Lays the copies beside the generations, oldest first. Unless all is `settled` the collector
    /// may be behind.
    fn compare(&self, settled: bool) -> Result<Vec<Laid>, String> {
        let generations = self.log.generations();
        let mut laid = Vec::new();
        // Zeros at the end of a generation that is not over are not written yet.
        let must = |number: usize| match number + 1 == generations.len() {
            true => {
                let last = generations[number]
                    .bytes
                    .iter()
                    .rposition(|byte| *byte != 0);
                last.map_or(0, |last| last + 1)
                    .min(generations[number].must)
            }
            false => generations[number].must,
        };
        let mut next = 0;
        let copies = self.copies();
        for (number, copy) in copies.iter().enumerate() {
            if copy.is_empty() {
                continue;
            }
            let is_live = number + 1 == copies.len();
            let is_copy = |number: &usize| {
                let is_whole = copy.len() >= must(*number) || (is_live && !settled);
                is_whole && generations[*number].bytes.starts_with(copy)
            };
            let Some(found) = (next..generations.len()).find(is_copy) else {
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
            if let Some(skipped) = (next..found).find(|number| must(*number) > 0) {
                return Err(format!("generation {skipped} was skipped"));
            }
            laid.push(Laid {
                copy: number,
                generation: found,
                held: copy.len(),
            });
            next = found + 1;
        }
        match (next..generations.len()).find(|number| must(*number) > 0 && settled) {
            Some(left) => Err(format!("generation {left} was not fetched")),
            None => Ok(laid),
        }
    }
}
