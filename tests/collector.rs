//! The real collector against a classic server that does what it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

#[path = "collector/contact.rs"]
mod contact;
#[path = "collector/crowd.rs"]
mod crowd;
#[path = "collector/files.rs"]
mod files;
#[path = "collector/names.rs"]
mod names;
#[path = "collector/network.rs"]
mod network;
#[path = "collector/resume.rs"]
mod resume;
#[path = "collector/rotation.rs"]
mod rotation;
#[path = "collector/signals.rs"]
mod signals;
#[path = "collector/status.rs"]
mod status;

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
