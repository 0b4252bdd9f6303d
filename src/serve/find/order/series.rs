//! The order of the files of one series, whose names differ in their numbers only. Pure.

use super::name::Says;
use super::sure::wrong;
use super::{All, Order};

/// What comes of it.
pub(super) struct Verdict {
    /// The likely order, oldest first.
    pub first: Order,
    /// The order if the other explanation is right; the same, if there is none.
    pub second: Order,
    /// Numbers that say how many rotations ago decide.
    pub is_counted: bool,
}

impl Verdict {
    fn sure(order: Order) -> Verdict {
        Verdict {
            second: order.clone(),
            first: order,
            is_counted: false,
        }
    }
}

/// Judges the files of one series, which are given in the order of their times.
pub(super) fn judge(all: &All<'_>, members: &Order) -> Verdict {
    match members.first().map(|&at| all.name(at).says) {
        Some(Says::Count) => by_count(all, members),
        Some(Says::Stamp) => by_stamp(all, members),
        Some(Says::Nothing) | None => Verdict::sure(members.clone()),
    }
}

/// Whether the numbers of a series can be those of a rotator that begins with 0 or 1 and leaves out
/// none; one may be missing while it renames.
pub(super) fn may_count_since(all: &All<'_>, words: u32) -> bool {
    let numbers = || {
        let names = all.names.iter().filter(|name| name.words == words);
        names.map(|name| name.number[0])
    };
    let (Some(least), Some(greatest)) = (numbers().min(), numbers().max()) else {
        return false;
    };
    // How many names there are from the first that the rotator gives up to the greatest one.
    greatest.saturating_add(u64::from(least == 0)) <= numbers().count() as u64 + 1
}

/// Numbers that count: how many rotations ago, or upwards, or upwards and from the least again.
fn by_count(all: &All<'_>, members: &Order) -> Verdict {
    let number = |at: &u8| all.name(*at).number[0];
    let mut upwards = members.clone();
    upwards.sort_unstable_by_key(|at| (number(at), all.file(*at).inode));
    // `m.1` beside `m.01`: names that say the same do not tell which is newer.
    if upwards
        .windows(2)
        .any(|pair| number(&pair[0]) == number(&pair[1]))
    {
        return Verdict::sure(members.clone());
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
        let is_oldest = |at: &u8| members.first() == Some(at);
        anew.rotate_left(upwards.iter().position(is_oldest).unwrap_or(0));
    }
    let wrong_of = |order: &Order| wrong(&all.times(order));
    let (wrong_up, wrong_anew) = (wrong_of(&upwards), wrong_of(&anew));
    let (ring, wrong_ring) = match wrong_up <= wrong_anew {
        true => (upwards, wrong_up),
        false => (anew, wrong_anew),
    };
    if !may_count_since(all, all.name(least).words) {
        return rising(all, members, ring, wrong_ring, span);
    }
    // Every single file has to say so: some may be touched, or written by another clock.
    let wrong_since = wrong_of(&since);
    if wrong_ring > 0 || wrong_since == 0 {
        return Verdict {
            second: if wrong_ring < wrong_since {
                ring
            } else {
                since.clone()
            },
            first: since,
            is_counted: true,
        };
    }
    // A file or two that were touched, or a clock that was set, could be the reason too; but no
    // rotator that counts since has two files and neither 0 nor 1.
    let is_doubtful = match count {
        2 => number(&least) < 2,
        3 | 4 => wrong_up > 0,
        _ => false,
    };
    Verdict {
        second: if is_doubtful { since } else { ring.clone() },
        first: ring,
        is_counted: false,
    }
}

/// Numbers that cannot count rotations since: hours, processes, days of the month; or they count
/// upwards for ever. Those have no gaps.
fn rising(all: &All<'_>, members: &Order, ring: Order, wrong: u32, span: u64) -> Verdict {
    let count = members.len();
    let is_whole = span <= count as u64;
    match wrong {
        0 => Verdict::sure(ring),
        1 if is_whole && count >= 4 => Verdict::sure(ring),
        1 if is_whole => Verdict {
            second: ring,
            ..Verdict::sure(members.clone())
        },
        _ => {
            // Of those with one time the numbers tell nothing either; but some order there is.
            let mut order = members.clone();
            order.sort_unstable_by_key(|&at| (all.time(at), all.name(at).number));
            Verdict::sure(order)
        }
    }
}

/// Stamps: by the clock, and among equal ones by what is counted within, mostly upwards.
fn by_stamp(all: &All<'_>, members: &Order) -> Verdict {
    let number = |at: &u8| all.name(*at).number;
    let mut order = members.clone();
    // Of equal names the times tell, as those are given.
    order.sort_by_key(number);
    let is_step = |pair: &&[u8]| number(&pair[0])[..2] != number(&pair[1])[..2];
    let goes_back = |pair: &&[u8]| all.time(pair[1]) < all.time(pair[0]);
    // Dates that are contradicted at every step are none.
    if order.len() > 2
        && order
            .windows(2)
            .all(|pair| is_step(&pair) && goes_back(&pair))
    {
        return Verdict {
            second: order,
            ..Verdict::sure(members.clone())
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
    let mut since = members.clone();
    since.sort_by_key(|at| {
        let [date, time, one, two] = number(at);
        (date, time, u64::MAX - one, u64::MAX - two)
    });
    Verdict {
        second: if back < 2 { order } else { since.clone() },
        first: since,
        is_counted: false,
    }
}
