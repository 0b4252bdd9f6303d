//! strace: how it is told what to do, and what it has written down.

use std::collections::BTreeMap;
use std::path::Path;

use super::fault::{Fault, Point};
use crate::common::pair::daemon::text_of;

/// How many calls of each name a program has made.
pub type Calls = BTreeMap<String, usize>;

/// What strace is to do.
#[derive(Clone, Copy)]
pub enum Order<'a> {
    /// Write down every call.
    Count,
    /// Do this.
    Inject(&'a Point),
}

impl Order<'_> {
    /// Its options.
    pub fn options(self, trace: &Path) -> Vec<String> {
        let mut options = vec!["-f".into(), "-o".into(), trace.display().to_string()];
        if let Order::Inject(point) = self {
            options.push(format!("-etrace={}", point.call));
            options.push(format!("-einject={}", point.injection()));
            // It stops at no other calls then; but signals do not come that way.
            if point.fault != Fault::Kill {
                options.push("--seccomp-bpf".into());
            }
        }
        options
    }
}

/// The calls in a trace. The first, by which strace started the program, is none of its own.
pub fn calls_in(trace: &Path) -> Calls {
    let mut calls = Calls::new();
    for line in text_of(trace).lines().skip(1) {
        if let Some(name) = call_in(line) {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

/// Whether a call was made to fail.
pub fn has_failed_a_call(trace: &Path) -> bool {
    text_of(trace).contains("(INJECTED)")
}

/// The name in a line `PID NAME(ARGUMENTS...`.
fn call_in(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}
