//! What is said of copies that stand still.

use std::fs;

use super::place::{Place, Running, STAMP, identical, log};

const GONE: &str = "GONE the box has no such generation any more";

/// A source with a live and a rotated copy that are right.
fn good() -> (Place, Vec<u8>, Vec<u8>) {
    let (live, mut rotated) = (log(3_000), log(4_000));
    rotated.reverse();
    let mut place = Place::new(&["m"]);
    place.copied("m", &live, &live);
    place.rotated("m", &rotated, &rotated);
    (place, live, rotated)
}

fn rotated_name() -> String {
    format!("m.{STAMP}")
}

/// Changes one byte of a copy.
fn flip(place: &Place, copy: &str, at: usize) {
    let path = place.local(copy);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

#[test]
fn right_copies_are_identical_and_nothing_is_touched() {
    let (place, live, rotated) = good();
    let before = place.snapshot();
    let said = place.verify();
    assert_eq!(said.of("m"), identical(&live));
    assert_eq!(said.of(&rotated_name()), identical(&rotated));
    assert_eq!((said.status, said.lines.len()), (0, 2), "{said:?}");
    let summary = said.summary.unwrap();
    assert!(
        summary.starts_with("2 copies: 2 as they should be, 0 not; "),
        "{summary}"
    );
    assert_eq!(said.stderr, "");
    assert_eq!(place.snapshot(), before);
    assert_eq!(
        fs::read_dir(place.path().join("status")).unwrap().count(),
        0
    );
}

#[test]
fn a_flipped_byte_is_found_where_it_is() {
    for at in [0, 1, 4_095, 4_096, 70_001] {
        let (place, _, rotated) = good();
        flip(&place, "m", at);
        let said = place.verify();
        assert_eq!(said.of("m"), format!("DIVERGED at {at}"));
        assert_eq!(said.of(&rotated_name()), identical(&rotated));
        assert_eq!(said.status, 1);
    }
    for at in [0, 100_000] {
        let (place, live, rotated) = good();
        let at = at.max(rotated.len() - 1 - at);
        flip(&place, &rotated_name(), at);
        let said = place.verify();
        assert_eq!(said.of("m"), identical(&live));
        assert_eq!(said.of(&rotated_name()), format!("DIVERGED at {at}"));
        assert_eq!(said.status, 1);
    }
}

#[test]
fn a_flipped_byte_in_a_small_rotated_copy_is_found_too() {
    let (live, rotated) = (
        log(2),
        b"Nov 22 13:29:55 box kernel: the only line that there ever was in this one\n",
    );
    for at in [0, 40, rotated.len() - 1] {
        let mut place = Place::new(&["m"]);
        place.copied("m", &live, &live);
        place.rotated("m", rotated, rotated);
        flip(&place, &rotated_name(), at);
        assert_eq!(
            place.verify().of(&rotated_name()),
            format!("DIVERGED at {at}")
        );
    }
}

#[test]
fn a_byte_that_is_missing_in_the_middle_is_found() {
    let (place, _, mut rotated) = good();
    rotated.remove(60_000);
    fs::write(place.local(&rotated_name()), &rotated).unwrap();
    let said = place.verify();
    // The bytes behind the gap may happen to be the same for a while.
    let at: usize = said
        .of(&rotated_name())
        .strip_prefix("DIVERGED at ")
        .unwrap()
        .parse()
        .unwrap();
    assert!((60_000..60_040).contains(&at), "{said:?}");
}

#[test]
fn of_a_live_copy_who_has_more_is_told_and_is_no_fault() {
    let (place, live, _) = good();
    fs::write(place.local("m"), [&live[..], b"ours"].concat()).unwrap();
    let said = place.verify();
    assert_eq!(said.of("m"), "PREFIX we hold 4 bytes more");
    assert_eq!(said.status, 0);

    let (place, live, _) = good();
    fs::write(place.remote("m"), [&live[..], b"theirs"].concat()).unwrap();
    let said = place.verify();
    assert_eq!(said.of("m"), "PREFIX the box has 6 bytes more");
    assert_eq!(said.status, 0);
}

#[test]
fn a_finished_copy_that_ends_elsewhere_is_a_fault() {
    let (place, _, rotated) = good();
    fs::write(place.remote("m.1"), [&rotated[..], b"theirs"].concat()).unwrap();
    let said = place.verify();
    assert_eq!(said.of(&rotated_name()), "PREFIX the box has 6 bytes more");
    assert_eq!(said.status, 1);

    let (place, _, rotated) = good();
    let ours = [&rotated[..], b"ours"].concat();
    fs::write(place.local(&rotated_name()), &ours).unwrap();
    let said = place.verify();
    assert_eq!(said.of(&rotated_name()), "PREFIX we hold 4 bytes more");
    assert_eq!(said.status, 1);
}

#[test]
fn a_finished_copy_of_which_the_box_forgot_the_end_is_explained_by_the_record() {
    let (place, _, rotated) = good();
    let (theirs, ours) = (rotated.len(), rotated.len() + 4);
    let mut longer = rotated.clone();
    longer.extend_from_slice(b"ours");
    fs::write(place.local(&rotated_name()), &longer).unwrap();
    let record = |theirs: usize, name: &str| {
        let text = format!(
            "20261122132956 /m.1 the server kept {theirs} of {ours} bytes; ours are all in /elsewhere/{name}\n"
        );
        fs::write(place.local("m.kept"), format!("of another\n{text}")).unwrap();
        let said = place.verify();
        (said.of(&rotated_name()).to_owned(), said.status)
    };
    let explained = "PREFIX we hold 4 bytes more, which is on record".to_owned();
    assert_eq!(record(theirs, &rotated_name()), (explained, 0));
    let unexplained = ("PREFIX we hold 4 bytes more".to_owned(), 1);
    assert_eq!(record(theirs - 1, &rotated_name()), unexplained);
    assert_eq!(record(theirs, "m.20261122132955"), unexplained);
}

#[test]
fn a_live_copy_of_a_log_that_was_rotated_meanwhile_is_compared_with_the_rotated_one() {
    let (place, live, _) = good();
    fs::rename(place.remote("m.1"), place.remote("m.2")).unwrap();
    fs::rename(place.remote("m"), place.remote("m.1")).unwrap();
    fs::write(place.remote("m"), "another\n").unwrap();
    let said = place.verify();
    assert_eq!((said.of("m"), said.status), (&*identical(&live), 0));
}

#[test]
fn a_live_copy_of_a_log_that_was_copied_and_truncated_is_compared_with_the_copy() {
    let (place, live, _) = good();
    fs::write(place.remote("m.2"), &live).unwrap();
    fs::write(place.remote("m"), "another\n").unwrap();
    let said = place.verify();
    assert_eq!((said.of("m"), said.status), (&*identical(&live), 0));
}

#[test]
fn a_rotated_log_that_is_gone_is_no_fault_and_a_live_one_is() {
    let (place, live, _) = good();
    fs::remove_file(place.remote("m.1")).unwrap();
    let said = place.verify();
    assert_eq!(said.of(&rotated_name()), GONE);
    assert_eq!((said.of("m"), said.status), (&*identical(&live), 0));
    fs::remove_file(place.remote("m")).unwrap();
    let said = place.verify();
    assert_eq!((said.of("m"), said.status), (GONE, 1));
}

#[test]
fn of_several_rotated_copies_the_last_one_counts() {
    let (place, _, rotated) = good();
    let last = format!("m.{STAMP}.12");
    fs::rename(place.local(&rotated_name()), place.local(&last)).unwrap();
    for other in [".9", "", ".rescued"] {
        fs::write(place.local(&format!("m.{STAMP}{other}")), "x").unwrap();
    }
    let said = place.verify();
    assert_eq!(said.of(&last), identical(&rotated));
    assert_eq!((said.status, said.lines.len()), (0, 2), "{said:?}");
}

#[test]
fn losses_on_record_are_told_and_count() {
    let (place, live, rotated) = good();
    fs::write(
        place.local("m.gaps"),
        "20261122132956 lost 7:3\n20261122132957 lost\x1b 8:4\n",
    )
    .unwrap();
    let said = place.verify();
    assert_eq!(
        said.lines[..2],
        [
            "m: GAP 20261122132956 lost 7:3",
            "m: GAP 20261122132957 lost\\x1b 8:4"
        ]
    );
    assert!(said.lines.contains(&format!("m: {}", identical(&live))));
    assert_eq!(said.of(&rotated_name()), identical(&rotated));
    assert_eq!(said.status, 1);
}

#[test]
fn a_source_without_a_copy_counts_as_not_compared() {
    let (mut place, live, _) = good();
    place.source("none", "");
    let said = place.verify();
    assert_eq!(said.of("none"), "MISSING there is no local copy");
    assert_eq!((said.of("m"), said.status), (&*identical(&live), 1));
}

#[test]
fn a_copy_begun_by_classic_is_identical_only_without_the_byte_that_classic_changes() {
    let mut place = Place::new(&["plain", "bell"]);
    for (name, theirs, ours) in [("plain", b"abc", b"abc"), ("bell", b"a\x07c", b"a\xffc")] {
        place.copied(name, theirs, ours);
        // What fetchlogs 1.1 leaves: an inode and nothing else.
        let record = fs::read_to_string(place.local(&format!("{name}.pointer"))).unwrap();
        let inode = record.split(' ').next().unwrap();
        fs::write(place.local(&format!("{name}.pointer")), inode).unwrap();
    }
    let said = place.verify();
    assert_eq!(said.of("plain"), identical(b"abc"));
    assert_eq!(
        said.of("bell"),
        "UNVERIFIABLE begun by classic, which sends 0xff for 0x07, as at 1"
    );
    assert_eq!(said.status, 1);
}

#[test]
fn a_small_log_does_not_wait_for_a_large_one() {
    let mut place = Place::new(&["large", "small"]);
    place.copied("large", b"", b"");
    place.copied("small", b"abc", b"abc");
    for path in [place.remote("large"), place.local("large")] {
        fs::File::create(path)
            .unwrap()
            .set_len(100 * 1024 * 1024)
            .unwrap();
    }
    place.point("large");
    let mut running = Running::start(&place, &[]);
    let first = running.line();
    let verdict = format!("small: {}\n", identical(b"abc"));
    assert!(first.ends_with(&verdict), "{first}");
    // The large one takes seconds more, which would show nothing.
    assert!(running.is_running());
}

#[test]
fn one_connection_at_a_time_does_them_in_order() {
    let names = ["c", "a", "b"];
    let mut place = Place::new(&names);
    for name in names {
        place.copied(name, name.as_bytes(), name.as_bytes());
    }
    let said = place.verify_with(&["-j", "1"]);
    let expected = names.map(|name| format!("{name}: {}", identical(name.as_bytes())));
    assert_eq!((said.lines, said.status), (expected.to_vec(), 0));
}

#[test]
fn many_sources_are_all_compared() {
    let names: Vec<String> = (0..60).map(|number| format!("log{number}")).collect();
    let mut place = Place::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        place.copied(name, name.as_bytes(), name.as_bytes());
    }
    let said = place.verify();
    for name in &names {
        assert_eq!(said.of(name), identical(name.as_bytes()));
    }
    assert_eq!((said.lines.len(), said.status), (60, 0));
}

