//! The check of one copy driven by hand in virtual time: an honest server, every sort of dishonest
//! one, and a collector that rotates in between.

use super::*;
use crate::collect::config::Config;
use crate::collect::copy::pointer::{Pointer, Token};
use crate::collect::verify::{Which, copies_of};
use crate::inside::fake::{Fake, Handle};
use crate::limits::VERIFY_IDLE_MS;
use crate::store::Kind;
use crate::wire::crc32::Crc32;
use crate::wire::frame::{self, ErrorCode, Frame, HEADER_LEN, SUMS_MAX, kind};
use crate::wire::md5;
use crate::wire::reply::{Mark, Reply, Terms};

const INODE: Inode = Inode(7);
const ROTATED: &str = "/l/m.20261122132956";

/// A check, the local files and a virtual clock.
struct Rig {
    check: Check<Handle>,
    disk: Fake,
    random: Random,
    now_ms: u64,
    /// Questions so far.
    asked: Vec<String>,
}

impl Rig {
    /// A live copy, begun by version 2.
    fn live(copy: &[u8]) -> Rig {
        let disk = Fake::new();
        disk.write("/p/m", &pointer(INODE, false));
        disk.write("/l/m", copy);
        Rig::on(disk, Which::Live)
    }

    /// A rotated copy.
    fn rotated(copy: &[u8]) -> Rig {
        let disk = Fake::new();
        disk.write(ROTATED, copy);
        Rig::on(disk, Which::Rotated)
    }

    fn on(disk: Fake, which: Which) -> Rig {
        Rig::with("", disk, which)
    }

    fn with(fields: &str, disk: Fake, which: Which) -> Rig {
        let line = format!("10.0.0.1 19 /var/log/m /l/m /p/m {fields}");
        let config = Config::parse(line.as_bytes()).unwrap();
        let config = Rc::new(config.sources.into_iter().next().unwrap());
        let copy = match which {
            Which::Live => copies_of(&disk, &config, false).0,
            Which::Rotated => copies_of(&disk, &config, false).1.unwrap().remove(0),
        };
        Rig {
            check: Check::new(config, copy, Mono::from_ms(1_000)),
            disk,
            random: Random::new(1),
            now_ms: 1_000,
            asked: Vec::new(),
        }
    }

    /// It is not to be begun again.
    fn for_the_last_time(mut self) -> Rig {
        self.check.attempts = VERIFY_ATTEMPTS_MAX - 1;
        self
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Check<Handle>, &mut Context<'_, Fake>) -> R) -> R {
        let store = self.disk.clone();
        let mut cx = Context {
            store: &store,
            now: Mono::from_ms(self.now_ms),
            wait_ms: 3_000,
            random: &mut self.random,
        };
        let result = act(&mut self.check, &mut cx);
        let next = self.check.poll_timeout().map(Mono::ms);
        assert!(next.is_none_or(|next| next >= self.now_ms), "in the past");
        assert!(
            self.check.verdict().is_none() || self.check.connection().is_none(),
            "who is done needs no connection"
        );
        result
    }

    /// Jumps to the next deadline.
    fn wait(&mut self) {
        self.now_ms = self.check.poll_timeout().unwrap().ms().max(self.now_ms);
        self.act(|check, cx| check.handle_timeout(cx));
    }

    /// Connects and takes the request line.
    fn ask(&mut self) -> String {
        if self.check.connection().is_none() {
            self.wait();
        }
        assert!(self.check.connection().is_some(), "{:?}", self.verdict());
        self.act(|check, cx| check.handle_connected(cx.now));
        let line = self.check.output().to_vec();
        self.act(|check, cx| check.consume_output(line.len(), cx.now));
        let line = String::from_utf8(line).unwrap();
        self.asked.push(line.clone());
        line
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.act(|check, cx| check.handle_input(bytes, cx));
    }

    fn close(&mut self, closed: Closed) {
        self.act(|check, cx| check.handle_closed(closed, cx));
    }

    /// Does all the work there is.
    fn work(&mut self) {
        let mut buf = [0; 1_000];
        while self.check.has_work() {
            self.act(|check, cx| check.work(&mut buf, cx));
        }
    }

