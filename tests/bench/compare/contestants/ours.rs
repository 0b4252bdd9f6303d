//! fetchlogs itself.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::{Contestant, Follower, Load};
use crate::measure::cpu_s;
use crate::stand::Stand;

pub struct Fetchlogs {
    name: &'static str,
    fields: &'static str,
}

impl Fetchlogs {
    pub fn v2() -> Fetchlogs {
        Fetchlogs {
            name: "fetchlogs",
            fields: "proto=v2",
        }
    }

    pub fn classic() -> Fetchlogs {
        Fetchlogs {
            name: "fetchlogs, classic",
            fields: "proto=classic",
        }
    }
}

impl Contestant for Fetchlogs {
    fn name(&self) -> &str {
        self.name
    }

    fn backlog(&self, file: &Path, bytes: u64) -> Load {
        let mut stand = Stand::with_fields(1, self.fields);
        fs::remove_file(stand.log(0)).unwrap();
        fs::hard_link(file, stand.log(0)).unwrap();
        stand.start_server();
        let start = Instant::now();
        stand.start_collector();
        stand.wait_for_size(0, bytes);
        Load {
            seconds: start.elapsed().as_secs_f64(),
            cpu_s: cpu_s(stand.server_pid()) + cpu_s(stand.collector_pid()),
        }
    }

    fn follow(&self, log: &Path) -> Option<Follower> {
        let mut stand = Stand::with_fields(1, self.fields);
        fs::remove_file(stand.log(0)).unwrap();
        fs::hard_link(log, stand.log(0)).unwrap();
        stand.start();
        Some(Follower {
            copy: stand.copy(0),
            _alive: Box::new(stand),
        })
    }
}
