//! `PROGRAM.locals`, the file of settings beside a program, where fetchlogs 1.1 looks for it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::sys::env;

/// The file beside the name that the program was called by, if it has one of its own, and if the
/// file is there. A name without a directory is looked up as the shell did.
pub fn beside(called: &OsStr) -> Option<PathBuf> {
    // Called as `fetchlogs gen_numbers`: the binary's own name is no name of a server.
    super::applet_named(called)?;
    let program = if called.as_bytes().contains(&b'/') {
        PathBuf::from(called)
    } else {
        on_path(called)?
    };
    let mut name = program.into_os_string();
    name.push(".locals");
    Some(PathBuf::from(name)).filter(|file| file.exists())
}

fn on_path(name: &OsStr) -> Option<PathBuf> {
    let dirs = env::variable(c"PATH")?;
    std::env::split_paths(dirs)
        .map(|dir| dir.join(Path::new(name)))
        .find(|program| program.is_file())
}
