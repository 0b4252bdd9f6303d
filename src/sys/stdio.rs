//! The three standard descriptors: lines that never wait, and silence.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{cvt, files};

/// Lines on standard output or error, which may be a pipe that nobody reads or a terminal that was
/// stopped: a line that does not fit into it at once is left out, and nobody ever waits.
pub struct Lines {
    fd: RawFd,
    left_out: u32,
}

impl Lines {
    /// On standard output.
    pub fn on_stdout() -> Lines {
        Lines::on(libc::STDOUT_FILENO)
    }

    /// On standard error.
    pub fn on_stderr() -> Lines {
        Lines::on(libc::STDERR_FILENO)
    }

    fn on(fd: RawFd) -> Lines {
        Lines { fd, left_out: 0 }
    }

    /// Writes one line, newline included, in one piece if it has no more than 4096 bytes. Where
    /// lines were left out before, `notice` first tells how many, as a line of its own. A closed
    /// pipe is nothing to die of.
    pub fn write(&mut self, line: &str, notice: impl FnOnce(u32) -> String) {
        if self.left_out > 0 {
            // The notice goes first, at its place; if there is no room for it, neither is there for
            // the line.
            if !self.has_room() {
                self.left_out = self.left_out.saturating_add(1);
                return;
            }
            let left_out = std::mem::take(&mut self.left_out);
            self.write_pieces(&notice(left_out));
        }
        if !self.write_pieces(line) {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// Tells whether it could write the whole line, or will never be able to.
    fn write_pieces(&self, line: &str) -> bool {
        let mut pieces = line.as_bytes().chunks(PIECE_LEN);
        pieces.all(|piece| {
            // Asked before each piece and not by a flag: O_NONBLOCK would hold for everybody who
            // shares the terminal.
            self.has_room()
                && match write(self.fd, piece) {
                    Err(error) => error.kind() != io::ErrorKind::WouldBlock,
                    Ok(_) => true,
                }
        })
    }

    /// Whether a piece can be written without waiting. An error can be had without waiting, too.
    fn has_room(&self) -> bool {
        let mut wanted = libc::pollfd {
            fd: self.fd,
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: `wanted` is our own, one element as the count says, and outlives the call.
        let ready = cvt(unsafe { libc::poll(&raw mut wanted, 1, 0) });
        // Where the system cannot tell, as for odd devices, it is no pipe.
        ready.map_or(true, |ready| ready > 0)
    }
}

/// Whether standard output and standard error are the same file, or both the system's journal: what
/// is written to both is there twice.
pub fn is_one_place() -> bool {
    let [out, err] = [io::stdout().as_fd(), io::stderr().as_fd()].map(file_id);
    out.is_some() && out == err || are_journal() == [true, true]
}

/// Whether standard output, and standard error, go to the system's journal: systemd.exec(5),
/// `JOURNAL_STREAM`.
pub fn are_journal() -> [bool; 2] {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let stream = stream.as_ref().and_then(|text| text.split_once(':'));
    let number = |text: &str| text.parse::<u64>().ok();
    let stream = stream.and_then(|(dev, ino)| Some((number(dev)?, number(ino)?)));
    [io::stdout().as_fd(), io::stderr().as_fd()].map(|fd| stream.is_some() && file_id(fd) == stream)
}

/// Device and number of what is open there.
fn file_id(fd: BorrowedFd<'_>) -> Option<(u64, u64)> {
    let found = File::from(fd.try_clone_to_owned().ok()?).metadata().ok()?;
    Some((found.dev(), found.ino()))
}

/// The number of bytes that a pipe takes at once if it takes anything.
const PIECE_LEN: usize = 4096;

fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the pointer and the length are those of `bytes`, which outlives the call and is
        // only read.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(written) => return Ok(written),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Writes all of a text to standard output and waits for whoever reads it.
pub fn print(text: &[u8]) -> io::Result<()> {
    write_all(libc::STDOUT_FILENO, text)
}

/// The same to standard error.
pub fn complain(text: &[u8]) -> io::Result<()> {
    write_all(libc::STDERR_FILENO, text)
}

fn write_all(fd: RawFd, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match write(fd, text)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => text = &text[written..],
        }
    }
    Ok(())
}

/// Points standard error at `/dev/null`, for this process and for good.
///
/// On failure standard error is what it was: whoever must not print a byte stops there.
pub fn silence_stderr() -> io::Result<()> {
    let null = files::open(Path::new("/dev/null"), libc::O_WRONLY)?;
    // SAFETY: `dup2` takes two numbers and no memory; `null` is open until the end of this
    // function, and no owned descriptor of the program is ever number 2, so nothing is closed under
    // its owner.
    match unsafe { libc::dup2(null.as_raw_fd(), libc::STDERR_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn notice(count: u32) -> String {
        format!("{count} left out\n")
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_not_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut lines = Lines::on(writer.as_raw_fd());
        let line = format!("{}\n", "x".repeat(99));
        let mut count = 0;
        while lines.left_out < 5 {
            lines.write(&line, notice);
            count += 1;
        }
        let mut heard = vec![0; (count - 5) * line.len()];
        reader.read_exact(&mut heard).unwrap();
        assert_eq!(heard, line.repeat(count - 5).as_bytes());
        lines.write("again\n", notice);
        lines.write("and again\n", notice);
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "5 left out\nagain\nand again\n");
    }

    #[test]
    fn a_pipe_that_was_closed_takes_everything() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut lines = Lines::on(writer.as_raw_fd());
        lines.write("unheard\n", notice);
        assert_eq!(lines.left_out, 0);
    }

    #[test]
    fn a_line_longer_than_a_piece_is_written_whole() {
        let (mut reader, writer) = io::pipe().unwrap();
        let line = "x".repeat(PIECE_LEN + 1);
        Lines::on(writer.as_raw_fd()).write(&line, notice);
        drop(writer);
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, line);
    }
}
