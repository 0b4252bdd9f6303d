//! The sources of one server among each other, where that is fetchlogs 1.1.
//!
//! It has a child for each connection. When one of these ends, because its log was rotated or
//! truncated, the server waits until all are gone, and answers nobody new meanwhile: the log that
//! was rotated is not followed as long as another one of the same box is. So connections by classic
//! are closed for a moment, by which the server comes free. They go on by offset, and nothing is
//! sent twice.

use std::net::SocketAddr;

use super::link::Phase;
use super::{Context, Source};
use crate::limits::{
    ANEW_EACH_MS, ANEW_MIN_MS, ANEW_SPREAD_MAX_MS, ANEW_SPREAD_MS, RELIEF_EVERY_MS, RELIEF_MS,
    RELIEF_RETRY_MS, UNANSWERED_MAX,
};
use crate::time::Mono;

/// The contact of a source with its server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contact {
    /// It has none, or waits for an answer.
    None,
    /// It follows its log by classic: its connection may be closed for a moment.
    Idle,
    /// It is in the middle of something, or speaks version 2: its connection has to stay.
    Busy,
}

/// The relief of servers that answer nobody new: who had one, and when.
#[derive(Default)]
pub struct Relief {
    given: Vec<(SocketAddr, Mono)>,
}

impl Relief {
    /// Whether the connections to a server are to be closed for a moment, because a source of it
    /// gets no answer. `contacts` are those of all its sources. It is so once in some minutes at
    /// most, and only where it can help: where all that are connected may be closed.
    pub fn grant(
        &mut self,
        server: SocketAddr,
        now: Mono,
        contacts: impl Iterator<Item = Contact>,
    ) -> bool {
        self.given
            .retain(|(_, at)| now.since_ms(*at) < RELIEF_EVERY_MS);
        if self.given.iter().any(|(given, _)| *given == server) {
            return false;
        }
        let mut some_are_idle = false;
        for contact in contacts {
            match contact {
                Contact::None => {}
                Contact::Idle => some_are_idle = true,
                Contact::Busy => return false,
            }
        }
        if some_are_idle {
            self.given.push((server, now));
        }
        some_are_idle
    }
}

/// The time within which so many connections are made anew, so that they do not come all at once.
pub fn spread_ms(connections: usize) -> u64 {
    let wanted = ANEW_SPREAD_MS.saturating_add(ANEW_EACH_MS.saturating_mul(connections as u64));
    wanted.min(ANEW_SPREAD_MAX_MS)
}

impl<F> Source<F> {
    /// Its contact with the server.
    pub fn contact(&self) -> Contact {
        match self.link.phase() {
            Phase::Inquiring { .. } => Contact::Busy,
            // What is compared would be sent and compared from its beginning once more.
            Phase::Streaming { frames: None, .. }
                if self.end.again_at.get().is_none() && !self.is_changing() =>
            {
                Contact::Idle
            }
            Phase::Streaming { .. } => Contact::Busy,
            _ => Contact::None,
        }
    }

    /// Whether it asks its server and has no answer, or had none the last time.
    pub fn is_wanting(&self) -> bool {
        match self.link.phase() {
            Phase::Connecting { .. } | Phase::Asking { .. } | Phase::Answering { .. } => true,
            Phase::Waiting { .. } => self.health.error().is_some() && !self.intake.is_paused(),
            _ => false,
        }
    }

    /// Whether its server, which may be one of 1.1, takes connections and answers none.
    pub fn is_unanswered(&self) -> bool {
        self.link.unanswered() >= UNANSWERED_MAX
    }

    /// SIGHUP or SIGUSR1: has the next try now, if that is waited for because the last one failed.
    pub fn try_at_once(&mut self, now: Mono) {
        if self.is_wanting() {
            self.link.retry_now(now);
        }
    }

    /// SIGHUP or SIGUSR1: makes a connection by classic anew, within `spread_ms`, and has a server
    /// that did not answer asked again soon.
    pub fn connect_anew<S>(&mut self, spread_ms: u64, cx: &mut Context<'_, S>) {
        if self.contact() == Contact::Idle {
            let wait_ms = ANEW_MIN_MS + cx.random.below(spread_ms);
            self.link.pause(cx.now.mono.plus_ms(wait_ms));
        } else {
            self.hurry(spread_ms, cx);
        }
        self.check_invariants();
    }

    /// Makes room for the others of its server, which answers nobody new: closes a connection by
    /// classic until they are through, but not for long. One that gets no answer itself asks again
    /// soon and often meanwhile.
    pub fn make_room<S>(&mut self, spread_ms: u64, cx: &mut Context<'_, S>) {
        if self.contact() == Contact::Idle {
            let wait_ms = RELIEF_MS + cx.random.below(spread_ms);
            self.link.pause(cx.now.mono.plus_ms(wait_ms));
        } else {
            self.hurry(spread_ms, cx);
        }
        self.check_invariants();
    }

