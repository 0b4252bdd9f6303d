//! The order as a table, and what is not a question of order.

use super::*;

fn id(inode: u64) -> FileId {
    let inode = Inode(inode);
    FileId { device: 1, inode }
}

/// The log's name, the names of its rotated files with their times, oldest first as they have to
/// come out, and why. A `?` stands where it is not certain that the next one is newer.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str)] = &[
    // Numbers that say how many rotations ago.
    ("m", "m.3=10 m.2=20 m.1=30",
        "Numbers and times agree."),
    ("m", "m.2=10 m.1=20 m.0=30",
        "They may begin with 0."),
    ("m", "m.1=10",
        "A file alone is in order."),
    ("m", "m.4=40 m.3=10 m.2=20 m.1=30",
        "Somebody touched the oldest one."),
    ("m", "m.4=10 m.3=20 m.2=5 m.1=30",
        "Somebody set back the time of one."),
    ("m", "m.4=10 m.3=20 m.2=90 m.1=91",
        "The clock was set forward."),
    ("m", "m.4=90 m.3=91 m.2=10 m.1=20",
        "The clock was set back."),
    ("m", "m.6=10 m.5=90 m.4=12 m.3=5 m.2=14 m.1=15",
        "Two of many were touched."),
    ("m", "m.3=20 m.2=30 m.1=10",
        "One of three was touched, in a way that no numbers that count upwards would show."),
    ("m", "m.3=10 m.2=10 m.1=10",
        "Equal times leave it to the numbers."),
    ("m", "m.2=10 m.1=10",
        "Two, too."),
    ("m", "m.10=10 m.9=20 m.8=30 m.7=31 m.6=32 m.5=33 m.4=34 m.3=35 m.2=36 m.1=37",
        "Ten is more than nine."),
    ("m", "m.10=9 m.09=20 m.08=10 m.07=31 m.06=32 m.05=33 m.04=34 m.03=35 m.02=36 m.01=37",
        "Zeros before a number say nothing."),
    ("m", "m.4=5 m.2=20 m.1=10",
        "One number may be missing while files are renamed."),
    ("m", "m.4=20 m.3=5 m.2=10",
        "Be it the first one."),
    ("m", "m.1=8 m.01=9",
        "The same number twice says nothing."),
    ("m", "m.1=8 ? m.01=8",
        "And with equal times nothing is known."),
    ("dev-00112233.log", "dev-00112233.log.3=90 dev-00112233.log.2=5 dev-00112233.log.1=60",
        "Eight digits in the log's own name are no stamp."),
    ("app.log", "app.3.log=90 app.2.log=5 app.1.log=60",
        "The number may stand before the ending."),
    ("a2.log4", "a2.3.log4=90 a2.2.log4=5 a2.1.log4=60",
        "Digits in stem and ending are no number."),
    ("app2.log", "app2.log.3=9 app2.log.2=1 app2.log.1=5",
        "Nor is one in the log's name."),
    ("x", "app2.log.3=9 app2.log.2=1 app2.log.1=5",
        "Not even in a name that has nothing of the log's."),
    // Numbers and times of equal weight.
    ("m", "m.1=10 ? m.2=20",
        "The first days of a week, or one of two was touched: times decide."),
    ("app.log", "app.1.log=10 ? app.2.log=20",
        "The first two files of a rotator that counts upwards."),
    ("m", "m.0=10 ? m.1=20",
        "The same from 0."),
    ("m", "m.1=10 m.2=20 m.3=30",
        "Three that are newer the greater the number is: it counts upwards."),
    ("m", "m.2=10 m.3=20",
        "Two that count upwards have no number below 2."),
    ("m", "m.7=10 m.8=20",
        "Still less if it is far from 1."),
    ("gc.log", "gc.log.2=10 gc.log.0=20 ? gc.log.1=30",
        "A ring of three, or one of three was touched."),
    ("gc.log", "gc.log.1=10 ? gc.log.2=20 gc.log.0=30",
        "The same, begun anew by one."),
    ("", "gc.log.2=40 gc.log.3=39 gc.log.4=50 gc.log.0=70 gc.log.1=80",
        "A ring whose names are kept begins behind the greatest step back: one was written to late."),
    ("", "gc.log.1=10 gc.log.2=20 gc.log.3=90 gc.log.4=40 gc.log.0=50",
        "But not behind one that was touched."),
    ("gc.log", "gc.log.0=10 gc.log.1=20 gc.log.2=30",
        "A ring that is just full."),
    ("gc.log", "gc.log.2=10 ? gc.log.3=20 gc.log.0=30 ? gc.log.1=40",
        "A ring of four may be two that were touched."),
    ("gc.log", "gc.log.3=10 gc.log.4=20 gc.log.0=30 gc.log.1=40 gc.log.2=50",
        "A ring of five is no accident."),
    // Numbers that begin anew, leave out many, or rise for ever.
    ("m", "m.5=10 m.6=20 m.0=30 m.1=40 m.2=50 m.3=60 m.4=70",
        "Weekdays from 0."),
    ("m", "m.3=10 m.4=20 m.5=30 m.6=40 m.7=50 m.1=60 m.2=70",
        "Weekdays, Monday being 1."),
    ("m", "m.0=10 m.3=20 m.6=30",
        "Every third hour."),
    ("m", "m.1230=10 m.1231=20 m.0101=30 m.0102=40",
        "Month and day at new year."),
    ("m", "m.29=10 m.30=20 m.01=30 m.02=40",
        "Days of the month."),
    ("m", "m.713=10 m.99=20 m.4021=30",
        "Processes."),
    ("m", "m.713=10 ? m.4021=10",
        "Processes of one moment: nothing is known."),
    ("m", "m.1041=10 m.1042=20 m.1043=30",
        "Numbers that rise for ever."),
    ("m", "m.1041=10 m.1042=90 m.1043=30 m.1044=40 m.1045=50",
        "One of them was touched."),
    ("m", "m.1043=20 ? m.1041=30",
        "Two of a few that contradict the times."),
    ("m", "m.3fa9=10 m.0b21=20 m.c4d2=30",
        "Hexadecimal digits say nothing."),
    ("m", "m.3fa9=10 ? m.0b21=10",
        "Not at all."),
    // Stamps.
    ("m", "m-20261121=10 m-20261122=20",
        "Dates of eight digits."),
    ("m", "m-20261121=90 m-20261122=20 m-20261123=30",
        "Somebody touched the oldest."),
    ("m", "m-20261121=20 m-20261122=10",
        "One of two."),
    ("m", "m-2026-12-01=10 m-2026-12-02=20",
        "The first days of a month are no numbers."),
    ("m", "m-2026-12-01=90 m-2026-12-02=20 m-2026-12-03=30",
        "Not if touched either."),
    ("m", "m-2026_11_30=90 m-2026_12_01=20 m-2026_12_02=30",
        "Dates may have other signs in them."),
    ("m", "m-20261129-101111=10 m-20261129-101112=10 m-20261129-101113=10",
        "The time of day counts too."),
    ("m", "m-2026-11-29T09:59:00=10 m-2026-11-29T10:01:00=10",
        "However it is written."),
    ("m", "m-2026-11-29_09-59=90 m-2026-11-29_10-01=10 m-2026-11-29_10-30=20",
        "Without seconds."),
    ("m", "m.20261129T095900Z=10 m.20261129T100100Z=10",
        "In Universal Time."),
    ("app.log", "app.log.2026-11-29_9=10 app.log.2026-11-29_10=10",
        "The hour alone."),
    ("m", "m-202611290959=10 m-202611291001=10",
        "Date and time in one."),
    ("m", "m.20261122160300=10 m.20261122160300.1=10 m.20261122160300.2=10 m.20261122160301=10",
        "What follows a stamp counts within it."),
    ("app.log", "app-2026-11-29-9.log=10 app-2026-11-29-10.log=10 app-2026-11-30-1.log=10",
        "It counts upwards."),
    ("app.log", "app-2026-11-29.log=10 app-2026-11-29.log.1=10 app-2026-11-29.log.2=10",
        "The first without a number."),
    ("app.log", "app-2026-11-29-3.log=10 app-2026-11-29-2.log=20 app-2026-11-29-1.log=30 app-2026-11-30-1.log=40",
        "Unless the times say that it counts since."),
    ("app.log", "app-2026-11-29-2.log=10 ? app-2026-11-29-1.log=20",
        "With two files that is not certain."),
    ("current", "@4000000068f0a1b21d8e3f2c.s=90 @4000000068f0a1b21d8e3f2d.u=10 @4000000068f0a1b31d8e3f2c.s=20",
        "Labels of daemontools, to the nanosecond and whatever is behind."),
    ("m", "m.1795354196=90 m.1795354197=10 m.1795354999=20",
        "Seconds since 1970."),
    ("m", "m.1795354196001=90 m.1795354196002=10 m.1795354196003=20",
        "Milliseconds."),
    ("m", "m-2026-W47=90 m-2026-W48=10 m-2027-W01=20",
        "Weeks."),
    ("m", "m-2026-11=90 m-2026-12=10 m-2027-01=20",
        "Months."),
    ("m", "m-2026-364=90 m-2026-365=10 m-2027-001=20",
        "Days of the year."),
    ("m", "m-29-11-2026=10 m-30-11-2026=20 m-01-12-2026=30",
        "The day first: only times tell."),
    ("m", "m-29112026=10 m-30112026=20 m-01122026=30",
        "The same without dashes."),
    ("m", "m-01122026=10 ? m-30112026=10",
        "And where times are equal, nothing does."),
    ("m", "m-20261123=10 ? m-20261122=20 ? m-20261121=30",
        "What times contradict at every step is no date."),
    ("m", "m-20261122=8 ? m-20261122.log=8",
        "Names with other words tell nothing of each other."),
    // Words, and several kinds of names.
    ("m", "m.Mon=10 m.Tue=20 m.Wed=30",
        "Names of weekdays say nothing."),
    ("m", "m.mon=10 ? m.tue=10",
        "Not where times are equal either."),
    ("m", "m.Nov=10 m.Dec=20 m.Jan=30",
        "Nor do those of months."),
    ("m", "m.old=10",
        "One file."),
    ("m", "m.bak=10 m.old=20 m.prev=30",
        "Words: times decide."),
    ("m", "m.1=10 ? m.old=10",
        "A number says nothing beside a word."),
    ("m", "m-20261122=10 m.1=20",
        "Nor beside a date: times decide."),
    ("m", "m.2=10 m-20261122=20 m.1=30",
        "Two rotators at once."),
    ("m", "m.1=3 ? m.2=5 m-20261122=20",
        "They contradict the times."),
    ("m", "m.3=5 m.2=20 m.bak=25 m.1=30",
        "Numbers, and a copy that somebody made."),
    ("m", "m.1=10 ? n.1=10",
        "Two logs under one glob."),
    ("m1", "m12=10 m13=20",
        "Other logs whose names begin alike have numbers of their own."),
];

