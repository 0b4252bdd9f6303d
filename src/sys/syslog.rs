//! The system's log: messages as one datagram each, in the form of RFC 3164 that local loggers
//! expect, `<PRIORITY>TAG[PID]: TEXT`. The logger adds time and host itself.

use std::fmt::Write;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use heapless::String;

use super::socket::never_wait;

/// The severity of what concerns a daemon itself: "notice" of syslog(3).
pub const NOTICE: u8 = 5;

/// A sender that never waits. A message that the logger does not take at once is lost, and so is
/// one sent while there is no logger; the next one tries again.
pub struct Syslog {
    path: PathBuf,
    tag: std::string::String,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// A sender whose messages begin with `tag` and the number of the process that sends them.
    pub fn new(tag: &str) -> Syslog {
        Syslog::to(Path::new("/dev/log"), tag)
    }

    /// A sender to a logger that listens elsewhere.
    pub fn to(path: &Path, tag: &str) -> Syslog {
        Syslog {
            path: path.to_owned(),
            tag: tag.to_owned(),
            socket: None,
        }
    }

    /// Sends one message, cut after 1000 bytes or so. It must not hold line ends or other control
    /// characters. `severity` is a number of syslog(3).
    pub fn send(&mut self, severity: u8, text: &str) {
        let message = self.message_of(severity, text);
        if self.try_send(message.as_bytes()).is_err() {
            // A logger that was started again listens at a new socket under the old name.
            self.socket = None;
            let _ = self.try_send(message.as_bytes());
        }
    }

    fn try_send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        let result = socket.send(message).map(drop);
        self.socket = Some(socket);
        result
    }

    fn message_of(&self, severity: u8, text: &str) -> String<MESSAGE_MAX_LEN> {
        let mut message = String::new();
        // Characters one by one, so that a full message is cut between two of them.
        let _ = write!(
            message,
            "<{}>{}[{}]: ",
            DAEMON + severity,
            self.tag,
            std::process::id()
        );
        let _ = text.chars().try_for_each(|c| message.push(c));
        message
    }
}

/// RFC 3164 allows 1024 bytes in all.
const MESSAGE_MAX_LEN: usize = 1024;

/// The facility, of which there are eight severities.
const DAEMON: u8 = 3 * 8;

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    never_wait(&socket)?;
    socket.connect(path)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::alone;

    fn received(logger: &UnixDatagram) -> std::string::String {
        let mut bytes = [0; 2048];
        let len = logger.recv(&mut bytes).unwrap();
        std::string::String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    fn listening(path: &Path) -> UnixDatagram {
        let logger = UnixDatagram::bind(path).unwrap();
        logger.set_nonblocking(true).unwrap();
        logger
    }

    #[test]
    fn a_message_says_who_and_what() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let logger = listening(&path);
        Syslog::to(&path, "gen_numbers").send(NOTICE, "peer 10.0.0.1 closed");
        let expected = format!(
            "<29>gen_numbers[{}]: peer 10.0.0.1 closed",
            std::process::id()
        );
        assert_eq!(received(&logger), expected);
    }

    #[test]
    fn a_logger_may_come_late_and_start_again() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::to(&path, "x");
        syslog.send(NOTICE, "lost");
        let logger = listening(&path);
        syslog.send(NOTICE, "first");
        assert!(received(&logger).ends_with(": first"));
        drop(logger);
        std::fs::remove_file(&path).unwrap();
        syslog.send(NOTICE, "lost too");
        let logger = listening(&path);
        syslog.send(NOTICE, "second");
        assert!(received(&logger).ends_with(": second"));
    }

    #[test]
    fn a_logger_that_takes_nothing_does_not_stop_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let logger = listening(&path);
        let mut syslog = Syslog::to(&path, "x");
        for _ in 0..10_000 {
            syslog.send(NOTICE, "a flood");
        }
        assert!(received(&logger).ends_with(": a flood"));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let logger = listening(&path);
        Syslog::to(&path, "x").send(NOTICE, &"ü".repeat(1000));
        let text = received(&logger);
        assert!(
            text.len() >= MESSAGE_MAX_LEN - 1 && text.ends_with('ü'),
            "{}",
            text.len()
        );
    }
}
