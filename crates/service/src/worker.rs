//! Work that no request waits for: operations that were cut off, certificates that ended long ago, keys that
//! nobody uses, events that are past their retention, issuing CAs and revocation lists near their end, who is connected.

use crate::arm::types::synchronization;
use crate::arm::{self, activity, operation, operations};
use crate::audit;
use crate::authn;
use crate::certificate::{self, expiry, upkeep};
use crate::extensions;
use crate::hub::presence_writer::PresenceWriter;
use crate::hub::{HubRef, processes, take_up_renewals};
use crate::platform::{Change, Platform};
use crate::resource_graph;
use crate::resources::{self, tag};
use crate::settled::SettledTime;
use crate::tables::{
    ACTIVITY, AUDIT, AUTHORIZATION_CODES, DEVICE_CODES, OPERATIONS, REFRESH_CHAINS, RENEWALS, SIGN_IN_LINKS,
};
use ferrohub_model::clock::Moment;
use ferrohub_model::error::Result;
use ferrohub_store::{Pages, Row, Table};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// Pause between rounds: ours.
const ROUND: Duration = Duration::from_secs(2);
/// Time between two sweeps of what is merely old: ours.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Operations taken up in one round: ours.
const TAKEN_UP: usize = 16;

/// Days for which an ended operation can be polled: ours.
const OPERATION_DAYS: u32 = 7;
/// Rows looked at in one step of a sweep: ours.
const SWEEP_ROWS: usize = 200;

/// Runs until `stop` becomes true, and then writes who is not connected any more: connections end before the worker does.
pub async fn run(platform: Arc<Platform>, stop: watch::Receiver<bool>) {
    let mut writer = PresenceWriter::new(Arc::clone(&platform));
    tokio::select! {
        () = rounds(&platform, stop) => {}
        () = writer.run() => {}
        () = resource_graph::read_on(&platform) => {}
    }
    writer.leave().await;
    audit::write(&platform).await;
}