/// A row of the table: the files, and between which neighbours there is doubt.
fn parse(row: &str) -> (Vec<(&str, u64)>, Vec<bool>) {
    let (mut files, mut doubts) = (Vec::new(), Vec::new());
    let mut is_doubtful = false;
    for word in row.split(' ') {
        let Some((name, time)) = word.split_once('=') else {
            is_doubtful = true;
            continue;
        };
        if !files.is_empty() {
            doubts.push(is_doubtful);
        }
        is_doubtful = false;
        files.push((name, time.parse().unwrap()));
    }
    (files, doubts)
}

/// What comes out, as a row.
fn arranged(live: &str, files: &[(&str, u64)], inode: impl Fn(usize) -> u64) -> String {
    let all: Vec<Evidence<'_>> = files
        .iter()
        .enumerate()
        .map(|(at, &(name, mtime_ns))| Evidence {
            name: name.as_bytes(),
            mtime_ns,
            born_ns: None,
            id: id(inode(at)),
        })
        .collect();
    let placed = arrange(live.as_bytes(), &all);
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&at| placed[at].age);
    let mut row = String::new();
    for (n, &at) in order.iter().enumerate() {
        let before = n.checked_sub(1).map(|before| &placed[order[before]]);
        row += match before {
            None => "",
            Some(before) if before.is_doubtful_beside(&placed[at]) => " ? ",
            Some(_) => " ",
        };
        row += &format!("{}={}", files[at].0, files[at].1);
    }
    row
}

