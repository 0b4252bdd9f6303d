//! The collector's hook: run for everything that happens, at least once, whatever it does itself, outside of the walls
//! and never in the way of a byte.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::start;
use crate::common::pair::content::{lines, md5_of};
use crate::common::pair::daemon::text_of;
use crate::common::pair::log::NotedLog;
use crate::common::pair::{Options, Pair};
use crate::common::process::Signal;
use crate::common::skipped::skipped;
use crate::common::wait::{for_a_while, until};
use crate::common::walls;

/// What every hook here notes, in a directory that the collector itself cannot write to.
const NOTE: &str = "note() { echo \"$1$FETCHLOGS_EVENT ${FETCHLOGS_FILE##*/} $FETCHLOGS_BYTES $FETCHLOGS_MD5\" >>told; }";

/// One that begins and then waits for a file.
const PATIENT_HOOK: &str = "
    echo begun $FETCHLOGS_EVENT >>told
    while ! test -e go; do sleep 0.02; done
    echo done $FETCHLOGS_EVENT >>told";

/// One that hangs for ever unless a file is there when it begins.
const HANGING_HOOK: &str = "
    test -e go || { echo >>hanging; exec sleep 600; }
    echo $FETCHLOGS_EVENT $FETCHLOGS_MD5 >>told";

/// Waits until it has looked for that file: killed sooner, it would find it later.
fn expect_hanging(pair: &mut Pair) {
    pair.until(|pair| match pair.path("hanging").exists() {
        true => Ok(()),
        false => Err("the hook has not begun".into()),
    });
}

fn told(pair: &Pair) -> String {
    text_of(&pair.path("told"))
}

/// Waits until the hooks have noted this.
fn expect_told(pair: &mut Pair, what: &str) {
    pair.until(|pair| match told(pair).contains(what) {
        true => Ok(()),
        false => Err(format!("no hook has told {what:?}: {}", told(pair))),
    });
}

/// Waits until so many hooks have been told that something is verified.
fn expect_verified_times(pair: &mut Pair, count: usize) {
    pair.until(|pair| match told(pair).matches("verified").count() {
        times if times == count => Ok(()),
        times => Err(format!("run {times} times")),
    });
}

/// Waits until nothing waits to be handed over.
fn expect_none_left(pair: &mut Pair) {
    pair.until(|pair| match text_of(&list_of(pair)) {
        list if list.is_empty() => Ok(()),
        list => Err(format!("this waits: {list}")),
    });
}

/// Waits until the table says that so many wait.
fn expect_waiting(pair: &mut Pair, count: usize) {
    pair.until(|pair| {
        let table = text_of(&pair.path("status/.fetch_logs.table"));
        match table.contains(&format!("\t{count}\t0\n#collector")) {
            true => Ok(()),
            false => Err(table),
        }
    });
}

/// Waits until the table says that so many were left.
fn expect_left(pair: &mut Pair, count: usize) {
    pair.until(|pair| {
        let table = text_of(&pair.path("status/.fetch_logs.table"));
        match table.ends_with(&format!("\t0\t{count}\n")) {
            true => Ok(()),
            false => Err(table),
        }
    });
}

fn list_of(pair: &Pair) -> std::path::PathBuf {
    let mut path = pair.pointer("m").into_os_string();
    path.push(".hooks");
    path.into()
}

fn rotate(log: &mut NotedLog) {
    log.append(lines(0..100));
    log.rotate();
    log.append(b"the next one\n");
}

/// The name, the size and the digest of a finished copy, as hooks note it.
fn noted(copy: &Path, bytes: &[u8]) -> String {
    let name = copy.file_name().unwrap().to_str().unwrap();
    format!("{name} {} {}\n", bytes.len(), md5_of(bytes))
}

