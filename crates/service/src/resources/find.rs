//! From an ARM id to its row, and from a row to its ARM id.

use super::kind::Kind;
use super::{RowExtra, Stored, missing, place, place_of, root_of};
use crate::platform::Platform;
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Page, Pages, Row, prefix_end};
use std::sync::Arc;
use uuid::Uuid;

/// Rows read at once: ours.
const PAGE: usize = 500;
/// Most steps from a row up to its subscription; more is a circle in damaged data: ours.
const DEPTH: usize = 16;

/// A resource by id.
///
/// # Errors
/// When the store cannot be read.
pub async fn get(platform: &Platform, id: &ResourceId) -> Result<Option<Stored>> {
    let Some(root) = root_of(id) else { return Ok(None) };
    let top = ResourceId { subscription: id.subscription.clone(), resource_group: None, providers: Vec::new() };
    let mut found: Option<Stored> = None;
    if let Some(group) = &id.resource_group {
        let Some(kind) = platform.kinds.group() else { return Ok(None) };
        found = step(platform, kind, (root, &top), None, group).await?;
        if found.is_none() {
            return Ok(None);
        }
    }
    for provider in &id.providers {
        for depth in 1..=provider.segments.len() {
            let Some(kind) = platform.kinds.below(&provider.namespace, &provider.segments[..depth]) else {
                return Ok(None);
            };
            let name = provider.segments[depth - 1].name.as_str();
            let above = found.as_ref().map_or((root, &top), |stored| (stored.uid, &stored.id));
            let Some(stored) = step(platform, kind, above, found.as_ref(), name).await? else { return Ok(None) };
            found = Some(stored);
        }
    }
    Ok(found)
}

/// One step down: the resource `name` of `kind` below what has this uid and this id.
async fn step(
    platform: &Platform,
    kind: &'static Kind,
    (parent, above): (Uuid, &ResourceId),
    parent_row: Option<&Stored>,
    name: &str,
) -> Result<Option<Stored>> {
    if let Some(face) = kind.face {
        let Some(parent) = parent_row else { return Ok(None) };
        let Some(mut stored) = face.behind(platform, parent, name).await? else { return Ok(None) };
        // It keeps its uid, its row and its own type; it is named as it was asked for.
        stored.id = kind.child_of(above, face_name(kind, name, &stored));
        return Ok(Some(stored));
    }
    named(platform, kind, parent, above, name).await
}

/// The resource `name` of `kind`, which is no face, directly below what has the uid `parent` and the id `above`.
///
/// # Errors
/// When the store cannot be read.
pub async fn named(
    platform: &Platform,
    kind: &'static Kind,
    parent: Uuid,
    above: &ResourceId,
    name: &str,
) -> Result<Option<Stored>> {
    let row = platform.store.find_one(&RESOURCES, "place", &place(parent, kind.tag, name)).await?;
    row.map(|row| from_row(kind, above, parent, &row)).transpose()
}

/// A face has the name of what is behind it, unless it is a singleton with a name of its own.
fn face_name<'a>(kind: &Kind, asked: &'a str, stored: &'a Stored) -> &'a str {
    if kind.singleton { asked } else { stored.name() }
}

/// A resource by id that must exist.
///
/// # Errors
/// `ResourceNotFound` with Azure's text.
pub async fn require(platform: &Platform, id: &ResourceId) -> Result<Stored> {
    get(platform, id).await?.ok_or_else(|| missing(id))
}

/// The uid of what an id names: a resource, a group, a subscription or the tenant.
///
/// # Errors
/// When the store cannot be read.
pub async fn uid_of(platform: &Platform, id: &ResourceId) -> Result<Option<Uuid>> {
    if id.resource_group.is_none() && id.providers.is_empty() {
        return Ok(root_of(id));
    }
    Ok(get(platform, id).await?.map(|stored| stored.uid))
}

/// A resource by its uid. A row that lies below nothing is none: no id leads to it.
///
/// # Errors
/// When the store cannot be read.
pub async fn by_uid(platform: &Platform, uid: Uuid) -> Result<Option<Stored>> {
    match platform.store.get(&RESOURCES, &uid_key(uid)).await? {
        Some(row) => with_id(platform, &row).await,
        None => Ok(None),
    }
}

