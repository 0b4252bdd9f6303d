//! The classic body: the file's bytes, with one value taken out for the keep-alive.

/// Sent by a server that has nothing to send. Never data, wherever it stands, and not counted in offsets.
pub const KEEP_ALIVE: u8 = 0x07;

/// What a server sends for a [`KEEP_ALIVE`] byte of the file. Classic cannot tell the two apart.
pub const MASKED: u8 = 0xff;

/// Makes file bytes fit to be sent: masks every byte that would be taken for a keep-alive.
pub fn mask(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte == KEEP_ALIVE {
            *byte = MASKED;
        }
    }
}

/// Drops the keep-alives from received bytes, closing the gaps. Returns how many bytes of data stand at the front.
pub fn strip(bytes: &mut [u8]) -> usize {
    let Some(first) = bytes.iter().position(|&b| b == KEEP_ALIVE) else {
        return bytes.len();
    };
    let mut kept = first;
    for at in first..bytes.len() {
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
}
