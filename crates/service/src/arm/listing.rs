//! `GET .../resources`: tracked resources of every type in a subscription or group, page by page.

use super::declaration::{Scope, TypeDecl};
use super::read::{decode_token, envelope, next_link};
use super::{ArmRequest, ArmResponse, types, view};
use crate::platform::Platform;
use crate::resources::{self, Stored};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Page;
use serde_json::Value;

/// Resources of one page (ARM: 1000).
const PAGE: usize = 1000;
/// Rows looked at for one page at most, so that a page of few matches stays cheap: ours.
const ROWS: usize = 5000;

/// One page of what the caller may read, in ARM's generic shape.
pub(super) async fn answer(platform: &Platform, request: &ArmRequest, scope: &ResourceId) -> Result<ArmResponse> {
    if scope.resource_group.is_some() {
        resources::require(platform.store.as_ref(), scope).await?;
    }
    let (column, key) = match (&scope.resource_group, &scope.subscription) {
        (None, Some(subscription)) => ("subscription", subscription.to_lowercase()),
        _ => ("resource_group", scope.key()),
    };
    let filter = request.query("$filter").map(Filter::parse).transpose()?;
    let mut after = request.query("$skipToken").map(decode_token).transpose()?;
    let mut value = Vec::new();
    for _ in 0..ROWS / 500 {
        let page = Page { after: after.take(), limit: 500 };
        let rows = platform.store.find(&RESOURCES, column, &key, page).await?;
        let full = rows.len() == 500;
        after = rows.last().map(|row| row.key.clone());
        for row in rows {
            let stored = resources::from_row(&row)?;
            if let Some(decl) = types::by_key(&stored.resource.kind)
                && is_listed(platform, request, decl, &stored)?
                && filter.as_ref().is_none_or(|filter| filter.matches(&stored))
            {
                value.push(generic(platform, decl, &stored));
            }
        }
        if !full {
            return Ok(envelope(value, None));
        }
        if value.len() >= PAGE {
            break;
        }
    }
    Ok(envelope(value, after.map(|after| next_link(request, &after))))
}

fn is_listed(platform: &Platform, request: &ArmRequest, decl: &TypeDecl, stored: &Stored) -> Result<bool> {
    let tracked = decl.tracked && decl.scope == Scope::InGroup;
    Ok(tracked && platform.authorize(&request.actor, &decl.action("read"), &stored.id()?).is_ok())
}

fn generic(platform: &Platform, decl: &TypeDecl, stored: &Stored) -> Value {
    let mut doc = view::full(decl, &stored.resource, &platform.tenancy.tenant_id);
    if let Some(map) = doc.as_object_mut() {
        map.shift_remove("properties");
        map.shift_remove("systemData");
        map.insert("createdTime".into(), stored.resource.system_data.created_at.clone().into());
        map.insert("changedTime".into(), stored.resource.system_data.last_modified_at.clone().into());
        let state = stored.resource.text(&["provisioningState"]).unwrap_or("Succeeded");
        map.insert("provisioningState".into(), state.into());
    }
    doc
}

/// The part of the `$filter` grammar that the CLI uses: `name eq 'v'` terms joined with `and`.
struct Filter(Vec<(String, String)>);

impl Filter {
    fn parse(text: &str) -> Result<Self> {
        let term = |part: &str| {
            let (name, value) = part.split_once(" eq ")?;
            let value = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            let name = name.trim().to_ascii_lowercase();
            ["resourcegroup", "resourcetype", "name", "location"]
                .contains(&name.as_str())
                .then(|| (name, value.to_lowercase()))
        };
        let terms: Option<Vec<_>> = text.split(" and ").map(term).collect();
        terms.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "The $filter '{}' is not served here; resourceGroup, resourceType, name and location with eq, joined by and, are.",
                text.chars().take(200).collect::<String>()
            ))
            .with_code("InvalidFilterInQueryString")
        })
    }

    fn matches(&self, stored: &Stored) -> bool {
        let resource = &stored.resource;
        self.0.iter().all(|(name, value)| match name.as_str() {
            "resourcegroup" => resource.id.to_lowercase().split('/').nth(4) == Some(value),
            "resourcetype" => resource.kind.to_lowercase() == *value,
            "name" => resource.name.to_lowercase() == *value,
            _ => resource.location.as_deref() == Some(value),
        })
    }
}
