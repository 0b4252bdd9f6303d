//! The numbers of servers and sources, from the collector's table. Pure.
//!
//! They hang below `BASE.1000`, which no address can be: scalars, a table of servers and one of
//! sources, as `FETCHLOGS-MIB` describes them. A row's index comes from the name of its server or
//! of its local copy, so it stays the same whatever else is configured.

use std::fmt::{self, Write};

use super::oid::Suffix;
use super::value::{Value, printable};
use crate::time::Wall;
use crate::wire::crc32::Crc32;
use crate::wire::escape::Escaped;
use crate::wire::table::{self, Row, State};

/// The tables, as they are asked for number by number.
#[derive(Debug)]
pub struct Numbers {
    /// When one of them was written or touched last.
    written: Wall,
    servers: Vec<Entry>,
    sources: Vec<Entry>,
}

/// One row: a server or a source.
#[derive(Debug)]
struct Entry {
    index: u32,
    /// When its table was written or touched.
    written: Wall,
    server: Box<str>,
    /// Of a source.
    files: Option<Files>,
    state: State,
    last_contact: Option<u64>,
    behind: Option<u64>,
    losses: u32,
    unverified: u32,
    rotations: u32,
    bytes: u64,
    sources: u32,
    errors: u32,
}

/// A log and its local copy.
type Files = (Box<[u8]>, Box<[u8]>);

/// A value in the agent's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Number<'a> {
    Integer(u32),
    Gauge(u32),
    Counter(u32),
    Counter64(u64),
    Text(&'a [u8]),
}

/// The part behind the base under which all of this hangs.
pub const ROOT: u32 = 1000;

/// Behind that: the objects, and of them the scalars and the two tables.
const OBJECTS: u32 = 1;
const SCALARS: u32 = 1;
const SERVERS: u32 = 2;
const SOURCES: u32 = 3;
/// A table has rows and nothing else.
const ENTRY: u32 = 1;

const SCALARS_MAX: u32 = 6;
/// The columns of the two tables begin with 2, behind the index that nobody asks for.
const FIRST_COLUMN: u32 = 2;
const LAST_COLUMN: u32 = 11;

/// The value of a state that nobody keeps up to date.
const STALE: u32 = 4;

impl Numbers {
    /// Reads the tables of all collectors, and when each was written. `None` if there is none that
    /// is one, and whole.
    pub fn parse(tables: &[(String, Wall)]) -> Option<Numbers> {
        let (mut servers, mut sources) = (Vec::<Entry>::new(), Vec::new());
        let mut newest = None;
        for (text, written) in tables {
            let Some((rows, _)) = table::read(text) else {
                continue;
            };
            newest = newest.max(Some(*written));
            for row in rows {
                servers.push(Entry::of(&row, *written, false));
                sources.push(Entry::of(&row, *written, true));
            }
        }
        merge(&mut servers);
        give_indices(&mut servers);
        give_indices(&mut sources);
        Some(Numbers {
            written: newest?,
            servers,
            sources,
        })
    }

    /// The type and the value of what hangs at `suffix` behind the base.
    pub fn get(&self, suffix: &[u32], now: Wall, stale_ms: u64) -> Option<(&'static str, Value)> {
        let number = match suffix {
            [ROOT, OBJECTS, SCALARS, scalar, 0] => self.scalar(*scalar, now, stale_ms)?,
            [ROOT, OBJECTS, table, ENTRY, column, index] => {
                let entries = self.table(*table)?;
                let at = entries.binary_search_by_key(index, |entry| entry.index);
                self.column(*column, entries.get(at.ok()?)?, now, stale_ms)?
            }
            _ => return None,
        };
        Some(number.told())
    }

