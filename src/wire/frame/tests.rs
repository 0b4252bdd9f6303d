//! Frames out and in again.

use super::note::{LeftOut, NAME_MAX};
use super::*;

fn samples() -> Vec<Frame<'static>> {
    vec![
        Frame::Alive { size: u64::MAX },
        Frame::End(End {
            size: 5,
            reason: Reason::Rotated,
            md5: Some([7; 16]),
        }),
        Frame::End(End {
            size: 0,
            reason: Reason::Rewritten,
            md5: None,
        }),
        Frame::Next(Next {
            inode: Inode(9),
            mtime_ns: 3,
            after_loss: false,
        }),
        Frame::Next(Next {
            inode: Inode(9),
            mtime_ns: 3,
            after_loss: true,
        }),
        Frame::Digest(Digest {
            inode: Inode(9),
            size: 1 << 40,
            md5: Some([1; 16]),
        }),
        Frame::Digest(Digest {
            inode: Inode(9),
            size: 3,
            md5: None,
        }),
        Frame::Hole {
            offset: 1 << 40,
            len: HOLE_MAX,
        },
        Frame::Error {
            code: ErrorCode::NotServed,
            text: b"it is not in %files",
        },
        Frame::Error {
            code: ErrorCode::Other(99),
            text: b"",
        },
        Frame::File {
            role: Role::Begins,
            token: Token::parse(b"8:3/1").unwrap(),
        },
        Frame::File {
            role: Role::Ended,
            token: Token::parse(&[b'z'; Token::MAX_LEN]).unwrap(),
        },
        Frame::File {
            role: Role::EndedInCopy,
            token: Token::parse(b"8:3").unwrap(),
        },
        Frame::Note(Note {
            why: LeftOut::NotPermitted,
            is_missing: true,
            size: 1 << 40,
            name: b"messages.1",
        }),
        Frame::Note(Note {
            why: LeftOut::Other(200),
            is_missing: false,
            size: 0,
            name: &[0xff; NAME_MAX],
        }),
    ]
}

// What the receiver does with a frame, in one piece: without its state the codec is tried alone.
fn parse(bytes: &[u8]) -> Result<Frame<'_>, BadFrame> {
    let header = Header::parse(bytes.first_chunk().unwrap());
    let payload = &bytes[HEADER_LEN..];
    assert_eq!(usize::from(header.len), payload.len());
    let mut crc = Header::start_crc(header.kind, header.flags, header.len);
    if crc.update(payload).finish() != header.crc {
        return Err(BadFrame::Checksum);
    }
    Frame::parse(header.kind, payload).unwrap_or(Err(BadFrame::Unknown(header.kind)))
}

#[test]
fn every_frame_reads_back() {
    for frame in samples() {
        assert_eq!(parse(&frame.to_bytes()), Ok(frame));
    }
}

#[test]
fn who_knows_only_the_first_kinds_may_skip_some_others() {
    for frame in samples() {
        let is_new = matches!(frame, Frame::File { .. } | Frame::Note(_));
        assert_eq!(frame.to_bytes()[1], u8::from(is_new));
    }
}

#[test]
fn any_changed_bit_is_noticed() {
    for frame in samples() {
        let good = frame.to_bytes();
        for bit in 0..good.len() * 8 {
            if (16..32).contains(&bit) {
                // The length decides how much is read at all.
                continue;
            }
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&bad), Err(BadFrame::Checksum), "bit {bit}");
        }
    }
}

