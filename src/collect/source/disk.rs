//! A sync of a whole file system that failed: the system tells that once, to whoever asked for the sync, and takes what it
//! could not write for written. So it is the business of every source that has files there.

use super::{Context, Source};
use crate::collect::copy::Fault;
#[cfg(test)]
use crate::collect::copy::omit::{Rule, is_omitted};
use crate::collect::trouble::Trouble;
use crate::store::WriteStore;

impl<F> Source<F> {
    /// Draws the conclusions from syncs that failed for anybody: nothing is believed that is not compared and written
    /// again. Every step that builds on what was written before does this first; the caller does it where sources may
    /// have nothing to do for a while.
    pub fn heed_failed_syncs<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if !self.note_failed_syncs(cx) {
            return;
        }
        if self.copy.is_some() {
            let error = std::io::Error::from_raw_os_error(EIO);
            let fault = Fault::NotDurable(self.paths.local.clone(), error);
            self.fail(Trouble::Files(fault), cx);
        }
    }

    /// Whether syncs of its file systems have failed that it did not know of.
    pub(super) fn note_failed_syncs<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> bool {
        #[cfg(test)]
        if is_omitted(Rule::FailedSyncHeeded) {
            return false;
        }
        let dirs = [&self.paths.local_dir, &self.paths.pointer_dir];
        let failed = dirs.map(|dir| cx.store.failed_syncs(dir)).iter().sum();
        let is_news = failed != self.failed_syncs;
        self.failed_syncs = failed;
        if is_news {
            self.is_suspect = true;
            self.repair.iter_mut().for_each(|repair| repair.restart());
        }
        is_news
    }
}

/// How every system says that a device failed.
const EIO: i32 = 5;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::collect::pointer::{BootId, Pointer};
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
        rig.with(|source, cx| source.heed_failed_syncs(cx));
        assert!(rig.said()[0].contains("cannot make durable /l/m"));
        assert!(rig.source.in_error() && !rig.source.wants_connection());
        assert_eq!(pointer(&rig).boot, BootId::none_vouches());
        rig.with(|source, cx| source.heed_failed_syncs(cx));
        assert!(rig.said().is_empty(), "it is known by now");
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\nabcd");
        assert_eq!(rig.disk.overwritten(), b"abc");
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
    fn a_source_that_begins_later_heeds_it_too() {
        let mut rig = Rig::streaming();
        fail_a_sync(&mut rig);
        let mut rig = Rig::on(rig.disk);
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        assert_eq!(pointer(&rig).boot, BootId::none_vouches());
    }
}
