//! What a heal writes counts for the room that there is, as what is written of the log does.

use super::*;
use crate::limits::HEAL_ROOM_MS;
use crate::wire::frame::SUMS_MAX;

const COPY: &str = "/l/m.20261122132956";
const HEALING: &str = "/l/m.20261122132956.healing";
const SIZE: usize = 400_000;

fn theirs() -> Vec<u8> {
    (0..SIZE).map(|place| (place % 251) as u8).collect()
}

/// A source with a finished copy that has a wrong byte at this place, on a disk with so much room,
/// of which 256 KiB are kept.
fn differing(at: usize, options: &str, room: usize) -> Rig {
    let disk = Fake::new();
    disk.set_total(5 << 20);
    disk.set_room(Some(room + SIZE));
    let line = format!("10.0.0.1 19 /var/log/m /l/m /p/m {options}");
    let mut rig = Rig::configured(disk, &line);
    let mut ours = theirs();
    ours[at] ^= 1;
    let md5 = Some(md5::Md5::new().update(&theirs()).finish());
    while rig.local().len() < SIZE {
        rig.work();
        let asked = rig.connect();
        assert!(!asked.contains(" op="), "{asked}");
        let held = rig.local().len();
        rig.receive(format!("O 7 v2 at={held} size={SIZE} m=1 b=00000001\n").as_bytes());
        // The copies are counted once.
        while rig.source.wants_connection() && rig.local().len() < SIZE {
            let at = rig.local().len();
            let part = &ours[at..SIZE.min(at + 16_384)];
            rig.receive(&data_frame(at as u64, part));
        }
    }
    rig.end(7, SIZE as u64, md5);
    rig.said();
    rig
}

/// The server answers whatever is asked for so long, but never has anything new of the log. Tells
/// how much was sent of the copy.
fn serve(rig: &mut Rig, ms: u64) -> usize {
    let (theirs, until_ms) = (theirs(), rig.now_ms + ms);
    let mut sent = 0;
    while rig.now_ms < until_ms {
        rig.work();
        if rig.source.wants_connection() || !is_due(rig) {
            rig.time_out();
            continue;
        }
        let asked = rig.connect();
        let Some((_, op)) = asked.trim_end().split_once(" op=") else {
            rig.receive(b"O 8 v2 at=0 size=0 m=2 b=00000001\n");
            rig.receive(&Frame::Alive { size: 0 }.to_bytes());
            continue;
        };
        let numbers: Vec<usize> = op.split(':').filter_map(|it| it.parse().ok()).collect();
        let (start, len) = (numbers[0], numbers[1]);
        rig.receive(format!("O 7 v2 at=0 size={SIZE} m=1 b=00000001\n").as_bytes());
        if op.starts_with("sums:") {
            let end = SIZE.min(start + len * numbers[2]);
            rig.receive(&sums(&theirs[start..end], start, len));
            continue;
        }
        let mut at = start;
        while at < SIZE.min(start + len) && rig.source.wants_connection() {
            let part = &theirs[at..SIZE.min(start + len).min(at + 16_384)];
            rig.receive(&data_frame(at as u64, part));
            at += part.len();
            sent += part.len();
        }
    }
    rig.work();
    sent
}

/// Whether the next thing that happens is a connection.
fn is_due(rig: &Rig) -> bool {
    !rig.source.intake.is_paused() && !rig.source.has_work()
}

fn sums(part: &[u8], start: usize, block_len: usize) -> Vec<u8> {
    assert!(part.len() <= block_len * SUMS_MAX);
    let (start, end) = (start as u64, (start + part.len()) as u64);
    let mut frame = vec![0; frame::HEADER_LEN];
    frame.extend(start.to_be_bytes());
    frame.extend(end.to_be_bytes());
    for block in part.chunks(block_len) {
        frame.extend(Crc32::new().update(block).finish().to_be_bytes());
    }
    frame::seal(frame::kind::SUMS, &mut frame);
    frame
}

#[test]
fn with_room_for_it_the_copy_is_healed_at_once() {
    for at in [70, SIZE - 70] {
        let mut rig = differing(at, "max=2M", 2 << 20);
        serve(&mut rig, 60_000);
        assert!(rig.rotated() == theirs());
        assert!(rig.disk.exists(&format!("{COPY}.damaged")));
    }
}

/// What was said since the source paused.
fn said_after_pause(rig: &Rig) -> String {
    let said = rig.said().join("\n");
    let (_, after) = said.split_once("paused: ").expect("a pause");
    after.to_owned()
}

#[test]
fn what_is_kept_free_is_kept_free_of_heals() {
    // What is fetched, and what is copied from the sound beginning.
    for at in [70, SIZE - 70] {
        let mut rig = differing(at, "", 400 << 10);
        let sent = serve(&mut rig, 60_000);
        assert!(sent < SIZE / 2, "{sent}");
        said_after_pause(&rig);
        assert!(!rig.disk.exists(HEALING), "its room is free again");
        assert!(rig.rotated() != theirs());
        // With a little more room the log goes on, and the heal does not begin at once.
        rig.disk.set_room(Some(400 << 10));
        assert_eq!(serve(&mut rig, HEAL_ROOM_MS / 2), 0);
        let said = rig.said().join("\n");
        assert!(said.contains("following 8 from 0"), "{said}");
        rig.disk.set_room(Some(2 << 20));
        serve(&mut rig, HEAL_ROOM_MS);
        assert!(rig.rotated() == theirs());
    }
}

#[test]
fn a_heal_takes_no_more_than_the_copies_may_have() {
    for at in [70, SIZE - 70] {
        let mut rig = differing(at, "max=600K", 2 << 20);
        serve(&mut rig, 120_000);
        assert!(said_after_pause(&rig).contains("following 8 from 0"));
        assert!(!rig.disk.exists(HEALING));
        assert!(rig.rotated() != theirs());
    }
}
