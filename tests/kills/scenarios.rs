//! What happens to a log and to both programs while one of them is watched.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use super::fault::Program;
use super::stage::{Done, Stage};
use crate::common::process::Signal;

/// One of them.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What happens. It ends when everything has arrived.
    pub script: fn(&mut Stage<'_>) -> Done,
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "first-contact",
        script: first_contact,
    },
    Scenario {
        name: "append",
        script: append,
    },
    Scenario {
        name: "rotation",
        script: rotation,
    },
    Scenario {
        name: "two-rotations",
        script: two_rotations,
    },
    Scenario {
        name: "resume",
        script: resume,
    },
    Scenario {
        name: "copytruncate",
        script: copytruncate,
    },
    Scenario {
        name: "disk-full",
        script: disk_full,
    },
    Scenario {
        name: "hup",
        script: hup,
    },
    Scenario {
        name: "usr1",
        script: usr1,
    },
    Scenario {
        name: "outage",
        script: outage,
    },
    Scenario {
        name: "classic-rotation",
        script: classic_rotation,
    },
    Scenario {
        name: "classic-outage",
        script: classic_outage,
    },
    Scenario {
        name: "history-all",
        script: history_all,
    },
    Scenario {
        name: "gone",
        script: gone,
    },
    Scenario {
        name: "healing",
        script: healing,
    },
    Scenario {
        name: "forgotten",
        script: forgotten,
    },
    #[cfg(feature = "gz")]
    Scenario {
        name: "compressed-outage",
        script: compressed_outage,
    },
];

/// Something without a pointer is in the way of the copy.
fn first_contact(stage: &mut Stage<'_>) -> Done {
    let stranger = b"of an older run\n";
    fs::write(stage.local(), stranger).unwrap();
    stage.log().append(5);
    stage.log().begin_with(stranger);
    stage.start()?;
    stage.settle()
}

/// Nothing is there yet; then a line, then much at once.
fn append(stage: &mut Stage<'_>) -> Done {
    stage.start()?;
    stage.settle()?;
    stage.log().append(1);
    stage.settle()?;
    stage.log().append(9_000);
    stage.settle()
}

fn rotation(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    rotate(stage);
    stage.settle()
}

fn two_rotations(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    rotate(stage);
    rotate(stage);
    stage.settle()
}

/// Grown meanwhile; and a good end of the watched program.
fn resume(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.before(Stage::settle)?;
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    stage.restart_watched()?;
    stage.log().append(5);
    stage.settle()
}

fn copytruncate(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    stage.log().copy_and_truncate();
    stage.log().append(3);
    stage.settle()
}

/// The collector's disk is full when the log grows, and has room again later.
fn disk_full(stage: &mut Stage<'_>) -> Done {
    if !stage.place().shrink_disk() {
        return Err("skipped: a small file system cannot be mounted here".into());
    }
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    stage.place().fill_disk();
    stage.log().append(500);
    stage.log().rotate();
    stage.log().append(5);
    stage.until_said("No space left")?;
    stage.place().clear_disk();
    stage.settle()
}

/// Another log for both, and another way of following the first.
fn hup(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    stage.add_log();
    stage.reconfigure("history=all")?;
    stage.log().append(5);
    stage.settle()
}

fn usr1(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    stage.log().append(5);
    stage.tell(Program::Collector, Signal::USR1)?;
    stage.tell(Program::Server, Signal::USR1)?;
    rotate(stage);
    stage.settle()
}

fn outage(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.before(Stage::settle)?;
    for _ in 0..3 {
        rotate(stage);
        apart();
    }
    stage.start()?;
    stage.settle()
}

/// Each generation is compressed as soon as it is rotated, that which is held first.
#[cfg(feature = "gz")]
fn compressed_outage(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.before(Stage::settle)?;
    for _ in 0..5 {
        stage.log().append(3);
        stage.log().rotate_and_compress();
        stage.log().append(2);
        apart();
    }
    stage.start()?;
    stage.settle()
}

fn classic_rotation(stage: &mut Stage<'_>) -> Done {
    stage.set_fields("proto=classic");
    rotation(stage)
}

fn classic_outage(stage: &mut Stage<'_>) -> Done {
    stage.set_fields("proto=classic");
    outage(stage)
}

fn history_all(stage: &mut Stage<'_>) -> Done {
    stage.set_fields("history=all");
    stage.log().append(5);
    rotate(stage);
    apart();
    rotate(stage);
    stage.start()?;
    stage.settle()
}

/// The generation that is held was deleted, with lines that were never had.
fn gone(stage: &mut Stage<'_>) -> Done {
    stage.log().append(5);
    stage.before(Stage::settle)?;
    let inode = fs::metadata(stage.log().path()).unwrap().ino();
    let held = stage.log().generations()[0].len();
    let loss = format!(" lost {inode}:{held},");
    stage.log().delete(5);
    stage.log().append(5);
    stage.expect_loss();
    stage.start()?;
    stage.settle()?;
    let [record] = &stage.beside(".gaps")[..] else {
        return Err("the loss is not on record".into());
    };
    let record = fs::read_to_string(record).unwrap();
    // Who failed behind the first line may know more of the same loss the next time.
    let mut told: Vec<&str> = record.lines().map(|line| &line[14..]).collect();
    let lines = told.len();
    told.dedup();
    let is_it = |line: &&str| line.contains(&loss);
    match told.len() == lines && told.iter().all(is_it) {
        true => Ok(()),
        false => Err(format!("this is on record: {record:?}")),
    }
}

/// Somebody has damaged the live copy; it comes out when its generation is complete.
fn healing(stage: &mut Stage<'_>) -> Done {
    stage.log().append(600);
    stage.start()?;
    stage.settle()?;
    let copy = File::options().write(true).open(stage.local()).unwrap();
    copy.write_all_at(b"XXXX", 5_000).unwrap();
    let damaged = fs::read(stage.local()).unwrap();
    let damaged = [damaged, stage.log().append(3)].concat();
    stage.log().rotate();
    stage.log().append(2);
    stage.settle_after_damage(&damaged)
}

/// The box has lost its last writes in a power cut.
fn forgotten(stage: &mut Stage<'_>) -> Done {
    stage.log().append(600);
    stage.before(Stage::settle)?;
    let held = stage.log().generations()[0].clone();
    // What comes in its place begins with another byte.
    let is_other = |len: &usize| held[*len] != b'l';
    let len = (0..held.len() - 1_000).rev().find(is_other).unwrap();
    let forgotten = stage.log().forget_behind(len);
    stage.pretend_another_boot();
    stage.log().append(5);
    stage.start()?;
    stage.settle()?;
    let [rescued] = &stage.beside(".rescued.")[..] else {
        return Err("what the box has forgotten is not kept, or kept twice".into());
    };
    let rescued = fs::read(rescued).unwrap();
    match held.ends_with(&rescued) && rescued.ends_with(&forgotten) {
        true => Ok(()),
        false => Err("what the box has forgotten is not kept as it was".into()),
    }
}

/// Lets some time pass. Of generations that were written at one moment, while no server saw them
/// come, nothing tells the order to whoever could not write down what it was told of them.
fn apart() {
    std::thread::sleep(std::time::Duration::from_millis(30));
}

/// A rotation with lines before and behind it.
fn rotate(stage: &mut Stage<'_>) {
    stage.log().append(3);
    stage.log().rotate();
    stage.log().append(2);
}
