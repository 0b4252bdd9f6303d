//! Tests of the names of logs: their bytes, and those of series.

use std::path::Path;

use super::*;
use crate::serve::glob::PatternError;

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

#[test]
fn bytes_may_have_a_letter() {
    for (text, bytes) in [
        ("0", 0),
        ("'512'", 512),
        ("'64K'", 65_536),
        ("'2M'", 2 << 20),
        ("'3G'", 3 << 30),
    ] {
        assert_eq!(
            Config::parse(format!("$keep_deleted = {text};").as_bytes())
                .unwrap()
                .keep_deleted,
            bytes,
            "{text}"
        );
    }
    assert_eq!(Config::default().keep_deleted, 0);
    for text in ["'M'", "'1T'", "-1", "'1.5M'", "'18446744073709551615K'"] {
        let parsed = Config::parse(format!("$keep_deleted = {text};").as_bytes());
        assert!(parsed.is_err(), "{text}");
    }
}

#[test]
fn a_key_that_is_a_glob_stands_for_all_that_it_finds() {
    let text =
        b"$files{'/v/*.log'} = '%p.*[0-9] %p-old'; $files{'/v/a.log'} = ''; $files{'/w/?'} = '';";
    let config = Config::parse(text).unwrap();
    let keys: Vec<_> = config.families.iter().map(|it| &*it.key).collect();
    assert_eq!(keys, [&b"/v/*.log"[..], b"/w/?"]);
    assert_eq!(config.files.len(), 1);
    // So that a collector can have all of them.
    assert_eq!(config.max_clients_per_ip, 2 * (1 + 2 * 256));
    let entry = config.families[0]
        .entry(Path::new("/v/a b*'{x}.log"))
        .unwrap();
    let finds = entry.patterns.finder();
    assert!(finds(b"/v/a b*'{x}.log.7") && finds(b"/v/a b*'{x}.log-old"));
    assert!(!finds(b"/v/a b!'{x}.log.7") && !finds(b"/v/a b*'x.log.7"));
    let roots = config.families[0].roots();
    assert!(
        roots.iter().all(|root| root == Path::new("/v")),
        "{roots:?}"
    );
}

#[test]
fn a_key_that_is_a_glob_needs_the_path_in_its_value() {
    for (text, problem) in [
        ("$files{'/v/*'} = '/v/*.1';", Problem::FamilyAlike),
        ("$files{'/v/*'} = 'old/%p';", Problem::FamilyAlike),
        (
            "$files{'v/*'} = '%p.1';",
            Problem::Pattern(PatternError::NotAbsolute),
        ),
    ] {
        let errors = Config::parse(text.as_bytes()).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().problem, problem, "{text}");
    }
    let text = b"$files{'/v/*'} = '%p.1'; $files{'/v/*'} = undef; $files{'/v/a\\*b'} = '';";
    let config = Config::parse(text).unwrap();
    assert!(config.families.is_empty());
    assert!(config.index_of(Path::new("/v/a*b")).is_some());
}

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
#[cfg(feature = "noise")]
fn keys_are_read_and_the_last_word_counts() {
    use crate::noise::key::PublicKey;
    let key = PublicKey::parse(KEY.as_bytes()).unwrap();
    let text = format!(
        "$private_key_file = '/k'; $keys_allow{{'{KEY}'}} = 0; $keys_allow{{\"{KEY}\"}} = 1; $require_key = 1;"
    );
    let sealing = Config::parse(text.as_bytes()).unwrap().sealing;
    assert!(sealing.allows(&key) && sealing.is_required);
    assert_eq!(sealing.private_key_file.as_deref(), Some(Path::new("/k")));
    assert_eq!((sealing.fault(), sealing.doubt()), (None, None));
    let text = format!("$keys_allow{{'{KEY}'}} = 1; %keys_allow = (); $require_key = 1;");
    let sealing = Config::parse(text.as_bytes()).unwrap().sealing;
    assert!(!sealing.allows(&key) && sealing.fault().is_some());
    for (text, problem) in [
        ("$keys_allow{'x'} = 1;", Problem::Key),
        (
            &*format!("$keys_allow{{'{KEY}'}} = 'no';"),
            Problem::YesOrNo,
        ),
        ("$private_key_file = 'k';", Problem::KeyFile),
        ("$require_key = 'yes';", Problem::YesOrNo),
    ] {
        let errors = Config::parse(text.as_bytes()).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().problem, problem, "{text}");
    }
}

#[test]
#[cfg(not(feature = "noise"))]
fn whoever_asks_for_keys_without_the_feature_is_told() {
    for text in [
        format!("$keys_allow{{'{KEY}'}} = 1;"),
        "$private_key_file = '/k';".to_owned(),
        "$require_key = 0;".to_owned(),
    ] {
        let errors = Config::parse(text.as_bytes()).unwrap_err();
        assert!(
            errors.to_string().ends_with("without the feature noise\n"),
            "{errors}"
        );
    }
}
