//! The birth of a file: what tells it from an earlier one that had the same inode number.
//!
//! Each function is one system call. Where the system does not know it, or does not let us, the
//! answer is `None` or `false`: small kernels are built without it, and older containers forbid it.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::cvt;

/// A file by its path or by its descriptor, for a system call.
pub struct Place {
    dir: RawFd,
    path: CString,
    flags: libc::c_int,
}

impl Place {
    /// What stands at a path, not following a link in the last component; `None` for a path that
    /// cannot exist.
    pub fn of_path(path: &Path) -> Option<Place> {
        Some(Place {
            dir: libc::AT_FDCWD,
            path: CString::new(path.as_os_str().as_bytes()).ok()?,
            flags: 0,
        })
    }

    /// An open file, which has to stay open as long as this is used.
    pub fn of_file(file: &File) -> Place {
        Place {
            dir: file.as_raw_fd(),
            path: CString::default(),
            flags: libc::AT_EMPTY_PATH,
        }
    }
}

/// The type and the bytes of the file's handle: name_to_handle_at(2), which needs no privilege.
pub fn handle(place: &Place) -> Option<Handle> {
    // struct file_handle: room for the handle (u32), its type (i32), the handle.
    let mut handle = [0u32; 2 + HANDLE_WORDS];
    handle[0] = (HANDLE_WORDS * 4) as u32;
    let mut mount: libc::c_int = 0;
    // SAFETY: the path ends in NUL, the buffer has the room that its first word tells, and both
    // outlive the call, as does the number of the mount.
    cvt(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            place.dir,
            place.path.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            place.flags,
        )
    })
    .ok()?;
    let words = usize::try_from(handle[0]).ok()?.div_ceil(4);
    handle.get(1..2 + words)?.try_into().ok()
}

/// Type and bytes of a handle, as words in the processor's byte order.
pub type Handle = heapless::Vec<u32, { 1 + HANDLE_WORDS }>;

/// The longest handle there is: `MAX_HANDLE_SZ` of the kernel.
const HANDLE_WORDS: usize = 128 / 4;

/// When the file was created, in nanoseconds since 1970: statx(2).
pub fn created_ns(place: &Place) -> Option<u64> {
    let told = statx(place)?;
    let [a, b, c, d, ..] = told[0].to_ne_bytes();
    if u32::from_ne_bytes([a, b, c, d]) & STATX_BTIME == 0 {
        return None;
    }
    let [a, b, c, d, ..] = told[11].to_ne_bytes();
    let nanos = u64::from(u32::from_ne_bytes([a, b, c, d]));
    Some(told[10].saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// Whether something is mounted in this very place: statx(2), since Linux 5.8.
pub fn is_mounted(place: &Place) -> bool {
    // The second word has what is true, the eighth what is known.
    statx(place).is_some_and(|told| told[1] & told[7] & STATX_ATTR_MOUNT_ROOT != 0)
}

const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;

/// struct statx in words of 64 bits: the first has what was told, the birth time begins at the
/// eleventh.
fn statx(place: &Place) -> Option<[u64; 32]> {
    let mut told = [0u64; 32];
    // SAFETY: the path ends in NUL, the buffer has the 256 bytes of the structure and its
    // alignment, and both outlive the call.
    cvt(unsafe {
        libc::syscall(
            libc::SYS_statx,
            place.dir,
            place.path.as_ptr(),
            place.flags | libc::AT_SYMLINK_NOFOLLOW,
            STATX_BTIME,
            told.as_mut_ptr(),
        )
    })
    .ok()?;
    Some(told)
}

const STATX_BTIME: u32 = 0x800;

/// Whether the file system that holds an open file is one whose handles and birth times are the
/// same for as long as the file lives: statfs(2).
pub fn is_lasting(place: &Place) -> bool {
    // SAFETY: all of it is numbers, for which zero is a value.
    let mut told: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL, and path and structure outlive the calls.
    let result = cvt(unsafe {
        match place.flags {
            0 => libc::statfs(place.path.as_ptr(), &raw mut told),
            _ => libc::fstatfs(place.dir, &raw mut told),
        }
    });
    // The type is a word of one width or another, of which 32 bits count.
    result.is_ok() && LASTING.contains(&(told.f_type as u32))
}

/// Ext2 to ext4, XFS, Btrfs, F2FS, tmpfs: linux/magic.h.
const LASTING: [u32; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_mounted_is_known() {
        let is_mounted = |path: &str| is_mounted(&Place::of_path(Path::new(path)).unwrap());
        // Kernels before 5.8 do not tell.
        if is_mounted("/") {
            assert!(is_mounted("/proc"));
        }
        assert!(!is_mounted("/proc/self") && !is_mounted("/nowhere"));
    }

    #[test]
    fn a_file_keeps_its_birth_under_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("log"), dir.path().join("log.1"));
        fs::write(&path, "a line\n").unwrap();
        let file = File::open(&path).unwrap();
        let (by_path, by_file) = (Place::of_path(&path).unwrap(), Place::of_file(&file));
        assert_eq!(handle(&by_path), handle(&by_file));
        assert_eq!(created_ns(&by_path), created_ns(&by_file));
        assert_eq!(is_lasting(&by_path), is_lasting(&by_file));
        let before = (handle(&by_path), created_ns(&by_path));
        fs::rename(&path, &other).unwrap();
        fs::write(&other, "another line\n").unwrap();
        let place = Place::of_path(&other).unwrap();
        assert_eq!((handle(&place), created_ns(&place)), before);
    }

    #[test]
    fn two_files_have_two_handles() {
        let dir = tempfile::tempdir().unwrap();
        let places = ["a", "b"].map(|name| {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            Place::of_path(&path).unwrap()
        });
        if let [Some(a), Some(b)] = [handle(&places[0]), handle(&places[1])] {
            assert_ne!(a, b);
        }
    }

    #[test]
    fn what_is_not_there_has_no_birth() {
        let place = Place::of_path(Path::new("/none/such")).unwrap();
        assert_eq!((handle(&place), created_ns(&place)), (None, None));
        assert!(!is_lasting(&place));
        assert!(Place::of_path(Path::new("a\0b")).is_none());
    }
}
