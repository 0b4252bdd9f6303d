//! The choice among the files of a log: which one answers a request, and which comes next. Pure.
//!
//! In reading order: [`refusal`] why there is none; [`order`] which file is older; [`candidates`]
//! the rotated files, and [`findings`] what a search knows of them; [`place`] which of them one is;
//! [`query`] the query; [`compare`] whether two files are the same as far as they go; [`scan`] the
//! walk through the globs, and [`search`] what comes of it; [`crowd`] which files are kept if there
//! are too many; [`journal`] what the server saw itself, [`token`] what a client keeps of that,
//! [`role`] what a rotated file is therefore, [`stand_in`] for which generation one stands,
//! [`suspect`] which may be copies that somebody made, and [`alike`] where that is in doubt;
//! [`left_out`] what is left out of an answer, [`archives`] which compressed files are, and
//! [`troubles`] what is remembered of that; [`sightings`] what was seen between two connections of
//! a classic client; [`families`] which logs there are where a key is a glob; and the three
//! answers: [`classic`], [`v2`], and [`op`] for whoever asks about a copy.

mod alike;
pub mod archives;
mod candidates;
pub mod classic;
pub mod compare;
pub mod crowd;
mod equals;
pub mod families;
pub mod findings;
pub mod journal;
pub mod left_out;
pub mod list;
pub mod op;
pub mod order;
pub mod pins;
pub mod place;
pub mod query;
pub mod refusal;
mod ring;
mod role;
mod scan;
pub mod search;
mod seen;
pub mod sightings;
mod stand_in;
mod suspect;
pub mod token;
pub mod troubles;
pub mod v2;
