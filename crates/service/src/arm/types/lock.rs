//! Management locks (`Microsoft.Authorization/locks`): rows at what they lock, so that they go along when it moves.

use crate::arm::context::{DeleteContext, ListContext, PutContext};
use crate::arm::declaration::{Behavior, NameRule, TypeDecl, View};
use crate::arm::schema::{Check, Property, acted, descriptive};
use crate::locks::{CAN_NOT_DELETE, READ_ONLY};
use crate::resources::{self, Kind, Scope, Stored, tag};
use crate::tables::RESOURCES;
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_wire::odata::{Asked, Filter, Terms};

/// The declaration (reference: resource-manager.md section 10).
pub(super) static DECL: TypeDecl = TypeDecl {
    name: NameRule {
        min: 1,
        max: 260,
        legal: |name| !name.chars().any(|c| c.is_control() || "<>%&:\\?/".contains(c)),
        text: "none of < > % & : \\ ? / and no control characters",
    },
    properties: PROPERTIES,
    filtered: true,
    lockable: false,
    behavior: &Lock,
    ..TypeDecl::new(
        Kind { scope: Scope::Extension, listed: true, ..Kind::new(tag::LOCK, "Microsoft.Authorization", &["locks"]) },
        &["2015-01-01", "2015-06-01", "2016-09-01", "2017-04-01", "2020-05-01"],
        &[
            View::hiding("2015-01-01", Some("2017-04-01"), &["systemData", "etag", "location"]),
            View::hiding("2020-05-01", None, &["etag", "location"]),
        ],
    )
};

const LEVELS: &[&str] = &[CAN_NOT_DELETE, READ_ONLY];
const OWNER: Check =
    Check::Members(&[descriptive("applicationId", Check::Text(64), "an application that whoever made the lock names")]);
/// Owners of one lock: ours.
const OWNERS: usize = 20;
const PROPERTIES: &[Property] = &[
    acted("level", Check::OneOf(LEVELS)),
    descriptive("notes", Check::Text(512), "why it is locked, for whoever finds it so"),
    descriptive("owners", Check::Each(&OWNER, OWNERS), "who may be asked about it"),
];

struct Lock;

#[async_trait]
impl Behavior for Lock {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let named = cx.resource.text(&["level"]).unwrap_or_default();
        let Some(level) = LEVELS.iter().find(|level| level.eq_ignore_ascii_case(named)) else {
            return Err(Error::invalid_property(
                "properties.level",
                format!("A lock needs a 'level': {}.", LEVELS.join(" or ")),
            ));
        };
        cx.resource.properties.insert("level".into(), (*level).into());
        let scope = cx.id.parent().unwrap_or_else(|| cx.id.clone());
        expect_staying(cx, &scope).await?;
        if cx.is_new() {
            check_room(cx, &scope).await?;
        }
        cx.change.locks = true;
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        // One that was made while what it locks is going: it is not swept away.
        if cx.cascade {
            return Err(Error::conflict("it is a lock; remove it first").with_code("ScopeLocked"));
        }
        cx.change.locks = true;
        Ok(())
    }

    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let wanted = Filter::parse(cx.filter.unwrap_or_default(), &TERMS)?;
        let mut found = Vec::new();
        for stored in resources::every(cx.platform, tag::LOCK).await? {
            let scopes = resources::ids_of(cx.platform, stored.parent).await?;
            let asked = Placed { above: scopes.iter().any(|scope| cx.scope.is_within(scope)) };
            let listed = match &wanted {
                Some(filter) => filter.matches(&asked),
                None => scopes.iter().any(|scope| scope.is_within(cx.scope)),
            };
            if listed {
                found.push(stored);
            }
        }
        Ok(Some(found))
    }
}

/// `$filter` of a list: none = at the scope and below it; `atScope()` = what stands against a change of it, at it and above.
static TERMS: Terms = Terms { fields: &[], marks: &["atScope"] };

struct Placed {
    /// Whether the lock is made at the scope, or above.
    above: bool,
}

impl Asked for Placed {
    fn values(&self, _field: &str) -> Vec<String> {
        Vec::new()
    }

    fn holds(&self, _mark: &str, argument: Option<&str>) -> bool {
        argument.is_none() && self.above
    }
}

/// The scope must be there and nothing above it be going. What is marked while it goes is expected as it was read: a delete
/// that marks it meanwhile wins, and one that comes later sees the lock.
async fn expect_staying(cx: &mut PutContext<'_>, scope: &ResourceId) -> Result<()> {
    if scope.subscription.is_none() {
        return Err(Error::invalid("Locks are made at a subscription, a resource group or a resource.")
            .with_code("InvalidScope"));
    }
    let mut above = Some(scope.clone());
    while let Some(id) = above.filter(|id| id.resource_group.is_some()) {
        let stored = resources::require(cx.platform, &id).await?;
        if stored.is_going() {
            return Err(Error::conflict(format!("'{id}' is being deleted and cannot be locked."))
                .with_code("ResourceBeingDeleted"));
        }
        if cx.platform.types.tagged(stored.kind.tag).is_some_and(|decl| decl.marked) {
            cx.change.unit.expect_version(&RESOURCES, stored.key(), stored.version);
        }
        above = id.parent();
    }
    Ok(())
}

async fn check_room(cx: &PutContext<'_>, scope: &ResourceId) -> Result<()> {
    let Some(uid) = resources::uid_of(cx.platform, scope).await? else { return Err(resources::missing(scope)) };
    let most = limits::LOCKS_OF_SCOPE;
    let there = resources::children_page(cx.platform, uid, scope, Some(tag::LOCK), None, most).await?;
    if there.len() < most {
        return Ok(());
    }
    Err(Error::conflict(format!("'{scope}' has {most} locks, and a scope has no more; one is enough."))
        .with_code("LockLimitExceeded"))
}
