//! How what is done once for all sources ended.

/// What a comparison or a check came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every source is as it should be.
    Good,
    /// At least one is not, or there is no telling.
    Bad,
    /// TERM or INT came.
    Interrupted,
}
