//! Work that no request waits for: operations that were cut off, certificates that were never issued, keys that
//! nobody uses, events that are past their retention, roles that another process changed.

use crate::arm::{operation, operations};
use crate::certificate;
use crate::hub::HubRef;
use crate::platform::{Change, Platform};
use crate::resources::{self, tag};
use crate::tables::{ACTIVITY, CERTIFICATES, OPERATIONS};
use ferrohub_model::error::Result;
use ferrohub_store::{Pages, Row, Table};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// Pause between rounds: ours.
const ROUND: Duration = Duration::from_secs(2);
/// Rounds between two sweeps of what is merely old: ours (ten minutes).
const SWEEP_EVERY: u32 = 300;
/// Operations taken up in one round: ours.
const TAKEN_UP: usize = 16;

/// Days for which activity is kept (Azure: 90).
const ACTIVITY_DAYS: i64 = 90;
/// Days for which an ended operation can be polled: ours.
const OPERATION_DAYS: i64 = 7;
/// Rows looked at in one step of a sweep: ours.
const SWEEP_ROWS: usize = 200;

/// Runs until `stop` becomes true.
pub async fn run(platform: Arc<Platform>, stop: watch::Receiver<bool>) {
    tokio::select! {
        () = rounds(&platform, stop) => {}
        () = platform.follow_access() => {}
    }
}

async fn rounds(platform: &Platform, mut stop: watch::Receiver<bool>) {
    let mut round: u32 = 0;
    while !*stop.borrow() {
        take_up(platform).await;
        if round.is_multiple_of(SWEEP_EVERY) {
            sweep(platform).await;
        }
        round = round.wrapping_add(1);
        tokio::select! {
            () = platform.clock.sleep(ROUND) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

async fn take_up(platform: &Platform) {
    let ids = match operation::abandoned(platform, TAKEN_UP).await {
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
    if let Err(error) = sweep_rows(platform).await {
        tracing::warn!(%error, context = error.context, "old rows could not be swept");
    }
    if let Err(error) = certificate::sweep_intents(platform).await {
        tracing::warn!(%error, context = error.context, "old certificate intents could not be swept");
    }
    if let Err(error) = platform.keys.sweep().await {
        tracing::warn!(%error, context = error.context, "keys that nobody uses could not be destroyed");
    }
    if let Err(error) = sweep_events(platform).await {
        tracing::warn!(%error, context = error.context, "old events could not be expired");
    }
}

/// Takes the events that are past their hub's retention, and those of hubs that are gone.
async fn sweep_events(platform: &Platform) -> Result<()> {
    // Before the hubs are read: a stream that comes later has a hub that came later.
    let streams = platform.log.streams().await?;
    let hubs = resources::every(platform, tag::IOT_HUB).await?;
    let hubs: HashMap<Uuid, HubRef> = hubs.into_iter().map(HubRef::of).map(|hub| (hub.uid, hub)).collect();
    for stream in streams {
        match hubs.get(&stream) {
            Some(hub) => platform.log.expire(stream, hub.kept_since_ms(platform.now())).await?,
            None => platform.log.drop_stream(stream).await?,
        };
    }
    Ok(())
}

/// Removes what nobody will ask for again: old activity, ended operations, certificates past their validity.
async fn sweep_rows(platform: &Platform) -> Result<()> {
    let now = platform.now();
    let before = |days: i64| now.as_second() - days * 24 * 3600;
    // Keys of activity rows begin with their time, so the oldest come first.
    sweep_table(platform, &ACTIVITY, Some(before(ACTIVITY_DAYS)), &|row| time_of(row, "time")).await?;
    sweep_table(platform, &OPERATIONS, None, &|row| time_of(row, "ended").filter(|at| *at < before(OPERATION_DAYS)))
        .await?;
    let ended = |row: &Row| time_of(row, "notAfter").filter(|at| *at < now.as_second());
    let issued = |row: &Row| row.columns.get(2).and_then(Option::as_deref) != Some("intent");
    sweep_table(platform, &CERTIFICATES, None, &|row| ended(row).filter(|_| issued(row))).await
}

fn time_of(row: &Row, member: &str) -> Option<i64> {
    row.value().ok()?.get(member)?.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// Goes through a table once. With `until` it stops at the first row that is younger; without, `age` answers only for rows
/// that are to go.
async fn sweep_table(
    platform: &Platform,
    table: &'static Table,
    until: Option<i64>,
    age: &(dyn Fn(&Row) -> Option<i64> + Sync),
) -> Result<()> {
    let mut pages = Pages::scan(platform.store.as_ref(), table, "", SWEEP_ROWS);
    while let Some(rows) = pages.next().await? {
        let mut change = Change::new();
        let mut younger = false;
        for row in rows {
            match (age(&row), until) {
                (Some(at), Some(until)) if at >= until => younger = true,
                (Some(_), _) => {
                    change.unit.expect_version(table, row.key.clone(), row.version);
                    change.unit.delete(table, row.key.clone());
                }
                (None, _) => {}
            }
        }
        if !change.unit.is_empty() {
            // Where somebody wrote one of them meanwhile, the next sweep looks again.
            platform.try_commit(change).await?;
        }
        if younger {
            break;
        }
    }
    Ok(())
}
