//! The local copies of one source: which there are, what each of them is a copy of, and what proves
//! that.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::Verdict;
use crate::collect::config::SourceConfig;
use crate::collect::copy::pointer::{Pointer, PointerError, RotatedSuffix};
use crate::collect::copy::{FileError, Paths};
use crate::collect::event::Event;
use crate::ids::{FileId, Inode};
use crate::limits::{GAPS_MAX_LEN, POINTER_MAX_LEN};
use crate::random::Random;
use crate::store::{Kind, ReadStore, Stat};
use crate::wire::escape::OneLine;
use crate::wire::proof::{self, BLOCK_LEN_MAX, BLOCKS_MAX, Block, Proof};

/// A local copy by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    /// Which of its source's copies it is.
    pub which: Which,
    /// The path of the copy.
    pub path: PathBuf,
}

/// Which of a source's copies one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The one that grows.
    Live,
    /// The one that was finished last.
    Rotated,
}

/// The copies of a source: the live one, whether or not it is there, and rotated ones, the last one
/// or `all`, newest first. These may come as an error instead.
pub fn copies_of<S: ReadStore>(
    store: &S,
    config: &SourceConfig,
    all: bool,
) -> (Copy, Result<Vec<Copy>, Verdict>) {
    let live = Copy {
        which: Which::Live,
        path: config.local.to_path_buf(),
    };
    let dir = Paths::of(config).local_dir();
    let rotated = match rotated(store, config, dir) {
        Ok(found) => Ok(found),
        // Without the directory there is no live copy either, which is told by itself.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Verdict::unreadable("list", dir, error)),
    };
    let wanted = if all { usize::MAX } else { 1 };
    let rotated = rotated.map(|suffixes| {
        let copies = suffixes.into_iter().take(wanted).map(|suffix| Copy {
            which: Which::Rotated,
            path: suffix.path(config),
        });
        copies.collect()
    });
    (live, rotated)
}

/// The record of losses, one loss a line; empty if there is no such record.
pub fn gaps_of<S: ReadStore>(store: &S, config: &SourceConfig) -> Result<Vec<u8>, Verdict> {
    let path = Paths::of(config).gaps();
    let mut text = vec![0; GAPS_MAX_LEN];
    match read_small(store, &path, &mut text) {
        Ok(len) => text.truncate(len.unwrap_or(0)),
        Err(error) => return Err(Verdict::unreadable("read", &path, error)),
    }
    Ok(text)
}

/// Whether the collector has on record that this copy of `ours` bytes holds `more` than the server
/// had.
pub(super) fn is_kept<S: ReadStore>(
    store: &S,
    config: &SourceConfig,
    copy: &Copy,
    ours: u64,
    more: u64,
) -> bool {
    let path = Paths::of(config).kept();
    // The record may have grown for years; what tells of the last rotated copy stands at its end.
    let end = store.open(&path).and_then(|file| {
        let mut text = vec![0; GAPS_MAX_LEN];
        let start = store.stat(&file)?.size.saturating_sub(text.len() as u64);
        let len = store.read_at(&file, &mut text, start)?;
        text.truncate(len);
        Ok(text)
    });
    // Where it cannot be read, nothing explains the copy.
    let Ok(text) = end else {
        return false;
    };
    // The directory may be spelled in another way where the collector was started.
    let name = copy.path.file_name().unwrap_or_default();
    let words = Event::KeptMore {
        ours,
        theirs: ours.saturating_sub(more),
        kept: Path::new(""),
    };
    let words = OneLine(&words.to_string()).to_string();
    text.split(|byte| *byte == b'\n').any(|line| {
        let path = line
            .windows(words.len())
            .position(|part| part == words.as_bytes());
        let path = path.and_then(|at| line.get(at + words.len()..));
        let path = path.map(|path| Path::new(OsStr::from_bytes(path)));
        path.and_then(Path::file_name) == Some(name)
    })
}

