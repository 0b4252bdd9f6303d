//! The path in a request of version 2. One with blanks is percent-encoded: RFC 3986, section 2.1.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a path is not one word of a line, so that only version 2 can ask for it.
pub fn has_blanks(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// The path that a word of a request means.
pub(super) fn read(word: &[u8], is_v2: bool) -> Cow<'_, [u8]> {
    match is_v2 && word.starts_with(ENCODED_SLASH) {
        true => Cow::Owned(decoded(word)),
        false => Cow::Borrowed(word),
    }
}

/// Writes a path as a word of a request. `None` if it has no room there, or classic no word for it.
pub(super) fn write<const N: usize>(
    path: &[u8],
    is_v2: bool,
    line: &mut heapless::Vec<u8, N>,
) -> Option<()> {
    match has_blanks(path) {
        // What is no path of a file would not be known as encoded.
        true if !is_v2 || path.first() != Some(&b'/') => None,
        true => encode(path, line).ok(),
        false => line.extend_from_slice(path).ok(),
    }
}

/// What a path begins with that is percent-encoded. No other path does.
const ENCODED_SLASH: &[u8] = b"%2F";

/// Writes a path, its slash in front and what is no part of a word percent-encoded.
fn encode(path: &[u8], line: &mut impl Write) -> fmt::Result {
    for (at, &byte) in path.iter().enumerate() {
        match byte {
            b'/' if at > 0 => line.write_char('/')?,
            b'!'..=b'~' if byte != b'%' && byte != b'/' => line.write_char(char::from(byte))?,
            byte => write!(line, "%{byte:02X}")?,
        }
    }
    Ok(())
}

/// Reads that. A `%` without two hexadecimal digits stands for itself.
fn decoded(word: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*word.get(at)?).to_digit(16);
    let mut path = Vec::with_capacity(word.len());
    let mut at = 0;
    while let Some(&byte) = word.get(at) {
        let digits = digit(at + 1).zip(digit(at + 2)).filter(|_| byte == b'%');
        path.push(digits.map_or(byte, |(high, low)| (high << 4 | low) as u8));
        at += if digits.is_some() { 3 } else { 1 };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Inode;
    use crate::wire::number::InodeWord;
    use crate::wire::request::{Extension, Request};

    #[test]
    fn a_path_with_blanks_is_encoded_and_read_back() {
        let asked = |path: &[u8], v2| {
            let request = Request {
                path,
                inode: InodeWord::plain(Inode(1)),
                offset: 2,
                v2,
            };
            request.to_line().map(|line| line.to_vec())
        };
        let v2 = || Some(Extension::default());
        for (path, line) in [
            (&b"/v/m"[..], &b"/v/m 1 2 v2\n"[..]),
            (b"/v/100%2F\xff", b"/v/100%2F\xff 1 2 v2\n"),
            (b"/v/a b", b"%2Fv/a%20b 1 2 v2\n"),
            (
                b"/a\t\"%\\\x01\xc3\xbc\r",
                b"%2Fa%09\"%25\\%01%C3%BC%0D 1 2 v2\n",
            ),
        ] {
            assert_eq!(asked(path, v2()).as_deref(), Some(line));
            let read = Request::parse(&line[..line.len() - 1]).unwrap();
            assert_eq!(*read.name(), *path);
            assert_eq!(asked(path, None).is_none(), has_blanks(path));
        }
        // Classic has no other spelling of a path, and what is no encoding is taken as it stands.
        for (line, name) in [
            (&b"%2Fv/a%20b 1 2"[..], &b"%2Fv/a%20b"[..]),
            (b"%2fv 1 2 v2", b"%2fv"),
            (b"%2F%2fa%0 1 2 v2", b"//a%0"),
            (b"%2F%%zz%41% 1 2 v2", b"/%%zzA%"),
        ] {
            assert_eq!(*Request::parse(line).unwrap().name(), *name);
        }
        assert_eq!(asked(b" /a", v2()), None);
        // The longest there is, each byte with three.
        let path = [b"/".as_slice(), &[b' '; crate::limits::PATH_MAX_LEN - 1]].concat();
        assert!(asked(&path, v2()).is_some());
    }
}
