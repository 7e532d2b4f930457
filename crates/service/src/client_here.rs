//! Whether whoever asked is still there. A write goes on when its client hangs up, lest it ends half-way; what has not begun and nobody
//! waits for any more need not begin.

use tokio::sync::watch;

tokio::task_local! {
    static CLIENT: watch::Receiver<()>;
}

/// As long as this is held, the client is there.
#[derive(Debug)]
pub struct Here {
    _held: watch::Sender<()>,
}

/// `work` for a client that is there as long as [`Here`] is held.
pub fn for_client<F: Future>(work: F) -> (Here, impl Future<Output = F::Output>) {
    let (held, seen) = watch::channel(());
    (Here { _held: held }, CLIENT.scope(seen, work))
}

/// The client of the work that asks this.
pub fn of_this_work() -> Client {
    Client(CLIENT.try_with(Clone::clone).ok())
}

/// A client, or nobody, who never goes.
#[derive(Debug)]
pub struct Client(Option<watch::Receiver<()>>);

impl Client {
    /// Whether it has gone.
    pub fn has_gone(&self) -> bool {
        self.0.as_ref().is_some_and(|seen| seen.has_changed().is_err())
    }

    /// Comes when it has gone.
    pub async fn gone(&mut self) {
        match &mut self.0 {
            // Nothing is ever sent: what comes is the end.
            Some(seen) => while seen.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}
