//! The reading of all lines of all texts, in their order.

use std::path::Path;

use super::faults::Faults;
use super::line::{self, Line, Scope};
use super::texts::{Found, Texts, beside};
use super::word::Spot;
use super::{ConfigError, Draft, LineNumber, Problem};
use crate::limits::{CONFIG_DEPTH_MAX, CONFIG_FILES_MAX};

/// What is read line by line: what the lines before a line have said, and what was found.
pub(super) struct Reading<'a> {
    texts: &'a Texts,
    /// Where relative paths of copies start from.
    dir: &'a Path,
    /// The files that are read just now, each included by the one before.
    open: Vec<usize>,
    /// How many were read.
    count: usize,
    pub(super) scope: Scope,
    pub(super) drafts: Vec<Draft>,
    pub(super) faults: Faults,
}

impl<'a> Reading<'a> {
    /// Reads all of it.
    pub(super) fn of(dir: &'a Path, texts: &'a Texts) -> Reading<'a> {
        let mut reading = Reading {
            texts,
            dir,
            open: Vec::new(),
            count: 0,
            scope: Scope::default(),
            drafts: Vec::new(),
            faults: Faults::default(),
        };
        reading.text(0, start_of(0));
        reading
    }

    /// Reads the text with this number. What keeps it from being read is wrong at `spot`.
    fn text(&mut self, number: usize, spot: Spot) {
        let Some(text) = self.texts.all.get(number) else {
            return;
        };
        if self.open.contains(&number) {
            return self.fail(spot.error(Problem::IncludesItself));
        }
        self.count += 1;
        if self.count > CONFIG_FILES_MAX || self.open.len() >= CONFIG_DEPTH_MAX {
            return self.fail(spot.error(Problem::TooManyFiles));
        }
        self.open.push(number);
        match &text.found {
            Found::File(bytes) => self.lines(number, bytes),
            Found::Dir(paths) => {
                for path in paths {
                    if let Some(number) = self.texts.position(path) {
                        self.text(number, start_of(number));
                    }
                }
            }
            Found::Failed(_) => self.fail(spot.error(Problem::Unreadable {
                file: number as u16,
            })),
        }
        self.open.pop();
    }

    fn fail(&mut self, error: ConfigError) {
        self.faults.errors.push(error);
        self.faults.are_fatal = true;
    }

    fn lines(&mut self, number: usize, bytes: &[u8]) {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        for (text, line) in bytes.split(|byte| *byte == b'\n').zip(1..=u32::MAX) {
            let at = LineNumber {
                file: number as u16,
                line,
            };
            match line::read(text, at, &mut self.scope, &mut self.faults) {
                Line::Nothing => {}
                Line::Source(draft) => self.drafts.push(draft.starting_from(self.dir)),
                Line::Include { name, spot } => {
                    let path = beside(&self.texts.all[number].path, &name);
                    match self.texts.position(&path) {
                        Some(number) => self.text(number, spot),
                        None => self.fail(spot.error(Problem::TooManyFiles)),
                    }
                }
            }
        }
    }
}

fn start_of(number: usize) -> Spot {
    Spot {
        line: LineNumber {
            file: number as u16,
            line: 1,
        },
        column: 1,
    }
}

/// The mark that editors of other systems put at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
