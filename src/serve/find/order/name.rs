//! What the name of a rotated file says of its place in the order. Pure.

use crate::wire::crc32::Crc32;

/// What a name says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name {
    /// Names with the same words are one series, and can be compared.
    pub words: u32,
    /// What kind of number stands between the words.
    pub says: Says,
    /// The number. Of a stamp the first two parts are date and time, the others what is counted
    /// within.
    pub number: [u64; 4],
}

/// The kind of number in a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Says {
    /// There is none.
    Nothing,
    /// It counts, be it how many rotations ago, or upwards, or within a week.
    Count,
    /// It comes from a clock.
    Stamp,
}

impl Name {
    /// Reads the name of a file that is a rotated one of the log with the name `live`.
    pub fn read(live: &[u8], name: &[u8]) -> Name {
        let rest = Rest::of(live, name);
        let rest = rest.0.as_slice();
        stamp(rest).or_else(|| count(rest)).unwrap_or(Name {
            words: words(&[rest]),
            says: Says::Nothing,
            number: [0; 4],
        })
    }
}

/// What is left of a name without that of the log: digits there say nothing.
struct Rest(heapless::Vec<u8, NAME_LEN_MAX>);

/// No file system takes a longer name.
const NAME_LEN_MAX: usize = 255;

impl Rest {
    fn of(live: &[u8], name: &[u8]) -> Rest {
        if let Some(rest) = behind(live, name) {
            return Rest::joined(&[rest]);
        }
        // `app.log` becomes `app.1.log` or `app-20261122.log.1`.
        let dot = live.iter().rposition(|&byte| byte == b'.');
        let (stem, ending) = live.split_at(dot.unwrap_or(live.len()));
        match behind(stem, name) {
            Some(rest) => {
                let mut places = rest.windows(ending.len().max(1));
                match places.rposition(|place| place == ending) {
                    Some(at) => Rest::joined(&[&rest[..at], &rest[at + ending.len()..]]),
                    None => Rest::joined(&[rest]),
                }
            }
            None => Rest::joined(&[name]),
        }
    }

    fn joined(parts: &[&[u8]]) -> Rest {
        let mut rest = heapless::Vec::new();
        // Of a long path the end.
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let bytes = parts.iter().copied().flatten();
        rest.extend(bytes.skip(len.saturating_sub(NAME_LEN_MAX)).copied());
        Rest(rest)
    }
}

/// What stands behind the name of the log; `None` if this is another one's, as `app12` is no
/// rotated file of `app1`.
fn behind<'a>(log: &[u8], name: &'a [u8]) -> Option<&'a [u8]> {
    let rest = name.strip_prefix(log).filter(|_| !log.is_empty())?;
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    (!is_digit(log.last()) || !is_digit(rest.first())).then_some(rest)
}

/// A checksum of what stands around a number.
fn words(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc32::new();
    for part in parts {
        // Keeps `a1.b` and `1a.b` apart, whose words without the number would be the same bytes.
        crc.update(part).update(b"\0");
    }
    crc.finish()
}

/// The number of a name without a stamp: the last one, as in `app2.log.3`, where the 2 belongs to
/// the words.
fn count(rest: &[u8]) -> Option<Name> {
    let end = rest.iter().rposition(u8::is_ascii_digit)? + 1;
    let start = rest[..end].iter().rposition(|byte| !byte.is_ascii_digit());
    let start = start.map_or(0, |before| before + 1);
    Some(Name {
        words: words(&[&rest[..start], &rest[end..]]),
        says: Says::Count,
        number: [number(&rest[start..end]), 0, 0, 0],
    })
}

/// A moment in a name, where it ends, and the way in which it is written.
struct Moment {
    date: u64,
    time: u64,
    end: usize,
    way: u8,
}

