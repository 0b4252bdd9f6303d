//! The page in a real browser, and the metrics as Prometheus reads them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::common::collector::Place;
use super::common::outside_program;
use super::common::process::{Process, Signal};
use super::common::wait::{PATIENCE, eventually, until};
use super::view::{Two, free_port, get};

/// A browser without a screen, as WebDriver (W3C) steers it.
struct Browser {
    _driver: Process,
    port: u16,
    session: String,
    _home: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is none.
    fn start() -> Option<Browser> {
        let binary = outside_program("chromium")?;
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(outside_program("chromedriver")?);
        command.arg("--port=0").env("HOME", home.path());
        let driver = Process::spawn(&mut command);
        let line = driver.stdout.wait_for(STARTED);
        let (_, port) = line.split_once(STARTED).unwrap();
        let port = port.trim_end_matches('.').parse().unwrap();
        let mut browser = Browser {
            _driver: driver,
            port,
            session: String::new(),
            _home: home,
        };
        let (binary, data) = (binary.display(), browser._home.path().join("data"));
        let data = data.display();
        let body = format!(
            r#"{{"capabilities":{{"alwaysMatch":{{"goog:chromeOptions":{{"binary":"{binary}","args":["--headless=new","--no-sandbox","--disable-gpu","--disable-dev-shm-usage","--window-size=1280,800","--user-data-dir={data}"]}}}}}}}}"#
        );
        let answer = browser.post("/session", &body);
        let (_, rest) = answer.split_once("\"sessionId\":\"").expect(&answer);
        browser.session = rest.split('"').next().unwrap().to_owned();
        Some(browser)
    }

    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let len = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        // It does not close, whatever it is asked.
        let mut answer = Vec::new();
        let mut buf = [0; 4096];
        loop {
            let len = stream.read(&mut buf).unwrap();
            answer.extend_from_slice(&buf[..len]);
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let (_, rest) = head.split_once("content-length:").expect(&head);
                let wanted: usize = rest.lines().next().unwrap().trim().parse().unwrap();
                if body.len() >= wanted {
                    return body.to_owned();
                }
            }
            assert!(len > 0, "{text}");
        }
    }

    fn open(&self, url: &str) {
        let body = format!("{{\"url\":\"{url}\"}}");
        self.post(&format!("/session/{}/url", self.session), &body);
    }

    /// What an expression of JavaScript comes to, as JSON.
    fn eval(&self, expression: &str) -> String {
        let script = format!("return {expression}")
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        let body = format!("{{\"script\":\"{script}\",\"args\":[]}}");
        let answer = self.post(&format!("/session/{}/execute/sync", self.session), &body);
        let value = answer.split_once("{\"value\":").expect(&answer).1;
        value
            .trim_end()
            .strip_suffix('}')
            .expect(&answer)
            .to_owned()
    }

    fn wait_for(&self, expression: &str, value: &str) {
        eventually(&format!("{expression} to be {value}"), || {
            (self.eval(expression) == value).then_some(())
        });
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let session = &self.session;
            let text = format!(
                "DELETE /session/{session} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(text.as_bytes());
            // The end of the session is the end of the browser.
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.read(&mut [0; 4096]);
        }
    }
}

const STARTED: &str = "started successfully on port ";

const ROWS: &str = "document.querySelectorAll('#rows tr').length";

/// The text of a cell: row and column from 0 on.
fn cell(row: u32, column: u32) -> String {
    format!("document.querySelectorAll('#rows tr')[{row}].children[{column}].textContent")
}

#[test]
fn the_page_is_sorted_filtered_and_brings_itself_up_to_date() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let port = free_port();
    let (two, collector) = Two::at(Place::new(), &["-l", &port.to_string()]);
    until("the error is known", || {
        get(&two.place, "/status.tsv").contains("cannot connect")
    });
    browser.open(&format!("http://{port}/"));
    browser.wait_for(ROWS, "2");
    // The worst first, with what the box is called as text and never as markup.
    browser.wait_for(&cell(0, 0), "\"127.0.0.2\"");
    let is_text = format!("{} === '/var/log/<script>&\"'", cell(0, 1));
    browser.wait_for(&is_text, "true");
    browser.wait_for(&cell(0, 2), "\"error\"");
    browser.wait_for("document.querySelectorAll('#rows script').length", "0");
    browser.wait_for("document.title", "\"(1) fetchlogs\"");
    let summary = "document.getElementById('summary').textContent";
    browser.wait_for(
        summary,
        "\"2 sources on 2 servers: 1 followed, 1 in error; nothing behind\"",
    );
    // Its policy lets its own style and script work.
    let style = "getComputedStyle(document.querySelector('table')).borderCollapse";
    browser.wait_for(style, "\"collapse\"");

    let by_box = "document.querySelector('th[data-name=box] button').click()";
    browser.eval(by_box);
    browser.wait_for(&cell(0, 0), "\"127.0.0.1\"");
    browser.eval(by_box);
    browser.wait_for(&cell(0, 0), "\"127.0.0.2\"");
    let sorted = "document.querySelector('th[data-name=box]').getAttribute('aria-sort')";
    browser.wait_for(sorted, "\"descending\"");

    let filter = |text: &str| {
        browser.eval(&format!(
            "(() => {{ const f = document.getElementById('filter'); f.value = '{text}'; f.dispatchEvent(new Event('input')); }})()"
        ));
    };
    filter("following");
    browser.wait_for(ROWS, "1");
    browser.wait_for(&cell(0, 0), "\"127.0.0.1\"");
    filter("nothing like this");
    browser.wait_for(ROWS, "0");
    browser.wait_for("document.getElementById('none').hidden", "false");
    filter("");
    browser.wait_for(ROWS, "2");

    // A configuration that is not in force, for a while.
    let faults = "document.getElementById('faults').hidden";
    browser.wait_for(faults, "true");
    let good = two.place.read("conf");
    two.place.configure(&["nonsense".to_owned()]);
    collector.signal(Signal::HUP);
    browser.wait_for(faults, "false");
    std::fs::write(two.place.path("conf"), good).unwrap();
    collector.signal(Signal::HUP);
    browser.wait_for(faults, "true");

    // A collector that hangs is told, while an answer is waited for, too.
    let fresh = "document.getElementById('fresh').className";
    collector.signal(Signal::STOP);
    browser.wait_for(fresh, "\"stale\"");
    collector.signal(Signal::CONT);
    browser.wait_for(fresh, "\"\"");

    // The other one fails as well, and nobody touches the page.
    let Two {
        place: _place,
        call,
        server,
    } = two;
    drop(server);
    call.close();
    browser.wait_for("document.title", "\"(2) fetchlogs\"");
    let errors = "Array.from(document.querySelectorAll('#rows tr')).filter(r => r.children[2].textContent === 'error').length";
    browser.wait_for(errors, "2");
}

#[test]
fn prometheus_finds_no_fault_in_the_metrics() {
    let Some(promtool) = outside_program("promtool") else {
        return;
    };
    let (two, _collector) = Two::at(Place::new(), &[]);
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = get(&two.place, "/metrics");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(ended.status.success() && said.is_empty(), "{said}");
}
