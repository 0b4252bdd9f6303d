//! The proof of what a client holds: checksums of some blocks of its copy.
//!
//! An inode is no identity: it is given out again as soon as a file is gone. So the client sends
//! the checksums of the end, the start and a few other places of its copy, and the server compares
//! them with its files.

use std::fmt::{self, Display, Write};

use super::crc32::Crc32;
use super::number::decimal;

/// Most blocks of one proof: the tail, two heads, two before the tail and three at random.
pub const BLOCKS_MAX: usize = 8;

/// Longest block.
///
/// One page: a server with many clients reads this much for each block of each candidate.
pub const BLOCK_LEN_MAX: usize = 4096;

/// Most bytes at the end of a copy that one proof covers without a gap: besides, it has to have
/// the two blocks at the start.
pub const COVERED_MAX: u64 = ((BLOCKS_MAX - 2) * BLOCK_LEN_MAX) as u64;

/// Bytes of the block at the start of a copy.
pub const HEAD_LEN: usize = 1024;

/// Bytes of a second block there, for files that are shorter than the first.
pub const START_LEN: usize = 64;

/// Bytes of a block in the middle, at most.
pub const MIDDLE_LEN: usize = 512;

/// Which parts of the copy lie behind the blocks before the tail. They tell how much is left of a
/// file that has lost its end.
///
/// A power cut takes the last seconds of writes: of a long log that is a small part, of a young one
/// a large one. So there is a place close before the end and one farther away.
const LOST_PARTS: [u64; 2] = [64, 8];

/// One block and its checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// The place of its first byte.
    pub start: u64,
    /// Its length, from 1 to [`BLOCK_LEN_MAX`].
    pub len: u16,
    /// The CRC-32 of its bytes.
    pub crc: u32,
}

/// The blocks of a proof. Without any, nothing is proved.
pub type Proof = heapless::Vec<Block, BLOCKS_MAX>;

impl Block {
    /// The first byte behind it.
    pub fn end(self) -> u64 {
        self.start.saturating_add(u64::from(self.len))
    }

    /// Whether its checksum is that of nothing but zeros.
    pub fn is_zeros(self) -> bool {
        let zeros = [0; BLOCK_LEN_MAX];
        let zeros = zeros.get(..usize::from(self.len)).unwrap_or_default();
        Crc32::new().update(zeros).finish() == self.crc
    }

    /// Reads `START:LEN:CRC`, the checksum in hexadecimal.
    pub fn parse(text: &[u8]) -> Option<Block> {
        let mut parts = text.split(|&b| b == b':');
        let start = decimal(parts.next()?)?;
        let len = decimal(parts.next()?)?;
        let crc = hex32(parts.next()?)?;
        let in_range =
            (1..=BLOCK_LEN_MAX as u64).contains(&len) && start.checked_add(len).is_some();
        (in_range && parts.next().is_none()).then_some(Block {
            start,
            len: len as u16,
            crc,
        })
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{:08x}", self.start, self.len, self.crc)
    }
}

/// Reads blocks with commas between them.
pub fn parse(text: &[u8]) -> Option<Proof> {
    let mut proof = Proof::new();
    for block in text.split(|&b| b == b',') {
        // Full is the same as wrong: a ninth block would be work that nobody has agreed to.
        proof.push(Block::parse(block)?).ok()?;
    }
    Some(proof)
}

/// Writes blocks with commas between them.
pub fn write(proof: &Proof, out: &mut impl Write) -> fmt::Result {
    for (number, block) in proof.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        write!(out, "{comma}{block}")?;
    }
    Ok(())
}

/// The places to prove in a copy of `size` bytes: the tail first, then the start, then what the
/// tail lacks of the last `covered` bytes, at most [`COVERED_MAX`], then places before the tail,
/// then as many others as there are numbers in `random` and room for. Nothing for an empty copy.
pub fn places(size: u64, covered: u64, random: &[u64]) -> heapless::Vec<(u64, u16), BLOCKS_MAX> {
    let mut places = heapless::Vec::new();
    let mut add = |start: u64, len: u64| {
        // There is room for eight; whatever more random numbers a caller has is left out.
        let _ = places.push((start, len as u16));
    };
    if size == 0 {
        return places;
    }
    // PROTOCOL.md, "Proof". The tail says most: most logs differ there, whatever they begin with.
    let tail = size.min(BLOCK_LEN_MAX as u64);
    add(size - tail, tail);
    for len in [START_LEN, HEAD_LEN] {
        // No more than half, so that a file cut in two still has a whole block.
        let len = (len as u64).min(size / 2);
        if len > 0 {
            add(0, len);
        }
    }
    let covered = covered.min(COVERED_MAX).min(size);
    // What came in no whole frame has to be proved byte for byte, and is worth more than what
    // follows, which may find no room then.
    let mut proved = tail;
    while proved < covered {
        let len = (covered - proved).min(BLOCK_LEN_MAX as u64);
        proved += len;
        add(size - proved, len);
    }
    let len = (size / 2).min(MIDDLE_LEN as u64);
    if len > 0 {
        // A box that lost its last writes has no tail any more; how much is left shows in these.
        for part in LOST_PARTS {
            // Cannot fall below 0: an eighth of the copy, rounded up, and half of it are never more
            // than all.
            add(size - size.div_ceil(part).max(1) - len, len);
        }
        // Other places each time: what differs in the middle of two files is found sooner or later.
        for number in random {
            add(number % (size - len + 1), len);
        }
    }
    places
}

