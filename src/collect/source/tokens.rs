//! What the server says of the files of a generation that ends and of the next. Pure.

use crate::wire::frame::Role;
use crate::wire::token::Token;

/// The tokens that came for the end of a generation and the begin of the next.
#[derive(Default)]
pub struct Tokens {
    /// That of the generation that begins.
    pub begins: Option<Token>,
    /// That of the file which has all of the generation that ends.
    pub ended: Option<Token>,
    /// That file may be a copy that somebody made of another generation.
    pub is_suspect: bool,
    /// That of a file that was written to after it had been given.
    pub late: Option<Token>,
}

impl Tokens {
    /// The token of the generation that begins, where nothing is known of an end.
    pub fn of_next(begins: Option<Token>) -> Option<Box<Tokens>> {
        let tokens = Tokens {
            begins,
            ..Tokens::default()
        };
        begins.map(|_| Box::new(tokens))
    }

    /// Takes in the token of a FILE frame; a later one counts.
    pub fn take(&mut self, role: Role, token: Token) {
        match role {
            Role::Begins => self.begins = Some(token),
            Role::Ended | Role::EndedInCopy => {
                self.ended = Some(token);
                self.is_suspect = role == Role::EndedInCopy;
            }
            Role::Late => self.late = Some(token),
            // It is noted at once.
            Role::Present => {}
        }
    }
}
