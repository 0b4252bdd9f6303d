//! `tail -F` into socat, over TCP, into a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Contestant, Follower, Load, Running, TAIL, program};
use crate::common::process::Guarded;
use crate::measure::{size, until};
use crate::stand::{free_port, memory};

pub struct TailSocat {
    tail: PathBuf,
    socat: PathBuf,
}

impl TailSocat {
    pub fn installed() -> Option<TailSocat> {
        Some(TailSocat {
            tail: program("tail")?,
            socat: program("socat")?,
        })
    }

    fn start(&self, log: &Path) -> Running {
        let dir = tempfile::tempdir_in(memory()).unwrap();
        let port = free_port();
        let copy = dir.path().join("copy");
        File::create(&copy).unwrap();
        let mut receiver = Command::new(&self.socat);
        receiver
            .args(["-u", "-b65536"])
            .arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr"))
            .arg(format!("OPEN:{},append", copy.display()));
        let receiver = Guarded::start(&mut receiver);
        std::thread::sleep(Duration::from_millis(100));
        let mut tail = Command::new(&self.tail);
        tail.args(["-c", "+1", "-F"])
            .arg(log)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut tail = Guarded::start(&mut tail);
        let mut sender = Command::new(&self.socat);
        sender
            .args(["-u", "-b65536", "-"])
            .arg(format!("TCP:127.0.0.1:{port}"));
        let sender = Guarded::start_reading(&mut sender, tail.take_stdout());
        Running {
            processes: vec![receiver, tail, sender],
            dir,
        }
    }
}

impl Contestant for TailSocat {
    fn name(&self) -> &str {
        TAIL
    }

    fn backlog(&self, file: &Path, bytes: u64) -> Load {
        let start = Instant::now();
        let running = self.start(file);
        let copy = running.copy();
        until("tail's copy", || size(&copy) >= bytes);
        // The receiver is given a moment to listen, which is not its work.
        Load {
            seconds: start.elapsed().as_secs_f64() - 0.1,
            cpu_s: running.cpu_s(),
        }
    }

    fn follow(&self, log: &Path) -> Option<Follower> {
        let running = self.start(log);
        Some(Follower {
            copy: running.copy(),
            _alive: Box::new(running),
        })
    }
}
