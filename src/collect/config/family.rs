//! Short lines whose REMOTE_FILE is a glob: each stands for all logs that the box tells of. Pure.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::template::{Template, Told};
use super::{SourceConfig, with_ending};
use crate::limits::{LOCAL_NAME_MAX_LEN, LOCAL_PATH_MAX_LEN, PATH_MAX_LEN};
use crate::wire::glob;

/// The sources of one line. Two are equal if they ask for the same.
#[derive(Clone, Debug)]
pub struct FamilyConfig {
    /// The line, as if it were one source: the glob is its REMOTE_FILE.
    pub source: SourceConfig,
    /// Where the copies are.
    pub(super) template: Rc<Template>,
    /// What relative paths start from.
    pub(super) dir: PathBuf,
}

/// Why a name that a box tells is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Odd {
    /// Nobody asked for it.
    NotAsked,
    /// It is what was asked for itself, and not what that finds: the row of the line in the table
    /// has this name.
    IsGlob,
    /// It cannot be a path here.
    BadName,
    /// Its copy would have the name of a file that the collector makes.
    OwnName,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Odd::NotAsked => "it is not what was asked for",
            Odd::IsGlob => "it is called like the pattern itself",
            Odd::BadName => "no copy can have such a name",
            Odd::OwnName => "it ends like the files that fetch_logs itself makes beside a copy",
        })
    }
}

impl FamilyConfig {
    /// The source for a log that a box tells of: the one way for something from the network to
    /// become part of a path.
    pub fn member(&self, remote: &[u8]) -> Result<SourceConfig, Odd> {
        let is_path = remote.starts_with(b"/") && remote.len() <= PATH_MAX_LEN;
        if !is_path || !glob::finds(&self.source.remote, remote) {
            return Err(Odd::NotAsked);
        }
        if *remote == *self.source.remote {
            return Err(Odd::IsGlob);
        }
        let parts = || remote[1..].split(|byte| *byte == b'/');
        let is_bad =
            |part: &[u8]| matches!(part, b"" | b"." | b"..") || part.len() > LOCAL_NAME_MAX_LEN;
        // A control byte would break the lines of events and records.
        let has_control = remote.iter().any(u8::is_ascii_control);
        let is_hidden = parts()
            .next_back()
            .is_none_or(|name| name.starts_with(b"."));
        if has_control || is_hidden || parts().any(is_bad) {
            return Err(Odd::BadName);
        }
        if parts().any(is_own) {
            return Err(Odd::OwnName);
        }
        let host = self.source.server().to_string();
        let path = self.template.path(&host, remote).ok_or(Odd::BadName)?;
        let local = self.dir.join(OsStr::from_bytes(&path));
        let pointer = with_ending(&local, ".pointer");
        let name_len = local.file_name().map_or(usize::MAX, OsStr::len);
        let len = pointer.as_os_str().len();
        if name_len > LOCAL_NAME_MAX_LEN || len > LOCAL_PATH_MAX_LEN {
            return Err(Odd::BadName);
        }
        Ok(SourceConfig {
            remote: remote.into(),
            local: local.into(),
            pointer: pointer.into(),
            ..self.source.clone()
        })
    }

    /// Whether a source that a collector had is one of these: the log of a box, and its copy.
    pub fn has(&self, server: &str, remote: &[u8], local: &[u8]) -> bool {
        let is_ours = |member: SourceConfig| member.local.as_os_str().as_bytes() == local;
        self.source.server().to_string() == server && self.member(remote).is_ok_and(is_ours)
    }

    /// Whether a row of a table is the one of this line, and not of a log that it finds.
    pub fn is_shown_as(&self, server: &str, remote: &[u8], local: &[u8]) -> bool {
        self.source.server().to_string() == server
            && *self.source.remote == *remote
            && self.source.local.as_os_str().as_bytes() == local
    }

