use super::*;

fn local() -> Terms {
    Terms {
        may_ack: true,
        names: None,
    }
}

fn remote() -> Terms {
    Terms {
        may_ack: false,
        names: Some(vec!["loghost".into()]),
    }
}

/// What comes of a request, however it is cut.
fn outcome(text: &str, terms: &Terms) -> Result<Option<Wanted>, Refusal> {
    let whole = Request::default().push(text.as_bytes(), terms);
    let mut bytewise = Request::default();
    let mut last = Ok(None);
    for byte in text.bytes() {
        last = bytewise.push(&[byte], terms);
        if !matches!(last, Ok(None)) {
            break;
        }
    }
    assert_eq!(whole, last, "{text:?}");
    whole
}

fn asked(text: &str) -> Asked {
    outcome(text, &local()).unwrap().unwrap().asked
}

fn refused(text: &str, terms: &Terms) -> u16 {
    outcome(text, terms).unwrap_err().status().0
}

#[test]
fn what_there_is_can_be_asked_for() {
    let faces = [
        ("/status.json", Face::Json),
        ("/status.json?x=1", Face::Json),
        ("/status.tsv", Face::Table),
        ("/metrics", Face::Metrics),
        ("http://localhost:9/metrics", Face::Metrics),
    ];
    for (path, face) in faces {
        let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(asked(&text), Asked::Face(face));
    }
    #[cfg(feature = "page")]
    for path in ["/", "/?", "http://localhost"] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(asked(&text), Asked::Page);
    }
    assert_eq!(
        asked("\r\nGET /metrics HTTP/1.1\nhost:x\n\n"),
        Asked::Face(Face::Metrics)
    );
}

#[test]
fn only_later_clients_take_chunks() {
    for (version, takes_chunks) in [("HTTP/1.0", false), ("HTTP/1.1", true), ("HTTP/1.2", true)] {
        let text = format!("GET /metrics {version}\r\nHost: x\r\n\r\n");
        let wanted = outcome(&text, &local()).unwrap().unwrap();
        assert_eq!(wanted.takes_chunks, takes_chunks);
    }
}

#[test]
fn losses_can_be_taken_note_of() {
    let cases = [
        ("10.0.0.1", "10.0.0.1", None),
        ("r5\n", "r5", None),
        ("r5\n/var/log/m\n", "r5", Some("/var/log/m")),
    ];
    for (body, server, remote) in cases {
        let len = body.len();
        let text = format!("POST /ack HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{body}");
        let remote = remote.map(|it| it.as_bytes().into());
        let server = server.into();
        assert_eq!(asked(&text), Asked::Ack { server, remote });
    }
    let bare = "POST /ack HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nr5";
    assert_eq!(outcome(bare, &local()), Ok(None));
}

#[test]
fn what_is_wrong_has_its_status() {
    let long = "x".repeat(5000);
    let cases = [
        ("GET /x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 404),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 404),
        ("HEAD /ack HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("GET /ack HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET /metrics\r\n\r\n".to_owned(), 400),
        ("get /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("O 7\n\n".to_owned(), 400),
        (
            "GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n".to_owned(), 400),
        (
            "GET /metrics HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n".to_owned(),
            400,
        ),
        (
            "POST /ack HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
            400,
        ),
        ("POST /ack HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        (
            "POST /ack HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            400,
        ),
        (
            "POST /ack HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n".to_owned(),
            413,
        ),
        (
            "POST /ack HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"
                .to_owned(),
            413,
        ),
        (format!("GET /{long} HTTP/1.1\r\n"), 431),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (long, 431),
    ];
    for (text, status) in cases {
        assert_eq!(refused(&text, &local()), status, "{text:?}");
    }
}

#[test]
fn only_our_names_are_a_host_of_a_port() {
    let get = |host: &str| format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for host in [
        "127.0.0.1",
        "10.0.0.1:9100",
        "[::1]:80",
        "localhost:9100",
        "LOGHOST",
        "loghost:1",
    ] {
        assert!(outcome(&get(host), &remote()).is_ok(), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:9100",
        "",
        "[evil]",
        "loghost.evil.example",
    ] {
        assert_eq!(refused(&get(host), &remote()), 400, "{host}");
        assert!(outcome(&get(host), &local()).is_ok(), "{host}");
    }
    let absolute = "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(refused(absolute, &remote()), 400);
    let ack = "POST /ack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nr5";
    assert_eq!(refused(ack, &remote()), 404);
}

#[test]
fn any_bytes_come_to_an_end() {
    arbtest::arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        let text = [b"GET / HTTP/1.1\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat();
        let _ = Request::default().push(&bytes, &remote());
        let _ = Request::default().push(&text, &local());
        Ok(())
    })
    .budget_ms(200);
}
