//! Which of the times of files can be right, if their order is. Pure.

use crate::limits::CANDIDATES_MAX;

/// As many as possible of the times, given in the order of their files, that do not go back from
/// one to the next: a bit for each. Of several such choices that with the earliest places, whose
/// times are the latest.
pub(super) fn sure(times: &[u64]) -> u64 {
    // The longest choice that ends with each, and the place before it there.
    let mut lens = [0u8; CANDIDATES_MAX];
    let mut before = [0u8; CANDIDATES_MAX];
    let mut last = None;
    for (place, time) in times.iter().enumerate().take(CANDIDATES_MAX) {
        let mut len = 0;
        for earlier in 0..place {
            if times[earlier] <= *time && lens[earlier] > len {
                len = lens[earlier];
                before[place] = earlier as u8;
            }
        }
        lens[place] = len + 1;
        if last.is_none_or(|last: usize| lens[place] > lens[last]) {
            last = Some(place);
        }
    }
    let mut sure = 0;
    while let Some(place) = last {
        sure |= 1 << place;
        last = (lens[place] > 1).then(|| usize::from(before[place]));
    }
    sure
}

/// How many of the times must be wrong, if the order of their files is right.
pub(super) fn wrong(times: &[u64]) -> u32 {
    (times.len() as u32).saturating_sub(sure(times).count_ones())
}

const _: () = assert!(CANDIDATES_MAX <= 64);
