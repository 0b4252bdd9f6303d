//! The capacities and periods of what is shown to an operator: status, table, faces, `verify`, SNMP
//! and the demo.

// The collector's status files.

/// How often status files are touched: readers are promised 50 s, and a busy turn may come late.
pub const STATUS_TOUCH_MS: u64 = 45_000;

/// How long a status file that could not be written waits for the next attempt.
pub const STATUS_RETRY_MS: u64 = 5_000;

const _: () = assert!(STATUS_TOUCH_MS < 50_000 && STATUS_RETRY_MS < STATUS_TOUCH_MS);

// What the collector shows of its sources.

/// Places of sources that are gone through for one part of a face.
pub const FACE_PLACES: usize = 64;

/// Bytes of a part of a face, beyond which no further source is put into it.
pub const FACE_PART_LEN: usize = 16 * 1024;

/// Writings of the table that may follow one another quickly, and how quickly: after that, until
/// there were fewer again, the least time between two is [`TABLE_MIN_MS`].
pub const TABLE_QUICK_MAX: u64 = 4;
/// See [`TABLE_QUICK_MAX`].
pub const TABLE_QUICK_MS: u64 = 20;

/// The least time between two writings of the table. With many sources it is longer: see
/// [`TABLE_EACH_US`].
pub const TABLE_MIN_MS: u64 = 1_000;

/// What each source adds to that time, in microseconds.
pub const TABLE_EACH_US: u64 = 500;

/// How old the table may be while its collector runs: the same as for a status file.
pub const TABLE_STALE_MS: u64 = 120_000;

/// Most rows of the table of another collector that are read: it would need two descriptors for
/// each of its sources. Anybody may write a table where the directory is for everybody.
pub const TABLE_ROWS_MAX: u32 = 100_000;

/// Longest table that is read: ten thousand sources with the longest names, and more.
pub const TABLE_MAX_LEN: u64 = 64 * 1024 * 1024;

/// How often `status -w` looks.
pub const WATCH_MS: u64 = 1_000;

/// The least time between two lines about all sources for the service manager.
pub const NOTIFY_MS: u64 = 1_000;

/// How long a connection by classic has to have been without a byte to be made anew at a signal.
pub const ANEW_IDLE_MS: u64 = 60_000;

/// Connections of the control socket and of `-l` together.
pub const CONTROL_CONNECTIONS_MAX: usize = 16;

/// So many of these are for the control socket alone: whoever reaches the port of `-l` is not to
/// keep the operator out.
pub const CONTROL_LOCAL_MIN: usize = 4;

/// Connections beyond these that are told so; what comes still is closed at once.
pub const CONTROL_TURNED_AWAY: usize = 4;

/// Longest request there, with all of its head and body.
pub const CONTROL_REQUEST_MAX_LEN: usize = 4096;

/// How long a client there may take for its request, and for each part of the answer.
pub const CONTROL_WAIT_MS: u64 = 5_000;

/// How long it may take for all of that, however little it reads at once.
pub const CONTROL_TOTAL_MS: u64 = 60_000;

const _: () = assert!(STATUS_TOUCH_MS < TABLE_STALE_MS);

/// Bytes that are read of one client in one turn.
pub const CONTROL_TURN_LEN: usize = 16 * 1024;

/// Bytes that are read of a client after its answer, so that the answer reaches it.
pub const CONTROL_DRAIN_LEN: usize = 64 * 1024;

/// How long that may take.
pub const CONTROL_DRAIN_MS: u64 = 1_000;

/// Connections of `check` at the same time.
pub const CHECK_CONNECTIONS: usize = 64;

// The comparison with the server, `fetch_logs verify`.

/// Connections of `verify` at the same time, unless the command line says otherwise.
pub const VERIFY_CONNECTIONS: usize = 8;

/// Most connections that the command line of `verify` may ask for.
pub const VERIFY_CONNECTIONS_MAX: usize = 512;

/// Connections of `verify` to one server at the same time: a small box has one processor, and its
/// collector needs places too.
pub const VERIFY_PER_SERVER_MAX: usize = 4;

/// Attempts of `verify` for a copy that changes while it is compared.
pub const VERIFY_ATTEMPTS_MAX: u8 = 3;

/// The wait between two attempts of `verify` for one copy: about as long as a collector takes for a
/// rotation.
pub const VERIFY_RETRY_MS: u64 = 250;

/// How long a server that computes may be silent, twice its interval for keep-alives.
pub const VERIFY_IDLE_MS: u64 = 120_000;

/// Bytes that an answer may have beyond what was asked for, keep-alives included.
pub const VERIFY_EXTRA_MAX_LEN: u64 = 64 * 1024;

// The SNMP helper.

/// Most parts of an object identifier: SNMP's own limit.
pub const OID_PARTS_MAX: usize = 128;

/// Longest object identifier as text: a dot and at most ten digits for each part.
pub const OID_TEXT_MAX_LEN: usize = OID_PARTS_MAX * 11;

/// Longest line the SNMP helper reads; only a line with an object identifier has to fit.
pub const SNMP_LINE_MAX_LEN: usize = 1536;

/// Longest value snmpd takes from a helper; it cuts what is longer in two and reads the rest as the
/// next answer.
pub const SNMP_VALUE_MAX_LEN: usize = 4094;

/// Longest answer of the SNMP helper: the identifier's line, the type's line and the value's.
pub const SNMP_REPLY_MAX_LEN: usize = OID_TEXT_MAX_LEN + 1 + 7 + SNMP_VALUE_MAX_LEN + 1;

const _: () = assert!(SNMP_LINE_MAX_LEN > OID_TEXT_MAX_LEN + 1);

// The demo.

/// The longest the demo waits for anything; what takes longer on a host that is merely slow is
/// broken.
pub const DEMO_WAIT_MS: u64 = 8_000;

/// The longest a demo takes as a whole, waits included.
pub const DEMO_TOTAL_MS: u64 = 25_000;

/// The largest file that is shown being copied: the copy has to fit beside everything else, often
/// into memory.
pub const DEMO_FILE_MAX_LEN: u64 = 64 * 1024 * 1024;

const _: () = assert!(DEMO_WAIT_MS < DEMO_TOTAL_MS);
