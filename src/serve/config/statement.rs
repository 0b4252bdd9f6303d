//! The statements of the configuration. Their grammar; blanks may stand between all words and
//! signs:
//!
//! ```text
//! file        = { [ statement ] ";" } [ statement ] [ end ]
//! end         = "__END__" | "__DATA__" | ^D | ^Z                  and whatever follows
//! statement   = assignment | declaration | pragma | literal       literal: the last line, 1;
//! declaration = ( "our" | "my" ) ( "%" HASH | "$" SCALAR | assignment to one of these )
//! assignment  = "$" SCALAR "=" value
//!             | "$" HASH "{" key "}" "=" value
//!             | "%" HASH "=" "(" [ item { separator [ item ] } ] ")"
//! pragma      = ( "use" | "no" | "package" | "require" ) anything but ";"
//! value       = string | number | "undef"
//! key         = string | number | WORD
//! item        = value | WORD in front of "=>"
//! separator   = "," | "=>"
//! HASH        = [ "main::" | "::" ] ( "hosts_allow" | "files" | "series" )
//! SCALAR      = [ "main::" | "::" ] ( "bind_port" | "bind_addr" | ... )      see `Name`
//! blank       = SPACE | TAB | CR | LF | FF | VT | "#" to the end of the line
//! POD         = in front of a statement: a line that begins with "=" and a letter, up to the line "=cut" or the end
//! ```
//! A later assignment replaces an earlier one; apart from that the order means nothing. Strings and
//! numbers: see [`literal`](super::literal).
//!
//! A statement with an error is left at the next `;`, or in front of a variable that begins a line,
//! where a `;` has most likely been forgotten.

use super::Config;
use super::error::{ConfigError, ConfigErrors, Problem};
use super::literal::{Literal, Value, literal};
use super::meaning::Assignment;
use super::name::{Hash, Name, Scalar};
use super::text::{Position, Text, is_word};
use crate::limits::CONFIG_ERRORS_MAX;

/// Reads a whole file.
pub(super) fn parse(file: &[u8]) -> Result<Config, ConfigErrors> {
    let mut parser = Parser {
        text: Text::new(file),
        config: Config {
            max_clients: 0,
            max_clients_per_ip: 0,
            ..Config::default()
        },
        errors: Vec::new(),
    };
    parser.file();
    if parser.errors.is_empty() {
        parser.config.settle();
        Ok(parser.config)
    } else {
        Err(ConfigErrors::new(parser.errors))
    }
}

struct Parser<'t> {
    text: Text<'t>,
    config: Config,
    /// At most [`CONFIG_ERRORS_MAX`].
    errors: Vec<ConfigError>,
}

impl<'t> Parser<'t> {
    fn file(&mut self) {
        loop {
            // Between statements only: within one, Perl takes `=` and a word for an assignment.
            self.text.skip_blanks_and_pod();
            if self.text.eat(b";") {
                continue;
            }
            // Enough is known to be wrong; more would not be told.
            if self.at_end() || self.errors.len() == CONFIG_ERRORS_MAX {
                return;
            }
            let start = self.text.position();
            if let Err(error) = self.statement() {
                note(&mut self.errors, error);
                self.skip_statement(start);
            }
        }
    }

    fn at_end(&self) -> bool {
        // perldata: ^D and ^Z end a script as `__END__` does.
        matches!(self.text.peek(), None | Some(0x04 | 0x1a))
            || matches!(self.peek_word(), b"__END__" | b"__DATA__")
    }

    /// Takes one statement with its `;`. An error of form comes back; the meaning is looked at only
    /// when the form is right, and its errors are noted.
    fn statement(&mut self) -> Result<(), ConfigError> {
        let assignment = match (self.peek_word(), self.text.peek()) {
            // `use strict;` and the like change nothing in what an assignment means.
            (b"use" | b"no" | b"package" | b"require", _) => return self.pragma(),
            (b"our" | b"my", _) => self.declaration()?,
            (_, Some(b'$' | b'%')) => Some(self.assignment()?),
            // The `1;` that a file of Perl ends with; any other value does no more.
            _ if literal(&mut self.text)?.is_some() => None,
            _ => return Err(self.text.position().error(Problem::NotUnderstood)),
        };
        self.end_of_statement()?;
        if let Some(assignment) = assignment {
            let errors = &mut self.errors;
            // The form of the whole statement is right by now, so a value is never taken from half
            // of one.
            self.config
                .assign(assignment, &mut |error| note(errors, error));
        }
        Ok(())
    }