    fn verdict(&self) -> String {
        self.check
            .verdict()
            .map_or_else(|| "none".into(), Verdict::to_string)
    }

    /// Asks an honest server that has `theirs` until there is a verdict.
    fn compare(&mut self, theirs: &[u8]) -> String {
        self.compare_in_pieces(theirs, usize::MAX)
    }

    fn compare_in_pieces(&mut self, theirs: &[u8], len: usize) -> String {
        for _ in 0..20 {
            if self.check.verdict().is_some() {
                break;
            }
            let line = self.ask();
            for piece in honest(&line, theirs).chunks(len) {
                self.receive(piece);
                self.work();
            }
        }
        self.verdict()
    }

    /// What comes of an answer to the first question, with the connection closed behind it.
    fn after(&mut self, answer: &[u8]) -> String {
        self.ask();
        self.receive(answer);
        self.work();
        if self.check.connection().is_some() {
            self.close(Closed::ByServer);
        }
        self.verdict()
    }
}

fn pointer(inode: Inode, classic: bool) -> Vec<u8> {
    let pointer = Pointer {
        mtime_ns: Some(5),
        token: Token::new(&[1, 2, 3, 4]),
        classic,
        ..Pointer::of(inode)
    };
    pointer.write().as_bytes().to_vec()
}

/// What an honest server that has `theirs` answers.
fn honest(line: &str, theirs: &[u8]) -> Vec<u8> {
    let request = Request::parse(line.trim_end().as_bytes()).unwrap();
    let size = theirs.len() as u64;
    let mut answer = answer_line(size);
    let clip = |at: u64| usize::try_from(at.min(size)).unwrap();
    answer.extend(match request.v2.unwrap().op {
        Op::Stream | Op::List => panic!("nobody wants the stream"),
        Op::Digest => digest(&theirs[..clip(request.offset)]),
        Op::Sums { start, len, count } => {
            let end = clip(start + len * u64::from(count));
            sums(
                start,
                &theirs[clip(start)..end],
                usize::try_from(len).unwrap(),
            )
        }
        Op::Range { start, len } => data(start, &theirs[clip(start)..clip(start + len)]),
    });
    answer
}

fn answer_line(size: u64) -> Vec<u8> {
    reply(Mark::Found, INODE, size)
}

fn reply(mark: Mark, inode: Inode, size: u64) -> Vec<u8> {
    let terms = Terms {
        size,
        ..Terms::default()
    };
    let reply = Reply {
        mark,
        inode: InodeWord::plain(inode),
        v2: Some(terms),
    };
    reply.to_line().to_vec()
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    digest_of(INODE, bytes.len() as u64, bytes)
}

fn digest_of(inode: Inode, size: u64, bytes: &[u8]) -> Vec<u8> {
    let md5 = Some(Md5::new().update(bytes).finish());
    Frame::Digest(frame::Digest { inode, size, md5 })
        .to_bytes()
        .to_vec()
}

fn sealed(kind: u8, payload: &[&[u8]]) -> Vec<u8> {
    let mut frame = [&[0; HEADER_LEN][..], &payload.concat()].concat();
    frame::seal(kind, &mut frame);
    frame
}

/// So many checksums, said to be of blocks from 0 to `end`.
fn sums_up_to(end: u64, count: usize) -> Vec<u8> {
    sealed(
        kind::SUMS,
        &[&[0; 8], &end.to_be_bytes(), &vec![0; 4 * count]],
    )
}

fn sums(start: u64, bytes: &[u8], len: usize) -> Vec<u8> {
    let sums: Vec<u8> = bytes
        .chunks(len)
        .flat_map(|block| Crc32::new().update(block).finish().to_be_bytes())
        .collect();
    assert!(sums.len() <= 4 * SUMS_MAX);
    let end = start + bytes.len() as u64;
    sealed(
        kind::SUMS,
        &[&start.to_be_bytes(), &end.to_be_bytes(), &sums],
    )
}

fn data(start: u64, bytes: &[u8]) -> Vec<u8> {
    sealed(kind::DATA, &[&start.to_be_bytes(), bytes])
}

