//! What `conf/` holds besides the configurations: manual pages, the install script, and what starts the daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod debian;
mod feed;
mod image;
mod init;
mod install;
mod manuals;
mod openrc;
mod openwrt;
mod retention;
mod systemd;
mod sysv;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use common::FETCHLOGS;
use common::process::{Ended, run};
use common::wait::until;

/// A file of `conf/`.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conf")
        .join(name)
}

/// An empty directory, and in it a link to the program for each name.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
        };
        for name in ["gen_numbers", "fetch_logs", "snmp_from_file"] {
            std::os::unix::fs::symlink(FETCHLOGS, place.path(name)).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A server that has ended, and that nobody has waited for yet.
    fn ended_server(&self) -> Child {
        let mut command = Command::new(self.path("gen_numbers"));
        let ended = command.arg("-V").stdout(Stdio::null()).spawn().unwrap();
        let stat = format!("/proc/{}/stat", ended.id());
        until("it to end", || {
            fs::read_to_string(&stat).is_ok_and(|text| text.contains(" (gen_numbers) Z "))
        });
        ended
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

/// Runs a program to its end, and it has to end well.
fn succeeds(command: Command) -> Ended {
    let shown = format!("{command:?}");
    let ended = run(command);
    assert_eq!(
        ended.status,
        Some(0),
        "{shown}\n{}{}",
        ended.stdout,
        ended.stderr
    );
    ended
}
