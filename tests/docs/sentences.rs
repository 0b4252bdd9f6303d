//! The sentences of a paper: what is left without code, tables and headings.

/// The words of each sentence of a paper in Markdown.
pub fn of_markdown(text: &str) -> Vec<Vec<String>> {
    let mut prose = Prose::default();
    let mut is_code = false;
    let mut is_comment = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            is_code = !is_code;
            prose.end_paragraph();
            continue;
        }
        is_comment |= trimmed.starts_with("<!--");
        let is_left_out = is_code || is_comment || trimmed.is_empty();
        if trimmed.ends_with("-->") {
            is_comment = false;
        }
        if is_left_out || trimmed.starts_with(['|', '#']) {
            prose.end_paragraph();
        } else if let Some(rest) = item(trimmed) {
            prose.end_paragraph();
            prose.push(rest);
        } else {
            prose.push(trimmed);
        }
    }
    prose.finish()
}

/// The words of each sentence of a manual page. Names and synopsis are no sentences, nor is what an
/// item of a list is called.
pub fn of_manual(text: &str) -> Vec<Vec<String>> {
    const WITHOUT: [&str; 3] = ["NAME", "SYNOPSIS", "SEE ALSO"];
    let mut prose = Prose::default();
    let mut is_code = false;
    let mut is_left_out = false;
    for line in text.lines() {
        let Some(request) = line.strip_prefix('.') else {
            if !is_code && !is_left_out {
                prose.push(&without_escapes(line));
            }
            continue;
        };
        let (name, rest) = request.split_once(' ').unwrap_or((request, ""));
        match name {
            "Sh" => is_left_out = WITHOUT.contains(&rest),
            "Bd" => is_code = true,
            "Ed" => is_code = false,
            _ => {}
        }
        match name {
            "Sh" | "Ss" | "Pp" | "Bl" | "El" | "It" | "Bd" | "Ed" | "D1" | "Dl" => {
                prose.end_paragraph();
            }
            _ if name.starts_with("\\\"") || matches!(name, "Dd" | "Dt" | "Os") => {}
            _ if is_code || is_left_out => {}
            _ => prose.push(&of_macros(name, rest)),
        }
    }
    prose.finish()
}

/// Sentences, and the paragraph that is not over yet.
#[derive(Default)]
struct Prose {
    sentences: Vec<Vec<String>>,
    paragraph: String,
}

impl Prose {
    fn push(&mut self, line: &str) {
        self.paragraph.push_str(line);
        self.paragraph.push(' ');
    }

    fn end_paragraph(&mut self) {
        let mut words = Vec::new();
        for word in without_markup(&self.paragraph).split_whitespace() {
            words.push(word.to_owned());
            let bare = word.trim_end_matches([')', '"', '*', '_', '\'']);
            if bare.ends_with(['.', '!', '?']) && !bare.ends_with("..") {
                self.sentences.push(std::mem::take(&mut words));
            }
        }
        if !words.is_empty() {
            self.sentences.push(words);
        }
        self.paragraph.clear();
    }

    fn finish(mut self) -> Vec<Vec<String>> {
        self.end_paragraph();
        self.sentences
    }
}

/// What stands behind the mark of an item of a list.
fn item(line: &str) -> Option<&str> {
    let rest = line
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .strip_prefix(". ");
    rest.or_else(|| line.strip_prefix("- "))
        .or_else(|| line.strip_prefix("* "))
}

/// Code within a line is one word, and of a link the text counts.
fn without_markup(line: &str) -> String {
    let mut text = String::new();
    for (at, part) in line.split('`').enumerate() {
        match at % 2 {
            0 => text.push_str(part),
            _ => text.push_str("code"),
        }
    }
    let mut kept = String::new();
    let mut rest = text.as_str();
    while let Some((before, target)) = rest.split_once("](") {
        kept.push_str(before);
        rest = target.split_once(')').map_or("", |(_, behind)| behind);
    }
    kept.push_str(rest);
    kept.replace('[', "")
}

fn without_escapes(line: &str) -> String {
    line.replace("\\(dq", "\"").replace("\\&", "")
}

/// What a line of macros shows, in which every argument is a word and marks belong to the word
/// before them.
fn of_macros(name: &str, rest: &str) -> String {
    let mut text = String::new();
    let mut is_glued = true;
    if name == "Nm" {
        text.push_str("program");
        is_glued = false;
    }
    let rest = without_escapes(rest);
    let words = in_quotes(&rest);
    for word in &words {
        let is_macro = word.len() == 2
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.ends_with(|c: char| c.is_ascii_lowercase());
        let is_mark = word
            .chars()
            .all(|c| matches!(c, '.' | ',' | ';' | ':' | ')' | '?' | '!'));
        if is_macro {
            is_glued |= word == "Ns";
            continue;
        }
        let is_section = name == "Xr" && word.len() == 1;
        if !is_glued && !is_mark && !is_section {
            text.push(' ');
        }
        text.push_str(word);
        is_glued = false;
    }
    text
}

/// The arguments of a line; one in double quotes is one, and counts as one word.
fn in_quotes(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push("quoted".to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(sentences: &[Vec<String>]) -> Vec<String> {
        sentences.iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn code_tables_and_headings_are_no_sentences() {
        let text = "# A heading\n\nOne two\nthree. Four of 1.1 here (see [a\npage](x.md)). Five:\n\n- six `a b. c`\n\
                    - seven\n  eight\n\n```sh\nnine.\n```\n\n| ten | eleven. |\n";
        assert_eq!(
            joined(&of_markdown(text)),
            [
                "One two three.",
                "Four of 1.1 here (see a page).",
                "Five:",
                "six code",
                "seven eight"
            ]
        );
    }

    #[test]
    fn of_a_manual_page_the_text_counts() {
        let text = ".Sh NAME\n.Nm a\n.Nd b\n.Sh DESCRIPTION\n.Nm\nsays\n.Fl b ,\nsee\n.Xr c 8 .\nMore.\n.Bd -literal\nno.\n\
                    .Ed\n.It Fl x\nAn item with\n.Ar file Ns Pa .gaps\nfor\n.Li \"one two\" .\n";
        assert_eq!(
            joined(&of_manual(text)),
            [
                "program says b, see c8.",
                "More.",
                "An item with file.gaps for quoted."
            ]
        );
    }
}
