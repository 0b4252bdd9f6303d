//! What the machine can do at most: a thread that hands a file to a socket in the kernel, and one that takes it out.
//! Nothing is checked, followed or remembered.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Instant;

use rustix::fs::{inotify, sendfile};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

use super::{Contestant, Follower, Load, PROBE};

const CHUNK: usize = 64 << 10;
const SPLICED: usize = 1 << 20;

pub struct Probe {
    name: &'static str,
    receive: fn(TcpStream, File),
}

impl Probe {
    pub fn copying() -> Probe {
        Probe {
            name: PROBE,
            receive: copy,
        }
    }

    pub fn splicing() -> Probe {
        Probe {
            name: "sendfile to splice (probe)",
            receive: spliced,
        }
    }
}

impl Contestant for Probe {
    fn name(&self) -> &str {
        self.name
    }

    fn backlog(&self, file: &Path, bytes: u64) -> Load {
        let copy = tempfile::NamedTempFile::new_in(file.parent().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (from, to) = (File::open(file).unwrap(), copy.reopen().unwrap());
        let start = Instant::now();
        let receive = self.receive;
        let receiver = thread::spawn(move || {
            receive(listener.accept().unwrap().0, to);
            thread_cpu_s()
        });
        let sender = thread::spawn(move || {
            let socket = TcpStream::connect(address).unwrap();
            let mut offset = 0;
            while offset < bytes {
                let left = (bytes - offset) as usize;
                sendfile(&socket, &from, Some(&mut offset), left).unwrap();
            }
            drop(socket);
            thread_cpu_s()
        });
        let used = sender.join().unwrap() + receiver.join().unwrap();
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(crate::measure::size(copy.path()), bytes);
        Load {
            seconds,
            cpu_s: used,
        }
    }

    fn follow(&self, log: &Path) -> Option<Follower> {
        if self.name != PROBE {
            return None;
        }
        let copy = tempfile::NamedTempFile::new_in(log.parent().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (log, to) = (log.to_path_buf(), copy.reopen().unwrap());
        thread::spawn(move || self::copy(listener.accept().unwrap().0, to));
        thread::spawn(move || hand_on(&log, &TcpStream::connect(address).unwrap()));
        Some(Follower {
            copy: copy.path().to_path_buf(),
            _alive: Box::new(copy),
        })
    }
}

/// Sends what is appended to a log until that is gone: nothing but waiting, and one call.
fn hand_on(log: &Path, socket: &TcpStream) {
    let changes = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
    let watched = inotify::WatchFlags::MODIFY | inotify::WatchFlags::ATTRIB;
    inotify::add_watch(&changes, log, watched).unwrap();
    socket.set_nodelay(true).unwrap();
    let from = File::open(log).unwrap();
    let mut events = [0; 256];
    let mut offset = 0;
    while from.metadata().unwrap().nlink() > 0 {
        sendfile(socket, &from, Some(&mut offset), CHUNK).unwrap();
        rustix::io::read(&changes, &mut events).unwrap();
    }
}

fn copy(mut socket: TcpStream, mut file: File) {
    let mut buf = vec![0; CHUNK];
    loop {
        match socket.read(&mut buf).unwrap() {
            0 => return,
            len => file.write_all(&buf[..len]).unwrap(),
        }
    }
}

fn spliced(socket: TcpStream, file: File) {
    let (out, into) = pipe().unwrap();
    let _ = fcntl_setpipe_size(&into, SPLICED);
    loop {
        let mut len = splice(&socket, None, &into, None, SPLICED, SpliceFlags::MOVE).unwrap();
        if len == 0 {
            return;
        }
        while len > 0 {
            len -= splice(&out, None, &file, None, len, SpliceFlags::MOVE).unwrap();
        }
    }
}

/// Processor time of this thread, in seconds.
fn thread_cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
