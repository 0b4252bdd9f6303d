//! Unkind worlds: the ordinary situations that the kind worlds leave out, because there every line
//! is unique, nobody but writer and rotator touches a file, and names and times tell the order.
//!
//! A [`Dimension`] is one way of being unkind. A world has none, one or all of them, and draws what
//! they need from a stream of its own, so that the kind worlds stay as they are. What else goes
//! wrong is milder than in the kind worlds, see [`RATES`]: whatever the oracle finds there is the
//! doing of the dimension.
//!
//! `cargo test --release --lib sim::unkind -- --ignored --nocapture` counts the seeds that fail.

pub mod actors;
pub mod content;
pub mod explain;
pub mod habits;
mod mutations;
pub mod names;
mod oracle;
pub mod series;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::Sim;
use super::chaos::{Act, Rates};
use super::oracle::Violation;
use crate::random::Random;

/// One way of being unkind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dimension {
    /// Generations begin with the same header.
    Header,
    /// One message comes again and again behind a time stamp.
    Repeated,
    /// Generations are equal, or the beginning of each other.
    Equal,
    /// There is nothing but zeros.
    Zeros,
    /// Files are allocated ahead, and the zeros are overwritten.
    Preallocated,
    /// Somebody copies live and rotated files to names under the glob.
    Copies,
    /// Somebody sets the times of rotated files.
    Touched,
    /// Rotated files cannot be read for a while.
    Unreadable,
    /// Somebody puts back a generation that was fetched and removed long ago.
    Restored,
    /// The writer goes on with the renamed file.
    NeverReopens,
    /// Names are hard to put into order.
    Names,
    /// Several rotations have one and the same time.
    EqualTimes,
    /// The clock is set between two rotations.
    ClockStep,
    /// Rotated files are on another device, with the same inode numbers.
    OtherDevice,
    /// Something that is no log stands at the live path for a while, or its directory is gone.
    OddPath,
    /// Each file of a log has a name of its own. The world that is unkind in all ways has none.
    Series,
}

impl Dimension {
    /// All there are, by name.
    pub const ALL: [(&'static str, Dimension); 15] = [
        ("header", Dimension::Header),
        ("repeated", Dimension::Repeated),
        ("equal", Dimension::Equal),
        ("zeros", Dimension::Zeros),
        ("preallocated", Dimension::Preallocated),
        ("copies", Dimension::Copies),
        ("touched", Dimension::Touched),
        ("unreadable", Dimension::Unreadable),
        ("restored", Dimension::Restored),
        ("never-reopens", Dimension::NeverReopens),
        ("names", Dimension::Names),
        ("equal-times", Dimension::EqualTimes),
        ("clock-step", Dimension::ClockStep),
        ("other-device", Dimension::OtherDevice),
        ("odd-path", Dimension::OddPath),
    ];

    /// The dimensions that a name stands for: one, `all` but series, or `none` for the milder world
    /// alone.
    pub fn named(name: &str) -> Option<Vec<Dimension>> {
        match name {
            "all" => Some(Self::ALL.map(|(_, dimension)| dimension).to_vec()),
            "none" => Some(Vec::new()),
            "series" => Some(vec![Dimension::Series]),
            _ => {
                let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
                found.map(|(_, dimension)| vec![dimension])
            }
        }
    }

    /// Somebody does it again and again.
    fn is_actor(self) -> bool {
        matches!(
            self,
            Dimension::Copies
                | Dimension::Touched
                | Dimension::Unreadable
                | Dimension::Restored
                | Dimension::EqualTimes
                | Dimension::ClockStep
                | Dimension::OddPath
        )
    }
}

/// What is unkind about a world.
pub struct Unkind {
    /// The ways in which it is.
    pub dimensions: Vec<Dimension>,
    /// What is drawn for that, and for nothing else.
    pub random: Random,
}

impl Unkind {
    /// That of a seed.
    pub fn new(seed: u64, dimensions: Vec<Dimension>) -> Unkind {
        Unkind {
            dimensions,
            random: Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x0075_6e6b_696e_6400),
        }
    }

    /// The times of files are multiples of this.
    pub fn tick_ms(&self) -> u64 {
        match self.dimensions.contains(&Dimension::EqualTimes) {
            true => 2_000,
            false => 4,
        }
    }
}

/// What happens besides. Nothing that destroys bytes or spoils them, and no power cut: so a loss is
/// a loss of the product, or of a rotator that keeps too little.
pub const RATES: Rates = Rates {
    acts: &[
        (Act::Write, 25),
        (Act::Rotate, 500),
        (Act::Cut, 900),
        (Act::CutSoon, 900),
        (Act::Refuse, 1_500),
        (Act::Darken, 1_500),
        (Act::Outage, 1_500),
        (Act::Shape, 900),
        (Act::KillServer, 2_400),
        (Act::ReloadServer, 2_400),
        (Act::Hints, 3_000),
        (Act::KillCollector, 1_800),
        (Act::Usr1, 2_400),
        (Act::Flush, 120),
        (Act::Foreign, 200),
    ],
    away_s: 300,
};

/// Runs one seed in the unkind world with this name, and fails as it does.
pub fn run_one(seed: u64, name: &str, print: bool) {
    let Some(dimensions) = Dimension::named(name) else {
        let known = Dimension::ALL.map(|(name, _)| name);
        panic!("{name} is none of {}, series, all, none", known.join(", "));
    };
    let mut sim = Sim::unkind(seed, dimensions, print);
    let run = catch_unwind(AssertUnwindSafe(|| sim.run_unkind()));
    let Err(panic) = run else {
        return;
    };
    eprintln!(
        "seed {seed} in {name}; before that\n{}",
        sim.world.trace.show()
    );
    match panic.downcast::<Violation>() {
        Ok(violation) => panic!("{}", violation.0),
        Err(panic) => resume_unwind(panic),
    }
}

#[test]
fn every_dimension_has_a_name() {
    for (name, dimension) in Dimension::ALL {
        assert_eq!(Dimension::named(name), Some(vec![dimension]));
    }
    assert_eq!(Dimension::named("all").map(|all| all.len()), Some(15));
    assert_eq!(Dimension::named("series"), Some(vec![Dimension::Series]));
    assert_eq!(Dimension::named("none"), Some(Vec::new()));
    assert_eq!(Dimension::named("kind"), None);
}
