//! The escaped form of bytes that a peer has sent, fit for a log line or a terminal.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Shows bytes so that they stay on one line and cannot steer a terminal.
///
/// Printable ASCII and printable valid UTF-8 stay as they are. A backslash is doubled and every
/// other byte becomes `\xNN`, so what is shown can be read back without doubt.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name in a request may be in any encoding or none; what is valid in it stays readable
        // for the operator, byte by byte the rest does not.
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    // Else a peer that sends the four characters `\x07` would look like one that
                    // sends the byte.
                    '\\' => f.write_str("\\\\")?,
                    c => write_char(f, c)?,
                }
            }
            write_hex(f, chunk.invalid())?;
        }
        Ok(())
    }
}

/// Shows text that is ours but may quote somebody else's: like [`Escaped`], but a backslash stays
/// single, so that what is already escaped is not escaped twice.
#[derive(Clone, Copy)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_char(f, c))
    }
}

/// Reads the form of [`Escaped`] back. What is not in that form stays as it is.
pub fn unescaped(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('\\') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, behind) = match (first, tail) {
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', [b'x', high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, behind),
                _ => (first, tail),
            },
            _ => (first, tail),
        };
        bytes.push(byte);
        rest = behind;
    }
    Cow::Owned(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    if is_harmless(c) {
        f.write_char(c)
    } else {
        // As bytes and not as a code point, so that there is one form to read back for all.
        write_hex(f, c.encode_utf8(&mut [0; 4]).as_bytes())
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// True for characters that have a shape of their own and leave the order of the others alone.
fn is_harmless(c: char) -> bool {
    // Unicode calls only C0, DEL and C1 control characters. What follows moves or hides text as
    // well, so that a line about one peer could be made to look like one about another.
    !c.is_control()
        && !matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{feff}' // soft hyphen, marks, zero-width blank
            | '\u{200b}'..='\u{200f}' // zero-width characters and direction marks
            | '\u{2028}'..='\u{202e}' // line and paragraph ends, direction overrides
            | '\u{2060}'..='\u{206f}' // joiners, direction isolates
            | '\u{fff0}'..='\u{ffff}' // annotations, non-characters
            | '\u{e0000}'..='\u{e0fff}' // tags and selectors that do not show
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}') // private use: every font its own shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        Escaped(bytes).to_string()
    }

    #[test]
    fn what_can_be_printed_stays() {
        assert_eq!(
            escaped(b"GET /var/log/messages 12"),
            "GET /var/log/messages 12"
        );
        assert_eq!(escaped("Grüße 東京 🙂".as_bytes()), "Grüße 東京 🙂");
    }

    #[test]
    fn control_and_broken_bytes_become_numbers() {
        assert_eq!(
            escaped(b"\x1b[2J\r\n\0\x07\x7f"),
            "\\x1b[2J\\x0d\\x0a\\x00\\x07\\x7f"
        );
        assert_eq!(escaped(b"a\xff\xc3"), "a\\xff\\xc3");
        assert_eq!(
            escaped("\u{85}\u{202e}".as_bytes()),
            "\\xc2\\x85\\xe2\\x80\\xae"
        );
        assert_eq!(escaped(b"\\x41"), "\\\\x41");
    }

    #[test]
    fn what_is_not_escaped_stays() {
        for text in ["", "a", "\\", "a\\x", "\\xg0", "\\x0", "\\n"] {
            assert_eq!(unescaped(text).as_ref(), text.as_bytes());
        }
    }

    #[test]
    fn our_own_line_keeps_its_backslashes() {
        let line = format!("peer said {}\n", Escaped(b"\x07"));
        assert_eq!(OneLine(&line).to_string(), "peer said \\x07\\x0a");
    }

    #[test]
    fn any_bytes_are_shown_without_control_and_read_back() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let text = escaped(&bytes);
            assert!(text.chars().all(is_harmless), "{text:?}");
            assert_eq!(unescaped(&text).as_ref(), bytes);
            Ok(())
        })
        .budget_ms(100);
    }
}
