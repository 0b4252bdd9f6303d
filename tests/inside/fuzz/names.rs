//! The order of generations by any names and times.

use std::collections::BTreeSet;

use super::script::Script;
use crate::ids::{FileId, Inode};
use crate::serve::find::order::{self, Evidence};

const FILES_MAX: usize = 24;

/// Whatever files are called, they have one order, which is that of no list.
pub fn names(input: &[u8]) {
    let mut script = Script::new(input);
    let live = script.bytes();
    let mut names = Vec::new();
    while names.len() < FILES_MAX
        && let Some(flags) = script.next()
    {
        let moment = script.number();
        let born = (flags & 1 == 1).then(|| script.number());
        names.push((script.bytes(), moment, born));
    }
    let files: Vec<Evidence<'_>> = (0..)
        .zip(&names)
        .map(|(n, (name, mtime_ns, born_ns))| Evidence {
            name,
            mtime_ns: *mtime_ns,
            born_ns: *born_ns,
            id: FileId {
                device: 1,
                inode: Inode(n),
            },
        })
        .collect();
    let turned: Vec<Evidence<'_>> = files.iter().rev().copied().collect();
    for arrange in [order::arrange, order::arrange_some] {
        let placed = arrange(live, &files);
        let ages: BTreeSet<_> = placed.iter().map(|it| it.age).collect();
        assert_eq!(ages.len(), files.len());
        for (placed, file) in placed.iter().zip(&files) {
            assert_eq!(placed.age.id, file.id);
            // A name may say that it is newer than its time does, and never that it is older.
            assert!(placed.age.mtime_ns() >= file.mtime_ns);
            assert!(!placed.is_doubtful_beside(placed));
        }
        let mut other = arrange(live, &turned);
        other.reverse();
        assert_eq!(other, placed);
    }
}
