//! A collector that cannot inflate: it says so to nobody, and so is told of no archive.

use super::link::Asked;
use super::{Context, Source};
use crate::collect::archive::Offered;
use crate::collect::copy::{FileError, Finished};
use crate::collect::error::{ProtocolError, SourceError};
use crate::store::WriteStore;
use crate::wire::frame::End;
use crate::wire::receiver::Receiver;
use crate::wire::reply::Terms;
use crate::wire::request::Extension;

/// Whether requests ask for archives.
pub(super) const ARE_ASKED_FOR: bool = false;

/// Nothing.
pub(super) struct Archives<F>(std::marker::PhantomData<F>);

impl<F> Archives<F> {
    pub(super) fn new() -> Archives<F> {
        Archives(std::marker::PhantomData)
    }

    pub(super) fn is_at_work(&self) -> bool {
        false
    }

    pub(super) fn interrupt<S>(&mut self, _: &mut S) {}
}

impl<F> Source<F> {
    pub(super) fn tell_archives(&self, _: &mut Extension) {}

    pub(super) fn take_archives(
        &mut self,
        _: Vec<Offered>,
        _: (bool, bool),
        _: Option<(End, bool)>,
    ) {
    }

    pub(super) fn prepare_archive<S>(&mut self, _: &mut Context<'_, S>) -> Result<bool, FileError> {
        Ok(false)
    }

    pub(super) fn question_of_archive(&self) -> Option<Asked> {
        None
    }

    pub(super) fn extension_of_archive(&self) -> Option<Extension> {
        None
    }

    pub(super) fn is_archive(&self, _: &Terms) -> bool {
        false
    }

    pub(super) fn give_up_archives(&mut self) {}

    pub(super) fn take_archive<S: WriteStore<File = F>>(
        &mut self,
        _: &mut Receiver,
        _: &[u8],
        _: &mut Context<'_, S>,
    ) -> (bool, Result<(), SourceError>) {
        (false, Err(ProtocolError::Order.into()))
    }

    pub(super) fn turn_to_archive<S>(&mut self, _: &mut Context<'_, S>) {}

    pub(super) fn work_on_archive<S>(&mut self, _: &mut [u8], _: &mut Context<'_, S>) {}

    pub(super) fn inflated(&mut self) -> Option<Finished> {
        None
    }
}
