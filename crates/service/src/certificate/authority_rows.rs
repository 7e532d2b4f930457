//! How authorities lie in their table: looked up by resource, id and namespace, and written.

use crate::platform::{Change, Platform};
use crate::tables::AUTHORITIES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::name::SubjectName;
use ferrohub_store::{Pages, Put, Row};
use std::sync::Arc;
use uuid::Uuid;

/// The active authority of the resource with the uid `owner`.
///
/// # Errors
/// When the store cannot be read.
pub async fn authority_of(platform: &Platform, owner: Uuid) -> Result<Option<Arc<AuthorityRecord>>> {
    Ok(row_of_owner(platform, owner).await?.map(|(record, _)| record))
}

/// The active authority of the resource with the uid `owner`, with its row's version.
///
/// # Errors
/// When the store cannot be read.
pub async fn active_of(platform: &Platform, owner: Uuid) -> Result<Option<(Arc<AuthorityRecord>, u64)>> {
    row_of_owner(platform, owner).await
}

/// The authority of the resource with the uid `owner` that will take over, with its row's version.
///
/// # Errors
/// When the store cannot be read.
pub async fn pending_of(platform: &Platform, owner: Uuid) -> Result<Option<(Arc<AuthorityRecord>, u64)>> {
    let Some(row) = platform.store.find_one(&AUTHORITIES, "owner", &next_key(owner)).await? else { return Ok(None) };
    Ok(Some((from_row(&row)?, row.version)))
}

/// An authority by id, in whatever state.
///
/// # Errors
/// When the store cannot be read.
pub async fn authority(platform: &Platform, id: Uuid) -> Result<Option<Arc<AuthorityRecord>>> {
    platform.store.get(&AUTHORITIES, &id.to_string()).await?.as_deref().map(from_row).transpose()
}

/// The certificates of these authorities, living or retired, base64 DER, without those that have no row.
///
/// # Errors
/// When the store cannot be read.
pub async fn certificates_of(platform: &Platform, ids: &[Uuid]) -> Result<Vec<String>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(authority(platform, *id).await?.map(|record| STANDARD.encode(&record.certificate_der)));
    }
    Ok(found)
}

/// The authorities of a namespace, in whatever state.
///
/// # Errors
/// When the store cannot be read.
pub async fn of_namespace(platform: &Platform, namespace: Uuid) -> Result<Vec<Arc<AuthorityRecord>>> {
    Ok(rows_of_namespace(platform, namespace).await?.into_iter().map(|(record, _)| record).collect())
}

/// The issuing authorities of a namespace that hubs are to trust: what `synchronize` brings to them.
///
/// # Errors
/// When the store cannot be read.
pub async fn issuing_of_namespace(platform: &Platform, namespace: Uuid) -> Result<Vec<Arc<AuthorityRecord>>> {
    let mut records = of_namespace(platform, namespace).await?;
    records.retain(|record| record.is_trusted() && !record.left);
    Ok(records)
}

/// Every authority that a resource has or had, with the versions of their rows.
///
/// # Errors
/// When the store cannot be read.
pub async fn generations(platform: &Platform, owner: Uuid) -> Result<Vec<(Arc<AuthorityRecord>, u64)>> {
    let known = match row_of_owner(platform, owner).await? {
        Some(active) => Some(active),
        // A resource whose authority was revoked has one that waits.
        None => pending_of(platform, owner).await?,
    };
    let Some((known, _)) = known else { return Ok(Vec::new()) };
    let mut rows = rows_of_namespace(platform, known.namespace).await?;
    rows.retain(|(record, _)| record.owner == owner);
    Ok(rows)
}

/// The row of an authority that must exist, for its version.
pub(super) async fn row_of(platform: &Platform, id: Uuid) -> Result<Arc<Row>> {
    let row = platform.store.get(&AUTHORITIES, &id.to_string()).await?;
    row.ok_or_else(|| Error::internal(format!("authority {id} has no row")))
}

/// The living authority of a resource, with its row's version.
pub(super) async fn row_of_owner(platform: &Platform, owner: Uuid) -> Result<Option<(Arc<AuthorityRecord>, u64)>> {
    let Some(row) = platform.store.find_one(&AUTHORITIES, "owner", &uid_key(owner)).await? else { return Ok(None) };
    Ok(Some((from_row(&row)?, row.version)))
}

/// The authorities of a namespace with the versions of their rows.
pub(super) async fn rows_of_namespace(
    platform: &Platform,
    namespace: Uuid,
) -> Result<Vec<(Arc<AuthorityRecord>, u64)>> {
    let mut found = Vec::new();
    let namespace = uid_key(namespace);
    let mut pages = Pages::find(platform.store.as_ref(), &AUTHORITIES, "namespace", &namespace, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            found.push((from_row(&row)?, row.version));
        }
    }
    Ok(found)
}

/// Adds the changed row of an authority, which must still have this version.
pub(super) fn rewrite(record: &AuthorityRecord, version: u64, change: &mut Change) -> Result<()> {
    change.unit.expect_version(&AUTHORITIES, record.id.to_string(), version);
    change.unit.put(put(record)?);
    Ok(())
}

/// The row of an authority. The unique columns see to it that a resource has one that is active and one that waits, and that
/// a subject of a namespace is one resource's: the active authority has it, or the first that waits.
pub(super) fn put(record: &AuthorityRecord) -> Result<Put> {
    let owner = match record.state {
        AuthorityState::Active => Some(uid_key(record.owner)),
        AuthorityState::Pending => Some(next_key(record.owner)),
        _ => None,
    };
    let names = match record.state {
        AuthorityState::Active => true,
        AuthorityState::Pending => record.follows.is_none(),
        _ => false,
    };
    // The names of other people's roots are of any kind, and are not looked up.
    let name = match names {
        true => Some(format!("{}/{}", uid_key(record.namespace), SubjectName::parse(&record.subject)?.canonical())),
        false => None,
    };
    let printed = record.has_certificate() && record.state != AuthorityState::External;
    let columns = vec![owner, Some(uid_key(record.namespace)), name, printed.then(|| record.thumbprint.clone())];
    Ok(Put::new(&AUTHORITIES, record.id.to_string(), columns, record)?)
}

/// What stands in the `owner` column of the authority that will take over.
pub(super) fn next_key(owner: Uuid) -> String {
    format!("{}/next", uid_key(owner))
}

pub(super) fn from_row(row: &Row) -> Result<Arc<AuthorityRecord>> {
    Ok(row.parse()?)
}

/// Every authority, living or not.
pub(super) async fn every_authority(platform: &Platform) -> Result<Vec<Arc<AuthorityRecord>>> {
    let mut found = Vec::new();
    let mut pages = Pages::scan(platform.store.as_ref(), &AUTHORITIES, "", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            found.push(from_row(&row)?);
        }
    }
    Ok(found)
}
