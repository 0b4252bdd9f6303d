//! What has to be true: always after a crash, and at the end.

use std::path::Path;

use super::peer::{Dialect, Generation, Peer};
use super::world::{STAMP, Scenario};
use crate::collect::config::SourceConfig;
use crate::collect::copy::given::Ledger;
use crate::collect::copy::pointer::Pointer;
use crate::collect::copy::{Generation as Held, Origin};
use crate::inside::model::Disk;

/// The local files of one source.
struct Files<'a> {
    /// The rotated copies, oldest first.
    kept: Vec<&'a [u8]>,
    live: Option<&'a [u8]>,
    pointer: Option<&'a [u8]>,
    /// The ends that were set aside.
    rescued: Vec<&'a [u8]>,
    /// What the rotated copies have behind their names, and what others are to hear of them.
    endings: Vec<&'a str>,
    heard: &'a [u8],
    unverified: &'a [u8],
    /// Whether a loss is on record.
    is_lossy: bool,
    /// What was given, as it is remembered.
    ledger: &'a [u8],
    /// Names that no rule knows.
    strange: Vec<String>,
}

/// Everything is fetched and the machine is quiet: the copies are what was written, and nothing
/// else is there, but the list of what is to be verified if a call failed: it is put right by the
/// next start.
pub fn at_end(scenario: &Scenario, disk: &Disk, has_failed: bool) -> Result<(), String> {
    let peers = scenario.peers(scenario.steps.len());
    let configs = scenario.configs();
    for (number, peer) in peers.iter().enumerate() {
        let files = Files::of(disk, number);
        files.expect(
            &scenario.expected(&peer.generations),
            scenario.loses,
            number,
        )?;
        if files.rescued != scenario.rescued {
            let rescued = files
                .rescued
                .iter()
                .map(|end| end.escape_ascii().to_string());
            return Err(format!("{:?} is set aside", rescued.collect::<Vec<_>>()));
        }
        let is_known = |name: &&String| {
            scenario.loses && name.ends_with(".gaps") || has_failed && name.ends_with(".unverified")
        };
        if let Some(name) = files.strange.iter().find(|name| !is_known(name)) {
            return Err(format!("{name} is left over"));
        }
        files.check_ledger(peer, &configs[number])?;
        let inode = files
            .pointer()?
            .map(|pointer| (pointer.inode.0, pointer.pending));
        let live = peer.generations.last().map(|live| (live.inode, None));
        if inode != live {
            return Err(format!("the pointer says {inode:?} instead of {live:?}"));
        }
    }
    Ok(())
}

/// Nobody has heard of anything yet: all of it stands on the list. A power cut may have taken the
/// list of what is to be verified; then nobody ever knows that a copy is right.
pub fn heard_at_end(scenario: &Scenario, disk: &Disk, had_power_cut: bool) -> Result<(), String> {
    let verifies = scenario.dialect == Dialect::V2 && !scenario.loses && !had_power_cut;
    for number in 0..scenario.sources {
        Files::of(disk, number).check_heard(verifies)?;
    }
    Ok(())
}

/// A crash has left this: the pointer does not promise more than there is.
pub fn after_crash(scenario: &Scenario, disk: &Disk, pos: usize) -> Result<(), String> {
    let peers = scenario.peers(pos);
    for (number, peer) in peers.iter().enumerate() {
        let files = Files::of(disk, number);
        let Some(pointer) = files.pointer()? else {
            if pos > scenario.begun {
                return Err("the pointer is gone".to_owned());
            }
            continue;
        };
        let same = |generation: &&Generation| generation.inode == pointer.inode.0;
        let places = peer.generations.iter().filter(same).count();
        let is_kept = peer.generations.iter().enumerate().any(|(at, generation)| {
            generation.inode == pointer.inode.0
                && files.bear_out(scenario, &peer.generations, at, &pointer)
        });
        if places > 0 && !is_kept && !scenario.loses {
            return Err(format!("the pointer of {number} is ahead of the data"));
        }
    }
    Ok(())
}

impl Scenario {
    /// What the copies have to hold, oldest first.
    fn expected<'a>(&'a self, generations: &'a [Generation]) -> Vec<&'a [u8]> {
        let aside = self.aside.iter().copied();
        let written = generations.iter().map(|generation| &generation.bytes[..]);
        aside.chain(written).collect()
    }
}

