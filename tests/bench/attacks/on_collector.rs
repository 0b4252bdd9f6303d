//! Boxes that harm the collector.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::common::scripted::{Call, Scripted};
use crate::usage::Attack;
use fetchlogs::wire::frame::note::{LeftOut, Note};
use fetchlogs::wire::frame::{
    DATA_MAX, End, ErrorCode, Frame, HEADER_LEN, Next, Reason, kind, seal,
};

/// Starts a box; gives the attack, and its address.
type Begin = fn() -> (Attack, SocketAddr);

/// Each by a name for the table.
pub const ATTACKS: &[(&str, Begin)] = &[
    ("generation after generation, and away", || {
        evil(|call, _, _| {
            for _ in 0..50 {
                send(call, &one_generation())?;
            }
            Some(())
        })
    }),
    ("generation after generation, on one connection", || {
        evil(|call, attack, _| endless(call, attack, &one_generation()))
    }),
    ("leave at once", || evil(|_, _, _| Some(()))),
    ("lose something, and leave", || {
        evil_with(|inode, _| format!("L {}\n", inode + 1), |_, _, _| Some(()))
    }),
    ("keep-alives of classic without end", || {
        evil_with(
            |inode, _| format!("O {inode}\n"),
            |call, attack, _| endless(call, attack, &[7; 4096]),
        )
    }),
    ("keep-alives of version 2 without end", || {
        evil(|call, attack, _| endless(call, attack, &Frame::Alive { size: 0 }.to_bytes()))
    }),
    ("empty frames of no known kind without end", || {
        // One that may be skipped.
        let mut empty = vec![0; HEADER_LEN + 1];
        seal(kind::NOTE, &mut empty);
        evil(move |call, attack, _| endless(call, attack, &empty))
    }),
    ("notes without end", || {
        let note = Frame::Note(Note {
            why: LeftOut::NotPermitted,
            is_missing: true,
            size: 7,
            name: b"x",
        });
        let note = note.to_bytes();
        evil(move |call, attack, _| endless(call, attack, &note))
    }),
    ("an answer line without end", || {
        evil_with(
            |_, _| "O ".to_owned(),
            |call, attack, _| endless(call, attack, &[b'7'; 4096]),
        )
    }),
    ("a byte now and then", || {
        evil_with(
            |_, _| String::new(),
            |call, attack, _| {
                while !attack.has_ended() {
                    send(call, b"O")?;
                    thread::sleep(Duration::from_millis(20));
                }
                Some(())
            },
        )
    }),
    ("data as fast as it goes", || {
        evil(|call, attack, offset| {
            let mut frame = vec![b'x'; HEADER_LEN + 8 + DATA_MAX];
            let mut at = offset;
            // What fits into the memory of a small machine.
            while !attack.has_ended() && at < FILLED {
                frame[HEADER_LEN..HEADER_LEN + 8].copy_from_slice(&at.to_be_bytes());
                seal(kind::DATA, &mut frame);
                send(call, &frame)?;
                at += DATA_MAX as u64;
            }
            Some(())
        })
    }),
    ("data of one byte", || {
        evil(|call, attack, offset| {
            let mut at = offset;
            while !attack.has_ended() {
                let mut many = Vec::with_capacity(64 << 10);
                while many.len() < 60 << 10 {
                    let mut frame = vec![0; HEADER_LEN];
                    frame.extend_from_slice(&at.to_be_bytes());
                    frame.push(b'x');
                    seal(kind::DATA, &mut frame);
                    many.extend(frame);
                    at += 1;
                }
                send(call, &many)?;
            }
            Some(())
        })
    }),
    ("notes of losses, each another", || {
        evil(|call, attack, _| {
            for n in 0u64.. {
                if attack.has_ended() {
                    break;
                }
                let name = format!("{:p}.{n}", call);
                let note = Frame::Note(Note {
                    why: LeftOut::NotPermitted,
                    is_missing: true,
                    size: n,
                    name: name.as_bytes(),
                });
                send(call, &note.to_bytes())?;
            }
            Some(())
        })
    }),
    ("refusals, each another", || {
        evil(|call, attack, _| {
            for n in 0u64.. {
                if attack.has_ended() {
                    break;
                }
                let text = n.to_string();
                let error = Frame::Error {
                    code: ErrorCode::Busy,
                    text: text.as_bytes(),
                };
                send(call, &error.to_bytes())?;
            }
            Some(())
        })
    }),
    ("checkpoints of classic", || {
        evil_with(
            |inode, _| format!("O {inode}\n"),
            |call, attack, _| {
                // Each MiB makes one.
                let many = vec![b'x'; 64 << 10];
                for _ in 0..FILLED >> 16 {
                    if attack.has_ended() {
                        break;
                    }
                    send(call, &many)?;
                }
                Some(())
            },
        )
    }),
];

/// Bytes of each log of the box that is filled, at most.
const FILLED: u64 = 128 << 20;

/// A box that speaks version 2 and then does `act`, on each connection, from the offset that was asked for.
fn evil(
    act: impl Fn(&mut Call, &Attack, u64) -> Option<()> + Send + Sync + Clone + 'static,
) -> (Attack, SocketAddr) {
    evil_with(
        |inode, offset| format!("O {inode} v2 at={offset} size={offset} m=0 b=00000001\n"),
        act,
    )
}

fn evil_with(
    answer: impl Fn(u64, u64) -> String + Send + Sync + Clone + 'static,
    act: impl Fn(&mut Call, &Attack, u64) -> Option<()> + Send + Sync + Clone + 'static,
) -> (Attack, SocketAddr) {
    let attack = Attack::none();
    let shared = attack.clone();
    let address = Scripted::numbered(50).serve(move |_, mut call| {
        if shared.has_ended() {
            return;
        }
        shared.count();
        let (_, inode, offset) = call.parts();
        let answer = answer(if inode == 0 { 7 } else { inode }, offset);
        if call.try_send(answer) {
            let _ = act(&mut call, &shared, offset);
        }
    });
    (attack, address)
}

fn endless(call: &mut Call, attack: &Attack, bytes: &[u8]) -> Option<()> {
    let many = bytes.repeat((64 << 10) / bytes.len());
    while !attack.has_ended() {
        send(call, &many)?;
    }
    Some(())
}

fn send(call: &mut Call, bytes: &[u8]) -> Option<()> {
    call.try_send(bytes).then_some(())
}

/// An end, and the beginning of the next one.
fn one_generation() -> Vec<u8> {
    let end = Frame::End(End {
        size: 0,
        reason: Reason::Rotated,
        md5: None,
    });
    let next = Frame::Next(Next {
        inode: fetchlogs::ids::Inode(9),
        mtime_ns: 0,
        after_loss: false,
    });
    [end.to_bytes().to_vec(), next.to_bytes().to_vec()].concat()
}
