//! The requests of the control socket: HTTP/1.1 (RFC 9112), as much of it as a browser, a scraper
//! and `curl` need. One request for each connection.

use std::net::{IpAddr, Ipv6Addr};

use super::faces::Face;
use crate::limits::CONTROL_REQUEST_MAX_LEN;

/// A request, as far as it has come.
#[derive(Default)]
pub struct Request {
    bytes: heapless::Vec<u8, CONTROL_REQUEST_MAX_LEN>,
}

/// What a client may do, and under which names it may call us.
#[derive(Clone, Default, Debug)]
pub struct Terms {
    /// Losses may be taken note of.
    pub may_ack: bool,
    /// The names besides addresses and `localhost` that a `Host` may have; `None` for any.
    pub names: Option<Vec<Box<str>>>,
}

/// What a request asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A face.
    Face(Face),
    /// The page.
    #[cfg(feature = "page")]
    Page,
    /// To look at the records of losses of this box, and perhaps of this log only.
    Ack {
        /// The box, as it is configured.
        server: Box<str>,
        /// The log on the box; all of them if there is none.
        remote: Option<Box<[u8]>>,
    },
}

/// A whole request that makes sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// What it asks for.
    pub asked: Asked,
    /// Whether the answer may come in chunks.
    pub takes_chunks: bool,
}

/// The way in which a request makes no sense, or cannot be granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// What came is no request.
    Bad,
    /// The `Host` is a name that is none of ours.
    Stranger,
    /// There is nothing of that name.
    NotFound,
    /// It is not for this method, but for that one.
    Method(&'static str),
    /// It took too long.
    Slow,
    /// The body is too long.
    BodyTooLong,
    /// The head is too long.
    HeadTooLong,
    /// Too many clients.
    Busy,
}

impl Refusal {
    /// Its status, and what that is called.
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Refusal::Bad | Refusal::Stranger => (400, "Bad Request"),
            Refusal::NotFound => (404, "Not Found"),
            Refusal::Method(_) => (405, "Method Not Allowed"),
            Refusal::Slow => (408, "Request Timeout"),
            Refusal::BodyTooLong => (413, "Content Too Large"),
            Refusal::HeadTooLong => (431, "Request Header Fields Too Large"),
            Refusal::Busy => (503, "Service Unavailable"),
        }
    }

    /// What it says to a person.
    pub fn text(self) -> &'static str {
        match self {
            Refusal::Bad => "this is no request of HTTP/1.1",
            Refusal::Stranger => {
                "the Host is neither an address nor localhost nor a name given to -l"
            }
            Refusal::NotFound => "there is /status.json, /status.tsv, /metrics and /",
            Refusal::Method(_) => "this is for another method",
            Refusal::Slow => "the request did not come in time",
            Refusal::BodyTooLong => "the body is too long",
            Refusal::HeadTooLong => "the request is too long",
            Refusal::Busy => "there are too many connections",
        }
    }
}

impl Request {
    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether it asks for the head of an answer only: then nothing else may follow, be the answer
    /// what it is (RFC 9110, 9.3.2).
    pub fn is_for_head(&self) -> bool {
        let line = self.bytes.trim_ascii_start();
        line.starts_with(b"HEAD ")
    }

    /// Takes bytes, and tells what is asked once all of it is there.
    pub fn push(&mut self, bytes: &[u8], terms: &Terms) -> Result<Option<Wanted>, Refusal> {
        let room = self.bytes.capacity() - self.bytes.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        let _ = self.bytes.extend_from_slice(taken);
        let is_full = taken.len() < bytes.len() || self.bytes.is_full();
        let Some((head, body)) = split_head(&self.bytes) else {
            return if is_full {
                Err(Refusal::HeadTooLong)
            } else {
                Ok(None)
            };
        };
        let head = Head::parse(head)?;
        if head.body_len > self.bytes.capacity() - (self.bytes.len() - body.len()) {
            return Err(Refusal::BodyTooLong);
        }
        if body.len() < head.body_len {
            return Ok(None);
        }
        head.wanted(&body[..head.body_len], terms).map(Some)
    }
}

/// Head and body, once the empty line between them is there.
fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // RFC 9112, 2.2: a line may end without its carriage return.
    let mut at = 0;
    loop {
        let end = at + bytes.get(at..)?.iter().position(|&byte| byte == b'\n')?;
        let line = bytes.get(at..end)?;
        if at > 0 && (line.is_empty() || line == b"\r") {
            return Some((bytes.get(..at)?, bytes.get(end + 1..)?));
        }
        // Empty lines before a request are left out.
        at = end + 1;
    }
}

