//! The bytes of one file: those that a read gives, and those that a power cut leaves.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// A regular file.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub inode: u64,
    pub device: u64,
    pub mtime_ns: u64,
    pub links: u64,
    /// Processes of the outside world that have it open for writing.
    pub writers: u32,
    /// Handles of our own processes.
    pub opens: u32,
    /// What a read gives.
    bytes: Rc<Vec<u8>>,
    durable: Durable,
    /// The shortest that the file was since the last sync. Below that the disk has either the bytes
    /// that are durable or those that were written over them.
    shortest: usize,
    /// Parts that an fsync failed to write and that count as written nevertheless: the disk has
    /// there what it had, or zeros.
    holes: Vec<(usize, usize)>,
}

/// The bytes that are on the disk for certain.
#[derive(Clone, Debug)]
enum Durable {
    /// So many of those that a read gives.
    Prefix(usize),
    /// Others.
    Other(Rc<Vec<u8>>),
}

impl Content {
    /// An empty file with one name.
    pub fn new(inode: u64, device: u64, mtime_ns: u64) -> Content {
        Content {
            inode,
            device,
            mtime_ns,
            links: 1,
            writers: 0,
            opens: 0,
            bytes: Rc::default(),
            durable: Durable::Prefix(0),
            shortest: 0,
            holes: Vec::new(),
        }
    }

    /// Whether it has no name and nobody has it open.
    pub fn is_gone(&self) -> bool {
        self.links == 0 && self.opens == 0 && self.writers == 0
    }

    /// What a read gives.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn append(&mut self, bytes: &[u8]) {
        Rc::make_mut(&mut self.bytes).extend_from_slice(bytes);
    }

    /// Writes over bytes that are there. What an fsync failed to write is to be written again with
    /// that.
    pub fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.durable = Durable::Other(Rc::new(self.durable().to_vec()));
        Rc::make_mut(&mut self.bytes)[at..end].copy_from_slice(bytes);
        let around =
            |(start, stop): (usize, usize)| [(start, stop.min(at)), (start.max(end), stop)];
        self.holes = self.holes.drain(..).flat_map(around).collect();
        self.holes.retain(|(start, stop)| start < stop);
    }

    /// Makes the file shorter; what is on the disk stays there until the next sync.
    pub fn truncate(&mut self, size: usize) {
        if size >= self.bytes.len() {
            return;
        }
        if matches!(self.durable, Durable::Prefix(len) if len > size) {
            self.durable = Durable::Other(Rc::new(self.durable().to_vec()));
        }
        Rc::make_mut(&mut self.bytes).truncate(size);
        self.shortest = self.shortest.min(size);
        for hole in &mut self.holes {
            hole.1 = hole.1.min(size);
        }
        self.holes.retain(|(start, end)| start < end);
    }

    /// What is on the disk for certain.
    pub fn durable(&self) -> &[u8] {
        match &self.durable {
            Durable::Prefix(len) => self.bytes.get(..*len).unwrap_or_default(),
            Durable::Other(bytes) => bytes,
        }
    }

    pub fn sync(&mut self) {
        self.durable = match self.holes.is_empty() {
            true => Durable::Prefix(self.bytes.len()),
            false => Durable::Other(Rc::new(self.written())),
        };
        self.shortest = self.bytes.len();
    }

    /// An fsync that fails: what was to be written counts as written from now on, and is not.
    pub fn spoil(&mut self) {
        let start = common_len(self.durable(), &self.bytes);
        let end = self.bytes.len();
        if start < end {
            self.holes.push((start, end));
        }
    }

    /// Whether a power cut changes nothing.
    pub fn is_durable(&self) -> bool {
        self.holes.is_empty() && self.durable() == &self.bytes[..]
    }

    /// Everything that a power cut may leave: what is on the disk for certain, and as much of what
    /// is not as the system happened to write, byte for byte or only by its length. Where bytes
    /// were written over others, the others stand behind those that were written. The last one is
    /// what was seen.
    pub fn remains(&self) -> Vec<Vec<u8>> {
        let (durable, written) = (self.durable(), self.written());
        let (start, end) = (common_len(durable, &written), written.len());
        let mut remains = vec![durable.to_vec()];
        let mut add = |bytes: Vec<u8>| {
            if !remains.contains(&bytes) {
                remains.push(bytes);
            }
        };
        let middle = start.midpoint(end);
        for kept in [start, middle, end.saturating_sub(1).max(start)] {
            let mut bytes = written[..kept].to_vec();
            bytes.extend(durable.get(kept..self.shortest).unwrap_or_default());
            add(bytes.clone());
            bytes.resize(end, 0);
            add(bytes);
        }
        remains.retain(|bytes| *bytes != written);
        remains.push(written);
        remains
    }

    /// Only this is left, and it is on the disk.
    pub fn settle(&mut self, bytes: Vec<u8>) {
        self.bytes = Rc::new(bytes);
        self.holes.clear();
        self.sync();
    }

    /// Nobody has it open any more.
    pub fn close(&mut self) {
        self.writers = 0;
        self.opens = 0;
    }

    /// What the disk holds once everything that still can be written is written.
    fn written(&self) -> Vec<u8> {
        let mut written = self.bytes.to_vec();
        let before = self.durable().get(..self.shortest).unwrap_or_default();
        for (start, end) in &self.holes {
            for at in *start..(*end).min(written.len()) {
                written[at] = before.get(at).copied().unwrap_or(0);
            }
        }
        written
    }
}

/// What reads and power cuts can show of the file, but for its names.
impl Hash for Content {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.inode.hash(hasher);
        self.bytes.hash(hasher);
        self.holes.hash(hasher);
        match &self.durable {
            Durable::Prefix(len) => len.hash(hasher),
            Durable::Other(bytes) => (bytes, self.shortest).hash(hasher),
        }
    }
}

fn common_len(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
