//! What somebody tries who has taken over a daemon: each act in a copy of the test program behind
//! the daemon's walls, and as a check of the act itself in one without any.

mod acts;

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use self::acts::{OF_BOTH, OF_THE_COLLECTOR, OF_THE_SERVER};
use super::*;
use crate::sys::cvt;
use crate::sys::testing::in_child;

/// A log host or a box: a directory that the daemon works with, and things that are none of its
/// business.
struct World {
    _dir: tempfile::TempDir,
    base: PathBuf,
    /// Somebody else's process.
    neighbour: std::process::Child,
    listener: TcpListener,
    /// Has no file.
    nameless: UnixListener,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for name in ["logs", "secrets"] {
            fs::create_dir(base.join(name)).unwrap();
        }
        for name in ["logs/log", "secrets/shadow"] {
            fs::write(base.join(name), "text").unwrap();
        }
        symlink(base.join("secrets/shadow"), base.join("logs/link")).unwrap();
        let neighbour = std::process::Command::new("sleep").arg("60").spawn();
        let nameless = SocketAddr::from_abstract_name(base.as_os_str().as_bytes());
        World {
            base,
            _dir: dir,
            neighbour: neighbour.unwrap(),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            nameless: UnixListener::bind_addr(&nameless.unwrap()).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    fn confine(&self, daemon: Network) -> Confinement {
        let logs = self.path("logs");
        let mut reaches = Reaches::default();
        match daemon {
            Network::Accepts => reaches.read(&logs),
            Network::Connects => {
                reaches.write(&logs);
                reaches.read(Path::new("/etc/localtime"));
            }
        }
        reaches.write(Path::new("/dev/null"));
        Confinement::build(reaches, daemon).unwrap()
    }

    /// Some of its directories, to be read.
    fn some(&self, names: &[&str]) -> Reaches {
        let mut reaches = Reaches::default();
        for name in names {
            reaches.read(&self.path(name));
        }
        reaches
    }

    fn neighbour(&self) -> usize {
        self.neighbour.id() as usize
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.neighbour.kill();
        let _ = self.neighbour.wait();
    }
}

/// What an act takes to be stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wall {
    Landlock(u32),
    Filter,
}

type Act = fn(&World) -> io::Result<()>;

const FILES: Wall = Wall::Landlock(1);

/// What the status of a copy says of an act.
const DENIED: u8 = 3;
const DONE: u8 = 4;
const FAILED: u8 = 5;

fn outcome(result: &io::Result<()>) -> u8 {
    match result {
        Ok(()) => DONE,
        // As landlock(7) says, a link or a move to where more may be done crosses devices.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => DENIED,
        Err(error) if error.kind() == ErrorKind::CrossesDevices => DENIED,
        Err(_) => FAILED,
    }
}

fn stands(wall: Wall) -> bool {
    match wall {
        Wall::Landlock(version) => abilities().landlock >= version,
        Wall::Filter => abilities().filter,
    }
}

fn try_all(daemon: Network, acts: &[(&str, Wall, Act)]) {
    // SAFETY: takes and touches nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    for (what, wall, act) in acts {
        if !stands(*wall) {
            println!("cannot be tried with this kernel: {what}");
            continue;
        }
        let world = World::new();
        let behind_walls = in_child(|| {
            let _walls = world.confine(daemon);
            let denied = outcome(&act(&world));
            // The daemon goes on with its own work.
            let works = read(world.path("logs/log")).is_ok();
            if works { denied } else { 1 }
        });
        assert_eq!(behind_walls.wait(), DENIED, "{what}");
        // An act that is denied to everybody proves nothing.
        if is_root {
            let free = in_child(|| outcome(&act(&world)));
            assert_ne!(free.wait(), DENIED, "without walls: {what}");
        }
    }
}

#[test]
fn what_neither_daemon_may_do_is_denied_to_the_server() {
    try_all(Network::Accepts, OF_BOTH);
}

#[test]
fn what_neither_daemon_may_do_is_denied_to_the_collector() {
    try_all(Network::Connects, OF_BOTH);
}

#[test]
fn what_each_may_not_do_is_denied_to_it() {
    try_all(Network::Accepts, OF_THE_SERVER);
    try_all(Network::Connects, OF_THE_COLLECTOR);
}

#[test]
fn their_own_work_goes_on() {
    let world = World::new();
    let server = in_child(|| {
        let _walls = world.confine(Network::Accepts);
        let listed = fs::read_dir(world.path("logs")).unwrap().count();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let forked = in_grandchild();
        u8::from(listed == 2 && address.is_ok() && forked)
    });
    assert_eq!(server.wait(), 1);
    let collector = in_child(|| {
        let _walls = world.confine(Network::Connects);
        let (copy, scratch) = (world.path("logs/copy"), world.path("logs/scratch"));
        fs::write(&scratch, "new").unwrap();
        fs::rename(&scratch, &copy).unwrap();
        let file = OpenOptions::new().append(true).open(&copy).unwrap();
        file.set_len(0).unwrap();
        // SAFETY: takes and touches nothing and never fails.
        let own_group = unsafe { libc::getegid() };
        std::os::unix::fs::fchown(&file, None, Some(own_group)).unwrap();
        file.sync_all().unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o640))
            .unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap();
        fs::hard_link(&copy, &scratch).unwrap();
        fs::remove_file(&copy).unwrap();
        write_to("/dev/null").unwrap();
        let connected = TcpStream::connect(world.listener.local_addr().unwrap());
        u8::from(connected.is_ok() && in_grandchild())
    });
    assert_eq!(collector.wait(), 1);
}

