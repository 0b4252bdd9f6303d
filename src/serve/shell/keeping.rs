//! Generations that the box deletes or compresses, held for clients that have still to get them.

use super::{Server, Shared};
use crate::limits::KEEP_BETWEEN_MS;
use crate::serve::find::pins;
use crate::serve::session::Doing;

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
        pins::keep(config, &files.journal, kept_for, store, &mut |path, why| {
            report.say(format_args!(
                "{} was deleted, and is given up though a client lacks it: {why}",
                path.display()
            ));
        });
    }
}
