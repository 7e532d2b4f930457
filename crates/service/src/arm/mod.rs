//! The ARM engine. A resource type is declared in one file under `types/`; everything that types
//! share happens here, once: parse the path, choose the view, authorize, check ETags, write one
//! unit of work with its activity row, answer with the type's own success code.

mod access;
mod actions;
pub mod activity;
mod body;
mod builtin;
mod call;
pub mod context;
pub mod declaration;
mod delete;
mod filter;
mod identity;
mod listing;
mod members;
pub mod metadata;
mod name_check;
mod not_built;
pub mod operation;
pub mod operations;
mod path;
mod providers;
pub(crate) mod query;
pub(crate) mod read;
pub mod region;
mod remove;
pub(crate) mod render;
pub mod request;
pub mod schema;
mod subject;
mod subscription;
mod tag_names;
mod tag_scope;
mod tags;
mod tree;
pub mod types;
mod usages;
pub mod view;
mod write;

pub use actions::declared_actions;
pub use builtin::routes;
pub use request::{ArmRequest, ArmResponse, Client};

use crate::audit::{self, AuditEvent, Kind};
use crate::authz::{self, Plane};
use crate::locks::Operation;
use crate::platform::Platform;
use crate::resources;
use crate::subscriptions;
use call::Call;
use declaration::SubAnswer;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;
use path::Target;
use std::sync::Arc;

/// Resource Manager.
pub struct Engine {
    platform: Arc<Platform>,
}

impl Engine {
    /// The engine over `platform`.
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }

    /// Answers a request. A write that fails, whatever answered it, leaves a row in the activity log.
    ///
    /// # Errors
    /// The product's error, to be shown in ARM's shape.
    pub async fn handle(&self, request: ArmRequest) -> Result<ArmResponse> {
        match self.answer(&request).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.refused(&request, error).await),
        }
    }

    /// The error of a request that failed, told to the activity log where it was a write. Also for those that fail before
    /// they are a request of ours: whose body cannot be read.
    pub async fn refused(&self, request: &ArmRequest, error: Error) -> Error {
        if is_write(&request.method)
            && !error.recorded
            && let Some((id, action)) = subject::of(&self.platform, &request.method, &request.path)
        {
            activity::record_failure(&self.platform, request, &id, &action, &error).await;
        }
        error
    }

    async fn answer(&self, request: &ArmRequest) -> Result<ArmResponse> {
        let segments = path::segments(&request.path)?;
        self.platform.refresh_access().await?;
        if let Some(answer) = builtin::answer(&self.platform, request, &segments).await? {
            return Ok(answer);
        }
        let target = path::resolve(&self.platform.types, &segments);
        if !is_served(request, &target)
            && let Some(refusal) = not_built::refusal(&self.platform.types, &segments)
        {
            if let [word, subscription, ..] = segments.as_slice()
                && word.eq_ignore_ascii_case("subscriptions")
            {
                subscriptions::require(&self.platform, subscription)?;
            }
            return Err(refusal);
        }
        let Some(target) = target? else { return Err(not_served(request)) };
        if let Some(subscription) = &target.id().subscription {
            subscriptions::require(&self.platform, subscription)?;
        }
        self.typed(request, &target).await
    }

    /// The error of a path for something of Azure's that is not built, whatever is sent to it; `None` for what is served.
    pub fn unbuilt(&self, path: &str) -> Option<Error> {
        let segments = path::segments(path).ok()?;
        match path::resolve(&self.platform.types, &segments) {
            Ok(Some(_)) => None,
            Ok(None) | Err(_) => not_built::refusal(&self.platform.types, &segments),
        }
    }

    async fn typed(&self, request: &ArmRequest, target: &Target) -> Result<ArmResponse> {
        let decl = match target {
            Target::Resource { decl, .. } | Target::Collection { decl, .. } | Target::Sub { decl, .. } => *decl,
        };
        let version = query::version(request)?;
        let view = decl.view(&version, None)?;
        let call = Call { platform: &self.platform, request, decl, view, version, asked: target.id() };
        let action = target.action(&request.method);
        let asked_at = decl.behavior.asked_at(&self.platform, target.id());
        let asked_at = asked_at.as_ref().unwrap_or(target.id());
        if let Err(refusal) = call.platform.authorize(&request.actor, &action, asked_at) {
            return Err(self.grantable(refusal, request, &action, target));
        }
        if decl.read_only && matches!(target, Target::Resource { .. }) && is_write(&request.method) {
            return Err(Error::new(
                ErrorKind::MethodNotAllowed,
                "MethodNotAllowed",
                format!("Resources of type '{}' are made and removed by the server; clients read them.", decl.full()),
            ));
        }
        let home = at_home(&self.platform, target);
        match (request.method.as_str(), home.as_ref().unwrap_or(target)) {
            ("GET", Target::Resource { id, .. }) => call.get(id).await,
            ("HEAD", Target::Resource { id, .. }) => call.head(id).await,
            ("PUT", Target::Resource { id, .. }) => call.put(id).await,
            ("PATCH", Target::Resource { id, .. }) => call.patch(id).await,
            ("DELETE", Target::Resource { id, .. }) => call.delete(id).await,
            ("GET", Target::Collection { scope, .. }) => call.list(scope).await,
            (_, Target::Sub { id, tail, .. }) => call.sub(id, tail).await,
            (method, _) => Err(Error::new(
                ErrorKind::MethodNotAllowed,
                "MethodNotAllowed",
                format!("The method {method} is not possible on '{}'.", request.path),
            )),
        }
    }
}

