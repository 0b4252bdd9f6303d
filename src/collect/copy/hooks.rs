//! The list of what happened and was not handed to the operator's program yet, beside the pointer
//! file (FILES.md, "Hooks"). An event is durable there before whatever else tells of it is
//! forgotten, and stands there until the program has ended well: so it is handed over at least
//! once, whoever is killed, and whenever.

use std::path::Path;

use super::error::{FileError, system};
use super::files::LocalFiles;
use super::hook_event::{HookEvent, HookKind};
use super::loss::Loss;
use super::pointer::RotatedSuffix;
use super::rotation::Syncs;
use crate::limits::HOOKS_WAITING_MAX;
use crate::store::WriteStore;

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// Puts events on the list, if anybody wants to hear of them; those that stand there stand
    /// there once. Where there are too many the oldest goes.
    pub fn put_hooks(&mut self, events: &[HookEvent], syncs: Syncs) -> Result<(), FileError> {
        let Some(news) = self.hooks.filter(|_| !events.is_empty()) else {
            return Ok(());
        };
        let (mut list, places, is_right) = self.parse_hooks()?;
        let before = list.len();
        for event in events {
            if !list.contains(event) {
                list.push(event.clone());
            }
        }
        news.is_new.set(true);
        let excess = list.len().saturating_sub(HOOKS_WAITING_MAX);
        let dropped = u32::try_from(excess).unwrap_or(u32::MAX);
        // What stood there already may be what a sync has failed for, which the system takes for
        // written: it has to be written once more.
        let is_all_new = list.len() == before + events.len();
        // Without others it is to be certain that the list has its name.
        let is_known = syncs == Syncs::Barrier || before > 0;
        if is_known && is_all_new && is_right && excess <= before {
            for at in &places[..excess] {
                self.strike_hook(*at)?;
            }
            news.dropped.set(news.dropped.get().saturating_add(dropped));
            return self.append_hooks(events, syncs);
        }
        list.drain(..excess);
        self.replace_hooks(&list)?;
        news.dropped.set(news.dropped.get().saturating_add(dropped));
        self.sync_dir(self.paths.pointer_dir())
    }

    /// Strikes out the event that stands at this place of the list, for which nobody waits.
    fn strike_hook(&mut self, at: u64) -> Result<(), FileError> {
        let path = self.paths.hooks();
        let failed = |error| system("write", &path, error);
        match self.store.open_append(&path).map_err(failed)? {
            Some(file) => (self.store.overwrite(&file, &[STRUCK], at)).map_err(failed),
            None => Ok(()),
        }
    }

    fn append_hooks(&mut self, events: &[HookEvent], syncs: Syncs) -> Result<(), FileError> {
        let path = self.paths.hooks();
        let failed = |error| system("write", &path, error);
        let file = self.open_list(&path)?;
        let lines: String = events.iter().map(|it| format!("{it}\n")).collect();
        self.store
            .append_all(&file, lines.as_bytes())
            .map_err(failed)?;
        match syncs {
            Syncs::Own => self.store.sync_file(&file).map_err(failed),
            Syncs::Barrier => Ok(()),
        }
    }

    /// Puts on the list that a copy of so many bytes has got this name, and what was lost behind it
    /// if that is told by nothing but the rotation.
    pub(super) fn put_rotated(
        &mut self,
        rotated: &Path,
        size: u64,
        lost: Option<Loss>,
        syncs: Syncs,
    ) -> Result<(), FileError> {
        let local = self.paths.local;
        let of = |kind| HookEvent::of(kind).about(rotated, local);
        let rotated = of(HookKind::Rotated).with_bytes(Some(size));
        match lost {
            Some(loss) => {
                let lost = of(HookKind::Lost).with_bytes(loss.at_least);
                self.put_hooks(&[lost, rotated], syncs)
            }
            None => self.put_hooks(&[rotated], syncs),
        }
    }

    /// Makes durable what a barrier was to make durable.
    pub fn sync_hooks(&mut self) -> Result<(), FileError> {
        let list = self.read_hooks()?;
        if !list.is_empty() {
            self.replace_hooks(&list)?;
        }
        self.sync_dir(self.paths.pointer_dir())
    }

    /// What was not handed over yet, oldest first.
    pub fn read_hooks(&mut self) -> Result<Vec<HookEvent>, FileError> {
        Ok(self.parse_hooks()?.0)
    }

    /// Takes an event off the list, which need not be durable: it is handed over once more then.
    pub fn remove_hook(&mut self, event: &HookEvent) -> Result<(), FileError> {
        let (list, places, _) = self.parse_hooks()?;
        let Some(at) = list.iter().position(|it| it == event) else {
            return Ok(());
        };
        match list.len() {
            1 => self.replace_hooks(&[])?,
            _ => self.strike_hook(places[at])?,
        }
        if let Some(news) = self.hooks {
            news.is_new.set(true);
        }
        Ok(())
    }

    /// The list, where in its file each event stands, and whether it is as it was written: a power
    /// cut may leave a part of a line, or zeros.
    fn parse_hooks(&mut self) -> Result<(Vec<HookEvent>, Vec<u64>, bool), FileError> {
        let path = self.paths.hooks();
        let mut buf = vec![0; LIST_MAX_LEN + 1];
        let len = self.store.read_small(&path, &mut buf);
        let len = len.map_err(|error| system("read", &path, error))?;
        let text = buf.get(..len.unwrap_or(0)).unwrap_or_default();
        // Behind half of it there is room for what comes in one go.
        let mut is_right = text.len() <= LIST_MAX_LEN / 2;
        let (mut list, mut places, mut end) = (Vec::new(), Vec::new(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            // A failed sync before it leaves zeros in front of a line.
            let start = line.iter().take_while(|byte| **byte == 0).count();
            is_right &= start == 0;
            let at = end + start;
            end += line.len();
            if line.first() == Some(&STRUCK) && line.ends_with(b"\n") {
                continue;
            }
            match line[start..].strip_suffix(b"\n").and_then(HookEvent::read) {
                Some(event) => {
                    list.push(event);
                    places.push(at as u64);
                }
                None => is_right = false,
            }
        }
        Ok((list, places, is_right))
    }

    /// Replaces the list; by none at all where it would be empty.
    fn replace_hooks(&mut self, list: &[HookEvent]) -> Result<(), FileError> {
        let path = self.paths.hooks();
        if list.is_empty() {
            let removed = self.store.unlink(&path);
            return removed.map_err(|error| system("write", &path, error));
        }
        let text: String = list.iter().map(|it| format!("{it}\n")).collect();
        self.replace_list(&path, &text)
    }
}