/// The first stamp in a name, and what is counted behind it.
fn stamp(rest: &[u8]) -> Option<Name> {
    let found = (0..rest.len()).find_map(|start| Some((start, moment(rest, start)?)));
    let (start, moment) = found?;
    let tail = &rest[moment.end..];
    let mut runs = tail
        .split(|byte| !byte.is_ascii_digit())
        .filter(|run| !run.is_empty());
    let mut next = || runs.next().map_or(0, |run| number(run).saturating_add(1));
    let number = [moment.date, moment.time, next(), next()];
    // Of what is behind only the letters: `m-20261122` and `m-20261122.1` are of one series. What
    // daemontools put behind a label says how it was closed.
    let mut letters = heapless::Vec::<u8, NAME_LEN_MAX>::new();
    let is_word = |byte: &&u8| byte.is_ascii_alphabetic() && moment.way != LABEL;
    letters.extend(tail.iter().filter(is_word).copied().take(NAME_LEN_MAX));
    Some(Name {
        words: words(&[&rest[..start], &[moment.way], &letters]),
        says: Says::Stamp,
        number,
    })
}

/// The way of daemontools.
const LABEL: u8 = b'@';

/// The moment that begins here.
fn moment(rest: &[u8], start: usize) -> Option<Moment> {
    let here = rest.get(start..)?;
    if here.first() == Some(&LABEL) {
        return label(here, start);
    }
    let is_inside = start > 0 && rest[start - 1].is_ascii_digit();
    if is_inside || !here.first()?.is_ascii_digit() {
        return None;
    }
    let moment = |way, date, time, len| {
        Some(Moment {
            date,
            time,
            end: start + len,
            way,
        })
    };
    let (date, len) = match run(here) {
        // Seconds, then milli-, micro- and nanoseconds since 1970.
        run @ (10 | 13 | 16 | 19) if calendar_hour(&here[..10]).is_none() => {
            let is_since = (SECS_MIN..=SECS_MAX).contains(&number(&here[..10]));
            return moment(run as u8, number(&here[..run]), 0, run).filter(|_| is_since);
        }
        10 => (date(&here[..8])?, 8),
        8 | 12 | 14.. => (date(&here[..8])?, 8),
        4 => {
            let year = number(&here[..4]);
            if let Some((week, len)) = week(&here[4..]) {
                return moment(b'W', year * 100 + week, 0, 4 + len).filter(|_| is_year(year));
            }
            match dashed(here) {
                Some(found) => found,
                None => {
                    let (way, date, len) = part_of_year(here)?;
                    return moment(way, date, 0, len);
                }
            }
        }
        _ => return None,
    };
    let (time, time_len) = time(&here[len..]).unwrap_or((0, 0));
    moment(b'D', date, time, len + time_len)
}

/// The label in a name like `@4000000068f0a1b21d8e3f2c.s`, as svlogd, s6-log and multilog write it:
/// seconds since 1970 and 2^62, then nanoseconds. They may rotate several times in a second.
fn label(here: &[u8], start: usize) -> Option<Moment> {
    let digits = here.get(1..)?;
    let nanos = digits.get(16..24).and_then(hexadecimal);
    Some(Moment {
        // It counts TAI, some seconds ahead of UTC. All labels do, so their order is the same.
        date: hexadecimal(digits.get(..16)?)?,
        time: nanos.unwrap_or(0),
        end: start + if nanos.is_some() { 25 } else { 17 },
        way: LABEL,
    })
}

/// Seconds since 1970 that a file may have been rotated at: 2001 to 2100.
const SECS_MIN: u64 = 1_000_000_000;
const SECS_MAX: u64 = 4_102_444_800;

fn is_year(year: u64) -> bool {
    (1970..=2100).contains(&year)
}

