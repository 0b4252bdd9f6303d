//! Generations that the box deletes or compresses, held for clients that have still to get them.

use super::{Server, Shared};
use crate::limits::{KEEP_BETWEEN_MS, KEPT_FREE_PARTS};
use crate::serve::find::pins;
use crate::serve::session::Doing;
use crate::store::ReadStore;
use crate::store::real::held::Nameless;
use crate::sys::files;

impl Server {
    /// Holds what is needed, and gives up what is not, or is too much.
    pub(super) fn keep_deleted(&mut self) {
        let Shared {
            files,
            report,
            now,
            kept_for,
            ..
        } = &mut self.shared;
        let (config, store) = (&files.config, &files.store);
        let held = store.held();
        let is_kept =
            |log: &std::path::Path| config.keep_deleted > 0 && config.index_of(log).is_some();
        held.keep_logs(&is_kept);
        if config.keep_deleted == 0 || self.keep_from > now.mono {
            return;
        }
        self.keep_from = now.mono.plus_ms(KEEP_BETWEEN_MS);
        for client in self.clients.iter() {
            if let Doing::Sending(sent) = client.session.doing() {
                let _ = kept_for.note(client.session.peer(), sent.index, sent.inode, now.mono);
            }
        }
        kept_for.forget_old(now.mono);
        for (index, entry) in (0..).zip(&config.files) {
            let wanted = pins::wanted(index, entry, config, &files.journal, kept_for, store);
            let Some(wanted) = wanted else { continue };
            for file in &wanted {
                if held.has(&entry.path, &file.path, file.id) {
                    continue;
                }
                let opened = store.open(&file.path);
                if let Some(opened) = opened
                    .ok()
                    .filter(|it| store.stat(it).is_ok_and(|it| it.id == file.id))
                {
                    held.hold(&entry.path, &file.path, file.id, opened);
                }
            }
            held.keep(&entry.path, &|id| wanted.iter().any(|file| file.id == id));
        }
        // The oldest are given up first.
        let mut nameless = held.nameless();
        crate::sorting::sort_by_key(&mut nameless, |file| std::cmp::Reverse(file.mtime_ns));
        while let Some(oldest) = nameless.last() {
            let bytes: u64 = nameless.iter().map(|file| file.size).sum();
            let why = match bytes > config.keep_deleted {
                true => "$keep_deleted is reached",
                false if is_full(oldest) => "its file system is nearly full",
                false => break,
            };
            report.say(format_args!(
                "{} was deleted, and is given up though a client lacks it: {why}",
                oldest.path.display()
            ));
            let given_up = oldest.id;
            for entry in &config.files {
                held.keep(&entry.path, &|id| id != given_up);
            }
            nameless.pop();
        }
    }
}

/// Whether too little is free where a file was.
fn is_full(file: &Nameless) -> bool {
    let room = file.path.parent().map(files::room);
    matches!(room, Some(Ok((free, total))) if free < total / KEPT_FREE_PARTS)
}
