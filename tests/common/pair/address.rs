//! Loopback addresses, of which this machine has sixteen million.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many addresses a test program has for itself before it comes to those of the next.
const OF_EACH: u32 = 1024;

/// An address in 127/8 that nobody else of this run has, so that nobody takes a server's port while it is away.
pub fn own() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id()
        .wrapping_mul(OF_EACH)
        .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    // Not 127.0.0.1, from which everybody calls, and no end of the range.
    let digit = |number: u32| 1 + (number % 250) as u8;
    Ipv4Addr::new(
        127,
        digit(number / 62_500),
        digit(number / 250),
        digit(number),
    )
}

/// The same with a port that the system gives to nobody and that nobody listens at: for whoever has to know it before
/// the server runs.
pub fn own_with_port() -> SocketAddr {
    let ip = own();
    // Not by binding it: a process that is being started elsewhere would keep it for a moment.
    let addresses = (10_019..20_000).map(|port| SocketAddr::new(ip.into(), port));
    { addresses }
        .find(|address| TcpStream::connect(address).is_err())
        .unwrap()
}
