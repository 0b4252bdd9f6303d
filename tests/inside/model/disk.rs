//! What is on a disk and what the processes see of it: files, names, and the changes that are not
//! durable yet.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::content::Content;
use crate::ids::{FileId, Inode};
use crate::store::{Kind, Stat};

/// The whole file system as a value: cheap to clone, and comparable by its
/// [`fingerprint`](Disk::fingerprint).
///
/// It knows nothing of processes: who has a file open, or locked, is the [`Model`](super::Model)'s
/// to know.
#[derive(Clone, Debug)]
pub struct Disk {
    pub(super) files: Rc<BTreeMap<Key, Content>>,
    /// The names that the processes see.
    pub(super) names: Rc<Names>,
    /// The names that a power cut leaves.
    pub(super) durable: Rc<Names>,
    /// What was done to names since they were made durable, oldest first.
    pub(super) journal: Rc<Vec<Change>>,
    pub(super) boot: u32,
    last_key: u64,
    last_inode: u64,
    reuses_inodes: bool,
    /// Which device a directory is on; 1 if it is not in here.
    devices: Rc<BTreeMap<Rc<Path>, u64>>,
}

pub(super) type Names = BTreeMap<Rc<Path>, Node>;

/// Tells files apart, those of the same inode number too: one that is deleted but still open, and
/// its successor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key(u64);

/// What a name leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    File(Key),
    Other(Kind),
}

