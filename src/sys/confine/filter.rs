//! The filter of system calls: those that no daemon of ours makes and a stranger in it would, fail
//! with EPERM, as if it had no right to them. What is not on the list stays, for a C library may
//! make other calls tomorrow.

use std::io;

use super::Network;
use crate::sys::cvt;

/// Whether this kernel has filters, and this program knows the processor.
pub fn is_there() -> bool {
    // SAFETY: without a program the call fails with EFAULT where there are filters, else with
    // EINVAL, and changes nothing.
    let result = cvt(unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            std::ptr::null::<libc::sock_fprog>(),
        )
    });
    ARCHITECTURE.is_some() && result.is_err_and(|error| error.raw_os_error() == Some(libc::EFAULT))
}

/// Filters the calls of this thread and its children from now on. The process has to have no way
/// to new privileges already.
pub fn install(daemon: Network) -> io::Result<()> {
    let Some(architecture) = ARCHITECTURE else {
        return Ok(());
    };
    let mut program = program(architecture, daemon);
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, whose length is that of the vector it points into.
    cvt(unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    })?;
    Ok(())
}

/// `AUDIT_ARCH_*` of `linux/audit.h`: the number of the machine in ELF, with a bit for 64 bits and
/// one for little endian.
const ARCHITECTURE: Option<u32> = {
    let machine = if cfg!(target_arch = "x86_64") {
        Some(62)
    } else if cfg!(target_arch = "aarch64") {
        Some(183)
    } else if cfg!(target_arch = "arm") {
        Some(40)
    } else if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        Some(8)
    } else if cfg!(target_arch = "riscv64") {
        Some(243)
    } else {
        None
    };
    let wide = if cfg!(target_pointer_width = "64") {
        0x8000_0000
    } else {
        0
    };
    let little = if cfg!(target_endian = "little") {
        0x4000_0000
    } else {
        0
    };
    match machine {
        Some(machine) => Some(machine | wide | little),
        None => None,
    }
};

/// Calls that are for nobody here.
const DENIED: &[libc::c_long] = &[
    // Other programs, and other processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The tree of file systems.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    OPEN_TREE_ATTR,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_fanotify_init,
    // How much of the machine others have, and memory and messages that are shared with them.
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setaffinity,
    libc::SYS_ioprio_set,
    libc::SYS_mq_open,
    MEMFD_SECRET,
    // The kernel.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_personality,
    // Keys, names and time of the machine.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_capset,
    // Owners, rights and labels of files, wherever they are, which Landlock leaves alone.
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_mknodat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    FCHMODAT2,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
];

/// Calls for which one of the two has no use.
const fn denied_to(daemon: Network) -> &'static [libc::c_long] {
    match daemon {
        Network::Accepts => &[libc::SYS_fchmod, libc::SYS_utimensat, UTIMENSAT_TIME64],
        // Its sockets listen before it is confined.
        Network::Connects => &[libc::SYS_listen],
    }
}

/// These give an open file to another owner or group.
#[cfg(not(target_arch = "arm"))]
const GIVEN_BY_DESCRIPTOR: &[libc::c_long] = &[libc::SYS_fchown];
#[cfg(target_arch = "arm")]
const GIVEN_BY_DESCRIPTOR: &[libc::c_long] = &[libc::SYS_fchown, libc::SYS_fchown32];

/// Of kernels younger than the C library; from 403 on all processors count alike.
const fn young(number: libc::c_long) -> libc::c_long {
    libc::SYS_pidfd_send_signal + number - 424
}

/// There where times once had 32 bits.
const UTIMENSAT_TIME64: libc::c_long = young(412);
const QUOTACTL_FD: libc::c_long = young(443);
const MEMFD_SECRET: libc::c_long = young(447);
const FCHMODAT2: libc::c_long = young(452);
const SETXATTRAT: libc::c_long = young(463);
const REMOVEXATTRAT: libc::c_long = young(466);
const OPEN_TREE_ATTR: libc::c_long = young(467);
const FILE_SETATTR: libc::c_long = young(469);

/// Those for which younger processors have only the longer forms.
#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
const DENIED_BEFORE: &[libc::c_long] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_mknod,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    #[cfg(not(target_arch = "arm"))]
    libc::SYS_utime,
    #[cfg(target_arch = "arm")]
    libc::SYS_chown32,
    #[cfg(target_arch = "arm")]
    libc::SYS_lchown32,
];
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
const DENIED_BEFORE: &[libc::c_long] = &[];

/// What is shared by a key, and what only some processors have.
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "mips64"
))]
const DENIED_HERE: &[libc::c_long] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_msgget,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "mips64"
)))]
const DENIED_HERE: &[libc::c_long] = &[
    libc::SYS_ipc,
    // `semget`, `shmget`, `shmctl`, `shmat` and `msgget`, which they got late.
    young(393),
    young(395),
    young(396),
    young(397),
    young(399),
    // One call for all that is done with sockets, which hides the arguments. This C library never
    // makes it.
    #[cfg(all(target_arch = "mips", target_env = "musl"))]
    libc::SYS_socketcall,
];

/// The places of flags in the calls that send.
const SENDING: &[(libc::c_long, u32)] = &[
    (libc::SYS_sendto, 3),
    (libc::SYS_sendmsg, 2),
    (libc::SYS_sendmmsg, 3),
];

/// Connects and sends at once, which Landlock does not see: `MSG_FASTOPEN`.
const FAST_OPEN: u32 = 0x2000_0000;

/// A request to a driver that takes `len` bytes: `_IOW` of `linux/ioctl.h`.
const fn request(group: u8, number: u8, len: usize) -> u32 {
    let writes = if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        0x8000_0000
    } else {
        0x4000_0000
    };
    writes | (len as u32) << 16 | (group as u32) << 8 | number as u32
}

