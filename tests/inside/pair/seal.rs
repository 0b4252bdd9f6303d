//! What seals a connection of the pair, in a build that can.

#[cfg(feature = "noise")]
pub use with_keys::Seal;

/// Nothing is sealed here.
#[cfg(not(feature = "noise"))]
pub enum Seal {}

#[cfg(not(feature = "noise"))]
impl Seal {
    pub fn new() -> Option<Seal> {
        None
    }

    pub fn shake_hands(&mut self) -> Vec<u8> {
        match *self {}
    }

    pub fn is_ready(&self) -> bool {
        match *self {}
    }

    pub fn up(&mut self, _: &[u8]) -> Vec<u8> {
        match *self {}
    }

    pub fn down(&mut self, _: &[u8]) -> Vec<Vec<u8>> {
        match *self {}
    }

    pub fn open(&mut self, _: &[u8]) -> Result<Vec<u8>, &'static str> {
        match *self {}
    }
}

#[cfg(feature = "noise")]
mod with_keys {
    use std::rc::Rc;

    use crate::limits::RECORD_MAX_LEN;
    use crate::noise::channel::{Channel, Terms};
    use crate::noise::key::{Identity, PrivateKey};

    /// Both ends of one connection.
    pub struct Seal {
        client: Channel,
        server: Channel,
    }

    impl Seal {
        pub fn new() -> Option<Seal> {
            let own = |seed| Rc::new(Identity::new(key(seed)));
            let server = own(2);
            Some(Seal {
                client: Channel::asking(own(1), server.public(), key(3)).unwrap(),
                server: Channel::listening(server, Terms::OnlySealed),
            })
        }

        /// The first message comes at once, and the second is still to be brought.
        pub fn shake_hands(&mut self) -> Vec<u8> {
            let first = take(&mut self.client);
            assert_eq!(open(&mut self.server, &first), Ok(Vec::new()));
            self.server.answer(&|_| true, &key(4)).unwrap();
            take(&mut self.server)
        }

        /// Whether the collector may say something.
        pub fn is_ready(&self) -> bool {
            self.client.is_sealed()
        }

        /// What the server hears of what the collector says.
        pub fn up(&mut self, plain: &[u8]) -> Vec<u8> {
            let records = sealed(&mut self.client, plain).concat();
            open(&mut self.server, &records).unwrap()
        }

        /// The records that the server makes of what it says.
        pub fn down(&mut self, plain: &[u8]) -> Vec<Vec<u8>> {
            sealed(&mut self.server, plain)
        }

        /// What the collector hears.
        pub fn open(&mut self, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
            open(&mut self.client, bytes)
        }
    }

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::new([seed; 32])
    }

    fn take(channel: &mut Channel) -> Vec<u8> {
        let pending = channel.pending().to_vec();
        channel.consume_pending(pending.len());
        pending
    }

    fn sealed(channel: &mut Channel, mut plain: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !plain.is_empty() {
            let len = channel.seal(plain);
            let record = take(channel);
            // Short ones may be there by chance.
            let piece = &plain[..len.min(8)];
            let is_readable = record.windows(piece.len()).any(|it| it == piece);
            assert!(!is_readable || piece.len() < 8, "plain text on the link");
            records.push(record);
            plain = &plain[len..];
        }
        records
    }

    fn open(channel: &mut Channel, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut buf = vec![0; RECORD_MAX_LEN + bytes.len()];
        let held = channel.restore(&mut buf);
        let len = held + bytes.len();
        buf[held..len].copy_from_slice(bytes);
        let plain = channel.open(&mut buf, len)?;
        buf.truncate(plain);
        Ok(buf)
    }
}
