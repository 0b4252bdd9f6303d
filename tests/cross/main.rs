//! The program that was built for another machine, with this machine's on the other side of the connection, both ways:
//! byte orders, sizes of words and C libraries differ, and the copies do not.
//!
//! `CROSS_COMMAND` is how the other machine's program is run, an emulator in front of it if it takes one; `cross/test`
//! sets it. Without it both sides are this machine's own.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::FETCHLOGS;
use common::pair::{NOTHING, Options, Pair};

/// Which of the two daemons is the other machine's.
#[derive(Clone, Copy)]
enum Foreign {
    Server,
    Collector,
}

/// Makes four tests of a function: each daemon as the other machine's, in both versions of the protocol.
macro_rules! both_ways {
    ($name:ident) => {
        mod $name {
            use crate::common::pair::Options;
            use crate::{Foreign, Meeting};

            #[test]
            fn foreign_server() {
                super::$name(Meeting::prepare(Foreign::Server, Options::default()));
            }

            #[test]
            fn foreign_server_classic() {
                super::$name(Meeting::prepare(
                    Foreign::Server,
                    Options::default().classic(),
                ));
            }

            #[test]
            fn foreign_collector() {
                super::$name(Meeting::prepare(Foreign::Collector, Options::default()));
            }

            #[test]
            fn foreign_collector_classic() {
                super::$name(Meeting::prepare(
                    Foreign::Collector,
                    Options::default().classic(),
                ));
            }
        }
    };
}

both_ways!(through_rotations_and_restarts_the_copies_are_the_same);
both_ways!(offsets_beyond_four_gigabytes);
both_ways!(times_beyond_2038);

#[test]
fn it_tells_its_version() {
    let output = foreign().arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, concat!("fetchlogs ", env!("CARGO_PKG_VERSION"), "\n"));
}

fn through_rotations_and_restarts_the_copies_are_the_same(mut meeting: Meeting) {
    meeting.start_server();
    meeting.start_collector();
    let log = meeting.pair.log("m");
    log.append(many_lines(1));
    meeting.pair.expect_same("m");
    log.rotate();
    log.append(many_lines(2));
    meeting.pair.expect_same("m");

    meeting.pair.kill_collector();
    log.append(many_lines(3));
    for generation in 4..7 {
        log.rotate();
        log.append(many_lines(generation));
    }
    meeting.start_collector();
    meeting.pair.expect_same("m");

    meeting.pair.kill_server();
    log.append(many_lines(7));
    log.rotate();
    log.append("the last line\n");
    meeting.start_server();
    meeting.pair.expect_same("m");
    meeting.pair.expect_status("OK\n");
    assert_eq!(meeting.pair.losses(), NOTHING);
    if meeting.is_v2 {
        meeting.pair.expect_event(" verified md5=");
    }
}

/// Most of what the copy holds already is a hole in both files, and takes no room.
fn offsets_beyond_four_gigabytes(mut meeting: Meeting) {
    const HOLE: u64 = 5 << 30;
    let log = meeting.pair.log("m");
    let (remote, copy) = (log.path().to_owned(), meeting.pair.local("m"));
    meeting.start_server();
    meeting.start_collector();
    meeting.pair.expect_status("OK\n");
    meeting.pair.kill_collector();

    let mut written = "behind the hole\n".to_owned();
    for path in [&copy, &remote] {
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(written.as_bytes(), HOLE).unwrap();
    }
    for line in ["at once\n", "after a restart\n"] {
        log.append(line);
        written += line;
        meeting.start_collector();
        meeting.pair.until(|_| {
            let file = File::open(&copy).unwrap();
            let size = file.metadata().unwrap().len();
            let mut tail = vec![0; written.len()];
            match file.read_exact_at(&mut tail, HOLE) {
                Ok(()) if tail == written.as_bytes() && size == HOLE + written.len() as u64 => {
                    Ok(())
                }
                _ => Err(format!("the copy has {size} bytes")),
            }
        });
        meeting.pair.kill_collector();
    }
    assert_eq!(meeting.pair.losses(), NOTHING);
}

fn times_beyond_2038(mut meeting: Meeting) {
    meeting.start_server();
    meeting.start_collector();
    let log = meeting.pair.log("m");
    log.append("one\n");
    meeting.pair.expect_same("m");
    meeting.pair.kill_collector();
    for line in ["two\n", "three\n", "four\n"] {
        log.rotate();
        log.append(line);
    }
    let year = Duration::from_secs(31_557_600);
    for (path, years) in log.paths().into_iter().zip(67..) {
        // The first of them in 2037, the others behind the end of 32 bits.
        let time = SystemTime::UNIX_EPOCH + year * years;
        let file = File::options().append(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
    }
    meeting.start_collector();
    meeting.pair.expect_same("m");
    assert_eq!(meeting.pair.losses(), NOTHING);
}

/// A pair of daemons of which one is the other machine's.
struct Meeting {
    pair: Pair,
    foreign: Foreign,
    is_v2: bool,
}

impl Meeting {
    /// Neither of the two is running. The files are in memory, where there are holes and all times.
    fn prepare(foreign: Foreign, options: Options) -> Meeting {
        Meeting {
            foreign,
            is_v2: options.fields.is_empty(),
            pair: Pair::prepare(Options {
                grace_s: 0.5,
                in_memory: true,
                ..options
            }),
        }
    }

    fn start_server(&mut self) {
        self.pair.start_server_as(match self.foreign {
            Foreign::Server => foreign(),
            Foreign::Collector => Command::new(FETCHLOGS),
        });
    }

    fn start_collector(&mut self) {
        self.pair.start_collector_as(match self.foreign {
            Foreign::Server => Command::new(FETCHLOGS),
            Foreign::Collector => foreign(),
        });
    }
}

/// The other machine's program.
fn foreign() -> Command {
    let line = std::env::var("CROSS_COMMAND").unwrap_or_else(|_| FETCHLOGS.into());
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}

/// More than a socket takes at once.
fn many_lines(generation: u32) -> String {
    (0..20_000)
        .map(|line| format!("generation {generation}, line {line}\n"))
        .collect()
}
