//! The published vectors, the library `snow` as the other side, and what a stranger may try.

use std::rc::Rc;

use super::channel::{Channel, KIND, MARKED_LEN, PROLOGUE, Terms};
use super::handshake::{FIRST_LEN, Initiator, Responder, SECOND_LEN};
use super::key::{Identity, PrivateKey, PublicKey};
use crate::limits::{RECORD_MAX_LEN, RECORDS_PER_KEY};

// The vectors.

/// One of those that other implementations publish for the pattern: bytes in hexadecimal.
struct Vector {
    prologue: &'static str,
    /// Static and ephemeral of the client, then of the server.
    keys: [&'static str; 4],
    /// Payloads, and what becomes of them; the two sides in turn.
    messages: &'static [(&'static str, &'static str)],
}

/// The first is cacophony's, the second snow's.
const VECTORS: &[Vector] = &[
    Vector {
        prologue: "4a6f686e2047616c74",
        keys: [
            "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
            "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
            "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
            "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        ],
        messages: &[
            (
                "4c756477696720766f6e204d69736573",
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79440b03ddc7aac5123d06a1b23b71670e32e76c28239a7ca4ac8f784de7e44c1adbfc6e83fef7352a58d9d56157400c0a737b1d171ce368229c7b752ac25b8faf4eca690f6d896f543be02c996ab2b86b76",
            ),
            (
                "4d757272617920526f746862617264",
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843d9b5a8927f0ac9655ef76833bc7e5561f42e691ac8404efd6fbd6308b6a27c",
            ),
            (
                "462e20412e20486179656b",
                "2c256ed08fcd08c2980f954ee4beaccb61c9581340f5dd2fd1cf3b",
            ),
            (
                "4361726c204d656e676572",
                "d6033f70eee20945c7c9dba304e397ee3b284ff5e00fd9efb095d3",
            ),
            (
                "4a65616e2d426170746973746520536179",
                "a9c068ca5d8babf72560652d8e851adbfac35c8a66e810d560863173e96adf4cfe",
            ),
            (
                "457567656e2042f6686d20766f6e2042617765726b",
                "2a09d8f459e5927e40fdd2eddc99bdafb04e13a26f145cb5cfe9e6ba34c94331ebc17d5156",
            ),
        ],
    },
    Vector {
        prologue: "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e20616e6420626f72696e672e",
        keys: [
            "b7e117ce8ede06ceb89500799a3778d097fc54a3f90bea744493dfc24ec21f32",
            "cc95b4ccc4912c5a52c8d2f6b808e13712392c4468f4e3f02a7d2d1590cb9178",
            "e3187f5c10734e934be3a73c398c7fae07ba3e0cde2fcd9ab03a1c93dcae10f8",
            "587f83fe736432043d2665fbd47b0506b2cd103b6ba8577f72e117c7ffeb5105",
        ],
        messages: &[
            (
                "910ef4a7c04090f66403fcd8ffaed066e70ed38b576792c4a554cc5016fe5120",
                "df44a475167152d3e4767b9ad5b28468fb8bd6aaa0b0e7181afd87ede7a8c971e818de301c97393bfa71ac250becfc8acef64a969e039f407fe44c5ffc3d66d94ff57627ad4cc53882a1b2993babac3940edd1eaff34a3d3f08c53570166b3d29d06bd5de3cfb9b85b66001a60a5bb98d72b80da9485655f86db72b46f745c4e",
            ),
            (
                "3ce1e4d6e5f02bfeea1d6620cbf1473b5f55372d6954e98d3e12b6ffd04879d5",
                "2818be348d38de5f9e3ef545c62e8e276c12e2a64410801a0284e02dfb0d450a848d1001977ef31dfe04b5c824acc04c7bda8490eab6cb6aaa844c4ddf0fda83ec84ed26cd6bee22fab17360b73de5b8",
            ),
            (
                "31e7554ebce419a76bf5cd464e00594ccf55bdc09c234c450850d26ab164238c",
                "89545eb9b2477d482156692214def7d5aecc00b9244b4435bdb768173841d2a2a2e52bcee32d64fe938c87594b17ee69",
            ),
            (
                "794f643ba08cc7ee7aa39bc055560a0850dbc77bf34d8ab22019bf160ab2c573",
                "fe35983c049b535cf9ca61cfad5b48e461da90c7c51cb5b873be10e58ae34a384aaebba7f96958b0ef0ac043c5e9c622",
            ),
        ],
    },
];

const TAG_LEN: usize = 16;

fn hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn private(text: &str) -> PrivateKey {
    PrivateKey::new(hex(text).try_into().unwrap())
}

/// A message with this payload and nothing else yet.
fn with_payload(len: usize, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; len + payload.len()];
    message[len - TAG_LEN..][..payload.len()].copy_from_slice(payload);
    message
}

#[test]
fn the_published_vectors_pass() {
    for vector in VECTORS {
        let prologue = hex(vector.prologue);
        let [client, client_once, server, server_once] = vector.keys.map(private);
        let (client, server) = (Identity::new(client), Identity::new(server));
        let said = |at: usize| (hex(vector.messages[at].0), hex(vector.messages[at].1));

        let (payload, sealed) = said(0);
        let mut message = with_payload(FIRST_LEN, &payload);
        let initiator = Initiator::begin(
            &client,
            server.public(),
            &prologue,
            client_once,
            &mut message,
        );
        assert_eq!(message, sealed);
        let responder = Responder::read(&server, &prologue, &mut message).unwrap();
        assert_eq!(responder.client(), client.public());
        assert_eq!(message[FIRST_LEN - TAG_LEN..][..payload.len()], payload);

        let (payload, sealed) = said(1);
        let mut message = with_payload(SECOND_LEN, &payload);
        let mut ours = responder.answer(&server_once, &mut message).unwrap();
        assert_eq!(message, sealed);
        let mut theirs = initiator.unwrap().finish(&client, &mut message).unwrap();
        assert_eq!(message[SECOND_LEN - TAG_LEN..][..payload.len()], payload);
        assert_eq!(ours.hash, theirs.hash);

        for at in 2..vector.messages.len() {
            let (payload, sealed) = said(at);
            let mut record = with_payload(TAG_LEN, &payload);
            let (from, to) = match at % 2 {
                0 => (&mut theirs.sending, &mut ours.receiving),
                _ => (&mut ours.sending, &mut theirs.receiving),
            };
            from.seal(&[], &mut record);
            assert_eq!(record, sealed);
            assert_eq!(to.open(&[], &mut record), Ok(&payload[..]));
        }
    }
}

// Two ends.

fn identity(seed: u8) -> Rc<Identity> {
    Rc::new(Identity::new(once(seed)))
}

fn once(seed: u8) -> PrivateKey {
    PrivateKey::new(bytes_of(seed))
}

fn bytes_of(seed: u8) -> [u8; 32] {
    std::array::from_fn(|at| seed.wrapping_mul(31) ^ at as u8)
}

const CLIENT: u8 = 1;
const SERVER: u8 = 2;

fn asking() -> Channel {
    Channel::asking(identity(CLIENT), identity(SERVER).public(), once(3)).unwrap()
}

fn listening() -> Channel {
    Channel::listening(identity(SERVER), Terms::Both)
}

fn take(channel: &mut Channel) -> Vec<u8> {
    let pending = channel.pending().to_vec();
    channel.consume_pending(pending.len());
    pending
}

fn give(channel: &mut Channel, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut buf = vec![0; RECORD_MAX_LEN + bytes.len()];
    let held = channel.restore(&mut buf);
    buf[held..held + bytes.len()].copy_from_slice(bytes);
    let plain = channel.open(&mut buf, held + bytes.len())?;
    Ok(buf[..plain].to_vec())
}

fn is_client(key: &PublicKey) -> bool {
    key == identity(CLIENT).public()
}

/// Both ends behind their handshake.
fn pair() -> (Channel, Channel) {
    let (mut client, mut server) = (asking(), listening());
    assert_eq!(give(&mut server, &take(&mut client)), Ok(vec![]));
    assert!(server.owes_answer());
    server.answer(&is_client, &once(4)).unwrap();
    assert_eq!(server.peer(), Some(identity(CLIENT).public()));
    assert_eq!(give(&mut client, &take(&mut server)), Ok(vec![]));
    assert!(client.is_sealed() && server.is_sealed() && !server.is_confirmed());
    (client, server)
}

fn record(channel: &mut Channel, plain: &[u8]) -> Vec<u8> {
    assert_eq!(channel.seal(plain), plain.len());
    assert_eq!(channel.seal(b"more"), 0, "one record is pending");
    take(channel)
}

#[test]
fn what_is_said_arrives_through_renewed_keys() {
    let (mut client, mut server) = pair();
    for number in 0..2 * RECORDS_PER_KEY + 3 {
        let said = number.to_be_bytes();
        let sealed = record(&mut client, &said);
        assert_eq!(give(&mut server, &sealed).as_deref(), Ok(&said[..]));
        let sealed = record(&mut server, &said);
        assert_eq!(give(&mut client, &sealed).as_deref(), Ok(&said[..]));
    }
    assert!(server.is_confirmed());
}

#[test]
fn a_record_has_a_limit_and_nothing_is_kept_behind_it() {
    let (mut client, mut server) = pair();
    let said = vec![7; 3 * RECORD_MAX_LEN];
    let len = client.seal(&said);
    assert_eq!(client.pending().len(), RECORD_MAX_LEN);
    assert_eq!(
        give(&mut server, &take(&mut client)),
        Ok(said[..len].to_vec())
    );
    assert_eq!(client.kept() + server.kept(), 0);
}

#[test]
fn pieces_of_any_size_are_put_together() {
    for piece in 1..=MARKED_LEN + 1 {
        let (mut client, mut server) = (asking(), listening());
        let mut heard = Vec::new();
        let hear = |channel: &mut Channel, bytes: &[u8]| {
            let mut plain = Vec::new();
            for bytes in bytes.chunks(piece) {
                plain.extend(give(channel, bytes).unwrap());
            }
            plain
        };
        heard.extend(hear(&mut server, &take(&mut client)));
        server.answer(&is_client, &once(4)).unwrap();
        heard.extend(hear(&mut client, &take(&mut server)));
        assert!(heard.is_empty());
        let mut sealed = record(&mut client, b"one");
        sealed.extend(record(&mut client, b"and two"));
        heard.extend(hear(&mut server, &sealed));
        assert_eq!(heard, b"oneand two");
    }
}

#[test]
fn a_plain_client_is_seen_by_its_first_byte() {
    for request in [&b"/var/log/messages\n"[..], b" /x 0 0 v2\n", b"\n", b"G"] {
        let mut server = listening();
        assert_eq!(give(&mut server, request).as_deref(), Ok(request));
        assert!(server.is_plain());
        let mut strict = Channel::listening(identity(SERVER), Terms::OnlySealed);
        let refused = give(&mut strict, request);
        assert_eq!(
            refused,
            Err("speaks without a key, and $require_key is set")
        );
        assert!(give(&mut strict, b"/again\n").is_err());
    }
    assert_eq!(KIND, asking().pending()[0]);
}

// Strangers.

#[test]
fn every_flipped_bit_and_every_cut_of_the_first_message_is_refused_or_waits() {
    let first = take(&mut asking());
    for bit in 0..first.len() * 8 {
        let mut bytes = first.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut server = Channel::listening(identity(SERVER), Terms::OnlySealed);
        // The mark covers all of it, so that nothing is computed.
        assert!(give(&mut server, &bytes).is_err(), "bit {bit}");
        assert!(!server.owes_answer());
    }
    for len in 0..first.len() {
        let mut server = listening();
        assert_eq!(give(&mut server, &first[..len]), Ok(vec![]));
        assert!(!server.owes_answer() && server.pending().is_empty());
    }
    let mut longer = first.clone();
    longer.push(0);
    assert!(give(&mut listening(), &longer).is_err());
    let mut server = listening();
    give(&mut server, &first).unwrap();
    assert!(give(&mut server, b"x").is_err(), "nobody has answered yet");
}

#[test]
fn whoever_knows_only_the_public_key_gets_nothing() {
    // With a mark that is right, and another message behind it.
    let first = take(&mut asking());
    for byte in 0..FIRST_LEN {
        let bit = byte * 8 + byte % 7;
        let mut message = first[MARKED_LEN - FIRST_LEN..].to_vec();
        message[bit / 8] ^= 1 << (bit % 8);
        let mut bytes = vec![KIND];
        bytes.extend(super::channel::mark(identity(SERVER).public(), &message));
        bytes.extend(message);
        let mut server = listening();
        give(&mut server, &bytes).unwrap();
        // A public key has a bit that means nothing (RFC 7748, section 5), yet it is hashed.
        assert!(server.answer(&|_| true, &once(4)).is_err(), "bit {bit}");
        assert!(server.pending().is_empty() && server.peer().is_none());
    }
    // With a key of its own.
    let mut stranger = Channel::asking(identity(9), identity(SERVER).public(), once(3)).unwrap();
    let mut server = listening();
    give(&mut server, &take(&mut stranger)).unwrap();
    let refused = server.answer(&is_client, &once(4));
    assert_eq!(refused, Err("has a key that is not in %keys_allow"));
    assert!(server.pending().is_empty());
    // With another server's key.
    let mut lost = Channel::asking(identity(CLIENT), identity(8).public(), once(3)).unwrap();
    let refused = give(&mut listening(), &take(&mut lost));
    assert_eq!(refused, Err("does not know the public key of this server"));
}

#[test]
fn a_key_of_low_order_is_none() {
    for low in [0, 1] {
        let mut bytes = [0; 32];
        bytes[0] = low;
        assert!(Channel::asking(identity(CLIENT), &PublicKey::new(bytes), once(3)).is_err());
    }
}

#[test]
fn a_server_with_another_key_is_found_out() {
    let mut client = asking();
    let first = take(&mut client);
    // It cannot even read what the client says, so it makes something up.
    for second in [vec![0; SECOND_LEN], first[..SECOND_LEN].to_vec()] {
        let mut client = asking();
        take(&mut client);
        let refused = give(&mut client, &second);
        assert!(refused.is_err() && !client.is_sealed());
        assert_eq!(client.seal(b"a secret"), 0);
    }
    // And each bit of the right answer counts.
    let mut server = listening();
    give(&mut server, &first).unwrap();
    server.answer(&is_client, &once(4)).unwrap();
    let second = take(&mut server);
    for byte in 0..second.len() {
        let bit = byte * 8 + byte % 7;
        let mut client = asking();
        let mut bytes = second.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(give(&mut client, &bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn a_first_message_said_again_opens_no_record_of_the_first_time() {
    let (mut client, mut server) = (asking(), listening());
    let first = take(&mut client);
    give(&mut server, &first).unwrap();
    server.answer(&is_client, &once(4)).unwrap();
    give(&mut client, &take(&mut server)).unwrap();
    let request = record(&mut client, b"/var/log/messages\n");
    assert!(give(&mut server, &request).is_ok());

    let mut again = listening();
    give(&mut again, &first).unwrap();
    again.answer(&is_client, &once(5)).unwrap();
    assert!(give(&mut again, &request).is_err());
    assert!(!again.is_confirmed());
}

#[test]
fn records_are_taken_once_in_order_and_as_they_were() {
    let fresh = || {
        let (mut client, server) = pair();
        let records = [&b"one"[..], b"two"].map(|said| record(&mut client, said));
        (records, server)
    };
    let ([one, two], _) = fresh();
    for bit in 0..one.len() * 8 {
        let (_, mut server) = fresh();
        let mut bytes = one.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes.extend(&two);
        let heard = give(&mut server, &bytes);
        // A length that is longer waits for more, which does not make it right.
        let heard = heard.and_then(|_| give(&mut server, &[0; RECORD_MAX_LEN]));
        assert!(heard.is_err(), "bit {bit}");
        assert!(give(&mut server, &one).is_err(), "it is over");
    }
    for wrong in [[&two, &one], [&one, &one]] {
        let (_, mut server) = fresh();
        assert!(give(&mut server, &wrong.map(|it| &it[..]).concat()).is_err());
    }
    let (_, mut server) = fresh();
    assert_eq!(give(&mut server, &one[..one.len() - 1]), Ok(vec![]));
    for len in [0, 1, 16, RECORD_MAX_LEN - 1, 0xffff] {
        let (_, mut server) = fresh();
        let head = (len as u16).to_be_bytes();
        assert!(give(&mut server, &head).is_err(), "length {len}");
    }
}

// The other library.

fn snow(builder: impl FnOnce(snow::Builder<'_>) -> snow::HandshakeState) -> snow::HandshakeState {
    let name = "Noise_IK_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
    builder(snow::Builder::new(name).prologue(PROLOGUE).unwrap())
}

/// Talks to `ours` as `theirs`, in both directions, with new keys when it is time.
fn talk(ours: &mut Channel, mut theirs: snow::TransportState) {
    let mut buf = vec![0; RECORD_MAX_LEN];
    for number in 1..=RECORDS_PER_KEY + 2 {
        let said = number.to_be_bytes();
        let len = theirs.write_message(&said, &mut buf).unwrap();
        let mut sealed = (len as u16).to_be_bytes().to_vec();
        sealed.extend(&buf[..len]);
        assert_eq!(give(ours, &sealed).as_deref(), Ok(&said[..]));
        let sealed = record(ours, &said);
        let len = theirs.read_message(&sealed[2..], &mut buf).unwrap();
        assert_eq!(buf[..len], said);
        if number == RECORDS_PER_KEY {
            theirs.rekey_outgoing();
            theirs.rekey_incoming();
        }
    }
}

#[test]
fn snow_is_served() {
    let (own, server) = (bytes_of(CLIENT), identity(SERVER));
    let mut client = snow(|builder| {
        let builder = builder.local_private_key(&own).unwrap();
        let builder = builder.remote_public_key(server.public().bytes()).unwrap();
        builder.build_initiator().unwrap()
    });
    let mut buf = [0; 200];
    let len = client.write_message(&[], &mut buf).unwrap();
    let mut first = vec![KIND];
    first.extend(super::channel::mark(server.public(), &buf[..len]));
    first.extend(&buf[..len]);
    let mut ours = listening();
    give(&mut ours, &first).unwrap();
    ours.answer(&is_client, &once(4)).unwrap();
    client.read_message(&take(&mut ours), &mut buf).unwrap();
    talk(&mut ours, client.into_transport_mode().unwrap());
}

#[test]
fn snow_serves() {
    let own = bytes_of(SERVER);
    let mut server = snow(|builder| {
        let builder = builder.local_private_key(&own).unwrap();
        builder.build_responder().unwrap()
    });
    let mut ours = asking();
    let first = take(&mut ours);
    let mut buf = [0; 200];
    server
        .read_message(&first[MARKED_LEN - FIRST_LEN..], &mut buf)
        .unwrap();
    let len = server.write_message(&[], &mut buf).unwrap();
    assert_eq!(give(&mut ours, &buf[..len]), Ok(vec![]));
    talk(&mut ours, server.into_transport_mode().unwrap());
}

// The papers.

const PROTOCOL: &str = include_str!("../wire/PROTOCOL.md");

fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The handshake of PROTOCOL.md: private keys of bytes that count, from 00, 20, 40 and 60 on.
#[test]
fn the_handshake_in_the_papers_is_the_real_one() {
    let counting = |from: u8| std::array::from_fn::<u8, 32, _>(|at| from + at as u8);
    let key = |from| PrivateKey::new(counting(from));
    let (client, server) = (
        Rc::new(Identity::new(key(0x00))),
        Rc::new(Identity::new(key(0x20))),
    );
    let mut asking = Channel::asking(client.clone(), server.public(), key(0x40)).unwrap();
    let mut answering = Channel::listening(server.clone(), Terms::OnlySealed);
    let first = take(&mut asking);
    give(&mut answering, &first).unwrap();
    answering.answer(&|_| true, &key(0x60)).unwrap();
    let second = take(&mut answering);
    give(&mut asking, &second).unwrap();
    let request = record(&mut asking, b"/var/log/messages 0 0 v2\n");
    let reply = record(&mut answering, b"O 7 v2 at=0 size=0 m=0 b=61ef3555\n");
    assert!(give(&mut answering, &request).is_ok() && give(&mut asking, &reply).is_ok());
    let lines = [
        ("client's public key", shown(client.public().bytes())),
        ("the same as text", client.public().to_string()),
        ("server's public key", shown(server.public().bytes())),
        ("the same as text", server.public().to_string()),
        ("> kind", shown(&first[..1])),
        ("> mark", shown(&first[1..17])),
        ("> e", shown(&first[17..49])),
        ("> s, sealed", shown(&first[49..97])),
        ("> nothing, sealed", shown(&first[97..])),
        ("< e", shown(&second[..32])),
        ("< nothing, sealed", shown(&second[32..])),
        ("> request", shown(&request)),
        ("< answer", shown(&reply)),
    ];
    for (what, text) in lines {
        // Long ones go on in the next line.
        let pieces: Vec<&str> = text
            .as_bytes()
            .chunks(96)
            .map(|it| str::from_utf8(it).unwrap())
            .collect();
        let line = format!("{what:<20} {}\n", pieces.join(&format!("\n{:21}", "")));
        assert!(PROTOCOL.contains(&line), "PROTOCOL.md needs:\n{line}");
    }
}
