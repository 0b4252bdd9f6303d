//! What is done to a program, and at which of its system calls.

use std::fmt;

/// Everything that is done at a call.
pub const FAULTS: [Fault; 11] = [
    Fault::Kill,
    Fault::Once("ENOSPC"),
    Fault::Once("EIO"),
    Fault::Once("EINTR"),
    Fault::Once("EAGAIN"),
    Fault::Once("EMFILE"),
    Fault::FromOn("ENOSPC"),
    Fault::FromOn("EIO"),
    Fault::FromOn("EINTR"),
    Fault::FromOn("EAGAIN"),
    Fault::FromOn("EMFILE"),
];

/// What is done at a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// SIGKILL comes before it.
    Kill,
    /// It fails with this error.
    Once(&'static str),
    /// It and all later ones of that name fail with this error, until the program is stopped and started anew.
    FromOn(&'static str),
}

/// The program that it is done to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Program {
    /// `gen_numbers`
    Server,
    /// `fetch_logs`
    Collector,
}

/// One run: which scenario, which program, at which call, what.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Point {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Whose call.
    pub program: Program,
    /// Its name.
    pub call: String,
    /// Which of the calls of that name, counted from 1.
    pub number: usize,
    /// What.
    pub fault: Fault,
}

impl Point {
    /// How strace is told.
    pub fn injection(&self) -> String {
        let (call, number) = (&self.call, self.number);
        match self.fault {
            Fault::Kill => format!("{call}:signal=KILL:when={number}"),
            Fault::Once(error) => format!("{call}:error={error}:when={number}"),
            Fault::FromOn(error) => format!("{call}:error={error}:when={number}+"),
        }
    }
}

/// Whether a name, or its first parts, is one of those that a pattern means: parts between slashes, `*` for any, and what
/// the pattern leaves out at the end is any, too.
pub fn is_meant(name: &str, pattern: &str) -> bool {
    let pattern = pattern.split('/').filter(|part| !part.is_empty());
    { pattern }
        .zip(name.split('/'))
        .all(|(wanted, part)| wanted == "*" || wanted == part)
}

/// As it is given to `FETCHLOGS_KILLS_ONLY`.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point {
            scenario,
            program,
            call,
            number,
            fault,
        } = self;
        write!(f, "{scenario}/{program}/{call}/{number}/{fault}")
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Program::Server => "server",
            Program::Collector => "collector",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill => f.write_str("KILL"),
            Fault::Once(error) => f.write_str(error),
            Fault::FromOn(error) => write!(f, "{error}+"),
        }
    }
}
