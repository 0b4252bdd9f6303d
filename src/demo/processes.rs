//! The server and the collector as processes of their own: this very program, called by another
//! name.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::failure::Failure;
use super::scratch::Scratch;
use crate::wire::escape::OneLine;

/// A process and what it says. It belongs to the [`Scratch`] that it was started with and ends with
/// them.
pub struct Process {
    name: &'static str,
    number: usize,
    heard: Receiver<String>,
    said: VecDeque<String>,
}

/// Lines of a process that are kept.
const LINES_MAX: usize = 8;

impl Process {
    /// Starts the applet `name` of this program, in the directory of the scratch.
    pub fn start<S: AsRef<OsStr>>(
        name: &'static str,
        args: &[S],
        scratch: &Scratch,
    ) -> Result<Process, Failure> {
        let program = std::env::current_exe().map_err(Failure::system("find the own program"))?;
        let (teller, heard) = channel();
        let mut command = Command::new(&program);
        command
            // The name decides which applet it is, whatever the file is called.
            .arg0(name)
            .args(args)
            .current_dir(scratch.dir())
            // The terminal is the demo's alone.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let number = scratch
            .spawn(&mut command, |child| {
                // A thread for each pipe, because reading waits.
                listen(child.stdout.take(), &teller);
                listen(child.stderr.take(), &teller);
            })
            .map_err(Failure::system(format!(
                "start {name} from {}",
                program.display()
            )))?;
        Ok(Process {
            name,
            number,
            heard,
            said: VecDeque::new(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How it ended, if it did.
    pub fn ended(&self, scratch: &Scratch) -> Option<String> {
        scratch.ended(self.number).map(|status| status.to_string())
    }

    /// Its last lines, oldest first.
    pub fn said(&mut self) -> impl Iterator<Item = &str> {
        for line in self.heard.try_iter() {
            if self.said.len() >= LINES_MAX {
                // Only the last lines say why something went wrong.
                self.said.pop_front();
            }
            self.said.push_back(line);
        }
        self.said.iter().map(String::as_str)
    }

    /// Where it listens, as soon as it has said so.
    pub fn address(&mut self) -> Option<SocketAddr> {
        self.said()
            // The port was 0, so that no other program can have it: the message is the only place
            // to learn it.
            .find_map(|line| line.split_once("listening on ")?.1.parse().ok())
    }
}

/// Hears a pipe to its end, so that a process never has to wait for a reader.
fn listen(pipe: Option<impl Read + Send + 'static>, teller: &Sender<String>) {
    let Some(pipe) = pipe else {
        return;
    };
    let teller = teller.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            // What is said to nobody is lost, and that is fine.
            let _ = teller.send(OneLine(&line).to_string());
        }
    });
}
