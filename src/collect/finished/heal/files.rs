//! The files of a heal: the copy, the new file, and what the copy was before. Pure.

use std::io;
use std::path::{Path, PathBuf};

use crate::collect::config::with_ending;
use crate::store::WriteStore;

/// The file with this name, which must be there.
pub(super) fn open<S: WriteStore>(store: &mut S, path: &Path) -> io::Result<S::File> {
    store
        .open_append(path)?
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Reads up to `wanted` bytes.
pub(super) fn read<S: WriteStore>(
    store: &mut S,
    file: &S::File,
    buf: &mut [u8],
    at: u64,
    wanted: u64,
) -> io::Result<usize> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(buf.len());
    store.read_at(file, &mut buf[..wanted], at)
}

/// The size of a copy, if all of it stands at the beginning of the new file, as is known up to
/// `from` and is found out for what comes behind that, if that is not much.
pub(super) fn beginning_of<S: WriteStore>(
    path: &Path,
    healed: &S::File,
    from: u64,
    buf: &mut [u8],
    store: &mut S,
) -> io::Result<Option<u64>> {
    let copy = open(store, path)?;
    let size = store.stat(&copy)?.size;
    let (ours, theirs) = buf.split_at_mut(buf.len() / 2);
    let len = size
        .checked_sub(from)
        .and_then(|len| usize::try_from(len).ok());
    let Some(len) = len.filter(|len| *len <= ours.len().min(theirs.len())) else {
        return Ok(None);
    };
    let (ours, theirs) = (&mut ours[..len], &mut theirs[..len]);
    let is_read =
        store.read_at(&copy, ours, from)? == len && store.read_at(healed, theirs, from)? == len;
    Ok((is_read && ours == theirs).then_some(size))
}

/// Gives what a copy was before a name of its own. A run that was killed right after that has given
/// it one already.
pub(super) fn second_name<S: WriteStore>(store: &mut S, path: &Path) -> io::Result<PathBuf> {
    let id = store.stat_path(path)?.map(|stat| stat.id);
    // FILES.md, "Set aside": `.damaged`, `.damaged.1` up to 99.
    for attempt in 0..100 {
        let ending = match attempt {
            0 => ".damaged".to_owned(),
            n => format!(".damaged.{n}"),
        };
        let name = with_ending(path, &ending);
        match store.stat_path(&name)? {
            None => return store.link(path, &name).map(|()| name),
            Some(stat) if Some(stat.id) == id => return Ok(name),
            Some(_) => {}
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The name under which the healed copy grows.
pub(super) fn scratch(path: &Path) -> PathBuf {
    with_ending(path, ".healing")
}
