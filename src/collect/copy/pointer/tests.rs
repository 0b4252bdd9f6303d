use super::*;

use arbtest::arbtest;

const BOOT: &str = "3b9ee2b0-7cb6-4a9e-9d1c-5c3f0a5b8a11";

/// A record as it is while a log is followed.
fn plain() -> Pointer {
    Pointer {
        boot: BootId::new(BOOT),
        checkpoint: 1_048_576,
        token: Token::new(&[0x00, 0x10, 0xff]),
        mtime_ns: Some(1_795_354_196_000_000_000),
        ..Pointer::of(Inode(4711))
    }
}

/// The same in the middle of a rotation.
fn rotating() -> Pointer {
    Pointer {
        classic: true,
        pending: Some(Box::new(Pending {
            local: FileId {
                device: 2049,
                inode: Inode(131_080),
            },
            size: 5_000_000_000,
            next: Inode(4712),
            suffix: RotatedSuffix::new("20261122132956", 1).unwrap(),
            is_lossy: false,
        })),
        ..plain()
    }
}

/// Every field as long as it can be.
fn longest() -> Pointer {
    Pointer {
        inode: Inode(u64::MAX),
        boot: BootId::new(BOOT),
        checkpoint: u64::MAX,
        token: Token::new(&[0xff; Token::MAX_LEN]),
        mtime_ns: Some(u64::MAX),
        classic: true,
        is_bare: false,
        pending: Some(Box::new(Pending {
            local: FileId {
                device: u64::MAX,
                inode: Inode(u64::MAX),
            },
            size: u64::MAX,
            next: Inode(u64::MAX),
            suffix: RotatedSuffix::new("20261122132956", u16::MAX).unwrap(),
            is_lossy: true,
        })),
        rescue: None,
    }
}

/// While an end is set aside.
fn rescuing() -> Pointer {
    Pointer {
        rescue: Some(Box::new(Rescue {
            from: 4_000,
            suffix: RotatedSuffix::new("20261122132956", 2).unwrap(),
        })),
        ..plain()
    }
}

/// A line with its right checksum.
fn sealed(covered: &str) -> String {
    format!("{covered} c={:08x}\n", crc_of(covered))
}

fn parse(text: &str) -> Result<Pointer, PointerError> {
    Pointer::parse(text.as_bytes())
}

fn assert_round_trip(pointer: &Pointer) {
    let record = pointer.write();
    assert_eq!(parse(&record).as_ref(), Ok(pointer), "{record}");
}

// Writing

#[test]
fn a_record_reads_as_documented() {
    assert_eq!(
        rotating().write().as_str(),
        sealed(&format!(
            "4711 v1 b={BOOT} ck=1048576 g=0010ff m=1795354196000000000 x=1 \
             li=2049:131080 n=5000000000 to=4712 as=20261122132956.1"
        ))
    );
    assert_eq!(
        Pointer::of(Inode(7)).write().as_str(),
        "7 v1 ck=0 c=f550c1c0\n"
    );
}

#[test]
fn what_is_written_is_read() {
    assert_round_trip(&Pointer::of(Inode::NONE));
    assert_round_trip(&plain());
    assert_round_trip(&rotating());
    assert_round_trip(&rescuing());
}

#[test]
fn a_loss_that_is_not_told_yet_reads_as_documented() {
    let mut lossy = rotating();
    if let Some(pending) = &mut lossy.pending {
        pending.is_lossy = true;
    }
    let record = lossy.write();
    assert!(record.contains(" as=20261122132956.1 lo=1 c="), "{record}");
    assert_round_trip(&lossy);
    for wrong in [
        "lo=1",
        "li=1:2 n=3 to=4 as=20261122132956 lo=0",
        "li=1:2 n=3 to=4 as=20261122132956 lo=1 lo=1",
    ] {
        let record = sealed(&format!("7 v1 ck=0 {wrong}"));
        assert_eq!(parse(&record), Err(PointerError::Malformed), "{wrong}");
    }
}

