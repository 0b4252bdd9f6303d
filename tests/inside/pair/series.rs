//! Logs whose files each have a name of their own, as real programs write them: the newest is
//! followed, and each comes once, in order and whole.

use super::Pair;
use super::link::Line;
use crate::serve::config::Config;
use crate::store::{Kind, Writers};

/// What a program does, and what the collector has to have in the end: its copies, oldest first.
///
/// Words of a script: `NAME+TEXT` appends a line, `NAME=TEXT` writes the file anew from its start,
/// `NAME~` touches it, `NAME-` deletes it, `NAME>OTHER` copies it, `NAME@` puts a link there; `.`
/// lets a minute and a half pass, `,` a moment.
struct Program {
    name: &'static str,
    glob: &'static str,
    script: &'static str,
    copies: &'static str,
}

const PROGRAMS: [Program; 15] = [
    Program {
        name: "Tomcat",
        glob: "/v/catalina.*.log",
        script: "catalina.2026-11-20.log+a . catalina.2026-11-21.log+b . catalina.2026-11-21.log+c . \
                 catalina.2026-11-22.log+d .",
        copies: "a|bc|d",
    },
    Program {
        name: "Tomcat's access log",
        glob: "/v/localhost_access_log.*.txt",
        script: "localhost_access_log.2026-11-30.txt+a . localhost_access_log.2026-12-01.txt+b \
                 localhost_access_log.2026-12-01.txt+c .",
        copies: "a|bc",
    },
    Program {
        name: "PostgreSQL, a name each",
        glob: "/v/postgresql-*.log",
        script: "postgresql-2026-11-20_000000.log+a . postgresql-2026-11-20_113000.log+b . \
                 postgresql-2026-11-21_000000.log+c , postgresql-2026-11-20_113000.log+late .",
        copies: "a|b,late|c",
    },
    Program {
        name: "PostgreSQL, weekdays in turn",
        glob: "/v/postgresql-*.log",
        script: "postgresql-Fri.log+f . postgresql-Sat.log+s . postgresql-Sun.log+u . postgresql-Mon.log+m . \
                 postgresql-Fri.log=F . postgresql-Sat.log=S_and_more_than_before .",
        copies: "f|s|u|m|F|S_and_more_than_before",
    },
    Program {
        name: "rotatelogs, seconds",
        glob: "/v/access.*",
        script: "access.1795305600+a . access.1795392000+b . access.1795478400+c .",
        copies: "a|b|c",
    },
    Program {
        name: "rotatelogs -n 3",
        glob: "/v/access /v/access.[0-9]",
        script: "access+a . access.1+b . access.2+c . access=d . access.1=e . access.2=f . access=g .",
        copies: "a|b|c|d|e|f|g",
    },
    Program {
        name: "cronolog, directories by date",
        glob: "/v/*/*/*/access.log",
        script: "2026/11/29/access.log+a . 2026/11/30/access.log+b . 2026/12/01/access.log+c .",
        copies: "a|b|c",
    },
    Program {
        name: "log4j, the greatest index is the newest",
        glob: "/v/app-*.log",
        script: "app-1.log+a . app-2.log+b . app-3.log+c . app-10.log+d . app-11.log+e .",
        copies: "a|b|c|d|e",
    },
    Program {
        name: "a name for each day",
        glob: "/v/app-*.log",
        script: "app-2026-11-28.log+a . app-2026-11-29.log+b , app-2026-11-28.log~ . app-2026-11-29.log+c . \
                 app-2026-11-30.log+d . app-2026-11-28.log- . app-2026-11-30.log+e .",
        copies: "a|bc|de",
    },
    Program {
        name: "a date behind the name",
        glob: "/v/app.log.*",
        script: "app.log.2026-11-28+a . app.log.2026-11-29+b .",
        copies: "a|b",
    },
    Program {
        name: "a link to the newest beside it",
        glob: "/v/app*.log",
        script: "app-2026-11-28.log+a app-latest.log@ . app-2026-11-29.log+b app-latest.log@ .",
        copies: "a|b",
    },
    Program {
        name: "a run each, with host and process",
        glob: "/v/prog.*.log.INFO.*",
        script: "prog.h.u.log.INFO.20261129-131500.1234+a . prog.h.u.log.INFO.20261129-140000.99+b . \
                 prog.h.u.log.INFO.20261130-000000.100+c .",
        copies: "a|b|c",
    },
    Program {
        name: "several at once",
        glob: "/v/app-*.log",
        script: "app-2026-11-20.log+a . app-2026-11-21.log+b app-2026-11-22.log+c app-2026-11-23.log+d .",
        copies: "a|b|c|d",
    },
    Program {
        name: "somebody copies",
        glob: "/v/app-*.log",
        script: "app-2026-11-20.log+a . app-2026-11-21.log+b . app-2026-11-20.log>app-2026-11-20.bak.log . \
                 app-2026-11-21.log>app-old-2026-11-21.log . app-2026-11-22.log+c .",
        copies: "a|b|c",
    },
    Program {
        name: "a ring where somebody copies and touches",
        glob: "/v/pg-*.log",
        script: "pg-Mon.log+a . pg-Tue.log+b . pg-Mon.log~ . pg-Tue.log>pg-Tue-copy.log . pg-Tue.log+c . \
                 pg-Wed.log+d .",
        copies: "a|bc|d",
    },
];

impl Program {
    fn pair(&self, options: &'static str) -> Pair {
        let mut pair = Pair::with(options);
        let text = format!(
            "$series{{'/v/m'}} = '{}'; $delay_check = 5; $alive_interval = 60; $timeout_write = 60; $grace = 10;",
            self.glob
        );
        pair.serve_config = Config::parse(text.as_bytes()).unwrap();
        pair.keep_journal(1);
        pair
    }

