//! A real collector, with a box that is well and one for each trouble.

use std::fs;
use std::path::PathBuf;

use crate::common::FETCHLOGS;
use crate::common::collector::{Collector, Place};
use crate::common::server::Server;
use crate::common::wait::until;
use crate::{free_port, get};

/// The boxes `well`, `gone`, `lossy` and `behind`, each with one log, but `gone`, which has one of an odd name besides.
pub struct Fleet {
    /// Where it listens.
    pub port: u16,
    place: Place,
    _logs: Place,
    _server: Server,
    collector: Option<Collector>,
}

/// A name that looks like fields of JSON.
pub const ODD: &str = "/x\",\"losses\":9,\"why\":\"y|z";

impl Fleet {
    /// Starts it and waits until everything has gone wrong that is to.
    pub fn start() -> Fleet {
        let logs = Place::new();
        let path = |name: &str| logs.path(name).display().to_string();
        fs::write(logs.path("well"), "line\n").unwrap();
        fs::write(logs.path("lossy"), "line\n").unwrap();
        fs::write(logs.path("behind"), vec![b'x'; 6_000_000]).unwrap();
        let settings = format!(
            "$files{{'{}'}} = ''; $files{{'{}'}} = ''; $files{{'{}'}} = '{}.*[0-9]';\n",
            path("well"),
            path("behind"),
            path("lossy"),
            path("lossy"),
        );
        let server = Server::start(&settings);
        let place = Place::with(|place| {
            let of = |name: &str, more: &str| {
                let line = place.line(server.address(), &path(name), name);
                format!("{line} name={name}{more}")
            };
            let gone = "127.0.0.2:1".parse().unwrap();
            let odd = ODD.replace('"', "\\\"");
            let copy = place.path("odd").display().to_string();
            vec![
                of("well", ""),
                of("lossy", ""),
                of("behind", " max=1M"),
                place.line(gone, "/var/log/messages", "gone") + " name=gone",
                format!("127.0.0.2 1 \"{odd}\" {copy} {copy}.ptr name=gone"),
            ]
        });
        std::os::unix::fs::symlink(FETCHLOGS, place.path("fetch_logs")).unwrap();
        let first = place.start(&[]);
        place.wait_for("lossy", b"line\n");
        first.stop();
        // What comes and goes while nobody is there is lost.
        fs::write(logs.path("lossy"), "line\nlost\n").unwrap();
        fs::remove_file(logs.path("lossy")).unwrap();
        fs::write(logs.path("lossy"), "new\n").unwrap();
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let collector = place.start(&["-l", &listen]);
        let fleet = Fleet {
            port,
            place,
            _logs: logs,
            _server: server,
            collector: Some(collector),
        };
        fleet.wait();
        fleet
    }

    fn wait(&self) {
        let is_there = |begin: &str, least: u64| {
            let text = get(self.port, "/metrics").unwrap_or_default();
            let mut lines = text.lines().filter(|line| line.starts_with(begin));
            let value = lines.next().and_then(|line| line.rsplit(' ').next());
            value.is_some_and(|value| value.parse::<u64>().unwrap() >= least)
        };
        for (begin, least) in [
            ("fetchlogs_source_following{box=\"well\"", 1),
            ("fetchlogs_source_losses{box=\"lossy\"", 1),
            ("fetchlogs_source_error{box=\"gone\"", 1),
            ("fetchlogs_source_error{box=\"behind\"", 1),
            ("fetchlogs_source_behind_bytes{box=\"behind\"", 2_000_000),
        ] {
            until(begin, || is_there(begin, least));
        }
        // What other users read is written after what is answered.
        until("the table", || {
            fs::read_to_string(self.snmp_dir().join(".fetch_logs.table"))
                .is_ok_and(|text| text.contains("paused") && text.contains("cannot connect"))
        });
    }

    /// Its directory of status files.
    pub fn snmp_dir(&self) -> PathBuf {
        self.place.path("snmp")
    }

    /// The program, as the kits call it.
    pub fn program(&self) -> PathBuf {
        self.place.path("fetch_logs")
    }

    /// A path beside its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// Ends the collector.
    pub fn stop(&mut self) {
        if let Some(collector) = self.collector.take() {
            collector.stop();
        }
    }
}
