//! BLAKE2s, and what Noise makes of it: HMAC (RFC 2104) and HKDF (RFC 5869).

use blake2::{Blake2s256, Digest};

/// The bytes of a hash.
pub const HASH_LEN: usize = 32;

/// A hash.
pub type Hash = [u8; HASH_LEN];

/// The hash of these parts, one behind the other.
pub fn hash(parts: &[&[u8]]) -> Hash {
    let mut state = Blake2s256::new();
    parts.iter().for_each(|part| state.update(part));
    state.finalize().into()
}

/// The HMAC of these parts, one behind the other.
pub fn hmac(key: &Hash, parts: &[&[u8]]) -> Hash {
    let block = |mask: u8| {
        let mut block = [mask; BLOCK_LEN];
        block
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
        block
    };
    let mut inner = Blake2s256::new();
    inner.update(block(0x36));
    parts.iter().for_each(|part| inner.update(part));
    let inner: Hash = inner.finalize().into();
    hash(&[&block(0x5c), &inner])
}

/// Noise's HKDF with two outputs.
pub fn hkdf(chaining: &Hash, input: &[u8]) -> (Hash, Hash) {
    let key = hmac(chaining, &[input]);
    let first = hmac(&key, &[&[1]]);
    let second = hmac(&key, &[&first, &[2]]);
    (first, second)
}

const BLOCK_LEN: usize = 64;
