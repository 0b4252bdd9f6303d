//! Files that the box deletes or compresses while a client lacks them, held by the server:
//! `$keep_deleted`, state by state.

use std::net::{IpAddr, Ipv4Addr};

use super::link::Line;
use super::{PEER, Pair};
use crate::ids::Inode;
use crate::limits::{KEEP_BETWEEN_MS, KEPT_FOR_MS};
use crate::serve::config::Config;
use crate::serve::find::pins::{self, Clients};
use crate::serve::session::Doing;
use crate::time::Mono;

/// A pair whose server holds deleted files, as its shell does it.
struct Keeping {
    pair: Pair,
    clients: Clients,
    /// Files that were given up, and why.
    given_up: Vec<String>,
    /// Everything that was ever written.
    written: Vec<u8>,
    lines: u32,
}

impl Keeping {
    /// One that follows a log of three lines.
    fn new(setting: &str) -> Keeping {
        let mut pair = Pair::new();
        let text = format!(
            "$files{{'/v/m'}} = '/v/m.[0-9]*'; $delay_check = 5; $alive_interval = 60; \
             $timeout_write = 60; $grace = 10; {setting}"
        );
        pair.serve_config = Config::parse(text.as_bytes()).unwrap();
        pair.keep_journal(1);
        pair.log.create();
        let mut keeping = Keeping {
            pair,
            clients: Clients::default(),
            given_up: Vec::new(),
            written: Vec::new(),
            lines: 0,
        };
        keeping.play("w .");
        keeping
    }

    /// Words: `w` writes lines, `r` rotates, `d` deletes the oldest rotated file, `z` compresses
    /// all of them, `x` breaks the line and `o` mends it, `s` is another server, `.` a while.
    fn play(&mut self, script: &str) {
        for word in script.split_whitespace() {
            self.act(word);
            // The kernel tells of a name, and the server looks.
            self.look();
        }
    }

    fn act(&mut self, word: &str) {
        match word {
            "w" => {
                for _ in 0..3 {
                    self.lines += 1;
                    let line = format!("line {:06} of this log\n", self.lines);
                    self.pair.log.append(line.as_bytes());
                    self.written.extend_from_slice(line.as_bytes());
                }
                self.pair.pump();
            }
            "r" => self.pair.log.rotate(),
            "d" => {
                let left = self.pair.log.rotated_count().saturating_sub(1);
                self.pair.log.retain(left);
            }
            "z" => {
                let names = self.pair.log.disk.names();
                for name in names.iter().filter(|name| name.starts_with("/v/m.")) {
                    // This collector takes no archives, whatever is in them.
                    self.pair
                        .log
                        .disk
                        .write(&format!("{name}.xz"), b"\xfd7zXZ\0");
                }
                self.pair.log.retain(0);
            }
            "x" => self.pair.go_away(),
            "o" => self.pair.link.line = Line::Up,
            "s" => {
                self.pair.cut();
                self.pair.starts_server = true;
                self.pair.log.disk.let_all_go();
                self.clients = Clients::default();
            }
            _ => {
                for _ in 0..4 {
                    self.pair.run_ms(KEEP_BETWEEN_MS);
                    self.look();
                }
            }
        }
    }

    /// Holds what is needed, as `serve/shell/keeping.rs` does.
    fn look(&mut self) {
        let pair = &mut self.pair;
        pair.pump();
        pair.look();
        let now = Mono::from_ms(pair.mono_ms);
        if pair.serve_config.keep_deleted == 0 {
            return;
        }
        for served in &pair.sessions {
            if let Doing::Sending(sent) = served.session.doing() {
                let _ = self.clients.note(PEER, sent.index, sent.inode, now);
            }
        }
        self.clients.forget_old(now);
        let given_up = &mut self.given_up;
        let (config, journal) = (&pair.serve_config, &pair.journal);
        pins::keep(
            config,
            journal,
            &self.clients,
            &pair.log.disk,
            &mut |path, why| given_up.push(format!("{}: {why}", path.display())),
        );
    }

    /// The collector has the time to get all that it can get.
    fn settle(&mut self) {
        self.pair.link.line = Line::Up;
        for _ in 0..60 {
            self.play(".");
        }
    }

    /// The bytes of all copies, oldest first.
    fn copies(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for path in self.pair.kept() {
            all.extend(self.pair.host.read(path.to_str().unwrap()).unwrap());
        }
        all.extend(self.pair.local());
        all
    }

    fn has_all(&self) -> bool {
        self.copies() == self.written && !self.is_told()
    }

    /// Whether the collector was told that something is lost.
    fn is_told(&self) -> bool {
        !self.pair.lost.borrow().is_empty()
    }

