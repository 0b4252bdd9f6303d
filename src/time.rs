//! Moments as values. Nobody can ask these types for "now": the loop reads the clocks once a turn and hands both down.

/// A moment of the monotonic clock, in milliseconds since an arbitrary start. For deadlines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(u64);

impl Mono {
    /// The moment `ms` milliseconds after the clock's start.
    pub const fn from_ms(ms: u64) -> Mono {
        Mono(ms)
    }

    /// Milliseconds since the clock's start.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// The moment `ms` later; the far end of time instead of an overflow.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Mono {
        Mono(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 if that lies in the future.
    pub const fn since_ms(self, earlier: Mono) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A moment of the wall clock, in milliseconds since 1970 (UTC). For stamps and ages of files; it may jump.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Wall(u64);

impl Wall {
    /// The moment `ms` milliseconds after the start of 1970.
    pub const fn from_ms(ms: u64) -> Wall {
        Wall(ms)
    }

    /// Milliseconds since the start of 1970.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since the start of 1970.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }
}

/// Both clocks, read together at the start of one turn of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For deadlines.
    pub mono: Mono,
    /// For ages of files and stamps.
    pub wall: Wall,
}
