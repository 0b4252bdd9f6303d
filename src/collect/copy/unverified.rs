//! The list of finished copies that were not compared with the server's file yet. It stands beside
//! the pointer file, so that a copy is compared even if the collector is killed before that; while
//! no copy waits, there is no such file.
//!
//! ```text
//! STAMP[.N] INODE SIZE MD5|- [x]
//! ```
//!
//! One line a copy: what its name has behind the local file's, its inode and size on the server
//! (the inode 0 if it is to get what was written later, up to that size), the server's digest if
//! that is known, and `x` if classic had a part in it. A line that is none comes of a power cut in
//! the middle of a write, before the copy it was about got its name.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{FileError, system};
use super::files::LocalFiles;
use super::pointer::RotatedSuffix;
use super::rotation::Syncs;
use crate::collect::config::with_ending;
use crate::ids::Inode;
use crate::limits::CHECKS_WAITING_MAX;
use crate::store::WriteStore;
use crate::wire::md5::{self, Hex};

/// A finished copy: a complete generation and what is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// The name of its copy.
    pub path: PathBuf,
    /// Its inode on the server.
    pub inode: Inode,
    /// The number of bytes that the server's digest is of, from the start.
    pub size: u64,
    /// The server's digest, if it is known.
    pub md5: Option<[u8; 16]>,
    /// The digest was asked for later, so it is that of the file that the server found by the
    /// copy's content.
    pub by_content: bool,
    /// Classic had a part in the copy.
    pub classic: bool,
}

impl Finished {
    /// Whether the server had more of the generation than it gave, and the copy is to get that: its
    /// token tells which file is meant, and so there is no inode.
    pub fn is_late(&self) -> bool {
        self.inode == Inode::NONE
    }
}

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// Puts a copy on the list, before it is rotated: the list is durable as soon as the pointer's
    /// directory is, which the rotation sees to before anything is renamed.
    pub(super) fn put_on_list(
        &mut self,
        finished: &Finished,
        syncs: Syncs,
    ) -> Result<(), FileError> {
        let path = self.paths.unverified();
        let failed = |error| system("write", &path, error);
        // Only names that a rotation gives can be read again.
        let Some(line) = Line::of(finished, self.paths.local) else {
            return Ok(());
        };
        let file = self.open_list(&path)?;
        // A line that an earlier run left torn is gone by now: the list was put right when the
        // files were opened.
        self.store
            .append_all(&file, line.to_string().as_bytes())
            .map_err(failed)?;
        match syncs {
            Syncs::Own => self.store.sync_file(&file).map_err(failed),
            Syncs::Barrier => Ok(()),
        }
    }

    /// Replaces the list.
    pub fn write_list<'a>(
        &mut self,
        list: impl Iterator<Item = &'a Finished>,
    ) -> Result<(), FileError> {
        let path = self.paths.unverified();
        let failed = |error| system("write", &path, error);
        let lines = list.filter_map(|finished| Line::of(finished, self.paths.local));
        let text: String = lines.map(|line| line.to_string()).collect();
        // No list at all rather than an empty one, so that an idle source has one file less to look
        // at.
        if text.is_empty() {
            return match self.stat_path(&path)? {
                Some(_) => self.store.unlink(&path).map_err(failed),
                None => Ok(()),
            };
        }
        // With the older list a copy is compared once more.
        self.replace_list(&path, &text)
    }

    /// The copies on the list that are still there, oldest first. The list is put right where that
    /// is not all of it: a rotation that it announced may not have come about, or somebody took the
    /// copy away.
    pub fn read_list(&mut self) -> Result<Vec<Finished>, FileError> {
        let path = self.paths.unverified();
        let mut buf = vec![0; LIST_MAX_LEN];
        let len = self.store.read_small(&path, &mut buf);
        let Some(len) = len.map_err(|error| system("read", &path, error))? else {
            return Ok(Vec::new());
        };
        let mut list: Vec<Finished> = Vec::new();
        let mut is_right = true;
        for line in buf[..len].split_inclusive(|byte| *byte == b'\n') {
            // A power cut in the middle of a write leaves a part of a line, or zeros.
            let Some(finished) = read_line(line, self.paths.local) else {
                is_right = false;
                continue;
            };
            // Killed before the commit of the rotation, or the operator has moved the copy away.
            if self.stat_path(&finished.path)?.is_none() {
                is_right = false;
                continue;
            }
            // A name that comes again was announced in vain the first time.
            list.retain(|older| older.path != finished.path);
            list.push(finished);
        }
        if !is_right || list.is_empty() {
            self.write_list(list.iter())?;
        }
        Ok(list)
    }
}

/// A line of the list.
struct Line<'a> {
    suffix: RotatedSuffix,
    finished: &'a Finished,
}

