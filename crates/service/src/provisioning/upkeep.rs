//! The end of a provisioning service: everything that hangs on it goes.

use crate::platform::{Change, Platform};
use crate::tables::{ENROLLMENT_GROUPS, REGISTRATIONS};
use ferrohub_model::error::Result;
use ferrohub_store::{Page, Table};
use uuid::Uuid;

/// Rows that go in one unit of work.
const BATCH: usize = 200;

/// Removes all enrollment groups and registrations of a service. Devices stay in their hubs. Safe to run again.
///
/// # Errors
/// When the store fails.
pub async fn purge(platform: &Platform, dps: Uuid) -> Result<()> {
    purge_where(platform, &ENROLLMENT_GROUPS, "dps", &dps.to_string()).await?;
    purge_where(platform, &REGISTRATIONS, "dps", &dps.to_string()).await?;
    Ok(())
}

/// Deletes all rows whose column has the value, batch by batch.
async fn purge_where(platform: &Platform, table: &'static Table, column: &'static str, value: &str) -> Result<()> {
    loop {
        let rows = platform.store.find(table, column, value, Page::first(BATCH)).await?;
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
