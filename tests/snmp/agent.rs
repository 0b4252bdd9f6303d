//! Under net-snmp's own agent, with the example configuration that is shipped.

use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use super::common::process::Guarded;
use super::common::{FETCHLOGS, outside_program};
use super::*;

const EXAMPLE: &str = include_str!("../../conf/snmpd.conf.example");

/// How long the agent may take to start on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `snmpd` that starts our helper.
struct Agent {
    daemon: Guarded,
    port: u16,
    home: TempDir,
    status: StatusFiles,
}

impl Agent {
    /// Starts the agent; `None` where net-snmp is not installed.
    fn start(files: &[(&str, &str)]) -> Option<Agent> {
        Agent::start_with(files, "")
    }

    /// The same with more options of the helper.
    fn start_with(files: &[(&str, &str)], options: &str) -> Option<Agent> {
        for name in ["snmpd", "snmpget", "snmpwalk", "snmpbulkwalk", "snmpset"] {
            outside_program(name)?;
        }
        // Somebody else may take the free port before the agent does.
        for _ in 0..5 {
            let mut agent = Agent::spawn(StatusFiles::new(files), options);
            if agent.wait_until_ready() {
                return Some(agent);
            }
        }
        panic!("snmpd ends as soon as it is started");
    }

    fn spawn(status: StatusFiles, options: &str) -> Agent {
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let helper = home.path().join("snmp_from_file");
        symlink(FETCHLOGS, &helper).unwrap();
        let conf = home.path().join("snmpd.conf");
        fs::write(&conf, configuration(port, &helper, status.path(), options)).unwrap();
        let mut command = tool("snmpd", home.path());
        command
            .args(["-f", "-r", "-Lo", "-C", "-c"])
            .arg(&conf)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Agent {
            daemon: Guarded::start(&mut command),
            port,
            home,
            status,
        }
    }

