//! The exits of a program: the ways it ends other than well.

use crate::sys::stdio;
use std::fmt::Display;

/// An exit status other than 0, and what to tell about it.
///
/// Behind a pointer, because every step of an applet may return one.
#[derive(Debug)]
pub struct Exit(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: u8,
    message: String,
}

/// `EX_CONFIG` of sysexits(3).
const INVALID_CONFIGURATION: u8 = 78;

impl Exit {
    /// 2: the command line makes no sense. Shows the usage.
    pub fn misuse(program: &str, what: &str, usage: &str) -> Exit {
        Exit::new(2, format!("{program}: {what}\n{usage}"))
    }

    /// 1: something went wrong that is not the operator's wording.
    pub fn failure(program: &str, what: impl Display) -> Exit {
        Exit::new(1, format!("{program}: {what}\n"))
    }

    /// 78: the configuration cannot be used; `what` has a line for each error.
    pub fn configuration(what: impl Display) -> Exit {
        Exit::new(INVALID_CONFIGURATION, format!("{what}\n"))
    }

    /// Any status, when everything has been told already.
    pub fn silent(status: u8) -> Exit {
        Exit::new(status, String::new())
    }

    /// Any status, with what is to be told; a line end included.
    #[cfg(feature = "fetch_logs")]
    pub fn with_status(status: u8, message: String) -> Exit {
        Exit::new(status, message)
    }

    /// The same with another status.
    #[cfg(feature = "fetch_logs")]
    #[must_use]
    pub fn ending_with(mut self, status: u8) -> Exit {
        self.0.status = status;
        self
    }

    fn new(status: u8, message: String) -> Exit {
        Exit(Box::new(Inner { status, message }))
    }

    /// What is wrong, without the end of its last line.
    pub fn message(&self) -> &str {
        self.0.message.trim_end()
    }

    /// Tells on stderr what is wrong.
    pub fn explain(&self) {
        // Where stderr is closed, `eprint!` would panic; the status still tells.
        let _ = stdio::complain(self.0.message.as_bytes());
    }

    /// The status for the system.
    pub fn code(&self) -> u8 {
        self.0.status
    }
}
