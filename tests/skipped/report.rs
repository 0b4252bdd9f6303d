//! What was skipped, said at the end of `cargo test`. It is no test and never fails.
//!
//! Cargo runs the test programs in the order of their names and shows all that a program without libtest prints.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../common/skipped.rs"]
mod skipped;

fn main() {
    // Who asks for a list of tests does not run any.
    if std::env::args().all(|argument| argument != "--list") {
        print!(
            "\n{}\n",
            skipped::report(&skipped::Notes::of_this_run().take())
        );
    }
}
