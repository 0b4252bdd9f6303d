//! Clients that harm the server, from addresses that it allows but for one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::common::pair::content::proof_unlike_all;
use crate::good::{CANDIDATE_LEN, Good};
use crate::usage::Attack;

type Begin = fn(&Good) -> Attack;

/// Each by a name for the table.
pub const ATTACKS: &[(&str, Begin)] = &[
    ("connect and ask nothing, from four addresses", silent),
    ("connect and leave", |good| {
        let to = good.address();
        Attack::again(4, move |n| drop(call(to, n)))
    }),
    ("connect without being allowed", |good| {
        let to = good.address();
        Attack::again(4, move |_| {
            answer(call_from(to, Ipv4Addr::new(127, 0, 0, 99)))
        })
    }),
    ("a byte of a request now and then", |good| {
        let to = good.address();
        Attack::again(32, move |n| {
            let Some(mut stream) = call(to, n) else {
                return;
            };
            while stream.write_all(b"/").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        })
    }),
    ("requests that make no sense", |good| {
        let to = good.address();
        Attack::again(4, move |n| ask(to, n, "nonsense of all kinds\n"))
    }),
    ("follow and never read", |good| {
        hold(good, "large", "0 0 v2")
    }),
    ("backlogs of 900 files, never read", |good| {
        hold(good, "old", "0 0 v2 history=all")
    }),
    ("parts of a file, never read", |good| {
        hold(good, "large", "op=range:0:1073741824")
    }),
    ("digests of 64 GiB", |good| {
        repeat(good, "large", "op=digest")
    }),
    ("checksums of 64 GiB", |good| {
        repeat(good, "large", "op=sums:0:67108864:1024")
    }),
    ("searches among 20,000 names", |good| {
        let (to, request) = (
            good.address(),
            good.logs.request("many/log", "1 1 v2 p=0:1:00000000\n"),
        );
        Attack::again(31, move |n| ask(to, n, &request))
    }),
    ("searches by content", |good| {
        let rest = format!("1 {CANDIDATE_LEN} v2 {}\n", proof_unlike_all(CANDIDATE_LEN));
        let (to, request) = (good.address(), good.logs.request("s", rest));
        Attack::again(31, move |n| ask(to, n, &request))
    }),
];

/// As many as there is room for, and again for each that is put out.
fn silent(good: &Good) -> Attack {
    let to = good.address();
    Attack::again(64, move |n| {
        if let Some(mut stream) = call(to, n) {
            let _ = stream.read(&mut [0; 64]);
        }
        thread::sleep(Duration::from_millis(5));
    })
}

/// Asks and reads nothing of what comes.
fn hold(good: &Good, name: &str, rest: &str) -> Attack {
    let (to, request) = (good.address(), request(good, name, rest));
    Attack::again(31, move |n| {
        let Some(mut stream) = call(to, n) else {
            return;
        };
        let _ = stream.write_all(request.as_bytes());
        thread::sleep(Duration::from_secs(5));
    })
}

/// Asks, and again as soon as it is answered.
fn repeat(good: &Good, name: &str, rest: &str) -> Attack {
    let (to, request) = (good.address(), request(good, name, rest));
    Attack::again(31, move |n| ask(to, n, &request))
}

fn request(good: &Good, name: &str, rest: &str) -> String {
    let rest = match rest.starts_with("op=") {
        true => format!("{} {} v2 {rest}\n", good.logs.inode(name), 64u64 << 30),
        false => format!("{rest}\n"),
    };
    good.logs.request(name, rest)
}

fn ask(to: SocketAddr, n: usize, request: &str) {
    let Some(mut stream) = call(to, n) else {
        return;
    };
    if stream.write_all(request.as_bytes()).is_ok() {
        answer(Some(stream));
    }
}

/// Reads until the server has enough of it, for a second at most.
fn answer(stream: Option<TcpStream>) {
    let Some(mut stream) = stream else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    while stream.read(&mut [0; 4096]).is_ok_and(|len| len > 0) {}
}

/// From one of four addresses.
fn call(to: SocketAddr, n: usize) -> Option<TcpStream> {
    call_from(to, Ipv4Addr::new(127, 0, 0, 2 + n as u8 % 4))
}

fn call_from(to: SocketAddr, from: Ipv4Addr) -> Option<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).ok()?;
    bind(&socket, &SocketAddr::from((from, 0))).ok()?;
    connect(&socket, &to).ok()?;
    Some(TcpStream::from(socket))
}