/// One atomic change of names: `path` now leads to `node`, and `gone` to nothing.
#[derive(Clone, Debug)]
pub(super) struct Change {
    path: Rc<Path>,
    node: Option<Node>,
    gone: Option<Rc<Path>>,
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk {
            files: Rc::default(),
            names: Rc::default(),
            durable: Rc::default(),
            journal: Rc::default(),
            boot: 0,
            last_key: 0,
            last_inode: 100,
            reuses_inodes: false,
            devices: Rc::default(),
        }
    }

    /// Lets a freed inode number be given out again at once, as ext4 does.
    pub(super) fn reuse_inodes(&mut self) {
        self.reuses_inodes = true;
    }

    /// Puts a directory on a device of its own.
    pub(super) fn mount(&mut self, dir: &Path, device: u64) {
        Rc::make_mut(&mut self.devices).insert(dir.into(), device);
    }

    /// What a read of the whole file gives.
    pub fn read(&self, path: &str) -> Option<&[u8]> {
        let (_, content) = self.file_at(Path::new(path))?;
        Some(content.bytes())
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.names.keys().map(|path| &**path)
    }

    /// How often the power was cut.
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// The same number for disks that nobody can tell apart, now or after a power cut; another one,
    /// in all likelihood, for others.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = super::mix::Mix::default();
        let mut seen = Vec::new();
        for names in [&self.names, &self.durable] {
            names.len().hash(&mut hasher);
            for (path, node) in names.iter() {
                path.as_os_str().hash(&mut hasher);
                self.hash_node(Some(*node), &mut seen, &mut hasher);
            }
        }
        for change in self.journal.iter() {
            change.path.as_os_str().hash(&mut hasher);
            let gone = change.gone.as_deref().map(Path::as_os_str);
            gone.hash(&mut hasher);
            self.hash_node(change.node, &mut seen, &mut hasher);
        }
        self.boot.hash(&mut hasher);
        hasher.finish()
    }

    /// Files are numbered as they are met, so that what they are called in here makes no
    /// difference.
    fn hash_node(&self, node: Option<Node>, seen: &mut Vec<Key>, hasher: &mut impl Hasher) {
        let key = match node {
            None => return 0_u8.hash(hasher),
            Some(Node::Other(kind)) => return (1_u8, kind as u8).hash(hasher),
            Some(Node::File(key)) => key,
        };
        if let Some(number) = seen.iter().position(|known| *known == key) {
            return (2_u8, number).hash(hasher);
        }
        seen.push(key);
        if let Some(content) = self.files.get(&key) {
            3_u8.hash(hasher);
            content.hash(hasher);
        }
    }

    // Names.

    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        self.names.get(path).copied()
    }

    pub(super) fn file_at(&self, path: &Path) -> Option<(Key, &Content)> {
        match self.node(path)? {
            Node::File(key) => Some((key, self.files.get(&key)?)),
            Node::Other(_) => None,
        }
    }

    pub(super) fn stat(&self, path: &Path) -> io::Result<Stat> {
        match self.node(path).ok_or(io::ErrorKind::NotFound)? {
            Node::File(key) => self.stat_file(key),
            Node::Other(kind) => Ok(Stat {
                id: FileId {
                    device: self.device_of(path),
                    inode: Inode(1),
                },
                size: 0,
                mtime_ns: 0,
                links: 1,
                kind,
            }),
        }
    }

    pub(super) fn stat_file(&self, key: Key) -> io::Result<Stat> {
        let content = self.files.get(&key).ok_or(io::ErrorKind::NotFound)?;
        Ok(Stat {
            id: FileId {
                device: content.device,
                inode: Inode(content.inode),
            },
            size: content.bytes().len() as u64,
            mtime_ns: content.mtime_ns,
            links: content.links as u32,
            kind: Kind::Regular,
        })
    }

    /// Gives a new empty file a name that nothing has.
    pub(super) fn create(&mut self, path: &Path, inode: Option<u64>, now_ns: u64) -> Key {
        let inode = inode.unwrap_or_else(|| self.next_inode());
        self.last_key += 1;
        let key = Key(self.last_key);
        let content = Content::new(inode, self.device_of(path), now_ns);
        Rc::make_mut(&mut self.files).insert(key, content);
        self.change(Change {
            path: path.into(),
            node: Some(Node::File(key)),
            gone: None,
        });
        key
    }

    /// Puts something that is no regular file at a path.
    pub(super) fn put(&mut self, path: &Path, kind: Kind) {
        self.change(Change {
            path: path.into(),
            node: Some(Node::Other(kind)),
            gone: None,
        });
    }

    /// Renames over whatever has the new name, which is returned.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<Option<Key>> {
        let node = self.node(from).ok_or(io::ErrorKind::NotFound)?;
        if self.device_of(from) != self.device_of(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        if self.node(to) == Some(node) {
            return Ok(None);
        }
        let replaced = self.node(to).and_then(|node| self.lose_link(node));
        self.change(Change {
            path: to.into(),
            node: Some(node),
            gone: Some(from.into()),
        });
        Ok(replaced)
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from).ok_or(io::ErrorKind::NotFound)?;
        if self.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if let Node::File(key) = node
            && let Some(content) = self.file_mut(key)
        {
            content.links += 1;
        }
        self.change(Change {
            path: to.into(),
            node: Some(node),
            gone: None,
        });
        Ok(())
    }

    /// Takes a name away. Returns the file that it led to.
    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<Option<Key>> {
        let node = self.node(path).ok_or(io::ErrorKind::NotFound)?;
        let key = self.lose_link(node);
        self.change(Change {
            path: path.into(),
            node: None,
            gone: None,
        });
        Ok(key)
    }

    fn lose_link(&mut self, node: Node) -> Option<Key> {
        let Node::File(key) = node else {
            return None;
        };
        self.file_mut(key)?.links -= 1;
        Some(key)
    }

    fn change(&mut self, change: Change) {
        change.apply(Rc::make_mut(&mut self.names));
        Rc::make_mut(&mut self.journal).push(change);
    }

    // Bytes.

    pub(super) fn file(&self, key: Key) -> Option<&Content> {
        self.files.get(&key)
    }

    /// The inode numbers that are in use.
    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.files.values().map(|content| content.inode)
    }

    pub(super) fn file_mut(&mut self, key: Key) -> Option<&mut Content> {
        Rc::make_mut(&mut self.files).get_mut(&key)
    }

    /// The file with this inode number that has a name, or else any.
    pub(super) fn key_of_inode(&self, inode: u64) -> Option<Key> {
        let same = |(_, content): &(&Key, &Content)| content.inode == inode;
        let found = self.files.iter().filter(same);
        found
            .max_by_key(|(_, content)| (content.links > 0, !content.is_gone()))
            .map(|(key, _)| *key)
    }

    // Durability.

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        let journal = Rc::make_mut(&mut self.journal);
        let durable = Rc::make_mut(&mut self.durable);
        journal.retain(|change| {
            let is_here = change.is_in(dir);
            if is_here {
                change.apply(durable);
            }
            !is_here
        });
        self.forget_nameless();
    }

    pub(super) fn sync_everything(&mut self) {
        let files = Rc::make_mut(&mut self.files);
        files.values_mut().for_each(Content::sync);
        self.durable = self.names.clone();
        self.journal = Rc::default();
        self.forget_nameless();
    }

    /// Makes everything durable on the device that holds a directory.
    pub(super) fn sync_device(&mut self, dir: &Path) {
        let device = self.device_at(dir);
        for content in Rc::make_mut(&mut self.files).values_mut() {
            if content.device == device {
                content.sync();
            }
        }
        let journal = std::mem::take(Rc::make_mut(&mut self.journal));
        let (here, elsewhere): (Vec<Change>, Vec<Change>) = journal
            .into_iter()
            .partition(|change| self.device_of(&change.path) == device);
        let durable = Rc::make_mut(&mut self.durable);
        here.iter().for_each(|change| change.apply(durable));
        self.journal = Rc::new(elsewhere);
        self.forget_nameless();
    }

    pub(super) fn spoil_device(&mut self, dir: &Path) {
        let device = self.device_at(dir);
        let files = Rc::make_mut(&mut self.files).values_mut();
        files
            .filter(|content| content.device == device)
            .for_each(Content::spoil);
    }

    // Files that nobody will see again.

    /// Forgets a file that has no name, cannot get one back by a power cut, and is not open.
    pub(super) fn forget(&mut self, key: Key) {
        if self.files.get(&key).is_some_and(Content::is_gone) && !self.is_remembered(key) {
            Rc::make_mut(&mut self.files).remove(&key);
        }
    }

    /// Whether a power cut could bring the file back.
    fn is_remembered(&self, key: Key) -> bool {
        let node = Node::File(key);
        let mut changes = self.journal.iter();
        self.durable.values().any(|known| *known == node)
            || changes.any(|change| change.node == Some(node))
    }

    fn forget_nameless(&mut self) {
        let files = self.files.iter();
        let nameless = files.filter(|(_, content)| content.links == 0);
        for key in nameless.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.forget(key);
        }
    }

    fn next_inode(&mut self) -> u64 {
        let taken = |inode: &u64| self.files.values().any(|content| content.inode == *inode);
        if self.reuses_inodes {
            return (1..).find(|inode| !taken(inode)).unwrap_or(0);
        }
        self.last_inode += 1;
        self.last_inode
    }

    fn device_of(&self, path: &Path) -> u64 {
        path.parent().map_or(1, |dir| self.device_at(dir))
    }

    pub(super) fn device_at(&self, dir: &Path) -> u64 {
        self.devices.get(dir).copied().unwrap_or(1)
    }
}

impl Change {
    pub(super) fn apply(&self, names: &mut Names) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        match self.node {
            Some(node) => drop(names.insert(self.path.clone(), node)),
            None => drop(names.remove(&self.path)),
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        let gone = self.gone.as_deref();
        self.path.parent() == Some(dir) || gone.is_some_and(|gone| gone.parent() == Some(dir))
    }
}
