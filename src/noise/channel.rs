//! One connection: the handshake, then records. PROTOCOL.md, "Sealed connections".
//!
//! A server's channel finds out by the first byte which of the two its client wants, a plain or a
//! sealed connection. The handshake costs it some multiplications on a curve, so whoever owns it
//! decides when: [`owes_answer`](Channel::owes_answer), [`answer`](Channel::answer).

use std::rc::Rc;

use super::cipher::{Cipher, TAG_LEN};
use super::handshake::{FIRST_LEN, Initiator, Responder, SECOND_LEN};
use super::hash::{self, Hash};
use super::key::{Identity, PrivateKey, PublicKey};
use crate::limits::{RECORD_MAX_LEN, RECORDS_PER_KEY};

/// What a channel is about, and the bytes that are on their way through it.
pub struct Channel {
    stage: Stage,
    /// Received bytes of something that is not complete.
    held: Vec<u8>,
    /// What the socket has still to take, from `taken` on.
    pending: Vec<u8>,
    taken: usize,
}

/// Why a channel is of no more use, in words that go behind the peer's name.
pub type Broken = &'static str;

enum Stage {
    /// Bytes pass as they are.
    Plain,
    /// A server waits for the first byte.
    Listening(Rc<Identity>, Terms),
    /// A server holds a first message whose sender knows its public key.
    Marked(Rc<Identity>),
    /// A client waits for the second message.
    Asking(Box<(Initiator, Rc<Identity>)>),
    /// There were both.
    Sealed(Box<Sealed>),
    /// What came was not what the peer must have sent.
    Broken,
}

/// Who is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Terms {
    /// Whoever has a key, or speaks plainly.
    Both,
    /// Only who has a key.
    OnlySealed,
}

struct Sealed {
    sending: Cipher,
    receiving: Cipher,
    peer: PublicKey,
}

impl Channel {
    /// One that is not sealed.
    pub fn plain() -> Channel {
        Channel::at(Stage::Plain, Vec::new())
    }

    /// One that takes nothing.
    pub fn refusing() -> Channel {
        Channel::at(Stage::Broken, Vec::new())
    }

    /// That of a server to a client that has sent nothing yet.
    pub fn listening(own: Rc<Identity>, terms: Terms) -> Channel {
        Channel::at(Stage::Listening(own, terms), Vec::new())
    }

    /// That of a client to the server that has this key. `ephemeral` is random, and used once.
    pub fn asking(
        own: Rc<Identity>,
        server: &PublicKey,
        ephemeral: PrivateKey,
    ) -> Result<Channel, Broken> {
        let mut first = vec![0; MARKED_LEN];
        let (head, message) = first.split_at_mut(HEAD_LEN);
        let begun = Initiator::begin(&own, server, PROLOGUE, ephemeral, message);
        let initiator = begun.map_err(|_| NO_KEY)?;
        head[0] = KIND;
        head[1..].copy_from_slice(&mark(server, message));
        Ok(Channel::at(
            Stage::Asking(Box::new((initiator, own))),
            first,
        ))
    }

    fn at(stage: Stage, pending: Vec<u8>) -> Channel {
        Channel {
            stage,
            held: Vec::new(),
            pending,
            taken: 0,
        }
    }

    /// Whether bytes pass as they are.
    pub fn is_plain(&self) -> bool {
        matches!(self.stage, Stage::Plain)
    }

    /// Whether the handshake is over.
    pub fn is_sealed(&self) -> bool {
        matches!(self.stage, Stage::Sealed(_))
    }

