//! What a source remembers of what it was given: what it tells the server, and what it makes of a
//! file that comes twice.

use super::*;
use crate::store::Kind;
use crate::wire::crc32::Crc32;
use crate::wire::frame::{End, Next, Reason, Role, SUMS_MAX};
use crate::wire::token::Token;

const GIVEN: &str = "/p/m.given";
const COPY: &str = "/l/m.20261122132956";

impl Rig {
    /// Answers with a generation that begins.
    fn begins(&mut self, inode: u64, token: &str) {
        let answer = format!("O {inode} v2 at=0 size=0 m=1 b=00000001 i={token}\n");
        self.receive(answer.as_bytes());
    }

    fn file(&mut self, role: Role, token: &str) {
        let token = Token::parse(token.as_bytes()).unwrap();
        self.receive(&Frame::File { role, token }.to_bytes());
    }

    fn data(&mut self, bytes: &[u8]) {
        let at = self.local().len() as u64;
        self.receive(&data_frame(at, bytes));
    }

    fn ends(&mut self, reason: Reason, bytes: &[u8]) {
        let end = End {
            size: bytes.len() as u64,
            reason,
            md5: md5_of(bytes),
        };
        self.receive(&Frame::End(end).to_bytes());
    }

    fn next(&mut self, inode: u64) {
        let next = Next {
            inode: Inode(inode),
            mtime_ns: 2,
            after_loss: false,
        };
        self.receive(&Frame::Next(next).to_bytes());
    }

    /// A whole generation, and the begin of the next one.
    fn generation(&mut self, bytes: &[u8], (inode, token): (u64, &str)) {
        self.data(bytes);
        self.ends(Reason::Rotated, bytes);
        self.file(Role::Begins, token);
        self.next(inode);
        self.work();
    }

    /// One that holds "abc" of a generation with a token.
    fn with_token() -> Rig {
        let mut rig = Rig::offering();
        assert_eq!(rig.connect(), "/var/log/m 0 0 v2 x=holes,notes\n");
        rig.begins(7, "8:3/1");
        rig.data(b"abc");
        rig
    }

    /// What the next request says of generations.
    fn tells(&mut self) -> Vec<String> {
        self.close(Closed::ByServer);
        let asked = self.connect();
        let words = asked.trim_end().split(' ');
        words
            .filter(|word| word.starts_with("i=") || word.starts_with("g="))
            .map(String::from)
            .collect()
    }

    fn copies(&self) -> Vec<String> {
        let names = self.disk.names().into_iter();
        names.filter(|name| name.starts_with("/l/m.2")).collect()
    }
}

fn md5_of(bytes: &[u8]) -> Option<[u8; 16]> {
    Some(md5::Md5::new().update(bytes).finish())
}

/// An entry of `g` for these bytes of a file.
fn entry(bytes: &[u8], id: &str) -> String {
    let md5 = md5::Hex(&md5_of(bytes).unwrap()).to_string();
    let id = Crc32::new().update(id.as_bytes()).finish();
    format!("{}:{}:{id:08x}", bytes.len(), &md5[..8])
}

#[test]
fn the_token_of_the_generation_held_is_told() {
    let mut rig = Rig::with_token();
    assert_eq!(rig.tells(), ["i=8:3/1"]);
    // The same generation is in another file now.
    rig.receive(b"O 9 v2 at=3 size=3 m=7 b=00000001 i=8:4/2\n");
    assert_eq!(rig.tells(), ["i=8:4/2"]);
    // A server that gives no token knows it still.
    rig.receive(b"O 9 v2 at=3 size=3 m=7 b=00000001\n");
    assert_eq!(rig.tells(), ["i=8:4/2"]);
    // What is found in another file is known by another token, if by any.
    rig.receive(b"O 5 v2 at=3 size=3 m=7 b=00000001\n");
    assert_eq!(rig.tells(), [""; 0]);
    rig.restart();
    rig.connect();
}

