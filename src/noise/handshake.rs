//! The handshake by the book: pattern IK of Noise, from either side.
//!
//! ```text
//! IK:
//!   <- s
//!   ...
//!   -> e, es, s, ss
//!   <- e, ee, se
//! ```
//!
//! Both messages may carry a payload, which is empty on our connections.

use super::cipher::{Cipher, TAG_LEN};
use super::hash::{self, Hash};
use super::key::{Identity, KEY_LEN, PrivateKey, PublicKey};

/// The length of the first message without a payload.
pub const FIRST_LEN: usize = 2 * KEY_LEN + 2 * TAG_LEN;

/// The length of the second message without a payload.
pub const SECOND_LEN: usize = KEY_LEN + TAG_LEN;

/// The handshake fails: a message is not what the owner of the key would have sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

/// What a handshake comes to.
pub struct Ciphers {
    /// Seals what this side says.
    pub sending: Cipher,
    /// Opens what the other side says.
    pub receiving: Cipher,
    /// By which both can tell that it was the same handshake.
    pub hash: Hash,
}

/// The client, which has sent the first message.
pub struct Initiator {
    state: Symmetric,
    ephemeral: PrivateKey,
    server: PublicKey,
}

/// The server, which has read the first message.
pub struct Responder {
    state: Symmetric,
    ephemeral: PublicKey,
    client: PublicKey,
}

impl Initiator {
    /// Writes the first message, which begins `message`; its last bytes but [`TAG_LEN`] from
    /// [`FIRST_LEN`] on are the payload, which is sealed in place. Fails where the server's key is
    /// none.
    pub fn begin(
        own: &Identity,
        server: &PublicKey,
        prologue: &[u8],
        ephemeral: PrivateKey,
        message: &mut [u8],
    ) -> Result<Initiator, Failed> {
        let mut state = Symmetric::new(prologue, server);
        let (head, payload) = message.split_at_mut_checked(HEAD_LEN).ok_or(Failed)?;
        let (key, sealed) = head.split_at_mut(KEY_LEN);
        key.copy_from_slice(ephemeral.public().bytes());
        state.mix_hash(key);
        state.mix_key(&ephemeral.shared(server).ok_or(Failed)?);
        sealed[..KEY_LEN].copy_from_slice(own.public().bytes());
        state.seal(sealed);
        state.mix_key(&own.private.shared(server).ok_or(Failed)?);
        state.seal(payload);
        Ok(Initiator {
            state,
            ephemeral,
            server: *server,
        })
    }

    /// The key that the server has to have.
    pub fn server(&self) -> &PublicKey {
        &self.server
    }

    /// Reads the second message, whose payload is opened in place.
    pub fn finish(mut self, own: &Identity, message: &mut [u8]) -> Result<Ciphers, Failed> {
        let (key, payload) = message.split_first_chunk_mut::<KEY_LEN>().ok_or(Failed)?;
        let server = PublicKey::new(*key);
        self.state.mix_hash(key);
        let shared = self.ephemeral.shared(&server);
        self.state.mix_key(&shared.ok_or(Failed)?);
        let shared = own.private.shared(&server);
        self.state.mix_key(&shared.ok_or(Failed)?);
        self.state.open(payload)?;
        let (sending, receiving) = self.state.split();
        Ok(Ciphers {
            sending,
            receiving,
            hash: self.state.hash,
        })
    }
}

impl Responder {
    /// Reads the first message, which is opened in place: it is from the owner of
    /// [`client`](Self::client), perhaps once more.
    pub fn read(own: &Identity, prologue: &[u8], message: &mut [u8]) -> Result<Responder, Failed> {
        let mut state = Symmetric::new(prologue, own.public());
        let (head, payload) = message.split_at_mut_checked(HEAD_LEN).ok_or(Failed)?;
        let (key, sealed) = head.split_first_chunk_mut::<KEY_LEN>().ok_or(Failed)?;
        let ephemeral = PublicKey::new(*key);
        state.mix_hash(key);
        let shared = own.private.shared(&ephemeral);
        state.mix_key(&shared.ok_or(Failed)?);
        let client = state.open(sealed)?.first_chunk().ok_or(Failed)?;
        let client = PublicKey::new(*client);
        state.mix_key(&own.private.shared(&client).ok_or(Failed)?);
        state.open(payload)?;
        Ok(Responder {
            state,
            ephemeral,
            client,
        })
    }

    /// Who has sent it.
    pub fn client(&self) -> &PublicKey {
        &self.client
    }

    /// Writes the second message, which begins `message`; its last bytes but [`TAG_LEN`] from
    /// [`SECOND_LEN`] on are the payload, which is sealed in place.
    pub fn answer(mut self, ephemeral: &PrivateKey, message: &mut [u8]) -> Result<Ciphers, Failed> {
        let (key, payload) = message.split_at_mut_checked(KEY_LEN).ok_or(Failed)?;
        key.copy_from_slice(ephemeral.public().bytes());
        self.state.mix_hash(key);
        for client in [&self.ephemeral, &self.client] {
            let shared = ephemeral.shared(client);
            self.state.mix_key(&shared.ok_or(Failed)?);
        }
        self.state.seal(payload);
        let (receiving, sending) = self.state.split();
        Ok(Ciphers {
            sending,
            receiving,
            hash: self.state.hash,
        })
    }
}

/// The keys in front of the payload of the first message: one as it is, one sealed.
const HEAD_LEN: usize = 2 * KEY_LEN + TAG_LEN;

const NAME: &[u8] = b"Noise_IK_25519_ChaChaPoly_BLAKE2s";

/// Noise's SymmetricState (section 5.2).
struct Symmetric {
    chaining: Hash,
    hash: Hash,
    cipher: Cipher,
}

impl Symmetric {
    fn new(prologue: &[u8], server: &PublicKey) -> Symmetric {
        // The name is longer than a hash.
        let name = hash::hash(&[NAME]);
        let mut state = Symmetric {
            chaining: name,
            hash: name,
            // Replaced by the first key, before anything is sealed.
            cipher: Cipher::new(name),
        };
        state.mix_hash(prologue);
        state.mix_hash(server.bytes());
        state
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = hash::hash(&[&self.hash, data]);
    }

    fn mix_key(&mut self, shared: &Hash) {
        let (chaining, key) = hash::hkdf(&self.chaining, shared);
        self.chaining = chaining;
        self.cipher = Cipher::new(key);
    }

    fn seal(&mut self, text: &mut [u8]) {
        self.cipher.seal(&self.hash, text);
        self.mix_hash(text);
    }

    fn open<'t>(&mut self, text: &'t mut [u8]) -> Result<&'t [u8], Failed> {
        let hash = hash::hash(&[&self.hash, text]);
        let plain = self.cipher.open(&self.hash, text).map_err(|_| Failed)?;
        self.hash = hash;
        Ok(plain)
    }

    /// The ciphers for what the client says, and for what the server says.
    fn split(&self) -> (Cipher, Cipher) {
        let (client, server) = hash::hkdf(&self.chaining, &[]);
        (Cipher::new(client), Cipher::new(server))
    }
}
