use super::*;
use crate::wire::table::{Collector, Row, State};

struct Plain(usize);

impl Sources for Plain {
    fn places(&self) -> usize {
        self.0
    }

    fn show(&self, place: usize, see: &mut dyn FnMut(&Row<'_>)) {
        if place >= self.0 {
            return;
        }
        see(&Row {
            server: "10.0.0.1".into(),
            remote: b"/m".as_slice().into(),
            local: format!("/c/{place}").into_bytes().into(),
            state: State::Following,
            since: None,
            held: 0,
            behind: None,
            last_byte: None,
            last_contact: None,
            next_try: None,
            losses: 0,
            unverified: 0,
            hooks_waiting: 0,
            is_paused: false,
            why: "".into(),
            rotations: 0,
            healed: 0,
            connections: 0,
            bytes: 0,
            address: "".into(),
        });
    }
}

fn about() -> About<'static> {
    About {
        collector: Collector {
            since: 1,
            until: None,
            version: "2".into(),
            is_faulty: false,
            hooks_left: 0,
        },
        servers: 1,
        now: 2,
    }
}

fn at(ms: u64) -> Mono {
    Mono::from_ms(ms)
}

fn terms() -> Terms {
    Terms {
        may_ack: true,
        names: None,
    }
}

/// All that is said to a client that takes so much at once.
fn said(exchange: &mut Exchange, sources: usize, at_once: usize) -> String {
    let mut text = Vec::new();
    for _ in 0..1_000_000 {
        let output = exchange.output(&Plain(sources), &about());
        let taken = output.len().min(at_once);
        text.extend_from_slice(&output[..taken]);
        if exchange.consume_output(taken, at(0)) {
            return String::from_utf8(text).unwrap();
        }
        assert!(exchange.has_output());
    }
    panic!("no end");
}

fn answer_to(request: &str, sources: usize, at_once: usize) -> String {
    let mut exchange = Exchange::new(at(0));
    exchange.handle_input(request.as_bytes(), &terms(), at(0));
    let text = said(&mut exchange, sources, at_once);
    // The end of the client, and of it all.
    exchange.handle_end(at(0));
    assert!(exchange.is_over());
    text
}

/// The body of an answer in chunks.
fn unchunked(text: &str) -> String {
    let (_, mut rest) = text.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    loop {
        let (len, behind) = rest.split_once("\r\n").unwrap();
        let len = usize::from_str_radix(len, 16).unwrap();
        body.push_str(&behind[..len]);
        rest = behind[len..].strip_prefix("\r\n").unwrap();
        if len == 0 {
            assert_eq!(rest, "");
            return body;
        }
    }
}

#[test]
fn an_answer_comes_whole_however_it_is_taken() {
    for path in ["/metrics", "/status.json", "/status.tsv"] {
        let new = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let old = format!("GET {path} HTTP/1.0\r\n\r\n");
        for sources in [0, 1, 300] {
            let whole = answer_to(&new, sources, usize::MAX);
            assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"));
            assert!(whole.contains("\r\nTransfer-Encoding: chunked\r\n"));
            assert_eq!(answer_to(&new, sources, 7), whole);
            let plain = answer_to(&old, sources, 1000);
            let (head, body) = plain.split_once("\r\n\r\n").unwrap();
            assert!(!head.contains("chunked"));
            assert_eq!(body, unchunked(&whole));
            assert_eq!(body.contains("/c/299"), sources == 300);
        }
    }
}

#[cfg(feature = "page")]
#[test]
fn the_page_comes_with_its_policy() {
    let text = answer_to("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3, 1000);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Security-Policy: default-src 'none';"));
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())));
    assert_eq!(body, crate::collect::view::page::PAGE);
}

#[test]
fn a_wrong_request_has_a_whole_answer() {
    let cases = [
        ("GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found", None),
        (
            "PUT /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            "405 Method Not Allowed",
            Some("GET"),
        ),
        (
            "GET /ack HTTP/1.1\r\nHost: x\r\n\r\n",
            "405 Method Not Allowed",
            Some("POST"),
        ),
        ("nonsense\r\n\r\n", "400 Bad Request", None),
    ];
    for (request, status, allow) in cases {
        let text = answer_to(request, 3, 9);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{head}"
        );
        assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())));
        let allows = allow.map(|method| head.contains(&format!("\r\nAllow: {method}")));
        assert_ne!(allows, Some(false), "{head}");
        assert_eq!(head.contains("Allow:"), allow.is_some());
    }
}