#[test]
fn all_rotated_copies_can_be_compared_and_only_faults_told() {
    let (place, live, rotated) = good();
    let older = log(500);
    fs::write(place.remote("m.2"), &older).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let file = fs::File::options()
        .write(true)
        .open(place.remote("m.2"))
        .unwrap();
    file.set_modified(long_ago).unwrap();
    fs::write(place.local("m.20251122132956"), &older).unwrap();
    let said = place.verify_with(&["-a"]);
    assert_eq!(said.of("m.20251122132956"), identical(&older), "{said:?}");
    assert_eq!(said.of(&rotated_name()), identical(&rotated));
    assert_eq!(said.of("m"), identical(&live));
    assert_eq!((said.status, said.lines.len()), (0, 3));

    flip(&place, "m.20251122132956", 7);
    fs::write(place.local("m.gaps"), "20261122132956 /m lost 7:3\n").unwrap();
    let said = place.verify_with(&["-a"]);
    let summary = said.summary.unwrap();
    assert!(
        summary.starts_with("3 copies: 2 as they should be, 1 not; 1 loss on record; "),
        "{summary}"
    );
    let said = place.verify_with(&["-aq"]);
    assert_eq!(said.of("m.20251122132956"), "DIVERGED at 7");
    assert_eq!(
        (said.status, said.lines.len(), said.summary),
        (1, 2, None),
        "the loss and the fault"
    );
}

