//! Work that no request waits for: operations that were cut off, certificates that were never issued,
//! events that are past their retention.

use crate::arm::operations;
use crate::certificate;
use crate::platform::Platform;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Pause between rounds: ours.
const ROUND: Duration = Duration::from_secs(2);
/// Rounds between two sweeps of what is merely old: ours (ten minutes).
const SWEEP_EVERY: u32 = 300;
/// Operations taken up in one round: ours.
const OPERATIONS: usize = 16;
/// Longest retention of events, milliseconds (IoT Hub: 7 days).
const RETENTION_MS: i64 = 7 * 24 * 3600 * 1000;

/// Runs until `stop` becomes true.
pub async fn run(platform: Arc<Platform>, mut stop: watch::Receiver<bool>) {
    let mut round: u32 = 0;
    while !*stop.borrow() {
        take_up(&platform).await;
        if round.is_multiple_of(SWEEP_EVERY) {
            sweep(&platform).await;
        }
        round = round.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

async fn take_up(platform: &Platform) {
    let ids = match operations::abandoned(platform, OPERATIONS).await {
        Ok(ids) => ids,
        Err(error) => {
            tracing::warn!(%error, context = error.context, "the worker could not read the operations");
            return;
        }
    };
    for id in ids {
        if let Err(error) = operations::drive(platform, &id).await {
            tracing::warn!(operation = id, %error, context = error.context, "an operation could not be driven; it is tried again");
        }
    }
}

async fn sweep(platform: &Platform) {
    if let Err(error) = certificate::sweep_intents(platform).await {
        tracing::warn!(%error, context = error.context, "old certificate intents could not be swept");
    }
    let older_than = platform.now().as_millisecond() - RETENTION_MS;
    if let Err(error) = platform.log.expire(older_than).await {
        tracing::warn!(%error, context = error.context, "old events could not be expired");
    }
}
