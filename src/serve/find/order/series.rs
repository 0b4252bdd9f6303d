//! The order of the files of one series, whose names differ in their numbers only. Pure.

use super::name::Says;
use super::{All, Order};
use crate::sorting::sort_by_key;

/// What comes of it.
pub(super) struct Verdict {
    /// The likely order, oldest first.
    pub first: Order,
    /// The order if the other explanation is right; the same, if there is none.
    pub second: Order,
    /// Numbers that say how many rotations ago decide.
    pub is_counted: bool,
    /// Different numbers tell the order of files whose times are equal.
    pub tells: bool,
}

impl Verdict {
    fn sure(order: Order) -> Verdict {
        Verdict {
            second: order.clone(),
            first: order,
            is_counted: false,
            tells: false,
        }
    }
}

/// Judges the files of one series, which are given in the order of their times.
pub(super) fn judge(all: &All<'_>, members: &[u16]) -> Verdict {
    match members.first().map(|&at| all.name(at).says) {
        Some(Says::Count) => Verdict {
            tells: may_count_since(all, members),
            ..by_count(all, members)
        },
        Some(Says::Stamp) => Verdict {
            tells: true,
            ..by_stamp(all, members)
        },
        Some(Says::Nothing) | None => Verdict::sure(members.to_vec()),
    }
}

/// Whether the numbers of a series can be those of a rotator that begins with 0 or 1 and leaves out
/// none; one may be missing while it renames.
fn may_count_since(all: &All<'_>, members: &[u16]) -> bool {
    if all.are_names_kept {
        return false;
    }
    let numbers = || members.iter().map(|&at| all.name(at).number[0]);
    let (Some(least), Some(greatest)) = (numbers().min(), numbers().max()) else {
        return false;
    };
    // How many names there are from the first that the rotator gives up to the greatest one.
    greatest.saturating_add(u64::from(least == 0)) <= members.len() as u64 + 1
}

/// Numbers that count: how many rotations ago, or upwards, or upwards and from the least again.
fn by_count(all: &All<'_>, members: &[u16]) -> Verdict {
    let number = |at: &u16| all.name(*at).number[0];
    let mut upwards = members.to_vec();
    sort_by_key(&mut upwards, |at| (number(at), all.file(*at).id));
    // `m.1` beside `m.01`: names that say the same do not tell which is newer.
    if upwards
        .windows(2)
        .any(|pair| number(&pair[0]) == number(&pair[1]))
    {
        return Verdict::sure(members.to_vec());
    }
    let mut since = upwards.clone();
    since.reverse();
    let Some((&least, &greatest)) = upwards.first().zip(upwards.last()) else {
        return Verdict::sure(since);
    };
    let span = number(&greatest) - number(&least);
    let count = members.len();
    let mut anew = upwards.clone();
    // A few numbers with a gap do not begin anew.
    if count >= 5 || count >= 3 && span < count as u64 {
        let is_oldest = |at: &u16| members.first() == Some(at);
        anew.rotate_left(upwards.iter().position(is_oldest).unwrap_or(0));
    }
    let wrong_of = |order: &Order| wrong(all, order);
    // The oldest may have been written to later than the one after it.
    let at_seam = all.are_names_kept.then(|| from_seam(all, &anew));
    if let Some(ring) = at_seam.filter(|ring| wrong_of(ring) <= wrong_of(&anew)) {
        anew = ring;
    }
    let (wrong_up, wrong_anew) = (wrong_of(&upwards), wrong_of(&anew));
    let (ring, wrong_ring) = match wrong_up <= wrong_anew {
        true => (upwards, wrong_up),
        false => (anew, wrong_anew),
    };
    if !may_count_since(all, members) {
        return rising(all, members, ring, wrong_ring, span);
    }
    // Whoever touches a file does not change its birth.
    if all.seem_born_in(&since) {
        return Verdict {
            is_counted: true,
            ..Verdict::sure(since)
        };
    }
    // Every single file has to say so: some may be touched, or written by another clock.
    let wrong_since = wrong_of(&since);
    let born = born_ring(all, &ring);
    // What is copied in the order of its names is born in that too, whichever way those count.
    if count >= 5
        && let Some(born) = &born
        && wrong_of(born) < wrong_since
    {
        return Verdict::sure(born.clone());
    }
    if wrong_ring > 0 || wrong_since == 0 {
        return Verdict {
            second: if wrong_ring < wrong_since {
                ring
            } else {
                since.clone()
            },
            first: since,
            is_counted: true,
            tells: false,
        };
    }
    // What was written before it was created, was so by a clock that was set back, or was copied.
    let went_back = members
        .iter()
        .all(|&at| all.file(at).born_ns > Some(all.time(at)));
    // A file or two that were touched, or a clock that was set, could be the reason too; but no
    // rotator that counts since has two files and neither 0 nor 1.
    let is_doubtful = match count {
        2 => number(&least) < 2,
        3 | 4 => {
            wrong_up > 0 || born.as_ref() != Some(&ring) && has_births(all, members) || went_back
        }
        _ => false,
    };
    Verdict {
        second: if is_doubtful { since } else { ring.clone() },
        first: ring,
        is_counted: false,
        tells: false,
    }
}

