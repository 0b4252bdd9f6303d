//! The records for an operator, of losses and of copies that hold more than the server had. They
//! stand beside the local copy, where they outlive the collector and `verify` finds them.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::{FileError, system};
use super::files::LocalFiles;
use super::hook_event::{HookEvent, HookKind};
use super::left_out::LeftOut;
use super::loss::Loss;
use super::rotation::Syncs;
use crate::limits::GAPS_MAX_LEN;
use crate::store::{Kind, Stat, WriteStore};
use crate::wire::escape::{Escaped, OneLine};

/// What is done in one go of putting something on record. What stands there is not told again, so
/// what is to be told is durable before that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// All of it, durably.
    All,
    /// The operator's program is to be told, which the caller makes durable
    /// ([`LocalFiles::barrier`]).
    Telling,
    /// The record is written, which the caller makes durable; that it is to be told is so.
    Writing,
}

impl<F, S: WriteStore<File = F>> LocalFiles<'_, S> {
    /// Whether losses or differences are on record. A full disk may have left an empty file, which
    /// says nothing.
    pub fn has_gaps(&mut self) -> Result<bool, FileError> {
        let path = self.paths.gaps();
        let is_empty = |stat: Stat| stat.kind == Kind::Regular && stat.size == 0;
        // A link or a directory of that name cannot be written to, and is for an operator to look
        // at.
        Ok(self.stat_path(&path)?.is_some_and(|stat| !is_empty(stat)))
    }

    /// How many losses and differences are on record. Of a record that is longer than is shown only
    /// what is shown counts.
    pub fn count_gaps(&mut self) -> io::Result<u32> {
        let Some(file) = self.store.open_append(&self.paths.gaps())? else {
            return Ok(0);
        };
        let mut bytes = vec![0; GAPS_MAX_LEN];
        let len = self.store.read_at(&file, &mut bytes, 0)?;
        let lines = bytes[..len].split(|&byte| byte == b'\n');
        Ok(lines.filter(|line| !line.is_empty()).count() as u32)
    }

    /// Puts a loss or a difference on record, durably: when, of which remote file, and what. What
    /// the last line says is not said again: that run died before it could act upon it.
    /// The operator's program is told of `event` then.
    pub fn note_gap(&mut self, what: &dyn Display, event: HookEvent) -> Result<(), FileError> {
        self.note(self.paths.gaps(), what, "", Some(event), Part::All)
    }

    /// The same of a loss, with the time of the last write to the copy before the hole, where that
    /// is known. What is called [`name_before_hole`](Self::name_before_hole) follows once that has
    /// its name.
    pub fn note_loss(
        &mut self,
        loss: &Loss,
        held_until: Option<&str>,
        part: Part,
    ) -> Result<(), FileError> {
        let period = held_until.map(|at| format!("; {HELD_UNTIL} {at}"));
        let event = HookEvent::of(HookKind::Lost).with_bytes(loss.at_least);
        let period = period.unwrap_or_default();
        self.note(self.paths.gaps(), loss, &period, Some(event), part)
    }

    /// Adds the name of the copy before the hole to a loss, if that is what was put on record last.
    /// Where that fails the record says less, and is true; so nobody waits until it is durable.
    pub fn name_before_hole(&mut self, loss: &Loss, kept: &Path) {
        // It was written a moment ago: whoever keeps us from it now is told of at the next line.
        let _ = self.try_name(loss, kept);
    }

    fn try_name(&mut self, loss: &Loss, kept: &Path) -> io::Result<()> {
        let Some(file) = self.store.open_append(&self.paths.gaps())? else {
            return Ok(());
        };
        let text = self.text_of(loss);
        let size = self.store.stat(&file)?.size;
        let last = last_line(&file, self.store)?;
        if size == 0 || !says(&last, text.as_bytes(), " and is now ") {
            return Ok(());
        }
        let kept = Escaped(kept.as_os_str().as_bytes());
        self.store.truncate(&file, size - 1)?;
        let name = format!(" and is now {kept}\n");
        self.store.append_all(&file, name.as_bytes())
    }

    /// Puts on record that a copy holds more than the server had, or was healed.
    pub fn note_kept(&mut self, what: &dyn Display) -> Result<(), FileError> {
        self.note(self.paths.kept(), what, "", None, Part::All)
    }

    /// Puts on record that the server leaves out these files, each once for all connections: what
    /// stands there is not said again, nor is anything added to a record that is longer than is
    /// shown. However many there are, others wait for no more than one barrier.
    pub fn note_left_out(&mut self, all: &[LeftOut], part: Part) -> Result<(), FileError> {
        if all.is_empty() {
            return Ok(());
        }
        let path = self.paths.gaps();
        let failed = |error| system("write", &path, error);
        let file = self.open_record(&path)?;
        let mut said = vec![0; GAPS_MAX_LEN];
        let len = self.store.read_at(&file, &mut said, 0).map_err(failed)?;
        said.truncate(len);
        let room = GAPS_MAX_LEN as u64 + 1;
        let mut room = room.saturating_sub(self.store.stat(&file).map_err(failed)?.size);
        let mut events = Vec::new();
        for what in all {
            let text = self.text_of(what);
            if room > 0 && !has_line(text.as_bytes(), &said) {
                events.push(HookEvent::of(HookKind::Lost).with_text(&text));
                let end = end_of(&said);
                let line = format!("{end}{} {text}\n", self.stamp);
                said.extend_from_slice(line.as_bytes());
                room = room.saturating_sub(line.len() as u64);
            }
        }
        self.add_to_record((&file, path.as_path()), &said[len..], &events, part)
    }

    /// What follows the time in a line of a record.
    fn text_of(&self, what: &dyn Display) -> String {
        OneLine(&format!("{} {what}", Escaped(self.paths.remote))).to_string()
    }

    /// Notes a text and what is to be said besides, which does not make it another one.
    fn note(
        &mut self,
        path: PathBuf,
        what: &dyn Display,
        besides: &str,
        event: Option<HookEvent>,
        part: Part,
    ) -> Result<(), FileError> {
        let failed = |error| system("write", &path, error);
        let file = self.open_record(&path)?;
        let text = self.text_of(what);
        let last = last_line(&file, self.store).map_err(failed)?;
        let event = event.map(|event| event.with_text(&text));
        let (news, event) = match says(&last, text.as_bytes(), "") {
            true => (String::new(), None),
            false => {
                let end = end_of(&last);
                (format!("{end}{} {text}{besides}\n", self.stamp), event)
            }
        };
        self.add_to_record(
            (&file, path.as_path()),
            news.as_bytes(),
            event.as_slice(),
            part,
        )
    }

    /// Adds lines to a record, or nothing, and has the operator's program be told first, for what
    /// stands on record is not told again; as far as that belongs to this part.
    fn add_to_record(
        &mut self,
        (file, path): (&F, &Path),
        news: &[u8],
        events: &[HookEvent],
        part: Part,
    ) -> Result<(), FileError> {
        match part {
            Part::All => self.put_hooks(events, Syncs::Own)?,
            Part::Telling => return self.put_hooks(events, Syncs::Barrier),
            Part::Writing => {}
        }
        if !news.is_empty() {
            let added = self.store.append_all(file, news);
            added.map_err(|error| system("write", path, error))?;
        }
        match part {
            Part::All => self.end_record(file, path),
            _ => Ok(()),
        }
    }

    fn open_record(&mut self, path: &Path) -> Result<F, FileError> {
        let failed = |error| system("write", path, error);
        let file = self.open_list(path)?;
        if self.store.stat(&file).map_err(failed)?.links > 1 {
            // What it is called elsewhere is not ours to write to.
            let shared = "it has another name, too; move it away";
            return Err(failed(io::Error::new(ErrorKind::InvalidInput, shared)));
        }
        Ok(file)
    }

    /// Makes a record durable, even if all of it stood there: the run that wrote it may have died
    /// before this, or an earlier attempt may have created it and come no further.
    fn end_record(&mut self, file: &F, path: &Path) -> Result<(), FileError> {
        let failed = |error| system("write", path, error);
        self.store.sync_file(file).map_err(failed)?;
        self.sync_dir(self.paths.local_dir())
    }
}

