//! The identity token that a client keeps of its generation: which file it was in, and which number
//! it has in the journal. Pure.
//!
//! ```text
//! ID   = INODE KIND [ BORN ]           hexadecimal; KIND is h, t, w, or n for a birth that is not known
//! REST = DEVICE "." EPOCH "." SEQ      hexadecimal; SEQ is 0 for a generation without a record
//! ```

use crate::ids::{Born, FileId, Identity, Inode};
use crate::serve::find::journal::record::Seq;
use crate::wire::request::id_sum;
use crate::wire::token::Token;

/// What a token says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// The file.
    pub identity: Identity,
    /// The run of the server that gave the number.
    pub epoch: u32,
    /// The number of the generation in that run's journal; 0 for none.
    pub seq: Seq,
}

impl Known {
    /// Reads a token. `None` if no server of this kind made it.
    pub fn of(token: &Token) -> Option<Known> {
        let (id, rest) = token.as_str().split_once('/')?;
        let at = id.find(|c: char| !c.is_ascii_hexdigit())?;
        let (inode, born) = id.split_at_checked(at)?;
        let (kind, born) = born.split_at_checked(1)?;
        let crc = || u32::from_str_radix(born, 16).ok();
        let born = match kind {
            "h" => Born::Handle(crc()?),
            "t" => Born::Time(crc()?),
            "w" => Born::Faint(crc()?),
            "n" if born.is_empty() => Born::Unknown,
            _ => return None,
        };
        let mut rest = rest.split('.');
        let device = u64::from_str_radix(rest.next()?, 16).ok()?;
        let epoch = u32::from_str_radix(rest.next()?, 16).ok()?;
        let seq = u32::from_str_radix(rest.next()?, 16).ok()?;
        let inode = Inode(u64::from_str_radix(inode, 16).ok()?);
        rest.next().is_none().then_some(Known {
            identity: Identity {
                id: FileId { device, inode },
                born,
            },
            epoch,
            seq,
        })
    }

    /// The token that says this; `None` if it would be too long, which no system's numbers are.
    pub fn token(&self) -> Option<Token> {
        use std::fmt::Write;
        let mut text = heapless::String::<{ Token::MAX_LEN }>::new();
        let FileId { device, inode } = self.identity.id;
        write!(text, "{:x}", inode.0).ok()?;
        match self.identity.born {
            Born::Handle(crc) => write!(text, "h{crc:08x}"),
            Born::Time(crc) => write!(text, "t{crc:08x}"),
            Born::Faint(crc) => write!(text, "w{crc:08x}"),
            Born::Unknown => write!(text, "n"),
        }
        .ok()?;
        write!(text, "/{device:x}.{:x}.{:x}", self.epoch, self.seq).ok()?;
        Token::parse(text.as_bytes())
    }
}

/// What a client calls a file among those that it was given.
pub fn given_id(identity: Identity) -> Option<u32> {
    let known = Known {
        identity,
        epoch: 0,
        seq: 0,
    };
    known.token().map(|token| id_sum(&token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(born: Born) -> Known {
        Known {
            identity: Identity {
                id: FileId {
                    device: 0xfd01,
                    inode: Inode(10_018_883),
                },
                born,
            },
            epoch: 0x9f8e_7d6c,
            seq: 12,
        }
    }

    #[test]
    fn a_token_says_what_was_put_into_it() {
        for (born, text) in [
            (Born::Handle(0x1a), "98e043h0000001a/fd01.9f8e7d6c.c"),
            (Born::Time(0xdead_beef), "98e043tdeadbeef/fd01.9f8e7d6c.c"),
            (Born::Faint(0), "98e043w00000000/fd01.9f8e7d6c.c"),
            (Born::Unknown, "98e043n/fd01.9f8e7d6c.c"),
        ] {
            let token = known(born).token().unwrap();
            assert_eq!(token.as_str(), text);
            assert_eq!(Known::of(&token), Some(known(born)));
        }
    }

    #[test]
    fn the_longest_numbers_have_room() {
        let known = Known {
            identity: Identity {
                id: FileId {
                    device: u64::from(u32::MAX),
                    inode: Inode(u64::MAX),
                },
                born: Born::Handle(u32::MAX),
            },
            epoch: u32::MAX,
            seq: u32::MAX,
        };
        assert_eq!(
            known.token().and_then(|token| Known::of(&token)),
            Some(known)
        );
    }

    #[test]
    fn what_another_server_made_says_nothing() {
        for text in [
            "8:3",
            "8:3/17",
            "98h/1.2.3",
            "98n0/1.2.3",
            "98n/1.2",
            "98n/1.2.3.4",
            "n/1.2.3",
            "98é",
        ] {
            let token = Token::parse(text.as_bytes());
            assert_eq!(token.and_then(|token| Known::of(&token)), None, "{text}");
        }
    }

    #[test]
    fn a_file_is_known_by_its_id_alone() {
        let identity = known(Born::Handle(7)).identity;
        let token = known(Born::Handle(7)).token().unwrap();
        assert_eq!(given_id(identity), Some(id_sum(&token)));
    }
}