#[test]
fn a_hook_that_compresses_what_is_verified_is_run_for_each_and_nothing_is_wrong() {
    const HOOK: &str = "
        echo $FETCHLOGS_EVENT $FETCHLOGS_SERVER $FETCHLOGS_LOG $FETCHLOGS_FILE $FETCHLOGS_BYTES $FETCHLOGS_MD5. >>told
        if [ $FETCHLOGS_EVENT = verified ]; then gzip -f $FETCHLOGS_FILE; fi";
    let (mut pair, mut log) = start(Options::brisk().with_hook(HOOK));
    for _ in 0..3 {
        rotate(&mut log);
        pair.expect_live("m", b"the next one\n");
    }
    let address = pair.address().ip();
    let remote = pair.log("m").path().display().to_string();
    for bytes in &log.written[..3] {
        let text = format!(" {} {}.\n", bytes.len(), md5_of(bytes));
        expect_told(&mut pair, &text);
    }
    // Two of them are the same, byte for byte.
    expect_verified_times(&mut pair, 3);
    expect_none_left(&mut pair);
    let told = told(&pair);
    assert_eq!(told.lines().count(), 6, "{told}");
    for (event, ending) in [("rotated", " ."), ("verified", ".")] {
        let local = pair.local("m").display().to_string();
        let begin = format!("{event} {address} {remote} {local}.2");
        let of = told.lines().filter(|line| line.starts_with(&begin));
        assert_eq!(
            of.filter(|line| line.ends_with(ending)).count(),
            3,
            "{told}"
        );
    }
    assert!(pair.copies("m").rotated().is_empty());
    pair.expect_status("OK\n");
    assert_eq!(pair.complaints(), "");
    // And so it stays, for whoever looks at the copies later.
    pair.kill_collector();
    pair.start_collector();
    rotate(&mut log);
    let text = md5_of(&log.written[3]);
    expect_told(&mut pair, &text);
    pair.expect_status("OK\n");
    assert_eq!(pair.complaints(), "");
    pair.assert_no_losses();
}

#[test]
fn a_hook_that_fails_twice_is_run_until_it_does_not() {
    const HOOK: &str = "
        echo $FETCHLOGS_EVENT >>told
        test $(grep -c $FETCHLOGS_EVENT told) -ge 3";
    let (mut pair, mut log) = start(Options::brisk().with_hook(HOOK));
    rotate(&mut log);
    expect_verified_times(&mut pair, 3);
    expect_none_left(&mut pair);
    expect_left(&mut pair, 0);
    assert_eq!(told(&pair).matches("rotated").count(), 3);
    assert!(!pair.said().contains("the hook"), "{}", pair.said());
}

#[test]
fn a_hook_that_always_fails_is_named_and_left() {
    const HOOK: &str = "if [ $FETCHLOGS_EVENT = rotated ]; then exit 3; fi; kill -9 $$";
    let (mut pair, mut log) = start(Options::brisk().with_hook(HOOK));
    rotate(&mut log);
    pair.expect_live("m", b"the next one\n");
    let copy = pair.copies("m").rotated().remove(0);
    let (hook, copy) = (pair.path("hook"), copy.display().to_string());
    let said = |event: &str, why: &str| {
        let hook = hook.display();
        format!(
            "the hook {hook} failed for {event} of {copy}: {why}; it was tried 3 times and is left"
        )
    };
    pair.expect_event(&said("rotated", "it ended with status 3"));
    pair.expect_event(&said("verified", "it was ended by signal 9"));
    expect_none_left(&mut pair);
    expect_left(&mut pair, 2);
    pair.expect_status("OK\n");
    pair.assert_no_losses();
}

#[test]
fn a_hook_that_is_gone_is_named_and_left() {
    let (mut pair, mut log) = start(Options::brisk().with_hook("exit 0"));
    fs::remove_file(pair.path("hook")).unwrap();
    rotate(&mut log);
    pair.expect_event("it cannot be run: No such file or directory");
    pair.expect_verified("m", &log.written);
}