fn error(code: ErrorCode, text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let frame = Frame::Error { code, text }.to_bytes();
    [&b"E 0 v2\n"[..], &frame].concat()
}

fn identical(bytes: &[u8]) -> String {
    let digest = Md5::new().update(bytes).finish();
    let (md5, len) = (md5::Hex(&digest), bytes.len());
    format!("IDENTICAL md5={md5} {len} bytes")
}

/// Bytes that differ from place to place.
fn log(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * at / 7 + at) as u8).collect()
}

// Asking.

#[test]
fn a_live_copy_is_asked_for_by_its_inode_and_what_proves_it() {
    let mut rig = Rig::live(b"abc");
    let crc = Crc32::new().update(b"abc").finish();
    assert_eq!(
        rig.ask(),
        format!("/var/log/m 7 3 v2 p=0:3:{crc:08x} op=digest\n")
    );
}

#[test]
fn a_rotated_copy_is_asked_for_by_what_proves_it_alone() {
    let line = Rig::rotated(&log(100)).ask();
    assert!(line.starts_with("/var/log/m 0 100 v2 p=0:33:"), "{line}");
    assert!(line.ends_with(" op=digest\n"));
}

#[test]
fn a_copy_begun_by_classic_says_so() {
    let disk = Fake::new();
    disk.write("/p/m", b"7\n");
    disk.write("/l/m", b"abc");
    let line = Rig::on(disk, Which::Live).ask();
    assert!(line.contains(" c=1 "), "{line}");
}

#[test]
fn a_live_copy_of_nobody_knows_what_is_asked_for_by_content() {
    let disk = Fake::new();
    disk.write("/l/m", b"abc");
    let mut rig = Rig::on(disk, Which::Live);
    assert!(rig.ask().starts_with("/var/log/m 0 3 v2 p="));
}

#[test]
fn who_is_to_be_spoken_to_in_classic_is_not_asked() {
    let disk = Fake::new();
    disk.write("/p/m", b"7\n");
    disk.write("/l/m", b"abc");
    let mut rig = Rig::with("proto=classic", disk, Which::Live);
    rig.wait();
    assert_eq!(rig.verdict(), "CLASSIC the server cannot verify");
}

// Local files.

#[test]
fn without_a_copy_there_is_nothing_to_compare() {
    let mut rig = Rig::on(Fake::new(), Which::Live);
    rig.wait();
    assert_eq!(rig.verdict(), "MISSING there is no local copy");
}

#[test]
fn local_files_that_cannot_be_used_are_named() {
    let disk = Fake::new();
    disk.write("/p/m", b"seven");
    disk.write("/l/m", b"abc");
    let mut rig = Rig::on(disk, Which::Live);
    rig.wait();
    assert!(rig.verdict().starts_with("UNREADABLE /p/m: "));
    let disk = Fake::new();
    disk.put_other("/l/m", Kind::Link);
    let mut rig = Rig::on(disk, Which::Live);
    rig.wait();
    assert!(rig.verdict().starts_with("UNREADABLE cannot read /l/m: "));
}

// The same bytes.

#[test]
fn the_same_bytes_are_identical_and_who_has_more_is_told() {
    let ours = log(5_000);
    let theirs = log(5_012);
    for rig in [Rig::live, Rig::rotated] {
        assert_eq!(rig(&ours).compare(&ours), identical(&ours));
        assert_eq!(
            rig(&ours).compare(&theirs),
            "PREFIX the box has 12 bytes more"
        );
        assert_eq!(rig(&theirs).compare(&ours), "PREFIX we hold 12 bytes more");
    }
}

#[test]
fn empty_copies_are_compared_like_others() {
    assert_eq!(Rig::live(b"").compare(b""), identical(b""));
    assert_eq!(
        Rig::live(b"").compare(b"abc"),
        "PREFIX the box has 3 bytes more"
    );
}

#[test]
fn an_empty_file_is_the_start_of_everything_and_proves_nothing() {
    let verdict = Rig::live(b"abc").compare(b"");
    assert_eq!(verdict, "GONE the box has no such generation any more");
}

