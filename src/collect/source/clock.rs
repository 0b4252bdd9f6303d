//! The clock of the box beside ours. Nothing is decided by it: times of files are compared with
//! each other only. But whoever reads the logs of many boxes trusts their clocks.

use super::{Context, Source};
use crate::collect::event::Event;
use crate::limits::BOX_CLOCK_FAR_S;

impl<F> Source<F> {
    /// Tells where the clock that an answer names, 0 for none, is far from ours, and where it no
    /// longer is. The time that the answer took on its way counts as a difference, too.
    pub(super) fn compare_clocks<S>(&mut self, told_s: u32, cx: &mut Context<'_, S>) {
        if told_s == 0 {
            return;
        }
        let ahead_s = i64::from(told_s) - cx.now.wall.secs() as i64;
        let is_far = ahead_s.unsigned_abs() > BOX_CLOCK_FAR_S;
        if self.link.note_clock(is_far) {
            let event = match is_far {
                true => Event::ClockFar(ahead_s),
                false => Event::ClockRight,
            };
            (cx.events)(&self.config, event);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::collect::error::Closed;
    use crate::collect::source::tests::Rig;

    /// What is said of an answer by a box whose clock is so far ahead; none is told by the last.
    fn said(rig: &mut Rig, ahead_s: Option<i64>) -> Vec<String> {
        rig.connect();
        let now_s = (rig.now_ms / 1000) as i64;
        let clock = ahead_s.map(|ahead_s| format!(" t={}", now_s + ahead_s));
        let clock = clock.unwrap_or_default();
        let answer = format!("O 7 v2 at=0 size=0 m=1 b=00000000{clock}\n");
        rig.receive(answer.as_bytes());
        let said = rig.said();
        rig.close(Closed::ByServer);
        let of_clocks = said.into_iter().filter(|text| text.contains("clock"));
        of_clocks.collect()
    }

    #[test]
    fn a_clock_that_is_far_from_ours_is_told_once() {
        let mut rig = Rig::offering();
        // Virtual time begins in 1970.
        rig.now_ms = 10_000_000;
        assert_eq!(said(&mut rig, Some(60)), [""; 0]);
        assert_eq!(
            said(&mut rig, Some(7_203)),
            ["the clock of the box is 7203 s ahead of ours, and the times in its logs are too"]
        );
        assert_eq!(said(&mut rig, Some(7_300)), [""; 0]);
        assert_eq!(said(&mut rig, None), [""; 0]);
        assert_eq!(
            said(&mut rig, Some(-60)),
            ["the clock of the box is right again"]
        );
        assert_eq!(
            said(&mut rig, Some(-61)),
            ["the clock of the box is 61 s behind ours, and the times in its logs are too"]
        );
    }
}