/// The ARM id of a resource, a subscription or the tenant; `None` when there is no such resource.
///
/// # Errors
/// When the store cannot be read.
pub async fn id_of(platform: &Platform, uid: Uuid) -> Result<Option<ResourceId>> {
    if let Some(root) = root_id(platform, uid) {
        return Ok(Some(root));
    }
    Ok(by_uid(platform, uid).await?.map(|stored| stored.id))
}

/// All ids under which a resource is reached: its own, and those of the types that show it in another generation.
///
/// # Errors
/// When the store cannot be read.
pub async fn ids_of(platform: &Platform, uid: Uuid) -> Result<Vec<ResourceId>> {
    if let Some(root) = root_id(platform, uid) {
        return Ok(vec![root]);
    }
    let Some(stored) = by_uid(platform, uid).await? else { return Ok(Vec::new()) };
    let mut ids = vec![stored.id.clone()];
    for face in platform.kinds.faces() {
        ids.extend(face.id_of(platform, &stored).await?);
    }
    Ok(ids)
}

fn root_id(platform: &Platform, uid: Uuid) -> Option<ResourceId> {
    if uid.is_nil() {
        return Some(ResourceId { subscription: None, resource_group: None, providers: Vec::new() });
    }
    platform.is_subscription(uid).then(|| ResourceId::subscription(&uid.to_string()))
}

/// The resource whose `lookup` column has this value.
///
/// # Errors
/// When the store cannot be read.
pub async fn by_lookup(platform: &Platform, column: &'static str, value: &str) -> Result<Option<Stored>> {
    match platform.store.find_one(&RESOURCES, column, value).await? {
        Some(row) => with_id(platform, &row).await,
        None => Ok(None),
    }
}

/// One page of what lies directly below `parent`, of the type with this tag or of all, in the order of type and name.
/// `after` is the name (with a tag) or the `tag/name` (without) of the last one of the page before.
///
/// # Errors
/// When the store cannot be read.
pub async fn children_page(
    platform: &Platform,
    parent: Uuid,
    above: &ResourceId,
    tag: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Stored>> {
    let prefix = prefix_of(parent, tag);
    let page = Page { after: after.map(|after| format!("{prefix}{after}")), limit };
    let rows = platform.store.range(&RESOURCES, "place", &prefix, page).await?;
    rows.iter().map(|row| child(platform, parent, above, row)).collect()
}

/// Everything directly below a resource, of the type with this tag or of all.
///
/// # Errors
/// When the store cannot be read.
pub async fn children(platform: &Platform, parent: Uuid, above: &ResourceId, tag: Option<&str>) -> Result<Vec<Stored>> {
    let prefix = prefix_of(parent, tag);
    let mut found = Vec::new();
    let mut pages = Pages::range(platform.store.as_ref(), &RESOURCES, "place", &prefix, PAGE);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            found.push(child(platform, parent, above, &row)?);
        }
    }
    Ok(found)
}

/// How many resources of the type with this tag lie directly below a resource: counted in the index, no row is read.
///
/// # Errors
/// When the store cannot be read.
pub async fn count_children(platform: &Platform, parent: Uuid, tag: &str) -> Result<u64> {
    let start = prefix_of(parent, Some(tag));
    let end = prefix_end(&start).ok_or_else(|| Error::internal("a prefix of places has no end"))?;
    Ok(platform.store.count_between(&RESOURCES, "place", &start, &end).await?)
}

/// What the places of everything below a resource start with.
fn prefix_of(parent: Uuid, tag: Option<&str>) -> String {
    match tag {
        Some(tag) => format!("{}/{tag}/", uid_key(parent)),
        None => format!("{}/", uid_key(parent)),
    }
}

fn child(platform: &Platform, parent: Uuid, above: &ResourceId, row: &Row) -> Result<Stored> {
    let (_, tag) = place_of(row)?;
    from_row(known(platform, row, tag)?, above, parent, row)
}

/// All resources of a listed type. Rows that lie below nothing are left out, so that one of them does not take everybody's rights away.
///
/// # Errors
/// When the store cannot be read.
pub async fn every(platform: &Platform, tag: &str) -> Result<Vec<Stored>> {
    all_where(platform, "kind", tag).await
}

