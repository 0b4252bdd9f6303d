//! Where a run takes place: a directory of its own, an address of its own, perhaps a small disk.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::common::memory;
use crate::common::pair::address;

/// The directories `remote`, `local` and `status`, and where the server listens.
pub struct Place {
    // Given up before the directory that it is in.
    disk: Option<SmallDisk>,
    home: TempDir,
    address: SocketAddr,
}

impl Place {
    /// In memory, where that can be done: the runs are many, and no power is cut.
    pub fn new() -> Place {
        let mut builder = tempfile::Builder::new();
        let home = builder.prefix("kills-").tempdir_in(memory()).unwrap();
        for dir in ["remote", "local", "status"] {
            fs::create_dir(home.path().join(dir)).unwrap();
        }
        Place {
            disk: None,
            home,
            address: address::own_with_port(),
        }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where the server is to listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The copies stand on a disk of a few pages from now on. `false` where that cannot be done.
    pub fn shrink_disk(&mut self) -> bool {
        self.disk = SmallDisk::mount(self.path("local"));
        self.disk.is_some()
    }

    /// Takes all room that is left on that disk.
    pub fn fill_disk(&self) {
        let _ = fs::write(self.path("local/ballast"), [0; 2 * SmallDisk::LEN]);
    }

    /// Gives it back.
    pub fn clear_disk(&self) {
        fs::remove_file(self.path("local/ballast")).unwrap();
    }
}

/// A file system in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    const LEN: usize = 64 * 1024;

    /// Takes root; `None` for others.
    fn mount(path: PathBuf) -> Option<SmallDisk> {
        let size = format!("size={}", Self::LEN);
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "fetchlogs-test"])
            .arg(&path)
            .output();
        let is_there = mount.is_ok_and(|output| output.status.success());
        is_there.then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
