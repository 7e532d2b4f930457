//! DELETE. A resource that owns nothing goes in one unit of work; one that owns others goes by a
//! durable operation over the tree, so that a process that ends half-way leaves no orphans.

use super::activity;
use super::call::Call;
use super::operation::{DELETE, StoredOperation};
use super::operations::{self, OperationOutcome};
use super::remove::{RACE, check_delete, delete_one};
use super::request::ArmResponse;
use crate::platform::Change;
use crate::resources::{self, Stored};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use serde_json::json;

impl Call<'_> {
    pub(super) async fn delete(&self, id: &ResourceId) -> Result<ArmResponse> {
        let Some(stored) = resources::get(self.platform, id).await? else {
            if self.decl.behavior.virtual_get(self.platform, id).await?.is_some() {
                return Err(Error::forbidden(format!("'{id}' is built in and cannot be deleted.")));
            }
            if self.decl.delete.1 == 404 {
                return Err(resources::missing(id));
            }
            return Ok(ArmResponse::new(self.decl.delete.1, None));
        };
        if self.decl.tree {
            return self.delete_tree(stored).await;
        }
        let row =
            activity::success_row(self.platform, self.request, id, &self.decl.action("delete"), self.decl.delete.0)?;
        // One delete of a kind at a time, for the rules that look at the others, such as "not the last owner".
        let _turn = self.platform.turn(self.decl.kind.tag).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| resources::contended(id)).await?;
            let mut change = Change::new();
            change.unit.put(row.clone());
            match delete_one(self.platform, self.decl, &stored, &self.request.actor, Some(self), change).await {
                Ok(()) => return self.deleted(&stored).await,
                Err(error) if error.code == RACE => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Roles answer with what was deleted (reference: resource-manager.md section 11); everything else without a body.
    async fn deleted(&self, stored: &Stored) -> Result<ArmResponse> {
        let body = if self.decl.delete_answers { Some(self.render(stored).await?) } else { None };
        Ok(ArmResponse::new(self.decl.delete.0, body))
    }

    async fn delete_tree(&self, mut stored: Stored) -> Result<ArmResponse> {
        let id = stored.id.clone();
        let mut attempts = self.platform.attempts();
        let operation = loop {
            attempts.begin(|| resources::contended(&id)).await?;
            let mut change = Change::new();
            self.may_delete(&stored, &mut change).await?;
            check_delete(self.platform, &self.request.actor, self.decl, &stored).await?;
            if self.request.if_match.is_some() || self.request.if_none_match.is_some() {
                change.unit.expect_version(&RESOURCES, stored.key(), stored.version);
            }
            let (action, status) = (self.decl.action("delete"), self.decl.delete.0);
            let (row, begun) = activity::begin(self.platform, self.request, &id, &action)?;
            change.unit.put(row);
            let (tag, input) = (self.decl.kind.tag, json!({"uid": uid_key(stored.uid)}));
            let record = StoredOperation::new(self.platform, begun, tag, DELETE, &id, status, input);
            change.unit.put(record.put()?);
            if self.platform.try_commit(change).await? {
                break record.id;
            }
            let Some(now) = resources::by_uid(self.platform, stored.uid).await? else {
                return Ok(ArmResponse::new(status, None));
            };
            stored = now;
        };
        let location = stored.resource.location.as_deref().unwrap_or("global");
        match operations::drive_briefly(self.platform, &operation).await? {
            OperationOutcome::Succeeded => Ok(ArmResponse::new(self.decl.delete.0, None)),
            // The operation's end is a row of the activity log.
            OperationOutcome::Failed(error) => Err(Error { recorded: true, ..error }),
            OperationOutcome::Settled(failure) => Ok(failure.answer()),
            OperationOutcome::Running => {
                Ok(operations::accepted(self.platform, self.request, self.decl, location, &operation, &self.version))
            }
        }
    }
}