#[test]
fn what_was_given_is_told_newest_first() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.begins(7, "8:3/1");
    rig.generation(b"one", (8, "8:4/1"));
    // An empty one is not worth telling.
    rig.generation(b"", (9, "8:5/1"));
    rig.data(b"three");
    rig.file(Role::Ended, "8:9/4");
    rig.ends(Reason::Truncated, b"three");
    rig.next(9);
    let three = format!("5:-:{:08x}", Crc32::new().update(b"8:9").finish());
    let g = format!("g={three},{}", entry(b"one", "8:3"));
    assert_eq!(rig.tells(), [g]);
    rig.work();
    rig.receive(b"O 9 v2 at=0 size=0 m=2 b=00000001\n");
    let g = format!("g={},{}", entry(b"three", "8:9"), entry(b"one", "8:3"));
    assert_eq!(rig.tells().join(" "), g);
    rig.restart();
    assert!(rig.connect().contains(&g));
    // Nobody needs it for a question about a copy.
    assert!(rig.disk.exists(GIVEN) && !rig.disk.exists("/p/m.given.tmp"));
}

#[test]
fn a_file_that_was_cut_has_not_what_was_in_it() {
    for reason in [Reason::Truncated, Reason::Rewritten] {
        let mut rig = Rig::with_token();
        rig.ends(reason, b"abc");
        rig.next(7);
        rig.work();
        let md5 = &entry(b"abc", "")[..10];
        assert_eq!(rig.tells(), [format!("g={md5}:-")]);
    }
}

#[test]
fn the_token_of_an_end_may_come_behind_it() {
    let mut rig = Rig::with_token();
    rig.ends(Reason::Truncated, b"abc");
    rig.file(Role::Ended, "8:9");
    rig.next(7);
    rig.work();
    assert_eq!(rig.tells(), [format!("g={}", entry(b"abc", "8:9"))]);
}

#[test]
fn no_more_is_told_than_there_is_room_for() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.begins(7, "8:7");
    for inode in 8..40 {
        rig.now_ms += limits::GENERATIONS_PERIOD_MS;
        let token = format!("8:{inode}");
        rig.generation(&[b'x'; 5], (inode, &token));
    }
    let told = rig.tells();
    assert_eq!(told[0], "i=8:39");
    assert_eq!(told[1].split(',').count(), 24);
    assert!(told[1].starts_with(&format!("g={},", entry(&[b'x'; 5], "8:38"))));
}

#[test]
fn a_first_contact_begins_anew() {
    let mut rig = Rig::with_token();
    rig.ends(Reason::Rotated, b"abc");
    rig.next(8);
    rig.work();
    assert!(rig.disk.exists(GIVEN));
    rig.disk.remove("/p/m");
    rig.restart();
    assert_eq!(rig.connect(), "/var/log/m 0 0 v2 x=holes,notes\n");
    rig.receive(b"O 8 v2 at=0 size=0 m=1 b=00000001\n");
    assert!(!rig.disk.exists(GIVEN));
}

#[test]
fn classic_leaves_nothing() {
    let mut rig = Rig::new();
    rig.connect();
    rig.receive(b"O 7\nabc");
    rig.close(Closed::ByServer);
    rig.connect();
    rig.receive(b"O 8\ndef");
    assert_eq!(rig.disk.names(), ["/l/m", COPY, "/p/m"]);
}

#[test]
fn whatever_stands_in_its_place_keeps_no_source() {
    for kind in [Kind::Link, Kind::Special] {
        let mut rig = Rig::offering();
        rig.disk.put_other(GIVEN, kind);
        rig.connect();
        rig.begins(7, "8:3");
        rig.generation(b"abc", (8, "8:4"));
        assert_eq!(rig.rotated(), b"abc");
        assert!(!rig.source.in_error());
        let g = format!("g={}", entry(b"abc", "8:3"));
        assert_eq!(rig.tells(), ["i=8:4".to_owned(), g]);
    }
}

