//! What it costs when a thousand logs rotate at the same time: `cargo bench --bench rotation`.
//!
//! The steps of the collector on the local files of 1000 sources, first one source after the other and then all of them
//! together, on the disk that has the build. It prints a table and judges nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use fetchlogs::collect::copy::pointer::BootId;
use fetchlogs::collect::copy::{Generation, LocalCopy, LocalFiles, Paths, Progress, Syncs};
use fetchlogs::ids::Inode;
use fetchlogs::store::WriteStore;
use fetchlogs::store::real::RealWrite;

const MANY: u32 = 1000;
const BYTES: &[u8] = &[b'x'; 1000];

type File = <RealWrite as WriteStore>::File;

fn main() {
    // `cargo test --all-targets` is content with a program that starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let [alone, together] = [Syncs::Own, Syncs::Barrier].map(measure);
    println!("| {MANY} sources | one by one | together | ratio |");
    println!("| --- | --- | --- | --- |");
    for (number, what) in ["first contact", "rotation"].iter().enumerate() {
        let (alone, together) = (alone[number], together[number]);
        let ratio = alone.as_secs_f64() / together.as_secs_f64();
        let (alone, together) = (alone.as_millis(), together.as_millis());
        println!("| {what} | {alone} ms | {together} ms | {ratio:.1} |");
    }
}

/// How long the first contact of all sources takes, and then their rotation.
fn measure(syncs: Syncs) -> [Duration; 2] {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut crowd = Crowd::open(dir.path());
    let contact = crowd.change(syncs, 1);
    crowd.append();
    [contact, crowd.change(syncs, 2)]
}

/// The local files of many sources.
struct Crowd {
    store: RealWrite,
    boot: Option<BootId>,
    members: Vec<(Paths<'static>, LocalCopy<File>)>,
}

impl Crowd {
    fn open(dir: &Path) -> Crowd {
        let mut crowd = Crowd {
            store: RealWrite::default(),
            boot: BootId::new("bench"),
            members: Vec::new(),
        };
        crowd.store.batch(true);
        for number in 0..MANY {
            // The names last as long as the measurement.
            let name = |ending: &str| -> &'static Path {
                let path = dir.join(format!("{number}{ending}"));
                Box::leak(path.into_boxed_path())
            };
            let paths = Paths {
                remote: b"/var/log/messages",
                local: name(""),
                pointer: name(".pointer"),
            };
            let mut files = LocalFiles {
                store: &mut crowd.store,
                paths,
                boot: crowd.boot.as_ref(),
                stamp: "20261122132956",
                hooks: None,
            };
            let copy = LocalCopy::open(&mut files, &mut |_| ()).unwrap();
            crowd.members.push((paths, copy));
        }
        crowd.store.batch(false);
        crowd
    }

    fn append(&mut self) {
        self.each(|copy, files| copy.append(BYTES, files).unwrap());
    }

    /// Lets the next generation begin for all of them.
    fn change(&mut self, syncs: Syncs, next: u64) -> Duration {
        let began = Instant::now();
        let next = Generation::classic(Inode(next));
        self.each(|copy, files| copy.start_change(next, None, None, files));
        match syncs {
            Syncs::Own => self.each(|copy, files| drop(copy.make_change(files).unwrap())),
            Syncs::Barrier => self.change_together(),
        }
        began.elapsed()
    }

    fn change_together(&mut self) {
        let mut is_more = true;
        while is_more {
            is_more = false;
            self.each(|copy, files| {
                let progress = copy.step_change(Syncs::Barrier, files).unwrap();
                is_more |= matches!(progress, Progress::More);
            });
            if is_more {
                self.store.batch(true);
                self.each(|_, files| files.barrier().unwrap());
                self.store.batch(false);
            }
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut LocalCopy<File>, &mut LocalFiles<'_, RealWrite>)) {
        for (paths, copy) in &mut self.members {
            let mut files = LocalFiles {
                store: &mut self.store,
                paths: *paths,
                boot: self.boot.as_ref(),
                stamp: "20261122132956",
                hooks: None,
            };
            act(copy, &mut files);
        }
    }
}