    /// Takes the `;`, which the last statement of a file can do without.
    fn end_of_statement(&mut self) -> Result<(), ConfigError> {
        // The place is right behind the statement, where the `;` belongs, not where the next one
        // begins.
        let missing = self.text.position().error(Problem::SemicolonMissing);
        self.text.skip_blanks();
        if self.text.eat(b";") || self.at_end() {
            Ok(())
        } else {
            Err(missing)
        }
    }

    fn pragma(&mut self) -> Result<(), ConfigError> {
        let start = self.text.position();
        if self.skip_statement(start) {
            Ok(())
        } else {
            Err(start.error(Problem::PragmaOpen))
        }
    }

    fn declaration(&mut self) -> Result<Option<Assignment>, ConfigError> {
        self.text.word();
        self.text.skip_blanks();
        // A copy of the reader, to come back to: what stands here is known only from what follows
        // it.
        let start = self.text;
        if let Variable::Element(_) = self.variable()? {
            return Err(start.position().error(Problem::DeclaredElement));
        }
        self.text.skip_blanks();
        // `my %files;` alone says nothing: the hash is filled later, element by element.
        if self.text.peek() == Some(b';') || self.at_end() {
            return Ok(None);
        }
        // An assignment after all: it is read again from the variable on.
        self.text = start;
        self.assignment().map(Some)
    }

    fn assignment(&mut self) -> Result<Assignment, ConfigError> {
        Ok(match self.variable()? {
            Variable::Scalar(scalar) => {
                self.equals()?;
                Assignment::Scalar(scalar, self.value()?)
            }
            Variable::Element(hash) => {
                let key = self.key()?;
                self.equals()?;
                Assignment::Element(hash, key, self.value()?)
            }
            Variable::Whole(hash) => {
                self.equals()?;
                Assignment::Whole(hash, self.list()?)
            }
        })
    }

    /// Takes a sigil and a name that go together.
    fn variable(&mut self) -> Result<Variable, ConfigError> {
        let position = self.text.position();
        let sigil = self.text.peek().filter(|byte| b"$%".contains(byte));
        let Some(sigil) = sigil else {
            return Err(position.error(Problem::VariableExpected));
        };
        self.text.bump();
        let word = take_name(&mut self.text);
        if word.is_empty() {
            return Err(position.error(Problem::VariableExpected));
        }
        let name =
            Name::from_word(word).ok_or_else(|| position.error(Problem::unknown_name(word)))?;
        let mut behind = self.text;
        behind.skip_blanks();
        // What follows tells an element from a whole hash. It is not taken yet, so that an error
        // has the place of the variable.
        let is_element = behind.peek() == Some(b'{');
        match (sigil, name, is_element) {
            (b'%', Name::Hash(hash), false) => Ok(Variable::Whole(hash)),
            (b'$', Name::Hash(hash), true) => Ok(Variable::Element(hash)),
            (b'$', Name::Scalar(scalar), false) => Ok(Variable::Scalar(scalar)),
            // A sigil that does not go with the name: the message shows the form that does.
            (_, Name::Hash(hash), _) => Err(position.error(Problem::IsHash(hash))),
            (_, Name::Scalar(scalar), _) => Err(position.error(Problem::IsScalar(scalar))),
        }
    }

    /// Takes a key in braces.
    fn key(&mut self) -> Result<Literal, ConfigError> {
        self.text.skip_blanks();
        self.text.eat(b"{");
        self.text.skip_blanks();
        let position = self.text.position();
        let key = match literal(&mut self.text)? {
            Some(key) => key,
            // perldata: a simple word in braces is a string without quotes.
            None => word_as_text(self.text.word(), position)
                .ok_or(position.error(Problem::KeyExpected))?,
        };
        self.text.skip_blanks();
        if self.text.eat(b"}") {
            Ok(key)
        } else {
            Err(self.text.position().error(Problem::BraceExpected))
        }
    }

    fn equals(&mut self) -> Result<(), ConfigError> {
        self.text.skip_blanks();
        if self.text.eat(b"=") {
            Ok(())
        } else {
            Err(self.text.position().error(Problem::EqualsExpected))
        }
    }

