//! Things that happen at the same time, and waiting for what others do: always with a deadline, never by a sleep that
//! hopes.
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Far above what a busy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Run `work` on so many threads that start together; the results are in the order of their numbers.
pub fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(number)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// Ask until there is an answer.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        // Only between two looks at the condition, so that asking does not take the processor from what is awaited.
        thread::park_timeout(Duration::from_millis(5));
    }
}
