//! What gzip has compressed (RFC 1952), inflated in any pieces into constant memory. Pure.
//!
//! An archive is one member or several, one right behind the other. Each ends with the CRC-32 and
//! the size of what was compressed, and counts only if both are right.

use std::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::limits::{INFLATED_MAX, INFLATED_RATIO_MAX, INFLATED_UNSUSPECTED};
use crate::wire::crc32::Crc32;

/// As far back as what was compressed can refer to.
const WINDOW_LEN: usize = 32 << 10;

/// An archive that is being inflated. It has some 43 KiB.
pub struct Inflater {
    core: Box<DecompressorOxide>,
    window: Box<[u8; WINDOW_LEN]>,
    /// The place in the window where the next byte goes.
    at: usize,
    part: Part,
    crc: Crc32,
    /// Bytes inflated of this member, and of all.
    len: u64,
    given: u64,
    taken: u64,
    members: u32,
}

/// The part of a member that comes next.
enum Part {
    Header(Header),
    Body,
    Trailer(heapless::Vec<u8, 8>),
}

/// Why an archive is none, or cannot be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bad {
    /// It does not begin like one of gzip.
    NotGzip,
    /// It ends too early.
    Torn,
    /// What is in it makes no sense.
    Spoilt,
    /// What was inflated has another checksum, or another size.
    Checksum,
    /// There is something behind it that is no member.
    Garbage,
    /// It becomes so much that nobody has written that.
    Bomb,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bad::NotGzip => "it is none of gzip's",
            Bad::Torn => "it ends too early",
            Bad::Spoilt => "it is spoilt",
            Bad::Checksum => "what is in it has not its checksum",
            Bad::Garbage => "there is something else behind it",
            Bad::Bomb => "it would become far too large",
        })
    }
}

impl Inflater {
    /// At the beginning of an archive.
    pub fn new() -> Inflater {
        Inflater {
            core: Box::default(),
            window: Box::new([0; WINDOW_LEN]),
            at: 0,
            part: Part::Header(Header::default()),
            crc: Crc32::new(),
            len: 0,
            given: 0,
            taken: 0,
            members: 0,
        }
    }

    /// Takes bytes from the front of `input`. Tells how many, and what they became. To be called
    /// again with the rest until it takes none and gives none.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, &[u8]), Bad> {
        let (taken, given) = match &mut self.part {
            Part::Header(header) => {
                let is_first = self.members == 0;
                let taken = header.take(input, is_first)?;
                if header.is_over() {
                    self.part = Part::Body;
                    self.core.init();
                    (self.crc, self.len) = (Crc32::new(), 0);
                }
                (taken, 0..0)
            }
            Part::Body => self.inflate(input)?,
            Part::Trailer(bytes) => {
                let wanted = (8 - bytes.len()).min(input.len());
                let _ = bytes.extend_from_slice(&input[..wanted]);
                if let [a, b, c, d, e, f, g, h] = *bytes.as_slice() {
                    let crc = u32::from_le_bytes([a, b, c, d]);
                    let len = u32::from_le_bytes([e, f, g, h]);
                    if (crc, len) != (self.crc.finish(), self.len as u32) {
                        return Err(Bad::Checksum);
                    }
                    self.members += 1;
                    self.part = Part::Header(Header::default());
                }
                (wanted, 0..0)
            }
        };
        self.taken += taken as u64;
        self.given += given.len() as u64;
        let is_far = self.given > INFLATED_UNSUSPECTED;
        if is_far && self.given / self.taken.max(1) > INFLATED_RATIO_MAX
            || self.given > INFLATED_MAX
        {
            return Err(Bad::Bomb);
        }
        Ok((taken, self.window.get(given).unwrap_or_default()))
    }

    /// The number of bytes inflated so far.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// There is no more. Fails if that is too early.
    pub fn end(&self) -> Result<(), Bad> {
        match &self.part {
            Part::Header(header) if header.taken == 0 && self.members > 0 => Ok(()),
            _ => Err(Bad::Torn),
        }
    }

    fn inflate(&mut self, input: &[u8]) -> Result<(usize, std::ops::Range<usize>), Bad> {
        let from = self.at;
        let (status, taken, given) = decompress(
            &mut self.core,
            input,
            &mut self.window[..],
            from,
            TINFL_FLAG_HAS_MORE_INPUT,
        );
        match status {
            TINFLStatus::Done => self.part = Part::Trailer(heapless::Vec::new()),
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => {}
            _ => return Err(Bad::Spoilt),
        }
        let end = from + given;
        self.at = end % WINDOW_LEN;
        self.crc
            .update(self.window.get(from..end).unwrap_or_default());
        self.len += given as u64;
        Ok((taken, from..end))
    }
}

