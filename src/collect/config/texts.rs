//! The texts of a configuration: CONF, which may be a directory, and what is included.
//!
//! They are gathered by whoever can read files, and handed on as one piece where that is another
//! process.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::line;
use crate::limits::CONFIG_FILES_MAX;

/// All texts, in the order in which they were found. The first is CONF.
#[derive(PartialEq, Eq, Debug)]
pub struct Texts {
    pub(super) all: Vec<Text>,
    /// The number of each path.
    numbers: BTreeMap<PathBuf, usize>,
}

/// What is at one path.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) found: Found,
}

/// What was found at a path.
#[derive(PartialEq, Eq, Debug)]
pub enum Found {
    /// A file.
    File(Vec<u8>),
    /// A directory, and in order what is read of it.
    Dir(Vec<PathBuf>),
    /// Neither can be had, and this is why.
    Failed(String),
}

impl Texts {
    /// CONF, and all that it includes; `find` reads.
    pub fn gather(conf: &Path, find: &mut dyn FnMut(&Path) -> Found) -> Texts {
        let mut texts = Texts::with(Vec::new());
        let mut wanted = vec![conf.to_path_buf()];
        // Depth first, so that the order is that of the lines.
        while let Some(path) = wanted.pop() {
            if texts.position(&path).is_some() {
                continue;
            }
            if texts.all.len() >= CONFIG_FILES_MAX {
                break;
            }
            let found = find(&path);
            match &found {
                Found::File(text) => {
                    let included = line::includes(text).into_iter().rev();
                    wanted.extend(included.map(|name| beside(&path, &name)));
                }
                Found::Dir(names) => wanted.extend(names.iter().rev().cloned()),
                Found::Failed(_) => {}
            }
            texts.add(Text { path, found });
        }
        texts
    }

    pub(super) fn with(all: Vec<Text>) -> Texts {
        let mut texts = Texts {
            all: Vec::new(),
            numbers: BTreeMap::new(),
        };
        all.into_iter().for_each(|text| texts.add(text));
        texts
    }

    fn add(&mut self, text: Text) {
        self.numbers.insert(text.path.clone(), self.all.len());
        self.all.push(text);
    }

    pub(super) fn position(&self, path: &Path) -> Option<usize> {
        self.numbers.get(path).copied()
    }

    /// Why CONF cannot be read, if it cannot.
    pub fn failed(&self) -> Option<&str> {
        match self.all.first().map(|text| &text.found) {
            Some(Found::Failed(why)) => Some(why),
            _ => None,
        }
    }

    /// All of it in one piece, for [`unpack`](Self::unpack).
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Text { path, found } in &self.all {
            put(&mut bytes, path.as_os_str().as_bytes());
            match found {
                Found::File(text) => {
                    bytes.push(FILE);
                    put(&mut bytes, text);
                }
                Found::Dir(names) => {
                    bytes.push(DIR);
                    bytes.extend((names.len() as u64).to_ne_bytes());
                    for name in names {
                        put(&mut bytes, name.as_os_str().as_bytes());
                    }
                }
                Found::Failed(why) => {
                    bytes.push(FAILED);
                    put(&mut bytes, why.as_bytes());
                }
            }
        }
        bytes
    }

    /// What was packed; fails where it is not whole.
    pub fn unpack(mut bytes: &[u8]) -> io::Result<Texts> {
        let mut texts = Vec::new();
        while !bytes.is_empty() {
            let text = take_text(&mut bytes).ok_or(io::ErrorKind::InvalidData)?;
            texts.push(text);
        }
        Ok(Texts::with(texts))
    }
}

/// A path that stands in a file: without a slash in front it starts from where that file is.
pub(super) fn beside(file: &Path, name: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(name)
}

const FILE: u8 = 0;
const DIR: u8 = 1;
const FAILED: u8 = 2;

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_ne_bytes());
    bytes.extend_from_slice(part);
}

fn take_text(bytes: &mut &[u8]) -> Option<Text> {
    let path = take_path(bytes)?;
    let found = match *bytes.split_off_first()? {
        FILE => Found::File(take(bytes)?.to_vec()),
        DIR => {
            let count = take_number(bytes)?;
            Found::Dir(
                (0..count)
                    .map(|_| take_path(bytes))
                    .collect::<Option<_>>()?,
            )
        }
        _ => Found::Failed(String::from_utf8_lossy(take(bytes)?).into_owned()),
    };
    Some(Text { path, found })
}

fn take_path(bytes: &mut &[u8]) -> Option<PathBuf> {
    take(bytes).map(|path| Path::new(OsStr::from_bytes(path)).to_path_buf())
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_number(bytes)?).ok()?;
    bytes.split_off(..len)
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let number = bytes.split_off(..size_of::<u64>())?;
    Some(u64::from_ne_bytes(number.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::{Config, Problem};

    /// A directory in memory.
    fn find(path: &Path) -> Found {
        let file = |text: &str| Found::File(text.into());
        match path.to_str().unwrap() {
            "/c" => Found::Dir(["/c/1.conf", "/c/2.conf"].map(PathBuf::from).into()),
            "/c/1.conf" => file("include more/x\n#include no\ninclude \"/c/2.conf\"\n"),
            "/c/2.conf" => file("include 1.conf"),
            "/c/more/x" => file("a 19 /r /l /p"),
            "/endless" => file("include /endless/x"),
            "/deep" => file(&"include /deep\n".repeat(3)),
            path if path.starts_with("/endless/") => file("include x/x"),
            _ => Found::Failed("it is not there".to_owned()),
        }
    }

    fn paths(texts: &Texts) -> Vec<&str> {
        let paths = texts.all.iter().map(|text| text.path.to_str().unwrap());
        paths.collect()
    }

    #[test]
    fn what_is_included_is_gathered_once_and_in_order() {
        let texts = Texts::gather(Path::new("/c"), &mut find);
        assert_eq!(paths(&texts), ["/c", "/c/1.conf", "/c/more/x", "/c/2.conf"]);
        assert_eq!(texts.failed(), None);
        assert_eq!(
            paths(&Texts::gather(Path::new("/deep"), &mut find)),
            ["/deep"]
        );
        let texts = Texts::gather(Path::new("/none"), &mut find);
        assert_eq!(texts.failed(), Some("it is not there"));
    }

    #[test]
    fn what_has_no_end_is_cut_off() {
        let texts = Texts::gather(Path::new("/endless"), &mut find);
        assert_eq!(texts.all.len(), CONFIG_FILES_MAX);
        let fault = Config::read(Path::new("/"), &texts).unwrap_err().first[0];
        assert_eq!(fault.problem, Problem::TooManyFiles);
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for conf in ["/c", "/none", "/c/more/x"] {
            let texts = Texts::gather(Path::new(conf), &mut find);
            let packed = texts.pack();
            assert_eq!(Texts::unpack(&packed).unwrap(), texts);
            for cut in 1..packed.len() {
                // Between two texts it is whole, too.
                if let Ok(some) = Texts::unpack(&packed[..cut]) {
                    assert!(some.all.len() < texts.all.len());
                }
            }
        }
    }
}
