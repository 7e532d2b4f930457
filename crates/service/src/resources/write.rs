//! The one way in which a resource row is written: stamps, etag, expectation and row belong together.

use super::kind::{Kind, Scope};
use super::{RowExtra, Stored, place};
use crate::authz::Actor;
use crate::platform::{Change, Platform};
use crate::subscriptions;
use crate::tables::{RESOURCES, SUBSCRIPTIONS};
use ferrohub_model::error::Result;
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Expect, Put};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// The property of a counted type that says how often it was written.
const VERSION: &str = "version";

/// A resource as it is to be stored.
pub struct Entry<'a> {
    /// Internal id; that of the stored resource when there is one.
    pub uid: Uuid,
    /// Its type.
    pub kind: &'static Kind,
    /// Internal id of what it lies below.
    pub parent: Uuid,
    /// Its ARM id, as whoever writes it sees it.
    pub id: ResourceId,
    /// Whether the parent is made in the same unit, so that it cannot be expected.
    pub below_new: bool,
    /// The resource as it stands, when it is changed.
    pub was: Option<&'a Stored>,
    /// The document; its stamps and etag are set here.
    pub resource: Resource,
    /// Further columns.
    pub extra: RowExtra,
}

/// What tells of a write in the activity log.
pub enum Told {
    /// This row, which goes into the same unit.
    Row(Put),
    /// The rows of the operation that makes this write among many.
    ByItsOperation,
    /// Nothing: a data plane wrote, and the log is of the control plane, as Azure's. The stamps of the resource say who and when.
    DataPlane,
}

impl Told {
    fn add_to(self, change: &mut Change) {
        if let Self::Row(row) = self {
            change.unit.put(row);
        }
    }
}

/// Stamps the resource in the name of `actor`, gives it a new etag and adds its row to `change`, which then expects that
/// nobody else wrote or made it meanwhile and that its parent is there; what tells of it goes along. Returns the resource as it will be read; its
/// version is known after the commit only.
///
/// # Errors
/// Internal, when the document does not serialize.
pub fn put(platform: &Platform, actor: &Actor, entry: Entry<'_>, told: Told, change: &mut Change) -> Result<Stored> {
    told.add_to(change);
    let now = rfc3339(platform.now());
    let (by, kind) = (actor.name().to_owned(), actor.kind_name().to_owned());
    let Entry { uid, kind: of, parent, id, below_new, was, mut resource, extra } = entry;
    let mut stamps = match was {
        Some(was) => was.resource.system_data.clone(),
        None => SystemData {
            created_by: by.clone(),
            created_by_type: kind.clone(),
            created_at: now.clone(),
            ..SystemData::default()
        },
    };
    stamps.last_modified_by = by;
    stamps.last_modified_by_type = kind;
    stamps.last_modified_at = now;
    resource.system_data = stamps;
    resource.etag = platform.random.uuid_v4().to_string();
    if of.counted {
        let before = was.and_then(|was| was.resource.value(&[VERSION])).and_then(Value::as_u64);
        resource.properties.insert(VERSION.into(), before.unwrap_or(0).saturating_add(1).into());
    }
    match was {
        Some(was) => {
            assert_eq!((was.uid, was.kind.tag), (uid, of.tag), "a resource keeps its uid and its type");
            assert_eq!(was.parent, parent, "a resource moves by `relocate` only");
            change.unit.expect_version(&RESOURCES, uid_key(uid), was.version);
        }
        None => {
            let value = place(parent, of.tag, &resource.name);
            change.unit.expect(Expect::NoneWith { table: &RESOURCES, column: "place", value });
        }
    }
    if !below_new {
        expect_parent(platform, parent, change);
    }
    let resource = Arc::new(resource);
    change.unit.put(row(uid, of, parent, &resource, extra.clone())?);
    Ok(Stored { uid, kind: of, parent, id, resource, extra, version: 0 })
}

/// Adds the row of a stored resource with another document to `change`, for what is no change in the sense of ARM: stamps
/// and etag stay.
///
/// # Errors
/// Internal, when the document does not serialize.
pub fn rewrite(was: &Stored, resource: Resource, change: &mut Change) -> Result<()> {
    change.unit.expect_version(&RESOURCES, was.key(), was.version);
    change.unit.put(row(was.uid, was.kind, was.parent, &Arc::new(resource), was.extra.clone())?);
    Ok(())
}

