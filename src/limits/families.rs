//! Limits of logs that are found by globs, on both sides.

/// Most logs of a key of `%files` that is a glob, in a list for a client, and of a line there.
pub const MEMBERS_MAX: usize = 256;

/// How long the collector waits before it asks a server again that knows no lists.
pub const LIST_RARELY_MS: u64 = 600_000;

/// How long a source stays when the box has its log no more: what was sent last is to come.
pub const LEAVE_MS: u64 = 2_000;

/// How long such a source waits for the digests of its finished copies. The directory of its log
/// may be away for a moment; but a box without the log does not tell them.
pub const LEAVE_UNVERIFIED_MS: u64 = 60_000;

/// New logs of a line beyond [`MEMBERS_MAX`] come one by one, each so long after the last: a box
/// that makes up names again and again must not fill the log host with files.
pub const MEMBER_EACH_MS: u64 = 1_000;

/// How often the list of a line is looked through at the most, whatever comes.
pub const LIST_EACH_MS: u64 = 500;

/// Bytes of lists that are read for one line in a turn of the loop: a name is dearer than what is
/// only written.
pub const LIST_TURN_LEN: usize = 16 * 1024;

/// Logs of one line of which it is told that they came, or that they are gone, one after the other.
pub const MOVES_TOLD: usize = 64;

/// Names of one line whose refusal is told, and after how long one more is.
pub const REFUSED_TOLD: usize = 16;

/// See [`REFUSED_TOLD`].
pub const REFUSED_EACH_MS: u64 = 60_000;

/// Most names among which the server looks for logs.
pub const NAMES_MAX: usize = 4096;

/// Logs beyond [`MEMBERS_MAX`] of a key whose names the server remembers: who asks for some of them
/// is told that there are more than it serves. Beyond so many everybody is told that.
pub const LEFT_OUT_NAMED: usize = 64;

/// How long a log of a family is served when it is gone, beside `$grace`: clients leave first.
pub const FAMILY_LEAVE_MS: u64 = 10_000;

/// Logs that are looked at in one go for a client that asks which there are.
pub const LISTED_AT_ONCE: usize = 8;

/// Most directories watched for new logs.
pub const FAMILY_DIRS_MAX: usize = 64;

/// How long the server waits for more after a name came or went where logs come from.
pub const FAMILY_WAIT_MS: u64 = 200;

/// The least from one look for logs to the next.
pub const FAMILY_BETWEEN_MS: u64 = 1_000;
