//! DELETE. A resource that owns nothing goes in one unit of work; one that owns others goes by a
//! durable operation over the tree, so that a process that ends half-way leaves no orphans.

use super::context::DeleteContext;
use super::declaration::Scope;
use super::operations::{self, Outcome, Record};
use super::{ArmResponse, Call, activity, types};
use crate::authz::Actor;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, kind};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::{Expect, StoreError};
use ferrohub_wire::etag::EtagCondition;
use serde_json::json;

/// Times a single delete is tried anew after another write was faster.
const RETRIES: usize = 16;

impl Call<'_> {
    pub(super) async fn delete(&self, id: &ResourceId) -> Result<ArmResponse> {
        let store = self.platform.store.as_ref();
        let Some(stored) = resources::get(store, id).await? else {
            if self.decl.behavior.virtual_get(self.platform, id).await?.is_some() {
                return Err(Error::forbidden(format!("'{id}' is built in and cannot be deleted.")));
            }
            if self.decl.key == kind::RESOURCE_GROUP {
                return Err(resources::missing(id));
            }
            return Ok(ArmResponse::new(self.decl.delete.1, None));
        };
        if let Some(text) = &self.request.if_match
            && !EtagCondition::parse(text).allows_match(Some(&stored.resource.etag))
        {
            return Err(Error::precondition(
                "The condition of If-Match is not met: the resource has another ETag. Read it again and repeat.",
            ));
        }
        if self.decl.tree {
            return self.delete_tree(id, &stored).await;
        }
        let row =
            activity::success_row(self.platform, self.request, id, &self.decl.action("delete"), self.decl.delete.0)?;
        // One delete of a kind at a time, for the rules that look at the others, such as "not the last owner".
        let _turn = self.platform.turn(self.decl.key).await;
        for _ in 0..RETRIES {
            let mut change = Change::new();
            change.unit.put(row.clone());
            match delete_one(self.platform, id, Some(&self.request.actor), change).await {
                Ok(()) => return self.deleted(&stored).await,
                Err(error) if error.code == RACE => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::conflict(format!("'{id}' is being changed by others at the same time; try again."))
            .with_code("AnotherOperationInProgress"))
    }

    /// Roles answer with what was deleted (reference: resource-manager.md section 11); everything else without a body.
    async fn deleted(&self, stored: &Stored) -> Result<ArmResponse> {
        let body = match self.decl.scope {
            Scope::Extension => Some(self.render(&stored.resource).await?),
            Scope::Group | Scope::InGroup => None,
        };
        Ok(ArmResponse::new(self.decl.delete.0, body))
    }

    async fn delete_tree(&self, id: &ResourceId, stored: &Stored) -> Result<ArmResponse> {
        if self.decl.key != kind::RESOURCE_GROUP {
            check_delete(self.platform, id, stored).await?;
        }
        let mut change = Change::new();
        change.unit.put(activity::success_row(self.platform, self.request, id, &self.decl.action("delete"), 202)?);
        let record = Record::new(
            self.platform,
            self.request,
            "delete",
            id,
            self.decl.delete.0,
            json!({"uid": stored.resource.uid.to_string()}),
        );
        let operation = operations::start(self.platform, record, change).await?;
        let location = stored.resource.location.as_deref().unwrap_or("global");
        match operations::drive_briefly(self.platform, &operation).await? {
            Outcome::Succeeded => Ok(ArmResponse::new(self.decl.delete.0, None)),
            Outcome::Failed(error) => Err(error),
            Outcome::Running => {
                Ok(operations::accepted(self.platform, self.request, self.decl, location, &operation, &self.version))
            }
        }
    }
}

/// Code of the private error that says: somebody else wrote in between, try again.
pub(super) const RACE: &str = "Race";

fn race() -> Error {
    Error::conflict("another write was faster").with_code(RACE)
}

/// Asks the type whether the resource may go, without doing anything.
async fn check_delete(platform: &Platform, id: &ResourceId, stored: &Stored) -> Result<()> {
    let Some(decl) = types::by_key(&stored.resource.kind) else { return Ok(()) };
    let mut context = DeleteContext { platform, actor: None, id, stored, cascade: false, change: Change::new() };
    decl.behavior.before_delete(&mut context).await
}

/// Deletes one resource that owns no other stored resource, with everything its type hangs on it.
pub(super) async fn delete_one(
    platform: &Platform,
    id: &ResourceId,
    actor: Option<&Actor>,
    change: Change,
) -> Result<()> {
    let store = platform.store.as_ref();
    let Some(stored) = resources::get(store, id).await? else { return Ok(()) };
    let mut context = DeleteContext { platform, actor, id, stored: &stored, cascade: actor.is_none(), change };
    if let Some(decl) = types::by_key(&stored.resource.kind) {
        decl.behavior.purge(platform, &stored).await?;
        decl.behavior.before_delete(&mut context).await?;
    }
    let DeleteContext { mut change, .. } = context;
    if let Some(principal) = stored.resource.identity.as_ref().and_then(|identity| identity.system_principal_id.clone())
    {
        change.unit.delete(&crate::tables::PRINCIPALS, principal);
    }
    remove_assignments(platform, id).await?;
    change.unit.expect_version(&RESOURCES, id.key(), stored.version);
    change.unit.expect(Expect::NoneWith { table: &RESOURCES, column: "parent", value: id.key() });
    change.unit.delete(&RESOURCES, id.key());
    match platform.commit(change).await {
        Ok(_) => {}
        Err(StoreError::Conflict { .. }) => return Err(race()),
        Err(other) => return Err(other.into()),
    }
    match types::by_key(&stored.resource.kind) {
        Some(decl) => decl.behavior.after_delete(platform, &stored).await,
        None => Ok(()),
    }
}

/// Removes the role assignments and definitions that were made on a resource that is about to go, in a unit of their own.
async fn remove_assignments(platform: &Platform, id: &ResourceId) -> Result<()> {
    let mut change = Change::new();
    for child in resources::all_where(platform.store.as_ref(), "parent", &id.key()).await? {
        let child_id = child.id()?;
        if child_id.resource_type().to_lowercase().starts_with("microsoft.authorization/") {
            change.unit.delete(&RESOURCES, child_id.key());
            change.access = true;
        }
    }
    if change.access {
        platform.commit(change).await?;
    }
    Ok(())
}
