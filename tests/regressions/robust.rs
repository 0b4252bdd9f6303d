//! Items 6 and 7: what a peer or a full disk does is an event and not the end.

use std::process::Command;

use crate::common::outside_program;
use crate::common::pair::relay::Fate;
use crate::common::pair::strace::{self, Strace};
use crate::common::pair::{Options, Pair};
use crate::common::process::Signal;

/// 6: connections that are reset before the server has accepted them.
#[test]
fn a_reset_connection_harms_nobody() {
    let Some(perl) = outside_program("perl") else {
        return;
    };
    let mut pair = Pair::start(Options::told().classic());
    pair.server().signal(Signal::STOP);
    let script = "use Socket;
        my ($port, $host) = @ARGV;
        for (1..50) {
            socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
            connect($s, sockaddr_in($port, inet_aton($host))) or die;
            setsockopt($s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) or die;
            close $s;
        }";
    let (port, host) = (pair.address().port(), pair.address().ip());
    let mut program = Command::new(perl);
    program.args(["-e", script, &port.to_string(), &host.to_string()]);
    assert!(program.status().unwrap().success());
    pair.server().signal(Signal::CONT);
    pair.log("m").append("still there\n");
    pair.expect_same("m");
    pair.kill_collector();
    pair.log("m").append("and for new clients\n");
    pair.start_collector();
    pair.expect_same("m");
}

/// 6: at first contact there is nothing to rotate.
#[test]
fn first_contact_leaves_no_empty_copy() {
    let mut pair = Pair::prepare(Options::told().classic());
    pair.log("m").append("one\n");
    pair.log("m").rotate();
    pair.log("m").append("two\n");
    pair.start_server();
    pair.start_collector();
    pair.expect("m", &["two\n"]);
    assert!(!pair.said().contains("rotated"), "{}", pair.said());
}

/// 7: the answer line in pieces of one byte.
#[test]
fn an_answer_may_come_in_pieces() {
    let mut pair = Pair::prepare(Options {
        relayed: true,
        ..Options::told().classic()
    });
    pair.log("m").append("a line right behind the answer\n");
    pair.start_server();
    pair.relay().decree([Fate::Dribbled(64)]);
    pair.start_collector();
    pair.expect_same("m");
}

/// 7: a full disk is told, and once there is room again the source goes on by itself.
#[test]
fn a_full_disk_does_not_end_a_source() {
    if strace::program().is_none() {
        return;
    }
    let mut pair = Pair::prepare(Options::told().classic());
    let full = Strace::new("write").failing("ENOSPC:when=2..3");
    pair.start_server();
    pair.start_collector_as(full.on(&[pair.local("m")]).command());
    let log = pair.log("m");
    for n in 0..4 {
        log.append(format!("line {n}\n"));
        pair.expect_same("m");
    }
    pair.expect_event("No space left on device");
    pair.expect_status("OK\n");
}
