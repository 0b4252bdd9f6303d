//! Sealed connections: the pure channel, with the randomness of the system.

use std::io::{self, ErrorKind};

use super::{Ended, Transform};
use crate::noise::channel::Channel;
use crate::noise::key::{PrivateKey, ServerKey};
use crate::sys::{self, error_saying};

impl Transform for Channel {
    fn is_identity(&self) -> bool {
        self.is_plain()
    }

    fn early_end(&self) -> Option<&'static str> {
        self.is_asking().then_some(
            "the server closed during the handshake: key= is not its key, or our key is not in its %keys_allow, or it has no keys",
        )
    }

    fn restore(&self, buf: &mut [u8]) -> usize {
        Channel::restore(self, buf)
    }

    fn open(&mut self, buf: &mut [u8], len: usize) -> Result<usize, &'static str> {
        Channel::open(self, buf, len)
    }

    fn seal(&mut self, plain: &[u8]) -> usize {
        Channel::seal(self, plain)
    }

    fn pending(&self) -> &[u8] {
        Channel::pending(self)
    }

    fn consume_pending(&mut self, len: usize) {
        Channel::consume_pending(self, len);
    }
}

/// What has to stand between a socket and a client's machine.
pub(super) fn link_to(key: Option<&ServerKey>) -> Result<Channel, Ended> {
    let Some(key) = key else {
        return Ok(Channel::plain());
    };
    let asking = || {
        let failed = |text| error_saying(ErrorKind::InvalidInput, text);
        let own = key.own.clone();
        let own = own.ok_or_else(|| failed("key= needs a private key of our own: -k FILE"))?;
        Channel::asking(own, &key.server, new_key()?).map_err(failed)
    };
    asking().map_err(Ended::NotMade)
}

/// A private key that nobody had before.
pub fn new_key() -> io::Result<PrivateKey> {
    sys::secret().map(PrivateKey::new)
}