#[test]
fn a_head_comes_without_a_body() {
    for path in ["/", "/metrics", "/status.json", "/status.tsv", "/ack", "/x"] {
        for version in ["1.0", "1.1"] {
            let ask = |method| format!("{method} {path} HTTP/{version}\r\nHost: x\r\n\r\n");
            let whole = answer_to(&ask("GET"), 3, 1000);
            let (head, _) = whole.split_once("\r\n\r\n").unwrap();
            let alone = answer_to(&ask("HEAD"), 3, 1000);
            assert_eq!(alone, format!("{head}\r\n\r\n"), "{path}");
        }
    }
}

#[test]
fn an_act_is_done_once_and_then_told() {
    let mut exchange = Exchange::new(at(0));
    let request = "POST /ack HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nr5\n";
    exchange.handle_input(request.as_bytes(), &terms(), at(0));
    assert!(!exchange.has_output() && !exchange.wants_input());
    let asked = exchange.take_asked().unwrap();
    assert!(matches!(asked, Asked::Ack { .. }));
    assert_eq!(exchange.take_asked(), None);
    exchange.answer("1 source\n", at(1));
    let text = said(&mut exchange, 3, 9);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n1 source\n"));
}

#[test]
fn who_is_slow_is_told_so_and_then_closed() {
    let mut exchange = Exchange::new(at(0));
    exchange.handle_input(b"GET / HT", &terms(), at(4_000));
    assert_eq!(exchange.poll_timeout(), Some(at(CONTROL_WAIT_MS)));
    exchange.handle_timeout(at(CONTROL_WAIT_MS - 1));
    assert!(!exchange.has_output());
    exchange.handle_timeout(at(CONTROL_WAIT_MS));
    let output = exchange.output(&Plain(0), &about());
    assert!(output.starts_with(b"HTTP/1.1 408 "));
    exchange.handle_timeout(at(2 * CONTROL_WAIT_MS));
    assert!(exchange.is_over() && exchange.poll_timeout().is_none());
}

#[test]
fn who_takes_a_byte_now_and_then_has_an_end_too() {
    let mut exchange = Exchange::new(at(0));
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    exchange.handle_input(request, &terms(), at(0));
    let mut now = 0;
    while !exchange.is_over() {
        assert!(now <= CONTROL_TOTAL_MS);
        assert!(!exchange.output(&Plain(900), &about()).is_empty());
        exchange.consume_output(1, at(now));
        now += 4_000;
        exchange.handle_timeout(at(now));
    }
    assert!(now >= CONTROL_TOTAL_MS);
}

#[test]
fn who_sends_without_end_is_closed() {
    let mut exchange = Exchange::new(at(0));
    for _ in 0..3 {
        exchange.handle_input(&[b'x'; 4096], &terms(), at(0));
    }
    let text = said(&mut exchange, 0, 100);
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    assert!(exchange.wants_input());
    for _ in 0..CONTROL_DRAIN_LEN / 4096 {
        exchange.handle_input(&[b'x'; 4096], &terms(), at(0));
        assert!(!exchange.is_over());
    }
    exchange.handle_input(b"x", &terms(), at(0));
    assert!(exchange.is_over());
    let mut exchange = Exchange::turned_away(at(0));
    assert!(said(&mut exchange, 0, 100).starts_with("HTTP/1.1 503 "));
    exchange.handle_timeout(at(CONTROL_DRAIN_MS));
    assert!(exchange.is_over());
}

#[test]
fn half_a_request_that_ends_has_an_answer() {
    let mut exchange = Exchange::new(at(0));
    exchange.handle_input(b"GET /metr", &terms(), at(0));
    exchange.handle_end(at(1));
    let text = said(&mut exchange, 0, usize::MAX);
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    exchange.handle_end(at(2));
    assert!(exchange.is_over());
    // Who asks nothing, as somebody who looks whether a port is open, gets nothing.
    let mut exchange = Exchange::new(at(0));
    exchange.handle_end(at(1));
    assert!(exchange.is_over());
}
