//! The walls around the server, and how it goes on where they shut out what it needs.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::common::classic::Client;
use crate::common::logs::Logs;
use crate::common::process::{Signal, send};
use crate::common::server::{Server, gen_numbers};
use crate::common::skipped::skipped;
use crate::common::wait::until;
use crate::common::walls;

const TAKES_OVER: &str = "a new process, which may read them, takes over";

/// A directory with one log in it, whose text is its name.
fn one_log(name: &str) -> Logs {
    let logs = Logs::new();
    logs.write(name, name);
    logs
}

/// What a client gets of a whole log.
fn expect_served(server: &Server, logs: &Logs, name: &str) {
    until("the log, whole", || {
        let mut client = Client::ask(server, &logs.request(name, "0 0"));
        client.try_reply() == Some(format!("O {}", logs.inode(name)))
    });
}

/// Behind its walls the server can read nothing of the system that it runs on.
#[test]
fn the_answer_tells_the_boot_whatever_the_walls_are() {
    let logs = one_log("one");
    let server = Server::start(&logs.served("one", ""));
    let line = Client::ask(&server, &logs.request("one", "0 0 v2")).reply();
    let is_known = Path::new("/proc/sys/kernel/random/boot_id").exists();
    assert!(line.starts_with("O ") && line.contains(" b="), "{line}");
    assert_ne!(line.contains(" b=00000000"), is_known, "{line}");
}

#[test]
fn the_server_is_confined() {
    let logs = one_log("one");
    let server = Server::start(&logs.served("one", ""));
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    walls::expect_around(server.pid());
    expect_served(&server, &logs, "one");
}

#[test]
fn other_directories_are_served_by_a_successor_at_the_same_port() {
    let (one, two, three) = (one_log("one"), one_log("two"), one_log("three"));
    let mut server = Server::start(&one.served("one", ""));
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let helper = walls::helper(server.pid());
    expect_served(&server, &one, "one");
    let mut before = helper;
    let mut settings = one.served("one", "");
    for (logs, name) in [(&two, "two"), (&three, "three")] {
        settings += &logs.served(name, "");
        server.reload_and_hear(&settings, TAKES_OVER);
        expect_served(&server, logs, name);
        let successor = walls::successor(server.pid());
        assert_ne!(successor, before);
        walls::expect_around(successor);
        before = successor;
        // Something else, so that what follows is not taken for the same once more.
        server.reload_in_vain("nonsense");
    }
    expect_served(&server, &one, "one");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status, Some(0));
    walls::expect_gone(helper);
    walls::expect_gone(before);
}

#[test]
fn no_process_stays_behind() {
    let (one, two) = (one_log("one"), one_log("two"));
    let server = Server::start(&one.served("one", ""));
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let helper = walls::helper(server.pid());
    let settings = one.served("one", "") + &two.served("two", "");
    server.reload_and_hear(&settings, TAKES_OVER);
    let successor = walls::successor(server.pid());
    expect_served(&server, &two, "two");
    walls::expect_end_together(server.pid(), &[helper, successor]);
}

#[test]
fn the_end_of_a_successor_is_the_end_of_the_daemon() {
    let (one, two) = (one_log("one"), one_log("two"));
    let mut server = Server::start(&one.served("one", ""));
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let helper = walls::helper(server.pid());
    let settings = one.served("one", "") + &two.served("two", "");
    server.reload_and_hear(&settings, TAKES_OVER);
    expect_served(&server, &two, "two");
    walls::expect_end_together(walls::successor(server.pid()), &[helper]);
    assert_ne!(server.wait().status, Some(0));
}

/// A server that a successor of the first process works for.
fn succeeded(one: &Logs, two: &Logs) -> Server {
    let server = Server::start(&one.served("one", ""));
    let settings = one.served("one", "") + &two.served("two", "");
    server.reload_and_hear(&settings, TAKES_OVER);
    expect_served(&server, two, "two");
    server
}

#[test]
fn a_successor_goes_on_without_the_helper() {
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let (one, two) = (one_log("one"), one_log("two"));
    let mut server = succeeded(&one, &two);
    let successor = walls::successor(server.pid());
    let helper = walls::helper(server.pid());
    send(helper, Signal::KILL);
    walls::expect_gone(helper);
    // Long enough for the first process to hear of it, and to draw the wrong conclusion.
    server.signal(Signal::HUP);
    expect_served(&server, &two, "two");
    assert!(!walls::has_ended(successor));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status, Some(0));
    walls::expect_gone(successor);
}

#[test]
fn the_end_of_a_successor_is_noticed_without_the_helper() {
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let (one, two) = (one_log("one"), one_log("two"));
    let mut server = succeeded(&one, &two);
    let helper = walls::helper(server.pid());
    let successor = walls::successor(server.pid());
    send(helper, Signal::KILL);
    walls::expect_gone(helper);
    send(successor, Signal::KILL);
    assert_eq!(server.wait().status, Some(1));
}

#[test]
fn signals_that_mean_nothing_end_nobody() {
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let (one, two) = (one_log("one"), one_log("two"));
    let mut server = succeeded(&one, &two);
    let helper = walls::helper(server.pid());
    let successor = walls::successor(server.pid());
    for pid in [server.pid(), helper, successor] {
        for signal in [Signal::ALARM, Signal::USR2] {
            send(pid, signal);
        }
    }
    server.reload(&one.served("one", "# once more"));
    assert_eq!(walls::helper(server.pid()), helper);
    assert_eq!(walls::successor(server.pid()), successor);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status, Some(0));
}

