use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;

/// A directory with `files`, each with its own name as text.
fn directory(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in files {
        fs::write(dir.path().join(name), format!("{name}\n")).unwrap();
    }
    dir
}

fn listed(path: &Path) -> Vec<IpAddr> {
    let mut found = Vec::new();
    RealDir::new(path).list(&mut |address| found.push(address));
    found.sort();
    found
}

fn status(path: &Path, address: &str, buf: &mut [u8]) -> Status {
    RealDir::new(path).read(address.parse().unwrap(), buf)
}

fn text(path: &Path, address: &str) -> String {
    let mut buf = [0; 64];
    match status(path, address, &mut buf) {
        Status::File { len, .. } => String::from_utf8(buf[..len].to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}

#[test]
fn only_names_that_are_addresses_are_listed() {
    // Among them what the collector itself may leave there: a file in the making, a hidden one.
    let names = [
        "10.0.0.2",
        "10.0.0.2.tmp",
        ".10.0.0.3",
        "010.0.0.4",
        "loghost",
        "::2",
        "0:0::1",
    ];
    let dir = directory(&names);
    let expected = ["10.0.0.2", "::1", "::2"].map(|name| name.parse::<IpAddr>().unwrap());
    assert_eq!(listed(dir.path()), expected);
}

#[test]
fn a_directory_that_is_not_there_is_empty() {
    let dir = directory(&["file"]);
    for path in [dir.path().join("none"), dir.path().join("file")] {
        assert!(listed(&path).is_empty());
    }
    assert_eq!(text(&dir.path().join("none"), "::1"), "Missing");
}

#[test]
fn an_ipv6_address_is_found_however_its_file_spells_it() {
    let dir = directory(&["0:0:0:0:0:0:0:1", "2001:DB8::1"]);
    assert_eq!(text(dir.path(), "::1"), "0:0:0:0:0:0:0:1\n");
    assert_eq!(text(dir.path(), "2001:db8::1"), "2001:DB8::1\n");
    assert_eq!(text(dir.path(), "2001:db8::2"), "Missing");
}

#[test]
fn the_usual_spelling_comes_first() {
    let dir = directory(&["0:0::1", "::1", "0::1"]);
    assert_eq!(text(dir.path(), "::1"), "::1\n");
}

#[test]
fn a_buffer_that_is_too_small_takes_the_start() {
    let dir = directory(&["10.0.0.2"]);
    let mut buf = [0; 4];
    let status = status(dir.path(), "10.0.0.2", &mut buf);
    assert!(matches!(status, Status::File { len: 4, .. }));
    assert_eq!(&buf, b"10.0");
}

#[test]
fn the_time_of_the_last_write_is_told_in_milliseconds() {
    let dir = directory(&["10.0.0.2"]);
    let file = File::options()
        .append(true)
        .open(dir.path().join("10.0.0.2"))
        .unwrap();
    let moments = [
        (UNIX_EPOCH + Duration::from_millis(1_234_567), 1_234_567),
        (UNIX_EPOCH - Duration::from_secs(5), 0),
    ];
    for (moment, ms) in moments {
        file.set_modified(moment).unwrap();
        let Status::File { written, .. } = status(dir.path(), "10.0.0.2", &mut [0; 8]) else {
            panic!("the file is there");
        };
        assert_eq!(written, Wall::from_ms(ms));
    }
}

#[test]
fn nothing_but_a_regular_file_is_read() {
    let dir = directory(&["10.0.0.1"]);
    let path = |name| dir.path().join(name);
    symlink("10.0.0.1", path("10.0.0.2")).unwrap();
    symlink("nowhere", path("10.0.0.3")).unwrap();
    fs::create_dir(path("10.0.0.4")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("10.0.0.5")).unwrap();
    for name in ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] {
        assert_eq!(text(dir.path(), name), "NotRegular", "{name}");
    }
}

#[test]
fn a_fifo_without_a_writer_is_refused_at_once() {
    let dir = directory(&[]);
    // By a command, since the system calls in `sys` are not for this room.
    let made = process::Command::new("mkfifo")
        .arg(dir.path().join("10.0.0.2"))
        .status();
    assert!(made.unwrap().success());
    assert_eq!(text(dir.path(), "10.0.0.2"), "NotRegular");
}

#[test]
fn a_linked_directory_is_followed() {
    let dir = directory(&["10.0.0.2"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(dir.path(), &link).unwrap();
    assert_eq!(text(&link, "10.0.0.2"), "10.0.0.2\n");
    assert_eq!(listed(&link).len(), 1);
}

#[test]
fn errors_of_the_system_become_a_status() {
    let status = |code| status_of(&io::Error::from_raw_os_error(code));
    assert_eq!(status(libc::ENOENT), Status::Missing);
    assert_eq!(status(libc::ELOOP), Status::NotRegular);
    assert_eq!(status(libc::EACCES), Status::Unreadable);
    assert_eq!(status(libc::EIO), Status::Unreadable);
}

mod conversation {
    use super::*;

    /// Input that comes in these pieces, with an interruption before each.
    struct Pieces(Vec<&'static [u8]>, bool);

    impl Read for Pieces {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            // Every other call, so that each read meets one.
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            self.0.remove(0).read(buf)
        }
    }

    /// Output that notes each flush.
    #[derive(Default)]
    struct Flushed(String);

    impl Write for Flushed {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 += std::str::from_utf8(buf).unwrap();
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.push('!');
            Ok(())
        }
    }

    /// Output that nobody reads.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn converse_over(pieces: &[&'static [u8]], output: &mut impl Write) -> io::Result<()> {
        let dir = directory(&["10.0.0.2"]);
        let options = Options::default();
        converse(
            &mut Pieces(pieces.to_vec(), false),
            output,
            &mut Dialogue::new(options.base, options.stale_ms, Forms::Both),
            &mut RealDir::new(dir.path()),
        )
    }

    #[test]
    fn every_answer_is_flushed_and_the_end_of_input_is_the_end() {
        let mut output = Flushed::default();
        let pieces = [&b"PING\nget\n.1.3.6.1.4."[..], b"99.10.0.0.2\nPING\nPI"];
        converse_over(&pieces, &mut output).unwrap();
        assert_eq!(
            output.0,
            "PONG\n!.1.3.6.1.4.99.10.0.0.2\nstring\n10.0.0.2\n!PONG\n!"
        );
    }

    #[test]
    fn closed_output_is_reported() {
        let error = converse_over(&[b"PING\n"], &mut Closed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