async fn rounds(platform: &Platform, mut stop: watch::Receiver<bool>) {
    let (mut settled, mut due, mut turn) = (SettledTime::default(), Moment::START, String::new());
    while !*stop.borrow() {
        take_up(platform, &mut turn).await;
        if let Err(error) = take_up_renewals(platform).await {
            tracing::warn!(%error, context = error.context, "the worker could not read the renewals of certificates");
        }
        activity::record_repeats(platform).await;
        audit::write(platform).await;
        if platform.clock.monotonic() >= due {
            due = platform.clock.monotonic() + SWEEP_EVERY;
            match settled.look(platform).await {
                Ok(now) => sweep(platform, now).await,
                Err(error) => {
                    tracing::warn!(%error, context = error.context, "nothing is swept: the settled time could not be read");
                }
            }
        }
        tokio::select! {
            () = platform.clock.sleep(ROUND) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

async fn take_up(platform: &Platform, turn: &mut String) {
    let ids = match operation::abandoned(platform, turn, TAKEN_UP).await {
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

/// Removes what is old at `now`, the settled time, and says what.
async fn sweep(platform: &Platform, now: Timestamp) {
    let kept = platform.retention();
    told("activity", sweep_log(platform, &ACTIVITY, before(now, kept.activity_days)).await);
    told("audit", sweep_log(platform, &AUDIT, before(now, kept.audit_days)).await);
    told("what is left of sign-ins", sweep_sign_ins(platform, now).await);
    told("ended operations", sweep_operations(platform, now).await);
    told("certificates of an older program, which got their place", upkeep::fill_places(platform).await);
    told("certificates that ended long ago", upkeep::sweep(platform, now).await);
    told("roles and locks of what an older program deleted without them", extensions::sweep(platform).await);
    told("notes on hubs and policies that are gone", synchronization::sweep(platform).await);
    noted(expiry::look(platform, now).await);
    told("renewals that nobody fetched", sweep_renewals(platform, now).await);
    told("processes that are gone", processes::sweep(platform, now).await);
    told("issuing CAs", arm::types::rotate_authorities(platform, now).await);
    told("revocation lists", certificate::refresh_lists(platform).await);
    told("keys that sign tokens, which got a follower", authn::rotate_old_keys(platform, now).await);
    told("keys that nobody uses", platform.keys.sweep().await);
    told("segments of old events", sweep_events(platform, now).await);
}

/// Says how many of something went, or why they did not.
fn told(what: &str, swept: Result<usize>) {
    match swept {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, what, "swept"),
        Err(error) => {
            tracing::warn!(%error, context = error.context, what, "could not be swept; the next sweep tries again")
        }
    }
}

/// Says that what ends soon could not be looked at; what it found stands in the activity log.
fn noted(looked: Result<()>) {
    if let Err(error) = looked {
        tracing::warn!(%error, context = error.context, "what ends soon could not be counted; the next sweep tries again");
    }
}

/// Takes the events that are past their hub's retention, and those of hubs that are gone.
async fn sweep_events(platform: &Platform, now: Timestamp) -> Result<usize> {
    // Before the hubs are read: a stream that comes later has a hub that came later.
    let streams = platform.log.streams().await?;
    let hubs = resources::every(platform, tag::IOT_HUB).await?;
    let hubs: HashMap<Uuid, HubRef> = hubs.into_iter().map(HubRef::of).map(|hub| (hub.uid, hub)).collect();
    let mut segments = 0;
    for stream in streams {
        segments += match hubs.get(&stream) {
            Some(hub) => platform.log.expire(stream, hub.kept_since_ms(now)).await?,
            None => platform.log.drop_stream(stream).await?,
        };
    }
    Ok(usize::try_from(segments).unwrap_or(usize::MAX))
}

async fn sweep_log(platform: &Platform, table: &'static Table, until: i64) -> Result<usize> {
    // Keys of a log's rows begin with their time, so the oldest come first.
    sweep_table(platform, table, Some(until), &|row| time_of(row, "time")).await
}

async fn sweep_operations(platform: &Platform, now: Timestamp) -> Result<usize> {
    let old = |row: &Row| time_of(row, "ended").filter(|at| *at < before(now, OPERATION_DAYS));
    sweep_table(platform, &OPERATIONS, None, &old).await
}

async fn sweep_renewals(platform: &Platform, now: Timestamp) -> Result<usize> {
    let ended = |row: &Row| time_of(row, "expires").filter(|at| *at < now.as_second());
    sweep_table(platform, &RENEWALS, None, &ended).await
}

/// Sessions, chains of refresh tokens, codes and links that have ended.
async fn sweep_sign_ins(platform: &Platform, now: Timestamp) -> Result<usize> {
    let now = now.as_second();
    let mut swept = sweep_table(platform, &REFRESH_CHAINS, None, &|row| authn::chain_ended(row, now)).await?;
    swept += authn::sweep_sessions(platform, now).await?;
    swept += sweep_table(platform, &DEVICE_CODES, None, &|row| authn::device_code_ended(row, now)).await?;
    swept += sweep_table(platform, &AUTHORIZATION_CODES, None, &|row| authn::code_ended(row, now)).await?;
    swept += sweep_table(platform, &SIGN_IN_LINKS, None, &|row| authn::sign_in_link_ended(row, now)).await?;
    Ok(swept)
}

/// Unix seconds so many days before `now`.
fn before(now: Timestamp, days: u32) -> i64 {
    now.as_second() - i64::from(days) * 24 * 3600
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
) -> Result<usize> {
    let mut swept = 0;
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
            let rows = change.unit.len();
            // Where somebody wrote one of them meanwhile, the next sweep looks again.
            swept += if platform.try_commit(change).await? { rows } else { 0 };
        }
        if younger {
            break;
        }
    }
    Ok(swept)
}
