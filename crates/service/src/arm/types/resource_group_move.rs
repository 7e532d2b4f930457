//! Moving resources to another group. A resource is one row, and what lies below it or points at it knows its uid
//! ([ADR 0021](../../../../../docs/adr/0021-rows-point-at-uids.md)), so a move is one row written; role assignments go along.

use crate::arm::activity;
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::operation::{self, Lease, StoredOperation};
use crate::arm::operations::{self, OperationOutcome};
use crate::locks::Operation;
use crate::platform::{Change, Platform};
use crate::resources::{self, Scope, Stored, missing};
use crate::subscriptions;
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

/// The action.
pub(super) const MOVE: &str = "moveResources";
/// The action that only looks.
pub(super) const VALIDATE: &str = "validateMoveResources";
/// Right on the group where resources arrive (Azure's documentation of the action names it).
const ARRIVE: &str = "Microsoft.Resources/subscriptions/resourceGroups/write";
/// Resources that move in one unit: ours. As many as that move all or none.
const AT_ONCE: usize = 100;

/// Answers both actions: 204 where nothing is left to do.
pub(super) async fn answer(cx: &SubContext<'_>) -> Result<SubAnswer> {
    let wanted = Wanted::read(cx).await?;
    let moved = wanted.check(cx.platform).await?;
    if cx.is("POST", &[VALIDATE]) {
        return Ok(SubAnswer::Done(204, None));
    }
    let input = json!({
        "target": uid_key(wanted.target),
        "resources": moved.iter().map(Stored::key).collect::<Vec<_>>(),
    });
    let action = cx.decl.action(&format!("{MOVE}/action"));
    let (row, begun) = activity::begin(cx.platform, cx.request, cx.id, &action)?;
    let record = StoredOperation::new(cx.platform, begun, cx.decl.kind.tag, MOVE, cx.id, 204, input);
    let mut change = Change::new();
    change.unit.put(row);
    let operation = operations::start(cx.platform, record, change).await?;
    match operations::drive_briefly(cx.platform, &operation).await? {
        OperationOutcome::Succeeded => Ok(SubAnswer::Written(204, None)),
        // The operation's end is a row of the activity log.
        OperationOutcome::Failed(error) => Err(Error { recorded: true, ..error }),
        OperationOutcome::Settled(_) | OperationOutcome::Running => Ok(SubAnswer::Accepted { operation }),
    }
}

/// Carries a move out, or what is left of it.
pub(super) async fn run(platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
    let uid = |value: Option<&Value>| value.and_then(Value::as_str).and_then(parse_uid_key);
    let unreadable = || Error::internal(format!("move {} names no uids", record.id));
    let target = uid(record.input.get("target")).ok_or_else(unreadable)?;
    let list = record.input.get("resources").and_then(Value::as_array).ok_or_else(unreadable)?;
    let uids: Vec<Uuid> = list.iter().filter_map(|value| uid(Some(value))).collect();
    for (step, some) in uids.chunks(AT_ONCE).enumerate() {
        lease.tell(step * AT_ONCE, uids.len());
        lease.renew(platform).await?;
        let wanted = Wanted { source: ResourceId::parse(&record.resource)?, target, resources: Vec::new() };
        let mut attempts = platform.attempts();
        loop {
            attempts.begin(|| contended(&wanted.source)).await?;
            if wanted.step(platform, some).await? {
                break;
            }
        }
    }
    Ok(())
}

/// What shall move, and where to.
struct Wanted {
    source: ResourceId,
    target: Uuid,
    resources: Vec<ResourceId>,
}

impl Wanted {
    async fn read(cx: &SubContext<'_>) -> Result<Self> {
        let body = cx.body.unwrap_or(&Value::Null);
        let text = body.get("targetResourceGroup").and_then(Value::as_str).unwrap_or_default();
        let target = ResourceId::parse(text).ok().filter(|id| id.resource_group.is_some() && id.providers.is_empty());
        let Some(target) = target else {
            return Err(Error::invalid_property(
                "targetResourceGroup",
                "'targetResourceGroup' is the id of a resource group: /subscriptions/{id}/resourceGroups/{name}.",
            ));
        };
        subscriptions::require(cx.platform, target.subscription.as_deref().unwrap_or_default())?;
        let resources = listed(body.get("resources"), cx.id)?;
        if target.same(cx.id) {
            return Err(refused(format!("The source and target resource groups are the same: '{target}'.")));
        }
        cx.platform.authorize(cx.actor, ARRIVE, &target)?;
        let Some(group) = resources::get(cx.platform, &target).await? else {
            let mut error = missing(&target);
            error.kind = ErrorKind::Invalid;
            return Err(error.with_target("targetResourceGroup"));
        };
        Ok(Self { source: cx.id.clone(), target: group.uid, resources })
    }

    /// Everything that stands against the move; gives what would move.
    async fn check(&self, platform: &Platform) -> Result<Vec<Stored>> {
        let mut moved = Vec::with_capacity(self.resources.len());
        for id in &self.resources {
            check_type(platform, id)?;
            moved.push(resources::require(platform, id).await?);
        }
        let target = self.arrival(platform).await?;
        self.may_move(platform, &moved, &target, &mut Change::new()).await?;
        Ok(moved)
    }

