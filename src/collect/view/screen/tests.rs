use super::*;

const NOW: u64 = 1_700_000_000;

fn row(server: &str, state: State) -> Row<'static> {
    Row {
        server: server.to_owned().into(),
        remote: b"/var/log/a-very-long-name/\x1b[2J/messages"
            .as_slice()
            .into(),
        local: format!("/c/{server}").into_bytes().into(),
        state,
        since: Some(NOW - 7200),
        held: 5,
        behind: Some(0),
        last_byte: Some(NOW - 3),
        last_contact: Some(NOW - 1),
        next_try: None,
        losses: 0,
        unverified: 0,
        hooks_waiting: 0,
        is_paused: false,
        why: if state == State::Error {
            "cannot connect: \u{1b}[31mrefused \u{6771}\u{4eac} "
                .repeat(9)
                .into()
        } else {
            "".into()
        },
        rotations: 0,
        healed: 0,
        connections: 0,
        bytes: 100,
        address: "".into(),
    }
}

fn rows(count: usize) -> Vec<Row<'static>> {
    let of = |at: usize| match at % 10 {
        3 => row(&format!("10.0.0.{at}"), State::Error),
        _ => row(&format!("10.0.0.{at}"), State::Following),
    };
    (0..count).map(of).collect()
}

fn shown(count: usize, choice: Choice, height: usize, width: usize) -> Vec<String> {
    on_screen(count, choice, height, width, |screen| screen.lines())
}

/// What this asks of a screen.
fn on_screen<T>(
    count: usize,
    mut choice: Choice,
    height: usize,
    width: usize,
    ask: impl FnOnce(&Screen<'_>) -> T,
) -> T {
    let (mut rows, rates) = (rows(count), Rates::default());
    arrange(&mut rows, &rates, &mut choice);
    ask(&Screen {
        rows: &rows,
        rates: &rates,
        head: "40 sources on 40 servers: 36 followed, 4 in error; nothing behind",
        now: NOW,
        choice,
        height,
        width,
    })
}

const PAGE: Page = Page { down: 20, up: 20 };

#[test]
fn it_fits_every_terminal() {
    for (height, width) in [(24, 80), (40, 120), (10, 40), (3, 20), (1, 1), (100, 300)] {
        for count in [0, 1, 40] {
            let lines = shown(count, Choice::default(), height, width);
            assert_eq!(lines.len(), height.max(1));
            for line in lines {
                assert!(width_of(&line) <= width, "{width}: {line:?}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}

#[test]
fn the_worst_is_first_and_says_why() {
    let lines = shown(40, Choice::default(), 24, 80);
    assert!(lines[0].starts_with("40 sources"));
    assert!(lines[1].starts_with("BOX"));
    assert!(
        lines[2].starts_with("10.0.0.13") && lines[2].contains(" error "),
        "{lines:?}"
    );
    assert!(
        lines[3].starts_with("    cannot connect: \\x1b[31mrefused"),
        "{lines:?}"
    );
    assert!(lines[10].starts_with("10.0.0.0 "), "{lines:?}");
    assert!(lines[23].starts_with("1-17 of 40"), "{lines:?}");
    assert!(lines[23].ends_with("q quit"), "{lines:?}");
    // An address fits, and of a log the end is shown: the beginnings are alike.
    assert!(lines[10].contains("~b[2J/messages following "), "{lines:?}");
    let wide = shown(40, Choice::default(), 40, 120);
    assert!(wide[1].ends_with("WHY"));
    assert!(wide[2].contains("cannot connect") && wide[3].contains("cannot connect"));
}

#[test]
fn the_end_of_a_long_name_is_shown() {
    let cases = [
        ("/var/log/messages", 17, "/var/log/messages"),
        ("/var/log/messages", 9, "~messages"),
        ("/a/\u{6771}\u{4eac}", 4, "~\u{4eac}"),
        ("abc", 1, "~"),
        ("abc", 0, ""),
    ];
    for (text, width, expected) in cases {
        assert_eq!(cut_front(text, width), expected);
    }
}

#[test]
fn keys_choose() {
    let mut choice = Choice::default();
    assert_eq!(choice.press(b"n", PAGE), Key::Choice);
    let lines = shown(40, choice, 24, 80);
    assert!(lines[2].starts_with("10.0.0.0 ") && lines[3].starts_with("10.0.0.1 "));
    choice.press(b"i", PAGE);
    assert!(shown(40, choice, 24, 80)[2].starts_with("10.0.0.9 "));
    choice.press(b"t", PAGE);
    assert!(shown(40, choice, 24, 80)[23].starts_with("1-4 of 4 "));
    choice.press(b"t", PAGE);
    for (key, offset) in [
        (&b"j"[..], 1),
        (b"\x1b[B", 2),
        (b" ", 22),
        (b"k", 21),
        (b"\x1b[5~", 1),
        (b"g", 0),
        (b"\x1b[A", 0),
    ] {
        choice.press(key, PAGE);
        assert_eq!(choice.offset, offset, "{key:?}");
    }
    choice.offset = 1000;
    assert!(shown(40, choice, 24, 80)[23].starts_with("40-40 of 40"));
    assert_eq!(choice.press(b"q", PAGE), Key::Quit);
}

#[test]
fn a_page_further_shows_what_comes_next() {
    // A reason takes a line where the terminal is narrow.
    for (height, width) in [(24, 80), (24, 120), (9, 80), (4, 80), (3, 80)] {
        let place = |choice| shown(40, choice, height, width)[height - 1].clone();
        let page = |choice| on_screen(40, choice, height, width, |screen| screen.page());
        let mut choice = Choice::default();
        let mut starts = Vec::new();
        while choice.offset < 40 {
            starts.push(choice.offset);
            let foot = place(choice);
            choice.press(b" ", page(choice));
            match height {
                3 => assert!(foot.starts_with("0 of 40"), "{foot}"),
                _ => {
                    let last = choice.offset.min(40);
                    let expected = format!("{}-{last} of 40", starts[starts.len() - 1] + 1);
                    assert!(foot.starts_with(&expected), "{foot} {expected}");
                }
            }
        }
        // The way back leaves nothing out either.
        choice.offset = starts.pop().unwrap();
        while choice.offset > 0 {
            let before = choice.offset;
            choice.press(b"\x1b[5~", page(choice));
            let there = page(choice).down;
            assert!(choice.offset < before && choice.offset + there >= before);
        }
    }
}

#[test]
fn who_goes_too_far_down_is_at_the_last_one() {
    let (mut rows, rates) = (rows(40), Rates::default());
    let mut choice = Choice::default();
    for _ in 0..9 {
        choice.press(b" ", PAGE);
        arrange(&mut rows, &rates, &mut choice);
    }
    choice.press(b"k", PAGE);
    assert_eq!(choice.offset, 38);
}

#[test]
fn a_rate_is_what_came_between_two_looks() {
    let (mut rates, mut rows) = (Rates::default(), rows(2));
    rates.note(&rows, 1000);
    assert_eq!(rates.of(&rows[0]), 0);
    rows[0].bytes += 3000;
    rates.note(&rows, 1500);
    assert_eq!([rates.of(&rows[0]), rates.of(&rows[1])], [2000, 0]);
    let mut choice = Choice::default();
    choice.press(b"r", PAGE);
    arrange(&mut rows, &rates, &mut choice);
    assert_eq!(rows[0].bytes, 3100);
    // A collector that was started anew counts anew.
    rows[0].bytes = 5;
    rates.note(&rows, 1000);
    assert_eq!(rates.of(&rows[0]), 0);
}
