//! Inotify: word from the kernel that a file or a directory changed. A hint for speed, never the
//! truth: look for yourself.

pub use super::platform::Inotify;

/// The sorts of watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// Writes to a file, that a writer closed it, and that it was renamed, deleted or changed in
    /// its links. Never follows a link in the last component.
    File,
    /// Names that come, go or change in a directory. Links are followed; anything but a directory
    /// is an error.
    Directory,
}

/// One watch. The kernel gives the same one for the same file or directory, however often and by
/// whatever path it is asked for, and ends it at the first [`Inotify::unwatch`]: count who shares
/// it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WatchId(pub(super) i32);

impl WatchId {
    /// A number of its own, for tables; the kernel counts upwards.
    pub fn number(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// The watch with that number.
    pub fn from_number(number: u32) -> WatchId {
        WatchId(number.cast_signed())
    }
}

/// A word from the kernel: something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// At which watch; `None` if so much happened that the kernel forgot where: look at everything.
    pub id: Option<WatchId>,
    /// Which name in the directory; empty where the watch is on a file.
    pub name: &'a [u8],
    /// The name was given to something: created, or moved here.
    pub arrived: bool,
    /// The name was taken from what had it: moved away, or deleted.
    pub departed: bool,
    /// Two events with the same number, which is not 0, are the two ends of one move.
    pub cookie: u32,
    /// The watch is over and its number means nothing any more: removed, deleted, or its file
    /// system unmounted.
    pub gone: bool,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{ErrorKind, Write};
    use std::path::Path;

    use super::*;

    /// Watch, name and end of an event.
    type Told = (Option<WatchId>, String, bool);

    fn events(inotify: &mut Inotify) -> Vec<Told> {
        let mut seen = Vec::new();
        inotify
            .read_events(&mut [0; 4096], &mut |event| {
                let name = String::from_utf8_lossy(event.name).into_owned();
                seen.push((event.id, name, event.gone));
            })
            .unwrap();
        seen
    }

    fn told(id: WatchId, name: &str) -> Told {
        (Some(id), name.to_owned(), false)
    }

    fn started() -> Option<Inotify> {
        match Inotify::new() {
            Err(error) if error.kind() == ErrorKind::Unsupported => None,
            result => Some(result.unwrap()),
        }
    }

    #[test]
    fn where_a_link_of_somebody_else_leads_nothing_is_watched() {
        let Some(inotify) = started() else { return };
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::write(real.join("log"), "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(inotify.watch(&link, Watch::Directory).is_ok());
        if std::os::unix::fs::lchown(&link, Some(65_533), None).is_err() {
            println!("skipped: root alone can give files to others");
            return;
        }
        for (path, what) in [
            (link.clone(), Watch::Directory),
            (link.join("log"), Watch::File),
        ] {
            let error = inotify.watch(&path, what).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    }

    #[test]
    fn writes_renames_and_the_end_of_a_file_are_told() {
        let Some(mut inotify) = started() else { return };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = fs::File::create(&path).unwrap();
        let id = inotify.watch(&path, Watch::File).unwrap();
        assert_eq!(inotify.watch(&path, Watch::File).unwrap(), id);
        assert_eq!(events(&mut inotify), []);

        file.write_all(b"a line\n").unwrap();
        assert_eq!(events(&mut inotify), [told(id, "")]);

        fs::rename(&path, dir.path().join("log.1")).unwrap();
        assert_eq!(events(&mut inotify), [told(id, "")]);

        drop(file);
        fs::remove_file(dir.path().join("log.1")).unwrap();
        assert_eq!(
            events(&mut inotify).last(),
            Some(&(Some(id), String::new(), true))
        );
        assert!(inotify.unwatch(id).is_err());
    }

    #[test]
    fn names_that_come_and_go_are_told_and_writes_are_not() {
        let Some(mut inotify) = started() else { return };
        let dir = tempfile::tempdir().unwrap();
        let id = inotify.watch(dir.path(), Watch::Directory).unwrap();
        let path = dir.path().join("log");
        let mut file = fs::File::create(&path).unwrap();
        assert_eq!(events(&mut inotify), [told(id, "log")]);
        file.write_all(b"a line\n").unwrap();
        assert_eq!(events(&mut inotify), []);
        fs::rename(&path, dir.path().join("log.1")).unwrap();
        assert_eq!(events(&mut inotify), [told(id, "log"), told(id, "log.1")]);
        inotify.unwatch(id).unwrap();
        assert_eq!(events(&mut inotify), [(Some(id), String::new(), true)]);
        fs::remove_file(dir.path().join("log.1")).unwrap();
        assert_eq!(events(&mut inotify), []);
    }

    #[test]
    fn more_than_fits_the_buffer_is_read_to_its_end() {
        let Some(mut inotify) = started() else { return };
        let dir = tempfile::tempdir().unwrap();
        inotify.watch(dir.path(), Watch::Directory).unwrap();
        for number in 0..500 {
            fs::write(dir.path().join(format!("{number:0>200}")), "").unwrap();
        }
        assert_eq!(events(&mut inotify).len(), 500);
    }

    #[test]
    fn each_kind_refuses_what_it_is_not_for() {
        let Some(inotify) = started() else { return };
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "").unwrap();
        let error = inotify.watch(&file, Watch::Directory).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let of_file = inotify.watch(&file, Watch::File).unwrap();
        assert_ne!(
            inotify.watch(&link, Watch::File).unwrap(),
            of_file,
            "the link was followed"
        );
        let missing = inotify
            .watch(Path::new("/none/such"), Watch::File)
            .unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}
