//! The followers of each log: the clients that are served it.

use super::rows::Rows;

/// Clients by log. Both are numbers; a client is served one log at a time.
#[derive(Default)]
pub struct Followers(Rows);

impl Followers {
    /// A client that was served `before`, if anything, is served `now`, if anything.
    pub fn turn(&mut self, client: u32, before: Option<u32>, now: Option<u32>) {
        if before == now {
            return;
        }
        if let Some(file) = before {
            self.0.remove([file, client, 0]);
        }
        if let Some(file) = now {
            self.0.insert([file, client, 0]);
        }
    }

    /// The clients of a log, by rising number.
    pub fn of(&self, file: u32) -> impl Iterator<Item = u32> {
        self.0.of(file).iter().map(|row| row[1])
    }

    /// The logs that somebody is served, each as often as there are clients of it.
    pub fn files(&self) -> impl Iterator<Item = u32> {
        self.0.all().iter().map(|row| row[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_found_under_what_it_is_served_now() {
        let mut followers = Followers::default();
        followers.turn(7, None, Some(1));
        followers.turn(3, None, Some(1));
        followers.turn(5, None, Some(2));
        assert_eq!(followers.of(1).collect::<Vec<_>>(), [3, 7]);
        followers.turn(7, Some(1), Some(2));
        followers.turn(3, Some(1), None);
        followers.turn(9, None, None);
        assert_eq!(followers.of(1).count(), 0);
        assert_eq!(followers.of(2).collect::<Vec<_>>(), [5, 7]);
        assert_eq!(followers.files().collect::<Vec<_>>(), [2, 2]);
    }
}
