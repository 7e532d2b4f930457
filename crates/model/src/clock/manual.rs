//! A clock moved by hand.

use super::{Clock, Moment, Sleep};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A clock moved by hand, for tests and simulations. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    wall: Timestamp,
    monotonic: Moment,
    /// Who sleeps, by the moment that is waited for and then in the order in which they lay down.
    sleepers: BTreeMap<(Moment, u64), Waker>,
    next: u64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        let hands = Hands { wall: start, monotonic: Moment::START, sleepers: BTreeMap::new(), next: 0 };
        Self(Arc::new(Mutex::new(hands)))
    }

    /// Moves both times forward and wakes who waited for that, the earliest first.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut hands = self.hands();
            if let Ok(later) = hands.wall.checked_add(by) {
                hands.wall = later;
            }
            hands.monotonic = hands.monotonic + by;
            let now = hands.monotonic;
            let later = hands.sleepers.split_off(&(now + Duration::from_nanos(1), 0));
            std::mem::replace(&mut hands.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Sets the wall clock alone, as an administrator does.
    pub fn set_wall(&self, to: Timestamp) {
        self.hands().wall = to;
    }

    /// How long until the first sleeper is due; `None` when nobody sleeps.
    pub fn next_due(&self) -> Option<Duration> {
        let hands = self.hands();
        let ((due, _), _) = hands.sleepers.first_key_value()?;
        Some(due.since(hands.monotonic))
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.hands().wall
    }

    fn monotonic(&self) -> Moment {
        self.hands().monotonic
    }

    fn sleep_until(&self, until: Moment) -> Sleep {
        Box::pin(Sleeper { clock: self.clone(), until, id: None })
    }
}

struct Sleeper {
    clock: ManualClock,
    until: Moment,
    id: Option<u64>,
}

impl Future for Sleeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut hands = clock.hands();
        if hands.monotonic >= self.until {
            return Poll::Ready(());
        }
        let id = self.id.unwrap_or_else(|| {
            hands.next += 1;
            hands.next
        });
        self.id = Some(id);
        hands.sleepers.insert((self.until, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.hands().sleepers.remove(&(self.until, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Elapsed, timeout, timeout_at};
    use super::*;
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Wake;

    const SECOND: Duration = Duration::from_secs(1);

    fn clock() -> ManualClock {
        ManualClock::new(Timestamp::UNIX_EPOCH)
    }

    /// Notes its number when it is woken.
    struct Bell(usize, Arc<Mutex<Vec<usize>>>);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn sleepers_wake_in_the_order_of_time() {
        let (clock, woken) = (clock(), Arc::default());
        let mut sleeps: Vec<Sleep> = [3, 1, 2, 1, 9].into_iter().map(|seconds| clock.sleep(SECOND * seconds)).collect();
        for (number, sleep) in sleeps.iter_mut().enumerate() {
            let waker = Waker::from(Arc::new(Bell(number, Arc::clone(&woken))));
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(clock.next_due(), Some(SECOND));
        clock.advance(SECOND * 3);
        assert_eq!(*woken.lock().unwrap(), [1, 3, 2, 0]);
        assert_eq!(clock.next_due(), Some(SECOND * 6));
        assert_eq!((clock.unix_seconds(), clock.monotonic()), (3, Moment::START + SECOND * 3));
        drop(sleeps);
        assert_eq!(clock.next_due(), None, "who is dropped sleeps no more");
        clock.set_wall(Timestamp::UNIX_EPOCH);
        assert_eq!((clock.unix_seconds(), clock.monotonic()), (0, Moment::START + SECOND * 3));
    }

    #[test]
    fn work_has_the_time_that_it_was_given() {
        let clock = clock();
        let mut cx = Context::from_waker(Waker::noop());
        let done = pin!(timeout(&clock, SECOND, ready(1))).poll(&mut cx);
        assert_eq!((done, clock.next_due()), (Poll::Ready(Ok(1)), None));
        let mut late = pin!(timeout(&clock, SECOND, pending::<()>()));
        assert!(late.as_mut().poll(&mut cx).is_pending());
        clock.advance(SECOND / 2);
        assert!(late.as_mut().poll(&mut cx).is_pending());
        clock.advance(SECOND / 2);
        assert_eq!(late.as_mut().poll(&mut cx), Poll::Ready(Err(Elapsed)));
        let behind = timeout_at(&clock, Moment::START, pending::<()>());
        assert_eq!(pin!(behind).poll(&mut cx), Poll::Ready(Err(Elapsed)));
        assert_eq!(pin!(timeout_at(&clock, Moment::START, ready(2))).poll(&mut cx), Poll::Ready(Ok(2)));
    }
}
