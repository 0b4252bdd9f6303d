//! The text of a configuration, read byte by byte with its line and column, and the bytes that
//! count as blank in it.

/// A place in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub line: u32,
    pub column: u32,
}

/// A reader that can be copied to look ahead.
#[derive(Clone, Copy)]
pub(super) struct Text<'t> {
    rest: &'t [u8],
    position: Position,
    /// Only blanks have been taken from this line.
    begins_line: bool,
}

impl<'t> Text<'t> {
    /// At the start of a file, behind its byte order mark if it has one.
    pub(super) fn new(file: &'t [u8]) -> Text<'t> {
        Text {
            // Editors on other systems put one there, and Perl skips it.
            rest: file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file),
            position: Position { line: 1, column: 1 },
            begins_line: true,
        }
    }

    /// Where the next byte stands.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Tells whether nothing but blanks stands before the next byte on its line.
    pub(super) fn begins_line(&self) -> bool {
        self.begins_line
    }

    /// Everything still to be read.
    pub(super) fn rest(&self) -> &'t [u8] {
        self.rest
    }

    /// The next byte, if any.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next byte.
    pub(super) fn bump(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        match byte {
            b'\n' => {
                self.position.line = self.position.line.saturating_add(1);
                self.position.column = 1;
                self.begins_line = true;
            }
            // Columns count characters, as editors do.
            _ if is_utf8_continuation(byte) => {}
            _ => {
                self.position.column = self.position.column.saturating_add(1);
                self.begins_line &= is_blank(byte);
            }
        }
        Some(byte)
    }

    /// Takes `expected` if it comes next, and tells whether it did.
    pub(super) fn eat(&mut self, expected: &[u8]) -> bool {
        // Byte by byte, so that the line and the column go along.
        let is_next = self.rest.starts_with(expected);
        if is_next {
            expected.iter().for_each(|_| _ = self.bump());
        }
        is_next
    }

    /// Takes all bytes up to the first that is not wanted.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'t [u8] {
        let start = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        let len = start.len().saturating_sub(self.rest.len());
        start.get(..len).unwrap_or_default()
    }

    /// Takes a Perl identifier; empty if none comes next.
    pub(super) fn word(&mut self) -> &'t [u8] {
        if self.peek().is_some_and(is_word_start) {
            self.take_while(is_word)
        } else {
            &[]
        }
    }

    /// Takes blanks, line ends and comments.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.rest {
                [b'#', ..] => self.skip_line(),
                [blank, ..] if is_blank(*blank) => _ = self.bump(),
                _ => return,
            }
        }
    }

    /// Takes blanks, comments and POD, which Perl knows only where a statement may begin.
    pub(super) fn skip_blanks_and_pod(&mut self) {
        self.skip_blanks();
        while self.at_pod() {
            self.skip_pod();
            self.skip_blanks();
        }
    }

    fn at_pod(&self) -> bool {
        // perlpod: an `=` begins POD only in the first column and only with a letter behind it.
        self.position.column == 1
            && matches!(self.rest, [b'=', letter, ..] if letter.is_ascii_alphabetic())
    }

    fn skip_line(&mut self) {
        self.take_while(|byte| byte != b'\n');
        self.bump();
    }

    /// Takes lines up to and including the one that begins with `=cut`, or all of them.
    fn skip_pod(&mut self) {
        self.skip_line();
        // perlpod: POD lasts to a line that begins with `=cut`, and what else stands on that line
        // is POD still.
        while !self.at_cut() && self.peek().is_some() {
            self.skip_line();
        }
        self.skip_line();
    }

    fn at_cut(&self) -> bool {
        match self.rest.strip_prefix(b"=cut") {
            Some([next, ..]) => !next.is_ascii_alphabetic(),
            Some([]) => true,
            None => false,
        }
    }
}

/// Tells whether a Perl identifier can begin with this byte.
pub(super) fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Tells whether a Perl identifier can go on with this byte.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn is_utf8_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}