    /// The first that hangs behind `after`, and there is a value for it.
    pub fn next(&self, after: &[u32], now: Wall) -> Option<Suffix> {
        for scalar in 1..=SCALARS_MAX {
            let suffix = [ROOT, OBJECTS, SCALARS, scalar, 0];
            if suffix.as_slice() > after && self.scalar(scalar, now, u64::MAX).is_some() {
                return Suffix::from_slice(&suffix).ok();
            }
        }
        for table in [SERVERS, SOURCES] {
            for column in FIRST_COLUMN..=LAST_COLUMN {
                let head = [ROOT, OBJECTS, table, ENTRY, column];
                if after.get(..head.len()).unwrap_or(after) > &head[..] {
                    continue;
                }
                // Behind which index to look, if the column is the one that was asked for.
                let behind = after.strip_prefix(&head[..]).and_then(|rest| rest.first());
                let entries = self.table(table)?;
                let start = behind.map_or(0, |index| {
                    entries.partition_point(|entry| entry.index <= *index)
                });
                let found = entries[start..]
                    .iter()
                    .find(|entry| self.column(column, entry, now, u64::MAX).is_some());
                if let Some(entry) = found {
                    let mut suffix = Suffix::from_slice(&head).ok()?;
                    suffix.push(entry.index).ok()?;
                    return Some(suffix);
                }
            }
        }
        None
    }

    fn table(&self, table: u32) -> Option<&[Entry]> {
        match table {
            SERVERS => Some(&self.servers),
            SOURCES => Some(&self.sources),
            _ => None,
        }
    }

    fn scalar(&self, scalar: u32, now: Wall, stale_ms: u64) -> Option<Number<'static>> {
        let count = |is: &dyn Fn(&Entry) -> bool| {
            Number::Gauge(self.sources.iter().filter(|entry| is(entry)).count() as u32)
        };
        Some(match scalar {
            1 => Number::Gauge(age_secs(self.written.secs(), now)),
            2 => Number::Gauge(self.servers.len() as u32),
            3 => Number::Gauge(self.sources.len() as u32),
            4 => count(&|entry| entry.state == State::Following && !entry.is_stale(now, stale_ms)),
            5 => count(&|entry| entry.is_error(now, stale_ms)),
            6 => count(&|entry| entry.losses > 0),
            _ => return None,
        })
    }

    fn column<'a>(
        &self,
        column: u32,
        entry: &'a Entry,
        now: Wall,
        stale_ms: u64,
    ) -> Option<Number<'a>> {
        let is_stale = entry.is_stale(now, stale_ms);
        let errors = || {
            let is_it =
                |source: &&Entry| source.server == entry.server && source.is_error(now, stale_ms);
            self.sources.iter().filter(is_it).count() as u32
        };
        let state = match is_stale {
            true => STALE,
            false => entry.state.number(),
        };
        Some(match (column, &entry.files) {
            (2, _) => Number::Text(entry.server.as_bytes()),
            (3, Some((remote, _))) => Number::Text(remote),
            (4, Some((_, local))) => Number::Text(local),
            (3, None) => Number::Gauge(entry.sources),
            (4, None) if is_stale => Number::Gauge(errors()),
            (4, None) => Number::Gauge(entry.errors),
            (5, _) => Number::Integer(state),
            (6, _) => Number::Gauge(age_secs(entry.last_contact?, now)),
            (7, _) => Number::Counter64(entry.behind?),
            (8, _) => Number::Gauge(entry.losses),
            (9, _) => Number::Gauge(entry.unverified),
            (10, _) => Number::Counter(entry.rotations),
            (11, _) => Number::Counter64(entry.bytes),
            _ => return None,
        })
    }
}

fn age_secs(then: u64, now: Wall) -> u32 {
    u32::try_from(now.secs().saturating_sub(then)).unwrap_or(u32::MAX)
}

