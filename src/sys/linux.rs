//! The system calls that only Linux has. `other.rs` has the same functions for everybody else.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr as LocalAddr;
use std::path::Path;
use std::ptr;

use heapless::String;

use super::clock::Reading;
use super::inotify::{Event, Watch, WatchId};
use super::{c_path, cvt, files, trusted};

pub(super) use super::successors::*;

/// Renames, both within open directories, to a name that nothing has: `AlreadyExists` otherwise,
/// `Unsupported` where kernel or file system cannot do that in one step.
pub(super) fn rename_noreplace(from: (&File, &CStr), to: (&File, &CStr)) -> io::Result<()> {
    // SAFETY: both names end in NUL and outlive the call, and both descriptors are open. Through
    // `syscall`, because older C libraries lack it.
    let result = cvt(unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            from.0.as_raw_fd(),
            from.1.as_ptr(),
            to.0.as_raw_fd(),
            to.1.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    });
    match result {
        Ok(_) => Ok(()),
        Err(error) if is_missing(&error) => Err(ErrorKind::Unsupported.into()),
        Err(error) => Err(error),
    }
}

fn is_missing(error: &io::Error) -> bool {
    // ENOSYS: before Linux 3.15. EINVAL: a file system that does not know the flag.
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
}

/// Opens a path with no link in it, not even among its directories. `None` if there is one, or the
/// kernel cannot tell: before Linux 5.6, and in containers that forbid it.
pub(super) fn open_without_links(path: &CStr, flags: libc::c_int) -> Option<io::Result<File>> {
    // struct open_how: flags, mode and what is to be heeded on the way, 64 bits each.
    let wanted = flags | libc::O_CLOEXEC;
    let how = [
        u64::from(wanted.cast_unsigned()),
        0,
        libc::RESOLVE_NO_SYMLINKS,
    ];
    // SAFETY: the path ends in NUL, the structure has the length that is told, and both outlive the
    // call.
    let opened = cvt(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            how.as_ptr(),
            size_of_val(&how),
        )
    });
    match opened {
        // SAFETY: nobody else has the descriptor, which is a small number.
        Ok(fd) => Some(Ok(unsafe { File::from_raw_fd(fd as RawFd) })),
        Err(error) => match error.raw_os_error() {
            Some(libc::ELOOP | libc::ENOSYS | libc::EPERM | libc::EINTR | libc::E2BIG) => None,
            _ => Some(Err(error)),
        },
    }
}

/// The address of a socket that has a name, but no file.
pub(super) fn abstract_address(name: &[u8]) -> io::Result<LocalAddr> {
    LocalAddr::from_abstract_name(name)
}

/// Makes everything visible on the file system that holds `dir` durable.
pub fn sync_fs(dir: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open during the call.
    cvt(unsafe { libc::syncfs(dir.as_raw_fd()) })?;
    Ok(())
}

/// The names in a directory, without `.` and `..`, some read at a time; the first error is the last
/// item. By hand, for the standard library ends the process where closing a directory fails.
pub struct Names {
    dir: File,
    entries: Box<Entries>,
    /// Those that are there and were not told yet.
    left: Range<usize>,
    is_over: bool,
}

/// Room for directory entries, aligned as the kernel writes them.
#[repr(align(8))]
struct Entries([u8; 4096]);

impl Names {
    /// Opens a directory, as [`trusted`] says.
    pub fn of(dir: &Path) -> io::Result<Names> {
        Ok(Names {
            dir: trusted::open_dir(dir)?,
            entries: Box::new(Entries([0; 4096])),
            left: 0..0,
            is_over: false,
        })
    }

    fn read_more(&mut self) -> io::Result<()> {
        let buf = &mut self.entries.0;
        // SAFETY: the descriptor is open during the call, which writes no more than it is told
        // there is room for.
        let len = cvt(unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                self.dir.as_raw_fd(),
                buf.as_mut_ptr(),
                buf.len(),
            )
        })?;
        self.left = 0..usize::try_from(len).unwrap_or(0);
        self.is_over = self.left.is_empty();
        Ok(())
    }
}

