//! Nothing happens to a log, and nothing is written: flash wears out.

use std::fs;
use std::path::Path;

use crate::both_protocols;
use crate::common::pair::strace::{self, Strace};
use crate::common::pair::{Options, Pair};
use crate::common::wait::attempt;

/// What brings something to a disk, and what a daemon wakes up by. Machines differ in which of those with a `?` they
/// have.
const CALLS: &str = "openat,openat2,write,writev,pwrite64,?creat,?mkdir,mkdirat,?rename,?renameat,renameat2,?link,\
                     linkat,?unlink,unlinkat,truncate,ftruncate,fallocate,fsync,fdatasync,syncfs,sync,?utime,?utimes,\
                     utimensat,?chmod,fchmod,fchmodat,?epoll_wait,epoll_pwait";

/// So many times each of them has to wake up, by looks at the log or by signs of life.
const WAKES: usize = 25;

both_protocols!(idle_daemons_write_nothing);

fn idle_daemons_write_nothing(options: Options) {
    if strace::program().is_none() {
        return;
    }
    let mut pair = Pair::prepare(Options {
        check_s: 0.02,
        alive_s: 0.04,
        ..options
    });
    pair.log("m").append("all there is\n");
    let traces = ["server", "collector"].map(|name| pair.home().join(format!("{name}.trace")));
    let [server, collector] = &traces;
    let traced = |trace| Strace::new(CALLS).into_trace(trace).command();
    pair.start_server_as(traced(server));
    pair.start_collector_as(traced(collector));
    pair.expect_same("m");
    pair.expect_status("OK\n");
    for trace in &traces {
        // What belongs to the first contact may still be under way.
        let now = fs::read_to_string(trace).unwrap().lines().count();
        let begun = wakes_after(trace, now, 5);
        let since = wakes_after(trace, begun, WAKES);
        let text = fs::read_to_string(trace).unwrap();
        let idle: Vec<&str> = text.lines().take(since).skip(begun).collect();
        let writes: Vec<&&str> = idle.iter().filter(|line| reaches_a_disk(line)).collect();
        assert!(writes.is_empty(), "{}: {writes:#?}", trace.display());
    }
}

/// Waits until a daemon has woken up so many times beyond a line of its trace, and returns the number of lines then.
fn wakes_after(trace: &Path, line: usize, wakes: usize) -> usize {
    let looked = attempt(|| {
        let text = fs::read_to_string(trace).unwrap();
        let lines = text.lines().skip(line);
        let woken = lines.filter(|line| line.contains("epoll_")).count();
        match woken >= wakes {
            true => Ok(text.lines().count()),
            false => Err(format!("woke up {woken} times only")),
        }
    });
    looked.unwrap()
}

/// Whether a traced call may change a disk: everything but waking up, opening to read, and writing to what has no
/// name on one.
fn reaches_a_disk(line: &str) -> bool {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    match call.split_once('(') {
        Some(("epoll_wait" | "epoll_pwait", _)) | None => false,
        Some(("openat" | "openat2", arguments)) => !arguments.contains("O_RDONLY"),
        Some(("write" | "writev", arguments)) => arguments.contains("</"),
        Some(_) => true,
    }
}
