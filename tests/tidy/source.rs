//! A source file as the rules see it: its place, its text, its code without comments, the paths in it.

use std::fs;
use std::path::Path;

/// One file.
pub struct Source {
    /// From the top of the repository, with slashes.
    pub path: String,
    /// As it stands there.
    pub text: String,
    /// The text with blanks in place of comments and of what stands in quotes.
    pub code: String,
}

/// How much of a file a rule is for.
#[derive(Clone, Copy)]
pub enum Part {
    Whole,
    /// Without its tests.
    Program,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code: code_of(text),
        }
    }

    pub fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    pub fn is_under(&self, dir: &str) -> bool {
        self.path.starts_with(dir)
    }

    /// The module of the crate that the file belongs to.
    pub fn module(&self) -> &str {
        let tops = ["src/", "tests/"];
        let path = tops.iter().find_map(|top| self.path.strip_prefix(top));
        let path = path.unwrap_or(&self.path);
        path.split('/')
            .next()
            .unwrap_or(path)
            .trim_end_matches(".rs")
    }

    /// The part of a program that the file belongs to: its folder there, or its name.
    pub fn room(&self) -> &str {
        let room = self.path.split('/').nth(2).unwrap_or_default();
        room.trim_end_matches(".rs")
    }

    /// The code without its tests.
    pub fn program(&self) -> &str {
        self.part(Part::Program)
    }

    pub fn is_shell(&self) -> bool {
        let below = self
            .path
            .strip_prefix("src/")
            .and_then(|path| path.split_once('/'));
        below.is_some_and(|(_, path)| path == "shell.rs" || path.starts_with("shell/"))
    }

    /// Whether it holds nothing but tests.
    pub fn is_tests(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    pub fn is_pure(&self) -> bool {
        match self.module() {
            "wire" | "time" | "ids" | "limits" => true,
            "store" => self.path == "src/store/mod.rs",
            "serve" | "collect" | "snmp" => !self.is_shell(),
            _ => false,
        }
    }

    pub fn lines_with_word<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        numbered(&self.code)
            .filter(move |(_, line)| has_word(line, word))
            .map(|(line, _)| line)
    }

    /// Every line of the text, comments and all, with its number.
    pub fn text_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text)
    }

    /// Every macro that is called, with its line.
    pub fn macros(&self) -> impl Iterator<Item = (usize, &str)> {
        let tokens = tokens_of(&self.code);
        let calls = tokens.windows(3).filter_map(|three| match three {
            [(line, name), (_, "!"), (_, "(" | "[" | "{")] => Some((*line, *name)),
            _ => None,
        });
        calls.collect::<Vec<_>>().into_iter()
    }

    fn part(&self, part: Part) -> &str {
        match part {
            Part::Whole => &self.code,
            Part::Program if self.is_tests() => "",
            Part::Program => before_tests(&self.code),
        }
    }

    pub fn faults_in_paths(
        &self,
        part: Part,
        is_bad: impl Fn(&[&str]) -> bool,
        why: &str,
    ) -> Vec<String> {
        let paths = paths_in(self.part(part));
        let bad = paths.iter().filter(|(_, path)| is_bad(path));
        bad.map(|(line, path)| self.fault(*line, &format!("{} {why}", path.join("::"))))
            .collect()
    }
}

/// Every file of the library and the program, and of the worlds that are compiled into the library for its tests.
pub fn all_sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for dir in ["src", "tests/inside"] {
        collect_sources(top, dir, &mut sources);
    }
    sources
}

fn collect_sources(top: &Path, dir: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(top.join(dir)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{dir}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect_sources(top, &path, sources);
        } else if path.ends_with(".rs") {
            sources.push(Source::new(
                &path,
                &fs::read_to_string(entry.path()).unwrap(),
            ));
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    std::iter::zip(1.., text.lines())
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a line.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c| !is_word_char(c))
}

fn has_word(line: &str, word: &str) -> bool {
    words(line).any(|other| other == word)
}

/// The code above the module of tests at the end of a file.
fn before_tests(code: &str) -> &str {
    let mark = "#[cfg(test)]";
    let starts_tests = |at: &usize| {
        let next = code[at + mark.len()..].trim_start();
        next.trim_start_matches("pub(crate) ").starts_with("mod ")
    };
    let end = code
        .match_indices(mark)
        .map(|(at, _)| at)
        .find(starts_tests);
    &code[..end.unwrap_or(code.len())]
}

/// Blanks in place of comments and of what stands in quotes; lines stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(is_word_char);
        let len = skipped_len(rest, after_word);
        if len == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(
                rest[..len]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[len..];
        }
    }
    code
}

