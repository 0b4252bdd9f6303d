//! Rows of three numbers in order: what is asked for by its first numbers is found by bisection.
//!
//! One type for all tables of the shell, because each further one would cost some kilobytes of
//! code.

/// Three numbers.
pub type Row = [u32; 3];

/// Rows in order, each once.
#[derive(Default)]
pub struct Rows(Vec<Row>);

impl Rows {
    /// Puts a row in its place. Tells whether it was not there.
    pub fn insert(&mut self, row: Row) -> bool {
        let place = self.0.binary_search(&row);
        if let Err(at) = place {
            self.0.insert(at, row);
        }
        place.is_err()
    }

    /// Takes a row away.
    pub fn remove(&mut self, row: Row) {
        if let Ok(at) = self.0.binary_search(&row) {
            self.0.remove(at);
        }
    }

    /// All rows from one to another, both included.
    pub fn between(&self, first: Row, last: Row) -> &[Row] {
        let start = self.0.partition_point(|row| *row < first);
        let end = self.0.partition_point(|row| *row <= last);
        self.0.get(start..end).unwrap_or_default()
    }

    /// All rows that begin with a number.
    pub fn of(&self, first: u32) -> &[Row] {
        self.between([first, 0, 0], [first, u32::MAX, u32::MAX])
    }

    /// All rows.
    pub fn all(&self) -> &[Row] {
        &self.0
    }

    /// No rows any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_found_by_their_start() {
        let mut rows = Rows::default();
        for row in [
            [2, 1, 0],
            [1, 9, 9],
            [2, 0, 5],
            [u32::MAX, u32::MAX, u32::MAX],
        ] {
            assert!(rows.insert(row));
            assert!(!rows.insert(row));
        }
        assert_eq!(rows.of(2), [[2, 0, 5], [2, 1, 0]]);
        assert_eq!(rows.of(u32::MAX).len(), 1);
        assert_eq!(rows.between([1, 9, 9], [2, 0, 5]).len(), 2);
        rows.remove([2, 0, 5]);
        rows.remove([2, 0, 6]);
        assert_eq!(rows.of(2), [[2, 1, 0]]);
        assert_eq!(rows.of(3), [[0; 3]; 0]);
        assert_eq!(rows.all().len(), 3);
    }
}