#[test]
fn what_is_appended_meanwhile_does_not_count() {
    let ours = log(5_000);
    let mut rig = Rig::live(&ours);
    let line = rig.ask();
    rig.disk.write("/l/m", b"more");
    rig.receive(&honest(&line, &log(5_000)));
    rig.work();
    assert_eq!(rig.verdict(), identical(&ours));
}

#[test]
fn answers_mean_the_same_however_they_are_cut() {
    let ours = log(6_000);
    let mut theirs = ours.clone();
    theirs[5_000] ^= 1;
    for len in [1, 2, 3, 7, 28, 29, 30, 31, 100] {
        let verdict = Rig::live(&ours).compare_in_pieces(&ours, len);
        assert_eq!(verdict, identical(&ours), "pieces of {len}");
        let verdict = Rig::live(&ours).compare_in_pieces(&theirs, len);
        assert_eq!(verdict, "DIVERGED at 5000", "pieces of {len}");
    }
    let answer = honest(&Rig::live(&ours).ask(), &ours);
    for cut in 0..answer.len() {
        let mut rig = Rig::live(&ours);
        rig.ask();
        rig.receive(&answer[..cut]);
        rig.receive(&answer[cut..]);
        rig.work();
        assert_eq!(rig.verdict(), identical(&ours), "cut at {cut}");
    }
}

#[test]
fn our_digest_may_be_ready_before_theirs_and_after() {
    let ours = log(5_000);
    for work_first in [true, false] {
        let mut rig = Rig::live(&ours);
        rig.ask();
        rig.receive(&answer_line(5_000));
        assert!(rig.check.has_work(), "both compute at the same time");
        if work_first {
            rig.work();
        }
        rig.receive(&digest(&ours));
        rig.work();
        assert_eq!(rig.verdict(), identical(&ours));
    }
}

// Differences.

#[test]
fn the_first_byte_that_differs_is_found_wherever_it_is() {
    arbtest::arbtest(|u| {
        let ours = log(u.int_in_range(1..=30_000)?);
        let mut theirs = log(u.int_in_range(1..=30_000)?);
        let both = ours.len().min(theirs.len());
        let at = u.choose_index(both)?;
        for place in [at, u.int_in_range(at..=both - 1)?] {
            theirs[place] = !ours[place];
        }
        let rig = if u.arbitrary()? {
            Rig::live
        } else {
            Rig::rotated
        };
        assert_eq!(rig(&ours).compare(&theirs), format!("DIVERGED at {at}"));
        Ok(())
    })
    .budget_ms(300);
}

#[test]
fn a_large_file_takes_one_question_more() {
    let most = 4 * 1024 * 1024;
    let ours = vec![b'x'; most + 1];
    for (len, at, questions) in [(most + 5, 4_000_000, 4), (most, 3_000_000, 3)] {
        let mut theirs = vec![b'x'; len];
        theirs[at] = b'y';
        let mut rig = Rig::live(&ours);
        assert_eq!(rig.compare(&theirs), format!("DIVERGED at {at}"));
        assert_eq!(rig.asked.len(), questions, "{:?}", rig.asked);
    }
}

#[test]
fn later_questions_name_the_file_that_was_answered_with() {
    let mut rig = Rig::rotated(b"abc");
    assert_eq!(rig.compare(b"abX"), "DIVERGED at 2");
    assert_eq!(rig.asked[1], "/var/log/m 7 3 v2 op=sums:0:4096:1\n");
    assert_eq!(rig.asked[2], "/var/log/m 7 3 v2 op=range:0:3\n");
}

#[test]
fn that_two_differ_is_not_forgotten_when_the_server_goes_away() {
    let ours = log(9_000);
    let mut theirs = ours.clone();
    theirs[8_500] ^= 1;
    let mut rig = Rig::live(&ours).for_the_last_time();
    let line = rig.ask();
    rig.receive(&honest(&line, &theirs));
    rig.work();
    let line = rig.ask();
    rig.receive(&honest(&line, &theirs));
    rig.work();
    rig.ask();
    rig.close(Closed::ByServer);
    assert_eq!(rig.verdict(), "DIVERGED at or after 8192");
}

