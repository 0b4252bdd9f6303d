//! Where events go: one line each on stdout, losses on stderr as well, or all of it to syslog.

use std::fmt::{self, Display};
use std::io::{self, Write};

use crate::collect::config::SourceConfig;
use crate::collect::event::Event;
use crate::sys::clock;
use crate::sys::syslog::Syslog;
use crate::time::Wall;
use crate::wire::escape::{Escaped, OneLine};

/// The collector's way to tell what happens.
pub struct Journal {
    syslog: Option<Syslog>,
}

impl Journal {
    /// Tells it to syslog, or to stdout and stderr.
    pub fn new(syslog: bool) -> Journal {
        Journal {
            syslog: syslog.then(|| Syslog::new("fetch_logs")),
        }
    }

    /// One event of one source: `TIME ADDRESS REMOTE_FILE TEXT`.
    pub fn event(&mut self, wall: Wall, source: &SourceConfig, event: &Event<'_>) {
        let text = format!("{} {} {event}", source.address, Escaped(&source.remote));
        let text = OneLine(&text);
        let at = clock::local_time(wall);
        if let Some(syslog) = &mut self.syslog {
            return syslog.send(&text.to_string());
        }
        // Nobody may be reading any more; the files matter more than the lines about them.
        let _ = writeln!(io::stdout().lock(), "{at} {text}");
        if event.is_grave() {
            let _ = writeln!(io::stderr().lock(), "{at} {text}");
        }
    }

    /// Something that concerns the collector itself.
    pub fn complain(&mut self, what: &dyn Display) {
        self.say(format_args!("{what}"));
    }

    fn say(&mut self, text: fmt::Arguments<'_>) {
        match &mut self.syslog {
            Some(syslog) => syslog.send(&OneLine(&text.to_string()).to_string()),
            None => {
                let _ = writeln!(io::stderr().lock(), "fetch_logs: {text}");
            }
        }
    }
}
