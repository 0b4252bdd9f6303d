//! Every capacity and period that is not configured and that a peer, a log or an operator can meet,
//! one constant each, with its reason. What concerns one file alone stands in that file. Reaching
//! one is an ordinary event with a name, never a panic.

mod families;
#[cfg(feature = "noise")]
mod sealed;
mod shown;

pub use self::families::*;
#[cfg(feature = "noise")]
pub use self::sealed::*;
pub use self::shown::*;

// The wire: what both sides of a connection rely on.

/// Longest path of a served or fetched file, in bytes: a request line has to hold it beside two
/// numbers.
pub const PATH_MAX_LEN: usize = 512;

/// Longest request line a server reads, newline included: the path, each byte of which may be
/// written with three, two numbers and version 2's fields.
pub const REQUEST_MAX_LEN: usize = 2560;

/// Longest answer line a collector reads, newline included.
pub const REPLY_MAX_LEN: usize = 256;

/// Bytes read from a file and written to a socket at once, and the reverse.
pub const CHUNK_LEN: usize = 64 * 1024;

/// Milliseconds that a process which took over works before it looks unasked whether another one
/// has to.
pub const SUCCESSORS_MS: u64 = 60_000;

/// Milliseconds after which a process that could not take over is started once more.
pub const SUCCESSOR_RETRY_MS: u64 = 10_000;

/// Most that a helper hands on of a file, which may be any: a whole configuration, with the names
/// of its files. What is longer is refused by whoever gets it.
pub const HELPER_FILE_MAX_LEN: usize = 64 * 1024 * 1024;

/// How long a daemon waits for its helper process: it serves nobody meanwhile.
pub const HELPER_TIMEOUT_MS: u64 = 3_000;

/// Hooks that run together: what they do takes a processor and a disk that copies need, too.
pub const HOOKS_TOGETHER_MAX: usize = 4;

/// How long a hook may take before it is killed.
pub const HOOK_MS: u64 = 600_000;

/// How long one runs before that is told.
pub const HOOK_SLOW_MS: u64 = 60_000;

/// How long a list of what waits for a hook is left alone that could not be written or read.
pub const HOOK_LIST_RETRY_MS: u64 = 5_000;

/// How often a hook is run for one event before that is left.
pub const HOOK_TRIES: u8 = 3;

/// Events of one source that wait for a hook.
pub const HOOKS_WAITING_MAX: usize = 64;

/// Milliseconds between two looks at whether the collector's directories still are those that its
/// walls leave room for.
pub const WALLS_CHECK_MS: u64 = 10_000;

/// Bytes one peer may move in one turn of the loop before the others have theirs.
pub const TURN_BYTES_MAX: usize = 4 * CHUNK_LEN;

const _: () = assert!(REQUEST_MAX_LEN >= 3 * PATH_MAX_LEN + 2 * 21 + 1 + 128);
const _: () = assert!(TURN_BYTES_MAX >= CHUNK_LEN);

// Both daemons: configuration and deadlines.

/// Longest time that can be configured: a day. More is a typing error, and milliseconds stay far
/// from overflow.
pub const PERIOD_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// Longest configuration, with all that it includes: ten times what ten thousand lines take. A file
/// may be sparse, and have gigabytes.
pub const CONFIG_MAX_LEN: usize = 16 * 1024 * 1024;

/// Most files that one configuration of the collector consists of.
pub const CONFIG_FILES_MAX: usize = 4096;

/// Most of them that are read at the same time, each because the one before includes it.
pub const CONFIG_DEPTH_MAX: usize = 16;

/// Most errors of one configuration that are told; the rest is a number.
pub const CONFIG_ERRORS_MAX: usize = 20;

/// How long the server may be busy with deadlines in one turn of its loop: thousands of them may
/// come together.
pub const DEADLINES_MS: u64 = 2;

/// Deadlines further away than this may come late, by as much as [`DEADLINES_GRID_MS`], so that
/// those of many idle connections come together.
pub const DEADLINES_EXACT_MS: u64 = 5_000;

/// All deadlines that need not be exact lie on multiples of this.
pub const DEADLINES_GRID_MS: u64 = 1_000;

// The server's configuration and its globs.

/// Most clients of a server with few logs: its default is this, or four for each log.
pub const CLIENTS_LEAST: usize = 64;

/// Most clients from one address there: the default is this, or two for each log, one that
/// follows and one that asks beside it.
pub const CLIENTS_PER_IP_LEAST: usize = 32;

