//! One connection of the control socket: a request, its answer, the end. The answer is made while
//! the client takes it, in parts.

use std::fmt::Write;

use super::faces::{About, Face, Making, Sources};
use super::http::{Asked, Refusal, Request, Terms};
use crate::limits::{CONTROL_DRAIN_LEN, CONTROL_DRAIN_MS, CONTROL_TOTAL_MS, CONTROL_WAIT_MS};
use crate::time::Mono;

/// The connection of one client.
pub struct Exchange {
    phase: Phase,
    /// What the client is to get and has not taken yet, from `sent` on.
    output: String,
    sent: usize,
    /// The client wants the head of the answer only.
    is_for_head: bool,
    /// What is done when nothing moves until then.
    deadline: Mono,
    /// The end of it all.
    over_at: Mono,
}

enum Phase {
    /// The request is not complete yet.
    Asking(Box<Request>),
    /// It asks for something to be done, which the caller does.
    Acting { asked: Option<Asked> },
    /// The answer is under way.
    Answering {
        making: Option<Making>,
        chunks: bool,
    },
    /// All is said; what the client still sends is read, else it might not hear it.
    Draining { left: usize },
    /// Nothing is left to do.
    Over,
}

impl Exchange {
    /// The connection of a client that has just come.
    pub fn new(now: Mono) -> Exchange {
        Exchange {
            phase: Phase::Asking(Box::default()),
            output: String::new(),
            sent: 0,
            is_for_head: false,
            deadline: now.plus_ms(CONTROL_WAIT_MS),
            over_at: now.plus_ms(CONTROL_TOTAL_MS),
        }
    }

    /// The connection of a client for which there is no room: it is told so.
    pub fn turned_away(now: Mono) -> Exchange {
        let mut exchange = Exchange::new(now);
        exchange.refuse(Refusal::Busy, now);
        exchange
    }

    /// Whether bytes of the client are wanted.
    pub fn wants_input(&self) -> bool {
        matches!(self.phase, Phase::Asking(_) | Phase::Draining { .. })
    }

    /// Bytes came.
    pub fn handle_input(&mut self, bytes: &[u8], terms: &Terms, now: Mono) {
        match &mut self.phase {
            Phase::Asking(request) => {
                let pushed = request.push(bytes, terms);
                self.is_for_head = request.is_for_head();
                match pushed {
                    Ok(None) => {}
                    Ok(Some(wanted)) => self.begin(wanted.asked, wanted.takes_chunks, now),
                    Err(refusal) => self.refuse(refusal, now),
                }
            }
            Phase::Draining { left } => match left.checked_sub(bytes.len()) {
                Some(rest) => *left = rest,
                None => self.phase = Phase::Over,
            },
            _ => {}
        }
    }

    /// The client will send no more.
    pub fn handle_end(&mut self, now: Mono) {
        // Who closes its half may still read; who asks nothing gets nothing.
        match &self.phase {
            Phase::Asking(request) if !request.is_empty() => self.refuse(Refusal::Bad, now),
            Phase::Asking(_) | Phase::Draining { .. } => self.phase = Phase::Over,
            _ => {}
        }
    }

    /// The connection broke.
    pub fn give_up(&mut self) {
        self.phase = Phase::Over;
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match self.phase {
            Phase::Asking(_) if now < self.over_at => self.refuse(Refusal::Slow, now),
            _ => self.phase = Phase::Over,
        }
    }