struct Head<'a> {
    method: &'a str,
    path: &'a str,
    host: Option<&'a str>,
    body_len: usize,
    is_new: bool,
}

impl<'a> Head<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Head<'a>, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Bad)?;
        let mut lines = text.lines().skip_while(|line| line.is_empty());
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::Bad);
        };
        let is_new = match version {
            "HTTP/1.0" => false,
            version if version.starts_with("HTTP/1.") && version.len() == 8 => true,
            _ => return Err(Refusal::Bad),
        };
        let is_method = !method.is_empty() && method.bytes().all(|it| it.is_ascii_uppercase());
        if !is_method || text.contains(['\0', '\u{7f}']) {
            return Err(Refusal::Bad);
        }
        // RFC 9112, 3.2.2: what names a server stands for its Host.
        let (authority, path) = match target.strip_prefix("http://") {
            Some(rest) => {
                let at = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..at]), &rest[at..])
            }
            None => (None, target),
        };
        let path = path.split('?').next().unwrap_or_default();
        let mut head = Head {
            method,
            path: if path.is_empty() { "/" } else { path },
            host: None,
            body_len: 0,
            is_new,
        };
        head.take_fields(lines)?;
        head.host = authority.or(head.host);
        if !head.path.starts_with('/') || is_new && head.host.is_none() {
            return Err(Refusal::Bad);
        }
        Ok(head)
    }

    fn take_fields(&mut self, lines: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
        let mut has_len = false;
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Refusal::Bad)?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(Refusal::Bad);
            }
            let value = value.trim_matches([' ', '\t']);
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            if is("host") {
                if self.host.replace(value).is_some() {
                    return Err(Refusal::Bad);
                }
            } else if is("content-length") {
                let is_number = !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit());
                if !is_number || std::mem::replace(&mut has_len, true) {
                    return Err(Refusal::Bad);
                }
                // What is larger than any number is too long as well.
                self.body_len = value.parse().unwrap_or(usize::MAX);
            } else if is("transfer-encoding") {
                return Err(Refusal::Bad);
            }
        }
        Ok(())
    }

    fn wanted(&self, body: &[u8], terms: &Terms) -> Result<Wanted, Refusal> {
        if let (Some(names), Some(host)) = (&terms.names, self.host)
            && !is_ours(host, names)
        {
            return Err(Refusal::Stranger);
        }
        let (asked, method) = match self.path {
            "/status.json" => (Asked::Face(Face::Json), "GET"),
            "/status.tsv" => (Asked::Face(Face::Table), "GET"),
            "/metrics" => (Asked::Face(Face::Metrics), "GET"),
            #[cfg(feature = "page")]
            "/" => (Asked::Page, "GET"),
            "/ack" if terms.may_ack && self.method == "POST" => (ack(body)?, "POST"),
            "/ack" if terms.may_ack => return Err(Refusal::Method("POST")),
            _ => return Err(Refusal::NotFound),
        };
        // The head of what can be got can be got alone.
        let is_head = (self.method, method) == ("HEAD", "GET");
        if self.method != method && !is_head {
            return Err(Refusal::Method(method));
        }
        Ok(Wanted {
            asked,
            takes_chunks: self.is_new,
        })
    }
}

/// `BOX LF` or `BOX LF REMOTE_FILE LF`.
fn ack(body: &[u8]) -> Result<Asked, Refusal> {
    let mut lines = body.split(|&byte| byte == b'\n');
    let server = std::str::from_utf8(lines.next().unwrap_or_default()).map_err(|_| Refusal::Bad)?;
    if server.is_empty() {
        return Err(Refusal::Bad);
    }
    let remote = lines.next().filter(|line| !line.is_empty());
    Ok(Asked::Ack {
        server: server.into(),
        remote: remote.map(Into::into),
    })
}

/// Whether a `Host` is an address, `localhost` or one of `names`, with any port. Else it may be a
/// name that leads a browser here to read what it has no business with.
fn is_ours(host: &str, names: &[Box<str>]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.split(']').next().unwrap_or_default();
            return address.parse::<Ipv6Addr>().is_ok();
        }
        None => host.split(':').next().unwrap_or_default(),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

#[cfg(test)]
mod tests;