impl Engine {
    /// The refusal with a grant that can be made: what is to be created does not exist yet, so the right is granted on
    /// what is above it; rights on roles are granted on the scope of the roles.
    fn grantable(&self, refusal: Error, request: &ArmRequest, action: &str, target: &Target) -> Error {
        let scope = target.id();
        let extension = matches!(target, Target::Resource { decl, .. } if decl.is_extension());
        let above = match scope.parent() {
            Some(parent) if request.method == "PUT" || extension => parent,
            _ => return refusal,
        };
        authz::denied(&self.platform.access(), &request.actor, Plane::Control, action, scope, &above)
    }
}

/// The target with the id under which it is stored, where that is another one: a role definition is one, whatever scope it
/// is reached through.
fn at_home(platform: &Platform, target: &Target) -> Option<Target> {
    let Target::Resource { decl, id } = target else { return None };
    decl.behavior.home(platform, id).map(|id| Target::Resource { decl, id })
}

/// Whether a declared type answers, be it with a refusal.
fn is_served(request: &ArmRequest, target: &Result<Option<Target>>) -> bool {
    match target {
        Ok(Some(Target::Sub { decl, tail, .. })) => decl.serves(&request.method, tail),
        Ok(Some(_)) => true,
        Ok(None) | Err(_) => false,
    }
}

/// The error for a path that nothing declares.
fn not_served(request: &ArmRequest) -> Error {
    let shown: String = request.path.chars().take(200).collect();
    Error::not_found(format!(
        "Ferrohub serves nothing at '{shown}'. It serves subscriptions, resource groups, Microsoft.Authorization roles, user-assigned identities, Microsoft.DeviceRegistry and Microsoft.Devices."
    ))
    .with_code("NotFound")
}

/// Whether requests with this method are written to the activity log.
fn is_write(method: &str) -> bool {
    matches!(method, "PUT" | "PATCH" | "DELETE" | "POST")
}

/// Whether an action is one that answers with keys.
fn shows_keys(action: &str) -> bool {
    action.split('/').rev().nth(1).is_some_and(|name| name.to_ascii_lowercase().starts_with("listkeys"))
}

fn keys_read(request: &ArmRequest, id: &ResourceId, action: &str) -> AuditEvent {
    let event = AuditEvent::by(Kind::KeysRead, &request.actor, id.to_string()).what(action);
    let (request_id, correlation_id) = (Some(request.request_id), Some(request.correlation_id));
    AuditEvent { request_id, correlation_id, ..event.from(request.client.address) }
}

impl Call<'_> {
    /// Refuses what a lock stands against: a ReadOnly one against every action, as Azure's does against `listkeys`.
    async fn unlocked_below(&self, id: &ResourceId, tail: &[String]) -> Result<()> {
        let operation = match self.request.method.as_str() {
            "GET" | "HEAD" => return Ok(()),
            "DELETE" => Operation::Delete,
            _ => Operation::Write,
        };
        self.platform.locks().await?.check_path(operation, &format!("{id}/{}", tail.join("/")))
    }

    /// Puts the answer of a sub-path into its HTTP shape.
    async fn sub(&self, id: &ResourceId, tail: &[String]) -> Result<ArmResponse> {
        if let Some(first) = self.decl.first_with(tail).filter(|first| self.version.cmp_declared(first).is_lt()) {
            return Err(self.decl.too_old(&self.version, tail, first));
        }
        let stored = resources::require(self.platform, id).await?;
        self.unlocked_below(id, tail).await?;
        let context = context::SubContext {
            platform: self.platform,
            actor: &self.request.actor,
            method: &self.request.method,
            id,
            stored: &stored,
            tail,
            body: self.request.body.as_ref(),
            request: self.request,
            decl: self.decl,
            view: self.view,
        };
        let answer = match self.decl.serves(&self.request.method, tail) {
            true => self.decl.behavior.sub(&context).await?,
            false => None,
        };
        let answer = answer.ok_or_else(|| {
            Error::new(
                ErrorKind::NotImplemented,
                "NotImplemented",
                format!(
                    "Ferrohub does not serve '{} .../{}' on resources of type '{}'.",
                    self.request.method,
                    tail.join("/"),
                    self.decl.full()
                ),
            )
        })?;
        match answer {
            SubAnswer::Done(status, body) => {
                if self.request.method != "GET" {
                    let done = Target::Sub { decl: self.decl, id: id.clone(), tail: tail.to_vec() };
                    let action = done.action(&self.request.method);
                    activity::record_success(self.platform, self.request, id, &action, status).await?;
                    if shows_keys(&action) {
                        audit::note(self.platform, keys_read(self.request, id, &action));
                    }
                }
                Ok(ArmResponse::new(status, body))
            }
            SubAnswer::Written(status, body) => Ok(ArmResponse::new(status, body)),
            SubAnswer::Accepted { operation } => {
                let location = stored.resource.location.as_deref().unwrap_or("global");
                Ok(operations::accepted(self.platform, self.request, self.decl, location, &operation, &self.version))
            }
        }
    }
}
