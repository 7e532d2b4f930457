//! Publish and subscribe, and exclusive claims.

use async_trait::async_trait;
use bytes::Bytes;
use ferrohub_model::error::Result;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Wake-ups between connections and services. It may lose messages and says so
/// ([`Delivery::Lagged`]); every consumer re-reads the store or the log then.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Sends `payload` to everyone subscribed to exactly `subject`. Nobody there is no error.
    ///
    /// # Errors
    /// Unavailable when the engine is out of reach.
    async fn publish(&self, subject: &str, payload: Bytes) -> Result<()>;

    /// Subscribes to `subject`: every message published after this returns, in order for each
    /// publisher, until the subscription is dropped.
    ///
    /// # Errors
    /// Unavailable when the engine is out of reach.
    async fn subscribe(&self, subject: &str) -> Result<Subscription>;

    /// Claims `key` for the caller; the newest claim wins and the one before is told.
    ///
    /// # Errors
    /// Unavailable when the engine is out of reach.
    async fn claim(&self, key: &str) -> Result<Claim>;
}

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Message(Bytes),
    /// So many messages were lost because the subscriber was slow: re-read the store.
    Lagged(u64),
}

/// The receiving side of a subscription: a bounded queue, which takes memory only for what waits in it. Dropping it
/// ends the subscription.
pub struct Subscription {
    queue: Arc<Queue>,
    release: Option<Release>,
}

/// Runs once, when its owner is dropped.
type Release = Box<dyn FnOnce() + Send + Sync>;

/// The sending side of a subscription, for engines.
pub struct Publisher {
    queue: Arc<Queue>,
}

struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Bytes>,
    lost: u64,
    publisher_gone: bool,
    subscriber_gone: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Delivery> {
        if self.lost > 0 {
            return Some(Delivery::Lagged(std::mem::take(&mut self.lost)));
        }
        let message = self.messages.pop_front()?;
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        Some(Delivery::Message(message))
    }
}

impl Subscription {
    /// A subscription that holds at most `capacity` (at least 1) messages, and its sending side.
    pub fn channel(capacity: usize) -> (Publisher, Self) {
        let queue = Arc::new(Queue { capacity: capacity.max(1), waiting: Mutex::default(), wake: Notify::const_new() });
        (Publisher { queue: Arc::clone(&queue) }, Self { queue, release: None })
    }

    /// For engines: `release` runs once, after the queue was closed, when the subscription is
    /// dropped; it must not block.
    #[must_use]
    pub fn on_drop(mut self, release: impl FnOnce() + Send + Sync + 'static) -> Self {
        self.release = Some(Box::new(release));
        self
    }

    /// The next delivery; `None` when the bus is gone. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            {
                let mut waiting = self.queue.waiting();
                let delivery = waiting.take();
                if delivery.is_some() || waiting.publisher_gone {
                    return delivery;
                }
            }
            // A permit outlives the moment between the look above and this wait.
            self.queue.wake.notified().await;
        }
    }

    /// The next delivery if there is one now.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.queue.waiting().take()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.queue.waiting().messages.len();
        f.debug_struct("Subscription").field("waiting", &waiting).finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        {
            let mut waiting = self.queue.waiting();
            waiting.subscriber_gone = true;
            waiting.messages = VecDeque::new();
        }
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl Publisher {
    /// Queues `payload`, or counts it as lost when the queue is full. `false` when the subscriber is gone.
    pub fn send(&self, payload: Bytes) -> bool {
        {
            let mut waiting = self.queue.waiting();
            if waiting.subscriber_gone {
                return false;
            }
            debug_assert!(waiting.messages.len() <= self.queue.capacity, "a queue outgrew its bound");
            if waiting.messages.len() < self.queue.capacity {
                waiting.messages.push_back(payload);
            } else {
                waiting.lost += 1;
            }
        }
        self.queue.wake.notify_one();
        true
    }

    /// Tells the subscriber that `count` messages were lost on the way, for engines that notice gaps.
    pub fn lose(&self, count: u64) {
        self.queue.waiting().lost += count;
        self.queue.wake.notify_one();
    }

    /// Whether the subscriber is gone.
    pub fn is_closed(&self) -> bool {
        self.queue.waiting().subscriber_gone
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.queue.waiting().publisher_gone = true;
        self.queue.wake.notify_one();
    }
}

/// An exclusive claim on a key, held until it is dropped or a newer claim is made.
pub struct Claim {
    epoch: u64,
    loss: Arc<Loss>,
    release: Option<Release>,
}

/// The engine's side of a claim: the claim is lost when this is dropped.
pub struct ClaimHold(Arc<Loss>);

/// Whether a claim was lost. Every connected device has one, so it is small.
struct Loss {
    lost: AtomicBool,
    wake: Notify,
}

impl Drop for ClaimHold {
    fn drop(&mut self) {
        self.0.lost.store(true, Ordering::Release);
        self.0.wake.notify_waiters();
    }
}

impl fmt::Debug for ClaimHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimHold").finish_non_exhaustive()
    }
}

impl Claim {
    /// For engines: a claim of `epoch` that is lost when the hold is dropped; `release` runs once, when the claim is
    /// dropped, and must not block.
    pub fn held(epoch: u64, release: impl FnOnce() + Send + Sync + 'static) -> (ClaimHold, Self) {
        let loss = Arc::new(Loss { lost: AtomicBool::new(false), wake: Notify::const_new() });
        (ClaimHold(Arc::clone(&loss)), Self { epoch, loss, release: Some(Box::new(release)) })
    }

    /// Grows with each claim on the same key.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a newer claim on the key was made.
    pub fn is_lost(&self) -> bool {
        self.loss.lost.load(Ordering::Acquire)
    }

    /// Waits until a newer claim on the key is made. May be dropped and called again.
    pub async fn lost(&self) {
        // Made before the look, so that it hears of a loss in between.
        let told = self.loss.wake.notified();
        if !self.is_lost() {
            told.await;
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("epoch", &self.epoch).field("lost", &self.is_lost()).finish()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}