#[test]
fn an_end_that_is_set_aside_reads_as_documented() {
    let record = rescuing().write();
    assert!(record.contains(" rs=4000:20261122132956.2 c="), "{record}");
    for wrong in [
        "rs=",
        "rs=4000",
        "rs=:20261122132956",
        "rs=-1:20261122132956",
        "rs=4:x",
    ] {
        let record = sealed(&format!("7 v1 ck=0 {wrong}"));
        assert_eq!(parse(&record), Err(PointerError::Malformed), "{wrong}");
    }
}

#[test]
fn the_longest_plain_record_keeps_its_token() {
    let suffix = RotatedSuffix::new("20261122132956", u16::MAX).unwrap();
    assert_round_trip(&Pointer {
        pending: None,
        rescue: Some(Box::new(Rescue {
            from: u64::MAX,
            suffix,
        })),
        ..longest()
    });
}

#[test]
fn the_longest_rotation_is_written_whole_but_for_its_token() {
    let record = longest().write();
    assert!(record.ends_with('\n') && record.len() <= limits::POINTER_MAX_LEN);
    assert_eq!(
        parse(&record),
        Ok(Pointer {
            token: None,
            ..longest()
        })
    );
}

#[test]
fn a_rotation_with_real_numbers_keeps_a_real_token() {
    assert_round_trip(&Pointer {
        token: Token::new(&[0xab; 12]),
        ..rotating()
    });
}

// Reading

#[test]
fn what_1_1_wrote_is_read() {
    let legacy = Pointer {
        classic: true,
        is_bare: true,
        ..Pointer::of(Inode(4711))
    };
    for text in ["4711", "4711\n", "04711\n", "4711 \r\n", "4711\t"] {
        assert_eq!(parse(text).as_ref(), Ok(&legacy), "{text:?}");
    }
    assert_eq!(
        parse("18446744073709551615\n").unwrap().inode,
        Inode(u64::MAX)
    );
}

#[test]
fn nothing_is_empty() {
    for text in ["", "\n", " \n"] {
        assert_eq!(parse(text), Err(PointerError::Empty), "{text:?}");
    }
}

#[test]
fn what_is_no_pointer_is_malformed() {
    let texts = [
        "\0",
        "\0\0\0\0",
        " 4711",
        "+4711",
        "-1",
        "4711 4712",
        "4711\n4712\n",
        "18446744073709551616",
        "4711 v1",
        "hello\n",
    ];
    for text in texts {
        assert_eq!(parse(text), Err(PointerError::Malformed), "{text:?}");
    }
    assert_eq!(
        Pointer::parse(b"47\xff11\n"),
        Err(PointerError::Malformed),
        "not text"
    );
}

#[test]
fn too_long_is_told_from_damaged() {
    let digits = "1".repeat(limits::POINTER_MAX_LEN + 1);
    assert_eq!(parse(&digits), Err(PointerError::TooLong));
    assert_eq!(parse(&digits[1..]), Err(PointerError::Malformed));
}

#[test]
fn the_checksum_has_one_spelling() {
    let record = "4711 v1 ck=12 c=";
    let crc = format!("{:08x}", crc_of("4711 v1 ck=12"));
    assert!(parse(&format!("{record}{crc}\n")).is_ok());
    for wrong in [
        crc.to_uppercase(),
        format!("0{crc}"),
        format!("+{crc}"),
        format!("{crc} "),
        String::new(),
    ] {
        let text = format!("{record}{wrong}\n");
        assert_eq!(parse(&text), Err(PointerError::BadCrc), "{text:?}");
    }
}

#[test]
fn keys_of_a_later_version_are_skipped() {
    let later = sealed("4711 v1 zz=9 ck=12 new=a=b c=00 as2=");
    assert_eq!(
        parse(&later),
        Ok(Pointer {
            checkpoint: 12,
            ..Pointer::of(Inode(4711))
        })
    );
}

