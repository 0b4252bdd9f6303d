//! What sockets need beyond mio.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::cvt;

/// Lets a socket count as writable as soon as fewer than `bytes` wait unsent in the kernel, and not only when a good
/// part of its buffer is free (tcp(7), `TCP_NOTSENT_LOWAT`). Does nothing where there is no such thing.
#[cfg(target_os = "linux")]
pub fn limit_unsent(socket: &impl AsFd, bytes: u32) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open during the call, and the kernel reads exactly the integer that `value` is.
    cvt(unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Does nothing here.
#[cfg(not(target_os = "linux"))]
pub fn limit_unsent(_socket: &impl AsFd, _bytes: u32) -> io::Result<()> {
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
}
