//! What a source takes of the disk where there is little room, or where it may have only so much.

use super::*;
use crate::limits::{ROOM_LOOK_LEN, ROOM_LOOK_MS, ROOM_SCAN_MS, ROOM_SPARED_MS};

/// All that fits on the disk; a twentieth is kept.
const TOTAL: u64 = 20 << 20;
const KEEP: usize = 1 << 20;

/// A source that follows generation 7 of a server of version 2 on a disk with so much room.
fn following(room: usize, options: &str) -> Rig {
    let line = format!("10.0.0.1 19 /var/log/m /l/m /p/m {options}");
    let disk = Fake::new();
    disk.set_total(TOTAL);
    disk.set_room(Some(room));
    let mut rig = Rig::configured(disk, &line);
    connected(&mut rig);
    rig.said();
    rig
}

/// Makes the next connection, whose answer goes on where the copy ends.
fn connected(rig: &mut Rig) {
    let line = rig.connect();
    let held = rig.local().len();
    assert!(line.starts_with("/var/log/m "), "{line}");
    rig.receive(format!("O 7 v2 at={held} size=0 m=1 b=00000001\n").as_bytes());
    assert!(rig.source.wants_connection());
}

/// The server sends so much more of the log, whose byte at each place is known, in frames of 16
/// KiB, until it is sent or the connection is given up.
fn grow(rig: &mut Rig, len: usize) {
    let end = rig.local().len() + len;
    while rig.source.wants_connection() && rig.local().len() < end {
        let at = rig.local().len();
        let bytes: Vec<u8> = (at..end.min(at + 16 * 1024)).map(byte_at).collect();
        rig.receive(&data_frame(at as u64, &bytes));
    }
}

fn byte_at(place: usize) -> u8 {
    (place % 251) as u8
}

fn assert_whole(rig: &Rig, len: usize) {
    let copy = rig.local();
    assert_eq!(copy.len(), len);
    assert!(
        copy.iter()
            .enumerate()
            .all(|(at, byte)| *byte == byte_at(at))
    );
}

fn is_paused(rig: &Rig) -> bool {
    !rig.source.wants_connection() && rig.source.in_error() && rig.source.intake.is_paused()
}

#[test]
fn who_writes_much_leaves_what_is_to_be_kept_free_and_goes_on_exactly() {
    let mut rig = following(3 * KEEP, "");
    grow(&mut rig, usize::MAX / 2);
    let held = rig.local().len();
    assert!(is_paused(&rig));
    let over = held - 2 * KEEP;
    assert!(over <= 2 * ROOM_LOOK_LEN as usize, "{over} too many");
    let told = "paused: the file system of the local copy has ";
    let said = rig.said();
    assert!(said.len() == 1 && said[0].starts_with(told), "{said:?}");
    assert!(
        said[0].contains(" and keep_free= keeps 1.0 MiB;"),
        "{said:?}"
    );
    assert_eq!(rig.source.state().to_string(), said[0]);

    // It looks again and again and tells nothing more; a little more than is kept is not enough.
    rig.disk.set_room(Some(KEEP + KEEP / 5));
    let begin = rig.now_ms;
    for _ in 0..10 {
        rig.wait();
        assert!(is_paused(&rig));
    }
    assert_eq!(rig.now_ms - begin, 10 * ROOM_LOOK_MS);
    assert!(rig.said().is_empty());

    rig.disk.set_room(Some(2 * KEEP));
    connected(&mut rig);
    assert!(!rig.source.intake.is_paused());
    grow(&mut rig, KEEP / 2);
    assert!(!rig.source.in_error());
    assert_eq!(rig.said(), [format!("following 7 from {held}")]);
    assert_whole(&rig, held + KEEP / 2);
}

#[test]
fn a_pause_within_a_frame_loses_and_doubles_nothing() {
    let mut rig = following(KEEP + 3 * ROOM_LOOK_LEN as usize, "");
    let mut pauses = 0;
    while rig.local().len() < 2 * KEEP {
        let mut at = rig.local().len();
        while rig.source.wants_connection() {
            let bytes: Vec<u8> = (at..at + 60_000).map(byte_at).collect();
            let frame = data_frame(at as u64, &bytes);
            at += bytes.len();
            for piece in frame.chunks(7_000) {
                if rig.source.wants_connection() {
                    rig.receive(piece);
                }
            }
        }
        pauses += 1;
        assert!(is_paused(&rig));
        assert_whole(&rig, rig.local().len());
        rig.disk.set_room(Some(KEEP + 5 * ROOM_LOOK_LEN as usize));
        connected(&mut rig);
    }
    assert!(pauses > 2, "{pauses}");
}

