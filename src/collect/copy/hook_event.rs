//! What happened and is to be handed to the operator's program, as a line of the list
//! (FILES.md, "Hooks").
//!
//! ```text
//! EVENT STAMP[.N]|- BYTES|- MD5|- MARK|-
//! ```

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};

use super::pointer::RotatedSuffix;
use crate::collect::config::with_ending;
use crate::wire::crc32::Crc32;
use crate::wire::md5::{self, Hex};

/// What happened to a source, as it is handed to the operator's program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookEvent {
    /// What it was.
    pub kind: HookKind,
    /// What the name of the copy it is about has behind the local copy's; `None` where it is about
    /// none.
    pub copy: Option<RotatedSuffix>,
    /// How many bytes it is about, where that is known.
    pub bytes: Option<u64>,
    /// Their digest, where that is known.
    pub md5: Option<[u8; 16]>,
    /// What tells it from another of its kind: a checksum of what is on record.
    pub(super) mark: Option<u32>,
}

/// The sorts of events that are handed to the operator's program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HookKind {
    /// A generation is complete, and its copy has a name of its own.
    Rotated,
    /// A complete copy has the server's digest.
    Verified,
    /// A complete copy was not as it should be, and is now.
    Healed,
    /// Something else was put on record as lost.
    Lost,
    /// A complete copy is not the same as the server's file, which was put on record.
    Differs,
}

/// What was put on the list, for whoever hands it over.
#[derive(Default, Debug)]
pub struct HookNews {
    /// Whether there may be something new.
    pub is_new: Cell<bool>,
    /// How many were taken off the list, the oldest, because there were too many.
    pub dropped: Cell<u32>,
}

impl HookKind {
    const ALL: [HookKind; 5] = [
        HookKind::Rotated,
        HookKind::Verified,
        HookKind::Healed,
        HookKind::Lost,
        HookKind::Differs,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            HookKind::Rotated => "rotated",
            HookKind::Verified => "verified",
            HookKind::Healed => "healed",
            HookKind::Lost => "lost",
            HookKind::Differs => "differs",
        }
    }

    fn of(word: &str) -> Option<HookKind> {
        HookKind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl HookEvent {
    /// An event of this kind, about the whole source.
    pub fn of(kind: HookKind) -> HookEvent {
        HookEvent {
            kind,
            copy: None,
            bytes: None,
            md5: None,
            mark: None,
        }
    }

    /// The same about a copy of `local`.
    pub fn about(self, copy: &Path, local: &Path) -> HookEvent {
        HookEvent {
            copy: RotatedSuffix::of(copy, local),
            ..self
        }
    }

    /// The same about so many bytes.
    pub fn with_bytes(self, bytes: Option<u64>) -> HookEvent {
        HookEvent { bytes, ..self }
    }

    /// The same with their digest.
    pub fn with_md5(self, md5: [u8; 16]) -> HookEvent {
        HookEvent {
            md5: Some(md5),
            ..self
        }
    }

    /// The same, and on record with this text.
    pub(super) fn with_text(self, text: &str) -> HookEvent {
        let mut crc = Crc32::new();
        crc.update(text.as_bytes());
        HookEvent {
            mark: Some(crc.finish()),
            ..self
        }
    }

    /// The name of the copy it is about.
    pub fn path(&self, local: &Path) -> Option<PathBuf> {
        let suffix = self.copy.as_ref()?;
        Some(with_ending(local, &format!(".{suffix}")))
    }

    /// The digest as text, empty where it is not known.
    pub fn md5_text(&self) -> String {
        let hex = self.md5.as_ref().map(|md5| Hex(md5).to_string());
        hex.unwrap_or_default()
    }

    /// Reads a line without its end.
    pub(super) fn read(line: &[u8]) -> Option<HookEvent> {
        let mut words = str::from_utf8(line).ok()?.split(' ');
        let kind = HookKind::of(words.next()?)?;
        let mut known = || {
            words
                .next()
                .map(|word| Some(word).filter(|word| *word != "-"))
        };
        let (copy, bytes, md5, mark) = (known()?, known()?, known()?, known()?);
        if words.next().is_some() {
            return None;
        }
        let mark = mark.map(|mark| u32::from_str_radix(mark, 16).ok());
        Some(HookEvent {
            kind,
            copy: all_or_nothing(copy.map(RotatedSuffix::parse))?,
            bytes: all_or_nothing(bytes.map(|bytes| bytes.parse().ok()))?,
            md5: all_or_nothing(md5.map(md5::read_hex))?,
            mark: all_or_nothing(mark)?,
        })
    }
}

/// What is there has to make sense.
fn all_or_nothing<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(value) => Some(value),
        None => Some(None),
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        match &self.copy {
            Some(copy) => write!(f, " {copy}")?,
            None => f.write_str(" -")?,
        }
        match self.bytes {
            Some(bytes) => write!(f, " {bytes}")?,
            None => f.write_str(" -")?,
        }
        match &self.md5 {
            Some(md5) => write!(f, " {}", Hex(md5))?,
            None => f.write_str(" -")?,
        }
        match self.mark {
            Some(mark) => write!(f, " {mark:08x}"),
            None => f.write_str(" -"),
        }
    }
}
