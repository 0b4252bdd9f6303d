//! The limits in the papers are the ones in force.

use fetchlogs::limits::*;
use fetchlogs::wire::{frame, proof};

use super::{COLLECTOR, PROTOCOL, SERVER, SOURCES, section};

#[test]
fn those_of_version_2() {
    let data_max = frame::PAYLOAD_MAX - frame::DATA_OFFSET_LEN;
    let sums_max = 16 + 4 * frame::SUMS_MAX;
    for row in [
        format!(
            "| request line; time for it | {REQUEST_MAX_LEN} bytes; {} s | closed, with a message |",
            REQUEST_TIMEOUT_MS / 1_000
        ),
        format!("| answer line | {REPLY_MAX_LEN} bytes |"),
        format!(
            "| blocks in a proof; bytes of one | {}; {} |",
            proof::BLOCKS_MAX,
            proof::BLOCK_LEN_MAX
        ),
        format!(
            "| file bytes in a DATA frame; bytes of other frames, of SUMS | {data_max}; {}, {sums_max} | connection \
             given up. Our server sends at most {} |",
            frame::SMALL_MAX,
            frame::DATA_MAX
        ),
        format!(
            "| generations over one connection in {} s | {GENERATIONS_PER_PERIOD_MAX} |",
            GENERATIONS_PERIOD_MS / 1_000,
        ),
        format!(
            "| generations, notes and connections of one source in one go; one each, then; in hours; one each, then | \
             {PACE_BURST}; {PACE_MS} ms; {PACE_LASTING}; {} s | they wait, and what comes behind them; other sources do \
             not |",
            PACE_LASTING_MS / 1_000
        ),
        format!(
            "| an answer about a finished copy with nothing but keep-alives | {} min |",
            ANSWER_MAX_MS / 60_000
        ),
        format!(
            "| wait after a good connection | {RETRY_AT_ONCE_MS} to {} ms |",
            2 * RETRY_AT_ONCE_MS
        ),
        format!("| silent closes before the probe | {SILENT_CLOSES_MAX} |"),
        format!(
            "| tries in a row without an answer before a server of 1.1 is freed; how often that is done; how long the \
             others stay away | {UNANSWERED_MAX}; once in {} min; {} s |",
            RELIEF_EVERY_MS / 60_000,
            RELIEF_MS / 1_000
        ),
        format!("told in a request | {GIVEN_KEPT_MAX}; 24 |"),
    ] {
        assert!(section(PROTOCOL, "## Limits").contains(&row), "{row}");
    }
}

#[test]
fn those_that_somebody_who_changes_the_code_meets() {
    for row in [
        format!(
            "| files that cannot be read, and files left out, which the server remembers | {FAILURES_MAX}; \
             {LEFT_OUT_MAX} |"
        ),
        format!("| looks at them until two agree | {LOOKS_MAX} |"),
        format!(
            "| bytes for one peer in a turn: server, a frame counting as 1 KiB at least; collector | {} KiB; {} KiB |",
            CHUNK_LEN / 1024,
            TURN_BYTES_MAX / 1024
        ),
        format!(
            "| searches of all clients in a turn; with digests and checksums | {SEARCH_MS} ms; {WORK_MS} ms |"
        ),
        format!("| sending in a turn to all who take more than 64 KiB | {SEND_MS} ms |"),
        format!("| deadlines in a turn of the server | {DEADLINES_MS} ms |"),
        format!("| connections accepted in a turn | {ACCEPTED_AT_ONCE} |"),
        format!(
            "| bytes of a range in a frame of our server | {} KiB |",
            RANGE_FRAME_LEN / 1024
        ),
        format!(
            "| unsent bytes of one client in the kernel | {} KiB |",
            UNSENT_MAX / 1024
        ),
        format!(
            "| bytes by classic between two syncs; time | {} MiB; {} s |",
            CHECKPOINT_LEN >> 20,
            CHECKPOINT_MS / 1_000
        ),
        format!(
            "| bytes before a checkpoint that are compared after a power cut | {END_OVERLAP_LEN} |"
        ),
        format!("| generations whose last write the server remembers | {SIGHTINGS_MAX} |"),
        format!("| clients remembered as dropped by a truncation | {TRUNCATIONS_MAX} |"),
        format!("| watches on generations of one file | {WATCHES_PER_FILE_MAX} |"),
    ] {
        assert!(section(SOURCES, "## Limits").contains(&row), "{row}");
    }
}

