//! Whether work can be done: reading and writing are tried, not assumed. A disk that is full still answers every read.

use crate::platform::Platform;
use crate::tables::META;
use ferrohub_model::clock::Moment;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READINESS_PROBE;
use ferrohub_model::time::rfc3339;
use ferrohub_store::{Put, UnitOfWork};
use std::fmt;
use tokio::sync::Mutex;

/// Key of the row in [`META`] that a probe writes.
const KEY: &str = "readiness";

/// What does not work.
#[derive(Debug, Clone)]
pub struct NotReady {
    /// The engine: `store` or `event log`.
    pub engine: &'static str,
    /// What it said.
    pub error: Error,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} is not ready: {}", self.engine, self.error)
    }
}

/// The last probe. However many ask, the engines are tried once in a while.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<(Moment, Result<(), NotReady>)>>);

impl Readiness {
    /// What the last probe found, or a new one where that is older than `limits::READINESS_PROBE`.
    pub(crate) async fn look(&self, platform: &Platform) -> Result<(), NotReady> {
        let mut last = self.0.lock().await;
        let now = platform.clock.monotonic();
        match &*last {
            Some((at, found)) if now.since(*at) < READINESS_PROBE => found.clone(),
            _ => {
                let found = probe(platform).await;
                *last = Some((now, found.clone()));
                found
            }
        }
    }
}

async fn probe(platform: &Platform) -> Result<(), NotReady> {
    write_row(platform).await.map_err(|error| NotReady { engine: "store", error })?;
    platform.log.ready().await.map_err(|error| NotReady { engine: "event log", error })
}

async fn write_row(platform: &Platform) -> Result<()> {
    platform.store.ready().await?;
    let mut unit = UnitOfWork::new();
    unit.put(Put::new(&META, KEY, Vec::new(), &rfc3339(platform.now()))?);
    platform.store.commit(unit).await?;
    Ok(())
}
