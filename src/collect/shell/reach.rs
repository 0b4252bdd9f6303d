//! What a collector has to reach, for the walls around it.

use std::path::Path;

use crate::collect::config::{Address, Config};
use crate::sys::confine::Reach;

/// The directories of the status files, of all copies and of their pointers; the zone, and what
/// the C library reads to look names up, where there are any.
pub fn reaches(snmp_dir: &Path, config: &Config) -> Vec<Reach> {
    let mut reaches = vec![Reach::write(snmp_dir), Reach::write("/dev/null")];
    reaches.extend(SYSTEM.iter().map(Reach::read));
    let directories = config
        .sources
        .iter()
        .flat_map(|source| [source.local.parent(), source.pointer.parent()]);
    reaches.extend(directories.flatten().map(Reach::write));
    let is_name = |address: &Address| matches!(address, Address::Name(_));
    if config.sources.iter().any(|source| is_name(&source.address)) {
        reaches.extend(NAMES.iter().map(Reach::read));
    }
    reaches.sort_unstable();
    reaches.dedup();
    reaches
}

const SYSTEM: &[&str] = &["/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo"];

/// Files as resolv.conf(5) and nsswitch.conf(5) name them, where managers of networks keep theirs,
/// and the libraries that a dynamic C library loads for it.
const NAMES: &[&str] = &[
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/lib",
    "/lib64",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/tmp/resolv.conf.auto",
    "/tmp/resolv.conf.d",
    "/usr/lib",
    "/usr/lib64",
];
