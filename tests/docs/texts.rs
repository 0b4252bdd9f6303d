//! The texts that a source file can say: its string literals, without those that no user ever sees.

/// What is left out up to the end of its brackets: attributes, and what a sound program never says.
const LEFT_OUT: [&str; 13] = [
    "#[",
    "#![",
    "assert!(",
    "assert_eq!(",
    "assert_ne!(",
    "debug_assert!(",
    "debug_assert_eq!(",
    "debug_assert_ne!(",
    "compile_error!(",
    "unreachable!(",
    "env!(",
    "expect(",
    // The usage follows, which is the synopsis of the page.
    "misuse(",
];

/// What is left out up to the end of what it stands before.
const OF_TESTS: &str = "#[cfg(test)]";

/// The string literals of a source file, in their order. Those of bytes, comments and tests are not
/// among them.
pub fn of(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    // How many brackets are open in what is left out, and whether it is over with the last of them.
    let mut depth = 0_u32;
    let mut is_item = false;
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = comment(rest) {
            rest = behind;
        } else if let Some((text, kind, behind)) = literal(rest) {
            rest = behind;
            if kind == Kind::Text && depth == 0 && !is_item {
                found.push(text);
            }
        } else if let Some(behind) = rest.strip_prefix(OF_TESTS).filter(|_| depth == 0) {
            is_item = true;
            rest = behind;
        } else if let Some(behind) = left_out(rest).filter(|_| depth == 0 && !is_item) {
            depth = 1;
            rest = behind;
        } else {
            if depth > 0 || is_item {
                match first {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth == 0 && matches!(first, '}' | ';') {
                    is_item = false;
                }
            }
            rest = word(rest);
        }
    }
    found
}

/// What is behind the first character, or behind the whole word that begins there.
fn word(code: &str) -> &str {
    let len = code
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(code.len());
    let first = code.chars().next().map_or(0, char::len_utf8);
    &code[len.max(first)..]
}

fn left_out(code: &str) -> Option<&str> {
    LEFT_OUT.iter().find_map(|begin| code.strip_prefix(begin))
}

/// What is behind a comment that begins here.
fn comment(code: &str) -> Option<&str> {
    if code.starts_with("//") {
        return Some(code.split_once('\n').map_or("", |(_, behind)| behind));
    }
    let behind = code.strip_prefix("/*")?;
    Some(behind.split_once("*/").map_or("", |(_, behind)| behind))
}

#[derive(PartialEq)]
enum Kind {
    Text,
    Other,
}

/// The literal that begins here, and what is behind it.
fn literal(code: &str) -> Option<(String, Kind, &str)> {
    if let Some(behind) = code.strip_prefix('\'') {
        return character(behind);
    }
    let prefix = ["br", "cr", "b", "c", "r", ""]
        .into_iter()
        .find(|prefix| code.starts_with(*prefix))?;
    let behind = &code[prefix.len()..];
    let kind = match prefix {
        "" | "r" => Kind::Text,
        _ => Kind::Other,
    };
    if prefix.ends_with('r') {
        let marks = behind.len() - behind.trim_start_matches('#').len();
        let text = behind[marks..].strip_prefix('"')?;
        let end = format!("\"{}", &behind[..marks]);
        let (text, behind) = text.split_once(&end)?;
        return Some((text.to_owned(), kind, behind));
    }
    if prefix == "b" && behind.starts_with('\'') {
        return character(&behind[1..]);
    }
    let (text, behind) = in_quotes(behind.strip_prefix('"')?);
    Some((text, kind, behind))
}

/// A character, and not the name of a lifetime.
fn character(code: &str) -> Option<(String, Kind, &str)> {
    let mut chars = code.char_indices();
    let (_, first) = chars.next()?;
    let from = match first {
        '\\' => chars.nth(1)?.0,
        _ => chars.next()?.0,
    };
    let is_escaped = first == '\\';
    let (between, behind) = code[from..].split_once('\'')?;
    (is_escaped || between.is_empty()).then(|| (String::new(), Kind::Other, behind))
}

/// The text up to the closing quote, and what is behind that.
fn in_quotes(code: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                // It goes on behind the blanks of the next line.
                Some('\n') => chars = chars.as_str().trim_start().chars(),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some(c) => text.push(c),
                None => {}
            },
            _ => text.push(c),
        }
    }
    (text, chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_said_is_found() {
        let source = r##"
            //! "no"
            const A: &str = "one \
                two"; // "no"
            #[allow(dead, reason = "no")]
            fn f<'a>(x: &'a str) -> &'static str {
                let quote = ('"', b'"', '\'', '\u{22}', b"no", c"no", br#"no"#);
                assert!(x > 1, "no ({})", "no");
                x.expect("no"); say("three \"{x}\"");
                /* "no" */
                r#"four "x""#
            }
            #[cfg(test)]
            use no::{b, c};
            const B: [&str; 1] = ["five"];
            #[cfg(test)]
            mod tests { fn g() { say("no"); } }
            const C: &str = "six";
        "##;
        let expected = ["one two", "three \"{x}\"", "four \"x\"", "five", "six"];
        assert_eq!(of(source), expected);
    }
}
