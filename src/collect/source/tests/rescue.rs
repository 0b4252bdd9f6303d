//! A box that was started anew and has forgotten the end of what is held, and files that fail while
//! that is set aside.

use std::path::Path;

use super::*;
use crate::store::Kind;

const ANSWER: &[u8] = b"O 7 v2 at=0 size=6 m=1 b=00000001\n";

/// One that held six bytes when the box went down, and asks again.
fn asking_again() -> (Rig, String) {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(ANSWER);
    rig.receive(&data_frame(0, b"abcdef"));
    rig.close(Closed::ByServer);
    let line = rig.connect();
    rig.said();
    (rig, line)
}

/// As long as takes several parts to move.
const LONG: usize = 300_000;

/// One that held four bytes and a long end.
fn holding(end: &[u8]) -> Rig {
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(ANSWER);
    let bytes = [b"abcd", end].concat();
    for (at, chunk) in bytes.chunks(32 << 10).enumerate() {
        rig.receive(&data_frame((at * (32 << 10)) as u64, chunk));
    }
    rig.close(Closed::ByServer);
    rig
}

/// The same, asking again.
fn with_a_long_end() -> Rig {
    let mut rig = holding(&[b'e'; LONG]);
    rig.connect();
    rig.said();
    rig
}

/// Lets it do what takes long, and measures the most that one call asks of the disk.
fn most_at_once(rig: &mut Rig) -> u32 {
    let mut most = 0;
    while rig.source.has_work() {
        let before = rig.disk.calls();
        rig.with(|source, cx| source.work(&mut [0; 64], cx));
        most = most.max(rig.disk.calls() - before);
    }
    most
}

/// The box has four of them, in another boot.
fn prefix() -> Vec<u8> {
    let crc = Crc32::new().update(b"abcd").finish();
    format!("O 7 v2 at=4 size=4 m=1 b=00000002 prefix=0:4:{crc:08x}\n").into()
}

#[test]
fn that_the_box_was_in_another_boot_is_known_until_its_loss_is_set_aside() {
    let mut failures = 0;
    for nth in 1.. {
        let (mut rig, line) = asking_again();
        assert!(line.contains(" b=00000001"), "{line}");
        rig.disk.fail_call(nth, 5);
        rig.receive(&prefix());
        if rig.source.wants_connection() {
            break;
        }
        failures += 1;
        let again = rig.connect();
        if rig.local() == b"abcdef" {
            assert!(again.contains(" b=00000001"), "call {nth}: {again}");
        } else {
            assert_eq!(rig.local(), b"abcd", "call {nth}");
            let rescued = rig.disk.read("/l/m.rescued.20261122132956");
            assert_eq!(rescued.as_deref(), Some(&b"ef"[..]), "call {nth}");
        }
    }
    assert!(failures > 5, "{failures}");
}

#[test]
fn wherever_it_is_cut_off_one_file_has_the_end() {
    for nth in 1.. {
        let (mut rig, _) = asking_again();
        rig.disk.die_at_call(nth);
        rig.receive(&prefix());
        let was_through = rig.source.wants_connection();
        rig.disk.revive();
        let config = rig.source.config().clone();
        rig.source = Source::new(config, Mono::from_ms(rig.now_ms));
        if rig.connect().starts_with("/var/log/m 7 6 ") {
            rig.receive(&prefix());
        }
        let names = rig.disk.names();
        let rescued = names.iter().filter(|name| name.contains(".rescued."));
        let rescued: Vec<_> = rescued.map(|name| rig.disk.read(name)).collect();
        assert_eq!(rescued, [Some(b"ef".to_vec())], "call {nth}");
        assert_eq!(rig.local(), b"abcd", "call {nth}");
        let pointer = rig.disk.read("/p/m").unwrap();
        assert!(!pointer.escape_ascii().to_string().contains(" rs="));
        if was_through {
            assert!(nth > 10);
            return;
        }
    }
}

#[test]
fn a_name_that_somebody_took_is_left_alone() {
    let (mut rig, _) = asking_again();
    rig.disk.write("/l/m.rescued.20261122132956", b"theirs");
    rig.receive(&prefix());
    let first = rig.disk.read("/l/m.rescued.20261122132956");
    let second = rig.disk.read("/l/m.rescued.20261122132956.1");
    assert_eq!(first.as_deref(), Some(&b"theirs"[..]));
    assert_eq!(second.as_deref(), Some(&b"ef"[..]));
}

/// One that was killed before call `nth` of setting the end aside.
fn killed(nth: u32) -> Rig {
    let (mut rig, _) = asking_again();
    rig.disk.die_at_call(nth);
    rig.receive(&prefix());
    rig.disk.revive();
    let config = rig.source.config().clone();
    rig.source = Source::new(config, Mono::from_ms(rig.now_ms));
    rig
}

const RESCUED: &str = "/l/m.rescued.20261122132956";