/// How many bytes of a comment or a quotation `text` begins with; 0 if it begins with code.
fn skipped_len(text: &str, after_word: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_len(text);
    }
    if let Some(quoted) = text.strip_prefix('"') {
        return 1 + quoted_len(quoted, '"');
    }
    if let Some(quoted) = text.strip_prefix('\'') {
        // A lifetime has no quote behind its first character.
        let is_char = quoted.starts_with('\\') || quoted.chars().nth(1) == Some('\'');
        return if is_char {
            1 + quoted_len(quoted, '\'')
        } else {
            0
        };
    }
    if after_word { 0 } else { raw_string_len(text) }
}

fn block_comment_len(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Bytes up to and with the closing quote.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// `r"..."`, `br#"..."#` and their like; 0 for anything else.
fn raw_string_len(text: &str) -> usize {
    let Some(hashes) = text.trim_start_matches(['b', 'c']).strip_prefix('r') else {
        return 0;
    };
    let opening = hashes.trim_start_matches('#');
    if !opening.starts_with('"') {
        return 0;
    }
    let closing = format!("\"{}", "#".repeat(hashes.len() - opening.len()));
    let content = &opening[1..];
    let end = content
        .find(&closing)
        .map_or(content.len(), |at| at + closing.len());
    text.len() - content.len() + end
}

/// Every path in the code with its line, `a::{b, c::d}` taken apart into `a::b` and `a::c::d`.
fn paths_in(code: &str) -> Vec<(usize, Vec<&str>)> {
    let tokens = tokens_of(code);
    let mut paths = Vec::new();
    let mut rest = &tokens[..];
    while !rest.is_empty() {
        rest = take_path(rest, &[], &mut paths);
    }
    paths
}

type Token<'a> = (usize, &'a str);

/// Takes one path off the tokens, or one token that begins none.
fn take_path<'a, 't>(
    tokens: &'t [Token<'a>],
    prefix: &[&'a str],
    paths: &mut Vec<(usize, Vec<&'a str>)>,
) -> &'t [Token<'a>] {
    let mut path = prefix.to_vec();
    let mut rest = tokens;
    loop {
        match rest {
            [(line, name), tail @ ..] if name.starts_with(is_word_char) => {
                path.push(name);
                rest = tail;
                match rest {
                    [(_, "::"), tail @ ..] => rest = tail,
                    _ => {
                        paths.push((*line, path));
                        return rest;
                    }
                }
            }
            [(_, "{"), tail @ ..] if !path.is_empty() => return take_group(tail, &path, paths),
            [(line, _), tail @ ..] => {
                if path.len() > prefix.len() {
                    // `a::*` and `a::<B>` name `a`.
                    paths.push((*line, path));
                }
                return tail;
            }
            [] => return rest,
        }
    }
}

/// Takes `b, c::d}` off the tokens.
fn take_group<'a, 't>(
    tokens: &'t [Token<'a>],
    prefix: &[&'a str],
    paths: &mut Vec<(usize, Vec<&'a str>)>,
) -> &'t [Token<'a>] {
    let mut rest = tokens;
    while let [(_, text), tail @ ..] = rest {
        rest = match *text {
            "}" => return tail,
            "," => tail,
            _ => take_path(rest, prefix, paths),
        };
    }
    rest
}

/// Words, `::` and single characters, with their lines.
fn tokens_of(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in numbered(code) {
        let mut rest = line.trim_start();
        while let Some(c) = rest.chars().next() {
            let len = match c {
                c if is_word_char(c) => rest.find(|c| !is_word_char(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            tokens.push((number, &rest[..len]));
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

mod the_reading_of_code {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        paths_in(code)
            .into_iter()
            .map(|(_, path)| path.join("::"))
            .collect()
    }

    #[test]
    fn comments_and_quotations_become_blanks() {
        let same = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */\nd */ e", "a             \n     e"),
            ("a \"b\\\"c\" d", "a        d"),
            ("a r#\"b\"c\"# d", "a          d"),
            ("a br\"b\\\" d", "a        d"),
            ("'a' b '\\'' c", "    b      c"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("var\"x\"", "var   "),
            ("r#type", "r#type"),
            ("\"never closed", "             "),
        ];
        for (text, code) in same {
            assert_eq!(code_of(text), code, "{text}");
        }
    }

    #[test]
    fn groups_are_taken_apart() {
        let group = paths("use a::{self, b, c::{d, e}, f::*};");
        assert_eq!(
            group,
            ["use", "a::self", "a::b", "a::c::d", "a::c::e", "a::f"]
        );
        assert_eq!(paths("x = a::b::<C>(d)"), ["x", "a::b", "C", "d"]);
        assert_eq!(paths("if a { b::c }"), ["if", "a", "b::c"]);
        assert_eq!(paths("a::{b,"), ["a::b"]);
    }
}
