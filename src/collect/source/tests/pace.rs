//! A box that names one generation after the other, and what that costs others.

use super::*;
use crate::limits::{PACE_BURST, PACE_LASTING, PACE_LASTING_MS, PACE_MS};
use crate::wire::frame::{End, ErrorCode, Next, Reason, Role};
use crate::wire::token::Token;

/// Syncs of one change of generations, at most; everybody waits for them.
const SYNCS_MAX: u32 = 8;

/// One that offers version 2 and whose shell makes its changes.
fn sharing() -> Rig {
    let mut rig = Rig::offering();
    rig.source.share_barriers();
    rig
}

/// An END of nothing, or of one byte, and the NEXT of `inode`.
fn rotation(size: u64, inode: u64) -> Vec<u8> {
    let mut digest = md5::Md5::new();
    digest.update(&b"x"[..size as usize]);
    let end = End {
        size,
        reason: Reason::Rotated,
        md5: Some(digest.finish()),
    };
    let next = Next {
        inode: Inode(inode),
        mtime_ns: 2,
        after_loss: false,
    };
    let mut bytes = match size {
        0 => Vec::new(),
        _ => data_frame(0, b"x"),
    };
    bytes.extend(Frame::End(end).to_bytes());
    bytes.extend(Frame::Next(next).to_bytes());
    bytes
}

/// One turn of the shell, as far as it is about changes. Tells whether one was made.
fn turn(rig: &mut Rig) -> bool {
    if !rig.source.may_change() {
        return false;
    }
    rig.disk.forget_syncs();
    rig.with(|source, cx| source.make_change(cx));
    assert!(rig.disk.syncs() <= SYNCS_MAX, "{} syncs", rig.disk.syncs());
    rig.work();
    true
}

/// Waits for the next try, which may be put off, and returns its request line.
fn connect(rig: &mut Rig) -> String {
    while !rig.source.wants_connection() {
        rig.wait();
    }
    rig.ask()
}

/// Has the box name so many generations over one connection and close it. Counts those that became
/// files within the time, which goes on until all did.
fn storm(rig: &mut Rig, inode: &mut u64, generations: u64, until_ms: u64) -> u64 {
    let first = *inode;
    let line = connect(rig);
    let mark = if line.contains(" 0 0 ") { 'O' } else { 'L' };
    let mut bytes = format!("{mark} {first} v2 at=0 size=1 m=1 b=00000001\n").into_bytes();
    for _ in 0..generations {
        *inode += 1;
        bytes.extend(rotation(1, *inode));
    }
    *inode += 1;
    rig.receive(&bytes);
    let mut made = 0;
    while rig.source.is_changing() && rig.now_ms < until_ms {
        match turn(rig) {
            true => made += 1,
            false => rig.time_out(),
        }
    }
    rig.close(Closed::ByServer);
    rig.said();
    made
}

#[test]
fn of_many_generations_at_once_each_turn_makes_one() {
    for size in [0, 1] {
        let mut rig = sharing();
        rig.connect();
        let mut bytes = b"O 7 v2 at=0 size=1 m=1 b=00000001\n".to_vec();
        (8..28).for_each(|inode| bytes.extend(rotation(size, inode)));
        rig.receive(&bytes);
        let mut turns = 0;
        while turn(&mut rig) {
            turns += 1;
            let copies = rig.disk.names().len();
            assert!(copies <= turns + 3, "{copies} files after {turns} turns");
        }
        assert_eq!(turns, 21);
        assert!(rig.source.wants_connection());
        assert_eq!(rig.source.disk.inode(), Some(Inode(27)));
    }
}

#[test]
fn many_at_once_are_made_at_once_and_those_behind_at_their_pace() {
    let mut rig = sharing();
    let begin = rig.now_ms;
    let until = begin + 60_000;
    let mut inode = 7;
    let mut made = 0;
    // Each connection keeps to what is allowed over one, and there is always another.
    while rig.now_ms < until {
        let is_first = made == 0;
        made += storm(&mut rig, &mut inode, 100, until);
        assert!(!is_first || rig.now_ms == begin, "a backlog waited");
    }
    let allowed = PACE_BURST + (until - begin) / PACE_MS + 1;
    assert!(made <= allowed, "{made} of {allowed}");
    assert!(made > allowed / 2, "{made} of {allowed}");
}

