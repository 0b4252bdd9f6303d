//! The screen of `fetch_logs status -w`: as many lines and columns as the terminal has, the worst
//! sources first unless a key says otherwise.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;

use super::amount::{Bytes, Span};
use super::lines;
use crate::wire::escape::{Escaped, OneLine};
use crate::wire::table::{Row, State};

/// What the keys have chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The order.
    pub order: Order,
    /// The other way round.
    pub is_reversed: bool,
    /// Only sources with troubles.
    pub troubled: bool,
    /// So many sources further down.
    pub offset: usize,
}

/// By what the sources are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The worst first.
    Worst,
    /// By box and log.
    Name,
    /// Who is behind most first.
    Behind,
    /// Who gets most first.
    Rate,
    /// Whose last byte came last first.
    LastByte,
}

/// What a key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// Something about the choice is another now, or nothing.
    Choice,
    /// It is the end.
    Quit,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            order: Order::Worst,
            is_reversed: false,
            troubled: false,
            offset: 0,
        }
    }
}

impl Choice {
    /// Takes a key, or the bytes that a special one sends, while this page is shown.
    pub fn press(&mut self, key: &[u8], page: Page) -> Key {
        let order = match key {
            b"q" | b"Q" | b"\x03" => return Key::Quit,
            b"w" => Some(Order::Worst),
            b"n" => Some(Order::Name),
            b"b" => Some(Order::Behind),
            b"r" => Some(Order::Rate),
            b"l" => Some(Order::LastByte),
            _ => None,
        };
        match key {
            b"i" => self.is_reversed = !self.is_reversed,
            b"t" => (self.troubled, self.offset) = (!self.troubled, 0),
            b"j" | b"\x1b[B" | b"\x1bOB" => self.offset += 1,
            b"k" | b"\x1b[A" | b"\x1bOA" => self.offset = self.offset.saturating_sub(1),
            b" " | b"\x1b[6~" => self.offset += page.down,
            b"\x1b[5~" => self.offset = self.offset.saturating_sub(page.up),
            b"g" | b"\x1b[H" => self.offset = 0,
            _ => {}
        }
        if let Some(order) = order {
            (self.order, self.offset, self.is_reversed) = (order, 0, false);
        }
        Key::Choice
    }
}

/// How many sources a key for a whole page moves, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// So many are shown.
    pub down: usize,
    /// So many of those before have room.
    pub up: usize,
}

/// What came of each source since the last look.
#[derive(Default)]
pub struct Rates {
    before: HashMap<Box<[u8]>, u64>,
    rates: HashMap<Box<[u8]>, u64>,
}

impl Rates {
    /// Takes a look, so many milliseconds after the last one.
    pub fn note(&mut self, rows: &[Row<'_>], ms: u64) {
        let before = std::mem::take(&mut self.before);
        self.rates.clear();
        for row in rows {
            let key: Box<[u8]> = (*row.local).into();
            if let Some(bytes) = before.get(&key).filter(|_| ms > 0) {
                let more = row.bytes.saturating_sub(*bytes);
                self.rates
                    .insert(key.clone(), more.saturating_mul(1000) / ms);
            }
            self.before.insert(key, row.bytes);
        }
    }

    fn of(&self, row: &Row<'_>) -> u64 {
        self.rates.get(&*row.local).copied().unwrap_or(0)
    }
}

/// What is shown.
pub struct Screen<'a> {
    /// The sources, in the order that was chosen.
    pub rows: &'a [Row<'a>],
    /// What came of each.
    pub rates: &'a Rates,
    /// The first line: the sums, or what is wrong.
    pub head: &'a str,
    /// Seconds since 1970.
    pub now: u64,
    /// The choice.
    pub choice: Choice,
    /// Lines of the terminal.
    pub height: usize,
    /// Columns of the terminal.
    pub width: usize,
}

/// Puts sources into the order that was chosen, and leaves out those that are not wanted. The
/// choice goes no further down than to the last one.
pub fn arrange(rows: &mut Vec<Row<'_>>, rates: &Rates, choice: &mut Choice) {
    if choice.troubled {
        rows.retain(lines::is_troubled);
    }
    lines::sort(rows);
    match choice.order {
        Order::Worst => {}
        Order::Name => rows.sort_by(|a, b| (&a.server, &a.remote).cmp(&(&b.server, &b.remote))),
        Order::Behind => rows.sort_by_key(|row| Reverse(row.behind)),
        Order::Rate => rows.sort_by_key(|row| Reverse(rates.of(row))),
        Order::LastByte => rows.sort_by_key(|row| Reverse(row.last_byte)),
    }
    if choice.is_reversed {
        rows.reverse();
    }
    choice.offset = choice.offset.min(rows.len().saturating_sub(1));
}

/// From so many columns on the reason has one of its own; else it has a line of its own.
const WIDE: usize = 110;

/// Widths of the columns: state, for, behind, rate, last byte, and losses where there is room.
const FIXED: [usize; 6] = [10, 8, 10, 9, 9, 6];