    fn value(&mut self) -> Result<Literal, ConfigError> {
        self.text.skip_blanks();
        let position = self.text.position();
        if let Some(value) = literal(&mut self.text)? {
            return Ok(value);
        }
        let sign = self.text.peek();
        match (self.text.word(), sign) {
            // The usual way in Perl to give a key no value; for a host it refuses.
            (b"undef", _) => Ok(Literal {
                position,
                value: Value::Undef,
            }),
            ([], Some(b'$' | b'@' | b'%')) => Err(position.error(Problem::VariableAsValue)),
            _ => Err(position.error(Problem::ValueExpected)),
        }
    }

    /// Takes keys and values in parentheses.
    fn list(&mut self) -> Result<Vec<Literal>, ConfigError> {
        self.text.skip_blanks();
        let start = self.text.position();
        if !self.text.eat(b"(") {
            return Err(start.error(Problem::ListExpected));
        }
        let mut items = Vec::new();
        self.text.skip_blanks();
        // Separators may be doubled and one may stand at the end, as Perl allows.
        while !self.text.eat(b")") {
            items.push(self.item()?);
            if !self.eat_separators() && self.text.peek() != Some(b')') {
                return Err(self.text.position().error(Problem::SeparatorExpected));
            }
        }
        // Perl takes a key without a value too, but only with a warning, and it is always a slip.
        if items.len().is_multiple_of(2) {
            Ok(items)
        } else {
            Err(start.error(Problem::OddList))
        }
    }

    fn item(&mut self) -> Result<Literal, ConfigError> {
        let position = self.text.position();
        let mut behind = self.text;
        let word = behind.word();
        // A bare word is a key only in front of `=>`; the `=>` itself is left to be taken as the
        // separator.
        let after_word = behind;
        behind.skip_blanks();
        if behind.eat(b"=>")
            && let Some(item) = word_as_text(word, position)
        {
            self.text = after_word;
            return Ok(item);
        }
        self.value()
    }

    /// Takes one separator or several, and tells whether there was one.
    fn eat_separators(&mut self) -> bool {
        let mut any = false;
        loop {
            self.text.skip_blanks();
            if !self.text.eat(b",") && !self.text.eat(b"=>") {
                return any;
            }
            any = true;
        }
    }

    /// Leaves the statement that began at `start`: behind its `;` or at the end, or, with the
    /// answer `false`, in front of a variable that begins a later line.
    fn skip_statement(&mut self, start: Position) -> bool {
        loop {
            self.text.skip_blanks_and_pod();
            // Else one forgotten `;` would swallow the statement behind it, with all that is wrong
            // there.
            let begins_line = self.text.begins_line() && self.text.position().line > start.line;
            match self.text.peek() {
                Some(b'$' | b'%') if begins_line => return false,
                None => return true,
                Some(_) if self.at_end() || self.text.eat(b";") => return true,
                // A whole word at once: the `q` in the middle of one begins no string.
                Some(byte) if is_word(byte) => _ = self.text.take_while(is_word),
                // A string may hold a `;`. What else is wrong with it is no news in a statement
                // already given up.
                Some(_) if !matches!(literal(&mut self.text), Ok(None)) => {}
                Some(_) => _ = self.text.bump(),
            }
        }
    }

    fn peek_word(&self) -> &'t [u8] {
        let mut ahead = self.text;
        ahead.word()
    }
}

/// Keeps an error if there is room.
fn note(errors: &mut Vec<ConfigError>, error: ConfigError) {
    if errors.len() < CONFIG_ERRORS_MAX {
        errors.push(error);
    }
}

/// The target of an assignment.
enum Variable {
    Scalar(Scalar),
    Element(Hash),
    Whole(Hash),
}

/// Takes a name, without the package it may be written with; empty if none comes next.
fn take_name<'t>(text: &mut Text<'t>) -> &'t [u8] {
    // perlmod: a file that is run by itself is in package `main`, and `::x` means `main::x`.
    if !text.eat(b"main::") {
        text.eat(b"::");
    }
    text.word()
}

fn word_as_text(word: &[u8], position: Position) -> Option<Literal> {
    (!word.is_empty()).then(|| Literal {
        position,
        value: Value::Text(word.to_vec()),
    })
}
