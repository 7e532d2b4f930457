//! Management locks as requests are held against them: a snapshot in memory, compared with the store before each write.
//!
//! A write that was let through expects the row [`LOCK_GENERATION`] as it was when it looked, so a lock that is made before the
//! write is answered stands in its way: the write meets a conflict, looks again, and is refused.

use crate::authz::covers;
use crate::platform::{Change, Platform};
use crate::resources::{self, tag};
use crate::tables::META;
use arc_swap::ArcSwap;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use std::sync::Arc;

/// Key in `META` of the row whose version grows with every change of a lock or of where one reaches.
pub(crate) const LOCK_GENERATION: &str = "lock-generation";

/// The level that keeps a resource from being deleted.
pub(crate) const CAN_NOT_DELETE: &str = "CanNotDelete";
/// The level that keeps it from being changed as well.
pub(crate) const READ_ONLY: &str = "ReadOnly";

/// What somebody wants to do to something that may be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Make it, change it, or run an action of it.
    Write,
    /// Take it away, with everything below it.
    Delete,
}

/// All locks at one moment.
#[derive(Default)]
pub(crate) struct Locks {
    generation: u64,
    held: Vec<Held>,
}

/// A lock at one of the ids of its scope.
struct Held {
    lock: String,
    scope: String,
    key: String,
    read_only: bool,
}

/// The locks in memory.
#[derive(Default)]
pub(crate) struct LockCache {
    locks: ArcSwap<Locks>,
    reload: tokio::sync::Mutex<()>,
}

impl Locks {
    /// Refuses what a lock at, above or (for a delete) below `id` stands against.
    ///
    /// # Errors
    /// `ScopeLocked` with Azure's text, and the locks by name.
    pub(crate) fn check(&self, operation: Operation, id: &ResourceId) -> Result<()> {
        self.check_path(operation, &id.to_string())
    }

    /// The same for a path below a resource.
    ///
    /// # Errors
    /// `ScopeLocked`.
    pub(crate) fn check_path(&self, operation: Operation, path: &str) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let (key, deletes) = (path.to_lowercase(), operation == Operation::Delete);
        let stands = |held: &&Held| {
            (covers(&held.key, &key) && (held.read_only || deletes)) || (deletes && covers(&key, &held.key))
        };
        let mut found: Vec<&Held> = self.held.iter().filter(stands).collect();
        found.dedup_by(|a, b| a.lock == b.lock);
        if found.is_empty() { Ok(()) } else { Err(locked(operation, path, &found)) }
    }

    /// Whether a lock was made on this very resource.
    pub(crate) fn stands_on(&self, id: &ResourceId) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let key = id.key();
        self.held.iter().any(|held| held.key == key)
    }

    /// Makes the unit hold only as long as no lock changes.
    pub(crate) fn expect(&self, change: &mut Change) {
        change.unit.expect_version(&META, LOCK_GENERATION, self.generation);
    }
}

/// Locks named in one refusal: ours.
const NAMED: usize = 10;

