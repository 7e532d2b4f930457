//! DELETE. A resource that owns nothing goes in one unit of work; one that owns others goes by a
//! durable operation over the tree, so that a process that ends half-way leaves no orphans.

use super::activity;
use super::call::Call;
use super::operation::{DELETE, StoredOperation};
use super::operations::{self, Outcome};
use super::remove::{RACE, check_delete, delete_one};
use super::request::ArmResponse;
use super::write::contended;
use crate::platform::Change;
use crate::resources::{self, Stored};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use ferrohub_wire::etag::EtagCondition;
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
        self.require_if_match(&stored)?;
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
        let _turn = self.platform.turn(self.decl.kind.tag).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(id)).await?;
            let mut change = Change::new();
            change.unit.put(row.clone());
            match delete_one(self.platform, self.decl, &stored, &self.request.actor, change).await {
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

    async fn delete_tree(&self, id: &ResourceId, stored: &Stored) -> Result<ArmResponse> {
        check_delete(self.platform, &self.request.actor, self.decl, stored).await?;
        let mut change = Change::new();
        change.unit.put(activity::success_row(self.platform, self.request, id, &self.decl.action("delete"), 202)?);
        let record = StoredOperation::new(
            self.platform,
            self.request,
            self.decl.kind.tag,
            DELETE,
            id,
            self.decl.delete.0,
            json!({"uid": uid_key(stored.uid)}),
        );
        let operation = operations::start(self.platform, record, change).await?;
        let location = stored.resource.location.as_deref().unwrap_or("global");
        match operations::drive_briefly(self.platform, &operation).await? {
            Outcome::Succeeded => Ok(ArmResponse::new(self.decl.delete.0, None)),
            // The operation's end is a row of the activity log.
            Outcome::Failed(error) => Err(Error { recorded: true, ..error }),
            Outcome::Settled(failure) => Ok(failure.answer()),
            Outcome::Running => {
                Ok(operations::accepted(self.platform, self.request, self.decl, location, &operation, &self.version))
            }
        }
    }
}