/// What stands in front of the time of the last write to what is held before a hole.
const HELD_UNTIL: &str = "what is held before it was last written at";

/// The last line of a record, with its end, if it is no longer than our lines are.
fn last_line<S: WriteStore>(file: &S::File, store: &mut S) -> io::Result<Vec<u8>> {
    let size = store.stat(file)?.size;
    if size == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; LINE_MAX_LEN];
    let start = size.saturating_sub(bytes.len() as u64);
    let len = store.read_at(file, &mut bytes, start)?;
    bytes.truncate(len);
    let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let begin = body.iter().rposition(|&byte| byte == b'\n');
    bytes.drain(..begin.map_or(0, |at| at + 1));
    Ok(bytes)
}

/// What ends a last line, where a run died while it named a copy.
fn end_of(last: &[u8]) -> &'static str {
    match last.last() {
        None | Some(b'\n') => "",
        Some(_) => "\n",
    }
}

/// The longest path four times over, as escaped, and the words around it.
const LINE_MAX_LEN: usize = 8192;

/// Whether a line says this behind its time, with or without what is said besides; but not with
/// `without` in that.
fn says(line: &[u8], text: &[u8], without: &str) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    // A line whose end was not written says nothing yet.
    let mut parts = line.splitn(2, |&byte| byte == b' ');
    let is_time = |time: &[u8]| time.iter().all(u8::is_ascii_digit);
    if !parts.next().is_some_and(is_time) {
        return false;
    }
    let besides = parts.next().and_then(|rest| rest.strip_prefix(text));
    let is_besides = |besides: &[u8]| {
        let besides = str::from_utf8(besides).unwrap_or_default();
        let is_name = !without.is_empty() && besides.contains(without);
        !is_name && (besides.is_empty() || besides.starts_with("; what is held"))
    };
    besides.is_some_and(is_besides)
}

