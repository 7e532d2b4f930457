//! GET, HEAD and lists.

use super::context::ListContext;
use super::declaration::Scope;
use super::{ArmRequest, ArmResponse, Call, view};
use crate::resources::{self, Stored};
use crate::tables::RESOURCES;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Page;
use serde_json::{Map, Value};

impl Call<'_> {
    pub(super) async fn get(&self, id: &ResourceId) -> Result<ArmResponse> {
        let resource = self.find(id).await?;
        let mut answer = ArmResponse::new(200, Some(self.render(&resource).await?));
        answer.headers.push(("ETag", format!("\"{}\"", resource.etag)));
        Ok(answer)
    }

    pub(super) async fn head(&self, id: &ResourceId) -> Result<ArmResponse> {
        let there = resources::get(self.platform.store.as_ref(), id).await?.is_some();
        Ok(ArmResponse::new(if there { 204 } else { 404 }, None))
    }

    async fn find(&self, id: &ResourceId) -> Result<Resource> {
        if let Some(stored) = resources::get(self.platform.store.as_ref(), id).await? {
            return Ok(stored.resource);
        }
        if let Some(resource) = self.decl.behavior.virtual_get(self.platform, id).await? {
            return Ok(resource);
        }
        if let Some(group) = group_of(id)
            && self.decl.scope != Scope::Group
        {
            resources::require(self.platform.store.as_ref(), &group).await?;
        }
        Err(resources::missing(id))
    }

    /// The resource in this call's view.
    pub(super) async fn render(&self, resource: &Resource) -> Result<Value> {
        let mut doc = view::full(self.decl, resource, &self.platform.tenancy.tenant_id);
        self.decl.behavior.decorate(self.platform, resource, &mut doc).await?;
        view::hide(self.view, &mut doc);
        Ok(doc)
    }

    pub(super) async fn list(&self, scope: &ResourceId) -> Result<ArmResponse> {
        self.check_list_scope(scope).await?;
        let context = ListContext {
            platform: self.platform,
            actor: &self.request.actor,
            scope,
            filter: self.request.query("$filter").filter(|f| !f.is_empty()),
        };
        if let Some(all) = self.decl.behavior.list(&context).await? {
            let mut value = Vec::with_capacity(all.len());
            for resource in &all {
                value.push(self.render(resource).await?);
            }
            return Ok(envelope(value, None));
        }
        let (found, next) = self.page(scope).await?;
        let mut value = Vec::with_capacity(found.len());
        for stored in &found {
            value.push(self.render(&stored.resource).await?);
        }
        Ok(envelope(value, next.map(|after| next_link(self.request, &after))))
    }

    async fn check_list_scope(&self, scope: &ResourceId) -> Result<()> {
        if self.decl.scope == Scope::Extension {
            return Ok(());
        }
        if !scope.providers.is_empty() || scope.resource_group.is_some() {
            resources::require(self.platform.store.as_ref(), scope).await?;
            return Ok(());
        }
        if self.decl.subscription_list || self.decl.scope == Scope::Group {
            return Ok(());
        }
        Err(Error::invalid(format!("Resources of type '{}' are listed below their parent.", self.decl.full()))
            .with_code("InvalidRequestUri"))
    }

    /// One page of the type's rows below `scope`, in the order of their keys.
    ///
    /// Children are found by their parent, top-level types by their kind: neither walks the devices of a namespace to
    /// list hubs.
    async fn page(&self, scope: &ResourceId) -> Result<(Vec<Stored>, Option<String>)> {
        let top = self.request.query("$top").and_then(|t| t.parse::<usize>().ok());
        let top = top.unwrap_or(limits::ARM_PAGE).clamp(1, limits::ARM_PAGE);
        let (column, value) =
            if scope.providers.is_empty() { ("kind", self.decl.key.to_string()) } else { ("parent", scope.key()) };
        let below = format!("{}/", scope.key());
        let mut after = self.request.query("$skipToken").map(decode_token).transpose()?;
        let mut found = Vec::new();
        loop {
            let page = Page { after: after.clone(), limit: 500 };
            let rows = self.platform.store.find(&RESOURCES, column, &value, page).await?;
            let full = rows.len() == 500;
            for row in rows {
                after = Some(row.key.clone());
                let kind = row.columns.get(2).and_then(Option::as_deref);
                if kind != Some(self.decl.key) || !row.key.starts_with(&below) {
                    continue;
                }
                found.push(resources::from_row(&row)?);
                if found.len() > top {
                    found.pop();
                    let last = found.last().and_then(|stored| stored.id().ok()).map(|id| id.key());
                    return Ok((found, last));
                }
            }
            if !full {
                return Ok((found, None));
            }
        }
    }
}

/// The link to the page behind `after`, with the query as it was sent.
pub(super) fn next_link(request: &ArmRequest, after: &str) -> String {
    let mut query: Vec<String> = request
        .query
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("$skipToken"))
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    query.push(format!("$skipToken={}", URL_SAFE_NO_PAD.encode(after)));
    format!("{}{}?{}", request.base_url, request.path, query.join("&"))
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(super) fn decode_token(token: &str) -> Result<String> {
    URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Error::invalid("The $skipToken is not one of ours; start the list anew.").with_code("InvalidSkipToken")
    })
}

/// A list in ARM's envelope; `nextLink` is absent on the last page.
pub(super) fn envelope(value: Vec<Value>, next: Option<String>) -> ArmResponse {
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
