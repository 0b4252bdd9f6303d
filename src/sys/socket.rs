//! Sockets beyond mio: how they listen, and how much waits in them unsent.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::cvt;

pub use super::platform::{limit_unsent, listen};

/// Makes calls on a descriptor fail instead of waiting, for whoever has it.
pub fn never_wait(fd: &impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open during the call, which takes nothing else.
    let flags = cvt(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: the descriptor is open during the call, which takes a plain number.
    cvt(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_socket_takes_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        limit_unsent(&socket, 4096).unwrap();
    }

    /// Both are addresses for documentation, which no host has (RFC 5737, RFC 3849).
    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_that_is_not_there_can_be_listened_on() {
        for address in ["192.0.2.1:0", "[2001:db8::1]:0"] {
            let address: std::net::SocketAddr = address.parse().unwrap();
            if address.is_ipv6() && TcpListener::bind("[::1]:0").is_err() {
                continue;
            }
            let none = listen(address, false).unwrap_err();
            assert_eq!(none.kind(), io::ErrorKind::AddrNotAvailable);
            let listener = listen(address, true).unwrap();
            let ahead = listener.local_addr().unwrap();
            assert_eq!(ahead.ip(), address.ip());
            assert_ne!(ahead.port(), 0);
            let taken = listen(ahead, true).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
    }
}
