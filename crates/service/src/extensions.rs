//! Roles and locks that people made on a resource which goes: they go with it, in its unit of work.
//!
//! That nothing lies below what goes is looked at before a unit's first change, so a unit that takes away what lies there cannot expect it.
//! It expects instead that no role and no lock changed anywhere since they were read: who makes one meanwhile makes the unit fail.

use crate::arm::activity::{self, Origin};
use crate::authz::Actor;
use crate::departure;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, tag};
use crate::subscriptions;
use crate::tables::{RESOURCES, SUBSCRIPTIONS};
use ferrohub_model::error::Result;
use ferrohub_model::uid::uid_key;
use ferrohub_store::RowChange;
use std::collections::HashSet;
use uuid::Uuid;

/// Roles and locks that go in the unit of what they were made on, each with its row of the activity log: ours, well below
/// `limits::UNIT_ROWS`, beside the roles of a principal that goes as well (`departure`).
const AT_ONCE: usize = 80;

/// Adds to `change` the removal of a resource, and of what was made on it of the types with these tags, in the name of `actor`; where
/// anything else lies below it, the unit fails. More than [`AT_ONCE`] go before, in the order of `tags`, in units of their own that hold as long
/// as what `change` expects until now does.
///
/// # Errors
/// When the store fails.
pub(crate) async fn remove_with(
    platform: &Platform,
    actor: &Actor,
    stored: &Stored,
    tags: &[&str],
    change: &mut Change,
) -> Result<()> {
    remove_owning(platform, actor, stored, &[], tags, change).await
}

/// The same of a resource that has `owned` below it, which `change` takes away already: each of a type of which one can lie there at a time, so
/// that no other comes while it is there.
///
/// # Errors
/// When the store fails.
pub(crate) async fn remove_owning(
    platform: &Platform,
    actor: &Actor,
    stored: &Stored,
    owned: &[Stored],
    tags: &[&str],
    change: &mut Change,
) -> Result<()> {
    if !has_any(platform, stored).await? {
        resources::delete(stored, change);
        return Ok(());
    }
    loop {
        // Before what they guard.
        let (roles, _) = platform.access_at().await?;
        let locks = platform.locks().await?;
        let mut made = Vec::new();
        for tag in tags {
            made.extend(resources::children(platform, stored.uid, &stored.id, Some(tag)).await?);
        }
        if made.len() <= AT_ONCE {
            departure::expect_access(roles, change);
            locks.expect(change);
            tell(platform, actor, &made, change)?;
            resources::delete_with(platform, stored, &made, owned, change);
            return Ok(());
        }
        made.truncate(AT_ONCE);
        let mut apart = Change::new();
        for expected in change.unit.expectations() {
            apart.unit.expect(expected.clone());
        }
        apart.unit.expect_version(&RESOURCES, stored.key(), stored.version);
        tell(platform, actor, &made, &mut apart)?;
        made.iter().for_each(|one| resources::delete(one, &mut apart));
        if !platform.try_commit(apart).await? {
            // `change` would fail for the same reason; as it is now, it does because something lies below.
            resources::delete(stored, change);
            return Ok(());
        }
    }
}

/// Whether anything lies below a resource: of a device, what people made on it.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn has_any(platform: &Platform, stored: &Stored) -> Result<bool> {
    Ok(!resources::children_page(platform, stored.uid, &stored.id, None, None, 1).await?.is_empty())
}

/// What roles were assigned on, by uid, and the version of the row that changes with every role.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn with_roles(platform: &Platform) -> Result<(u64, HashSet<Uuid>)> {
    let (generation, _) = platform.access_at().await?;
    let all = resources::every(platform, tag::ROLE_ASSIGNMENT).await?;
    Ok((generation, all.into_iter().map(|role| role.parent).collect()))
}

/// Removes roles and locks of what is not there any more, as older programs left them behind; gives how many.
///
/// # Errors
/// When the store fails.
pub(crate) async fn sweep(platform: &Platform) -> Result<usize> {
    let mut swept = 0;
    for of in [tag::ROLE_ASSIGNMENT, tag::LOCK] {
        for (row, parent) in resources::left_behind(platform, of).await? {
            let mut change = Change { access: of != tag::LOCK, locks: of == tag::LOCK, ..Change::new() };
            change.unit.expect_version(&RESOURCES, row.key.clone(), row.version);
            change.unit.expect_absent(&RESOURCES, uid_key(parent));
            change.unit.expect_absent(&SUBSCRIPTIONS, subscriptions::key(parent));
            change.unit.delete(&RESOURCES, row.key.clone());
            swept += usize::from(platform.try_commit(change).await?);
        }
    }
    Ok(swept)
}

/// Adds the rows of the activity log, and that roles and locks change. What goes with the identity of a resource, which may have a role
/// at that itself, is told of already.
fn tell(platform: &Platform, actor: &Actor, made: &[Stored], change: &mut Change) -> Result<()> {
    let correlation = platform.new_id();
    let origin = Origin::service(actor, correlation, correlation);
    let gone = change.unit.changes().iter().filter_map(|change| match change {
        RowChange::Delete { table, key } if table.name == RESOURCES.name => Some(key.clone()),
        _ => None,
    });
    let gone: HashSet<String> = gone.collect();
    for one in made.iter().filter(|one| !gone.contains(&one.key())) {
        let action = format!("{}/delete", one.kind.full());
        change.unit.put(activity::of_service(platform, &origin, &one.id, &action)?);
        change.access |= !one.is(tag::LOCK);
        change.locks |= one.is(tag::LOCK);
    }
    Ok(())
}
