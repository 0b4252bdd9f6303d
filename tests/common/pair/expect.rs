//! What a pair is waited for to bring about, and what must not be.

use std::fs;
use std::path::Path;

use super::super::wait::attempt;
use super::Pair;

impl Pair {
    /// Waits until the check says `Ok`; otherwise fails with its last word and those of the daemons. It does not wait
    /// any longer once one of them has ended.
    pub fn until(&mut self, mut check: impl FnMut(&Pair) -> Result<(), String>) {
        let outcome = attempt(|| match check(self) {
            Err(why) if self.all_run() => Err(why),
            // What has ended may have said its last word in between.
            Err(_) => Ok(check(self)),
            Ok(()) => Ok(Ok(())),
        });
        if let Err(why) = outcome.and_then(|last| last) {
            panic!("{why}\n{}", self.everything_said());
        }
    }

    /// Waits until the local copies of a log are these generations, oldest first, the live one last.
    pub fn expect(&mut self, name: &str, generations: &[impl AsRef<[u8]>]) {
        self.until(|pair| pair.copies(name).compare(generations));
    }

    /// The same, and until each but the live one is verified.
    pub fn expect_verified(&mut self, name: &str, generations: &[impl AsRef<[u8]>]) {
        self.expect(name, generations);
        self.expect_all_verified(name);
    }

    /// Waits until the local copies of a log are what stands in `remote/`, generation by generation.
    pub fn expect_same(&mut self, name: &str) {
        let generations = self.log(name).generations();
        self.expect(name, &generations);
    }

    /// Waits until all copies of a log together are this.
    pub fn expect_all(&mut self, name: &str, written: &[u8]) {
        self.until(|pair| pair.copies(name).compare_all(written));
    }

    /// Waits until the live copy of a log is this.
    pub fn expect_live(&mut self, name: &str, bytes: &[u8]) {
        self.until(|pair| pair.copies(name).compare_live(bytes));
    }

    /// Waits until every rotated copy of a log was verified, and with the digest that it has.
    pub fn expect_all_verified(&mut self, name: &str) {
        self.until(|pair| pair.copies(name).all_verified(&pair.events()));
    }

    /// Waits until the server has a file open no more.
    pub fn until_server_lets_go_of(&mut self, path: &Path) {
        let descriptors = format!("/proc/{}/fd", self.server().pid());
        self.until(|_| {
            let mut descriptors = fs::read_dir(&descriptors).unwrap().flatten();
            let is_open = descriptors.any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == path));
            match is_open {
                true => Err(format!("the server has {} open", path.display())),
                false => Ok(()),
            }
        });
    }

    /// Waits until the status file of the server has this in it, newline included.
    pub fn expect_status(&mut self, status: &str) {
        self.until(|pair| match pair.status() {
            now if now == status => Ok(()),
            now => Err(format!("the status is {now:?} instead of {status:?}")),
        });
    }

    /// Waits until the collector has said this.
    pub fn expect_event(&mut self, text: &str) {
        self.until(|pair| match pair.events().contains(text) {
            true => Ok(()),
            false => Err(format!("the collector does not say {text:?}")),
        });
    }

    /// Nothing was lost and nothing differs, as far as the collector has said up to now and has put on record.
    pub fn assert_no_losses(&mut self) {
        let events = self.events();
        let is_bad = [" lost ", " differs "]
            .iter()
            .any(|bad| events.contains(bad));
        assert!(!is_bad, "{}", self.everything_said());
        let mut paths = self.paths_of_copies();
        paths.retain(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .contains(".gaps")
        });
        assert!(paths.is_empty(), "{paths:?}");
    }
}
