//! Archives as gzip writes them (RFC 1952).

use miniz_oxide::deflate::compress_to_vec;

use crate::wire::crc32::Crc32;

/// What gzip makes of a file, at this level. The time in it is 0.
pub fn gzip(bytes: &[u8], level: u8) -> Vec<u8> {
    with_header(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], bytes, level)
}

/// The same behind this header.
pub fn with_header(header: &[u8], bytes: &[u8], level: u8) -> Vec<u8> {
    let crc = Crc32::new().update(bytes).finish();
    let len = bytes.len() as u32;
    let body = compress_to_vec(bytes, level);
    [header, &body, &crc.to_le_bytes(), &len.to_le_bytes()].concat()
}
