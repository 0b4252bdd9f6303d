//! The open descriptors of a process, as /proc shows them.
#![allow(dead_code)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Their numbers.
pub fn of(pid: u32) -> Vec<usize> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name())
        .map(|name| name.to_str().unwrap().parse().unwrap())
        .collect()
}

/// What one of them leads to; `None` if it is not open any more.
pub fn target(pid: u32, number: usize) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()
}

/// Whether one of them would be inherited by a program that the process starts; `None` if it is not open any more.
pub fn is_inheritable(pid: u32, number: usize) -> Option<bool> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
    Some(flags & CLOSE_ON_EXEC == 0)
}

/// Whether the tests hand this number down to every program they start, the standard ones among them.
pub fn is_handed_down(number: usize) -> bool {
    number <= 2 || is_inheritable(std::process::id(), number) == Some(true)
}

/// Where a process listens, with IPv4.
pub fn listener(pid: u32) -> Option<SocketAddr> {
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let sockets: Vec<PathBuf> = of(pid)
        .into_iter()
        .filter_map(|number| target(pid, number))
        .collect();
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (words[1], words[3], words[9]);
        let is_own = sockets.contains(&PathBuf::from(format!("socket:[{inode}]")));
        (state == LISTENING && is_own).then(|| address_of(address))
    })
}

const LISTENING: &str = "0A";

/// An address as the kernel writes it: a number in the machine's order of bytes, and the port.
fn address_of(text: &str) -> SocketAddr {
    let (address, port) = text.split_once(':').unwrap();
    let address = u32::from_str_radix(address, 16).unwrap().to_ne_bytes();
    let port = u16::from_str_radix(port, 16).unwrap();
    (Ipv4Addr::from(address), port).into()
}

/// Whether what a descriptor stands for is a socket within this machine, such as the one to the helper.
pub fn is_local(target: &Path) -> bool {
    let target = target.to_string_lossy();
    let inode = target.trim_start_matches("socket:[").trim_end_matches(']');
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.split_whitespace().any(|word| word == inode)
}
