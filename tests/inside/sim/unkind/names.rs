//! Names of logs and of their rotated files: those of the rotators, and those that are harder to
//! put into order.

use crate::inside::fake::Fake;
use crate::inside::sim::disk::Disk;
use crate::inside::sim::log::Log;
use crate::inside::sim::rotator::{Naming, Rotator};
use crate::random::Random;
use crate::time::Civil;

/// How a log and its rotated files are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Names {
    /// As the rotator does it in the kind worlds.
    #[default]
    Plain,
    /// `m0-2026-11-22-13-29-56`: no run of digits is as long as a date.
    Dashes,
    /// `m0.0` to `m0.6`: a number that begins anew each week, over the file of the week before.
    Weekday,
    /// `m020261122.1`: eight digits in the log's own name.
    Digits,
}

/// How many days there are before one comes again.
pub const WEEK: u64 = 7;

/// Where rotated files are that are on another device.
const OTHER_DIR: &str = "/old";

impl Names {
    /// Names that this rotator can be told to give.
    pub fn some(rotator: Rotator, random: &mut Random) -> Names {
        let all: &[Names] = match rotator {
            Rotator::Create | Rotator::NoCreate => &[Names::Dashes, Names::Weekday, Names::Digits],
            Rotator::Compress | Rotator::DelayCompress | Rotator::DateExt => {
                &[Names::Dashes, Names::Digits]
            }
            Rotator::Svlogd => &[Names::Plain],
            _ => &[Names::Digits],
        };
        all[random.below(all.len() as u64) as usize]
    }

    /// The live file of a log that is called so in the kind worlds.
    pub fn path(self, path: String) -> String {
        match self {
            Names::Digits => format!("{path}20261122"),
            _ => path,
        }
    }
}

/// The name of a file that is rotated at this time.
pub fn dashes(stem: &str, wall_ms: u64) -> String {
    let stamp = Civil::from_unix((wall_ms / 1_000) as i64)
        .stamp()
        .to_string();
    let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
    let (mut name, mut rest) = (stem.to_owned(), digits.as_str());
    for len in [4, 2, 2, 2, 2, 2] {
        let (part, behind) = rest.split_at(len.min(rest.len()));
        name = format!("{name}-{part}");
        rest = behind;
    }
    name
}

impl Log {
    /// How its rotated files are called.
    pub fn naming(&self) -> Naming {
        if self.habits.series.is_some() {
            return Naming::Dashes;
        }
        match self.habits.names {
            Names::Dashes => Naming::Dashes,
            Names::Weekday => Naming::Weekday,
            Names::Plain | Names::Digits => self.rotator.naming(),
        }
    }

    /// What the names of its rotated files begin with.
    pub fn stem(&self) -> String {
        match self.habits.other_device {
            true => self.path.replace("/var/log", OTHER_DIR),
            false => self.path.clone(),
        }
    }

    /// What finds them.
    pub fn glob(&self) -> String {
        if let Some(series) = &self.habits.series {
            return series.glob();
        }
        let stem = self.stem();
        match self.naming() {
            Naming::Number(_) | Naming::Weekday => format!("{stem}.*[0-9]"),
            Naming::Date | Naming::Dashes => format!("{stem}-*[0-9]"),
            Naming::Old => format!("{stem}.old"),
            Naming::Tai64n => stem.replace("current", "@*.[su]"),
        }
    }

    /// Whether a name with a date stands for another rotation already. logrotate does not rotate
    /// then.
    pub fn is_taken(&self, disk: &Disk<Fake>, name: &str) -> bool {
        let is_date = matches!(self.naming(), Naming::Date | Naming::Dashes);
        let is_there = |name: &str| disk.with(|fs| fs.exists(name));
        is_date && (is_there(name) || is_there(&format!("{name}.gz")))
    }

    /// How many of them are kept.
    pub fn keeps(&self) -> usize {
        match self.naming() {
            Naming::Weekday => WEEK as usize,
            _ => self.habits.keeps.unwrap_or(self.rotator.keeps()),
        }
    }
}

#[test]
fn dates_have_dashes() {
    let name = dashes("/var/log/m0", 1_795_354_196_000);
    assert_eq!(name, "/var/log/m0-2026-11-22-13-29-56");
}
