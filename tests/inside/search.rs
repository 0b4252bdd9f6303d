//! A question put to the rotated files of a log until there is an answer, as a session does.

use std::net::{IpAddr, Ipv4Addr};

use crate::limits::LOOKS_MAX;
use crate::serve::config::Config;
use crate::serve::find::crowd::Reached;
use crate::serve::find::findings::Occasion;
use crate::serve::find::journal::Journal;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::search::Search;
use crate::store::ReadStore;

/// A question about the first log of a configuration, of a client that was given nothing.
pub(crate) fn query_of<'a, S: ReadStore>(
    store: &'a S,
    config: &'a Config,
    journal: &'a Journal,
) -> Query<'a, S> {
    Query {
        store,
        entry: &config.files[0],
        files: &config.files,
        journal,
        given: &[],
        index: 0,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        quiet_since_ns: 0,
        reached: Reached::default(),
        findings: None,
    }
}

/// Asks until there is an answer, as a session does.
pub(crate) fn search<S: ReadStore, T>(
    query: &Query<'_, S>,
    mut ask: impl FnMut(&Query<'_, S>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut search = Search::new(Occasion::Request, query);
    let mut tries = 1;
    loop {
        let Some(findings) = search.advance(query)? else {
            continue;
        };
        let query = Query {
            findings: Some(findings),
            ..*query
        };
        match ask(&query) {
            Err(Refusal::Later) => assert!(findings.is_paused()),
            Err(Refusal::Unsettled) if tries < LOOKS_MAX => {
                tries += 1;
                search = Search::new(Occasion::Request, &query);
            }
            result => return result,
        }
    }
}
