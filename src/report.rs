//! The messages of a daemon about itself: one line an event, on stderr or to the system's log.
//!
//! These lines may end up in the very log that is served, so a line that comes again and again is
//! counted instead of printed, and a daemon that reports its own growth cannot feed itself.

use std::fmt;
use std::net::IpAddr;

use heapless::{String, Vec};

use crate::limits::{PEER_LINES_MAX, PEERS_HEARD_MAX};
use crate::sys::stdio::Lines;
use crate::sys::syslog::{self, Syslog};
use crate::time::Mono;
use crate::wire::escape::OneLine;

/// The place to which the lines go.
pub enum Sink {
    /// As `PROGRAM: text`.
    Stderr(Lines),
    /// To the system's log, with the program as its tag.
    Syslog(Syslog),
}

/// The voice of a program. It never fails: what cannot be said is lost.
pub struct Report {
    program: std::string::String,
    sink: Sink,
    last: Line,
    repeats: u32,
    /// When to tell how often the last line came again, and to forget it; `None` while there is
    /// none.
    window_end: Option<Mono>,
    of_peers: Quotas,
    now: Mono,
}

/// The quotas of lines about peers: who wants to can be refused a thousand times a second, and is
/// not to hide what there is to say of others.
#[derive(Default)]
struct Quotas {
    /// When the lines are counted anew; `None` while there are none.
    window_end: Option<Mono>,
    /// Who was the first to be spoken of.
    peers: Vec<(IpAddr, Quota), PEERS_HEARD_MAX>,
    /// All others together.
    others: Quota,
}

/// The lines that were said of a peer and those that were not.
#[derive(Default)]
struct Quota {
    said: u32,
    left_out: u32,
}

impl Quotas {
    fn of(&mut self, peer: IpAddr) -> &mut Quota {
        let found = self.peers.iter().position(|(ip, _)| *ip == peer);
        let at = found.or_else(|| {
            let added = self.peers.push((peer, Quota::default()));
            added.ok().map(|()| self.peers.len() - 1)
        });
        match at.and_then(|at| self.peers.get_mut(at)) {
            Some((_, quota)) => quota,
            None => &mut self.others,
        }
    }

    fn some_left_out(&self) -> bool {
        self.others.left_out > 0 || self.peers.iter().any(|(_, quota)| quota.left_out > 0)
    }
}

/// A line for a person, not a dump: what is longer is cut.
type Line = String<LINE_MAX_LEN>;
const LINE_MAX_LEN: usize = 512;

/// The time for which a line that comes again is counted instead of printed.
const WINDOW_MS: u64 = 60_000;

impl Report {
    /// Speaks as `program` on stderr.
    pub fn to_stderr(program: &str) -> Report {
        Report::new(program, Sink::Stderr(Lines::on_stderr()))
    }

    /// Speaks as `program` to the system's log.
    pub fn to_syslog(program: &str) -> Report {
        Report::new(program, Sink::Syslog(Syslog::new(program)))
    }

    /// Speaks as `program` to `sink`.
    pub fn new(program: &str, sink: Sink) -> Report {
        Report {
            program: program.to_owned(),
            sink,
            last: Line::new(),
            repeats: 0,
            window_end: None,
            of_peers: Quotas::default(),
            now: Mono::default(),
        }
    }

    /// Says one line: `report.say(format_args!("{peer}: {why}"))`. Control characters in it become
    /// `\xNN`, and what a peer sent should be wrapped in [`Escaped`](crate::wire::escape::Escaped)
    /// besides.
    pub fn say(&mut self, what: fmt::Arguments<'_>) {
        let line = line_of(what);
        if !self.count_repeat(&line) {
            self.say_new(line);
        }
    }

    /// The same for a line that a peer has caused and could cause again and again. Of many in a
    /// minute about one peer, be they alike or not, only the first are said; then how many others
    /// there were. `peer` is what its address counts as; one of IPv6 is a network of 64 bits.
    pub fn say_of_peer(&mut self, peer: IpAddr, what: fmt::Arguments<'_>) {
        let line = line_of(what);
        // A repeated line costs no more than a number, and so nothing of the quota.
        if self.count_repeat(&line) {
            return;
        }
        // The minute begins with its first line, not on the clock: so no burst falls on two sides
        // of a border.
        let end = self.now.plus_ms(WINDOW_MS);
        self.of_peers.window_end.get_or_insert(end);
        let quota = self.of_peers.of(peer);
        if quota.said < PEER_LINES_MAX {
            quota.said += 1;
            return self.say_new(line);
        }
        // The line is not remembered as the last one either: it was never seen, so it cannot come
        // "again".
        quota.left_out = quota.left_out.saturating_add(1);
    }

