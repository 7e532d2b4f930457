//! DELETE. A resource that owns nothing goes in one unit of work; one that owns others goes by a
//! durable operation over the tree, so that a process that ends half-way leaves no orphans.

use super::context::DeleteContext;
use super::operations::{self, Outcome, Record};
use super::{ArmResponse, Call, activity, types};
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, kind};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::{Expect, Page, StoreError};
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
        for _ in 0..RETRIES {
            let mut change = Change::new();
            change.unit.put(row.clone());
            match delete_one(self.platform, id, false, change).await {
                Ok(()) => return Ok(ArmResponse::new(self.decl.delete.0, None)),
                Err(error) if error.code == RACE => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::conflict(format!("'{id}' is being changed by others at the same time; try again."))
            .with_code("AnotherOperationInProgress"))
    }

    async fn delete_tree(&self, id: &ResourceId, stored: &Stored) -> Result<ArmResponse> {
        if self.decl.key != kind::RESOURCE_GROUP {
            check_delete(self.platform, id, stored).await?;
        }
        let mut change = Change::new();
        change.unit.put(activity::success_row(self.platform, self.request, id, &self.decl.action("delete"), 202)?);
        let record = Record::new(self.platform, self.request, "delete", id, self.decl.delete.0, json!({}));
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
const RACE: &str = "Race";

fn race() -> Error {
    Error::conflict("another write was faster").with_code(RACE)
}

/// Asks the type whether the resource may go, without doing anything.
async fn check_delete(platform: &Platform, id: &ResourceId, stored: &Stored) -> Result<()> {
    let Some(decl) = types::by_key(&stored.resource.kind) else { return Ok(()) };
    let mut context = DeleteContext { platform, id, stored, cascade: false, change: Change::new() };
    decl.behavior.before_delete(&mut context).await
}

/// Deletes one resource that owns no other stored resource, with everything its type hangs on it.
async fn delete_one(platform: &Platform, id: &ResourceId, cascade: bool, change: Change) -> Result<()> {
    let store = platform.store.as_ref();
    let Some(stored) = resources::get(store, id).await? else { return Ok(()) };
    let mut context = DeleteContext { platform, id, stored: &stored, cascade, change };
    if let Some(decl) = types::by_key(&stored.resource.kind) {
        decl.behavior.purge(platform, &stored).await?;
        decl.behavior.before_delete(&mut context).await?;
    }
    let DeleteContext { mut change, .. } = context;
    if let Some(principal) = stored.resource.identity.as_ref().and_then(|identity| identity.system_principal_id.clone())
    {
        change.unit.delete(&crate::tables::PRINCIPALS, principal);
    }
    change.unit.expect_version(&RESOURCES, id.key(), stored.version);
    change.unit.expect(Expect::NoneWith { table: &RESOURCES, column: "parent", value: id.key() });
    change.unit.delete(&RESOURCES, id.key());
    match platform.commit(change).await {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict { .. }) => Err(race()),
        Err(other) => Err(other.into()),
    }
}

/// The step of a delete operation: removes everything below the target, deepest first, then the target.
/// Safe to run again at any point.
pub(super) async fn run(platform: &Platform, record: &Record, lease: &mut operations::Lease) -> Result<()> {
    let target = ResourceId::parse(&record.resource)?;
    let group = target.providers.is_empty();
    if group {
        mark_group(platform, &target, "Deleting").await?;
    }
    let outcome = run_tree(platform, &target, lease).await;
    if group && outcome.is_err() {
        mark_group(platform, &target, "Succeeded").await?;
    }
    outcome
}

async fn run_tree(platform: &Platform, target: &ResourceId, lease: &mut operations::Lease) -> Result<()> {
    loop {
        let refused = delete_below(platform, target, lease).await?;
        match delete_one(platform, target, false, Change::new()).await {
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
    target: &ResourceId,
    lease: &mut operations::Lease,
) -> Result<Vec<(String, String)>> {
    loop {
        let mut below = list_below(platform, target).await?;
        below.sort_by_key(|id| std::cmp::Reverse(id.key().matches('/').count()));
        let mut refused = Vec::new();
        let mut progress = false;
        for id in &below {
            lease.renew(platform).await?;
            match delete_one(platform, id, true, Change::new()).await {
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
            ids.push(resources::from_row(row)?.id()?);
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

/// Sets the state of a group, so that nothing new is made in it while it goes.
async fn mark_group(platform: &Platform, id: &ResourceId, state: &str) -> Result<()> {
    for _ in 0..RETRIES {
        let Some(row) = platform.store.get(&RESOURCES, &id.key()).await? else { return Ok(()) };
        let extra = resources::RowExtra::of(&row);
        let mut stored = resources::from_row(row)?;
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
