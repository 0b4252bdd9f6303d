//! As much of a fetchlogs 1.1 server as it takes to be one with a truncated log.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Serves one file, whatever path is asked for. Its thread ends with the test.
pub struct OldServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    inode: u64,
    bytes: Vec<u8>,
    clients: Vec<TcpStream>,
}

impl OldServer {
    /// A server of a file with this inode and content.
    pub fn start(inode: u64, text: &str) -> OldServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = OldServer {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                inode,
                bytes: text.into(),
                clients: Vec::new(),
            })),
        };
        let state = server.state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                state.lock().unwrap().answer(client.unwrap());
            }
        });
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file has other bytes from now on, under the same inode. Whoever follows it is dropped.
    pub fn put(&self, text: &str) {
        let mut state = self.state.lock().unwrap();
        state.bytes = text.into();
        for client in state.clients.drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    /// Dropping the client without a word is how 1.1 refuses an offset behind the end.
    fn answer(&mut self, mut client: TcpStream) {
        let mut line = String::new();
        BufReader::new(&client).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let inode: u64 = words[1].parse().unwrap();
        let offset: usize = words[2].parse().unwrap();
        assert!([0, self.inode].contains(&inode));
        if let Some(rest) = self.bytes.get(offset..) {
            client
                .write_all(format!("O {}\n", self.inode).as_bytes())
                .unwrap();
            client.write_all(rest).unwrap();
            self.clients.push(client);
        }
    }
}
