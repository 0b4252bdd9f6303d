//! Pointer files that a test has changed while no collector runs.

use std::fs;
use std::path::Path;

use fetchlogs::collect::copy::pointer::{Pointer, Token};

/// Lets a pointer say that the copy was last followed in an earlier boot of the box.
pub fn pretend_another_boot(path: &Path) {
    let mut pointer = Pointer::parse(&fs::read(path).unwrap()).unwrap();
    pointer.token = Token::new(b"boot");
    fs::write(path, pointer.write().as_bytes()).unwrap();
}
