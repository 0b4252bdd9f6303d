//! What somebody tries.

use super::*;

/// What neither daemon has any business with.
pub(super) const OF_BOTH: &[(&str, Wall, Act)] = &[
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
    ("open a socket of another TCP", Wall::Filter, |_| {
        socket(libc::AF_INET, libc::SOCK_STREAM, 262)
    }),
    (
        "open a socket of another TCP for IPv6",
        Wall::Filter,
        |_| socket(libc::AF_INET6, libc::SOCK_STREAM, 262),
    ),
    ("open a socket of another protocol", Wall::Filter, |_| {
        socket(libc::AF_INET, libc::SOCK_STREAM, 132)
    }),
    ("open a socket to the host", Wall::Filter, |_| {
        socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)
    }),
    (
        "open a socket to the kernel's ciphers",
        Wall::Filter,
        |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
    ),
    ("connect while sending", Wall::Filter, |_| {
        call(libc::SYS_sendto, &[usize::MAX, 0, 0, FAST_OPEN, 0, 0])
    }),
    ("connect while sending a message", Wall::Filter, |_| {
        call(libc::SYS_sendmsg, &[usize::MAX, 0, FAST_OPEN])
    }),
    ("connect while sending messages", Wall::Filter, |_| {
        call(libc::SYS_sendmmsg, &[usize::MAX, 0, 0, FAST_OPEN])
    }),
    (
        "connect to a socket without a file",
        Wall::Landlock(6),
        |w| UnixStream::connect_addr(&w.nameless.local_addr()?).map(drop),
    ),
    ("see what others open", Wall::Filter, |_| {
        call(libc::SYS_fanotify_init, &[usize::MAX, 0])
    }),
    ("pick a file system", Wall::Filter, |_| {
        call(
            libc::SYS_fspick,
            &[usize::MAX, c"".as_ptr() as usize, usize::MAX],
        )
    }),
    ("open a tree of mounts in another way", Wall::Filter, |_| {
        let number = libc::SYS_pidfd_send_signal + 467 - 424;
        call(
            number,
            &[usize::MAX, c"".as_ptr() as usize, usize::MAX, 0, 0],
        )
    }),
    ("mark an open file", Wall::Filter, |_| {
        let set_flags = if size_of::<usize>() == 8 {
            0x4008_6602
        } else {
            0x4004_6602
        };
        call(libc::SYS_ioctl, &[usize::MAX, set_flags, 0])
    }),
    ("mark an open file in another way", Wall::Filter, |_| {
        call(libc::SYS_ioctl, &[usize::MAX, 0x401c_5820, 0])
    }),
    ("type at a terminal", Wall::Filter, |_| {
        call(libc::SYS_ioctl, &[usize::MAX, libc::TIOCSTI as usize, 0])
    }),
    ("date a secret file", Wall::Filter, |w| {
        let path = text(&w.path("secrets/shadow"));
        call(
            libc::SYS_utimensat,
            &[usize::MAX, path.as_ptr() as usize, 0, 0],
        )
    }),
    ("limit a neighbour", Wall::Filter, |w| {
        call(libc::SYS_prlimit64, &[w.neighbour(), 7, 0, 0])
    }),
    ("slow a neighbour down", Wall::Filter, |w| {
        call(libc::SYS_setpriority, &[0, w.neighbour(), 1])
    }),
    ("go before all others", Wall::Filter, |_| {
        call(libc::SYS_sched_setscheduler, &[0, 99, 0])
    }),
    ("go before all others in another way", Wall::Filter, |_| {
        call(libc::SYS_sched_setattr, &[0, 0, 0])
    }),
    ("change how a neighbour runs", Wall::Filter, |w| {
        call(libc::SYS_sched_setparam, &[w.neighbour(), 0])
    }),
    ("move a neighbour", Wall::Filter, |w| {
        call(libc::SYS_sched_setaffinity, &[w.neighbour(), 0, 0])
    }),
    ("keep a neighbour from the disk", Wall::Filter, |w| {
        call(libc::SYS_ioprio_set, &[1, w.neighbour(), 0])
    }),
    ("open a queue of messages", Wall::Filter, |_| {
        call(
            libc::SYS_mq_open,
            &[c"no-such-queue".as_ptr() as usize, 0, 0, 0],
        )
    }),
    #[cfg(target_arch = "x86_64")]
    ("share memory", Wall::Filter, |_| {
        call(libc::SYS_shmget, &[0, 0, 0])
    }),
    #[cfg(target_arch = "x86_64")]
    ("share memory that is there", Wall::Filter, |_| {
        call(libc::SYS_shmat, &[usize::MAX, 0, 0])
    }),
    #[cfg(target_arch = "x86_64")]
    ("find a queue of messages", Wall::Filter, |_| {
        call(libc::SYS_msgget, &[0x7f15_1515, 0])
    }),
    #[cfg(target_arch = "x86_64")]
    ("date a secret file by the older call", Wall::Filter, |w| {
        let path = text(&w.path("secrets/shadow"));
        call(libc::SYS_utime, &[path.as_ptr() as usize, 0])
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

pub(super) const OF_THE_SERVER: &[(&str, Wall, Act)] = &[
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
    ("change the mode of an open file", Wall::Filter, |w| {
        File::open(w.path("logs/log"))?.set_permissions(fs::Permissions::from_mode(0o666))
    }),
    ("date an open file", Wall::Filter, |w| {
        File::open(w.path("logs/log"))?.set_modified(std::time::UNIX_EPOCH)
    }),
    ("connect to somebody", Wall::Landlock(4), |w| {
        TcpStream::connect(w.listener.local_addr()?).map(drop)
    }),
];

pub(super) const OF_THE_COLLECTOR: &[(&str, Wall, Act)] = &[
    ("be connected to", Wall::Landlock(4), |_| {
        TcpListener::bind("127.0.0.1:0").map(drop)
    }),
    ("be connected to at any port", Wall::Filter, |_| {
        call(libc::SYS_listen, &[usize::MAX, 1])
    }),
];

/// `MSG_FASTOPEN`.
const FAST_OPEN: usize = 0x2000_0000;
