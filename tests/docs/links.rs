//! Where the links of the papers lead.

use std::fs;
use std::path::Path;

use super::{papers, root};

#[test]
fn every_link_leads_to_a_heading_or_a_file() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (name, text) in papers().iter().filter(|(name, _)| name.ends_with(".md")) {
        for link in links(text) {
            count += 1;
            if !is_right(name, text, &link) {
                wrong.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(count > 40, "the links were not found");
    assert!(wrong.is_empty(), "these lead nowhere: {wrong:#?}");
}

/// A section that a comment or a paper names stands in the paper that it names.
#[test]
fn every_section_that_the_sources_cite_is_there() {
    let mut sources = String::new();
    for dir in ["src", "tests"] {
        super::read_all(&root().join(dir), &mut sources);
    }
    // A citation may go on in the next line of a comment.
    let sources = joined_comments(&sources);
    let mut count = 0;
    for (paper, place) in [
        ("PROTOCOL.md", "src/wire/PROTOCOL.md"),
        ("FILES.md", "src/collect/copy/FILES.md"),
    ] {
        let text = fs::read_to_string(root().join(place)).unwrap();
        let words: Vec<String> = headings(&text).map(title).collect();
        let sign = format!("{paper}, \"");
        let cited = sources.split(&sign).skip(1);
        for cited in cited.filter_map(|rest| rest.split('"').next()) {
            count += 1;
            // Two texts that stand within a section are cited by their own first words.
            let is_there = words.iter().any(|word| word == cited)
                || text.contains(&format!("**{cited}.**"))
                || text.contains(&format!("**{cited}**"));
            assert!(is_there, "{paper} has no section \"{cited}\"");
        }
    }
    assert!(count > 20, "the citations were not found");
}

/// The targets of the links of a paper, without those to other machines.
fn links(text: &str) -> Vec<String> {
    let targets = without_code(text);
    let targets = targets.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .map(str::to_owned)
        .collect()
}

fn is_right(paper: &str, text: &str, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let dir = root().join(paper);
    let target = dir.parent().unwrap_or(Path::new("/")).join(file);
    if !file.is_empty() && !target.exists() {
        return false;
    }
    if heading.is_empty() {
        return !file.is_empty();
    }
    let text = match file {
        "" => text.to_owned(),
        _ => fs::read_to_string(target).unwrap_or_default(),
    };
    headings(&text).any(|line| anchor(line) == heading)
}

fn without_code(text: &str) -> String {
    let outside = text.split("```").step_by(2);
    outside.collect()
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    let is_heading =
        |line: &&str| line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
    text.split("```")
        .step_by(2)
        .flat_map(str::lines)
        .filter(is_heading)
}

fn title(heading: &str) -> String {
    heading.trim_start_matches('#').trim().to_owned()
}

/// The anchor that readers of Markdown give a heading.
fn anchor(heading: &str) -> String {
    let text = title(heading).to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The text of sources in which the lines of a comment are one.
fn joined_comments(sources: &str) -> String {
    let mut text = String::new();
    for line in sources.lines().map(str::trim) {
        let words = line.trim_start_matches('/').trim_start_matches('!').trim();
        let is_comment = line.starts_with("//");
        text.push(if is_comment { ' ' } else { '\n' });
        text.push_str(words);
    }
    text
}