#[test]
fn a_hook_that_hangs_is_in_nobodys_way_and_ends_with_the_collector() {
    const HOOK: &str = "
        echo $$ >>pids
        case $FETCHLOGS_LOG in */m) sleep 600;; esac
        echo $FETCHLOGS_LOG $FETCHLOGS_EVENT >>told";
    let mut pair = Pair::prepare(Options::brisk().with_hook(HOOK));
    pair.serve("other", "other.*[0-9]");
    drop(pair.log("other").open());
    let mut other = NotedLog::at(pair.log("other").path().to_owned());
    let (mut pair, mut log) = super::with_log(pair);
    pair.start_server();
    pair.start_collector();
    pair.expect_status("OK\n");
    rotate(&mut log);
    pair.expect_verified("m", &log.written);
    rotate(&mut log);
    rotate(&mut other);
    expect_told(&mut pair, "other verified");
    pair.expect_verified("m", &log.written);
    assert!(!told(&pair).contains("/m "));
    assert_eq!(
        text_of(&pair.path("pids")).lines().count(),
        3,
        "one at a time"
    );
    pair.kill_collector();
    for pid in text_of(&pair.path("pids")).lines() {
        walls::expect_gone(pid.parse().unwrap());
    }
}

#[test]
fn a_hook_that_floods_stdout_is_in_nobodys_way() {
    const HOOK: &str =
        "yes | head -c 20000000; yes | head -c 20000000 >&2; echo $FETCHLOGS_EVENT >>told";
    let (mut pair, mut log) = start(Options::brisk().with_hook(HOOK));
    rotate(&mut log);
    expect_told(&mut pair, "verified");
    pair.expect_verified("m", &log.written);
    expect_none_left(&mut pair);
}

#[test]
fn what_waits_outlives_the_collector() {
    let (mut pair, mut log) = start(Options::brisk().with_hook(HANGING_HOOK));
    rotate(&mut log);
    rotate(&mut log);
    pair.expect_verified("m", &log.written);
    expect_waiting(&mut pair, 4);
    let waits = text_of(&list_of(&pair));
    assert_eq!(waits.lines().count(), 4, "{waits}");
    expect_hanging(&mut pair);
    pair.kill_collector();
    fs::write(pair.path("go"), "").unwrap();
    pair.start_collector();
    for bytes in &log.written[..2] {
        expect_told(&mut pair, &format!("verified {}", md5_of(bytes)));
    }
    expect_none_left(&mut pair);
    expect_waiting(&mut pair, 0);
    assert_eq!(
        told(&pair).lines().count(),
        4,
        "{}\n{}",
        told(&pair),
        pair.everything_said()
    );
}

#[test]
fn a_loss_is_told_and_one_by_classic_too() {
    for options in Options::brisk().in_both_protocols() {
        let hook = "echo $FETCHLOGS_EVENT. >>told";
        let (mut pair, mut log) = start(options.with_hook(hook));
        log.append(b"held\n");
        pair.expect_live("m", b"held\n");
        pair.kill_collector();
        pair.kill_server();
        // Made before the other is gone, for its inode would be given out again.
        pair.log("new").append(b"another\n");
        fs::rename(pair.log("new").path(), pair.log("m").path()).unwrap();
        pair.start_server();
        pair.start_collector();
        expect_told(&mut pair, "lost.");
        expect_told(&mut pair, "rotated.");
        expect_none_left(&mut pair);
        assert_eq!(told(&pair).matches("lost.").count(), 1);
    }
}

#[test]
fn a_successor_goes_on_with_what_its_predecessor_has_begun() {
    let (mut pair, mut log) = start(Options::brisk().with_hook(PATIENT_HOOK));
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    rotate(&mut log);
    expect_told(&mut pair, "begun rotated");
    pair.expect_verified("m", &log.written);
    // A directory is another one now.
    let status = pair.path("status");
    fs::rename(&status, pair.path("away")).unwrap();
    fs::create_dir(&status).unwrap();
    pair.collector().signal(Signal::HUP);
    let pid = pair.collector().pid();
    let successor = walls::successor(pid);
    pair.expect_status("OK\n");
    fs::write(pair.path("go"), "").unwrap();
    expect_told(&mut pair, "done verified");
    expect_none_left(&mut pair);
    let told = told(&pair);
    assert_eq!(told.matches("begun rotated").count(), 1, "{told}");
    assert_eq!(told.matches("begun verified").count(), 1, "{told}");
    assert_eq!(walls::successor(pid), successor);
}

