//! Where a run takes place: a directory of its own, an address of its own, perhaps a small disk.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

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
        let memory = Path::new("/dev/shm");
        let base = match memory.is_dir() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        };
        let home = tempfile::Builder::new().prefix("kills-").tempdir_in(base);
        let home = home.unwrap();
        for dir in ["remote", "local", "status"] {
            fs::create_dir(home.path().join(dir)).unwrap();
        }
        Place {
            disk: None,
            home,
            address: unused_address(),
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

/// A loopback address that no other run of this process has, and a port there that the system gives to nobody: it is not
/// taken while the server is away.
fn unused_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, a, b, c] = std::process::id().wrapping_add(number << 9).to_be_bytes();
    // Not 127.0.0.1, from which everybody calls, and no end of the range.
    let ip = Ipv4Addr::new(127, 1 + a % 250, b, 1 + c % 250);
    // Not by binding it: a process that is being started elsewhere would keep it for a moment.
    let addresses = (10_019..20_000).map(|port| SocketAddr::new(ip.into(), port));
    { addresses }
        .find(|address| TcpStream::connect(address).is_err())
        .unwrap()
}
