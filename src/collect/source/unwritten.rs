//! What the frames of one turn brought to be put on record: all of it is written in one go.

use super::{Context, Source};
use crate::collect::copy::left_out::LeftOut;
use crate::collect::error::SourceError;
use crate::store::WriteStore;

/// What the frames of one turn brought to be put on record. It is written once, for each time costs
/// barriers for which others wait.
#[derive(Default)]
pub(super) struct Unwritten {
    /// What the server leaves out.
    pub missing: Vec<LeftOut>,
    /// The list of copies to verify has grown.
    pub is_late: bool,
}

impl<F> Source<F> {
    /// Puts on record what a turn brought to be put there.
    pub(super) fn write<S: WriteStore<File = F>>(
        &mut self,
        unwritten: &mut Unwritten,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Unwritten { missing, is_late } = std::mem::take(unwritten);
        if is_late {
            self.update_list(cx);
        }
        if missing.is_empty() {
            return Ok(());
        }
        let stamp = (cx.stamp)(cx.now.wall);
        let noted = cx.files(&self.config, &stamp).note_left_out(&missing);
        noted.map_err(SourceError::Files)
    }
}
