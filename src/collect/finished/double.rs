//! A finished copy that seems to be one that is here already: the server has sent one file twice.
//! Both are compared byte for byte, and the second goes if they are the same. Pure.
//!
//! The rotation knows nothing of this, so a crash leaves what it always leaves. The second copy
//! stays on the list of copies to be compared until this is over, and is compared once more by the
//! next start.

use std::io;
use std::path::{Path, PathBuf};

use crate::collect::copy::Finished;
use crate::store::{Kind, WriteStore};

/// A comparison of two copies.
pub struct Double<F> {
    finished: Finished,
    of: PathBuf,
    files: Option<(F, F)>,
    at: u64,
}

impl<F> Double<F> {
    /// A copy that is to be compared with an older one.
    pub fn new(finished: Finished, of: PathBuf) -> Double<F> {
        Double {
            finished,
            of,
            files: None,
            at: 0,
        }
    }

    /// The second copy.
    pub fn finished(&self) -> &Finished {
        &self.finished
    }

    /// The first copy.
    pub fn of(&self) -> &Path {
        &self.of
    }

    /// Compares one slice, with `buf` to read into. Tells at the end whether the second copy was
    /// the same and is gone. Whatever is in doubt stays.
    pub fn work<S: WriteStore<File = F>>(&mut self, buf: &mut [u8], store: &mut S) -> Option<bool> {
        self.slice(buf, store).unwrap_or(Some(false))
    }

    fn slice<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> io::Result<Option<bool>> {
        let path = &self.finished.path;
        let (first, second) = match self.files.take() {
            Some(files) => files,
            None => (open(store, &self.of)?, open(store, path)?),
        };
        let (ours, theirs) = buf.split_at_mut(buf.len() / 2);
        let theirs = &mut theirs[..ours.len()];
        let read = store.read_at(&first, ours, self.at)?;
        if read != store.read_at(&second, theirs, self.at)? || ours[..read] != theirs[..read] {
            return Ok(Some(false));
        }
        self.at += read as u64;
        if read > 0 {
            self.files = Some((first, second));
            return Ok(None);
        }
        let is_same = self.at == self.finished.size && are_two(store, &self.of, path)?;
        if is_same {
            // It need not be durable: a power cut may bring back one file too many, and takes none.
            store.unlink(path)?;
        }
        Ok(Some(is_same))
    }
}

/// Whether these are two files, each of which has a name of its own still.
fn are_two<S: WriteStore>(store: &mut S, first: &Path, second: &Path) -> io::Result<bool> {
    let (Some(first), Some(second)) = (store.stat_path(first)?, store.stat_path(second)?) else {
        return Ok(false);
    };
    let is_own = second.kind == Kind::Regular && second.links == 1;
    Ok(first.kind == Kind::Regular && is_own && first.id != second.id)
}

fn open<S: WriteStore>(store: &mut S, path: &Path) -> io::Result<S::File> {
    let file = store.open_append(path)?;
    file.ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Inode;
    use crate::inside::fake::Fake;

    const FIRST: &str = "/l/m.1";
    const SECOND: &str = "/l/m.2";

    fn run(disk: &mut Fake, size: u64) -> bool {
        let finished = Finished {
            path: SECOND.into(),
            inode: Inode(7),
            size,
            md5: None,
            by_content: false,
            classic: false,
        };
        let mut double = Double::new(finished, FIRST.into());
        let mut buf = [0; 8];
        loop {
            if let Some(is_gone) = double.work(&mut buf, disk) {
                assert_eq!(disk.exists(SECOND), !is_gone);
                return is_gone;
            }
        }
    }

    #[test]
    fn the_same_bytes_twice_are_kept_once() {
        let mut disk = Fake::new();
        disk.write(FIRST, b"0123456789");
        disk.write(SECOND, b"0123456789");
        assert!(run(&mut disk, 10));
        assert!(disk.exists(FIRST));
    }

    #[test]
    fn whatever_is_not_quite_the_same_stays() {
        for other in [&b"0123456780"[..], b"012345678", b"0123456789a", b""] {
            let mut disk = Fake::new();
            disk.write(FIRST, other);
            disk.write(SECOND, b"0123456789");
            assert!(!run(&mut disk, 10), "{other:?}");
        }
        let mut disk = Fake::new();
        disk.write(SECOND, b"0123456789");
        assert!(!run(&mut disk, 10), "the first is gone");
        disk.write(FIRST, b"0123456789");
        assert!(!run(&mut disk, 9), "it is longer than it was");
        disk.remove(FIRST);
        WriteStore::link(&mut disk, Path::new(SECOND), Path::new(FIRST)).unwrap();
        assert!(!run(&mut disk, 10), "one file with two names");
    }

    #[test]
    fn whatever_fails_both_stay_or_one() {
        for nth in 1..20 {
            let mut disk = Fake::new();
            disk.write(FIRST, b"0123456789");
            disk.write(SECOND, b"0123456789");
            disk.fail_call(nth, 5);
            run(&mut disk, 10);
            assert!(disk.exists(FIRST));
        }
    }
}
