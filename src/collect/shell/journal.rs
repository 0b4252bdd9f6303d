//! The journal of events: one line each on stdout, losses on stderr as well, or all of it to
//! syslog.

use std::fmt::Display;

use crate::collect::config::SourceConfig;
use crate::collect::event::Event;
use crate::report::Report;
use crate::sys::clock;
use crate::sys::stdio::Lines;
use crate::sys::syslog::Syslog;
use crate::time::{Mono, Wall};
use crate::wire::escape::{Escaped, OneLine};

/// The collector's way to tell what happens.
pub struct Journal {
    voice: Voice,
    report: Report,
}

/// Where events go.
enum Voice {
    Syslog(Syslog),
    /// Standard output and, if they are grave, standard error. Nobody may be reading any more; the
    /// files matter more than the lines about them.
    Standard(Lines, Lines),
}

impl Journal {
    /// Tells it to syslog, or to stdout and stderr.
    pub fn new(syslog: bool) -> Journal {
        if syslog {
            Journal {
                voice: Voice::Syslog(Syslog::new(NAME)),
                report: Report::to_syslog(NAME),
            }
        } else {
            Journal {
                voice: Voice::Standard(Lines::on_stdout(), Lines::on_stderr()),
                report: Report::to_stderr(NAME),
            }
        }
    }

    /// One event of one source: `TIME ADDRESS REMOTE_FILE TEXT`.
    pub fn event(&mut self, wall: Wall, source: &SourceConfig, event: &Event<'_>) {
        let text = format!("{} {} {event}", source.address, Escaped(&source.remote));
        let text = OneLine(&text);
        let (out, err) = match &mut self.voice {
            Voice::Syslog(syslog) => return syslog.send(&text.to_string()),
            Voice::Standard(out, err) => (out, err),
        };
        let time = clock::local_time(wall);
        let line = format!("{time} {text}\n");
        let notice = |count| format!("{time} lines left out because nobody read them: {count}\n");
        out.write(&line, notice);
        if event.is_grave() {
            err.write(&line, notice);
        }
    }

    /// Hears what time it is, once a turn, and tells how often a complaint came again.
    pub fn tick(&mut self, now: Mono) {
        self.report.tick(now);
    }

    /// When [`tick`](Self::tick) has something to tell.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.report.poll_timeout()
    }

    /// Something that concerns the collector itself.
    pub fn complain(&mut self, what: &dyn Display) {
        for line in what.to_string().lines() {
            self.report.say(format_args!("{line}"));
        }
    }
}

const NAME: &str = "fetch_logs";
