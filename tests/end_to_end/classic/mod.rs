//! What both versions of the protocol can do, classic too: nearly everything here is tried in either of them, and
//! where the kernel tells the server of changes as well as where nothing but its own checks find them.

mod away;
mod idle;
mod kills;
mod rotation;
mod stream;
