//! Who is known by a key: `$private_key_file`, `%keys_allow`, `$require_key`. Pure.

use std::path::PathBuf;

use crate::noise::key::PublicKey;

/// What the configuration says of keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sealing {
    /// `$private_key_file`: the server's own key; without one nobody can be told apart by keys.
    pub private_key_file: Option<PathBuf>,
    /// `$require_key`: who has no key is not served.
    pub is_required: bool,
    /// `%keys_allow`, in the order of the keys.
    allowed: Vec<PublicKey>,
}

impl Sealing {
    /// Allows or refuses who has this key, in place of what was said of it before.
    pub fn set(&mut self, key: PublicKey, is_allowed: bool) {
        match (self.allowed.binary_search(&key), is_allowed) {
            (Err(at), true) => self.allowed.insert(at, key),
            (Ok(at), false) => _ = self.allowed.remove(at),
            _ => {}
        }
    }

    /// Refuses everybody.
    pub fn clear(&mut self) {
        self.allowed.clear();
    }

    /// Whether who has this key is served.
    pub fn allows(&self, key: &PublicKey) -> bool {
        self.allowed.binary_search(key).is_ok()
    }

    /// What keeps a server from starting, if anything does.
    pub fn fault(&self) -> Option<&'static str> {
        let is_lame = self.private_key_file.is_none() && self.is_required;
        is_lame.then_some("$require_key needs $private_key_file: nobody could be served")
    }

    /// What may not be meant.
    pub fn doubt(&self) -> Option<&'static str> {
        match (self.private_key_file.is_some(), self.allowed.is_empty()) {
            (true, true) => Some("%keys_allow has no key: nobody can have a sealed connection"),
            (false, false) => Some("%keys_allow does nothing without $private_key_file"),
            _ => None,
        }
    }
}
