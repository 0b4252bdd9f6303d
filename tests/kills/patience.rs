//! How long the programs have been waited for. What the machine takes for itself does not count.

use std::time::{Duration, Instant};

/// No more passes between two looks at the programs unless the machine is at fault: it ran nothing of ours, or it took
/// long to end what was killed.
const STEP_MAX: Duration = Duration::from_millis(250);

/// A wait.
pub struct Patience {
    began_at: Instant,
    looked_at: Instant,
    /// What counts of the time between the two.
    waited: Duration,
}

impl Patience {
    /// A wait that begins now.
    pub fn new(now: Instant) -> Patience {
        Patience {
            began_at: now,
            looked_at: now,
            waited: Duration::ZERO,
        }
    }

    /// The programs are looked at. Returns how long they have been waited for.
    pub fn look(&mut self, now: Instant) -> Duration {
        self.waited += now.duration_since(self.looked_at).min(STEP_MAX);
        self.looked_at = now;
        self.waited
    }

    /// What was waited for until now was not the programs.
    pub fn begin_anew(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// How long it has been since the beginning, whatever it was spent on.
    pub fn age(&self) -> Duration {
        self.looked_at.duration_since(self.began_at)
    }
}

#[test]
fn a_pause_of_the_machine_hardly_counts() {
    let start = Instant::now();
    let mut patience = Patience::new(start);
    let secs = Duration::from_secs;
    assert_eq!(patience.look(start + STEP_MAX / 2), STEP_MAX / 2);
    assert_eq!(patience.look(start + secs(60)), STEP_MAX / 2 + STEP_MAX);
    assert_eq!(patience.age(), secs(60));
    patience.begin_anew();
    assert_eq!(patience.look(start + secs(60)), Duration::ZERO);
    assert_eq!(patience.age(), secs(60));
}