    /// The lines of each copy, without the ends of the lines.
    fn copies(&self) -> String {
        self.copies.replace(',', "")
    }
}

impl Pair {
    /// The server looks, as it does now and then, and whenever it is told of a name.
    fn look_through(&mut self) {
        let is_attended = self.hints.then_some(true);
        self.journal.set_attended(0, is_attended);
        while self.journal.has_work() {
            self.journal.work(&self.serve_config, &self.log.disk);
        }
        let _ = self.journal.look(0, "/v/m".as_ref(), &self.log.disk);
        if !self.journal.take_moved().is_empty() {
            self.hint();
        }
    }

    fn play(&mut self, script: &str, at_word: &mut dyn FnMut(&mut Pair, usize)) {
        for (at, word) in script.split_whitespace().enumerate() {
            at_word(self, at);
            self.act(word);
        }
    }

    fn act(&mut self, word: &str) {
        let disk = &self.log.disk;
        // Names have dots and dashes, too.
        let sign = word.find(['+', '=', '~', '>', '@']);
        let (name, rest) = word.split_at(sign.unwrap_or(word.len() - 1));
        let (sign, text) = rest.split_at(1);
        let path = format!("/v/{name}");
        let line = format!("{text}\n");
        match sign {
            "." => return self.wait(90_000),
            "," => return self.wait(2_000),
            "+" => {
                let inode = disk.write(&path, line.as_bytes());
                disk.set_writers(inode, Writers::Somebody);
            }
            "=" => {
                disk.truncate_to(&path, 0);
                disk.write(&path, line.as_bytes());
            }
            "~" => disk.set_mtime_ns(&path, disk.now_ms() * 1_000_000),
            "-" => disk.remove(&path),
            ">" => {
                let bytes = disk.read(&path).unwrap();
                disk.write(&format!("/v/{text}"), &bytes);
            }
            _ => disk.put_other(&path, Kind::Link),
        }
        // A write takes a moment.
        self.advance_to(self.mono_ms + 5);
        if self.hints {
            self.look_through();
        }
    }

    fn wait(&mut self, ms: u64) {
        self.look_through();
        self.run_ms(ms / 2);
        self.look_through();
        self.run_ms(ms / 2);
    }

    /// The lines of all copies, oldest first.
    fn all_copies(&self) -> String {
        let mut copies: Vec<Vec<u8>> = Vec::new();
        for path in self.kept() {
            copies.push(self.host.read(path.to_str().unwrap()).unwrap());
        }
        copies.push(self.local());
        let text = copies
            .iter()
            .map(|copy| String::from_utf8_lossy(copy).replace('\n', ""));
        text.collect::<Vec<_>>().join("|")
    }

    fn check_copies(&mut self, program: &Program, when: &str) {
        self.wait(200_000);
        let name = program.name;
        assert_eq!(
            self.all_copies(),
            program.copies(),
            "{name}, {when}\n{}",
            self.report()
        );
        assert!(!self.says("lost"), "{name}, {when}\n{}", self.report());
    }
}

#[test]
fn what_programs_write_comes_once_in_order_and_whole() {
    for program in &PROGRAMS {
        for hints in [true, false] {
            for options in ["", "proto=classic"] {
                // Whom nobody tells which files came since takes a copy for a generation.
                if !hints && !options.is_empty() && program.script.contains('>') {
                    continue;
                }
                let mut pair = program.pair(options);
                pair.set_hints(hints);
                pair.play(program.script, &mut |_, _| {});
                pair.check_copies(program, &format!("hints {hints}, {options}"));
            }
        }
    }
}

/// Nobody was connected while it was written; what is written over meanwhile is gone.
#[test]
fn what_programs_wrote_before_comes_too() {
    let programs = PROGRAMS
        .iter()
        .filter(|it| !it.script.contains("=") && !it.script.contains("- "));
    for program in programs {
        let mut pair = program.pair("history=all");
        pair.link.line = Line::Refused;
        pair.play(program.script, &mut |_, _| {});
        pair.link.line = Line::Up;
        pair.check_copies(program, "after an outage");
    }
}

/// The server is another process from some moment on, and its journal begins anew.
#[test]
fn a_server_that_starts_anew_goes_on() {
    let programs = PROGRAMS
        .iter()
        .filter(|it| !it.script.contains(['=', '>', '~']));
    for program in programs {
        for moment in 1..program.script.split_whitespace().count() {
            let mut pair = program.pair("history=all");
            pair.play(program.script, &mut |pair, at| {
                if at == moment {
                    pair.cut();
                    pair.starts_server = true;
                }
            });
            pair.check_copies(program, &format!("another server from word {moment} on"));
        }
    }
}

/// A ring whose next name is not there yet, and one that is emptied long before its turn.
#[test]
fn what_a_ring_writes_over_while_nobody_is_connected_is_told() {
    let program = Program {
        name: "a ring",
        glob: "/v/pg-*.log",
        script: "",
        copies: "",
    };
    let mut pair = program.pair("");
    pair.play("pg-Mon.log+a pg-Tue.log+b . pg-Tue.log+c .", &mut |_, _| {});
    pair.cut();
    pair.link.line = Line::Refused;
    pair.play(
        "pg-Mon.log=A . pg-Tue.log=B . pg-Mon.log=C .",
        &mut |_, _| {},
    );
    pair.link.line = Line::Up;
    pair.wait(200_000);
    assert!(pair.says("lost"), "{}", pair.report());
    assert_eq!(pair.all_copies(), "bc|B|C", "{}", pair.report());
}
