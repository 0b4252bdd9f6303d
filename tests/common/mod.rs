//! What several of the tests need.
#![allow(dead_code)]

pub mod classic;
pub mod collector;
pub mod descriptors;
pub mod logs;
pub mod pair;
pub mod process;
pub mod scripted;
pub mod server;
pub mod skipped;
pub mod wait;
pub mod walls;

use std::path::{Path, PathBuf};

pub use skipped::skipped;

/// The program under test.
pub const FETCHLOGS: &str = env!("CARGO_BIN_EXE_fetchlogs");

/// Where files cost no disk, if there is such a place: for many files, for much data, and for measurements.
pub fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    }
}

/// Looks for a program that is not ours, where a shell and an administrator would find it.
///
/// Without it the test that needs it is skipped, and counted in the report at the end of `cargo test`; but where `CI`
/// is set it fails, so that a machine that lacks something cannot pass for one that tested everything.
pub fn outside_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|program| is_program(program));
    if found.is_none() {
        let is_ci = std::env::var_os("CI").is_some();
        assert!(!is_ci, "{name} is not installed, and CI is set");
        skipped(&format!("{name} is not installed"));
    }
    found
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