/// What stands in place of the first byte of an event that is off the list, so that nobody has to
/// wait for a list without it (FILES.md, "Hooks").
const STRUCK: u8 = b'-';

/// Longest line: a word, a suffix, a number, a digest, a checksum, and what stands between.
const LINE_MAX_LEN: usize = 8 + RotatedSuffix::MAX_LEN + 20 + 32 + 8 + 5;

/// The most that is read of a list. Before it has more, those that are off it are left out.
const LIST_MAX_LEN: usize = 8 * HOOKS_WAITING_MAX * LINE_MAX_LEN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::copy::{HookNews, Paths};
    use crate::inside::fake::Fake;
    use crate::inside::model::{Model, PowerCut};

    const LIST: &str = "/p/m.hooks";

    fn files<'a, S>(store: &'a mut S, hooks: Option<&'a HookNews>) -> LocalFiles<'a, S> {
        LocalFiles {
            store,
            paths: Paths {
                remote: b"/var/log/m",
                local: Path::new("/l/m"),
                pointer: Path::new("/p/m"),
            },
            boot: None,
            stamp: "20261122132956",
            hooks,
        }
    }

    fn with<R>(disk: &mut Model, act: impl FnOnce(&mut LocalFiles<'_, Model>) -> R) -> (R, u32) {
        let news = HookNews::default();
        let result = act(&mut files(disk, Some(&news)));
        (result, news.dropped.get())
    }

    fn put(disk: &mut Model, event: &HookEvent) -> Result<(), FileError> {
        let events = std::slice::from_ref(event);
        with(disk, |files| files.put_hooks(events, Syncs::Own)).0
    }

    fn rotated(at: usize) -> HookEvent {
        let copy = format!("/l/m.202611221329{at:02}");
        HookEvent::of(HookKind::Rotated)
            .about(Path::new(&copy), Path::new("/l/m"))
            .with_bytes(Some(at as u64))
    }

    fn some() -> Vec<HookEvent> {
        vec![
            rotated(1),
            HookEvent {
                kind: HookKind::Verified,
                ..rotated(2).with_md5([0xa5; 16])
            },
            HookEvent::of(HookKind::Lost).with_text("lost 7:3"),
            HookEvent::of(HookKind::Lost).with_text("lost 8:3"),
            HookEvent::of(HookKind::Differs).with_bytes(Some(u64::MAX)),
            HookEvent::of(HookKind::Healed),
        ]
    }

    #[test]
    fn what_is_put_on_the_list_stands_there_once_until_it_is_taken_off() {
        let mut disk = Model::new();
        disk.write("/p/m", b"");
        for event in some().iter().chain(&some()) {
            put(&mut disk, event).unwrap();
        }
        let read = |disk: &mut Model| with(disk, |files| files.read_hooks().unwrap()).0;
        assert_eq!(read(&mut disk), some());
        for (at, event) in some().iter().enumerate() {
            with(&mut disk, |files| files.remove_hook(event).unwrap());
            assert_eq!(read(&mut disk), some()[at + 1..]);
        }
        assert!(disk.read(LIST).is_none());
        with(&mut disk, |files| files.remove_hook(&rotated(1)).unwrap());
    }

    #[test]
    fn nobody_who_does_not_want_to_hear_has_a_list() {
        let mut disk = Model::new();
        disk.write("/p/m", b"");
        files(&mut disk, None)
            .put_hooks(&some(), Syncs::Own)
            .unwrap();
        assert!(disk.read(LIST).is_none());
    }

    #[test]
    fn whatever_a_crash_leaves_of_the_list_what_was_put_there_is_read() {
        for torn in [&b"rotated 2026112213"[..], b"\0\0\0\0", b"rotated", b"\n"] {
            let mut disk = Model::new();
            disk.write("/p/m", b"");
            put(&mut disk, &rotated(1)).unwrap();
            disk.write(LIST, torn);
            put(&mut disk, &rotated(2)).unwrap();
            let list = with(&mut disk, |files| files.read_hooks().unwrap()).0;
            assert_eq!(list, [rotated(1), rotated(2)], "{torn:?}");
        }
    }

    #[test]
    fn where_there_are_too_many_the_oldest_go_and_are_counted() {
        let mut disk = Model::new();
        disk.write("/p/m", b"");
        let all: Vec<HookEvent> = (0..HOOKS_WAITING_MAX as u64 + 5)
            .map(|bytes| HookEvent::of(HookKind::Lost).with_bytes(Some(bytes)))
            .collect();
        let (first, last) = all.split_at(HOOKS_WAITING_MAX - 2);
        let put = |disk: &mut Model, events: &[HookEvent]| {
            with(disk, |files| files.put_hooks(events, Syncs::Own).unwrap()).1
        };
        assert_eq!(put(&mut disk, first), 0);
        assert_eq!(put(&mut disk, last), 5);
        let list = with(&mut disk, |files| files.read_hooks().unwrap()).0;
        assert_eq!(list, all[5..]);
    }

    #[test]
    fn what_was_put_there_outlives_a_power_cut_whatever_failed_before() {
        for failing in 1..16 {
            let mut disk = Model::new();
            disk.write("/p/m", b"");
            put(&mut disk, &rotated(1)).unwrap();
            disk.flush();
            disk.fail_call(failing, 5);
            let second = put(&mut disk, &rotated(2));
            disk.revive();
            let third = put(&mut disk, &rotated(3));
            disk.cut_power(PowerCut::Unordered, &mut |_| 0);
            let list = with(&mut disk, |files| files.read_hooks().unwrap()).0;
            assert!(list.contains(&rotated(1)), "{failing}");
            assert!(second.is_err() || list.contains(&rotated(2)), "{failing}");
            assert!(third.is_err() || list.contains(&rotated(3)), "{failing}");
        }
    }

    #[test]
    fn whoever_shares_barriers_costs_no_sync_of_his_own_and_the_list_has_an_end() {
        let disk = Fake::new();
        disk.write("/p/m", b"");
        let news = HookNews::default();
        let (mut syncs, mut longest) = (0, 0);
        let event = |at| HookEvent::of(HookKind::Lost).with_bytes(Some(at));
        for at in 0..1_000 {
            disk.forget_syncs();
            let mut store = disk.clone();
            let mut files = files(&mut store, Some(&news));
            files.put_hooks(&[event(at)], Syncs::Barrier).unwrap();
            // Of some the program hears, in any order.
            if at % 3 == 0 {
                files.remove_hook(&event(at / 2 * 2)).unwrap();
            }
            let list = files.read_hooks().unwrap();
            if at % 3 != 0 {
                assert_eq!(list.last(), Some(&event(at)));
            }
            assert!(list.len() <= HOOKS_WAITING_MAX);
            syncs += disk.syncs();
            longest = longest.max(disk.read(LIST).unwrap_or_default().len());
        }
        assert!(syncs <= 20, "{syncs} syncs for a thousand");
        assert!(longest <= LIST_MAX_LEN, "{longest}");
    }
}