#[test]
fn those_that_an_operator_of_the_collector_meets() {
    assert_items(
        COLLECTOR,
        &[
            (
                "finished copies that wait to be verified, for one source",
                format!("{CHECKS_WAITING_MAX}: the oldest is not verified."),
            ),
            (
                "attempts to heal a copy",
                format!("{HEAL_ATTEMPTS_MAX}: it differs."),
            ),
            (
                "tries to read a finished copy that the disk fails to read",
                format!(
                    "{CHECK_TRIES}, {} s apart: it differs.",
                    CHECK_AGAIN_MS / 1_000
                ),
            ),
            (
                "no room to heal a finished copy",
                format!("In error, again after {} s.", HEAL_AGAIN_MS / 1_000),
            ),
            (
                "answer about a finished copy with nothing but keep-alives",
                format!("{} min: given up.", ANSWER_MAX_MS / 60_000),
            ),
            (
                "record of losses to which files left out are added",
                format!("{} KiB: told, not added.", GAPS_MAX_LEN / 1024),
            ),
            (
                "generations over one connection in 10 s",
                format!("{GENERATIONS_PER_PERIOD_MAX}: connection given up."),
            ),
            (
                "generations of one source in one go; then",
                format!("{PACE_BURST}; one each {PACE_MS} ms: they wait."),
            ),
            (
                "generations of one source in hours; then",
                format!("{PACE_LASTING}; one a second: they wait."),
            ),
            (
                "zeros that a box sends as a hole",
                format!("{} MiB: count as a generation.", ZEROS_LEN >> 20),
            ),
            (
                "events of one box in a minute that it brings about at will",
                format!("{BOX_EVENTS_MAX}, and {SOURCE_EVENTS_MAX} for each log: counted."),
            ),
            (
                "wait between two tries",
                format!("{} s, or retry.", RETRY_MAX_MS / 1_000),
            ),
            (
                "rotated names tried within one second",
                format!("{SUFFIX_ATTEMPTS_MAX}: in error."),
            ),
            (
                "name of a local or pointer file",
                format!("{LOCAL_NAME_MAX_LEN} bytes: fault in conf."),
            ),
            (
                "path of a local or pointer file",
                format!("{LOCAL_PATH_MAX_LEN} bytes: fault in conf."),
            ),
            (
                "path of a log on the box",
                format!("{PATH_MAX_LEN} bytes: fault in conf."),
            ),
            (
                "host name",
                format!("{HOST_NAME_MAX_LEN} bytes: fault in conf."),
            ),
            (
                "processes that look names up",
                format!("{LOOKUPS_MAX}: the names share them."),
            ),
            (
                "faults of one configuration that are told",
                format!("{CONFIG_ERRORS_MAX}."),
            ),
            (
                "status file written again after a failure",
                format!("{} s.", STATUS_RETRY_MS / 1_000),
            ),
            (
                "bytes of a source between two looks at the free room",
                format!(
                    "{} KiB to {} MiB.",
                    ROOM_LOOK_LEN / 1024,
                    ROOM_LOOK_LEN_MAX >> 20
                ),
            ),
            (
                "looks of a source that pauses",
                format!(
                    "{} s; for max= {} s.",
                    ROOM_LOOK_MS / 1_000,
                    ROOM_SCAN_MS / 1_000
                ),
            ),
            (
                "verify: attempts for a copy; wait between them",
                format!("{VERIFY_ATTEMPTS_MAX}; {VERIFY_RETRY_MS} ms: the last counts."),
            ),
            (
                "verify: silence while the server computes",
                format!("{} s: unreachable.", VERIFY_IDLE_MS / 1_000),
            ),
        ],
    );
}

#[test]
fn those_that_an_operator_of_the_server_meets() {
    assert_items(
        SERVER,
        &[
            (
                "path of a log",
                format!("{PATH_MAX_LEN} bytes: fault in the configuration."),
            ),
            (
                "globs of one log",
                format!(
                    "{GLOB_TEXT_MAX_LEN} bytes, {GLOB_PATTERNS_MAX} patterns: fault in the configuration."
                ),
            ),
            (
                "path that a glob finds",
                format!("{GLOB_PATH_MAX_LEN} bytes: not looked at."),
            ),
            (
                "rotated files of one log",
                format!("{CANDIDATES_MAX}: oldest unsent ones first."),
            ),
            (
                "directory entries met by the globs of one log",
                format!("{GLOB_ENTRIES_MAX}: the rest is not looked at."),
            ),
            (
                "names of directories that a glob has still to enter",
                format!(
                    "{} KiB: the rest is not looked at.",
                    GLOB_WAITING_LEN / 1024
                ),
            ),
            (
                "tries to read a rotated file; time",
                format!("{UNREADABLE_TRIES}; six times $grace: left out, again after 1 h."),
            ),
            (
                "time for which a rotated file is drained",
                format!(
                    "{} min, or $grace: its writer is left behind.",
                    DRAIN_MAX_MS / 60_000
                ),
            ),
            (
                "request line; time for it",
                format!(
                    "{REQUEST_MAX_LEN} bytes; {} s: closed.",
                    REQUEST_TIMEOUT_MS / 1_000
                ),
            ),
            (
                "clients beyond the most that are told so; time for their request",
                format!(
                    "{TURNED_AWAY_MAX}; {} s: closed.",
                    TURNED_AWAY_TIMEOUT_MS / 1_000
                ),
            ),
            (
                "of those, questions about copies that are answered",
                format!("{QUESTIONS_MAX}: told that there is no place."),
            ),
            (
                "watches on generations of one file",
                format!("{WATCHES_PER_FILE_MAX}: looked at every $delay_check."),
            ),
            (
                "no descriptor or memory for a connection",
                format!("Accepting pauses for {} s.", ACCEPT_PAUSE_MS / 1_000),
            ),
            (
                "messages about one address in a minute",
                format!("{PEER_LINES_MAX}: counted."),
            ),
        ],
    );
}

/// Sees that a manual page has these items with these texts.
fn assert_items(page: &str, items: &[(&str, String)]) {
    for (what, then) in items {
        let item = format!("\n.It {what}\n{then}\n");
        assert!(page.contains(&item), "{item}");
    }
}
