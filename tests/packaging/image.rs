//! The image of the collector: its content as a root directory, its own command lines, and its health check.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::process::{Process, Signal};
use crate::common::wait::until;
use crate::common::{FETCHLOGS, outside_program, skipped};

/// The words of an instruction of the Containerfile.
fn words_of(instruction: &str) -> Vec<String> {
    let text = fs::read_to_string(shipped("image/Containerfile")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with(instruction))
        .unwrap();
    let (_, words) = line.split_once('[').unwrap();
    let words = words.trim_end_matches(']').split(", ");
    words
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

/// Lays it out with the program under test, and what that needs of this machine unless it is static.
fn lay_out(place: &Place) {
    let mut command = Command::new(shipped("image/build"));
    command.args(["-n", FETCHLOGS]).arg(place.path("image"));
    succeeds({
        command.env("LIBRARIES", "1");
        command
    });
    let root = place.path("image/root");
    let mut ldd = Command::new("ldd");
    ldd.arg(FETCHLOGS);
    for word in run(ldd).stdout.split_whitespace() {
        let path = Path::new(word);
        if word.starts_with('/') && path.is_file() {
            let copy = root.join(&word[1..]);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(path, copy).unwrap();
        }
    }
    copy_as_told(place);
    for dir in ["proc", "dev"] {
        fs::create_dir(root.join(dir)).unwrap();
    }
}

/// What is copied for somebody: nothing else in the image is anybody's but root's.
fn copy_as_told(place: &Place) {
    let text = fs::read_to_string(place.path("image/Containerfile")).unwrap();
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("COPY --chown="));
    let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let mut command = Command::new("sh");
    command
        .args(["-ec", "cp -R \"$1\" \"$2\"; chown -R \"$3\" \"$2\"", "sh"])
        .arg(place.path("image").join(words[1]))
        .arg(place.path("image/root").join(words[2].trim_matches('/')))
        .arg(words[0]);
    succeeds(command);
    assert!(lines.next().is_none());
}

/// A command in it, by its user.
fn inside(place: &Place, words: &[String]) -> Command {
    let text = fs::read_to_string(place.path("image/Containerfile")).unwrap();
    let user = text
        .lines()
        .find_map(|line| line.strip_prefix("USER "))
        .unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-ec"])
        .arg("mount -t proc proc \"$1/proc\"; mount --bind /dev \"$1/dev\"; root=$1; user=$2; shift 2; exec chroot --userspec=\"$user\" \"$root\" \"$@\"")
        .arg("sh")
        .arg(place.path("image/root"))
        .arg(user)
        .args(words);
    command
}

#[test]
fn its_health_is_that_a_collector_runs() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can change the root directory");
    }
    for tool in ["unshare", "chroot", "readelf", "ldd"] {
        if outside_program(tool).is_none() {
            return;
        }
    }
    let place = Place::new();
    fs::set_permissions(
        place.dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    lay_out(&place);
    // A box that nobody can reach is no reason to start the collector again.
    let conf = "127.0.0.1 1 /var/log/messages /var/log/fetchlogs/a /var/log/fetchlogs/a.ptr\n";
    place.write("image/root/etc/fetch_logs.conf", conf);
    let health = words_of("HEALTHCHECK");
    let check = || run(inside(&place, &health));
    let before = check();
    assert_eq!(before.status, Some(3), "{before:?}");

    let mut words = words_of("ENTRYPOINT");
    words.extend(words_of("CMD"));
    let at = words
        .iter()
        .position(|word| word == "0.0.0.0:9119")
        .unwrap();
    words[at] = "127.0.0.1:0".to_owned();
    let mut collector = Process::start(inside(&place, &words));
    collector.stdout.wait_for("cannot connect");
    let ended = check();
    assert_eq!((ended.status, &*ended.stdout), (Some(0), ""), "{ended:?}");
    assert!(place.path("image/root/var/snmp_data/127.0.0.1").is_file());

    collector.signal(Signal::TERM);
    collector.wait();
    until("it to be told", || check().status == Some(3));
    let after = check();
    assert!(after.stderr.contains("no collector runs: it stopped "));
}

#[test]
fn a_binary_that_is_not_static_is_refused() {
    for tool in ["readelf", "ldd"] {
        if outside_program(tool).is_none() {
            return;
        }
    }
    let mut ldd = Command::new("ldd");
    ldd.arg(FETCHLOGS);
    if !run(ldd).stdout.contains("=>") {
        return skipped("the program under test is static");
    }
    let place = Place::new();
    let mut command = Command::new(shipped("image/build"));
    command.args(["-n", FETCHLOGS]).arg(place.path("image"));
    let ended = run(command);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("is not static"), "{}", ended.stderr);
    assert!(!place.path("image/root").exists());
}

/// Has a binary laid out, which has to be refused, and returns what was said.
fn refused(place: &Place, binary: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("/bin/sh");
    command.arg(shipped("image/build")).arg("-n").arg(binary);
    command.arg(place.path("image"));
    command.envs(variables.iter().copied());
    let ended = run(command);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    ended.stderr
}

/// Whether it is static has to be known.
#[test]
fn a_binary_that_cannot_be_read_is_refused() {
    if outside_program("readelf").is_none() {
        return;
    }
    let place = Place::new();
    let text = place.write("text", "#!/bin/sh\n");
    let said = refused(&place, &text, &[]);
    assert!(said.contains("is no program"), "{said}");

    // All that it uses before, and no readelf.
    for tool in ["dirname", "rm", "mkdir"] {
        let Some(path) = outside_program(tool) else {
            return;
        };
        fs::create_dir_all(place.path("bin")).unwrap();
        std::os::unix::fs::symlink(path, place.path("bin").join(tool)).unwrap();
    }
    let bin = place.path("bin");
    let said = refused(
        &place,
        Path::new(FETCHLOGS),
        &[("PATH", bin.to_str().unwrap())],
    );
    assert!(said.contains("there is no readelf"), "{said}");
    assert!(!place.path("image").exists());
}

/// A directory that somebody else filled stays as it is, and one that was laid out before is laid out again.
#[test]
fn only_its_own_layout_is_replaced() {
    let variables = [("LIBRARIES", "1")];
    for theirs in ["root/file", "state/file", "Containerfile"] {
        let place = Place::new();
        place.write(&format!("image/{theirs}"), "mine\n");
        let said = refused(&place, Path::new(FETCHLOGS), &variables);
        assert!(said.contains("is not of this script"), "{said}");
        assert_eq!(place.read(&format!("image/{theirs}")), "mine\n");
    }
    let place = Place::new();
    for _ in 0..2 {
        let mut command = Command::new(shipped("image/build"));
        command.args(["-n", FETCHLOGS]).arg(place.path("image"));
        command.envs(variables);
        succeeds(command);
        assert!(!place.path("image/root/old").exists());
        place.write("image/root/old", "");
    }
}
