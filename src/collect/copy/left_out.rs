//! The words for what a server leaves out, in its event and on record; and how much of that is
//! told.

use std::fmt;

use crate::wire::crc32::Crc32;
use crate::wire::escape::Escaped;
use crate::wire::frame::note::{LeftOut as Why, Note};

/// A file that the server leaves out. On record it has the same words as in the event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// Bytes may be missing for ever, or until somebody acts.
    pub is_missing: bool,
    why: Why,
    size: u64,
    /// The file's name on the box; empty for all that are not told one by one.
    name: Box<[u8]>,
}

/// What was told on one connection.
#[derive(Default)]
pub struct Notes {
    /// Checksums of what was told one by one.
    told: Vec<u32>,
    /// That there is more was told, and whether something of that may be missing.
    more: Option<bool>,
}

/// The most files that are told one by one on one connection: a server that names others for ever
/// must fill neither log nor record.
const NOTES_MAX: usize = 16;

impl LeftOut {
    /// As the server told it.
    pub fn of(note: &Note<'_>) -> LeftOut {
        LeftOut {
            is_missing: note.is_missing,
            why: note.why,
            size: note.size,
            name: note.name.into(),
        }
    }

    /// The size of the file, if it was written to after it had been given whole.
    pub fn late_size(&self) -> Option<u64> {
        (self.why == Why::WrittenLater && self.is_missing).then_some(self.size)
    }
}

impl Notes {
    /// What is to be told of a file: `None` if that was told before on this connection. Of too
    /// many it is that there are more.
    pub fn news(&mut self, note: LeftOut) -> Option<LeftOut> {
        let mut crc = Crc32::new();
        crc.update(note.to_string().as_bytes());
        let sum = crc.finish();
        if self.told.contains(&sum) {
            return None;
        }
        if self.told.len() < NOTES_MAX {
            self.told.push(sum);
            return Some(note);
        }
        // Once, and once more if the first time it was nothing to worry about.
        if self
            .more
            .is_some_and(|is_missing| is_missing || !note.is_missing)
        {
            return None;
        }
        self.more = Some(note.is_missing);
        Some(LeftOut {
            name: Box::default(),
            ..note
        })
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            f.write_str("left out more files than are told one by one")?;
            return f.write_str(if self.is_missing {
                ", which may be lost"
            } else {
                ""
            });
        }
        write!(f, "left out {}", Escaped(&self.name))?;
        if self.size > 0 {
            write!(f, ", {} bytes", self.size)?;
        }
        if self.is_missing {
            f.write_str(", which may be lost")?;
        }
        f.write_str(match self.why {
            Why::NotPermitted => {
                ": the server has no permission to read it; give it that, and fetch what does not come by itself"
            }
            Why::Unreadable => ": the server's disk cannot read it; save there what can be saved",
            Why::TooMany => {
                ": the server's glob finds more than is looked at; make it narrower"
            }
            Why::OrderUncertain => ": the server is not certain where it belongs; look at the copies around it",
            Why::Duplicate => ": it has the bytes of a generation that was given before, and is taken for a copy",
            Why::Compressed => ": it is compressed; fetch it, and let the rotator delay its compression",
            Why::WrittenLater => ": it was written to after it was complete; fetch its end",
            Why::Other(_) => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str, is_missing: bool) -> LeftOut {
        LeftOut::of(&Note {
            why: Why::NotPermitted,
            is_missing,
            size: 7,
            name: name.as_bytes(),
        })
    }

    #[test]
    fn each_is_told_once_and_of_too_many_that_there_are_more() {
        let mut notes = Notes::default();
        for n in 0..NOTES_MAX {
            let note = note(&format!("m.{n}"), n % 2 == 0);
            assert_eq!(notes.news(note.clone()), Some(note.clone()));
            assert_eq!(notes.news(note), None);
        }
        let more = |notes: &mut Notes, name, is_missing| {
            let news = notes.news(note(name, is_missing));
            news.map(|news| news.to_string())
        };
        let text = "left out more files than are told one by one";
        assert_eq!(more(&mut notes, "a", false).as_deref(), Some(text));
        assert_eq!(more(&mut notes, "b", false), None);
        let missing = format!("{text}, which may be lost");
        assert_eq!(more(&mut notes, "c", true), Some(missing));
        assert_eq!(more(&mut notes, "d", true), None);
        assert_eq!(more(&mut notes, "e", false), None);
    }

    #[test]
    fn every_reason_has_its_words_and_a_name_cannot_steer_a_terminal() {
        for number in 0..=9 {
            let mut payload = vec![number, 1, 0, 0, 0, 0, 0, 0, 0, 4];
            payload.extend_from_slice(b"m\n\x1b.1");
            let frame = crate::wire::frame::Frame::parse(crate::wire::frame::kind::NOTE, &payload);
            let Some(Ok(crate::wire::frame::Frame::Note(note))) = frame else {
                panic!("{frame:?}");
            };
            let text = LeftOut::of(&note).to_string();
            assert!(text.starts_with("left out m\\x0a\\x1b.1, 4 bytes, which may be lost"));
            assert_eq!(
                text.ends_with("lost"),
                matches!(number, 0 | 8 | 9),
                "{text}"
            );
        }
    }
}