#[test]
fn what_was_whole_is_no_loss() {
    let mut rig = Rig::with_token();
    rig.close(Closed::ByServer);
    rig.connect();
    rig.said();
    rig.receive(b"L 9 v2 at=0 size=0 m=2 b=00000001 whole=1 i=8:9\n");
    let said = rig.said();
    assert_eq!(said, [format!("rotated to 9; 3 bytes kept as {COPY}")]);
    assert_eq!(rig.rotated(), b"abc");
    assert!(!rig.source.in_error() && !rig.disk.exists("/l/m.gaps"));
    let id = Crc32::new().update(b"8:3").finish();
    let told = ["i=8:9".to_owned(), format!("g=3:-:{id:08x}")];
    assert_eq!(rig.tells(), told);
}

#[test]
fn what_was_whole_may_be_followed_by_a_loss() {
    // Others went that came after it; or it was longer, as the server itself has said.
    for (size, fields) in [(3, "whole=1 lost=1"), (5, "whole=1")] {
        let mut rig = Rig::with_token();
        rig.receive(&Frame::Alive { size }.to_bytes());
        rig.close(Closed::ByServer);
        rig.connect();
        rig.said();
        rig.receive(format!("L 9 v2 at=0 size=0 m=2 b=00000001 {fields}\n").as_bytes());
        assert!(rig.said()[0].starts_with("lost 7:3"));
        assert!(rig.source.in_error() && rig.disk.exists("/l/m.gaps"));
    }
}

#[test]
fn the_inode_of_what_was_whole_may_be_given_out_again() {
    let mut rig = Rig::with_token();
    rig.close(Closed::ByServer);
    rig.connect();
    rig.receive(b"L 7 v2 at=0 size=0 m=2 b=00000001 whole=1\n");
    assert_eq!(rig.rotated(), b"abc");
    assert!(!rig.source.in_error());
}

#[test]
fn a_file_that_comes_twice_is_kept_once() {
    let mut rig = Rig::offering();
    rig.connect();
    rig.begins(7, "8:3/1");
    let bytes = [b'x'; 1000];
    rig.generation(&bytes, (8, "8:4"));
    rig.generation(b"other", (7, "8:3/2"));
    rig.said();
    rig.generation(&bytes, (9, "8:5"));
    let told = format!("given twice: {COPY}.2 is the double of {COPY} and is not kept");
    assert_eq!(rig.said().last(), Some(&told));
    assert_eq!(rig.copies(), [COPY.to_owned(), format!("{COPY}.1")]);
    assert!(!rig.disk.exists("/p/m.unverified"));
    let (one, other) = (entry(&bytes, "8:3"), entry(b"other", "8:4"));
    assert_eq!(
        rig.tells(),
        ["i=8:5".to_owned(), format!("g={other},{one}")]
    );
}

#[test]
fn what_is_only_alike_is_kept() {
    // Equal generations are two, and so is what is not known to come of one file.
    for (first, second) in [("8:3/1", "8:4/1"), ("8:3", "8:33")] {
        let mut rig = Rig::offering();
        rig.connect();
        rig.begins(7, first);
        rig.generation(b"abc", (8, second));
        rig.generation(b"abc", (9, "8:5"));
        assert_eq!(rig.copies().len(), 2);
        assert!(!rig.said().iter().any(|text| text.contains("given twice")));
    }
    // A file that is cut and grows to be the same again.
    let mut rig = Rig::with_token();
    rig.ends(Reason::Truncated, b"abc");
    rig.file(Role::Begins, "8:3/1");
    rig.next(7);
    rig.work();
    rig.generation(b"abc", (9, "8:5"));
    assert_eq!(rig.copies().len(), 2);
}

#[test]
fn a_double_whose_first_is_not_here_stays() {
    for change in [
        |rig: &Rig| rig.disk.put_other(COPY, Kind::Link),
        |rig: &Rig| rig.disk.rewrite(COPY, b""),
        |rig: &Rig| rig.disk.rewrite(COPY, b"abd"),
    ] {
        let mut rig = Rig::offering();
        rig.connect();
        rig.begins(7, "8:3");
        rig.generation(b"abc", (7, "8:3"));
        change(&rig);
        rig.said();
        rig.generation(b"abc", (9, "8:5"));
        let said = rig.said();
        let last = said.last().unwrap();
        assert!(
            last.starts_with("given twice") && last.ends_with("; it stays"),
            "{last}"
        );
        assert_eq!(rig.copies().len(), 2);
    }
}

