//! What a caller may read: every row is looked at before a query sees it, so that no count tells of one that it may not.

use super::projection::{Of, Snapshot};
use super::request::Asked;
use super::rows::{Devices, HubDevices, NamespaceDevices, Parent, Parts, Path, ShownPart};
use super::schema;
use crate::arm::ArmRequest;
use crate::authz::{AccessSnapshot, Plane};
use crate::platform::{Platform, Tenancy};
use crate::registry;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use ferrohub_wire::kql::{Part, Plan};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Reading a subscription.
const READ_SUBSCRIPTION: &str = "Microsoft.Resources/subscriptions/read";
/// Reading the identities of a hub, and their twins.
const READ_DEVICES: &str = "Microsoft.Devices/IotHubs/devices/read";
const READ_TWINS: &str = "Microsoft.Devices/IotHubs/twins/read";

/// A caller and the subscriptions that it asks about.
#[derive(Clone)]
pub(super) struct Reach {
    access: Arc<AccessSnapshot>,
    principal: String,
    tenancy: Tenancy,
    /// Those that it asks about and sees something of, each with its row of `resourcecontainers`.
    subscriptions: Arc<Vec<(ResourceId, Map<String, Value>)>>,
}

impl Reach {
    /// The reach of whoever sends a request.
    ///
    /// # Errors
    /// `NoValidSubscriptionsInQueryRequest` where it names subscriptions of which it may read nothing.
    pub(super) async fn of(platform: &Platform, request: &ArmRequest, asked: &Asked) -> Result<Self> {
        let (_, access) = platform.access_at().await?;
        let tenancy = platform.tenancy.clone();
        for given in asked.subscriptions.iter().flatten() {
            if Uuid::parse_str(given).is_err() {
                let shown: String = given.chars().take(80).collect();
                return Err(Error::invalid(format!(
                    "The provided subscription identifier '{shown}' is malformed or invalid. It must be a GUID; `az account show --query id` prints yours."
                ))
                .with_code("InvalidSubscriptionId"));
            }
        }
        for group in &asked.management_groups {
            // Every tenant has one group, which is called as the tenant.
            if !group.eq_ignore_ascii_case(&tenancy.tenant_id) {
                let shown: String = group.chars().take(80).collect();
                return Err(Error::invalid(format!(
                    "There is no management group '{shown}'. There is the tenant's own, '{}'.",
                    tenancy.tenant_id
                ))
                .with_target("managementGroups"));
            }
        }
        let meant = |known: &Subscription| {
            let named = |all: &Vec<String>| all.iter().any(|one| Uuid::parse_str(one).is_ok_and(|id| id == known.id));
            asked.subscriptions.as_ref().is_none_or(named)
        };
        let mut subscriptions = Vec::new();
        for known in platform.subscriptions().iter().filter(|known| meant(known)) {
            let id = ResourceId::subscription(&known.id.to_string());
            if access.reaches_into(request.actor.id(), &id) {
                subscriptions.push((id, subscription(&tenancy, known)));
            }
        }
        if let (Some(given), true) = (&asked.subscriptions, subscriptions.is_empty()) {
            let message = format!(
                "There must be at least one subscription that is eligible to contain resources. Given: '{}'.",
                given.iter().take(10).cloned().collect::<Vec<_>>().join(", ")
            );
            let mut error = Error::invalid(message.clone());
            error.details.push(("NoValidSubscriptionsInQueryRequest".into(), message));
            return Err(error);
        }
        Ok(Self { access, principal: request.actor.id().to_owned(), subscriptions: Arc::new(subscriptions), tenancy })
    }

    fn may(&self, plane: Plane, action: &str, scope: &ResourceId) -> bool {
        self.access.allows(&self.principal, plane, action, scope)
    }

    /// Whether something lies in a subscription that is asked about, or in none.
    fn is_meant(&self, id: &ResourceId) -> bool {
        id.subscription
            .as_deref()
            .is_none_or(|own| self.subscriptions.iter().any(|(id, _)| id.name().eq_ignore_ascii_case(own)))
    }

