//! The failed syncs of a disk: the system tells one once, to whoever asked for it, and takes what
//! it could not write for written. So it has to be noted, and a sync of a whole file system is the
//! business of every source that has files there.

use super::{Context, Source};
use crate::collect::copy::{FileError, Paths};
use crate::collect::error::SourceError;
use crate::mutation::{self, Mutation};
use crate::store::WriteStore;

impl<F> Source<F> {
    /// Acts upon syncs that failed for anybody: nothing is believed that is not compared and
    /// written again. Every step that builds on what was written before does this first; the caller
    /// does it where sources may have nothing to do for a while.
    pub fn check_failed_syncs<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        self.act_on_failed_syncs(cx);
        self.check_invariants();
    }

    fn act_on_failed_syncs<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if !self.note_failed_syncs(cx) {
            return;
        }
        if self.disk.copy().is_none() {
            // What is wrong with the files is told, and the next try opens them.
            self.mark_doubt(cx);
            // A heal that begins anew needs the server first.
            return self.end_idle_work(cx.now.mono);
        }
        // Told as if the sync had been ours: an operator has to see every copy that is in doubt.
        let error = std::io::Error::from_raw_os_error(EIO);
        let error = FileError::NotDurable(self.config.local.to_path_buf(), error);
        self.fail(SourceError::Files(error), cx);
    }

    /// Notes the doubt where it outlives this process, which may end before the next try: first by
    /// the quickest way, which needs no room on the disk, then in the way of all that is noted.
    pub(super) fn note_doubt<S: WriteStore<File = F>>(
        &mut self,
        was_open: bool,
        cx: &mut Context<'_, S>,
    ) {
        self.mark_doubt(cx);
        // A source that was in trouble already opens its files at its next try, and not at every
        // error.
        if was_open {
            if let Ok(copy) = self.open_copy(cx) {
                self.disk.open(copy);
            }
            // To open them may have failed before the doubt was in the pointer.
            self.mark_doubt(cx);
        }
    }

    /// Marks the doubt in the present pointer, unless it is noted. Where that fails, the next try
    /// to open the files does it again.
    fn mark_doubt<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        // A disk that fails does not fail at every call, and this process may end before it tries
        // to open the files again.
        let mut tries = MARK_TRIES;
        while self.disk.is_suspect() && tries > 0 {
            let is_marked = cx.files(&self.config, "").mark_doubt().is_ok();
            tries = if is_marked { 0 } else { tries - 1 };
        }
    }

    /// Notes the failed syncs of its file systems. Tells whether the source did not know of some.
    pub(super) fn note_failed_syncs<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> bool {
        if mutation::is_on(Mutation::FailedSyncIgnored) {
            return false;
        }
        let paths = Paths::of(&self.config);
        let dirs = [paths.local_dir(), paths.pointer_dir()];
        let failed = dirs.map(|dir| cx.store.failed_syncs(dir)).iter().sum();
        // Both directories together: neither number ever goes down, so the sum tells of either.
        let is_news = self.disk.note_failed_syncs(failed);
        if is_news {
            self.disk.set_suspect(true);
            // The new file of the heal is as doubtful as the copy, and nothing else will compare
            // it.
            if let Some(heal) = self.finished.heal_mut() {
                heal.restart();
            }
        }
        is_news
    }
}

/// Tries at once to mark a doubt.
const MARK_TRIES: u8 = 3;

/// The error number by which every system says that a device failed.
const EIO: i32 = 5;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::collect::copy::pointer::{BootId, Pointer};
    use crate::collect::source::tests::Rig;
    use crate::limits::CHECKPOINT_MS;
    use crate::store::WriteStore;

    /// A sync that somebody else asks for, and that fails.
    fn fail_a_sync(rig: &mut Rig) {
        rig.disk.fail_call(1, 5);
        rig.disk.sync_all(Path::new("/l")).unwrap_err();
    }

    fn pointer(rig: &Rig) -> Pointer {
        Pointer::parse(&rig.disk.read("/p/m").unwrap()).unwrap()
    }

    #[test]
    fn what_fails_for_another_is_compared_and_written_again() {
        let mut rig = Rig::streaming();
        fail_a_sync(&mut rig);
        rig.with(|source, cx| source.check_failed_syncs(cx));
        assert!(rig.said()[0].contains("cannot make durable /l/m"));
        assert!(rig.source.in_error() && !rig.source.wants_connection());
        assert_eq!(pointer(&rig).boot, BootId::none_vouches());
        rig.with(|source, cx| source.check_failed_syncs(cx));
        assert!(rig.said().is_empty(), "it is known by now");
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\nabcd");
        assert_eq!(rig.disk.overwritten("/l/m"), b"abc");
        assert_eq!(rig.local(), b"abcd");
        assert!(!rig.source.in_error());
    }

    #[test]
    fn nothing_is_built_on_what_may_be_lost() {
        let mut rig = Rig::streaming();
        rig.now_ms += CHECKPOINT_MS;
        fail_a_sync(&mut rig);
        rig.with(|source, cx| source.handle_timeout(cx));
        assert_eq!(pointer(&rig).checkpoint, 0);
        assert!(!rig.source.wants_connection());

        let mut rig = Rig::streaming();
        fail_a_sync(&mut rig);
        rig.receive(b"def");
        assert_eq!(rig.local(), b"abc");
        assert!(!rig.source.wants_connection());
    }

    #[test]
    fn the_doubt_is_marked_while_the_files_are_closed() {
        let mut rig = Rig::streaming();
        rig.disk.set_room(Some(0));
        rig.receive(b"def");
        rig.said();
        fail_a_sync(&mut rig);
        rig.with(|source, cx| source.check_failed_syncs(cx));
        assert!(rig.said().is_empty(), "it is in trouble already");
        assert_eq!(pointer(&rig).boot, BootId::none_vouches());
    }

    #[test]
    fn a_source_that_begins_later_heeds_it_too() {
        let mut rig = Rig::streaming();
        fail_a_sync(&mut rig);
        let mut rig = Rig::on(rig.disk);
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        assert_eq!(pointer(&rig).boot, BootId::none_vouches());
    }
}