#[test]
fn the_table() {
    let mut wrong = Vec::new();
    for &(live, row, why) in TABLE {
        let (files, doubts) = parse(row);
        let count = files.len();
        let mut results = vec![arranged(live, &files, |at| at as u64 + 1)];
        // Neither where a file stands in a directory nor its inode tells anything, unless there is
        // nothing else.
        if !doubts.contains(&true) {
            results.push(arranged(live, &files, |at| (count - at) as u64));
        }
        let turned: Vec<_> = files.iter().rev().copied().collect();
        results.push(arranged(live, &turned, |at| (count - at) as u64));
        for result in results {
            if result != row {
                wrong.push(format!("{why}\n    {row}\n    {result}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_table_of_the_manual_page() {
    let page = include_str!("../../../../conf/man/fetchlogs.7");
    let (_, table) = page
        .split_once(".It Em rotated files Ta Em rule\n")
        .unwrap();
    let rows = table.lines().take_while(|line| *line != ".El");
    let mut count = 0;
    for row in rows {
        let names = row.split('"').nth(1).unwrap().split(' ');
        let names: Vec<String> = names
            .map(|name| match name.starts_with('@') {
                // The page shortens what is behind the seconds.
                true => name.replace(".s", "1d8e3f2c.s"),
                false => format!("m{name}"),
            })
            .collect();
        let files: Vec<(&str, u64)> = names
            .iter()
            .map(String::as_str)
            .zip((10..).step_by(10))
            .collect();
        let turned: Vec<_> = files.iter().rev().copied().collect();
        let right: Vec<String> = files
            .iter()
            .map(|(name, time)| format!("{name}={time}"))
            .collect();
        let result = arranged("m", &turned, |at| at as u64 + 1);
        assert_eq!(result, right.join(" "), "{row}");
        count += 1;
    }
    assert!(count > 10, "the table was not found");
}

#[test]
fn births_and_numbers_know_better_than_times() {
    for (files, expected) in [
        // All were touched.
        ([("m.2", 20, Some(1)), ("m.1", 10, Some(2))], "m.2 m.1"),
        // It counts upwards.
        ([("m.1", 10, Some(1)), ("m.2", 20, Some(2))], "m.1 m.2"),
        // Somebody copied both to here in the order of their names.
        ([("m.2", 10, Some(6)), ("m.1", 20, Some(5))], "m.2 m.1"),
        // Of one of them the birth is not known.
        ([("m.1", 10, None), ("m.2", 20, Some(2))], "m.1 m.2"),
    ] {
        let evidence = files.map(|(name, mtime_ns, born_ns)| Evidence {
            name: name.as_bytes(),
            mtime_ns,
            born_ns,
            id: id(7),
        });
        let placed = arrange(b"m", &evidence);
        let mut order = [0, 1];
        order.sort_by_key(|&at| placed[at].age);
        let names = order.map(|at| files[at].0);
        assert_eq!(names.join(" "), expected, "{files:?}");
    }
}

#[test]
fn births_of_one_moment_do_not_keep_others_from_telling_the_order() {
    let files = [("m.3", 30, 5), ("m.2", 20, 9), ("m.1", 10, 9)];
    let evidence = files.map(|(name, mtime_ns, born_ns)| Evidence {
        name: name.as_bytes(),
        mtime_ns,
        born_ns: Some(born_ns),
        id: id(7),
    });
    let placed = arrange(b"m", &evidence);
    assert!(placed[0].age < placed[1].age && placed[1].age < placed[2].age);
    assert!(placed.iter().all(|it| it.beside.is_counted));
}

#[test]
fn births_that_do_not_confirm_the_times_leave_a_doubt() {
    for (births, is_doubtful) in [
        // It counts upwards.
        ([Some(1), Some(11), Some(21)], false),
        // The one with the greatest number was created first.
        ([Some(11), Some(21), Some(1)], true),
        // All were written before they were created: the clock was set back again and again.
        ([Some(11), Some(21), Some(31)], true),
        ([None, Some(11), Some(21)], false),
    ] {
        let files = [("m.1", 10), ("m.2", 20), ("m.3", 30)];
        let evidence: Vec<Evidence<'_>> = (0..3)
            .map(|n| Evidence {
                name: files[n].0.as_bytes(),
                mtime_ns: files[n].1,
                born_ns: births[n],
                id: id(n as u64),
            })
            .collect();
        let placed = arrange(b"m", &evidence);
        assert!(placed[0].age < placed[1].age && placed[1].age < placed[2].age);
        let is_any = placed[0].is_doubtful_beside(&placed[1]);
        assert_eq!(is_any, is_doubtful, "{births:?}");
    }
}

#[test]
fn next_newer_steps_through_all_of_them() {
    let all = [(1, 30), (1, 31), (7, 10)].map(|(time, inode)| Age::of(time, id(inode)));
    let mut at = Age::at(0, id(99));
    let mut seen = Vec::new();
    while let Some(next) = next_newer(all.iter().copied(), at) {
        seen.push(next.id.inode.0);
        at = next;
    }
    assert_eq!(seen, [30, 31, 10]);
}

#[test]
fn a_remembered_generation_is_not_its_own_successor() {
    let all = [Age::of(7, id(10))];
    assert_eq!(next_newer(all.into_iter(), Age::at(7, id(10))), None);
    let next = next_newer(all.into_iter(), Age::at(7, id(11)));
    assert_eq!(next, Some(all[0]));
}

#[test]
fn weekdays_begin_anew_on_any_day() {
    for first in 0..7 {
        for days in 5..=7 {
            let names: Vec<String> = (0..days)
                .map(|day| format!("m.{}", (first + day) % 7))
                .collect();
            let files: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(100..).collect();
            let row: Vec<String> = files
                .iter()
                .map(|(n, time)| format!("{n}={time}"))
                .collect();
            assert_eq!(arranged("m", &files, |at| at as u64 + 1), row.join(" "));
        }
    }
}

#[test]
fn odd_names_are_no_trouble() {
    for name in [
        "",
        "@",
        "@zz",
        "99999999999999999999999",
        "a",
        "@ffffffffffffffffffffffff",
        "2026",
        "2026-",
        "2026-1",
        "2026-11-",
        "2026-W",
        "2026-W4",
        "20261129-",
        "20261129-1",
        "20261129T10:",
        "9-",
        "2026-11-29_10:3",
        "2026-11-29_10:30:",
        "m2026-13-01",
        "00000000000000",
    ] {
        for live in ["", "m", ".", "2026", "a.b"] {
            let files = [(name, 1), ("m.1", 2)];
            assert!(
                !arranged(live, &files, |at| at as u64 + 1).is_empty(),
                "{name}"
            );
        }
    }
    assert!(arrange(b"m", &[]).is_empty());
}
