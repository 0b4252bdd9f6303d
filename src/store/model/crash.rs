//! What a crash leaves of a disk.

use std::rc::Rc;

use super::disk::{Disk, Names, Node};

/// How the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PowerCut {
    /// On a file system with a journal: changes of names are lost from some moment on, none before it.
    Ordered,
    /// On a file system without: of the changes of names that were not made durable, any may be lost.
    Unordered,
}

impl Disk {
    /// What is left after a power cut. Each decision is put to `pick`, with the number of its options.
    ///
    /// Files lose any part of what was not made durable, or have zeros in its place. The order in which names and
    /// bytes reach the disk is nobody's promise.
    pub fn after_power_cut(&self, cut: PowerCut, pick: &mut dyn FnMut(usize) -> usize) -> Disk {
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
        for content in files.values_mut() {
            let mut remains = content.remains();
            let picked = match remains.len() {
                1 => 0,
                options => pick(options),
            };
            content.settle(remains.swap_remove(picked));
        }
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

    /// Everything that a power cut may leave.
    pub fn all_after_power_cut(&self, cut: PowerCut) -> Vec<Disk> {
        let mut disks = Vec::new();
        let mut choices = Choices::default();
        loop {
            disks.push(self.after_power_cut(cut, &mut |options| choices.next(options)));
            if !choices.advance() {
                return disks;
            }
        }
    }
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
