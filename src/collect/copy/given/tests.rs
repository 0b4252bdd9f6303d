//! The ledger: what is read from what was written, and from everything else.

use super::*;
use crate::collect::config::Config;
use crate::inside::fake::Fake;
use crate::store::Kind;

fn config(line: &str) -> SourceConfig {
    let config = Config::parse(line.as_bytes()).unwrap();
    config.sources.into_iter().next().unwrap()
}

fn source() -> SourceConfig {
    config("10.0.0.1 19 /var/log/m /l/m /p/m")
}

fn generation(inode: u64, mtime_ns: u64) -> Generation {
    Generation {
        inode: Inode(inode),
        origin: Some(Origin { mtime_ns, boot: 1 }),
        classic: false,
    }
}

fn entry(suffix: &str) -> Entry {
    Entry {
        size: 3,
        sums: Some(CopySums {
            crc: Some(0xabc),
            md5: [0xa5; 16],
        }),
        token: Token::parse(b"8:3/1"),
        suffix: RotatedSuffix::parse(suffix).unwrap(),
        is_suspect: false,
    }
}

fn sample() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.set_token(&generation(7, 9), Token::parse(b"8:4/2"), None);
    ledger.add(entry("20261122132956"));
    ledger.add(Entry {
        size: u64::MAX,
        sums: None,
        token: None,
        ..entry("20261122132956.1")
    });
    ledger
}

fn read(disk: &mut Fake) -> Ledger {
    Ledger::read(&source(), disk).unwrap()
}

#[test]
fn what_is_written_reads_back() {
    let mut disk = Fake::new();
    assert_eq!(read(&mut disk), Ledger::default());
    sample().write(&source(), &mut disk).unwrap();
    let text = String::from_utf8(disk.read("/p/m.given").unwrap()).unwrap();
    let (lines, _) = text.split_once("c=").unwrap();
    assert_eq!(
        lines,
        "v1 7 9 8:4/2\n18446744073709551615 - - - 20261122132956.1\n3 00000abc \
         a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 8:3/1 20261122132956\n"
    );
    assert_eq!(read(&mut disk), sample());
    assert!(!disk.exists("/p/m.given.tmp"));
    Ledger::default().write(&source(), &mut disk).unwrap();
    assert!(!disk.exists("/p/m.given"));
}

/// Whoever is killed in a rotation knows both tokens, whichever generation is the present one then.
#[test]
fn during_a_rotation_both_tokens_are_known() {
    let mut disk = Fake::new();
    let [left, next] = [b"8:4/2", b"8:5/4"].map(|text| Token::parse(text));
    let [before, after] = [generation(7, 9), generation(8, 10)];
    let mut ledger = sample();
    let boot = BootId::new("first");
    ledger.announce(&after, next, true, boot.as_ref());
    ledger.write(&source(), &mut disk).unwrap();
    let mut ledger = read(&mut disk);
    assert!(ledger.is_of(boot.as_ref()) && !ledger.is_of(BootId::new("second").as_ref()));
    assert!(!sample().is_of(None));
    assert_eq!(ledger.token_of(&before), left);
    assert_eq!(ledger.token_of(&after), next);
    let finished = Finished {
        path: "/l/m.20261123010203".into(),
        inode: Inode(7),
        size: 5,
        md5: None,
        by_content: false,
        classic: false,
    };
    ledger.catch_up(&finished, Inode(8), &source());
    assert_eq!(ledger.entries()[0].token, left);
    assert!(ledger.entries()[0].is_suspect);
    assert_eq!(ledger.token_of(&after), next);
    ledger.write(&source(), &mut disk).unwrap();
    assert_eq!(read(&mut disk), ledger);
    ledger.set_token(&after, next, boot.as_ref());
    assert_eq!(ledger.token_of(&before), None);
}