    /// The tables that a plan reads, with what the caller may read of them.
    pub(super) fn parts<'s>(&'s self, snapshot: &'s Snapshot, plan: &Plan, paths: &'s [Path]) -> Parts<'s> {
        let mut tables: Vec<Vec<Box<dyn Part + 's>>> = Vec::new();
        for table in 0..schema::SCHEMA.tables.len() {
            let mut parts: Vec<Box<dyn Part + 's>> = Vec::new();
            if plan.tables.contains(&table) && table != schema::HUB_DEVICES {
                parts.push(Box::new(ShownPart { rows: self.shown(snapshot, table), paths }));
            }
            if plan.tables.contains(&table) && matches!(table, schema::RESOURCES | schema::HUB_DEVICES) {
                self.devices(snapshot, table, paths, &mut parts);
            }
            tables.push(parts);
        }
        Parts { tables }
    }

    fn shown<'s>(&'s self, snapshot: &'s Snapshot, table: usize) -> Vec<&'s Map<String, Value>> {
        let mut rows = Vec::new();
        let containers = self.subscriptions.iter().filter(|_| table == schema::CONTAINERS);
        let containers = containers.filter(|(id, _)| self.may(Plane::Control, READ_SUBSCRIPTION, id));
        rows.extend(containers.map(|(_, row)| row));
        let readable = snapshot.shown.rows.iter().filter(|row| row.table == table && self.is_meant(&row.id));
        rows.extend(readable.filter(|row| self.may(Plane::Control, &row.action, &row.id)).map(|row| &row.doc));
        rows
    }

    fn devices<'s>(
        &'s self,
        snapshot: &'s Snapshot,
        table: usize,
        paths: &'s [Path],
        parts: &mut Vec<Box<dyn Part + 's>>,
    ) {
        let read_device = format!("{}/read", registry::DEVICE.full());
        for (of, chunks) in &snapshot.devices {
            let uid = match (of, table) {
                (Of::Namespace(uid), schema::RESOURCES) | (Of::Hub(uid), schema::HUB_DEVICES) => *uid,
                _ => continue,
            };
            let Some(shown) = snapshot.shown.get(uid).filter(|shown| self.is_meant(&shown.id)) else { continue };
            let parent = Parent::new(shown, &snapshot.shown, &snapshot.names, paths, &self.tenancy.tenant_id);
            let parent = Arc::new(parent);
            match of {
                Of::Hub(_) if self.may(Plane::Data, READ_DEVICES, &shown.id) => {
                    let (twins, hub_id) = (self.may(Plane::Data, READ_TWINS, &shown.id), shown.id.to_string());
                    parts.extend(chunks.iter().map(|chunk| {
                        let devices = Devices { parent: Arc::clone(&parent), chunk, only: None };
                        Box::new(HubDevices { devices, twins, hub_id: hub_id.clone() }) as Box<dyn Part + 's>
                    }));
                }
                Of::Namespace(_) if self.may(Plane::Control, &read_device, &shown.id) => {
                    parts.extend(chunks.iter().map(|chunk| {
                        let devices = Devices { parent: Arc::clone(&parent), chunk, only: None };
                        Box::new(NamespaceDevices(devices)) as Box<dyn Part + 's>
                    }));
                }
                Of::Namespace(_) => {
                    let names = self.named(&shown.id, &read_device);
                    if !names.is_empty() {
                        parts.extend(chunks.iter().map(|chunk| {
                            let devices = Devices::named(Arc::clone(&parent), chunk, &names);
                            Box::new(NamespaceDevices(devices)) as Box<dyn Part + 's>
                        }));
                    }
                }
                Of::Hub(_) => {}
            }
        }
    }

    /// Names, in lower case, of the devices of a namespace on which the caller has the right by a role on the device itself.
    fn named(&self, namespace: &ResourceId, action: &str) -> HashSet<String> {
        let below = format!("{}/devices/", namespace.key());
        let scopes = self.access.scopes_of(&self.principal);
        let names = scopes.into_iter().filter_map(|scope| scope.strip_prefix(&below)?.split('/').next());
        let readable = names.filter(|name| self.may(Plane::Control, action, &namespace.child("devices", name)));
        readable.map(str::to_owned).collect()
    }
}

/// A subscription as a row of `resourcecontainers`.
fn subscription(tenancy: &Tenancy, known: &Subscription) -> Map<String, Value> {
    let id = known.id;
    let row = json!({
        "id": format!("/subscriptions/{id}"),
        "name": known.name,
        "type": "microsoft.resources/subscriptions",
        "tenantId": tenancy.tenant_id,
        "resourceGroup": "",
        "subscriptionId": id,
        "properties": {"state": "Enabled", "subscriptionPolicies": {"quotaId": "Ferrohub", "spendingLimit": "Off"}},
        "tags": known.tags,
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}
