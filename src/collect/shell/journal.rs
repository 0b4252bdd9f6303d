//! The journal of events: one line each on stdout, losses on stderr as well, or all of it to
//! syslog. Under a journal of the system lines say how grave they are, and each is there once.

use std::fmt::Display;

use crate::collect::config::SourceConfig;
use crate::collect::event::{Event, Severity};
use crate::collect::view::events::Json;
use crate::report::Report;
use crate::sys::clock;
use crate::sys::stdio::{self, Lines};
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
    Standard(Box<Standard>),
}

/// Standard output and, if they are grave, standard error. Nobody may be reading any more; the
/// files matter more than the lines about them.
struct Standard {
    out: Lines,
    /// `None` where that is the same place, in which each event is to be there once.
    err: Option<Lines>,
    /// Whether the lines of each go to the system's journal, which takes `<N>` for the severity
    /// (sd-daemon(3)).
    is_journal: [bool; 2],
    json: bool,
}

/// In which form events are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Lines on stdout and stderr.
    Lines,
    /// Lines of JSON on stdout, the grave ones as text on stderr.
    Json,
    /// Syslog.
    Syslog,
}

impl Journal {
    /// Tells it to syslog, or to stdout and stderr.
    pub fn new(form: Form) -> Journal {
        if form == Form::Syslog {
            return Journal {
                voice: Voice::Syslog(Syslog::new(NAME)),
                report: Report::to_syslog(NAME),
            };
        }
        let err = (!stdio::is_one_place()).then(Lines::on_stderr);
        let standard = Standard {
            out: Lines::on_stdout(),
            err,
            is_journal: stdio::are_journal(),
            json: form == Form::Json,
        };
        Journal {
            voice: Voice::Standard(Box::new(standard)),
            report: Report::to_stderr(NAME),
        }
    }

    /// One event of one source: `TIME ADDRESS REMOTE_FILE TEXT`.
    pub fn event(&mut self, wall: Wall, source: &SourceConfig, event: &Event<'_>) {
        let text = format!("{} {} {event}", source.server(), Escaped(&source.remote));
        let text = OneLine(&text);
        let severity = event.severity();
        match &mut self.voice {
            Voice::Syslog(syslog) => syslog.send(severity as u8, &text.to_string()),
            Voice::Standard(standard) => {
                let time = clock::local_time(wall);
                let line = format!("{time} {text}\n");
                let json = standard.json.then(|| {
                    let json = Json {
                        wall,
                        time,
                        source,
                        event,
                    };
                    format!("{json}\n")
                });
                let out = json.as_ref().unwrap_or(&line);
                standard.write(out, &line, severity, &time);
            }
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

impl Standard {
    fn write(&mut self, out: &str, err: &str, severity: Severity, time: &dyn Display) {
        let notice = |count| format!("{time} lines left out because nobody read them: {count}\n");
        let prefix = |is_journal| match is_journal {
            true => format!("<{}>", severity as u8),
            false => String::new(),
        };
        let [out_is_journal, err_is_journal] = self.is_journal;
        (self.out).write(&format!("{}{out}", prefix(out_is_journal)), notice);
        if let Some(lines) = &mut self.err
            && severity == Severity::Error
        {
            lines.write(&format!("{}{err}", prefix(err_is_journal)), notice);
        }
    }
}

const NAME: &str = "fetch_logs";