#[test]
fn wherever_a_double_is_cut_off_one_copy_is_left_in_the_end() {
    for nth in 1..200 {
        let mut rig = Rig::with_token();
        rig.ends(Reason::Rotated, b"abc");
        rig.file(Role::Begins, "8:3/2");
        rig.next(7);
        rig.work();
        rig.said();
        rig.disk.die_at_call(nth);
        rig.generation(b"abc", (9, "8:5"));
        let was_through = rig.said().iter().any(|text| text.contains("given twice"));
        rig.restart();
        let asked = rig.connect();
        if !asked.starts_with("/var/log/m 9 0 ") {
            assert!(!was_through, "{asked}");
            let at = rig.local().len();
            let answer = format!("O 7 v2 at={at} size=3 m=1 b=00000001 i=8:3/2\n");
            rig.receive(answer.as_bytes());
            let rest = &b"abc"[at..];
            rig.generation_of(b"abc", rest);
        }
        rig.work();
        assert!(rig.disk.exists(COPY), "{nth}");
        assert!(!rig.disk.exists("/p/m.unverified"), "{nth}");
        let copies = rig.copies().len();
        // Where what is remembered is lost with the process, the double is not known for one.
        assert!(copies <= 2, "{nth}");
        if was_through {
            assert_eq!(copies, 1, "{nth}");
            return;
        }
    }
    panic!("it never got through");
}

// Heals.

/// One with a finished copy that is verified, and once more on the list of those that are not.
fn listed_again(bytes: &[u8]) -> Rig {
    let mut rig = Rig::offering();
    rig.connect();
    rig.begins(7, "8:3");
    rig.generation(bytes, (8, "8:4"));
    let line = format!("20261122132956 7 {} -\n", bytes.len());
    rig.disk.write("/p/m.unverified", line.as_bytes());
    rig.restart();
    rig
}

impl Rig {
    fn generation_of(&mut self, bytes: &[u8], rest: &[u8]) {
        self.data(rest);
        self.ends(Reason::Rotated, bytes);
        self.file(Role::Begins, "8:5");
        self.next(9);
        self.work();
    }

    /// Answers the question for a digest with that of another file, and then for checksums.
    fn answers_with(&mut self, theirs: &[u8], size: usize, token: &str) {
        let size_now = theirs.len();
        let line = format!("O 9 v2 at=0 size={size_now} m=1 b=00000001{token}\n");
        assert!(self.connect().ends_with(" op=digest\n"));
        self.receive(line.as_bytes());
        let digest = frame::Digest {
            inode: Inode(9),
            size: size as u64,
            md5: md5_of(&theirs[..size]),
        };
        self.receive(&Frame::Digest(digest).to_bytes());
        self.work();
        if self.source.finished.heal().is_none() {
            return;
        }
        assert!(self.connect().contains(" op=sums:0:32:"));
        self.receive(line.as_bytes());
        if self.source.wants_connection() {
            self.receive(&sums_of(theirs, size));
            self.work();
        }
    }
}

fn sums_of(theirs: &[u8], size: usize) -> Vec<u8> {
    let asked = theirs.len().min(size.next_multiple_of(32));
    assert!(asked <= 32 * SUMS_MAX);
    let end = (asked as u64).to_be_bytes();
    let mut frame = [&[0; frame::HEADER_LEN + 8][..], &end].concat();
    for block in theirs[..asked].chunks(32) {
        frame.extend(Crc32::new().update(block).finish().to_be_bytes());
    }
    frame::seal(frame::kind::SUMS, &mut frame);
    frame
}

#[test]
fn a_copy_that_is_as_it_was_received_is_not_damaged() {
    let ours: Vec<u8> = (0..200u8).collect();
    let mut theirs = ours.clone();
    theirs[70] ^= 1;
    let mut rig = listed_again(&ours);
    rig.answers_with(&theirs, 200, "");
    let told = format!("not verified {COPY}: the server no longer has it");
    assert!(rig.said().contains(&told));
    assert!(rig.source.finished.heal().is_none());
    assert_eq!(rig.rotated(), ours);
    assert!(!rig.disk.exists("/p/m.unverified"));
    assert!(!rig.source.in_error() || !rig.disk.exists("/l/m.gaps"));
}

