//! Sealed connections: who is who is proved by keys, and nobody reads along. Pure.
//!
//! The handshake is `Noise_IK_25519_ChaChaPoly_BLAKE2s` (noiseprotocol.org, revision 34): the
//! client knows the server's public key beforehand and tells its own, sealed. `hash` and
//! `cipher` are its primitives, `handshake` its two messages, `channel` one connection with
//! the mark in front of the first message and the records behind the second. What all of it is on
//! the wire says PROTOCOL.md, "Sealed connections".
//!
//! Random bytes are handed in. Without the feature `noise` there are no keys, and nothing that
//! needs one compiles to anything.

/// What is said to an operator who asks for keys.
#[cfg(not(feature = "noise"))]
pub const ABSENT: &str =
    "this program cannot seal connections: it was built without the feature noise";

#[cfg(feature = "noise")]
pub mod channel;
#[cfg(feature = "noise")]
mod cipher;
#[cfg(feature = "noise")]
pub mod handshake;
#[cfg(feature = "noise")]
mod hash;
#[cfg(feature = "noise")]
pub mod key;
#[cfg(not(feature = "noise"))]
#[path = "none.rs"]
pub mod key;

#[cfg(test)]
#[cfg(feature = "noise")]
mod tests;
