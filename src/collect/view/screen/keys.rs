//! Keys, out of the bytes that a terminal sends for them.

/// Bytes in which there may be several keys, and the beginning of one.
#[derive(Default)]
pub struct Presses {
    bytes: Vec<u8>,
}

impl Presses {
    /// Takes what was read.
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next key: a byte, or the sequence that a special key sends. Of one that is not complete
    /// the rest is to come.
    pub fn next_key(&mut self) -> Option<Vec<u8>> {
        let len = len_of_first(&self.bytes)?;
        Some(self.bytes.drain(..len).collect())
    }
}

/// No key sends a longer sequence.
const SEQUENCE_MAX_LEN: usize = 16;

fn len_of_first(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [] | [ESCAPE] | [ESCAPE, b'O'] => None,
        [ESCAPE, b'O', _, ..] => Some(3),
        [ESCAPE, b'[', rest @ ..] => {
            let is_parameter = |byte: &u8| matches!(byte, 0x20..=0x3f);
            let len = 2 + rest.iter().take_while(|byte| is_parameter(byte)).count();
            match bytes.get(len) {
                Some(0x40..=0x7e) => Some(len + 1),
                // Broken off, or nothing that a key sends.
                Some(_) => Some(len),
                None => (len >= SEQUENCE_MAX_LEN).then_some(len),
            }
        }
        [_, ..] => Some(1),
    }
}

const ESCAPE: u8 = 0x1b;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(reads: &[&str]) -> Vec<String> {
        let mut presses = Presses::default();
        let mut found = Vec::new();
        for read in reads {
            presses.take(read.as_bytes());
            while let Some(key) = presses.next_key() {
                found.push(String::from_utf8(key).unwrap());
            }
        }
        found
    }

    #[test]
    fn keys_that_come_together_are_taken_one_by_one() {
        assert_eq!(keys(&["  "]), [" ", " "]);
        assert_eq!(keys(&["jjk"]), ["j", "j", "k"]);
        let special = ["\x1b[B", "\x1bOB", "j", "\x1b[6~", "\x1b[1;5A", "q"];
        assert_eq!(keys(&[&special.concat()]), special);
        // One that came in two reads.
        assert_eq!(
            keys(&["j\x1b[", "6~", "\x1b", "[Aq"]),
            ["j", "\x1b[6~", "\x1b[A", "q"]
        );
        // The escape key by itself, and what breaks off.
        assert_eq!(keys(&["\x1b", "q"]), ["\x1b", "q"]);
        assert_eq!(keys(&["\x1b[6\x03"]), ["\x1b[6", "\x03"]);
        let long = format!("\x1b[{}", "1;".repeat(100));
        assert!(keys(&[&long, "q"]).concat().ends_with('q'));
    }
}
