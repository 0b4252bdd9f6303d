//! A terminal as a program that fills its screen uses it: termios(3), ioctl_tty(2).

use std::io::{self, IsTerminal};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use super::cvt;

/// The terminal at standard input, which hands over each key at once and shows none of them, until
/// this is dropped.
pub struct Keys {
    before: libc::termios,
}

impl Keys {
    /// `None` if standard input is no terminal.
    pub fn catch() -> io::Result<Option<Keys>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let mut found = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the descriptor is open, and on success all of the structure is written.
        cvt(unsafe { libc::tcgetattr(stdin.as_raw_fd(), found.as_mut_ptr()) })?;
        // SAFETY: as just said.
        let before = unsafe { found.assume_init() };
        let mut wanted = before;
        wanted.c_lflag &= !(libc::ICANON | libc::ECHO);
        // A read gives what is there, and does not wait.
        wanted.c_cc[libc::VMIN] = 0;
        wanted.c_cc[libc::VTIME] = 0;
        set(&wanted)?;
        Ok(Some(Keys { before }))
    }

    /// Waits for a key until so many milliseconds have passed or a signal came, and returns the
    /// bytes that are there.
    pub fn wait(&self, ms: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut polled = libc::pollfd {
            fd: io::stdin().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let ms = i32::try_from(ms).unwrap_or(i32::MAX);
        // SAFETY: one structure of our own, which outlives the call.
        match cvt(unsafe { libc::poll(&raw mut polled, 1, ms) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
            Ok(0) => Ok(0),
            Ok(_) => {
                // SAFETY: as many bytes are written as the buffer has.
                let len =
                    cvt(unsafe { libc::read(polled.fd, buf.as_mut_ptr().cast(), buf.len()) })?;
                match usize::try_from(len) {
                    // The terminal is gone.
                    Ok(0) | Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(len) => Ok(len),
                }
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = set(&self.before);
    }
}

fn set(wanted: &libc::termios) -> io::Result<()> {
    let fd = io::stdin().as_raw_fd();
    // SAFETY: the descriptor is open, and the structure is whole.
    cvt(unsafe { libc::tcsetattr(fd, libc::TCSANOW, wanted) }).map(drop)
}

/// The lines and columns of the terminal at standard output; `None` if it is none or does not know.
pub fn size() -> Option<(usize, usize)> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: zeros are values, and the call writes no more than the structure.
    cvt(unsafe {
        libc::ioctl(
            io::stdout().as_raw_fd(),
            libc::TIOCGWINSZ,
            size.as_mut_ptr(),
        )
    })
    .ok()?;
    // SAFETY: it was written, or is the zeros that it was made of.
    let size = unsafe { size.assume_init() };
    let (lines, columns) = (usize::from(size.ws_row), usize::from(size.ws_col));
    (lines > 0 && columns > 0).then_some((lines, columns))
}