#[test]
fn nobody_waits_long_for_a_helper_that_does_not_answer() {
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let logs = Logs::new();
    for name in ["one", "two", "three"] {
        logs.write(name, name);
    }
    let mut server = Server::start(&logs.served("one", ""));
    let helper = walls::helper(server.pid());
    send(helper, Signal::STOP);
    server.reload_in_vain(&logs.served("two", ""));
    server.wait_for("the helper process does not answer");
    expect_served(&server, &logs, "one");
    // The answer that is late then is no answer to the next question.
    send(helper, Signal::CONT);
    server.reload(&logs.served("three", ""));
    expect_served(&server, &logs, "three");
    send(helper, Signal::STOP);
    server.signal(Signal::TERM);
    walls::expect_gone(server.pid());
    // It holds the ends of the pipes that the server's words came through.
    send(helper, Signal::CONT);
    assert_eq!(server.wait().status, Some(0));
    walls::expect_gone(helper);
}

#[test]
fn a_successor_listens_where_the_first_process_did_if_it_has_to() {
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let (one, two) = (one_log("one"), one_log("two"));
    let server = Server::start(&one.served("one", ""));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = format!("$bind_port = {port};") + &two.served("two", "");
    server.reload_and_hear(&settings, TAKES_OVER);
    server.wait_for("cannot listen on ");
    expect_served(&server, &two, "two");
}

#[test]
fn without_its_helper_the_server_goes_on_as_it_was() {
    let (one, two) = (one_log("one"), one_log("two"));
    let server = Server::start(&one.served("one", ""));
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    walls::expect_end_together(walls::helper(server.pid()), &[]);
    server.reload_in_vain(&two.served("two", ""));
    server.wait_for("the helper process is gone");
    expect_served(&server, &one, "one");
}

#[test]
fn a_directory_that_is_made_later_is_served() {
    let logs = Logs::new();
    let often = "$alive_interval = 1;";
    let server = Server::start(&(often.to_owned() + &logs.served("a/b/c/log", "")));
    fs::create_dir_all(logs.path("a/b/c")).unwrap();
    logs.write("a/b/c/log", "text");
    expect_served(&server, &logs, "a/b/c/log");
}

#[test]
fn a_file_system_that_is_mounted_later_is_served() {
    let logs = Logs::new();
    for name in ["own", "a/b"] {
        fs::create_dir_all(logs.path(name)).unwrap();
    }
    let in_own_tree = |config: &OsStr| {
        let mut command = Command::new("unshare");
        command.arg("--mount").arg("--propagation=private");
        let server = gen_numbers(["-c".as_ref(), config]);
        command.arg(server.get_program()).args(server.get_args());
        command
    };
    let can_mount = Command::new("unshare").args(["--mount", "true"]).status();
    if !can_mount.is_ok_and(|status| status.success()) {
        return skipped("only root can mount file systems");
    }
    let settings = "$alive_interval = 1;".to_owned()
        + &logs.served("own/log", "")
        + &logs.served("a/b/log", "");
    let server = Server::start_as(&settings, in_own_tree);
    for name in ["own", "a/b"] {
        let script = format!(
            "mount -t tmpfs none {0} && echo text >{0}/log && stat -c %i {0}/log",
            logs.path(name).display()
        );
        let mount = Command::new("nsenter")
            .args(["--mount", "--target", &server.pid().to_string()])
            .args(["sh", "-c", &script])
            .output()
            .unwrap();
        let inode = String::from_utf8(mount.stdout).unwrap();
        assert!(mount.status.success());
        until("the log of what was mounted", || {
            let request = logs.request(&format!("{name}/log"), "0 0");
            let reply = Client::ask(&server, &request).try_reply();
            reply == Some(format!("O {}", inode.trim()))
        });
    }
}

#[test]
fn the_pid_file_is_removed_from_outside() {
    let logs = one_log("one");
    let pid_file = logs.path("pid");
    let command = |config: &OsStr| {
        gen_numbers([
            OsStr::new("-P"),
            pid_file.as_os_str(),
            "-c".as_ref(),
            config,
        ])
    };
    let mut server = Server::start_as(&logs.served("one", ""), command);
    let written = fs::read_to_string(&pid_file).unwrap();
    assert_eq!(written.trim(), server.pid().to_string());
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status, Some(0));
    assert!(!pid_file.exists());

    // Nobody may remove it any more, but nobody takes it for that of a process.
    let mut server = Server::start_as(&logs.served("one", ""), command);
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let helper = walls::helper(server.pid());
    walls::expect_end_together(helper, &[]);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().status, Some(0));
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), "");
    Server::start_as(&logs.served("one", ""), command);
}

#[test]
fn a_signal_to_stop_is_heard_whoever_works_just_then() {
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let (one, two) = (one_log("one"), one_log("two"));
    let both = one.served("one", "") + &two.served("two", "");
    for number in 0..20 {
        let mut server = Server::start(&one.served("one", ""));
        server.configure(&both);
        server.signal(Signal::HUP);
        std::thread::sleep(std::time::Duration::from_micros(number * 300));
        server.signal(Signal::TERM);
        assert_eq!(server.wait().status, Some(0), "{}", server.said());
    }
}

#[test]
fn nobody_is_succeeded_by_a_process_with_a_faulty_configuration() {
    if !walls::are_there() {
        return skipped("this kernel has no Landlock");
    }
    let (one, later) = (one_log("one"), Logs::new());
    let often = "$alive_interval = 1;".to_owned();
    let settings = often + &one.served("one", "") + &later.served("a/b/c/log", "");
    let server = Server::start(&settings);
    server.configure("nonsense");
    fs::create_dir_all(later.path("a/b/c")).unwrap();
    later.write("a/b/c/log", "text");
    server.wait_for("no new process can take over: ");
    expect_served(&server, &one, "one");
    server.configure(&settings);
    expect_served(&server, &later, "a/b/c/log");
}
