//! Who besides the collector may read its files.

use std::cell::Cell;
use std::rc::Rc;

/// The rights of files that are made for a source, where the configuration says something of them.
#[derive(Clone, Debug)]
pub struct Access {
    /// The mode, whatever the umask is.
    pub mode: Option<u32>,
    /// The group, by name or number.
    pub group: Option<Box<str>>,
    /// The number of the group, once it is found that files may be given to it.
    pub gid: Cell<Option<u32>>,
}

impl Access {
    /// `None` where nothing is said: most sources need no room for it.
    pub(super) fn new(mode: Option<u32>, group: Option<&str>) -> Option<Rc<Access>> {
        let is_said = mode.is_some() || group.is_some();
        is_said.then(|| {
            Rc::new(Access {
                mode,
                group: group.map(Into::into),
                gid: Cell::default(),
            })
        })
    }
}

/// What is said counts, and not what was found.
impl PartialEq for Access {
    fn eq(&self, other: &Access) -> bool {
        (self.mode, &self.group) == (other.mode, &other.group)
    }
}

impl Eq for Access {}

/// The mode in three or four octal digits. The collector reads and writes its files; nobody
/// executes them, and nobody else but the group writes to them.
pub(super) fn mode_of(text: &[u8]) -> Option<u32> {
    let digits = str::from_utf8(text).ok()?;
    let is_octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal)?;
    (mode & 0o600 == 0o600 && mode & !0o664 == 0).then_some(mode)
}

/// A name as groupadd(8) takes it, or a number.
pub(super) fn group_of(text: &[u8]) -> Option<Box<str>> {
    let is_sound = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.$".contains(byte);
    let name = str::from_utf8(text).ok()?;
    let is_name = (1..=GROUP_MAX_LEN).contains(&text.len()) && text.iter().all(is_sound);
    (is_name && !name.starts_with('-')).then(|| name.into())
}

const GROUP_MAX_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_leaves_the_files_to_the_collector() {
        let good = [
            ("600", 0o600),
            ("0640", 0o640),
            ("664", 0o664),
            ("0644", 0o644),
        ];
        for (text, mode) in good {
            assert_eq!(mode_of(text.as_bytes()), Some(mode), "{text}");
        }
        for text in [
            "", "64", "440", "0666", "4640", "750", "06400", "0o640", "+640", "8",
        ] {
            assert_eq!(mode_of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_group_is_a_name_or_a_number() {
        for text in ["adm", "4", "log-readers", "a.b_c$"] {
            assert_eq!(group_of(text.as_bytes()).as_deref(), Some(text));
        }
        let long = "x".repeat(33);
        for text in ["", "-x", "a b", "a:b", "\u{e9}", &long] {
            assert_eq!(group_of(text.as_bytes()), None, "{text}");
        }
    }
}
