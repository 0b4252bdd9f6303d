//! The faces of the collector that list its sources, made in parts: a part is short, whatever the
//! number of sources.

use std::fmt::{self, Write};

use super::json;
use super::metrics::{self, FAMILIES};
use super::summary::Summary;
use crate::limits::{FACE_PART_LEN, FACE_PLACES};
use crate::wire::table::{Collector, Row, write_header};

/// One way to show all sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Face {
    /// The table of [`crate::wire::table`].
    Table,
    /// JSON.
    Json,
    /// Metrics for Prometheus.
    Metrics,
}

/// All sources, each in a numbered place; some places are empty.
pub trait Sources {
    /// The number of places.
    fn places(&self) -> usize;
    /// Shows the source in this place, if there is one.
    fn show(&self, place: usize, see: &mut dyn FnMut(&Row<'_>));
}

/// What is to be said beside the sources.
pub struct About<'a> {
    /// The collector.
    pub collector: Collector<'a>,
    /// The number of servers.
    pub servers: usize,
    /// Seconds since 1970.
    pub now: u64,
}

/// A face on its way: how far it is made.
#[derive(Clone, Debug)]
pub struct Making {
    face: Face,
    /// The place to go on with.
    place: usize,
    /// The metric that is written now.
    family: usize,
    summary: Summary,
    is_begun: bool,
    is_done: bool,
}

impl Making {
    /// Nothing is made yet.
    pub fn new(face: Face) -> Making {
        Making {
            face,
            place: 0,
            family: 0,
            summary: Summary::default(),
            is_begun: false,
            is_done: false,
        }
    }

    /// Whether all is made.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Makes the next part and puts it behind `out`.
    pub fn make(&mut self, sources: &dyn Sources, about: &About<'_>, out: &mut String) {
        // A string takes whatever it is given.
        let _ = self.write(sources, about, out);
    }

    fn write(&mut self, sources: &dyn Sources, about: &About<'_>, out: &mut String) -> fmt::Result {
        if self.is_done {
            return Ok(());
        }
        if !self.is_begun {
            self.write_head(out)?;
        }
        let begun_at = out.len();
        for _ in 0..FACE_PLACES {
            if out.len() - begun_at >= FACE_PART_LEN {
                return Ok(());
            }
            if self.place >= sources.places() && !self.turn(out)? {
                self.is_done = true;
                return self.write_end(about, out);
            }
            let mut result = Ok(());
            sources.show(self.place, &mut |row| result = self.write_row(row, out));
            result?;
            self.place += 1;
        }
        Ok(())
    }

    fn write_head(&mut self, out: &mut String) -> fmt::Result {
        self.is_begun = true;
        match self.face {
            Face::Table => write_header(out),
            Face::Json => out.write_str("{\"sources\":["),
            Face::Metrics => FAMILIES
                .iter()
                .take(1)
                .try_for_each(|it| it.write_head(out)),
        }
    }

    /// At the end of the sources: whether they are gone through once more.
    fn turn(&mut self, out: &mut String) -> Result<bool, fmt::Error> {
        if self.face != Face::Metrics {
            return Ok(false);
        }
        self.family += 1;
        let Some(family) = FAMILIES.get(self.family) else {
            return Ok(false);
        };
        self.place = 0;
        family.write_head(out)?;
        Ok(true)
    }

    fn write_row(&mut self, row: &Row<'_>, out: &mut String) -> fmt::Result {
        let is_first = self.summary.sources == 0;
        if self.family == 0 {
            self.summary.add(row);
        }
        match self.face {
            Face::Table => row.write(out),
            Face::Json => {
                out.write_str(if is_first { "\n" } else { ",\n" })?;
                json::write_row(row, out)
            }
            Face::Metrics => match FAMILIES.get(self.family) {
                Some(family) => family.write_sample(row, out),
                None => Ok(()),
            },
        }
    }

    fn write_end(&mut self, about: &About<'_>, out: &mut String) -> fmt::Result {
        self.summary.servers = about.servers;
        match self.face {
            Face::Table => about.collector.write(out),
            Face::Json => {
                out.write_str("],\n")?;
                json::write_about(&self.summary, &about.collector, about.now, out)?;
                out.write_str("}\n")
            }
            Face::Metrics => metrics::write_about(&self.summary, &about.collector, about.now, out),
        }
    }
}

#[cfg(test)]
mod tests;
