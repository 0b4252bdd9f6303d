//! The checkpoints of what came by classic: a copy is made durable now and then, and the pointer
//! says how far. So after a power cut only the end has to be asked for again; in version 2
//! checksums do that better.

use super::{Context, Source};
use crate::collect::copy::LocalCopy;
use crate::collect::error::SourceError;
use crate::limits::{CHECKPOINT_LEN, CHECKPOINT_MS};
use crate::store::WriteStore;

impl<F> Source<F> {
    /// Notes that bytes were appended that only a checkpoint makes good: one is due if they are
    /// many by now, else some time later. It waits for its turn among what is due, as all others
    /// wait for its syncs.
    pub(super) fn note_growth<S>(&mut self, cx: &Context<'_, S>) {
        let since = self.disk.copy().map_or(0, LocalCopy::since_checkpoint);
        let now = cx.now.mono;
        let due = match since {
            0 => return,
            CHECKPOINT_LEN.. => now,
            _ => now.plus_ms(CHECKPOINT_MS),
        };
        // Not later than it was due before, or it would never be made while bytes come.
        let before = self.disk.checkpoint_at();
        let at = before.map_or(due, |before| before.min(due));
        self.disk.set_checkpoint(Some(at));
    }

    /// Makes a checkpoint if its time has come.
    pub(super) fn handle_checkpoint<S: WriteStore<File = F>>(&mut self, cx: &mut Context<'_, S>) {
        if self.disk.checkpoint_at().is_none_or(|at| at > cx.now.mono) {
            return;
        }
        if let Err(error) = self.make_checkpoint(cx) {
            self.fail(error, cx);
        }
    }

    fn make_checkpoint<S: WriteStore<File = F>>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), SourceError> {
        self.disk.set_checkpoint(None);
        // A checkpoint says that the end is good, which a copy that is still being compared does
        // not know.
        let Some(copy) = self.disk.copy_mut().filter(|copy| copy.is_believed()) else {
            return Ok(());
        };
        copy.checkpoint(&mut cx.files(&self.config, ""))
            .map_err(SourceError::Files)
    }
}

#[cfg(test)]
mod tests {
    use crate::collect::error::Closed;
    use std::path::Path;

    use crate::collect::copy::pointer::{self, BootId, Pointer};
    use crate::collect::source::tests::Rig;
    use crate::limits::{CHECKPOINT_LEN, CHECKPOINT_MS};
    use crate::store::WriteStore;

    const EIO: i32 = 5;

    fn pointer(rig: &Rig) -> Pointer {
        Pointer::parse(&rig.disk.read("/p/m").unwrap()).unwrap()
    }

    #[test]
    fn a_mebibyte_or_a_minute_makes_a_checkpoint() {
        let mut rig = Rig::streaming();
        rig.now_ms += CHECKPOINT_MS - 1;
        rig.with(|source, cx| source.handle_timeout(cx));
        assert_eq!(pointer(&rig).checkpoint, 0);
        rig.now_ms += 1;
        rig.with(|source, cx| source.handle_timeout(cx));
        assert_eq!(pointer(&rig).checkpoint, 3);
        let calls = rig.disk.calls();
        rig.now_ms += 50_000;
        rig.receive(b"\x07");
        rig.now_ms += CHECKPOINT_MS;
        rig.with(|source, cx| source.handle_timeout(cx));
        assert_eq!(
            rig.disk.calls(),
            calls,
            "nothing came, so nothing is written"
        );

        for _ in 0..16 {
            rig.receive(&[b'x'; CHECKPOINT_LEN as usize / 16]);
        }
        // Not by the bytes themselves: it has its turn with all others that are due.
        assert_eq!(pointer(&rig).checkpoint, 3);
        rig.now_ms += 1;
        rig.receive(b"x");
        rig.with(|source, cx| source.handle_timeout(cx));
        assert_eq!(pointer(&rig).checkpoint, 4 + CHECKPOINT_LEN);
    }

    #[test]
    fn after_a_restart_of_the_machine_only_the_end_is_asked_for_again() {
        let mut rig = Rig::streaming();
        rig.receive(&[b'x'; 10_000]);
        rig.close(Closed::ByServer);
        rig.connect();
        rig.receive(b"O 7\n");
        rig.now_ms += CHECKPOINT_MS;
        rig.with(|source, cx| source.handle_timeout(cx));
        assert_eq!(pointer(&rig).checkpoint, 10_003);
        rig.receive(b"yz");
        let mut rig = Rig::on(rig.disk);
        rig.boot = BootId::new("second").unwrap();
        // A part of what is good is compared too, so that another file is known by it.
        assert_eq!(rig.connect(), "/var/log/m 7 5907\n");
        rig.receive(b"O 7\n");
        rig.receive(&[b'x'; 4_096]);
        assert!(rig.source.in_error());
        rig.receive(b"yz and more");
        assert!(!rig.source.in_error());
        assert_eq!(&rig.local()[10_000..], b"xxxyz and more");
        assert_eq!(pointer(&rig).boot, Some(rig.boot.clone()));
    }

