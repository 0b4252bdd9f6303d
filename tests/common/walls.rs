//! What of a daemon's walls can be seen from outside, and the processes that belong to it.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs;
use std::sync::OnceLock;

use super::process::{Signal, run, send};
use super::server::gen_numbers;
use super::wait::{eventually, until};

/// Whether this kernel confines files, so that a daemon has a helper.
pub fn are_there() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let config = tempfile::NamedTempFile::new().unwrap();
        let check = gen_numbers([OsStr::new("-t"), "-c".as_ref(), config.path().as_os_str()]);
        run(check).stdout.contains("files: confined")
    })
}

/// Checks what the kernel says of a confined process.
pub fn expect_around(pid: u32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "no {line} in\n{status}");
    }
}

/// The helper of a daemon.
pub fn helper(pid: u32) -> u32 {
    eventually("the helper", || children(pid).into_iter().find(is_helper))
}

/// The process that does the work of daemon `pid` once that was shut out.
pub fn successor(pid: u32) -> u32 {
    let helper = helper(pid);
    // A hook is a child of the helper, too.
    eventually("a successor", || {
        children(helper).into_iter().find(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| matches!(&*name, "fetch_logs\n" | "gen_numbers\n"))
        })
    })
}

/// Waits until a process is gone.
pub fn expect_gone(pid: u32) {
    until("the end of a process", || has_ended(pid));
}

/// Kills one process and checks that others end with it.
pub fn expect_end_together(killed: u32, others: &[u32]) {
    send(killed, Signal::KILL);
    for pid in others {
        expect_gone(*pid);
    }
}

fn is_helper(pid: &u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name == "logs_helper\n")
}

/// Whether there is no such process. A zombie has ended; whoever takes over orphans may take its time.
pub fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}
