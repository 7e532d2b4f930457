//! The endpoints of a namespace that are links: hubs below `messaging`, provisioning services below `provisioning`.
//!
//! That something is linked says its own row ([`super::NAMESPACE`]); the namespace's row has what only it knows: the name of the
//! endpoint, how provisioning services may use a hub, and why a link failed.

use super::brought::is_only_brought;
use super::edge::NAMESPACE;
use super::mirror::DEVICE;
use crate::departure;
use crate::extensions;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, tag};
use crate::tables::{DEVICES, RESOURCES};
use ferrohub_model::error::Result;
use ferrohub_model::resource::{Reference, Resource};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::parse_uid_key;
use ferrohub_store::Pages;
use serde_json::Value;
use uuid::Uuid;

/// Rows read at once: ours.
const PAGE: usize = 500;
/// The member that says how provisioning services may use a hub.
pub const PROVISIONING: &str = "provisioning";
/// The hub may be chosen.
pub const AVAILABLE: &str = "Available";

/// Where endpoints of a kind stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Hubs, and brokers that are none of ours.
    Messaging,
    /// Provisioning services.
    Provisioning,
}

impl Room {
    /// Its member in the properties.
    pub fn word(self) -> &'static str {
        match self {
            Self::Messaging => "messaging",
            Self::Provisioning => PROVISIONING,
        }
    }

    /// The tag of what is linked there.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Messaging => tag::IOT_HUB,
            Self::Provisioning => tag::PROVISIONING_SERVICE,
        }
    }

    /// The word under which the namespace's row refers to what an endpoint links.
    pub fn link_word(self, endpoint: &str) -> String {
        format!("{}/{}", self.word(), endpoint.to_lowercase())
    }
}

/// An endpoint as the namespace's row has it.
pub struct Endpoint<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it links.
    pub target: &'a Reference,
    /// What else the row says.
    pub entry: &'a Value,
}

/// The endpoints of a room that are links.
pub fn endpoints(namespace: &Resource, room: Room) -> impl Iterator<Item = Endpoint<'_>> {
    let all = namespace.value(&[room.word(), "endpoints"]).and_then(Value::as_object);
    all.into_iter().flatten().filter_map(move |(name, entry)| {
        let target = namespace.links.get(&room.link_word(name))?;
        Some(Endpoint { name, target, entry })
    })
}

/// The name of the endpoint under which a namespace shows a hub that is linked to it: its own where the link was made from the hub.
pub fn endpoint_name(namespace: &Stored, hub: &Stored) -> String {
    let named = endpoints(&namespace.resource, Room::Messaging).find(|endpoint| endpoint.target.uid == hub.uid);
    named.map_or_else(|| hub.name().to_owned(), |endpoint| endpoint.name.to_owned())
}

/// A hub that the provisioning services of a namespace may give devices to.
pub struct OfferedHub {
    /// The hub.
    pub hub: Stored,
    /// Relative weight, at least 1.
    pub weight: u64,
}

/// The hubs that a namespace offers to its provisioning services: linked, and said to be available.
///
/// # Errors
/// When the store cannot be read.
pub async fn offered_hubs(platform: &Platform, namespace: &Stored) -> Result<Vec<OfferedHub>> {
    let mut found = Vec::new();
    for endpoint in endpoints(&namespace.resource, Room::Messaging) {
        let Some(offer) = endpoint.entry.get(PROVISIONING) else { continue };
        if offer.get("availability").and_then(Value::as_str) != Some(AVAILABLE) {
            continue;
        }
        let hub = resources::by_uid(platform, endpoint.target.uid).await?;
        let linked = hub.filter(|hub| hub.resource.link(NAMESPACE) == Some(namespace.uid));
        let weight = offer.get("allocationWeight").and_then(Value::as_u64).unwrap_or(1).max(1);
        found.extend(linked.map(|hub| OfferedHub { hub, weight }));
    }
    Ok(found)
}

/// The devices of a hub that is to be unlinked.
pub enum Devices {
    /// It has none.
    None,
    /// It has some, of which no namespace has an ADR device.
    Unmirrored,
    /// Of some the namespace has the ADR device that the link brought, and of none any other.
    Brought,
    /// Of this one, by its id, the namespace has an ADR device that is more than that.
    Mirrored(String),
}

/// What ADR devices `namespace` has of the devices of a hub that is linked to it. One on which somebody made a role or a lock is more than
/// brought. Where they go with the link, `change` holds only as long as no role changes; that no lock does the caller sees to.
///
/// # Errors
/// When the store cannot be read.
pub async fn devices_of(
    platform: &Platform,
    hub: Uuid,
    namespace: &ResourceId,
    change: &mut Change,
) -> Result<Devices> {
    let (roles, with_roles) = extensions::with_roles(platform).await?;
    let locks = platform.locks().await?;
    let goes = |key: &str, device: &Resource| {
        is_only_brought(device)
            && !parse_uid_key(key).is_some_and(|uid| with_roles.contains(&uid))
            && !locks.stands_on(&DEVICE.child_of(namespace, &device.name))
    };
    let prefix = ferrohub_model::device::devices_of(hub);
    let mut found = Devices::None;
    let mut pages = Pages::range(platform.store.as_ref(), &DEVICES, "place", &prefix, PAGE);
    while let Some(rows) = pages.next().await? {
        let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
        for (row, mirrored) in rows.iter().zip(platform.store.get_many(&RESOURCES, &keys).await?) {
            match mirrored.map(|mirrored| mirrored.part::<Resource>()).transpose()? {
                None if matches!(found, Devices::None) => found = Devices::Unmirrored,
                None => {}
                Some(mirrored) if goes(&row.key, &mirrored) => found = Devices::Brought,
                Some(_) => {
                    let place = row.columns.first().and_then(Option::as_deref).unwrap_or_default();
                    return Ok(Devices::Mirrored(place.strip_prefix(&prefix).unwrap_or_default().to_owned()));
                }
            }
        }
    }
    if matches!(found, Devices::Brought) {
        departure::expect_access(roles, change);
    }
    Ok(found)
}
