//! Sockets with a name in a directory, however long the way there is: unix(7) has room for some
//! hundred bytes only.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::{error_saying, files, trusted};

/// Makes a socket of this name in a directory, in place of one that an earlier run left, and
/// listens. Only this process' user can connect to it; with a group its members can, too.
///
/// For a program of one thread: the mask of new files is another one meanwhile. Only one process
/// may do this in a directory at a time.
pub fn listen(dir: &Path, name: &str, group: Option<u32>) -> io::Result<UnixListener> {
    // The directory as it is held open, so that all that follows happens in the same.
    let held = trusted::open_dir(dir)?;
    with_short_path(&held, dir, name, |path| {
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => {
                let text = "something that is no socket has its name";
                return Err(error_saying(ErrorKind::AlreadyExists, text));
            }
            Err(_) => {}
        }
        let before = set_mask(0o177);
        let bound = UnixListener::bind(path);
        set_mask(before);
        let bound = bound?;
        if let Some(group) = group {
            if fs::symlink_metadata(path)?.gid() != group {
                std::os::unix::fs::lchown(path, None, Some(group))?;
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        }
        Ok(bound)
    })
}

/// Connects to the socket of this name in a directory. Fails with [`ErrorKind::WouldBlock`] where
/// so many wait there already that no more may: whoever listens hangs.
pub fn connect(dir: &Path, name: &str) -> io::Result<UnixStream> {
    let held = files::open(dir, libc::O_RDONLY)?;
    with_short_path(&held, dir, name, connect_now)
}

fn connect_now(path: &Path) -> io::Result<UnixStream> {
    // SAFETY: plain numbers, for which zeros are values.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    // A NUL stays behind it.
    let room = address.sun_path.len() - 1;
    if bytes.len() > room {
        return Err(ErrorKind::InvalidFilename.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    // SAFETY: takes numbers, and what it returns is ours alone.
    let stream = unsafe {
        let number = super::cvt(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0))?;
        UnixStream::from_raw_fd(number)
    };
    super::cvt(
        // SAFETY: takes the number of a descriptor that is open during the call.
        unsafe { libc::fcntl(stream.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) },
    )?;
    // unix(7): one that blocks would wait for ever where the line is full.
    stream.set_nonblocking(true)?;
    // SAFETY: the address outlives the call, and has the length that is told.
    super::cvt(unsafe {
        libc::connect(
            stream.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Whether a socket has this name in a directory.
pub fn is_there(dir: &Path, name: &str) -> bool {
    let found = fs::symlink_metadata(dir.join(name));
    found.is_ok_and(|found| found.file_type().is_socket())
}

/// The numbers of a group, by its name in /etc/group or as a number.
pub fn group_id(name: &str) -> Option<u32> {
    let opened = files::open(Path::new("/etc/group"), libc::O_RDONLY);
    let groups = opened.and_then(|file| files::read_small(&file, usize::MAX));
    let groups = String::from_utf8(groups.unwrap_or_default()).unwrap_or_default();
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    });
    found.or_else(|| name.parse().ok())
}

/// Sets which rights new files do not get. Returns what it was before.
fn set_mask(mask: libc::mode_t) -> libc::mode_t {
    // SAFETY: takes a number and never fails.
    unsafe { libc::umask(mask) }
}

/// Calls with a path to a name in a directory, which is held open, that is short enough for a
/// socket's address.
fn with_short_path<T>(
    held: &File,
    dir: &Path,
    name: &str,
    call: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    // `sun_path` has 104 bytes on some systems, and a NUL at the end.
    match dir.as_os_str().len() + 1 + name.len() < 104 {
        true => call(&dir.join(name)),
        false => below(held, name, call),
    }
}

/// Calls with a path to a name in a directory that says nothing of the way there.
#[cfg(target_os = "linux")]
fn below<T>(dir: &File, name: &str, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    // proc(5): each descriptor is a link to what is open there.
    call(Path::new(&format!(
        "/proc/self/fd/{}/{name}",
        dir.as_raw_fd()
    )))
}

/// Calls with a name in a directory in which this process is meanwhile.
#[cfg(not(target_os = "linux"))]
fn below<T>(dir: &File, name: &str, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let before = files::open(Path::new("."), libc::O_RDONLY)?;
    // SAFETY: takes the number of a descriptor that is open during the call.
    let go = |dir: &File| super::cvt(unsafe { libc::fchdir(dir.as_raw_fd()) });
    go(dir)?;
    let result = call(Path::new(name));
    go(&before)?;
    result
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_socket_is_found_however_long_the_way_is() {
        let place = tempfile::tempdir().unwrap();
        let mut dir = place.path().to_path_buf();
        for len in [3, 100, 200] {
            dir.push("d".repeat(len));
            fs::create_dir(&dir).unwrap();
            let listener = listen(&dir, "sock", None).unwrap();
            let found = fs::symlink_metadata(dir.join("sock")).unwrap();
            assert!(found.file_type().is_socket());
            assert_eq!(found.permissions().mode() & 0o777, 0o600);
            let mut client = connect(&dir, "sock").unwrap();
            client.write_all(b"x").unwrap();
            let mut heard = [0];
            listener.accept().unwrap().0.read_exact(&mut heard).unwrap();
            assert_eq!(heard, *b"x");
        }
    }

    #[test]
    fn nobody_waits_where_too_many_do_already() {
        let dir = tempfile::tempdir().unwrap();
        let listener = listen(dir.path(), "sock", None).unwrap();
        // SAFETY: takes numbers; a socket that listens may be told to do so with a shorter line.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 1) }, 0);
        let mut waiting = Vec::new();
        let refused = loop {
            assert!(waiting.len() < 10, "the line has no end");
            match connect(dir.path(), "sock") {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        listener.accept().unwrap();
        connect(dir.path(), "sock").unwrap();
    }

    #[test]
    fn only_an_old_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(listen(dir.path(), "sock", None).unwrap());
        let gone = connect(dir.path(), "sock").unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
        listen(dir.path(), "sock", None).unwrap();
        fs::write(dir.path().join("file"), "precious").unwrap();
        assert!(listen(dir.path(), "file", None).is_err());
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"precious");
    }

    #[test]
    fn a_group_may_connect() {
        let dir = tempfile::tempdir().unwrap();
        let own = fs::metadata(dir.path()).unwrap().gid();
        let _listener = listen(dir.path(), "sock", Some(own)).unwrap();
        let found = fs::symlink_metadata(dir.path().join("sock")).unwrap();
        assert_eq!(
            (found.gid(), found.permissions().mode() & 0o777),
            (own, 0o660)
        );
        assert_eq!(group_id("7"), Some(7));
        assert_eq!(group_id("no such group"), None);
    }
}
