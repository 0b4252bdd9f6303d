//! Keys: the applets that make them, and the private key of a program.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::exit::Exit;
use super::{Applet, options};
use crate::noise::key::PrivateKey;
use crate::reactor::connection::new_key;
use crate::sys::{files, stdio};

/// `fetchlogs genkey`.
pub const GENKEY: Applet = Applet {
    name: "genkey",
    about: "makes a private key for sealed connections",
    usage: "\
usage: fetchlogs genkey
It prints a new private key. The file that it goes to has to be its owner's alone:
  (umask 077; fetchlogs genkey >/etc/fetchlogs.key)
  -h, -V      show this help, show the version
",
    run: genkey,
};

/// `fetchlogs pubkey`.
pub const PUBKEY: Applet = Applet {
    name: "pubkey",
    about: "prints the public key that goes with a private one",
    usage: "\
usage: fetchlogs pubkey
It reads a private key from stdin and prints its public key:
  fetchlogs pubkey </etc/fetchlogs.key
  -h, -V      show this help, show the version
",
    run: pubkey,
};

fn genkey(_: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    take_nothing(&GENKEY, args)?;
    let failed =
        |error: io::Error| Exit::failure("genkey", format_args!("cannot make a key: {error}"));
    print("genkey", &new_key().map_err(failed)?.text())
}

fn pubkey(_: &OsStr, args: &[OsString]) -> Result<(), Exit> {
    take_nothing(&PUBKEY, args)?;
    let failed = |what: &dyn std::fmt::Display| Exit::failure("pubkey", what);
    let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let text = stdin.and_then(|stdin| files::read_small(&stdin, STDIN_MAX_LEN));
    let text = text.map_err(|error| failed(&error))?;
    let key = PrivateKey::parse(text.trim_ascii());
    let key =
        key.ok_or_else(|| failed(&"stdin has no private key: 44 characters that end in ="))?;
    print("pubkey", key.public().to_string().as_bytes())
}

/// A key, and blanks around it.
const STDIN_MAX_LEN: usize = 1024;

fn take_nothing(applet: &Applet, args: &[OsString]) -> Result<(), Exit> {
    let misuse = |what: &str| Exit::misuse(applet.name, what, applet.usage);
    let parsed = options::parse(args, "").map_err(|bad| misuse(&bad.to_string()))?;
    match parsed.operands.is_empty() {
        true => Ok(()),
        false => Err(misuse("it takes no operands")),
    }
}

fn print(program: &str, key: &[u8]) -> Result<(), Exit> {
    stdio::print(&[key, b"\n"].concat())
        .map_err(|error| Exit::failure(program, format_args!("cannot print: {error}")))
}
