//! The delete operation over a tree: what is below goes first, deepest first; what goes is marked before, so that
//! nothing new is made in it or linked to it; and what cannot go is found out before anything went.

use super::activity::{self, Origin};
use super::declaration::TypeDecl;
use super::operation::{Lease, StoredOperation};
use super::remove::{RACE, delete_one};
use crate::authz::Actor;
use crate::departure;
use crate::locks::Operation;
use crate::platform::{Change, Platform};
use crate::resources::{self, GOING, Stored};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::uid::parse_uid_key;
use serde_json::Value;
use uuid::Uuid;

/// Deepest level of a tree; more is a circle in damaged data: ours.
const DEPTH: usize = 16;

/// Runs a delete operation, or what is left of it. Safe to run again at any point.
///
/// The operation is for the very resource that it was asked for, known by its uid: what was made anew under the same
/// name meanwhile is left alone.
pub(super) async fn run(platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
    let Some(target) = resources::by_uid(platform, target_of(record)?).await? else { return Ok(()) };
    // The target first: from then on nothing is made in it, and the list of what is below is complete.
    if is_marked(platform, &target)? {
        mark(platform, target.uid, GOING).await?;
    }
    let marked = marked_in(platform, &target).await?;
    for resource in &marked {
        mark(platform, resource.uid, GOING).await?;
    }
    // Nothing that is marked is locked any more: one that came before is seen here.
    platform.locks().await?.check(Operation::Delete, &target.id)?;
    refuse_held(platform, &target, &marked).await?;
    departure::check_tree(platform, &target.id).await?;
    run_tree(platform, record, &target, lease).await
}

/// Takes the marks off again when the operation has failed for good.
pub(super) async fn give_up(platform: &Platform, record: &StoredOperation) -> Result<()> {
    let Some(target) = resources::by_uid(platform, target_of(record)?).await? else { return Ok(()) };
    for resource in marked_in(platform, &target).await? {
        mark(platform, resource.uid, "Succeeded").await?;
    }
    Ok(())
}

fn target_of(record: &StoredOperation) -> Result<Uuid> {
    let uid = record.input.get("uid").and_then(Value::as_str).and_then(parse_uid_key);
    uid.ok_or_else(|| Error::internal(format!("delete operation {} names no uid", record.id)))
}

fn decl_of(platform: &Platform, stored: &Stored) -> Result<&'static TypeDecl> {
    let decl = platform.types.tagged(stored.kind.tag);
    decl.ok_or_else(|| Error::internal(format!("'{}' is of no declared type", stored.id)))
}

fn is_marked(platform: &Platform, stored: &Stored) -> Result<bool> {
    Ok(decl_of(platform, stored)?.marked)
}

/// The target, and everything in the tree, whose type says that nothing new may come into it while it goes.
async fn marked_in(platform: &Platform, target: &Stored) -> Result<Vec<Stored>> {
    let mut marked = vec![target.clone()];
    for stored in below(platform, target, 1).await? {
        marked.push(stored);
    }
    let mut kept = Vec::new();
    for stored in marked {
        if is_marked(platform, &stored)? {
            kept.push(stored);
        }
    }
    Ok(kept)
}

