use std::net::IpAddr;

use super::*;

use arbtest::arbtest;

const A: &str = "10.4.3.5";
const B: &str = "10.4.3.6";
const WRITE_OK: Action = Action::Write("OK\n");
const WRITE_ERR: Action = Action::Write("ERR\n");

fn at(ms: u64) -> Mono {
    Mono::from_ms(ms)
}

fn servers(addresses: &[&str]) -> (Servers, Vec<ServerIndex>) {
    let mut servers = Servers::new(at(0));
    let indices = addresses
        .iter()
        .map(|address| servers.add_source(address_of(address)))
        .collect();
    (servers, indices)
}

fn address_of(text: &str) -> Address {
    match text.parse::<IpAddr>() {
        Ok(ip) => ip.into(),
        Err(_) => Address::Name(text.into()),
    }
}

/// Everything there is to do at `now`, each done well.
fn drain(servers: &mut Servers, now: Mono) -> Vec<(ServerIndex, Action)> {
    let mut actions = Vec::new();
    while let Some((index, action)) = servers.poll(now) {
        assert_eq!(servers.done(index, true, now), None);
        actions.push((index, action));
    }
    actions
}

/// Servers whose files are written already.
fn settled(addresses: &[&str]) -> (Servers, Vec<ServerIndex>) {
    let (mut servers, indices) = servers(addresses);
    drain(&mut servers, at(0));
    (servers, indices)
}

// Names

#[test]
fn a_file_has_the_canonical_address_as_its_name() {
    let name = |text: &str| file_name(&address_of(text));
    assert_eq!(name("10.4.3.5"), "10.4.3.5");
    assert_eq!(name("::ffff:10.4.3.5"), "10.4.3.5");
    assert_eq!(name("2001:0DB8:0::1"), "2001:db8::1");
    assert_eq!(name("router5.example"), "router5.example");
}

#[test]
fn sources_of_one_server_share_one_status() {
    let (servers, indices) = servers(&[A, B, "::ffff:10.4.3.5"]);
    assert_eq!(indices[0], indices[2]);
    assert_ne!(indices[0], indices[1]);
    assert_eq!(servers.address(indices[2]), Some(&address_of(A)));
}

// Writing

#[test]
fn every_server_starts_in_error() {
    let (mut servers, indices) = servers(&[A, A, B]);
    assert_eq!(servers.poll_timeout(), Some(at(0)));
    assert_eq!(
        drain(&mut servers, at(0)),
        [(indices[0], WRITE_ERR), (indices[2], WRITE_ERR)]
    );
}

#[test]
fn ok_needs_every_source_of_the_server() {
    let (mut servers, indices) = settled(&[A, A, B]);
    servers.set(indices[0], true, false);
    assert_eq!(drain(&mut servers, at(1)), []);
    servers.set(indices[1], true, false);
    assert_eq!(drain(&mut servers, at(2)), [(indices[0], WRITE_OK)]);
    servers.set(indices[0], false, true);
    assert_eq!(drain(&mut servers, at(3)), [(indices[0], WRITE_ERR)]);
    servers.set(indices[0], false, true);
    assert_eq!(drain(&mut servers, at(4)), []);
}

#[test]
fn what_did_not_change_is_not_written() {
    let (mut servers, indices) = settled(&[A]);
    servers.set(indices[0], true, true);
    servers.set(indices[0], false, false);
    assert_eq!(drain(&mut servers, at(1)), []);
}

#[test]
fn what_changed_back_before_it_was_written_is_not_written() {
    let (mut servers, indices) = settled(&[A]);
    servers.set(indices[0], true, false);
    servers.set(indices[0], false, true);
    assert_eq!(drain(&mut servers, at(1)), []);
}

#[test]
fn a_reloaded_configuration_does_not_show_a_healthy_server_as_broken() {
    let (mut servers, indices) = servers(&[A]);
    servers.set(indices[0], true, false);
    assert_eq!(drain(&mut servers, at(0)), [(indices[0], WRITE_OK)]);
}

#[test]
fn an_index_of_other_servers_does_nothing() {
    let (_, indices) = settled(&[A, B]);
    let (mut fewer, _) = settled(&[A]);
    fewer.set(indices[1], true, false);
    assert_eq!(fewer.done(indices[1], false, at(0)), None);
    assert_eq!(fewer.address(indices[1]), None);
    assert_eq!(drain(&mut fewer, at(0)), []);
}

// Touching

#[test]
fn every_file_is_touched_once_a_period() {
    let (mut servers, indices) = settled(&[A, B]);
    let touches = [(indices[0], Action::Touch), (indices[1], Action::Touch)];
    let period = limits::STATUS_TOUCH_MS;
    assert_eq!(servers.poll_timeout(), Some(at(period)));
    assert_eq!(drain(&mut servers, at(period - 1)), []);
    assert_eq!(drain(&mut servers, at(period)), touches);
    assert_eq!(drain(&mut servers, at(period)), []);
    assert_eq!(servers.poll_timeout(), Some(at(2 * period)));
    assert_eq!(drain(&mut servers, at(2 * period + 7)), touches);
    assert_eq!(servers.poll_timeout(), Some(at(3 * period + 7)));
}

#[test]
fn a_round_may_be_spread_over_turns() {
    let (mut servers, indices) = settled(&[A, B]);
    let period = limits::STATUS_TOUCH_MS;
    assert_eq!(servers.poll(at(period)), Some((indices[0], Action::Touch)));
    assert_eq!(servers.poll_timeout(), Some(at(0)));
    assert_eq!(
        servers.poll(at(period + 1)),
        Some((indices[1], Action::Touch))
    );
    assert_eq!(servers.poll(at(period + 1)), None);
    assert_eq!(servers.poll_timeout(), Some(at(2 * period)));
}

