//! All the runs, or a sample of them: what is done at which call, what came of it, and the table of that.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fetchlogs::random::Random;

use super::fault::{Fault, Point, Program, is_meant};
use super::plan::{self, Subject};
use super::pool;
use super::stage::Findings;
use super::trace::Order;

/// A call that was counted once may not come in every run: so often it is waited for.
const TRIES: usize = 3;

/// How many runs there are to be, and which.
pub struct Campaign<'a> {
    /// The tracer.
    pub strace: &'a Path,
    /// Runs at the same time.
    pub jobs: usize,
    /// The order of the runs.
    pub seed: u64,
    /// Countings before the first run.
    pub countings: usize,
    /// No run begins after that.
    pub time: Option<Duration>,
    /// No more for each program in each scenario.
    pub most: Option<usize>,
    /// Only those that this pattern means.
    pub only: String,
    /// Where the names of runs that went well are kept, to be left out the next time.
    pub record: Option<String>,
}

/// What came of the runs of one program in one scenario.
#[derive(Default, Clone)]
struct Tally {
    kills: usize,
    once: usize,
    from_on: usize,
    not_reached: usize,
    failures: usize,
}

/// What came of all of them so far.
struct Results {
    tallies: HashMap<(&'static str, Program), Tally>,
    ends: HashMap<String, usize>,
    failed: Vec<String>,
    record: Option<File>,
}

impl Campaign<'_> {
    /// Does it all and prints the table. Returns how many runs failed.
    pub fn run(&self) -> usize {
        println!("FETCHLOGS_SEED={}", self.seed);
        let start = Instant::now();
        let subjects = plan::subjects(self.strace, self.countings, self.jobs, &self.only);
        let (done, record) = self.open_record();
        let points = self.points(&subjects, &done);
        println!(
            "{} calls counted in {:.0} s; {} runs to do, {} at once",
            subjects.iter().map(Subject::len).sum::<usize>(),
            start.elapsed().as_secs_f64(),
            points.len(),
            self.jobs
        );
        let results = Mutex::new(Results {
            tallies: HashMap::new(),
            ends: HashMap::new(),
            failed: Vec::new(),
            record,
        });
        let start = Instant::now();
        let is_over = || self.time.is_some_and(|time| start.elapsed() > time);
        pool::each(points, self.jobs, |point: Point, add| {
            if is_over() {
                return;
            }
            let subject = subjects.iter().find(|subject| {
                (subject.scenario.name, subject.program) == (point.scenario, point.program)
            });
            let subject = subject.unwrap();
            let was_hit = self.try_point(&point, subject, &results);
            let (most, _) = subject.calls.get(&point.call).copied().unwrap_or((0, 0));
            if was_hit && point.number >= most && subject.varies(&point.call) && self.most.is_none()
            {
                add(Point {
                    number: point.number + 1,
                    ..point
                });
            }
        });
        let results = results.into_inner().unwrap();
        results.print(&subjects, start.elapsed());
        results.tallies.values().map(|tally| tally.failures).sum()
    }

    /// Runs that are meant and not done, mixed so that every moment has seen a bit of everything.
    fn points(&self, subjects: &[Subject], done: &HashSet<String>) -> VecDeque<Point> {
        let mut random = Random::new(self.seed);
        let mut random = |limit: usize| random.below(limit as u64) as usize;
        let mut mixed: Vec<(f64, Point)> = Vec::new();
        for subject in subjects {
            let mut points = subject.points();
            points.retain(|point| {
                let name = point.to_string();
                is_meant(&name, &self.only) && !done.contains(&name)
            });
            for index in (1..points.len()).rev() {
                points.swap(index, random(index + 1));
            }
            points.truncate(self.most.unwrap_or(usize::MAX));
            let len = points.len() as f64;
            let spread = points.into_iter().enumerate();
            mixed.extend(spread.map(|(index, point)| (index as f64 / len, point)));
        }
        mixed.sort_by(|a, b| a.0.total_cmp(&b.0));
        mixed.into_iter().map(|(_, point)| point).collect()
    }

