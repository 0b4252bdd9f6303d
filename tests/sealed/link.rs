//! A link that keeps all that goes by, in both directions.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running one; its connections live as long as the two sides want.
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: Mutex<SocketAddr>,
    seen: Mutex<Vec<u8>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// One to this server.
    pub fn to(server: SocketAddr) -> Link {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Link {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                server: Mutex::new(server),
                seen: Mutex::default(),
                open: Mutex::default(),
            }),
        };
        let shared = link.shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.hand_on(client);
            }
        });
        link
    }

    /// Where collectors connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it leads to another server; who is connected goes.
    pub fn redirect(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// All bytes that went by.
    pub fn seen(&self) -> Vec<u8> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn hand_on(self: &Arc<Shared>, client: TcpStream) {
        let server = *self.server.lock().unwrap();
        let Ok(server) = TcpStream::connect(server) else {
            return;
        };
        let mut open = self.open.lock().unwrap();
        open.push(client.try_clone().unwrap());
        open.push(server.try_clone().unwrap());
        for (mut from, mut to) in [
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server, client),
        ] {
            let shared = self.clone();
            thread::spawn(move || {
                let mut buf = [0; 65536];
                while let Ok(len) = from.read(&mut buf)
                    && len > 0
                {
                    shared.seen.lock().unwrap().extend(&buf[..len]);
                    if to.write_all(&buf[..len]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }
}
