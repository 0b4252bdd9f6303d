//! The screen of the demo: lines that stay, and on a terminal below them one that is refreshed.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// The output. Where it is no terminal it gets plain lines only.
pub struct Screen {
    out: Box<dyn Write>,
    began: Instant,
    is_live: bool,
    has_color: bool,
    /// The refreshed line, while it stands there.
    status: String,
    refreshed_at: Option<Instant>,
}

/// The look of a line on a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Like any other.
    Plain,
    /// A heading.
    Bold,
    /// A good end.
    Good,
    /// A bad end.
    Bad,
}

/// The shortest time between two changes of the refreshed line: less is unrest.
const REFRESH: Duration = Duration::from_millis(80);

/// To the start of the line, and away with what is there.
const CLEAR: &str = "\r\x1b[K";
/// Without and with a new line at the right edge: a narrow terminal cuts the refreshed line off.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

impl Screen {
    /// Shows on stdout, with the time since `began`.
    pub fn stdout(began: Instant) -> Screen {
        // no-color.org: set and not empty means no colours, whatever the value.
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        // A terminal that knows no escapes would show them.
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_live = io::stdout().is_terminal() && !is_dumb;
        Screen::new(
            Box::new(io::stdout()),
            began,
            is_live,
            is_live && !is_set("NO_COLOR"),
        )
    }

    fn new(out: Box<dyn Write>, began: Instant, is_live: bool, has_color: bool) -> Screen {
        Screen {
            out,
            began,
            is_live,
            has_color,
            status: String::new(),
            refreshed_at: None,
        }
    }

    /// Something that happened now. Lines after the first are indented like it.
    pub fn event(&mut self, what: impl Display) -> Result<(), Failure> {
        let stamp = format!("+{:.2} s", self.began.elapsed().as_secs_f32());
        let indent = format!("\n{:INDENT$}", "");
        let text = what.to_string().replace('\n', &indent);
        self.line(Look::Plain, format_args!("{stamp:<INDENT$}{text}"))
    }

    /// A line that is no event.
    pub fn line(&mut self, look: Look, text: impl Display) -> Result<(), Failure> {
        let (before, after) = match look {
            _ if !self.has_color => ("", ""),
            Look::Plain => ("", ""),
            Look::Bold => ("\x1b[1m", "\x1b[m"),
            Look::Good => ("\x1b[1;32m", "\x1b[m"),
            Look::Bad => ("\x1b[1;31m", "\x1b[m"),
        };
        // The refreshed line goes away, and comes again below the new one.
        let clear = if self.status.is_empty() { "" } else { CLEAR };
        self.write(&format!("{clear}{before}{text}{after}\n"))?;
        let status = std::mem::take(&mut self.status);
        self.draw(status)
    }

    /// Whether the refreshed line is to be told what it shows by now.
    pub fn wants_status(&self) -> bool {
        let is_old = |at: Instant| at.elapsed() >= REFRESH;
        self.is_live && self.refreshed_at.is_none_or(is_old)
    }

    /// Refreshes the last line.
    pub fn status(&mut self, text: String) -> Result<(), Failure> {
        self.refreshed_at = Some(Instant::now());
        // Over a slow line each byte counts, and most of the time nothing has changed.
        if self.is_live && text != self.status {
            self.draw(text)?;
        }
        Ok(())
    }

    /// Takes the refreshed line away.
    pub fn end_status(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.status).is_empty() {
            self.write(CLEAR)?;
        }
        Ok(())
    }

    fn draw(&mut self, status: String) -> Result<(), Failure> {
        if !status.is_empty() {
            self.write(&format!("{CLEAR}{NO_WRAP}{status}{WRAP}"))?;
        }
        self.status = status;
        Ok(())
    }

    /// One write for everything that belongs together.
    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.out
            .write_all(text.as_bytes())
            // The refreshed line ends without a line end, which is what stdout would wait for.
            .and_then(|()| self.out.flush())
            .map_err(Failure::Unheard)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.end_status();
    }
}

/// Columns for the time before an event: up to +99.99 s.
const INDENT: usize = 10;

/// Shows a number with a comma after every three digits.
#[derive(Clone, Copy)]
pub struct Grouped(pub u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what was written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn screen(is_live: bool) -> (Screen, Paper) {
        let paper = Paper::default();
        let screen = Screen::new(Box::new(paper.clone()), Instant::now(), is_live, is_live);
        (screen, paper)
    }

    #[test]
    fn without_a_terminal_there_are_plain_lines_only() {
        let (mut screen, paper) = screen(false);
        assert!(!screen.wants_status());
        screen.status("status".into()).unwrap();
        screen.event("one\ntwo").unwrap();
        screen.line(Look::Good, "identical").unwrap();
        screen.end_status().unwrap();
        assert_eq!(paper.text(), "+0.00 s   one\n          two\nidentical\n");
    }

    #[test]
    fn an_event_goes_above_the_status_which_is_gone_in_the_end() {
        let (mut screen, paper) = screen(true);
        assert!(screen.wants_status());
        screen.status("s1".into()).unwrap();
        assert!(!screen.wants_status());
        screen.line(Look::Plain, "event").unwrap();
        screen.line(Look::Bad, "bad").unwrap();
        drop(screen);
        let drawn = format!("{CLEAR}{NO_WRAP}s1{WRAP}");
        assert_eq!(
            paper.text(),
            format!("{drawn}{CLEAR}event\n{drawn}{CLEAR}\x1b[1;31mbad\x1b[m\n{drawn}{CLEAR}")
        );
    }

    #[test]
    fn a_status_that_stays_the_same_is_not_drawn_again() {
        let (mut screen, paper) = screen(true);
        screen.status("s".into()).unwrap();
        let before = paper.text();
        screen.status("s".into()).unwrap();
        assert_eq!(paper.text(), before);
    }

    #[test]
    fn digits_come_in_threes() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ];
        for (number, text) in cases {
            assert_eq!(Grouped(number).to_string(), text);
        }
    }
}
