//! That nobody waits long for one is asserted at every call of both machines, and that assertion
//! can fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Pair;
use crate::mutation::{Mutation, with};

fn fetch_a_backlog() {
    let mut pair = Pair::with("history=all");
    pair.log.create();
    for _ in 0..150 {
        pair.log.lines(1);
        pair.log.rotate();
    }
    pair.settle();
    pair.check();
}

#[test]
fn a_session_that_does_all_in_one_go_is_found() {
    fetch_a_backlog();
    let planted = || with(Mutation::PartsIgnored, fetch_a_backlog);
    let panic = catch_unwind(AssertUnwindSafe(planted)).expect_err("a complaint");
    let complaint = panic.downcast::<String>().unwrap();
    assert!(complaint.contains("others wait too long"), "{complaint}");
}
