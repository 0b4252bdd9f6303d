//! A relay between collector and server that cuts connections, or hands bytes on one by one.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running relay; gone when dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What happens to a connection on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It ends after so many bytes of the server.
    CutAfter(usize),
    /// The first so many bytes of the server arrive one by one.
    Dribbled(usize),
    /// After so many bytes of the server nothing more comes, and it stays open until somebody ends it.
    HeldAfter(usize),
}

/// Decides about a connection for which nothing was decreed; with `None` it is just handed on.
type Usual = Box<dyn FnMut() -> Option<Fate> + Send>;

struct Shared {
    server: SocketAddr,
    /// What waits for the connections to come; those for which there is nothing have the usual fate.
    fates: Mutex<VecDeque<Fate>>,
    usual: Mutex<Usual>,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicUsize,
    brought: AtomicUsize,
    over: AtomicBool,
}

impl Relay {
    /// A relay to this server.
    pub fn to(server: SocketAddr) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                server,
                fates: Mutex::default(),
                usual: Mutex::new(Box::new(|| None)),
                open: Mutex::default(),
                ended: AtomicUsize::new(0),
                brought: AtomicUsize::new(0),
                over: AtomicBool::new(false),
            }),
        };
        let shared = relay.shared.clone();
        thread::spawn(move || shared.accept(&listener));
        relay
    }

    /// Where collectors connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Decides about the connections to come, one each.
    pub fn decree(&self, fates: impl IntoIterator<Item = Fate>) {
        self.shared.fates.lock().unwrap().extend(fates);
    }

    /// Decides about all connections to come for which nothing is decreed.
    pub fn set_usual(&self, usual: impl FnMut() -> Option<Fate> + Send + 'static) {
        *self.shared.usual.lock().unwrap() = Box::new(usual);
    }

    /// How many decrees wait for their connection.
    pub fn decrees_left(&self) -> usize {
        self.shared.fates.lock().unwrap().len()
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many connections have ended.
    pub fn ended(&self) -> usize {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// How many bytes of the server the connections have brought that have ended.
    pub fn brought(&self) -> usize {
        self.shared.brought.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // The thread that accepts has to wake up to see that.
        let _ = TcpStream::connect(self.address);
        self.cut();
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            // A server that does not run is seen by the client as a connection that closes at once.
            if let (Ok(client), Ok(server)) = (client, TcpStream::connect(self.server)) {
                self.join(client, server);
            }
        }
    }

    fn join(self: &Arc<Shared>, client: TcpStream, server: TcpStream) {
        let both = [&client, &server].map(|stream| stream.try_clone().unwrap());
        self.open.lock().unwrap().extend(both);
        let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || hand_on(from_client, to_server, u64::MAX));
        let decreed = self.fates.lock().unwrap().pop_front();
        let fate = decreed.or_else(|| (self.usual.lock().unwrap())());
        let shared = self.clone();
        thread::spawn(move || shared.bring_back(server, client, fate));
    }

    /// The server's bytes, as far as the connection's fate allows.
    fn bring_back(&self, mut server: TcpStream, mut client: TcpStream, fate: Option<Fate>) {
        let most = match fate {
            Some(Fate::CutAfter(len)) => len as u64,
            Some(Fate::Dribbled(len)) => {
                dribble(&mut server, &mut client, len);
                u64::MAX
            }
            Some(Fate::HeldAfter(len)) => {
                let _ = std::io::copy(&mut (&server).take(len as u64), &mut client);
                return;
            }
            None => u64::MAX,
        };
        let brought = hand_on(server, client, most);
        self.brought.fetch_add(brought as usize, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// Hands on so many bytes, each in a packet of its own.
fn dribble(from: &mut TcpStream, to: &mut TcpStream, len: usize) {
    to.set_nodelay(true).unwrap();
    let mut byte = [0];
    for _ in 0..len {
        if from.read_exact(&mut byte).is_err() || to.write_all(&byte).is_err() {
            return;
        }
        thread::yield_now();
    }
}

/// Hands on what comes, and ends both connections when no more does. Tells how much it was.
fn hand_on(from: TcpStream, mut to: TcpStream, most: u64) -> u64 {
    let len = std::io::copy(&mut (&from).take(most), &mut to);
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
    len.unwrap_or(0)
}
