//! The real collector against a classic server that does what it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod browser;
mod contact;
mod crowd;
mod files;
mod many;
mod members;
mod mute;
mod names;
mod network;
mod old_server;
mod others;
mod patterns;
mod reload;
mod resume;
mod rotation;
mod screen;
mod signals;
mod status;
mod view;
mod walls;

/// Whether a line is an event of a source: `YYYY-mm-ddTHH:MM:SS ADDRESS REMOTE text`.
fn is_event(line: &str, address: &str, remote: &str, text: &str) -> bool {
    let Some((time, rest)) = line.split_once(' ') else {
        return false;
    };
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00" && rest == format!("{address} {remote} {text}")
}
