//! What was handed over and still stands on a list that could not be written, and which lists could
//! not be read. It is no reason to hand anything over again, nor to forget what waits.

use std::path::{Path, PathBuf};

use crate::collect::copy::HookEvent;
use crate::limits::HOOK_LIST_RETRY_MS;
use crate::time::Mono;

/// The sources whose lists are to be looked at again.
#[derive(Default)]
pub struct Unsettled {
    sources: Vec<Source>,
    retry_at: Option<Mono>,
}

struct Source {
    pointer: PathBuf,
    index: u32,
    /// To be taken off the list.
    events: Vec<HookEvent>,
}

impl Unsettled {
    /// What was handed over of this source and is to be taken off its list.
    pub fn events(&self, pointer: &Path) -> &[HookEvent] {
        let source = self.sources.iter().find(|it| it.pointer == pointer);
        source.map_or(&[], |source| &source.events)
    }

    /// These are left to be taken off the list of a source, or the list could not be read; it is
    /// looked at again later, unless neither is so. Tells whether that is new.
    pub fn set(
        &mut self,
        pointer: &Path,
        index: u32,
        (events, is_unread): (Vec<HookEvent>, bool),
        now: Mono,
    ) -> bool {
        let at = self.sources.iter().position(|it| it.pointer == pointer);
        if events.is_empty() && !is_unread {
            if let Some(at) = at {
                self.sources.swap_remove(at);
            }
            return false;
        }
        let retry_at = now.plus_ms(HOOK_LIST_RETRY_MS);
        self.retry_at = Some(self.retry_at.map_or(retry_at, |at| at.min(retry_at)));
        match at.and_then(|at| self.sources.get_mut(at)) {
            Some(source) => (source.index, source.events) = (index, events),
            None => self.sources.push(Source {
                pointer: pointer.to_path_buf(),
                index,
                events,
            }),
        }
        at.is_none()
    }

    /// This one, too, is to be taken off the list. Tells whether it is the first in trouble.
    pub fn add(&mut self, pointer: &Path, index: u32, event: HookEvent, now: Mono) -> bool {
        let mut events = self.events(pointer).to_vec();
        events.push(event);
        self.set(pointer, index, (events, false), now)
    }

    /// The source is no longer there.
    pub fn forget(&mut self, pointer: &Path) {
        self.sources.retain(|source| source.pointer != pointer);
    }

    /// When [`take_due`](Self::take_due) has something.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.retry_at
    }

    /// The sources whose lists are to be looked at now. What is still not settled is to be set
    /// again.
    pub fn take_due(&mut self, now: Mono) -> Vec<u32> {
        if self.retry_at.take_if(|at| *at <= now).is_none() {
            return Vec::new();
        }
        self.sources.iter().map(|source| source.index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::copy::HookKind;

    #[test]
    fn what_cannot_be_taken_off_is_kept_and_tried_again_later() {
        let event = |bytes| HookEvent::of(HookKind::Rotated).with_bytes(Some(bytes));
        let at = Mono::from_ms;
        let (a, b) = (Path::new("a"), Path::new("b"));
        let mut unsettled = Unsettled::default();
        assert!(!unsettled.set(a, 0, (Vec::new(), false), at(0)));
        assert_eq!(unsettled.poll_timeout(), None);
        assert!(unsettled.add(a, 0, event(1), at(0)));
        assert!(!unsettled.add(a, 7, event(2), at(10)), "told once");
        assert!(unsettled.set(b, 1, (Vec::new(), true), at(20)));
        assert_eq!(unsettled.events(a), [event(1), event(2)]);
        assert_eq!(unsettled.events(b), []);
        assert_eq!(unsettled.poll_timeout(), Some(at(HOOK_LIST_RETRY_MS)));
        assert!(unsettled.take_due(at(HOOK_LIST_RETRY_MS - 1)).is_empty());
        assert_eq!(unsettled.take_due(at(HOOK_LIST_RETRY_MS)), [7, 1]);
        assert_eq!(
            unsettled.poll_timeout(),
            None,
            "no sooner than somebody says so"
        );
        assert!(!unsettled.set(a, 7, (vec![event(2)], false), at(6_000)));
        assert_eq!(
            unsettled.poll_timeout(),
            Some(at(6_000 + HOOK_LIST_RETRY_MS))
        );
        assert!(!unsettled.set(a, 7, (Vec::new(), false), at(7_000)));
        unsettled.forget(b);
        assert!(unsettled.take_due(at(60_000)).is_empty());
        assert!(unsettled.add(a, 7, event(1), at(70_000)), "told again");
    }
}
