//! What takes version 2: nothing lost, nothing twice, and proof of it, whatever is done to the log, to the two
//! programs and to the connection between them.

mod breaks;
mod classic;
mod copies;
mod heal;
mod identity;
mod large;
mod liar;
mod outage;
mod scripted;
mod unverified;
mod writers;