impl<'a> Files<'a> {
    fn of(disk: &'a Disk, number: usize) -> Files<'a> {
        let (local, pointer) = (format!("/l/m{number}"), format!("/p/m{number}"));
        let mut kept = Vec::new();
        let mut rescued = Vec::new();
        let mut strange = Vec::new();
        let (mut ledger, mut heard): (&[u8], &[u8]) = (&[], &[]);
        let mut endings = Vec::new();
        for name in disk.names().filter_map(Path::to_str) {
            let Some(rest) = name.strip_prefix(&local).or(name.strip_prefix(&pointer)) else {
                continue;
            };
            match rest
                .strip_prefix('.')
                .map(|ending| (ending, attempt(ending)))
            {
                None | Some(("tmp" | "unverified.tmp" | "given.tmp" | "hooks.tmp", _)) => {}
                Some(("hooks", _)) => heard = disk.read(name).unwrap_or_default(),
                Some(("given", _)) => ledger = disk.read(name).unwrap_or_default(),
                Some((ending, Some(attempt))) => {
                    endings.push(ending);
                    kept.push((attempt, disk.read(name).unwrap_or_default()))
                }
                Some((ending, None)) if ending.starts_with("rescued.") => {
                    rescued.push(disk.read(name).unwrap_or_default());
                }
                Some(_) => strange.push(name.to_owned()),
            }
        }
        kept.sort_by_key(|(attempt, _)| *attempt);
        Files {
            kept: kept.into_iter().map(|(_, bytes)| bytes).collect(),
            live: disk.read(&local),
            pointer: disk.read(&pointer),
            rescued,
            endings,
            heard,
            unverified: disk
                .read(&format!("{pointer}.unverified"))
                .unwrap_or_default(),
            is_lossy: disk.read(&format!("{local}.gaps")).is_some(),
            ledger,
            strange,
        }
    }

    fn check_heard(&self, verifies: bool) -> Result<(), String> {
        let heard = String::from_utf8_lossy(self.heard);
        let unverified = String::from_utf8_lossy(self.unverified);
        let is_heard = |event: &str| heard.lines().any(|line| line.starts_with(event));
        let mut missing = Vec::new();
        for ending in &self.endings {
            missing.push(format!("rotated {ending} "));
            let is_left = unverified
                .lines()
                .any(|line| line.split(' ').next() == Some(ending));
            if verifies && !is_left {
                missing.push(format!("verified {ending} "));
            }
        }
        if self.is_lossy {
            missing.push("lost ".to_owned());
        }
        match missing.iter().find(|event| !is_heard(event)) {
            Some(event) => Err(format!("nobody will hear {event:?} of {heard:?}")),
            None => Ok(()),
        }
    }

    fn pointer(&self) -> Result<Option<Pointer>, String> {
        let parse = |text| Pointer::parse(text).map_err(|fault| fault.to_string());
        self.pointer.map(parse).transpose()
    }

    /// Nothing has to be remembered, but what is has to be true.
    fn check_ledger(&self, peer: &Peer, config: &SourceConfig) -> Result<(), String> {
        let ledger = Ledger::parse(self.ledger, config).unwrap_or_default();
        for entry in ledger.entries() {
            let is_true = |(at, generation): (usize, &Generation)| {
                let is_token = entry.token.is_none() || entry.token == peer.token(at);
                let is_md5 = entry.sums.is_none_or(|sums| sums.md5 == generation.md5());
                is_token && is_md5 && entry.size == generation.bytes.len() as u64
            };
            if !peer.generations.iter().enumerate().any(is_true) {
                return Err(format!("nobody was given {entry}"));
            }
        }
        let expected = peer.token(peer.generations.len().saturating_sub(1));
        let held = self.pointer()?.map(|pointer| Held {
            inode: pointer.inode,
            origin: pointer
                .mtime_ns
                .map(|mtime_ns| Origin { mtime_ns, boot: 0 }),
            classic: pointer.classic,
        });
        match held.and_then(|held| ledger.token_of(&held)) {
            token if token.is_none() || token == expected => Ok(()),
            token => Err(format!("{token:?} is taken for the live file's")),
        }
    }

    /// The copies, the live one last, are these.
    /// The first may lack its end if a box `loses` what it wrote.
    fn expect(&self, expected: &[&[u8]], loses: bool, number: usize) -> Result<(), String> {
        let held: Vec<&[u8]> = self.kept.iter().copied().chain(self.live).collect();
        let is_part = |(held, whole): (&&[u8], &&[u8])| {
            let start = held.iter().take_while(|byte| **byte != 0).count();
            held.len() <= whole.len() && whole.starts_with(&held[..start])
        };
        let is_told = loses && held.len() == expected.len() && held[1..] == expected[1..];
        if held == expected || is_told && held.iter().zip(expected).all(is_part) {
            return Ok(());
        }
        let show = |copies: &[&[u8]]| {
            let texts = copies
                .iter()
                .map(|bytes| format!("{:?}", String::from_utf8_lossy(bytes)));
            texts.collect::<Vec<_>>().join(" ")
        };
        Err(format!(
            "of {number} it holds {} instead of {}",
            show(&held),
            show(expected)
        ))
    }

    /// Whether the files hold what a pointer to the generation at `at` says: all older ones, and of
    /// its own as much as is called durable; all of it, before it is rotated.
    fn bear_out(
        &self,
        scenario: &Scenario,
        generations: &[Generation],
        at: usize,
        pointer: &Pointer,
    ) -> bool {
        let expected = scenario.expected(generations);
        let (older, own) = expected.split_at(at + scenario.aside.len());
        let has_older = self.kept.len() >= older.len() && self.kept[..older.len()] == *older;
        let own = own[0];
        let next = self.kept.get(older.len()).copied();
        let has_own = match &pointer.pending {
            Some(_) => next == Some(own) || self.live == Some(own),
            None => {
                let durable = pointer.checkpoint as usize;
                let live = self.live.unwrap_or_default();
                live.len() < durable || own.get(..durable) == live.get(..durable)
            }
        };
        has_older && has_own
    }
}

/// Which of the rotated copies of one second this ending belongs to.
fn attempt(ending: &str) -> Option<u32> {
    match ending.strip_prefix(STAMP)? {
        "" => Some(0),
        rest => rest.strip_prefix('.')?.parse().ok(),
    }
}