/// The checksum of a block's bytes; of their masked form if the copy was made by the classic
/// protocol.
pub fn checksum(bytes: &mut [u8], mapped: bool) -> u32 {
    if mapped {
        // PROTOCOL.md, "Proof": 0xff in a copy may stand for 0x07 of the file. Masked, both read
        // the same.
        super::classic::mask(bytes);
    }
    Crc32::new().update(bytes).finish()
}

/// Reads exactly eight hexadecimal digits.
pub fn hex32(text: &[u8]) -> Option<u32> {
    if text.len() != 8 {
        return None;
    }
    text.iter().try_fold(0u32, |value, &byte| {
        // In upper case too: `from_str_radix` would also take a sign.
        Some(value << 4 | (byte as char).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_read_back() {
        arbtest::arbtest(|u| {
            let mut proof = Proof::new();
            for _ in 0..u.int_in_range(1..=BLOCKS_MAX)? {
                let len = u.int_in_range(1..=BLOCK_LEN_MAX as u16)?;
                let start = u.int_in_range(0..=u64::MAX - 4096)?;
                let _ = proof.push(Block {
                    start,
                    len,
                    crc: u.arbitrary()?,
                });
            }
            let mut text = String::new();
            write(&proof, &mut text).unwrap();
            assert_eq!(parse(text.as_bytes()), Some(proof));
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "1",
            "1:2",
            "1:0:00000000",
            "1:4097:00000000",
            "1:2:0000000",
            "1:2:000000000",
            "1:2:0000000g",
            "1:2:00000000:",
            "1:2:00000000,",
            "18446744073709551615:2:00000000",
            "-1:2:00000000",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        // One more than there is room for.
        let too_many = ["0:1:00000000"; BLOCKS_MAX + 1].join(",");
        assert_eq!(parse(too_many.as_bytes()), None);
    }

    #[test]
    fn places_lie_within_the_copy() {
        arbtest::arbtest(|u| {
            let size = u.int_in_range(0..=40_000)?;
            let random: [u64; 3] = u.arbitrary()?;
            let covered = u.int_in_range(0..=COVERED_MAX)?;
            let places = places(size, covered, &random);
            for byte in size.saturating_sub(covered)..size {
                let has =
                    |(start, len): &(u64, u16)| (*start..start + u64::from(*len)).contains(&byte);
                assert!(places.iter().any(has), "{byte} of {size} is not proved");
            }
            assert_eq!(places.is_empty(), size == 0);
            for (start, len) in &places {
                assert!(*len > 0 && start + u64::from(*len) <= size);
            }
            if let Some((start, len)) = places.first() {
                assert_eq!(start + u64::from(*len), size, "the tail comes first");
            }
            assert!(size == 0 || places.iter().any(|(start, _)| *start == 0));
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn more_than_can_be_covered_is_as_much_as_can() {
        let most = places(u64::MAX, COVERED_MAX, &[7]);
        assert_eq!(places(u64::MAX, u64::MAX, &[7]), most);
    }

    #[test]
    fn some_places_remain_whole_when_the_end_is_lost() {
        for (size, lost) in [
            (205, 20),
            (5_000, 600),
            (1_000_000, 15_000),
            (1 << 40, 1 << 33),
        ] {
            let whole = |(start, len): &(u64, u16)| start + u64::from(*len) <= size - lost;
            let kept = places(size, 0, &[])
                .iter()
                .filter(|place| whole(place))
                .map(|p| p.0)
                .max();
            assert!(kept.is_some_and(|start| start * 16 >= size * 5), "{size}");
        }
    }

    #[test]
    fn a_mapped_checksum_is_that_of_the_classic_transfer() {
        assert_eq!(
            checksum(&mut b"a\x07b".to_vec(), true),
            checksum(&mut b"a\xffb".to_vec(), false)
        );
        assert_ne!(
            checksum(&mut b"a\x07b".to_vec(), false),
            checksum(&mut b"a\xffb".to_vec(), false)
        );
    }
}