/// An open copy as it was at one moment.
pub(super) struct Held<F> {
    pub file: F,
    /// The number of bytes that are compared: the copy may grow meanwhile.
    pub size: u64,
    /// The server's inode of the generation; [`Inode::NONE`] where that is not known any more.
    pub inode: Inode,
    /// Classic had a part in it.
    pub mapped: bool,
    /// Classic may have had a part in it: nobody remembers that of a rotated copy.
    pub may_be_mapped: bool,
    pub proof: Proof,
    identity: Identity,
}

/// The identity of a copy: what changes when a running collector rotates or replaces it.
#[derive(PartialEq, Eq)]
struct Identity {
    id: Option<FileId>,
    /// The content of the pointer file; only of a live copy.
    pointer: Option<Record>,
}

type Record = heapless::Vec<u8, { POINTER_MAX_LEN + 1 }>;

impl<F> Held<F> {
    /// Opens a copy.
    pub fn open<S: ReadStore<File = F>>(
        store: &S,
        config: &SourceConfig,
        copy: &Copy,
        random: &mut Random,
    ) -> Result<Held<F>, Verdict> {
        let failed = |error| Verdict::unreadable("read", &copy.path, error);
        // Before the copy: where both change in between, that is seen later.
        let pointer = read_pointer(store, config, copy)?;
        let file = match store.open(&copy.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Verdict::Missing),
            Err(error) => return Err(failed(error)),
        };
        let stat = store.stat(&file).map_err(failed)?;
        // A FIFO would be read for ever.
        if stat.kind != Kind::Regular {
            let error = io::Error::new(ErrorKind::InvalidInput, "not a regular file");
            return Err(failed(error));
        }
        let generation = match &pointer {
            Some(record) => Generation::read(record, &stat).map_err(|error| {
                Verdict::Unreadable(FileError::Pointer(config.pointer.to_path_buf(), error))
            })?,
            None => None,
        };
        // Without a pointer an empty file is no copy of anything yet.
        if generation.is_none() && copy.which == Which::Live && stat.size == 0 {
            return Err(Verdict::Missing);
        }
        let generation = generation.unwrap_or(Generation::UNKNOWN);
        let mapped = generation.mapped == Some(true);
        Ok(Held {
            size: stat.size,
            inode: generation.inode,
            mapped,
            may_be_mapped: generation.mapped != Some(false),
            proof: prove(store, &file, stat.size, mapped, random).map_err(failed)?,
            identity: Identity {
                id: Some(stat.id),
                pointer,
            },
            file,
        })
    }

    /// Whether the collector has changed the copy since, other than by appending to it.
    pub fn has_changed<S: ReadStore<File = F>>(
        &self,
        store: &S,
        config: &SourceConfig,
        copy: &Copy,
    ) -> bool {
        let stat = store.stat(&self.file);
        // A rescue or the cut of a doubtful end.
        let is_shorter = stat.map_or(true, |stat| stat.size < self.size);
        let now = Identity {
            id: store.stat_path(&copy.path).ok().map(|stat| stat.id),
            pointer: read_pointer(store, config, copy).ok().flatten(),
        };
        is_shorter || now != self.identity
    }
}

/// Whether a missing live copy may be there in a moment, because the collector is just rotating it.
pub(super) fn may_appear<S: ReadStore>(store: &S, config: &SourceConfig, copy: &Copy) -> bool {
    matches!(read_pointer(store, config, copy), Ok(Some(record)) if !record.is_empty())
}

/// The generation that a copy is of, as far as that is remembered.
struct Generation {
    inode: Inode,
    /// Whether classic had a part in it; `None` where that is not known.
    mapped: Option<bool>,
}

impl Generation {
    const UNKNOWN: Generation = Generation {
        inode: Inode::NONE,
        mapped: None,
    };

