//! The transform between a socket and a machine: handshake, encryption, or nothing.

/// Turns what a machine says into records for the socket, and what the socket says back into the
/// bytes of the peer's machine. [`Connection`](super::Connection) moves the bytes; a transform
/// makes no system call.
///
/// A sealed record cannot be made a second time. So the transform keeps it, at most one, until the
/// socket has taken all of it, and meanwhile nothing else is sealed.
pub trait Transform {
    /// Whether bytes pass as they are. Then they go from the machine's buffer to the socket, and
    /// [`seal`](Self::seal) is not called. What the first bytes of the peer decide stays so.
    fn is_identity(&self) -> bool {
        false
    }

    /// Why it is no good end if the peer closes now, if it is none.
    fn early_end(&self) -> Option<&'static str> {
        None
    }

    /// Copies the received bytes that did not make a whole record to the front of `buf`, and tells
    /// how many they are. They stay its own until [`open`](Self::open). `buf` is longer than the
    /// longest record.
    fn restore(&self, buf: &mut [u8]) -> usize;

    /// The first `len` bytes of `buf` are what [`restore`](Self::restore) put there and what came
    /// behind it. Opens the whole records among them, moves their content to the front of `buf` and
    /// tells how long it is; keeps what is left for the next time. It is 0 for a part of a record
    /// and for a message of the handshake, whose answer is then [`pending`](Self::pending). Fails
    /// with the reason where the bytes are not what the peer must have sent. Then nothing of them
    /// counts, and the caller closes the connection.
    ///
    /// Behind the handshake no record is empty: a peer that sends nothing but such ones would not
    /// let its reader go.
    fn open(&mut self, buf: &mut [u8], len: usize) -> Result<usize, &'static str>;

    /// Seals the first bytes of `plain` into one record, which is [`pending`](Self::pending) from
    /// now on, and tells how many they are. None before the end of the handshake. To be called only
    /// while nothing is pending.
    fn seal(&mut self, plain: &[u8]) -> usize;

    /// What the socket has to take next: what is left of a record, or of a message of the
    /// handshake.
    fn pending(&self) -> &[u8];

    /// The socket took the first `len` bytes of [`pending`](Self::pending).
    fn consume_pending(&mut self, len: usize);
}

/// No transform: what the machine says is what the socket carries.
#[cfg(any(not(feature = "noise"), test))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain;

#[cfg(any(not(feature = "noise"), test))]
impl Transform for Plain {
    fn is_identity(&self) -> bool {
        true
    }

    fn restore(&self, _buf: &mut [u8]) -> usize {
        0
    }

    fn open(&mut self, _buf: &mut [u8], len: usize) -> Result<usize, &'static str> {
        Ok(len)
    }

    fn seal(&mut self, _plain: &[u8]) -> usize {
        0
    }

    fn pending(&self) -> &[u8] {
        &[]
    }

    fn consume_pending(&mut self, _len: usize) {}
}
