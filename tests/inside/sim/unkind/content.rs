//! What the lines of a log are like: unlike each other, as in the kind worlds, or repeated in one
//! of the ways of real logs.

use crate::random::Random;

/// What a log's generations consist of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Content {
    /// Every line is unlike any other line of any generation: the kind worlds' lines.
    #[default]
    Unique,
    /// Every generation begins with the same so many bytes; unique lines follow.
    Header(usize),
    /// One message behind a time stamp in seconds: the lines of one second are the same.
    Repeated,
    /// The nth line of every generation is the same: each generation is the beginning of another,
    /// or equal to it.
    Equal,
    /// Nothing but zeros.
    Zeros,
    /// Unique lines, in a file that reaches on in zeros up to the next multiple of so many bytes;
    /// later lines take the place of the zeros.
    Preallocated(usize),
}

/// Headers below, at and above the sizes that a comparison may go by.
const HEADERS: [usize; 11] = [
    40, 63, 64, 65, 300, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097,
];

/// By how much a file is allocated ahead.
const CHUNKS: [usize; 2] = [4_096, 16_384];

/// Where in its log a line comes to stand.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The generation, as far as it is written.
    pub before: &'a [u8],
    /// The seconds of the box's clock.
    pub clock_s: u64,
    /// What the kind worlds write there, with its end of line.
    pub unique: &'a [u8],
}

impl Content {
    /// A header of one of the telling sizes.
    pub fn some_header(random: &mut Random) -> Content {
        Content::Header(HEADERS[random.below(HEADERS.len() as u64) as usize])
    }

    /// Preallocation by one of the usual sizes.
    pub fn some_preallocated(random: &mut Random) -> Content {
        Content::Preallocated(CHUNKS[random.below(CHUNKS.len() as u64) as usize])
    }

    /// One more line, appended to `text`, which is behind what is written already.
    pub fn line(self, place: Place<'_>, text: &mut Vec<u8>) {
        let written = place.before.len() + text.len();
        match self {
            Content::Unique | Content::Preallocated(_) => text.extend_from_slice(place.unique),
            Content::Header(len) => {
                if written == 0 {
                    text.extend_from_slice(&header(len));
                }
                text.extend_from_slice(place.unique);
            }
            Content::Repeated => {
                let line = format!("{} daemon: no route to host, again\n", place.clock_s);
                text.extend_from_slice(line.as_bytes());
            }
            Content::Equal => {
                let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
                let nth = lines(place.before) + lines(text);
                let line = format!("step {nth} of the run {}\n", "=".repeat(nth * 31 % 80));
                text.extend_from_slice(line.as_bytes());
            }
            Content::Zeros => text.resize(text.len() + place.unique.len(), 0),
        }
    }

    /// What a writer writes as soon as it has opened a new file.
    pub fn opening(self) -> Vec<u8> {
        match self {
            Content::Header(len) => header(len),
            _ => Vec::new(),
        }
    }

    /// The file is allocated by so many bytes at once.
    pub fn chunk(self) -> Option<usize> {
        match self {
            Content::Preallocated(chunk) => Some(chunk),
            _ => None,
        }
    }

    /// What of a file or a copy was written, as far as that can be seen: the zeros at the end of a
    /// preallocated one are not written yet.
    pub fn written(self, bytes: &[u8]) -> &[u8] {
        let zeros = match self {
            Content::Preallocated(_) => bytes.iter().rev().take_while(|byte| **byte == 0).count(),
            _ => 0,
        };
        &bytes[..bytes.len() - zeros]
    }
}

/// The same so many bytes, for every generation of every log.
fn header(len: usize) -> Vec<u8> {
    let text = (1..).flat_map(|n| format!("# field {n} of the header\n").into_bytes());
    let mut header: Vec<u8> = text.take(len).collect();
    if let Some(last) = header.last_mut() {
        *last = b'\n';
    }
    header
}

/// What a generation of so many lines looks like in a content model.
#[cfg(test)]
fn generation(content: Content, number: u64, lines: u64) -> Vec<u8> {
    let mut text = content.opening();
    for line in 0..lines {
        let unique = format!("/var/log/m0 {number} {line:07}\n");
        let place = Place {
            before: b"",
            clock_s: 1_795_354_196 + line / 3,
            unique: unique.as_bytes(),
        };
        content.line(place, &mut text);
    }
    text
}

#[test]
fn headers_are_the_same_and_what_follows_is_not() {
    for len in HEADERS {
        let (a, b) = (
            generation(Content::Header(len), 1, 3),
            generation(Content::Header(len), 2, 3),
        );
        assert_eq!(a[..len], b[..len]);
        assert_eq!(generation(Content::Header(len), 1, 0).len(), len);
        assert!(a[len..].starts_with(b"/var/log/m0 1 0000000\n"), "{len}");
        assert!(b[len..].starts_with(b"/var/log/m0 2 0000000\n"), "{len}");
    }
}

#[test]
fn equal_generations_are_beginnings_of_each_other() {
    let (short, long) = (
        generation(Content::Equal, 1, 5),
        generation(Content::Equal, 2, 9),
    );
    assert!(long.starts_with(&short) && long.len() > short.len());
    // Within one generation no line is like another.
    let lines: std::collections::BTreeSet<&[u8]> = long.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 10);
}

#[test]
fn a_repeated_message_differs_by_its_second_only() {
    let text = generation(Content::Repeated, 1, 6);
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines[0], lines[2]);
    assert_ne!(lines[2], lines[3]);
    assert_eq!(lines[2][10..], lines[3][10..]);
}

#[test]
fn zeros_are_zeros() {
    let text = generation(Content::Zeros, 1, 6);
    assert!(text.len() > 100 && text.iter().all(|byte| *byte == 0));
    assert_eq!(Content::Zeros.written(&text), text);
}

#[test]
fn what_is_preallocated_is_not_written() {
    let content = Content::Preallocated(4_096);
    assert_eq!(content.written(b"a\n\0\0\0"), b"a\n");
    assert_eq!(content.written(b"a\0b\n"), b"a\0b\n");
    assert_eq!(content.written(b"\0\0"), b"");
    assert_eq!(generation(content, 1, 2), generation(Content::Unique, 1, 2));
}
