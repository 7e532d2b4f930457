//! SIGINT and SIGTERM, heard from the moment this value is made: one that comes during the start is obeyed too.

use ferrohub_model::error::{Error, Result};
use std::pin::pin;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What tells the program to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens. To be made before anything that takes time: until then a signal ends the process at once, which is as good.
    ///
    /// # Errors
    /// Internal, when the system refuses.
    pub(crate) fn listen() -> Result<Self> {
        let on = |kind| signal(kind).map_err(|error| Error::internal(format!("listening for signals: {error}")));
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// Waits for a signal; one that came since [`Signals::listen`] counts.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Runs `start`, unless a signal comes: then the process ends with `code` where it stands, as by `kill -9`, which every
    /// start survives. What it holds locked stays so until it is gone.
    pub(crate) async fn unless_received<T>(&mut self, start: impl Future<Output = T>, code: i32) -> T {
        let mut start = pin!(start);
        tokio::select! {
            done = &mut start => done,
            () = self.received() => {
                tracing::info!("told to stop while starting; stopped");
                std::process::exit(code)
            }
        }
    }
}
