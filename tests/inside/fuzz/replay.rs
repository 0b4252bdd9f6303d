//! Every input that is kept, tried again: the corpus, and what a fuzzer once found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::TARGETS;

/// The corpus is for finding the way into every corner, not for its own sake.
const CORPUS_MAX_LEN: u64 = 600 * 1024;

#[test]
fn the_corpus_and_what_was_found_before() {
    for (name, target) in TARGETS {
        let (seeds, pinned) = (inputs("corpus", name), inputs("pinned", name));
        assert!(seeds.len() >= 3, "{name}: hardly any seeds");
        for input in seeds.iter().chain(&pinned) {
            let bytes = fs::read(input).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{}", input.display());
        }
    }
}

#[test]
fn the_corpus_is_small_and_has_a_folder_for_each_target() {
    let mut len = 0;
    for kind in ["corpus", "pinned"] {
        let folders = fs::read_dir(top().join(kind)).unwrap();
        let names: BTreeSet<_> = folders
            .map(|folder| folder.unwrap().file_name().into_string().unwrap())
            .collect();
        for name in &names {
            let is_known = TARGETS.iter().any(|(known, _)| known == name);
            assert!(is_known, "{kind}/{name} belongs to no target");
            let files = inputs(kind, name);
            len += files
                .iter()
                .map(|file| fs::metadata(file).unwrap().len())
                .sum::<u64>();
        }
    }
    assert!(len <= CORPUS_MAX_LEN, "{len} bytes");
}

#[test]
fn the_fuzzer_is_built_with_the_crates_of_the_product() {
    let lock = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        fs::read_to_string(path).unwrap()
    };
    let (own, fuzzer) = (lock("Cargo.lock"), lock("tests/fuzz/Cargo.lock"));
    for name in [
        "blake2",
        "chacha20poly1305",
        "curve25519-dalek",
        "heapless",
        "libc",
        "miniz_oxide",
        "mio",
    ] {
        let at = fuzzer.find(&format!("name = \"{name}\"")).unwrap();
        let entry = fuzzer[at..].lines().take(2).collect::<Vec<_>>().join("\n");
        assert!(own.contains(&entry), "another {entry}");
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The inputs of a target, none if it has no such folder.
fn inputs(kind: &str, name: &str) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(top().join(kind).join(name)) else {
        return Vec::new();
    };
    let mut inputs: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}
