//! The receiver of frames from a stream that comes in any pieces, without room for a whole one.
//!
//! The bytes of a DATA frame are handed on as they come; whether its checksum was right is known
//! only at its end, so the caller must be able to take them back. Every other frame is small and is
//! handed on whole.

use super::crc32::Crc32;
use super::frame::log::LOG_MAX;
use super::frame::{
    self, BadFrame, DATA_OFFSET_LEN, Frame, HEADER_LEN, Header, SMALL_MAX, SUMS_MAX, kind,
};

/// The reading end of a frame stream.
#[derive(Debug, Default)]
pub struct Receiver {
    state: State,
    /// The number of bytes taken; no further than its type goes.
    taken: u32,
    /// How many pieces that made, round and round.
    pieces: u32,
}

/// Where in a frame the stream stands. A payload that is collected has room of its own, so that a
/// receiver that waits for the next frame is small.
#[derive(Debug)]
enum State {
    /// In the header, of which these bytes have come.
    Header(heapless::Vec<u8, HEADER_LEN>),
    /// In the offset that begins a DATA frame.
    Offset {
        open: Open,
        bytes: heapless::Vec<u8, DATA_OFFSET_LEN>,
    },
    /// In the file bytes of a DATA frame.
    Data(Open),
    /// In a payload that is collected.
    Payload { open: Open, bytes: Vec<u8> },
    /// In block checksums.
    Sums { open: Open, bytes: Vec<u8> },
    /// In a payload that nobody knows and nobody needs.
    Skip(Open),
}

/// A frame whose end has not come.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind: u8,
    left: u16,
    expected: u32,
    crc: Crc32,
}

/// The meaning of the next bytes of the stream.
#[derive(PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Nothing complete yet.
    Nothing,
    /// A DATA frame begins: its bytes belong at this offset.
    DataStart(u64),
    /// Bytes of the open DATA frame, in order.
    Data(&'a [u8]),
    /// The open DATA frame is complete and was sound.
    DataEnd,
    /// A whole small frame is ready: see [`Receiver::small`].
    Small,
    /// Block checksums are ready: see [`Receiver::sums`].
    Sums,
    /// The stream makes no sense from here on. What came of an open DATA frame must be taken back.
    Bad(BadFrame),
}

impl Default for State {
    fn default() -> State {
        State::Header(heapless::Vec::new())
    }
}

impl Receiver {
    /// A receiver at the start of a frame.
    pub fn new() -> Receiver {
        Receiver::default()
    }

