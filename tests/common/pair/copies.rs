//! What the collector has made of one log.

use std::fs;
use std::path::{Path, PathBuf};

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
        fs::metadata(&self.live).map_or(0, |metadata| metadata.len())
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
            let expected = expected.as_ref();
            let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
            if size != expected.len() as u64 {
                let (path, wanted) = (path.display(), expected.len());
                return Err(format!(
                    "{path} has {size} bytes instead of {wanted}: {}",
                    self.summary()
                ));
            }
            let held = fs::read(path).unwrap_or_default();
            if held != expected {
                let at = held
                    .iter()
                    .zip(expected)
                    .take_while(|(a, b)| a == b)
                    .count();
                return Err(format!("{} differs at {at}", path.display()));
            }
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
            let bytes = fs::read(&path).unwrap_or_default();
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            text += &format!("\n  {}: {} bytes, {start:?}", path.display(), bytes.len());
        }
        text
    }
}