#[test]
fn without_servers_there_is_nothing_to_wait_for() {
    let (mut servers, _) = servers(&[]);
    assert_eq!(servers.poll_timeout(), None);
    assert_eq!(servers.poll(at(limits::STATUS_TOUCH_MS)), None);
}

// Failing

#[test]
fn a_failed_write_is_tried_again_later_and_reported_once() {
    let (mut servers, indices) = servers(&[A]);
    let index = indices[0];
    let retry = limits::STATUS_RETRY_MS;

    assert_eq!(servers.poll(at(0)), Some((index, WRITE_ERR)));
    assert_eq!(servers.done(index, false, at(0)), Some(Report::Failing));
    assert_eq!(servers.poll(at(retry - 1)), None);
    assert_eq!(servers.poll_timeout(), Some(at(retry)));

    assert_eq!(servers.poll(at(retry)), Some((index, WRITE_ERR)));
    assert_eq!(servers.done(index, false, at(retry)), None);
    assert_eq!(servers.poll(at(retry)), None);

    assert_eq!(servers.poll(at(2 * retry)), Some((index, WRITE_ERR)));
    assert_eq!(
        servers.done(index, true, at(2 * retry)),
        Some(Report::Recovered)
    );
    assert_eq!(drain(&mut servers, at(3 * retry)), []);
}

#[test]
fn the_retry_writes_what_is_true_then() {
    let (mut servers, indices) = servers(&[A]);
    let (index, _) = servers.poll(at(0)).unwrap();
    servers.done(index, false, at(0));
    servers.set(indices[0], true, false);
    assert_eq!(servers.poll(at(1)), None);
    assert_eq!(
        servers.poll(at(limits::STATUS_RETRY_MS)),
        Some((index, WRITE_OK))
    );
}

#[test]
fn a_change_during_a_failing_write_does_not_queue_the_server_twice() {
    let (mut servers, indices) = servers(&[A]);
    assert_eq!(servers.poll(at(0)), Some((indices[0], WRITE_ERR)));
    servers.set(indices[0], true, false);
    servers.done(indices[0], false, at(0));
    assert_eq!(servers.changed.len() + servers.failed.len(), 1);
    assert_eq!(servers.poll(at(0)), Some((indices[0], WRITE_OK)));
}

#[test]
fn a_failed_touch_becomes_a_write() {
    let (mut servers, indices) = settled(&[A]);
    let period = limits::STATUS_TOUCH_MS;
    assert_eq!(servers.poll(at(period)), Some((indices[0], Action::Touch)));
    assert_eq!(
        servers.done(indices[0], false, at(period)),
        Some(Report::Failing)
    );
    let retry_at = period + limits::STATUS_RETRY_MS;
    assert_eq!(servers.poll_timeout(), Some(at(retry_at)));
    assert_eq!(servers.poll(at(retry_at)), Some((indices[0], WRITE_ERR)));
}

#[test]
fn one_bad_file_does_not_keep_others_from_being_touched() {
    let (mut servers, indices) = settled(&[A, B]);
    let period = limits::STATUS_TOUCH_MS;
    servers.set(indices[0], true, false);
    assert!(servers.poll(at(period - 1)).is_some());
    servers.done(indices[0], false, at(period - 1));
    assert_eq!(
        drain(&mut servers, at(period)),
        [(indices[1], Action::Touch)]
    );
}

// Anything in any order

/// Against a model of the files: whatever fails in between, once writes succeed every file says
/// what its sources are, none gets older than 50 s plus the retry, and the deadlines given never
/// make a busy loop.
#[test]
fn files_follow_their_sources() {
    arbtest(|u| {
        let addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.1", "::1", "10.0.0.1"];
        let (mut servers, indices) = servers(&addresses);
        let mut errors = [true; 5];
        let mut files = [("", 0); 3];
        let mut now = 0;
        let mut act = |servers: &mut Servers, now, ok| {
            while let Some((index, action)) = servers.poll(at(now)) {
                let file = &mut files[index.place()];
                match action {
                    Action::Write(text) if ok => *file = (text, now),
                    Action::Write(_) => file.0 = "torn",
                    Action::Touch if ok => file.1 = now,
                    Action::Touch => {}
                }
                servers.done(index, ok, at(now));
            }
            let next = servers.poll_timeout().unwrap();
            assert!(next > at(now), "busy at {now}");
            (files, next.ms())
        };
        while !u.is_empty() {
            let source = u.choose_index(5)?;
            let is_error = u.arbitrary()?;
            servers.set(indices[source], errors[source], is_error);
            errors[source] = is_error;
            let (_, next) = act(&mut servers, now, u.arbitrary()?);
            now = next.min(now + u.int_in_range(1..=20_000)?);
        }
        now += limits::STATUS_RETRY_MS;
        let (files, _) = act(&mut servers, now, true);
        for (server, (text, written)) in files.iter().enumerate() {
            let broken = (0..5).any(|s| indices[s].place() == server && errors[s]);
            assert_eq!(*text, if broken { "ERR\n" } else { "OK\n" });
            assert!(now - written <= 50_000 + limits::STATUS_RETRY_MS);
        }
        Ok(())
    })
    .budget_ms(100);
}
