//! Who notices, outside the simulation's clock, that a life does not go on: its test would wait for ever and name no seed.

use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock, Moment};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Watches from a thread of its own until it is dropped.
pub(super) struct Guard {
    phase: Arc<Mutex<(String, Moment)>>,
    over: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Guard {
    #[expect(clippy::disallowed_methods, reason = "what hangs is told by the machine's time")]
    /// Watches `phase`. When one phase takes longer than `patience` of the machine's time, `stuck` is told which, once.
    pub(super) fn over(phase: &str, patience: Duration, stuck: impl FnOnce(String) + Send + 'static) -> Self {
        let phase = Arc::new(Mutex::new((phase.to_owned(), SystemClock.monotonic())));
        let (over, ended) = channel();
        let watched = Arc::clone(&phase);
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(patience / 10) == Err(RecvTimeoutError::Timeout) {
                let (phase, begun) = watched.lock().unwrap().clone();
                if SystemClock.monotonic().since(begun) > patience {
                    return stuck(format!("{phase} did not end for {} ms: it hangs", patience.as_millis()));
                }
            }
        });
        Self { phase, over: Some((over, thread)) }
    }

    /// The next phase begins.
    pub(super) fn at(&self, phase: String) {
        *self.phase.lock().unwrap() = (phase, SystemClock.monotonic());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((over, thread)) = self.over.take() {
            drop(over);
            // It has nothing left to do but to end.
            let _ = thread.join();
        }
    }
}
