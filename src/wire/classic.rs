//! The body of the classic protocol: the file's bytes, with one value taken out for the keep-alive.

use std::ops::Range;

/// Sent by a server that has nothing to send. Never data, wherever it stands, and not counted in
/// offsets.
pub const KEEP_ALIVE: u8 = 0x07;

/// The byte that a server sends for a [`KEEP_ALIVE`] byte of the file. Classic cannot tell the two
/// apart.
pub const MASKED: u8 = 0xff;

/// How many bytes are searched at once. The search takes a word at a time, far faster than one that
/// looks at each byte; only a part in which it finds something is gone through byte by byte.
const PART: usize = 128;

/// Makes file bytes fit to be sent: masks every byte that would be taken for a keep-alive.
pub fn mask(bytes: &mut [u8]) {
    // A log of text hardly ever has such a byte, so most parts are looked at once and not written
    // to.
    for part in bytes.chunks_mut(PART) {
        if part.contains(&KEEP_ALIVE) {
            mask_each(part);
        }
    }
}

/// Drops the keep-alives from received bytes, closing the gaps. Returns how many bytes of data
/// stand at the front.
pub fn strip(bytes: &mut [u8]) -> usize {
    let mut kept = 0;
    for start in (0..bytes.len()).step_by(PART) {
        let part = start..bytes.len().min(start + PART);
        if bytes[part.clone()].contains(&KEEP_ALIVE) {
            // Data only ever move towards the front, so they overwrite nothing that is still to be
            // read.
            kept = strip_each(bytes, part, kept);
        } else {
            let len = part.len();
            // As long as nothing was dropped, everything stands where it belongs.
            if kept < start {
                bytes.copy_within(part, kept);
            }
            kept += len;
        }
    }
    kept
}

fn mask_each(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte == KEEP_ALIVE {
            *byte = MASKED;
        }
    }
}

/// Moves what is data in a part to `kept`, which is not behind its start. Returns the end of it.
fn strip_each(bytes: &mut [u8], part: Range<usize>, mut kept: usize) -> usize {
    // No two slices are used here: source and target may overlap, and often are the same byte.
    for at in part {
        if bytes[at] != KEEP_ALIVE {
            bytes[kept] = bytes[at];
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbtest::arbitrary::{self, Unstructured};

    #[test]
    fn masked_bytes_survive_stripping_whole() {
        arbtest::arbtest(|u| {
            let file: Vec<u8> = u.arbitrary()?;
            let mut sent = file.clone();
            mask(&mut sent);
            let expected: Vec<u8> = file
                .iter()
                .map(|&b| if b == 7 { 0xff } else { b })
                .collect();
            assert_eq!(sent, expected);
            assert_eq!(strip(&mut sent), file.len());
            assert_eq!(sent, expected);
            Ok(())
        })
        .budget_ms(100);
    }

    // Two keep-alives in a row come of two silent intervals that one read brings together.
    #[test]
    fn keep_alives_vanish_wherever_they_stand() {
        for (input, output) in [
            (&b"\x07"[..], &b""[..]),
            (b"\x07\x07\x07", b""),
            (b"\x07abc", b"abc"),
            (b"a\x07b\x07\x07c\x07", b"abc"),
            (b"abc", b"abc"),
            (b"", b""),
        ] {
            let mut bytes = input.to_vec();
            let kept = strip(&mut bytes);
            assert_eq!(&bytes[..kept], output);
        }
    }

    #[test]
    fn parts_are_treated_as_one_byte_after_the_other_would_be() {
        arbtest::arbtest(|u| {
            let mut bytes = dotted(u)?;
            let masked = bytes.iter().map(|&b| if b == 7 { 0xff } else { b });
            let masked: Vec<u8> = masked.collect();
            let data: Vec<u8> = bytes.iter().copied().filter(|&b| b != 7).collect();
            let mut sent = bytes.clone();
            mask(&mut sent);
            assert_eq!(sent, masked);
            let kept = strip(&mut bytes);
            assert_eq!(&bytes[..kept], data);
            Ok(())
        })
        .budget_ms(200);
    }

    #[test]
    fn it_makes_no_difference_where_what_was_sent_is_cut() {
        arbtest::arbtest(|u| {
            let mut whole = dotted(u)?;
            let cut = u.int_in_range(0..=whole.len())?;
            let (mut first, mut second) = (whole[..cut].to_vec(), whole[cut..].to_vec());
            let ends = (strip(&mut first), strip(&mut second));
            let kept = strip(&mut whole);
            assert_eq!(
                [&first[..ends.0], &second[..ends.1]].concat(),
                &whole[..kept]
            );
            Ok(())
        })
        .budget_ms(200);
    }

    #[test]
    fn a_keep_alive_is_found_at_every_place_of_several_parts() {
        for len in [1, PART - 1, PART, PART + 1, 3 * PART + 5] {
            for at in 0..len {
                let mut bytes: Vec<u8> = (0..len).map(|n| 8 + (n % 200) as u8).collect();
                let mut data = bytes.clone();
                data.remove(at);
                bytes[at] = KEEP_ALIVE;
                let mut sent = bytes.clone();
                mask(&mut sent);
                assert_eq!(sent[at], MASKED);
                sent.remove(at);
                assert_eq!(sent, data);
                assert_eq!(strip(&mut bytes), len - 1);
                assert_eq!(&bytes[..len - 1], data);
            }
        }
    }

    /// Several parts of any bytes, with keep-alives none, few or many, alone and in rows.
    fn dotted(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
        let len = u.int_in_range(0..=4 * PART + 9)?;
        let seed: u8 = u.arbitrary()?;
        let mut bytes: Vec<u8> = (0..len).map(|n| (n as u8).wrapping_mul(seed | 1)).collect();
        if u.arbitrary()? {
            bytes.retain(|&b| b != KEEP_ALIVE);
        }
        for _ in 0..u.int_in_range(0..=6)? {
            let start = u.int_in_range(0..=bytes.len())?;
            let end = bytes.len().min(start + u.int_in_range(1..=2 * PART)?);
            let end = if u.arbitrary()? {
                end
            } else {
                bytes.len().min(start + 1)
            };
            bytes[start..end].fill(KEEP_ALIVE);
        }
        Ok(bytes)
    }
}