/// Most clients that can be configured: each takes two descriptors.
pub const CLIENTS_MAX: usize = 20_000;

/// Longest text of the globs of one log, in bytes.
pub const GLOB_TEXT_MAX_LEN: usize = 1024;

/// Most patterns that the globs of one log may stand for once braces are expanded.
pub const GLOB_PATTERNS_MAX: usize = 64;

/// Longest path a glob can find, in bytes: no system call takes a longer one.
pub const GLOB_PATH_MAX_LEN: usize = 4095;

/// Most directory entries looked at for one glob, so that a directory of millions cannot stop the
/// server.
pub const GLOB_ENTRIES_MAX: usize = 65_536;

/// Bytes for the names of matching directories that wait for their turn while a glob is walked.
pub const GLOB_WAITING_LEN: usize = 16 * 1024;

// The server's clients.

/// How long a peer may take to send its request line to the server.
pub const REQUEST_TIMEOUT_MS: u64 = 30_000;

/// How long a peer may take for its request line if there is no place for it: it is kept only to be
/// told so.
pub const TURNED_AWAY_TIMEOUT_MS: u64 = 2_000;

/// Clients beyond `$max_clients` and `$max_clients_per_ip` that are told that there is no place;
/// others are closed.
pub const TURNED_AWAY_MAX: usize = 8;

/// Those of them whose questions about copies are answered: a collector that has all its places can
/// still verify and heal.
pub const QUESTIONS_MAX: usize = 4;

/// Connections that a server accepts in one turn of its loop.
pub const ACCEPTED_AT_ONCE: usize = 64;

/// How long accepting pauses when the system has no descriptor or memory left.
pub const ACCEPT_PAUSE_MS: u64 = 1_000;

/// A source looks at the room on its file system whenever it has written so much; where there is
/// plenty, it writes up to the second number before it does.
pub const ROOM_LOOK_LEN: u64 = 64 * 1024;
/// See [`ROOM_LOOK_LEN`].
pub const ROOM_LOOK_LEN_MAX: u64 = 1024 * 1024;

/// What a new generation counts as besides its bytes, where room is short: about what file systems
/// have room for with each file that they can have. Files run out as bytes do.
pub const ROOM_OF_FILE_LEN: u64 = 16 * 1024;

/// What a finished copy takes of `max=` at the least.
pub const ROOM_BLOCK_LEN: u64 = 4096;

/// A source that writes [`ROOM_LOOK_LEN`] in less than this is one of those that pause where the
/// room is short; the shorter it is, the less a source may write.
pub const ROOM_SPARED_MS: u64 = 60_000;

/// How often a source that pauses looks whether there is room again.
pub const ROOM_LOOK_MS: u64 = 5_000;

/// The same where it has to look through a directory for that.
pub const ROOM_SCAN_MS: u64 = 60_000;

/// Names in a directory that are read, and files whose size is asked, in one part of that work.
pub const ROOM_SCAN_NAMES: usize = 256;
/// See [`ROOM_SCAN_NAMES`].
pub const ROOM_SCAN_FILES: usize = 40;

/// Lines about one address that a server says in a minute: anybody can have himself refused a
/// thousand times a second.
pub const PEER_LINES_MAX: u32 = 10;

/// Events that a box can bring about at will which the collector tells of it in a minute, and so
/// many more for each of its logs that has something to tell.
pub const BOX_EVENTS_MAX: u32 = 60;
/// See [`BOX_EVENTS_MAX`].
pub const SOURCE_EVENTS_MAX: u32 = 4;

/// Addresses of which each has those lines for itself. All others share as many.
pub const PEERS_HEARD_MAX: usize = 16;

/// Bytes of the file in a frame that answers a question about a range: so much memory a client
/// takes that does not read.
pub const RANGE_FRAME_LEN: usize = 8 * 1024;

/// Unsent bytes of one client that the kernel may hold: with more, a slow client would look as if
/// it stood still.
pub const UNSENT_MAX: u32 = 128 * 1024;

/// What one sending counts at least in a client's share of a turn, in bytes: a short frame takes as
/// many system calls as a long one.
pub const SEND_COST_LEN: usize = 1024;

/// What a piece of a frame counts at least in a box's share of a turn, in bytes: it may take a
/// system call, however few bytes it has.
pub const PIECE_COST_LEN: usize = 1024;

/// How often the room for what is read of a box is halved at most, from [`CHUNK_LEN`] on: one that
/// sends tiny frames is not to fill it with thousands of them.
pub const READ_HALVED_MAX: u8 = 5;

