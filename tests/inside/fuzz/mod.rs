//! What is fuzzed: functions that take any bytes at all, do with them what the program does with
//! bytes of a peer, a file or an operator, and panic where a promise is broken.
//!
//! `tests/fuzz` hands them what a fuzzer makes up; the test in `replay` hands them what was found
//! worth keeping, so that `cargo test` needs no fuzzer.

#![allow(missing_docs)]

#[cfg(feature = "gz")]
mod archive;
mod configs;
mod files;
mod globs;
#[cfg(feature = "noise")]
mod handshake;
mod lists;
mod names;
mod script;
mod session;
mod snmp;
mod source;
mod wire;

#[cfg(test)]
mod replay;

/// One thing to try bytes on.
pub type Target = fn(&[u8]);

/// All of them, by the names of their folders in `tests/fuzz/corpus`.
pub const TARGETS: [(&str, Target); 18] = [
    ("request", wire::request),
    ("answer", wire::answer),
    ("receiver", wire::receiver),
    ("frames", wire::frames),
    ("proof", wire::proof),
    ("server_config", configs::server),
    ("collector_config", configs::collector),
    ("globs", globs::globs),
    ("names", names::names),
    ("lists", lists::lists),
    #[cfg(feature = "gz")]
    ("archive", archive::archive),
    #[cfg(not(feature = "gz"))]
    ("archive", |_| {}),
    #[cfg(feature = "noise")]
    ("handshake", handshake::handshake),
    #[cfg(not(feature = "noise"))]
    ("handshake", |_| {}),
    ("pointer", files::pointer),
    ("given", files::given),
    ("unverified", files::unverified),
    ("snmp", snmp::dialogue),
    ("session", session::session),
    ("source", source::source),
];

/// The target of this name, for the fuzzer.
#[cfg(fuzzing)]
pub fn target(name: &str) -> Option<Target> {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target)
}
