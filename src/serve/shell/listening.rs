//! What the system tells of the names of logs, taken to the journal.

use super::watches::{Name, Named, Watches};
use super::{Files, Shared};
use crate::limits::LISTENS_MAX;
use crate::serve::find::journal::arrivals::Arrival;
use crate::sorting::sort_by_key;

/// What was found of a log whose name was given to something, or taken.
struct Found {
    file: u32,
    /// In their order.
    arrivals: Vec<Arrival>,
    /// The name is free.
    is_vacant: bool,
}

/// Takes in all that was told since the last call, and tells which files it is about, by rising
/// number.
pub fn listen(shared: &mut Shared) -> Vec<u32> {
    let Shared {
        files,
        watches,
        report,
        buf,
        ..
    } = shared;
    let behind = files.journal.take_behind();
    let moved = files.journal.take_moved();
    let Some(watches) = watches else {
        return [behind, moved].concat();
    };
    let entries = &files.config.files;
    watches.forget();
    watches.drain(entries, report, buf);
    let mut found = find(watches, files);
    // What was looked at had its name all the time, if nothing is told of it now.
    let mut is_quiet = found.is_empty();
    for _ in 0..LISTENS_MAX {
        if is_quiet || !watches.drain(entries, report, buf) {
            is_quiet = true;
            break;
        }
        found = find(watches, files);
    }
    for Named {
        file,
        name,
        is_there,
    } in watches.take_names()
    {
        files.journal.note_name(file, &name, is_there);
    }
    for &file in &moved {
        watches.add(file, entries, &files.journal, report);
    }
    watches.follow_names(entries, &files.journal, report);
    let mut changed = [&behind, &moved, watches.changed()].concat();
    sort_by_key(&mut changed, |it| *it);
    changed.dedup();
    for &file in &changed {
        let found = found.iter().find(|found| found.file == file);
        match watches.name_of(file) {
            Name::Given(_) if is_quiet => note(file, found, files),
            // What the journal has met was not told: the file system does not do that.
            Name::Kept if behind.contains(&file) => note(file, None, files),
            Name::Kept => {}
            Name::Given(_) | Name::Unsure => note(file, None, files),
        }
    }
    changed
}

/// Looks at all that was given the name of a log.
fn find(watches: &Watches, files: &Files) -> Vec<Found> {
    let found = |&file: &u32| match watches.name_of(file) {
        Name::Given(trail) => Some(Found {
            file,
            arrivals: trail.arrivals(&files.config.files.get(file as usize)?.path, &files.store),
            is_vacant: trail.is_vacant(),
        }),
        Name::Kept | Name::Unsure => None,
    };
    watches.changed().iter().filter_map(found).collect()
}

/// Tells the journal what was found; if nothing, that more may have happened than anybody knows.
fn note(file: u32, found: Option<&Found>, files: &Files) {
    let journal = &files.journal;
    match found {
        Some(found) => journal.note_arrivals(file, &found.arrivals, found.is_vacant),
        None => journal.lose_sight(file),
    }
    if let Some(entry) = files.config.files.get(file as usize) {
        // Where it is behind again, it is asked for again.
        let _ = journal.look(file, &entry.path, &files.store);
    }
}