#[test]
fn fields_may_be_missing_and_in_any_order() {
    assert_eq!(parse(&sealed("4711 v1")), Ok(Pointer::of(Inode(4711))));
    let pointer = parse(&sealed(
        "4711 v1 as=20261122132956 to=3 x=1 n=2 li=1:2 m=5 ck=2",
    ));
    assert_eq!(pointer.unwrap().pending.unwrap().next, Inode(3));
}

#[test]
fn a_right_checksum_does_not_excuse_nonsense() {
    let lines = [
        "x v1",
        " v1",
        "4711 v2 ck=0",
        "4711  v1 ck=0",
        "4711 v1 ck",
        "4711 v1 ck=",
        "4711 v1 ck=-1",
        "4711 v1 ck=1 ck=1",
        "4711 v1 ck=18446744073709551616",
        "4711 v1 b=",
        "4711 v1 b=../etc",
        "4711 v1 b=0123456789012345678901234567890123456",
        "4711 v1 g=",
        "4711 v1 g=abc",
        "4711 v1 g=AB",
        "4711 v1 x=0",
        "4711 v1 li=1:2",
        "4711 v1 n=1 to=2 as=20261122132956",
        "4711 v1 li=12 n=1 to=2 as=20261122132956",
        "4711 v1 li=1:2 n=1 to=2 as=../../etc/passwd",
    ];
    for line in lines {
        assert_eq!(
            parse(&sealed(line)),
            Err(PointerError::Malformed),
            "{line:?}"
        );
    }
}

// Doubt

#[test]
fn one_letter_makes_a_record_doubted_and_changes_nothing_else() {
    for pointer in [plain(), rotating(), rescuing(), Pointer::of(Inode(7))] {
        let mut record = pointer.write().into_bytes();
        let place = Pointer::place_of_doubt(&record).unwrap();
        record[place as usize] = DOUBT;
        let doubted = Pointer {
            boot: BootId::none_vouches(),
            ..pointer
        };
        assert_eq!(Pointer::parse(&record), Ok(doubted));
        assert_eq!(Pointer::place_of_doubt(&record), None, "once is enough");
    }
}

#[test]
fn keys_that_look_like_a_seal_are_none() {
    let trusted = sealed("4711 v1 b=first d=01234567");
    assert_eq!(parse(&trusted).unwrap().boot, BootId::new("first"));
    let doubted = sealed("4711 v1 c=01234567 ck=9");
    let place = Pointer::place_of_doubt(doubted.as_bytes()).unwrap();
    let mut doubted = doubted.into_bytes();
    doubted[place as usize] = DOUBT;
    let doubted = Pointer::parse(&doubted).unwrap();
    assert_eq!(doubted.boot, BootId::none_vouches());
    assert_eq!(doubted.checkpoint, 9);
}

#[test]
fn what_is_no_record_cannot_be_doubted() {
    let damaged = sealed("4711 v1 ck=9").replace("ck=9", "ck=8");
    for text in ["", "4711\n", "4711 0123c=01234567\n", &damaged] {
        assert_eq!(Pointer::place_of_doubt(text.as_bytes()), None, "{text:?}");
    }
}

// Damage

/// A cut leaves no record. Within the first word it leaves what fetchlogs 1.1 might have written;
/// the rename keeps that from happening.
#[test]
fn no_truncation_is_a_record() {
    for pointer in [plain(), rotating()] {
        let record = pointer.write();
        let word = record.find(' ').unwrap();
        for length in 1..record.len() {
            let cut = parse(&record[..length]);
            match cut {
                Ok(cut) => {
                    assert!(length <= word + 1, "{length}");
                    assert!(cut.classic && cut.boot.is_none() && cut.pending.is_none());
                }
                Err(error) => assert_ne!(error, PointerError::Empty, "{length}"),
            }
        }
    }
}

