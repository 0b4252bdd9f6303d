//! The ways a demo ends before its time, or with the wrong result.

use std::fmt;
use std::io;

/// The reason why a demo did not end with `identical`.
#[derive(Debug)]
pub enum Failure {
    /// A signal asked for it.
    Stopped,
    /// Nobody takes the output any more.
    Unheard(io::Error),
    /// The system refused something.
    System {
        /// What was tried, as in "cannot ...".
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// A file or a directory is not one that the demo can work with; the text names it and says
    /// why.
    Unfit(String),
    /// Something did not come in time.
    Late {
        /// What was waited for.
        what: String,
        /// What server and collector said last.
        said: String,
    },
    /// The server or the collector ended by itself.
    Ended {
        /// Which of them.
        who: &'static str,
        /// Its exit status, in words.
        how: String,
        /// What server and collector said last.
        said: String,
    },
    /// The checksums are not the same; this has been shown already.
    Different,
}

impl Failure {
    /// Makes an error of the system a failure to do `what`.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        // To be handed to `map_err`, where the error of the system comes in.
        move |error| Failure::System {
            what: what.into(),
            error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Stopped => f.write_str("stopped before the end"),
            Failure::Unheard(error) => write!(f, "nobody takes the output: {error}"),
            Failure::System { what, error } => write!(f, "cannot {what}: {error}"),
            Failure::Unfit(why) => f.write_str(why),
            // What they said begins with a line end, or is nothing.
            Failure::Late { what, said } => write!(f, "waited in vain for {what}{said}"),
            Failure::Ended { who, how, said } => write!(f, "{who} ended by itself: {how}{said}"),
            Failure::Different => f.write_str("log and copy are different"),
        }
    }
}
