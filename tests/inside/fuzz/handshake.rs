//! A sealed connection whose link belongs to somebody else: what is heard is the beginning of what
//! the other side said, whatever happens on the way, and all of it if nothing does.

use std::rc::Rc;

use super::script::Script;
use crate::limits::RECORD_MAX_LEN;
use crate::noise::channel::{Channel, Terms};
use crate::noise::key::{Identity, PrivateKey, PublicKey};

/// One side, and the way to it.
struct Side {
    channel: Channel,
    said: Vec<u8>,
    heard: Vec<u8>,
    /// What is on its way to it.
    coming: Vec<u8>,
    /// All that came, for whoever says it again.
    came: Vec<u8>,
    is_broken: bool,
}

/// What two sides and a stranger on the link between them do, in turn.
pub fn handshake(input: &[u8]) {
    let mut script = Script::new(input);
    let (client, server) = (identity(1), identity(2));
    let public = *client.public();
    let asking = Channel::asking(client, server.public(), key(3)).expect("a key");
    let terms = match script.below(2) {
        0 => Terms::Both,
        _ => Terms::OnlySealed,
    };
    let mut sides = [
        Side::new(asking),
        Side::new(Channel::listening(server, terms)),
    ];
    let mut is_touched = false;
    for _ in 0..60 {
        let to = script.below(2);
        match script.below(8) {
            0 | 1 => sides[to].say(script.bytes()),
            2 | 3 => {
                let len = script.below(400);
                sides[to].hear(len);
            }
            4 => {
                let place = script.below(sides[to].coming.len().max(1));
                let bit = 1 << script.below(8);
                if let Some(byte) = sides[to].coming.get_mut(place) {
                    *byte ^= bit;
                    is_touched = true;
                }
            }
            5 => {
                let from = script.below(sides[to].came.len() + 1);
                let again = sides[to].came[from..].to_vec();
                is_touched |= !again.is_empty();
                sides[to].coming.splice(0..0, again);
            }
            6 => {
                let len = script.below(sides[to].coming.len() + 1);
                is_touched |= len > 0;
                sides[to].coming.drain(..len);
            }
            _ => {
                let bytes = script.bytes();
                is_touched |= !bytes.is_empty();
                sides[to].coming.splice(0..0, bytes.iter().copied());
            }
        }
        settle(&mut sides, &public);
        check(&sides, is_touched, false);
    }
    while sides.iter().any(|side| !side.coming.is_empty()) {
        sides.iter_mut().for_each(|side| side.hear(usize::MAX));
        settle(&mut sides, &public);
    }
    check(&sides, is_touched, !is_touched);
}

/// Everything that a side has to send is on its way to the other one.
fn settle(sides: &mut [Side; 2], client: &PublicKey) {
    let server = &mut sides[1];
    if server.channel.owes_answer()
        && server
            .channel
            .answer(&|key| key == client, &key(4))
            .is_err()
    {
        server.is_broken = true;
    }
    for from in 0..2 {
        let pending = sides[from].channel.pending().to_vec();
        sides[from].channel.consume_pending(pending.len());
        sides[1 - from].coming.extend(pending);
    }
}

fn check(sides: &[Side; 2], is_touched: bool, is_over: bool) {
    for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        // A stranger may speak plainly to a server that takes it.
        if side.channel.is_plain() {
            assert!(is_touched && other.channel.peer().is_none());
            continue;
        }
        assert!(
            other.said.starts_with(&side.heard),
            "something else was heard"
        );
        assert!(is_touched || !side.is_broken, "nothing was wrong");
        assert!(!is_over || side.heard == other.said, "not all was heard");
        assert!(side.channel.kept() <= 2 * RECORD_MAX_LEN);
    }
}

impl Side {
    fn new(channel: Channel) -> Side {
        Side {
            channel,
            said: Vec::new(),
            heard: Vec::new(),
            coming: Vec::new(),
            came: Vec::new(),
            is_broken: false,
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        if !self.is_broken {
            let len = self.channel.seal(bytes);
            self.said.extend(&bytes[..len]);
        }
    }

    fn hear(&mut self, len: usize) {
        let len = len.min(self.coming.len());
        let bytes: Vec<u8> = self.coming.drain(..len).collect();
        self.came.extend(&bytes);
        if self.is_broken || bytes.is_empty() {
            return;
        }
        let mut buf = vec![0; RECORD_MAX_LEN + len];
        let held = self.channel.restore(&mut buf);
        buf[held..held + len].copy_from_slice(&bytes);
        match self.channel.open(&mut buf, held + len) {
            Ok(plain) => self.heard.extend(&buf[..plain]),
            Err(_) => self.is_broken = true,
        }
    }
}

fn identity(seed: u8) -> Rc<Identity> {
    Rc::new(Identity::new(key(seed)))
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::new([seed; 32])
}