#[test]
fn the_longest_ledger_is_read_whole() {
    let mut disk = Fake::new();
    let token = Token::parse(&[b'z'; Token::MAX_LEN]);
    let mut ledger = Ledger::default();
    ledger.set_token(&generation(u64::MAX, u64::MAX), token, None);
    let boot = BootId::new(&"b".repeat(BootId::MAX_LEN));
    ledger.announce(
        &generation(u64::MAX - 1, u64::MAX),
        token,
        true,
        boot.as_ref(),
    );
    for n in 0..=GIVEN_KEPT_MAX {
        ledger.add(Entry {
            size: u64::MAX,
            token,
            ..entry(&format!("202611221329{n:02}"))
        });
    }
    assert_eq!(ledger.entries().len(), GIVEN_KEPT_MAX);
    assert_eq!(ledger.entries()[0].suffix.as_str(), "20261122132964");
    ledger.write(&source(), &mut disk).unwrap();
    assert_eq!(read(&mut disk), ledger);
}

#[test]
fn a_ledger_that_is_torn_or_changed_anywhere_is_none() {
    let mut disk = Fake::new();
    sample().write(&source(), &mut disk).unwrap();
    let whole = disk.read("/p/m.given").unwrap();
    for len in 0..whole.len() {
        let mut torn = whole[..len].to_vec();
        disk.rewrite("/p/m.given", &torn);
        assert_eq!(read(&mut disk), Ledger::default(), "{len}");
        // What a power cut leaves of a file whose size alone was durable.
        torn.resize(whole.len(), 0);
        disk.rewrite("/p/m.given", &torn);
        assert_eq!(read(&mut disk), Ledger::default(), "{len}");
        let mut changed = whole.clone();
        changed[len] ^= 1;
        disk.rewrite("/p/m.given", &changed);
        assert_eq!(read(&mut disk), Ledger::default(), "{len}");
    }
    let mut huge = whole.clone();
    huge.resize(1 << 20, b'\n');
    for more in [
        huge,
        [&whole[..], &whole].concat(),
        [&whole[..], b"\n"].concat(),
    ] {
        disk.rewrite("/p/m.given", &more);
        assert_eq!(read(&mut disk), Ledger::default());
    }
}

#[test]
fn the_right_checksum_makes_no_ledger_of_nonsense() {
    let mut disk = Fake::new();
    let line = "3 - - - 20261122132956\n";
    for lines in [
        "",
        "v2\n",
        "v1 7 9\n",
        "v1 7 9 a_b\n",
        "v1 7 9 a b\n",
        "v1\n3 - - 20261122132956\n",
        "v1\n3 - - - ../../etc/passwd\n",
        "v1\n3 - - - 20261122132956 -\n",
        "v1\n3 - a5 - 20261122132956\n",
        &["v1\n", &line.repeat(GIVEN_KEPT_MAX + 1)].concat(),
    ] {
        let sum = sum_of(lines, &source());
        disk.write("/p/m.given", b"");
        disk.rewrite("/p/m.given", format!("{lines}c={sum:08x}\n").as_bytes());
        assert_eq!(read(&mut disk), Ledger::default(), "{lines}");
    }
}

#[test]
fn the_ledger_of_another_source_is_none() {
    let mut disk = Fake::new();
    for other in [
        "10.0.0.2 19 /var/log/m /l/m /p/m",
        "10.0.0.1 20 /var/log/m /l/m /p/m",
        "10.0.0.1 19 /var/log/n /l/m /p/m",
    ] {
        sample().write(&config(other), &mut disk).unwrap();
        assert_eq!(read(&mut disk), Ledger::default());
        assert_eq!(Ledger::read(&config(other), &mut disk).unwrap(), sample());
    }
}

#[test]
fn the_token_is_that_of_one_generation() {
    let ledger = sample();
    assert_eq!(ledger.token_of(&generation(7, 9)), Token::parse(b"8:4/2"));
    for other in [
        generation(8, 9),
        generation(7, 8),
        Generation::classic(Inode(7)),
    ] {
        assert_eq!(ledger.token_of(&other), None);
    }
}

