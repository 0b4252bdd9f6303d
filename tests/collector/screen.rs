//! `status -w` on a terminal, which tmux plays.

use std::process::Command;
use std::time::{Duration, Instant};

use super::common::collector::Place;
use super::common::process::Signal;
use super::common::wait::{eventually, until};
use super::common::{FETCHLOGS, outside_program};
use super::view::Two;

/// A terminal of its own, with this command in it.
struct Terminal {
    tmux: std::path::PathBuf,
    home: tempfile::TempDir,
}

impl Terminal {
    fn start(place: &Place, width: u32, height: u32) -> Option<Terminal> {
        let terminal = Terminal {
            tmux: outside_program("tmux")?,
            home: tempfile::tempdir().unwrap(),
        };
        let (width, height) = (width.to_string(), height.to_string());
        let snmp = place.path("snmp");
        let watch = format!(
            "{FETCHLOGS} fetch_logs status -w {}; echo ended with $?; sleep 100",
            snmp.display()
        );
        terminal.run(&["new-session", "-d", "-x", &width, "-y", &height, &watch]);
        Some(terminal)
    }

    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.tmux);
        command
            .arg("-S")
            .arg(self.home.path().join("tmux"))
            .args(["-f", "/dev/null"]);
        let output = command
            .args(words)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let text = self.run(&["capture-pane", "-p"]);
        text.lines().map(str::to_owned).collect()
    }

    fn wait_for(&self, what: &str) -> Vec<String> {
        eventually(what, || {
            let lines = self.lines();
            lines
                .iter()
                .any(|line| line.contains(what))
                .then_some(lines)
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[test]
fn the_screen_fits_and_obeys_keys() {
    let (two, _collector) = Two::at(Place::new(), &[]);
    for (width, height) in [(80, 24), (120, 40)] {
        let Some(terminal) = Terminal::start(&two.place, width, height) else {
            return;
        };
        terminal.wait_for("cannot connect");
        // The last line is drawn last.
        let lines = terminal.wait_for("1-2 of 2 ");
        assert_eq!(
            lines[0],
            "2 sources on 2 servers: 1 followed, 1 in error; nothing behind"
        );
        assert!(lines[1].starts_with("BOX"), "{lines:#?}");
        let is_whole = lines[1].ends_with(if width == 80 { "LAST BYTE" } else { "WHY" });
        assert!(is_whole, "{lines:#?}");
        assert!(
            lines[2].starts_with("127.0.0.2 ") && lines[2].contains(" error "),
            "{lines:#?}"
        );
        assert_eq!(lines.len(), height as usize, "{lines:#?}");
        assert!(lines.last().unwrap().starts_with("1-2 of 2 "), "{lines:#?}");
        assert_eq!(
            lines[3].starts_with("    cannot connect"),
            width == 80,
            "{lines:#?}"
        );

        terminal.run(&["send-keys", "n"]);
        until("the order is that of the names", || {
            terminal.lines()[2].starts_with("127.0.0.1 ")
        });
        terminal.run(&["send-keys", "t"]);
        terminal.wait_for("1-1 of 1 ");
        terminal.run(&["send-keys", "q"]);
        // What was there before is back, and the status says that one is in error.
        let lines = terminal.wait_for("ended with 2");
        assert!(
            !lines.iter().any(|line| line.starts_with("BOX")),
            "{lines:#?}"
        );
    }
}

#[test]
fn keys_that_come_together_all_count_and_a_collector_that_hangs_is_no_obstacle() {
    let (two, collector) = Two::at(Place::new(), &[]);
    let Some(terminal) = Terminal::start(&two.place, 80, 24) else {
        return;
    };
    terminal.wait_for("1-2 of 2 ");
    // In one read: by name, the other way round, one down.
    terminal.run(&["send-keys", "-l", "nij"]);
    let lines = terminal.wait_for("2-2 of 2 ");
    assert!(lines[2].starts_with("127.0.0.1 "), "{lines:#?}");
    // However often: one up is one up.
    terminal.run(&["send-keys", "-l", "    k"]);
    terminal.wait_for("1-2 of 2 ");
    collector.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(1500));
    let begun = Instant::now();
    terminal.run(&["send-keys", "q"]);
    terminal.wait_for("ended with ");
    let took = begun.elapsed();
    collector.signal(Signal::CONT);
    assert!(took < Duration::from_secs(5), "{took:?}");
}
