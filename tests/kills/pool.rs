//! Many runs at the same time: they mostly wait.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

/// Does a job on each of the inputs, so many at once, and returns what came of them in the same order.
pub fn map<T: Send, R: Send>(inputs: Vec<T>, jobs: usize, job: impl Fn(T) -> R + Sync) -> Vec<R> {
    let outputs: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let inputs = inputs.into_iter().enumerate().collect();
    each(inputs, jobs, |(index, input), _| {
        let output = job(input);
        outputs.lock().unwrap().push((index, output));
    });
    let mut outputs = outputs.into_inner().unwrap();
    outputs.sort_by_key(|(index, _)| *index);
    outputs.into_iter().map(|(_, output)| output).collect()
}

/// Does a job on each of the inputs, so many at once. The job may add inputs, which come next.
pub fn each<T: Send>(inputs: VecDeque<T>, jobs: usize, job: impl Fn(T, &dyn Fn(T)) + Sync) {
    let inputs = Mutex::new(inputs);
    let add = |input| inputs.lock().unwrap().push_front(input);
    let next = || inputs.lock().unwrap().pop_front();
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(input) = next() {
                    job(input, &add);
                }
            });
        }
    });
}