    /// Moves these, or those of them that are not moved yet; `false` when somebody else wrote meanwhile.
    async fn step(&self, platform: &Platform, uids: &[Uuid]) -> Result<bool> {
        let target = self.arrival(platform).await?;
        let (mut left, mut gone) = (Vec::new(), false);
        for uid in uids {
            match resources::by_uid(platform, *uid).await? {
                Some(stored) if stored.parent == target.uid => {}
                Some(stored) => left.push(stored),
                None => gone = true,
            }
        }
        if left.is_empty() {
            // What was deleted by itself needs no move; what went with its group did not leave it before.
            if gone {
                self.source_stays(platform).await?;
            }
            return Ok(true);
        }
        let mut change = Change::new();
        self.may_move(platform, &left, &target, &mut change).await?;
        for stored in &left {
            resources::relocate(stored, target.uid, &mut change)?;
        }
        platform.try_commit(change).await
    }

    /// The group where resources leave, which is not being deleted.
    async fn source_stays(&self, platform: &Platform) -> Result<Stored> {
        let source = resources::require(platform, &self.source).await?;
        if source.is_going() { Err(resources::group_going(&source.id)) } else { Ok(source) }
    }

    async fn arrival(&self, platform: &Platform) -> Result<Stored> {
        let group = resources::by_uid(platform, self.target).await?;
        group.ok_or_else(|| refused("The target resource group was deleted meanwhile."))
    }

    /// Whether the groups stay, the resources are settled, nothing is locked, and their names are free where they arrive.
    /// The unit then holds only as long as the groups and the locks do not change.
    async fn may_move(
        &self,
        platform: &Platform,
        moved: &[Stored],
        target: &Stored,
        change: &mut Change,
    ) -> Result<()> {
        let source = self.source_stays(platform).await?;
        if target.is_going() {
            return Err(resources::group_going(&target.id));
        }
        for group in [&source, target] {
            change.unit.expect_version(&RESOURCES, group.key(), group.version);
        }
        let locks = platform.locks().await?;
        locks.check(Operation::Write, &target.id)?;
        locks.expect(change);
        for stored in moved {
            locks.check(Operation::Delete, &stored.id)?;
            if stored.is_going() || operation::is_running(platform, &stored.id).await? {
                return Err(Error::conflict(format!(
                    "'{}' cannot be moved while it is being deleted or an operation on it is running; wait for its end.",
                    stored.id
                ))
                .with_code("MoveCannotProceedWithResourcesNotInSucceededState"));
            }
            if resources::named(platform, stored.kind, target.uid, &target.id, stored.name()).await?.is_some() {
                return Err(Error::conflict(format!(
                    "The target resource group '{}' has a resource '{}' of type '{}' already.",
                    target.name(),
                    stored.name(),
                    stored.full_type()
                ))
                .with_code("ResourceMoveFailed")
                .with_target(stored.id.to_string()));
            }
        }
        Ok(())
    }
}

/// The resources of a body: some, not too many, each of the group and named once.
fn listed(sent: Option<&Value>, group: &ResourceId) -> Result<Vec<ResourceId>> {
    let list = sent.and_then(Value::as_array).filter(|list| !list.is_empty() && list.len() <= limits::MOVED_RESOURCES);
    let Some(list) = list else {
        return Err(Error::invalid_property(
            "resources",
            format!("'resources' is a list of 1 to {} resource ids.", limits::MOVED_RESOURCES),
        ));
    };
    let (mut seen, mut ids) = (HashSet::new(), Vec::with_capacity(list.len()));
    for (index, text) in list.iter().enumerate() {
        let id = ResourceId::parse(text.as_str().unwrap_or_default())
            .map_err(|error| error.with_target(format!("resources[{index}]")))?;
        let theirs = id.subscription.as_deref().zip(id.resource_group.as_deref());
        if !theirs.is_some_and(|(subscription, name)| ResourceId::group(subscription, name).same(group)) {
            return Err(refused(format!(
                "The resources being moved must all reside in the resource group of the request, '{group}': '{id}' does not."
            )));
        }
        if seen.insert(id.key()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Only what lies in the group itself moves; the rest goes along with what it lies below.
fn check_type(platform: &Platform, id: &ResourceId) -> Result<()> {
    let decl = platform.kinds.of(id).and_then(|kind| platform.types.tagged(kind.tag));
    let Some(decl) = decl.filter(|decl| decl.kind.scope == Scope::InGroup && decl.tracked) else {
        return Err(refused(format!(
            "'{id}' cannot be moved: resources of type '{}' do not lie in a group by themselves.",
            id.resource_type()
        )));
    };
    if decl.kind.is_nested() {
        return Err(refused(format!(
            "'{id}' cannot be moved by itself: it goes along with the resource that it lies below. Leave it out."
        )));
    }
    Ok(())
}

fn refused(why: impl Into<String>) -> Error {
    Error::invalid(why).with_code("CannotMoveResource")
}

fn contended(group: &ResourceId) -> Error {
    Error::conflict(format!("'{group}' is being changed by others at the same time; try again."))
        .with_code("AnotherOperationInProgress")
}
