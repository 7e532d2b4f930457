//! The delete operation over a tree: what is below goes first, deepest first; what goes is marked before, so that
//! nothing new is made in it or linked to it; and what cannot go is found out before anything went.

use super::delete::{RACE, delete_one};
use super::operations::{Lease, Record};
use crate::platform::{Change, Platform};
use crate::resources::{self, kind};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::{Page, StoreError};

/// Times a mark is tried anew after another write was faster.
const RETRIES: usize = 16;

/// Runs a delete operation, or what is left of it. Safe to run again at any point.
///
/// The operation is for the very resource that it was asked for, known by its uid: what was made anew under the same
/// name meanwhile is left alone.
pub(super) async fn run(platform: &Platform, record: &Record, lease: &mut Lease) -> Result<()> {
    let tree = Tree::of(record)?;
    if !tree.stands(platform).await? {
        return Ok(());
    }
    // The target first: from then on nothing is made in it, and the list of what is below is complete.
    let target = std::slice::from_ref(&tree.target);
    for id in target.iter().filter(|id| is_marked(id)) {
        mark(platform, id, "Deleting").await?;
    }
    let marked = marked_resources(platform, &tree.target).await?;
    for id in &marked {
        mark(platform, id, "Deleting").await?;
    }
    refuse_held(platform, &tree.target, &marked).await?;
    run_tree(platform, &tree, lease).await
}

/// Takes the marks off again when the operation has failed for good.
pub(super) async fn give_up(platform: &Platform, record: &Record) -> Result<()> {
    let tree = Tree::of(record)?;
    if !tree.stands(platform).await? {
        return Ok(());
    }
    for id in marked_resources(platform, &tree.target).await? {
        mark(platform, &id, "Succeeded").await?;
    }
    Ok(())
}

/// What a delete operation is about.
struct Tree {
    target: ResourceId,
    uid: String,
}

impl Tree {
    fn of(record: &Record) -> Result<Self> {
        let uid = record.input.get("uid").and_then(serde_json::Value::as_str);
        let uid = uid.ok_or_else(|| Error::internal(format!("delete operation {} names no uid", record.id)))?;
        Ok(Self { target: ResourceId::parse(&record.resource)?, uid: uid.to_string() })
    }

    /// Whether the resource that was to go is still there.
    async fn stands(&self, platform: &Platform) -> Result<bool> {
        let stored = resources::get(platform.store.as_ref(), &self.target).await?;
        Ok(stored.is_some_and(|stored| stored.resource.uid.to_string() == self.uid))
    }
}

/// Groups and namespaces are marked while they go: nothing new is made in them or linked to them.
fn is_marked(id: &ResourceId) -> bool {
    id.providers.is_empty() || id.resource_type().eq_ignore_ascii_case(kind::NAMESPACE)
}

/// The target, if it is a group, and every namespace in the tree: what must not get anything new while it goes.
async fn marked_resources(platform: &Platform, target: &ResourceId) -> Result<Vec<ResourceId>> {
    let mut marked: Vec<ResourceId> = list_below(platform, target).await?;
    marked.push(target.clone());
    marked.retain(is_marked);
    Ok(marked)
}

/// Refuses while a namespace of the tree is used from outside of it. Nothing was deleted yet, and nothing new can be
/// linked, because the namespaces are marked.
async fn refuse_held(platform: &Platform, target: &ResourceId, marked: &[ResourceId]) -> Result<()> {
    let mut refused = Vec::new();
    for namespace in marked.iter().filter(|id| !id.providers.is_empty()) {
        for holder in resources::all_where(platform.store.as_ref(), "link", &namespace.key()).await? {
            if !holder.id()?.is_within(target) {
                refused.push((namespace.to_string(), format!("linked to it is '{}'", holder.resource.id)));
            }
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(held(target, refused)) }
}

async fn run_tree(platform: &Platform, tree: &Tree, lease: &mut Lease) -> Result<()> {
    let target = &tree.target;
    loop {
        let refused = delete_below(platform, tree, lease).await?;
        if !tree.stands(platform).await? {
            return Ok(());
        }
        match delete_one(platform, target, None, Change::new()).await {
            Ok(()) => return Ok(()),
            // Something was made below the target meanwhile: once more.
            Err(error) if error.code == RACE && refused.is_empty() => lease.renew(platform).await?,
            Err(error) if error.code == RACE => return Err(held(target, refused)),
            Err(error) => return Err(error),
        }
    }
}

/// Deletes what lies below; answers what refused to go, with its reason, once a whole round brings no progress.
async fn delete_below(platform: &Platform, tree: &Tree, lease: &mut Lease) -> Result<Vec<(String, String)>> {
    loop {
        let mut below = list_below(platform, &tree.target).await?;
        below.sort_by_key(|id| std::cmp::Reverse(id.key().matches('/').count()));
        let mut refused = Vec::new();
        let mut progress = false;
        for id in &below {
            lease.renew(platform).await?;
            if !tree.stands(platform).await? {
                return Ok(Vec::new());
            }
            match delete_one(platform, id, None, Change::new()).await {
                Ok(()) => progress = true,
                Err(error) if error.code == RACE => {
                    refused.push((id.to_string(), "it still owns other resources".to_string()))
                }
                Err(error) if error.kind == ErrorKind::Conflict => refused.push((id.to_string(), error.message)),
                Err(error) => return Err(error),
            }
        }
        if refused.is_empty() || !progress {
            return Ok(refused);
        }
    }
}

/// The ids of all stored resources below `target`.
async fn list_below(platform: &Platform, target: &ResourceId) -> Result<Vec<ResourceId>> {
    let prefix = format!("{}/", target.key());
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let rows = platform.store.scan(&RESOURCES, &prefix, Page { after: after.take(), limit: 1000 }).await?;
        let full = rows.len() == 1000;
        after = rows.last().map(|row| row.key.clone());
        for row in rows {
            ids.push(resources::from_row(&row)?.id()?);
        }
        if !full {
            return Ok(ids);
        }
    }
}

fn held(target: &ResourceId, refused: Vec<(String, String)>) -> Error {
    let list: Vec<String> = refused.iter().map(|(id, why)| format!("{id} ({why})")).collect();
    let mut error = Error::conflict(format!(
        "'{target}' cannot be deleted because it still holds: {}. Delete those first.",
        list.join("; ")
    ));
    error.code = "ResourceGroupDeletionBlocked";
    error.details = refused.into_iter().map(|(id, why)| ("Conflict".to_string(), format!("{id}: {why}"))).collect();
    error
}

/// Sets the state of a group or namespace; nothing happens when it is gone.
async fn mark(platform: &Platform, id: &ResourceId, state: &str) -> Result<()> {
    for _ in 0..RETRIES {
        let Some(row) = platform.store.get(&RESOURCES, &id.key()).await? else { return Ok(()) };
        let extra = resources::RowExtra::of(&row);
        let mut stored = resources::from_row(&row)?;
        if stored.resource.text(&["provisioningState"]) == Some(state) {
            return Ok(());
        }
        stored.resource.properties.insert("provisioningState".into(), state.into());
        let mut change = Change::new();
        change.unit.expect_version(&RESOURCES, id.key(), stored.version);
        change.unit.put(resources::put(&stored.resource, extra)?);
        match platform.commit(change).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Error::conflict(format!("'{id}' is being changed by others at the same time; try again.")))
}
