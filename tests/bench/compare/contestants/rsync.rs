//! `rsync --append` from a daemon, which is how a copy is continued by hand.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Contestant, Follower, Load, program};
use crate::common::process::Guarded;
use crate::measure::size;
use crate::stand::{free_port, memory};

pub struct Rsync {
    rsync: PathBuf,
}

impl Rsync {
    pub fn installed() -> Option<Rsync> {
        Some(Rsync {
            rsync: program("rsync")?,
        })
    }
}

impl Contestant for Rsync {
    fn name(&self) -> &str {
        "rsync --append"
    }

    fn backlog(&self, file: &Path, bytes: u64) -> Load {
        let dir = tempfile::tempdir_in(memory()).unwrap();
        let port = free_port();
        let config = dir.path().join("rsyncd.conf");
        let from = file.parent().unwrap().display();
        let user = if rustix::process::geteuid().is_root() {
            "uid = root\ngid = root\n"
        } else {
            ""
        };
        fs::write(
            &config,
            format!("use chroot = no\n{user}[logs]\npath = {from}\nread only = yes\n"),
        )
        .unwrap();
        let mut command = Command::new(&self.rsync);
        command
            .args(["--daemon", "--no-detach", "--address=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--config={}", config.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let daemon = Guarded::start(&mut command);
        std::thread::sleep(Duration::from_millis(200));
        let copy = dir.path().join("copy");
        File::create(&copy).unwrap();
        // It is gone when it is done, and the daemon's child with it: their time is added to that of this process.
        let before = children_cpu_s();
        let start = Instant::now();
        let name = file.file_name().unwrap().to_str().unwrap();
        let status = Command::new(&self.rsync)
            .args(["--append", "--inplace"])
            .arg(format!("rsync://127.0.0.1:{port}/logs/{name}"))
            .arg(&copy)
            .status()
            .unwrap();
        assert!(status.success());
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(size(&copy), bytes);
        drop(daemon);
        Load {
            seconds,
            cpu_s: children_cpu_s() - before,
        }
    }

    fn follow(&self, _: &Path) -> Option<Follower> {
        None
    }
}

/// Processor time of all ended children of this process, and of theirs, in seconds.
fn children_cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // cutime and cstime of proc(5), in ticks of 10 ms.
    let ticks: f64 = fields[13..15]
        .iter()
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}