#[test]
fn one_box_or_one_log_can_be_compared_and_told_as_json() {
    let mut place = Place::new(&["m", "other"]);
    for name in ["m", "other"] {
        place.copied(name, b"abc\n", b"abc\n");
    }
    let verify = |options: &[&str], operands: &[&str]| {
        let output = place.command(options).args(operands).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let server = place.address().ip().to_string();
    let (remote, local) = (place.remote("m"), place.local("m"));
    let (remote, local) = (remote.to_str().unwrap(), local.to_str().unwrap());
    let (status, all, _) = verify(&["-J"], &[&server]);
    assert_eq!((status, all.lines().count()), (Some(0), 3), "{all}");
    for log in [remote, local] {
        let (status, one, _) = verify(&["-J"], &[&server, log]);
        let lines: Vec<&str> = one.lines().collect();
        let expected = format!(
            "{{\"box\":\"{server}\",\"remote_file\":\"{remote}\",\"local_file\":\"{local}\",\"verdict\":\"IDENTICAL\",\"good\":true,\"text\":\"md5="
        );
        assert!(lines[0].starts_with(&expected), "{one}");
        assert_eq!(
            lines[1],
            "{\"copies\":1,\"good\":1,\"bad\":0,\"losses\":0,\"bytes\":4}"
        );
        assert_eq!((status, lines.len()), (Some(0), 2));
    }
    for wrong in [&["10.255.255.1"][..], &[&server, "/nothing"]] {
        let (status, said, errors) = verify(&[], wrong);
        assert_eq!((status, &*said), (Some(2), ""));
        assert_eq!(
            errors,
            "fetch_logs: there is no such log in the configuration\n"
        );
    }
}
