//! `snmp_from_file.pl.locals`, in which fetchlogs 1.1 has the settings of its helper, which has no
//! options. Pure.
//!
//! ```text
//! LINE  = [ "my" | "our" ] "$" NAME "=" VALUE ";" [ COMMENT ]  |  "1;"  |  COMMENT  |  nothing
//! VALUE = %x22 text %x22 | "'" text "'" | digits
//! ```
//!
//! Texts have no backslash, and in double quotes no `$` and no `@`: what Perl would make of these
//! is not guessed.

/// What the file sets.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Locals<'a> {
    /// `$snmp_data_dir`: the directory of the status files.
    pub dir: Option<&'a str>,
    /// `$root_mib`: where the values hang in the tree.
    pub base: Option<&'a str>,
    /// `$stale_timeout`: seconds after which a status file counts as stale.
    pub stale: Option<&'a str>,
}

impl<'a> Locals<'a> {
    /// Reads the whole file. What is wrong is told by the number of the first line, from 1 on, that
    /// is not understood.
    pub fn parse(text: &'a str) -> Result<Locals<'a>, usize> {
        let mut locals = Locals::default();
        for (line, number) in text.lines().zip(1_usize..) {
            locals.take(line.trim()).ok_or(number)?;
        }
        Ok(locals)
    }

    fn take(&mut self, line: &'a str) -> Option<()> {
        if line.is_empty() || line.starts_with('#') || is_over(line.strip_prefix("1;")) {
            return Some(());
        }
        let bare = ["my ", "our "]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        let rest = bare.unwrap_or(line).trim_start().strip_prefix('$')?;
        let (name, rest) = rest.split_once('=')?;
        let (value, rest) = value(rest.trim_start())?;
        if !is_over(rest.trim_start().strip_prefix(';')) {
            return None;
        }
        let slot = match name.trim_end() {
            "snmp_data_dir" => &mut self.dir,
            "root_mib" => &mut self.base,
            "stale_timeout" => &mut self.stale,
            _ => return None,
        };
        *slot = Some(value);
        Some(())
    }
}

/// Whether what follows a statement is nothing but a comment.
fn is_over(rest: Option<&str>) -> bool {
    rest.is_some_and(|rest| {
        let rest = rest.trim_start();
        rest.is_empty() || rest.starts_with('#')
    })
}

/// A value, and what follows it.
fn value(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next()?;
    if quote.is_ascii_digit() {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        return Some(text.split_at(end));
    }
    let special: &[char] = match quote {
        '"' => &['\\', '$', '@'],
        '\'' => &['\\'],
        _ => return None,
    };
    let (value, rest) = text[1..].split_once(quote)?;
    (!value.contains(special)).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_1_1_has_is_understood() {
        let text = "# settings\n$snmp_data_dir = \"/var/snmp_data\";\n\
                    our $root_mib='.1.3.6.1.4.99'; # where\n\n  $stale_timeout = 300 ;\n1;\n";
        let expected = Locals {
            dir: Some("/var/snmp_data"),
            base: Some(".1.3.6.1.4.99"),
            stale: Some("300"),
        };
        assert_eq!(Locals::parse(text), Ok(expected));
        assert_eq!(Locals::parse(""), Ok(Locals::default()));
    }

    #[test]
    fn what_is_not_understood_is_told_by_its_line() {
        for line in [
            "$other = 1;",
            "$snmp_data_dir = \"/var\"",
            "$snmp_data_dir = \"/var/$x\";",
            "$snmp_data_dir = '/var\\'';",
            "$snmp_data_dir = \"/var;",
            "$snmp_data_dir = /var;",
            "$snmp_data_dir = \"/var\"; exit;",
            "$stale_timeout = 60*5;",
            "snmp_data_dir = 5;",
            "1; 2;",
            "$",
        ] {
            assert_eq!(Locals::parse(&format!("1;\n{line}")), Err(2), "{line}");
        }
    }

    #[test]
    fn no_text_is_a_panic() {
        arbtest::arbtest(|u| {
            const PIECES: [&str; 10] = ["$", "root_mib", "=", "\"", "'", "1;", ";", "\n", "ä", "#"];
            let mut text = String::new();
            while !u.is_empty() {
                text += u.choose(&PIECES)?;
            }
            let _ = Locals::parse(&text);
            Ok(())
        })
        .budget_ms(50);
    }
}
