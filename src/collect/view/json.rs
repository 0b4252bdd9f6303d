//! Sources, sums and strings as JSON (RFC 8259).

use std::fmt::{self, Write};

use super::summary::Summary;
use crate::wire::escape::{Escaped, OneLine};
use crate::wire::table::{Collector, Row};

/// Text as a string of JSON. What could end a script, start markup or steer a terminal is written
/// as a number or was escaped before.
pub struct Quoted<T>(pub T);

impl<T: fmt::Display> fmt::Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Quoting(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Quoting<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Quoting<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(self.0, "\\{c}"),
            // RFC 8259 wants the first, the others have a meaning where JSON is put into HTML.
            '\0'..=' ' if c != ' ' => write!(self.0, "\\u{:04x}", u32::from(c)),
            '<' | '>' | '&' | '\'' | '\u{7f}' | '\u{2028}' | '\u{2029}' => {
                write!(self.0, "\\u{:04x}", u32::from(c))
            }
            c => self.0.write_char(c),
        })
    }
}

/// A number, or `null` where none is known.
pub struct Maybe(pub Option<u64>);

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// Writes a source as an object.
pub fn write_row(row: &Row<'_>, out: &mut impl Write) -> fmt::Result {
    write!(
        out,
        "{{\"box\":{},\"remote_file\":{},\"local_file\":{},\"state\":\"{}\",\"since\":{},\"held\":{},\
         \"behind\":{},\"last_byte\":{},\"last_contact\":{},\"next_try\":{},\"losses\":{},\
         \"unverified\":{},\"why\":{},\"rotations\":{},\"healed\":{},\"connections\":{},\"bytes\":{},\
         \"address\":{},\"hooks_waiting\":{},\
         \"paused\":{}}}",
        Quoted(OneLine(&row.server)),
        Quoted(Escaped(&row.remote)),
        Quoted(Escaped(&row.local)),
        row.state.word(),
        Maybe(row.since),
        row.held,
        Maybe(row.behind),
        Maybe(row.last_byte),
        Maybe(row.last_contact),
        Maybe(row.next_try),
        row.losses,
        row.unverified,
        Quoted(OneLine(&row.why)),
        row.rotations,
        row.healed,
        row.connections,
        row.bytes,
        Quoted(OneLine(&row.address)),
        row.hooks_waiting,
        row.is_paused,
    )
}

/// Writes the members behind the sources: the sums, and the collector as it is at `now`.
pub fn write_about(
    summary: &Summary,
    collector: &Collector<'_>,
    now: u64,
    out: &mut impl Write,
) -> fmt::Result {
    write!(
        out,
        "\"summary\":{{\"servers\":{},\"sources\":{},\"following\":{},\"error\":{},\"connecting\":{},\
         \"with_losses\":{},\"behind\":{}}},\
         \"collector\":{{\"version\":{},\"since\":{},\"until\":{},\"now\":{now},\"faulty\":{},\
         \"hooks_left\":{}}}",
        summary.servers,
        summary.sources,
        summary.following,
        summary.errors,
        summary.connecting(),
        summary.flawed,
        summary.behind,
        Quoted(OneLine(&collector.version)),
        collector.since,
        Maybe(collector.until),
        collector.is_faulty,
        collector.hooks_left,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted() {
        let cases = [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("\"\\", r#""\"\\""#),
            ("\n\u{1b}", r#""\u000a\u001b""#),
            ("</script>", r#""\u003c/script\u003e""#),
            ("Grüße\u{2028}", "\"Grüße\\u2028\""),
        ];
        for (text, quoted) in cases {
            assert_eq!(Quoted(text).to_string(), quoted);
        }
    }
}
