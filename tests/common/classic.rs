//! A classic client that does what its test says and nothing else.
#![allow(dead_code)]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};

use super::server::Server;
use super::wait::PATIENCE;

/// Never data.
pub const KEEP_ALIVE: u8 = 7;

/// One connection.
pub struct Client {
    stream: TcpStream,
    /// Received and not looked at yet.
    unread: Vec<u8>,
    is_closed: bool,
}

impl Client {
    /// Connects.
    pub fn connect(to: SocketAddr) -> Client {
        Client::new(TcpStream::connect(to).unwrap())
    }

    /// Connects from an address of one's own: all of 127.0.0.0/8 is this machine.
    pub fn connect_from(from: Ipv4Addr, to: SocketAddr) -> Client {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::new(IpAddr::V4(from), 0)).unwrap();
        connect(&socket, &to).unwrap();
        Client::new(TcpStream::from(socket))
    }

    fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            unread: Vec::new(),
            is_closed: false,
        }
    }

    /// Connects and sends a line.
    pub fn ask(server: &Server, line: &str) -> Client {
        let mut client = Client::connect(server.address());
        client.send(format!("{line}\n"));
        client
    }

    /// Takes no more than about `len` bytes from the network ahead of what the test reads.
    pub fn receive_little(&self, len: usize) {
        sockopt::set_socket_recv_buffer_size(&self.stream, len).unwrap();
    }

    /// Sends bytes. A server that has closed already is no fault of the client's.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match self.stream.write_all(bytes.as_ref()) {
            Err(error) if is_closed(error.kind()) => {}
            result => result.unwrap(),
        }
    }

    /// Tells the server that nothing more will come, and goes on reading.
    pub fn send_end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes the connection so that the server gets a reset.
    pub fn reset(self) {
        sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO)).unwrap();
    }

    /// The answer line without its newline.
    pub fn reply(&mut self) -> String {
        let reply = self.try_reply();
        reply.unwrap_or_else(|| panic!("closed instead of an answer: {self}"))
    }

    /// The same; `None` where the connection is closed instead.
    pub fn try_reply(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=at).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.receive() {
                return None;
            }
        }
    }

    /// The next `len` bytes of the file.
    pub fn data(&mut self, len: usize) -> Vec<u8> {
        let mut data = Vec::with_capacity(len);
        while data.len() < len {
            if self.unread.is_empty() {
                assert!(self.receive(), "closed after {} of {len} bytes", data.len());
            }
            let taken = self.unread.len().min(len - data.len());
            let bytes = self.unread.drain(..taken);
            data.extend(bytes.filter(|&byte| byte != KEEP_ALIVE));
        }
        data
    }

    /// Reads as many bytes of the file as these and compares.
    pub fn expect(&mut self, data: impl AsRef<[u8]>) {
        let data = data.as_ref();
        let got = self.data(data.len());
        if got != data {
            let at = std::iter::zip(&got, data)
                .take_while(|(a, b)| a == b)
                .count();
            panic!("different from byte {at} on: {:?}", Shown(&got[at..]));
        }
    }

    /// As many bytes of the file as there are, at least one; `None` once the server has closed.
    pub fn some_data(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut data = std::mem::take(&mut self.unread);
            data.retain(|&byte| byte != KEEP_ALIVE);
            if !data.is_empty() {
                return Some(data);
            }
            if !self.receive() {
                return None;
            }
        }
    }

    /// The next byte has to be a keep-alive.
    pub fn expect_keep_alive(&mut self) {
        while self.unread.is_empty() {
            assert!(self.receive(), "closed instead of a keep-alive");
        }
        assert_eq!(self.unread.remove(0), KEEP_ALIVE, "{self}");
    }

    /// Everything until the server closes, keep-alives left out.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.receive() {}
        let mut rest = std::mem::take(&mut self.unread);
        rest.retain(|&byte| byte != KEEP_ALIVE);
        rest
    }

    /// The server has to close without a word.
    pub fn expect_closed_without_a_word(&mut self) {
        while self.unread.is_empty() && self.receive() {}
        assert!(self.unread.is_empty(), "{self}");
    }

    /// The server has to close after this and nothing else.
    pub fn expect_closed_after(&mut self, data: impl AsRef<[u8]>) {
        self.expect(data);
        let rest = self.rest();
        assert!(rest.is_empty(), "{:?}", Shown(&rest));
    }

    /// Waits for bytes; `false` if the server has closed.
    fn receive(&mut self) -> bool {
        let mut buf = [0; 64 * 1024];
        match self.stream.read(&mut buf) {
            Ok(0) => self.is_closed = true,
            Ok(len) => self.unread.extend(&buf[..len]),
            Err(error) if is_closed(error.kind()) => self.is_closed = true,
            Err(error) => panic!("waited in vain for the server: {error}, had {self}"),
        }
        !self.is_closed
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", Shown(&self.unread))
    }
}

/// The start of some bytes, for a message.
struct Shown<'a>(&'a [u8]);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.0[..self.0.len().min(200)];
        write!(f, "\"{}\" ({} bytes)", start.escape_ascii(), self.0.len())
    }
}
