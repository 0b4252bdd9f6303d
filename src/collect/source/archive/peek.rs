//! The beginning of an archive, which shows whether it may be the generation held.

use crate::collect::archive::inflate::Inflater;
use crate::collect::error::{ProtocolError, SourceError};
use crate::wire::escape::Escaped;
use crate::wire::frame::Frame;
use crate::wire::receiver::{Piece, Receiver};

/// Bytes of an archive that show whether it may be the generation held.
pub(super) const PEEK_LEN: u64 = 4096;

/// Takes the first bytes of an archive.
pub(super) fn take_head(
    head: &mut Vec<u8>,
    receiver: &mut Receiver,
    data: &[u8],
) -> Result<(), SourceError> {
    let mut rest = data;
    loop {
        let (taken, piece) = receiver.next(rest);
        match piece {
            Piece::Nothing if taken == 0 => return Ok(()),
            Piece::Nothing | Piece::DataEnd => {}
            Piece::DataStart(offset) if offset == head.len() as u64 => {}
            Piece::Data(bytes) if (head.len() + bytes.len()) as u64 <= PEEK_LEN => {
                head.extend_from_slice(bytes);
            }
            Piece::Small => receiver
                .small(|frame| match frame {
                    Frame::Error { text, .. } => {
                        Err(SourceError::Refused(Escaped(text).to_string().into()))
                    }
                    _ => Ok(()),
                })
                .unwrap_or_else(|bad| Err(ProtocolError::Frame(bad).into()))?,
            Piece::Bad(bad) => return Err(ProtocolError::Frame(bad).into()),
            _ => return Err(ProtocolError::Order.into()),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
}

/// Whether what an archive begins with is what `read` has of the copy, as far as both go and its
/// first `sound` bytes, which count.
pub(super) fn begins_alike(
    head: &[u8],
    sound: u64,
    mut read: impl FnMut(&mut [u8]) -> usize,
) -> bool {
    let mut inflater = Inflater::new();
    let mut theirs = Vec::new();
    let mut rest = head;
    // What is spoilt shows when all of it is looked at.
    while let Ok((taken, bytes)) = inflater.step(rest) {
        theirs.extend_from_slice(bytes);
        rest = &rest[taken..];
        if taken == 0 && bytes.is_empty() || theirs.len() >= PEEK_LEN as usize {
            break;
        }
    }
    theirs.truncate(PEEK_LEN as usize);
    let mut ours = vec![0; theirs.len()];
    let len = read(&mut ours).min(usize::try_from(sound).unwrap_or(usize::MAX));
    len > 0 && ours[..len] == theirs[..len]
}
