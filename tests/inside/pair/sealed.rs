//! The dialogue of `cuts` over sealed connections, with somebody on the link.

use super::Pair;
use super::cuts::dialogue;
use super::link::{End, Quota};

/// What somebody on the link does behind so many bytes.
type Harm = fn(&mut Pair, usize);

const HARMS: [Harm; 3] = [
    |pair, at| pair.link.cut_after = Some((at + 1, End::Fin)),
    |pair, at| pair.link.flip_after = Some(at),
    |pair, at| pair.link.swap_after = Some(at),
];

fn sealed(prepare: impl FnOnce(&mut Pair)) -> Pair {
    dialogue(|pair| {
        pair.is_sealed = true;
        prepare(pair);
    })
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let pair = sealed(|_| {});
    pair.check_bytes();
    pair.check_status();
    let plain = dialogue(|_| {});
    // The second message of the handshake, and 18 bytes for each record.
    assert!(pair.link.carried > plain.link.carried + 48 + 18);
    let [one, other] = [&pair, &plain].map(|pair| pair.kept.borrow().len());
    assert_eq!(one, other);
}

#[test]
fn whatever_is_done_at_any_byte_nothing_is_lost_and_nothing_comes_twice() {
    let length = sealed(|_| {}).link.carried;
    assert!(length > 700, "{length}");
    for at in 0..length {
        let pair = sealed(|pair| HARMS[at % HARMS.len()](pair, at));
        pair.check_bytes();
        pair.check_status();
        let is_over = pair.link.flip_after.is_none() && pair.link.cut_after.is_none();
        assert!(is_over, "nothing was done at {at}");
    }
}

#[test]
fn bytes_may_come_one_by_one_and_connections_may_be_short() {
    let pair = sealed(|pair| pair.link.step = 1);
    pair.check_bytes();
    pair.check_status();
    let pair = sealed(|pair| pair.link.quota = Quota::Always(400));
    pair.check_bytes();
}