/// The header of a member, byte by byte: ten bytes, and what its flags announce.
#[derive(Default)]
struct Header {
    /// The bytes taken so far; none of a header that has not begun.
    taken: u64,
    flags: u8,
    field: Field,
    /// Bytes left of a field that has a length.
    left: u16,
    crc: Crc32,
    crc_low: u8,
}

/// What of a header comes next, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Field {
    #[default]
    Fixed,
    ExtraLow,
    ExtraHigh,
    Extra,
    Name,
    Comment,
    CrcLow,
    CrcHigh,
    Over,
}

/// What the flags announce.
const HAS_CRC: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
/// Those that mean nothing yet have to be 0.
const RESERVED: u8 = 0xe0;

impl Header {
    fn is_over(&self) -> bool {
        self.field == Field::Over
    }

    /// Takes what belongs to it from the front of `input`.
    fn take(&mut self, input: &[u8], is_first: bool) -> Result<usize, Bad> {
        let mut taken = 0;
        for &byte in input {
            if self.is_over() {
                break;
            }
            if !self.take_byte(byte) {
                return Err(match is_first {
                    true => Bad::NotGzip,
                    false => Bad::Garbage,
                });
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// Takes one byte. Tells whether it may stand there.
    fn take_byte(&mut self, byte: u8) -> bool {
        let is_right = match self.field {
            Field::Fixed => match self.taken {
                0 => byte == 0x1f,
                1 => byte == 0x8b,
                // The one method that there is.
                2 => byte == 8,
                3 => {
                    self.flags = byte;
                    byte & RESERVED == 0
                }
                _ => true,
            },
            Field::CrcHigh => {
                let crc = u16::from_le_bytes([self.crc_low, byte]);
                crc == self.crc.finish() as u16
            }
            _ => true,
        };
        if self.field < Field::CrcLow {
            self.crc.update(&[byte]);
        }
        self.taken += 1;
        self.field = self.after(byte);
        is_right
    }

    /// What comes after this byte.
    fn after(&mut self, byte: u8) -> Field {
        match self.field {
            Field::Fixed if self.taken < 10 => Field::Fixed,
            Field::Fixed => self.from(Field::ExtraLow),
            Field::ExtraLow => {
                self.left = byte.into();
                Field::ExtraHigh
            }
            Field::ExtraHigh => {
                self.left |= u16::from(byte) << 8;
                match self.left {
                    0 => self.from(Field::Name),
                    _ => Field::Extra,
                }
            }
            Field::Extra => {
                self.left -= 1;
                match self.left {
                    0 => self.from(Field::Name),
                    _ => Field::Extra,
                }
            }
            // They end with a zero.
            Field::Name if byte == 0 => self.from(Field::Comment),
            Field::Comment if byte == 0 => self.from(Field::CrcLow),
            Field::CrcLow => {
                self.crc_low = byte;
                Field::CrcHigh
            }
            Field::CrcHigh | Field::Over => Field::Over,
            same => same,
        }
    }

    /// The first field from this one on that is there.
    fn from(&self, field: Field) -> Field {
        let fields = [
            (Field::ExtraLow, HAS_EXTRA),
            (Field::Name, HAS_NAME),
            (Field::Comment, HAS_COMMENT),
            (Field::CrcLow, HAS_CRC),
        ];
        let mut fields = fields.into_iter().filter(|(at, _)| *at >= field);
        let next = fields.find(|(_, flag)| self.flags & flag != 0);
        next.map_or(Field::Over, |(field, _)| field)
    }
}

#[cfg(test)]
mod tests;
