//! Every capacity and period that is not configured, one constant each, with its reason.
//! Reaching one of them is an ordinary event with a name, never a panic.

/// Longest path of a served or fetched file, in bytes: a request line has to hold it beside two numbers.
pub const PATH_MAX_LEN: usize = 512;

/// Longest request line a server reads, newline included: the path, two numbers and version 2's fields.
pub const REQUEST_MAX_LEN: usize = 1024;

/// Longest answer line a collector reads, newline included.
pub const REPLY_MAX_LEN: usize = 256;

/// Longest pointer record, newline included: one write that a file system keeps whole.
pub const POINTER_MAX_LEN: usize = 256;

/// How long a peer may take to send its request line.
pub const REQUEST_TIMEOUT_MS: u64 = 30_000;

/// Most rotated files of one log that are looked at; more than any rotator in the field keeps.
pub const CANDIDATES_MAX: usize = 64;

/// Most directory entries looked at for one glob, so that a directory of millions cannot stop the server.
pub const GLOB_ENTRIES_MAX: usize = 65_536;

/// Bytes read from a file and written to a socket at once, and the reverse.
pub const CHUNK_LEN: usize = 64 * 1024;

/// Bytes one peer may move in one turn of the loop before the others have theirs.
pub const TURN_BYTES_MAX: usize = 4 * CHUNK_LEN;

const _: () = assert!(REQUEST_MAX_LEN >= PATH_MAX_LEN + 2 * 21 + 1 + 128);
const _: () = assert!(TURN_BYTES_MAX >= CHUNK_LEN);

// The server's configuration and its globs.

/// Most faults of one configuration that are told at once: a screenful.
pub const CONFIG_FAULTS_MAX: usize = 20;

/// Longest time that can be configured: a day. More is a typing error, and milliseconds stay far from overflow.
pub const PERIOD_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// Most clients that can be configured: each takes two descriptors.
pub const CLIENTS_MAX: usize = 4096;

/// Longest text of the globs of one log, in bytes.
pub const GLOB_TEXT_MAX_LEN: usize = 1024;

/// Most patterns that the globs of one log may stand for once braces are expanded.
pub const GLOB_PATTERNS_MAX: usize = 64;

/// Longest path a glob can find, in bytes: no system call takes a longer one.
pub const GLOB_PATH_MAX_LEN: usize = 4095;

/// Bytes for the names of matching directories that wait for their turn while a glob is walked.
pub const GLOB_WAITING_LEN: usize = 16 * 1024;
