//! The clashes of lines, which may not have a source in common, nor files that one source alone may
//! write.
//!
//! Names are compared as they are spelled but for doubled slashes and `.` parts. Links and `..` are
//! not followed, nobody looks at the disk here; the lock that each local copy gets at start finds
//! what this leaves.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{Address, ConfigError, Draft, FileRole, LineNumber, Problem, scratch_of};

/// Adds an error for every line that takes what an earlier line has, or its own file twice. Sorts,
/// so that thousands of lines are no burden.
pub(super) fn find(drafts: &[Draft], errors: &mut Vec<ConfigError>) {
    same_sources(drafts, errors);
    same_names(drafts, errors);
    same_files(drafts, errors);
}

fn same_sources(drafts: &[Draft], errors: &mut Vec<ConfigError>) {
    let mut order: Vec<&Draft> = drafts.iter().collect();
    // A stable sort: equal ones stay in the order of their lines, here and below.
    order.sort_by_key(|draft| source_key(draft));
    for group in order.chunk_by(|a, b| source_key(a) == source_key(b)) {
        let [first, others @ ..] = group else {
            continue;
        };
        errors.extend(others.iter().map(|other| ConfigError {
            line: other.source.line,
            column: other.address_column,
            problem: Problem::SameSource {
                other: first.source.line,
            },
        }));
    }
}

/// A name is that of one address, and of no box that has it for its address.
fn same_names(drafts: &[Draft], errors: &mut Vec<ConfigError>) {
    let mut named: Vec<(&str, &Draft)> = (drafts.iter())
        .filter_map(|draft| Some((draft.source.name.as_deref()?, draft)))
        .collect();
    if named.is_empty() {
        return;
    }
    named.sort_by_key(|(name, _)| *name);
    let mut hosts: Vec<(String, &Draft)> = (drafts.iter())
        .map(|draft| (draft.source.address.to_string(), draft))
        .collect();
    hosts.sort_by(|(a, _), (b, _)| a.cmp(b));
    for group in named.chunk_by(|(a, _), (b, _)| a == b) {
        let [(name, first), ..] = group else { continue };
        let host = hosts.binary_search_by(|(host, _)| (**host).cmp(name));
        let host = host.ok().map(|at| hosts[at].1);
        for (_, draft) in group {
            let is_other = |other: &&Draft| other.source.address != draft.source.address;
            let other = [Some(*first), host].into_iter().flatten().find(is_other);
            errors.extend(other.map(|other| ConfigError {
                line: draft.source.line,
                column: draft.address_column,
                problem: Problem::SameName {
                    other: other.source.line,
                },
            }));
        }
    }
}

fn source_key(draft: &Draft) -> (&Address, u16, &[u8]) {
    let source = &draft.source;
    (&source.address, source.port, &source.remote)
}

fn same_files(drafts: &[Draft], errors: &mut Vec<ConfigError>) {
    let mut claims: Vec<Claim> = drafts.iter().flat_map(claims_of).collect();
    claims.sort_by(|a, b| a.name.cmp(&b.name));
    for group in claims.chunk_by(|a, b| a.name == b.name) {
        let [first, others @ ..] = group else {
            continue;
        };
        errors.extend(others.iter().filter_map(|other| other.against(first)));
    }
    for claim in &claims {
        errors.extend(records_like(claim, &claims));
    }
}

/// What a collector keeps beside a file that a line names, and replaces or takes away: the file it
/// stands beside, its ending, and its name.
const RECORDS: [(FileRole, &[u8], &str); 6] = [
    (FileRole::Local, b".gaps", "record LOCAL_FILE.gaps"),
    (FileRole::Local, b".kept", "record LOCAL_FILE.kept"),
    (
        FileRole::Local,
        b".inflating",
        "scratch file LOCAL_FILE.inflating",
    ),
    (FileRole::Pointer, b".given", "record POINTER_FILE.given"),
    (
        FileRole::Pointer,
        b".unverified",
        "record POINTER_FILE.unverified",
    ),
    (FileRole::Pointer, b".hooks", "record POINTER_FILE.hooks"),
];

/// The errors of a claim to what is kept beside the file of another, or of the same line. The later
/// line is to blame. The claims are sorted by name.
fn records_like<'a>(
    claim: &'a Claim,
    claims: &'a [Claim],
) -> impl Iterator<Item = ConfigError> + 'a {
    let name = claim.name.as_bytes();
    let is_named = claim.role != FileRole::Scratch;
    // Lists are replaced through scratch files.
    let plain = name.strip_suffix(b".tmp").unwrap_or(name);
    let kept = RECORDS.iter().filter(move |_| is_named);
    kept.flat_map(move |(role, ending, record)| {
        let base = plain.strip_suffix(*ending).unwrap_or_default();
        let from = claims.partition_point(|other| other.name.as_bytes() < base);
        let like = (claims[from..].iter()).take_while(move |other| other.name.as_bytes() == base);
        like.filter(move |other| other.role == *role)
            .filter_map(move |other| {
                let record = Claim {
                    name: OsString::new(),
                    role: FileRole::Record(record),
                    ..*other
                };
                match record.line <= claim.line {
                    true => claim.against(&record),
                    false => record.against(claim),
                }
            })
    })
}

/// A claim: what one line wants to use a file for.
struct Claim {
    name: OsString,
    role: FileRole,
    line: LineNumber,
    column: u32,
}

impl Claim {
    /// The error of having the same name as an earlier claim.
    fn against(&self, first: &Claim) -> Option<ConfigError> {
        // Scratch files are the same where the pointer files are, and that is told already.
        if self.role == FileRole::Scratch && first.role == FileRole::Scratch {
            return None;
        }
        Some(ConfigError {
            line: self.line,
            column: self.column,
            problem: Problem::SameFile {
                role: self.role,
                other_role: first.role,
                other: (first.line != self.line).then_some(first.line),
            },
        })
    }
}

fn claims_of(draft: &Draft) -> [Claim; 3] {
    let source = &draft.source;
    let claim = |path: &Path, role, column| Claim {
        name: normal(path),
        role,
        line: source.line,
        column,
    };
    [
        claim(&source.local, FileRole::Local, draft.local_column),
        claim(&source.pointer, FileRole::Pointer, draft.pointer_column),
        claim(
            &scratch_of(&source.pointer),
            FileRole::Scratch,
            draft.pointer_column,
        ),
    ]
}

/// One spelling for all that differ in doubled slashes and `.` parts only.
fn normal(path: &Path) -> OsString {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect::<PathBuf>()
        .into_os_string()
}
