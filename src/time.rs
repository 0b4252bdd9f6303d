//! Moments as values, and the calendar. Nobody can ask these types for "now": the loop reads the
//! clocks once a turn and hands both down.

use std::fmt;
use std::num::NonZeroU64;

use heapless::String;

/// A moment of the monotonic clock, in milliseconds since an arbitrary start. For deadlines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mono(
    // One more than the milliseconds: a deadline that there need not be takes no more room than
    // one, and a source has many.
    NonZeroU64,
);

impl Default for Mono {
    fn default() -> Mono {
        Mono(NonZeroU64::MIN)
    }
}

impl Mono {
    /// The moment `ms` milliseconds after the clock's start, of which the far end of time is the
    /// last.
    pub const fn from_ms(ms: u64) -> Mono {
        Mono(NonZeroU64::MIN.saturating_add(ms))
    }

    /// Milliseconds since the clock's start.
    pub const fn ms(self) -> u64 {
        self.0.get() - 1
    }

    /// The moment `ms` later; the far end of time instead of an overflow.
    #[must_use]
    #[inline(never)]
    pub const fn plus_ms(self, ms: u64) -> Mono {
        Mono(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 if that lies in the future.
    #[inline(never)]
    pub const fn since_ms(self, earlier: Mono) -> u64 {
        self.ms().saturating_sub(earlier.ms())
    }
}

/// A moment of the wall clock, in milliseconds since 1970 (UTC). For stamps and ages of files; it
/// may jump.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Wall(u64);

impl Wall {
    /// The moment `ms` milliseconds after the start of 1970.
    pub const fn from_ms(ms: u64) -> Wall {
        Wall(ms)
    }

    /// Milliseconds since the start of 1970.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since the start of 1970.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }
}

/// Both clocks, read together at the start of one turn of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For deadlines.
    pub mono: Mono,
    /// For ages of files and stamps.
    pub wall: Wall,
}

impl Now {
    /// When a moment to come will be, in whole seconds since the start of 1970, and not before it
    /// has come.
    pub fn secs_at(self, at: Mono) -> u64 {
        (self.wall.ms() + at.since_ms(self.mono)).div_ceil(1000)
    }
}

/// A date and a time of day, in whatever zone its maker chose. Displays as `2026-11-22T13:29:56`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Civil {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; a leap second does not show.
    pub second: u8,
}

impl Civil {
    /// The date and time `secs` seconds after the start of 1970. Add the zone's offset first to get
    /// local time. Moments outside the years 1 to 9999 become the nearest moment inside.
    pub fn from_unix(secs: i64) -> Civil {
        // A clock that was never set, or a hostile time stamp, must not make a year that does not
        // fit.
        let secs = secs.clamp(FIRST_SECOND, LAST_SECOND);
        // Euclidean, since before 1970 a plain division would round towards the next day.
        let (year, month, day) = date_of(secs.div_euclid(DAY_S));
        let second_of_day = secs.rem_euclid(DAY_S);
        Civil {
            year,
            month,
            day,
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
        }
    }

    /// The form that ends the name of a rotated copy: `20261122132956`.
    pub fn stamp(&self) -> String<14> {
        let mut text = String::new();
        // A year of five digits, which only a caller could make up, would be the only way to fill
        // the string.
        let _ = fmt::write(
            &mut text,
            format_args!(
                "{:04}{:02}{:02}{:02}{:02}{:02}",
                self.year.min(9999),
                self.month,
                self.day,
                self.hour,
                self.minute,
                self.second
            ),
        );
        text
    }
}

impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }
}

const DAY_S: i64 = 24 * 3600;
/// The first second of the year 1.
const FIRST_SECOND: i64 = -62_135_596_800;
/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// Days from 1 March of the year 0 to the start of 1970. Years counted from March end with the leap
/// day.
const DAYS_BEFORE_1970: i64 = 719_468;
const DAYS_IN_400_YEARS: i64 = 146_097;
const DAYS_IN_100_YEARS: i64 = 36_524;
const DAYS_IN_4_YEARS: i64 = 1461;
const MONTHS_FROM_MARCH: [i64; 12] = [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29];

/// The year, month and day that begin `days` days after 1970-01-01 in the Gregorian calendar.
fn date_of(days: i64) -> (u16, u8, u8) {
    // From here on nothing is negative: the clamp above keeps out whatever lies before the year 1.
    let days = days + DAYS_BEFORE_1970;
    let (four_centuries, days) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    // The last century of four and the last year of four are a day longer: without the cap they
    // would spill over.
    let century = (days / DAYS_IN_100_YEARS).min(3);
    let days = days - century * DAYS_IN_100_YEARS;
    let (four_years, days) = (days / DAYS_IN_4_YEARS, days % DAYS_IN_4_YEARS);
    let year = (days / 365).min(3);
    let mut day = days - year * 365;
    let mut months_since_march = 0;
    for length in MONTHS_FROM_MARCH {
        if day < length {
            break;
        }
        day -= length;
        months_since_march += 1;
    }
    // January and February belong to the year that was counted from the March before.
    let in_next_year = months_since_march >= 10;
    let year =
        four_centuries * 400 + century * 100 + four_years * 4 + year + i64::from(in_next_year);
    // March is 0 in this count and 3 for people.
    let month = months_since_march + if in_next_year { -9 } else { 3 };
    (year as u16, month as u8, day as u8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secs: i64) -> std::string::String {
        Civil::from_unix(secs).to_string()
    }

    #[test]
    fn known_moments_come_out_right() {
        assert_eq!(shown(0), "1970-01-01T00:00:00");
        assert_eq!(shown(-1), "1969-12-31T23:59:59");
        assert_eq!(shown(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(shown(951_868_799), "2000-02-29T23:59:59");
        assert_eq!(shown(951_868_800), "2000-03-01T00:00:00");
        assert_eq!(shown(1_795_354_196), "2026-11-22T13:29:56");
        assert_eq!(shown(2_147_483_648), "2038-01-19T03:14:08");
        assert_eq!(shown(4_107_542_400), "2100-03-01T00:00:00");
        assert_eq!(shown(4_107_542_399), "2100-02-28T23:59:59");
    }

    #[test]
    fn the_ends_of_time_are_the_years_1_and_9999() {
        assert_eq!(shown(i64::MIN), "0001-01-01T00:00:00");
        assert_eq!(shown(i64::MAX), "9999-12-31T23:59:59");
        assert_eq!(Civil::from_unix(i64::MAX).stamp(), "99991231235959");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        // The rule as a calendar states it, and not as the program computes it.
        let is_leap = |year: u16| {
            year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
        };
        let length = |year: u16, month: u8| match month {
            2 => 28 + u8::from(is_leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (mut year, mut month, mut day) = date_of(-200 * 365);
        for days in -200 * 365 + 1..500 * 366 {
            day += 1;
            if day > length(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
            assert_eq!(
                date_of(days),
                (year, month, day),
                "{days} days after 1970-01-01"
            );
        }
    }

    #[test]
    fn the_stamp_is_the_same_moment_in_digits() {
        assert_eq!(Civil::from_unix(1_795_354_196).stamp(), "20261122132956");
        let made_up = Civil {
            year: u16::MAX,
            ..Civil::from_unix(0)
        };
        assert_eq!(made_up.stamp(), "99990101000000");
    }
}
