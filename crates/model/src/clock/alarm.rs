//! A deadline that is moved often and seldom reached.

use super::{Clock, Moment, Sleep};
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An alarm for keep-alives and the like: setting it touches no timer. The clock is asked again only when the timer
/// that runs has ended before the moment that is due now.
pub struct Alarm {
    clock: Arc<dyn Clock>,
    due: Moment,
    running: Option<(Moment, Sleep)>,
}

impl Alarm {
    /// An alarm that rings at `due`.
    pub fn new(clock: Arc<dyn Clock>, due: Moment) -> Self {
        Self { clock, due, running: None }
    }

    /// The clock that it runs by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Lets it ring at `due` instead.
    pub fn set(&mut self, due: Moment) {
        self.due = due;
    }

    /// Ends once the moment is reached. May be dropped and called again.
    pub async fn rings(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.running {
                Some((at, sleep)) if *at <= self.due => {
                    if sleep.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let reached = *at;
                    self.running = None;
                    if reached >= self.due {
                        return Poll::Ready(());
                    }
                }
                // None runs, or one that would end too late.
                _ if self.clock.monotonic() >= self.due => return Poll::Ready(()),
                _ => self.running = Some((self.due, self.clock.sleep_until(self.due))),
            }
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("due", &self.due).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ManualClock;
    use super::*;
    use std::future::Future as _;
    use std::pin::pin;
    use std::time::Duration;

    #[test]
    fn it_rings_at_the_moment_that_was_set_last() {
        let clock = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        let second = Duration::from_secs(1);
        let start = clock.monotonic();
        let mut alarm = Alarm::new(clock.clone(), start + second);
        let rings = |alarm: &mut Alarm| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            pin!(alarm.rings()).poll(&mut cx).is_ready()
        };
        assert!(!rings(&mut alarm));
        alarm.set(start + second * 2);
        clock.advance(second);
        assert!(!rings(&mut alarm), "put off");
        assert_eq!(clock.next_due(), Some(second));
        alarm.set(start + second + second / 2);
        clock.advance(second / 2);
        assert!(rings(&mut alarm), "brought forward");
        assert!(rings(&mut alarm), "still");
        alarm.set(start + second * 3);
        assert!(!rings(&mut alarm));
        assert_eq!(clock.next_due(), Some(second / 2), "the timer that runs is kept");
        clock.advance(second / 2);
        assert!(!rings(&mut alarm));
        assert_eq!(clock.next_due(), Some(second), "and started anew when it has ended");
    }
}
