//! Sign-ins as Microsoft Graph shows them (`auditLogs/signIns`).

use super::{AuditEvent, AuditOutcome, Kind};
use crate::platform::Platform;
use crate::tables::AUDIT;
use ferrohub_model::error::Result;
use ferrohub_store::{Pages, Row};
use serde_json::{Value, json};

/// Sign-ins that one list reaches back to: ours. Older ones are in the audit log itself.
const MOST: usize = 2000;
/// Rows read at once: ours.
const STEP: usize = 500;
/// Rows looked at for one list: ours.
const LOOKED_AT: usize = 50_000;

/// The latest sign-ins, newest first.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn latest(platform: &Platform) -> Result<Vec<Value>> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut pages = Pages::last(platform.store.as_ref(), &AUDIT, "", STEP);
    while found.len() < MOST && looked_at < LOOKED_AT {
        let Some(rows) = pages.next().await? else { break };
        looked_at += rows.len();
        for row in &rows {
            found.extend(sign_in(platform, row)?);
        }
    }
    found.truncate(MOST);
    Ok(found)
}

fn sign_in(platform: &Platform, row: &Row) -> Result<Option<Value>> {
    let event = row.part::<AuditEvent>()?;
    if event.kind != Kind::SignIn {
        return Ok(None);
    }
    let code = event.code.as_deref().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
    let failed = event.status == AuditOutcome::Failed;
    Ok(Some(json!({
        "id": row.key,
        "createdDateTime": event.time,
        "appId": event.who,
        "appDisplayName": event.who,
        "servicePrincipalId": event.who_id,
        "ipAddress": event.address,
        "clientAppUsed": event.what,
        "userAgent": event.agent,
        "correlationId": event.correlation_id,
        "resourceDisplayName": event.resource,
        "resourceTenantId": platform.tenancy.tenant_id,
        "signInEventTypes": ["servicePrincipal"],
        "isInteractive": false,
        "status": {
            "errorCode": if failed { code.max(1) } else { 0 },
            "failureReason": event.reason.as_deref().unwrap_or("Other."),
        }
    })))
}
