//! A finished copy that seems to be one that is here already: the server has sent one file twice,
//! or what somebody on the box copied of another. Both are compared byte for byte, and the second
//! goes if they are the same, or if it is the beginning of the first. Pure.
//!
//! The rotation knows nothing of this, so a crash leaves what it always leaves. The second copy
//! stays on the list of copies to be compared until this is over, and is compared once more by the
//! next start.

use std::io;
use std::path::{Path, PathBuf};

use crate::collect::copy::Finished;
use crate::store::{Kind, WriteStore};

/// A comparison of a copy with older ones.
pub struct Double<F> {
    finished: Finished,
    /// The copies that it may be the double of; it is compared with the last.
    of: Vec<PathBuf>,
    /// It may be the beginning of one.
    is_within: bool,
    files: Option<(F, F)>,
    at: u64,
}

impl<F> Double<F> {
    /// A copy that is the double of an older one, unless their bytes say otherwise.
    pub fn new(finished: Finished, of: PathBuf) -> Double<F> {
        Double {
            finished,
            of: vec![of],
            is_within: false,
            files: None,
            at: 0,
        }
    }

    /// A copy that is the double or the beginning of one of these, if their bytes say so.
    pub fn within(finished: Finished, of: Vec<PathBuf>) -> Double<F> {
        Double {
            of,
            is_within: true,
            ..Double::new(finished, PathBuf::new())
        }
    }

    /// The second copy.
    pub fn finished(&self) -> &Finished {
        &self.finished
    }

    /// The first copy, unless it turned out that there is none.
    pub fn of(&self) -> Option<&Path> {
        self.of.last().map(PathBuf::as_path)
    }

    /// Whether it may be the beginning of the first.
    pub fn is_within(&self) -> bool {
        self.is_within
    }

    /// Compares one slice, with `buf` to read into. Tells at the end whether the second copy was
    /// the same, or the beginning, and is gone. Whatever is in doubt stays.
    pub fn work<S: WriteStore<File = F>>(&mut self, buf: &mut [u8], store: &mut S) -> Option<bool> {
        match self.slice(buf, store) {
            Ok(Some(false)) | Err(_) if self.is_within && self.of.pop().is_some() => {
                (self.files, self.at) = (None, 0);
                None
            }
            result => result.unwrap_or(Some(false)),
        }
    }

    fn slice<S: WriteStore<File = F>>(
        &mut self,
        buf: &mut [u8],
        store: &mut S,
    ) -> io::Result<Option<bool>> {
        let path = &self.finished.path;
        let of = self.of.last().ok_or(io::ErrorKind::NotFound)?;
        let (first, second) = match self.files.take() {
            Some(files) => files,
            None => (open(store, of)?, open(store, path)?),
        };
        let (ours, theirs) = buf.split_at_mut(buf.len() / 2);
        let theirs = &mut theirs[..ours.len()];
        let read = store.read_at(&second, theirs, self.at)?;
        let found = store.read_at(&first, ours, self.at)?;
        let is_long_enough = found == read || (self.is_within && found > read);
        if !is_long_enough || ours[..read] != theirs[..read] {
            return Ok(Some(false));
        }
        self.at += read as u64;
        if read > 0 {
            self.files = Some((first, second));
            return Ok(None);
        }
        let is_same = self.at == self.finished.size && are_two(store, of, path)?;
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

    fn second(size: u64) -> Finished {
        Finished {
            path: SECOND.into(),
            inode: Inode(7),
            size,
            md5: None,
            by_content: false,
            classic: false,
        }
    }

    fn run(disk: &mut Fake, size: u64) -> bool {
        let mut double = Double::new(second(size), FIRST.into());
        let mut buf = [0; 8];
        loop {
            if let Some(is_gone) = double.work(&mut buf, disk) {
                assert_eq!(disk.exists(SECOND), !is_gone);
                return is_gone;
            }
        }
    }

    /// The same where the second may be the beginning of one of these; also tells of which.
    fn run_within(disk: &mut Fake, size: u64, of: &[&str]) -> (bool, Option<PathBuf>) {
        let of = of.iter().map(PathBuf::from).collect();
        let mut double = Double::within(second(size), of);
        let mut buf = [0; 8];
        loop {
            if let Some(is_gone) = double.work(&mut buf, disk) {
                assert_eq!(disk.exists(SECOND), !is_gone);
                return (is_gone, double.of().map(Path::to_path_buf));
            }
        }
    }

    #[test]
    fn the_beginning_of_an_older_copy_goes() {
        let of = ["/l/m.0", FIRST, "/l/gone"];
        for (bytes, is_gone) in [
            (&b"0123456789"[..], true),
            (b"01234", true),
            (b"0123456789a", false),
            (b"012345678a", false),
        ] {
            let mut disk = Fake::new();
            disk.write("/l/m.0", b"9");
            disk.write(FIRST, b"0123456789");
            disk.write(SECOND, bytes);
            let first = is_gone.then(|| FIRST.into());
            let result = run_within(&mut disk, bytes.len() as u64, &of);
            assert_eq!(result, (is_gone, first));
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
