//! Events as lines of JSON, for programs.

use std::fmt;
use std::path::Path;

use super::json::Quoted;
use crate::collect::config::SourceConfig;
use crate::collect::event::{Event, State};
use crate::time::{Civil, Wall};
use crate::wire::escape::{Escaped, OneLine};
use crate::wire::md5::Hex;

/// An event of a source as one object, without a line end.
pub struct Json<'a> {
    /// When it happened.
    pub wall: Wall,
    /// The same in the zone of this host.
    pub time: Civil,
    /// The source.
    pub source: &'a SourceConfig,
    /// The event.
    pub event: &'a Event<'a>,
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.event;
        write!(
            f,
            "{{\"at\":{},\"time\":{},\"severity\":\"{}\",\"event\":\"{}\",\"box\":{},\"remote_file\":{},\"local_file\":{}",
            self.wall.secs(),
            Quoted(self.time),
            event.severity().word(),
            word(event),
            Quoted(self.source.server()),
            Quoted(Escaped(&self.source.remote)),
            path(&self.source.local),
        )?;
        write_fields(event, f)?;
        let text = event.to_string();
        write!(f, ",\"text\":{}}}", Quoted(OneLine(&text)))
    }
}

fn path(path: &Path) -> Quoted<Escaped<'_>> {
    use std::os::unix::ffi::OsStrExt;
    Quoted(Escaped(path.as_os_str().as_bytes()))
}

/// What a program needs not read out of the text.
fn write_fields(event: &Event<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        Event::Rotated { size, kept, .. } | Event::Truncated { size, kept, .. } => {
            write!(f, ",\"file\":{},\"bytes\":{size}", path(kept))
        }
        Event::Lost(loss) => {
            write!(f, ",\"held\":{}", loss.offset)?;
            match loss.at_least {
                Some(len) => write!(f, ",\"at_least\":{len}"),
                None => Ok(()),
            }
        }
        Event::KeptMore { ours, theirs, kept } => {
            write!(
                f,
                ",\"file\":{},\"bytes\":{ours},\"server_bytes\":{theirs}",
                path(kept)
            )
        }
        Event::Verified { path: of, md5, .. } => {
            write!(f, ",\"file\":{},\"md5\":\"{}\"", path(of), Hex(md5))
        }
        Event::Healed { path: of, from, .. } => {
            write!(f, ",\"file\":{},\"from\":{from}", path(of))
        }
        Event::Completed {
            path: of,
            from,
            size,
        }
        | Event::LostLate {
            path: of,
            from,
            size,
        } => {
            write!(f, ",\"file\":{},\"from\":{from},\"bytes\":{size}", path(of))
        }
        Event::HookFailed { path: of, kind, .. } | Event::HookSlow { path: of, kind, .. } => {
            if let Some(of) = of {
                write!(f, ",\"file\":{}", path(of))?;
            }
            write!(f, ",\"of\":\"{kind}\"")
        }
        Event::Untold(count) => write!(f, ",\"count\":{count}"),
        Event::HooksDropped { count, .. } => write!(f, ",\"count\":{count}"),
        Event::NeverVerified { path: of, .. }
        | Event::Differs { path: of, .. }
        | Event::GivenTwice { path: of, .. }
        | Event::Remains(of) => write!(f, ",\"file\":{}", path(of)),
        Event::State(State::Following { size, behind, .. }) => {
            write!(f, ",\"held\":{size}")?;
            match behind {
                Some(behind) => write!(f, ",\"behind\":{behind}"),
                None => Ok(()),
            }
        }
        Event::ClockFar(secs) => write!(f, ",\"ahead\":{secs}"),
        _ => Ok(()),
    }
}

/// The kind of an event, in a word.
fn word(event: &Event<'_>) -> &'static str {
    match event {
        Event::Rotated { .. } => "rotated",
        Event::Truncated { .. } => "truncated",
        Event::Lost(_) | Event::LostLate { .. } => "lost",
        Event::LeftOut(_) => "left_out",
        Event::KeptMore { .. } => "kept_more",
        Event::Rescued { .. } => "rescued",
        Event::Cut { .. } => "cut",
        Event::Unchecked { .. } => "unchecked",
        Event::Verified { .. } => "verified",
        Event::NeverVerified { .. } => "not_verified",
        Event::Healed { .. } => "healed",
        Event::Completed { .. } => "completed",
        Event::Differs { .. } => "differs",
        Event::GivenTwice { .. } => "given_twice",
        Event::Remains(_) => "remains",
        #[cfg(feature = "gz")]
        Event::BadArchive { .. } => "bad_archive",
        Event::HookFailed { .. } => "hook_failed",
        Event::HookSlow { .. } => "hook_slow",
        Event::HooksDropped { .. } => "hooks_dropped",
        Event::ClockFar(_) => "clock_far",
        Event::ClockRight => "clock_right",
        Event::Downgraded => "downgraded",
        Event::Untold(_) => "untold",
        Event::Found(_) => "found",
        Event::Error(_) | Event::State(State::Error(_)) => "trouble",
        Event::State(State::Connecting) => "connecting",
        Event::State(State::Following { .. }) => "following",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::config::Config;
    use crate::collect::error::SourceError;
    use crate::ids::Inode;
    use crate::wire::frame::Reason;

    fn text(event: &Event<'_>) -> String {
        let config = Config::parse(b"10.0.0.1 19 /var/log/<m>\" /l/m /p/m").unwrap();
        let source = &config.sources[0];
        Json {
            wall: Wall::from_ms(7_000),
            time: Civil::from_unix(7),
            source,
            event,
        }
        .to_string()
    }

    #[test]
    fn an_event_is_an_object() {
        let event = Event::Rotated {
            next: Inode(8),
            reason: Reason::Rotated,
            size: 3,
            kept: Path::new("/l/m.1"),
        };
        assert_eq!(
            text(&event),
            r#"{"at":7,"time":"1970-01-01T00:00:07","severity":"info","event":"rotated","box":"10.0.0.1","remote_file":"/var/log/\u003cm\u003e\"","local_file":"/l/m","file":"/l/m.1","bytes":3,"text":"rotated to 8; 3 bytes kept as /l/m.1"}"#
        );
    }

    #[test]
    fn what_a_server_says_is_one_string() {
        let error = SourceError::Refused("\u{1b}[2J\"\n</script>\\x".into());
        let text = text(&Event::Error(&error));
        assert!(
            text.contains(r#""severity":"warning","event":"trouble","#),
            "{text}"
        );
        let said = r#""text":"the server refuses: \\x1b[2J\"\\x0a\u003c/script\u003e\\x"}"#;
        assert!(text.ends_with(said), "{text}");
    }
}