#[test]
fn without_the_helper_nothing_is_handed_over_and_nothing_else_is_wrong() {
    let hook = "echo $FETCHLOGS_EVENT >>told";
    let (mut pair, mut log) = start(Options::brisk().with_hook(hook));
    let helper = walls::helper(pair.collector().pid());
    crate::common::process::send(helper, Signal::KILL);
    until("that it is said", || {
        pair.complaints().contains("is not run before a new start")
    });
    rotate(&mut log);
    pair.expect_verified("m", &log.written);
    for_a_while(200, "nothing is told", || told(&pair).is_empty());
    pair.kill_collector();
    pair.start_collector();
    expect_told(&mut pair, "rotated\nverified\n");
}

#[test]
fn what_is_healed_and_what_cannot_be_is_told() {
    let note = Box::leak(format!("{NOTE}\nnote .").into_boxed_str());
    let (mut pair, mut log) = start(Options::brisk().with_hook(note));
    log.append(lines(0..100));
    let written = log.written[0].clone();
    pair.expect_live("m", &written);
    // Somebody changes what is held.
    let damaged = [written[10] ^ 1];
    let copy = fs::File::options()
        .write(true)
        .open(pair.local("m"))
        .unwrap();
    copy.write_all_at(&damaged, 10).unwrap();
    log.rotate();
    log.append(b"the next one\n");
    pair.expect_verified("m", &log.written);
    let copy = pair.copies("m").rotated().remove(0);
    let noted = noted(&copy, &written);
    expect_told(&mut pair, &format!(".healed {noted}"));
    expect_told(&mut pair, &format!(".verified {noted}"));
    expect_none_left(&mut pair);
}

#[test]
fn a_list_that_cannot_be_had_is_no_reason_to_run_anything_twice() {
    let (mut pair, mut log) = start(Options::brisk().with_hook(PATIENT_HOOK));
    rotate(&mut log);
    expect_told(&mut pair, "begun rotated");
    pair.expect_verified("m", &log.written);
    expect_waiting(&mut pair, 2);
    // A directory stands where the list was.
    let list = list_of(&pair);
    let aside = pair.path("aside");
    fs::rename(&list, &aside).unwrap();
    fs::create_dir(&list).unwrap();
    fs::write(pair.path("go"), "").unwrap();
    expect_told(&mut pair, "done verified");
    for_a_while(300, "each is run once", || told(&pair).lines().count() == 4);
    let trouble = pair.said().matches("cannot read").count();
    assert_eq!(trouble, 1, "{}", pair.everything_said());
    assert_eq!(text_of(&aside).lines().count(), 2);
    fs::remove_dir(&list).unwrap();
    fs::rename(&aside, &list).unwrap();
    expect_none_left(&mut pair);
    assert_eq!(told(&pair).lines().count(), 4);
    // And what comes then is run as ever.
    rotate(&mut log);
    expect_told(
        &mut pair,
        "done rotated\nbegun verified\ndone verified\nbegun rotated\ndone rotated\nbegun verified\ndone verified\n",
    );
}

#[test]
fn no_hook_is_run_for_what_somebody_put_in_the_place_of_a_copy() {
    let (mut pair, mut log) = start(Options::brisk().with_hook(HANGING_HOOK));
    rotate(&mut log);
    pair.expect_verified("m", &log.written);
    expect_waiting(&mut pair, 2);
    expect_hanging(&mut pair);
    pair.kill_collector();
    let copy = pair.copies("m").rotated().remove(0);
    fs::remove_file(&copy).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &copy).unwrap();
    fs::write(pair.path("go"), "").unwrap();
    pair.start_collector();
    pair.expect_event("it is not run for what is no regular file");
    expect_none_left(&mut pair);
    assert_eq!(told(&pair), "");
}
