//! The one binary; everything is in the library, so that the tests reach it too.

fn main() -> std::process::ExitCode {
    fetchlogs::applets::main()
}