impl Iterator for Names {
    type Item = io::Result<OsString>;

    fn next(&mut self) -> Option<io::Result<OsString>> {
        while !self.is_over {
            let entries = self.entries.0.get(self.left.clone()).unwrap_or_default();
            if let Some((name, len)) = first_name(entries) {
                let is_itself = matches!(name, b"." | b"..");
                let name = OsStr::from_bytes(name).to_owned();
                self.left.start += len;
                if !is_itself {
                    return Some(Ok(name));
                }
            } else if let Err(error) = self.read_more() {
                self.is_over = true;
                return Some(Err(error));
            }
        }
        None
    }
}

/// The name in the first of some directory entries, and the length of that entry.
fn first_name(entries: &[u8]) -> Option<(&[u8], usize)> {
    // struct linux_dirent64: inode and position, 8 bytes each, then this entry's length, its type,
    // its name and a NUL.
    let len = entries.get(16..18)?.try_into().ok()?;
    let len = usize::from(u16::from_ne_bytes(len));
    let name = entries.get(19..len)?.split(|byte| *byte == 0).next()?;
    Some((name, len))
}

/// Whether somebody has the file, which must be open for reading only, open for writing: only if
/// nobody has does the kernel grant a lease for reading (fcntl(2), `F_SETLEASE`). It is given back
/// at once. `None` where that is not known, as on a file of somebody else's without the privilege.
///
/// Whoever opens the file for writing in that instant has the kernel send us a SIGIO, which must be
/// ignored.
pub fn somebody_writes(file: &File) -> Option<bool> {
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open during the call, and both commands take a plain number.
    let set = |lease: libc::c_int| cvt(unsafe { libc::fcntl(fd, libc::F_SETLEASE, lease) });
    match set(libc::F_RDLCK) {
        Ok(_) => {
            let _ = set(libc::F_UNLCK);
            Some(false)
        }
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Some(true),
        Err(_) => None,
    }
}

/// The end of the hole that begins at `offset`, or within which it lies: where the file system
/// keeps something again (lseek(2), `SEEK_DATA`), or else the end of the file. `offset` itself
/// where there is none, and where that cannot be told. Room that is allocated and not written is a
/// hole.
pub fn hole_end(file: &File, offset: u64) -> u64 {
    // SAFETY: the descriptor is open during the call, which takes plain numbers. Nobody minds the
    // place that it moves: what is read by place does not depend on it.
    let seek = |at, whence| unsafe { libc::lseek64(file.as_raw_fd(), at, whence) };
    let Ok(at) = i64::try_from(offset) else {
        return offset;
    };
    let found = match seek(at, libc::SEEK_DATA) {
        // Nothing is kept from there on.
        -1 if io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO) => {
            seek(0, libc::SEEK_END)
        }
        found => found,
    };
    u64::try_from(found).map_or(offset, |found| found.max(offset))
}

/// Lets a socket count as writable as soon as fewer than `bytes` wait unsent in the kernel, and not
/// only when a good part of its buffer is free (tcp(7), `TCP_NOTSENT_LOWAT`).
pub fn limit_unsent(socket: &impl AsFd, bytes: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, value)
}

