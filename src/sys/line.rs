//! A line between two processes that have a common parent or are parent and child: short messages,
//! and descriptors with them.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::{again, cvt, once_more};

/// One end. Messages arrive whole and in order.
pub struct Line(OwnedFd);

/// Two bytes, whose meaning is for the two ends to agree upon, and perhaps a descriptor.
pub struct Message {
    /// What it is about.
    pub kind: u8,
    /// A number that belongs to it.
    pub value: u8,
    /// An open file or socket that the receiver owns from now on.
    pub fd: Option<OwnedFd>,
}

/// Room for the header and one descriptor, aligned as the header has to be.
type Control = [u64; 4];

impl Line {
    /// Both ends.
    pub fn pair() -> io::Result<(Line, Line)> {
        let mut ends: [RawFd; 2] = [-1; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: the array has room for the two descriptors that are written into it.
        cvt(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
        // SAFETY: both descriptors are new and nobody else's.
        let [one, other] = ends.map(|fd| Line(unsafe { OwnedFd::from_raw_fd(fd) }));
        Ok((one, other))
    }

    /// Sends a message; the sender keeps its own descriptor. Fails with `BrokenPipe` where nobody
    /// has the other end open, with `WouldBlock` where hundreds were not received.
    pub fn send(&self, kind: u8, value: u8, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut bytes = [kind, value];
        let mut part = part_of(&mut bytes);
        let mut control: Control = [0; 4];
        let mut message = header(&mut part);
        if let Some(fd) = fd {
            put_descriptor(&mut message, &mut control, fd.as_raw_fd());
        }
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        once_more(|| {
            // SAFETY: the message points to what outlives the call, with the right lengths.
            cvt(unsafe { libc::sendmsg(self.0.as_raw_fd(), &message, flags) })
        })?;
        Ok(())
    }

    /// Waits for the next message; `None` once nobody has the other end open.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = [0; 2];
        let mut part = part_of(&mut bytes);
        let mut control: Control = [0; 4];
        let mut message = header(&mut part);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<Control>() as _;
        let mut call = || {
            // SAFETY: the message points to room that outlives the call, with the right lengths.
            cvt(unsafe { libc::recvmsg(self.0.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) })
        };
        // An error that passes is not to be taken for the end of the other process.
        let len = once_more(|| again(&mut call))?;
        let fd = take_descriptor(&message);
        let [kind, value] = bytes;
        Ok((len > 0).then_some(Message { kind, value, fd }))
    }

    /// Sends a message of so many bytes, at least one, without a descriptor. Fails as
    /// [`send`](Self::send) does.
    pub fn send_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let (fd, flags) = (self.0.as_raw_fd(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
        once_more(|| {
            // SAFETY: the call reads as many bytes as there are.
            cvt(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })
        })?;
        Ok(())
    }

    /// The next message, as far as there is room for it, if there is one, and without waiting for
    /// one: `WouldBlock`. `None` once nobody has the other end open.
    pub fn receive_bytes<'a>(&self, buf: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        let fd = self.0.as_raw_fd();
        let len = again(|| {
            // SAFETY: the call writes no more bytes than there is room for.
            cvt(unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), libc::MSG_DONTWAIT) })
        })?;
        let bytes = usize::try_from(len).ok().and_then(|len| buf.get(..len));
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Line {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits until one of these can be read or is at its end, and tells which of them are. After so
/// many milliseconds none may be; a negative number is for ever.
pub fn wait_for_any<const N: usize>(
    ends: [Option<BorrowedFd<'_>>; N],
    timeout_ms: libc::c_int,
) -> [bool; N] {
    let mut polled = ends.map(|end| libc::pollfd {
        // poll(2) passes over numbers below 0.
        fd: end.map_or(-1, |end| end.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let waited = again(|| {
        // SAFETY: the array has as many entries as the call is told, and outlives it.
        cvt(unsafe { libc::poll(polled.as_mut_ptr(), N as _, timeout_ms) })
    });
    if waited.is_err() {
        // For want of memory: there will be some again.
        // SAFETY: no descriptors, so the pointer is never followed.
        unsafe { libc::poll(ptr::null_mut(), 0, PAUSE_MS) };
    }
    polled.map(|end| end.revents != 0)
}

/// The wait where the system has no room for a wait of another kind.
const PAUSE_MS: libc::c_int = 100;

fn part_of(bytes: &mut [u8; 2]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

/// A message of one part without a descriptor. It points to the part.
fn header(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: all its fields are numbers and pointers, for which zero is a value; some C libraries
    // pad it with fields of their own.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

fn put_descriptor(message: &mut libc::msghdr, control: &mut Control, fd: RawFd) {
    const LEN: u32 = size_of::<RawFd>() as u32;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: both only compute.
    let (space, len) = unsafe { (libc::CMSG_SPACE(LEN), libc::CMSG_LEN(LEN)) };
    message.msg_controllen = space as _;
    // SAFETY: `control` is aligned for the header and larger than the space for one descriptor, so
    // the first header and its data lie within it.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(message);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = len as _;
        ptr::write_unaligned(libc::CMSG_DATA(first).cast(), fd);
    }
}

fn take_descriptor(message: &libc::msghdr) -> Option<OwnedFd> {
    // SAFETY: the kernel wrote the control data and its length; a header of this kind is followed
    // by at least one descriptor, new and nobody else's. There is no room for a second one.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(message).as_ref()?;
        let is_descriptor =
            first.cmsg_level == libc::SOL_SOCKET && first.cmsg_type == libc::SCM_RIGHTS;
        is_descriptor.then(|| {
            let fd: RawFd = ptr::read_unaligned(libc::CMSG_DATA(first).cast());
            OwnedFd::from_raw_fd(fd)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Read, Write};

    use super::*;

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let (one, other) = Line::pair().unwrap();
        one.send(b'a', 1, None).unwrap();
        one.send(b'b', 2, None).unwrap();
        for wanted in [(b'a', 1), (b'b', 2)] {
            let message = other.receive().unwrap().unwrap();
            assert_eq!((message.kind, message.value), wanted);
            assert!(message.fd.is_none());
        }
        drop(one);
        assert!(other.receive().unwrap().is_none());
        let error = other.send(b'c', 3, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_descriptor_comes_along() {
        let (one, other) = Line::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        one.send(b'w', 0, Some(writer.as_fd())).unwrap();
        drop(writer);
        let fd = other.receive().unwrap().unwrap().fd.unwrap();
        File::from(fd).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through", "and nobody else has it open");
    }

    #[test]
    fn longer_messages_arrive_whole_and_nobody_waits_for_one() {
        let (one, other) = Line::pair().unwrap();
        let mut buf = [0; 8];
        let nothing = other.receive_bytes(&mut buf).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        one.send_bytes(b"first").unwrap();
        one.send_bytes(b"too long a one").unwrap();
        assert_eq!(other.receive_bytes(&mut buf).unwrap().unwrap(), b"first");
        assert_eq!(other.receive_bytes(&mut buf).unwrap().unwrap(), b"too long");
        drop(one);
        assert!(other.receive_bytes(&mut buf).unwrap().is_none());
        let error = other.send_bytes(b"c").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_one_that_speaks_is_found() {
        let (one, other) = Line::pair().unwrap();
        let (_silent, still) = Line::pair().unwrap();
        one.send(b'a', 0, None).unwrap();
        let ends = [Some(still.as_fd()), Some(other.as_fd())];
        assert_eq!(wait_for_any(ends, -1), [false, true]);
        assert_eq!(wait_for_any([None, Some(other.as_fd())], -1), [false, true]);
        assert_eq!(wait_for_any([Some(still.as_fd()), None], 1), [false, false]);
    }

    #[test]
    fn nobody_is_held_by_one_who_does_not_receive() {
        let (one, _other) = Line::pair().unwrap();
        let error = (0..1_000_000).find_map(|_| one.send(b'a', 0, None).err());
        assert_eq!(error.unwrap().kind(), ErrorKind::WouldBlock);
    }
}
