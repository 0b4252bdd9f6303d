//! The notation of PROTOCOL.md's dialogue.

const PROTOCOL: &str = include_str!("../../src/wire/PROTOCOL.md");
const HEADING: &str = "### A dialogue";

/// The names of the kinds of frame, from number 1 on.
const KINDS: [&str; 8] = [
    "DATA", "ALIVE", "END", "NEXT", "DIGEST", "ERROR", "SUMS", "FILE",
];

/// One line of the dialogue.
pub enum Step {
    /// `$`: a command changes the log.
    Happens(String),
    /// `>`: the client sends a line.
    Asks(Line),
    /// `<`: the server sends a line.
    Answers(Line),
    /// `<` with hexadecimal digits: the server sends a frame.
    Sends(Frame),
}

/// The steps, each with its line number in PROTOCOL.md.
pub fn dialogue() -> Vec<(usize, Step)> {
    let block = (1..)
        .zip(PROTOCOL.lines())
        .skip_while(|(_, line)| *line != HEADING)
        .skip_while(|(_, line)| *line != "```")
        .skip(1)
        .take_while(|(_, line)| *line != "```");
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in block {
        match lines.last_mut().filter(|_| line.starts_with("  ")) {
            Some((_, before)) => before.push_str(line),
            None => lines.push((number, line.to_owned())),
        }
    }
    let steps: Vec<(usize, Step)> = lines
        .iter()
        .filter_map(|(number, line)| Some((*number, step(line)?)))
        .collect();
    assert!(steps.len() > 10, "PROTOCOL.md's dialogue was not found");
    steps
}

fn step(line: &str) -> Option<Step> {
    let (sign, text) = line.split_at_checked(2)?;
    Some(match sign {
        "$ " => Step::Happens(text.to_owned()),
        "> " => Step::Asks(Line(parts(text))),
        "< " => match text
            .split_once(' ')
            .and_then(|(name, hex)| Frame::parse(name, hex))
        {
            Some(frame) => Step::Sends(frame),
            None => Step::Answers(Line(parts(text))),
        },
        _ => return None,
    })
}

/// A piece of a line: as it stands, or what was in brackets.
enum Part {
    Same(String),
    Differs(String),
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for piece in text.split('[') {
        match piece.split_once(']') {
            Some((told, same)) => {
                parts.push(Part::Differs(told.to_owned()));
                parts.push(Part::Same(same.to_owned()));
            }
            None => parts.push(Part::Same(piece.to_owned())),
        }
    }
    parts
}

/// A line of text.
pub struct Line(Vec<Part>);

impl Line {
    /// The line with other values in its brackets.
    pub fn filled(&self, value: impl Fn(&str) -> String) -> String {
        let fill = |part: &Part| match part {
            Part::Same(text) => text.clone(),
            Part::Differs(told) => value(told),
        };
        self.0.iter().map(fill).collect()
    }

    /// What a real line has in place of each bracket; `None` if it differs elsewhere.
    pub fn values_in(&self, line: &str) -> Option<Vec<(String, String)>> {
        let mut values = Vec::new();
        let mut rest = line;
        for part in &self.0 {
            match part {
                Part::Same(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Differs(told) => {
                    let end = rest.find(' ').unwrap_or(rest.len());
                    let (value, behind) = rest.split_at(end);
                    let is_alike = value
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b));
                    values.push((told.clone(), value.to_owned()));
                    rest = Some(behind).filter(|_| is_alike && !value.is_empty())?;
                }
            }
        }
        rest.is_empty().then_some(values)
    }
}

/// A frame: pieces of it, each with whether it was in brackets.
pub struct Frame(Vec<(bool, Vec<u8>)>);

impl Frame {
    /// Reads the name of a kind and the bytes; `None` if no kind has that name.
    fn parse(name: &str, hex: &str) -> Option<Frame> {
        let kind = KINDS.iter().position(|kind| *kind == name)? + 1;
        let pieces = parts(hex)
            .iter()
            .map(|part| match part {
                Part::Same(hex) => (false, bytes(hex)),
                Part::Differs(hex) => (true, bytes(hex)),
            })
            .filter(|(_, bytes)| !bytes.is_empty())
            .collect();
        let frame = Frame(pieces);
        assert_eq!(usize::from(frame.kind()), kind, "{name}");
        Some(frame)
    }

    /// As it stands in PROTOCOL.md.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Its kind.
    pub fn kind(&self) -> u8 {
        self.bytes()[0]
    }

    /// The numbers of 64 bits that a real frame has in place of those in brackets; `None` if it differs elsewhere.
    /// Where the length is in brackets, so is the end of the frame, and may have any.
    pub fn values_in(&self, frame: &[u8]) -> Option<Vec<(String, String)>> {
        let has_any_length = matches!(self.0.get(1), Some((true, length)) if length.len() == 2);
        let mut values = Vec::new();
        let mut rest = frame;
        for (place, (differs, told)) in (1..).zip(&self.0) {
            if !differs {
                rest = rest.strip_prefix(told.as_slice())?;
                continue;
            }
            let is_last = place == self.0.len();
            let len = if is_last && has_any_length {
                rest.len()
            } else {
                told.len()
            };
            let (real, behind) = rest.split_at_checked(len)?;
            if let (Some(told), Some(real)) = (number(told), number(real)) {
                values.push((told, real));
            }
            rest = behind;
        }
        rest.is_empty().then_some(values)
    }
}

fn number(bytes: &[u8]) -> Option<String> {
    let bytes = <[u8; 8]>::try_from(bytes).ok()?;
    Some(u64::from_be_bytes(bytes).to_string())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "half a byte: {hex}");
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// The checksum as PROTOCOL.md describes it, bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        remainder ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = remainder & 1;
            remainder = (remainder >> 1) ^ (0xedb8_8320 * carry);
        }
    }
    !remainder
}