/// Rows of a listed type that were made on what is not there any more, with the uid of that.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn left_behind(platform: &Platform, tag: &str) -> Result<Vec<(Arc<Row>, Uuid)>> {
    let mut found = Vec::new();
    let mut pages = Pages::find(platform.store.as_ref(), &RESOURCES, "kind", tag, PAGE);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let (parent, _) = place_of(&row)?;
            if root_id(platform, parent).is_none() && platform.store.get(&RESOURCES, &uid_key(parent)).await?.is_none()
            {
                found.push((row, parent));
            }
        }
    }
    Ok(found)
}

/// One page of the resources of a listed type within `scope`, in the order in which they were made. `after` is the key of the
/// last one of the page before.
///
/// # Errors
/// When the store cannot be read.
pub async fn listed_page(
    platform: &Platform,
    tag: &str,
    scope: &ResourceId,
    after: Option<String>,
    limit: usize,
) -> Result<Vec<Stored>> {
    let mut found = Vec::new();
    let mut pages = Pages::find(platform.store.as_ref(), &RESOURCES, "kind", tag, limit).following(after);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            found.extend(with_id(platform, &row).await?.filter(|stored| stored.id.is_within(scope)));
            if found.len() == limit {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// All resources that are linked to `to`, the text of their `link` column.
///
/// # Errors
/// When the store cannot be read.
pub async fn linked(platform: &Platform, to: &str) -> Result<Vec<Stored>> {
    all_where(platform, "link", to).await
}

async fn all_where(platform: &Platform, column: &'static str, value: &str) -> Result<Vec<Stored>> {
    let mut found = Vec::new();
    let mut pages = Pages::find(platform.store.as_ref(), &RESOURCES, column, value, PAGE);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            found.extend(with_id(platform, &row).await?);
        }
    }
    Ok(found)
}

/// The resource in a row, with its id put together from the rows above it; `None` where it lies below nothing, which the log tells.
async fn with_id(platform: &Platform, row: &Row) -> Result<Option<Stored>> {
    if let Some(found) = climb(platform, row).await? {
        return Ok(Some(found));
    }
    // It may be old: read with many others, and gone meanwhile together with what it lay in.
    let Some(now) = platform.store.get(&RESOURCES, &row.key).await? else { return Ok(None) };
    let found = climb(platform, &now).await?;
    if found.is_none() {
        let place = now.columns.first().and_then(Option::as_deref).unwrap_or_default();
        tracing::error!(
            row = now.key,
            place,
            "a resource lies below nothing, which was deleted without it; it is left out"
        );
    }
    Ok(found)
}

/// From a row up to its subscription; `None` where that way ends in between.
async fn climb(platform: &Platform, row: &Row) -> Result<Option<Stored>> {
    let mut above = Vec::new();
    let (mut parent, tag) = place_of(row)?;
    let kind = known(platform, row, tag)?;
    let first = parent;
    let mut id = loop {
        if let Some(root) = root_id(platform, parent) {
            break root;
        }
        let up = platform.store.get(&RESOURCES, &uid_key(parent)).await?;
        let Some(up) = up.filter(|_| above.len() < DEPTH) else {
            // One that another process made a moment ago.
            if platform.finds_subscription(parent).await? {
                break ResourceId::subscription(&parent.to_string());
            }
            return Ok(None);
        };
        let (next, tag) = place_of(&up)?;
        above.push((known(platform, &up, tag)?, Arc::clone(&up)));
        parent = next;
    };
    for (kind, row) in above.iter().rev() {
        id = kind.child_of(&id, &row.parse::<Resource>()?.name);
    }
    from_row(kind, &id, first, row).map(Some)
}

fn known(platform: &Platform, row: &Row, tag: &str) -> Result<&'static Kind> {
    platform.kinds.tagged(tag).ok_or_else(|| Error::internal(format!("resource row {}: no type '{tag}'", row.key)))
}

/// The resource in a row of `kind` below `above`.
fn from_row(kind: &'static Kind, above: &ResourceId, parent: Uuid, row: &Row) -> Result<Stored> {
    let uid = parse_uid_key(&row.key).ok_or_else(|| Error::internal(format!("resource key {} is no uid", row.key)))?;
    let resource = row.parse::<Resource>()?;
    let column = |index: usize| row.columns.get(index).cloned().flatten();
    Ok(Stored {
        uid,
        kind,
        parent,
        id: kind.child_of(above, &resource.name),
        resource,
        extra: RowExtra { unique_name: column(2), link: column(3), lookup: column(4) },
        version: row.version,
    })
}
