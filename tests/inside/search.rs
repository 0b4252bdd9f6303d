//! A question put to the rotated files of a log until there is an answer, as a session does.

use crate::limits::LOOKS_MAX;
use crate::serve::find::findings::Occasion;
use crate::serve::find::query::Query;
use crate::serve::find::refusal::Refusal;
use crate::serve::find::search::Search;
use crate::store::ReadStore;

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
