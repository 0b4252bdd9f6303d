//! CRC-32 as Ethernet and gzip compute it: for pointer records, frames and proofs. It finds
//! accidents, not forgers.

use crate::sys::cpu;

/// A running checksum. Bytes may come in any pieces.
#[derive(Clone, Copy, Debug)]
pub struct Crc32 {
    /// The bit-reversed remainder, inverted as the standard wants it at both ends.
    remainder: u32,
}

impl Crc32 {
    /// The checksum of no bytes so far.
    pub const fn new() -> Crc32 {
        Crc32 { remainder: !0 }
    }

    /// Takes further bytes in.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Crc32 {
        // The processor folds many bytes at once into a few that have the same remainder as all of
        // them, the remainder so far included. So the table goes on from zero with these and what
        // is left.
        let (blocks, rest) = bytes.as_chunks();
        match cpu::fold_crc32(self.remainder, blocks) {
            Some(folded) => {
                self.remainder = 0;
                self.update_bytewise(&folded);
                self.update_bytewise(rest);
            }
            // Too few bytes to be worth it, or a processor without the instruction.
            None => self.update_bytewise(bytes),
        }
        self
    }

    fn update_bytewise(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // The bits are reflected: the byte that leaves the remainder next is its lowest one.
            let [low, ..] = self.remainder.to_le_bytes();
            self.remainder = (self.remainder >> 8) ^ TABLE[usize::from(low ^ byte)];
        }
    }

    /// The checksum of all bytes so far; more may follow.
    pub const fn finish(&self) -> u32 {
        !self.remainder
    }
}

impl Default for Crc32 {
    fn default() -> Crc32 {
        Crc32::new()
    }
}

/// The IEEE polynomial, lowest bit first.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The effect of each value of a byte on the remainder: 1 KiB instead of eight steps a byte.
static TABLE: [u32; 256] = table();

// Computed by the compiler: 256 numbers typed by hand could have a mistake that few texts show.
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut remainder = index as u32;
        let mut bit = 0;
        while bit < 8 {
            let carry = remainder & 1;
            remainder = (remainder >> 1) ^ (POLYNOMIAL * carry);
            bit += 1;
        }
        table[index] = remainder;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u32 {
        Crc32::new().update(bytes).finish()
    }

    #[test]
    fn known_answers() {
        let every_byte: Vec<u8> = (0..=255).collect();
        assert_eq!(of(b""), 0);
        assert_eq!(of(b"a"), 0xe8b7_be43);
        // The check value that every catalog of checksums gives for this one, and PROTOCOL.md too.
        assert_eq!(of(b"123456789"), 0xcbf4_3926);
        assert_eq!(of(&[0; 32]), 0x190a_55ad);
        assert_eq!(of(&[0xff; 32]), 0xff6c_ab0b);
        assert_eq!(of(&every_byte), 0x2905_8c73);
    }

    #[test]
    fn split_anywhere_is_the_same() {
        let text = b"Nov 22 13:29:56 box kernel: the quick brown fox";
        for at in 0..=text.len() {
            let (head, tail) = text.split_at(at);
            assert_eq!(Crc32::new().update(head).update(tail).finish(), of(text));
        }
    }

    #[test]
    fn long_and_short_pieces_are_the_same() {
        let bytes: Vec<u8> = (0..2000_u32).map(|n| ((n * n) >> 3) as u8).collect();
        for len in 0..bytes.len() {
            let mut bytewise = Crc32::new();
            bytewise.update_bytewise(b"before");
            bytewise.update_bytewise(&bytes[..len]);
            let whole = Crc32::new()
                .update(b"before")
                .update(&bytes[..len])
                .finish();
            assert_eq!(whole, bytewise.finish(), "{len} bytes");
        }
    }

    #[test]
    fn reading_it_does_not_end_it() {
        let mut crc = Crc32::default();
        crc.update(b"12345");
        assert_eq!(crc.finish(), of(b"12345"));
        assert_eq!(crc.update(b"6789").finish(), 0xcbf4_3926);
    }

    // A pointer record relies on this: one bit that a disk turned must not send the source
    // elsewhere.
    #[test]
    fn any_changed_bit_shows() {
        let text = *b"4711 v1 ck=0";
        for bit in 0..text.len() * 8 {
            let mut other = text;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of(&other), of(&text), "bit {bit}");
        }
    }
}
