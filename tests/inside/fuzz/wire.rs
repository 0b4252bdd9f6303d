//! What comes over the wire: lines, frames, proofs.

use super::script::Script;
use crate::limits::REQUEST_MAX_LEN;
use crate::wire::frame::{self, Frame, HEADER_LEN, Header, SMALL_MAX};
use crate::wire::line::{LineBuf, Progress};
use crate::wire::proof;
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::reply::Reply;
use crate::wire::request::{Request, asks_for_v2};
use crate::wire::sums::Sums;

/// A request line: what is read of it is read again from what is written of that.
pub fn request(line: &[u8]) {
    let mut buffer = LineBuf::<REQUEST_MAX_LEN>::new();
    let (used, progress) = buffer.push(line);
    if progress == Progress::TooLong {
        assert!(line.len() > REQUEST_MAX_LEN - 1);
        return;
    }
    let end = line.iter().position(|byte| *byte == b'\n');
    assert_eq!(used, end.map_or(line.len(), |end| end + 1));
    let line = buffer.line();
    let Ok(request) = Request::parse(line) else {
        return;
    };
    assert!(request.v2.is_none() || asks_for_v2(line));
    let Some(written) = request.to_line() else {
        return;
    };
    let written = written.strip_suffix(b"\n").unwrap();
    let again = Request::parse(written).unwrap();
    assert_eq!(again.name(), request.name());
    assert_eq!(again.offset, request.offset);
    assert_eq!(again.inode, request.inode);
    let (Some(before), Some(after)) = (&request.v2, &again.v2) else {
        assert!(request.v2.is_none() && again.v2.is_none());
        return;
    };
    // For want of room the last of what was given is left out, and then the token.
    assert!(before.given.starts_with(&after.given));
    if after.given.len() == before.given.len() && after.identity.is_some() {
        assert_eq!(after, before);
    }
}

/// An answer line.
pub fn answer(line: &[u8]) {
    let Ok(reply) = Reply::parse(line) else {
        return;
    };
    let written = reply.to_line();
    let again = Reply::parse(written.strip_suffix(b"\n").unwrap()).unwrap();
    assert_eq!((again.mark, again.inode), (reply.mark, reply.inode));
    assert_eq!(again.to_line(), written);
}

/// A stream of frames as it comes, in pieces of every size that the first bytes say: in pieces it
/// means what it means at once.
pub fn receiver(input: &[u8]) {
    let mut script = Script::new(input);
    let cuts = script.bytes();
    compare_pieces(script.rest(), cuts);
}

/// The same with frames that have the right checksums, which nobody comes upon by chance.
pub fn frames(input: &[u8]) {
    let mut script = Script::new(input);
    let cuts = script.bytes();
    let mut stream = Vec::new();
    while let Some(kind) = script.next() {
        let mut frame = vec![0; HEADER_LEN];
        match script.byte() {
            0..250 => frame.extend_from_slice(script.bytes()),
            _ => frame.extend(script.content()),
        }
        frame.truncate(HEADER_LEN + frame::PAYLOAD_MAX);
        check_frame(kind, &frame[HEADER_LEN..]);
        frame::seal(kind, &mut frame);
        stream.extend(frame);
    }
    compare_pieces(&stream, cuts);
}

/// What a small frame says is said again by what is written of it.
fn check_frame(kind: u8, payload: &[u8]) {
    if payload.len() > SMALL_MAX {
        return;
    }
    let Some(Ok(frame)) = Frame::parse(kind, payload) else {
        return;
    };
    let bytes = frame.to_bytes();
    let (header, payload) = bytes.split_first_chunk::<HEADER_LEN>().unwrap();
    let header = Header::parse(header);
    assert_eq!(usize::from(header.len), payload.len());
    assert_eq!(Frame::parse(header.kind, payload), Some(Ok(frame)));
}

fn compare_pieces(stream: &[u8], cuts: &[u8]) {
    let whole = meaning(stream, &[]);
    let pieces = meaning(stream, cuts);
    assert_eq!(whole, pieces);
    assert_eq!(whole, meaning(stream, &[1]));
}

/// What a stream means that comes in pieces of these sizes, over and over; at once without any.
fn meaning(stream: &[u8], cuts: &[u8]) -> (Vec<String>, Vec<u8>) {
    let (mut told, mut data) = (Vec::new(), Vec::new());
    let mut receiver = Receiver::new();
    let mut rest = stream;
    let mut sizes = cuts.iter().map(|size| usize::from(*size).max(1)).cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
        let (mut piece, behind) = rest.split_at(size);
        rest = behind;
        loop {
            let before = receiver.taken();
            let (taken, meant) = receiver.next(piece);
            assert_eq!(receiver.taken(), before + taken as u32);
            piece = &piece[taken..];
            match meant {
                Piece::Nothing if taken == 0 && piece.is_empty() => break,
                Piece::Nothing => {}
                Piece::Data(bytes) => {
                    assert!(!bytes.is_empty());
                    data.extend_from_slice(bytes);
                }
                Piece::Bad(bad) => {
                    told.push(format!("{bad:?}"));
                    return (told, data);
                }
                Piece::Small => match receiver.small(|frame| format!("{frame:?}")) {
                    Ok(text) => told.push(text),
                    Err(bad) => {
                        told.push(format!("{bad:?}"));
                        return (told, data);
                    }
                },
                Piece::Sums => told.push(sums(receiver.sums())),
                piece => told.push(format!("{piece:?}")),
            }
        }
    }
    (told, data)
}

/// Block checksums, read as an answer to the question that would fit them.
fn sums(payload: Vec<u8>) -> String {
    let start = payload
        .first_chunk()
        .map_or(0, |start| u64::from_be_bytes(*start));
    let mut text = String::new();
    for (len, count) in [(4096, 1024), (1, 3), (u64::MAX, u16::MAX)] {
        if let Ok(sums) = Sums::parse(payload.clone(), start, len, count) {
            assert!(sums.end() >= start);
            text += &format!("{}: {:?} ", sums.end(), sums.get(0));
            assert_eq!(sums.get(u64::MAX), None);
        }
    }
    text
}

/// A proof, and the places of one.
pub fn proof(input: &[u8]) {
    if let Some(proof) = proof::parse(input) {
        let mut text = String::new();
        proof::write(&proof, &mut text).unwrap();
        assert_eq!(proof::parse(text.as_bytes()), Some(proof));
    }
    let mut script = Script::new(input);
    let (size, covered) = (script.number(), script.number());
    let random: Vec<u64> = (0..script.byte() % 9).map(|_| script.number()).collect();
    let places = proof::places(size, covered, &random);
    for (start, len) in &places {
        assert!(*len > 0 && usize::from(*len) <= proof::BLOCK_LEN_MAX);
        assert!(start.checked_add(u64::from(*len)).unwrap() <= size);
    }
    assert_eq!(places.is_empty(), size == 0);
    let mut bytes = script.rest().to_vec();
    let whole = proof::checksum(&mut bytes.clone(), false);
    let mapped = proof::checksum(&mut bytes, true);
    assert!(whole == mapped || input.contains(&crate::wire::classic::KEEP_ALIVE));
}
