//! The end of a provisioning service: everything that hangs on it goes.

use crate::platform::{Change, Platform};
use crate::tables::{ENROLLMENT_GROUPS, GROUP_GENERATIONS, INDIVIDUAL_ENROLLMENTS, REGISTRATIONS};
use ferrohub_model::error::Result;
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Page, Table};
use uuid::Uuid;

/// Rows that go in one unit of work.
const BATCH: usize = 200;

/// Removes all enrollments and registrations of a service. Devices stay in their hubs. Safe to run again.
///
/// # Errors
/// When the store fails.
pub async fn purge(platform: &Platform, dps: Uuid) -> Result<()> {
    let prefix = format!("{}/", uid_key(dps));
    purge_below(platform, &ENROLLMENT_GROUPS, &prefix).await?;
    purge_below(platform, &INDIVIDUAL_ENROLLMENTS, &prefix).await?;
    purge_below(platform, &REGISTRATIONS, &prefix).await?;
    let mut change = Change::new();
    change.unit.delete(&GROUP_GENERATIONS, uid_key(dps));
    platform.commit(change).await?;
    Ok(())
}

/// Deletes all rows whose key starts with the prefix, batch by batch.
async fn purge_below(platform: &Platform, table: &'static Table, prefix: &str) -> Result<()> {
    loop {
        let rows = platform.store.scan(table, prefix, Page::first(BATCH)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut change = Change::new();
        for row in rows {
            change.unit.delete(table, row.key.clone());
        }
        platform.commit(change).await?;
    }
}
