//! The second log: sign-ins, keys read, certificates issued and revoked, connections refused, changes of the directory. What
//! belongs to a unit of work is a row of that unit; all else waits in memory, at most [`AUDIT_WAITING`] of it, and is written
//! a moment later with many others by the worker, so that neither a device nor a stranger waits for the store or fills it
//! ([ADR 0043](../../../../docs/adr/0043-two-logs.md)). No secret comes in here.
//!
//! | File | What it is |
//! |---|---|
//! | `event` | a row |
//! | `listing` | the answer to those who read the log |
//! | `sign_ins` | sign-ins as Microsoft Graph shows them |

mod event;
pub(crate) mod listing;
pub(crate) mod sign_ins;

pub use event::{AuditEvent, AuditOutcome, Kind};

use crate::log_query::key_of;
use crate::platform::{Change, Platform};
use crate::repeats::{Repeats, Sort};
use crate::tables::AUDIT;
use ferrohub_model::error::Result;
use ferrohub_model::limits::AUDIT_WAITING;
use ferrohub_model::time::rfc3339;
use ferrohub_store::Put;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Rows that are written at a time: ours.
const ROWS: usize = 200;

/// Reading this log takes more than reading resources: it names people, addresses and mistakes. A reader's `*/read` is not it.
pub(crate) const READ: &str = "Ferrohub/auditEvents/list/action";

/// What waits to be written.
pub(crate) struct Audit {
    waiting: Mutex<Waiting>,
    repeats: Repeats<AuditEvent>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<AuditEvent>,
    lost: u64,
}

/// What metrics call events that are not in the log.
const LOST: &str = "ferrohub_audit_lost_total";

impl Default for Audit {
    fn default() -> Self {
        Self { waiting: Mutex::default(), repeats: Repeats::new(LOST) }
    }
}

impl Audit {
    /// Takes note of an event, which is written soon.
    fn push(&self, event: AuditEvent) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.events.len() >= AUDIT_WAITING {
            waiting.lost += 1;
            metrics::counter!(LOST).increment(1);
            return;
        }
        waiting.events.push_back(event);
    }

    fn take(&self) -> Option<Vec<AuditEvent>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.events.len().min(ROWS);
        (count > 0).then(|| waiting.events.drain(..count).collect())
    }

    fn give_back(&self, events: Vec<AuditEvent>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events.into_iter().rev() {
            waiting.events.push_front(event);
        }
    }

    fn lost(&self) -> u64 {
        let waiting = std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner).lost);
        waiting + self.repeats.lost()
    }
}

/// Takes note of an event of somebody who is known.
pub(crate) fn note(platform: &Platform, event: AuditEvent) {
    platform.audit.push(at(platform, event));
}

/// Takes note of what may come again and again: the first of its sort in an hour is a row, the others are counted. Whoever calls itself by
/// another name is another sort: behind one address may be a plant, of which each device that is shut out is wanted to be seen.
pub(crate) fn note_once(platform: &Platform, source: &str, event: AuditEvent) {
    let event = at(platform, event);
    let place = format!("{}\n{}", event.resource, event.who);
    let sort = Sort::new(event.kind.word(), &place, event.code.as_deref().unwrap_or_default());
    if platform.audit.repeats.note(source, sort, &event, platform.clock.monotonic()) {
        platform.audit.push(event);
    }
}

/// The row of an event that belongs to a unit of work.
///
/// # Errors
/// Internal, when it does not serialize.
pub(crate) fn row(platform: &Platform, event: AuditEvent) -> Result<Put> {
    put(platform, &at(platform, event))
}

fn at(platform: &Platform, event: AuditEvent) -> AuditEvent {
    AuditEvent { time: rfc3339(platform.now()), ..event }
}

fn put(platform: &Platform, event: &AuditEvent) -> Result<Put> {
    Ok(Put::new(&AUDIT, key_of(platform, &event.time), vec![], event)?)
}

/// Writes what waits, and the numbers of the hours that are over. What a store does not take now goes on waiting.
pub(crate) async fn write(platform: &Platform) {
    for (event, repeats) in platform.audit.repeats.ended(platform.clock.monotonic()) {
        platform.audit.push(at(platform, AuditEvent { repeats: Some(repeats), ..event }));
    }
    while let Some(events) = platform.audit.take() {
        if let Err(error) = commit(platform, &events).await {
            tracing::warn!(%error, context = error.context, "events cannot be written to the audit log now");
            platform.audit.give_back(events);
            break;
        }
    }
    let lost = platform.audit.lost();
    if lost > 0 {
        tracing::error!(
            lost,
            "events came faster, or from more addresses, than the audit log takes them, and are not in it"
        );
    }
}

async fn commit(platform: &Platform, events: &[AuditEvent]) -> Result<()> {
    let mut change = Change::new();
    for event in events {
        change.unit.put(put(platform, event)?);
    }
    platform.commit(change).await?;
    Ok(())
}
