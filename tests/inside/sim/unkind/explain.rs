//! What may be concluded from copies whose bytes repeat.
//!
//! Where generations are equal, or one is the beginning of another, bytes do not tell which
//! generation a copy is of. But copies come in the order of their generations, one for each. So the
//! question is whether there is any way at all to explain the copies: each by a generation that
//! begins with it, in order, none twice, and none left out that the collector has to have. Only if
//! there is none, something is wrong for certain.

/// One generation, as far as a copy of it has to be like it.
#[derive(Clone, Copy)]
pub struct Truth<'a> {
    /// Everything that was ever written to it.
    pub bytes: &'a [u8],
    /// So much of it a copy has to have; 0: there need not be one.
    pub must: usize,
    /// So much of it has to be there, or to be told as lost.
    pub traced: usize,
}

/// One copy that is not empty.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    /// What is in it.
    pub bytes: &'a [u8],
    /// So much of it is there to stay: the last frame of the live one may be taken back.
    pub firm: usize,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Wrong {
    /// Bytes are missing and nobody was told.
    Lost,
    /// One generation, or a part of it, is there twice.
    Twice,
    /// All is there, in another order than it was written in.
    Order,
    /// A copy is of no generation: bytes of several are in it, or some in its middle are missing.
    Joined,
    /// The live file is not followed to its end.
    Stuck,
}

/// How much is forgiven.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// Each generation that must be there is there, as far as it must be.
    Whole,
    /// Generations may be left out, and copies may end early.
    Gaps,
}

/// Whether a copy can be of a generation.
fn fits(copy: &Held<'_>, truth: &Truth<'_>, strict: Strictness) -> bool {
    let is_whole = strict == Strictness::Gaps || copy.bytes.len() >= truth.must;
    is_whole && truth.bytes.starts_with(copy.bytes)
}

/// Whether a generation can be without a copy.
fn may_miss(truth: &Truth<'_>, strict: Strictness) -> bool {
    strict == Strictness::Gaps || truth.must == 0
}

/// For each number of copies, and of generations: the fewest silent losses with which these copies
/// are explained by these generations; `None` if they cannot be.
fn ways(copies: &[Held<'_>], truths: &[Truth<'_>], strict: Strictness) -> Vec<Vec<Option<u32>>> {
    let mut ways = vec![vec![None; truths.len() + 1]; copies.len() + 1];
    ways[0][0] = Some(0);
    for (j, truth) in truths.iter().enumerate() {
        for i in 0..=copies.len() {
            let Some(losses) = ways[i][j] else {
                continue;
            };
            if may_miss(truth, strict) {
                // What comes behind all copies is not lost, but not fetched yet.
                let is_lost = truth.traced > 0 && i < copies.len();
                improve(&mut ways[i][j + 1], losses + u32::from(is_lost));
            }
            let Some(copy) = copies.get(i) else {
                continue;
            };
            if fits(copy, truth, strict) {
                let is_short = copy.bytes.len() < truth.traced && i + 1 < copies.len();
                improve(&mut ways[i + 1][j + 1], losses + u32::from(is_short));
            }
        }
    }
    ways
}

/// Keeps the better of two ways.
fn improve(best: &mut Option<u32>, losses: u32) {
    *best = Some(best.map_or(losses, |best| best.min(losses)));
}

/// What is wrong with the copies for certain, oldest first; `is_told` if the collector says that
/// something is missing, or that it is in doubt.
///
/// A loss or a doubt that is told excuses what is missing, double or out of order, since the words
/// do not say which generation they are about. It excuses neither a standstill nor a wrong join.
pub fn judge(copies: &[Held<'_>], truths: &[Truth<'_>], is_told: bool) -> Result<(), Wrong> {
    let is_whole = |ways: Vec<Vec<Option<u32>>>| ways[copies.len()][truths.len()];
    match is_whole(ways(copies, truths, Strictness::Whole)) {
        Some(0) => return Ok(()),
        Some(_) if is_told => return Ok(()),
        Some(_) => return Err(Wrong::Lost),
        None => {}
    }
    let is_of_none = |copy: &Held<'_>| !truths.iter().any(|t| fits(copy, t, Strictness::Gaps));
    if copies.iter().any(is_of_none) {
        return Err(Wrong::Joined);
    }
    let is_followed = |live: &Truth<'_>| {
        live.must == 0 || copies.iter().any(|c| fits(c, live, Strictness::Whole))
    };
    if !truths.last().is_none_or(is_followed) {
        return Err(Wrong::Stuck);
    }
    if is_told {
        return Ok(());
    }
    if is_whole(ways(copies, truths, Strictness::Gaps)).is_some() {
        return Err(Wrong::Lost);
    }
    match matching(copies, truths) == copies.len() {
        true => Err(Wrong::Order),
        false => Err(Wrong::Twice),
    }
}

