//! The table of a collector's sources, as a file and between processes of fetchlogs: a header, one
//! line for each source, and a last line about the collector itself. Fields are separated by tabs
//! and escaped ([`Escaped`]), so none has a tab or a line end in it; `-` stands for what is not
//! known. Times are seconds since 1970.
//!
//! ```text
//! TABLE = HEADER *SOURCE END
//! END   = "#collector" TAB SINCE TAB ( UNTIL | "-" ) TAB VERSION TAB FAULTY TAB HOOKS_LEFT LF
//! ```
//!
//! A reader finds its columns by the names in the header, so that later versions can have more. The
//! last line may have more fields, too, or fewer in earlier versions.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::escape::{Escaped, unescaped};
use super::number;

/// One source, as every face of the collector shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// The box: the server's name or address as it is configured.
    pub server: Cow<'a, str>,
    /// The log on the box.
    pub remote: Cow<'a, [u8]>,
    /// The local copy.
    pub local: Cow<'a, [u8]>,
    /// What the source does.
    pub state: State,
    /// Since when it is in this state.
    pub since: Option<u64>,
    /// The size of the local copy.
    pub held: u64,
    /// How many bytes the box has that are not here, as far as it told.
    pub behind: Option<u64>,
    /// When a byte of the log came last, in this run of the collector.
    pub last_byte: Option<u64>,
    /// When anything was heard of the server last, in this run of the collector.
    pub last_contact: Option<u64>,
    /// When the server is tried next, where it is waited for that.
    pub next_try: Option<u64>,
    /// Losses and differences on record.
    pub losses: u32,
    /// Finished copies that are still to be compared with the server's files.
    pub unverified: u32,
    /// Why it is not well; empty if it is.
    pub why: Cow<'a, str>,
    /// Generations that were finished, in this run of the collector, as all that follows.
    pub rotations: u32,
    /// Finished copies that were healed.
    pub healed: u32,
    /// Connections that came about.
    pub connections: u32,
    /// Bytes of the log that came.
    pub bytes: u64,
    /// The name of the status file of the server's address; empty if that is not known.
    pub address: Cow<'a, str>,
    /// Events that wait for the operator's program.
    pub hooks_waiting: u32,
    /// Whether it waits for room on this machine, and so is not in touch with the box.
    pub is_paused: bool,
}

/// What a source does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum State {
    /// Something is wrong.
    Error,
    /// It has no answer yet.
    #[default]
    Connecting,
    /// Its log is followed.
    Following,
}

/// What the last line says of the collector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collector<'a> {
    /// When it began to run.
    pub since: u64,
    /// When it stopped; `None` while it runs, or if it had no time to say so.
    pub until: Option<u64>,
    /// Its version.
    pub version: Cow<'a, str>,
    /// Whether its configuration has faults: lines are left out, or at HUP it was not taken.
    pub is_faulty: bool,
    /// Events that were left since it began: the operator's program failed for them, or too many
    /// waited.
    pub hooks_left: u32,
}

/// The names of the columns, in their order.
pub const COLUMNS: [&str; 20] = [
    "box",
    "remote_file",
    "local_file",
    "state",
    "since",
    "held",
    "behind",
    "last_byte",
    "last_contact",
    "next_try",
    "losses",
    "unverified",
    "why",
    "rotations",
    "healed",
    "connections",
    "bytes",
    "address",
    "hooks_waiting",
    "paused",
];

const END: &str = "#collector";

impl State {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            State::Error => "error",
            State::Connecting => "connecting",
            State::Following => "following",
        }
    }

    /// Its number, as SNMP and arithmetic have it.
    pub fn number(self) -> u32 {
        match self {
            State::Following => 1,
            State::Connecting => 2,
            State::Error => 3,
        }
    }

    /// The state of this word.
    pub fn of(word: &str) -> Option<State> {
        let all = [State::Error, State::Connecting, State::Following];
        all.into_iter().find(|state| state.word() == word)
    }
}

