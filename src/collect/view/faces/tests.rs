use super::*;
use crate::wire::table::{Line, Reader, State};

/// Sources that a box names as badly as it can; each third place is empty.
struct Many(usize);

const REMOTE: &[u8] = b"/var/log/\"<script>\\\t\x1b\xff";
const WHY: &str = "the server refuses: </script>\u{1b}[2J\n\"\\\u{202e}";

fn row(place: usize) -> Row<'static> {
    Row {
        server: format!("10.0.{}.{}", place / 256, place % 256).into(),
        remote: REMOTE.into(),
        local: format!("/copies/{place}").into_bytes().into(),
        state: if place.is_multiple_of(2) {
            State::Following
        } else {
            State::Error
        },
        since: Some(1_700_000_000),
        held: 100,
        behind: (!place.is_multiple_of(5)).then_some(3),
        last_byte: None,
        last_contact: Some(1_700_000_001),
        next_try: None,
        losses: u32::from(place.is_multiple_of(7)),
        unverified: 1,
        hooks_waiting: 0,
        is_paused: false,
        why: WHY.into(),
        rotations: 2,
        healed: 3,
        connections: 4,
        bytes: 5,
        address: "10.0.0.1".into(),
    }
}

impl Sources for Many {
    fn places(&self) -> usize {
        self.0
    }

    fn show(&self, place: usize, see: &mut dyn FnMut(&Row<'_>)) {
        if place < self.0 && place % 3 != 2 {
            see(&row(place));
        }
    }
}

fn about() -> About<'static> {
    About {
        collector: Collector {
            since: 1_699_999_999,
            until: None,
            version: "2.0.0".into(),
            is_faulty: true,
            hooks_left: 7,
        },
        servers: 40,
        now: 1_700_000_002,
    }
}

/// All parts of a face. None is long, and the last one is the end.
fn made(face: Face, sources: usize) -> String {
    let (sources, mut making) = (Many(sources), Making::new(face));
    let mut text = String::new();
    for _ in 0..100_000 {
        let mut part = String::new();
        making.make(&sources, &about(), &mut part);
        assert!(part.len() < FACE_PART_LEN + 8 * 1024, "{}", part.len());
        text.push_str(&part);
        if making.is_done() {
            let len = text.len();
            making.make(&sources, &about(), &mut text);
            assert_eq!(text.len(), len);
            return text;
        }
    }
    panic!("no end");
}

#[test]
fn a_table_is_read_back() {
    for sources in [0, 1, 3, 200, 1000] {
        let text = made(Face::Table, sources);
        let mut lines = text.lines();
        let reader = Reader::new(lines.next().unwrap()).unwrap();
        let mut rows = Vec::new();
        let mut end = None;
        for line in lines {
            assert!(end.is_none(), "something follows the end");
            match reader.line(line).unwrap() {
                Line::Source(row) => rows.push(row),
                Line::End(collector) => end = Some(collector),
            }
        }
        let wanted: Vec<_> = (0..sources).filter(|at| at % 3 != 2).map(row).collect();
        assert_eq!(rows, wanted);
        assert_eq!(end, Some(about().collector));
    }
}

#[test]
fn nothing_of_a_box_is_obeyed_by_anybody() {
    for face in [Face::Table, Face::Json, Face::Metrics] {
        let text = made(face, 4);
        assert!(text.contains("10.0.0.1"));
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7f}']), "{face:?}");
        assert!(text.chars().all(|c| c >= ' ' || c == '\n' || c == '\t'));
        let has_markup = text.contains('<');
        assert!(!has_markup || face != Face::Json);
    }
}

#[test]
fn json_names_every_source_and_the_sums() {
    let text = made(Face::Json, 4);
    assert_eq!(text.matches("\"box\":").count(), 3);
    let remote = r#""remote_file":"/var/log/\"\u003cscript\u003e\\\\\\x09\\x1b\\xff""#;
    assert!(text.contains(remote), "{text}");
    let sums = r#""summary":{"servers":40,"sources":3,"following":1,"error":2,"connecting":0,"with_losses":1,"behind":6}"#;
    assert!(text.contains(sums), "{text}");
    assert!(text.contains("\"behind\":null,\"last_byte\":null,\"last_contact\":1700000001"));
    assert!(text.ends_with(",\"now\":1700000002,\"faulty\":true,\"hooks_left\":7}}\n"));
}

#[test]
fn the_samples_of_a_metric_stand_together() {
    let text = made(Face::Metrics, 700);
    let mut seen: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(name.starts_with("fetchlogs_"));
        if seen.last() != Some(&name) {
            assert!(!seen.contains(&name), "{name}");
            seen.push(name);
        }
    }
    for name in &seen {
        assert_eq!(
            text.matches(&format!("# TYPE {name} ")).count(),
            1,
            "{name}"
        );
    }
    assert_eq!(text.matches("\nfetchlogs_source_held_bytes{").count(), 467);
    let sample = r#"fetchlogs_source_held_bytes{box="10.0.0.1",log="/var/log/\"<script>\\\\\\x09\\x1b\\xff",copy="/copies/1"} 100"#;
    assert!(text.contains(sample), "{text}");
    let errors = (0..700).filter(|at| at % 3 != 2 && at % 2 == 1).count();
    assert!(text.contains(&format!(
        "\nfetchlogs_sources{{state=\"error\"}} {errors}\n"
    )));
    assert!(
        !text.contains("last_byte_timestamp_seconds{"),
        "none is known"
    );
}