fn locked(operation: Operation, path: &str, found: &[&Held]) -> Error {
    let word = if operation == Operation::Delete { "delete" } else { "write" };
    let mut scopes: Vec<&str> = found.iter().map(|held| held.scope.as_str()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes.truncate(NAMED);
    let mut locks: Vec<&str> = found.iter().map(|held| held.lock.as_str()).collect();
    locks.sort_unstable();
    locks.dedup();
    locks.truncate(NAMED);
    let mut error = Error::conflict(format!(
        "The scope '{path}' cannot perform {word} operation because following scope(s) are locked: '{}'. Please remove the lock and try again. To remove it: az lock delete --ids '{}'",
        scopes.join(","),
        locks.join("' '")
    ))
    .with_code("ScopeLocked");
    let level = |held: &Held| if held.read_only { READ_ONLY } else { CAN_NOT_DELETE };
    let named = found.iter().take(NAMED);
    error.details = named.map(|held| ("ScopeLocked".to_owned(), format!("{} ({})", held.lock, level(held)))).collect();
    error
}

impl Platform {
    /// The locks of the store, whichever process changed them last.
    ///
    /// # Errors
    /// When the store cannot be read: nothing is written past locks that may be there.
    pub(crate) async fn locks(&self) -> Result<Arc<Locks>> {
        let cache = &self.lock_cache;
        let known = cache.locks.load_full();
        if known.generation == lock_generation(self).await? {
            return Ok(known);
        }
        let _turn = cache.reload.lock().await;
        // Read before the locks: a change in between is seen as one by the next look.
        let generation = lock_generation(self).await?;
        let known = cache.locks.load_full();
        if known.generation == generation {
            return Ok(known);
        }
        let locks = Arc::new(Locks { generation, held: held(self).await? });
        cache.locks.store(Arc::clone(&locks));
        Ok(locks)
    }

    /// Makes the row of the generation where nobody did: engines keep rows in memory, not that there is none.
    pub(crate) async fn ensure_lock_generation(&self) -> Result<()> {
        if lock_generation(self).await? > 0 {
            return Ok(());
        }
        let mut change = Change::new();
        change.unit.expect_absent(&META, LOCK_GENERATION);
        change.locks = true;
        self.try_commit(change).await.map(drop)
    }
}

async fn lock_generation(platform: &Platform) -> Result<u64> {
    Ok(platform.store.get(&META, LOCK_GENERATION).await?.map_or(0, |row| row.version))
}

async fn held(platform: &Platform) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    for stored in resources::every(platform, tag::LOCK).await? {
        let read_only = stored.resource.text(&["level"]) == Some(READ_ONLY);
        // A resource that two generations show is one scope under several ids.
        for scope in resources::ids_of(platform, stored.parent).await? {
            held.push(Held { lock: stored.id.to_string(), key: scope.key(), scope: scope.to_string(), read_only });
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locks(all: &[(&str, bool)]) -> Locks {
        let held = |(scope, read_only): &(&str, bool)| Held {
            lock: format!("{scope}/providers/Microsoft.Authorization/locks/l"),
            scope: (*scope).to_owned(),
            key: scope.to_lowercase(),
            read_only: *read_only,
        };
        Locks { generation: 1, held: all.iter().map(held).collect() }
    }

    #[test]
    fn locks_reach_down_and_keep_what_is_above_from_going() {
        const GROUP: &str = "/subscriptions/s/resourceGroups/G";
        let hub = |name: &str| format!("{GROUP}/providers/Microsoft.Devices/IotHubs/{name}");
        let kept = locks(&[(&hub("h"), false)]);
        for (operation, path, refused) in [
            (Operation::Delete, hub("H"), true),
            (Operation::Delete, format!("{}/certificates/c", hub("h")), true),
            (Operation::Delete, GROUP.to_lowercase(), true),
            (Operation::Delete, "/subscriptions/s/resourceGroups/G2".into(), false),
            (Operation::Delete, hub("hh"), false),
            (Operation::Write, hub("h"), false),
            (Operation::Write, GROUP.into(), false),
        ] {
            assert_eq!(kept.check_path(operation, &path).is_err(), refused, "{operation:?} {path}");
        }
        let fixed = locks(&[(GROUP, true)]);
        assert!(fixed.check_path(Operation::Write, &hub("new")).is_err());
        assert!(fixed.check_path(Operation::Write, "/subscriptions/s").is_ok());
        let error = fixed.check_path(Operation::Write, &hub("h")).unwrap_err();
        assert_eq!((error.code, error.http_status()), ("ScopeLocked", 409));
        assert!(error.message.starts_with(&format!(
            "The scope '{}' cannot perform write operation because following scope(s) are locked: '{GROUP}'. Please remove the lock and try again.",
            hub("h")
        )));
        assert!(error.details[0].1.ends_with("/locks/l (ReadOnly)"));
    }
}