/// How long the collector may take, in one turn of its loop, what boxes send that have more than
/// their share of a turn.
pub const READ_MS: u64 = 3;

/// How long the collector may take, in one turn of its loop, to do what is due, of which each may
/// wait for the disk.
pub const DUE_MS: u64 = 10;

/// How long the server may send, in one turn of its loop, to clients that take more than one chunk.
pub const SEND_MS: u64 = 3;

// The server's search for files.

/// Most rotated files of one log that are looked at at once; the others come into sight when the
/// oldest of them are sent. Hourly ones of six weeks, and some 250 KiB while they are searched.
pub const CANDIDATES_MAX: usize = 1_000;

/// Looks at the rotated files of a log until two agree; a rotator has renamed its files long before
/// that.
pub const LOOKS_MAX: usize = 8;

/// Steps of a walk through directories that are taken at once, each at most two system calls.
pub const WALKED_AT_ONCE: usize = 14;

/// How long a server may search for files in one turn of its loop.
pub const SEARCH_MS: u64 = 2;

/// Files that are kept for the clients of one address as what searches have found for generations
/// to come, each some 250 bytes; as many as two logs may have. Who has none kept has his found anew
/// for each generation.
pub const PLANS_MAX: usize = 2 * CANDIDATES_MAX;

/// How long they may have been of no use before another client of the address may have their room.
pub const PLAN_KEPT_MS: u64 = 1_000;

/// How long the server may search and compute together in one turn of its loop. The part that is
/// under way then is finished, and others wait for a line that much longer.
pub const WORK_MS: u64 = 3;

/// Generations of one log of which the server's journal keeps a record.
pub const RECORDS_MAX: usize = 8;

/// Rotated files of one log from before that of which the journal remembers that they were there.
/// Of more nothing is known.
pub const ELDERS_MAX: usize = 128;

/// Files of a series that may be written again in turn, as a ring of names is: the newest so many
/// are remembered, 32 bytes each. A month of days.
pub const RING_MAX: usize = 48;

/// Names of a series that have come and were not seen yet.
pub const SERIES_NAMES_MAX: usize = 32;

/// Archives of which a client is told at once, oldest first: the others follow when it has these.
pub const ARCHIVES_MAX: usize = 8;

/// With `$keep_deleted` files are held for whoever was here since.
pub const KEPT_FOR_MS: u64 = 3 * 24 * 3_600 * 1_000;

/// Clients of logs that are remembered for that.
pub const KEPT_FOR_CLIENTS_MAX: usize = 64;

/// Files without a name are given up where less than this part of a file system is free.
pub const KEPT_FREE_PARTS: u64 = 10;

/// Between two looks at what is to be held.
pub const KEEP_BETWEEN_MS: u64 = 1_000;

/// Generations that a session remembers as given, so that none is sent twice.
pub const SESSION_GIVEN_MAX: usize = 8;
/// Tries after which a rotated file that cannot be read is left out; it must not keep those after
/// it away for ever.
pub const UNREADABLE_TRIES: u8 = 4;

/// Tries within this time are one.
pub const UNREADABLE_TRY_MS: u64 = 1_000;

/// Rotated files that cannot be read which the server remembers, over all logs.
pub const FAILURES_MAX: usize = 16;

/// Files left out of which the server remembers that it has said so in its log.
pub const LEFT_OUT_MAX: usize = 32;

/// Files left out that one client is told of on one connection.
pub const NOTES_MAX: usize = 17;

/// Generations whose last write the server remembers, over all files.
pub const SIGHTINGS_MAX: usize = 64;

/// Clients remembered as dropped because of a truncation.
pub const TRUNCATIONS_MAX: usize = 32;

const _: () = assert!(LOOKS_MAX >= 2);
const _: () = assert!(0 < SEARCH_MS && SEARCH_MS < WORK_MS && WORK_MS + SEND_MS < 10);

// The server's files on their way.

/// Generations of one file that are watched for late writers, the live one included.
pub const WATCHES_PER_FILE_MAX: usize = 4;

/// How often a server looks anew at files that are renamed while it looks, before it gives up to
/// find out which of them came when.
pub const LISTENS_MAX: usize = 8;

/// How long a rotated file is drained while somebody goes on writing to it, unless `$grace` is
/// longer: a writer that never opens the new file must not keep it away for ever.
pub const DRAIN_MAX_MS: u64 = 600_000;

