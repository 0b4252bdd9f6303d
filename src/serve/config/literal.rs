//! The strings and numbers of a configuration, and what Perl makes of them.
//!
//! ```text
//! string = "'" ... "'" | "q" delimiter ... delimiter      \\ and \' (\delimiter) are escapes, nothing else is
//!        | '"' ... '"' | "qq" delimiter ... delimiter     \t \n \r \xN \xNN, and \ before any byte that is no
//!                                                         letter or digit; $name and @name are errors
//! number = [ "-" ] ( DIGITS [ "." [ DIGITS ] ] | "." DIGITS )     underscores within; no leading zero before a digit
//! ```
//! A delimiter is one of `/ | ! ~ ' "`, or a pair of brackets, which nest. A string ends on the
//! line it begins on: Perl lets it go on, but no path or address does, and so a forgotten quote is
//! found where it is missing.

use super::error::{ConfigError, Problem};
use super::text::{Position, Text, is_word, is_word_start};

/// A value with its place.
pub(super) struct Literal {
    pub position: Position,
    pub value: Value,
}

/// A value, which can stand on the right of an assignment.
pub(super) enum Value {
    Undef,
    /// The digits as written, without underscores.
    Number(Vec<u8>),
    Text(Vec<u8>),
}

impl Value {
    /// Yes or no: 1, or else zero, the empty text or undef. `None` for anything else: Perl takes
    /// most words for true, `no` and `0.0` among them, and nobody who writes them means that.
    pub(super) fn yes_or_no(&self) -> Option<bool> {
        match self {
            Value::Undef => Some(false),
            Value::Number(digits) if !digits.iter().any(|digit| matches!(digit, b'1'..=b'9')) => {
                Some(false)
            }
            _ => match self.bytes() {
                b"" | b"0" => Some(false),
                b"1" => Some(true),
                _ => None,
            },
        }
    }

    /// The value as text; nothing for undef.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Value::Undef => &[],
            Value::Number(bytes) | Value::Text(bytes) => bytes,
        }
    }

    /// The value as a whole number, the largest there is for anything larger. A text may be one,
    /// too.
    pub(super) fn whole(&self) -> Option<u64> {
        // Perl makes no difference between 19 and "19".
        decimal(self.bytes())
    }

    /// The value in thousandths, without what is finer. A text may be a number, too.
    pub(super) fn thousandths(&self) -> Option<u64> {
        let text = self.bytes();
        // Digit by digit and not as floating point, so that 0.2 is 200 and not one less.
        let dot = text.iter().position(|&byte| byte == b'.');
        let (whole, fraction) = match dot.and_then(|dot| text.split_at_checked(dot)) {
            Some((whole, [_dot, fraction @ ..])) => (whole, fraction),
            _ => (text, [].as_slice()),
        };
        let whole = match (whole, fraction) {
            // `.5`; a lone dot is no number.
            ([], [_, ..]) => 0,
            _ => decimal(whole)?,
        };
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // Milliseconds are as fine as the clocks here are read.
        let digits = fraction.iter().copied().chain([b'0'; 3]).take(3);
        Some(digits.fold(whole, push_digit))
    }
}

/// Reads a string or a number; `None`, and nothing taken, if neither comes next.
///
/// After an error the reader stands behind the string or number, or at the end of the line that
/// leaves a string open.
pub(super) fn literal(text: &mut Text<'_>) -> Result<Option<Literal>, ConfigError> {
    let position = text.position();
    let value = if let Some(quotes) = Quotes::open(text) {
        Value::Text(quotes.read(text, position)?)
    } else if at_number(text.rest()) {
        Value::Number(number(text)?)
    } else {
        return Ok(None);
    };
    Ok(Some(Literal { position, value }))
}

/// The quotes of a string: its end, and what happens within.
struct Quotes {
    open: u8,
    close: u8,
    is_double: bool,
}

impl Quotes {
    /// Takes what opens a string; `None`, and nothing taken, if no string comes next.
    fn open(text: &mut Text<'_>) -> Option<Quotes> {
        let (is_double, len, open) = match *text.rest() {
            [b'"', ..] => (true, 1, b'"'),
            [b'\'', ..] => (false, 1, b'\''),
            // Only with the delimiter right behind it. Perl allows a blank there; then this is a
            // word, and refused.
            [b'q', b'q', open, ..] if is_delimiter(open) => (true, 3, open),
            [b'q', open, ..] if is_delimiter(open) => (false, 2, open),
            _ => return None,
        };
        (0..len).for_each(|_| _ = text.bump());
        Some(Quotes {
            open,
            close: closing(open),
            is_double,
        })
    }

