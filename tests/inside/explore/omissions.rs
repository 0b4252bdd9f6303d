//! Every rule of the local files is needed: each is left out by itself, and the explorer finds what comes of that.

use super::peer::Dialect;
use super::peer::Dialect::{Classic, V2};
use super::scenarios;
use super::search::{Limits, Omission, explore};
use crate::collect::copy::omit::{self, Rule};
use crate::inside::model::{Call, Op};

/// One or two crashes bring it to light.
const LIMITS: Limits = Limits {
    crashes: 2,
    faults_after: None,
    then_full: false,
};

/// What becomes of a scenario if calls, or a rule, are left out.
fn violation(
    dialect: Dialect,
    scenario: &str,
    limits: Limits,
    omission: Option<Omission>,
    rule: Option<Rule>,
) -> String {
    let mut scenarios = scenarios::all(dialect).into_iter();
    let scenario = scenarios.find(|known| known.name == scenario).unwrap();
    omit::omit(rule);
    let result = explore(&scenario, limits, omission);
    omit::omit(None);
    let violation = result.err().map(|violation| violation.to_string());
    let violation = violation.expect("nothing is missed");
    println!("{scenario}: {violation}");
    violation
}

/// Leaves out calls.
fn without_call(dialect: Dialect, scenario: &str, omission: Omission) -> String {
    violation(dialect, scenario, LIMITS, Some(omission), None)
}

/// Leaves out a rule that is not a call.
fn without_rule(dialect: Dialect, scenario: &str, rule: Rule) -> String {
    violation(dialect, scenario, LIMITS, None, Some(rule))
}

/// Leaves out a rule where a call fails.
fn without_rule_and_a_call(dialect: Dialect, scenario: &str, rule: Rule) -> String {
    let limits = Limits {
        crashes: 1,
        faults_after: Some(0),
        then_full: false,
    };
    violation(dialect, scenario, limits, None, Some(rule))
}

/// Leaves out a rule where a sync fails and the disk is full then.
fn without_rule_a_sync_and_room(dialect: Dialect, scenario: &str, rule: Rule) -> String {
    let limits = Limits {
        crashes: 2,
        faults_after: Some(0),
        then_full: true,
    };
    violation(dialect, scenario, limits, None, Some(rule))
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
    let found = without_rule(Classic, "first contact", Rule::BootInPointer);
    assert!(found.contains("\\0second"), "{found}");
}

#[test]
fn no_look_at_the_end_after_a_restart_of_the_machine() {
    let found = without_rule(Classic, "first contact", Rule::TailCheck);
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
    let found = without_rule(Classic, "a pointer without a copy", Rule::ClampedCheckpoint);
    assert!(found.contains("ahead of the data"), "{found}");
}

#[test]
fn a_sync_that_fails_for_another_is_not_heeded() {
    for dialect in [V2, Classic] {
        let rule = Rule::FailedSyncHeeded;
        let found = without_rule_and_a_call(dialect, "a disk that fails", rule);
        assert!(found.contains("ahead of the data"), "{found}");
    }
}

#[test]
fn an_end_is_set_aside_without_a_word_before() {
    let rule = Rule::RescueAnnounced;
    let found = without_rule(V2, "a box that loses an end", rule);
    assert!(found.contains("is set aside"), "{found}");
}

#[test]
fn a_doubt_is_not_marked_while_there_is_no_room_to_note_it() {
    for dialect in [V2, Classic] {
        let rule = Rule::DoubtMarked;
        let found = without_rule_a_sync_and_room(dialect, "rotation", rule);
        assert!(found.contains("ahead of the data"), "{found}");
    }
}
