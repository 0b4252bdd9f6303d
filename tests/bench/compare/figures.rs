//! Figures with names: printed as tables, kept in a file, and compared with those of an earlier run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

/// All figures of a run.
pub struct Figures {
    now: BTreeMap<String, f64>,
    before: BTreeMap<String, f64>,
}

impl Figures {
    /// None yet; `against` names a file of an earlier run.
    pub fn new(against: Option<&str>) -> Figures {
        let text = against.map(|file| fs::read_to_string(file).expect("the earlier run's file"));
        let line = |line: &str| {
            let (name, value) = line.split_once('\t')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Figures {
            now: BTreeMap::new(),
            before: text.unwrap_or_default().lines().filter_map(line).collect(),
        }
    }

    /// Remembers a figure and returns it as a cell of a table, with what it was in the earlier run behind it.
    pub fn cell(&mut self, name: &str, value: f64) -> String {
        self.now.insert(name.to_owned(), value);
        let mut cell = short(value);
        if let Some(before) = self.before.get(name) {
            let _ = write!(cell, " (was {})", short(*before));
        }
        cell
    }

    /// Keeps the figures of this run.
    pub fn save(&self, file: &str) {
        let mut text = String::new();
        for (name, value) in &self.now {
            let _ = writeln!(text, "{name}\t{value}");
        }
        fs::write(file, text).expect("a file for the figures");
    }
}

/// Three digits or so, which is more than these machines are good for.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Prints the head of a table.
pub fn head(columns: &[&str]) {
    println!();
    row(columns.iter().map(|column| (*column).to_owned()));
    row(columns.iter().map(|_| "---".to_owned()));
}

/// Prints a row.
pub fn row(cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    println!("| {} |", cells.join(" | "));
}

/// The middle one; the values are sorted for it.
pub fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// The value that so many of a hundred do not exceed; the values are sorted for it.
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(at).copied().unwrap_or(f64::NAN)
}