/// How many digits there are from here on.
fn run(here: &[u8]) -> usize {
    here.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// `YYYYMMDD`. A month beyond 12 tells that the day stands first; a day beyond 31 tells nothing.
fn date(digits: &[u8]) -> Option<u64> {
    let date = number(digits);
    (is_year(date / 10_000) && (1..=12).contains(&(date / 100 % 100))).then_some(date)
}

/// `YYYYMMDDHH`.
fn calendar_hour(digits: &[u8]) -> Option<u64> {
    let hour = number(&digits[8..]);
    date(&digits[..8]).filter(|_| hour < 24)
}

/// `-WNN` or `WNN`, behind a year, and how long that is.
fn week(here: &[u8]) -> Option<(u64, usize)> {
    let dash = usize::from(here.first() == Some(&b'-'));
    let here = here.get(dash..)?;
    let week = here.strip_prefix(b"W").or(here.strip_prefix(b"w"))?;
    let is_week = run(week) == 2 && (1..=53).contains(&number(&week[..2]));
    is_week.then(|| (number(&week[..2]), dash + 3))
}

/// `YYYY-MM-DD`, with whatever between any two, and how long that is.
fn dashed(here: &[u8]) -> Option<(u64, usize)> {
    let is_apart = |at: usize| here.get(at).is_some_and(|byte| b"-_./".contains(byte));
    let are_two = |at: usize| here.get(at..).is_some_and(|rest| run(rest) == 2);
    if !is_apart(4) || !are_two(5) || !is_apart(7) || !are_two(8) {
        return None;
    }
    let mut digits = [0; 8];
    digits[..4].copy_from_slice(&here[..4]);
    digits[4..6].copy_from_slice(&here[5..7]);
    digits[6..].copy_from_slice(&here[8..10]);
    Some((date(&digits)?, 10))
}

/// `YYYY-MM` or the day of the year in `YYYY-DDD`: how it is written, what it says, how long it is.
fn part_of_year(here: &[u8]) -> Option<(u8, u64, usize)> {
    let year = number(&here[..4]);
    let part = here.get(5..)?;
    let len = run(part);
    let most = match len {
        2 => 12,
        3 => 366,
        _ => return None,
    };
    let is_part = here[4] == b'-' && (1..=most).contains(&number(&part[..len]));
    let is_one = is_part && is_year(year);
    is_one.then(|| (len as u8, year * 1_000 + number(&part[..len]), 5 + len))
}

/// The time of day behind a date, `HHMM`, `HHMMSS`, `HH:MM` or `HH:MM:SS`, and where it ends. An
/// hour alone may as well be a number, and is taken for one.
fn time(here: &[u8]) -> Option<(u64, usize)> {
    let gap = here
        .iter()
        .take_while(|byte| !byte.is_ascii_digit())
        .count();
    if gap > 2 {
        return None;
    }
    let at = &here[gap..];
    // `HHMMSS` with so many fields, and how long that is in the name.
    let (digits, fields, len) = match run(at) {
        4 => (number(&at[..4]), 2, 4),
        // Behind the seconds there may be fractions.
        6 | 9 | 12 | 15 => (number(&at[..6]), 3, 6),
        2 => {
            let mut fields = at.chunks(3).take(3).take_while(|field| run(field) == 2);
            let first = number(&fields.next()?[..2]);
            let minute = number(&fields.next()?[..2]);
            let is_end = run(at.get(3..)?) == 2;
            let second = fields
                .next()
                .filter(|_| at.get(6..).is_some_and(|s| run(s) == 2));
            match second {
                _ if !is_end => return None,
                Some(second) => ((first * 100 + minute) * 100 + number(&second[..2]), 3, 8),
                None => (first * 100 + minute, 2, 5),
            }
        }
        _ => return None,
    };
    let time = if fields == 2 { digits * 100 } else { digits };
    let is_time = time / 10_000 < 24 && time / 100 % 100 < 60 && time % 100 <= 60;
    is_time.then_some((time, gap + len))
}

/// At most 16 hexadecimal digits as a number.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = (byte as char).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

/// A run of digits as a number; the largest there is if it does not fit.
fn number(run: &[u8]) -> u64 {
    run.iter().fold(0u64, |value, &byte| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(byte - b'0'))
    })
}
