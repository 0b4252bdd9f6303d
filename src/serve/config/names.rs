//! Tests of the names of logs: their bytes, and those of series.

use std::path::Path;

use super::*;

#[test]
fn any_other_byte_may_be_in_a_path() {
    let text = b"$files{\"/var/My Log/\\\"a\\\\\\t\\x01\\x7f\xc3\xbc.log\"} = '\"/var/My Log/*.[0-9]\" /v/*';";
    let config = Config::parse(text).unwrap();
    assert!(
        config
            .index_of(Path::new("/var/My Log/\"a\\\t\x01\x7f\u{fc}.log"))
            .is_some()
    );
}

#[test]
fn a_series_is_a_log_of_its_own_kind() {
    let text = b"$files{'/a'} = '/a.*'; $series{'/b'} = '/b-*'; %series = ('/c' => '/c-*', '/a' => '/x-*');";
    let config = Config::parse(text).unwrap();
    let all: Vec<_> = config
        .files
        .iter()
        .map(|it| (it.path.to_str().unwrap(), it.is_series))
        .collect();
    // A whole hash leaves nothing of what was said of it before, and the last word counts.
    assert_eq!(all, [("/a", true), ("/c", true)]);
    let text = b"$series{'/b'} = '/b-*'; $files{'/b'} = undef; $files{'/c'} = ''; %files = ();";
    let config = Config::parse(text).unwrap();
    assert_eq!(config.files.len(), 1);
    assert!(config.files[0].is_series);
    for (text, problem) in [
        ("$series{'/b'} = '';", Problem::SeriesEmpty),
        ("$series{'b'} = '/b-*';", Problem::PathNotAbsolute),
        ("$series = '/b-*';", Problem::IsHash(Hash::Series)),
    ] {
        let errors = Config::parse(text.as_bytes()).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().problem, problem, "{text}");
    }
}