impl Screen<'_> {
    /// The lines, none longer than the terminal is wide, none more than it has.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![cut(self.head, self.width), self.columns(None)];
        let (_, rest) = self.parts();
        let shown = self.fitting(rest.iter());
        for row in &rest[..shown] {
            lines.extend(self.of_row(row));
        }
        // Of the first one the reason may have no room.
        lines.truncate(self.height.saturating_sub(1));
        while lines.len() + 1 < self.height {
            lines.push(String::new());
        }
        lines.push(self.foot(shown));
        lines
    }

    /// How far the keys for a page move from here.
    pub fn page(&self) -> Page {
        let (before, rest) = self.parts();
        Page {
            down: self.fitting(rest.iter()).max(1),
            up: self.fitting(before.iter().rev()).max(1),
        }
    }

    /// The sources before the first one that is shown, and those from there on.
    fn parts(&self) -> (&[Row<'_>], &[Row<'_>]) {
        let last = self.rows.len().saturating_sub(1);
        self.rows.split_at(self.choice.offset.min(last))
    }

    /// How many of these have room together; one is enough where there is room for a line.
    fn fitting<'a>(&self, rows: impl Iterator<Item = &'a Row<'a>>) -> usize {
        let mut room = self.height.saturating_sub(3);
        let mut count = 0;
        for row in rows {
            let len = 1 + usize::from(self.has_reason(row));
            if room < len && (count > 0 || room == 0) {
                break;
            }
            room = room.saturating_sub(len);
            count += 1;
        }
        count
    }

    fn foot(&self, shown: usize) -> String {
        let all = self.rows.len();
        let offset = self.parts().0.len();
        let place = match (all, shown) {
            (0, _) => "no sources".to_owned(),
            (_, 0) => format!("0 of {all}"),
            _ => format!("{}-{} of {all}", offset + 1, offset + shown),
        };
        let keys = [
            "sort: w worst n name b behind r rate l last, i invert; t troubles, j k move, q quit",
            "sort: w n b r l, i invert; t troubles, j k move, q quit",
        ];
        let mut foots = keys.map(|keys| format!("{place}  {keys}")).into_iter();
        let fits = foots.find(|foot| width_of(foot) <= self.width);
        fits.unwrap_or_else(|| cut(&place, self.width))
    }

    fn of_row(&self, row: &Row<'_>) -> Vec<String> {
        let mut own = vec![self.columns(Some(row))];
        if self.has_reason(row) {
            own.push(cut(&format!("    {}", why(row)), self.width));
        }
        own
    }

    /// Whether its reason has a line of its own.
    fn has_reason(&self, row: &Row<'_>) -> bool {
        self.width < WIDE && !why(row).is_empty()
    }

    /// One line of columns; the names of them without a source.
    fn columns(&self, row: Option<&Row<'_>>) -> String {
        let is_wide = self.width >= WIDE;
        let [state, since, behind, rate, last, losses] = FIXED;
        // Where the reason has a line of its own, that tells of losses.
        let losses = if is_wide { losses } else { 0 };
        let fixed = [state, since, behind, rate, last, losses];
        let fixed: usize = fixed.iter().filter(|it| **it > 0).map(|it| it + 1).sum();
        let rest = self.width.saturating_sub(fixed + 1);
        let (server, log) = if is_wide {
            (rest / 4, rest / 4)
        } else {
            (rest / 2, rest - rest / 2)
        };
        let reason = if is_wide {
            rest.saturating_sub(server + log + 1)
        } else {
            0
        };
        let texts = match row {
            None => [
                "BOX",
                "LOG",
                "STATE",
                "FOR",
                "BEHIND",
                "RATE",
                "LAST BYTE",
                "LOSSES",
                "WHY",
            ]
            .map(str::to_owned),
            Some(row) => self.texts(row),
        };
        let widths = [
            server, log, state, since, behind, rate, last, losses, reason,
        ];
        let mut line = String::new();
        for (at, (text, width)) in texts.iter().zip(widths).enumerate() {
            if width == 0 {
                continue;
            }
            // The names of logs begin alike.
            let text = match at {
                1 => cut_front(text, width),
                _ => cut(text, width),
            };
            let blanks = width - width_of(&text);
            let is_number = (3..8).contains(&at);
            let (before, behind) = if is_number { (blanks, 0) } else { (0, blanks) };
            let _ = write!(line, "{:before$}{text}{:behind$} ", "", "");
        }
        cut(line.trim_end(), self.width)
    }

    fn texts(&self, row: &Row<'_>) -> [String; 9] {
        let since = |at: Option<u64>| at.map_or(String::new(), |at| self.since(at));
        let rate = self.rates.of(row);
        [
            OneLine(&row.server).to_string(),
            Escaped(&row.remote).to_string(),
            row.state.word().to_owned(),
            since(row.since),
            row.behind
                .map_or("?".to_owned(), |len| Bytes(len).to_string()),
            if rate > 0 {
                format!("{}/s", short(rate))
            } else {
                String::new()
            },
            since(row.last_byte),
            if row.losses > 0 {
                row.losses.to_string()
            } else {
                String::new()
            },
            why(row),
        ]
    }

    fn since(&self, at: u64) -> String {
        Span(self.now.saturating_sub(at)).to_string()
    }
}

fn short(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        _ => Bytes(bytes).to_string(),
    }
}

fn why(row: &Row<'_>) -> String {
    match (row.state, row.losses) {
        (State::Following, 0) => String::new(),
        (State::Following, _) => format!("losses on record in {}.gaps", Escaped(&row.local)),
        _ => OneLine(&row.why).to_string(),
    }
}

/// A text that is no wider than this; what is longer ends with a mark.
fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += columns_of(c);
        if used > width {
            break;
        }
        cut.push(c);
    }
    if width > 0 {
        cut.push('~');
    }
    cut
}

/// The same with the end of the text, behind a mark.
fn cut_front(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let left = room.checked_sub(columns_of(*c));
        room = left.unwrap_or(0);
        left.is_some()
    };
    let end: Vec<char> = text.chars().rev().take_while(fits).collect();
    let mark = if width > 0 { "~" } else { "" };
    mark.chars().chain(end.into_iter().rev()).collect()
}

fn width_of(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// How many columns of a terminal a character takes: about as wcwidth(3) has it.
fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0xfe00..=0xfe0f | 0x20d0..=0x20ff => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

pub mod keys;
#[cfg(test)]
mod tests;
