//! A server that does what its test says, and frames made by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use fetchlogs::ids::Inode;
use fetchlogs::wire::frame::{self, End, Frame, HEADER_LEN, Next, Reason, kind};

use crate::common::pair::{Options, Pair};

/// A running server. Each connection has a thread of its own.
pub struct Scripted {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

/// The connection, its number from 0 on, and the request.
pub struct Call<'a> {
    pub stream: &'a mut TcpStream,
    pub number: usize,
    pub request: &'a str,
}

impl Scripted {
    /// Calls `script` for every request. The connection is closed when it returns.
    pub fn start(script: impl Fn(Call<'_>) + Send + Sync + 'static) -> Scripted {
        Scripted::start_at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// The same at an address of the caller's choice.
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(Call<'_>) + Send + Sync + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind(address).unwrap();
        let server = Scripted {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            is_over: Arc::default(),
        };
        let (asked, is_over) = (server.asked.clone(), server.is_over.clone());
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (asked, script) = (asked.clone(), script.clone());
                thread::spawn(move || answer(stream, &asked, &*script));
            }
        });
        server
    }

    /// A collector whose server this is.
    pub fn pair(&self, options: Options) -> Pair {
        let mut pair = Pair::prepare(options);
        pair.ask(self.address);
        pair.start_collector();
        pair
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // The thread that accepts has to wake up to see that.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>, script: &dyn Fn(Call<'_>)) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    if reader.read_line(&mut request).is_err() || request.is_empty() {
        return;
    }
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    script(Call {
        stream: &mut stream,
        number,
        request: request.trim_end(),
    });
}

impl Call<'_> {
    /// Sends, whether or not anybody still listens.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Waits until the client closes.
    pub fn hold(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }

    /// The inode and the offset that were asked for.
    pub fn place(&self) -> (u64, u64) {
        let mut words = self.request.split(' ').skip(1);
        let mut number = || words.next().unwrap().parse().unwrap();
        (number(), number())
    }

    /// Whether something else than the stream was asked for.
    pub fn has_op(&self) -> bool {
        self.request.contains(" op=")
    }

    /// Answers as a server should and sends these bytes from the offset on.
    pub fn go_on(&mut self, bytes: &[u8]) {
        let (inode, offset) = self.place();
        self.send(&found(inode.max(FIRST), offset));
        self.send(&data(offset, bytes));
        self.hold();
    }
}

/// The inode of the first generation of these servers.
pub const FIRST: u64 = 5;

/// The answer line for a generation that was found.
pub fn found(inode: u64, at: u64) -> Vec<u8> {
    format!("O {inode} v2 at={at} size=5 m=1 b=0000abcd\n").into_bytes()
}

pub fn data(offset: u64, bytes: &[u8]) -> Vec<u8> {
    sealed(kind::DATA, &[&offset.to_be_bytes(), bytes].concat())
}

pub fn end(size: u64, md5: Option<[u8; 16]>) -> Vec<u8> {
    let reason = Reason::Rotated;
    Frame::End(End { size, reason, md5 }).to_bytes().to_vec()
}

pub fn next(inode: u64) -> Vec<u8> {
    let (inode, mtime_ns) = (Inode(inode), 1);
    Frame::Next(Next {
        inode,
        mtime_ns,
        after_loss: false,
    })
    .to_bytes()
    .to_vec()
}

/// A frame with a right checksum, whatever is in it.
pub fn sealed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&[0; HEADER_LEN], payload].concat();
    frame::seal(kind, &mut frame);
    frame
}
