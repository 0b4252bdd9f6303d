//! The payload of a SUMS frame: checksums of blocks of a file, as an `op=sums` asks for them. Pure.
//!
//! ```text
//! START END SUM...    START and END are eight bytes, each SUM four, all big-endian
//! ```
//!
//! START is what was asked for. END is where the file or the last block ended, START if the file
//! ends before it. The last block may be short; blocks behind the end are missing.

/// Checksums that were asked for, none more and none less.
#[derive(PartialEq, Eq, Debug)]
pub struct Sums {
    end: u64,
    bytes: Vec<u8>,
}

/// The error of a payload that is no answer to what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadSums;

/// Bytes of the payload before the first checksum.
const START_LEN: usize = 16;

/// Bytes of one checksum, a CRC-32.
const SUM_LEN: usize = 4;

impl Sums {
    /// The payload of a frame whose checksum was right, as the answer to a question about `count`
    /// blocks of `len` bytes from `start` on. Whatever does not fit that question to the byte is
    /// bad: another start, an end outside of the blocks, a checksum too many or too few.
    pub fn parse(mut payload: Vec<u8>, start: u64, len: u64, count: u16) -> Result<Sums, BadSums> {
        let number = |at: usize| {
            let bytes = payload.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map(|bytes| u64::from_be_bytes(*bytes)).ok_or(BadSums)
        };
        let (answered, end) = (number(0)?, number(8)?);
        // The question was checked for an overflow, the answer is not: it comes from a stranger.
        let most = len.saturating_mul(u64::from(count));
        if answered != start || !(start..=start.saturating_add(most)).contains(&end) {
            return Err(BadSums);
        }
        payload.drain(..START_LEN);
        // The last block may be short and has a checksum all the same.
        let blocks = (end - start).div_ceil(len.max(1));
        match blocks.saturating_mul(SUM_LEN as u64) == payload.len() as u64 {
            true => Ok(Sums {
                end,
                bytes: payload,
            }),
            false => Err(BadSums),
        }
    }

    /// The end of the file, or of the last block that was asked for.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The checksum of a block, the first being 0; `None` behind the end.
    pub fn get(&self, number: u64) -> Option<u32> {
        // On a processor of 32 bits a number of a block may not fit; then there is no such block
        // either.
        let at = usize::try_from(number).ok()?.checked_mul(SUM_LEN)?;
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(start: u64, end: u64, sums: &[u32]) -> Vec<u8> {
        let mut payload = [start.to_be_bytes(), end.to_be_bytes()].concat();
        for sum in sums {
            payload.extend_from_slice(&sum.to_be_bytes());
        }
        payload
    }

    #[test]
    fn an_answer_is_taken_as_far_as_the_file_goes() {
        for (end, sums) in [
            (100, &[][..]),
            (101, &[1]),
            (110, &[1]),
            (111, &[1, 2]),
            (130, &[1, 2, 3]),
        ] {
            let parsed = Sums::parse(payload(100, end, sums), 100, 10, 3).unwrap();
            assert_eq!(parsed.end(), end);
            for (number, sum) in (0..).zip(sums) {
                assert_eq!(parsed.get(number), Some(*sum));
            }
            assert_eq!(parsed.get(sums.len() as u64), None);
            assert_eq!(parsed.get(u64::MAX), None);
        }
    }

    #[test]
    fn what_was_not_asked_for_is_bad() {
        let bad = [
            payload(99, 110, &[1]),
            payload(101, 110, &[1]),
            payload(100, 99, &[]),
            payload(100, 131, &[1, 2, 3, 4]),
            payload(100, 110, &[]),
            payload(100, 110, &[1, 2]),
            payload(100, 100, &[1]),
            payload(100, u64::MAX, &[1]),
        ];
        for payload in bad {
            assert_eq!(Sums::parse(payload, 100, 10, 3), Err(BadSums));
        }
    }

    #[test]
    fn an_answer_cut_anywhere_is_bad() {
        let whole = payload(0, 25, &[1, 2, 3]);
        for len in 0..whole.len() {
            assert_eq!(Sums::parse(whole[..len].to_vec(), 0, 10, 3), Err(BadSums));
        }
        assert!(Sums::parse(whole, 0, 10, 3).is_ok());
    }

    #[test]
    fn questions_at_the_end_of_all_numbers_do_not_overflow() {
        let start = u64::MAX - 5;
        assert!(Sums::parse(payload(start, u64::MAX, &[1]), start, u64::MAX, 1024).is_ok());
        assert_eq!(
            Sums::parse(payload(0, 0, &[]), 0, 0, 0).map(|sums| sums.end()),
            Ok(0)
        );
    }
}