/// Marks of files, such as that they cannot be changed any more: `FS_IOC_SETFLAGS` and
/// `FS_IOC_FSSETXATTR` of `linux/fs.h`.
const SET_FLAGS: u32 = request(b'f', 2, size_of::<libc::c_long>());
const SET_EXTENDED_FLAGS: u32 = request(b'X', 32, 28);

/// Everything a process can have of its own: `CLONE_NEW*` of `linux/sched.h`.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// From this number on, on x86_64, calls are those of x32, with numbers of their own.
const X32: u32 = 0x4000_0000;

/// Where `struct seccomp_data` has the number of the call and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// Where it has the lower half of an argument.
const fn argument_at(index: u32) -> u32 {
    let lower = if cfg!(target_endian = "big") { 4 } else { 0 };
    16 + 8 * index + lower
}

const DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
/// The C library then makes the older call, whose arguments can be looked at.
const NOT_THERE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

fn program(architecture: u32, daemon: Network) -> Vec<libc::sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE_AT),
        // Another interface to the same kernel has other numbers: nothing there is for us.
        if_equal(architecture, 1, 0),
        give(DENY),
        load(NUMBER_AT),
    ];
    if cfg!(target_arch = "x86_64") {
        program.extend([jump(libc::BPF_JGE, X32, 0, 1), give(DENY)]);
    }
    // What is made most often first.
    for (call, at) in SENDING {
        program.extend([
            if_equal(*call as u32, 0, 4),
            load(argument_at(*at)),
            jump(libc::BPF_JSET, FAST_OPEN, 0, 1),
            give(DENY),
            give(libc::SECCOMP_RET_ALLOW),
        ]);
    }
    let denied = DENIED.iter().chain(DENIED_BEFORE).chain(DENIED_HERE);
    for call in denied.chain(denied_to(daemon)) {
        program.extend([if_equal(*call as u32, 0, 1), give(DENY)]);
    }
    for call in GIVEN_BY_DESCRIPTOR {
        program.extend(unless_owner_stays(*call));
    }
    program.extend([if_equal(libc::SYS_clone3 as u32, 0, 1), give(NOT_THERE)]);
    program.extend(unless_usual_socket());
    for call in [libc::SYS_utimensat, UTIMENSAT_TIME64] {
        // Without a path they are about an open file.
        program.extend(unless_zero(call, 1));
    }
    // Without a number it is about this process.
    program.extend(unless_zero(libc::SYS_prlimit64, 0));
    program.extend([
        if_equal(libc::SYS_ioctl as u32, 0, 6),
        load(argument_at(1)),
        // Puts words into the mouth of whoever types at our terminal.
        if_equal(libc::TIOCSTI as u32, 2, 0),
        if_equal(SET_FLAGS, 1, 0),
        if_equal(SET_EXTENDED_FLAGS, 0, 1),
        give(DENY),
        give(libc::SECCOMP_RET_ALLOW),
    ]);
    program.extend([
        if_equal(libc::SYS_clone as u32, 0, 3),
        load(argument_at(0)),
        jump(libc::BPF_JSET, NEW_NAMESPACES, 0, 1),
        give(DENY),
        give(libc::SECCOMP_RET_ALLOW),
    ]);
    program
}

/// To another owner. Of an open file that stays the owner's, the kernel lets the group become only
/// one that the process is in.
fn unless_owner_stays(call: libc::c_long) -> [libc::sock_filter; 5] {
    const STAYS: u32 = u32::MAX;
    [
        if_equal(call as u32, 0, 4),
        load(argument_at(1)),
        if_equal(STAYS, 1, 0),
        give(DENY),
        give(libc::SECCOMP_RET_ALLOW),
    ]
}

/// A call with anything but nothing as this argument.
fn unless_zero(call: libc::c_long, index: u32) -> [libc::sock_filter; 7] {
    let lower = argument_at(index);
    [
        if_equal(call as u32, 0, 6),
        load(lower),
        if_equal(0, 0, 2),
        // The upper half, which the kernel leaves empty where there is none.
        load(lower ^ 4),
        if_equal(0, 1, 0),
        give(DENY),
        give(libc::SECCOMP_RET_ALLOW),
    ]
}

/// Sockets but those of TCP, UDP, this machine and its addresses, and those that see or make whole
/// packets. Some other ways to speak TCP are not seen by Landlock.
fn unless_usual_socket() -> [libc::sock_filter; 16] {
    const TYPE_MASK: u32 = 0xf;
    [
        if_equal(libc::SYS_socket as u32, 0, 15),
        load(argument_at(0)),
        if_equal(libc::AF_INET as u32, 4, 0),
        if_equal(libc::AF_INET6 as u32, 3, 0),
        if_equal(libc::AF_UNIX as u32, 2, 0),
        if_equal(libc::AF_NETLINK as u32, 1, 0),
        give(DENY),
        load(argument_at(1)),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, TYPE_MASK),
        if_equal(libc::SOCK_RAW as u32, 4, 0),
        load(argument_at(2)),
        if_equal(0, 3, 0),
        if_equal(libc::IPPROTO_TCP as u32, 2, 0),
        if_equal(libc::IPPROTO_UDP as u32, 1, 0),
        give(DENY),
        give(libc::SECCOMP_RET_ALLOW),
    ]
}

fn load(at: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at)
}

fn give(verdict: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, verdict)
}

fn if_equal(value: u32, then: u8, other: u8) -> libc::sock_filter {
    jump(libc::BPF_JEQ, value, then, other)
}

fn jump(how: u32, value: u32, then: u8, other: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_K | how) as u16,
        jt: then,
        jf: other,
        k: value,
    }
}

fn statement(code: u32, value: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k: value,
    }
}
