//! What takes version 2: nothing lost, nothing twice, and proof of it, whatever is done to the log, to the two
//! programs and to the connection between them.

mod astray;
mod breaks;
mod classic;
mod copies;
mod given;
mod heal;
mod hooks;
mod identity;
mod large;
mod liar;
mod old_collector;
mod outage;
mod scripted;
mod unverified;
mod writers;
mod zeros;

use crate::common::pair::log::NotedLog;
use crate::common::pair::{Options, Pair};

/// Starts both, with an empty log `m`, and waits for the first contact.
fn start(options: Options) -> (Pair, NotedLog) {
    let (mut pair, log) = prepare(options);
    pair.start_server();
    pair.start_collector();
    pair.expect_status("OK\n");
    (pair, log)
}

/// An empty log `m` is there, and neither of the two runs.
fn prepare(options: Options) -> (Pair, NotedLog) {
    with_log(Pair::prepare(options))
}

/// The same of a pair that is prepared already.
fn with_log(pair: Pair) -> (Pair, NotedLog) {
    let log = NotedLog::at(pair.log("m").path().to_owned());
    (pair, log)
}