/// The ring that begins behind the greatest step back in time.
fn from_seam(all: &All<'_>, ring: &Order) -> Order {
    let before = |n: usize| ring[n.checked_sub(1).unwrap_or(ring.len() - 1)];
    let step_back = |n: &usize| all.time(before(*n)).saturating_sub(all.time(ring[*n]));
    // Of equal steps the first one, which is where it begins already.
    let seam = (0..ring.len()).rev().max_by_key(step_back).unwrap_or(0);
    let mut ring = ring.clone();
    ring.rotate_left(seam);
    ring
}

/// The ring that begins with the file that was created first, if all others were created in its
/// order too.
fn born_ring(all: &All<'_>, ring: &Order) -> Option<Order> {
    let first = (0..ring.len()).min_by_key(|&n| all.file(ring[n]).born_ns)?;
    let mut ring = ring.clone();
    ring.rotate_left(first);
    all.are_born_in(&ring).then_some(ring)
}

/// Whether it is known of each file when it was created.
fn has_births(all: &All<'_>, members: &[u16]) -> bool {
    members.iter().all(|&at| all.file(at).born_ns.is_some())
}

/// Numbers that cannot count rotations since: hours, processes, days of the month; or they count
/// upwards for ever. Those have no gaps.
fn rising(all: &All<'_>, members: &[u16], ring: Order, wrong: usize, span: u64) -> Verdict {
    let count = members.len();
    let is_whole = span <= count as u64;
    match wrong {
        0 => Verdict::sure(ring),
        1 if is_whole && count >= 4 => Verdict::sure(ring),
        1 if is_whole => Verdict {
            second: ring,
            ..Verdict::sure(members.to_vec())
        },
        _ => {
            // Of those with one time the numbers tell nothing either; but some order there is.
            let mut order = members.to_vec();
            sort_by_key(&mut order, |&at| (all.time(at), all.name(at).number));
            Verdict::sure(order)
        }
    }
}

/// Stamps: by the clock, and among equal ones by what is counted within, mostly upwards.
fn by_stamp(all: &All<'_>, members: &[u16]) -> Verdict {
    let number = |at: &u16| all.name(*at).number;
    let mut order = members.to_vec();
    // Of equal names the times tell, as those are given.
    sort_by_key(&mut order, number);
    let is_step = |pair: &&[u16]| number(&pair[0])[..2] != number(&pair[1])[..2];
    let goes_back = |pair: &&[u16]| all.time(pair[1]) < all.time(pair[0]);
    // Dates that are contradicted at every step are none.
    if order.len() > 2
        && order
            .windows(2)
            .all(|pair| is_step(&pair) && goes_back(&pair))
    {
        return Verdict {
            second: order,
            ..Verdict::sure(members.to_vec())
        };
    }
    let within = || order.windows(2).filter(|pair| !is_step(pair));
    let back = within().filter(goes_back).count();
    let forth = within()
        .filter(|pair| all.time(pair[1]) > all.time(pair[0]))
        .count();
    if back <= forth {
        return Verdict::sure(order);
    }
    // What is counted within a stamp is counted since.
    let mut since = members.to_vec();
    sort_by_key(&mut since, |at| {
        let [date, time, one, two] = number(at);
        (date, time, u64::MAX - one, u64::MAX - two)
    });
    Verdict {
        second: if back < 2 { order } else { since.clone() },
        first: since,
        is_counted: false,
        tells: false,
    }
}

/// How many of the times must be wrong, if the order of their files is right: all but the most that
/// do not go back from one to the next.
fn wrong(all: &All<'_>, order: &[u16]) -> usize {
    // The least time with which a choice of each length can end.
    let mut ends: Vec<u64> = Vec::new();
    for time in order.iter().map(|&at| all.time(at)) {
        let longest = ends.partition_point(|end| *end <= time);
        match ends.get_mut(longest) {
            Some(end) => *end = time,
            None => ends.push(time),
        }
    }
    order.len() - ends.len()
}