    fn hurry<S>(&mut self, spread_ms: u64, cx: &mut Context<'_, S>) {
        // To try more often helps neither full disks nor who is refused by version 2.
        if !self.is_wanting() || self.health.is_in_trouble_with_files() || self.link.speaks_v2() {
            return;
        }
        let until = cx.now.mono.plus_ms(RELIEF_MS);
        let wait_ms = RELIEF_RETRY_MS + spread_ms / 4;
        self.link.hurry(until, wait_ms, cx.random, cx.now.mono);
    }

    /// Whether it still tries to get through, for which others have closed their connections.
    pub fn is_hurried(&self, now: Mono) -> bool {
        self.link.is_hurried(now)
    }

    /// Whether it got through since this was asked last, so that the others may come back.
    pub fn take_through(&mut self) -> bool {
        self.link.take_through()
    }

    /// Comes back, within `spread_ms`, if it has made room for others.
    pub fn come_back<S>(&mut self, spread_ms: u64, cx: &mut Context<'_, S>) {
        let wait_ms = cx.random.below(spread_ms);
        self.link.end_pause(cx.now.mono.plus_ms(wait_ms));
        self.check_invariants();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::error::Closed;
    use crate::collect::source::Periods;
    use crate::collect::source::tests::Rig;

    const PERIODS: Periods = Periods {
        retry_ms: 5_000,
        wait_ms: 3_000,
        idle_ms: 120_000,
    };

    fn server(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 19))
    }

    /// The wait until the next deadline of a source.
    fn wait_ms(rig: &Rig) -> u64 {
        let at = rig.source.link.deadline(&PERIODS).unwrap();
        at.since_ms(Mono::from_ms(rig.now_ms))
    }

    /// One whose questions get no answer, so many times.
    fn unanswered(times: u32) -> Rig {
        let mut rig = Rig::asking_again();
        for time in 0..times {
            if time > 0 {
                rig.connect();
            }
            rig.wait();
        }
        rig
    }

    #[test]
    fn a_relief_is_granted_once_in_some_minutes_where_it_can_help() {
        use Contact::{Busy, Idle, None};
        let mut relief = Relief::default();
        let mut grant = |last, now_ms, contacts: &[Contact]| {
            let contacts = contacts.iter().copied();
            relief.grant(server(last), Mono::from_ms(now_ms), contacts)
        };
        assert!(!grant(1, 0, &[None, None]));
        assert!(!grant(1, 0, &[None, Idle, Busy]));
        assert!(grant(1, 0, &[None, Idle, Idle]));
        assert!(!grant(1, RELIEF_EVERY_MS - 1, &[None, Idle]));
        assert!(grant(2, RELIEF_EVERY_MS - 1, &[None, Idle]));
        assert!(grant(1, RELIEF_EVERY_MS, &[None, Idle]));
    }

    #[test]
    fn connections_by_classic_are_made_anew_and_go_on_by_offset() {
        let mut rig = Rig::streaming();
        rig.with(|source, cx| source.connect_anew(2_000, cx));
        assert!(!rig.source.wants_connection());
        assert!(!rig.source.in_error());
        assert!((ANEW_MIN_MS..ANEW_MIN_MS + 2_000).contains(&wait_ms(&rig)));
        assert_eq!(rig.connect(), "/var/log/m 7 3\n");
        rig.receive(b"O 7\ndef");
        assert_eq!(rig.local(), b"abcdef");
        assert_eq!(rig.said(), [""; 0]);
    }

    #[test]
    fn who_wants_an_answer() {
        let mut rig = Rig::new();
        assert!(!rig.source.is_wanting(), "it is new");
        rig.connect();
        assert!(rig.source.is_wanting());
        rig.wait();
        assert!(rig.source.is_wanting());
        let rig = Rig::streaming();
        assert!(!rig.source.is_wanting());
    }

    #[test]
    fn version_2_keeps_its_connection() {
        let mut rig = Rig::offering();
        rig.connect();
        rig.receive(b"O 7 v2 at=0 size=0 m=1 b=00000001\n");
        assert_eq!(rig.source.contact(), Contact::Busy);
        rig.with(|source, cx| source.connect_anew(2_000, cx));
        rig.with(|source, cx| source.make_room(2_000, cx));
        assert!(rig.source.wants_connection());
        rig.close(Closed::ByServer);
        for _ in 0..5 {
            rig.connect();
            rig.wait();
        }
        assert!(!rig.source.is_unanswered());
    }

    #[test]
    fn what_is_compared_is_not_sent_once_more() {
        let mut rig = Rig::streaming();
        rig.boot = crate::collect::copy::pointer::BootId::new("second").unwrap();
        let mut rig = Rig::on(rig.disk);
        rig.boot = crate::collect::copy::pointer::BootId::new("second").unwrap();
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\na");
        assert_eq!(rig.source.contact(), Contact::Busy);
        rig.receive(b"bc");
        assert_eq!(rig.source.contact(), Contact::Idle);
    }

    #[test]
    fn what_counts_as_no_answer() {
        assert!(!unanswered(1).source.is_unanswered());
        let mut rig = unanswered(2);
        assert!(rig.source.is_unanswered());
        // The line of those who wait is full.
        rig.wait();
        rig.wait();
        assert!(rig.source.is_unanswered());
        rig.connect();
        rig.close(Closed::ByServer);
        assert!(!rig.source.is_unanswered());
        // Nobody can be reached.
        let mut rig = Rig::asking_again();
        rig.close(Closed::ByServer);
        for _ in 0..5 {
            rig.wait();
            rig.wait();
        }
        assert!(!rig.source.is_unanswered());
        let mut rig = unanswered(2);
        rig.wait();
        rig.close(Closed::NotMade(std::io::Error::from_raw_os_error(111)));
        assert!(!rig.source.is_unanswered());
    }

    #[test]
    fn who_gets_no_answer_hurries_until_it_is_through() {
        let mut rig = unanswered(6);
        assert!(wait_ms(&rig) > 30_000);
        rig.with(|source, cx| source.make_room(2_000, cx));
        for (asked, answer) in [("7 3", ""), ("7 3", ""), ("0 0", "O 7\n"), ("7 3", "")] {
            assert!(wait_ms(&rig) <= 2_000, "{}", wait_ms(&rig));
            assert_eq!(rig.connect(), format!("/var/log/m {asked}\n"));
            assert!(rig.source.is_hurried(Mono::from_ms(rig.now_ms)));
            rig.receive(answer.as_bytes());
            rig.close(Closed::ByServer);
            assert!(!rig.source.take_through());
        }
        assert_eq!(rig.connect(), "/var/log/m 0 0\n");
        rig.receive(b"O 7\n");
        assert!(rig.source.take_through());
        assert!(!rig.source.take_through());
        assert!(!rig.source.is_hurried(Mono::from_ms(rig.now_ms)));
    }

    #[test]
    fn who_is_refused_whatever_it_asks_does_not_keep_the_others_away() {
        let mut rig = unanswered(2);
        rig.with(|source, cx| source.make_room(2_000, cx));
        for asked in ["7 3", "7 3", "0 0"] {
            assert!(!rig.source.take_through());
            assert_eq!(rig.connect(), format!("/var/log/m {asked}\n"));
            rig.close(Closed::ByServer);
        }
        assert!(rig.source.take_through());
        assert!(!rig.source.is_hurried(Mono::from_ms(rig.now_ms)));
    }

    #[test]
    fn who_cannot_connect_hurries_no_more() {
        let mut rig = unanswered(6);
        rig.with(|source, cx| source.connect_anew(2_000, cx));
        assert!(wait_ms(&rig) <= 2_000);
        rig.wait();
        rig.close(Closed::NotMade(std::io::Error::from_raw_os_error(111)));
        assert!(wait_ms(&rig) > 30_000);
    }

    #[test]
    fn who_hurries_in_vain_waits_as_before() {
        let mut rig = unanswered(6);
        rig.with(|source, cx| source.make_room(2_000, cx));
        rig.now_ms += RELIEF_MS;
        rig.connect();
        rig.wait();
        assert!(wait_ms(&rig) > 30_000);
        assert!(!rig.source.is_hurried(Mono::from_ms(rig.now_ms)));
    }

    #[test]
    fn who_made_room_comes_back_when_the_others_are_through_or_after_a_while() {
        for are_through in [false, true] {
            let mut rig = Rig::streaming();
            rig.with(|source, cx| source.make_room(2_000, cx));
            assert!((RELIEF_MS..RELIEF_MS + 2_000).contains(&wait_ms(&rig)));
            if are_through {
                rig.now_ms += 3_000;
                rig.with(|source, cx| source.come_back(2_000, cx));
                assert!(wait_ms(&rig) < 2_000);
            }
            assert_eq!(rig.connect(), "/var/log/m 7 3\n");
            rig.receive(b"O 7\n");
            rig.close(Closed::ByServer);
            let before = wait_ms(&rig);
            rig.with(|source, cx| source.come_back(1, cx));
            assert_eq!(wait_ms(&rig), before, "it does not make room any more");
        }
    }

    #[test]
    fn many_come_back_one_after_the_other() {
        assert!(spread_ms(1) < 3_000);
        assert!(spread_ms(100) >= 100 * 20);
        assert_eq!(spread_ms(usize::MAX), ANEW_SPREAD_MAX_MS);
    }
}
