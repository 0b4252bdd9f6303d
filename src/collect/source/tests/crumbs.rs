//! What a server makes much work of with few bytes: frames of one byte, and what nobody asked for.

use super::*;
use crate::inside::fair::Turn;
use crate::limits::{CHUNK_LEN, READ_HALVED_MAX};
use crate::wire::token::Token;

/// Makes a frame, from the place where it belongs.
type MakeFrame = fn(u64) -> Vec<u8>;

/// As many of these as have room in so much.
fn crumbs(most: usize, frame: MakeFrame) -> Vec<u8> {
    let mut all = Vec::new();
    let mut at = 3;
    loop {
        let next = frame(at);
        if all.len() + next.len() > most {
            return all;
        }
        all.extend(next);
        at += 1;
    }
}

fn token() -> Token {
    Token::parse(b"1.2/3").unwrap()
}

/// Connected, with three bytes of a file in the copy.
fn streaming() -> Rig {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=3 m=1 b=00000001\n");
    rig.receive(&data_frame(0, b"abc"));
    rig
}

/// What one input cost: calls of the file system, syncs, and pieces of frames.
fn cost(rig: &mut Rig, input: &[u8]) -> (u64, u64, u32) {
    let before = (rig.disk.calls(), rig.disk.syncs(), rig.source.pieces());
    rig.receive(input);
    (
        u64::from(rig.disk.calls() - before.0),
        u64::from(rig.disk.syncs() - before.1),
        rig.source.pieces().saturating_sub(before.2),
    )
}

/// The frames that are smallest for what they make a source do.
fn kinds() -> [(&'static str, MakeFrame); 6] {
    [
        ("a byte", |at| data_frame(at, b"x")),
        ("a hole of a byte", |offset| {
            Frame::Hole { offset, len: 1 }.to_bytes().to_vec()
        }),
        ("a size", |size| Frame::Alive { size }.to_bytes().to_vec()),
        ("a token", |_| {
            let (role, token) = (frame::Role::Present, token());
            Frame::File { role, token }.to_bytes().to_vec()
        }),
        ("a digest", |size| {
            let digest = frame::Digest {
                inode: Inode(size),
                size,
                md5: None,
            };
            Frame::Digest(digest).to_bytes().to_vec()
        }),
        ("an unknown frame", |_| {
            let mut bytes = vec![0; frame::HEADER_LEN];
            frame::seal(200, &mut bytes);
            bytes
        }),
    ]
}

#[test]
fn what_small_frames_cost_is_told_by_their_pieces() {
    for (what, frame) in kinds() {
        let mut rig = streaming();
        let input = crumbs(CHUNK_LEN, frame);
        let frames = input.len() / frame(9).len();
        let (calls, syncs, pieces) = cost(&mut rig, &input);
        println!("{frames} times {what}: {calls} calls, {syncs} syncs, {pieces} pieces");
        // One that makes too much of it is given up. Of all others the shell counts the pieces, and
        // with them all that they cost.
        let most = match rig.source.wants_connection() {
            true => u64::from(pieces),
            false => Turn::OF_SOURCE.calls,
        };
        assert!(calls <= most, "{what}: {calls} calls");
        assert!(pieces as usize <= 4 * frames, "{what}: {pieces} pieces");
        assert!(syncs <= Turn::OF_SOURCE.syncs, "{what}: {syncs} syncs");
    }
}

#[test]
fn small_frames_of_any_kind_cost_no_more_than_long_ones_where_little_is_read() {
    // What is read of a box that sends such frames.
    let len = CHUNK_LEN >> READ_HALVED_MAX;
    for (what, frame) in kinds() {
        let mut rig = streaming();
        let (calls, syncs, pieces) = cost(&mut rig, &crumbs(len, frame));
        assert!(pieces > 0 || !rig.source.wants_connection(), "{what}");
        let most = Turn::OF_SOURCE;
        assert!(
            calls <= most.calls && syncs <= most.syncs,
            "{what}: {calls} calls"
        );
    }
}

#[test]
#[cfg(not(feature = "gz"))]
fn a_server_that_tells_of_archives_unasked_is_named_and_waits() {
    let archive = frame::archive::Archive {
        is_fresh: false,
        inode: Inode(9),
        size: 100,
        mtime_ns: 5,
        last: [1; 8],
        token: token(),
        name: b"m.1.gz",
    };
    let mut rig = streaming();
    for _ in 0..5 {
        rig.said();
        rig.receive(&Frame::Archive(archive).to_bytes());
        let state = rig.source.state().to_string();
        assert!(state.contains("tells of compressed files"), "{state}");
        let before_ms = rig.now_ms;
        rig.connect();
        let waited_ms = rig.now_ms - before_ms;
        assert!(waited_ms >= PERIODS.retry_ms / 2, "{waited_ms} ms");
        rig.receive(b"O 7 v2 at=3 size=3 m=1 b=00000001\n");
    }
}
