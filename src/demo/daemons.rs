//! A server and a collector, configured and started, with the link between them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::failure::Failure;
use super::relay::Relay;
use super::stage::Stage;
use crate::limits::PATH_MAX_LEN;

/// The running pair.
pub struct Daemons {
    relay: Rc<Relay>,
    copy_dir: PathBuf,
    copy: PathBuf,
    status: PathBuf,
}

const SERVER_CONFIG: &str = "gen_numbers.locals";
const COLLECTOR_CONFIG: &str = "fetch_logs.conf";
const COPY_DIR: &str = "copy";
const STATUS_DIR: &str = "snmp";
const POINTER: &str = "pointer";

impl Daemons {
    /// Starts a server for `log` and a collector that copies it to a file of the same name.
    /// `rotated` is what the glob of its rotated files puts behind its name, if it has any;
    /// `cut_after` so many bytes the link breaks.
    pub fn start(
        stage: &mut Stage,
        log: &Path,
        rotated: Option<&str>,
        cut_after: Option<u64>,
    ) -> Result<Daemons, Failure> {
        check_name(log, rotated.is_some())?;
        let copy_dir = stage.dir().join(COPY_DIR);
        fs::create_dir(&copy_dir).map_err(Failure::system("create the copy's directory"))?;

        write(stage, SERVER_CONFIG, &server_config(log, rotated))?;
        // First, since its port is known only when it says so, and the link and the collector need
        // it.
        let server = stage.start("gen_numbers", &["-c", SERVER_CONFIG], |process| {
            process.address()
        })?;
        let relay = Relay::start(server).map_err(Failure::system("set up the link"))?;
        if let Some(bytes) = cut_after {
            // Before the collector comes: a short log could have passed whole by then.
            relay.cut_after(bytes);
        }

        let name = log.file_name().unwrap_or_default();
        let config = collector_config(relay.address().port(), log, name);
        write(stage, COLLECTOR_CONFIG, &config)?;
        // It tries again fast and gives up waiting fast: nobody is to wait for it here.
        let args = ["-r", "0.2", "-w", "0.5", STATUS_DIR, COLLECTOR_CONFIG];
        stage.start("fetch_logs", &args, |_| Some(()))?;
        Ok(Daemons {
            relay: Rc::new(relay),
            copy: copy_dir.join(name),
            copy_dir,
            status: stage.dir().join(STATUS_DIR).join("127.0.0.1"),
        })
    }

    /// The link.
    pub fn relay(&self) -> &Rc<Relay> {
        &self.relay
    }

    /// The directory of the copies.
    pub fn copy_dir(&self) -> &Path {
        &self.copy_dir
    }

    /// The live copy.
    pub fn copy(&self) -> &Path {
        &self.copy
    }

    /// Whether the collector shows the server as well.
    pub fn is_ok(&self) -> bool {
        // While the file is not there the collector has just been started, and knows nothing yet.
        fs::read(&self.status).is_ok_and(|text| text == b"OK\n")
    }
}

fn write(stage: &Stage, name: &str, text: &[u8]) -> Result<(), Failure> {
    fs::write(stage.dir().join(name), text).map_err(Failure::system(format!("write {name}")))
}

/// Short periods, so that the demo is short: a rotated file counts as complete once it was quiet
/// for a second.
fn server_config(log: &Path, rotated: Option<&str>) -> Vec<u8> {
    let log = quoted(log.as_os_str());
    let glob = match rotated {
        Some(behind) => [log.as_slice(), behind.as_bytes()].concat(),
        None => Vec::new(),
    };
    [
        b"$hosts_allow{'127.0.0.1'} = 1;\n$bind_addr = '127.0.0.1';\n$bind_port = 0;\n",
        b"$delay_check = 1;\n$grace = 1;\n$files{'".as_slice(),
        &log,
        b"'} = '",
        &glob,
        b"';\n1;\n",
    ]
    .concat()
}

fn collector_config(port: u16, log: &Path, name: &OsStr) -> Vec<u8> {
    [
        format!("127.0.0.1 {port} ").as_bytes(),
        log.as_os_str().as_bytes(),
        format!(" {COPY_DIR}/").as_bytes(),
        name.as_bytes(),
        format!(" {POINTER}\n").as_bytes(),
    ]
    .concat()
}

/// A text as it stands between single quotes in Perl.
fn quoted(text: &OsStr) -> Vec<u8> {
    let mut quoted = Vec::new();
    for byte in text.as_bytes() {
        if matches!(byte, b'\\' | b'\'') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted
}

/// Neither configuration has a way to write every name.
fn check_name(log: &Path, as_glob: bool) -> Result<(), Failure> {
    let bytes = log.as_os_str().as_bytes();
    // Only in a glob: the path itself is compared byte by byte.
    let is_special = |byte: &u8| b"*?[]{}~\\".contains(byte);
    let why = if bytes.len() > PATH_MAX_LEN {
        "it is too long"
    } else if bytes.iter().any(|b| *b == b' ' || b.is_ascii_control()) {
        "it has a blank in it"
    } else if as_glob && bytes.iter().any(is_special) {
        "it has a character in it that means something else in a glob; set TMPDIR"
    } else {
        return Ok(());
    };
    let log = log.display();
    Err(Failure::Unfit(format!(
        "the name {log} cannot be served: {why}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect;
    use crate::serve;

    #[test]
    fn the_configurations_mean_what_they_should() {
        for name in ["/tmp/x/messages", "/tmp/it's\\\"q\"{$x}@y", "/tmp/\u{fc}#"] {
            let log = Path::new(name);
            let config = serve::config::Config::parse(&server_config(log, None));
            let Ok(config) = config else {
                panic!("{name}");
            };
            assert!(config.index_of(log).is_some(), "{name}");
            assert_eq!(config.bind.port(), 0);
        }
        let log = Path::new("/tmp/a/messages");
        let config = serve::config::Config::parse(&server_config(log, Some(".*[0-9]")));
        assert!(config.is_ok());
        let text = collector_config(1919, log, OsStr::new("messages"));
        let Ok(config) = collect::config::Config::parse(&text) else {
            panic!("not a configuration");
        };
        let source = &config.sources[0];
        assert_eq!(&source.remote[..], b"/tmp/a/messages");
        assert_eq!(*source.local, *Path::new("copy/messages"));
        assert_eq!(source.port, 1919);
    }

    #[test]
    fn names_that_cannot_be_written_down_are_refused() {
        let is_fit = |name: &str, as_glob| check_name(Path::new(name), as_glob).is_ok();
        assert!(is_fit("/var/log/messages", true));
        assert!(is_fit("/var/log/{a}", false));
        assert!(!is_fit("/var/log/{a}", true));
        assert!(!is_fit("/var/log/a b", false));
        assert!(!is_fit("/var/log/a\nb", false));
        assert!(!is_fit(&"/x".repeat(PATH_MAX_LEN), false));
    }
}
