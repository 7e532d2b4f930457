//! All resources that are no devices, as a GET shows them in their newest shape.

use super::schema;
use crate::arm::render;
use crate::platform::Platform;
use crate::resources::{self, Scope, tag};
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// A resource.
pub(super) struct ShownRow {
    pub(super) uid: Uuid,
    pub(super) id: ResourceId,
    /// The right that reading it takes.
    pub(super) action: String,
    /// Number of its table.
    pub(super) table: usize,
    /// Its columns by name.
    pub(super) doc: Map<String, Json>,
}

/// The resources.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) rows: Vec<ShownRow>,
    /// Ids of the parents of devices, and of certificate policies as devices name them.
    pub(super) ids: HashMap<Uuid, ResourceId>,
    by_uid: HashMap<Uuid, usize>,
}

impl Shown {
    /// Shows the resources with these uids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn of(platform: &Platform, uids: &BTreeSet<Uuid>) -> Result<Self> {
        let mut shown = Self::default();
        for uid in uids {
            let Some(stored) = resources::by_uid(platform, *uid).await? else { continue };
            let Some(decl) = platform.types.tagged(stored.kind.tag) else { continue };
            if stored.is(tag::CERTIFICATE_POLICY) {
                // Devices name a policy as the generation does that has policies on devices.
                if let Some(id) = resources::ids_of(platform, *uid).await?.pop() {
                    shown.ids.insert(*uid, id);
                }
            } else {
                shown.ids.insert(*uid, stored.id.clone());
            }
            let table = match decl.kind.scope {
                Scope::Group => schema::CONTAINERS,
                Scope::Extension if decl.kind.provider == "Microsoft.Authorization" => schema::AUTHORIZATION,
                Scope::InGroup if decl.tracked => schema::RESOURCES,
                Scope::InGroup | Scope::InSubscription | Scope::Extension => continue,
            };
            let Some(view) = decl.views.last() else { continue };
            let doc = render::render(platform, decl, view, &stored).await?;
            let row = ShownRow {
                uid: *uid,
                action: decl.action("read"),
                table,
                doc: columns(platform, &stored.id, doc),
                id: stored.id,
            };
            shown.by_uid.insert(*uid, shown.rows.len());
            shown.rows.push(row);
        }
        // In the order of their ids, so that pages follow each other.
        shown.rows.sort_by_cached_key(|row| row.id.key());
        shown.by_uid = shown.rows.iter().enumerate().map(|(at, row)| (row.uid, at)).collect();
        Ok(shown)
    }

    /// The resource with this uid.
    pub(super) fn get(&self, uid: Uuid) -> Option<&ShownRow> {
        self.by_uid.get(&uid).map(|at| &self.rows[*at])
    }
}

/// The columns of a resource out of what a GET shows.
pub(super) fn columns(platform: &Platform, id: &ResourceId, doc: Json) -> Map<String, Json> {
    let Json::Object(mut doc) = doc else { return Map::new() };
    for gone in ["etag", "resourcegroup", "subscriptionid"] {
        doc.shift_remove(gone);
    }
    if let Some(Json::String(kind)) = doc.get_mut("type") {
        *kind = match id.providers.is_empty() {
            true => "microsoft.resources/subscriptions/resourcegroups".to_owned(),
            false => kind.to_lowercase(),
        };
    }
    doc.insert("tenantId".into(), platform.tenancy.tenant_id.clone().into());
    doc.insert("resourceGroup".into(), id.resource_group.as_deref().unwrap_or_default().to_lowercase().into());
    doc.insert("subscriptionId".into(), id.subscription.clone().unwrap_or_default().into());
    doc
}