impl Line<'_> {
    /// `None` if the copy has no name that a rotated copy of `local` gets.
    fn of<'a>(finished: &'a Finished, local: &Path) -> Option<Line<'a>> {
        let suffix = RotatedSuffix::of(&finished.path, local)?;
        Some(Line { suffix, finished })
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finished = self.finished;
        write!(f, "{} {} {} ", self.suffix, finished.inode, finished.size)?;
        // The digest of a file that was found by the copy's content is asked for again: that this
        // was the right file is not known before they are compared.
        match finished.md5.filter(|_| !finished.by_content) {
            Some(md5) => write!(f, "{}", Hex(&md5))?,
            None => f.write_str("-")?,
        }
        f.write_str(if finished.classic { " x\n" } else { "\n" })
    }
}

/// A line with its newline.
fn read_line(line: &[u8], local: &Path) -> Option<Finished> {
    let mut words = str::from_utf8(line.strip_suffix(b"\n")?).ok()?.split(' ');
    let suffix = RotatedSuffix::parse(words.next()?)?;
    let inode = Inode(words.next()?.parse().ok()?);
    let size = words.next()?.parse().ok()?;
    let md5 = match words.next()? {
        "-" => None,
        hex => Some(md5::read_hex(hex)?),
    };
    let classic = match words.next() {
        None => false,
        Some("x") => true,
        Some(_) => return None,
    };
    Some(Finished {
        path: with_ending(local, &format!(".{suffix}")),
        inode,
        size,
        md5,
        by_content: false,
        classic,
    })
}

/// Longest line: two numbers, a digest, blanks and the `x`.
const LINE_MAX_LEN: usize = RotatedSuffix::MAX_LEN + 20 + 20 + 32 + 6;

/// The most that is read of a list: each copy may have been announced twice.
const LIST_MAX_LEN: usize = 2 * CHECKS_WAITING_MAX * LINE_MAX_LEN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::copy::Paths;
    use crate::inside::fake::Fake;

    fn paths() -> Paths<'static> {
        Paths {
            remote: b"/var/log/m",
            local: Path::new("/l/m"),
            pointer: Path::new("/p/m"),
        }
    }

    fn with<R>(disk: &mut Fake, act: impl FnOnce(&mut LocalFiles<'_, Fake>) -> R) -> R {
        act(&mut LocalFiles {
            store: disk,
            paths: paths(),
            boot: None,
            stamp: "20261122132956",
            hooks: None,
        })
    }

    fn finished(suffix: &str) -> Finished {
        Finished {
            path: format!("/l/m.{suffix}").into(),
            inode: Inode(7),
            size: 3,
            md5: Some([0xa5; 16]),
            by_content: false,
            classic: false,
        }
    }

    #[test]
    fn what_is_put_on_the_list_is_read_from_it() {
        let mut disk = Fake::new();
        let list = [
            finished("20261122132956"),
            Finished {
                md5: None,
                classic: true,
                ..finished("20261122132956.1")
            },
            Finished {
                size: u64::MAX,
                inode: Inode(u64::MAX),
                ..finished("20261122132957")
            },
        ];
        for copy in &list {
            disk.write(copy.path.to_str().unwrap(), b"abc");
            with(&mut disk, |files| files.put_on_list(copy, Syncs::Own)).unwrap();
        }
        assert_eq!(with(&mut disk, |files| files.read_list()).unwrap(), list);
        with(&mut disk, |files| files.write_list(list[1..].iter())).unwrap();
        assert_eq!(
            with(&mut disk, |files| files.read_list()).unwrap(),
            list[1..]
        );
        with(&mut disk, |files| files.write_list([].iter())).unwrap();
        assert!(!disk.exists("/p/m.unverified"));
        assert_eq!(with(&mut disk, |files| files.read_list()).unwrap(), []);
    }

    #[test]
    fn a_digest_of_a_file_found_by_content_is_asked_for_again() {
        let mut disk = Fake::new();
        let copy = Finished {
            by_content: true,
            ..finished("20261122132956")
        };
        disk.write("/l/m.20261122132956", b"abc");
        with(&mut disk, |files| files.put_on_list(&copy, Syncs::Own)).unwrap();
        let read = with(&mut disk, |files| files.read_list()).unwrap();
        assert_eq!((read[0].md5, read[0].by_content), (None, false));
    }

    #[test]
    fn rotations_that_did_not_come_about_and_torn_lines_go() {
        let mut disk = Fake::new();
        let there = finished("20261122132958");
        disk.write("/l/m.20261122132958", b"abc");
        let lines = "20261122132956 7 3 -\n20261122132958 7 1 -\n../../etc/passwd 7 3 -\n\
                     20261122132957 7\0\0\0\0\n20261122132958 7 3 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n20261122132958 7 9 -";
        disk.write("/p/m.unverified", lines.as_bytes());
        assert_eq!(with(&mut disk, |files| files.read_list()).unwrap(), [there]);
        assert_eq!(
            disk.read("/p/m.unverified").unwrap(),
            b"20261122132958 7 3 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n"
        );
    }
}
