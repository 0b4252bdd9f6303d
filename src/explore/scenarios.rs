//! What is explored: everything that the local files of a source go through.

use super::peer::Dialect;
use super::peer::Step::{self, *};
use super::world::Scenario;
use crate::collect::pointer::{BootId, Pointer};
use crate::ids::Inode;

/// What most scenarios have in common.
fn scenario(name: &'static str, dialect: Dialect, steps: &[Step]) -> Scenario {
    Scenario {
        name,
        dialect,
        sources: 1,
        steps: steps.to_vec(),
        rename_new: true,
        prepare: |_| (),
        begun: 0,
        aside: &[],
        loses: false,
        away: 0,
        shares_barriers: false,
    }
}

/// Everything that is explored.
pub fn all(dialect: Dialect) -> Vec<Scenario> {
    let new = |name, steps: &[Step]| scenario(name, dialect, steps);
    let rotation = [Write(0, b"first line\n"), Rotate(0), Write(0, b"second\n")];
    let two = [
        Write(0, b"first\n"),
        Rotate(0),
        Write(0, b"two\n"),
        Rotate(0),
        Write(0, b"3\n"),
    ];
    let first = Write(0, b"first line\n");
    vec![
        new("first contact", &[first, Write(0, b"second\n")]),
        new(
            "broken connection",
            &[first, HangUp(0), Write(0, b"second\n")],
        ),
        new("rotation", &rotation),
        Scenario {
            rename_new: false,
            ..new("rotation by link", &rotation)
        },
        new("two rotations", &two),
        new("empty generations", &[Rotate(0), Rotate(0), first]),
        Scenario {
            away: 2,
            ..new("rotations in absence", &two[..4])
        },
        new(
            "truncation",
            &[first, Pause(61_000), Copytruncate(0), Write(0, b"again\n")],
        ),
        new("pause", &[first, Pause(61_000), Write(0, b"second\n")]),
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/p/m0", b"7\n");
                store.write("/l/m0", b"first");
            },
            ..new("after fetchlogs 1.1", &rotation)
        },
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/l/m0", b"not ours\n");
            },
            aside: &[b"not ours\n"],
            ..new("a copy without a pointer", &rotation)
        },
        Scenario {
            begun: 1,
            prepare: |store| {
                store.write("/p/m0", &pointer(7, 11));
            },
            ..new("a pointer without a copy", &rotation)
        },
        Scenario {
            sources: 2,
            shares_barriers: true,
            ..new(
                "midnight",
                &[Write(0, b"first\n"), Write(1, b"other\n"), Midnight],
            )
        },
        Scenario {
            loses: true,
            away: 2,
            ..new(
                "a box that deletes",
                &[first, Write(0, b"second\n"), Rotate(0), Forget(0)],
            )
        },
    ]
}

fn pointer(inode: u64, checkpoint: u64) -> Vec<u8> {
    let pointer = Pointer {
        checkpoint,
        boot: BootId::new("boot-0"),
        ..Pointer::of(Inode(inode))
    };
    pointer.write().into_bytes().to_vec()
}
