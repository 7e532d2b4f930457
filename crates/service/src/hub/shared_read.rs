//! One reading of the store for all who ask for the same at the same time.

use ferrohub_model::error::Result;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Turns of the scheduler for which those who still come are waited for: ours.
const GATHER_TURNS: usize = 8;

/// What the reading with this number found.
struct Reading<T> {
    number: u64,
    found: Result<T>,
}

/// A reading that is made once for all who wait for it. Nobody is given what a reading found that began before
/// they asked, so whoever asks because of a notice sees at least what the notice is about.
pub(super) struct SharedRead<T> {
    begun: AtomicU64,
    asked: AtomicU64,
    last: Mutex<Option<Reading<T>>>,
}

impl<T> Default for SharedRead<T> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), asked: AtomicU64::new(0), last: Mutex::new(None) }
    }
}

impl<T: Clone> SharedRead<T> {
    /// What `read` finds, or what another caller's found that began after this call. A failure is shared too, so that
    /// a busy store is not asked by each of those who wait; a caller that goes away leaves the reading to the next.
    ///
    /// # Errors
    /// Those of the reading.
    pub(super) async fn get(&self, read: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self.begun.load(Ordering::SeqCst);
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some(reading) = last.as_ref().filter(|reading| reading.number > before) {
            return reading.found.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let found = read.await;
        self.gather().await;
        *last = Some(Reading { number, found: found.clone() });
        found
    }

    /// Lets those who were woken together come, so that they share the next reading: the store may answer from memory,
    /// without a wait in which they could.
    async fn gather(&self) {
        for _ in 0..GATHER_TURNS {
            let asked = self.asked.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            if self.asked.load(Ordering::SeqCst) == asked {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;
    use ferrohub_model::clock::timeout;
    use futures_util::future::join_all;
    use std::sync::atomic::AtomicU32;

    #[tokio::test]
    async fn those_who_wait_share_a_reading_that_began_after_they_asked() {
        let (shared, value, readings) = (SharedRead::default(), AtomicU32::new(1), AtomicU32::new(0));
        let read = async || {
            readings.fetch_add(1, Ordering::SeqCst);
            let found = value.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(found)
        };
        let first = shared.get(read());
        let others = async {
            // Asked while the first reading is under way: it may have begun before the change that they heard of.
            value.store(2, Ordering::SeqCst);
            join_all((0..1000).map(|_| shared.get(read()))).await
        };
        let (first, others) = tokio::join!(first, others);
        assert_eq!(first.unwrap(), 1);
        assert!(others.into_iter().all(|found| found.unwrap() == 2));
        assert_eq!(readings.load(Ordering::SeqCst), 2);
        assert_eq!(shared.get(read()).await.unwrap(), 2);
        assert_eq!(readings.load(Ordering::SeqCst), 3, "nothing old is given out");
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_holds_nobody_up() {
        let shared = SharedRead::<u32>::default();
        let never = shared.get(std::future::pending());
        assert!(timeout(&SystemClock, std::time::Duration::from_millis(10), never).await.is_err());
        assert_eq!(shared.get(async { Ok(3) }).await.unwrap(), 3);
    }
}
