//! `demo`, the two programs live on this machine.

use std::ffi::{OsStr, OsString};

use super::Applet;
use super::exit::Exit;

pub const APPLET: Applet = Applet {
    name: "demo",
    about: "shows server and collector at work on this machine",
    usage: "usage: demo [FILE]\n",
    run,
};

fn run(_: &OsStr, _: &[OsString]) -> Result<(), Exit> {
    Err(Exit::failure("demo", "to come"))
}
