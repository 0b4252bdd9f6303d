//! What gzip has compressed, or says so.

use super::script::Script;
use crate::collect::archive::inflate::{Bad, Inflater};
use crate::limits::{INFLATED_MAX, INFLATED_RATIO_MAX, INFLATED_UNSUSPECTED};

/// An archive in any pieces is what it is in one, and no part of it is taken for more than it is.
pub fn archive(input: &[u8]) {
    let mut script = Script::new(input);
    let step = script.below(300) + 1;
    let archive = script.rest();
    let whole = inflate(archive, archive.len().max(1));
    assert_eq!(inflate(archive, step), whole);
    assert_eq!(inflate(archive, 1), whole);
    let Ok(bytes) = whole else {
        return;
    };
    // Members stand one behind the other, and nothing else does.
    let twice = [archive, archive].concat();
    let both = [&*bytes, &*bytes].concat();
    assert_eq!(inflate(&twice, step), Ok(both));
    let cut = &archive[..archive.len() - 1];
    assert_ne!(inflate(cut, step), Ok(bytes));
}

/// What it becomes if so many bytes come at once.
fn inflate(archive: &[u8], at_once: usize) -> Result<Vec<u8>, Bad> {
    let mut inflater = Inflater::new();
    let mut all = Vec::new();
    for piece in archive.chunks(at_once) {
        let mut rest = piece;
        loop {
            let (taken, bytes) = inflater.step(rest)?;
            rest = &rest[taken..];
            all.extend_from_slice(bytes);
            if taken == 0 && bytes.is_empty() {
                break;
            }
        }
        assert!(rest.is_empty(), "something is left");
    }
    let given = inflater.given();
    assert_eq!(given, all.len() as u64);
    assert!(given <= INFLATED_MAX);
    let ratio = given / (archive.len() as u64).max(1);
    assert!(given <= INFLATED_UNSUSPECTED || ratio <= INFLATED_RATIO_MAX);
    inflater.end().map(|()| all)
}
