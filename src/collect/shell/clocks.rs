//! The boxes whose clocks are far from ours: it is said once for each, however many logs of it are
//! followed.

use crate::collect::config::SourceConfig;
use crate::collect::event::Event;

/// What the boxes in question are called, sorted.
#[derive(Default)]
pub struct Clocks(Vec<Box<str>>);

impl Clocks {
    /// Whether nobody has told this yet; true of everything that is not about a clock.
    pub fn is_news(&mut self, source: &SourceConfig, event: &Event<'_>) -> bool {
        let is_far = match event {
            Event::ClockFar(_) => true,
            Event::ClockRight => false,
            _ => return true,
        };
        let name = source.server().to_string();
        match (is_far, self.0.binary_search_by(|it| (**it).cmp(&name))) {
            (true, Err(at)) => self.0.insert(at, name.into()),
            (false, Ok(at)) => drop(self.0.remove(at)),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::Config;

    #[test]
    fn it_is_said_once_for_each_box() {
        let config = Config::parse(
            b"10.0.0.1 19 /a /l/a /p/a\n10.0.0.1 19 /b /l/b /p/b\n10.0.0.2 19 /a /l/c /p/c",
        );
        let config = config.unwrap();
        let [a, b, other] = &config.sources[..] else {
            panic!("{} sources", config.sources.len())
        };
        let mut clocks = Clocks::default();
        let far = Event::ClockFar(7200);
        assert!(clocks.is_news(a, &far));
        assert!(!clocks.is_news(b, &far));
        assert!(clocks.is_news(other, &far));
        assert!(clocks.is_news(b, &Event::Downgraded) && clocks.is_news(b, &Event::Downgraded));
        assert!(clocks.is_news(b, &Event::ClockRight));
        assert!(!clocks.is_news(a, &Event::ClockRight));
        assert!(clocks.is_news(a, &far), "it is wrong again");
    }
}
