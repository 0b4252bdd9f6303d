//! Keys, and the text that they are written in: 44 characters of base64, as those of WireGuard.

use std::fmt;
use std::rc::Rc;

use curve25519_dalek::montgomery::MontgomeryPoint;

/// The bytes of a key.
pub const KEY_LEN: usize = 32;

/// The characters of a key.
pub const TEXT_LEN: usize = 44;

/// A public key: whoever has it can find out whether its peer has the private one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_LEN]);

/// A private key, which no program shows but the one that makes it.
pub struct PrivateKey([u8; KEY_LEN]);

/// The keys of one side.
pub struct Identity {
    pub(super) private: PrivateKey,
    public: PublicKey,
}

/// What a connection to a server is sealed by.
#[derive(Clone)]
pub struct ServerKey {
    /// The key that the server has to have.
    pub server: PublicKey,
    /// The keys of this side, once they are known.
    pub own: Option<Rc<Identity>>,
}

impl ServerKey {
    /// A connection may only be made to the server with this key.
    pub fn new(server: PublicKey) -> ServerKey {
        ServerKey { server, own: None }
    }

    /// Makes the keys of this side known.
    pub fn set_own(&mut self, own: &Rc<Identity>) {
        self.own = Some(own.clone());
    }
}

impl PartialEq for ServerKey {
    fn eq(&self, other: &ServerKey) -> bool {
        self.server == other.server
    }
}

impl Eq for ServerKey {}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.server, f)
    }
}

impl PublicKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; KEY_LEN]) -> PublicKey {
        PublicKey(bytes)
    }

    /// Reads a key from its text.
    pub fn parse(text: &[u8]) -> Option<PublicKey> {
        parse(text).map(PublicKey)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text_of(&self.0).iter().try_for_each(|byte| {
            use fmt::Write;
            f.write_char(char::from(*byte))
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PrivateKey {
    /// The key that these random bytes make.
    pub fn new(bytes: [u8; KEY_LEN]) -> PrivateKey {
        PrivateKey(bytes)
    }

    /// Reads a key from its text.
    pub fn parse(text: &[u8]) -> Option<PrivateKey> {
        parse(text).map(PrivateKey)
    }

    /// The text of the key.
    pub fn text(&self) -> [u8; TEXT_LEN] {
        text_of(&self.0)
    }

    /// The public key that goes with it.
    pub fn public(&self) -> PublicKey {
        // Not from a table: that would cost a router 30 KB.
        PublicKey(BASE.mul_clamped(self.0).to_bytes())
    }

    /// What only the owners of these two keys can compute; `None` for a public key that makes it
    /// the same for everybody.
    pub(super) fn shared(&self, other: &PublicKey) -> Option<[u8; KEY_LEN]> {
        let shared = MontgomeryPoint(other.0).mul_clamped(self.0).to_bytes();
        let is_weak = shared.iter().fold(0, |all, byte| all | byte) == 0;
        (!is_weak).then_some(shared)
    }
}

impl Identity {
    /// Both keys of a private one.
    pub fn new(private: PrivateKey) -> Identity {
        Identity {
            public: private.public(),
            private,
        }
    }

    /// The public key, by which others know this side.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

/// The base point of Curve25519 (RFC 7748, section 4.1).
const BASE: MontgomeryPoint = {
    let mut bytes = [0; KEY_LEN];
    bytes[0] = 9;
    MontgomeryPoint(bytes)
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn text_of(key: &[u8; KEY_LEN]) -> [u8; TEXT_LEN] {
    let mut text = [b'='; TEXT_LEN];
    for (group, three) in text.chunks_mut(4).zip(key.chunks(3)) {
        let bits = (0..3).fold(0, |bits: u32, at| {
            bits << 8 | u32::from(three.get(at).copied().unwrap_or(0))
        });
        for (at, place) in group.iter_mut().enumerate().take(three.len() + 1) {
            *place = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
        }
    }
    text
}

/// The one key that a text stands for, which is the only text for it.
fn parse(text: &[u8]) -> Option<[u8; KEY_LEN]> {
    let mut key = [0; KEY_LEN];
    if text.len() != TEXT_LEN {
        return None;
    }
    for (group, three) in text.chunks(4).zip(key.chunks_mut(3)) {
        let mut bits = 0;
        for (at, digit) in group.iter().enumerate() {
            // What stands behind the last byte is compared below.
            let digit = match at <= three.len() {
                true => ALPHABET.iter().position(|byte| byte == digit)?,
                false => 0,
            };
            bits = bits << 6 | digit as u32;
        }
        for (at, byte) in three.iter_mut().enumerate() {
            *byte = (bits >> (16 - 8 * at)) as u8;
        }
    }
    (text_of(&key) == *text).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_rfc_7748() {
        // Section 6.1: Alice's keys, and what she shares with Bob.
        let hex = |text: &str| {
            let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
            std::array::from_fn::<u8, KEY_LEN, _>(byte)
        };
        let private = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
        let alice = PrivateKey::new(hex(private));
        let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        assert_eq!(alice.public().0, hex(public));
        let bob = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
        assert_eq!(alice.shared(&PublicKey(hex(bob))), Some(hex(shared)));
    }

    #[test]
    fn a_key_that_shares_the_same_with_everybody_is_none() {
        let one = PrivateKey::new([7; KEY_LEN]);
        let mut order_four = [0; KEY_LEN];
        assert_eq!(one.shared(&PublicKey(order_four)), None);
        order_four[0] = 1;
        assert_eq!(one.shared(&PublicKey(order_four)), None);
    }

    #[test]
    fn a_text_is_read_back_and_has_no_second_form() {
        for seed in 0..=255u8 {
            let key: [u8; KEY_LEN] = std::array::from_fn(|at| seed.wrapping_mul(at as u8 | 1));
            let text = text_of(&key);
            assert_eq!(parse(&text), Some(key));
            // Two bits of the last character mean nothing and have to be zero.
            let mut other = text;
            let digit = ALPHABET.iter().position(|byte| *byte == text[42]).unwrap();
            other[42] = ALPHABET[digit | 1];
            assert_eq!(parse(&other), None);
        }
        let text = text_of(&[0xff; KEY_LEN]);
        assert_eq!(&text, b"//////////////////////////////////////////8=");
        for bad in [&text[..43], b"", &[&text[..], b"="].concat(), &[b'*'; 44]] {
            assert_eq!(parse(bad), None);
        }
        assert_eq!(
            PublicKey([0; 32]).to_string(),
            format!("{}=", "A".repeat(43))
        );
    }
}