    /// Reads up to and including the closing quote. A string is read to its end even after an
    /// error, which is then the first one.
    fn read(&self, text: &mut Text<'_>, start: Position) -> Result<Vec<u8>, ConfigError> {
        let mut out = Vec::new();
        let mut depth: u32 = 0;
        let mut error = None;
        loop {
            let position = text.position();
            let Some(byte) = text.peek().filter(|&byte| byte != b'\n') else {
                return Err(start.error(Problem::QuoteOpen));
            };
            text.bump();
            if byte == b'\\' {
                match self.escape(text) {
                    Some(byte) => out.push(byte),
                    None => _ = error.get_or_insert(position.error(Problem::UnknownEscape)),
                }
                continue;
            }
            // Where one delimiter both opens and closes, the depth stays 0 and the first one ends
            // the string.
            if byte == self.close && depth == 0 {
                break;
            }
            if byte == self.close {
                depth = depth.saturating_sub(1);
            } else if byte == self.open {
                depth = depth.saturating_add(1);
            } else if self.is_double && begins_variable(byte, text.peek()) {
                error.get_or_insert(position.error(Problem::Interpolation));
            }
            out.push(byte);
        }
        error.map_or(Ok(out), Err)
    }

    /// What a backslash and the bytes behind it stand for; `None` for an escape that is not known.
    fn escape(&self, text: &mut Text<'_>) -> Option<u8> {
        let Some(byte) = text.peek().filter(|&byte| byte != b'\n') else {
            return Some(b'\\');
        };
        if !self.is_double {
            // perlop: in single quotes only the backslash and the delimiters are escaped.
            let is_escape = byte == b'\\' || byte == self.open || byte == self.close;
            return if is_escape { text.bump() } else { Some(b'\\') };
        }
        text.bump();
        match byte {
            b't' => Some(b'\t'),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b'x' => hex(text),
            // Perl has many more (perlop). None is needed for a path or an address, and to guess
            // would be worse than to say so.
            _ if byte.is_ascii_alphanumeric() => None,
            _ => Some(byte),
        }
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b'[' | b'{' | b'<' | b'/' | b'|' | b'!' | b'~' | b'\'' | b'"'
    )
}

fn closing(open: u8) -> u8 {
    match open {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        b'<' => b'>',
        same => same,
    }
}

/// Tells whether Perl would put a variable's value here. A lone `@` is an `@`; a lone `$` is never
/// a `$`.
fn begins_variable(byte: u8, next: Option<u8>) -> bool {
    match byte {
        b'$' => true,
        b'@' => next.is_some_and(|next| is_word(next) || b"{$:+-".contains(&next)),
        _ => false,
    }
}

/// One or two hexadecimal digits.
fn hex(text: &mut Text<'_>) -> Option<u8> {
    let first = hex_digit(text)?;
    Some(match hex_digit(text) {
        Some(second) => (first << 4) | second,
        None => first,
    })
}

fn hex_digit(text: &mut Text<'_>) -> Option<u8> {
    let digit = char::from(text.peek()?).to_digit(16)?;
    text.bump();
    u8::try_from(digit).ok()
}

fn at_number(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    matches!(rest, [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..])
}

fn number(text: &mut Text<'_>) -> Result<Vec<u8>, ConfigError> {
    let position = text.position();
    let mut digits = Vec::new();
    // `-1` is true as a value of `%hosts_allow`; where a time or a count is needed, its meaning
    // refuses it.
    if text.eat(b"-") {
        digits.push(b'-');
    }
    // All that could be meant for one number, so that the error is about the whole of it.
    let written = text.take_while(|byte| is_word(byte) || byte == b'.');
    let dots = written.iter().filter(|&&byte| byte == b'.').count();
    if written
        .iter()
        .any(|&byte| is_word_start(byte) && byte != b'_')
    {
        return Err(position.error(Problem::BadNumber));
    }
    if dots > 1 {
        return Err(position.error(Problem::BareAddress));
    }
    // perldata: `010` is eight. To read it as ten, or silently as eight, would surprise somebody.
    if matches!(written, [b'0', b'0'..=b'9' | b'_', ..]) {
        return Err(position.error(Problem::Octal));
    }
    digits.extend(written.iter().filter(|&&byte| byte != b'_'));
    Ok(digits)
}

/// One digit or more, saturating.
fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().copied().fold(0, push_digit))
}

#[inline(never)]
fn push_digit(number: u64, digit: u8) -> u64 {
    let digit = u64::from(digit.saturating_sub(b'0'));
    number.saturating_mul(10).saturating_add(digit)
}