#[test]
fn what_classic_does_to_a_byte_is_no_difference_but_proves_nothing() {
    let verdict = "UNVERIFIABLE begun by classic, which sends 0xff for 0x07, as at 1";
    let classic = |copy: &[u8]| {
        let disk = Fake::new();
        disk.write("/p/m", &pointer(INODE, true));
        disk.write("/l/m", copy);
        Rig::on(disk, Which::Live)
    };
    assert_eq!(classic(b"a\xffc").compare(b"a\x07c"), verdict);
    assert_eq!(Rig::rotated(b"a\xffc").compare(b"a\x07c"), verdict);
    assert_eq!(Rig::live(b"a\xffc").compare(b"a\x07c"), "DIVERGED at 1");
    assert_eq!(classic(b"a\x07c").compare(b"a\xffc"), "DIVERGED at 1");
    assert_eq!(classic(b"a\xffc").compare(b"a\xffc"), identical(b"a\xffc"));
}

// Servers that do not answer.

#[test]
fn refusals_are_told_with_their_reason() {
    let not_served = error(ErrorCode::NotServed, "no\x1b such");
    let mut rig = Rig::live(b"abc");
    assert_eq!(rig.after(&not_served), "REFUSED no\\x1b such");
    for code in [ErrorCode::NoSuchFile, ErrorCode::Gone] {
        let gone = "GONE the box has no such generation any more";
        assert_eq!(Rig::rotated(b"abc").after(&error(code, "x")), gone);
    }
    let mut rig = Rig::live(b"abc").for_the_last_time();
    let verdict = rig.after(b"");
    assert!(verdict.starts_with("REFUSED the server closed without"));
    let mut rig = Rig::live(b"abc").for_the_last_time();
    rig.ask();
    rig.close(Closed::Broken(io::Error::from_raw_os_error(104)));
    assert!(rig.verdict().starts_with("REFUSED "));
}

#[test]
fn who_is_refused_for_now_asks_again() {
    for answer in [&b""[..], &error(ErrorCode::Busy, "later")] {
        let mut rig = Rig::live(b"abc");
        assert_eq!(rig.after(answer), "none");
        assert_eq!(rig.compare(b"abc"), identical(b"abc"));
        let mut rig = Rig::live(b"abc");
        for number in 1..=3 {
            assert_eq!(rig.after(answer) == "none", number < 3);
        }
        assert!(rig.verdict().starts_with("REFUSED "));
    }
}

#[test]
fn a_classic_server_cannot_verify() {
    for answer in [&b"O 7\n"[..], b"O 7\nlines and \x07lines", b"L 8\n"] {
        let verdict = Rig::live(b"abc").after(answer);
        assert_eq!(verdict, "CLASSIC the server cannot verify");
    }
}

#[test]
fn every_silence_has_its_deadline() {
    let mut rig = Rig::live(b"abc");
    rig.wait();
    let begun = rig.now_ms;
    rig.wait();
    assert_eq!(
        (rig.now_ms - begun, rig.verdict()),
        (
            3_000,
            "UNREACHABLE cannot connect: no answer in time".into()
        )
    );

    let mut rig = Rig::live(b"abc");
    rig.wait();
    rig.act(|check, cx| check.handle_connected(cx.now));
    rig.wait();
    assert!(rig.verdict().contains("could not be sent in time"));

    for part in [&b""[..], b"O 7 v2 si"] {
        let mut rig = Rig::live(b"abc");
        rig.ask();
        rig.receive(part);
        rig.wait();
        assert_eq!(
            rig.verdict(),
            "UNREACHABLE the server did not answer in time"
        );
    }

    let mut rig = Rig::live(b"abc");
    rig.ask();
    let answer = honest(&rig.asked[0].clone(), b"abc");
    rig.receive(&answer[..answer.len() - 1]);
    let heard = rig.now_ms;
    rig.wait();
    assert_eq!(rig.now_ms - heard, VERIFY_IDLE_MS);
    assert!(rig.verdict().contains("nothing was heard for too long"));
}