    /// Reads what a pointer says of the live copy that `stat` is of. In the middle of a rotation
    /// that may be the old one or the next. `None` for an empty record, which says nothing.
    fn read(record: &[u8], stat: &Stat) -> Result<Option<Generation>, PointerError> {
        let pointer = match Pointer::parse(record) {
            Ok(pointer) => pointer,
            Err(PointerError::Empty) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(match &pointer.pending {
            // The copy has not got its name yet. `x` is that of the next generation (FILES.md,
            // "Pointer file").
            Some(pending) if pending.local.inode == stat.id.inode => Generation {
                inode: pointer.inode,
                mapped: None,
            },
            Some(pending) => Generation {
                inode: pending.next,
                mapped: Some(pointer.classic),
            },
            None => Generation {
                inode: pointer.inode,
                mapped: Some(pointer.classic),
            },
        }))
    }
}

/// The pointer file of a live copy as it is; `None` if there is none.
fn read_pointer<S: ReadStore>(
    store: &S,
    config: &SourceConfig,
    copy: &Copy,
) -> Result<Option<Record>, Verdict> {
    // The pointer says nothing of a rotated copy.
    if copy.which != Which::Live {
        return Ok(None);
    }
    let mut buf = [0; POINTER_MAX_LEN + 1];
    let len = read_small(store, &config.pointer, &mut buf)
        .map_err(|error| Verdict::unreadable("read the pointer file", &config.pointer, error))?;
    Ok(len.and_then(|len| Record::from_slice(&buf[..len]).ok()))
}

/// The start of a file; `None` if it is not there.
fn read_small<S: ReadStore>(store: &S, path: &Path, buf: &mut [u8]) -> io::Result<Option<usize>> {
    let file = match store.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    store.read_at(&file, buf, 0).map(Some)
}

/// The endings of all rotated copies, the newest first.
fn rotated<S: ReadStore>(store: &S, config: &SourceConfig, dir: &Path) -> io::Result<Vec<Suffix>> {
    let name = config.local.file_name().unwrap_or_default().as_bytes();
    let mut found = Vec::new();
    for entry in store.names(dir)? {
        found.extend(suffix_of(entry?.as_bytes(), name));
    }
    found.sort_by(|a, b| b.order().cmp(&a.order()));
    Ok(found)
}

/// The ending by which a name is that of a rotated copy.
struct Suffix(RotatedSuffix);

impl Suffix {
    fn path(&self, config: &SourceConfig) -> PathBuf {
        let mut path = config.local.to_path_buf().into_os_string().into_vec();
        path.push(b'.');
        path.extend_from_slice(self.0.as_str().as_bytes());
        PathBuf::from(OsStr::from_bytes(&path))
    }

    fn order(&self) -> (&str, u16) {
        let (stamp, number) = self
            .0
            .as_str()
            .split_once('.')
            .unwrap_or((self.0.as_str(), "0"));
        // As a number: `.10` comes behind `.9`.
        (stamp, number.parse().unwrap_or(0))
    }
}

fn suffix_of(entry: &[u8], name: &[u8]) -> Option<Suffix> {
    let suffix = entry.strip_prefix(name)?.strip_prefix(b".")?;
    RotatedSuffix::parse(str::from_utf8(suffix).ok()?).map(Suffix)
}

/// Checksums by which the server recognises a copy, even one that is damaged somewhere; of its
/// masked form if classic had a part in it, as the request says then.
fn prove<S: ReadStore>(
    store: &S,
    file: &S::File,
    size: u64,
    mapped: bool,
    random: &mut Random,
) -> io::Result<Proof> {
    let mut proof = Proof::new();
    let mut buf = [0; BLOCK_LEN_MAX];
    for (start, len) in places(size, random) {
        let bytes = &mut buf[..usize::from(len)];
        if store.read_at(file, bytes, start)? == bytes.len() {
            let crc = proof::checksum(bytes, mapped);
            let _ = proof.push(Block { start, len, crc });
        }
    }
    Ok(proof)
}

