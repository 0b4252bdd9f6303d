//! The comparison of local copies with the server's files for an operator, `fetch_logs verify`.
//! Pure; the mio half is [`super::shell::verify`].
//!
//! Nothing here can write or lock: files are seen through [`ReadStore`](crate::store::ReadStore)
//! only, so that a running collector is not disturbed. What it appends meanwhile does not matter,
//! because a copy is what it was when it was opened; where it rotated meanwhile, the comparison
//! begins again.

mod bisect;
mod check;
mod copies;
mod exchange;
mod verdict;

pub use check::{Check, Context};
pub use copies::{Copy, Which, copies_of, gaps_of};
pub use verdict::Verdict;