#[test]
fn a_rotation_that_was_not_noted_takes_the_token_with_it() {
    let token = Token::parse(b"8:4/2");
    for (name, size, inode, held, added, left) in [
        // It was renamed.
        ("/l/m.20261122132959", 5, 7, 8, Some(token), None),
        // It was truncated.
        ("/l/m.20261122132959", 5, 7, 7, Some(None), None),
        // The token is of another one yet.
        ("/l/m.20261122132959", 5, 6, 8, Some(None), None),
        // It was noted.
        ("/l/m.20261122132956", 3, 7, 7, None, token),
        // Nothing was held of it.
        ("/l/m.20261122132959", 0, 7, 7, None, token),
    ] {
        let mut ledger = sample();
        let count = ledger.entries().len();
        let finished = Finished {
            path: name.into(),
            inode: Inode(inode),
            size,
            md5: None,
            by_content: false,
            classic: false,
        };
        ledger.catch_up(&finished, Inode(held), &source());
        let new = ledger.entries().len() - count;
        let newest = ledger.entries()[0].token;
        assert_eq!((new > 0).then_some(newest), added, "{name} {inode} {held}");
        assert_eq!(ledger.token_of(&generation(7, 9)), left);
    }
}

#[test]
fn checksums_find_their_copy() {
    let mut ledger = sample();
    let sums = CopySums {
        crc: None,
        md5: [1; 16],
    };
    let copy = Path::new("/l/m.20261122132956");
    ledger.set_sums(copy, 3, sums, &source());
    assert_eq!(ledger.entry_of(copy, &source()).unwrap().sums, Some(sums));
    let unknown = Path::new("/l/m.20261122132959");
    ledger.set_sums(unknown, 5, sums, &source());
    assert_eq!(ledger.entries()[0].size, 5);
    // What is no rotated copy of this source has no entry.
    ledger.set_sums(Path::new("/l/n.20261122132959"), 5, sums, &source());
    assert_eq!(ledger.entries().len(), 3);
    ledger.forget(unknown, &source());
    assert_eq!(ledger.entries().len(), 2);
}

#[test]
fn whatever_stands_in_its_place_stops_nothing() {
    const EMFILE: i32 = 24;
    const EACCES: i32 = 13;
    let mut disk = Fake::new();
    sample().write(&source(), &mut disk).unwrap();
    disk.fail_call(1, EACCES);
    assert_eq!(read(&mut disk), Ledger::default());
    // Then it is not known what stands there.
    disk.fail_call(1, EMFILE);
    assert!(Ledger::read(&source(), &mut disk).is_err());
    assert_eq!(read(&mut disk), sample());
    for kind in [Kind::Link, Kind::Special] {
        disk.remove("/p/m.given");
        disk.put_other("/p/m.given", kind);
        assert_eq!(read(&mut disk), Ledger::default(), "{kind:?}");
        sample().write(&source(), &mut disk).unwrap();
        assert_eq!(read(&mut disk), sample());
    }
}

#[test]
fn a_copy_that_has_grown_is_the_first_again() {
    let mut ledger = sample();
    let sums = CopySums {
        crc: None,
        md5: [1; 16],
    };
    let copy = Path::new("/l/m.20261122132956");
    ledger.set_sums(copy, 2, sums, &source());
    assert_eq!(ledger, sample(), "they are of a part of it");
    ledger.set_sums(copy, 9, sums, &source());
    let grown = Entry {
        size: 9,
        sums: Some(sums),
        ..entry("20261122132956")
    };
    assert_eq!(ledger.entries().first(), Some(&grown));
    assert_eq!(ledger.entries().len(), 2);
    let token = Token::parse(b"8:3/77").unwrap();
    assert_eq!(ledger.entry_of_token(&token), Some(&grown));
}
