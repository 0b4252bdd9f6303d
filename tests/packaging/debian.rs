//! The package for Debian: built, read by lintian, and installed, upgraded and removed by the real dpkg.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::{FETCHLOGS, memory, outside_program, skipped};

/// Builds a package of this version, or of another one; `None` where Debian's tools are missing.
fn build(place: &Place, version: Option<&str>, is_for_lintian: bool) -> Option<PathBuf> {
    for tool in ["dpkg-deb", "dpkg-shlibdeps", "strip"] {
        outside_program(tool)?;
    }
    let before: Vec<PathBuf> = packages(place);
    let mut command = Command::new(shipped("debian/build"));
    command.arg(FETCHLOGS).arg(place.dir.path());
    if let Some(version) = version {
        command.env("VERSION", version);
    }
    // What is only unpacked again need not be small.
    if !is_for_lintian {
        command.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    }
    succeeds(command);
    packages(place)
        .into_iter()
        .find(|path| !before.contains(path))
}

fn packages(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.dir.path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "deb"))
        .collect()
}

#[test]
fn lintian_finds_no_error() {
    let Some(lintian) = outside_program("lintian") else {
        return;
    };
    let place = Place::new();
    let Some(package) = build(&place, None, true) else {
        return;
    };
    let mut command = Command::new(lintian);
    command
        .args(["--allow-root", "--fail-on", "error"])
        .arg(package);
    let ended = run(command);
    assert_eq!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
    // One is left, which is nobody's fault: it is a package that nobody has asked Debian for.
    let warnings: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("W: ") && !line.contains("initial-upload-closes-no-bugs"))
        .collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

#[test]
fn the_same_binary_makes_the_same_package() {
    let places = [Place::new(), Place::new()];
    let mut bytes = Vec::new();
    for place in &places {
        let Some(package) = build(place, None, false) else {
            return;
        };
        bytes.push(fs::read(package).unwrap());
    }
    assert!(bytes[0] == bytes[1]);
}

/// Upgrades keep what the operator wrote, copies, pointers and records of losses, and removal keeps the copies.
#[test]
fn dpkg_keeps_configuration_pointers_and_copies() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can use dpkg");
    }
    let Some(unshare) = outside_program("unshare") else {
        return;
    };
    let place = Place::new();
    let Some(old) = build(&place, Some("1.9.9-1"), false) else {
        return;
    };
    let new = build(&place, None, false).unwrap();
    let layer = tempfile::tempdir_in(memory()).unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/packaging/dpkg");
    let mut command = Command::new(unshare);
    command.arg("-m").arg(script).args([&old, &new]);
    command.arg(layer.path());
    let ended = succeeds(command);
    assert!(ended.stdout.ends_with("== all is well\n"));
}

#[test]
fn the_version_is_that_of_the_programs() {
    let changelog = fs::read_to_string(shipped("debian/changelog")).unwrap();
    let first = format!("fetchlogs ({}-", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&first), "{changelog}");
}