fn set_option(socket: &impl AsFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open during the call, and the kernel reads exactly the integer that
    // `value` is.
    cvt(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Listens, with `SO_REUSEADDR`, so that a restart need not wait for old connections to fade.
/// `ahead`: on an address that this host need not have yet; connections come as soon as it has
/// (ip(7), `IP_FREEBIND`). `AddrNotAvailable` from a kernel that cannot do that.
pub fn listen(address: SocketAddr, ahead: bool) -> io::Result<TcpListener> {
    let (family, level, option) = match address {
        SocketAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_IP, libc::IP_FREEBIND),
        SocketAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND),
    };
    // SAFETY: no memory is handed over.
    let fd = cvt(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: nobody else has the descriptor.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if ahead {
        set_option(&socket, level, option, 1).map_err(|_| ErrorKind::AddrNotAvailable)?;
    }
    name_socket(&socket, address)?;
    // SAFETY: no memory is handed over. The kernel has a limit of its own, which is lower.
    cvt(unsafe { libc::listen(fd, libc::c_int::MAX) })?;
    Ok(socket.into())
}

fn name_socket(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let bind = |name: *const libc::sockaddr, len: usize| {
        // SAFETY: both callers hand over a structure of theirs and its length.
        cvt(unsafe { libc::bind(socket.as_raw_fd(), name, len as libc::socklen_t) })
    };
    match address {
        SocketAddr::V4(address) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            bind((&raw const name).cast(), size_of_val(&name))?;
        }
        SocketAddr::V6(address) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            bind((&raw const name).cast(), size_of_val(&name))?;
        }
    }
    Ok(())
}

/// Closes the descriptors from `first` to `last`.
pub(super) fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: for a process that uses none of them any more. Through `syscall`, because older C
    // libraries lack it.
    let result = cvt(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) });
    if result.is_err() {
        super::rlimit::close_each(first, last);
    }
}

/// The mark of this start of the host; `None` where it cannot be told.
pub fn boot_id() -> Option<String<36>> {
    let mut bytes = [0; 36];
    files::open("/proc/sys/kernel/random/boot_id".as_ref(), libc::O_RDONLY)
        .ok()?
        .read_exact(&mut bytes)
        .ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    if text
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        String::try_from(text).ok()
    } else {
        None
    }
}

pub(super) fn set_process_name(name: &str) {
    let Ok(name) = CString::new(name) else {
        return;
    };
    // SAFETY: the name ends in NUL and outlives the call; the kernel copies at most 16 bytes of it.
    // It cannot fail.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Gives up every privilege that a program could bring that this process, or one of its children,
/// starts (capabilities(7), the bounding set). What it has already it keeps. For whoever may not do
/// that, nothing happens.
pub fn empty_bounding_set() {
    // Upwards, until there is no capability of that number.
    for capability in 0..64 as libc::c_ulong {
        // SAFETY: takes plain numbers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) } != 0 {
            return;
        }
    }
}

/// Sets the limits on open descriptors. setrlimit(3) of musl would stop all threads on kernels
/// before this call, and brings along what that takes.
pub(super) fn set_descriptor_limit(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: `limit` outlives the call, which only reads it, and nothing is written.
    cvt(unsafe { libc::prlimit(0, libc::RLIMIT_NOFILE, limit, ptr::null_mut()) })?;
    Ok(())
}

/// Leaves every group but the process's own.
pub(super) fn leave_groups() -> io::Result<()> {
    // SAFETY: a list of no groups, so the pointer is never followed.
    cvt(unsafe { libc::syscall(SETGROUPS, 0, ptr::null::<libc::gid_t>()) })?;
    Ok(())
}

/// Gives this thread another group for good, if it may be anybody. The C library's function would
/// stop all other threads and have them follow; it is larger than what we have to say.
pub(super) fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: takes a number.
    cvt(unsafe { libc::syscall(SETGID, gid) })?;
    Ok(())
}

/// The same for its user.
pub(super) fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: takes a number.
    cvt(unsafe { libc::syscall(SETUID, uid) })?;
    Ok(())
}

// setuid(2): where user numbers had 16 bits once, the calls for those of today have other names.
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
const SETGROUPS: libc::c_long = libc::SYS_setgroups32;
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
const SETGID: libc::c_long = libc::SYS_setgid32;
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
const SETUID: libc::c_long = libc::SYS_setuid32;
#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
const SETGROUPS: libc::c_long = libc::SYS_setgroups;
#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
const SETGID: libc::c_long = libc::SYS_setgid;
#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
const SETUID: libc::c_long = libc::SYS_setuid;

