//! Which generations are held for clients, so that they outlive their names. Pure.
//!
//! A file that the box deletes or compresses is there for as long as somebody has it open. With
//! `$keep_deleted` the server does, until every client that was here in the last days has it.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::candidates::Candidate;
use super::crowd::Reached;
use super::journal::Journal;
use super::scan::Scan;
use crate::ids::{FileId, Inode};
use crate::limits::{KEPT_FOR_CLIENTS_MAX, KEPT_FOR_MS, KEPT_FREE_PARTS};
use crate::serve::config::{Config, FileEntry};
use crate::sorting::sort_by_key;
use crate::store::{HoldStore, Kind, Nameless, Room};
use crate::time::Mono;

/// Where each client was seen last.
#[derive(Default)]
pub struct Clients(Vec<Client>);

struct Client {
    peer: IpAddr,
    file: u32,
    /// The file of the generation that it was being sent.
    inode: Inode,
    seen: Mono,
}

impl Clients {
    /// A client is being sent a generation of a log. Tells whether that is news.
    pub fn note(&mut self, peer: IpAddr, file: u32, inode: Inode, now: Mono) -> bool {
        let known = self
            .0
            .iter_mut()
            .find(|it| it.peer == peer && it.file == file);
        match known {
            Some(client) => {
                client.seen = now;
                std::mem::replace(&mut client.inode, inode) != inode
            }
            None => {
                if self.0.len() >= KEPT_FOR_CLIENTS_MAX {
                    self.0.remove(0);
                }
                self.0.push(Client {
                    peer,
                    file,
                    inode,
                    seen: now,
                });
                true
            }
        }
    }

    /// Forgets who was not here for days.
    pub fn forget_old(&mut self, now: Mono) {
        self.0
            .retain(|client| client.seen.plus_ms(KEPT_FOR_MS) > now);
    }

    /// Forgets all, because logs have other numbers.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many of these files, which stand in their order, every client has. One whose own is not
    /// among them may need all; without any client nobody needs them.
    fn given(&self, file: u32, order: &[Inode]) -> usize {
        let clients = self.0.iter().filter(|client| client.file == file);
        let place = |client: &Client| order.iter().position(|inode| *inode == client.inode);
        let places = clients.map(|client| place(client).unwrap_or(0));
        places.min().unwrap_or(order.len())
    }
}

/// Holds what clients need of all logs, and gives up what none does, or is too much. `tell` hears
/// which file is given up though a client lacks it, and why.
pub fn keep<S: HoldStore>(
    config: &Config,
    journal: &Journal,
    clients: &Clients,
    store: &S,
    tell: &mut dyn FnMut(&Path, &str),
) {
    for (index, entry) in (0..).zip(&config.files) {
        // Where that cannot be told now, what is held stays.
        if let Some(wanted) = wanted(index, entry, config, journal, clients, store) {
            hold(&entry.path, &wanted, store);
        }
    }
    give_up(config, store, tell);
}

/// Holds these files of a log, and no others.
fn hold<S: HoldStore>(log: &Path, wanted: &[Wanted], store: &S) {
    for file in wanted {
        if store.is_held(log, &file.path, file.id) {
            continue;
        }
        let is_it = |opened: &S::File| store.stat(opened).is_ok_and(|it| it.id == file.id);
        if let Some(opened) = store.open(&file.path).ok().filter(is_it) {
            store.hold(log, &file.path, file.id, opened);
        }
    }
    store.hold_only(log, &|id| wanted.iter().any(|file| file.id == id));
}

/// Gives up files without a name, the oldest first, until those that stay are not too much.
fn give_up<S: HoldStore>(config: &Config, store: &S, tell: &mut dyn FnMut(&Path, &str)) {
    let mut nameless = store.nameless();
    sort_by_key(&mut nameless, |file| Reverse(file.mtime_ns));
    while let Some(oldest) = nameless.last() {
        let bytes: u64 = nameless.iter().map(|file| file.size).sum();
        let why = match bytes > config.keep_deleted {
            true => "$keep_deleted is reached",
            false if is_full(oldest, store) => "its file system is nearly full",
            false => break,
        };
        tell(&oldest.path, why);
        let given_up = oldest.id;
        for entry in &config.files {
            store.hold_only(&entry.path, &|id| id != given_up);
        }
        nameless.pop();
    }
}

/// Whether too little is free where a file was.
fn is_full<S: HoldStore>(file: &Nameless, store: &S) -> bool {
    let room = file.path.parent().map(|dir| store.room_at(dir));
    matches!(room, Some(Ok(Room { free, total, .. })) if free < total / KEPT_FREE_PARTS)
}

/// A file that is to be held.
struct Wanted {
    /// Where it is.
    path: PathBuf,
    /// Which one it is.
    id: FileId,
}

/// The files of a log that are to be held, oldest first; `None` if that cannot be told now.
fn wanted<S: HoldStore>(
    index: u32,
    entry: &FileEntry,
    config: &Config,
    journal: &Journal,
    clients: &Clients,
    store: &S,
) -> Option<Vec<Wanted>> {
    let live_path = journal.live_path(index, entry);
    let live = store.stat_path(&live_path).ok();
    let live = live.filter(|stat| stat.kind == Kind::Regular);
    let id = live.map(|stat| stat.id);
    let is_series = journal.is_series(index);
    let mut scan = Scan::new(&entry.patterns, id, is_series, Reached::default());
    let found = loop {
        match scan.advance(entry, &config.files, store) {
            Ok(None) => {}
            Ok(Some((_, found))) => break found,
            Err(_) => return None,
        }
    };
    let mut order: Vec<&Candidate> = found.iter().collect();
    let seq = |c: &Candidate| {
        journal
            .record_of(index, c.identity())
            .map_or(0, |it| it.seq)
    };
    sort_by_key(&mut order, |c| (seq(c), c.inferred_age()));
    let mut wanted: Vec<Wanted> = order
        .iter()
        .map(|c| Wanted {
            path: c.path().to_path_buf(),
            id: c.age.id,
        })
        .collect();
    wanted.extend(id.map(|id| Wanted {
        path: live_path.into_owned(),
        id,
    }));
    let inodes: Vec<Inode> = wanted.iter().map(|it| it.id.inode).collect();
    wanted.drain(..clients.given(index, &inodes));
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_every_client_has_is_not_needed() {
        let peer = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let order = [1, 2, 3, 4].map(Inode);
        let mut clients = Clients::default();
        let at = Mono::from_ms;
        assert_eq!(clients.given(0, &order), 4);
        clients.note(peer(1), 0, Inode(4), at(0));
        assert_eq!(clients.given(0, &order), 3);
        assert_eq!(clients.given(1, &order), 4);
        clients.note(peer(2), 0, Inode(2), at(0));
        assert_eq!(clients.given(0, &order), 1);
        clients.note(peer(2), 0, Inode(3), at(9));
        assert_eq!(clients.given(0, &order), 2);
        // Its own is not among them.
        clients.note(peer(3), 0, Inode(9), at(1));
        assert_eq!(clients.given(0, &order), 0);
        clients.forget_old(at(1 + KEPT_FOR_MS));
        assert_eq!(clients.given(0, &order), 2);
    }
}