#[test]
fn who_writes_little_goes_on_from_what_is_left_and_less_as_it_shrinks() {
    // Of two with the same rate, one on a disk with most of what is to be kept, one with a tenth.
    for (room, is_spared) in [(KEEP - 1024, true), (KEEP / 10, false)] {
        let mut rig = following(room, "");
        for _ in 0..70 {
            rig.now_ms += ROOM_SPARED_MS / 30;
            rig.disk.set_room(Some(room));
            if rig.source.wants_connection() {
                grow(&mut rig, ROOM_LOOK_LEN as usize / 60);
            }
        }
        assert_eq!(is_paused(&rig), !is_spared);
        let len = match is_spared {
            true => 70 * (ROOM_LOOK_LEN as usize / 60),
            false => rig.local().len(),
        };
        assert_whole(&rig, len);
    }
}

#[test]
fn small_events_never_look_at_the_disk_and_large_ones_seldom() {
    let mut rig = following(TOTAL as usize, "");
    let lookless = ROOM_LOOK_LEN as usize / 100 - 1;
    for _ in 0..lookless {
        grow(&mut rig, 100);
    }
    assert_eq!(rig.disk.looks(), 0);
    grow(&mut rig, 4 << 20);
    let most = (4 << 20) / ROOM_LOOK_LEN as u32 + 1;
    assert!((1..=most).contains(&rig.disk.looks()));
}

#[test]
fn what_is_to_be_kept_can_be_said_and_be_nothing() {
    for (defaults, kept) in [
        ("keep_free=0", 0),
        ("keep_free=10%", 2 * KEEP),
        ("keep_free=3M", 3 * KEEP),
    ] {
        let disk = Fake::new();
        disk.set_total(TOTAL);
        disk.set_room(Some(4 * KEEP));
        let lines = format!("10.0.0.1 19 /var/log/m /l/m /p/m\ndefaults {defaults}\n");
        let mut rig = Rig::configured(disk, &lines);
        connected(&mut rig);
        grow(&mut rig, 4 * KEEP - 100_000);
        assert_eq!(is_paused(&rig), kept > 0, "{defaults}");
        let free = 4 * KEEP - rig.local().len();
        let shortest = kept.saturating_sub(2 * ROOM_LOOK_LEN as usize);
        assert!(free >= shortest, "{defaults}: {free} free");
    }
}

#[test]
fn a_disk_that_does_not_tell_its_room_keeps_nobody_waiting() {
    let mut rig = following(usize::MAX, "");
    rig.disk.set_total(0);
    grow(&mut rig, 1 << 20);
    rig.disk.set_total(TOTAL);
    rig.disk.set_room(Some(2 << 20));
    rig.disk.fail_call(1, 5);
    grow(&mut rig, ROOM_LOOK_LEN as usize);
    assert!(!is_paused(&rig));
}

#[test]
fn the_copies_of_a_source_together_have_no_more_than_they_may() {
    let disk = Fake::new();
    disk.write("/l/m.20260101000000", &[0; 300_000]);
    disk.write("/l/m.20260102000000.1.gz", &[0; 100_000]);
    // Of others.
    disk.write("/l/m2.20260101000000", &[0; 1_000_000]);
    disk.write("/l/m.old", &[0; 1_000_000]);
    disk.write("/l/m.2", &[0; 1_000_000]);
    let mut rig = Rig::configured(disk, "10.0.0.1 19 /var/log/m /l/m /p/m max=1M");
    connected(&mut rig);
    let mut connections = 1;
    while !is_paused(&rig) {
        match rig.source.wants_connection() {
            true => grow(&mut rig, usize::MAX / 2),
            // The copies are counted, and it goes on if they are fewer than was thought.
            false if rig.source.has_work() => rig.work(),
            false => {
                connected(&mut rig);
                connections += 1;
            }
        }
    }
    let held = rig.local().len();
    let all = held + 400_000;
    assert!(all >= 1 << 20 && all <= (1 << 20) + 2 * ROOM_LOOK_LEN as usize);
    assert!(connections <= 3, "{connections}");
    let said = rig.said().pop().unwrap();
    let told = "paused: the local copy and the finished ones have 1.";
    assert!(said.starts_with(told), "{said}");

    // Each minute they are counted; what is told stays.
    for _ in 0..3 {
        let begin = rig.now_ms;
        rig.wait();
        assert!(rig.now_ms - begin == ROOM_SCAN_MS && rig.source.has_work());
        rig.work();
        assert!(is_paused(&rig));
    }
    assert!(rig.said().is_empty());

    rig.disk.remove("/l/m.20260101000000");
    rig.wait();
    rig.work();
    assert!(!rig.source.intake.is_paused());
    connected(&mut rig);
    grow(&mut rig, 100_000);
    assert!(!rig.source.in_error());
    assert_whole(&rig, held + 100_000);
}