    /// Counts a line that is the last one once more.
    fn count_repeat(&mut self, line: &Line) -> bool {
        // Only the very last line: a memory of more would have to be bounded, and a flood of two
        // lines in turn is what the quota of peers is for.
        let is_repeat = self.window_end.is_some_and(|end| self.now < end) && *line == self.last;
        if is_repeat {
            self.repeats = self.repeats.saturating_add(1);
        }
        is_repeat
    }

    fn say_new(&mut self, line: Line) {
        // The number belongs to the line before, so it must be told before another takes its place.
        self.tell_repeats();
        self.print(&line);
        self.last = line;
        self.window_end = Some(self.now.plus_ms(WINDOW_MS));
    }

    /// Hears what time it is, once a turn, and tells how often a line came again when its minute is
    /// over.
    pub fn tick(&mut self, now: Mono) {
        self.now = now;
        if self.window_end.is_some_and(|end| end <= now) {
            // A line that came again in this minute may come in the next: it is still not printed
            // by itself.
            self.window_end = self.tell_repeats().then(|| now.plus_ms(WINDOW_MS));
        }
        if self.of_peers.window_end.is_some_and(|end| end <= now) {
            self.tell_left_out();
        }
    }

    /// When [`tick`](Report::tick) has something to tell.
    pub fn poll_timeout(&self) -> Option<Mono> {
        // A minute in which nothing came again ends without a word, and nobody is to wake up for
        // it.
        let repeats_at = self.window_end.filter(|_| self.repeats > 0);
        let of_peers = &self.of_peers;
        let left_out_at = of_peers.window_end.filter(|_| of_peers.some_left_out());
        repeats_at.into_iter().chain(left_out_at).min()
    }

    /// Tells how many lines about each peer were left out, if any were, and counts anew.
    fn tell_left_out(&mut self) {
        let of_peers = std::mem::take(&mut self.of_peers);
        for (peer, quota) in &of_peers.peers {
            let network = if peer.is_ipv6() { "/64" } else { "" };
            self.tell_left_out_of(&format_args!("{peer}{network}"), quota.left_out);
        }
        self.tell_left_out_of(&"other clients", of_peers.others.left_out);
    }

    fn tell_left_out_of(&mut self, who: &dyn fmt::Display, left_out: u32) {
        match left_out {
            0 => {}
            1 => self.say(format_args!("{who}: one more line was left out")),
            n => self.say(format_args!("{who}: {n} more lines were left out")),
        }
    }

    /// Tells how often the last line came again, if it did, and whether it did.
    fn tell_repeats(&mut self) -> bool {
        match std::mem::take(&mut self.repeats) {
            0 => return false,
            // With the line itself: in the system's log, between other programs, the first time may
            // stand far above.
            1 => self.print(&line_of(format_args!("the same once more: {}", self.last))),
            times => self.print(&line_of(format_args!(
                "the same {times} times more: {}",
                self.last
            ))),
        }
        true
    }

    fn print(&mut self, line: &str) {
        match &mut self.sink {
            Sink::Stderr(stderr) => print_to(stderr, &self.program, line),
            Sink::Syslog(syslog) => syslog.send(syslog::NOTICE, line),
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.tell_left_out();
        self.tell_repeats();
    }
}

/// One write for the whole line, so that the lines of two programs do not mix.
fn print_to(stderr: &mut Lines, program: &str, line: &str) {
    let mut whole: String<{ LINE_MAX_LEN + 64 }> = String::new();
    // The name is cut so that the line and its end always fit.
    let _ = fmt::write(&mut whole, format_args!("{program:.60}: {line}"));
    let _ = whole.push('\n');
    stderr.write(&whole, |count| {
        format!("{program:.60}: lines left out because nobody read them: {count}\n")
    });
}

fn line_of(what: fmt::Arguments<'_>) -> Line {
    let mut line = Clipped(Line::new());
    let _ = fmt::write(&mut line, what);
    line.0
}

/// Makes every piece fit for one line, and ends with `...` instead of failing when it is full.
struct Clipped(Line);

impl fmt::Write for Clipped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Character by character, so that the cut falls between two of them: the longest, four
        // bytes as `\xNN` each, takes sixteen.
        let mut piece: String<16> = String::new();
        for c in text.chars() {
            piece.clear();
            write!(piece, "{}", OneLine(c.encode_utf8(&mut [0; 4])))?;
            if self.0.len() + piece.len() > LINE_MAX_LEN - ELLIPSIS.len() {
                // Anything after this fails again, and the mark stands there once.
                let _ = self.0.push_str(ELLIPSIS);
                return Err(fmt::Error);
            }
            let _ = self.0.push_str(&piece);
        }
        Ok(())
    }
}

