//! The two clocks and the local zone. Only the loop and the shells' start-up ask; everything else
//! is told.

use crate::time::{Civil, Mono, Now, Wall};

use super::{cvt, platform};

/// Reads both clocks. A clock that cannot be read stands at 0.
pub fn now() -> Now {
    Now {
        mono: Mono::from_ms(read(libc::CLOCK_MONOTONIC).as_ms()),
        wall: Wall::from_ms(read(libc::CLOCK_REALTIME).as_ms()),
    }
}

/// The date and time that a wall clock in this host's zone shows at `wall`.
pub fn local_time(wall: Wall) -> Civil {
    let secs = i64::try_from(wall.secs()).unwrap_or(i64::MAX);
    Civil::from_unix(secs.saturating_add(utc_offset_s(secs)))
}

/// Undoes the wrap of a 32-bit `time_t`, which a file system still hands out where the C library
/// has no wider one: what looks like a moment before 1970 is one after 2038. Elsewhere only a
/// moment before 1970 becomes 0.
pub fn unwrapped_secs(raw: i64) -> u64 {
    if TIME_T_IS_NARROW {
        u64::from(raw as u32)
    } else {
        u64::try_from(raw).unwrap_or(0)
    }
}

/// A clock's reading.
pub(super) struct Reading {
    pub secs: i64,
    pub nanos: i64,
}

impl Reading {
    #[inline(never)]
    fn as_ms(&self) -> u64 {
        let secs = u64::try_from(self.secs).unwrap_or(0);
        let ms = u64::try_from(self.nanos / 1_000_000).unwrap_or(0);
        secs.saturating_mul(1000).saturating_add(ms)
    }
}

fn read(clock: libc::clockid_t) -> Reading {
    if let Some(reading) = platform::read_wide_clock(clock) {
        return reading;
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a timespec of our own that outlives the call; on failure it keeps its
    // zeros.
    let _ = cvt(unsafe { libc::clock_gettime(clock, &mut time) });
    #[allow(
        clippy::useless_conversion,
        reason = "the two are narrower on some targets"
    )]
    Reading {
        secs: time.tv_sec.into(),
        nanos: time.tv_nsec.into(),
    }
}

const TIME_T_IS_NARROW: bool = size_of_val(
    &libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    }
    .tv_sec,
) == 4;

/// Seconds that local time is ahead of UTC at `secs`; 0 if the C library cannot tell.
fn utc_offset_s(secs: i64) -> i64 {
    let latest = if TIME_T_IS_NARROW {
        i64::from(i32::MAX)
    } else {
        i64::MAX
    };
    // SAFETY: a `tm` is plain numbers and a pointer, for all of which zero bytes are a value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    let time = same_calendar_before(secs, latest) as _;
    // SAFETY: both point to values of our own that outlive the call; the result is only compared
    // with null.
    let known = unsafe { !libc::localtime_r(&time, &mut tm).is_null() };
    #[allow(clippy::useless_conversion, reason = "narrower on some targets")]
    if known { tm.tm_gmtoff.into() } else { 0 }
}

/// The calendar, leap years and days of the week included, repeats after 28 years within one
/// century.
const CALENDAR_CYCLE_S: i64 = (28 * 365 + 7) * 24 * 3600;

/// The moment itself, or, when it lies behind `latest`, the last one before that with the same
/// calendar: a rule such as "the last Sunday of March" falls on the same days there.
fn same_calendar_before(secs: i64, latest: i64) -> i64 {
    let beyond = secs.saturating_sub(latest).max(0);
    let cycles = beyond / CALENDAR_CYCLE_S + i64::from(beyond % CALENDAR_CYCLE_S != 0);
    secs - cycles * CALENDAR_CYCLE_S
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing;

    #[test]
    fn the_clocks_run_forward_and_agree_with_the_standard_library() {
        let before = std::time::SystemTime::now();
        let first = now();
        let second = now();
        assert!(first.mono.ms() > 0);
        assert!(second.mono >= first.mono);
        let epoch = std::time::SystemTime::UNIX_EPOCH;
        let expected = before.duration_since(epoch).unwrap().as_millis() as u64;
        assert!(first.wall.ms().abs_diff(expected) < 60_000);
    }

    #[test]
    fn folding_keeps_the_calendar() {
        let latest = i64::from(i32::MAX);
        assert_eq!(same_calendar_before(latest, latest), latest);
        assert_eq!(
            same_calendar_before(latest + 1, latest),
            latest + 1 - CALENDAR_CYCLE_S
        );
        for secs in (latest..4_102_444_800).step_by(40_000_000) {
            let folded = same_calendar_before(secs, latest);
            let (there, here) = (Civil::from_unix(folded), Civil::from_unix(secs));
            assert!(folded <= latest && folded > latest - CALENDAR_CYCLE_S);
            assert_eq!(
                (there.month, there.day, there.hour),
                (here.month, here.day, here.hour)
            );
            assert_eq!(
                (secs - folded) / 86_400 % 7,
                0,
                "the day of the week changed"
            );
        }
        assert!(same_calendar_before(i64::MAX, latest) <= latest);
    }

    #[test]
    fn local_time_follows_the_zone_on_both_sides_of_2038() {
        let cases = [
            (1_795_350_596_000, "2026-11-22T13:29:56"),
            (1_782_900_000_000, "2026-07-01T12:00:00"),
            (2_540_282_400_000, "2050-07-01T12:00:00"),
            (2_524_647_600_000, "2050-01-01T12:00:00"),
        ];
        let child = testing::in_child(|| {
            testing::set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
            let right = cases
                .iter()
                .filter(|(ms, text)| local_time(Wall::from_ms(*ms)).to_string() == *text);
            right.count() as u8
        });
        assert_eq!(child.wait(), cases.len() as u8);
    }

    #[test]
    fn no_moment_makes_local_time_fail() {
        assert_eq!(local_time(Wall::from_ms(u64::MAX)).year, 9999);
    }

    #[test]
    fn a_wrapped_time_is_unwrapped_only_where_time_is_narrow() {
        assert_eq!(unwrapped_secs(1_795_354_196), 1_795_354_196);
        let expected = if TIME_T_IS_NARROW { 0x8000_0000 } else { 0 };
        assert_eq!(unwrapped_secs(i64::from(i32::MIN)), expected);
    }
}
