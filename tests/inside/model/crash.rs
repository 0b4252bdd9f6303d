//! What a crash leaves of a disk.

use std::rc::Rc;

use super::disk::{Disk, Names, Node};

/// How the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PowerCut {
    /// On a file system with a journal: changes of names are lost from some moment on, none before
    /// it.
    Ordered,
    /// On a file system without: of the changes of names that were not made durable, any may be
    /// lost.
    Unordered,
}

impl Disk {
    /// What is left when all processes are killed: everything that was seen.
    pub fn after_kill(&self) -> Disk {
        let mut disk = self.clone();
        let files = Rc::make_mut(&mut disk.files);
        files.values_mut().for_each(|content| content.opens = 0);
        let keys: Vec<_> = files.keys().copied().collect();
        keys.into_iter().for_each(|key| disk.forget(key));
        disk
    }

    /// Calls this boot of the machine by another number.
    pub fn set_boot(&mut self, boot: u32) {
        self.boot = boot;
    }

    /// What is left after a power cut. Each decision is put to `pick`, with the number of its
    /// options.
    ///
    /// Files lose any part of what was not made durable, or have zeros in its place. The order in
    /// which names and bytes reach the disk is nobody's promise.
    pub fn after_power_cut(&self, cut: PowerCut, pick: &mut dyn FnMut(usize) -> usize) -> Disk {
        let mut disk = self.with_names_after(cut, pick);
        disk.settle_files(pick);
        disk
    }

    /// Everything that a power cut may leave. Where that is more than `most`, all files lose alike:
    /// a part of what may be left of the bytes is left out then, and nothing of the names.
    pub fn all_after_power_cut(&self, cut: PowerCut, most: usize) -> Vec<Disk> {
        let mut disks = Vec::new();
        for named in all(|pick| self.with_names_after(cut, pick)) {
            disks.extend(
                all(|pick| {
                    let mut disk = named.clone();
                    disk.settle_files(pick);
                    disk
                })
                .take(most + 1),
            );
            if disks.len() > most {
                return self.alike_after_power_cut(cut);
            }
        }
        disks
    }

    fn alike_after_power_cut(&self, cut: PowerCut) -> Vec<Disk> {
        let alike = |named: Disk| {
            let most = named
                .files
                .values()
                .map(|content| content.remains().len())
                .max();
            (0..most.unwrap_or(1)).map(move |picked| {
                let mut disk = named.clone();
                disk.settle_files(&mut |options| picked.min(options - 1));
                disk
            })
        };
        all(|pick| self.with_names_after(cut, pick))
            .flat_map(alike)
            .collect()
    }

    /// The disk with the names that a power cut leaves, and with the files that still have one.
    fn with_names_after(&self, cut: PowerCut, pick: &mut dyn FnMut(usize) -> usize) -> Disk {
        let names = self.names_after(cut, pick);
        let mut disk = self.clone();
        let files = Rc::make_mut(&mut disk.files);
        files.values_mut().for_each(|content| content.links = 0);
        for node in names.values() {
            if let Node::File(key) = node
                && let Some(content) = files.get_mut(key)
            {
                content.links += 1;
            }
        }
        files.retain(|_, content| content.links > 0);
        disk.durable = Rc::new(names);
        disk.names = disk.durable.clone();
        disk.journal = Rc::default();
        disk.boot += 1;
        disk
    }

    fn names_after(&self, cut: PowerCut, pick: &mut dyn FnMut(usize) -> usize) -> Names {
        let mut names = Names::clone(&self.durable);
        let changes = &self.journal[..];
        match cut {
            _ if changes.is_empty() => {}
            PowerCut::Ordered => {
                let kept = pick(changes.len() + 1);
                changes[..kept]
                    .iter()
                    .for_each(|change| change.apply(&mut names));
            }
            PowerCut::Unordered => {
                for change in changes {
                    if pick(2) == 1 {
                        change.apply(&mut names);
                    }
                }
            }
        }
        names
    }

    /// Lets every file have what is left of it.
    fn settle_files(&mut self, pick: &mut dyn FnMut(usize) -> usize) {
        for content in Rc::make_mut(&mut self.files).values_mut() {
            content.close();
            if content.is_durable() {
                continue;
            }
            let mut remains = content.remains();
            let picked = match remains.len() {
                1 => 0,
                options => pick(options),
            };
            content.settle(remains.swap_remove(picked));
        }
    }
}

/// All that can be made, whatever is picked.
fn all<T>(make: impl Fn(&mut dyn FnMut(usize) -> usize) -> T) -> impl Iterator<Item = T> {
    let mut choices = Some(Choices::default());
    std::iter::from_fn(move || {
        let mut now = choices.take()?;
        let made = make(&mut |options| now.next(options));
        choices = now.advance().then_some(now);
        Some(made)
    })
}

/// Goes through all sequences of decisions.
#[derive(Default)]
struct Choices {
    /// What was decided, and among how many.
    made: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    fn next(&mut self, options: usize) -> usize {
        if self.at == self.made.len() {
            self.made.push((0, options));
        }
        self.at += 1;
        self.made[self.at - 1].0
    }

    /// Turns to the next sequence; `false` after the last.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((picked, options)) = self.made.last_mut() {
            *picked += 1;
            if picked < options {
                return true;
            }
            self.made.pop();
        }
        false
    }
}
