//! Options in the manner of getopt(3): single letters, joined or apart, up to `--` or the first
//! operand.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The parts of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Each option in turn, with its value if it takes one.
    pub options: Vec<(char, OsString)>,
    /// What follows the options.
    pub operands: Vec<OsString>,
}

/// The reason why a command line makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub enum Misuse {
    /// An option that does not exist.
    Unknown(String),
    /// An option without the value it takes.
    NoValue(char),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::Unknown(option) => write!(f, "there is no option {option}"),
            Misuse::NoValue(option) => write!(f, "option -{option} needs a value"),
        }
    }
}

/// Reads a command line. `known` lists the letters, each followed by `:` if it takes a value.
pub fn parse(args: &[OsString], known: &str) -> Result<Parsed, Misuse> {
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        match bytes {
            b"--" => break,
            // The two long options that there are, `--help` and `--version`, were taken before.
            [b'-', b'-', ..] => return Err(Misuse::Unknown(arg.display().to_string())),
            // A lone `-` is an operand by custom.
            [b'-', letters @ ..] if !letters.is_empty() => {
                parse_letters(letters, known, &mut args, &mut parsed)?;
            }
            _ => {
                parsed.operands.push(arg.clone());
                break;
            }
        }
    }
    parsed.operands.extend(args.cloned());
    Ok(parsed)
}

/// One argument that begins with `-`: letters without value, then perhaps one with.
fn parse_letters<'a>(
    mut letters: &[u8],
    known: &str,
    args: &mut impl Iterator<Item = &'a OsString>,
    parsed: &mut Parsed,
) -> Result<(), Misuse> {
    while let Some((&letter, rest)) = letters.split_first() {
        letters = rest;
        let letter = char::from(letter);
        // The colon stands in `known` as a mark, and is no option itself.
        let place = known.find(letter).filter(|_| letter != ':');
        let Some(after) = place.and_then(|at| known.get(at + letter.len_utf8()..)) else {
            return Err(Misuse::Unknown(format!("-{letter}")));
        };
        if !after.starts_with(':') {
            parsed.options.push((letter, OsString::new()));
            continue;
        }
        // getopt(3): what follows the letter within the argument is its value, else the next
        // argument, whatever that looks like.
        let value = if rest.is_empty() {
            args.next().cloned().ok_or(Misuse::NoValue(letter))?
        } else {
            OsString::from_vec(rest.to_vec())
        };
        parsed.options.push((letter, value));
        break;
    }
    Ok(())
}

/// Whether an option without value was given.
pub fn has(parsed: &Parsed, letter: char) -> bool {
    parsed.options.iter().any(|(given, _)| *given == letter)
}

/// The value of an option; the last counts.
pub fn value(parsed: &Parsed, letter: char) -> Option<&OsStr> {
    let mut given = parsed.options.iter().rev();
    given
        .find(|(given, _)| *given == letter)
        .map(|(_, value)| value.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Parsed, Misuse> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        parse(&args, "c:tbr:")
    }

    #[test]
    fn letters_may_be_joined_and_values_too() {
        let forms = [
            &["-t", "-b", "-c", "x", "a", "b"][..],
            &["-tbc", "x", "a", "b"],
            &["-tb", "-cx", "a", "b"],
            &["-tbcx", "--", "a", "b"],
        ];
        for form in forms {
            let parsed = parsed(form).unwrap();
            assert!(has(&parsed, 't') && has(&parsed, 'b'));
            assert_eq!(value(&parsed, 'c'), Some(OsStr::new("x")));
            assert_eq!(parsed.operands, ["a", "b"]);
        }
    }

    #[test]
    fn options_end_at_the_first_operand() {
        assert_eq!(parsed(&["a", "-t"]).unwrap().operands, ["a", "-t"]);
        assert_eq!(parsed(&["--", "-t"]).unwrap().operands, ["-t"]);
        assert_eq!(parsed(&["-"]).unwrap().operands, ["-"]);
    }

    #[test]
    fn the_last_value_counts() {
        assert_eq!(
            value(&parsed(&["-c", "x", "-c", "y"]).unwrap(), 'c'),
            Some(OsStr::new("y"))
        );
    }

    #[test]
    fn misuse_is_named() {
        assert_eq!(parsed(&["-x"]), Err(Misuse::Unknown("-x".into())));
        assert_eq!(parsed(&["-:"]), Err(Misuse::Unknown("-:".into())));
        assert_eq!(
            parsed(&["--verbose"]),
            Err(Misuse::Unknown("--verbose".into()))
        );
        assert_eq!(parsed(&["-t", "-c"]), Err(Misuse::NoValue('c')));
    }
}