#[test]
fn signs_of_life_keep_a_slow_server_but_half_a_frame_does_not() {
    let mut rig = Rig::live(b"abc");
    rig.ask();
    rig.receive(&answer_line(3));
    for _ in 0..10 {
        rig.now_ms += VERIFY_IDLE_MS - 1;
        rig.receive(&Frame::Alive { size: 3 }.to_bytes());
        rig.act(|check, cx| check.handle_timeout(cx));
    }
    rig.now_ms += VERIFY_IDLE_MS - 1;
    rig.receive(&[kind::ALIVE, 0, 0]);
    rig.now_ms += 1;
    rig.act(|check, cx| check.handle_timeout(cx));
    assert!(rig.verdict().contains("nothing was heard for too long"));
}

#[test]
fn connections_that_fail_are_told() {
    let mut rig = Rig::live(b"abc");
    rig.wait();
    rig.close(Closed::NotMade(io::Error::from_raw_os_error(111)));
    assert!(rig.verdict().starts_with("UNREACHABLE cannot connect: "));
    let mut rig = Rig::live(b"abc");
    rig.wait();
    rig.close(Closed::NoAddress);
    assert_eq!(rig.verdict(), "UNREACHABLE its name has no address");
    let mut rig = Rig::live(b"abc").for_the_last_time();
    let verdict = rig.after(&answer_line(3));
    assert!(verdict.starts_with("UNREACHABLE connection lost: closed"));
}

// Servers that lie.

#[test]
fn nothing_is_believed_that_was_not_asked() {
    let of_ours = digest(b"abc");
    let mut damaged = of_ours.clone();
    damaged[12] ^= 1;
    let line = answer_line(3);
    let lies: Vec<Vec<u8>> = vec![
        [&line[..], &digest_of(INODE, 2, b"ab")].concat(),
        [&line[..], &digest_of(Inode(8), 3, b"abc")].concat(),
        [&line[..], &damaged].concat(),
        [&line[..], &data(0, b"abc")].concat(),
        [&line[..], &sums(0, b"abc", 4096)].concat(),
        [&line[..], &sealed(99, &[b"?"])].concat(),
        [&line[..], &sealed(kind::DIGEST, &[b"short"])].concat(),
        [&line[..], &line].concat(),
        [&reply(Mark::Lost, INODE, 3)[..], &of_ours].concat(),
        [&b"E 0 v2\n"[..], &of_ours].concat(),
        [&b"E 0 v2\n"[..], &Frame::Alive { size: 3 }.to_bytes()].concat(),
        b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
        vec![b'O'; 300],
    ];
    for lie in &lies {
        let mut rig = Rig::live(b"abc");
        rig.ask();
        rig.receive(lie);
        rig.work();
        let verdict = rig.verdict();
        assert!(
            verdict.starts_with("UNREACHABLE ") && !verdict.contains("closed by"),
            "{verdict}: {lie:?}"
        );
    }
    let mut rig = Rig::live(b"abc");
    rig.wait();
    rig.act(|check, cx| check.handle_connected(cx.now));
    rig.receive(b"SSH-2.0-OpenSSH\r\n");
    assert_eq!(
        rig.verdict(),
        "UNREACHABLE what answered is not a log server"
    );
}

#[test]
fn a_server_that_never_stops_is_stopped() {
    let mut optional = sealed(200, &[&[0; 1_000]]);
    optional[1] = frame::OPTIONAL;
    let crc = frame::Header::start_crc(200, frame::OPTIONAL, 1_000)
        .update(&[0; 1_000])
        .finish();
    optional[4..8].copy_from_slice(&crc.to_be_bytes());
    for endless in [Frame::Alive { size: 3 }.to_bytes().to_vec(), optional] {
        let mut rig = Rig::live(b"abc");
        rig.ask();
        rig.receive(&answer_line(3));
        let mut sent = 0;
        while rig.check.connection().is_some() {
            rig.receive(&endless);
            sent += endless.len();
            assert!(sent < 100_000);
        }
        assert!(rig.verdict().contains("out of order"), "{}", rig.verdict());
    }
}

