//! The command lines of all applets, as an administrator or an init script meets them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod background;
mod check;
mod daemons;
mod help;
mod names;
mod odd;

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use common::FETCHLOGS;
use common::process::{Ended, run};

const APPLETS: [&str; 4] = ["gen_numbers", "fetch_logs", "snmp_from_file", "demo"];

/// The program with these arguments.
fn fetchlogs<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(FETCHLOGS);
    command.args(args);
    command
}

/// Runs the program with these arguments to its end.
fn ended<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Ended {
    run(fetchlogs(args))
}

/// What both daemons need to start: a configuration each, and places for what they write.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
        };
        place.configure("127.0.0.1", 0);
        // Nobody listens there, and it is not tried a second time.
        let (copy, pointer) = (place.path("copy"), place.path("pointer"));
        let (copy, pointer) = (copy.display(), pointer.display());
        let source = format!("127.0.0.1 1 /var/log/messages {copy} {pointer}\n");
        place.write("fetch_logs.conf", source);
        place
    }

    fn path(&self, name: impl AsRef<std::path::Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Where the server is to listen.
    fn configure(&self, address: &str, port: u16) {
        let settings = format!(
            "$bind_addr = '{address}'; $bind_port = {port}; $hosts_allow{{'127.0.0.1'}} = 1;\n"
        );
        self.write("gen_numbers.pl.locals", settings);
    }

    /// Arguments for one of the daemons, with `options` in front.
    fn args(&self, applet: &str, options: &[&OsStr]) -> Vec<std::ffi::OsString> {
        let own: Vec<PathBuf> = match applet {
            "gen_numbers" => vec!["-c".into(), self.path("gen_numbers.pl.locals")],
            _ => vec![
                "-r".into(),
                "3600".into(),
                self.path("snmp"),
                self.path("fetch_logs.conf"),
            ],
        };
        let mut args = vec![applet.into()];
        args.extend(options.iter().map(Into::into));
        args.extend(own.into_iter().map(Into::into));
        args
    }

    /// The command that starts one of the daemons.
    fn daemon(&self, applet: &str, options: &[&str]) -> Command {
        let options: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        fetchlogs(self.args(applet, &options))
    }
}