/// Whether one of these lines says this behind its time.
fn has_line(text: &[u8], lines: &[u8]) -> bool {
    let mut lines = lines.split(|&byte| byte == b'\n');
    // The time is the first word.
    lines.any(|line| line.splitn(2, |&byte| byte == b' ').nth(1) == Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::copy::Paths;
    use crate::inside::model::{Model, PowerCut};
    use crate::wire::frame::note::Note;

    fn note(disk: &mut Model, what: &str) -> Result<(), FileError> {
        note_at("20261122132956", disk, what)
    }

    fn note_at(stamp: &str, disk: &mut Model, what: &str) -> Result<(), FileError> {
        let paths = Paths {
            remote: b"/var/log/m\n",
            local: Path::new("/l/m"),
            pointer: Path::new("/p/m"),
        };
        let mut files = LocalFiles {
            store: disk,
            paths,
            boot: None,
            stamp,
            hooks: None,
        };
        files.note_gap(&what, HookEvent::of(HookKind::Lost))
    }

    #[test]
    fn what_was_noted_outlives_a_power_cut_even_after_a_failure() {
        for failing in 1..8 {
            let mut disk = Model::new();
            disk.write("/l/m", b"");
            disk.flush();
            disk.fail_call(failing, 5);
            let first = note(&mut disk, "lost 7:3");
            disk.revive();
            note(&mut disk, "lost 8:4").unwrap();
            disk.cut_power(PowerCut::Unordered, &mut |_| 0);
            let held = disk.read("/l/m.gaps").unwrap();
            let held = String::from_utf8(held).unwrap();
            assert!(
                held.contains("20261122132956 /var/log/m\\x0a lost 8:4\n"),
                "{held}"
            );
            let is_first_noted = held.contains("lost 7:3\n");
            assert!(is_first_noted || first.is_err(), "{failing}");
        }
    }

    fn leave_out(disk: &mut Model, name: &str) -> Result<(), FileError> {
        let note = LeftOut::of(&Note {
            why: crate::wire::frame::note::LeftOut::NotPermitted,
            is_missing: true,
            size: 7,
            name: name.as_bytes(),
        });
        let paths = Paths {
            remote: b"/var/log/m",
            local: Path::new("/l/m"),
            pointer: Path::new("/p/m"),
        };
        let mut files = LocalFiles {
            store: disk,
            paths,
            boot: None,
            stamp: "20261122132956",
            hooks: None,
        };
        files.note_left_out(&[note], Part::All)
    }

    #[test]
    fn what_is_left_out_is_noted_once_whatever_else_is_on_record() {
        let mut disk = Model::new();
        for name in ["m.1", "m.1", "m.2"] {
            leave_out(&mut disk, name).unwrap();
            note(&mut disk, "lost 7:3").unwrap();
            note(&mut disk, "lost 8:4").unwrap();
        }
        leave_out(&mut disk, "m.1").unwrap();
        let held = String::from_utf8(disk.read("/l/m.gaps").unwrap()).unwrap();
        assert_eq!(held.matches("left out m.1, 7 bytes").count(), 1, "{held}");
        assert_eq!(held.matches("left out m.2, 7 bytes").count(), 1, "{held}");
        // Somebody has taken note of it: from then on it is news again.
        disk.remove("/l/m.gaps");
        leave_out(&mut disk, "m.1").unwrap();
        assert!(disk.read("/l/m.gaps").is_some());
    }

    #[test]
    fn a_record_does_not_grow_for_ever_by_what_is_left_out() {
        let mut disk = Model::new();
        for n in 0..2_000 {
            leave_out(&mut disk, &format!("m.{n}")).unwrap();
        }
        let len = disk.read("/l/m.gaps").unwrap().len();
        assert!((GAPS_MAX_LEN..GAPS_MAX_LEN + 300).contains(&len), "{len}");
    }

    #[test]
    fn a_file_with_another_name_is_left_alone() {
        let mut disk = Model::new();
        disk.write("/l/precious", b"precious");
        disk.link(Path::new("/l/precious"), Path::new("/l/m.gaps"))
            .unwrap();
        let error = note(&mut disk, "lost 7:3").unwrap_err().to_string();
        assert!(error.ends_with("it has another name, too; move it away"));
        assert_eq!(disk.read("/l/precious").unwrap(), b"precious");
        disk.remove("/l/m.gaps");
        note(&mut disk, "lost 7:3").unwrap();
        assert_eq!(disk.read("/l/precious").unwrap(), b"precious");
    }

    fn with_files<R>(disk: &mut Model, act: impl FnOnce(&mut LocalFiles<'_, Model>) -> R) -> R {
        let paths = Paths {
            remote: b"/var/log/m",
            local: Path::new("/l/m"),
            pointer: Path::new("/p/m"),
        };
        act(&mut LocalFiles {
            store: disk,
            paths,
            boot: None,
            stamp: "20261122132956",
            hooks: None,
        })
    }

    fn note_text(text: &str, files: &mut LocalFiles<'_, Model>) -> Result<(), FileError> {
        files.note_gap(&text, HookEvent::of(HookKind::Lost))
    }

    const LOSS: Loss = Loss {
        inode: crate::ids::Inode(7),
        offset: 3,
        at_least: None,
        cause: crate::collect::copy::loss::Cause::Gone,
    };

    #[test]
    fn a_loss_has_a_period_and_the_copy_before_it() {
        let mut disk = Model::new();
        let line = "20261122132956 /var/log/m lost 7:3, unknown how many bytes: the server does not have what follows any more; what is held before it was last written at 20261122120000";
        let read = |disk: &Model| String::from_utf8(disk.read("/l/m.gaps").unwrap()).unwrap();
        let kept = Path::new("/l/m.20261122132957");
        with_files(&mut disk, |files| {
            files.name_before_hole(&LOSS, kept);
            files
                .note_loss(&LOSS, Some("20261122120000"), Part::All)
                .unwrap();
        });
        assert_eq!(read(&disk), format!("{line}\n"));
        // A run that died before it acted upon it, and says it once more, makes no other line.
        with_files(&mut disk, |files| {
            files
                .note_loss(&LOSS, Some("20261122120123"), Part::All)
                .unwrap();
            let other = Loss { offset: 4, ..LOSS };
            files.name_before_hole(&other, Path::new("/l/other"));
        });
        assert_eq!(read(&disk), format!("{line}\n"));
        with_files(&mut disk, |files| {
            files.name_before_hole(&LOSS, kept);
            files.name_before_hole(&LOSS, Path::new("/l/m.later"));
        });
        let line = format!("{line} and is now /l/m.20261122132957\n");
        assert_eq!(read(&disk), line);
        // The same loss is said once more only behind another one.
        with_files(&mut disk, |files| {
            files
                .note_loss(&LOSS, Some("20261122120000"), Part::All)
                .unwrap();
            note_text("lost 8:1", files).unwrap();
            files
                .note_loss(&LOSS, Some("20261122120000"), Part::All)
                .unwrap();
        });
        let text = read(&disk);
        assert!(text.starts_with(&line));
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn a_crash_while_a_copy_is_named_leaves_lines() {
        for failing in 1..12 {
            let mut disk = Model::new();
            disk.write("/l/m", b"");
            with_files(&mut disk, |files| {
                files
                    .note_loss(&LOSS, Some("20261122120000"), Part::All)
                    .unwrap();
            });
            disk.fail_call(failing, 5);
            with_files(&mut disk, |files| {
                files.name_before_hole(&LOSS, Path::new("/l/m.1"));
            });
            disk.revive();
            with_files(&mut disk, |files| note_text("lost 8:1", files).unwrap());
            let text = String::from_utf8(disk.read("/l/m.gaps").unwrap()).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{text}");
            assert!(lines[0].contains(" lost 7:3,") && lines[1].ends_with(" lost 8:1"));
        }
    }

    #[test]
    fn a_run_and_the_next_note_a_loss_once() {
        let mut disk = Model::new();
        disk.write("/l/m", b"");
        for (second, what) in [
            (1, "lost 7:3"),
            (2, "lost 7:3"),
            (3, "lost 17:3"),
            (4, "lost 7:3"),
        ] {
            note_at(&format!("2026112213295{second}"), &mut disk, what).unwrap();
        }
        let held = disk.read("/l/m.gaps").unwrap();
        let held = String::from_utf8(held).unwrap();
        let times: Vec<&str> = held.lines().map(|line| &line[13..14]).collect();
        assert_eq!(times, ["1", "3", "4"]);
    }
}