#[test]
fn to_ask_for_it_again_ends_no_pause() {
    let mut rig = following(2 * KEEP, "");
    grow(&mut rig, usize::MAX / 2);
    assert!(is_paused(&rig));
    assert!(!rig.source.is_wanting(), "others would make room for it");
    rig.with(|source, cx| source.reopen(cx));
    rig.with(|source, cx| source.connect_anew(1_000, cx));
    let now = Mono::from_ms(rig.now_ms);
    rig.with(|source, _| source.retry_now(now));
    rig.with(|source, cx| source.handle_timeout(cx));
    assert!(is_paused(&rig));
    rig.disk.set_room(Some(2 * KEEP));
    connected(&mut rig);
}

#[test]
fn a_generation_that_ends_where_the_room_does_is_finished_first() {
    use crate::wire::frame::{End, Next, Reason};
    let mut rig = following(KEEP + ROOM_LOOK_LEN as usize, "");
    rig.source.share_barriers();
    let bytes: Vec<u8> = (0..60_000).map(byte_at).collect();
    let mut digest = md5::Md5::new();
    digest.update(&bytes);
    digest.update(&bytes);
    let end = End {
        size: 120_000,
        reason: Reason::Rotated,
        md5: Some(digest.finish()),
    };
    let next = Next {
        inode: Inode(8),
        mtime_ns: 2,
        after_loss: false,
    };
    let mut input = data_frame(0, &bytes);
    input.extend(data_frame(60_000, &bytes));
    input.extend(Frame::End(end).to_bytes());
    input.extend(Frame::Next(next).to_bytes());
    input.extend(data_frame(0, &bytes));
    input.extend(data_frame(60_000, &bytes));
    input.extend(data_frame(120_000, &bytes));
    rig.receive(&input);
    assert!(rig.source.is_changing());
    rig.with(|source, cx| source.make_change(cx));
    assert!(is_paused(&rig), "{:?}", rig.said());
    assert_eq!(rig.rotated(), [&bytes[..], &bytes[..]].concat());
    assert!(rig.local().is_empty(), "what is behind it comes again");
}

/// The box ends what it is at and begins the next generation, with nothing in it.
fn rotate(rig: &mut Rig, inode: u64) {
    use crate::wire::frame::{End, Next, Reason};
    let size = rig.local().len() as u64;
    let md5 = Some(md5::Md5::new().update(&rig.local()).finish());
    let end = End {
        size,
        reason: Reason::Rotated,
        md5,
    };
    let next = Next {
        inode: Inode(inode),
        mtime_ns: 2,
        after_loss: false,
    };
    rig.receive(&[Frame::End(end).to_bytes(), Frame::Next(next).to_bytes()].concat());
    rig.with(|source, cx| source.make_change(cx));
}

#[test]
fn files_run_out_as_bytes_do() {
    let mut rig = following(4 * KEEP, "");
    rig.source.share_barriers();
    // Of each 1 KiB of the disk, a file: a twentieth is to be kept, which is 1024.
    rig.disk.set_files(1_000, 20 << 10);
    let mut inode = 7;
    while rig.source.wants_connection() {
        inode += 1;
        assert!(inode < 100, "generations without an end");
        rotate(&mut rig, inode);
    }
    assert!(is_paused(&rig));
    let said = rig.said();
    let text = "paused: the file system of the local copy has room for 1000 more files, and keep_free= keeps that for 1024; the log goes on by itself when there is room";
    assert!(said.iter().any(|said| said == text), "{said:?}");
    // Where generations are few it goes on from what is left.
    rig.disk.set_files(1_400, 20 << 10);
    connected(&mut rig);
    rig.disk.set_files(900, 20 << 10);
    for _ in 0..20 {
        inode += 1;
        rig.now_ms += 60_000;
        rotate(&mut rig, inode);
        assert!(rig.source.wants_connection());
    }
}

#[test]
fn copies_with_nothing_in_them_take_their_part_of_what_a_source_may_have() {
    let mut rig = following(4 * KEEP, "max=256K");
    rig.source.share_barriers();
    let mut inode = 7;
    while rig.source.wants_connection() {
        inode += 1;
        assert!(inode < 200, "generations without an end");
        rig.now_ms += 1_000;
        rotate(&mut rig, inode);
        if !rig.source.wants_connection() && rig.source.has_work() {
            rig.work();
            if !rig.source.intake.is_paused() {
                connected(&mut rig);
            }
        }
    }
    assert!(is_paused(&rig), "{:?}", rig.said());
    assert!((64..=80).contains(&inode), "{inode}");
}