    /// Takes bytes from the front of `input` and tells how many and what they were. Call it again
    /// with the rest until none is left and it takes none: the end of a DATA frame takes no byte,
    /// and is told even then. `Nothing` with none left means that more of the same is needed.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Piece<'a>) {
        let (taken, piece) = self.step(input);
        self.taken = self.taken.saturating_add(taken as u32);
        self.pieces = self.pieces.wrapping_add(1);
        (taken, piece)
    }

    /// The number of pieces handed on so far; it begins again after the largest one. Each is work,
    /// however few bytes it has.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// The number of bytes taken so far; beyond what its type can say, the largest number.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// Whether a frame has begun whose length the client can choose, DATA or SUMS, and not ended.
    pub fn is_within_long(&self) -> bool {
        matches!(
            self.state,
            State::Offset { .. } | State::Data(_) | State::Sums { .. }
        )
    }

    /// Whether everything that came was whole frames.
    pub fn is_between(&self) -> bool {
        matches!(&self.state, State::Header(bytes) if bytes.is_empty())
    }

    fn step<'a>(&mut self, input: &'a [u8]) -> (usize, Piece<'a>) {
        match &mut self.state {
            // A header that is cut anywhere waits here for its rest.
            State::Header(bytes) => {
                let taken = fill(bytes, input, HEADER_LEN);
                let Ok(header) = <&[u8; HEADER_LEN]>::try_from(bytes.as_slice()) else {
                    return (taken, Piece::Nothing);
                };
                let header = Header::parse(header);
                (taken, self.open(header))
            }
            State::Offset { open, bytes } => {
                let taken = fill(bytes, input, DATA_OFFSET_LEN);
                // The caller must know where the bytes belong before it appends the first of them.
                let Ok(offset) = <[u8; DATA_OFFSET_LEN]>::try_from(bytes.as_slice()) else {
                    return (taken, Piece::Nothing);
                };
                open.take(&offset);
                self.state = State::Data(*open);
                (taken, Piece::DataStart(u64::from_be_bytes(offset)))
            }
            // Takes no byte: the end is told by itself, after the last bytes were handed on.
            State::Data(open) if open.left == 0 => {
                let piece = open.close().map_or_else(Piece::Bad, |()| Piece::DataEnd);
                self.state = State::default();
                (0, piece)
            }
            State::Data(open) => {
                // As they come, without a copy: a frame may be 64 KiB, and a collector has
                // thousands of receivers.
                let data = open.part_of(input);
                open.take(data);
                (
                    data.len(),
                    if data.is_empty() {
                        Piece::Nothing
                    } else {
                        Piece::Data(data)
                    },
                )
            }
            State::Payload { open, bytes } => {
                let part = open.part_of(input);
                open.take(part);
                bytes.extend_from_slice(part);
                // The state stays, since the payload is borrowed from it: `small` takes it.
                (part.len(), open.ready(Piece::Small))
            }
            State::Sums { open, bytes } => {
                let part = open.part_of(input);
                open.take(part);
                bytes.extend_from_slice(part);
                (part.len(), open.ready(Piece::Sums))
            }
            State::Skip(open) => {
                let part = open.part_of(input);
                open.take(part);
                let len = part.len();
                if open.left > 0 {
                    return (len, Piece::Nothing);
                }
                // Also the checksum of a frame that nobody reads must be right: else the length in
                // its header may be the damage, and the next header would be read from the middle
                // of something.
                let result = open.close();
                self.state = State::default();
                (len, result.map_or_else(Piece::Bad, |()| Piece::Nothing))
            }
        }
    }

    /// The frame announced by [`Piece::Small`]; taken once, then the next frame begins.
    pub fn small<R>(&mut self, use_it: impl FnOnce(Frame<'_>) -> R) -> Result<R, BadFrame> {
        match std::mem::take(&mut self.state) {
            State::Payload { open, bytes } if open.left == 0 => {
                match Frame::parse(open.kind, &bytes) {
                    Some(frame) => frame.map(use_it),
                    None => Err(BadFrame::Unknown(open.kind)),
                }
            }
            _ => Err(BadFrame::Length),
        }
    }

    /// The payload announced by [`Piece::Sums`]; taken once, then the next frame begins.
    pub fn sums(&mut self) -> Vec<u8> {
        match std::mem::take(&mut self.state) {
            State::Sums { open, bytes } if open.left == 0 => bytes,
            _ => Vec::new(),
        }
    }

    /// A header is complete: decides what to do with its payload.
    fn open<'a>(&mut self, header: Header) -> Piece<'a> {
        let open = Open {
            kind: header.kind,
            left: header.len,
            expected: header.crc,
            crc: Header::start_crc(header.kind, header.flags, header.len),
        };
        let len = usize::from(header.len);
        let state = match header.kind {
            // The length is not covered by any checksum yet. So it is held to what the kind allows
            // before a byte is waited for: a damaged one would make the receiver wait for a payload
            // that never ends.
            kind::DATA if len < DATA_OFFSET_LEN => Err(BadFrame::Length),
            kind::DATA => Ok(State::Offset {
                open,
                bytes: heapless::Vec::new(),
            }),
            kind::SUMS if len > 16 + 4 * SUMS_MAX || len == 0 => Err(BadFrame::Length),
            kind::SUMS => Ok(State::Sums {
                open,
                // Grows with what really comes and not by what a header has promised.
                bytes: Vec::new(),
            }),
            // No kind has an empty payload. The state that follows could not end with one: it takes
            // bytes to notice that all are there.
            kind::ALIVE..=kind::ERROR | kind::FILE..=kind::LOG
                if len > longest(header.kind) || len == 0 =>
            {
                Err(BadFrame::Length)
            }
            kind::ALIVE..=kind::ERROR | kind::FILE..=kind::LOG => Ok(State::Payload {
                open,
                bytes: Vec::with_capacity(len),
            }),
            // PROTOCOL.md, "Frames": how a later server may add a kind that this client can do
            // without.
            _ if header.flags & frame::OPTIONAL != 0 => Ok(State::Skip(open)),
            unknown => Err(BadFrame::Unknown(unknown)),
        };
        match state {
            Ok(state) => {
                self.state = state;
                Piece::Nothing
            }
            Err(bad) => Piece::Bad(bad),
        }
    }
}

