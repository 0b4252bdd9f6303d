//! rsyslog: a file that is watched (imfile), over TCP or RELP, into a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Contestant, Follower, Load, Running, program};
use crate::common::process::Guarded;
use crate::measure::{size, until};
use crate::stand::{free_port, memory};

pub struct Rsyslog {
    rsyslogd: PathBuf,
    relp: bool,
}

impl Rsyslog {
    /// With RELP or without, if the modules for it are there.
    pub fn installed(relp: bool) -> Option<Rsyslog> {
        let rsyslogd = program("rsyslogd")?;
        let modules = "/usr/lib/x86_64-linux-gnu/rsyslog";
        if relp && !Path::new(modules).join("omrelp.so").exists() {
            eprintln!("left out: rsyslog-relp is not installed");
            return None;
        }
        Some(Rsyslog { rsyslogd, relp })
    }

    fn start(&self, log: &Path) -> Running {
        let dir = tempfile::tempdir_in(memory()).unwrap();
        let port = free_port();
        let copy = dir.path().join("copy");
        let (input, output) = if self.relp {
            (
                format!(
                    "module(load=\"imrelp\") input(type=\"imrelp\" address=\"127.0.0.1\" port=\"{port}\")"
                ),
                format!(
                    "module(load=\"omrelp\") action(type=\"omrelp\" target=\"127.0.0.1\" port=\"{port}\" template=\"raw\")"
                ),
            )
        } else {
            (
                format!(
                    "module(load=\"imtcp\") input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")"
                ),
                format!(
                    "action(type=\"omfwd\" protocol=\"tcp\" target=\"127.0.0.1\" port=\"{port}\" template=\"raw\")"
                ),
            )
        };
        let raw = "template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")";
        let work = dir.path().display();
        let receiver = format!(
            "global(workDirectory=\"{work}\")\n{input}\n{raw}\naction(type=\"omfile\" file=\"{}\" template=\"raw\")\n",
            copy.display()
        );
        let sender = format!(
            "global(workDirectory=\"{work}\")\nmodule(load=\"imfile\")\n{raw}\n\
             input(type=\"imfile\" file=\"{}\" tag=\"x\")\n{output}\n",
            log.display()
        );
        let mut running = Running {
            processes: Vec::new(),
            dir,
        };
        for (name, text) in [("receiver", receiver), ("sender", sender)] {
            let config = running.dir.path().join(format!("{name}.conf"));
            fs::write(&config, text).unwrap();
            let mut command = Command::new(&self.rsyslogd);
            command
                .args(["-n", "-f"])
                .arg(&config)
                .arg("-i")
                .arg(running.dir.path().join(format!("{name}.pid")))
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            running.processes.push(Guarded::start(&mut command));
            std::thread::sleep(Duration::from_millis(300));
        }
        running
    }
}

impl Contestant for Rsyslog {
    fn name(&self) -> &str {
        if self.relp {
            "rsyslog, RELP"
        } else {
            "rsyslog, TCP"
        }
    }

    fn handicap(&self) -> u64 {
        // Every line of RELP is answered.
        if self.relp { 1024 } else { 16 }
    }

    fn backlog(&self, file: &Path, bytes: u64) -> Load {
        let start = Instant::now();
        let running = self.start(file);
        let copy = running.copy();
        // Some of its ways leave out a line's end or two.
        until("rsyslog's copy", || size(&copy) >= bytes - bytes / 100);
        Load {
            seconds: start.elapsed().as_secs_f64() - 0.6,
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
