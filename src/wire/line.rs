//! A line, collected from bytes that arrive in any pieces, within a fixed length.

/// The result of a [`LineBuf::push`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// No newline yet: everything was consumed, call again with what comes next.
    Partial,
    /// The line is complete; bytes behind its newline were left alone.
    Complete,
    /// The line does not fit; the peer has to be given up.
    TooLong,
}

/// Collects at most `N` bytes up to a newline, which does not count. It has room for what came and
/// not always for `N` bytes, because those of many that come at once leave holes among what stays.
#[derive(Default, Debug)]
pub struct LineBuf<const N: usize> {
    bytes: Vec<u8>,
}

impl<const N: usize> LineBuf<N> {
    /// An empty line.
    pub const fn new() -> Self {
        LineBuf { bytes: Vec::new() }
    }

    /// Takes bytes up to and including the first newline. Returns how many bytes were consumed.
    /// After `Complete` the line stands in [`line`](Self::line); a further push would go on behind
    /// it.
    pub fn push(&mut self, input: &[u8]) -> (usize, Progress) {
        let (text, newline) = match input.iter().position(|&b| b == b'\n') {
            Some(at) => (&input[..at], 1),
            None => (input, 0),
        };
        // Whether a newline is there or not: a peer that sends one endless line is found out at
        // once.
        if text.len() > N - self.bytes.len() {
            return (0, Progress::TooLong);
        }
        self.bytes.extend_from_slice(text);
        let progress = match newline {
            0 => Progress::Partial,
            _ => Progress::Complete,
        };
        (text.len() + newline, progress)
    }

    /// The bytes so far, without newline and the carriage return that some clients put before it.
    pub fn line(&self) -> &[u8] {
        // An operator who tries the server by hand with telnet sends one.
        self.bytes.strip_suffix(b"\r").unwrap_or(&self.bytes)
    }
}

/// The words of a line: what stands between blanks and tabs.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    // PROTOCOL.md, "Request": these two alone are blanks. Other white space is part of a word
    // and so makes a path that is not served or a number that is none.
    line.split(|b| matches!(b, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_same_however_it_is_cut() {
        let input = b"/var/log/messages 12 34\r\nrest";
        for cut in 0..input.len() {
            let mut buf = LineBuf::<64>::new();
            let (first, second) = input.split_at(cut);
            let (used, progress) = buf.push(first);
            if progress == Progress::Partial {
                assert_eq!(used, first.len());
                assert_eq!(buf.push(second).1, Progress::Complete);
            }
            assert_eq!(buf.line(), b"/var/log/messages 12 34", "cut at {cut}");
        }
    }

    #[test]
    fn bytes_behind_the_newline_are_left_alone() {
        let mut buf = LineBuf::<8>::new();
        assert_eq!(buf.push(b"O 1\ndata"), (4, Progress::Complete));
    }

    #[test]
    fn a_line_of_the_full_length_fits_and_one_byte_more_does_not() {
        let mut buf = LineBuf::<4>::new();
        assert_eq!(buf.push(b"abcd\n"), (5, Progress::Complete));
        let mut buf = LineBuf::<4>::new();
        assert_eq!(buf.push(b"abc"), (3, Progress::Partial));
        assert_eq!(buf.push(b"de"), (0, Progress::TooLong));
    }

    #[test]
    fn a_line_takes_the_room_of_what_came() {
        let mut buf = LineBuf::<1024>::new();
        assert_eq!(buf.bytes.capacity(), 0);
        // A line that comes in one piece, as nearly all do, must not leave room behind that is
        // never used: there may be thousands of clients on a box with little memory.
        buf.push(b"/var/log/messages 12 34\n");
        assert_eq!(buf.bytes.capacity(), buf.line().len());
    }

    #[test]
    fn words_ignore_repeated_blanks() {
        let found: Vec<_> = words(b" a\t b  c ").collect();
        assert_eq!(found, [b"a", b"b", b"c"]);
        assert_eq!(words(b" \t").count(), 0);
    }
}