    /// Whether a client waits for the second message.
    pub fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asking(_))
    }

    /// The key of the peer, once the handshake is over.
    pub fn peer(&self) -> Option<&PublicKey> {
        match &self.stage {
            Stage::Sealed(sealed) => Some(&sealed.peer),
            _ => None,
        }
    }

    /// Whether the peer has said something that nobody else can have said now: a first message may
    /// have been said before.
    pub fn is_confirmed(&self) -> bool {
        matches!(&self.stage, Stage::Sealed(sealed) if sealed.receiving.uses() > 0)
    }

    /// Whether a first message waits for [`answer`](Self::answer).
    pub fn owes_answer(&self) -> bool {
        matches!(self.stage, Stage::Marked(_))
    }

    /// Reads the first message and answers it, if it is from somebody who `is_allowed`. `ephemeral`
    /// is random, and used once. A peer that is not allowed costs as much as one whose message is
    /// not right.
    pub fn answer(
        &mut self,
        is_allowed: &dyn Fn(&PublicKey) -> bool,
        ephemeral: &PrivateKey,
    ) -> Result<(), Broken> {
        let mut first = std::mem::take(&mut self.held);
        let Stage::Marked(own) = std::mem::replace(&mut self.stage, Stage::Broken) else {
            return Err(OUT_OF_ORDER);
        };
        let message = first.get_mut(HEAD_LEN..).unwrap_or_default();
        let responder = Responder::read(&own, PROLOGUE, message).map_err(|_| BAD_FIRST)?;
        let peer = *responder.client();
        if !is_allowed(&peer) {
            return Err(NOT_ALLOWED);
        }
        let mut second = vec![0; SECOND_LEN];
        let ciphers = responder.answer(ephemeral, &mut second);
        let ciphers = ciphers.map_err(|_| BAD_FIRST)?;
        self.pending = second;
        self.taken = 0;
        self.stage = Stage::Sealed(Box::new(Sealed {
            sending: ciphers.sending,
            receiving: ciphers.receiving,
            peer,
        }));
        Ok(())
    }

    /// The bytes of memory that it has for what is on its way.
    pub fn kept(&self) -> usize {
        self.held.capacity() + self.pending.capacity()
    }

    /// Copies the received bytes that wait for more to the front of `buf`, which has room for a
    /// record, and tells how many they are.
    pub fn restore(&self, buf: &mut [u8]) -> usize {
        let held = self.held.len();
        buf[..held].copy_from_slice(&self.held);
        held
    }

    /// The first `len` bytes of `buf` are what [`restore`](Self::restore) put there and what was
    /// received since. Moves the plain bytes among them to the front, tells how many they are and
    /// holds what waits for more.
    pub fn open(&mut self, buf: &mut [u8], len: usize) -> Result<usize, Broken> {
        let opened = match &self.stage {
            Stage::Plain => return Ok(len),
            Stage::Listening(..) => self.open_first(&buf[..len]),
            Stage::Asking(_) => self.open_second(&mut buf[..len]),
            Stage::Sealed(_) => self.open_records(&mut buf[..len], 0),
            Stage::Marked(_) | Stage::Broken => Err(OUT_OF_ORDER),
        };
        if opened.is_err() {
            self.stage = Stage::Broken;
            self.held = Vec::new();
        }
        opened
    }

    /// The first bytes of a client, or of a stranger.
    fn open_first(&mut self, received: &[u8]) -> Result<usize, Broken> {
        let Stage::Listening(own, terms) = &self.stage else {
            return Err(OUT_OF_ORDER);
        };
        if received.first().is_some_and(|kind| *kind != KIND) {
            if *terms == Terms::OnlySealed {
                return Err(NOT_SEALED);
            }
            self.stage = Stage::Plain;
            return Ok(received.len());
        }
        // Who is answered nothing yet has nothing more to say.
        if received.len() > MARKED_LEN {
            return Err(OUT_OF_ORDER);
        }
        if received.len() == MARKED_LEN {
            let (head, message) = received.split_at(HEAD_LEN);
            let right = mark(own.public(), message);
            let differs = |all, (one, other): (&u8, &u8)| all | (one ^ other);
            if head[1..].iter().zip(&right).fold(0, differs) != 0 {
                return Err(NOT_MARKED);
            }
            self.stage = Stage::Marked(own.clone());
        }
        self.held = received.to_vec();
        Ok(0)
    }

    /// The second message, and perhaps records behind it.
    fn open_second(&mut self, received: &mut [u8]) -> Result<usize, Broken> {
        if received.len() < SECOND_LEN {
            self.held = received.to_vec();
            return Ok(0);
        }
        let Stage::Asking(asking) = std::mem::replace(&mut self.stage, Stage::Broken) else {
            return Err(OUT_OF_ORDER);
        };
        let (initiator, own) = *asking;
        let peer = *initiator.server();
        let ciphers = initiator.finish(&own, &mut received[..SECOND_LEN]);
        let ciphers = ciphers.map_err(|_| BAD_SECOND)?;
        self.stage = Stage::Sealed(Box::new(Sealed {
            sending: ciphers.sending,
            receiving: ciphers.receiving,
            peer,
        }));
        self.open_records(received, SECOND_LEN)
    }

    /// The records from `at` on.
    fn open_records(&mut self, received: &mut [u8], mut at: usize) -> Result<usize, Broken> {
        let Stage::Sealed(sealed) = &mut self.stage else {
            return Err(OUT_OF_ORDER);
        };
        let mut plain = 0;
        while let Some(head) = received[at..].first_chunk::<LENGTH_LEN>() {
            let len = usize::from(u16::from_be_bytes(*head));
            if len <= TAG_LEN || len > RECORD_MAX_LEN - LENGTH_LEN {
                return Err(BAD_LENGTH);
            }
            let start = at + LENGTH_LEN;
            let Some(record) = received.get_mut(start..start + len) else {
                break;
            };
            sealed.receiving.open(&[], record).map_err(|_| BAD_RECORD)?;
            renew(&mut sealed.receiving);
            received.copy_within(start..start + len - TAG_LEN, plain);
            plain += len - TAG_LEN;
            at = start + len;
        }
        // Without anything to hold it has no memory either.
        self.held = match received.len() - at {
            0 => Vec::new(),
            _ => received[at..].to_vec(),
        };
        Ok(plain)
    }

    /// Seals the first bytes of `plain` into one record and tells how many they are; none while
    /// something is pending, or before the end of the handshake.
    pub fn seal(&mut self, plain: &[u8]) -> usize {
        let Stage::Sealed(sealed) = &mut self.stage else {
            return 0;
        };
        let len = plain.len().min(RECORD_MAX_LEN - LENGTH_LEN - TAG_LEN);
        if len == 0 || !self.pending.is_empty() {
            return 0;
        }
        let mut record = Vec::with_capacity(LENGTH_LEN + len + TAG_LEN);
        record.extend_from_slice(&((len + TAG_LEN) as u16).to_be_bytes());
        record.extend_from_slice(&plain[..len]);
        record.extend_from_slice(&[0; TAG_LEN]);
        sealed.sending.seal(&[], &mut record[LENGTH_LEN..]);
        renew(&mut sealed.sending);
        self.pending = record;
        self.taken = 0;
        len
    }

    /// What the socket has to take next.
    pub fn pending(&self) -> &[u8] {
        &self.pending[self.taken..]
    }

    /// The socket took so many bytes of that.
    pub fn consume_pending(&mut self, len: usize) {
        self.taken += len;
        if self.taken >= self.pending.len() {
            self.pending = Vec::new();
            self.taken = 0;
        }
    }
}

