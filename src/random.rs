//! Numbers that need not be secret, only spread. Pure.

/// Numbers that need not be secret, only spread. The seed is handed in.
#[derive(Debug)]
pub struct Random(u32);

impl Random {
    /// A generator; every seed is good.
    pub fn new(seed: u64) -> Random {
        // Both halves of the seed count. Never 0, where a xorshift would stay for ever.
        let folded = (seed ^ (seed >> 32)) as u32;
        Random(folded | 1)
    }

    /// A number from 0 to `limit` - 1; 0 if `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // Marsaglia's xorshift with 32 bits (13, 17, 5): every number but 0 comes once in 2^32.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        u64::from(self.0).checked_rem(limit).unwrap_or(0)
    }
}
