//! Help, versions, and command lines that make no sense.

use super::*;

#[test]
fn help_goes_to_stdout() {
    for applet in APPLETS {
        for help in ["-h", "--help"] {
            let ended = ended([applet, help]);
            assert_eq!(ended.status, Some(0), "{ended:?}");
            let usage = format!("usage: {applet}");
            assert!(ended.stdout.contains(&usage), "{ended:?}");
            assert!(ended.stdout.ends_with('\n'));
            assert_eq!(ended.stderr, "");
        }
    }
}

#[test]
fn help_is_given_whatever_else_is_asked_for() {
    for args in [
        &["gen_numbers", "-t", "-x", "-h"][..],
        &["fetch_logs", "--help", "a", "b", "c"],
        &["snmp_from_file", "-o", "nonsense", "-h"],
    ] {
        let ended = ended(args);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("usage: "));
    }
}

#[test]
fn the_overview_names_every_applet() {
    for help in ["-h", "--help"] {
        let ended = ended([help]);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.starts_with("usage: fetchlogs APPLET"));
        for applet in APPLETS {
            assert!(ended.stdout.contains(&format!("\n  {applet} ")), "{applet}");
        }
    }
}

#[test]
fn versions_are_a_name_and_a_number_and_nothing_else() {
    let version = env!("CARGO_PKG_VERSION");
    for flag in ["-V", "--version"] {
        let ended = ended([flag]);
        assert_eq!(ended.stdout, format!("fetchlogs {version}\n"));
        for applet in APPLETS {
            let ended = super::ended([applet, flag]);
            assert_eq!(ended.status, Some(0));
            assert_eq!(ended.stdout, format!("{applet} {version}\n"));
            assert_eq!(ended.stderr, "");
        }
    }
}

/// Status 2, and on stderr the reason and then the usage.
fn expect_misuse(args: &[&str], name: &str, reason: &str) {
    let ended = ended(args);
    assert_eq!(ended.status, Some(2), "{args:?}: {ended:?}");
    assert_eq!(ended.stdout, "", "{args:?}");
    let first = format!("{name}: {reason}");
    assert!(ended.stderr.starts_with(&first), "{args:?}: {ended:?}");
    let usage = format!("\nusage: {name}");
    assert!(ended.stderr.contains(&usage), "{args:?}: {ended:?}");
}

#[test]
fn without_an_applet_nothing_happens() {
    expect_misuse(&[], "fetchlogs", "name an applet");
    for unknown in ["nonsense", "-x", "", "gen_numbers.sh", "--", "/"] {
        let reason = format!("there is no applet {unknown}");
        expect_misuse(&[unknown], "fetchlogs", &reason);
    }
}

#[test]
fn misuse_of_the_server_is_explained() {
    for (args, reason) in [
        (&["-x"][..], "there is no option -x"),
        (&["--config", "x"], "there is no option --config"),
        (&["-tx"], "there is no option -x"),
        (&["-t", "-c"], "option -c needs a value"),
        (&["-P"], "option -P needs a value"),
        (&["-u"], "option -u needs a value"),
        (&["operand"], "it takes no operands"),
        (&["--", "-t"], "it takes no operands"),
    ] {
        let args = [&["gen_numbers"], args].concat();
        expect_misuse(&args, "gen_numbers", reason);
    }
}

#[test]
fn misuse_of_the_collector_is_explained() {
    let operands = "it takes two operands, SNMP_DIR and CONF";
    for (args, reason) in [
        (&[][..], operands),
        (&["one"], operands),
        (&["one", "two", "three"], operands),
        (&["-c", "x", "one", "two"], "there is no option -c"),
        (&["-r"], "option -r needs a value"),
        (&["-r", "soon", "a", "b"], "option -r takes seconds"),
        (&["-w", "0", "a", "b"], "option -w takes seconds"),
        (&["-i-1", "a", "b"], "option -i takes seconds"),
        (&["-i", "1e9", "a", "b"], "option -i takes seconds"),
    ] {
        let args = [&["fetch_logs"], args].concat();
        expect_misuse(&args, "fetch_logs", reason);
    }
}

#[test]
fn misuse_of_the_snmp_helper_is_explained() {
    for (args, reason) in [
        (&["operand"][..], "it takes no operands"),
        (&["-d"], "option -d needs a value"),
        (&["-o", "enterprises"], "option -o takes a numeric object"),
        (&["-o", ""], "option -o takes a numeric object"),
        (&["-S", "soon"], "option -S takes seconds"),
        (&["-b"], "there is no option -b"),
    ] {
        let args = [&["snmp_from_file"], args].concat();
        expect_misuse(&args, "snmp_from_file", reason);
    }
}
