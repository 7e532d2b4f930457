//! GET, HEAD and lists.

use super::call::Call;
use super::context::ListContext;
use super::declaration::Shown;
use super::query::{self, decode_token, next_link};
use super::request::ArmResponse;
use crate::resources::{self, Face, Scope, Stored};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Map, Value};

impl Call<'_> {
    pub(super) async fn get(&self, id: &ResourceId) -> Result<ArmResponse> {
        query::check(self.request, &[])?;
        let stored = self.find(id).await?;
        let mut answer = ArmResponse::new(200, Some(self.render(&stored).await?));
        answer.headers.push(("ETag", format!("\"{}\"", stored.resource.etag)));
        Ok(answer)
    }

    pub(super) async fn head(&self, id: &ResourceId) -> Result<ArmResponse> {
        let there = resources::get(self.platform, id).await?.is_some()
            || self.decl.behavior.virtual_get(self.platform, id).await?.is_some();
        Ok(ArmResponse::new(if there { 204 } else { 404 }, None))
    }

    async fn find(&self, id: &ResourceId) -> Result<Stored> {
        if let Some(stored) = resources::get(self.platform, id).await? {
            return match self.decl.behavior.shown(self.asked, &stored) {
                Shown::Not => Err(resources::missing(self.asked)),
                Shown::AsStored | Shown::As(_) => Ok(stored),
            };
        }
        if let Some(stored) = self.decl.behavior.virtual_get(self.platform, id).await? {
            return Ok(stored);
        }
        if let Some(group) = group_of(id)
            && self.decl.kind.scope != Scope::Group
        {
            resources::require(self.platform, &group).await?;
        }
        Err(resources::missing(id))
    }

    pub(super) async fn list(&self, scope: &ResourceId) -> Result<ArmResponse> {
        query::check(self.request, if self.decl.filtered { query::FILTERED } else { query::PAGED })?;
        let parent = self.list_parent(scope).await?;
        let context = ListContext {
            platform: self.platform,
            actor: &self.request.actor,
            parent: parent.as_ref(),
            scope,
            filter: self.request.query("$filter").filter(|f| !f.is_empty()),
        };
        let (found, next) = match self.decl.behavior.list(&context).await? {
            Some(all) => query::page(self.request, all)?,
            None => {
                let (found, after) = self.page(scope, parent.as_ref()).await?;
                (found, after.map(|after| next_link(self.request, &after)))
            }
        };
        let mut value = Vec::with_capacity(found.len());
        for stored in &found {
            value.push(self.render(stored).await?);
        }
        Ok(envelope(value, next))
    }

    /// What is listed below, where it is a resource or a group; it must exist.
    async fn list_parent(&self, scope: &ResourceId) -> Result<Option<Stored>> {
        if self.decl.is_extension() {
            return Ok(None);
        }
        if !scope.providers.is_empty() || scope.resource_group.is_some() {
            return resources::require(self.platform, scope).await.map(Some);
        }
        if self.decl.kind.listed {
            return Ok(None);
        }
        Err(Error::invalid(format!("Resources of type '{}' are listed below their parent.", self.decl.full()))
            .with_code("InvalidRequestUri"))
    }

    /// One page of the type's resources below `scope`: children in the order of their names, those of a subscription in
    /// the order in which they were made. Neither walks the devices of a namespace to list hubs.
    async fn page(&self, scope: &ResourceId, parent: Option<&Stored>) -> Result<(Vec<Stored>, Option<String>)> {
        let top = query::top(self.request)?.unwrap_or(limits::ARM_PAGE).min(limits::ARM_PAGE);
        let after = self.request.query("$skipToken").filter(|token| !token.is_empty()).map(decode_token).transpose()?;
        let Some(parent) = parent else { return self.listed_page(scope, after, top).await };
        let face = self.decl.kind.face.and_then(Face::every);
        let tag = Some(face.unwrap_or(self.decl.kind.tag));
        let mut found =
            resources::children_page(self.platform, parent.uid, &parent.id, tag, after.as_deref(), top + 1).await?;
        if face.is_some() {
            found.iter_mut().for_each(|stored| stored.id = self.decl.kind.child_of(&parent.id, stored.name()));
        }
        let more = found.len() > top;
        found.truncate(top);
        let next = found.last().filter(|_| more).map(|last| last.name().to_lowercase());
        Ok((found, next))
    }

    async fn listed_page(
        &self,
        scope: &ResourceId,
        after: Option<String>,
        top: usize,
    ) -> Result<(Vec<Stored>, Option<String>)> {
        let mut all = resources::listed_page(self.platform, self.decl.kind.tag, scope, after, top + 1).await?;
        let more = all.len() > top;
        all.truncate(top);
        let next = all.last().filter(|_| more).map(Stored::key);
        Ok((all, next))
    }
}

/// A list in ARM's envelope; `nextLink` is absent on the last page.
pub(crate) fn envelope(value: Vec<Value>, next: Option<String>) -> ArmResponse {
    let mut body = Map::new();
    body.insert("value".into(), Value::Array(value));
    if let Some(next) = next {
        body.insert("nextLink".into(), next.into());
    }
    ArmResponse::new(200, Some(Value::Object(body)))
}

/// The resource group in which an id lies.
pub(super) fn group_of(id: &ResourceId) -> Option<ResourceId> {
    id.subscription.as_deref().zip(id.resource_group.as_deref()).map(|(s, g)| ResourceId::group(s, g))
}