const ELLIPSIS: &str = "...";

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// A report and the logger that hears it.
    struct Heard {
        _dir: tempfile::TempDir,
        logger: UnixDatagram,
        report: Report,
    }

    impl Heard {
        fn new() -> Heard {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let logger = UnixDatagram::bind(&path).unwrap();
            logger.set_nonblocking(true).unwrap();
            let report = Report::new("x", Sink::Syslog(Syslog::to(&path, "x")));
            Heard {
                _dir: dir,
                logger,
                report,
            }
        }

        fn say(&mut self, text: &str) {
            self.report.say(format_args!("{text}"));
        }

        /// Says so many different lines about a peer. Returns how many were heard.
        fn say_of(&mut self, peer: &str, count: u32) -> u32 {
            let ip = peer.parse().unwrap();
            let mut lines = 0;
            for n in 0..count {
                self.report.say_of_peer(ip, format_args!("{peer}: {n}"));
                lines += self.lines().len();
            }
            lines as u32
        }

        fn tick(&mut self, ms: u64) {
            self.report.tick(Mono::from_ms(ms));
        }

        /// The lines since the last call.
        fn lines(&mut self) -> std::vec::Vec<std::string::String> {
            let mut buf = [0; 2048];
            let mut lines = std::vec::Vec::new();
            while let Ok(len) = self.logger.recv(&mut buf) {
                let message = std::str::from_utf8(&buf[..len]).unwrap();
                lines.push(message.split_once("]: ").unwrap().1.to_owned());
            }
            lines
        }
    }

    #[test]
    fn different_lines_are_all_said() {
        let mut heard = Heard::new();
        heard.say("a");
        heard.say("b");
        heard.say("a");
        assert_eq!(heard.lines(), ["a", "b", "a"]);
        assert_eq!(heard.report.poll_timeout(), None);
    }

    #[test]
    fn a_line_that_comes_again_is_counted_until_another_comes() {
        let mut heard = Heard::new();
        for _ in 0..4 {
            heard.say("a");
        }
        assert_eq!(heard.lines(), ["a"]);
        heard.say("b");
        assert_eq!(heard.lines(), ["the same 3 times more: a", "b"]);
        heard.say("b");
        heard.say("c");
        assert_eq!(heard.lines(), ["the same once more: b", "c"]);
    }

    #[test]
    fn the_count_is_told_after_a_minute_and_every_minute() {
        let mut heard = Heard::new();
        heard.tick(1000);
        heard.say("a");
        heard.say("a");
        assert_eq!(heard.lines(), ["a"]);
        assert_eq!(heard.report.poll_timeout(), Some(Mono::from_ms(61_000)));
        heard.tick(60_999);
        assert_eq!(heard.lines().len(), 0);
        heard.tick(61_000);
        assert_eq!(heard.lines(), ["the same once more: a"]);
        assert_eq!(heard.report.poll_timeout(), None);
        heard.say("a");
        assert_eq!(heard.lines().len(), 0);
        assert_eq!(heard.report.poll_timeout(), Some(Mono::from_ms(121_000)));
        heard.tick(121_000);
        assert_eq!(heard.lines(), ["the same once more: a"]);
    }

    #[test]
    fn after_a_quiet_minute_a_line_is_news_again() {
        let mut heard = Heard::new();
        heard.say("a");
        heard.tick(60_000);
        heard.say("a");
        assert_eq!(heard.lines(), ["a", "a"]);
    }

    #[test]
    fn nothing_counted_is_lost_at_the_end() {
        let mut heard = Heard::new();
        heard.say("a");
        heard.say("a");
        heard.report = Report::to_stderr("x");
        assert_eq!(heard.lines(), ["a", "the same once more: a"]);
    }

    #[test]
    fn of_many_lines_about_a_peer_only_some_are_said_in_a_minute() {
        let mut heard = Heard::new();
        heard.tick(1_000);
        let flood = PEER_LINES_MAX + 7;
        assert_eq!(heard.say_of("10.0.0.1", flood), PEER_LINES_MAX);
        heard.say("anything else");
        assert_eq!(heard.lines(), ["anything else"]);
        assert_eq!(heard.report.poll_timeout(), Some(Mono::from_ms(61_000)));
        heard.tick(60_999);
        assert!(heard.lines().is_empty());
        heard.tick(61_000);
        assert_eq!(heard.lines(), ["10.0.0.1: 7 more lines were left out"]);
        assert_eq!(heard.report.poll_timeout(), None);
        assert_eq!(heard.say_of("10.0.0.1", flood - 6), PEER_LINES_MAX);
        heard.report = Report::to_stderr("x");
        assert_eq!(heard.lines(), ["10.0.0.1: one more line was left out"]);
    }

    #[test]
    fn a_flood_about_one_peer_hides_nothing_of_others() {
        let mut heard = Heard::new();
        assert_eq!(heard.say_of("10.0.0.1", 1_000), PEER_LINES_MAX);
        assert_eq!(heard.say_of("2001:db8::", 3), 3);
        assert_eq!(heard.say_of("2001:db8:0:1::", 12), PEER_LINES_MAX);
        assert_eq!(heard.say_of("10.0.0.2", PEER_LINES_MAX), PEER_LINES_MAX);
        heard.tick(60_000);
        let (first, third) = (1_000 - PEER_LINES_MAX, 12 - PEER_LINES_MAX);
        let told = [
            format!("10.0.0.1: {first} more lines were left out"),
            format!("2001:db8:0:1::/64: {third} more lines were left out"),
        ];
        assert_eq!(heard.lines(), told);
    }

    #[test]
    fn of_more_peers_than_are_counted_the_others_share_what_one_may_have() {
        let mut heard = Heard::new();
        let peers = PEERS_HEARD_MAX as u32 + PEER_LINES_MAX + 5;
        let said: u32 = (0..peers)
            .map(|n| heard.say_of(&format!("10.0.{n}.1"), 1))
            .sum();
        assert_eq!(said, peers - 5);
        heard.tick(60_000);
        assert_eq!(heard.lines(), ["other clients: 5 more lines were left out"]);
        // In the next minute it may be others who are counted.
        assert_eq!(heard.say_of("10.0.200.1", 2), 2);
    }

    #[test]
    fn the_same_line_about_a_peer_takes_one_place() {
        let mut heard = Heard::new();
        let ip = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..100 {
            heard.report.say_of_peer(ip, format_args!("a"));
        }
        heard.report.say_of_peer(ip, format_args!("b"));
        assert_eq!(heard.lines(), ["a", "the same 99 times more: a", "b"]);
    }

    #[test]
    fn control_characters_do_not_get_through() {
        let mut heard = Heard::new();
        heard.say("a\nb\x1b[0m\\x07\u{9b}");
        assert_eq!(heard.lines(), ["a\\x0ab\\x1b[0m\\x07\\xc2\\x9b"]);
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_says_so() {
        let line = line_of(format_args!("{}{}", "ü\n".repeat(1000), "end"));
        assert!(line.len() <= LINE_MAX_LEN && line.len() > LINE_MAX_LEN - 8);
        assert!(line.ends_with("...") && !line.ends_with("...."));
        let fits = "x".repeat(LINE_MAX_LEN - ELLIPSIS.len());
        assert_eq!(line_of(format_args!("{fits}")).as_str(), fits);
    }

    #[test]
    fn a_closed_stderr_is_nothing_to_die_of() {
        let child = crate::sys::testing::in_child(|| {
            crate::sys::testing::break_stderr();
            let mut report = Report::to_stderr("x");
            report.say(format_args!("unheard"));
            7
        });
        assert_eq!(child.wait(), 7);
    }
}
