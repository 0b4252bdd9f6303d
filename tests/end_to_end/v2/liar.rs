//! Servers of version 2 that lie. Nothing that the collector holds is lost by it, the reason is told, and an honest
//! answer afterwards is taken up where the last good byte stands.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fetchlogs::wire::crc32::Crc32;
use fetchlogs::wire::frame::{ErrorCode, Frame, Header, OPTIONAL, kind};
use fetchlogs::wire::md5::Md5;

use super::scripted::{Call, FIRST, Scripted, data, end, found, next, sealed};
use crate::common::pair::{Options, Pair};
use crate::common::process::Signal;

/// The first connection brings `good\n` and then a lie, the later ones go on honestly.
fn lie(lie: Vec<u8>, complaint: &str) {
    let server = Scripted::start(move |mut call| match call.number {
        0 => {
            call.send(&found(FIRST, 0));
            call.send(&data(0, b"good\n"));
            call.send(&lie);
            call.hold();
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_event(complaint);
    pair.expect_verified("m", &["good\nmore\n"]);
    pair.expect_status("OK\n");
    pair.assert_no_losses();
}

#[test]
fn about_the_order_of_frames() {
    let complaint = "the server sent a frame out of order";
    lie(next(6), complaint);
    lie([end(5, None), data(5, b"evil\n")].concat(), complaint);
    lie(sealed(kind::SUMS, &[0; 20]), complaint);
}

#[test]
fn about_sizes_and_places() {
    let complaint = "the server ended a file at a size it was not sent with";
    lie([end(4, None), next(6)].concat(), complaint);
    lie([end(6, None), next(6)].concat(), complaint);
    lie([end(u64::MAX, None), next(6)].concat(), complaint);
    lie([end(5, None), end(5, None)].concat(), complaint);
    let complaint = "the server sent data that do not belong here";
    lie(data(4, b"evil\n"), complaint);
    lie(data(6, b"evil\n"), complaint);
    lie(data(u64::MAX, b"evil\n"), complaint);
}

#[test]
fn about_checksums() {
    let complaint = "a frame was damaged on the way";
    let sound = data(5, b"evil\n");
    for at in [1, 4, 17] {
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        lie(damaged, complaint);
    }
    let mut damaged = end(5, None);
    damaged[20] ^= 4;
    lie([damaged, next(6)].concat(), complaint);
}

#[test]
fn about_kinds_lengths_and_fields() {
    lie(
        sealed(99, b"?"),
        "the server sent an unknown frame, kind 99",
    );
    let complaint = "the server sent a frame of a wrong length";
    lie(sealed(kind::ALIVE, &[0; 9]), complaint);
    lie(sealed(kind::END, &[0; 300]), complaint);
    lie(sealed(kind::DATA, &[0; 7]), complaint);
    let complaint = "the server sent a frame with a meaningless field";
    lie([end(5, None), next(0)].concat(), complaint);
    let mut meaningless = end(5, None)[8..].to_vec();
    meaningless[8] = 9;
    lie(sealed(kind::END, &meaningless), complaint);
}

#[test]
fn about_errors_that_hold_control_characters() {
    let (code, text) = (ErrorCode::Busy, b"no \x1b[2J\n2026 rotated to 7".as_slice());
    let frame = Frame::Error { code, text }.to_bytes().to_vec();
    // An error in the stream ends nothing: the connection is left by the server.
    let server = Scripted::start(move |mut call| match call.number {
        0 => {
            call.send(&found(FIRST, 0));
            call.send(&data(0, b"good\n"));
            call.send(&frame);
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_event("the server refuses: no \\x1b[2J\\x0a2026 rotated to 7\n");
    pair.expect_verified("m", &["good\nmore\n"]);
    pair.expect_status("OK\n");
    pair.assert_no_losses();
}

#[test]
fn a_frame_that_never_ends() {
    let server = Scripted::start(|mut call| match call.number {
        0 => {
            call.send(&found(FIRST, 0));
            call.send(&data(0, b"good\n"));
            let frame = data(5, &[b'x'; 1000]);
            call.send(&frame[..500]);
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_verified("m", &["good\nmore\n"]);
}

#[test]
fn an_end_after_which_nothing_comes() {
    let server = Scripted::start(|mut call| match call.number {
        0 => {
            call.send(&found(FIRST, 0));
            call.send(&[data(0, b"good\n"), end(5, None)].concat());
            call.hold();
        }
        1 => call.go_on(b"more\n"),
        // Silence ends each connection; no later one brings anything.
        _ => call.go_on(b""),
    });
    let mut pair = server.pair(Options {
        idle_s: 0.5,
        ..Options::brisk()
    });
    pair.expect_event("connection lost: nothing was heard for too long");
    pair.expect_live("m", b"good\nmore\n");
}

#[test]
fn one_generation_after_the_other_without_a_byte() {
    let server = Scripted::start(|mut call| match call.number {
        0 => {
            call.send(&found(FIRST, 0));
            call.send(&data(0, b"good\n"));
            call.send(&[end(5, Some(md5(b"good\n"))), next(6)].concat());
            for inode in 7..300 {
                call.send(&[end(0, None), next(inode)].concat());
            }
            call.hold();
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_event("the server names one file after the other");
    pair.expect_live("m", b"more\n");
    let most = usize::from(fetchlogs::limits::GENERATIONS_PER_PERIOD_MAX) + 1;
    assert!(
        pair.copies("m").rotated().len() <= most,
        "{}",
        pair.copies("m").rotated().len()
    );
}

#[test]
fn frames_without_end_starve_nobody() {
    let is_heard = Arc::new(AtomicBool::new(false));
    let is_over = is_heard.clone();
    let server = Scripted::start(move |mut call| {
        call.send(&found(FIRST, 0));
        call.send(&data(0, b"good\n"));
        let alive = Frame::Alive { size: 5 }.to_bytes();
        let flood = [alive.repeat(200), optional(&[7; 60_000]), data(5, b"")].concat();
        // Without end for whoever would first see all of them.
        while !is_over.load(Ordering::SeqCst) {
            call.send(&flood);
        }
        call.send(&data(5, b"more\n"));
        call.hold();
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_live("m", b"good\n");
    pair.collector().signal(Signal::USR1);
    pair.expect_event("following 5 from 5");
    let held_kb = pair.collector().memory_kib();
    assert!(held_kb < 20_000, "{held_kb} kB");
    is_heard.store(true, Ordering::SeqCst);
    pair.expect_verified("m", &["good\nmore\n"]);
}

/// A frame of a later version that may be skipped.
fn optional(payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let mut crc = Header::start_crc(200, OPTIONAL, len);
    let crc = crc.update(payload).finish().to_be_bytes();
    [&[200, OPTIONAL][..], &len.to_be_bytes(), &crc, payload].concat()
}

/// The collector holds `good\n` of inode 5 and is told this.
fn answer(line: &'static str, complaint: &str) -> (Scripted, Pair) {
    let server = Scripted::start(move |mut call| match call.number {
        0 => {
            call.send(&found(FIRST, 0));
            call.send(&data(0, b"good\n"));
        }
        1 => {
            call.send(line.as_bytes());
            call.hold();
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_event(complaint);
    pair.expect_live("m", b"good\nmore\n");
    pair.assert_no_losses();
    (server, pair)
}

#[test]
fn about_what_was_asked() {
    let complaint = "the server answered something that was not asked";
    for line in [
        "O 5 v2 at=3\n",
        "O 5 v2 at=9\n",
        "O 6 v2 at=0\n",
        "L 6 v2 at=5\n",
        "O 5 v2 at=3 prefix=0:2:00000000\n",
        "O 5 v2 at=9 prefix=0:9:00000000\n",
    ] {
        answer(line, complaint);
    }
    answer(
        "HTTP/1.0 400 Bad Request\n",
        "what answered is not a log server",
    );
    answer("O 5 v2 at=x\n", "what answered is not a log server");
    answer("E 0\n", "what answered is not a log server");
}

#[test]
fn about_the_start_of_our_copy() {
    let (server, _pair) = answer("O 5 v2 at=3 prefix=0:3:00000000\n", "following");
    assert!(!server.asked()[1].contains("prefix="));
    assert!(server.asked()[2].contains(" prefix=0"));
}

#[test]
fn about_the_digest() {
    // Whatever such a server then says of the blocks, the copy stays, the difference is told, and the next one comes.
    type Answer = fn(&mut Call<'_>);
    let answers: [(Answer, &str); 7] = [
        (|_| {}, "the server does not send it again"),
        (refuse, "the server does not send it again"),
        (
            |call| call.send(&[found(5, 0), sums(b"good\n")].concat()),
            "all its blocks are the same, but not the digest",
        ),
        (
            |call| call.send(&[found(5, 0), sealed(kind::SUMS, &[0; 16])].concat()),
            "",
        ),
        (|call| call.send(&[found(5, 0), next(7)].concat()), ""),
        (
            |call| match call.request.contains("op=sums") {
                true => call.send(&[found(5, 0), sums(b"evil\n")].concat()),
                false => call.send(&[found(5, 0), data(0, b"evil?")].concat()),
            },
            "another digest",
        ),
        (
            |call| match call.request.contains("op=sums") {
                true => call.send(&[found(5, 0), sums(b"evil\n")].concat()),
                false => call.send(&[found(5, 0), data(0, b"far too long\n")].concat()),
            },
            "",
        ),
    ];
    thread::scope(|scope| {
        for (answer, why) in answers {
            scope.spawn(move || wrong_digest(answer, why));
        }
    });
}

fn wrong_digest(answer: fn(&mut Call<'_>), why: &str) {
    let server = Scripted::start(move |mut call| match call.place() {
        _ if call.has_op() => answer(&mut call),
        (0, 0) => {
            call.send(&[found(5, 0), data(0, b"good\n")].concat());
            call.send(&[end(5, Some(md5(b"evil\n"))), next(6)].concat());
            call.hold();
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_event(" differs from the server's file: ");
    let events = pair.events();
    assert!(events.contains(why), "{why}\n{events}");
    // An event is told on stdout first.
    pair.until(|pair| match pair.complaints().contains(" differs ") {
        true => Ok(()),
        false => Err("the difference is not on stderr".into()),
    });
    pair.expect("m", &["good\n", "more\n"]);
    pair.expect_status("ERR\n");
    assert_eq!(
        pair.copies("m").beside(".damaged").len() + pair.copies("m").beside(".healing").len(),
        0
    );
}

#[test]
fn about_the_digest_of_nothing() {
    let server = Scripted::start(|mut call| match call.place() {
        _ if call.has_op() => call.send(&[found(5, 0), sums(b"")].concat()),
        (0, 0) => {
            call.send(&[found(5, 0), end(0, Some(md5(b"evil"))), next(6)].concat());
            call.hold();
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_event(" differs from the server's file: ");
    pair.expect("m", &["", "more\n"]);
}

#[test]
fn a_copy_is_healed_even_if_the_server_breaks_off() {
    let server = Scripted::start(|mut call| match call.place() {
        _ if call.request.contains("op=sums") => {
            call.send(&[found(5, 0), sums(b"sound\n")].concat());
        }
        _ if call.request.contains("op=range") => {
            let frame = data(0, b"sound\n");
            let is_first = call.number == 2;
            let len = if is_first {
                frame.len() - 3
            } else {
                frame.len()
            };
            call.send(&[found(5, 0), frame[..len].to_vec()].concat());
        }
        (0, 0) => {
            call.send(&[found(5, 0), data(0, b"wrong\n")].concat());
            call.send(&[end(6, Some(md5(b"sound\n"))), next(6)].concat());
            call.hold();
        }
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_verified("m", &["sound\n", "more\n"]);
    pair.expect_event(" healed ");
    assert_eq!(
        fs::read(&pair.copies("m").beside(".damaged")[0]).unwrap(),
        b"wrong\n"
    );
    pair.assert_no_losses();
}

fn refuse(call: &mut Call<'_>) {
    let (code, text) = (ErrorCode::Gone, b"it is gone".as_slice());
    let frame = Frame::Error { code, text }.to_bytes();
    call.send(&[b"E 0 v2\n", &frame[..]].concat());
}

fn sums(bytes: &[u8]) -> Vec<u8> {
    let sum = Crc32::new().update(bytes).finish();
    let end = bytes.len() as u64;
    let payload = [&[0; 8][..], &end.to_be_bytes(), &sum.to_be_bytes()].concat();
    sealed(kind::SUMS, &payload)
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::new().update(bytes).finish()
}

#[test]
fn a_truncation_that_is_none_takes_nothing_away() {
    let crc = Crc32::new().update(b"goo").finish();
    let line = format!("O 5 v2 at=3 size=3 m=1 b=0000abcd prefix=0:3:{crc:08x}\n");
    let server = Scripted::start(move |mut call| match call.number {
        0 => call.send(&[found(FIRST, 0), data(0, b"good\n")].concat()),
        1 => call.send(line.as_bytes()),
        _ => call.go_on(b"more\n"),
    });
    let mut pair = server.pair(Options::brisk());
    pair.expect_live("m", b"goomore\n");
    let rescued = pair.copies("m").beside("m.rescued.");
    assert_eq!(fs::read(&rescued[0]).unwrap(), b"d\n");
}
