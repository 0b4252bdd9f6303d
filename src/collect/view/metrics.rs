//! Metrics in the text format of Prometheus.

use std::fmt::{self, Write};

use super::summary::Summary;
use crate::wire::escape::{Escaped, OneLine};
use crate::wire::table::{Collector, Row, State};

/// One metric of every source.
pub struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// No sample where there is no value.
    value: fn(&Row<'_>) -> Option<u64>,
}

/// All samples of a family have to stand together, so the sources are gone through once for each.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "source_following",
        kind: "gauge",
        help: "1 if the log is followed, else 0.",
        value: |row| Some((row.state == State::Following).into()),
    },
    Family {
        name: "source_error",
        kind: "gauge",
        help: "1 if the source is in error, else 0.",
        value: |row| Some((row.state == State::Error).into()),
    },
    Family {
        name: "source_state_since_timestamp_seconds",
        kind: "gauge",
        help: "When the source came into its state.",
        value: |row| row.since,
    },
    Family {
        name: "source_held_bytes",
        kind: "gauge",
        help: "Size of the local copy.",
        value: |row| Some(row.held),
    },
    Family {
        name: "source_behind_bytes",
        kind: "gauge",
        help: "Bytes that the box has and that are not here, where it told.",
        value: |row| row.behind,
    },
    Family {
        name: "source_last_byte_timestamp_seconds",
        kind: "gauge",
        help: "When a byte of the log came last.",
        value: |row| row.last_byte,
    },
    Family {
        name: "source_last_contact_timestamp_seconds",
        kind: "gauge",
        help: "When anything was heard of the server last.",
        value: |row| row.last_contact,
    },
    Family {
        name: "source_losses",
        kind: "gauge",
        help: "Losses and differences on record.",
        value: |row| Some(row.losses.into()),
    },
    Family {
        name: "source_unverified_copies",
        kind: "gauge",
        help: "Finished copies still to be compared with the files of the server.",
        value: |row| Some(row.unverified.into()),
    },
    Family {
        name: "source_paused",
        kind: "gauge",
        help: "1 while it waits for room on the log host, else 0.",
        value: |row| Some(row.is_paused.into()),
    },
    Family {
        name: "source_hooks_waiting",
        kind: "gauge",
        help: "Events that wait for the hook.",
        value: |row| Some(row.hooks_waiting.into()),
    },
    Family {
        name: "source_rotations_total",
        kind: "counter",
        help: "Generations that were finished.",
        value: |row| Some(row.rotations.into()),
    },
    Family {
        name: "source_healed_total",
        kind: "counter",
        help: "Finished copies that were healed.",
        value: |row| Some(row.healed.into()),
    },
    Family {
        name: "source_connections_total",
        kind: "counter",
        help: "Connections that came about.",
        value: |row| Some(row.connections.into()),
    },
    Family {
        name: "source_received_bytes_total",
        kind: "counter",
        help: "Bytes of the log that came.",
        value: |row| Some(row.bytes),
    },
];

impl Family {
    /// Writes what stands before its samples.
    pub fn write_head(&self, out: &mut impl Write) -> fmt::Result {
        write_head(self.name, self.kind, self.help, out)
    }

    /// Writes the sample of one source.
    pub fn write_sample(&self, row: &Row<'_>, out: &mut impl Write) -> fmt::Result {
        let Some(value) = (self.value)(row) else {
            return Ok(());
        };
        writeln!(
            out,
            "{PREFIX}{}{{box={},log={},copy={}}} {value}",
            self.name,
            Label(OneLine(&row.server)),
            Label(Escaped(&row.remote)),
            Label(Escaped(&row.local)),
        )
    }
}

/// Writes what there is of the collector as a whole, at `now`.
pub fn write_about(
    summary: &Summary,
    collector: &Collector<'_>,
    now: u64,
    out: &mut impl Write,
) -> fmt::Result {
    write_head("build_info", "gauge", "1, with the version.", out)?;
    let version = Label(OneLine(&collector.version));
    writeln!(out, "{PREFIX}build_info{{version={version}}} 1")?;
    let since = "start_time_seconds";
    write_head(since, "gauge", "When the collector began to run.", out)?;
    writeln!(out, "{PREFIX}{since} {}", collector.since)?;
    let written = "written_timestamp_seconds";
    write_head(written, "gauge", "When these numbers were made.", out)?;
    writeln!(out, "{PREFIX}{written} {now}")?;
    write_head("servers", "gauge", "Servers in the configuration.", out)?;
    writeln!(out, "{PREFIX}servers {}", summary.servers)?;
    write_head("sources", "gauge", "Sources in each state.", out)?;
    let states = [
        (State::Following, summary.following),
        (State::Connecting, summary.connecting()),
        (State::Error, summary.errors),
    ];
    for (state, count) in states {
        writeln!(out, "{PREFIX}sources{{state=\"{}\"}} {count}", state.word())?;
    }
    let flawed = "sources_with_losses";
    write_head(flawed, "gauge", "Sources with losses on record.", out)?;
    writeln!(out, "{PREFIX}{flawed} {}", summary.flawed)?;
    let faulty = "configuration_faulty";
    let help = "1 if not all of the configuration is in force, else 0.";
    write_head(faulty, "gauge", help, out)?;
    writeln!(out, "{PREFIX}{faulty} {}", u8::from(collector.is_faulty))?;
    let left = "hooks_left_total";
    let help = "Events that were left: the hook failed for them, or too many waited.";
    write_head(left, "counter", help, out)?;
    writeln!(out, "{PREFIX}{left} {}", collector.hooks_left)
}

const PREFIX: &str = "fetchlogs_";

fn write_head(name: &str, kind: &str, help: &str, out: &mut impl Write) -> fmt::Result {
    writeln!(
        out,
        "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}"
    )
}

/// A label's value: quoted, with what has a meaning in it escaped.
struct Label<T>(T);

impl<T: fmt::Display> fmt::Display for Label<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Labelling(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Labelling<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Labelling<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(self.0, "\\{c}"),
            '\n' => self.0.write_str("\\n"),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_quoted() {
        for (text, label) in [("a", "\"a\""), ("\"\\\n", "\"\\\"\\\\\\n\"")] {
            assert_eq!(Label(text).to_string(), label);
        }
    }

    #[test]
    fn names_are_as_the_format_wants_them() {
        for family in FAMILIES {
            let is_counter = family.kind == "counter";
            assert_eq!(
                family.name.ends_with("_total"),
                is_counter,
                "{}",
                family.name
            );
            assert!(family.help.ends_with('.'));
        }
    }
}
