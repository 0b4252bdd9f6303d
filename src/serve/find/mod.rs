//! The choice among the files of a log: which one answers a request, and which comes next. Pure.
//!
//! In reading order: [`refusal`] why there is none; [`order`] which file is older; [`findings`]
//! what a search knows of the rotated files; [`place`] which of them one is; [`query`] the
//! question; [`fingerprint`] whether two files are the same as far as they go; [`scan`] the walk
//! through the globs; [`sightings`] what was seen between two connections; and the three answers:
//! [`classic`], [`v2`], and [`held`] for whoever asks about a copy.

pub mod classic;
pub mod findings;
pub mod fingerprint;
pub mod held;
pub mod order;
pub mod place;
pub mod query;
pub mod refusal;
pub mod scan;
pub mod sightings;
pub mod v2;
