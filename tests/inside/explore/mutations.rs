//! Every rule of the local files is needed: each is broken by itself, and the explorer finds what
//! comes of that.

use super::peer::Dialect;
use super::peer::Dialect::{Classic, V2};
use super::scenarios;
use super::search::{Limits, Omission, explore};
use crate::inside::model::{Call, Op};
use crate::mutation::{self, Mutation};

/// One or two crashes bring it to light.
const LIMITS: Limits = Limits {
    crashes: 2,
    faults_after: None,
    then_full: false,
    is_narrow: false,
};

/// What becomes of a scenario if calls are left out, or with a fault planted.
fn violation(
    dialect: Dialect,
    scenario: &str,
    limits: Limits,
    omission: Option<Omission>,
    mutation: Option<Mutation>,
) -> String {
    let mut scenarios = scenarios::all(dialect).into_iter();
    let scenario = scenarios.find(|known| known.name == scenario).unwrap();
    let run = || explore(&scenario, limits, omission);
    let result = match mutation {
        Some(mutation) => mutation::with(mutation, run),
        None => run(),
    };
    let violation = result.err().map(|violation| violation.to_string());
    let violation = violation.expect("nothing is missed");
    println!("{scenario}: {violation}");
    violation
}

/// Leaves out calls.
fn without_call(dialect: Dialect, scenario: &str, omission: Omission) -> String {
    violation(dialect, scenario, LIMITS, Some(omission), None)
}

/// Plants a fault.
fn with_mutation(dialect: Dialect, scenario: &str, mutation: Mutation) -> String {
    violation(dialect, scenario, LIMITS, None, Some(mutation))
}

/// Plants a fault, and a call fails.
fn with_mutation_and_a_failing_call(
    dialect: Dialect,
    scenario: &str,
    mutation: Mutation,
) -> String {
    let limits = Limits {
        crashes: 1,
        faults_after: Some(0),
        then_full: false,
        is_narrow: false,
    };
    violation(dialect, scenario, limits, None, Some(mutation))
}

/// Plants a fault; a sync fails, and the disk is full then.
fn with_mutation_a_failing_sync_and_no_room(
    dialect: Dialect,
    scenario: &str,
    mutation: Mutation,
) -> String {
    let limits = Limits {
        crashes: 2,
        faults_after: Some(0),
        then_full: true,
        is_narrow: false,
    };
    violation(dialect, scenario, limits, None, Some(mutation))
}

fn is_on(call: &Call<'_>, op: Op, path: &str) -> bool {
    call.op == op && call.path.to_str() == Some(path)
}

#[test]
fn no_sync_of_the_new_pointer() {
    let found = without_call(V2, "rotation", |call, _| {
        is_on(call, Op::SyncFile, "/p/m0.tmp")
    });
    assert!(found.contains("the pointer file is empty"), "{found}");
}

#[test]
fn no_sync_of_the_directory_after_the_pointer_is_replaced() {
    let found = without_call(V2, "rotation", |call, _| is_on(call, Op::SyncDir, "/p"));
    assert!(found.contains("the pointer is gone"), "{found}");
}

#[test]
fn no_sync_of_the_directory_after_the_copy_is_renamed() {
    let found = without_call(V2, "rotation", |call, before| {
        is_on(call, Op::SyncDir, "/l") && before.last() == Some(&Op::RenameNew)
    });
    assert!(found.contains("ahead of the data"), "{found}");
}

#[test]
fn no_sync_of_the_copy_before_the_commit_point() {
    let found = without_call(V2, "rotation", |call, _| is_on(call, Op::SyncFile, "/l/m0"));
    assert!(found.contains("ahead of the data"), "{found}");
}

#[test]
fn no_sync_of_the_new_copys_name() {
    let found = without_call(V2, "rotation", |call, before| {
        is_on(call, Op::SyncDir, "/l") && before.last() == Some(&Op::SyncFile)
    });
    assert!(found.contains("ahead of the data"), "{found}");
}

#[test]
fn no_sync_between_link_and_unlink() {
    let found = without_call(V2, "rotation by link", |call, before| {
        is_on(call, Op::SyncDir, "/l") && before.last() == Some(&Op::Link)
    });
    assert!(found.contains("ahead of the data"), "{found}");
}

#[test]
fn no_barrier_at_the_start() {
    let found = without_call(V2, "rotation", |call, before| {
        call.op == Op::SyncAll && before.iter().all(|op| *op == Op::SyncAll)
    });
    assert!(found.contains("the pointer is gone"), "{found}");
}

#[test]
fn the_boot_only_in_memory() {
    let found = with_mutation(Classic, "first contact", Mutation::BootForgotten);
    assert!(found.contains("\\0second"), "{found}");
}

#[test]
fn no_look_at_the_end_after_a_restart_of_the_machine() {
    let found = with_mutation(Classic, "first contact", Mutation::EndBelieved);
    assert!(found.contains("\\0second"), "{found}");
}

#[test]
fn no_third_barrier_where_many_rotate() {
    let found = without_call(V2, "midnight", |call, before| {
        call.op == Op::SyncAll && before.contains(&Op::RenameNew)
    });
    assert!(found.contains("ahead of the data"), "{found}");
}

#[test]
fn a_checkpoint_behind_the_end_is_believed() {
    let found = with_mutation(
        Classic,
        "a pointer without a copy",
        Mutation::CheckpointNotClamped,
    );
    assert!(found.contains("ahead of the data"), "{found}");
}

#[test]
fn a_sync_that_fails_for_another_is_not_heeded() {
    for dialect in [V2, Classic] {
        let mutation = Mutation::FailedSyncIgnored;
        let found = with_mutation_and_a_failing_call(dialect, "a disk that fails", mutation);
        assert!(found.contains("ahead of the data"), "{found}");
    }
}

#[test]
fn an_end_is_set_aside_without_a_word_before() {
    let mutation = Mutation::RescueNotAnnounced;
    let found = with_mutation(V2, "a box that loses an end", mutation);
    assert!(found.contains("is set aside"), "{found}");
}

#[test]
fn a_doubt_is_not_marked_while_there_is_no_room_to_note_it() {
    for dialect in [V2, Classic] {
        let mutation = Mutation::DoubtNotMarked;
        let found = with_mutation_a_failing_sync_and_no_room(dialect, "rotation", mutation);
        assert!(found.contains("ahead of the data"), "{found}");
    }
}
