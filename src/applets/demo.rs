//! `demo`, the two programs live on this host.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::Applet;
use super::exit::Exit;
use super::options;
use crate::demo::{self, Failure};

/// Its name, its usage, and how it is started.
pub const APPLET: Applet = Applet {
    name: NAME,
    about: "shows server and collector at work on this machine",
    usage: USAGE,
    run,
};

const NAME: &str = "demo";

const USAGE: &str = "\
usage: demo [FILE]
  Takes about six seconds, needs no configuration and no network, and leaves
  nothing behind: a server and a collector run in a directory of their own below
  TMPDIR. A log is appended to and rotated twice, the connection is cut. The last
  line is \"identical\" (status 0) if log and copy are, else \"DIFFERENT\" (status 1).
  FILE        copy this log instead, up to 64 MiB. It is served where it is and
              only read. The connection is cut half-way; what FILE holds in the
              end is compared with the copy
  -h, -V      show this help, show the version
";

fn run(_: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    let misuse = |what: &str| Exit::misuse(NAME, what, USAGE);
    let parsed = options::parse(args, "").map_err(|bad| misuse(&bad.to_string()))?;
    let file = match parsed.operands.as_slice() {
        [] => None,
        [file] => Some(Path::new(file)),
        _ => return Err(misuse("it takes one operand, FILE, or none")),
    };
    demo::run(file).map_err(|failure| match failure {
        // The last line on stdout has said it.
        Failure::Different => Exit::silent(1),
        other => Exit::failure(NAME, other),
    })
}