#[test]
fn what_was_received_is_known_before_there_is_a_digest() {
    // Lines that repeat: all but one of the blocks are the same.
    let ours: Vec<u8> = (0..200u8).collect();
    let mut theirs = ours.clone();
    theirs[70] ^= 1;
    for is_damaged in [false, true] {
        let mut rig = Rig::with_token();
        rig.data(&ours[3..]);
        rig.close(Closed::ByServer);
        rig.disk.rewrite("/l/m", &ours);
        rig.restart();
        rig.connect();
        rig.receive(b"O 7 v2 at=200 size=200 m=1 b=00000001 i=8:3\n");
        let end = End {
            size: 200,
            reason: Reason::Rotated,
            md5: None,
        };
        rig.receive(&Frame::End(end).to_bytes());
        rig.next(8);
        rig.work();
        if is_damaged {
            rig.disk.rewrite(COPY, &theirs);
        }
        rig.restart();
        let (ours, theirs) = if is_damaged {
            (&theirs, &ours)
        } else {
            (&ours, &theirs)
        };
        rig.answers_with(theirs, 200, "");
        assert_eq!(rig.rotated(), *ours);
        assert_eq!(rig.source.finished.heal().is_some(), is_damaged);
        let told = format!("not verified {COPY}: the server no longer has it");
        assert_eq!(rig.said().contains(&told), !is_damaged);
    }
}

#[test]
fn a_header_is_no_sign_of_the_same_file() {
    // Most of both is the header, whatever is behind it.
    for len in 1..100 {
        let header = [b'h'; 300];
        let ours = [&header[..], &vec![b'o'; len]].concat();
        let theirs = [&header[..], &vec![b't'; len], b"more"].concat();
        let mut rig = listed_again(&ours);
        rig.disk.remove(GIVEN);
        rig.answers_with(&theirs, ours.len(), "");
        let told = "the server has only another file that begins alike";
        assert!(
            rig.said().contains(&format!("not verified {COPY}: {told}")),
            "{len}"
        );
        assert_eq!(rig.rotated(), ours);
        assert!(!rig.disk.exists("/p/m.unverified"));
    }
}

#[test]
fn the_id_tells_whose_file_it_is() {
    let right: Vec<u8> = (0..200u8).collect();
    let mut damaged = right.clone();
    // Nothing behind the first difference is the same.
    damaged[100..].fill(0);
    for (token, is_healed) in [(" i=8:3/9", true), (" i=8:9", false), ("", false)] {
        let mut rig = listed_again(&right);
        rig.disk.rewrite(COPY, &damaged);
        rig.answers_with(&right, 200, token);
        let is_healing = rig.source.finished.heal().is_some();
        assert_eq!(is_healing, is_healed, "{token}");
        assert_eq!(rig.rotated(), damaged);
    }
    // Even where most is the same.
    let mut damaged = right.clone();
    damaged[70] ^= 1;
    for (token, is_healed) in [(" i=8:9", false), ("", true)] {
        let mut rig = listed_again(&right);
        rig.disk.rewrite(COPY, &damaged);
        rig.answers_with(&right, 200, token);
        let is_healing = rig.source.finished.heal().is_some();
        assert_eq!(is_healing, is_healed, "{token}");
    }
}

#[test]
fn a_file_frame_is_no_fault_anywhere_but_a_malformed_token_is() {
    let mut rig = Rig::with_token();
    rig.file(Role::Ended, "8:1");
    rig.file(Role::Begins, "8:2");
    assert!(!rig.source.in_error());
    let mut bad = [&[0; frame::HEADER_LEN][..], b"\x00a b"].concat();
    frame::seal(frame::kind::FILE, &mut bad);
    rig.receive(&bad);
    assert!(rig.source.in_error());
    let mut rig = Rig::offering();
    rig.connect();
    rig.receive(b"O 7 v2 at=0 size=0 m=1 b=00000001 i=a_b\n");
    assert_eq!(rig.said(), ["what answered is not a log server"]);
}
