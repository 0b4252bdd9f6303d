//! The init scripts for OpenWrt: what they write from UCI, and what they ask of procd. Neither is here, so a few lines
//! of shell stand for `/etc/rc.common`, with the functions that its documentation promises.

use std::process::Command;

use super::{Place, run, shipped, succeeds};
use crate::common::outside_program;
use crate::common::process::Ended;

/// UCI and procd as the scripts see them. A configuration is a list of shell variables, `SECTION__OPTION` and
/// `SECTION__TYPE`; what was said as `option` where a list is meant stands in OPTIONS. What procd is told is printed.
const RC_COMMON: &str = r#"
config_load() { . "$UCI_DIR/$1"; }
# Of a list it tells the number of values, too.
config_get() {
	case $3 in
	*_LENGTH)
		eval "$1="
		is_list "$2" "${3%_LENGTH}" && eval "$1=1"
		return 0
		;;
	esac
	eval "$1=\"\${${2}__$3:-\$4}\""
}
is_list() {
	case " $OPTIONS " in *" $1.$2 "*) return 1 ;; esac
	[ -n "$(eval "echo \"\$${1}__$2\"")" ]
}
config_get_bool() {
	config_get "$@"
	case "$(eval "echo \"\$$1\"")" in 1|on|true|yes|enabled) eval "$1=1" ;; *) eval "$1=0" ;; esac
}
config_foreach() {
	for section in $SECTIONS; do
		[ "$(eval "echo \"\$${section}__TYPE\"")" != "$2" ] || "$1" "$section"
	done
}
config_list_foreach() {
	is_list "$1" "$2" || return 0
	eval "set -- \"\$3\" \${${1}__$2}"
	function=$1
	shift
	for item in "$@"; do "$function" "$item"; done
}
procd_open_instance() { echo "instance {"; }
procd_set_param() { echo "$*"; }
procd_close_instance() { echo "}"; }
procd_running() { [ "${RUNNING:-1}" = 1 ]; }
start() { start_service; }
stop() { echo "stop"; }
procd_send_signal() { echo "signal $*"; }
procd_add_reload_trigger() { echo "trigger $*"; }
procd_add_interface_trigger() { echo "interface trigger $*"; }
procd_add_jail() { echo "jail $*"; }
procd_add_jail_mount() { echo "mount $*"; }
network_get_ipaddr() { eval "$1=\"\${ADDRESS:-}\""; [ -n "${ADDRESS:-}" ]; }
extra_command() { :; }
logger() { shift 5; echo "logged: $*" >&2; }
. "$SCRIPT"
"$ACTION"
"#;

struct Router {
    place: Place,
    name: &'static str,
}

impl Router {
    fn new(name: &'static str, uci: &str) -> Option<Router> {
        outside_program("busybox")?;
        let place = Place::new();
        place.write("rc.common", RC_COMMON);
        place.write(&format!("uci/{name}"), uci);
        let script =
            std::fs::read_to_string(shipped(&format!("openwrt/files/{name}.init"))).unwrap();
        let here = format!("{}/", place.dir.path().display());
        place.write("init", &script.replace("/usr/sbin/", &here));
        Some(Router { place, name })
    }

    fn does(&self, action: &str) -> Command {
        let mut command = Command::new("busybox");
        command
            .arg("sh")
            .arg(self.place.path("rc.common"))
            .env("UCI_DIR", self.place.path("uci"))
            .env("SCRIPT", self.place.path("init"))
            .env("ACTION", action)
            .env("NETWORK_SH", "/dev/null")
            .env("GEN_NUMBERS_NATIVE", self.place.path("native"))
            .env("FETCH_LOGS_NATIVE", self.place.path("native"));
        command
    }

    fn says(&self, action: &str) -> Ended {
        run(self.does(action))
    }

