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
    /// Something that this version does not know.
    Other,
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
            Log::More | Log::Other => put(&[2]),
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
            _ => Ok(Log::Other),
        }
    }
}
