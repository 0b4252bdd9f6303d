//! The two configurations, as an administrator would write them.

use std::net::SocketAddr;
use std::path::Path;

/// A server's: where it listens, which clients it serves, and other statements, among them those of [`served`]. These
/// come last and override what stands before.
pub fn server(address: SocketAddr, allow: &str, statements: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "$hosts_allow{{'{allow}'}} = 1; $bind_addr = '{ip}'; $bind_port = {port};\n{statements}1;\n"
    )
}

/// The statement of a server's configuration by which it serves a log. The log's name and the globs of its rotated
/// files, between spaces, are those below `dir`.
pub fn served(dir: &Path, name: &str, globs: &str) -> String {
    let globs: Vec<String> = globs
        .split_whitespace()
        .map(|glob| dir.join(glob).display().to_string())
        .collect();
    let path = dir.join(name).display().to_string();
    let (path, globs) = (quoted(&path), quoted(&globs.join(" ")));
    format!("$files{{{path}}} = {globs};\n")
}

/// In single quotes, where everything but they themselves stands for itself; in double quotes if it has any of them.
fn quoted(text: &str) -> String {
    match text.contains('\'') {
        true => format!("\"{text}\""),
        false => format!("'{text}'"),
    }
}

/// A line of a collector's configuration: the log that is asked for, its copy and pointer, and further fields.
pub fn source(
    server: SocketAddr,
    remote: &Path,
    local: &Path,
    pointer: &Path,
    fields: &str,
) -> String {
    let (ip, port) = (server.ip(), server.port());
    let [remote, local, pointer] = [remote, local, pointer].map(Path::display);
    format!("{ip} {port} {remote} {local} {pointer} {fields}\n")
}
