//! A program that writes a log.

use std::fs::File;
use std::io::Write;
use std::thread::sleep;

use crate::common::pair::log::{Log, NotedLog};
use crate::common::pair::{Pair, QUIET};

/// How a program treats its descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// It keeps it until it is told that the log was rotated.
    Keeps,
    /// It opens the log for every line.
    Reopens,
}

/// A program that writes, and remembers what.
pub struct Writer {
    log: NotedLog,
    kept: Option<File>,
}

impl Writer {
    /// A program that is the first to write this log.
    pub fn new(log: &Log, habit: Habit) -> Writer {
        Writer {
            log: NotedLog::at(log.path().to_owned()),
            kept: (habit == Habit::Keeps).then(|| log.open()),
        }
    }

    /// Writes a line as its habit is.
    pub fn write(&mut self, line: &str) {
        match &mut self.kept {
            Some(file) => {
                file.write_all(line.as_bytes()).unwrap();
                self.log.note(line);
            }
            None => self.log.append(line),
        }
    }

    /// All that it has written, whatever rotations there were.
    pub fn written(&self) -> Vec<u8> {
        self.log.written.concat()
    }

    /// The log was rotated.
    pub fn told(&mut self) {
        if let Some(file) = &mut self.kept {
            *file = self.log.open();
        }
    }
}

/// Rotates several times while the collector looks on. The program goes on writing before it is told.
pub fn rotate_under_watch(pair: &mut Pair, name: &str, habit: Habit, rotate: impl Fn(&Log)) {
    let log = pair.log(name);
    let mut writer = Writer::new(&log, habit);
    for round in 1..=3 {
        // Longer than what follows: a log that is truncated and outgrows its old size between two looks is taken for
        // one that only grew.
        writer.write(&format!("before rotation {round}{:100}\n", ""));
        pair.expect_all(name, &writer.written());
        // A log that is cut right behind a line may have had another one.
        sleep(QUIET);
        rotate(&log);
        writer.write(&format!("after rotation {round}\n"));
        writer.told();
        writer.write(&format!("told of rotation {round}\n"));
        pair.until(|pair| {
            pair.copies(name).compare_all(&writer.written())?;
            match pair.copies(name).rotated().len() {
                rotated if rotated == round => Ok(()),
                rotated => Err(format!("{rotated} rotated copies instead of {round}")),
            }
        });
    }
    let losses = pair.losses();
    assert!(losses.is_empty(), "{losses:?}");
}

/// Rotates several times while the collector is away. The program is told at once.
pub fn rotate_unwatched(pair: &mut Pair, name: &str, rotations: usize, rotate: impl Fn(&Log)) {
    let log = pair.log(name);
    let mut writer = Writer::new(&log, Habit::Keeps);
    writer.write("seen\n");
    pair.expect_all(name, &writer.written());
    pair.kill_collector();
    for round in 1..=rotations {
        writer.write(&format!("before rotation {round}\n"));
        rotate(&log);
        writer.told();
    }
    writer.write("live\n");
    pair.start_collector();
    pair.expect_all(name, &writer.written());
    assert_eq!(pair.copies(name).rotated().len(), rotations);
    let losses = pair.losses();
    assert!(losses.is_empty(), "{losses:?}");
}