    /// The source whose copy this would be, as far as its name tells.
    pub fn copy_at<'a>(&self, local: &'a Path) -> Option<SourceConfig> {
        let host = self.source.server().to_string();
        let told_by = |path: &'a Path| self.template.told_by(&host, path.as_os_str().as_bytes());
        let in_dir = || local.strip_prefix(&self.dir).ok();
        let told = told_by(local).or_else(|| told_by(in_dir()?))?;
        let remote = match told {
            Told::Path(inner) => [b"/", inner].concat(),
            Told::Name(name) => {
                let glob = &*self.source.remote;
                let end = glob.iter().rposition(|byte| *byte == b'/')?;
                let (dir, last) = glob.split_at(end + 1);
                if !glob::matches(last, name) {
                    return None;
                }
                match glob::is_glob(dir) {
                    // Which of the directories it was, is not known, and does not matter here.
                    true => glob.to_vec(),
                    false => [dir, name].concat(),
                }
            }
        };
        let source = SourceConfig {
            remote: remote.clone().into(),
            local: local.into(),
            pointer: with_ending(local, ".pointer").into(),
            ..self.source.clone()
        };
        let is_known = *remote != *self.source.remote;
        let is_it = |member: SourceConfig| *member.local == *local;
        (!is_known || self.member(&remote).is_ok_and(is_it)).then_some(source)
    }

    /// Whether both ask the same box for the same.
    pub fn asks_like(&self, other: &FamilyConfig) -> bool {
        let key = |family: &FamilyConfig| {
            let source = &family.source;
            (source.address.clone(), source.port, source.remote.clone())
        };
        key(self) == key(other)
    }

    /// The glob as a server is asked by it: there blanks, quotes and braces mean something.
    pub fn asked(&self) -> Vec<u8> {
        let mut asked = Vec::new();
        let mut bytes = self.source.remote.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'\\' => {
                    asked.push(byte);
                    asked.extend(bytes.next());
                    continue;
                }
                b' ' | b'\t'..=b'\r' | b'\'' | b'"' | b'{' | b'}' => asked.push(b'\\'),
                _ => {}
            }
            asked.push(byte);
        }
        asked
    }
}

impl PartialEq for FamilyConfig {
    fn eq(&self, other: &FamilyConfig) -> bool {
        // The name of the copies is made by the template.
        self.source == other.source
    }
}

impl Eq for FamilyConfig {}

/// Whether a copy with this name would be taken for a file of another one: `app.log.pointer` is
/// beside the copy of `app.log`.
fn is_own(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'.');
    parts.next();
    let behind: Vec<&[u8]> = parts.collect();
    // Where two finished copies have one stamp, a number stands behind it, and behind that the
    // ending of who compresses them.
    let is_more = |part: &&[u8]| {
        let is_number = !is_stamp(part) && part.iter().all(u8::is_ascii_digit);
        is_number || PACKED.contains(part)
    };
    let last = behind.iter().rfind(|part| !is_more(part));
    last.is_some_and(|last| OWN.contains(last) || is_stamp(last)) || behind.contains(&POINTER)
}

/// What stands behind the name of a copy.
const POINTER: &[u8] = b"pointer";
const OWN: [&[u8]; 6] = [
    b"gaps",
    b"kept",
    b"damaged",
    b"healing",
    b"rescued",
    b"inflating",
];

/// What stands behind the stamp of a finished copy that was compressed, or is about to be.
const PACKED: [&[u8]; 5] = [b"gz", b"xz", b"zst", b"bz2", b"part"];

