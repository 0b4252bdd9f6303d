//! One direction of a sealed connection: ChaCha20-Poly1305 (RFC 8439) with the nonces of Noise.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};

use super::hash::Hash;

/// How much longer sealed bytes are.
pub const TAG_LEN: usize = 16;

/// A key, and how often it was used.
pub struct Cipher {
    key: Hash,
    nonce: u64,
}

/// Sealed bytes are not what the owner of the key has sealed next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forged;

impl Cipher {
    /// A key that was not used yet.
    pub fn new(key: Hash) -> Cipher {
        Cipher { key, nonce: 0 }
    }

    /// How often it was used.
    pub fn uses(&self) -> u64 {
        self.nonce
    }

    /// Seals all but the last [`TAG_LEN`] bytes of `text`, which the seal takes.
    pub fn seal(&mut self, associated: &[u8], text: &mut [u8]) {
        let Some((plain, tag)) = text.split_last_chunk_mut::<TAG_LEN>() else {
            return;
        };
        // It fails only for texts of 2^38 bytes.
        if let Ok(sealed) =
            self.aead()
                .encrypt_inout_detached(&nonce(self.nonce), associated, plain.into())
        {
            *tag = sealed.into();
        }
        self.nonce += 1;
    }

    /// Opens sealed bytes in place and returns the plain ones. What is forged counts as not seen.
    pub fn open<'t>(&mut self, associated: &[u8], text: &'t mut [u8]) -> Result<&'t [u8], Forged> {
        let (sealed, tag) = text.split_last_chunk_mut::<TAG_LEN>().ok_or(Forged)?;
        let tag = Tag::from(*tag);
        let (aead, nonce) = (self.aead(), nonce(self.nonce));
        let opened = aead.decrypt_inout_detached(&nonce, associated, (&mut *sealed).into(), &tag);
        opened.map_err(|_| Forged)?;
        self.nonce += 1;
        Ok(sealed)
    }

    /// Another key, made of this one as Noise says (section 4.2). The count goes on.
    pub fn rekey(&mut self) {
        let mut key = [0; 32];
        // The seal is not wanted, and it cannot fail for so short a text.
        let _ = (self.aead()).encrypt_inout_detached(&nonce(u64::MAX), &[], (&mut key[..]).into());
        self.key = key;
    }

    fn aead(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&self.key.into())
    }
}

/// 32 bits of zeros and the number in little-endian order.
fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_le_bytes());
    nonce.into()
}
