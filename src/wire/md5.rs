//! MD5 (RFC 1321): the digest of a whole generation, chosen because `md5sum` on box and log host
//! shows the same. It proves that no byte got lost or changed on the way; it is no protection
//! against a forger.

use std::fmt;

/// A running digest. Bytes may come in any pieces.
#[derive(Clone, Debug)]
pub struct Md5 {
    state: [u32; 4],
    /// The start of a block that is not full yet; `length` tells how much of it counts.
    block: [u8; BLOCK_LEN],
    /// Bytes taken in so far; the standard counts them modulo 2^64.
    length: u64,
}

impl Md5 {
    /// The digest of no bytes so far.
    pub const fn new() -> Md5 {
        Md5 {
            // RFC 1321, 3.3: the bytes 01 23 45 ... 10 in four words, lowest byte first.
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476],
            block: [0; BLOCK_LEN],
            length: 0,
        }
    }

    /// Takes further bytes in.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Md5 {
        let held = self.held();
        self.length = self.length.wrapping_add(bytes.len() as u64);

        // First what completes the block that the call before has begun. With none begun the
        // remainder is 0, and whole blocks are taken from where they stand without a copy.
        let (head, rest) = bytes.split_at(bytes.len().min((BLOCK_LEN - held) % BLOCK_LEN));
        self.block[held..held + head.len()].copy_from_slice(head);
        if held + head.len() == BLOCK_LEN {
            compress(&mut self.state, &self.block);
        }

        let (blocks, tail) = rest.as_chunks();
        for block in blocks {
            compress(&mut self.state, block);
        }
        // Where `head` did not fill the block, nothing is left that could overwrite it.
        self.block[..tail.len()].copy_from_slice(tail);
        self
    }

    /// The digest of all bytes so far; more may follow.
    pub fn finish(&self) -> [u8; 16] {
        let mut last = self.clone();
        // RFC 1321, 3.1 and 3.2: a one bit and zeros up to eight bytes before the end of a block,
        // then the length in bits. Where fewer than nine bytes are left, one more block takes them.
        let bits = self.length.wrapping_mul(8);
        let to_boundary = BLOCK_LEN - self.held();
        let padding = if to_boundary > 8 {
            to_boundary - 8
        } else {
            to_boundary + BLOCK_LEN - 8
        };
        // A copy takes them, since the server tells the digest of a log and goes on reading it.
        last.update(&PADDING[..padding]).update(&bits.to_le_bytes());

        let mut digest = [0; 16];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(last.state) {
            *bytes = word.to_le_bytes();
        }
        digest
    }

    /// Bytes of `block` that wait for the rest of it.
    const fn held(&self) -> usize {
        (self.length % BLOCK_LEN as u64) as usize
    }
}

impl Default for Md5 {
    fn default() -> Md5 {
        Md5::new()
    }
}

/// Shows bytes as lower-case hexadecimal digits, as `md5sum` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads a digest from its digits; `None` if these are none, or not as many.
pub fn read_hex(hex: &str) -> Option<[u8; 16]> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let mut md5 = [0; 16];
    if pairs.len() != md5.len() {
        return None;
    }
    for (byte, [high, low]) in md5.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some(md5)
}

const BLOCK_LEN: usize = 64;

/// A single one bit, then zeros: what stands between the last byte and the length.
static PADDING: [u8; BLOCK_LEN] = {
    let mut padding = [0; BLOCK_LEN];
    padding[0] = 0x80;
    padding
};

/// Mixes one full block into the state: four rounds of sixteen steps.
fn compress(state: &mut [u32; 4], block: &[u8; BLOCK_LEN]) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }

    let mut mixed = *state;
    // F, G, H and I of RFC 1321, 3.4.
    round(&mut mixed, &words, 0, |b, c, d| (b & c) | (!b & d));
    round(&mut mixed, &words, 1, |b, c, d| (b & d) | (c & !d));
    round(&mut mixed, &words, 2, |b, c, d| b ^ c ^ d);
    round(&mut mixed, &words, 3, |b, c, d| c ^ (b | !d));
    for (old, new) in state.iter_mut().zip(mixed) {
        *old = old.wrapping_add(new);
    }
}

/// Sixteen steps with the mixing function of round `number`.
fn round(
    state: &mut [u32; 4],
    words: &[u32; 16],
    number: usize,
    mix: impl Fn(u32, u32, u32) -> u32,
) {
    let (first, stride) = WORD_ORDER[number];
    let shifts = SHIFTS[number];
    for (step, sine) in SINES[number].into_iter().enumerate() {
        let [a, b, c, d] = *state;
        let sum = a
            .wrapping_add(mix(b, c, d))
            .wrapping_add(words[(first + stride * step) % 16])
            .wrapping_add(sine);
        let next = b.wrapping_add(sum.rotate_left(shifts[step % 4]));
        // The RFC names another of the four registers at each step. Here they move on by one
        // instead, so that all steps are the same.
        *state = [d, next, b, c];
    }
}

