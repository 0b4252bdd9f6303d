//! The events that a box may bring about in a minute as often as it likes: the first are told, of
//! the others how many there were. What is on record, and what tells of a copy, is always told.

use crate::collect::config::SourceConfig;
use crate::collect::event::Event;
use crate::limits::{BOX_EVENTS_MAX, SOURCE_EVENTS_MAX};
use crate::time::Mono;

/// What boxes have had told in this minute.
#[derive(Default)]
pub struct Quotas {
    /// When it is counted anew; `None` while there is nothing.
    window_end: Option<Mono>,
    /// By what the boxes are called, sorted.
    boxes: Vec<Quota>,
}

struct Quota {
    name: Box<str>,
    /// The sources that had something to tell.
    sources: Vec<u32>,
    told: u32,
    left_out: u32,
    /// The source of the first event that was left out.
    first: Option<Box<SourceConfig>>,
}

/// The minute begins with its first event, so that no burst falls on two sides of a border.
const WINDOW_MS: u64 = 60_000;

impl Quotas {
    /// Whether an event of the source at this place is told; else it is counted.
    pub fn may_tell(
        &mut self,
        (place, source): (u32, &SourceConfig),
        event: &Event<'_>,
        now: Mono,
    ) -> bool {
        if !event.is_at_will() {
            return true;
        }
        self.window_end.get_or_insert(now.plus_ms(WINDOW_MS));
        let name = source.server().to_string();
        let found = self.boxes.binary_search_by(|it| (*it.name).cmp(&name));
        let at = found.unwrap_or_else(|at| {
            self.boxes.insert(at, Quota::of(name.into()));
            at
        });
        self.boxes[at].may_tell(place, source)
    }

    /// When [`take_left_out`](Self::take_left_out) has something to tell.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.window_end
    }

    /// Counts anew if it is time for that, or at the end. Tells for each box of which something was
    /// left out a source of it, and how much that was.
    pub fn take_left_out(&mut self, now: Option<Mono>) -> Vec<(Box<SourceConfig>, u32)> {
        let is_over = |end: Mono| now.is_none_or(|now| end <= now);
        if !self.window_end.is_some_and(is_over) {
            return Vec::new();
        }
        self.window_end = None;
        let boxes = std::mem::take(&mut self.boxes).into_iter();
        let left_out = boxes.filter_map(|quota| Some((quota.first?, quota.left_out)));
        left_out.collect()
    }
}

impl Quota {
    fn of(name: Box<str>) -> Quota {
        Quota {
            name,
            sources: Vec::new(),
            told: 0,
            left_out: 0,
            first: None,
        }
    }

    fn may_tell(&mut self, place: u32, source: &SourceConfig) -> bool {
        if let Err(at) = self.sources.binary_search(&place) {
            self.sources.insert(at, place);
        }
        let sources = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let most = BOX_EVENTS_MAX.saturating_add(sources.saturating_mul(SOURCE_EVENTS_MAX));
        if self.told < most {
            self.told += 1;
            return true;
        }
        self.left_out = self.left_out.saturating_add(1);
        self.first.get_or_insert_with(|| Box::new(source.clone()));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::Config;
    use crate::collect::error::SourceError;

    const ERROR: Event<'_> = Event::Error(&SourceError::Silence);

    #[test]
    fn the_first_are_told_and_the_others_counted_for_each_box() {
        let config = Config::parse(
            b"10.0.0.1 19 /a /l/a /p/a\n10.0.0.1 19 /b /l/b /p/b\n10.0.0.2 19 /a /l/c /p/c",
        );
        let config = config.unwrap();
        let [a, b, other] = &config.sources[..] else {
            panic!("{} sources", config.sources.len())
        };
        let mut quotas = Quotas::default();
        let now = Mono::from_ms(5);
        let told = |quotas: &mut Quotas, place, source, event: &Event<'_>| {
            let may = |_: &u32| quotas.may_tell((place, source), event, now);
            (0..1_000).filter(may).count() as u32
        };
        let most = BOX_EVENTS_MAX + SOURCE_EVENTS_MAX;
        assert_eq!(told(&mut quotas, 0, a, &ERROR), most);
        // Where more of its logs have something to tell, each may tell some.
        assert_eq!(told(&mut quotas, 1, b, &ERROR), SOURCE_EVENTS_MAX);
        assert_eq!(told(&mut quotas, 2, other, &ERROR), most);
        let lost = Event::Remains("/l/m".as_ref());
        assert_eq!(told(&mut quotas, 0, a, &lost), 1_000);
        let early = Some(Mono::from_ms(60_004));
        assert!(quotas.take_left_out(early).is_empty());
        assert_eq!(quotas.poll_timeout(), Some(Mono::from_ms(60_005)));
        let left_out = quotas.take_left_out(quotas.poll_timeout());
        let left_out: Vec<_> = left_out.iter().map(|(of, count)| (&**of, *count)).collect();
        let of_box = 2_000 - most - SOURCE_EVENTS_MAX;
        assert_eq!(left_out, [(a, of_box), (other, 1_000 - most)]);
        assert_eq!(quotas.poll_timeout(), None);
        assert_eq!(told(&mut quotas, 0, a, &ERROR), most, "a new minute");
        assert_eq!(quotas.take_left_out(None).len(), 1, "the end");
    }
}
