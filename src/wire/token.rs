//! The identity token: the name that a server gives a generation, which means something to that
//! server only. A client keeps it, compares it and hands it back.
//!
//! ```text
//! TOKEN = ID [ "/" REST ]        1 to 60 bytes of 0-9 a-z A-Z . : - in all, the ID at least one
//! ```

use std::fmt;

/// An identity token.
#[derive(Clone, Copy)]
pub struct Token {
    /// How many of the bytes count.
    len: u8,
    bytes: [u8; Token::MAX_LEN],
}

impl Token {
    /// Most bytes of a token.
    pub const MAX_LEN: usize = 60;

    /// Reads a token. `None` if it is longer, empty or has any other byte.
    pub fn parse(text: &[u8]) -> Option<Token> {
        let mut bytes = [0; Token::MAX_LEN];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let mut parts = text.splitn(2, |&byte| byte == b'/');
        let (id, rest) = (parts.next()?, parts.next().unwrap_or_default());
        let is_sound = |byte: &u8| byte.is_ascii_alphanumeric() || b".:-".contains(byte);
        let is_token = !id.is_empty() && id.iter().chain(rest).all(is_sound);
        is_token.then_some(Token {
            len: text.len() as u8,
            bytes,
        })
    }

    /// All of it, as it goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// All of it, as text.
    pub fn as_str(&self) -> &str {
        // It has nothing but ASCII.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The part that names the file: what stands before the `/`. What stands behind is the server's
    /// own business.
    pub fn id(&self) -> &str {
        let text = self.as_str();
        text.split_once('/').map_or(text, |(id, _)| id)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Token {}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_an_id_and_perhaps_more() {
        let longest = "Z".repeat(Token::MAX_LEN);
        for (text, id) in [
            ("a", "a"),
            ("8:3.17-Zz09", "8:3.17-Zz09"),
            ("8:3/17.4", "8:3"),
            ("8/", "8"),
            (&longest, &longest),
        ] {
            let token = Token::parse(text.as_bytes()).unwrap();
            assert_eq!((token.id(), token.as_str()), (id, text));
            assert_eq!(token.to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_none() {
        let too_long = "a".repeat(Token::MAX_LEN + 1);
        for text in [
            "", "/", "/a", "a/b/c", "a b", "a=b", "a,b", "a_b", "\u{e4}", "a\n", "a\0", &too_long,
        ] {
            assert_eq!(Token::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn only_the_bytes_that_count_are_compared() {
        let (one, other) = (Token::parse(b"a/1"), Token::parse(b"a/2"));
        assert_ne!(one, other);
        assert_eq!(one, Token::parse(b"a/1"));
        assert_eq!(one.unwrap().id(), other.unwrap().id());
    }
}