impl Entry {
    fn of(row: &Row<'_>, written: Wall, is_source: bool) -> Entry {
        let server: Box<str> = row.server.as_ref().into();
        let key = match is_source {
            true => &*row.local,
            false => row.server.as_bytes(),
        };
        let mut sum = Crc32::new();
        sum.update(key);
        Entry {
            index: sum.finish().max(1),
            written,
            server,
            files: is_source.then(|| ((*row.remote).into(), (*row.local).into())),
            state: row.state,
            last_contact: row.last_contact,
            behind: row.behind,
            losses: row.losses,
            unverified: row.unverified,
            rotations: row.rotations,
            bytes: row.bytes,
            sources: 1,
            errors: u32::from(row.state == State::Error),
        }
    }

    /// Whether nobody keeps it up to date.
    fn is_stale(&self, now: Wall, stale_ms: u64) -> bool {
        now.ms().saturating_sub(self.written.ms()) > stale_ms
    }

    /// Whether it is in error, or nothing is known of it.
    fn is_error(&self, now: Wall, stale_ms: u64) -> bool {
        self.state == State::Error || self.is_stale(now, stale_ms)
    }

    /// Adds another source of the same server.
    fn add(&mut self, other: &Entry) {
        // The worst of them is that of the server; an error is the least.
        self.state = self.state.min(other.state);
        self.written = self.written.min(other.written);
        self.last_contact = self.last_contact.max(other.last_contact);
        self.behind = match (self.behind, other.behind) {
            (Some(own), Some(other)) => Some(own.saturating_add(other)),
            (own, other) => own.or(other),
        };
        self.losses = self.losses.saturating_add(other.losses);
        self.unverified = self.unverified.saturating_add(other.unverified);
        self.rotations = self.rotations.wrapping_add(other.rotations);
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.sources += other.sources;
        self.errors += other.errors;
    }
}

/// Makes one of all entries of a server.
fn merge(servers: &mut Vec<Entry>) {
    servers.sort_by(|a, b| a.server.cmp(&b.server));
    servers.dedup_by(|next, first| {
        let is_same = next.server == first.server;
        if is_same {
            first.add(next);
        }
        is_same
    });
}

/// Sorts by index, and gives those with the same sum the next ones.
fn give_indices(entries: &mut [Entry]) {
    let key = |entry: &Entry| entry.files.as_ref().map(|(_, local)| local.clone());
    entries.sort_by(|a, b| (a.index, &a.server, key(a)).cmp(&(b.index, &b.server, key(b))));
    let mut last = 0;
    for entry in entries {
        entry.index = entry.index.max(last + 1);
        last = entry.index.min(u32::MAX - 1);
    }
}

impl Number<'_> {
    fn told(self) -> (&'static str, Value) {
        let kind = match self {
            Number::Integer(_) => "integer",
            Number::Gauge(_) => "gauge",
            Number::Counter(_) => "counter",
            Number::Counter64(_) => "counter64",
            Number::Text(_) => "string",
        };
        let mut text = Limited(Value::new());
        // What is longer than a value may be is cut.
        let _ = match self {
            Number::Integer(number) | Number::Gauge(number) | Number::Counter(number) => {
                write!(text, "{number}")
            }
            Number::Counter64(number) => write!(text, "{number}"),
            Number::Text(bytes) => write!(text, "{}", Escaped(bytes)),
        };
        (kind, printable(&text.0))
    }
}