/// But for the one that says that a record is doubted.
#[test]
fn no_changed_byte_is_a_record() {
    let assert_damaged = |record: &Record, at: usize, change: u8| {
        let mut damaged = record.clone().into_bytes();
        let is_doubt = Pointer::place_of_doubt(&damaged) == Some(at as u64);
        damaged[at] ^= change;
        let parsed = Pointer::parse(&damaged);
        match is_doubt && damaged[at] == DOUBT {
            true => assert_eq!(parsed.unwrap().boot, BootId::none_vouches()),
            false => assert!(parsed.is_err(), "{at} changed by {change}"),
        }
    };
    let record = plain().write();
    for at in 0..record.len() {
        for change in 1..=255 {
            assert_damaged(&record, at, change);
        }
    }
    let record = rotating().write();
    for at in 0..record.len() {
        for bit in 0..8 {
            assert_damaged(&record, at, 1 << bit);
        }
    }
}

#[test]
fn a_tail_of_zeros_is_no_record() {
    let record = rotating().write();
    for length in 0..record.len() {
        let mut zeroed = record.clone().into_bytes();
        zeroed[length..].fill(0);
        assert!(Pointer::parse(&zeroed).is_err(), "{length}");
    }
}

#[test]
fn arbitrary_bytes_are_no_panic_and_arbitrary_pointers_come_back() {
    arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        if let Ok(pointer) = Pointer::parse(&bytes) {
            let written = Pointer {
                is_bare: false,
                ..pointer
            };
            assert_eq!(parse(&written.write()), Ok(written));
        }
        Ok(())
    })
    .budget_ms(100);
    arbtest(|u| {
        assert_round_trip(&Pointer {
            inode: Inode(u.arbitrary()?),
            checkpoint: u.arbitrary()?,
            token: Token::new(u.bytes(8)?),
            mtime_ns: u.arbitrary()?,
            classic: u.arbitrary()?,
            ..rotating()
        });
        Ok(())
    })
    .budget_ms(100);
}

// The parts

#[test]
fn boot_ids_hold_what_the_kernel_gives() {
    assert_eq!(BootId::new(BOOT).unwrap().to_string(), BOOT);
    for text in ["", "a b", "a\n", "ä", &"0".repeat(37)] {
        assert_eq!(BootId::new(text), None, "{text:?}");
    }
}

#[test]
fn tokens_hold_up_to_24_bytes() {
    assert_eq!(Token::new(&[]), None);
    assert_eq!(Token::new(&[0; 25]), None);
    assert_eq!(Token::from_hex(&"00".repeat(25)), None);
    let token = Token::from_hex("00ff10").unwrap();
    assert_eq!(token.as_bytes(), [0, 0xff, 0x10]);
    assert_eq!(token.to_string(), "00ff10");
}

#[test]
fn suffixes_count_up() {
    let suffix = |attempt| RotatedSuffix::new("20261122132956", attempt).unwrap();
    assert_eq!(suffix(0).as_str(), "20261122132956");
    assert_eq!(suffix(1).as_str(), "20261122132956.1");
    assert_eq!(suffix(u16::MAX).to_string(), "20261122132956.65535");
    for stamp in [
        "",
        "2026112213295",
        "202611221329567",
        "2026-11-22T13:29",
        "2026112213295/",
    ] {
        assert_eq!(RotatedSuffix::new(stamp, 0), None, "{stamp}");
    }
}

#[test]
fn a_suffix_is_read_only_as_it_is_written() {
    for text in ["20261122132956", "20261122132956.1", "20261122132956.65535"] {
        assert_eq!(RotatedSuffix::parse(text).unwrap().as_str(), text);
    }
    let wrong = [
        "",
        ".1",
        "20261122132956.",
        "20261122132956.0",
        "20261122132956.01",
        "20261122132956.65536",
        "20261122132956.1.2",
        "20261122132956/x",
    ];
    for text in wrong {
        assert_eq!(RotatedSuffix::parse(text), None, "{text:?}");
    }
}