/// What both sides put into the handshake before anything else.
pub const PROLOGUE: &[u8] = b"fetchlogs 2";

/// What a sealed connection begins with. No request does: a path begins with a slash.
pub const KIND: u8 = 1;

/// What stands in front of the first message: the kind and the mark.
const HEAD_LEN: usize = 1 + MARK_LEN;

/// All that a client sends before it is answered.
pub const MARKED_LEN: usize = HEAD_LEN + FIRST_LEN;

const MARK_LEN: usize = 16;

/// The length in front of a record: of all that follows it, in big-endian order.
const LENGTH_LEN: usize = 2;

const OUT_OF_ORDER: Broken = "sent something out of order";
const NOT_SEALED: Broken = "speaks without a key, and $require_key is set";
const NOT_MARKED: Broken = "does not know the public key of this server";
const BAD_FIRST: Broken = "sent a handshake that is not right";
const NOT_ALLOWED: Broken = "has a key that is not in %keys_allow";
const BAD_SECOND: Broken = "the server does not have the private key that belongs to key=";
const NO_KEY: Broken = "key= is no key that anybody could have";
const BAD_LENGTH: Broken = "a record has a length that there is not";
const BAD_RECORD: Broken = "a record is not right: it was changed on its way, or is out of order";

/// By which a server sees that the sender of a message knows its public key, without a curve.
pub(super) fn mark(server: &PublicKey, message: &[u8]) -> [u8; MARK_LEN] {
    let key: Hash = hash::hash(&[b"fetchlogs mark", server.bytes()]);
    let whole = hash::hmac(&key, &[message]);
    std::array::from_fn(|at| whole[at])
}

/// Changes the key when it was used for long enough.
fn renew(cipher: &mut Cipher) {
    if cipher.uses().is_multiple_of(RECORDS_PER_KEY) {
        cipher.rekey();
    }
}
