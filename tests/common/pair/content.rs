//! What the boxes of the tests write.

use std::io::Write;
use std::ops::Range;

use fetchlogs::random::Random;
use fetchlogs::wire::crc32::Crc32;
use fetchlogs::wire::md5::{Hex, Md5};

/// Numbered lines of the same length, each different from all others.
pub fn lines(numbers: Range<u64>) -> Vec<u8> {
    numbers.fold(Vec::new(), |mut text, number| {
        writeln!(text, "line {number:08} of the log").unwrap();
        text
    })
}

/// Bytes of all values without any order, the same for each seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    // The generator takes a seed and the odd one behind it for the same.
    let mut random = Random::new(2 * seed);
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// The MD5 of all bytes, as `md5sum` shows it.
pub fn md5_of(bytes: &[u8]) -> String {
    Hex(&Md5::new().update(bytes).finish()).to_string()
}

/// A proof of a copy of so many bytes, more than 48 MiB, that is like a sparse file but for its end.
pub fn proof_unlike_all(len: u64) -> String {
    let zeros = Crc32::new().update(&[0; 4096]).finish();
    let alike = (0..7u64).map(|n| format!("{}:4096:{zeros:08x}", n * (8 << 20)));
    let end = format!("{}:4096:12345678", len - 4096);
    let blocks: Vec<String> = alike.chain([end]).collect();
    format!("p={}", blocks.join(","))
}