    /// How many files the server holds.
    fn held(&self) -> usize {
        self.pair.log.disk.held_count()
    }
}

/// What the box does; the connection breaks before one word and is made again before another.
const BOX: &str = "w r w r d w d r w d w";

/// Plays it with the line down from one word to another, and tells whether anything is missing.
fn is_whole(setting: &str, from: usize, until: usize) -> bool {
    let mut keeping = Keeping::new(setting);
    for (at, word) in BOX.split_whitespace().enumerate() {
        if at == from {
            keeping.play("x");
        }
        if at == until {
            keeping.play("o .");
        }
        keeping.play(word);
    }
    keeping.settle();
    if setting.is_empty() {
        // What is missing is told, then.
        assert_ne!(keeping.has_all(), keeping.is_told());
    } else {
        assert!(
            keeping.has_all(),
            "away from {from} to {until}\n{}",
            keeping.pair.report()
        );
        assert_eq!(keeping.held(), 1, "the live one is held, and no other");
        assert!(keeping.given_up.is_empty());
    }
    keeping.has_all()
}

#[test]
fn whenever_a_client_is_away_it_gets_what_was_deleted() {
    let count = BOX.split_whitespace().count();
    let mut lost_without = 0;
    for from in 0..count {
        for until in from + 1..=count {
            assert!(is_whole("$keep_deleted = '1M';", from, until));
            lost_without += usize::from(!is_whole("", from, until));
        }
    }
    assert!(lost_without > count, "{lost_without}");
}

#[test]
fn what_is_compressed_to_what_nobody_reads_comes_too() {
    for (setting, is_whole) in [("$keep_deleted = '1M';", true), ("", false)] {
        let mut keeping = Keeping::new(setting);
        keeping.play("x w r w r w z w o");
        keeping.settle();
        assert_eq!(keeping.has_all(), is_whole, "{}", keeping.pair.report());
    }
}

#[test]
fn of_what_is_too_much_the_oldest_is_given_up_and_told() {
    // Each generation has more than 60 bytes, and three times as many do not fit.
    let mut keeping = Keeping::new("$keep_deleted = 200;");
    keeping.play("x w . r w . r w . r w . d . d . d .");
    assert_eq!(
        keeping.given_up,
        ["/v/m.3: $keep_deleted is reached"],
        "one is enough"
    );
    keeping.settle();
    assert!(keeping.is_told(), "{}", keeping.pair.report());
    let (copies, written) = (keeping.copies(), &keeping.written);
    // The end of the first one is missing, and nothing else.
    let begun = 3 * written.len() / keeping.lines as usize;
    let rest = &written[2 * begun..];
    assert_eq!(copies, [&written[..begun], rest].concat());
}

#[test]
fn where_little_is_free_nothing_is_held() {
    let mut keeping = Keeping::new("$keep_deleted = '1M';");
    keeping.play("x w r w .");
    keeping.pair.log.disk.set_total(1_000);
    keeping.pair.log.disk.set_room(Some(99));
    keeping.play("d .");
    assert_eq!(keeping.given_up, ["/v/m.1: its file system is nearly full"]);
    keeping.settle();
    assert!(keeping.is_told(), "{}", keeping.pair.report());
}

#[test]
fn a_server_that_starts_anew_holds_nothing_from_before() {
    let mut keeping = Keeping::new("$keep_deleted = '1M';");
    keeping.play("x w r w . d . s .");
    keeping.settle();
    assert!(keeping.is_told(), "{}", keeping.pair.report());
    // But from then on.
    keeping.play("x w r w d .");
    let count = keeping.pair.lost.borrow().len();
    keeping.settle();
    assert_eq!(keeping.pair.lost.borrow().len(), count);
}

#[test]
fn who_was_not_here_for_days_is_waited_for_no_more() {
    let mut keeping = Keeping::new("$keep_deleted = '1M';");
    let other = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
    let (inode, now) = (
        keeping.pair.log.live_inode(),
        Mono::from_ms(keeping.pair.mono_ms),
    );
    keeping.clients.note(other, 0, Inode(inode), now);
    keeping.play("w . r w . d .");
    assert_eq!(keeping.held(), 2, "the other one lacks it");
    keeping.pair.advance_to(keeping.pair.mono_ms + KEPT_FOR_MS);
    // This one connects anew, after such a silence.
    keeping.play(". . . .");
    assert_eq!(keeping.held(), 1);
    assert!(keeping.has_all(), "{}", keeping.pair.report());
}

#[test]
fn for_nobody_nothing_is_held() {
    let mut keeping = Keeping::new("$keep_deleted = '1M';");
    keeping.clients = Clients::default();
    keeping.pair.go_away();
    keeping.play("r w .");
    assert_eq!(keeping.held(), 0);
}
