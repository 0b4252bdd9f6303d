//! The copies in which classic had a part that the pointer does not know of: version 2 began them,
//! fetchlogs 1.1 was put back for a while and appended to them, with 0xff for 0x07, and left the
//! pointer file as it was.
//!
//! A server of version 2 does not know such a copy by the checksums of its bytes. Before a loss is
//! believed it is asked once more, with checksums of the mapped form.

use super::link::{Asked, Form, Purpose};
use super::{Context, Source};
use crate::collect::copy::Generation;
use crate::collect::error::SourceError;
use crate::store::WriteStore;

impl<F> Source<F> {
    /// Whether the question at hand proves the mapped form of a copy that need not have one.
    pub(super) fn tries_mapped(&self) -> bool {
        self.link.form() == Form::Mapped || self.end.is_mapped()
    }

    /// The way to ask once more before an answer is believed by which our copy, as we have proved
    /// it, does not simply go on; `None` where there is no other.
    pub(super) fn asks_otherwise<S: WriteStore<File = F>>(
        &mut self,
        held: Generation,
        asked: Asked,
        goes_on: bool,
        cx: &mut Context<'_, S>,
    ) -> Result<Option<SourceError>, SourceError> {
        if self.is_baffled(asked, goes_on) || goes_on && self.may_be_spoiled(cx)? {
            return Ok(Some(self.look_closer()));
        }
        if goes_on || held.classic || asked.purpose != Purpose::Follow {
            return Ok(None);
        }
        self.link.set_form(match self.link.form() {
            // Nothing in it can be what classic made of another byte.
            Form::Exact { has_masked: false } | Form::Settled => return Ok(None),
            Form::Exact { has_masked: true } => Form::Mapped,
            Form::Mapped => Form::Settled,
        });
        Ok(Some(SourceError::AskAgain))
    }

    /// Notes in the pointer that classic had a part in the copy.
    pub(super) fn know_as_classic<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        let Some(held) = self.disk.generation() else {
            return Ok(());
        };
        let mixed = Generation {
            classic: true,
            ..held
        };
        self.know_as(held, mixed, cx)
    }
}
