//! Finished copies: each is compared with the server's digest, and healed where it differs. Pure.

pub mod heal;
pub mod queue;
