//! Which files and logs sources have, so that no two have the same.

use std::path::Path;

use crate::collect::config::{Address, SourceConfig};

/// What is taken, in order: files, and logs.
pub struct Claims {
    files: Vec<Box<Path>>,
    logs: Vec<(Address, u16, Box<[u8]>)>,
}

/// Why a log gets no source.
pub enum Taken {
    /// It has one.
    Log,
    /// Another one has its file.
    File,
}

impl Claims {
    /// What these have taken.
    pub fn of<'a>(sources: impl Iterator<Item = &'a SourceConfig>) -> Claims {
        let mut claims = Claims {
            files: Vec::new(),
            logs: Vec::new(),
        };
        for source in sources {
            claims
                .files
                .extend([source.local.clone(), source.pointer.clone()]);
            claims.logs.push(key_of(source));
        }
        claims.files.sort_unstable();
        claims.logs.sort_unstable();
        claims
    }

    /// Whether a log of the box that `asked` asks has a source.
    pub fn has_log(&self, asked: &SourceConfig, remote: &[u8]) -> bool {
        let key = (asked.address.clone(), asked.port, remote.into());
        self.logs.binary_search(&key).is_ok()
    }

    /// Takes what a source needs, if nobody has it.
    pub fn take(&mut self, source: &SourceConfig) -> Result<(), Taken> {
        let key = key_of(source);
        let Err(at) = self.logs.binary_search(&key) else {
            return Err(Taken::Log);
        };
        let files = [&source.local, &source.pointer];
        if files
            .iter()
            .any(|file| self.files.binary_search(file).is_ok())
        {
            return Err(Taken::File);
        }
        self.logs.insert(at, key);
        for file in files {
            if let Err(at) = self.files.binary_search(file) {
                self.files.insert(at, file.clone());
            }
        }
        Ok(())
    }
}

fn key_of(source: &SourceConfig) -> (Address, u16, Box<[u8]>) {
    (source.address.clone(), source.port, source.remote.clone())
}