    #[test]
    fn a_failed_sync_is_not_tried_again_but_compared_and_written_again() {
        let mut rig = Rig::streaming();
        rig.now_ms += CHECKPOINT_MS;
        rig.disk.fail_call(1, EIO);
        rig.with(|source, cx| source.handle_timeout(cx));
        assert!(rig.said()[0].contains("cannot make durable /l/m"));
        assert!(rig.source.in_error());
        assert_eq!(pointer(&rig).boot, BootId::none_vouches());
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\nab");
        assert_eq!(rig.disk.overwritten("/l/m"), b"ab");
        assert!(rig.source.in_error());
        rig.receive(b"cdef");
        assert_eq!(rig.disk.overwritten("/l/m"), b"abc");
        assert!(!rig.source.in_error());
        assert_eq!(rig.local(), b"abcdef");
        assert_eq!(pointer(&rig).boot, Some(rig.boot.clone()));
        assert_eq!(pointer(&rig).checkpoint, 3);
    }

    #[test]
    fn what_a_failed_write_left_is_not_blamed_on_a_restart_alone() {
        let mut rig = Rig::streaming();
        rig.receive(&[b'x'; 97]);
        rig.disk.fail_call(1, EIO);
        rig.receive(b"y");
        rig.said();
        let good = rig.local();
        let mut spoiled = good.clone();
        spoiled[90..].fill(0);
        rig.disk.remove("/l/m");
        rig.disk.write("/l/m", &spoiled);
        let mut rig = Rig::on(rig.disk);
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\n");
        rig.receive(&good);
        let why = "after a restart of this machine or a failure of its disk 10 bytes from 90 on";
        let said = rig.said();
        assert!(said.iter().any(|line| line.contains(why)), "{said:?}");
        assert_eq!(rig.local(), good);
    }

    #[test]
    fn the_doubt_outlives_the_process() {
        let mut rig = Rig::streaming();
        rig.disk.fail_call(1, EIO);
        rig.receive(b"def");
        let mut rig = Rig::on(rig.disk);
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\nabcdef");
        assert_eq!(rig.disk.overwritten("/l/m"), b"abc");
        assert_eq!(rig.local(), b"abcdef");
    }

    #[test]
    fn the_doubt_outlives_the_process_on_a_full_disk_too() {
        let mut rig = Rig::streaming();
        rig.now_ms += CHECKPOINT_MS;
        rig.disk.set_room(Some(0));
        rig.disk.fail_call(1, EIO);
        rig.with(|source, cx| source.handle_timeout(cx));
        assert!(rig.said()[0].contains("cannot make durable /l/m"));
        assert_eq!(rig.disk.overwritten("/p/m"), [pointer::DOUBT]);
        rig.wait();
        assert!(rig.said()[0].contains("cannot write the pointer file"));
        // It is killed, and the next one has room.
        rig.disk.set_room(None);
        let mut rig = Rig::on(rig.disk);
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\nabcd");
        assert_eq!(rig.disk.overwritten("/l/m"), b"abc");
        assert_eq!(rig.local(), b"abcd");
        assert_eq!(pointer(&rig).boot, Some(rig.boot.clone()));
    }

    #[test]
    fn the_doubt_is_marked_as_soon_as_the_disk_lets_it() {
        // The sync fails, and then the first steps of what notes it.
        for failing in 2..10 {
            let mut rig = Rig::streaming();
            rig.now_ms += CHECKPOINT_MS;
            rig.disk.set_room(Some(0));
            (1..=failing).for_each(|nth| rig.disk.fail_call(nth, EIO));
            rig.with(|source, cx| source.handle_timeout(cx));
            rig.disk.revive();
            if pointer(&rig).boot != BootId::none_vouches() {
                rig.wait();
            }
            assert_eq!(pointer(&rig).boot, BootId::none_vouches(), "{failing}");
        }
    }

    #[test]
    fn a_pointer_with_another_name_is_not_marked() {
        let mut rig = Rig::streaming();
        rig.disk
            .link(Path::new("/p/m"), Path::new("/p/other"))
            .unwrap();
        rig.now_ms += CHECKPOINT_MS;
        rig.disk.set_room(Some(0));
        rig.disk.fail_call(1, EIO);
        rig.with(|source, cx| source.handle_timeout(cx));
        assert_eq!(rig.disk.overwritten("/p/m"), b"");
    }

    #[test]
    fn while_the_disk_fails_nothing_is_believed() {
        let mut rig = Rig::streaming();
        for nth in 1..20 {
            rig.disk.fail_call(nth, EIO);
        }
        rig.receive(b"def");
        rig.wait();
        assert!(rig.source.in_error());
        rig.disk.revive();
        assert_eq!(rig.connect(), "/var/log/m 7 0\n");
        rig.receive(b"O 7\nabcd");
        assert!(!rig.source.in_error());
        assert_eq!(rig.local(), b"abcd");
    }
}
