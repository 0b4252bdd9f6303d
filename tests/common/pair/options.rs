//! What a pair is started with, and tests in every way in which one can be.

use super::strace;

/// What a pair is started with. The default is one log named `m` with its rotated files as `m.1`, `m.2` and so on.
#[derive(Clone)]
pub struct Options {
    /// Each log by name, and the globs of its rotated files, both below `remote/`. Those that are not there are created
    /// empty, with the directories that they stand in.
    pub logs: Vec<(String, String)>,
    /// The client, or the network, that the server serves.
    pub allow: &'static str,
    /// How the server learns of changes.
    pub hints: Hints,
    /// `$delay_check`, in seconds.
    pub check_s: f64,
    /// `$grace`, in seconds.
    pub grace_s: f64,
    /// `$alive_interval`, in seconds.
    pub alive_s: f64,
    /// More statements of the server's configuration.
    pub statements: &'static str,
    /// The collector's `-r`, in seconds.
    pub retry_s: f64,
    /// The collector's `-w`, in seconds.
    pub wait_s: f64,
    /// The collector's `-i`, in seconds.
    pub idle_s: f64,
    /// What follows the fifth field of each source.
    pub fields: &'static str,
    /// The lines of the collector's hook, a shell script that begins where all of this stands; without any there is none.
    pub hook: &'static str,
    /// Whether pointer files stand in `pointer/`, and not beside the copies.
    pub pointers_apart: bool,
    /// Whether a [`Relay`](super::relay::Relay) stands between the two.
    pub relayed: bool,
    /// Whether all files are kept off the disk, where that can be done: for much data and no wish to wait for it.
    pub in_memory: bool,
}

/// How the server learns of changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hints {
    /// The kernel tells it.
    Told,
    /// Only by its own checks: the system call that would tell it fails.
    ByChecks,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            logs: vec![("m".into(), "m.*[0-9]".into())],
            allow: "127.0.0.1",
            hints: Hints::Told,
            check_s: 0.2,
            grace_s: 3600.0,
            alive_s: 60.0,
            statements: "$max_clients = 2000; $max_clients_per_ip = 2000;",
            retry_s: 0.1,
            wait_s: 3.0,
            idle_s: 120.0,
            fields: "",
            hook: "",
            pointers_apart: false,
            relayed: false,
            in_memory: false,
        }
    }
}

impl Options {
    /// One log with these globs of its rotated files.
    pub fn of(name: &str, globs: &str) -> Options {
        Options {
            logs: vec![(name.into(), globs.into())],
            ..Options::default()
        }
    }

    /// Everything is looked at often, and a rotated file is let go soon.
    pub fn brisk() -> Options {
        Options {
            allow: "127.0.0.0/8",
            check_s: 0.1,
            grace_s: 0.5,
            wait_s: 60.0,
            idle_s: 120.0,
            pointers_apart: true,
            ..Options::default()
        }
    }

    /// The same, and the collector has this hook.
    pub fn with_hook(self, hook: &'static str) -> Options {
        Options { hook, ..self }
    }

    /// The same, but version 2 of the protocol is never offered.
    pub fn classic(self) -> Options {
        Options {
            fields: "proto=classic",
            ..self
        }
    }

    /// The same, in both versions of the protocol.
    pub fn in_both_protocols(self) -> [Options; 2] {
        [self.clone(), self.classic()]
    }

    /// Whatever arrives in time arrives because the kernel told of it: the next check is far away.
    pub fn told() -> Options {
        Options {
            check_s: 600.0,
            ..Options::default()
        }
    }

    /// Nothing is told by the kernel. `None` where that cannot be brought about.
    pub fn by_checks() -> Option<Options> {
        strace::program().map(|_| Options {
            hints: Hints::ByChecks,
            check_s: 0.1,
            ..Options::default()
        })
    }
}

/// Makes four tests of a function: with version 2 of the protocol and in classic, each where the kernel tells the
/// server of changes and where nothing but its own checks find them.
#[macro_export]
macro_rules! every_way {
    ($name:ident) => {
        mod $name {
            use $crate::common::pair::Options;

            #[test]
            fn when_told() {
                super::$name(Options::told());
            }

            #[test]
            fn classic_when_told() {
                super::$name(Options::told().classic());
            }

            #[test]
            fn by_checks() {
                Options::by_checks().map(super::$name);
            }

            #[test]
            fn classic_by_checks() {
                Options::by_checks().map(|options| super::$name(options.classic()));
            }
        }
    };
}

/// Makes two tests of a function that is handed options: with version 2 of the protocol and in classic.
#[macro_export]
macro_rules! both_protocols {
    ($name:ident) => {
        mod $name {
            use $crate::common::pair::Options;

            #[test]
            fn v2() {
                super::$name(Options::told());
            }

            #[test]
            fn classic() {
                super::$name(Options::told().classic());
            }
        }
    };
}
