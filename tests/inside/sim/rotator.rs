//! Whoever rotates a log on a box: the calls of each, in their order, with a moment between any
//! two.

use super::disk::Disk;
use super::log::Log;
use crate::inside::fake::Fake;
use crate::random::Random;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotator {
    /// logrotate: renames, creates, tells the writer.
    Create,
    /// The same, but the file is missing until the writer opens it.
    NoCreate,
    CopyTruncate,
    /// gzip at once.
    Compress,
    /// gzip one rotation later.
    DelayCompress,
    DateExt,
    /// The new file takes the place of the old one, and is not empty.
    Newsyslog,
    /// `busybox syslogd -b N`.
    Busybox,
    /// `busybox syslogd -b 0`: truncates in place.
    BusyboxInPlace,
    /// `logread -F`: one rotated file, `.old`.
    OpenWrt,
    Svlogd,
}

/// How rotated files are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// The newest has this number.
    Number(usize),
    Old,
    Date,
    Tai64n,
    /// Year, month, day and time with a dash between any two.
    Dashes,
    /// The number of the day in the week, which begins anew.
    Weekday,
}

/// One call, or what comes of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Shift(usize),
    Rename,
    /// The program goes on in a file of another name.
    Turn,
    Create,
    Copy,
    Truncate,
    TurnOver,
    /// Lines that come while it rotates.
    Line,
    Reopen,
    Retain(usize),
    Compress(usize),
    Done,
}

pub const ALL: [Rotator; 11] = [
    Rotator::Create,
    Rotator::NoCreate,
    Rotator::CopyTruncate,
    Rotator::Compress,
    Rotator::DelayCompress,
    Rotator::DateExt,
    Rotator::Newsyslog,
    Rotator::Busybox,
    Rotator::BusyboxInPlace,
    Rotator::OpenWrt,
    Rotator::Svlogd,
];

impl Rotator {
    pub fn naming(self) -> Naming {
        match self {
            Rotator::DateExt => Naming::Date,
            Rotator::OpenWrt => Naming::Old,
            Rotator::Svlogd => Naming::Tai64n,
            Rotator::Newsyslog | Rotator::Busybox => Naming::Number(0),
            _ => Naming::Number(1),
        }
    }

    /// The live file of the log `number`.
    pub fn path(self, number: usize) -> String {
        match self {
            Rotator::Svlogd => format!("/var/log/x{number}/current"),
            _ => format!("/var/log/m{number}"),
        }
    }

    /// How many rotated files are kept.
    pub fn keeps(self) -> usize {
        match self {
            Rotator::OpenWrt => 1,
            Rotator::BusyboxInPlace => 0,
            Rotator::Busybox => 3,
            Rotator::Svlogd => 10,
            _ => 5,
        }
    }

    /// Whether classic copes with it as well as version 2 does.
    pub fn is_plain(self) -> bool {
        !matches!(
            self,
            Rotator::CopyTruncate | Rotator::BusyboxInPlace | Rotator::Compress | Rotator::OpenWrt
        )
    }

    /// The calls of one rotation, each with the milliseconds before it.
    pub fn plan(self, log: &Log, random: &mut Random) -> Vec<(u64, Step)> {
        let mut plan = Vec::new();
        let count = log.rotated_count();
        if let Naming::Number(_) = log.naming() {
            plan.extend((0..count).map(|place| (0, Step::Shift(place))));
        }
        match self {
            _ if log.habits.series.is_some() => {
                plan.push((0, Step::Turn));
                late_lines(&mut plan, random);
                plan.push((random.below(3_000), Step::Reopen));
                if log.habits.series.as_ref().is_some_and(|it| it.compresses) {
                    plan.push((random.below(300), Step::Compress(1)));
                }
            }
            // What another device takes is copied, and what came after that would be lost.
            _ if log.habits.other_device => {
                plan.extend([(0, Step::Rename), (0, Step::Create), (0, Step::Reopen)]);
            }
            Rotator::Create | Rotator::DateExt | Rotator::Compress | Rotator::DelayCompress => {
                plan.extend([(0, Step::Rename), (0, Step::Create)]);
                late_lines(&mut plan, random);
                plan.push((random.below(3_000), Step::Reopen));
            }
            Rotator::NoCreate => {
                plan.push((0, Step::Rename));
                late_lines(&mut plan, random);
                plan.push((random.below(3_000), Step::Reopen));
            }
            Rotator::CopyTruncate => {
                plan.push((0, Step::Copy));
                if random.below(3) == 0 {
                    plan.push((random.below(20), Step::Line));
                }
                plan.push((random.below(40), Step::Truncate));
            }
            Rotator::Newsyslog => {
                plan.push((0, Step::TurnOver));
                late_lines(&mut plan, random);
                plan.push((random.below(3_000), Step::Reopen));
            }
            Rotator::Busybox | Rotator::OpenWrt | Rotator::Svlogd => {
                plan.extend([(0, Step::Rename), (0, Step::Create), (0, Step::Reopen)]);
            }
            Rotator::BusyboxInPlace => plan.push((0, Step::Truncate)),
        }
        match self {
            Rotator::Compress => plan.push((random.below(300), Step::Compress(0))),
            Rotator::DelayCompress => plan.push((random.below(300), Step::Compress(1))),
            _ => {}
        }
        plan.push((random.below(20), Step::Retain(log.keeps())));
        plan.push((0, Step::Done));
        plan
    }
}

fn late_lines(plan: &mut Vec<(u64, Step)>, random: &mut Random) {
    for _ in 0..random.below(4) {
        plan.push((random.below(4_000), Step::Line));
    }
}

impl Step {
    pub fn apply(self, log: &mut Log, disk: &Disk<Fake>, wall_ms: u64, now_ms: u64) {
        match self {
            Step::Shift(place) => log.shift(disk, place),
            Step::Rename => log.rename(disk, wall_ms, now_ms),
            Step::Turn => log.turn(disk, wall_ms, now_ms),
            Step::Create => log.create(disk, now_ms),
            Step::Copy => log.copy(disk, wall_ms),
            Step::Truncate => log.truncate(disk, now_ms),
            Step::TurnOver => log.turn_over(disk, wall_ms, now_ms),
            Step::Line => log.write(disk, 1, 60, now_ms),
            Step::Reopen => log.reopen(disk, now_ms),
            Step::Retain(keep) => log.retain(disk, keep),
            Step::Compress(spare) => log.compress(disk, spare),
            Step::Done => log.rotating = false,
        }
    }
}