/// How much of one generation the collector holds for certain at this moment, whichever way the
/// copies so far are explained; nothing if they cannot be, since then something else is wrong
/// already.
pub fn certain(copies: &[Held<'_>], truths: &[Truth<'_>], number: usize) -> usize {
    let Some((last, finished)) = copies.split_last() else {
        return 0;
    };
    let mut least = None;
    // The last copy, which need not be whole yet, can be of any of these.
    for own in (0..truths.len()).filter(|n| fits(last, &truths[*n], Strictness::Gaps)) {
        let held = certain_with(finished, last, own, truths, number);
        least = match (least, held) {
            (Some(least), Some(held)) => Some(held.min(least)),
            (least, held) => least.or(held),
        };
    }
    least.unwrap_or(0)
}

/// The same if the live copy is of the generation `own`; `None` if it cannot be.
fn certain_with(
    finished: &[Held<'_>],
    last: &Held<'_>,
    own: usize,
    truths: &[Truth<'_>],
    number: usize,
) -> Option<usize> {
    let before = &truths[..own];
    let all = ways(finished, before, Strictness::Whole);
    all[finished.len()][own]?;
    if number == own {
        return Some(last.firm);
    }
    if number > own {
        return Some(0);
    }
    // Which of the finished copies can be of that generation while the others are explained too?
    let (older, newer) = (&before[..number], &before[number + 1..]);
    let heads = ways(finished, older, Strictness::Whole);
    let tails = |from: usize| {
        ways(&finished[from..], newer, Strictness::Whole)[finished.len() - from][newer.len()]
    };
    let mut least = None;
    for i in (0..=finished.len()).filter(|i| heads[*i][number].is_some()) {
        if may_miss(&before[number], Strictness::Whole) && tails(i).is_some() {
            return Some(0);
        }
        let copy = finished.get(i);
        if let Some(copy) = copy.filter(|c| fits(c, &before[number], Strictness::Whole))
            && tails(i + 1).is_some()
        {
            least = Some(least.map_or(copy.firm, |least: usize| least.min(copy.firm)));
        }
    }
    least
}

/// How many copies can each have a generation of its own, in whatever order.
fn matching(copies: &[Held<'_>], truths: &[Truth<'_>]) -> usize {
    let mut owner = vec![None; truths.len()];
    (0..copies.len())
        .filter(|copy| {
            let mut seen = vec![false; truths.len()];
            settle(*copy, copies, truths, &mut owner, &mut seen)
        })
        .count()
}

/// Finds a generation for one more copy, moving others to another one where that helps.
fn settle(
    copy: usize,
    copies: &[Held<'_>],
    truths: &[Truth<'_>],
    owner: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for place in 0..truths.len() {
        let is_fit = fits(&copies[copy], &truths[place], Strictness::Gaps);
        if !is_fit || std::mem::replace(&mut seen[place], true) {
            continue;
        }
        let is_free = match owner[place] {
            Some(other) => settle(other, copies, truths, owner, seen),
            None => true,
        };
        if is_free {
            owner[place] = Some(copy);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generations that all must be there.
    fn whole<'a>(all: &[&'a str]) -> Vec<Truth<'a>> {
        let truth = |bytes: &&'a str| Truth {
            bytes: bytes.as_bytes(),
            must: bytes.len(),
            traced: 0,
        };
        all.iter().map(truth).collect()
    }

    /// Copies that are all there to stay.
    fn held<'a>(all: &[&'a str]) -> Vec<Held<'a>> {
        let held = |bytes: &&'a str| Held {
            bytes: bytes.as_bytes(),
            firm: bytes.len(),
        };
        all.iter().map(held).collect()
    }

    /// What is wrong with these copies of these generations, of which nothing is told.
    fn verdict(copies: &[&str], generations: &[&str]) -> Result<(), Wrong> {
        judge(&held(copies), &whole(generations), false)
    }

    #[test]
    fn every_generation_once_in_order() {
        assert_eq!(verdict(&["ab", "cd"], &["ab", "cd"]), Ok(()));
        assert_eq!(verdict(&["cd", "ab"], &["ab", "cd"]), Err(Wrong::Order));
        assert_eq!(
            verdict(&["ab", "cd", "ab"], &["ab", "cd"]),
            Err(Wrong::Twice)
        );
        assert_eq!(verdict(&["a", "cd"], &["ab", "cd"]), Err(Wrong::Lost));
        assert_eq!(verdict(&["cd"], &["ab", "cd"]), Err(Wrong::Lost));
        assert_eq!(verdict(&["ab"], &["ab", "cd"]), Err(Wrong::Stuck));
        assert_eq!(verdict(&["ab", "c"], &["ab", "cd"]), Err(Wrong::Stuck));
        assert_eq!(verdict(&["abcd"], &["ab", "cd"]), Err(Wrong::Joined));
    }

    #[test]
    fn equal_generations_are_counted() {
        assert_eq!(verdict(&["ab", "ab", "ab"], &["ab", "ab", "ab"]), Ok(()));
        assert_eq!(
            verdict(&["ab", "ab"], &["ab", "ab", "ab"]),
            Err(Wrong::Lost)
        );
        let four = ["ab", "ab", "ab", "ab"];
        assert_eq!(verdict(&four, &["ab", "ab", "ab"]), Err(Wrong::Twice));
    }

    #[test]
    fn a_beginning_is_a_generation_of_its_own() {
        assert_eq!(verdict(&["a", "ab", "a"], &["a", "ab", "a"]), Ok(()));
        assert_eq!(verdict(&["ab", "a"], &["a", "ab", "a"]), Err(Wrong::Lost));
        assert_eq!(
            verdict(&["ab", "a", "a"], &["a", "ab", "a"]),
            Err(Wrong::Order)
        );
    }

    #[test]
    fn what_is_told_excuses_what_is_missing_but_no_standstill_and_no_wrong_join() {
        let told =
            |copies: &[&str], generations: &[&str]| judge(&held(copies), &whole(generations), true);
        assert_eq!(told(&["cd"], &["ab", "cd"]), Ok(()));
        assert_eq!(told(&["ab"], &["ab", "cd"]), Err(Wrong::Stuck));
        assert_eq!(told(&["acd"], &["ab", "cd"]), Err(Wrong::Joined));
    }

    #[test]
    fn what_the_box_destroyed_is_missing_or_told() {
        let mut truths = whole(&["ab", "cd"]);
        (truths[0].must, truths[0].traced) = (0, 2);
        assert_eq!(judge(&held(&["cd"]), &truths, false), Err(Wrong::Lost));
        assert_eq!(judge(&held(&["cd"]), &truths, true), Ok(()));
        assert_eq!(judge(&held(&["ab", "cd"]), &truths, false), Ok(()));
        truths[0].traced = 0;
        assert_eq!(judge(&held(&["cd"]), &truths, false), Ok(()));
    }

    #[test]
    fn only_what_is_certain_is_held() {
        let truths = whole(&["ab", "ab", "ab"]);
        assert_eq!(certain(&held(&["ab", "a"]), &truths, 0), 2);
        assert_eq!(certain(&held(&["ab", "a"]), &truths, 1), 1);
        assert_eq!(certain(&held(&["ab", "a"]), &truths, 2), 0);
        let mut truths = truths;
        truths[0].must = 0;
        // The finished copy may be of the first or of the second.
        assert_eq!(certain(&held(&["ab", "a"]), &truths, 0), 0);
        assert_eq!(certain(&held(&["ab", "a"]), &truths, 1), 1);
        assert_eq!(certain(&[], &truths, 1), 0);
        // Nothing explains this.
        assert_eq!(certain(&held(&["xy"]), &truths, 1), 0);
    }
}