impl Row<'_> {
    /// Whether all is well with it: it is followed, and nothing is on record.
    pub fn is_well(&self) -> bool {
        self.state == State::Following && self.losses == 0
    }

    /// The same with texts of its own.
    pub fn into_owned(self) -> Row<'static> {
        Row {
            server: Cow::Owned(self.server.into_owned()),
            remote: Cow::Owned(self.remote.into_owned()),
            local: Cow::Owned(self.local.into_owned()),
            why: Cow::Owned(self.why.into_owned()),
            address: Cow::Owned(self.address.into_owned()),
            ..self
        }
    }

    /// Writes it as a line.
    pub fn write(&self, out: &mut impl Write) -> fmt::Result {
        let text = Escaped;
        writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            text(self.server.as_bytes()),
            text(&self.remote),
            text(&self.local),
            self.state.word(),
            Known(self.since),
            self.held,
            Known(self.behind),
            Known(self.last_byte),
            Known(self.last_contact),
            Known(self.next_try),
            self.losses,
            self.unverified,
            text(self.why.as_bytes()),
            self.rotations,
            self.healed,
            self.connections,
            self.bytes,
            text(self.address.as_bytes()),
            self.hooks_waiting,
            u8::from(self.is_paused),
        )
    }
}

impl Collector<'_> {
    /// The same with a text of its own.
    pub fn into_owned(self) -> Collector<'static> {
        Collector {
            version: Cow::Owned(self.version.into_owned()),
            ..self
        }
    }

    /// Writes it as the last line.
    pub fn write(&self, out: &mut impl Write) -> fmt::Result {
        let version = Escaped(self.version.as_bytes());
        let (since, until) = (self.since, Known(self.until));
        let (faulty, left) = (u8::from(self.is_faulty), self.hooks_left);
        writeln!(out, "{END}\t{since}\t{until}\t{version}\t{faulty}\t{left}")
    }
}

/// Writes the header.
pub fn write_header(out: &mut impl Write) -> fmt::Result {
    for (column, end) in COLUMNS.iter().zip(0..) {
        let tab = if end > 0 { "\t" } else { "" };
        write!(out, "{tab}{column}")?;
    }
    out.write_char('\n')
}

/// Reads a whole table: its sources, and the collector. `None` if it is none, or half of one.
pub fn read(text: &str) -> Option<(Vec<Row<'_>>, Collector<'_>)> {
    let mut lines = text.lines();
    let reader = Reader::new(lines.next()?)?;
    let mut rows = Vec::new();
    for line in lines {
        match reader.line(line)? {
            Line::Source(row) => rows.push(row),
            // Without it half of the table may be missing.
            Line::End(collector) => return Some((rows, collector)),
        }
    }
    None
}

/// One line of a table behind its header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A source.
    Source(Row<'a>),
    /// The last line.
    End(Collector<'a>),
}

/// Reads the lines of a table: the columns are where its header has them.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    places: [Option<u8>; COLUMNS.len()],
}

impl Reader {
    /// Reads the header, without its line end. `None` if that is not one of a table.
    pub fn new(header: &str) -> Option<Reader> {
        let place = |name: &&str| {
            let at = header.split('\t').position(|column| column == *name)?;
            u8::try_from(at).ok()
        };
        let places = COLUMNS.each_ref().map(place);
        // Without these a line says nothing.
        let (server, state) = (places[0], places[3]);
        server.and(state).map(|_| Reader { places })
    }

    /// Reads a line, without its line end; `None` if there is no sense in it.
    pub fn line<'a>(&self, line: &'a str) -> Option<Line<'a>> {
        if let Some(rest) = line.strip_prefix(END) {
            return collector(rest).map(Line::End);
        }
        let fields: heapless::Vec<&str, FIELDS_MAX> = line.split('\t').take(FIELDS_MAX).collect();
        let field = |column: usize| {
            let place = self.places.get(column).copied().flatten()?;
            fields.get(usize::from(place)).copied()
        };
        let text = |column: usize| unescaped(field(column).unwrap_or_default());
        let known = |column: usize| field(column).and_then(|text| number::decimal(text.as_bytes()));
        let count = |column: usize| {
            let count = known(column).unwrap_or(0);
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        Some(Line::Source(Row {
            server: as_text(text(0)),
            remote: text(1),
            local: text(2),
            state: State::of(field(3)?)?,
            since: known(4),
            held: known(5).unwrap_or(0),
            behind: known(6),
            last_byte: known(7),
            last_contact: known(8),
            next_try: known(9),
            losses: count(10),
            unverified: count(11),
            why: as_text(text(12)),
            rotations: count(13),
            healed: count(14),
            connections: count(15),
            bytes: known(16).unwrap_or(0),
            address: as_text(text(17)),
            hooks_waiting: count(18),
            is_paused: count(19) > 0,
        }))
    }
}