#[test]
fn connections_that_bring_nothing_new_are_counted_too() {
    let mut rig = sharing();
    let begin = rig.now_ms;
    let mut connections = 0;
    let end = begin + 4 * 60 * 60 * 1_000;
    while rig.now_ms < end {
        connections += 1;
        storm(&mut rig, &mut 7, 1, end);
    }
    let most = PACE_LASTING + (end - begin) / PACE_LASTING_MS;
    assert!(connections <= most, "{connections} of {most}");
}

#[test]
fn a_change_that_waits_for_its_moment_is_no_silence_and_is_lost_with_its_connection() {
    let mut rig = sharing();
    let mut inode = 7;
    storm(&mut rig, &mut inode, 120, u64::MAX);
    connect(&mut rig);
    let mut bytes = format!("L {inode} v2 at=0 size=1 m=1 b=00000001\n").into_bytes();
    for _ in 0..120 {
        inode += 1;
        bytes.extend(rotation(1, inode));
    }
    rig.receive(&bytes);
    while turn(&mut rig) {}
    assert!(rig.source.is_changing() && !rig.source.may_change());
    let waits_ms = rig.source.poll_timeout(&PERIODS).unwrap().ms() - rig.now_ms;
    assert!((1..=PACE_MS).contains(&waits_ms), "{waits_ms}");
    // The log host slept.
    rig.now_ms += 10 * PERIODS.idle_ms;
    rig.with(|source, cx| source.handle_timeout(cx));
    assert!(rig.source.may_change() && rig.source.wants_connection());
    assert!(turn(&mut rig));
    assert!(rig.source.is_changing());
    let before = rig.source.disk.inode();
    rig.disk.forget_syncs();
    rig.close(Closed::Broken(io::ErrorKind::ConnectionReset.into()));
    assert!(!rig.source.is_changing() && !rig.source.wants_connection());
    // One more was made, for it may be noted already; not all of those behind it.
    assert!(rig.disk.syncs() <= SYNCS_MAX);
    assert_ne!(rig.source.disk.inode(), before);
    assert_ne!(rig.source.disk.inode(), Some(Inode(inode)));
}

#[test]
fn what_writes_a_line_or_a_file_for_each_frame_is_bounded() {
    let token = |n: u64| {
        let text = format!("tok{n}/1");
        let token = Token::parse(text.as_bytes()).unwrap();
        Frame::File {
            role: Role::Present,
            token,
        }
        .to_bytes()
        .to_vec()
    };
    let trouble = |n: u64| {
        let text = format!("trouble {n}");
        Frame::Error {
            code: ErrorCode::NotReadable,
            text: text.as_bytes(),
        }
        .to_bytes()
        .to_vec()
    };
    let kinds: [&dyn Fn(u64) -> Vec<u8>; 2] = [&token, &trouble];
    for frame in kinds {
        let mut rig = sharing();
        rig.connect();
        let mut bytes = b"O 7 v2 at=0 size=0 m=1 b=00000001\n".to_vec();
        (0..1_000).for_each(|n| bytes.extend(frame(n)));
        rig.receive(&bytes);
        while turn(&mut rig) {}
        let state = rig.source.state().to_string();
        let said = rig.said();
        assert!(
            !rig.source.wants_connection(),
            "{state} {:?}",
            &said[..said.len().min(4)]
        );
        let told = said.len();
        assert!(told <= PACE_BURST as usize + 4, "{told} events");
        let waits_ms = rig.source.poll_timeout(&PERIODS).unwrap().ms() - rig.now_ms;
        assert!(waits_ms <= PERIODS.retry_ms, "{waits_ms}");
        // What it holds is asked for again at its pace.
        connect(&mut rig);
    }
}

#[test]
fn holes_are_counted_by_what_their_digest_costs() {
    const HOLE_LEN: u64 = 16 << 20;
    let mut rig = sharing();
    let begin = rig.now_ms;
    connect(&mut rig);
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    // As if as many holes had come before as may come at once; a connection counts, too.
    let now = Mono::from_ms(begin);
    while rig.source.pace.free_at(now).is_none() {
        rig.with(|source, _| _ = source.pay_for_zeros(HOLE_LEN / 2, now));
    }
    rig.now_ms = begin + PACE_MS;
    let hole = |offset, len| Frame::Hole { offset, len }.to_bytes();
    rig.receive(&hole(0, 1_000));
    assert!(rig.source.wants_connection());
    rig.said();
    rig.receive(&hole(1_000, HOLE_LEN));
    assert!(!rig.source.wants_connection());
    assert_eq!(rig.source.disk.size(), HOLE_LEN + 1_000);
    assert!(
        rig.said().is_empty(),
        "it is asked again, and nothing is wrong"
    );
}
