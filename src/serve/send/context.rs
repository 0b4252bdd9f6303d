//! The context of a session: what each of its parts is handed when something happens. Pure.

use crate::serve::config::Config;
use crate::serve::find::journal::Journal;
use crate::serve::find::sightings::Sightings;
use crate::time::Now;

/// What a session is handed with every call.
pub struct Context<'a, S> {
    /// The files.
    pub store: &'a S,
    /// What may be served, and the periods.
    pub config: &'a Config,
    /// What the server saw of the generations of all logs.
    pub journal: &'a Journal,
    /// What the server remembers of generations for classic clients.
    pub sightings: &'a mut Sightings,
    /// This turn's time.
    pub now: Now,
}
