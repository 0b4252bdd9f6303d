//! What somebody tries who has taken over a daemon: each act in a copy of the test program behind
//! the daemon's walls, and as a check of the act itself in one without any.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

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
        World {
            base,
            _dir: dir,
            neighbour: neighbour.unwrap(),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
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

/// What neither daemon has any business with.
const OF_BOTH: &[(&str, Wall, Act)] = &[
    ("read /etc/shadow", FILES, |_| read("/etc/shadow")),
    ("read /etc/passwd", FILES, |_| read("/etc/passwd")),
    ("read a secret file", FILES, |w| {
        read(w.path("secrets/shadow"))
    }),
    ("read it through a link", FILES, |w| {
        read(w.path("logs/link"))
    }),
    ("read it by a way around", FILES, |w| {
        read(w.path("logs/../secrets/shadow"))
    }),
    ("list /", FILES, |_| fs::read_dir("/").map(drop)),
    ("list a secret directory", FILES, |w| {
        fs::read_dir(w.path("secrets")).map(drop)
    }),
    ("read a neighbour's environment", FILES, |w| {
        read(format!("/proc/{}/environ", w.neighbour()))
    }),
    ("open a neighbour's memory", FILES, |w| {
        write_to(format!("/proc/{}/mem", w.neighbour()))
    }),
    ("open the kernel's settings", FILES, |_| {
        write_to("/proc/sys/kernel/core_pattern")
    }),
    ("make a file for cron", FILES, |_| {
        make(Path::new("/etc/cron.d/x"))
    }),
    ("make a file in /tmp", FILES, |w| make(&w.path("x"))),
    ("make a file among secrets", FILES, |w| {
        make(&w.path("secrets/x"))
    }),
    ("write a secret file", FILES, |w| {
        write_to(w.path("secrets/shadow"))
    }),
    ("empty a secret file", Wall::Landlock(3), |w| {
        let path = text(&w.path("secrets/shadow"));
        // SAFETY: the path ends in NUL and outlives the call.
        cvt(unsafe { libc::truncate(path.as_ptr(), 0) }).map(drop)
    }),
    ("remove a secret file", FILES, |w| {
        fs::remove_file(w.path("secrets/shadow"))
    }),
    ("move a secret file", FILES, |w| {
        fs::rename(w.path("secrets/shadow"), w.path("logs/taken"))
    }),
    ("link a secret file", FILES, |w| {
        fs::hard_link(w.path("secrets/shadow"), w.path("logs/taken"))
    }),
    ("make a link", FILES, |w| {
        symlink("/etc/shadow", w.path("logs/new"))
    }),
    ("make a directory", FILES, |w| {
        fs::create_dir(w.path("logs/new"))
    }),
    ("make a FIFO", Wall::Filter, |w| {
        let path = text(&w.path("logs/new"));
        // SAFETY: the path ends in NUL and outlives the call.
        cvt(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).map(drop)
    }),
    ("open a file to everybody", Wall::Filter, |w| {
        fs::set_permissions(w.path("secrets/shadow"), fs::Permissions::from_mode(0o666))
    }),
    ("give a file away", Wall::Filter, |w| {
        std::os::unix::fs::chown(w.path("secrets/shadow"), Some(1), None)
    }),
    ("give an open file away", Wall::Filter, |w| {
        let file = File::open(w.path("logs/log"))?;
        std::os::unix::fs::fchown(file, Some(1), None)
    }),
    ("give an open file and its group away", Wall::Filter, |w| {
        let file = File::open(w.path("logs/log"))?;
        std::os::unix::fs::fchown(file, Some(1), Some(1))
    }),
    ("label a file", Wall::Filter, |w| {
        let path = text(&w.path("secrets/shadow"));
        let (name, value) = (c"user.x", b"x");
        call(
            libc::SYS_setxattr,
            &[
                path.as_ptr() as usize,
                name.as_ptr() as usize,
                value.as_ptr() as usize,
                1,
                0,
            ],
        )
    }),
    ("run a shell", Wall::Filter, |_| {
        let path = c"/bin/sh";
        let arguments: [*const libc::c_char; 4] = [
            path.as_ptr(),
            c"-c".as_ptr(),
            c"exit 77".as_ptr(),
            std::ptr::null(),
        ];
        call(
            libc::SYS_execve,
            &[path.as_ptr() as usize, arguments.as_ptr() as usize, 0],
        )
    }),
    ("run what is open", Wall::Filter, |_| {
        call(
            libc::SYS_execveat,
            &[usize::MAX, c"".as_ptr() as usize, 0, 0, 0],
        )
    }),
    ("trace a neighbour", Wall::Filter, |w| {
        call(
            libc::SYS_ptrace,
            &[libc::PTRACE_SEIZE as usize, w.neighbour(), 0, 0],
        )
    }),
    ("read a neighbour's memory", Wall::Filter, |w| {
        call(libc::SYS_process_vm_readv, &[w.neighbour(), 0, 0, 0, 0, 0])
    }),
    ("write a neighbour's memory", Wall::Filter, |w| {
        call(libc::SYS_process_vm_writev, &[w.neighbour(), 0, 0, 0, 0, 0])
    }),
    ("hold a neighbour", Wall::Filter, |w| {
        call(libc::SYS_pidfd_open, &[w.neighbour(), 0])
    }),
    ("signal a neighbour", Wall::Landlock(6), |w| {
        call(libc::SYS_kill, &[w.neighbour(), libc::SIGCONT as usize])
    }),
    ("open a raw socket", Wall::Filter, |_| {
        socket(libc::AF_INET, libc::SOCK_RAW, 1)
    }),
    ("open a raw socket of IPv6", Wall::Filter, |_| {
        socket(libc::AF_INET6, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 58)
    }),
    ("open a packet socket", Wall::Filter, |_| {
        socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0)
    }),
    ("mount", Wall::Filter, |_| {
        let kind = c"no-such-kind".as_ptr() as usize;
        call(libc::SYS_mount, &[kind, c"/".as_ptr() as usize, kind, 0, 0])
    }),
    ("unmount", Wall::Filter, |w| {
        let path = text(&w.path("logs"));
        call(libc::SYS_umount2, &[path.as_ptr() as usize, 0])
    }),
    ("open a tree of mounts", Wall::Filter, |_| {
        call(
            libc::SYS_open_tree,
            &[usize::MAX, c"".as_ptr() as usize, usize::MAX],
        )
    }),
    ("change the root", Wall::Filter, |w| {
        let path = text(&w.path("logs"));
        call(libc::SYS_chroot, &[path.as_ptr() as usize])
    }),
    ("turn the root", Wall::Filter, |_| {
        call(libc::SYS_pivot_root, &[1, 1])
    }),
    ("leave for a new namespace", Wall::Filter, |_| {
        call(libc::SYS_unshare, &[libc::CLONE_NEWNS as usize])
    }),
    ("fork into a new namespace", Wall::Filter, |_| {
        // Both at once make no sense, so that without walls nobody is born.
        let flags = libc::CLONE_NEWNS | libc::CLONE_FS;
        call(libc::SYS_clone, &[flags as usize, 0, 0, 0, 0])
    }),
    ("enter a namespace", Wall::Filter, |_| {
        call(libc::SYS_setns, &[usize::MAX, 0])
    }),
    ("open a file by its handle", Wall::Filter, |_| {
        call(libc::SYS_open_by_handle_at, &[usize::MAX, 0, 0])
    }),
    ("load a module", Wall::Filter, |_| {
        call(libc::SYS_finit_module, &[usize::MAX, 0, usize::MAX])
    }),
    ("remove a module", Wall::Filter, |_| {
        call(
            libc::SYS_delete_module,
            &[c"no-such-module".as_ptr() as usize, 0],
        )
    }),
    ("load another kernel", Wall::Filter, |_| {
        call(libc::SYS_kexec_load, &[0, 17, 0, usize::MAX >> 1])
    }),
    ("load a program into the kernel", Wall::Filter, |_| {
        call(libc::SYS_bpf, &[usize::MAX, 0, 0])
    }),
    ("watch the processor", Wall::Filter, |_| {
        call(
            libc::SYS_perf_event_open,
            &[0, 0, 0, usize::MAX, usize::MAX],
        )
    }),
    ("handle page faults", Wall::Filter, |_| {
        call(libc::SYS_userfaultfd, &[usize::MAX])
    }),
    ("set up a ring", Wall::Filter, |_| {
        call(libc::SYS_io_uring_setup, &[0, 0])
    }),
    ("read the kernel's log", Wall::Filter, |_| {
        call(libc::SYS_syslog, &[10, 0, 0])
    }),
    ("restart the machine", Wall::Filter, |_| {
        call(libc::SYS_reboot, &[0, 0, 0, 0])
    }),
    ("switch swapping off", Wall::Filter, |_| {
        call(libc::SYS_swapoff, &[c"/no/such/file".as_ptr() as usize])
    }),
    ("account for processes", Wall::Filter, |_| {
        call(libc::SYS_acct, &[c"/no/such/file".as_ptr() as usize])
    }),
    ("set the clock", Wall::Filter, |_| {
        call(libc::SYS_clock_settime, &[usize::MAX, 0])
    }),
    ("rename the machine", Wall::Filter, |_| {
        call(libc::SYS_sethostname, &[0, usize::MAX])
    }),
    ("add a key", Wall::Filter, |_| {
        call(libc::SYS_add_key, &[0, 0, 0, 0, 0])
    }),
    ("ask for a key", Wall::Filter, |_| {
        call(libc::SYS_keyctl, &[usize::MAX, 0, 0, 0, 0])
    }),
    ("become another machine", Wall::Filter, |_| {
        call(libc::SYS_personality, &[0xffff_ffff])
    }),
    ("take privileges", Wall::Filter, |_| {
        call(libc::SYS_capset, &[0, 0])
    }),
];

const OF_THE_SERVER: &[(&str, Wall, Act)] = &[
    ("write a log", FILES, |w| write_to(w.path("logs/log"))),
    ("remove a log", FILES, |w| {
        fs::remove_file(w.path("logs/log"))
    }),
    ("rename a log", FILES, |w| {
        fs::rename(w.path("logs/log"), w.path("logs/log.1"))
    }),
    ("make a file among logs", FILES, |w| {
        make(&w.path("logs/new"))
    }),
    ("connect to somebody", Wall::Landlock(4), |w| {
        TcpStream::connect(w.listener.local_addr()?).map(drop)
    }),
];

const OF_THE_COLLECTOR: &[(&str, Wall, Act)] = &[("be connected to", Wall::Landlock(4), |_| {
    TcpListener::bind("127.0.0.1:0").map(drop)
})];

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
        fs::hard_link(&copy, &scratch).unwrap();
        fs::remove_file(&copy).unwrap();
        write_to("/dev/null").unwrap();
        let connected = TcpStream::connect(world.listener.local_addr().unwrap());
        u8::from(connected.is_ok() && in_grandchild())
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