    /// Waits for the first answer; false if the agent ends instead.
    fn wait_until_ready(&mut self) -> bool {
        let start = Instant::now();
        while self.daemon.is_running() {
            let oid = format!("{BASE}.192.0.2.1");
            let options = ["-c", "logs", "-t", "1", "-r", "0"];
            let answer = self.request("snmpget", &options, &[&oid]);
            if answer.contains("no status for 192.0.2.1") {
                return true;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "snmpd does not answer: {answer}"
            );
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// What `program` prints when it is asked for these arguments, identifiers written in full.
    fn request(&self, program: &str, options: &[&str], arguments: &[&str]) -> String {
        let output = tool(program, self.home.path())
            .args(["-v", "2c", "-On"])
            .args(options)
            .arg(format!("127.0.0.1:{}", self.port))
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    fn get(&self, suffix: &str) -> String {
        let oid = format!("{BASE}.{suffix}");
        self.request("snmpget", &COMMUNITY, &[&oid])
    }

    fn assert_value(&self, suffix: &str, value: &str) {
        assert_eq!(self.get(suffix), shown(suffix, value));
    }

    fn assert_not_writable(&self, suffix: &str, kind: &str, value: &str) {
        let oid = format!("{BASE}.{suffix}");
        let answer = self.request("snmpset", &PRIVATE, &[&oid, kind, value]);
        assert!(answer.contains("Reason: notWritable"), "{answer}");
    }

    /// What a walk shows, without the line that says that it is over.
    fn walk(&self, program: &str, version: &str, from: &str) -> String {
        let options = [&COMMUNITY[..], &["-v", version]].concat();
        let text = self.request(program, &options, &[from]);
        text.split_inclusive('\n')
            .filter(|line| !line.contains("No more variables left") && *line != "End of MIB\n")
            .collect()
    }
}

const COMMUNITY: [&str; 4] = ["-c", "logs", "-t", "20"];
const PRIVATE: [&str; 4] = ["-c", "private", "-t", "20"];

/// The line that net-snmp's programs print for an instance.
fn shown(suffix: &str, value: &str) -> String {
    format!("{BASE}.{suffix} = STRING: \"{value}\"\n")
}

/// One of net-snmp's programs, kept away from the configuration and the state of this machine.
fn tool(name: &str, home: &Path) -> Command {
    let mut command = Command::new(outside_program(name).unwrap());
    command
        .env("HOME", home)
        .env("SNMPCONFPATH", home)
        .env("SNMP_PERSISTENT_DIR", home)
        .env("MIBS", "");
    command
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// The shipped example with this test's port and paths, and somebody who may try to write.
fn configuration(port: u16, helper: &Path, status: &Path, options: &str) -> String {
    let mut text = EXAMPLE.to_owned();
    for (shipped, ours) in [
        ("udp:127.0.0.1:161", format!("udp:127.0.0.1:{port}")),
        (
            "/usr/local/sbin/snmp_from_file",
            helper.display().to_string(),
        ),
        ("/var/snmp_data", format!("{} {options}", status.display())),
    ] {
        assert_eq!(text.matches(shipped).count(), 1, "{shipped}");
        text = text.replace(shipped, &ours);
    }
    text + "rwcommunity private 127.0.0.1 -V fetchlogs\n"
}

#[test]
fn get_answers_both_forms() {
    let files = [("10.0.0.2", "OK\n"), ("2001:db8::5", "ERR disk full\n")];
    let Some(agent) = Agent::start(&files) else {
        return;
    };
    agent.assert_value("10.0.0.2", "OK");
    agent.assert_value("1.10.0.0.2", "OK");
    agent.assert_value("32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.5", "ERR disk full");
    agent.assert_value("1.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.5", "ERR disk full");
    let answer = agent.get("10.0.0");
    assert!(answer.contains("No Such Instance"), "{answer}");
}

#[test]
fn stale_and_missing_files_are_errors() {
    let files = [("10.0.0.2", "OK\n"), ("10.0.0.3", "OK\n")];
    let Some(agent) = Agent::start(&files) else {
        return;
    };
    agent.status.age("10.0.0.3", Duration::from_secs(121));
    agent.assert_value("10.0.0.2", "OK");
    agent.assert_value("10.0.0.3", "ERR 10.0.0.3 is stale");
    agent.assert_value("10.0.0.4", "ERR no status for 10.0.0.4");
}

#[test]
fn a_change_is_seen_by_the_next_request() {
    let Some(agent) = Agent::start(&[("10.0.0.2", "OK\n")]) else {
        return;
    };
    agent.assert_value("10.0.0.2", "OK");
    agent.status.write("10.0.0.2", "ERR\n");
    agent.assert_value("10.0.0.2", "ERR");
    agent.status.write("10.0.0.2", "OK\n");
    agent.assert_value("10.0.0.2", "OK");
}

#[test]
fn a_walk_shows_every_log_server_in_both_forms() {
    let files = [
        ("10.0.0.10", "OK\n"),
        ("10.0.0.2", "ERR\n"),
        ("::1", "OK\n"),
        ("2001:db8::5", "OK\n"),
        ("10.0.0.3.tmp", "half a sta"),
    ];
    let Some(agent) = Agent::start_with(&files, "-w") else {
        return;
    };
    let expected = [
        shown("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "OK"),
        shown("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "OK"),
        shown("1.10.0.0.2", "ERR"),
        shown("1.10.0.0.10", "OK"),
        shown("1.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.5", "OK"),
        shown("10.0.0.2", "ERR"),
        shown("10.0.0.10", "OK"),
        shown("32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.5", "OK"),
    ];
    assert_eq!(agent.walk("snmpwalk", "1", BASE), expected.concat());
    assert_eq!(agent.walk("snmpwalk", "2c", BASE), expected.concat());
    assert_eq!(agent.walk("snmpbulkwalk", "2c", BASE), expected.concat());
    let from = format!("{BASE}.1.10");
    assert_eq!(agent.walk("snmpwalk", "2c", &from), expected[2..4].concat());
}

#[test]
fn a_walk_shows_every_log_server_once() {
    let files = [
        ("10.0.0.10", "OK\n"),
        ("10.0.0.2", "ERR\n"),
        ("::1", "OK\n"),
    ];
    let Some(agent) = Agent::start(&files) else {
        return;
    };
    let expected = [
        shown("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1", "OK"),
        shown("10.0.0.2", "ERR"),
        shown("10.0.0.10", "OK"),
    ];
    assert_eq!(agent.walk("snmpwalk", "2c", BASE), expected.concat());
    agent.assert_value("1.10.0.0.2", "ERR");
}

/// A table of a collector: one source that is followed, two of a server that does not answer.
fn table() -> String {
    let columns = "box\tremote_file\tlocal_file\tstate\tsince\theld\tbehind\tlast_byte\tlast_contact\tnext_try\tlosses\tunverified\twhy\trotations\thealed\tconnections\tbytes";
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    format!(
        "{columns}\n\
         10.0.0.2\t/var/log/m\t/c/m\tfollowing\t1\t9\t5000000000\t1\t{now}\t-\t0\t1\t\t2\t0\t1\t6000000000\n\
         10.0.0.3\t/var/log/m\t/c/n\terror\t1\t9\t-\t-\t-\t9\t3\t0\tno answer\t0\t0\t0\t0\n\
         10.0.0.3\t/var/log/\\x07\t/c/o\terror\t1\t9\t-\t-\t-\t9\t0\t0\tno answer\t0\t0\t0\t0\n\
         #collector\t1\t-\t2.0.0\n"
    )
}

#[test]
fn numbers_of_servers_and_sources_are_a_table_of_the_mib() {
    let files = [("10.0.0.2", "OK\n"), ("10.0.0.3", "ERR\n")];
    let Some(agent) = Agent::start(&files) else {
        return;
    };
    agent.status.write(".fetch_logs.table", &table());
    let walk = agent.walk("snmpwalk", "2c", BASE);
    let lines: Vec<&str> = walk.lines().collect();
    assert_eq!(
        lines[..2],
        [
            shown("10.0.0.2", "OK").trim_end(),
            shown("10.0.0.3", "ERR").trim_end()
        ]
    );
    let scalar = |place: u32, value: u32| format!("{BASE}.1000.1.1.{place}.0 = Gauge32: {value}");
    assert_eq!(
        lines[3..8],
        [
            scalar(2, 2),
            scalar(3, 3),
            scalar(4, 1),
            scalar(5, 2),
            scalar(6, 1)
        ]
    );
    let bulk = agent.walk("snmpbulkwalk", "2c", BASE);
    assert_eq!(bulk.lines().count(), lines.len());
    assert_eq!(walk.matches("Counter64: 6000000000").count(), 2, "{walk}");
    assert_eq!(walk.matches("Counter64: 5000000000").count(), 2, "{walk}");

    // With the names of the MIB that is shipped.
    let Some(snmptable) = outside_program("snmptable") else {
        return;
    };
    let mibs = mibs();
    let shown = Command::new(snmptable)
        .env("HOME", agent.home.path())
        .env("SNMPCONFPATH", agent.home.path())
        .env("SNMP_PERSISTENT_DIR", agent.home.path())
        .env(
            "MIBDIRS",
            format!("{}:{}", mibs[0].display(), mibs[1].display()),
        )
        .env("MIBS", "FETCHLOGS-MIB")
        .args(["-v", "2c", "-c", "logs", "-t", "20", "-Cf", "|"])
        .arg(format!("127.0.0.1:{}", agent.port))
        .arg("FETCHLOGS-MIB::fetchlogsSourceTable")
        .output()
        .unwrap();
    let text = String::from_utf8([shown.stdout, shown.stderr].concat()).unwrap();
    let row = "10.0.0.2|/var/log/m|/c/m|following|";
    assert!(text.contains(row), "{text}");
    assert!(
        text.contains("10.0.0.3|/var/log/\\x07|/c/o|error|?|?|0|0|0|0"),
        "{text}"
    );
}

#[test]
fn the_mib_has_no_fault() {
    let Some(smilint) = outside_program("smilint") else {
        return;
    };
    let [ours, others] = mibs();
    let ended = Command::new(smilint)
        .env("SMIPATH", others)
        .args(["-c", "/dev/null", "-l", "6"])
        .arg(ours.join("FETCHLOGS-MIB.txt"))
        .output()
        .unwrap();
    let text = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert_eq!(text, "");
}

/// Our MIB, and as much as is needed of those that it builds on: systems do not bring them.
fn mibs() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["conf/snmp", "tests/snmp/mibs"].map(|dir| root.join(dir))
}

/// The lines that the example and the README name for check_snmp say what is true.
#[test]
fn a_monitoring_system_can_ask() {
    let Some(check) = check_snmp() else {
        return;
    };
    let files = [("10.0.0.2", "OK\n"), ("10.0.0.3", "ERR\n")];
    let Some(agent) = Agent::start(&files) else {
        return;
    };
    agent.status.write(".fetch_logs.table", &table());
    let line = EXAMPLE
        .lines()
        .find(|line| line.contains("check_snmp"))
        .unwrap();
    let words = line
        .trim_start_matches(['#', ' '])
        .replace("-s '\"OK\"'", "-s \"OK\"");
    let status_of = |oid: &str, more: &[&str]| {
        let mut command = Command::new(&check);
        command.env("MIBS", "").env("HOME", agent.home.path());
        command.args([
            "-H",
            "127.0.0.1",
            "-C",
            "logs",
            "-p",
            &agent.port.to_string(),
        ]);
        command.args(["-P", "2c", "-t", "30", "-o", oid]).args(more);
        let output = command.output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert!(words.ends_with("-s \"OK\""), "{words}");
    for (oid, code) in [("10.0.0.2", 0), ("10.0.0.3", 2)] {
        let (status, said) = status_of(&format!("{BASE}.{oid}"), &["-s", "\"OK\""]);
        assert_eq!(status, code, "{said}");
    }
    for (most, code) in [("2", 0), ("1", 2)] {
        let (status, said) = status_of(&format!("{BASE}.1000.1.1.5.0"), &["-c", most]);
        assert_eq!(status, code, "{said}");
    }
}

/// Packages put it where no PATH leads.
fn check_snmp() -> Option<PathBuf> {
    let dirs = [
        "/usr/lib/nagios/plugins",
        "/usr/lib/monitoring-plugins",
        "/usr/local/libexec/nagios",
    ];
    let places = dirs.map(|dir| Path::new(dir).join("check_snmp"));
    let found = places.into_iter().find(|path| path.exists());
    found.or_else(|| outside_program("check_snmp"))
}

#[test]
fn the_longest_value_arrives_whole() {
    let text = "0123456789".repeat(500);
    let Some(agent) = Agent::start(&[("10.0.0.2", &text)]) else {
        return;
    };
    let longest = &text[..4094];
    agent.assert_value("10.0.0.2", longest);
    agent.assert_value("1.10.0.0.2", longest);
}

#[test]
fn set_is_not_writable_and_the_dialogue_goes_on() {
    let Some(agent) = Agent::start(&[("10.0.0.2", "OK\n")]) else {
        return;
    };
    agent.assert_not_writable("10.0.0.2", "s", "hello");
    agent.assert_value("10.0.0.2", "OK");
    agent.assert_not_writable("10.0.0.2", "i", "5");
    agent.assert_not_writable("1.10.0.0.9", "s", "PING\nget\n");
    agent.assert_value("1.10.0.0.2", "OK");
    assert_eq!(fs::read(agent.status.file("10.0.0.2")).unwrap(), b"OK\n");
}
