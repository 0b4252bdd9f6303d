//! The relay: the link between collector and server, which can be cut and mended.
//!
//! One thread accepts, two more carry the bytes of each connection. While the link is down nobody
//! is answered: new connections wait, as they do behind a cable that was pulled.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// The link. Dropping it cuts every connection and ends the threads.
pub struct Relay {
    address: SocketAddr,
    link: Arc<Link>,
}

struct Link {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    is_up: bool,
    is_closing: bool,
    /// Bytes that may still pass towards the collector before the link goes down by itself.
    allowance: Option<u64>,
    open: Vec<Weak<TcpStream>>,
}

/// The time that a connection to the server may take; it is on this host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

impl Relay {
    /// Listens on a free port of loopback and connects whoever comes with `server`.
    pub fn start(server: SocketAddr) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = State {
            is_up: true,
            is_closing: false,
            allowance: None,
            open: Vec::new(),
        };
        let link = Arc::new(Link {
            server,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&link);
        thread::Builder::new().spawn(move || accept_all(&listener, &accepting))?;
        Ok(Relay { address, link })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether connections are let through.
    pub fn is_up(&self) -> bool {
        self.link.lock().is_up
    }

    /// Breaks every connection and lets none through.
    pub fn cut(&self) {
        self.link.lock().cut();
    }

    /// Cuts once so many more bytes have passed towards the collector, and not a byte later.
    pub fn cut_after(&self, bytes: u64) {
        self.link.lock().allowance = Some(bytes);
    }

    /// Lets connections through again, those that wait first.
    pub fn mend(&self) {
        self.link.lock().is_up = true;
        self.link.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut state = self.link.lock();
        state.cut();
        state.is_closing = true;
        drop(state);
        self.link.changed.notify_all();
        // A last connection wakes the thread that accepts.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT);
    }
}

impl State {
    fn cut(&mut self) {
        self.is_up = false;
        self.allowance = None;
        for stream in self.open.drain(..) {
            if let Some(stream) = stream.upgrade() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the link is up; `false` when it is to end instead.
    fn wait_until_up(&self) -> bool {
        // A loop within, since a condition variable may wake without a reason.
        let state = self
            .changed
            .wait_while(self.lock(), |state| !state.is_up && !state.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        !state.is_closing
    }

    /// Connects a client with the server.
    fn connect(self: &Arc<Link>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect_timeout(&self.server, CONNECT_TIMEOUT)?;
        // The latency that is shown is that of the two programs, not of the link.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (client, server) = (Arc::new(client), Arc::new(server));
        // The link may have been cut while this was connecting; then nobody would cut it.
        let mut state = self.lock();
        if !state.is_up {
            return Ok(());
        }
        // Those that have ended by themselves leave holes.
        state.open.retain(|stream| stream.strong_count() > 0);
        state.open.extend([&client, &server].map(Arc::downgrade));
        drop(state);
        let (from, to) = (Arc::clone(&client), Arc::clone(&server));
        thread::Builder::new().spawn(move || carry(&from, &to, None))?;
        let link = Arc::clone(self);
        thread::Builder::new().spawn(move || carry(&server, &client, Some(&link)))?;
        Ok(())
    }

    /// How many of `len` bytes may pass.
    fn take_allowance(&self, len: usize) -> usize {
        let mut state = self.lock();
        let Some(left) = &mut state.allowance else {
            return len;
        };
        let taken = len.min(usize::try_from(*left).unwrap_or(usize::MAX));
        // Taken under the lock before the bytes are written: two connections cannot both have the
        // last ones.
        *left -= taken as u64;
        taken
    }

    /// Cuts if the allowance is used up.
    fn cut_if_spent(&self) {
        let mut state = self.lock();
        if state.allowance == Some(0) {
            state.cut();
        }
    }
}

fn accept_all(listener: &TcpListener, link: &Arc<Link>) {
    for client in listener.incoming() {
        // The client has been accepted by the kernel long ago; for it this is a cable without an
        // other end.
        if !link.wait_until_up() {
            return;
        }
        // A client that cannot be connected is dropped and tries again.
        if client.and_then(|client| link.connect(client)).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Carries bytes one way until either side ends, then ends both.
fn carry(mut from: &TcpStream, mut to: &TcpStream, limited_by: Option<&Link>) {
    let mut buf = vec![0; 16 * 1024];
    loop {
        let len = match from.read(&mut buf) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let allowed = limited_by.map_or(len, |link| link.take_allowance(len));
        if to.write_all(&buf[..allowed]).is_err() {
            break;
        }
        if let Some(link) = limited_by {
            link.cut_if_spent();
        }
        // The rest is what was on the wire when the cable was pulled.
        if allowed < len {
            break;
        }
    }
    // Half a close is a whole one here, as it is for both programs.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server, the link to it, and a connection that was let through.
    struct Joined {
        listener: TcpListener,
        relay: Relay,
        client: TcpStream,
        server: TcpStream,
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    fn joined() -> Joined {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).unwrap();
        let client = client_of(&relay);
        let (server, _) = listener.accept().unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        Joined {
            listener,
            relay,
            client,
            server,
        }
    }

    fn client_of(relay: &Relay) -> TcpStream {
        let client = TcpStream::connect(relay.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// All that comes until the connection ends, in whatever way.
    fn drain(mut stream: &TcpStream) -> Vec<u8> {
        let (mut bytes, mut buf) = (Vec::new(), [0; 1024]);
        while let Ok(len @ 1..) = stream.read(&mut buf) {
            bytes.extend_from_slice(&buf[..len]);
        }
        bytes
    }

    #[test]
    fn bytes_pass_both_ways_and_an_end_is_passed_on() {
        let mut joined = joined();
        joined.client.write_all(b"question\n").unwrap();
        let mut buf = [0; 9];
        joined.server.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"question\n");
        joined.server.write_all(b"answer").unwrap();
        drop(joined.server);
        assert_eq!(drain(&joined.client), b"answer");
    }

    #[test]
    fn the_cut_comes_after_the_very_byte() {
        let mut joined = joined();
        joined.relay.cut_after(70_001);
        let bytes: Vec<u8> = (0..100_000).map(|n| (n % 251) as u8).collect();
        // The break may be noticed while writing.
        let _ = joined.server.write_all(&bytes);
        assert_eq!(drain(&joined.client), &bytes[..70_001]);
        assert!(!joined.relay.is_up());
        assert_eq!(drain(&joined.server), b"");
    }

    #[test]
    fn behind_a_cut_link_a_connection_waits_until_it_is_mended() {
        let joined = joined();
        joined.relay.cut();
        assert_eq!(drain(&joined.client), b"");
        let mut waiting = client_of(&joined.relay);
        waiting.write_all(b"hello").unwrap();
        joined.listener.set_nonblocking(true).unwrap();
        assert!(joined.listener.accept().is_err());
        joined.listener.set_nonblocking(false).unwrap();
        joined.relay.mend();
        let (mut server, _) = joined.listener.accept().unwrap();
        let mut buf = [0; 5];
        server.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello");
    }

    #[test]
    fn dropping_it_ends_every_connection() {
        let joined = joined();
        let address = joined.relay.address();
        drop(joined.relay);
        assert_eq!(drain(&joined.client), b"");
        assert_eq!(drain(&joined.server), b"");
        let began = std::time::Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(began.elapsed() < PATIENCE, "it still listens");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
