use super::telling::HOOKS_TOLD_MAX;
use super::*;
use crate::collect::copy::HookKind;

const RETRY_MS: u64 = 5_000;
const BAD: RunEnd = RunEnd::Badly(Failure::Status(3));

fn at(ms: u64) -> Mono {
    Mono::from_ms(ms)
}

/// An event, with a number.
fn event(number: u64) -> HookEvent {
    HookEvent::of(HookKind::Verified).with_bytes(Some(number))
}

fn events(numbers: &[u64]) -> Vec<HookEvent> {
    numbers.iter().map(|number| event(*number)).collect()
}

fn hooks(lists: &[(&str, &[u64])]) -> Hooks {
    let mut hooks = Hooks::new(RETRY_MS);
    for (index, (pointer, list)) in (0..).zip(lists) {
        hooks.set(Path::new(pointer), (index, pointer), events(list), at(0));
    }
    hooks
}

/// The source, the place and the number of the run that begins now.
fn start(hooks: &mut Hooks, now: u64) -> Option<(u32, u8, u64)> {
    let start = hooks.start(at(now))?;
    Some((start.index, start.place, start.event.bytes.unwrap()))
}

fn settled(index: u32, number: u64, failure: Option<Failure>) -> Option<Settled> {
    Some(Settled {
        index,
        event: event(number),
        failure,
        is_told: failure.is_some(),
    })
}

#[test]
fn one_of_each_source_runs_in_their_order() {
    let mut hooks = hooks(&[("a", &[1, 2]), ("b", &[3])]);
    assert_eq!(hooks.poll_timeout(), Some(at(0)));
    assert_eq!(start(&mut hooks, 0), Some((0, 0, 1)));
    assert_eq!(start(&mut hooks, 0), Some((1, 1, 3)));
    assert_eq!(start(&mut hooks, 0), None);
    assert_eq!(hooks.poll_timeout(), Some(at(HOOK_SLOW_MS)));
    assert_eq!(hooks.ended(0, RunEnd::Well, at(7)), settled(0, 1, None));
    assert_eq!(start(&mut hooks, 7), Some((0, 0, 2)));
    assert_eq!(hooks.ended(0, RunEnd::Well, at(8)), settled(0, 2, None));
    assert_eq!(hooks.ended(1, RunEnd::Well, at(9)), settled(1, 3, None));
    assert_eq!(start(&mut hooks, 9), None);
    assert_eq!(hooks.poll_timeout(), None);
    assert_eq!(
        hooks.ended(1, RunEnd::Well, at(9)),
        None,
        "nothing runs there"
    );
}

#[test]
fn few_run_together_and_who_waits_longest_is_next() {
    let lists = [
        ("a", &[1, 11][..]),
        ("b", &[2]),
        ("c", &[3]),
        ("d", &[4]),
        ("e", &[5]),
    ];
    let mut hooks = hooks(&lists);
    for index in 0..4 {
        assert_eq!(start(&mut hooks, 0).unwrap().0, index);
    }
    assert_eq!(start(&mut hooks, 0), None);
    let slow = Some(at(HOOK_SLOW_MS));
    assert_eq!(hooks.poll_timeout(), slow, "nobody is waited for in vain");
    hooks.ended(0, RunEnd::Well, at(5));
    assert_eq!(
        start(&mut hooks, 5),
        Some((4, 0, 5)),
        "e before the next of a"
    );
    hooks.ended(2, RunEnd::Well, at(6));
    assert_eq!(start(&mut hooks, 6), Some((0, 2, 11)));
}

#[test]
fn the_last_place_is_for_a_box_of_which_none_runs() {
    let mut hooks = Hooks::new(RETRY_MS);
    for (index, pointer) in (0..).zip(["a", "b", "c", "d", "e", "f"]) {
        let server = if index < 4 { "router" } else { "other" };
        hooks.set(Path::new(pointer), (index, server), events(&[1]), at(0));
    }
    for index in [0, 1, 2, 4] {
        assert_eq!(start(&mut hooks, 0).unwrap().0, index);
    }
    assert_eq!(start(&mut hooks, 0), None);
    hooks.ended(3, RunEnd::Well, at(5));
    assert_eq!(
        start(&mut hooks, 5).unwrap().0,
        5,
        "not the fourth of router"
    );
    hooks.ended(3, RunEnd::Well, at(6));
    assert_eq!(start(&mut hooks, 6), None);
    let next = hooks.poll_timeout();
    assert!(
        next.is_none_or(|next| next > at(6)),
        "nobody spins: {next:?}"
    );
    hooks.ended(1, RunEnd::Well, at(7));
    assert_eq!(start(&mut hooks, 7).unwrap().0, 3);
}

#[test]
fn a_run_that_takes_long_is_told_once() {
    let mut hooks = hooks(&[("a", &[1]), ("b", &[2])]);
    start(&mut hooks, 0).unwrap();
    start(&mut hooks, 0).unwrap();
    assert_eq!(start(&mut hooks, 0), None);
    assert_eq!(hooks.poll_timeout(), Some(at(HOOK_SLOW_MS)));
    assert_eq!(hooks.take_slow(at(HOOK_SLOW_MS - 1)), None);
    hooks.ended(0, RunEnd::Well, at(9));
    assert_eq!(hooks.take_slow(at(HOOK_SLOW_MS)), Some((1, event(2))));
    assert_eq!(hooks.take_slow(at(HOOK_SLOW_MS)), None);
    assert_eq!(
        hooks.poll_timeout(),
        Some(at(9)),
        "b's end was reason to look"
    );
}

