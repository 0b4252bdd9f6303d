//! `copies TEMPLATE`: where the copies of short lines are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::word::{Word, check_local, unquoted};
use super::{ConfigError, Field, Problem, with_ending};

/// A path with `%h`, `%f` and `%p` in it.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

/// What is told of a log.
pub(super) enum Told<'a> {
    /// Its path without the first slash.
    Path(&'a [u8]),
    /// The last part of that.
    Name(&'a [u8]),
}

#[derive(Debug)]
enum Part {
    Text(Vec<u8>),
    /// `%h`: the box.
    Host,
    /// `%f`: the last part of the path on the box.
    File,
    /// `%p`: that path without its first slash.
    Path,
}

impl Template {
    /// What a word says. A template that is the same for two logs would have them share a file.
    pub(super) fn parse(word: Word<'_>) -> Result<Template, ConfigError> {
        let text = unquoted(word)?;
        let mut parts = vec![Part::Text(Vec::new())];
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            let part = match byte {
                b'%' => match bytes.next() {
                    Some(b'h') => Part::Host,
                    Some(b'f') => Part::File,
                    Some(b'p') => Part::Path,
                    Some(b'%') => Part::Text(b"%".to_vec()),
                    _ => return Err(word.error(Problem::BadTemplate)),
                },
                byte => Part::Text(vec![byte]),
            };
            match (parts.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(more)) => before.extend(more),
                (_, part) => parts.push(part),
            }
        }
        let has = |wanted: fn(&Part) -> bool| parts.iter().any(wanted);
        let is_told_apart = has(|part| matches!(part, Part::Host))
            && has(|part| matches!(part, Part::File | Part::Path));
        if !is_told_apart {
            return Err(word.error(Problem::BadTemplate));
        }
        if climbs(&parts) {
            return Err(word.error(Problem::TemplateClimbs));
        }
        Ok(Template(parts))
    }

    /// The directory in which all copies are, as far as the template itself says.
    pub(super) fn root(&self) -> &Path {
        let text = match self.0.first() {
            Some(Part::Text(text)) => &text[..],
            _ => b"",
        };
        let end = text.iter().rposition(|byte| *byte == b'/');
        Path::new(OsStr::from_bytes(&text[..end.map_or(0, |at| at + 1)]))
    }

    /// What the path of a copy tells of its log.
    pub(super) fn told_by<'a>(&self, host: &str, path: &'a [u8]) -> Option<Told<'a>> {
        let is_told = |part: &Part| matches!(part, Part::File | Part::Path);
        let place = self.0.iter().position(is_told)?;
        let (before, behind) = self.0.split_at(place);
        let text = |parts: &[Part]| {
            let mut text = Vec::new();
            for part in parts {
                text.extend_from_slice(match part {
                    Part::Text(text) => text,
                    Part::Host => host.as_bytes(),
                    // Where it is told twice, nobody looks.
                    Part::File | Part::Path => return None,
                });
            }
            Some(text)
        };
        let (part, behind) = behind.split_first()?;
        let inner = path.strip_prefix(&text(before)?[..])?;
        let inner = inner.strip_suffix(&text(behind)?[..])?;
        Some(match part {
            Part::Path => Told::Path(inner),
            _ => Told::Name(inner),
        })
    }

    /// The copy of a log of this host; `None` if it might be in another directory.
    pub(super) fn path(&self, host: &str, remote: &[u8]) -> Option<Vec<u8>> {
        let inner = remote.strip_prefix(b"/").unwrap_or(remote);
        let mut names = inner.split(|byte| *byte == b'/');
        // What the box calls a directory must not lead out of ours.
        if names.any(|name| matches!(name, b"" | b"." | b"..")) {
            return None;
        }
        let last = inner.rsplit(|byte| *byte == b'/').next();
        let mut path = Vec::new();
        for part in &self.0 {
            path.extend_from_slice(match part {
                Part::Text(text) => text,
                Part::Host => host.as_bytes(),
                Part::File => last.unwrap_or_default(),
                Part::Path => inner,
            });
        }
        Some(path)
    }

    /// The copy and the pointer file of a log, whose path stands in `word`.
    pub(super) fn files(
        &self,
        host: &str,
        remote: &[u8],
        word: Word<'_>,
    ) -> Result<(PathBuf, PathBuf), ConfigError> {
        let path = self.path(host, remote);
        let path = path.ok_or_else(|| word.error(Problem::LeavesTemplate))?;
        let control = path.iter().find(|byte| byte.is_ascii_control());
        if let Some(byte) = control {
            return Err(word.error(Problem::ControlByte(Field::Local, *byte)));
        }
        check_local(word, &path, Field::Local)?;
        let local = Path::new(OsStr::from_bytes(&path)).to_path_buf();
        let pointer = with_ending(&local, ".pointer");
        check_local(word, pointer.as_os_str().as_bytes(), Field::Pointer)?;
        Ok((local, pointer))
    }
}

/// Whether `..` stands behind the first placeholder. In front of it, it is the operator's own way
/// to the root of the copies.
fn climbs(parts: &[Part]) -> bool {
    let mut path = Vec::new();
    for part in parts
        .iter()
        .skip_while(|part| matches!(part, Part::Text(_)))
    {
        match part {
            Part::Text(text) => path.extend_from_slice(text),
            // Whatever comes here, no name.
            _ => path.push(b'%'),
        }
    }
    path.split(|byte| *byte == b'/').any(|name| name == b"..")
}