    /// The native configuration without its comments.
    fn native(&self) -> String {
        let text = self.place.read("native");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

const SERVER: &str = r"
SECTIONS='main log1 log2'
main__TYPE=gen_numbers
main__enabled=1
main__bind_addr=10.4.3.5
main__bind_port=1019
main__grace=2.5
main__allow='10.4.3.1 2001:db8::/32'
log1__TYPE=log
log1__path=/var/log/messages
log1__rotated='/var/log/messages.old /var/log/messages.[0-9]'
log2__TYPE=log
log2__path=/var/log/boot.log
";

#[test]
fn the_servers_configuration_is_written_from_uci() {
    let Some(router) = Router::new("gen_numbers", SERVER) else {
        return;
    };
    let started = succeeds(router.does("start_service")).stdout;
    let native = router.place.path("native");
    let command = format!(
        "command {} -s -c {}\n",
        router.place.path("gen_numbers").display(),
        native.display()
    );
    assert!(started.contains(&command), "{started}");
    assert_eq!(
        router.native(),
        "$bind_addr = '10.4.3.5';\n\
         $bind_port = '1019';\n\
         $grace = '2.5';\n\
         $hosts_allow{'10.4.3.1'} = 1;\n\
         $hosts_allow{'2001:db8::/32'} = 1;\n\
         $files{'/var/log/messages'} = '/var/log/messages.old /var/log/messages.[0-9]';\n\
         $files{'/var/log/boot.log'} = '';\n\
         1;\n"
    );
}

/// `uci set gen_numbers.main.allow=...` makes an option. A list of one would be the same to whoever typed it.
#[test]
fn an_option_where_a_list_is_meant_is_taken_for_its_words() {
    let more = "OPTIONS='main.allow log1.rotated'\n";
    let Some(router) = Router::new("gen_numbers", &format!("{SERVER}{more}")) else {
        return;
    };
    succeeds(router.does("start_service"));
    let native = router.native();
    for line in [
        "$hosts_allow{'10.4.3.1'} = 1;\n$hosts_allow{'2001:db8::/32'} = 1;\n",
        "$files{'/var/log/messages'} = '/var/log/messages.old /var/log/messages.[0-9]';\n",
    ] {
        assert!(native.contains(line), "{native}");
    }
    let uci = "SECTIONS='main a'\nOPTIONS=a.option\nmain__TYPE=fetch_logs\nmain__enabled=1\n\
               main__snmp_dir=/tmp/snmp\na__TYPE=source\na__address=10.4.3.5\na__remote=/var/log/messages\n\
               a__local=/mnt/5\na__option='proto=v2 history=all'\n";
    let Some(router) = Router::new("fetch_logs", uci) else {
        return;
    };
    succeeds(router.does("start_service"));
    let native = router.native();
    assert!(native.ends_with(" proto=v2 history=all\n"), "{native}");
}

#[test]
fn what_is_shipped_is_a_configuration_that_works() {
    // The example as UCI would hand it over.
    let uci = "SECTIONS='main l'\nmain__TYPE=gen_numbers\nmain__enabled=1\nmain__bind_addr=0.0.0.0\nmain__bind_port=19\n\
               l__TYPE=log\nl__path=/var/log/messages\nl__rotated=/var/log/messages.old\n";
    let example = std::fs::read_to_string(shipped("openwrt/files/gen_numbers.config")).unwrap();
    for value in [
        "'0.0.0.0'",
        "'19'",
        "'/var/log/messages'",
        "'/var/log/messages.old'",
    ] {
        assert!(example.contains(value), "{value}");
    }
    if let Some(router) = Router::new("gen_numbers", uci) {
        succeeds(router.does("start_service"));
    }
}

#[test]
fn nothing_in_uci_becomes_perl() {
    let uci = r"
SECTIONS='main log1'
main__TYPE=gen_numbers
main__enabled=1
log1__TYPE=log
log1__path='/var/log/it'\''s'
log1__rotated='/var/log/back\slash.*'
";
    if let Some(router) = Router::new("gen_numbers", uci) {
        succeeds(router.does("start_service"));
        let native = router.native();
        assert!(
            native.contains(r"$files{'/var/log/it\'s'} = '/var/log/back\\slash.*';"),
            "{native}"
        );
    }
}

#[test]
fn a_fault_keeps_the_configuration_that_works() {
    let Some(router) = Router::new("gen_numbers", SERVER) else {
        return;
    };
    succeeds(router.does("start_service"));
    let before = router.native();
    router
        .place
        .write("uci/gen_numbers", &SERVER.replace("1019", "101900"));
    let ended = router.says("reload_service");
    assert_ne!(ended.status, Some(0));
    let words = "logged: option bind_port of section main: a port is";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert!(!ended.stdout.contains("instance"), "{}", ended.stdout);
    assert_eq!(router.native(), before);
    router.place.write("uci/gen_numbers", SERVER);
    // Procd compares the instance with the one that runs, and sends the signal if the file is another one.
    let started = succeeds(router.does("reload_service")).stdout;
    let native = format!("file {}\n", router.place.path("native").display());
    assert!(started.contains(&native), "{started}");
    assert!(started.contains("reload_signal HUP\n"), "{started}");
}

#[test]
fn a_section_that_is_faulty_is_named_and_the_others_start() {
    let uci = r"
SECTIONS='main good bad none off'
main__TYPE=gen_numbers
main__enabled=1
good__TYPE=log
good__path=/var/log/messages
bad__TYPE=log
bad__path=var/log/relative
none__TYPE=log
off__TYPE=log
off__enabled=0
off__path=/var/log/off
";
    let Some(router) = Router::new("gen_numbers", uci) else {
        return;
    };
    let ended = succeeds(router.does("start_service"));
    assert!(ended.stdout.contains("instance {"), "{}", ended.stdout);
    assert_eq!(router.native(), "$files{'/var/log/messages'} = '';\n1;\n");
    for words in [
        "logged: section bad of kind log is left out: ",
        "logged: section none of kind log has no path; it is left out",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("off"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("left out: \n"), "{}", ended.stderr);
}

#[test]
fn a_source_that_is_faulty_is_named_and_the_others_start() {
    let uci = "SECTIONS='main a b c d e'\nmain__TYPE=fetch_logs\nmain__enabled=1\nmain__snmp_dir=/tmp/snmp\nmain__keep_free=10%\n\
               a__TYPE=source\na__address=10.4.3.5\na__remote=/var/log/messages\na__local='/mnt/a b'\n\
               b__TYPE=source\nb__address=10.4.3.6\nb__port=99999\nb__remote=/m\nb__local=/mnt/6\n\
               c__TYPE=source\nc__address=10.4.3.7\nc__local=/mnt/7\n\
               d__TYPE=source\nd__enabled=0\n\
               e__TYPE=source\ne__address=10.4.3.8\ne__remote=/m\ne__local=/mnt/8\ne__history=all\ne__proto=v2\n\
               e__name=eight\ne__max=2G\n";
    let Some(router) = Router::new("fetch_logs", uci) else {
        return;
    };
    let ended = succeeds(router.does("start_service"));
    assert!(ended.stdout.contains("reload_signal HUP\n"));
    assert_eq!(
        router.native(),
        "defaults keep_free=10%\n\
         10.4.3.5 19 /var/log/messages \"/mnt/a b\" \"/mnt/a b.pointer\"\n\
         10.4.3.8 19 /m /mnt/8 /mnt/8.pointer name=eight history=all proto=v2 max=2G\n"
    );
    for words in [
        "logged: section b of kind source is left out: ",
        "logged: section c of kind source has no remote; it is left out",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("left out: \n"), "{}", ended.stderr);
}

#[test]
fn sources_that_are_faulty_beside_another_one_are_named_and_the_others_start() {
    let uci = "SECTIONS='main a b c d e f'\nmain__TYPE=fetch_logs\nmain__enabled=1\nmain__snmp_dir=/tmp/snmp\n\
               main__keep_free=lots\n\
               a__TYPE=source\na__address=10.4.3.5\na__remote=/m\na__local=/mnt/5\n\
               b__TYPE=source\nb__address=10.4.3.6\nb__remote=/m\nb__local=/mnt/5\n\
               c__TYPE=source\nc__address=10.4.3.7\nc__remote=/m\nc__local=/mnt/7\nc__pointer=/mnt/5\n\
               d__TYPE=source\nd__address=10.4.3.8\nd__remote=/m\nd__local=/mnt/8\nd__name='my box'\n\
               e__TYPE=source\ne__address='#10.4.3.9'\ne__remote=/m\ne__local=/mnt/9\n\
               f__TYPE=source\nf__address=10.4.3.9\nf__remote=/m\nf__local=/mnt/9\n";
    let Some(router) = Router::new("fetch_logs", uci) else {
        return;
    };
    let ended = succeeds(router.does("start_service"));
    assert!(ended.stdout.contains("instance {"), "{}", ended.stdout);
    assert_eq!(
        router.native(),
        "10.4.3.5 19 /m /mnt/5 /mnt/5.pointer\n10.4.3.9 19 /m /mnt/9 /mnt/9.pointer\n"
    );
    for words in [
        "logged: option keep_free of section main is left out: keep_free= is ",
        "logged: section b of kind source is left out: LOCAL_FILE is the LOCAL_FILE of section a as well",
        "logged: section c of kind source is left out: POINTER_FILE is the LOCAL_FILE of section a as well",
        "logged: section d of kind source is left out: 'name=my box' has to be one word",
        "logged: section e of kind source is left out: '#10.4.3.9' has to be one word",
    ] {
        assert_eq!(ended.stderr.matches(words).count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn what_is_faulty_in_main_is_named_and_the_server_starts() {
    let uci = SERVER
        .replace("main__grace=2.5", "main__grace=soon\nmain__max_clients=9")
        .replace("10.4.3.1 ", "10.4.3.1 10.4.0.0/99 loghost ");
    let Some(router) = Router::new("gen_numbers", &uci) else {
        return;
    };
    let ended = succeeds(router.does("start_service"));
    let native = router.native();
    assert!(native.contains("$max_clients = '9';\n"), "{native}");
    assert!(!native.contains("$grace"), "{native}");
    assert_eq!(native.matches("$hosts_allow").count(), 2, "{native}");
    assert_eq!(native.matches("$files").count(), 2, "{native}");
    for words in [
        "logged: option grace of section main is left out: a number of seconds",
        "logged: '10.4.0.0/99' in list allow of section main is left out: ",
        "logged: 'loghost' in list allow of section main is left out: an address",
    ] {
        assert_eq!(ended.stderr.matches(words).count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_second_section_of_the_same_path_is_left_out() {
    let uci = SERVER.replace("/var/log/boot.log", "/var/log/messages");
    let Some(router) = Router::new("gen_numbers", &uci) else {
        return;
    };
    let ended = succeeds(router.does("start_service"));
    let native = router.native();
    assert_eq!(native.matches("$files").count(), 1, "{native}");
    assert!(native.contains("/var/log/messages.old"), "{native}");
    let words = "logged: section log2 of kind log is left out: another section has the path";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

#[test]
fn the_address_may_be_that_of_an_interface() {
    let uci = SERVER.replace("main__bind_addr=10.4.3.5", "main__interface=lan");
    let Some(router) = Router::new("gen_numbers", &uci) else {
        return;
    };
    let without = router.says("start_service");
    assert_ne!(without.status, Some(0));
    assert!(
        without
            .stderr
            .contains("the interface lan has no address now")
    );
    assert_eq!(without.stdout, "");
    let mut with = router.does("start_service");
    with.env("ADDRESS", "192.168.1.1");
    succeeds(with);
    assert!(router.native().contains("$bind_addr = '192.168.1.1';\n"));
    let triggers = succeeds(router.does("service_triggers")).stdout;
    assert_eq!(
        triggers,
        "trigger gen_numbers\ninterface trigger interface.*.up lan /etc/init.d/gen_numbers reload\n"
    );
}

#[test]
fn a_jail_sees_the_directories_of_the_logs() {
    let uci = SERVER.replace("main__grace", "main__jail=1\nmain__grace");
    let Some(router) = Router::new("gen_numbers", &uci) else {
        return;
    };
    let mut command = router.does("start_service");
    command.env("UJAIL", "/bin/sh");
    let started = succeeds(command).stdout;
    assert!(started.contains("no_new_privs 1\n"), "{started}");
    assert!(
        started.contains("jail gen_numbers log procfs\n"),
        "{started}"
    );
    assert_eq!(started.matches("mount /var/log\n").count(), 1, "{started}");
    let mut command = router.does("start_service");
    command.env("UJAIL", "/nonexistent");
    assert!(!succeeds(command).stdout.contains("jail"));
}

#[test]
fn a_jail_sees_the_directories_of_rotated_files_and_of_patterns() {
    let uci = r"
SECTIONS='main a b c'
main__TYPE=gen_numbers
main__enabled=1
main__jail=1
a__TYPE=log
a__path=/var/log/messages
a__rotated='/var/log/messages.old /mnt/old/messages.*'
b__TYPE=log
b__path='/etc/*/current'
b__rotated='%p.[0-9] /mnt/{x,y}/m'
c__TYPE=log
c__path='/srv/my logs/m'
";
    let Some(router) = Router::new("gen_numbers", uci) else {
        return;
    };
    let mut command = router.does("start_service");
    command.env("UJAIL", "/bin/sh");
    let started = succeeds(command).stdout;
    let mounts: Vec<&str> = started
        .lines()
        .filter_map(|line| line.strip_prefix("mount "))
        .skip(1)
        .collect();
    assert_eq!(mounts, ["/var/log", "/mnt/old", "/etc", "/mnt", "/srv"]);
}

#[test]
fn an_interface_that_comes_up_asks_all_boxes_again() {
    let uci = "SECTIONS=main\nmain__TYPE=fetch_logs\nmain__interface=wan\n";
    let Some(router) = Router::new("fetch_logs", uci) else {
        return;
    };
    let triggers = succeeds(router.does("service_triggers")).stdout;
    assert!(triggers.contains("interface.*.up wan /etc/init.d/fetch_logs interface_is_up\n"));
    let said = succeeds(router.does("interface_is_up")).stdout;
    assert_eq!(said, "signal fetch_logs * HUP\n");
}

#[test]
fn the_collectors_configuration_is_written_from_uci() {
    let uci = "SECTIONS='main a b'\nmain__TYPE=fetch_logs\nmain__enabled=1\nmain__snmp_dir=/tmp/snmp\n\
               a__TYPE=source\na__address=10.4.3.5\na__remote=/var/log/messages\na__local=/mnt/5\n\
               b__TYPE=source\nb__address=2001:db8::6\nb__port=1019\nb__remote=/var/log/messages\nb__local=/mnt/6\n\
               b__pointer=/mnt/p6\nb__option='proto=v2 history=all'\n";
    let Some(router) = Router::new("fetch_logs", uci) else {
        return;
    };
    let started = succeeds(router.does("start_service")).stdout;
    assert!(started.contains(" -s /tmp/snmp "), "{started}");
    assert_eq!(
        router.native(),
        "10.4.3.5 19 /var/log/messages /mnt/5 /mnt/5.pointer\n\
         2001:db8::6 1019 /var/log/messages /mnt/6 /mnt/p6 proto=v2 history=all\n"
    );
}

#[test]
fn what_is_not_enabled_is_not_started() {
    for (name, uci) in [
        ("gen_numbers", "SECTIONS=main\nmain__TYPE=gen_numbers\n"),
        ("fetch_logs", "SECTIONS=main\nmain__TYPE=fetch_logs\n"),
    ] {
        if let Some(router) = Router::new(name, uci) {
            let ended = router.says("start_service");
            assert_ne!(ended.status, Some(0));
            assert_eq!(ended.stdout, "", "{}", router.name);
        }
    }
}

#[test]
fn a_reload_starts_what_was_enabled_and_stops_what_was_disabled() {
    for name in ["gen_numbers", "fetch_logs"] {
        let uci = |enabled| {
            format!(
                "SECTIONS=main\nmain__TYPE={name}\nmain__enabled={enabled}\nmain__snmp_dir=/tmp/snmp\n"
            )
        };
        let Some(router) = Router::new(name, &uci(1)) else {
            return;
        };
        let mut reload = router.does("reload_service");
        reload.env("RUNNING", "0");
        let started = succeeds(reload).stdout;
        assert!(started.contains("instance {\ncommand "), "{started}");
        router.place.write(&format!("uci/{name}"), &uci(0));
        assert_eq!(succeeds(router.does("reload_service")).stdout, "stop\n");
    }
}

#[test]
fn a_change_of_the_configuration_is_a_reload() {
    for name in ["gen_numbers", "fetch_logs"] {
        if let Some(router) = Router::new(name, "") {
            let ended = succeeds(router.does("service_triggers"));
            assert_eq!(ended.stdout, format!("trigger {name}\n"));
        }
    }
}

#[test]
fn the_recipe_has_the_version_and_the_files_that_exist() {
    let recipe = std::fs::read_to_string(shipped("openwrt/Makefile")).unwrap();
    let version = format!("\nPKG_VERSION:={}\n", env!("CARGO_PKG_VERSION"));
    assert!(recipe.contains(&version));
    let files: Vec<&str> = recipe
        .split_whitespace()
        .filter(|word| word.starts_with("./files/"))
        .collect();
    assert_eq!(files.len(), 4);
    for field in ["HOMEPAGE", "URL", "HASH", "NAME", "ADDRESS"] {
        assert!(recipe.contains(&format!("PUBLISHER-{field}")), "{field}");
    }
    assert!(recipe.contains("\ninclude ../../lang/rust/rust-package.mk\n"));
    for file in files {
        assert!(shipped("openwrt").join(file).is_file(), "{file}");
    }
}

/// What the feed's own tests do with the packages.
#[test]
fn the_feeds_test_passes() {
    if outside_program("busybox").is_none() {
        return;
    }
    let place = Place::new();
    let init = shipped("gen_numbers-init");
    std::os::unix::fs::symlink(init, place.path("gen_numbers-init")).unwrap();
    let path = format!(
        "{}:{}",
        place.dir.path().display(),
        std::env::var("PATH").unwrap()
    );
    for (package, version, status) in [
        ("fetchlogs-server", env!("CARGO_PKG_VERSION"), 0),
        ("fetchlogs-collector", env!("CARGO_PKG_VERSION"), 0),
        ("fetchlogs-server", "9.9", 1),
        ("fetchlogs-collector", "9.9", 1),
    ] {
        let mut command = Command::new("busybox");
        command
            .arg("sh")
            .arg(shipped("openwrt/test.sh"))
            .args([package, version])
            .env("PATH", &path);
        let ended = run(command);
        assert_eq!(ended.status, Some(status), "{package}: {}", ended.stderr);
    }
}