#[test]
fn what_fails_is_tried_three_times_and_left_and_others_go_on() {
    let mut hooks = hooks(&[("a", &[1, 2]), ("b", &[3])]);
    start(&mut hooks, 0).unwrap();
    start(&mut hooks, 0).unwrap();
    assert_eq!(hooks.ended(0, BAD, at(10)), None);
    assert_eq!(hooks.ended(1, RunEnd::Well, at(20)), settled(1, 3, None));
    assert_eq!(start(&mut hooks, 20), None, "what comes behind it waits");
    assert_eq!(hooks.poll_timeout(), Some(at(10 + RETRY_MS)));
    let again = 10 + RETRY_MS;
    assert_eq!(start(&mut hooks, again), Some((0, 0, 1)));
    assert_eq!(hooks.ended(0, BAD, at(again)), None);
    assert_eq!(start(&mut hooks, again), None);
    let last = again + 6 * RETRY_MS;
    assert_eq!(hooks.poll_timeout(), Some(at(last)));
    assert_eq!(start(&mut hooks, last), Some((0, 0, 1)));
    let failure = Some(Failure::Status(3));
    assert_eq!(hooks.ended(0, BAD, at(last)), settled(0, 1, failure));
    assert_eq!(
        start(&mut hooks, last),
        Some((0, 0, 2)),
        "the next is not to blame"
    );
    assert_eq!(hooks.ended(0, BAD, at(last)), None);
}

#[test]
fn what_fails_twice_and_then_does_not_is_done() {
    let mut hooks = hooks(&[("a", &[1])]);
    let mut now = 0;
    for end in [BAD, RunEnd::Badly(Failure::TooLong)] {
        start(&mut hooks, now).unwrap();
        assert_eq!(hooks.ended(0, end, at(now)), None);
        // The end of a run is reason to look, and no more.
        assert_eq!(start(&mut hooks, now), None);
        now = hooks
            .poll_timeout()
            .map(|at| at.since_ms(Mono::from_ms(0)))
            .unwrap();
        assert_eq!(start(&mut hooks, now), Some((0, 0, 1)));
        assert_eq!(hooks.ended(0, RunEnd::Postponed, at(now)), None);
        now += HOOK_AGAIN_MS;
    }
    assert_eq!(start(&mut hooks, now), Some((0, 0, 1)));
    assert_eq!(hooks.ended(0, RunEnd::Well, at(now)), settled(0, 1, None));
}

#[test]
fn a_list_that_grows_while_one_runs_changes_nothing_for_that() {
    let mut hooks = hooks(&[("a", &[1])]);
    start(&mut hooks, 0).unwrap();
    hooks.set(Path::new("a"), (0, "a"), events(&[1, 2]), at(1));
    assert_eq!(start(&mut hooks, 1), None);
    assert_eq!(hooks.ended(0, BAD, at(2)), None);
    hooks.set(Path::new("a"), (0, "a"), events(&[1, 2, 3]), at(3));
    assert_eq!(start(&mut hooks, 3), None, "the wait goes on");
    assert_eq!(start(&mut hooks, 2 + RETRY_MS), Some((0, 0, 1)));
    // Taken off the list meanwhile, as one too many.
    hooks.set(Path::new("a"), (0, "a"), events(&[2, 3]), at(4));
    assert_eq!(hooks.ended(0, BAD, at(9_000)), None);
    assert_eq!(start(&mut hooks, 9_000), Some((0, 0, 2)));
}

#[test]
fn a_source_that_comes_back_under_another_number_waits_for_its_own_run() {
    let mut hooks = hooks(&[("a", &[1])]);
    start(&mut hooks, 0).unwrap();
    hooks.forget(Path::new("a"));
    assert_eq!(hooks.poll_timeout(), Some(at(0)), "some may be waiting");
    assert_eq!(start(&mut hooks, 0), None);
    hooks.set(Path::new("a"), (7, "a"), events(&[1]), at(1));
    assert_eq!(start(&mut hooks, 1), None, "one at a time");
    assert_eq!(hooks.ended(0, RunEnd::Well, at(2)), settled(7, 1, None));
    hooks.forget(Path::new("a"));
    assert_eq!(start(&mut hooks, 3), None);
}

#[test]
fn a_flood_of_failures_is_counted() {
    let pointers: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let mut hooks = Hooks::new(1);
    for (index, pointer) in (0..).zip(&pointers) {
        hooks.set(Path::new(pointer), (index, pointer), events(&[1]), at(0));
    }
    let (mut told, mut counted, mut now) = (0, 0, 0);
    for _ in 0..100_000 {
        while let Some(start) = hooks.start(at(now)) {
            let settled = hooks.ended(start.place, BAD, at(now));
            told += u32::from(settled.is_some_and(|it| it.is_told));
        }
        counted += hooks.take_untold(at(now)).unwrap_or(0);
        let Some(next) = hooks.poll_timeout() else {
            break;
        };
        now = now.max(next.since_ms(Mono::from_ms(0)));
    }
    assert_eq!(told, u32::from(HOOKS_TOLD_MAX));
    assert_eq!(told + counted, 500);
}
