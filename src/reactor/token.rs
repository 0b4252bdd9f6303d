//! The token of an event: which session it is for, and of which life of that session's place.

/// Names one session: its kind, its index in the [`Slab`](super::slab::Slab) of that kind, and the
/// life of that place, so that an event for a closed session does not reach its successor.
/// Packs into 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token {
    /// What sort of thing it is, the program's own numbering, up to [`Token::KIND_MAX`].
    pub kind: u8,
    /// Its place, up to [`Token::INDEX_MAX`].
    pub index: u32,
    /// Which life of that place, up to [`Token::LIFE_MAX`].
    pub life: u16,
}

const INDEX_BITS: u32 = 20;
const GENERATION_BITS: u32 = 9;

impl Token {
    /// The highest kind. One more fits the three bits and is the reactor's own.
    pub const KIND_MAX: u8 = 6;
    /// The highest index.
    pub const INDEX_MAX: u32 = (1 << INDEX_BITS) - 1;
    /// The highest life; the next one is 0 again.
    pub const LIFE_MAX: u16 = (1 << GENERATION_BITS) - 1;

    /// The reactor's own registration.
    pub(super) const SIGNALS: mio::Token = mio::Token(u32::MAX as usize);

    /// The form mio carries. A number above its limit, which no [`Slab`](super::slab::Slab) gives
    /// out, is a bug and is cut.
    pub fn pack(self) -> mio::Token {
        debug_assert!(self.kind <= Token::KIND_MAX);
        debug_assert!(self.index <= Token::INDEX_MAX);
        debug_assert!(self.life <= Token::LIFE_MAX);
        let kind = u32::from(self.kind & 7);
        let index = self.index & Token::INDEX_MAX;
        let life = u32::from(self.life & Token::LIFE_MAX);
        mio::Token(
            (kind << (INDEX_BITS + GENERATION_BITS) | index << GENERATION_BITS | life) as usize,
        )
    }

    /// The reverse of [`pack`](Token::pack).
    pub fn unpack(token: mio::Token) -> Token {
        let bits = token.0 as u32;
        Token {
            kind: (bits >> (INDEX_BITS + GENERATION_BITS)) as u8,
            index: bits >> GENERATION_BITS & Token::INDEX_MAX,
            life: bits as u16 & Token::LIFE_MAX,
        }
    }
}

const _: () = assert!(3 + INDEX_BITS + GENERATION_BITS == u32::BITS);
const _: () = assert!(u32::BITS <= usize::BITS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back() {
        arbtest::arbtest(|u| {
            let token = Token {
                kind: u.int_in_range(0..=Token::KIND_MAX)?,
                index: u.int_in_range(0..=Token::INDEX_MAX)?,
                life: u.int_in_range(0..=Token::LIFE_MAX)?,
            };
            assert_eq!(Token::unpack(token.pack()), token);
            assert_ne!(token.pack(), Token::SIGNALS);
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn the_highest_token_is_below_the_reactors_own() {
        let highest = Token {
            kind: Token::KIND_MAX,
            index: Token::INDEX_MAX,
            life: Token::LIFE_MAX,
        };
        assert_eq!(Token::unpack(highest.pack()), highest);
        assert!(highest.pack() < Token::SIGNALS);
    }

    #[test]
    fn tokens_that_differ_in_one_part_differ_packed() {
        let token = Token {
            kind: 1,
            index: 1,
            life: 1,
        };
        assert_ne!(token.pack(), Token { kind: 0, ..token }.pack());
        assert_ne!(token.pack(), Token { index: 0, ..token }.pack());
        assert_ne!(token.pack(), Token { life: 0, ..token }.pack());
    }
}
