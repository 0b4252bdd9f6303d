//! Bytes to values and back: request and answer lines, the classic body, checksums. Pure: no sockets, no files, no clock.

pub mod escape;
