//! Notification of the service manager, as sd_notify(3) describes it: one datagram to the socket
//! that it named.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::platform;
use super::socket::never_wait;

/// Tells the manager that listens at `socket` that the program is ready. `socket` is what it put
/// into `NOTIFY_SOCKET`: a path, or a name of Linux' own kind behind an `@`.
///
/// Never waits for the manager: it fails instead, and then the program may go on all the same.
pub fn ready(socket: &OsStr) -> io::Result<()> {
    tell(socket, "READY=1\n")
}

/// Tells it in a line how things are; it shows that to whoever asks it.
pub fn status(socket: &OsStr, text: &str) -> io::Result<()> {
    tell(socket, &format!("STATUS={text}\n"))
}

fn tell(socket: &OsStr, message: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    never_wait(&sender)?;
    sender.send_to_addr(message.as_bytes(), &address(socket)?)?;
    Ok(())
}

fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(socket),
        [b'@', name @ ..] => platform::abstract_address(name),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> Vec<u8> {
        let mut buf = [0; 64];
        let len = manager.recv(&mut buf).unwrap();
        buf[..len].to_vec()
    }

    #[test]
    fn the_word_arrives_at_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        ready(path.as_os_str()).unwrap();
        assert_eq!(heard(&manager), b"READY=1\n");
        status(path.as_os_str(), "1 of 2 followed").unwrap();
        assert_eq!(heard(&manager), b"STATUS=1 of 2 followed\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_word_arrives_at_a_name_without_a_file() {
        let name = format!("fetchlogs-notify-{}", std::process::id());
        let address = platform::abstract_address(name.as_bytes()).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        ready(OsStr::new(&format!("@{name}"))).unwrap();
        assert_eq!(heard(&manager), b"READY=1\n");
    }

    #[test]
    fn nobody_there_and_other_kinds_of_names_are_errors() {
        for socket in [
            "/nonexistent/notify",
            "@nobody-listens-here",
            "vsock:2:1",
            "",
        ] {
            assert!(ready(OsStr::new(socket)).is_err(), "{socket}");
        }
    }
}