/// Adds a resource's row at another place to `change`: everything below it, and whatever points at it, goes along unwritten.
///
/// # Errors
/// Internal, when the document does not serialize.
pub fn relocate(was: &Stored, parent: Uuid, change: &mut Change) -> Result<()> {
    change.unit.expect_version(&RESOURCES, was.key(), was.version);
    change.unit.expect_exists(&RESOURCES, uid_key(parent));
    assert_ne!(parent, was.uid, "nothing lies below itself");
    change.unit.put(row(was.uid, was.kind, parent, &was.resource, was.extra.clone())?);
    // Roles that were assigned in it reach as far as before, under other ids; so do locks.
    change.access = true;
    change.locks = true;
    Ok(())
}

/// Adds a resource's row at another place and as another type to `change`: it keeps its uid, so that everything below it, and
/// whatever points at it, goes along unwritten. The place must be free.
///
/// # Errors
/// Internal, when the document does not serialize.
pub fn become_another(
    platform: &Platform,
    actor: &Actor,
    (was, mut resource): (&Stored, Resource),
    (kind, parent): (&'static Kind, Uuid),
    told: Told,
    change: &mut Change,
) -> Result<()> {
    told.add_to(change);
    resource.system_data.last_modified_by = actor.name().to_owned();
    resource.system_data.last_modified_by_type = actor.kind_name().to_owned();
    resource.system_data.last_modified_at = rfc3339(platform.now());
    resource.etag = platform.random.uuid_v4().to_string();
    let value = place(parent, kind.tag, &resource.name);
    change.unit.expect_version(&RESOURCES, was.key(), was.version);
    change.unit.expect(Expect::NoneWith { table: &RESOURCES, column: "place", value });
    change.unit.expect_exists(&RESOURCES, uid_key(parent));
    change.unit.put(row(was.uid, kind, parent, &Arc::new(resource), was.extra.clone())?);
    // Roles that were assigned on it are under other ids now; so are locks.
    change.access = true;
    change.locks = true;
    Ok(())
}

/// Adds the removal of a resource's row to `change`: it must not have changed, and nothing may lie below it.
pub fn delete(stored: &Stored, change: &mut Change) {
    let key = stored.key();
    change.unit.expect_version(&RESOURCES, key.clone(), stored.version);
    change.unit.expect(Expect::NonePrefixed { table: &RESOURCES, column: "place", prefix: format!("{key}/") });
    change.unit.delete(&RESOURCES, key);
}

/// The same for a resource on which roles or locks were made: they go in the same unit, and nothing else may lie below it. That no more of
/// them come meanwhile the caller sees to, who expects that no role and no lock changed since it read them: a unit cannot expect
/// that nothing lies where it takes away what does. `owned` lies there too, and `change` takes it away already.
pub(crate) fn delete_with(
    platform: &Platform,
    stored: &Stored,
    made_on: &[Stored],
    owned: &[Stored],
    change: &mut Change,
) {
    let key = stored.key();
    let goes = |tag: &str| made_on.iter().chain(owned).any(|going| going.is(tag));
    for other in platform.kinds.below_rows_of(stored.kind).filter(|kind| !goes(kind.tag)) {
        let prefix = format!("{key}/{}/", other.tag);
        change.unit.expect(Expect::NonePrefixed { table: &RESOURCES, column: "place", prefix });
    }
    for made in made_on {
        assert_eq!((made.parent, made.kind.scope), (stored.uid, Scope::Extension), "'{}' was not made on it", made.id);
        delete(made, change);
    }
    change.unit.expect_version(&RESOURCES, key.clone(), stored.version);
    change.unit.delete(&RESOURCES, key);
}

/// What a resource lies below must be there when it is written; the tenant always is.
fn expect_parent(platform: &Platform, parent: Uuid, change: &mut Change) {
    if platform.is_subscription(parent) {
        change.unit.expect_exists(&SUBSCRIPTIONS, subscriptions::key(parent));
    } else if !parent.is_nil() {
        change.unit.expect_exists(&RESOURCES, uid_key(parent));
    }
}

fn row(uid: Uuid, kind: &Kind, parent: Uuid, resource: &Arc<Resource>, extra: RowExtra) -> Result<Put> {
    let columns = vec![
        Some(place(parent, kind.tag, &resource.name)),
        kind.listed.then(|| kind.tag.to_owned()),
        extra.unique_name,
        extra.link,
        extra.lookup,
    ];
    Ok(Put::shared(&RESOURCES, uid_key(uid), columns, resource)?)
}

/// The row of a resource that stands before anybody could act: what the first start makes.
///
/// # Errors
/// Internal, when the document does not serialize.
pub(crate) fn founding_row(uid: Uuid, kind: &Kind, parent: Uuid, resource: Resource, extra: RowExtra) -> Result<Put> {
    row(uid, kind, parent, &Arc::new(resource), extra)
}
