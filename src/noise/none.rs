//! Keys in a program that has none: no value of these types exists.

use std::rc::Rc;

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PublicKey {}

/// The keys of one side.
pub enum Identity {}

/// What a connection to a server is sealed by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerKey {}

impl ServerKey {
    /// A connection may only be made to the server with this key.
    pub fn new(server: PublicKey) -> ServerKey {
        match server {}
    }

    /// Makes the keys of this side known.
    pub fn set_own(&mut self, _: &Rc<Identity>) {
        match *self {}
    }
}
