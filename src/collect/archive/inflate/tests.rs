use super::*;
use crate::inside::gzip::{gzip, with_header};

/// What an archive becomes that comes in these pieces.
fn inflate(pieces: &[&[u8]]) -> Result<Vec<u8>, Bad> {
    let mut inflater = Inflater::new();
    let mut all = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let (taken, bytes) = inflater.step(rest)?;
            all.extend_from_slice(bytes);
            rest = &rest[taken..];
            if taken == 0 && bytes.is_empty() {
                break;
            }
        }
        assert!(rest.is_empty(), "{} bytes are left", rest.len());
    }
    inflater.end()?;
    assert_eq!(inflater.given(), all.len() as u64);
    Ok(all)
}

/// A log as logs are: lines that are like each other, and longer than the window.
fn log() -> Vec<u8> {
    let mut log = Vec::new();
    for line in 0..2_000 {
        let host = line * 7 % 13;
        log.extend_from_slice(
            format!("Nov 29 12:{line:04} host{host} daemon: line {line}\n").as_bytes(),
        );
    }
    log
}

#[test]
fn archives_of_every_level_become_what_they_were() {
    let log = log();
    for level in 0..=9 {
        assert_eq!(
            inflate(&[&gzip(&log, level)]).as_deref(),
            Ok(&*log),
            "{level}"
        );
    }
    assert_eq!(inflate(&[&gzip(b"", 6)]).as_deref(), Ok(&b""[..]));
    let zeros = vec![0; 1 << 20];
    assert_eq!(inflate(&[&gzip(&zeros, 9)]).as_deref(), Ok(&*zeros));
}

#[test]
fn an_archive_may_come_in_two_pieces_cut_anywhere() {
    let log = &log()[..6_000];
    for level in [0, 1, 6, 9] {
        let one = gzip(log, level);
        // Two members, as of a log that was compressed in two goes.
        let two = [gzip(&log[..4_000], level), gzip(&log[4_000..], level)].concat();
        for archive in [one, two] {
            for at in 0..=archive.len() {
                let (one, other) = archive.split_at(at);
                assert_eq!(inflate(&[one, other]).as_deref(), Ok(log), "{level} {at}");
            }
            let bytes: Vec<&[u8]> = archive.chunks(1).collect();
            assert_eq!(inflate(&bytes).as_deref(), Ok(log), "{level}");
        }
    }
}

#[test]
fn an_archive_that_ends_anywhere_is_torn() {
    let log = &log()[..3_000];
    let archive = gzip(log, 6);
    for at in 0..archive.len() {
        assert_eq!(inflate(&[&archive[..at]]), Err(Bad::Torn), "{at}");
    }
    let two = [archive.clone(), archive.clone()].concat();
    for at in archive.len() + 1..two.len() {
        assert_eq!(inflate(&[&two[..at]]), Err(Bad::Torn), "{at}");
    }
}

#[test]
fn no_changed_bit_goes_unnoticed() {
    let log = &log()[..2_000];
    let archive = gzip(log, 6);
    for at in 0..archive.len() {
        for bit in 0..8 {
            let mut changed = archive.clone();
            changed[at] ^= 1 << bit;
            match inflate(&[&changed]) {
                Err(_) => {}
                // Some of the header says nothing, nor do the bits behind the last ones.
                Ok(all) => assert_eq!(all, log, "byte {at} bit {bit}"),
            }
        }
    }
}

#[test]
fn what_stands_behind_is_a_member_or_garbage() {
    let archive = gzip(b"one\n", 6);
    for garbage in [&b"\0"[..], &[0; 512], b"x", b"\x1fx", b"\x1f\x8b\x09"] {
        let all = [&archive, garbage].concat();
        assert_eq!(inflate(&[&all]), Err(Bad::Garbage), "{garbage:?}");
    }
    let torn = [&archive, &b"\x1f\x8b\x08\0"[..]].concat();
    assert_eq!(inflate(&[&torn]), Err(Bad::Torn));
    assert_eq!(inflate(&[b"plain text, and no archive"]), Err(Bad::NotGzip));
    assert_eq!(inflate(&[b"\xfd7zXZ\0"]), Err(Bad::NotGzip));
}

#[test]
fn a_header_may_have_all_there_is() {
    let fields: [(u8, &[u8]); 4] = [
        (HAS_EXTRA, b"\x05\0extra"),
        (HAS_NAME, b"messages.1\0"),
        (HAS_COMMENT, b"rotated\0"),
        (HAS_CRC, b""),
    ];
    for chosen in 0..16 {
        let mut header = vec![0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 2, 3];
        for (n, (flag, bytes)) in fields.iter().enumerate() {
            if chosen & 1 << n != 0 {
                header[3] |= flag;
                header.extend_from_slice(bytes);
            }
        }
        if header[3] & HAS_CRC != 0 {
            let crc = Crc32::new().update(&header).finish() as u16;
            header.extend_from_slice(&crc.to_le_bytes());
        }
        let archive = with_header(&header, b"line\n", 6);
        let bytes: Vec<&[u8]> = archive.chunks(1).collect();
        assert_eq!(inflate(&bytes).as_deref(), Ok(&b"line\n"[..]), "{chosen}");
        if header[3] & HAS_CRC != 0 {
            let mut changed = archive.clone();
            changed[header.len() - 1] ^= 1;
            assert_eq!(inflate(&[&changed]), Err(Bad::NotGzip));
        }
    }
    // An extra field of nothing.
    let header = [0x1f, 0x8b, 8, HAS_EXTRA, 0, 0, 0, 0, 0, 3, 0, 0];
    assert_eq!(
        inflate(&[&with_header(&header, b"x", 6)]).as_deref(),
        Ok(&b"x"[..])
    );
}

#[test]
fn what_becomes_far_too_much_is_a_bomb() {
    let zeros = vec![0; 64 << 20];
    let member = gzip(&zeros, 9);
    assert!(zeros.len() as u64 / member.len() as u64 > INFLATED_RATIO_MAX);
    let mut inflater = Inflater::new();
    let mut bad = None;
    'members: for _ in 0..8 {
        let mut rest = &*member;
        while !rest.is_empty() {
            match inflater.step(rest) {
                Ok((taken, _)) => rest = &rest[taken..],
                Err(found) => {
                    bad = Some(found);
                    break 'members;
                }
            }
        }
    }
    assert_eq!(bad, Some(Bad::Bomb));
    assert!(inflater.given() <= INFLATED_UNSUSPECTED + (1 << 16));
}

#[test]
fn an_inflater_takes_little_memory() {
    let len = size_of::<Inflater>() + size_of::<DecompressorOxide>() + WINDOW_LEN;
    assert!(len <= 48 << 10, "{len}");
}

#[test]
fn any_bytes_are_harmless() {
    arbtest::arbtest(|u| {
        let mut archive = gzip(&log()[..u.int_in_range(0..=4_000)?], u.int_in_range(0..=9)?);
        for _ in 0..u.int_in_range(0..=8)? {
            let at = u.choose_index(archive.len())?;
            archive[at] = u.arbitrary()?;
        }
        let cut = u.int_in_range(0..=archive.len())?;
        let mut inflater = Inflater::new();
        for piece in [&archive[..cut], &archive[cut..]] {
            let mut rest = piece;
            while let Ok((taken, bytes)) = inflater.step(rest) {
                if taken == 0 && bytes.is_empty() {
                    break;
                }
                rest = &rest[taken..];
            }
        }
        Ok(())
    })
    .budget_ms(200);
}
