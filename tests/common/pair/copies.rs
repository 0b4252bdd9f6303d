//! What the collector has made of one log.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::content::md5_of;

/// The local copies of one log.
pub struct Copies {
    live: PathBuf,
}

impl Copies {
    /// Those of the local file at this path.
    pub fn at(live: PathBuf) -> Copies {
        Copies { live }
    }

    /// Where the live copy stands.
    pub fn path(&self) -> &Path {
        &self.live
    }

    /// What is in the live copy; nothing if it is missing, as it is for a moment in a rotation.
    pub fn live(&self) -> Vec<u8> {
        fs::read(&self.live).unwrap_or_default()
    }

    /// The size of the live copy.
    pub fn live_size(&self) -> u64 {
        size_of(&self.live)
    }

    /// The rotated copies, oldest first: by their stamps, and within one second by the number behind it.
    pub fn rotated(&self) -> Vec<PathBuf> {
        let name = self.live.file_name().unwrap().to_str().unwrap();
        let mut found: Vec<(u64, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(self.live.parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.file_name().and_then(|name| name.to_str()).unwrap();
            let Some(ending) = ending.strip_prefix(name).and_then(|e| e.strip_prefix('.')) else {
                continue;
            };
            let (stamp, number) = ending.split_once('.').unwrap_or((ending, "0"));
            if let (14, Ok(stamp), Ok(number)) = (stamp.len(), stamp.parse(), number.parse()) {
                found.push((stamp, number, path));
            }
        }
        found.sort();
        found.into_iter().map(|(_, _, path)| path).collect()
    }

    /// All of them, the live one last.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self.rotated();
        paths.push(self.live.clone());
        paths
    }

    /// The files beside the live copy whose names have this in them.
    pub fn beside(&self, mark: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.live.parent().unwrap()).unwrap();
        let mut found: Vec<PathBuf> = all
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().contains(mark))
            .collect();
        found.sort();
        found
    }

    /// Compares the live copy with what it should be, and tells the first difference.
    pub fn compare_live(&self, expected: &[u8]) -> Result<(), String> {
        compare(&self.live, expected)
    }

    /// Whether every rotated copy was verified, and with the digest that it has, as far as these events tell.
    pub fn all_verified(&self, events: &str) -> Result<(), String> {
        for path in self.rotated() {
            let digest = md5_of(&fs::read(&path).unwrap());
            let verified = format!("verified md5={digest} {}\n", path.display());
            if !events.contains(&verified) {
                return Err(format!("there is no {verified}"));
            }
        }
        Ok(())
    }

    /// Compares them with generations, oldest first, the live one last, and tells the first difference.
    pub fn compare(&self, expected: &[impl AsRef<[u8]>]) -> Result<(), String> {
        let paths = self.paths();
        if paths.len() != expected.len() {
            let (ours, theirs) = (paths.len(), expected.len());
            return Err(format!(
                "{ours} copies instead of {theirs}: {}",
                self.summary()
            ));
        }
        for (path, expected) in paths.iter().zip(expected) {
            compare(path, expected.as_ref()).map_err(|why| why + ": " + &self.summary())?;
        }
        Ok(())
    }

    /// Compares all of them together with what was written.
    pub fn compare_all(&self, written: &[u8]) -> Result<(), String> {
        let read = |path: &PathBuf| fs::read(path).unwrap_or_default();
        let held: Vec<u8> = self.paths().iter().flat_map(read).collect();
        if held == written {
            return Ok(());
        }
        let (held, written) = [held, written.to_vec()]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .into();
        Err(format!(
            "there is {held:?} instead of {written:?}: {}",
            self.summary()
        ))
    }

    /// How each of them begins.
    fn summary(&self) -> String {
        let mut text = String::new();
        for path in self.paths() {
            let mut start = Vec::new();
            if let Ok(file) = File::open(&path) {
                file.take(40).read_to_end(&mut start).unwrap();
            }
            let (size, start) = (size_of(&path), String::from_utf8_lossy(&start));
            text += &format!("\n  {}: {size} bytes, {start:?}", path.display());
        }
        text
    }
}

/// Larger files are not read as long as their size is wrong.
const LARGE: usize = 1 << 20;

/// Compares what is in a file with what it should be.
fn compare(path: &Path, expected: &[u8]) -> Result<(), String> {
    let (size, wanted) = (size_of(path), expected.len());
    if wanted > LARGE && size != wanted as u64 {
        return Err(format!(
            "{} has {size} bytes instead of {wanted}",
            path.display()
        ));
    }
    let held = fs::read(path).unwrap_or_default();
    if held == expected {
        return Ok(());
    }
    let same = held.iter().zip(expected).take_while(|(a, b)| a == b);
    let at = same.count();
    let start = |bytes: &[u8]| {
        let part = &bytes[at..bytes.len().min(at + 60)];
        String::from_utf8_lossy(part).into_owned()
    };
    Err(format!(
        "{} has {} bytes instead of {}; from {at} on {:?} instead of {:?}",
        path.display(),
        held.len(),
        expected.len(),
        start(&held),
        start(expected)
    ))
}

fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
