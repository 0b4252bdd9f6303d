//! What is explored: everything that the local files of a source go through.

use super::peer::Step::*;
use super::peer::{self, Dialect, Step};
use super::world::{Fails, Scenario};
use crate::collect::copy::pointer::{BootId, Pointer, Token};
use crate::ids::Inode;

/// All scenarios, with boxes that speak this.
pub fn all(dialect: Dialect) -> Vec<Scenario> {
    let new = |name, steps: &[Step]| plain(name, dialect, steps);
    let parts = [
        starts(&new),
        rotations(&new),
        inheritances(&new),
        losses(&new),
        hooks(&new),
    ];
    parts.concat()
}

/// Makes a scenario of a name and steps.
type New<'a> = &'a dyn Fn(&'static str, &[Step]) -> Scenario;

const FIRST: Step = Write(0, b"first line\n");

const ROTATION: [Step; 3] = [FIRST, Rotate(0), Write(0, b"second\n")];

/// What most scenarios have in common.
fn plain(name: &'static str, dialect: Dialect, steps: &[Step]) -> Scenario {
    Scenario {
        name,
        dialect,
        sources: 1,
        steps: steps.to_vec(),
        rename_new: true,
        prepare: |_| (),
        begun: 0,
        aside: &[],
        rescued: &[],
        loses: false,
        away: 0,
        gives_tokens: false,
        shares_barriers: false,
        hears: false,
        crashes: 1,
        fails: Fails::Each,
    }
}

/// The first contact, and what comes over one connection or two.
fn starts(new: New<'_>) -> Vec<Scenario> {
    let appends = [FIRST, Write(0, b"second\n")];
    let broken = [FIRST, HangUp(0), Write(0, b"second\n")];
    let quiet = [FIRST, Pause(61_000), Write(0, b"second\n")];
    let small = |name, steps: &[Step]| Scenario {
        crashes: 3,
        ..new(name, steps)
    };
    let appends = small("first contact", &appends);
    let hole = [
        Write(0, b"first\0\0\0\0\0\0behind"),
        Rotate(0),
        Write(0, b"\0\0\0\0\n"),
    ];
    match appends.dialect {
        Dialect::V2 => vec![
            appends,
            small("a broken connection", &broken),
            new("holes", &hole),
        ],
        // A connection that ends is nothing new to it, but it makes checkpoints.
        Dialect::Classic => vec![appends, small("checkpoints", &quiet)],
    }
}

/// Generations that end, in every way.
fn rotations(new: New<'_>) -> Vec<Scenario> {
    let two = [
        Write(0, b"first\n"),
        Rotate(0),
        Write(0, b"two\n"),
        Rotate(0),
        Write(0, b"3\n"),
    ];
    let failing = [
        Write(0, b"first\n"),
        Write(1, b"other\n"),
        Reopen(0),
        Rotate(1),
    ];
    let midnight = [Write(0, b"first\n"), Write(1, b"other\n"), Midnight];
    vec![
        Scenario {
            crashes: 2,
            ..new("rotation", &ROTATION)
        },
        Scenario {
            rename_new: false,
            ..new("rotation by link", &ROTATION)
        },
        Scenario {
            gives_tokens: true,
            ..new("rotations of files that are told apart", &two[..4])
        },
        new("two rotations", &two),
        Scenario {
            away: 2,
            ..new("rotations in absence", &two[..4])
        },
        new("empty generations", &[Rotate(0), Rotate(0), FIRST]),
        new(
            "truncation",
            &[FIRST, Copytruncate(0), Write(0, b"again\n")],
        ),
        Scenario {
            sources: 2,
            shares_barriers: true,
            crashes: 1,
            fails: Fails::Nothing,
            ..new("midnight", &midnight)
        },
        Scenario {
            sources: 2,
            shares_barriers: true,
            crashes: 1,
            fails: Fails::WholeSyncs,
            ..new("a disk that fails", &failing)
        },
        Scenario {
            loses: true,
            away: 2,
            ..new(
                "a box that deletes",
                &[FIRST, Write(0, b"second\n"), Rotate(0), Forget(0)],
            )
        },
    ]
}

/// What others left.
fn inheritances(new: New<'_>) -> Vec<Scenario> {
    vec![
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/p/m0", b"7\n");
                store.write("/l/m0", b"first");
            },
            ..new("after fetchlogs 1.1", &ROTATION)
        },
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/l/m0", b"not ours\n");
            },
            aside: &[b"not ours\n"],
            ..new("a copy without a pointer", &ROTATION)
        },
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/p/m0", held(7, 11).write().as_bytes());
            },
            ..new("a pointer without a copy", &ROTATION)
        },
    ]
}

/// A box that a power cut leaves with less than the collector holds, which classic cannot tell.
fn losses(new: New<'_>) -> Vec<Scenario> {
    let shorter = [FIRST, LoseEnd(0, 6), Write(0, b"again\n")];
    let scenario = Scenario {
        begun: 2,
        prepare: |store| {
            let origin = Pointer {
                mtime_ns: Some(1_000),
                token: Token::new(&peer::BOOT.to_be_bytes()),
                ..held(7, 0)
            };
            store.write("/p/m0", origin.write().as_bytes());
            store.write("/l/m0", b"first line\n");
        },
        rescued: &[b"line\n"],
        ..new("a box that loses an end", &shorter)
    };
    match scenario.dialect {
        Dialect::V2 => vec![scenario],
        Dialect::Classic => Vec::new(),
    }
}

/// What an operator's program is to hear.
fn hooks(new: New<'_>) -> Vec<Scenario> {
    let hearing = |scenario: Scenario| Scenario {
        hears: true,
        ..scenario
    };
    let midnight = [Write(0, b"first\n"), Write(1, b"other\n"), Midnight];
    let two = [FIRST, Rotate(0), Write(0, b"second\n"), Rotate(0)];
    let deletes = [FIRST, Write(0, b"second\n"), Rotate(0), Forget(0)];
    vec![
        hearing(Scenario {
            crashes: 2,
            ..new("a rotation that is heard", &ROTATION)
        }),
        hearing(Scenario {
            rename_new: false,
            ..new("a rotation by link that is heard", &ROTATION)
        }),
        hearing(Scenario {
            away: 2,
            ..new("rotations in absence that are heard", &two)
        }),
        hearing(Scenario {
            sources: 2,
            shares_barriers: true,
            fails: Fails::WholeSyncs,
            ..new("midnight that is heard", &midnight)
        }),
        hearing(Scenario {
            loses: true,
            away: 2,
            ..new("a loss that is heard", &deletes)
        }),
    ]
}

fn held(inode: u64, checkpoint: u64) -> Pointer {
    Pointer {
        checkpoint,
        boot: BootId::new("boot-0"),
        ..Pointer::of(Inode(inode))
    }
}
