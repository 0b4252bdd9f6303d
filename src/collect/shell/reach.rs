//! What a collector has to reach, for the walls around it.

use std::path::Path;

use super::Options;
use crate::collect::config::{Address, Config};
use crate::sys::confine::Reaches;

/// The directories of the status files, of the metrics, of all copies and of their pointers; the
/// zone, and what the C library reads to look names up, where there are any.
pub fn reaches(options: &Options, config: &Config) -> Reaches {
    let mut reaches = Reaches::default();
    reaches.write(&options.snmp_dir);
    let metrics = options.metrics.as_deref().and_then(Path::parent);
    metrics.into_iter().for_each(|dir| reaches.write(dir));
    reaches.write(Path::new("/dev/null"));
    let mut has_names = false;
    for source in &config.sources {
        has_names |= matches!(source.address, Address::Name(_));
        for dir in [source.local.parent(), source.pointer.parent()] {
            dir.into_iter().for_each(|dir| reaches.write(dir));
        }
    }
    let names = if has_names { NAMES } else { &[] };
    for path in SYSTEM.iter().chain(names) {
        reaches.read(Path::new(path));
    }
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
