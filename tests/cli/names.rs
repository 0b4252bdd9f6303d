//! The name the program is called by, and the configuration beside it.

use std::os::unix::fs::symlink;

use super::*;

/// A directory with a link to the program under this name.
fn linked(name: &str) -> Place {
    let place = Place::new();
    fs::remove_file(place.path("gen_numbers.pl.locals")).unwrap();
    symlink(FETCHLOGS, place.path(name)).unwrap();
    place
}

/// A configuration whose fault tells that it was read.
const FAULTY: &str = "nonsense";

/// The command that checks the default configuration of the program of this name.
fn checking(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.arg("-t");
    command
}

#[test]
fn a_link_named_like_an_applet_runs_it() {
    let version = env!("CARGO_PKG_VERSION");
    for applet in APPLETS {
        for name in [applet.to_owned(), format!("{applet}.pl")] {
            let place = linked(&name);
            let mut command = Command::new(place.path(&name));
            command.arg("-V");
            assert_eq!(run(command).stdout, format!("{applet} {version}\n"));
        }
    }
}

#[test]
fn any_other_name_leaves_the_choice_to_the_first_argument() {
    for name in ["fetchlogs", "gen_numbers.py", "gen_numbers.pl.pl", "pl"] {
        let place = linked(name);
        let mut command = Command::new(place.path(name));
        command.args(["snmp_from_file", "-V"]);
        assert!(run(command).stdout.starts_with("snmp_from_file "), "{name}");
    }
}

#[test]
fn the_own_name_decides_even_if_an_applet_follows() {
    let place = linked("gen_numbers.pl");
    let mut command = Command::new(place.path("gen_numbers.pl"));
    command.args(["fetch_logs", "-V"]);
    assert!(run(command).stdout.starts_with("gen_numbers "));
}

#[test]
fn the_default_configuration_stands_beside_the_link() {
    for name in ["gen_numbers", "gen_numbers.pl"] {
        let place = linked(name);
        let config = format!("{name}.locals");
        place.write(&config, FAULTY);
        let faulty = run(checking(place.path(name)));
        assert_eq!(faulty.status, Some(78));
        let fault = format!("{}:1:1: ", place.path(&config).display());
        assert!(faulty.stderr.starts_with(&fault), "{faulty:?}");
        place.write(&config, "");
        let good = run(checking(place.path(name)));
        assert_eq!(good.status, Some(0));
    }
}

#[test]
fn a_link_found_by_the_shell_has_its_configuration_beside_it_too() {
    let place = linked("gen_numbers.pl");
    place.write("gen_numbers.pl.locals", FAULTY);
    let config = place.path("gen_numbers.pl.locals").display().to_string();
    let path = format!("/nonexistent:{}", place.dir.path().display());
    let mut on_path = checking("gen_numbers.pl");
    on_path.env("PATH", path);
    let mut in_its_directory = checking("./gen_numbers.pl");
    in_its_directory.current_dir(place.dir.path());
    for command in [on_path, in_its_directory] {
        let ended = run(command);
        assert_eq!(ended.status, Some(78), "{ended:?}");
        let fault = format!("{config}:1:1: ");
        assert!(ended.stderr.starts_with(&fault), "{ended:?}");
    }
}

#[test]
fn an_option_names_another_configuration() {
    let place = linked("gen_numbers.pl");
    place.write("gen_numbers.pl.locals", FAULTY);
    place.write("other", "");
    let mut command = checking(place.path("gen_numbers.pl"));
    command.arg("-c").arg(place.path("other"));
    let ended = run(command);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn beside_the_program_itself_nothing_is_looked_for() {
    let place = linked("fetchlogs");
    place.write("fetchlogs.locals", FAULTY);
    place.write("gen_numbers.locals", FAULTY);
    let mut command = Command::new(place.path("fetchlogs"));
    command.args(["gen_numbers", "-t"]);
    let ended = run(command);
    let dir = place.dir.path().display().to_string();
    assert!(!ended.stderr.contains(&dir), "{ended:?}");
}

#[test]
fn a_relative_path_is_told_in_full() {
    let place = Place::new();
    place.write("relative.conf", FAULTY);
    let mut command = fetchlogs(["gen_numbers", "-t", "-c", "relative.conf"]);
    command.current_dir(place.dir.path());
    let ended = run(command);
    let fault = format!("{}:1:1: ", place.path("relative.conf").display());
    assert!(ended.stderr.starts_with(&fault), "{ended:?}");
}

#[test]
fn the_settings_of_the_helper_of_1_1_stand_beside_the_link() {
    let place = linked("snmp_from_file.pl");
    fs::create_dir(place.path("data")).unwrap();
    place.write("data/10.0.0.1", "OK\n");
    let ask = |text: &str, options: &[&str]| {
        place.write("snmp_from_file.pl.locals", text);
        place.write("question", "get\n.1.3.6.1.4.99.7.10.0.0.1\n");
        let mut command = Command::new(place.path("snmp_from_file.pl"));
        let question = fs::File::open(place.path("question")).unwrap();
        let ended = command.args(options).stdin(question).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ended.status.code(), text(ended.stdout), text(ended.stderr))
    };
    let data = place.path("data").display().to_string();
    let settings = format!("$snmp_data_dir = \"{data}\";\n$root_mib='.1.3.6.1.4.99.7';\n1;\n");
    assert!(ask(&settings, &[]).1.ends_with("\nOK\n"));
    // Options count before it.
    let (_, said, _) = ask(&settings, &["-d", "/nonexistent"]);
    assert!(said.contains("ERR"), "{said}");
    let (status, _, complaint) = ask("$snmp_data_dir = \"$ENV{HOME}\";", &[]);
    assert_eq!(status, Some(78));
    assert!(
        complaint.contains("line 1 is not understood"),
        "{complaint}"
    );
}
