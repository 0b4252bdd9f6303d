//! A classic server that does what a test tells it, connection by connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::net::{listen, sockopt};

use super::wait::{PATIENCE, eventually, for_a_while};

/// The server: a listener on a port of its own.
pub struct Scripted {
    listener: TcpListener,
}

/// What a server does, step by step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes at once.
    Send(Vec<u8>),
    /// Sends these bytes one by one, a little apart.
    Trickle(Vec<u8>),
    /// Does nothing for so many milliseconds.
    Pause(u64),
    /// Does nothing until the collector gives up.
    Silence,
    /// Closes in good order. So does the end of a script.
    Close,
    /// Resets the connection.
    Reset,
}

impl Scripted {
    /// Listens on the loopback address.
    pub fn new() -> Scripted {
        Scripted::on(Ipv4Addr::LOCALHOST.into())
    }

    /// Listens on 127.0.0.`n`, for tests that need servers of different addresses.
    pub fn numbered(n: u8) -> Scripted {
        Scripted::on(Ipv4Addr::new(127, 0, 0, n).into())
    }

    /// Listens on an address.
    pub fn on(ip: IpAddr) -> Scripted {
        Scripted::from(TcpListener::bind((ip, 0)).unwrap())
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection, before its request is read.
    pub fn accept_unread(&self) -> Call {
        let stream = eventually("a connection", || self.try_accept());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Call {
            stream,
            request: String::new(),
        }
    }

    /// The next connection and its request.
    pub fn accept(&self) -> Call {
        let mut call = self.accept_unread();
        call.read_request();
        call
    }

    /// The next connection, which must ask for [`REMOTE`](super::collector::REMOTE) with this inode and offset.
    pub fn accept_asking(&self, inode: u64, offset: u64) -> Call {
        let call = self.accept();
        let remote = super::collector::REMOTE;
        assert_eq!(call.asked(), format!("{remote} {inode} {offset}"));
        call
    }

    /// Watches for a while that nobody connects.
    pub fn expect_no_call(&self, ms: u64) {
        for_a_while(ms, "nobody connects", || self.try_accept().is_none());
    }

    /// Answers every connection in a thread of its own, for the rest of the test program. The handler is told how
    /// many connections there were before.
    pub fn serve(self, handle: impl Fn(usize, Call) + Send + Sync + Clone + 'static) -> SocketAddr {
        let address = self.address();
        self.listener.set_nonblocking(false).unwrap();
        // Room for hundreds that come at once: who finds none tries again after a second only.
        listen(&self.listener, 1024).unwrap();
        thread::spawn(move || {
            for (number, stream) in self.listener.incoming().flatten().enumerate() {
                let handle = handle.clone();
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let mut call = Call {
                        stream,
                        request: String::new(),
                    };
                    if call.try_read_request() {
                        handle(number, call);
                    }
                });
            }
        });
        address
    }

    /// A connection if one is there, before its request is read.
    pub fn try_call(&self) -> Option<Call> {
        let stream = self.try_accept()?;
        Some(Call {
            stream,
            request: String::new(),
        })
    }

    fn try_accept(&self) -> Option<TcpStream> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                Some(stream)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot accept: {error}"),
        }
    }
}

impl From<TcpListener> for Scripted {
    fn from(listener: TcpListener) -> Scripted {
        listener.set_nonblocking(true).unwrap();
        Scripted { listener }
    }
}

/// One connection.
pub struct Call {
    stream: TcpStream,
    request: String,
}

impl Call {
    /// The request line, without its newline.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// The three words of the request that every classic server reads: path, inode and offset.
    pub fn asked(&self) -> String {
        let words: Vec<&str> = self.request.split(' ').take(3).collect();
        words.join(" ")
    }

    /// The path, the inode and the offset of the request.
    pub fn parts(&self) -> (&str, u64, u64) {
        let mut words = self.request.split(' ');
        let path = words.next().unwrap();
        let mut number = || words.next().unwrap().parse().unwrap();
        (path, number(), number())
    }

    /// Reads the request line.
    pub fn read_request(&mut self) {
        assert!(self.try_read_request(), "a request: {:?}", self.request);
    }

    /// Reads the request line. Tells whether there was one.
    pub fn try_read_request(&mut self) -> bool {
        let mut byte = [0];
        while self.stream.read_exact(&mut byte).is_ok() {
            if byte == *b"\n" {
                return true;
            }
            self.request.push(char::from(byte[0]));
        }
        false
    }

    /// Sends bytes at once.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes at once. Tells whether the collector still takes them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Takes the steps one after the other. A collector that has gone ends the script.
    pub fn play(mut self, steps: &[Step]) {
        for step in steps {
            let goes_on = match step {
                Step::Send(bytes) => self.try_send(bytes),
                Step::Trickle(bytes) => bytes.iter().all(|byte| {
                    thread::sleep(Duration::from_millis(2));
                    self.try_send([*byte])
                }),
                Step::Pause(ms) => {
                    thread::sleep(Duration::from_millis(*ms));
                    true
                }
                Step::Silence => {
                    self.wait_until_left();
                    false
                }
                Step::Close => false,
                Step::Reset => return self.reset(),
            };
            if !goes_on {
                return self.close();
            }
        }
    }

    /// Closes in good order.
    pub fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Resets the connection.
    pub fn reset(self) {
        sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Sends keep-alive until the collector closes the connection.
    pub fn keep_alive_until_left(&mut self) {
        while self.try_send([7]) {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the collector closes the connection.
    pub fn wait_until_left(&mut self) {
        loop {
            match self.stream.read(&mut [0; 64]) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("the connection is still held")
                }
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Whether the collector still holds the connection.
    pub fn is_held(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}