/// Whether it is the time behind the name of a finished copy.
fn is_stamp(part: &[u8]) -> bool {
    part.len() == 14 && part.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::{Config, Problem};

    fn family(template: &str, rest: &str) -> FamilyConfig {
        let text = format!("copies {template}\n10.0.0.1 {rest}\n");
        let config = Config::parse_in(Path::new("/top"), text.as_bytes()).unwrap();
        assert!(config.sources.is_empty());
        config.families.into_iter().next().unwrap()
    }

    #[test]
    fn a_member_is_a_source_of_its_own() {
        let family = family("l/%h/%p", "1919 /v/*/m name=r5 history=all");
        let member = family.member(b"/v/a/m").unwrap();
        assert_eq!(*member.remote, *b"/v/a/m");
        assert_eq!(*member.local, *Path::new("/top/l/r5/v/a/m"));
        assert_eq!(*member.pointer, *Path::new("/top/l/r5/v/a/m.pointer"));
        assert_eq!((member.port, member.history), (1919, family.source.history));
        assert!(family.has("r5", b"/v/a/m", b"/top/l/r5/v/a/m"));
        assert!(!family.has("r6", b"/v/a/m", b"/top/l/r5/v/a/m"));
        // The line itself has a row in the table, too, and its glob finds its own text.
        let own = b"/top/l/r5/v/*/m";
        assert_eq!(family.member(b"/v/*/m"), Err(Odd::IsGlob));
        assert!(family.is_shown_as("r5", b"/v/*/m", own));
        assert!(!family.has("r5", b"/v/*/m", own));
        assert!(!family.is_shown_as("r5", b"/v/a/m", b"/top/l/r5/v/a/m"));
        assert_eq!(family.copy_at(&member.local), Some(member));
    }

    #[test]
    fn what_has_blanks_or_braces_is_asked_for_as_it_is() {
        let family = family("/l/%h/%f", "\"/v/My {Logs}/*'\\\\[.log\"");
        assert_eq!(family.asked(), b"/v/My\\ \\{Logs\\}/*\\'\\[.log");
        assert!(family.member(b"/v/My {Logs}/a'[.log").is_ok());
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        arbtest::arbtest(|u| {
            let glob = *u.choose(&["/v/*", "/v/*/*", "/*/*", "/v/.*", "/v/[!a]*"])?;
            let template = *u.choose(&["/l/%h/%f", "/l/%h/%p", "/l/%h-%f.x"])?;
            let family = family(template, glob);
            let parts = [
                "v", "a", "..", ".", "", "/", ".a", "a.gaps", "\n", "\0", "b",
            ];
            let mut remote = b"/v".to_vec();
            for _ in 0..u.int_in_range(0..=4)? {
                remote.push(b'/');
                remote.extend_from_slice(u.choose(&parts)?.as_bytes());
            }
            if let Ok(member) = family.member(&remote) {
                let local = member.local.strip_prefix("/l/").unwrap();
                let is_plain = |part| matches!(part, std::path::Component::Normal(_));
                assert!(local.components().all(is_plain), "{local:?}");
                assert!(local.starts_with("10.0.0.1") || template.contains("%h-"));
                assert!(glob::finds(glob.as_bytes(), &remote));
                let name = local.file_name().unwrap().as_bytes();
                assert!(!name.starts_with(b".") && !name.ends_with(b".gaps"));
            }
            Ok(())
        })
        .budget_ms(200);
    }

    #[test]
    fn faults_have_their_place() {
        for (text, problem) in [
            ("copies /%h/%f\na /v/*\n", Problem::PatternWithoutRoot),
            (
                "copies /l/%h/%f\na /v/* proto=classic\n",
                Problem::ClassicPattern,
            ),
        ] {
            let errors = Config::parse(text.as_bytes()).unwrap_err();
            assert_eq!(errors.first[0].problem, problem, "{text}");
        }
        // A line with all fields means what it says, as ever.
        let config = Config::parse(b"a 19 /v/* /l /p\n").unwrap();
        assert_eq!(*config.sources[0].remote, *b"/v/*");
        let config = Config::parse(b"copies /l/%h/%f\na /v/a\\*b\n").unwrap();
        assert_eq!(*config.sources[0].remote, *b"/v/a*b");
    }
}