struct Limited(Value);

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.0.capacity() - self.0.len();
        let part = text.as_bytes().get(..room).unwrap_or(text.as_bytes());
        self.0.extend_from_slice(part).map_err(|_| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, written: Wall) -> Option<Numbers> {
        Numbers::parse(&[(text.to_owned(), written)])
    }
    use crate::wire::table::{Collector, write_header};

    const NOW: Wall = Wall::from_ms(1_700_000_000_000);

    fn row(server: &str, name: &str, state: State) -> Row<'static> {
        Row {
            server: server.to_owned().into(),
            remote: format!("/var/log/{name}").into_bytes().into(),
            local: format!("/c/{server}-{name}").into_bytes().into(),
            state,
            since: None,
            held: 1,
            behind: (name == "m").then_some(5),
            last_byte: None,
            last_contact: (state == State::Following).then_some(NOW.secs() - 7),
            next_try: None,
            losses: 1,
            unverified: 2,
            hooks_waiting: 0,
            is_paused: false,
            why: "".into(),
            rotations: 3,
            healed: 0,
            connections: 0,
            bytes: 1 << 40,
            address: "".into(),
        }
    }

    fn table(rows: &[Row<'_>]) -> String {
        let mut text = String::new();
        write_header(&mut text).unwrap();
        rows.iter().for_each(|row| row.write(&mut text).unwrap());
        let end = Collector {
            since: 1,
            until: None,
            version: "2".into(),
            is_faulty: false,
            hooks_left: 0,
        };
        end.write(&mut text).unwrap();
        text
    }

    fn numbers() -> Numbers {
        let rows = [
            row("10.0.0.1", "m", State::Following),
            row("10.0.0.1", "n", State::Error),
            row("router5", "m\n\x07", State::Following),
        ];
        parse(&table(&rows), NOW).unwrap()
    }

    fn told(numbers: &Numbers, suffix: &[u32]) -> Option<String> {
        let (kind, value) = numbers.get(suffix, NOW, 120_000)?;
        Some(format!(
            "{kind} {}",
            String::from_utf8(value.to_vec()).unwrap()
        ))
    }

    /// The whole walk, from before the first to the end.
    fn walk(numbers: &Numbers) -> Vec<(Suffix, String)> {
        let (mut found, mut at) = (Vec::new(), Suffix::new());
        while let Some(next) = numbers.next(&at, NOW) {
            assert!(next > at, "the walk must rise: {at:?} {next:?}");
            found.push((next.clone(), told(numbers, &next).unwrap()));
            at = next;
        }
        found
    }

    #[test]
    fn a_walk_shows_all_there_is() {
        let walk = walk(&numbers());
        let values: Vec<&str> = walk.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values[..6],
            [
                "gauge 0", "gauge 2", "gauge 3", "gauge 2", "gauge 1", "gauge 3"
            ]
        );
        // Ten columns of two servers; nine of three sources, of which one was never in contact and
        // two do not know how much is missing.
        assert_eq!(values.len(), 6 + 20 - 1 + 30 - 1 - 2);
        let strings: Vec<&&str> = values
            .iter()
            .filter(|it| it.starts_with("string"))
            .collect();
        assert_eq!(strings.len(), 2 + 9);
        assert!(values.contains(&"string /var/log/m\\x0a\\x07"));
        assert!(
            values.contains(&"counter64 2199023255552"),
            "the sum of a server"
        );
        assert!(
            values.contains(&"gauge 7"),
            "seconds since the last contact"
        );
    }

    #[test]
    fn the_state_of_a_server_is_that_of_the_worst() {
        let numbers = numbers();
        let state = |entry: &Entry| told(&numbers, &[ROOT, 1, SERVERS, 1, 5, entry.index]);
        let states: Vec<_> = numbers
            .servers
            .iter()
            .map(|it| (&*it.server, state(it)))
            .collect();
        for (server, state) in states {
            let number = if server == "router5" { 1 } else { 3 };
            assert_eq!(state, Some(format!("integer {number}")), "{server}");
        }
    }

    #[test]
    fn what_nobody_keeps_up_to_date_is_stale() {
        let numbers = numbers();
        let index = numbers.sources[0].index;
        let late = Wall::from_ms(NOW.ms() + 120_001);
        let (_, value) = numbers
            .get(&[ROOT, 1, SOURCES, 1, 5, index], late, 120_000)
            .unwrap();
        assert_eq!(value, *b"4");
        // None is followed, and all three are in error, as a check of that number has it.
        let sums = [4, 5].map(|scalar| {
            let (_, value) = numbers
                .get(&[ROOT, 1, SCALARS, scalar, 0], late, 120_000)
                .unwrap();
            value.to_vec()
        });
        assert_eq!(sums, [b"0".to_vec(), b"3".to_vec()]);
    }

    #[test]
    fn an_index_stays_whatever_else_is_there() {
        let alone = parse(&table(&[row("router5", "m", State::Following)]), NOW).unwrap();
        let among = [
            row("10.0.0.1", "m", State::Following),
            row("router5", "m", State::Error),
        ];
        let among = parse(&table(&among), NOW).unwrap();
        let index = alone.sources[0].index;
        assert!(
            among
                .sources
                .iter()
                .any(|entry| entry.index == index && &*entry.server == "router5")
        );
    }

    #[test]
    fn between_two_that_exist_lies_the_next() {
        let numbers = numbers();
        let all = walk(&numbers);
        let first = all[0].0.clone();
        for after in [
            &[][..],
            &[255, 1],
            &[999],
            &[1000],
            &[1000, 1],
            &[1000, 1, 1, 0, 7],
        ] {
            assert_eq!(numbers.next(after, NOW), Some(first.clone()), "{after:?}");
        }
        for pair in all.windows(2) {
            let mut below = pair[0].0.clone();
            below.push(0).unwrap();
            assert_eq!(
                numbers.next(&below, NOW),
                Some(pair[1].0.clone()),
                "{below:?}"
            );
        }
        for after in [&[1000, 1, 3, 1, 12][..], &[1000, 1, 4], &[1000, 2], &[1001]] {
            assert_eq!(numbers.next(after, NOW), None, "{after:?}");
        }
    }

    #[test]
    fn equal_sums_have_indices_of_their_own() {
        let mut entries: Vec<Entry> = (0..3)
            .map(|at| Entry::of(&row("r", &at.to_string(), State::Error), NOW, true))
            .collect();
        entries.iter_mut().for_each(|entry| entry.index = 7);
        give_indices(&mut entries);
        let indices: Vec<u32> = entries.iter().map(|entry| entry.index).collect();
        assert_eq!(indices, [7, 8, 9]);
    }

    #[test]
    fn half_a_table_is_none() {
        let text = table(&[row("r", "m", State::Error)]);
        for (at, _) in text.match_indices('\n').take(2) {
            assert!(parse(&text[..at + 1], NOW).is_none());
        }
        assert!(parse("OK\n", NOW).is_none());
    }

    #[test]
    fn several_collectors_are_one_table() {
        let one = table(&[row("a", "m", State::Following)]);
        let other = table(&[row("a", "n", State::Error), row("b", "o", State::Following)]);
        let long_ago = Wall::from_ms(NOW.ms() - 1_000_000);
        let half = "box\tstate\n".to_owned();
        let numbers = Numbers::parse(&[(one, NOW), (half, NOW), (other, long_ago)]).unwrap();
        assert_eq!((numbers.servers.len(), numbers.sources.len()), (2, 3));
        let state = |entry: &Entry| {
            let number = numbers.column(5, entry, NOW, 120_000).unwrap();
            (entry.server.to_string(), number == Number::Integer(STALE))
        };
        // What one does not keep up to date is not known, and what the other does is.
        let servers: Vec<_> = numbers.servers.iter().map(state).collect();
        assert!(servers.contains(&("a".into(), true)) && servers.contains(&("b".into(), true)));
        let stale = numbers
            .sources
            .iter()
            .filter(|entry| state(entry).1)
            .count();
        assert_eq!(stale, 2);
        let scalar = |scalar| numbers.scalar(scalar, NOW, 120_000).unwrap();
        assert_eq!(scalar(4), Number::Gauge(1));
        assert_eq!(scalar(5), Number::Gauge(2));
        // Of a server whose other sources are known those count that are not.
        let errors = |name: &str| {
            let server = numbers.servers.iter().find(|it| &*it.server == name);
            numbers.column(4, server.unwrap(), NOW, 120_000).unwrap()
        };
        assert_eq!(errors("a"), Number::Gauge(1));
        assert_eq!(errors("b"), Number::Gauge(1));
    }
}
