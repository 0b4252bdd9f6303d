//! Bytes to values and back: request and answer lines, the classic body, checksums. Pure: no
//! sockets, no files, no clock.

pub mod classic;
pub mod crc32;
pub mod escape;
pub mod frame;
pub mod frame_max;
pub mod given;
pub mod glob;
pub mod line;
pub mod md5;
pub mod number;
pub mod path;
pub mod proof;
pub mod receiver;
pub mod reply;
pub mod request;
pub mod seat;
pub mod sums;
pub mod table;
pub mod token;
