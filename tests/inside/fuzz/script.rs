//! Bytes read as a script: which thing happens next, and with what.

/// What is left of it.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Script<'a> {
        Script(bytes)
    }

    /// The next byte; `None` at the end.
    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// Whether the next byte is odd.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        match limit {
            0..=256 => usize::from(self.byte()) % limit.max(1),
            _ => usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % limit,
        }
    }

    /// Any number: a byte says how many digits it has and whether it is small, the largest, or
    /// between.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            254 => u64::MAX - u64::from(self.byte()),
            253 => 1 << (self.byte() % 64),
            252 => (0..8).fold(0, |all, _| all << 8 | u64::from(self.byte())),
            251 => (0..2).fold(0, |all, _| all << 8 | u64::from(self.byte())),
            small => u64::from(small),
        }
    }

    /// Some bytes, as many as the next one says and there are.
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(len);
        self.0 = rest;
        some
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Content for a file: some bytes, again and again.
    pub fn content(&mut self) -> Vec<u8> {
        let times = match self.byte() {
            few @ 0..224 => usize::from(few % 8) + 1,
            many => usize::from(many - 223) * 64,
        };
        self.bytes().repeat(times)
    }
}