    fn open_record(&self) -> (HashSet<String>, Option<File>) {
        let Some(path) = &self.record else {
            return (HashSet::new(), None);
        };
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut options = File::options();
        let file = options.create(true).append(true).open(path).unwrap();
        (text.lines().map(str::to_owned).collect(), Some(file))
    }

    /// Tries a point until its call is reached, and notes what came of it. Tells whether it was reached.
    fn try_point(&self, point: &Point, subject: &Subject, results: &Mutex<Results>) -> bool {
        for _ in 0..TRIES {
            let start = Instant::now();
            let order = Order::Inject(point);
            let (done, findings) =
                plan::play(self.strace, subject.scenario, subject.program, order);
            let mut faults = findings.faults.clone();
            faults.extend(done.err());
            if std::env::var_os("FETCHLOGS_KILLS_VERBOSE").is_some() {
                println!(
                    "{point}: {:.2} s, {:?}",
                    start.elapsed().as_secs_f64(),
                    findings.ended
                );
            }
            if findings.was_hit || !faults.is_empty() {
                results.lock().unwrap().note(point, &findings, &faults);
                return findings.was_hit;
            }
        }
        results.lock().unwrap().tally(point).not_reached += 1;
        false
    }
}

impl Results {
    fn tally(&mut self, point: &Point) -> &mut Tally {
        let subject = (point.scenario, point.program);
        self.tallies.entry(subject).or_default()
    }

    fn note(&mut self, point: &Point, findings: &Findings, faults: &[String]) {
        let tally = self.tally(point);
        match point.fault {
            Fault::Kill => tally.kills += 1,
            Fault::Once(_) => tally.once += 1,
            Fault::FromOn(_) => tally.from_on += 1,
        }
        if let (Some(end), false) = (findings.ended, point.fault == Fault::Kill) {
            let end = format!("{} {} {}: {end:?}", point.program, point.call, point.fault);
            *self.ends.entry(end).or_default() += 1;
        }
        if !faults.is_empty() {
            self.tally(point).failures += 1;
            let failed = format!("FAILED {point}: {}", faults.join("; "));
            println!("{failed}\n{}", findings.said);
            self.failed.push(failed);
        } else if let Some(record) = &mut self.record {
            writeln!(record, "{point}").unwrap();
        }
    }

    fn print(&self, subjects: &[Subject], elapsed: Duration) {
        println!(
            "scenario          program     calls   kills    once  from on  not reached  failures"
        );
        let mut sum = Tally::default();
        for subject in subjects {
            let (name, program) = (subject.scenario.name, subject.program);
            let tally = self
                .tallies
                .get(&(name, program))
                .cloned()
                .unwrap_or_default();
            tally.print(name, &program.to_string(), subject.len());
            sum.kills += tally.kills;
            sum.once += tally.once;
            sum.from_on += tally.from_on;
            sum.not_reached += tally.not_reached;
            sum.failures += tally.failures;
        }
        sum.print("all", "", subjects.iter().map(Subject::len).sum());
        println!("in {:.0} s", elapsed.as_secs_f64());
        // Once more where a reader of the last lines sees them.
        for failed in &self.failed {
            println!("{failed}");
        }
        if std::env::var_os("FETCHLOGS_KILLS_VERBOSE").is_some() {
            let mut ends: Vec<_> = self.ends.iter().collect();
            ends.sort();
            for (end, count) in ends {
                println!("{count:>6} {end}");
            }
        }
    }
}

impl Tally {
    fn print(&self, name: &str, program: &str, calls: usize) {
        let Tally {
            kills,
            once,
            from_on,
            not_reached,
            failures,
        } = self;
        println!(
            "{name:<17} {program:<10} {calls:>6} {kills:>7} {once:>7} {from_on:>8} {not_reached:>12} {failures:>9}"
        );
    }
}
