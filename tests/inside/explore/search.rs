//! Every crash of every run, and of every run after that.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;

use super::oracle;
use super::world::{Fails, Scenario, World, boot_name};
use crate::collect::config::SourceConfig;
use crate::inside::model::{Call, Disk, Mix, Op, PowerCut, Verdict};

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Crashes in a row.
    pub crashes: u32,
    /// After so many crashes calls fail, too; 0 for the first run only.
    pub faults_after: Option<u32>,
    /// Only syncs fail, and after one that does the disk is full for a while.
    pub then_full: bool,
    /// A second crash in a row has few outcomes, a third fewer, so that all scenarios come to an
    /// end with them.
    pub is_narrow: bool,
}

/// What was seen.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seen {
    /// Lives of the collector.
    pub runs: u64,
    /// Distinct moments between two calls of a life. Two are the same if everything is: what is
    /// seen of the disk, what of it is durable, which changes wait in which order, how far the
    /// boxes are, and which calls the process made since its start, with what outcome.
    pub states: u64,
    /// Distinct disks that crashes left, together with how far the boxes are: what lives began
    /// with.
    pub crashes: u64,
}

/// Where one moment has more outcomes than this, all files lose alike.
const OUTCOMES_MAX: usize = 300;
/// The same after a first crash, a second and further ones, if limits are narrow: each crash in a
/// row multiplies what the one before has left.
const NARROW_MAX: [usize; 3] = [300, 12, 4];

/// So many calls find the disk full.
const FULL_CALLS: u32 = 3;

