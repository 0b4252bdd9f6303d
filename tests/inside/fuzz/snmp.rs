//! What an SNMP agent says to the helper, over status files of any content.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::script::Script;
use crate::limits::SNMP_REPLY_MAX_LEN;
use crate::snmp::dialogue::Dialogue;
use crate::snmp::instance::Forms;
use crate::snmp::oid::Oid;
use crate::snmp::status::{Status, StatusDir};
use crate::time::Wall;

const NOW: Wall = Wall::from_ms(1_000_000);

/// A conversation: at once, and in pieces of the size that the script says; it is the same.
pub fn dialogue(input: &[u8]) {
    let mut script = Script::new(input);
    let mut files = Files::new(&mut script);
    let size = usize::from(script.byte()).max(1);
    let said = script.rest();
    let whole = talk(said, said.len().max(1), SNMP_REPLY_MAX_LEN, &mut files);
    let pieces = talk(said, size, 1 + size % 7, &mut files);
    assert_eq!(whole, pieces);
    for line in whole.split(|byte| *byte == b'\n') {
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
    }
}

/// What is answered to a conversation that comes in pieces of this size and is read by so many
/// bytes.
fn talk(said: &[u8], size: usize, taken_at_once: usize, files: &mut Files) -> Vec<u8> {
    let base = Oid::parse(b".1.3.6.1.4.99").unwrap();
    let mut dialogue = Dialogue::new(base, 120_000, Forms::Both);
    let mut answers = Vec::new();
    for piece in said.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = dialogue.handle_input(rest, NOW, files);
            assert!(taken > 0, "nothing is pending, so something is taken");
            rest = &rest[taken..];
            assert!(dialogue.output().len() <= SNMP_REPLY_MAX_LEN);
            while !dialogue.output().is_empty() {
                assert_eq!(dialogue.handle_input(b"PING\n", NOW, files), 0);
                let some = dialogue.output().len().min(taken_at_once);
                answers.extend_from_slice(&dialogue.output()[..some]);
                dialogue.consume_output(some);
            }
        }
    }
    answers
}

/// A directory of status files: address, text, age in milliseconds.
struct Files(Vec<(IpAddr, Vec<u8>, u64)>);

impl Files {
    fn new(script: &mut Script<'_>) -> Files {
        let count = script.byte() % 4;
        Files((0..count).map(|_| Files::file(script)).collect())
    }

    fn file(script: &mut Script<'_>) -> (IpAddr, Vec<u8>, u64) {
        let address = match script.flag() {
            true => IpAddr::V4(Ipv4Addr::new(10, 0, 0, script.byte())),
            false => IpAddr::V6(Ipv6Addr::from_bits(u128::from(script.number()))),
        };
        (address, script.content(), script.number())
    }
}

impl StatusDir for Files {
    fn read(&mut self, address: IpAddr, buf: &mut [u8]) -> Status {
        let Some((_, text, age_ms)) = self.0.iter().find(|file| file.0 == address) else {
            return Status::Missing;
        };
        let len = text.len().min(buf.len());
        buf[..len].copy_from_slice(&text[..len]);
        let written = Wall::from_ms(NOW.ms().saturating_sub(*age_ms));
        Status::File { len, written }
    }

    fn list(&mut self, each: &mut dyn FnMut(IpAddr)) {
        self.0.iter().for_each(|file| each(file.0));
    }
}