    /// When something has to have happened; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Mono> {
        (!self.is_over()).then_some(self.deadline.min(self.over_at))
    }

    /// What is to be done before there is an answer, once; [`answer`](Self::answer) follows.
    pub fn take_asked(&mut self) -> Option<Asked> {
        match &mut self.phase {
            Phase::Acting { asked } => asked.take(),
            _ => None,
        }
    }

    /// What was asked for is done, and this is to be said of it.
    pub fn answer(&mut self, text: &str, now: Mono) {
        self.head(200, "OK", "text/plain; charset=utf-8", Some(text.len()));
        self.end_with(text, now);
    }

    /// The bytes to send now; more of them are made if there were none. A part may turn out empty:
    /// then this is called again, in another turn, as long as it [has output](Self::has_output).
    pub fn output(&mut self, sources: &dyn Sources, about: &About<'_>) -> &[u8] {
        if self.sent >= self.output.len() {
            self.output.clear();
            self.sent = 0;
            self.make_part(sources, about);
        }
        self.pending()
    }

    /// The bytes to send, as far as they are made.
    pub fn pending(&self) -> &[u8] {
        self.output.as_bytes().get(self.sent..).unwrap_or_default()
    }

    /// The client took so many bytes of that. Tells whether all is said with that, and our half is
    /// to be closed.
    pub fn consume_output(&mut self, len: usize, now: Mono) -> bool {
        self.sent = self.sent.saturating_add(len);
        self.deadline = now.plus_ms(CONTROL_WAIT_MS);
        let is_made = match &self.phase {
            Phase::Answering { making, .. } => making.is_none(),
            _ => false,
        };
        if !is_made || self.sent < self.output.len() {
            return false;
        }
        self.output = String::new();
        self.sent = 0;
        self.deadline = now.plus_ms(CONTROL_DRAIN_MS);
        self.phase = Phase::Draining {
            left: CONTROL_DRAIN_LEN,
        };
        true
    }

    /// Whether there may be something to send.
    pub fn has_output(&self) -> bool {
        matches!(self.phase, Phase::Answering { .. })
    }

    /// Whether the connection is to be closed.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn begin(&mut self, asked: Asked, chunks: bool, now: Mono) {
        self.deadline = now.plus_ms(CONTROL_WAIT_MS);
        let face = match asked {
            Asked::Face(face) => face,
            #[cfg(feature = "page")]
            Asked::Page => {
                let page = super::page::PAGE;
                self.head(200, "OK", "text/html; charset=utf-8", Some(page.len()));
                return self.end_with(page, now);
            }
            asked => {
                self.phase = Phase::Acting { asked: Some(asked) };
                return;
            }
        };
        let kind = match face {
            Face::Json => "application/json",
            Face::Table => "text/tab-separated-values; charset=utf-8",
            Face::Metrics => "text/plain; version=0.0.4; charset=utf-8",
        };
        self.head(200, "OK", kind, None);
        if chunks {
            self.output.push_str("Transfer-Encoding: chunked\r\n");
        }
        self.output.push_str("\r\n");
        self.phase = Phase::Answering {
            making: (!self.is_for_head).then(|| Making::new(face)),
            chunks,
        };
    }

    fn refuse(&mut self, refusal: Refusal, now: Mono) {
        let (status, name) = refusal.status();
        let text = refusal.text();
        self.head(
            status,
            name,
            "text/plain; charset=utf-8",
            Some(text.len() + 1),
        );
        if let Refusal::Method(method) = refusal {
            let end = self.output.len() - 2;
            self.output.truncate(end);
            let _ = write!(self.output, "Allow: {method}\r\n\r\n");
        }
        self.end_with(text, now);
        if !self.is_for_head {
            self.output.push('\n');
        }
    }

    /// The head of an answer; without its end if the length of the body is not known.
    fn head(&mut self, status: u16, name: &str, kind: &str, len: Option<usize>) {
        self.output.clear();
        self.sent = 0;
        let _ = write!(
            self.output,
            "HTTP/1.1 {status} {name}\r\nContent-Type: {kind}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
        );
        #[cfg(feature = "page")]
        if kind.starts_with("text/html") {
            self.output.push_str(super::page::HEADERS);
        }
        if let Some(len) = len {
            let _ = write!(self.output, "Content-Length: {len}\r\n\r\n");
        }
    }

    fn end_with(&mut self, text: &str, now: Mono) {
        if !self.is_for_head {
            self.output.push_str(text);
        }
        self.deadline = now.plus_ms(CONTROL_WAIT_MS);
        self.phase = Phase::Answering {
            making: None,
            chunks: false,
        };
    }

    fn make_part(&mut self, sources: &dyn Sources, about: &About<'_>) {
        let Phase::Answering {
            making: making @ Some(_),
            chunks,
        } = &mut self.phase
        else {
            return;
        };
        let Some(face) = making else { return };
        let mut part = String::new();
        face.make(sources, about, &mut part);
        let is_done = face.is_done();
        if *chunks {
            // Metrics without a value make parts with nothing in them, and an empty chunk would be
            // the end.
            if !part.is_empty() {
                let _ = write!(self.output, "{:x}\r\n{part}\r\n", part.len());
            }
            if is_done {
                self.output.push_str("0\r\n\r\n");
            }
        } else {
            self.output = part;
        }
        if is_done {
            *making = None;
        }
    }
}

#[cfg(test)]
mod tests;