/// A server that is honest about the digest and about nothing else.
#[test]
fn lies_about_the_place_leave_the_difference() {
    let ours = log(9_000);
    let mut theirs = ours.clone();
    theirs[8_500] ^= 1;
    let others = reply(Mark::Found, Inode(8), 9_000);
    let line = answer_line(9_000);
    let lies = [
        [&line[..], &sums(4_096, &theirs[4_096..], 4_096)].concat(),
        [&line[..], &sealed(kind::SUMS, &[b"?"])].concat(),
        // Another number of checksums than the end asks for, and an end behind the blocks.
        [&line[..], &sums_up_to(9_000, 2)].concat(),
        [&line[..], &sums_up_to(9_000, 4)].concat(),
        [&line[..], &sums_up_to(16_384, 4)].concat(),
        [&line[..], &data(0, &theirs)].concat(),
        [&line[..], &digest(&theirs)].concat(),
    ];
    for lie in lies {
        let mut rig = Rig::live(&ours).for_the_last_time();
        let question = rig.ask();
        rig.receive(&honest(&question, &theirs));
        rig.work();
        rig.ask();
        rig.receive(&lie);
        rig.work();
        assert_eq!(rig.verdict(), "DIVERGED at or after 0");
    }
    let mut rig = Rig::live(&ours);
    let question = rig.ask();
    rig.receive(&honest(&question, &theirs));
    rig.work();
    rig.ask();
    rig.receive(&others);
    assert!(rig.check.verdict().is_none(), "it is asked anew");
}

#[test]
fn wrong_bytes_of_a_block_are_not_taken() {
    let ours = log(9_000);
    let mut theirs = ours.clone();
    theirs[8_500] ^= 1;
    let line = answer_line(9_000);
    for (start, end) in [(8_191, 9_000), (8_193, 9_000), (0, 9_000), (8_192, 8_600)] {
        let mut rig = Rig::live(&ours).for_the_last_time();
        for _ in 0..2 {
            let question = rig.ask();
            rig.receive(&honest(&question, &theirs));
            rig.work();
        }
        assert!(rig.ask().contains("op=range:8192:808"));
        rig.receive(&[&line[..], &data(start as u64, &theirs[start..end])].concat());
        rig.work();
        if rig.check.connection().is_some() {
            rig.close(Closed::ByServer);
        }
        assert_eq!(rig.verdict(), "DIVERGED at or after 8192");
    }
}

#[test]
fn random_answers_never_panic_and_always_end() {
    arbtest::arbtest(|u| {
        let ours = log(u.int_in_range(0..=9_000)?);
        let mut theirs = ours.clone();
        if let Some(byte) = theirs.last_mut() {
            *byte ^= u.arbitrary::<u8>()?;
        }
        let mut rig = Rig::live(&ours);
        for _ in 0..30 {
            if rig.check.verdict().is_some() {
                break;
            }
            let question = rig.ask();
            let mut answer = honest(&question, &theirs);
            for _ in 0..u.int_in_range(0..=2)? {
                let at = u.choose_index(answer.len())?;
                answer[at] = u.arbitrary()?;
            }
            let cut = u.choose_index(answer.len())?;
            rig.receive(&answer[..cut]);
            rig.work();
            rig.receive(&answer[cut..]);
            rig.work();
            if rig.check.connection().is_some() {
                rig.close(Closed::ByServer);
            }
        }
        assert!(rig.check.verdict().is_some());
        Ok(())
    })
    .budget_ms(300);
}

// A collector at work.

#[test]
fn a_rotation_in_between_begins_the_comparison_again() {
    let mut rig = Rig::live(b"old old");
    rig.ask();
    rig.disk.rename_now("/l/m", ROTATED);
    rig.disk.write("/l/m", b"new");
    rig.disk.rewrite("/p/m", &pointer(Inode(8), false));
    rig.receive(&error(ErrorCode::NoSuchFile, "gone"));
    assert!(rig.check.verdict().is_none());
    let failed = rig.now_ms;
    assert!(rig.ask().starts_with("/var/log/m 8 3 "));
    assert_eq!(rig.now_ms - failed, VERIFY_RETRY_MS);
    let line = reply(Mark::Found, Inode(8), 3);
    rig.receive(&[&line[..], &digest_of(Inode(8), 3, b"new")].concat());
    rig.work();
    assert_eq!(rig.verdict(), identical(b"new"));
}

