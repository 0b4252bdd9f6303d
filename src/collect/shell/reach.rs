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
    if let Some(root) = &config.root {
        reaches.grow(root);
    }
    let root = config
        .root
        .as_ref()
        .and_then(|root| root.canonicalize().ok());
    let mut has_names = false;
    let families = config.families.iter().map(|family| &family.source);
    let sources = || config.sources.iter().chain(families.clone());
    for source in sources() {
        has_names |= matches!(source.address, Address::Name(_));
        if source.makes_dirs && is_below(&source.local, root.as_deref()) {
            continue;
        }
        for dir in [source.local.parent(), source.pointer.parent()] {
            dir.into_iter().for_each(|dir| reaches.write(dir));
        }
    }
    // Where groups are found by name.
    if sources().any(|source| source.access.is_some()) {
        reaches.read(Path::new("/etc/group"));
    }
    let names = if has_names { NAMES } else { &[] };
    for path in SYSTEM.iter().chain(names) {
        reaches.read(Path::new(path));
    }
    reaches
}

/// Whether the directory of a copy is reached with `root`, or will be once it is made. A link may
/// lead somewhere else.
fn is_below(local: &Path, root: Option<&Path>) -> bool {
    let (Some(dir), Some(root)) = (local.parent(), root) else {
        return false;
    };
    dir.canonicalize().map_or(true, |dir| dir.starts_with(root))
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