/// More columns than there are in any version.
const FIELDS_MAX: usize = 64;

fn collector(rest: &str) -> Option<Collector<'_>> {
    let mut fields = rest.strip_prefix('\t')?.split('\t');
    let since = number::decimal(fields.next()?.as_bytes())?;
    let until = fields.next()?;
    Some(Collector {
        since,
        until: number::decimal(until.as_bytes()),
        version: as_text(unescaped(fields.next().unwrap_or_default())),
        is_faulty: fields.next() == Some("1"),
        hooks_left: fields.next().and_then(|it| it.parse().ok()).unwrap_or(0),
    })
}

fn as_text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// A number, or `-` where none is known.
struct Known(Option<u64>);

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "{number}"),
            None => f.write_char('-'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row<'static> {
        Row {
            server: "10.0.0.1".into(),
            remote: b"/var/log/m\t\xff\\".as_slice().into(),
            local: b"/copies/a b".as_slice().into(),
            state: State::Error,
            since: Some(1_700_000_000),
            held: u64::MAX,
            behind: None,
            last_byte: Some(7),
            last_contact: None,
            next_try: Some(9),
            losses: 3,
            unverified: 2,
            hooks_waiting: 3,
            is_paused: true,
            why: "the server refuses: \u{1b}[2J\n<b>".into(),
            rotations: 1,
            healed: 4,
            connections: 5,
            bytes: 6,
            address: "10.0.0.1".into(),
        }
    }

    fn written(row: &Row<'_>) -> String {
        let mut text = String::new();
        row.write(&mut text).unwrap();
        text
    }

    fn reader() -> Reader {
        let mut header = String::new();
        write_header(&mut header).unwrap();
        Reader::new(header.trim_end()).unwrap()
    }

    #[test]
    fn a_row_is_one_line_and_is_read_back() {
        let text = written(&row());
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!(text.matches('\t').count(), COLUMNS.len() - 1);
        assert!(!text.contains('\u{1b}'));
        let read = reader().line(text.trim_end());
        assert_eq!(read, Some(Line::Source(row())));
    }

    #[test]
    fn any_row_is_read_back() {
        arbtest::arbtest(|u| {
            let row = Row {
                server: u.arbitrary::<String>()?.into(),
                remote: u.arbitrary::<Vec<u8>>()?.into(),
                local: u.arbitrary::<Vec<u8>>()?.into(),
                why: u.arbitrary::<String>()?.into(),
                behind: u.arbitrary()?,
                losses: u.arbitrary()?,
                ..row()
            };
            let text = written(&row);
            assert_eq!(
                reader().line(&text[..text.len() - 1]),
                Some(Line::Source(row))
            );
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn the_last_line_tells_of_the_collector() {
        for until in [None, Some(12)] {
            let collector = Collector {
                since: 7,
                until,
                version: "2.0.0".into(),
                is_faulty: true,
                hooks_left: 3,
            };
            let mut text = String::new();
            collector.write(&mut text).unwrap();
            assert_eq!(reader().line(text.trim_end()), Some(Line::End(collector)));
        }
    }

    #[test]
    fn the_last_line_of_an_earlier_version_is_read() {
        let collector = Collector {
            since: 7,
            until: None,
            version: "2.0.0".into(),
            is_faulty: false,
            hooks_left: 0,
        };
        let line = reader().line("#collector\t7\t-\t2.0.0");
        assert_eq!(line, Some(Line::End(collector)));
    }

    #[test]
    fn columns_may_stand_elsewhere() {
        let reader = Reader::new("state\tnew\tbox\tbytes").unwrap();
        let Some(Line::Source(row)) = reader.line("following\tx\tr5\t77") else {
            panic!("no row");
        };
        assert_eq!(
            (row.state, &*row.server, row.bytes),
            (State::Following, "r5", 77)
        );
        assert_eq!((row.behind, row.losses, &*row.why), (None, 0, ""));
    }

    #[test]
    fn what_is_no_table_is_not_read() {
        assert!(Reader::new("OK").is_none());
        assert!(Reader::new("box\twhy").is_none());
        for line in [
            "",
            "OK",
            "#collector",
            "#collector\tx\t-",
            "a\tb\tc\tbetter\t1",
        ] {
            assert_eq!(reader().line(line), None, "{line:?}");
        }
    }
}