/// Decides which calls are left out. It is shown the call, and those before it since the last
/// barrier.
pub type Omission = fn(&Call<'_>, &[Op]) -> bool;

/// A rule was broken, and this is how.
pub struct Violation {
    what: String,
    trail: Option<Rc<Trail>>,
    fault: Option<FileError>,
}

/// How a start came about.
struct Trail {
    before: Option<Rc<Trail>>,
    fault: Option<FileError>,
    /// The call that the crash came before.
    call: u32,
    op: Option<Op>,
    crash: Crash,
    pos: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Crash {
    Kill,
    PowerCut,
}

/// One call of a run that fails.
#[derive(Clone, Copy, Debug)]
struct FileError {
    call: u32,
    op: Op,
    verdict: Verdict,
    /// The disk is full for a while after that.
    then_full: bool,
}

/// What a life of the collector begins with.
struct Start {
    disk: Disk,
    pos: usize,
    crashes: u32,
    trail: Option<Rc<Trail>>,
}

impl Trail {
    fn has_power_cut(&self) -> bool {
        let before = self.before.as_deref();
        self.crash == Crash::PowerCut || before.is_some_and(Trail::has_power_cut)
    }
}

/// A moment before a call, or at the end.
struct Moment {
    disk: Disk,
    pos: usize,
    /// What the process did so far.
    history: u64,
    op: Option<Op>,
    /// A sync has failed, and the process had no chance to note that.
    is_unnoted: bool,
}

type Set = HashSet<u64, BuildHasherDefault<Mix>>;

/// A search under way.
struct Search<'a> {
    scenario: &'a Scenario,
    configs: Vec<SourceConfig>,
    limits: Limits,
    omission: Option<Omission>,
    starts: VecDeque<Start>,
    /// Starts that were ever seen.
    known: Set,
    /// Disks whose crashes were already looked at, with the boxes' side.
    crashed: Set,
    moments: Set,
    runs: u64,
}

/// Explores a scenario. `omission` leaves calls out.
pub fn explore(
    scenario: &Scenario,
    limits: Limits,
    omission: Option<Omission>,
) -> Result<Seen, Violation> {
    let mut search = Search {
        scenario,
        configs: scenario.configs(),
        limits,
        omission,
        starts: VecDeque::new(),
        known: Set::default(),
        crashed: Set::default(),
        moments: Set::default(),
        runs: 0,
    };
    search.starts.push_back(Start {
        disk: scenario.first_disk(),
        pos: scenario.begun,
        crashes: 0,
        trail: None,
    });
    // The fewest crashes come first: what is found is found by the shortest way.
    while let Some(start) = search.starts.pop_front() {
        search.live(&start)?;
    }
    Ok(Seen {
        runs: search.runs,
        states: search.moments.len() as u64,
        crashes: search.known.len() as u64,
    })
}

impl Search<'_> {
    /// Lets the collector live, once in peace and once for each call that can fail.
    fn live(&mut self, start: &Start) -> Result<(), Violation> {
        let moments = self.run(start, None)?;
        if self
            .limits
            .faults_after
            .is_none_or(|crashes| start.crashes > crashes)
        {
            return Ok(());
        }
        for (call, op) in (0..).zip(&moments) {
            let then_full = self.limits.then_full;
            let op = op.filter(|op| self.scenario.fails.has(*op) && (!then_full || is_sync(*op)));
            for verdict in op.iter().flat_map(|op| failures(*op)) {
                let fault = FileError {
                    call,
                    op: op.unwrap_or(Op::Stat),
                    verdict: *verdict,
                    then_full,
                };
                self.run(start, Some(fault))?;
            }
        }
        Ok(())
    }

    /// One life, and everything that a crash can make of it. Returns the calls.
    fn run(
        &mut self,
        start: &Start,
        fault: Option<FileError>,
    ) -> Result<Vec<Option<Op>>, Violation> {
        self.runs += 1;
        let broken = |what: String| Violation {
            what,
            trail: start.trail.clone(),
            fault,
        };
        let pos = Rc::new(Cell::new(start.pos));
        let moments = Rc::new(RefCell::new(Vec::new()));
        let (noted, omission, position) = (moments.clone(), self.omission, pos.clone());
        let crashes = self.limits.crashes;
        let history = Cell::new(0);
        let since_barrier = RefCell::new(Vec::new());
        let (refused, is_unnoted) = (Cell::new(0), Cell::new(false));
        // After one more crash, as after the end of room, it matters that nobody knew.
        let is_grave = move |fault: &FileError, op| fault.then_full || (is_sync(op) && crashes > 1);
        let hook = Rc::new(move |call: &Call<'_>, disk: &Disk| {
            noted.borrow_mut().push(Moment {
                disk: disk.clone(),
                pos: position.get(),
                history: history.get(),
                op: Some(call.op),
                is_unnoted: is_unnoted.get(),
            });
            let verdict = match fault {
                Some(fault) if fault.call == call.number => {
                    is_unnoted.set(is_grave(&fault, call.op));
                    fault.verdict
                }
                Some(fault) if fault.is_full(call, refused.get()) => {
                    refused.set(refused.get() + 1);
                    Verdict::Fail(ENOSPC)
                }
                _ if omission.is_some_and(|omits| omits(call, &since_barrier.borrow())) => {
                    Verdict::Swallow
                }
                _ => Verdict::Make,
            };
            if call.op == Op::Overwrite {
                is_unnoted.set(false);
            }
            match (call.op, verdict) {
                (Op::SyncAll, Verdict::Make) => since_barrier.borrow_mut().clear(),
                _ => since_barrier.borrow_mut().push(call.op),
            }
            history.set(mix(&(history.get(), call.op, verdict_number(verdict))));
            verdict
        });
        let mut world = World::new(
            self.scenario,
            &self.configs,
            start.disk.clone(),
            pos.clone(),
            hook,
        );
        let result = world.run();
        let disk = world.disk();
        result.map_err(broken)?;
        oracle::at_end(self.scenario, &disk, fault.is_some()).map_err(broken)?;
        if self.scenario.hears {
            let had_power_cut = start.trail.as_deref().is_some_and(Trail::has_power_cut);
            oracle::heard_at_end(self.scenario, &disk, had_power_cut).map_err(broken)?;
        }
        let mut moments = std::mem::take(&mut *moments.borrow_mut());
        moments.push(Moment {
            disk,
            pos: pos.get(),
            history: u64::MAX,
            op: None,
            is_unnoted: false,
        });
        self.crash_each(start, fault, &moments)?;
        Ok(moments.iter().map(|moment| moment.op).collect())
    }

    fn crash_each(
        &mut self,
        start: &Start,
        fault: Option<FileError>,
        moments: &[Moment],
    ) -> Result<(), Violation> {
        let mut print = None;
        for (call, moment) in (0..).zip(moments) {
            let disk_print = print.unwrap_or_else(|| moment.disk.fingerprint());
            // A call that only looks leaves the disk as it was.
            print = Some(disk_print).filter(|_| moment.op.is_some_and(|op| !op.changes()));
            let place = mix(&(disk_print, moment.pos));
            self.moments.insert(mix(&(place, moment.history)));
            // What nobody could note nobody knows after a crash.
            if start.crashes >= self.limits.crashes || moment.is_unnoted {
                continue;
            }
            if !self.crashed.insert(place) {
                continue;
            }
            let trail = |crash, pos| {
                Rc::new(Trail {
                    before: start.trail.clone(),
                    fault,
                    call,
                    op: moment.op,
                    crash,
                    pos,
                })
            };
            let killed = moment.disk.after_kill();
            let most = match self.limits.is_narrow {
                true => NARROW_MAX[NARROW_MAX.len().min(start.crashes as usize + 1) - 1],
                false => OUTCOMES_MAX,
            };
            let cut = moment.disk.all_after_power_cut(PowerCut::Unordered, most);
            let outcomes = std::iter::once((Crash::Kill, killed));
            let outcomes = outcomes.chain(cut.into_iter().map(|disk| (Crash::PowerCut, disk)));
            for (crash, mut disk) in outcomes {
                if crash == Crash::PowerCut {
                    rename_boot(&mut disk);
                }
                let print = disk.fingerprint();
                let last = match moment.pos {
                    // Before the first contact nobody knows what there was.
                    0 => 0,
                    pos => (pos + self.scenario.away).min(self.scenario.steps.len()),
                };
                for pos in moment.pos..=last {
                    if !self.known.insert(mix(&(print, pos))) {
                        continue;
                    }
                    let trail = trail(crash, pos);
                    let broken = |what| Violation {
                        what,
                        trail: Some(trail.clone()),
                        fault: None,
                    };
                    oracle::after_crash(self.scenario, &disk, pos).map_err(broken)?;
                    self.starts.push_back(Start {
                        disk: disk.clone(),
                        pos,
                        crashes: start.crashes + 1,
                        trail: Some(trail),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Boots that no file remembers are all the same, so that disks that differ by nothing else count
/// as one.
fn rename_boot(disk: &mut Disk) {
    let is_known = |boot: &u32| {
        let name = boot_name(*boot);
        disk.names()
            .filter_map(|path| disk.read(path.to_str()?))
            .any(|bytes| {
                bytes
                    .windows(name.len())
                    .any(|window| window == name.as_bytes())
            })
    };
    let boot = (1..).find(|boot| !is_known(boot)).unwrap_or(0);
    disk.set_boot(boot);
}

const ENOSPC: i32 = 28;

fn is_sync(op: Op) -> bool {
    matches!(op, Op::SyncFile | Op::SyncDir | Op::SyncAll)
}

/// How a call can fail.
fn failures(op: Op) -> &'static [Verdict] {
    const EIO: i32 = 5;
    const EMFILE: i32 = 24;
    match op {
        Op::AppendZeros => &[Verdict::Fail(ENOSPC)],
        Op::Append | Op::Overwrite => &[Verdict::Fail(ENOSPC), Verdict::Short(1)],
        Op::CreateNew | Op::CreateScratch | Op::Rename | Op::RenameNew | Op::Link => {
            &[Verdict::Fail(ENOSPC), Verdict::Fail(EIO)]
        }
        Op::OpenAppend | Op::ReadSmall => &[Verdict::Fail(EMFILE)],
        Op::Lock | Op::StatPath | Op::Truncate | Op::Unlink => &[Verdict::Fail(EIO)],
        Op::SyncFile | Op::SyncDir | Op::SyncAll => &[Verdict::Fail(EIO)],
        // A copy that cannot be read stays what it is, and that is told.
        Op::Stat | Op::ReadAt => &[],
    }
}

impl FileError {
    /// Whether a call finds the disk full because of it, after so many others did.
    fn is_full(self, call: &Call<'_>, refused: u32) -> bool {
        let needs_room = matches!(
            call.op,
            Op::CreateNew | Op::CreateScratch | Op::Append | Op::AppendZeros
        );
        self.then_full && call.number > self.call && needs_room && refused < FULL_CALLS
    }
}

impl Fails {
    fn has(self, op: Op) -> bool {
        match self {
            Fails::Each => true,
            Fails::WholeSyncs => op == Op::SyncAll,
            Fails::Nothing => false,
        }
    }
}

fn verdict_number(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Make => 0,
        Verdict::Fail(errno) => errno,
        Verdict::Short(_) => -1,
        Verdict::Swallow => -2,
    }
}

fn mix(value: &impl Hash) -> u64 {
    let mut mix = Mix::default();
    value.hash(&mut mix);
    mix.finish()
}

impl Seen {
    /// Together with another.
    pub fn add(&mut self, other: Seen) {
        self.runs += other.runs;
        self.states += other.states;
        self.crashes += other.crashes;
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen {
            runs,
            states,
            crashes,
        } = self;
        write!(
            f,
            "{states} states, {crashes} different crashes, {runs} lives of a collector"
        )
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} crashes in a row", self.crashes)?;
        match self.faults_after {
            Some(_) if self.then_full => {
                f.write_str(" and a sync that fails before the disk is full")
            }
            Some(_) => f.write_str(" and a call that fails"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(trail) = &self.trail {
            trail.fmt(f)?;
        }
        if let Some(fault) = self.fault {
            write!(
                f,
                " call {} {:?} {:?};",
                fault.call, fault.op, fault.verdict
            )?;
        }
        write!(f, " {}", self.what)
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = &self.before {
            before.fmt(f)?;
        }
        if let Some(fault) = self.fault {
            write!(
                f,
                " call {} {:?} {:?},",
                fault.call, fault.op, fault.verdict
            )?;
        }
        let Trail {
            call,
            op,
            crash,
            pos,
            ..
        } = self;
        write!(f, " {crash:?} before call {call} {op:?}, boxes at {pos};")
    }
}