pub(super) fn errno_place() -> *mut libc::c_int {
    // SAFETY: takes nothing; the result is this thread's errno.
    unsafe { libc::__errno_location() }
}

/// Reads a clock beyond 2038 where the C library's time is too narrow for it; `None` elsewhere, and
/// before Linux 5.1.
pub(super) fn read_wide_clock(clock: libc::clockid_t) -> Option<Reading> {
    if cfg!(not(target_pointer_width = "32")) {
        return None;
    }
    let mut time = [0i64; 2];
    // SAFETY: seconds and nanoseconds, 64 bits each, is what this call writes on every architecture
    // that has it.
    cvt(unsafe { libc::syscall(CLOCK_GETTIME64, clock, time.as_mut_ptr()) }).ok()?;
    let [secs, nanos] = time;
    Some(Reading { secs, nanos })
}

/// The same number everywhere but on MIPS, which counts from 4000.
const CLOCK_GETTIME64: libc::c_long = if cfg!(target_arch = "mips") {
    4403
} else {
    403
};

/// The kernel's watches. Register it for reading and read it to the end when it is ready.
pub struct Inotify {
    file: File,
}

impl Inotify {
    /// Starts without any watch. `Unsupported` where there is no such thing.
    pub fn new() -> io::Result<Inotify> {
        // SAFETY: takes flags only.
        let fd = cvt(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })?;
        // SAFETY: the kernel just made it and nobody else knows it.
        Ok(Inotify {
            file: File::from(unsafe { OwnedFd::from_raw_fd(fd) }),
        })
    }

    /// Watches what stands at `path` now, whatever that path leads to later. `StorageFull` when the
    /// system's limit on watches is reached. Where links of others lead nothing is watched.
    pub fn watch(&self, path: &Path, what: Watch) -> io::Result<WatchId> {
        match what {
            Watch::Directory => drop(trusted::open_dir(path)?),
            Watch::File => drop(trusted::Place::of(path)?),
        }
        let path = c_path(path)?;
        // SAFETY: the path ends in NUL and outlives the call.
        let id = cvt(unsafe {
            libc::inotify_add_watch(self.file.as_raw_fd(), path.as_ptr(), mask_of(what))
        })?;
        Ok(WatchId(id))
    }

    /// Ends a watch. One more event with `gone` comes for it. An error means that it was over
    /// already.
    pub fn unwatch(&self, id: WatchId) -> io::Result<()> {
        // SAFETY: takes numbers.
        cvt(unsafe { libc::inotify_rm_watch(self.file.as_raw_fd(), id.0) })?;
        Ok(())
    }

    /// Calls `each` with everything that happened since the last call. `buf` should have 4096
    /// bytes, which is some hundred events and always one with the longest name; less than 272 may
    /// be an error.
    pub fn read_events(
        &mut self,
        buf: &mut [u8],
        each: &mut dyn FnMut(Event<'_>),
    ) -> io::Result<()> {
        loop {
            match self.file.read(buf) {
                Ok(0) => return Ok(()),
                Ok(len) => parse_events(&buf[..len], each),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsRawFd for Inotify {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

const fn mask_of(what: Watch) -> u32 {
    match what {
        Watch::File => {
            // IN_ATTRIB comes when a name is taken away while the file is open; IN_DELETE_SELF only
            // when it is closed.
            libc::IN_MODIFY
                | libc::IN_CLOSE_WRITE
                | libc::IN_ATTRIB
                | libc::IN_MOVE_SELF
                | libc::IN_DELETE_SELF
                | libc::IN_DONT_FOLLOW
        }
        Watch::Directory => {
            libc::IN_CREATE
                | libc::IN_MOVED_TO
                | libc::IN_MOVED_FROM
                | libc::IN_DELETE
                | libc::IN_ONLYDIR
        }
    }
}

/// Events as the kernel writes them, one after another in the processor's byte order: watch (i32),
/// mask (u32), cookie (u32), length of the name (u32), name. Stops at the first that is not whole.
fn parse_events(mut bytes: &[u8], each: &mut dyn FnMut(Event<'_>)) {
    while let Some((head, rest)) = bytes.split_first_chunk::<16>() {
        let [watch, mask, cookie, name_len] = words_of(head);
        let name_len = usize::try_from(u32::from_ne_bytes(name_len)).unwrap_or(usize::MAX);
        let (name, rest) = rest.split_at_checked(name_len).unwrap_or_default();
        // The kernel fills the name up with NULs, so that the next event is aligned.
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let (watch, mask) = (i32::from_ne_bytes(watch), u32::from_ne_bytes(mask));
        each(event_of(watch, mask, u32::from_ne_bytes(cookie), name));
        bytes = rest;
    }
}

fn words_of(bytes: &[u8; 16]) -> [[u8; 4]; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]]
}

fn event_of(watch: i32, mask: u32, cookie: u32, name: &[u8]) -> Event<'_> {
    // inotify(7): the event that says so has the watch -1.
    let overflow = mask & libc::IN_Q_OVERFLOW != 0 || watch < 0;
    Event {
        id: (!overflow).then_some(WatchId(watch)),
        name,
        arrived: mask & (libc::IN_CREATE | libc::IN_MOVED_TO) != 0,
        departed: mask & (libc::IN_MOVED_FROM | libc::IN_DELETE) != 0,
        cookie,
        gone: mask & libc::IN_IGNORED != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_bytes(watch: i32, mask: u32, name: &[u8]) -> Vec<u8> {
        let mut bytes = watch.to_ne_bytes().to_vec();
        bytes.extend(mask.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend((name.len() as u32).to_ne_bytes());
        bytes.extend(name);
        bytes
    }

    /// Watch, name and end of each.
    type Told = (Option<WatchId>, Vec<u8>, bool);

    fn parsed(bytes: &[u8]) -> Vec<Told> {
        let mut events = Vec::new();
        parse_events(bytes, &mut |event| {
            events.push((event.id, event.name.to_vec(), event.gone));
        });
        events
    }

    #[test]
    fn events_are_taken_apart() {
        let mut bytes = event_bytes(3, libc::IN_CREATE, b"messages\0\0\0\0\0\0\0\0");
        bytes.extend(event_bytes(3, libc::IN_IGNORED, b""));
        bytes.extend(event_bytes(-1, libc::IN_Q_OVERFLOW, b""));
        let id = Some(WatchId(3));
        let expected: [Told; 3] = [
            (id, b"messages".to_vec(), false),
            (id, Vec::new(), true),
            (None, Vec::new(), false),
        ];
        assert_eq!(parsed(&bytes), expected);
        bytes.pop();
        assert_eq!(parsed(&bytes), expected[..2]);
    }

    #[test]
    fn any_bytes_are_taken() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            assert!(parsed(&bytes).len() <= bytes.len() / 16);
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn the_boot_id_stays_the_same() {
        let id = boot_id();
        assert!(id.as_ref().is_none_or(|id| id.len() == 36));
        assert_eq!(id, boot_id());
        assert_eq!(
            id.is_some(),
            Path::new("/proc/sys/kernel/random/boot_id").exists()
        );
    }

    #[test]
    fn the_wide_clock_is_used_exactly_where_it_is_needed() {
        let wide = read_wide_clock(libc::CLOCK_REALTIME);
        assert!(wide.is_none() || cfg!(target_pointer_width = "32"));
        if let Some(reading) = wide {
            assert!(reading.secs > 1_700_000_000 && (0..1_000_000_000).contains(&reading.nanos));
        }
    }
}
