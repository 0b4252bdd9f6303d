//! Limits of sealed connections.

/// Longest record, with its length in front and its seal behind: a connection keeps at most one
/// that is not sent yet, and a router has little memory.
pub const RECORD_MAX_LEN: usize = 16 * 1024;

/// Records that are sealed by one key; then both sides make another one of it. They have at most
/// 64 MiB, far below what the cipher may seal.
pub const RECORDS_PER_KEY: u64 = 1 << 12;

/// Handshakes of one address that came to nothing in a minute; the next ones are closed before
/// anything is computed, until the minute is over.
pub const HANDSHAKES_IN_VAIN_MAX: u8 = 32;

/// See [`HANDSHAKES_IN_VAIN_MAX`].
pub const HANDSHAKES_MS: u64 = 60_000;

/// Addresses whose handshakes are counted; of more the oldest is forgotten.
pub const HANDSHAKE_ADDRESSES_MAX: usize = 64;

/// How long the server keeps a connection whose last record the socket has not taken yet.
pub const LAST_WORDS_MS: u64 = 10_000;