/// Bytes that a client may lack while the digest is taken in passing. What a larger backlog brings
/// is digested when there is nothing to send: the digest costs more than all the rest.
pub const DIGESTED_AT_ONCE_LEN: u64 = 1024 * 1024;

/// Bytes at the start and at the end of what was sent that are kept to know it again: of lines of
/// a log that many tell one file from another.
pub const GUARD_LEN: usize = 64;

// The collector's local files.

/// Longest pointer record, newline included: one write that a file system keeps whole.
pub const POINTER_MAX_LEN: usize = 256;

/// Longest name of a local or pointer file, without its directory: file systems end at 255, and the
/// stamps of rotated and rescued copies and `.tmp` are put behind it.
pub const LOCAL_NAME_MAX_LEN: usize = 200;

/// Bytes that are inflated at once, before others have their turn.
pub const INFLATED_AT_ONCE: usize = 512 << 10;

/// Bytes that any archive may become: some logs are a line that comes again and again, and little
/// is filled by that.
pub const INFLATED_UNSUSPECTED: u64 = 256 << 20;

/// How many bytes of more than that may come of one: gzip makes at most 1030 of it, of a log seldom
/// 100.
pub const INFLATED_RATIO_MAX: u64 = 500;

/// Bytes that no archive may become: no box of those that compress their logs has as many.
pub const INFLATED_MAX: u64 = 1 << 40;

/// Longest path of a local or pointer file: the kernel ends at 4096, and the endings that are put
/// behind a name have to fit.
pub const LOCAL_PATH_MAX_LEN: usize = 4000;

/// Names that the rotated copies of one second can have.
pub const SUFFIX_ATTEMPTS_MAX: u16 = 1_000;

/// Bytes of the record of losses that are shown: about two thousand losses.
pub const GAPS_MAX_LEN: usize = 64 * 1024;

/// Bytes that come by classic before they are made durable and the pointer says so: as many are
/// asked for again after a power cut, at most.
pub const CHECKPOINT_LEN: u64 = 1024 * 1024;

/// How long fewer bytes that came by classic wait before they are made durable.
pub const CHECKPOINT_MS: u64 = 60_000;

/// Bytes before the last checkpoint that are compared as well after a restart of the log host: they
/// are good, so they show whether the server's file is ours at all.
pub const END_OVERLAP_LEN: u64 = 4096;

/// Bytes at the end of a copy that fetchlogs 1.1 left among which zeros are looked for: more than a
/// log grows in the half minute for which the system keeps what is written to itself.
pub const NEAR_END_LEN: u64 = 64 * 1024;

const _: () = assert!(LOCAL_NAME_MAX_LEN + 55 <= 255 && LOCAL_PATH_MAX_LEN + 96 <= 4096);

// The collector's connections.

/// The longest a collector waits between two tries, unless it is told to wait longer.
pub const RETRY_MAX_MS: u64 = 60_000;

/// The least a collector waits after a connection that brought something; as much again at random.
pub const RETRY_AT_ONCE_MS: u64 = 50;

/// Bytes of the file in the shortest DATA frames that a collector asks for because its link breaks,
/// unless not even four of them come through. Their headers are an eighth of that.
pub const FRAME_MIN_LEN: u32 = 128;

/// So many frames have to come through one connection before it is given up for one with longer
/// frames.
pub const FRAMES_BEFORE_MORE: u32 = 32;

/// And so many bytes: to ask again costs some hundred.
pub const GROWTH_MIN_LEN: u32 = 64 * 1024;

/// Fewest checksums of blocks that are asked for at once, however little the link brings.
pub const SUMS_MIN: usize = 12;

/// After so many silent closes in a row the collector asks with inode 0 to learn why.
pub const SILENT_CLOSES_MAX: u8 = 2;

/// After so many tries in a row that a server of 1.1 takes and does not answer, the connections of
/// its other logs are closed for a moment, which frees it.
pub const UNANSWERED_MAX: u8 = 2;

/// How often that is done for one server at most: a log that is refused for ever would have it done
/// again and again.
pub const RELIEF_EVERY_MS: u64 = 300_000;

/// How long they stay away at most. Who got no answer may have to ask five times to learn that its
/// log was truncated, while children of the server look at their connections every few seconds.
pub const RELIEF_MS: u64 = 30_000;

/// The wait between two tries of who got no answer, during that time; more where there are many.
pub const RELIEF_RETRY_MS: u64 = 500;

/// The least that a connection by classic stays closed that a signal has made anew.
pub const ANEW_MIN_MS: u64 = 1_000;

