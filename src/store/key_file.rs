//! Private key files: one key, as `fetchlogs genkey` prints it, for nobody else to read.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::config_file::{self, Unusable};
use crate::noise::key::{Identity, PrivateKey};
use crate::sys::{env, error_saying};

/// Reads the keys of this side.
pub fn read(path: &Path) -> Result<Identity, Unusable> {
    let read = config_file::open(path).and_then(|file| {
        refuse_open(path, &file)?;
        let text = config_file::read_whole(file, FILE_MAX_LEN)?;
        let key = PrivateKey::parse(text.trim_ascii());
        key.ok_or_else(|| refused("it is no private key, 44 characters that end in =, as `fetchlogs genkey` prints them"))
    });
    match read {
        Ok(key) => Ok(Identity::new(key)),
        Err(error) => Err(Unusable::Unreadable(path.to_path_buf(), error)),
    }
}

/// A key that others can read may be anybody's.
fn refuse_open(path: &Path, file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    // Whoever obeyed the other message would spoil what that is.
    if !metadata.is_file() {
        return Err(refused("it is no regular file"));
    }
    let mode = metadata.permissions().mode();
    // What systemd hands on by an access list looks as if it were for the group.
    let is_handed =
        env::variable(c"CREDENTIALS_DIRECTORY").is_some_and(|dir| path.starts_with(dir));
    let others = if is_handed { 0o037 } else { 0o077 };
    match mode & others {
        0 => Ok(()),
        _ => Err(refused("others may read or write it: it needs chmod 600")),
    }
}

fn refused(text: &'static str) -> io::Error {
    error_saying(ErrorKind::InvalidData, text)
}

/// A key, and blanks around it.
const FILE_MAX_LEN: usize = 1024;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_key_is_read_only_where_nobody_else_may() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = PrivateKey::new([7; 32]);
        fs::write(&path, [&key.text()[..], b"\n"].concat()).unwrap();
        for mode in 0..0o1000 {
            fs::set_permissions(&path, Permissions::from_mode(mode | 0o400)).unwrap();
            let read = read(&path);
            let is_ours = mode & 0o077 == 0;
            assert_eq!(read.is_ok(), is_ours, "mode {mode:o}");
            match read {
                Ok(own) => assert_eq!(*own.public(), key.public()),
                Err(why) => assert!(why.to_string().ends_with("it needs chmod 600")),
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for text in ["", "\n", "AAAA", &"x".repeat(2000), &"A".repeat(44)] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert!(read(&path).is_err(), "{text}");
        }
        for other in [dir.path(), "/dev/null".as_ref()] {
            let why = read(other).map(drop).unwrap_err().to_string();
            assert!(why.ends_with("it is no regular file"), "{why}");
        }
        assert!(read(&dir.path().join("none")).is_err());
    }
}
