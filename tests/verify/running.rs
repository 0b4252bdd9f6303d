//! Beside a collector at work, on a terminal.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::common::outside_program;
use super::common::wait::until;
use super::place::{Place, STAMP, identical, log};

/// The rotated copies of `m`.
fn rotated(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path().join("local")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("m.2")).collect()
}

/// Rotates the log; as everywhere, the newer file has the smaller number. The new one has its first line before anybody
/// can write to it.
fn rotate(place: &Place, number: u32) {
    let new = place.remote("new");
    fs::write(&new, format!("generation {number}\n")).unwrap();
    fs::rename(
        place.remote("m"),
        place.remote(&format!("m.{}", 100 - number)),
    )
    .unwrap();
    fs::rename(new, place.remote("m")).unwrap();
}

/// A log that grows by a line a millisecond while `act` runs.
fn while_it_grows(place: &Place, act: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(mut log) = OpenOptions::new().append(true).open(place.remote("m")) {
                    let line = format!("Nov 22 13:29:56 box writer: line {number}\n");
                    log.write_all(line.as_bytes()).unwrap();
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let _over = Over(&is_over);
        act();
    });
}

/// Says at its end, be it a panic, that something is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_copy_that_grows_is_right_at_every_moment() {
    let mut place = Place::new(&["m"]);
    place.source("m", "");
    fs::write(place.remote("m"), log(2_000)).unwrap();
    let collector = place.collect();
    until("the log is followed", || {
        fs::metadata(place.local("m")).is_ok_and(|stat| stat.len() > 50_000)
    });
    rotate(&place, 1);
    until("the log is rotated", || rotated(&place).len() == 1);
    while_it_grows(&place, || {
        for _ in 0..5 {
            let said = place.verify();
            let live = said.of("m");
            let is_right = live.starts_with("IDENTICAL ") || live.contains("the box has");
            assert!(is_right, "{said:?}");
            assert_eq!(said.of(&rotated(&place)[0]), identical(&log(2_000)));
            assert_eq!((said.status, said.lines.len()), (0, 2), "{said:?}");
        }
    });
    until("the collector has all", || {
        fs::read(place.remote("m")).unwrap() == fs::read(place.local("m")).unwrap()
    });
    let now = fs::read(place.remote("m")).unwrap();
    assert_eq!(place.verify().of("m"), identical(&now));
    assert!(!place.events().contains("lost"), "{}", place.events());
    drop(collector);
}

#[test]
fn rotations_in_between_disturb_nothing() {
    let mut place = Place::new(&["m"]);
    place.source("m", "");
    fs::write(place.remote("m"), log(100)).unwrap();
    let collector = place.collect();
    until("the log is followed", || place.local("m").exists());
    while_it_grows(&place, || {
        let begun = Instant::now();
        let mut rotations = 0;
        while begun.elapsed() < Duration::from_millis(1_500) {
            if begun.elapsed() > Duration::from_millis(100) * rotations {
                rotations += 1;
                rotate(&place, rotations);
            }
            let said = place.verify();
            assert_eq!(said.status, 0, "{said:?}\n{}", place.events());
        }
        until("the last rotation is seen", || {
            rotated(&place).len() == rotations as usize
        });
    });
    drop(collector);
}

#[test]
fn a_terminal_shows_how_far_it_is_and_nothing_of_that_stays() {
    let Some(script) = outside_program("script") else {
        return;
    };
    let mut place = Place::new(&["m"]);
    place.copied("m", b"abc", b"abc");
    place.rotated("m", &log(9), &log(9));
    let command = place.command(&[]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
    let typescript = place.path().join("typescript");
    let output = Command::new(script)
        .args(["-q", "-e", "-c", &words.join(" ")])
        .arg(typescript)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("\r0 of 2 copies, 0.0 of 0.0 MiB compared\x1b[K"),
        "{shown:?}"
    );
    assert!(shown.contains(&format!(
        "\r\x1b[K{} {}",
        place.address().ip(),
        place.remote("m").display()
    )));
    assert!(shown.contains(&format!("m.{STAMP}: IDENTICAL ")));
    let last = shown.trim_end().rsplit("\r\n").next().unwrap();
    assert!(last.ends_with(" compared in 0 s"), "{shown:?}");
    assert!(output.status.success());
}