#[test]
fn a_name_that_somebody_took_before_the_next_start_is_left_alone_too() {
    let mut taken = 0;
    for nth in 1..12 {
        for theirs in [&b"theirs"[..], b"x", b"ex", b"\0f"] {
            let mut rig = killed(nth);
            let pointer = rig.disk.read("/p/m").unwrap();
            let is_announced = pointer.escape_ascii().to_string().contains(" rs=");
            if !is_announced || rig.disk.exists(RESCUED) {
                continue;
            }
            taken += 1;
            rig.disk.write(RESCUED, theirs);
            rig.connect();
            assert_eq!(rig.disk.read(RESCUED).as_deref(), Some(theirs));
            let second = rig.disk.read("/l/m.rescued.20261122132956.1");
            assert_eq!(second.as_deref(), Some(&b"ef"[..]), "call {nth}");
            assert_eq!(rig.local(), b"abcd");
        }
    }
    assert!(taken > 4, "{taken}");
}

#[test]
fn what_is_no_file_of_its_own_is_left_alone_too() {
    let linked = |rig: &mut Rig| {
        rig.disk.write("/l/other", b"e");
        let (other, name) = (Path::new("/l/other"), Path::new(RESCUED));
        rig.disk.link(other, name).unwrap();
    };
    let odd = |rig: &mut Rig| rig.disk.put_other(RESCUED, Kind::Special);
    let makes: [fn(&mut Rig); 2] = [linked, odd];
    for make in makes {
        let mut rig = (1..12)
            .map(killed)
            .find(|rig| {
                let pointer = rig.disk.read("/p/m").unwrap();
                pointer.escape_ascii().to_string().contains(" rs=")
            })
            .unwrap();
        make(&mut rig);
        rig.connect();
        let second = rig.disk.read("/l/m.rescued.20261122132956.1");
        assert_eq!(second.as_deref(), Some(&b"ef"[..]));
        assert_eq!(rig.disk.read("/l/other").unwrap_or(b"e".to_vec()), b"e");
    }
}

#[test]
fn what_a_run_or_a_power_cut_left_of_it_is_written_anew() {
    for left in [&b""[..], b"e", b"ef", b"e\0", b"\0\0"] {
        let mut rig = (1..12)
            .map(killed)
            .find(|rig| rig.disk.exists(RESCUED) && rig.local() == b"abcdef")
            .unwrap();
        rig.disk.rewrite(RESCUED, left);
        rig.connect();
        assert_eq!(rig.disk.read(RESCUED).as_deref(), Some(&b"ef"[..]));
        assert!(!rig.disk.exists("/l/m.rescued.20261122132956.1"));
    }
}

#[test]
fn a_long_end_moves_in_parts() {
    let mut rig = with_a_long_end();
    let before = rig.disk.calls();
    rig.receive(&prefix());
    assert!(rig.disk.calls() - before < 64);
    assert!(rig.said().is_empty(), "nothing is over yet");
    rig.wait();
    assert!(rig.source.has_work() && !rig.source.wants_connection());
    assert!(most_at_once(&mut rig) < 64);
    assert_eq!(rig.disk.read(RESCUED), Some(vec![b'e'; LONG]));
    assert_eq!(rig.local(), b"abcd");
    let said = rig.said().join("\n");
    assert!(said.contains(RESCUED), "{said}");
    let line = rig.connect();
    assert!(line.starts_with("/var/log/m 7 4 "), "{line}");
    rig.receive(b"O 7 v2 at=4 size=4 m=1 b=00000002\n");
    rig.receive(&data_frame(4, b"new"));
    assert_eq!(rig.local(), b"abcdnew");
    assert!(!rig.source.in_error(), "{:?}", rig.said());
}

#[test]
fn wherever_a_long_end_is_cut_off_one_file_has_it() {
    for nth in 1.. {
        let mut rig = with_a_long_end();
        rig.disk.die_at_call(nth);
        rig.receive(&prefix());
        if !rig.source.wants_connection() && !rig.source.has_work() {
            rig.wait();
        }
        rig.work();
        let was_through = !rig.source.in_error();
        rig.disk.revive();
        let config = rig.source.config().clone();
        rig.source = Source::new(config, Mono::from_ms(rig.now_ms));
        rig.wait();
        assert!(most_at_once(&mut rig) < 64);
        if rig.local().len() > 4 {
            rig.ask();
            rig.receive(&prefix());
            rig.wait();
            rig.work();
        }
        let names = rig.disk.names();
        let rescued: Vec<_> = (names.iter())
            .filter(|name| name.contains(".rescued."))
            .map(|name| rig.disk.read(name).unwrap_or_default())
            .collect();
        assert_eq!(rescued.len(), 1, "call {nth}: {names:?}");
        assert!(rescued[0] == [b'e'; LONG], "call {nth}");
        assert_eq!(rig.local(), b"abcd", "call {nth}");
        if was_through {
            assert!(nth > 70, "{nth}");
            return;
        }
    }
}

#[test]
fn long_zeros_at_a_doubtful_end_are_looked_for_in_parts() {
    let mut rig = holding(&[0; LONG]);
    let config = rig.source.config().clone();
    rig.source = Source::new(config, Mono::from_ms(rig.now_ms));
    rig.boot = BootId::new("second").unwrap();
    rig.disk.take_done();
    rig.wait();
    let mut most = rig.disk.take_done().bytes;
    assert!(rig.source.has_work() && !rig.source.wants_connection());
    while rig.source.has_work() {
        rig.with(|source, cx| source.work(&mut [0; 64], cx));
        most = most.max(rig.disk.take_done().bytes);
    }
    assert!((1..=64 << 10).contains(&most), "{most}");
    let line = rig.connect();
    assert!(line.starts_with("/var/log/m 7 4 "), "{line}");
}
