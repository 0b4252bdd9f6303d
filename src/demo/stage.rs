//! The stage of the demo: its directory, its processes, its screen, and the signals that end it.
//!
//! Whatever takes time goes through [`Stage::turn`], which notices signals and processes that
//! ended; whatever is waited for goes through [`Stage::wait`], which gives up in the end.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::latency::{Latencies, Ms};
use super::processes::Process;
use super::scratch::Scratch;
use super::screen::{Grouped, Screen};
use crate::limits::{DEMO_TOTAL_MS, DEMO_WAIT_MS};
use crate::sys::signals::{Signal, Signals};

/// The stage. Dropping it takes everything away that the demo made.
pub struct Stage {
    /// What is shown.
    pub screen: Screen,
    /// What was measured.
    pub latencies: Latencies,
    uptime: Uptime,
    gauge: Option<Box<dyn Fn() -> Gauge>>,
    processes: Vec<Process>,
    scratch: Scratch,
    // Last, so that nothing interrupts the rest while it is taken away.
    signals: Signals,
}

/// The figures of the refreshed line.
pub struct Gauge {
    /// Bytes of the log.
    pub log: u64,
    /// Bytes of the copy.
    pub copy: u64,
    /// Whether collector and server are connected.
    pub is_up: bool,
}

/// The time for which the demo ran, without that for which it was stopped: whoever comes back to it
/// sees it go on.
struct Uptime {
    ran: Duration,
    counted_until: Instant,
}

/// Between two looks at something that is waited for.
const STEP: Duration = Duration::from_millis(1);
/// Between two looks at something whose time is measured.
const FINE_STEP: Duration = Duration::from_micros(50);
/// A signal that ends a process may reach the demo a moment later.
const SIGNAL_GRACE: Duration = Duration::from_millis(100);
/// No turn takes longer than that, so the rest is time for which the process was stopped.
const TURN_MAX: Duration = Duration::from_millis(500);

impl Stage {
    /// An empty one.
    pub fn new() -> Result<Stage, Failure> {
        let began = Instant::now();
        let signals = Signals::install(&[Signal::Term, Signal::Int, Signal::Hup])
            .map_err(Failure::system("catch signals"))?;
        let parent = std::env::temp_dir();
        let scratch = Scratch::new(&parent).map_err(Failure::system(format!(
            "create a directory in {}",
            parent.display()
        )))?;
        // From here on there is something to be taken away.
        scratch.clear_on_panic();
        Ok(Stage {
            screen: Screen::stdout(began),
            latencies: Latencies::default(),
            uptime: Uptime::since(began),
            gauge: None,
            processes: Vec::new(),
            scratch,
            signals,
        })
    }

    /// The directory, which is gone afterwards.
    pub fn dir(&self) -> &Path {
        self.scratch.dir()
    }

    /// Starts an applet in the directory and waits until `ready` finds in it what it looks for.
    pub fn start<T>(
        &mut self,
        name: &'static str,
        args: &[&str],
        mut ready: impl FnMut(&mut Process) -> Option<T>,
    ) -> Result<T, Failure> {
        let process = Process::start(name, args, &self.scratch)?;
        self.processes.push(process);
        self.find(&format!("{name} to start"), STEP, |stage| {
            stage.processes.last_mut().and_then(&mut ready)
        })
    }

    /// From now on the refreshed line shows this.
    pub fn show(&mut self, gauge: impl Fn() -> Gauge + 'static) {
        self.gauge = Some(Box::new(gauge));
    }

    /// Notices signals and processes that ended, and refreshes the last line.
    pub fn turn(&mut self) -> Result<(), Failure> {
        self.uptime.count();
        self.check_signals()?;
        self.check_processes()?;
        self.refresh()
    }

    /// Waits until something is so.
    pub fn wait(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&mut Stage) -> bool,
    ) -> Result<(), Failure> {
        self.find(what, STEP, |stage| is_so(stage).then_some(()))
    }

    /// Waits until something is so that follows from what happened at `since`, and keeps the time
    /// it took.
    pub fn measure(
        &mut self,
        what: &str,
        since: Instant,
        mut is_so: impl FnMut(&mut Stage) -> bool,
    ) -> Result<(), Failure> {
        self.find(what, FINE_STEP, |stage| is_so(stage).then_some(()))?;
        self.latencies.add(since.elapsed());
        Ok(())
    }

    /// Lets time pass.
    pub fn pause(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn()?;
            // Short enough for a signal to be obeyed at once, as it seems to a person.
            thread::sleep(STEP * 5);
        }
        Ok(())
    }

    /// Ends the processes and removes the directory.
    pub fn close(&mut self) -> Result<(), Failure> {
        let shown = self.screen.end_status();
        let what = format!("remove {}", self.dir().display());
        let cleared = self.scratch.clear().map_err(Failure::system(what));
        shown.and(cleared)
    }

    /// Looks again and again until there is what is looked for.
    fn find<T>(
        &mut self,
        what: &str,
        step: Duration,
        mut look: impl FnMut(&mut Stage) -> Option<T>,
    ) -> Result<T, Failure> {
        let longest = self.uptime.ran + Duration::from_millis(DEMO_WAIT_MS);
        let deadline = longest.min(Duration::from_millis(DEMO_TOTAL_MS));
        loop {
            // First the look and then the clock: what is there already is found even after the
            // deadline.
            if let Some(found) = look(self) {
                return Ok(found);
            }
            self.turn()?;
            if self.uptime.ran > deadline {
                return Err(Failure::Late {
                    what: what.to_owned(),
                    said: self.last_words(),
                });
            }
            thread::sleep(step);
        }
    }

    fn check_signals(&mut self) -> Result<(), Failure> {
        match self.signals.drain().next() {
            Some(_) => Err(Failure::Stopped),
            None => Ok(()),
        }
    }

    fn check_processes(&mut self) -> Result<(), Failure> {
        let ended = self
            .processes
            .iter()
            .find_map(|process| Some((process.name(), process.ended(&self.scratch)?)));
        let Some((who, how)) = ended else {
            return Ok(());
        };
        // Control-C reaches the whole group: the process may be gone before we hear of it
        // ourselves.
        thread::sleep(SIGNAL_GRACE);
        self.check_signals()?;
        Err(Failure::Ended {
            who,
            how,
            said: self.last_words(),
        })
    }

    fn refresh(&mut self) -> Result<(), Failure> {
        let Some(gauge) = self.gauge.as_ref().filter(|_| self.screen.wants_status()) else {
            return Ok(());
        };
        let Gauge { log, copy, is_up } = gauge();
        let arrow = if is_up { "==>" } else { "=/=>" };
        let (log, copy) = (Grouped(log), Grouped(copy));
        let last = match self.latencies.last() {
            Some(latency) => format!(" | last line after {}", Ms(latency)),
            None => String::new(),
        };
        self.screen
            .status(format!("[ log {log} {arrow} copy {copy} bytes{last} ]"))
    }

    /// What the processes said last, a line each, to be put behind a message.
    fn last_words(&mut self) -> String {
        let mut words = String::new();
        for process in &mut self.processes {
            let name = process.name();
            if let Some(line) = process.said().last() {
                words.push_str(&format!("\n  {name} said last: {line}"));
            }
        }
        words
    }
}

impl Uptime {
    fn since(began: Instant) -> Uptime {
        Uptime {
            ran: Duration::ZERO,
            counted_until: began,
        }
    }

    fn count(&mut self) {
        let now = Instant::now();
        // A demo that was stopped with Control-Z is not late when it goes on.
        self.ran += now.duration_since(self.counted_until).min(TURN_MAX);
        self.counted_until = now;
    }
}
