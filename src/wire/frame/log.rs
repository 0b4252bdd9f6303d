//! LOG: a list of logs, one by one. See PROTOCOL.md, "Lists".

use super::{BadFrame, Fields, HEADER_LEN, kind, seal};
use crate::limits::PATH_MAX_LEN;

/// A part of a list of logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Log<'a> {
    /// There is a log with this path: not empty, of any bytes.
    Path(&'a [u8]),
    /// The list begins: what was told before does not count any more.
    Begin,
    /// There are more logs than are told.
    More,
    /// Something that this version does not know, by its number, at least 3.
    Other(u8),
}

/// Longest payload: what it is, and a path.
pub const LOG_MAX: usize = 1 + PATH_MAX_LEN;

impl<'a> Log<'a> {
    /// Appends the frame as it goes on the wire.
    pub fn append_to(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        self.write(|bytes| out.extend_from_slice(bytes));
        seal(kind::LOG, &mut out[start..]);
    }

    /// Hands the payload to `put`, piece by piece.
    pub(super) fn write(self, mut put: impl FnMut(&[u8])) {
        match self {
            Log::Path(path) => {
                put(&[0]);
                put(path);
            }
            Log::Begin => put(&[1]),
            Log::More => put(&[2]),
            Log::Other(number) => put(&[number]),
        }
    }

    pub(super) fn read(mut fields: Fields<'a>) -> Result<Log<'a>, BadFrame> {
        match (fields.u8()?, fields.0) {
            (0, []) => Err(BadFrame::Length),
            (0, path) => Ok(Log::Path(path)),
            (1, []) => Ok(Log::Begin),
            (2, []) => Ok(Log::More),
            (1 | 2, _) => Err(BadFrame::Length),
            // A later version may have more to say.
            (number, _) => Ok(Log::Other(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::Frame;
    use crate::wire::receiver::{Piece, Receiver};

    #[test]
    fn what_is_written_reads_back_byte_by_byte() {
        let path = [b'/'; PATH_MAX_LEN];
        for log in [Log::Begin, Log::Path(b"/v/m"), Log::Path(&path), Log::More] {
            let mut bytes = Vec::new();
            log.append_to(&mut bytes);
            let mut receiver = Receiver::new();
            let (last, first) = bytes.split_last().unwrap();
            for byte in first {
                assert_eq!(receiver.next(&[*byte]), (1, Piece::Nothing));
            }
            assert_eq!(receiver.next(&[*last]), (1, Piece::Small));
            let is_it = receiver.small(|frame| frame == Frame::Log(log));
            assert_eq!(is_it, Ok(true));
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_and_what_is_new_is_passed_over() {
        let read = |payload: &'static [u8]| Frame::parse(kind::LOG, payload).unwrap();
        for bad in [&[][..], &[0], &[1, b'x'], &[2, b'x']] {
            assert_eq!(read(bad), Err(BadFrame::Length), "{bad:?}");
        }
        assert_eq!(read(&[3, 1, 2]), Ok(Frame::Log(Log::Other(3))));
        let mut too_long = vec![0; HEADER_LEN + LOG_MAX + 1];
        seal(kind::LOG, &mut too_long);
        let piece = Receiver::new().next(&too_long[..HEADER_LEN]).1;
        assert_eq!(piece, Piece::Bad(BadFrame::Length));
    }
}
