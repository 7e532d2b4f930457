//! What the engine hands to a type's hooks.

use super::activity;
use super::declaration::TypeDecl;
use super::request::ArmRequest;
use super::view;
use super::view::View;
use crate::authz::Actor;
use crate::locks::Operation;
use crate::platform::{Change, Platform};
use crate::resources::{Kind, RowExtra, Stored};
use ferrohub_model::error::Result;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Put;
use serde_json::Value;
use uuid::Uuid;

/// A PUT or PATCH about to be written.
pub struct PutContext<'a> {
    /// Engines, keys, roles.
    pub platform: &'a Platform,
    /// Who asks.
    pub actor: &'a Actor,
    /// The request, for rows of the activity log.
    pub request: &'a ArmRequest,
    /// The resource's id as the client wrote it.
    pub id: &'a ResourceId,
    /// The resource's internal id.
    pub uid: Uuid,
    /// The type whose row it is.
    pub kind: &'static Kind,
    /// The resource as it stands.
    pub existing: Option<&'a Stored>,
    /// The parent resource, when the type has one.
    pub parent: Option<&'a Stored>,
    /// The shape in which the client wrote.
    pub view: &'static View,
    /// The body as sent (for PATCH: merged).
    pub body: &'a Value,
    /// The resource as it will be written.
    pub resource: Resource,
    /// The columns of its row.
    pub extra: RowExtra,
    /// The unit of work to which hooks add.
    pub change: Change,
}

impl PutContext<'_> {
    /// Whether the resource is new.
    pub fn is_new(&self) -> bool {
        self.existing.is_none()
    }

    /// The row of the activity log for another write, on `id`, that goes into the same unit.
    ///
    /// # Errors
    /// Internal, when the row does not serialize.
    pub fn told(&self, id: &ResourceId, action: &str) -> Result<Put> {
        activity::of_request(self.platform, self.request, id, action)
    }

    /// Whether the client's shape knows the member at this path, so that leaving it out means something.
    pub fn can_say(&self, path: &str) -> bool {
        view::shows(self.view, path)
    }
}

/// A DELETE about to be written.
pub struct DeleteContext<'a> {
    /// Engines, keys, roles.
    pub platform: &'a Platform,
    /// Who asked for it to go; the worker of whoever did, when it goes with something above, which was checked there.
    pub actor: &'a Actor,
    /// The resource's id.
    pub id: &'a ResourceId,
    /// The resource that goes.
    pub stored: &'a Stored,
    /// Whether the delete comes from the deletion of something above.
    pub cascade: bool,
    /// What lies directly below and goes in the same unit, of types of which one can lie there at a time. Whoever adds to it takes it away in
    /// `change`.
    pub owned: Vec<Stored>,
    /// The unit of work to which hooks add.
    pub change: Change,
}

/// A list request.
pub struct ListContext<'a> {
    /// Engines, keys, roles.
    pub platform: &'a Platform,
    /// Who asks.
    pub actor: &'a Actor,
    /// The resource below which is listed, where it is one.
    pub parent: Option<&'a Stored>,
    /// The scope or parent below which is listed.
    pub scope: &'a ResourceId,
    /// `$filter`, if any.
    pub filter: Option<&'a str>,
}

/// A request on a path below a resource.
pub struct SubContext<'a> {
    /// Engines, keys, roles.
    pub platform: &'a Platform,
    /// Who asks.
    pub actor: &'a Actor,
    /// HTTP method, upper case.
    pub method: &'a str,
    /// The resource's id.
    pub id: &'a ResourceId,
    /// The resource.
    pub stored: &'a Stored,
    /// Path segments below the resource, as sent.
    pub tail: &'a [String],
    /// The body, if any.
    pub body: Option<&'a Value>,
    /// The whole request, for its activity row and its conditions.
    pub request: &'a ArmRequest,
    /// The resource's type.
    pub decl: &'static TypeDecl,
    /// The shape in which the client reads.
    pub view: &'static View,
}

impl SubContext<'_> {
    /// Refuses what a lock stands against of a write or a delete below the resource, and makes `change` hold only as long as no
    /// lock changes.
    ///
    /// # Errors
    /// `ScopeLocked`.
    pub async fn unlocked(&self, change: &mut Change) -> Result<()> {
        let operation = if self.method == "DELETE" { Operation::Delete } else { Operation::Write };
        let locks = self.platform.locks().await?;
        locks.check_path(operation, &format!("{}/{}", self.id, self.tail.join("/")))?;
        locks.expect(change);
        Ok(())
    }

    /// The row of the activity log for this request, answered well with `status`, for the unit of what it does.
    ///
    /// # Errors
    /// Internal, when the row does not serialize.
    pub fn told(&self, status: u16) -> Result<Put> {
        let action = self.decl.sub_action(self.method, self.tail);
        activity::success_row(self.platform, self.request, self.id, &action, status)
    }

    /// Whether the tail is these words, ignoring case; `*` stands for any segment.
    pub fn is(&self, method: &str, words: &[&str]) -> bool {
        self.method == method
            && self.tail.len() == words.len()
            && self.tail.iter().zip(words).all(|(segment, word)| *word == "*" || segment.eq_ignore_ascii_case(word))
    }
}