/// Which word each round takes first, and how far it goes on from there.
const WORD_ORDER: [(usize, usize); 4] = [(0, 1), (1, 5), (5, 3), (0, 7)];

/// The rotations of each round, in bits: its steps take them in turn.
const SHIFTS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// The first 32 bits behind the point of |sin 1|, |sin 2|, ... |sin 64|.
///
/// Typed in and not computed: the standard library has no sine while compiling. A test compares
/// them.
static SINES: [[u32; 16]; 4] = [
    [
        0xd76a_a478,
        0xe8c7_b756,
        0x2420_70db,
        0xc1bd_ceee,
        0xf57c_0faf,
        0x4787_c62a,
        0xa830_4613,
        0xfd46_9501,
        0x6980_98d8,
        0x8b44_f7af,
        0xffff_5bb1,
        0x895c_d7be,
        0x6b90_1122,
        0xfd98_7193,
        0xa679_438e,
        0x49b4_0821,
    ],
    [
        0xf61e_2562,
        0xc040_b340,
        0x265e_5a51,
        0xe9b6_c7aa,
        0xd62f_105d,
        0x0244_1453,
        0xd8a1_e681,
        0xe7d3_fbc8,
        0x21e1_cde6,
        0xc337_07d6,
        0xf4d5_0d87,
        0x455a_14ed,
        0xa9e3_e905,
        0xfcef_a3f8,
        0x676f_02d9,
        0x8d2a_4c8a,
    ],
    [
        0xfffa_3942,
        0x8771_f681,
        0x6d9d_6122,
        0xfde5_380c,
        0xa4be_ea44,
        0x4bde_cfa9,
        0xf6bb_4b60,
        0xbebf_bc70,
        0x289b_7ec6,
        0xeaa1_27fa,
        0xd4ef_3085,
        0x0488_1d05,
        0xd9d4_d039,
        0xe6db_99e5,
        0x1fa2_7cf8,
        0xc4ac_5665,
    ],
    [
        0xf429_2244,
        0x432a_ff97,
        0xab94_23a7,
        0xfc93_a039,
        0x655b_59c3,
        0x8f0c_cc92,
        0xffef_f47d,
        0x8584_5dd1,
        0x6fa8_7e4f,
        0xfe2c_e6e0,
        0xa301_4314,
        0x4e08_11a1,
        0xf753_7e82,
        0xbd3a_f235,
        0x2ad7_d2bb,
        0xeb86_d391,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_of(bytes: &[u8]) -> String {
        Hex(&Md5::new().update(bytes).finish()).to_string()
    }

    #[test]
    fn known_answers() {
        let cases = [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "abcdefghijklmnopqrstuvwxyz",
                "c3fcd3d76192e4007dfb496cca67e13b",
            ),
            (
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "d174ab98d277d9f5a5611c2c9f419d9f",
            ),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ];
        for (text, digest) in cases {
            assert_eq!(hex_of(text.as_bytes()), digest, "{text}");
        }
    }

    #[test]
    fn the_same_as_md5sum() {
        let seq = |last| (1..=last).map(|n| format!("{n}\n")).collect::<String>();
        assert_eq!(
            hex_of(seq(1000).as_bytes()),
            "53d025127ae99ab79e8502aae2d9bea6"
        );
        assert_eq!(
            hex_of(seq(100_000).as_bytes()),
            "dea9193b768319cbb4ff1a137ac03113"
        );
    }

    /// Around each length where the padding needs one more block, in two pieces cut at every place.
    #[test]
    fn split_anywhere_is_the_same() {
        let bytes: Vec<u8> = (0..200).collect();
        for length in [1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 200] {
            let whole = hex_of(&bytes[..length]);
            for at in 0..=length {
                let (head, tail) = bytes[..length].split_at(at);
                let digest = Md5::new().update(head).update(tail).finish();
                assert_eq!(Hex(&digest).to_string(), whole, "{length} cut at {at}");
            }
        }
    }

    #[test]
    fn byte_by_byte_is_the_same_and_reading_does_not_end_it() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut slow = Md5::default();
        for at in 0..bytes.len() {
            assert_eq!(
                slow.finish(),
                Md5::new().update(&bytes[..at]).finish(),
                "{at}"
            );
            slow.update(&bytes[at..=at]);
        }
        assert_eq!(
            Hex(&slow.finish()).to_string(),
            "e2c865db4162bed963bfaa9ef6ac18f0"
        );
    }

    #[test]
    fn the_table_holds_sines() {
        for (index, entry) in SINES.iter().flatten().enumerate() {
            let sine = (index as f64 + 1.0).sin().abs();
            assert_eq!(*entry, (sine * 4_294_967_296.0) as u32, "{index}");
        }
    }

    #[test]
    fn hex_keeps_leading_zeros() {
        assert_eq!(Hex(&[0, 0x0a, 0xff]).to_string(), "000aff");
        assert_eq!(Hex(&[]).to_string(), "");
    }
}