#[test]
fn a_copy_that_never_stands_still_is_given_up() {
    let mut rig = Rig::live(b"abc");
    for number in 1..=3 {
        rig.ask();
        rig.disk.rewrite("/p/m", &pointer(Inode(7 + number), false));
        rig.receive(&error(ErrorCode::NoSuchFile, "gone"));
        assert_eq!(rig.check.verdict().is_some(), number == 3);
    }
    assert!(rig.verdict().starts_with("GONE "));
}

#[test]
fn a_server_that_closes_in_the_middle_is_asked_again() {
    let mut rig = Rig::live(b"abc");
    assert_eq!(rig.after(&answer_line(3)), "none");
    assert_eq!(rig.compare(b"abc"), identical(b"abc"));
    let mut rig = Rig::live(b"abc");
    for number in 1..=3 {
        let verdict = rig.after(&answer_line(3));
        assert_eq!(verdict == "none", number < 3, "{verdict}");
    }
}

#[test]
fn a_copy_that_is_missing_in_the_middle_of_a_rotation_appears_again() {
    let disk = Fake::new();
    disk.write("/p/m", &pointer(INODE, false));
    let mut rig = Rig::on(disk, Which::Live);
    rig.wait();
    assert_eq!(rig.verdict(), "none");
    rig.disk.write("/l/m", b"abc");
    assert_eq!(rig.compare(b"abc"), identical(b"abc"));
}

#[test]
fn a_copy_that_is_cut_meanwhile_is_compared_again() {
    let mut rig = Rig::live(b"abcdef");
    let line = rig.ask();
    rig.disk.truncate_to("/l/m", 3);
    rig.receive(&honest(&line, b"abcdef"));
    rig.work();
    assert_eq!(rig.verdict(), "none");
    assert_eq!(rig.compare(b"abcdef"), "PREFIX the box has 3 bytes more");
}

#[test]
fn a_copy_that_is_healed_meanwhile_is_compared_again() {
    let mut rig = Rig::rotated(b"abX");
    rig.ask();
    rig.disk.write("/l/healed", b"abc");
    rig.disk.rename_now("/l/healed", ROTATED);
    let line = rig.asked[0].clone();
    rig.receive(&honest(&line, b"abc"));
    rig.work();
    assert_eq!(rig.compare(b"abc"), identical(b"abc"));
}

#[test]
fn files_that_differ_only_sometimes_are_unsteady() {
    let mut rig = Rig::live(b"abc");
    for _ in 0..9 {
        let line = rig.ask();
        let theirs = if line.contains("op=digest") {
            b"abX"
        } else {
            b"abc"
        };
        rig.receive(&honest(&line, theirs));
        rig.work();
        if rig.check.verdict().is_some() {
            break;
        }
    }
    assert_eq!(
        rig.verdict(),
        "UNVERIFIABLE the files changed while they were compared"
    );
}

// The exit status.

#[test]
fn only_what_is_as_it_should_be_is_good() {
    let both = [Which::Live, Which::Rotated];
    for prefix in [More::Ours(1), More::Theirs(1)].map(Verdict::Prefix) {
        assert!(prefix.is_good(Which::Live) && !prefix.is_good(Which::Rotated));
    }
    assert!(Verdict::Kept(1).is_good(Which::Rotated));
    assert!(Verdict::Gone.is_good(Which::Rotated) && !Verdict::Gone.is_good(Which::Live));
    let bad = [
        Verdict::Diverged { at: 0, exact: true },
        Verdict::Classic,
        Verdict::ClassicByte { at: 0 },
        Verdict::Unsteady,
        Verdict::NoAddress,
        Verdict::Refused {
            why: "".into(),
            for_now: true,
        },
        Verdict::Missing,
    ];
    for verdict in &bad {
        assert!(both.iter().all(|which| !verdict.is_good(*which)));
    }
}
