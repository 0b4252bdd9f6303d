//! What the server says at USR1: its logs with their generations as it sees them, and its clients.

use std::path::Path;

use super::Server;
use crate::report::Report;
use crate::serve::find::journal::Journal;
use crate::serve::find::journal::record::{Record, State};
use crate::serve::session::Doing;

impl Server {
    /// Says all of it.
    pub(super) fn tell_state(&mut self) {
        let shared = &mut self.shared;
        let (files, report) = (&shared.files.config.files, &mut shared.report);
        let mut logs = 0;
        for (index, entry) in (0..).zip(files).filter(|(_, entry)| entry.is_any()) {
            logs += 1;
            tell_log(&entry.path, index, &shared.files.journal, report);
        }
        let mut clients = 0;
        for client in self.clients.iter() {
            clients += 1;
            let peer = client.session.peer();
            match client.session.doing() {
                Doing::Sending(sent) => {
                    let log = files.get(sent.index as usize).map(|entry| &*entry.path);
                    let log = log.unwrap_or(Path::new("")).display();
                    let is_rotated = if sent.is_live { "" } else { ", rotated" };
                    report.say(format_args!(
                        "{peer} gets {log}, inode {}{is_rotated}, and has {} of {} bytes",
                        sent.inode, sent.offset, sent.size
                    ));
                }
                Doing::Other(what) => report.say(format_args!("{peer} {what}")),
            }
        }
        report.say(format_args!("logs served: {logs}, clients: {clients}"));
    }
}

fn tell_log(path: &Path, index: u32, journal: &Journal, report: &mut Report) {
    let records = journal.records(index);
    let path = path.display();
    if records.is_empty() {
        report.say(format_args!("{path} was not seen yet"));
    }
    let elders = journal.elders(index);
    if elders > 0 {
        report.say(format_args!(
            "{path} has rotated files from before: {elders}"
        ));
    }
    for Record {
        identity,
        size,
        state,
        ..
    } in records
    {
        let inode = identity.id.inode;
        let state = match state {
            State::Live => "live",
            State::Rotated => "rotated",
            State::Truncated => "gone from its file",
            State::Complete(_) => "rotated, and somebody has all of it",
        };
        report.say(format_args!(
            "{path} has inode {inode} with {size} bytes, {state}"
        ));
    }
}
