//! The health of a source, as its events and the status of its server tell it.

use crate::collect::copy::loss::Loss;
use crate::collect::error::SourceError;
use crate::time::Mono;

/// The errors and flaws of a source, as far as they are known.
pub(super) struct Health {
    /// The error as it was reported; `None` while all is well.
    error: Option<Box<SourceError>>,
    /// Whether the status of the server has to say `ERR`, until all is well again. So it is before
    /// the first contact.
    in_error: bool,
    /// Whether something was lost, or differs and cannot be healed. An operator has to take note.
    is_flawed: bool,
    /// How many of them are on record; `None` until that is counted.
    losses: Option<u32>,
    /// The loss that was put on record last.
    noted: Option<Box<Loss>>,
    /// Whether a difference could not be put on record. So that it is not forgotten, the list of
    /// copies to be compared keeps all it has until it is read again.
    is_unrecorded: bool,
    /// The size of our generation that the server told last; 0 if it told none.
    server_size: u64,
    /// When the server was last heard while we had all that it told of, in seconds, which take less
    /// room; 0 if we had not.
    current_at_secs: u32,
}

impl Health {
    /// The health of a source that has not been in contact yet.
    pub(super) fn new() -> Health {
        Health {
            error: None,
            in_error: true,
            is_flawed: false,
            losses: Some(0),
            noted: None,
            is_unrecorded: false,
            server_size: 0,
            current_at_secs: 0,
        }
    }

    /// Whether the source is in error now, whatever is on record.
    pub(super) fn is_failing(&self) -> bool {
        self.in_error
    }

    /// Whether losses or differences are on record.
    pub(super) fn is_flawed(&self) -> bool {
        self.is_flawed
    }

    /// Notes that a loss or a difference is on record, or was found there.
    pub(super) fn flaw(&mut self) {
        self.is_flawed = true;
        self.losses = None;
    }

    /// Whether there may be more on record than was counted.
    pub(super) fn is_uncounted(&self) -> bool {
        self.losses.is_none()
    }

    /// Sets how many losses and differences are on record.
    pub(super) fn set_losses(&mut self, losses: u32) {
        self.losses = Some(losses);
    }

    /// How many losses and differences there are, as far as they were counted.
    pub(super) fn losses(&self) -> u32 {
        match self.is_flawed {
            // What could not be put on record is one of them.
            true => self.losses.unwrap_or(1).max(1),
            false => 0,
        }
    }

    /// Forgets what is on record, which is about to be read anew.
    pub(super) fn forget_flaws(&mut self) {
        self.is_flawed = false;
    }

    /// The error, if one was reported.
    pub(super) fn error(&self) -> Option<&SourceError> {
        self.error.as_deref()
    }

    /// Whether the local files are what is wrong: only writing to them shows that they are right
    /// again.
    pub(super) fn is_in_trouble_with_files(&self) -> bool {
        matches!(self.error.as_deref(), Some(SourceError::Files(_)))
    }

    /// Notes an error, and hands it to `report` if it is news.
    pub(super) fn fail(&mut self, error: SourceError, report: impl FnOnce(&SourceError)) {
        self.in_error = true;
        if !self.error.as_ref().is_some_and(|old| old.is_like(&error)) {
            report(&error);
        }
        self.error = Some(Box::new(error));
    }

    /// Notes that all is well. Tells whether it was not so before.
    pub(super) fn recover(&mut self) -> bool {
        self.error = None;
        std::mem::take(&mut self.in_error)
    }

    /// Forgets the error, which is over or was no reason to worry. The status stays as it is until
    /// more is known.
    pub(super) fn forget_error(&mut self) {
        self.error = None;
    }

    /// Whether this loss is the one that was put on record last.
    pub(super) fn is_noted(&self, loss: &Loss) -> bool {
        self.noted.as_deref() == Some(loss)
    }

    /// Notes that this loss is on record.
    pub(super) fn note(&mut self, loss: Loss) {
        self.noted = Some(Box::new(loss));
    }

    /// Whether a difference could not be put on record.
    pub(super) fn is_unrecorded(&self) -> bool {
        self.is_unrecorded
    }

    /// Sets whether a difference could not be put on record since the list from which it is found
    /// out again was read.
    pub(super) fn set_unrecorded(&mut self, is_unrecorded: bool) {
        self.is_unrecorded = is_unrecorded;
    }

    /// When the server was last heard, if we had all that it told of when that connection ended.
    pub(super) fn current_at(&self) -> Option<Mono> {
        (self.current_at_secs > 0).then(|| Mono::from_ms(u64::from(self.current_at_secs) * 1_000))
    }

    /// Sets when the server was last heard over a connection that ends, if we have all that it told
    /// of.
    pub(super) fn set_current_at(&mut self, at: Option<Mono>) {
        // Earlier rather than later. In the first second of a clock that nobody has seen begin, it
        // is not known.
        let secs = at.map_or(0, |at| at.ms() / 1_000);
        self.current_at_secs = u32::try_from(secs).unwrap_or(0);
    }

    /// The size of our generation on the server, as far as it was told; else 0.
    pub(super) fn server_size(&self) -> u64 {
        self.server_size
    }

    /// Sets the size of our generation that the server told, or 0 for one of which nothing was
    /// told.
    pub(super) fn set_server_size(&mut self, size: u64) {
        self.server_size = size;
    }

    /// The invariants, which hold at any moment.
    pub(super) fn check_invariants(&self) {
        debug_assert!(
            self.in_error || self.error.is_none(),
            "something is wrong, and the status does not say so"
        );
    }
}