/// The places to prove. A small copy is cut into pieces, so that one damaged place leaves others to
/// know it by; of a large one the start, the end and some random places are taken.
fn places(size: u64, random: &mut Random) -> heapless::Vec<(u64, u16), BLOCKS_MAX> {
    let blocks = BLOCKS_MAX as u64;
    let mut places = heapless::Vec::new();
    let mut add = |start: u64, end: u64| {
        let _ = places.push((start, (end - start) as u16));
    };
    let longest = BLOCK_LEN_MAX as u64;
    if size <= blocks * longest {
        let pieces = (size / PIECE_LEN_MIN).clamp(1, blocks).min(size);
        for piece in 0..pieces {
            add(size * piece / pieces, size * (piece + 1) / pieces);
        }
        return places;
    }
    add(0, longest);
    add(size - longest, size);
    for _ in 2..blocks {
        let far = random.below(1 << 32) << 20 | random.below(1 << 20);
        let start = far % (size - longest);
        add(start, start + longest);
    }
    places
}

/// A shorter piece than this may be the same in two logs.
const PIECE_LEN_MIN: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::Config;
    use crate::inside::fake::Fake;

    fn config() -> SourceConfig {
        let config = Config::parse(b"10.0.0.1 19 /var/log/m /l/m /p/m").unwrap();
        config.sources.into_iter().next().unwrap()
    }

    fn rotated(names: &[&str]) -> Option<String> {
        let disk = Fake::new();
        for name in names {
            disk.write(&format!("/l/{name}"), b"x");
        }
        let (live, rotated) = copies_of(&disk, &config(), false);
        assert_eq!((live.which, live.path), (Which::Live, "/l/m".into()));
        let (_, all) = copies_of(&disk, &config(), true);
        let paths = all.unwrap().into_iter().map(|copy| copy.path);
        let first = paths.map(|path| path.display().to_string()).next();
        let rotated = rotated.unwrap();
        assert!(rotated.len() <= 1);
        let rotated = rotated.first().map(|copy| copy.path.display().to_string());
        assert_eq!(rotated, first, "the newest is the first of all");
        rotated
    }

    #[test]
    fn all_rotated_copies_come_from_the_newest_on() {
        let disk = Fake::new();
        let names = [
            "m.20261122132956.10",
            "m.20261122132956.9",
            "m.20251122132956",
        ];
        for name in names {
            disk.write(&format!("/l/{name}"), b"x");
        }
        let (_, all) = copies_of(&disk, &config(), true);
        let paths: Vec<PathBuf> = all.unwrap().into_iter().map(|copy| copy.path).collect();
        assert_eq!(paths, names.map(|name| Path::new("/l").join(name)));
    }

    #[test]
    fn the_last_rotated_copy_has_the_greatest_stamp_and_number() {
        assert_eq!(rotated(&["m"]), None);
        let names = ["m.20261122132956", "m", "m.20261122132955.9"];
        assert_eq!(rotated(&names), Some("/l/m.20261122132956".into()));
        let names = [
            "m.20261122132956.9",
            "m.20261122132956.10",
            "m.20261122132956",
        ];
        assert_eq!(rotated(&names), Some("/l/m.20261122132956.10".into()));
    }

    #[test]
    fn other_files_beside_the_copy_are_no_rotated_copies() {
        let others = [
            "m.gaps",
            "m.rescued.20261122132956",
            "m.20261122132956.damaged",
            "m.20261122132956.healing",
            "m.2026-11-22T13:29:56",
            "mm.20261122132956",
            "m.2026112213295",
            "m.20261122132956.01",
            "x.m.20261122132956",
        ];
        assert_eq!(rotated(&others), None);
    }

    #[test]
    fn gaps_are_read_and_their_absence_is_fine() {
        let disk = Fake::new();
        assert_eq!(gaps_of(&disk, &config()).unwrap(), b"");
        disk.write("/l/m.gaps", b"20261122132956 lost 7:3\n");
        assert_eq!(
            gaps_of(&disk, &config()).unwrap(),
            b"20261122132956 lost 7:3\n"
        );
    }

    #[test]
    fn places_cover_a_small_copy_and_lie_within_any() {
        let mut random = Random::new(3);
        for size in (0..400).chain([4_096, 24_575, 24_576, 24_577, 1 << 33, 1 << 60]) {
            let places = places(size, &mut random);
            let ends = places.iter().map(|(start, len)| start + u64::from(*len));
            assert_eq!(ends.clone().max().unwrap_or(0), size, "the end is proved");
            assert!(places.iter().all(|(_, len)| *len > 0), "{size}");
            assert!(size == 0 || places.iter().any(|(start, _)| *start == 0));
            if size <= 24_576 {
                let total: u64 = places.iter().map(|(_, len)| u64::from(*len)).sum();
                assert_eq!(total, size);
            }
            assert_eq!(places.len() > 1, size >= 64, "{size}");
        }
    }

    fn held(disk: &Fake) -> Held<crate::inside::fake::Handle> {
        let (live, _) = copies_of(disk, &config(), false);
        Held::open(disk, &config(), &live, &mut Random::new(1))
            .unwrap_or_else(|verdict| panic!("{verdict}"))
    }

    #[test]
    fn in_the_middle_of_a_rotation_the_pointer_says_which_copy_it_is() {
        let disk = Fake::new();
        let inode = disk.write("/l/m", b"abc");
        let pending = |old: u64| {
            let suffix = RotatedSuffix::new("20261122132956", 0).unwrap();
            let pointer = Pointer {
                pending: Some(Box::new(crate::collect::copy::pointer::Pending {
                    local: FileId {
                        device: 1,
                        inode: Inode(old),
                    },
                    size: 3,
                    next: Inode(8),
                    suffix,
                    is_lossy: false,
                })),
                ..Pointer::of(Inode(7))
            };
            pointer.write().as_bytes().to_vec()
        };
        disk.write("/p/m", &pending(inode));
        assert_eq!(held(&disk).inode, Inode(7));
        disk.rewrite("/p/m", &pending(inode + 1));
        assert_eq!(held(&disk).inode, Inode(8));
    }

    #[test]
    fn a_copy_that_classic_had_a_part_in_is_proved_masked() {
        let disk = Fake::new();
        disk.write("/l/m", b"\xffclassic, then version 2\x07");
        disk.write("/p/m", b"7\n");
        let held = held(&disk);
        let crc = proof::checksum(&mut b"\xffclassic, then version 2\xff".to_owned(), false);
        let blocks: Vec<u32> = held.proof.iter().map(|block| block.crc).collect();
        assert!(held.mapped);
        assert_eq!(blocks, [crc]);
    }

    #[test]
    fn appending_is_no_change_and_everything_else_is() {
        let (copy, _) = copies_of(&Fake::new(), &config(), false);
        let rig = || {
            let disk = Fake::new();
            disk.write("/l/m", b"abc");
            disk.write("/p/m", b"7\n");
            let held = held(&disk);
            (disk, held)
        };
        let (disk, held) = rig();
        disk.write("/l/m", b"def");
        assert!(!held.has_changed(&disk, &config(), &copy));
        assert!(held.mapped && held.may_be_mapped);
        disk.rewrite("/p/m", b"8\n");
        assert!(held.has_changed(&disk, &config(), &copy));
        let (disk, held) = rig();
        disk.truncate_to("/l/m", 2);
        assert!(held.has_changed(&disk, &config(), &copy));
        let (disk, held) = rig();
        disk.rename_now("/l/m", "/l/m.20261122132956");
        assert!(held.has_changed(&disk, &config(), &copy));
        disk.write("/l/m", b"abc");
        assert!(held.has_changed(&disk, &config(), &copy));
    }
}
