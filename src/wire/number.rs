//! The decimal numbers of the wire, and the inode's spelling, which classic peers compare as text.

use std::fmt;

use crate::ids::Inode;

/// Reads a decimal number: one or more digits and nothing else. `None` if it is anything else or
/// needs more than 64 bits.
pub fn decimal(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |value, &byte| {
        // Stricter than `str::parse`, which takes a plus sign; PROTOCOL.md allows digits alone.
        let digit = byte.checked_sub(b'0').filter(|&d| d <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Most leading zeros an inode may be written with.
///
/// A respelled inode has one more zero or none, and a 1.1 collector hands back what it was sent, so
/// there is seldom more than one. The bound keeps an answer line within its room.
const ZEROS_MAX: usize = 16;

/// An inode together with how it was written.
///
/// A fetchlogs 1.1 collector compares the answer's inode with its pointer as text and rotates where
/// they differ. So a server that means "the same generation" must repeat the very text it was sent,
/// and one that means "the same inode, but it was truncated" must write the same number
/// differently. Leading zeros make the difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InodeWord {
    inode: Inode,
    zeros: u8,
}

impl InodeWord {
    /// The number without leading zeros.
    pub const fn plain(inode: Inode) -> InodeWord {
        InodeWord { inode, zeros: 0 }
    }

    /// Reads a decimal number with at most sixteen leading zeros.
    pub fn parse(word: &[u8]) -> Option<InodeWord> {
        let inode = Inode(decimal(word)?);
        let leading = word.iter().take_while(|&&b| b == b'0').count();
        // Of a zero the last digit is the number itself.
        let zeros = if leading == word.len() {
            leading - 1
        } else {
            leading
        };
        if zeros > ZEROS_MAX {
            return None;
        }
        Some(InodeWord {
            inode,
            zeros: zeros as u8,
        })
    }

    /// The number it stands for.
    pub const fn inode(self) -> Inode {
        self.inode
    }

    /// This number in another spelling.
    #[must_use]
    pub const fn respelled(self) -> InodeWord {
        InodeWord {
            inode: self.inode,
            // Not one zero more each time: a log that is truncated every night must not grow its
            // spelling.
            zeros: if self.zeros == 0 { 1 } else { 0 },
        }
    }
}

impl fmt::Display for InodeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for _ in 0..self.zeros {
            f.write_str("0")?;
        }
        self.inode.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_takes_digits_and_nothing_else() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [
            &b""[..],
            b"-1",
            b"+1",
            b"1.5",
            b"0x1",
            b"1a",
            b" 1",
            b"18446744073709551616",
            b"99999999999999999999999999",
        ] {
            assert_eq!(decimal(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn an_inode_is_written_as_it_was_read() {
        for text in ["0", "123", "0123", "00", "0000000000000000123"] {
            let word = InodeWord::parse(text.as_bytes()).unwrap();
            assert_eq!(word.to_string(), text);
        }
        assert!(InodeWord::parse(b"00000000000000000123").is_none());
        assert!(InodeWord::parse(b"x").is_none());
    }

    #[test]
    fn respelling_keeps_the_number_and_changes_the_text() {
        for text in ["123", "0123", "00123"] {
            let word = InodeWord::parse(text.as_bytes()).unwrap();
            let other = word.respelled();
            assert_eq!(other.inode(), word.inode());
            assert_ne!(other.to_string(), text);
        }
    }
}