/// The longest payload of a frame that is collected.
fn longest(kind: u8) -> usize {
    match kind {
        kind::LOG => LOG_MAX,
        _ => SMALL_MAX,
    }
}

impl Open {
    /// As much of `input` as belongs to this frame.
    fn part_of<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        input.get(..usize::from(self.left)).unwrap_or(input)
    }

    fn take(&mut self, part: &[u8]) {
        self.crc.update(part);
        // `part` is never longer than `left`, which is what makes the cast and the subtraction
        // exact.
        self.left = self.left.saturating_sub(part.len() as u16);
    }

    fn close(&self) -> Result<(), BadFrame> {
        if self.crc.finish() == self.expected {
            Ok(())
        } else {
            Err(BadFrame::Checksum)
        }
    }

    /// `whole` if everything has come and is sound.
    fn ready<'a>(&self, whole: Piece<'a>) -> Piece<'a> {
        if self.left > 0 {
            return Piece::Nothing;
        }
        self.close().map_or_else(Piece::Bad, |()| whole)
    }
}

/// Moves bytes from the front of `input` until `bytes` has `len`, and tells how many.
fn fill<const N: usize>(bytes: &mut heapless::Vec<u8, N>, input: &[u8], len: usize) -> usize {
    let wanted = (len - bytes.len()).min(input.len());
    let _ = bytes.extend_from_slice(&input[..wanted]);
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Inode;
    use crate::wire::frame::note::{LeftOut, Note};
    use crate::wire::frame::{End, ErrorCode, Next, Reason, seal};
    use crate::wire::token::Token;

    fn data(offset: u64, bytes: &[u8]) -> Vec<u8> {
        let mut frame = [&[0; HEADER_LEN][..], &offset.to_be_bytes(), bytes].concat();
        seal(kind::DATA, &mut frame);
        frame
    }

    /// The pieces of a whole stream, one word each; data joined.
    fn read(stream: &[u8], cuts: &[usize]) -> Vec<String> {
        // Where a test cuts the stream, a socket could have as well.
        let mut receiver = Receiver::new();
        let mut said: Vec<String> = Vec::new();
        let mut from = 0;
        for &to in cuts.iter().chain([&stream.len()]) {
            let mut input = &stream[from..to];
            from = to;
            loop {
                let (taken, piece) = receiver.next(input);
                let idle = taken == 0 && piece == Piece::Nothing;
                match piece {
                    Piece::Nothing => {}
                    Piece::DataStart(offset) => said.push(format!("{offset}:")),
                    Piece::Data(bytes) => {
                        let text = said.last_mut().unwrap();
                        text.push_str(&String::from_utf8_lossy(bytes));
                    }
                    Piece::DataEnd => said.push("sound".into()),
                    Piece::Small => {
                        said.push(receiver.small(|frame| format!("{frame:?}")).unwrap())
                    }
                    Piece::Sums => said.push(format!("{} sums", receiver.sums().len())),
                    Piece::Bad(bad) => {
                        said.push(bad.to_string());
                        return said;
                    }
                }
                if idle {
                    break;
                }
                input = &input[taken..];
            }
        }
        said
    }

    fn sample() -> Vec<u8> {
        let mut optional = vec![0; HEADER_LEN];
        optional.extend(b"from the future");
        let len = optional.len() as u16 - 8;
        let mut crc = Header::start_crc(200, frame::OPTIONAL, len);
        let crc = crc.update(&optional[8..]).finish().to_be_bytes();
        optional[..8].copy_from_slice(&[
            200,
            frame::OPTIONAL,
            0,
            len as u8,
            crc[0],
            crc[1],
            crc[2],
            crc[3],
        ]);
        [
            data(5, b"hello"),
            Frame::Alive { size: 10 }.to_bytes().to_vec(),
            optional,
            Frame::Note(Note {
                why: LeftOut::Compressed,
                is_missing: true,
                size: 3,
                name: b"messages.1.gz",
            })
            .to_bytes()
            .to_vec(),
            data(10, b""),
            Frame::End(End {
                size: 10,
                reason: Reason::Rotated,
                md5: None,
            })
            .to_bytes()
            .to_vec(),
            Frame::Next(Next {
                inode: Inode(3),
                mtime_ns: 4,
                after_loss: false,
            })
            .to_bytes()
            .to_vec(),
            Frame::Error {
                code: ErrorCode::Busy,
                text: b"later",
            }
            .to_bytes()
            .to_vec(),
            Frame::File {
                role: frame::Role::Begins,
                token: Token::parse(b"8:3/1").unwrap(),
            }
            .to_bytes()
            .to_vec(),
        ]
        .concat()
    }

    #[test]
    fn a_stream_means_the_same_however_it_is_cut() {
        let stream = sample();
        let whole = read(&stream, &[]);
        assert_eq!(whole[..2], ["5:hello", "sound"]);
        assert_eq!(whole.len(), 10);
        for cut in 0..stream.len() {
            assert_eq!(read(&stream, &[cut]), whole, "cut at {cut}");
        }
        let bytewise: Vec<usize> = (0..stream.len()).collect();
        assert_eq!(read(&stream, &bytewise), whole);
    }

    #[test]
    fn it_knows_where_in_a_frame_it_stands_and_how_much_came() {
        let alive = Frame::Alive { size: 10 }.to_bytes();
        let sums = {
            let mut frame = vec![0; HEADER_LEN + 20];
            seal(kind::SUMS, &mut frame);
            frame
        };
        for (frame, is_long) in [
            (data(5, b"hello"), true),
            (alive.to_vec(), false),
            (sums, true),
        ] {
            for cut in 0..=frame.len() {
                let mut receiver = Receiver::new();
                let mut input = &frame[..cut];
                loop {
                    let (taken, piece) = receiver.next(input);
                    match piece {
                        Piece::Small => receiver.small(|_| ()).unwrap(),
                        Piece::Sums => drop(receiver.sums()),
                        Piece::Nothing if taken == 0 => break,
                        _ => {}
                    }
                    input = &input[taken..];
                }
                assert_eq!(receiver.taken() as usize, cut);
                let is_whole = cut == 0 || cut == frame.len();
                assert_eq!(receiver.is_between(), is_whole, "{cut}");
                let is_within = (HEADER_LEN..frame.len()).contains(&cut);
                assert_eq!(receiver.is_within_long(), is_long && is_within, "{cut}");
            }
        }
    }

    #[test]
    fn damage_is_noticed_before_the_frame_is_believed() {
        let mut stream = data(5, b"hello");
        stream[HEADER_LEN + 9] ^= 1;
        assert_eq!(read(&stream, &[])[1], BadFrame::Checksum.to_string());
    }

    #[test]
    fn unknown_kinds_and_wrong_lengths_end_the_stream_at_once() {
        for header in [
            [99, 0, 0, 1],
            [kind::DATA, 0, 0, 7],
            [kind::END, 0, 255, 255],
            [kind::ALIVE, 0, 0, 0],
            [kind::FILE, frame::OPTIONAL, 0, 0],
            [kind::FILE, frame::OPTIONAL, 2, 0],
            [kind::NOTE, frame::OPTIONAL, 1, 1],
        ] {
            let stream = [&header[..], &[0; 4]].concat();
            assert_eq!(read(&stream, &[]).len(), 1);
        }
    }

    #[test]
    fn random_bytes_never_panic_and_never_hang() {
        arbtest::arbtest(|u| {
            let mut stream = sample();
            for _ in 0..u.int_in_range(0..=5)? {
                let at = u.choose_index(stream.len())?;
                stream[at] = u.arbitrary()?;
            }
            let cut = u.choose_index(stream.len())?;
            let mut receiver = Receiver::new();
            for part in [&stream[..cut], &stream[cut..]] {
                let mut input = part;
                // More turns than there are bytes: whoever needs them all is in a circle.
                for _ in 0..10_000 {
                    let (taken, piece) = receiver.next(input);
                    match piece {
                        Piece::Bad(_) => return Ok(()),
                        Piece::Small => drop(receiver.small(|_| ())),
                        Piece::Sums => drop(receiver.sums()),
                        Piece::Nothing if taken == 0 => break,
                        _ => {}
                    }
                    input = &input[taken..];
                }
            }
            Ok(())
        })
        .budget_ms(200);
    }
}