#[test]
fn of_roots_privileges_those_are_left_that_are_used() {
    let world = World::new();
    for daemon in [Network::Accepts, Network::Connects] {
        let child = in_child(|| {
            let before = capabilities::held().unwrap();
            let _walls = world.confine(daemon);
            let left = before.map(|set| set & capabilities::of(daemon));
            u8::from(capabilities::held() == Some(left))
        });
        assert_eq!(child.wait(), 1);
    }
}

#[test]
fn root_reads_and_writes_what_is_others() {
    // SAFETY: takes and touches nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return println!("skipped: root alone can give files away");
    }
    let world = World::new();
    for name in ["logs/log", "logs"] {
        let path = world.path(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&path, Some(65_533), Some(65_533)).unwrap();
    }
    let server = in_child(|| {
        let _walls = world.confine(Network::Accepts);
        let listed = fs::read_dir(world.path("logs")).is_ok();
        u8::from(listed && read(world.path("logs/log")).is_ok())
    });
    assert_eq!(server.wait(), 1);
    let collector = in_child(|| {
        let _walls = world.confine(Network::Connects);
        let log = world.path("logs/log");
        let file = OpenOptions::new().append(true).open(&log).unwrap();
        let copy = world.path("logs/copy");
        let made = File::create(&copy).unwrap();
        std::os::unix::fs::fchown(&made, None, Some(65_533)).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o640))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        fs::hard_link(&log, world.path("logs/log.1")).unwrap();
        fs::remove_file(&log).unwrap();
        1
    });
    assert_eq!(collector.wait(), 1);
}

#[test]
fn new_and_replaced_directories_are_noticed() {
    if abilities().landlock == 0 {
        return println!("cannot be tried with this kernel");
    }
    let world = World::new();
    let status = in_child(|| {
        let wanted = ["logs", "later"];
        let walls = Confinement::build(world.some(&wanted), Network::Connects).unwrap();
        let mut written = Reaches::default();
        written.write(&world.path("logs"));
        let is_right = walls.fits(&world.some(&wanted))
            && !walls.fits(&world.some(&["secrets"]))
            && !walls.fits(&written);
        u8::from(is_right)
    });
    assert_eq!(status.wait(), 1);
    let changes: [fn(&World); 2] = [
        |world| fs::create_dir(world.path("later")).unwrap(),
        |world| {
            fs::rename(world.path("logs"), world.path("before")).unwrap();
            fs::create_dir(world.path("logs")).unwrap();
        },
    ];
    for change in changes {
        let (mut is_built, mut built) = io::pipe().unwrap();
        let (mut is_changed, mut changed) = io::pipe().unwrap();
        let child = in_child(|| {
            let wanted = ["logs", "later"];
            let walls = Confinement::build(world.some(&wanted), Network::Connects).unwrap();
            built.write_all(b"!").unwrap();
            is_changed.read_exact(&mut [0]).unwrap();
            u8::from(!walls.fits(&world.some(&wanted)))
        });
        is_built.read_exact(&mut [0]).unwrap();
        change(&world);
        changed.write_all(b"!").unwrap();
        assert_eq!(child.wait(), 1);
        let _ = fs::remove_dir(world.path("later"));
    }
}

#[test]
fn the_kernel_is_asked_without_a_change() {
    let before = abilities();
    assert_eq!(abilities(), before);
    let text = before.to_string();
    assert!(
        text.starts_with("files: ") && text.contains("system calls: "),
        "{text}"
    );
}

fn in_grandchild() -> bool {
    // SAFETY: this copy has one thread, and its own copy ends at once.
    match unsafe { libc::fork() } {
        // SAFETY: takes a number and does not return.
        0 => unsafe { libc::_exit(7) },
        child => child > 0 && crate::sys::process::wait_for(child) == 7,
    }
}

fn read(path: impl AsRef<Path>) -> io::Result<()> {
    File::open(path)?.read(&mut [0]).map(drop)
}

fn write_to(path: impl AsRef<Path>) -> io::Result<()> {
    OpenOptions::new().write(true).open(path).map(drop)
}

fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).open(path);
    if made.is_ok() {
        fs::remove_file(path)?;
    }
    made.map(drop)
}

fn socket(family: i32, kind: i32, protocol: usize) -> io::Result<()> {
    call(
        libc::SYS_socket,
        &[family as usize, kind as usize, protocol],
    )
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn call(number: libc::c_long, arguments: &[usize]) -> io::Result<()> {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: every pointer among the arguments is zero, or of a text or an array that outlives the
    // call; the calls only read, or are given what they refuse.
    cvt(unsafe { libc::syscall(number, a, b, c, d, e, f) }).map(drop)
}
