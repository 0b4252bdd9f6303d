//! To come.

/// Runs the applet that the command line names.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(2)
}
