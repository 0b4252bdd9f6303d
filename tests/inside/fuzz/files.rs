//! The collector's own files, as a crash, a disk or a person may leave them.

use std::path::Path;

use super::script::Script;
use crate::collect::config::{Config, SourceConfig};
use crate::collect::copy::given::Ledger;
use crate::collect::copy::pointer::{BootId, Pointer};
use crate::collect::copy::{LocalFiles, Paths};
use crate::inside::model::Model;
use crate::limits::POINTER_MAX_LEN;
use crate::wire::crc32::Crc32;

/// A pointer: as it is, or with the right checksum.
pub fn pointer(input: &[u8]) {
    let mut script = Script::new(input);
    let is_sealed = script.flag();
    let mut bytes = script.rest().to_vec();
    if is_sealed {
        bytes.retain(|byte| *byte != b'\n');
        let sum = Crc32::new().update(&bytes).finish();
        bytes.extend_from_slice(format!(" c={sum:08x}\n").as_bytes());
    }
    match Pointer::parse(&bytes) {
        Ok(pointer) => check_pointer(&pointer, &bytes),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_pointer(pointer: &Pointer, bytes: &[u8]) {
    let record = pointer.write();
    assert!(record.len() <= POINTER_MAX_LEN);
    if record.is_empty() {
        panic!("a pointer that cannot be written: {pointer:?}");
    }
    let mut again = Pointer::parse(record.as_bytes()).unwrap();
    if again.token.is_none() && pointer.pending.is_some() {
        // Beside a pending rotation there may be no room for it.
        again.token.clone_from(&pointer.token);
    }
    again.is_bare = pointer.is_bare;
    assert_eq!(again, *pointer);
    if let Some(place) = Pointer::place_of_doubt(bytes) {
        let mut doubted = bytes.to_vec();
        doubted[place as usize] = crate::collect::copy::pointer::DOUBT;
        let doubted = Pointer::parse(&doubted).unwrap();
        assert_eq!(doubted.boot, BootId::none_vouches());
        assert_eq!(doubted.inode, pointer.inode);
    }
}

/// The ledger of what was given, `POINTER_FILE.given`: as it is, or with the right checksum.
pub fn given(input: &[u8]) {
    let mut script = Script::new(input);
    let is_sealed = script.flag();
    let mut text = script.rest().to_vec();
    let config = config();
    if is_sealed {
        let sum = Crc32::new()
            .update(b"10.0.0.1 19 /var/log/m\n")
            .update(&text)
            .finish();
        text.extend_from_slice(format!("c={sum:08x}\n").as_bytes());
    }
    let mut disk = Model::new();
    disk.write("/p/m.given", &text);
    let ledger = Ledger::read(&config, &mut disk).unwrap();
    for entry in ledger.entries() {
        let path = entry.path(&config);
        assert_eq!(path.parent(), Some(Path::new("/l")));
        assert!(ledger.entry_of(&path, &config).is_some());
        let _ = (
            ledger.double_of(&path, &config),
            ledger.longer_before(&path, &config),
        );
    }
    ledger.write(&config, &mut disk).unwrap();
    let first = disk.read("/p/m.given");
    let again = Ledger::read(&config, &mut disk).unwrap();
    assert_eq!(again.entries().len(), ledger.entries().len());
    again.write(&config, &mut disk).unwrap();
    assert_eq!(disk.read("/p/m.given"), first);
    assert_eq!(disk.open_handles(), 0);
}

/// The list of finished copies that are still to be compared, `POINTER_FILE.unverified`.
pub fn unverified(input: &[u8]) {
    let mut script = Script::new(input);
    let suffixes: [&str; 4] = ["20261122132956", "20261122132956.1", "20261122132957", "1"];
    let config = config();
    let mut disk = Model::new();
    let there = script.byte();
    for (bit, suffix) in suffixes.iter().enumerate() {
        if there & 1 << bit != 0 {
            disk.write(&format!("/l/m.{suffix}"), b"abc");
        }
    }
    disk.write("/p/m.unverified", script.rest());
    let boot = BootId::new("first");
    let mut files = LocalFiles {
        store: &mut disk,
        paths: Paths::of(&config),
        boot: boot.as_ref(),
        stamp: "20261122132956",
        hooks: None,
    };
    let list = files.read_list().unwrap();
    assert_eq!(files.read_list().unwrap(), list);
    files.write_list(list.iter()).unwrap();
    assert_eq!(files.read_list().unwrap(), list);
    for finished in &list {
        assert!(disk.exists(&finished.path.display().to_string()));
    }
    assert_eq!(disk.exists("/p/m.unverified"), !list.is_empty());
    assert_eq!(disk.open_handles(), 0);
}

fn config() -> SourceConfig {
    let config = Config::parse(b"10.0.0.1 19 /var/log/m /l/m /p/m").unwrap();
    config.sources.into_iter().next().unwrap()
}