#[test]
fn wrong_lengths_and_fields_have_their_names() {
    for frame in samples() {
        let bytes = frame.to_bytes();
        let (kind, payload) = (bytes[0], &bytes[HEADER_LEN..]);
        // What these end with has any length.
        if [kind::ERROR, kind::FILE, kind::NOTE].contains(&kind) {
            continue;
        }
        // The last byte of that one may be left out.
        let optional = kind == kind::NEXT && payload.len() == 17;
        for len in 0..payload.len() - usize::from(optional) {
            assert_eq!(
                Frame::parse(kind, &payload[..len]),
                Some(Err(BadFrame::Length))
            );
        }
        let longer = [payload, &[0]].concat();
        assert_eq!(Frame::parse(kind, &longer), Some(Err(BadFrame::Length)));
    }
    assert_eq!(Frame::parse(kind::ERROR, b""), Some(Err(BadFrame::Length)));
    assert_eq!(
        Frame::parse(kind::NEXT, &[0; 16]),
        Some(Err(BadFrame::Field)),
        "inode 0"
    );
    assert_eq!(
        Frame::parse(kind::END, &[0; 26]),
        Some(Err(BadFrame::Field)),
        "reason 0"
    );
    for (payload, bad) in [
        (&b""[..], BadFrame::Length),
        (&[0], BadFrame::Length),
        (&[0; Token::MAX_LEN + 2], BadFrame::Length),
        (b"\x05a", BadFrame::Field),
        (b"\x00a b", BadFrame::Field),
        (b"\x01/a", BadFrame::Field),
    ] {
        assert_eq!(Frame::parse(kind::FILE, payload), Some(Err(bad)));
    }
    assert_eq!(Frame::parse(99, b""), None);
}

#[test]
fn a_note_has_a_name_and_may_have_any_reason() {
    let bytes = |why, flags, name: &[u8]| [&[why, flags][..], &[0; 8], name].concat();
    let note = |payload: &[u8]| match Frame::parse(kind::NOTE, payload) {
        Some(Ok(Frame::Note(note))) => Ok((note.why, note.is_missing, note.name.len())),
        other => Err(other.map(|frame| frame.is_err())),
    };
    for len in 0..=10 {
        assert!(note(&bytes(1, 1, b"")[..len]).is_err(), "{len}");
    }
    assert!(note(&bytes(1, 1, &[b'x'; NAME_MAX + 1])).is_err());
    let longest = bytes(2, 1, &[b'x'; NAME_MAX]);
    assert_eq!(note(&longest), Ok((LeftOut::Unreadable, true, NAME_MAX)));
    assert_eq!(note(&bytes(0, 2, b"m")), Ok((LeftOut::Other(0), false, 1)));
    // A longer name is cut when it is sent, and every reason has its number.
    for number in 0..=255 {
        let sent = Frame::Note(Note {
            why: note(&bytes(number, 0, b"m")).unwrap().0,
            is_missing: false,
            size: 0,
            name: &[b'y'; 2 * NAME_MAX],
        });
        let sent = sent.to_bytes();
        assert_eq!(sent[..2], [kind::NOTE, OPTIONAL]);
        assert_eq!(sent[HEADER_LEN], number);
        assert!(parse(&sent).is_ok());
    }
}

#[test]
fn an_endless_reason_is_cut() {
    let text = [b'x'; 1000];
    let bytes = Frame::Error {
        code: ErrorCode::Busy,
        text: &text,
    }
    .to_bytes();
    assert_eq!(bytes.len(), HEADER_LEN + SMALL_MAX);
    assert!(parse(&bytes).is_ok());
}

#[test]
fn random_payloads_never_panic() {
    arbtest::arbtest(|u| {
        let payload: Vec<u8> = u.arbitrary()?;
        let _ = Frame::parse(u.arbitrary()?, &payload);
        Ok(())
    })
    .budget_ms(100);
}

#[test]
fn a_hole_is_one_that_a_file_can_have() {
    let hole = |offset: u64, len: u64| {
        let bytes = Frame::Hole { offset, len }.to_bytes();
        parse(&bytes).map(drop)
    };
    let most = i64::MAX as u64;
    assert_eq!(hole(most - 1, 1), Ok(()));
    for (offset, len) in [(0, 0), (0, HOLE_MAX + 1), (most, 1), (u64::MAX, 1)] {
        assert_eq!(hole(offset, len), Err(BadFrame::Field), "{offset} {len}");
    }
}
