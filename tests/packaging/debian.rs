//! The package for Debian: built, read by lintian, and installed, upgraded and removed by the real dpkg.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::{FETCHLOGS, memory, outside_program, skipped};

/// What is only unpacked again need not be small.
const LARGE: (&str, &str) = ("DPKG_DEB_COMPRESSOR_TYPE", "none");

/// Builds a package with these variables of the environment; `None` where Debian's tools are missing.
fn build(place: &Place, variables: &[(&str, &str)]) -> Option<PathBuf> {
    for tool in ["dpkg-deb", "dpkg-shlibdeps", "strip"] {
        outside_program(tool)?;
    }
    let before: Vec<PathBuf> = packages(place);
    let mut command = Command::new(shipped("debian/build"));
    command.arg(FETCHLOGS).arg(place.dir.path());
    command.envs(variables.iter().copied());
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
    let Some(package) = build(&place, &[]) else {
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
    // Above two file systems, each of which has its own idea of what a file takes.
    let dirs = [std::env::temp_dir(), memory()];
    for (place, dir) in std::iter::zip(&places, dirs) {
        let variables = [LARGE, ("TMPDIR", dir.to_str().unwrap())];
        let Some(package) = build(place, &variables) else {
            return;
        };
        bytes.push(fs::read(package).unwrap());
    }
    assert!(bytes[0] == bytes[1]);
}

/// A field of a package's control file.
fn field(package: &Path, name: &str) -> String {
    let mut command = Command::new("dpkg-deb");
    command.arg("-f").arg(package).arg(name);
    succeeds(command).stdout.trim_end().to_owned()
}

#[test]
fn a_publisher_may_have_any_name() {
    let place = Place::new();
    let name = r"Foo & Co | A\1 @ARCH@";
    let variables = [
        LARGE,
        ("DEBFULLNAME", name),
        ("DEBEMAIL", "foo@example.org"),
    ];
    let Some(package) = build(&place, &variables) else {
        return;
    };
    let maintainer = field(&package, "Maintainer");
    assert_eq!(maintainer, format!("{name} <foo@example.org>"));
    let depends = field(&package, "Depends");
    assert!(depends.contains("adduser"), "{depends}");

    let mut command = Command::new(shipped("debian/build"));
    command.arg(FETCHLOGS).arg(place.path("other"));
    command.env("DEBFULLNAME", "Foo\nBar");
    let ended = run(command);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("one line each"), "{}", ended.stderr);
    assert!(!place.path("other").exists());
}

/// What is to be typed is where the package puts it.
#[test]
fn its_papers_have_its_paths() {
    let place = Place::new();
    let Some(package) = build(&place, &[LARGE]) else {
        return;
    };
    let mut command = Command::new("dpkg-deb");
    command.arg("-x").arg(&package).arg(place.path("tree"));
    succeeds(command);
    let mut command = Command::new("grep");
    command
        .args(["-rIl", "/usr/local/"])
        .arg(place.path("tree"));
    assert_eq!(run(command).stdout, "");
    let readme = place.read("tree/usr/share/doc/fetchlogs/README.installing.md");
    for line in [
        "pass_persist .1.3.6.1.4.99 /usr/sbin/snmp_from_file ",
        "cp /usr/share/fetchlogs/fetchlogs-retention.cron ",
    ] {
        assert!(readme.contains(line), "{line}");
    }
    let cron = place.read("tree/usr/share/doc/fetchlogs/examples/fetchlogs-retention.cron");
    let words = " fetchlogs FETCH_LOGS=/usr/sbin/fetch_logs /usr/sbin/fetchlogs-retention ";
    assert!(cron.contains(words), "{cron}");
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
    let Some(old) = build(&place, &[LARGE, ("VERSION", "1.9.9-1")]) else {
        return;
    };
    let new = build(&place, &[LARGE]).unwrap();
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