/// Refuses while something of the tree is used from outside of it. Nothing was deleted yet, and nothing new can be
/// linked, because what can be linked to is marked.
async fn refuse_held(platform: &Platform, target: &Stored, marked: &[Stored]) -> Result<()> {
    let mut refused = Vec::new();
    for stored in marked {
        for why in decl_of(platform, stored)?.behavior.held_by(platform, stored, &target.id).await? {
            refused.push((stored.id.to_string(), why));
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(held(target, refused)) }
}

async fn run_tree(platform: &Platform, record: &StoredOperation, target: &Stored, lease: &mut Lease) -> Result<()> {
    let (decl, actor) = (decl_of(platform, target)?, record.actor());
    loop {
        let refused = delete_below(platform, record, target, lease).await?;
        match delete_one(platform, decl, target, &actor, None, Change::new()).await {
            Ok(()) => return Ok(()),
            // Something was made below the target meanwhile: once more.
            Err(error) if error.code == RACE && refused.is_empty() => lease.renew(platform).await?,
            Err(error) if error.code == RACE => return Err(held(target, refused)),
            Err(error) => return Err(error),
        }
    }
}

/// Deletes what lies below; answers what refused to go, with its reason, once a whole round brings no progress.
async fn delete_below(
    platform: &Platform,
    record: &StoredOperation,
    target: &Stored,
    lease: &mut Lease,
) -> Result<Vec<(String, String)>> {
    let actor = record.actor();
    let mut gone = 0;
    loop {
        let mut refused = Vec::new();
        let mut progress = false;
        let all = below(platform, target, 1).await?;
        let total = gone + all.len();
        for stored in all {
            lease.tell(gone, total);
            lease.renew(platform).await?;
            let change = telling(platform, record, &actor, &stored)?;
            match delete_one(platform, decl_of(platform, &stored)?, &stored, &actor, None, change).await {
                Ok(()) => {
                    (progress, gone) = (true, gone + 1);
                    lease.got_on();
                }
                Err(error) if error.code == RACE => {
                    refused.push((stored.id.to_string(), "it still owns other resources".to_string()))
                }
                Err(error) if error.kind == ErrorKind::Conflict => refused.push((stored.id.to_string(), error.message)),
                Err(error) => return Err(error),
            }
        }
        if refused.is_empty() || !progress {
            return Ok(refused);
        }
    }
}

/// A change with the row that tells of the end of a resource, which nobody asked for by itself. What lies below another resource is part of
/// that one, as a namespace's devices are.
fn telling(platform: &Platform, record: &StoredOperation, actor: &Actor, stored: &Stored) -> Result<Change> {
    let mut change = Change::new();
    if !stored.kind.is_nested() {
        let origin = match &record.begun {
            Some(begun) => Origin::service(actor, begun.request_id, begun.correlation_id),
            None => Origin::service(actor, Uuid::nil(), Uuid::nil()),
        };
        let action = format!("{}/delete", stored.kind.full());
        change.unit.put(activity::of_service(platform, &origin, &stored.id, &action)?);
    }
    Ok(change)
}

/// Everything stored below a resource, what lies deepest first.
async fn below(platform: &Platform, stored: &Stored, depth: usize) -> Result<Vec<Stored>> {
    if depth > DEPTH {
        return Err(Error::internal(format!("'{}' lies too deep", stored.id)));
    }
    let mut found = Vec::new();
    for child in resources::children(platform, stored.uid, &stored.id, None).await? {
        if platform.kinds.holds_others(child.kind) {
            found.extend(Box::pin(below(platform, &child, depth + 1)).await?);
        }
        found.push(child);
    }
    Ok(found)
}

fn held(target: &Stored, refused: Vec<(String, String)>) -> Error {
    let list: Vec<String> = refused.iter().map(|(id, why)| format!("{id} ({why})")).collect();
    let mut error = Error::conflict(format!(
        "'{}' cannot be deleted because it still holds: {}. Delete those first.",
        target.id,
        list.join("; ")
    ));
    error.code = "ResourceGroupDeletionBlocked";
    error.details = refused.into_iter().map(|(id, why)| ("Conflict".to_string(), format!("{id}: {why}"))).collect();
    error
}

/// Sets the state of a marked resource; nothing happens when it is gone.
async fn mark(platform: &Platform, uid: Uuid, state: &str) -> Result<()> {
    let mut attempts = platform.attempts();
    loop {
        attempts
            .begin(|| Error::conflict("The resource is being changed by others at the same time; try again."))
            .await?;
        let Some(stored) = resources::by_uid(platform, uid).await? else { return Ok(()) };
        if stored.resource.text(&["provisioningState"]) == Some(state) {
            return Ok(());
        }
        let mut resource = stored.resource.as_ref().clone();
        resource.properties.insert("provisioningState".into(), state.into());
        let mut change = Change::new();
        resources::rewrite(&stored, resource, &mut change)?;
        if platform.try_commit(change).await? {
            return Ok(());
        }
    }
}