/// The time over which connections that are made anew are spread, and for each of them more: a
/// small box starts a process for each.
pub const ANEW_SPREAD_MS: u64 = 2_000;

/// What each connection that is made anew adds to the time over which they are spread.
pub const ANEW_EACH_MS: u64 = 20;

/// The most of that time: then they are the connections of many servers.
pub const ANEW_SPREAD_MAX_MS: u64 = 20_000;

/// How long a server may take for an answer about a finished copy while it sends nothing but
/// keep-alives: enough for the digest of some gigabytes on a small box. Meanwhile the log is not
/// followed.
pub const ANSWER_MAX_MS: u64 = 600_000;

/// Generations that a server may name within [`GENERATIONS_PERIOD_MS`], be there bytes between them
/// or not. Each costs some syncs, for which all other sources wait. A server with a backlog keeps
/// to it.
pub const GENERATIONS_PER_PERIOD_MAX: u16 = 128;

/// How long the generations that a server names are counted together.
pub const GENERATIONS_PERIOD_MS: u64 = 10_000;

/// Generations, notes and connections of one source in one go, before it has to keep to the pace:
/// others wait for the syncs.
pub const PACE_BURST: u64 = 128;

/// What each of them takes from a source that keeps to the pace: a server with a backlog is not
/// faster.
pub const PACE_MS: u64 = 90;

/// The same over hours: who goes on for so long that a backlog would be over is slowed down.
pub const PACE_LASTING: u64 = 2_048;

/// What each takes then: a box that never comes to an end leaves some ninety thousand files a day.
pub const PACE_LASTING_MS: u64 = 1_000;

/// Zeros that come as a hole that count as one of those: they cost the box nothing, and us the time
/// of their digest.
pub const ZEROS_LEN: u64 = 16 << 20;

/// How long a box may not have been heard when it comes back from a restart without the log that it
/// had: for so long that was a log in its memory, and then it may have been any loss.
pub const RESTART_MAX_MS: u64 = 5 * 60_000;

/// Processes that look names up at the same time.
pub const LOOKUPS_MAX: usize = 8;

/// How soon a name is looked up again at whose address nobody could be reached.
pub const LOOKUP_DOUBT_MS: u64 = 5_000;

/// How long answers about host names are gathered before the sources hear of them.
pub const LOOKUP_NEWS_MS: u64 = 50;

/// Longest host name in a configuration: the most that the domain name system can carry.
pub const HOST_NAME_MAX_LEN: usize = 253;

const _: () = assert!(GENERATIONS_PER_PERIOD_MAX > 0);
const _: () = assert!(PACE_BURST >= GENERATIONS_PER_PERIOD_MAX as u64);
const _: () = assert!(PACE_MS * GENERATIONS_PER_PERIOD_MAX as u64 <= GENERATIONS_PERIOD_MS + 2_000);

// The collector's finished copies.

/// Finished copies of one source that may wait for their check, or for the digest that it needs.
/// With more the oldest is given up.
pub const CHECKS_WAITING_MAX: usize = 128;

/// Finished copies of one source that its ledger has; the oldest is forgotten.
pub const GIVEN_KEPT_MAX: usize = 64;

/// After so long a finished copy is opened again for its check, if there was no descriptor or
/// memory for it.
pub const CHECK_AGAIN_MS: u64 = 1_000;

/// Tries to read a finished copy for its check if the disk fails, [`CHECK_AGAIN_MS`] apart.
pub const CHECK_TRIES: u8 = 8;

/// How long a heal waits for its next try if there was no room on the disk, or too little of
/// something else. Each try interrupts the log's own connection.
pub const HEAL_AGAIN_MS: u64 = 5_000;

/// The same where the source had to pause for it, because of what is to be kept free or of what it
/// may have.
pub const HEAL_ROOM_MS: u64 = 10 * 60_000;

/// Attempts to heal one copy before it is left as it is.
pub const HEAL_ATTEMPTS_MAX: u8 = 3;

/// Bytes of the smallest block that is compared by itself when a copy is healed.
pub const HEAL_BLOCK_LEN: u64 = 4096;

// All that a server names in one period may be finished at once.
const _: () = assert!(CHECKS_WAITING_MAX >= GENERATIONS_PER_PERIOD_MAX as usize);

/// From how many seconds on the clock of a box is far from the log host's. An answer may have been
/// on its way, or waited for, a part of them.
pub const BOX_CLOCK_FAR_S: u64 = 60;
