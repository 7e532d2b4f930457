//! Links that are written on a namespace (from 2026-11-01-preview): its endpoints, and the identity as which it acts on hubs.
//!
//! A link is made, changed and taken away in the unit of the namespace's own write: the hub's or provisioning service's row with
//! it. What a person got wrong refuses the write. What lacks a role is noted at the endpoint (`linkingState`, `linkingError`), and
//! is tried again when the endpoint is sent again, as with Azure, where roles take minutes to be seen (reference:
//! device-registry-api.md section 10).

use super::iot_hub::attached;
use super::linked_devices::{self, Bringing};
use super::namespace_link::{CALLER, ERROR, Linked, OUTBOUND, USER, acts_as, is_target, kind_of, one, unlink};
use crate::arm::context::PutContext;
use crate::arm::render;
use crate::arm::view::{self, View};
use crate::platform::Platform;
use crate::registry::endpoint::{Endpoint, PROVISIONING, Room, endpoints};
use crate::registry::{IDENTITY, NAMESPACE};
use crate::resources::{self, Stored};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Reference;
use serde_json::{Map, Value, json};

const ROOMS: [Room; 2] = [Room::Messaging, Room::Provisioning];
/// The endpoints that are links: those that the row names, and what was linked from its own side, under its own name.
async fn linked(platform: &Platform, namespace: &Stored, room: Room) -> Result<Vec<Linked>> {
    let targets = resources::linked(platform, &namespace.key()).await?;
    of_room(platform, namespace, room, &targets).await
}

/// The same, of `targets`: everything that is linked to the namespace.
async fn of_room(platform: &Platform, namespace: &Stored, room: Room, targets: &[Stored]) -> Result<Vec<Linked>> {
    let mut all = Vec::new();
    for Endpoint { name, target, entry } in endpoints(&namespace.resource, room) {
        let found = match targets.iter().find(|known| known.uid == target.uid) {
            Some(known) => Some(known.clone()),
            None => resources::by_uid(platform, target.uid).await?,
        };
        let stands = found.as_ref().is_some_and(|found| found.resource.link(NAMESPACE) == Some(namespace.uid));
        let entry = entry.as_object().cloned().unwrap_or_default();
        all.push(Linked { name: name.to_owned(), reference: target.clone(), target: found, stands, entry });
    }
    for target in targets {
        if target.is(room.tag()) && all.iter().all(|known| known.reference.uid != target.uid) {
            let reference = Reference { uid: target.uid, id: target.id.to_string() };
            let name = target.name().to_owned();
            all.push(Linked { name, reference, target: Some(target.clone()), stands: true, entry: Map::new() });
        }
    }
    Ok(all)
}

/// Shows the links and the identity for calls to hubs. Older shapes show of a hub where it is, and nothing else.
pub(super) async fn decorate(platform: &Platform, stored: &Stored, shape: &View, view: &mut Value) -> Result<()> {
    let newest = view::shows(shape, "properties.provisioning");
    let targets = resources::linked(platform, &stored.key()).await?;
    for room in ROOMS.into_iter().filter(|room| newest || *room == Room::Messaging) {
        let links = of_room(platform, stored, room, &targets).await?;
        if links.is_empty() {
            continue;
        }
        let kind = kind_of(platform, room);
        let mut shown = view["properties"][room.word()]["endpoints"].as_object().cloned().unwrap_or_default();
        for link in links {
            let mut entry = place(&kind, room, &link);
            if newest {
                say_state(platform, &link, &mut entry).await?;
            }
            shown.insert(link.name, Value::Object(entry));
        }
        view["properties"][room.word()] = Value::Object(Map::from_iter([("endpoints".into(), Value::Object(shown))]));
    }
    if newest && let Some(user) = stored.resource.links.get(IDENTITY) {
        let id = render::reference_id(platform, user).await?;
        view["properties"][OUTBOUND] = json!({"type": "UserAssigned", USER: id});
    }
    Ok(())
}

/// What is linked, and where it is.
fn place(kind: &str, room: Room, link: &Linked) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("endpointType".into(), kind.into());
    if let (Room::Messaging, Some(target)) = (room, &link.target) {
        let address = target.resource.text(&["hostName"]).unwrap_or_default();
        entry.insert("address".into(), address.into());
        entry.insert("deviceAddress".into(), address.into());
    }
    let id = link.target.as_ref().map_or_else(|| link.reference.id.clone(), |target| target.id.to_string());
    entry.insert("resourceId".into(), id.into());
    entry
}

/// As what it acts, how it is offered, and whether the link stands.
async fn say_state(platform: &Platform, link: &Linked, entry: &mut Map<String, Value>) -> Result<()> {
    let caller = match &link.target {
        Some(target) if link.stands => Some(acts_as(platform, &target.resource).await?),
        _ => link.entry.get(CALLER).cloned(),
    };
    if let Some(caller) = caller {
        entry.insert(CALLER.into(), caller);
    }
    if let Some(offer) = link.entry.get(PROVISIONING) {
        entry.insert(PROVISIONING.into(), offer.clone());
    }
    entry.insert("linkingState".into(), if link.stands { "Succeeded" } else { "Failed" }.into());
    if link.stands {
        match linked_devices::stands(platform, &link.entry).await? {
            Bringing::Done => {}
            Bringing::Running => drop(entry.insert("linkingState".into(), "InProgress".into())),
            Bringing::Failed(failure) => {
                entry.insert("linkingState".into(), "Failed".into());
                entry.insert(ERROR.into(), json!({"code": failure.code, "message": failure.message}));
            }
        }
    } else {
        let gone = json!({"code": "LinkableResourceNotReady", "message": "What the endpoint links is not linked to this namespace any more, or was deleted. Take the endpoint away, or send it again to link it."});
        entry.insert(ERROR.into(), link.entry.get(ERROR).cloned().unwrap_or(gone));
    }
    Ok(())
}

/// Reads the endpoints and the identity that a write asks for, and does what follows.
pub(super) async fn write(cx: &mut PutContext<'_>) -> Result<()> {
    let newest = cx.can_say("properties.provisioning");
    if newest {
        write_outbound(cx).await?;
    }
    for room in ROOMS {
        let links = match cx.existing {
            Some(stored) => linked(cx.platform, stored, room).await?,
            None => Vec::new(),
        };
        let sent = cx.body.pointer(&format!("/properties/{}/endpoints", room.word())).and_then(Value::as_object);
        let sent = sent.cloned();
        let (mut wanted, mut brokers) = (Vec::new(), Map::new());
        for (name, entry) in sent.iter().flatten().filter(|(_, entry)| !entry.is_null()) {
            if is_link(cx, room, entry, &links)? {
                wanted.push((name.as_str(), entry));
            } else if let Some(broker) = stored_entry(cx, room, name) {
                refuse_link_members(room, name, entry)?;
                brokers.insert(name.clone(), broker);
            }
        }
        let kept = match (newest, &sent) {
            (true, Some(_)) => relink(cx, room, links, &wanted).await?,
            // What a shape cannot say, or a body does not, stays as it is.
            _ => {
                refuse_foreign(room, &wanted, &links)?;
                links
            }
        };
        store(cx, room, brokers, kept);
    }
    refuse_updating(cx.body)
}

/// What the engine made of a sent entry: without what only the server writes.
fn stored_entry(cx: &PutContext<'_>, room: Room, name: &str) -> Option<Value> {
    cx.resource.value(&[room.word(), "endpoints", name]).cloned()
}

/// Whether an entry is meant as a link, and not as a note of a broker that is none of ours.
fn is_link(cx: &PutContext<'_>, room: Room, entry: &Value, links: &[Linked]) -> Result<bool> {
    let text = |member: &str| entry.get(member).and_then(Value::as_str).unwrap_or_default();
    let kind = kind_of(cx.platform, room);
    if room == Room::Provisioning || text("endpointType").to_lowercase().starts_with("microsoft.devices/") {
        if !text("endpointType").eq_ignore_ascii_case(&kind) {
            return Err(Error::invalid_property(
                format!("properties.{}.endpoints", room.word()),
                format!("An endpoint of '{}' has the 'endpointType' {kind}.", room.word()),
            ));
        }
        return Ok(true);
    }
    let target = text("resourceId");
    Ok(links.iter().any(|link| is_target(link, target)))
}

fn refuse_link_members(room: Room, name: &str, entry: &Value) -> Result<()> {
    match [CALLER, PROVISIONING].into_iter().find(|member| entry.get(*member).is_some_and(|value| !value.is_null())) {
        None => Ok(()),
        Some(member) => Err(Error::invalid_property(
            format!("properties.{}.endpoints.{name}.{member}", room.word()),
            format!("'{member}' goes with an endpoint of the 'endpointType' Microsoft.Devices/IotHubs only."),
        )),
    }
}

/// Older shapes show links, and make none.
fn refuse_foreign(room: Room, wanted: &[(&str, &Value)], links: &[Linked]) -> Result<()> {
    let id = |entry: &Value| entry.get("resourceId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let foreign = wanted.iter().find(|(_, entry)| !links.iter().any(|link| is_target(link, &id(entry))));
    let Some((name, _)) = foreign else { return Ok(()) };
    Err(Error::not_implemented(format!(
        "The endpoint '{name}' would be a link, which this api-version does not make on the namespace. Send it with api-version 2026-11-01 or newer, or make the link from the hub: az iot hub create --name '<hub>' --resource-group '<group>' --mi-user-assigned '<identity>' --ns-resource-id '<namespace>' --ns-identity-id '<identity>'"
    ))
    .with_target(format!("properties.{}.endpoints.{name}", room.word())))
}

fn refuse_updating(body: &Value) -> Result<()> {
    let endpoints = body.pointer("/properties/updating/endpoints").and_then(Value::as_object);
    let Some((name, _)) = endpoints.into_iter().flatten().find(|(_, entry)| !entry.is_null()) else { return Ok(()) };
    Err(Error::not_implemented(format!(
        "The endpoint '{name}' would link an instance of Device Update, which is not part of Ferrohub. Leave it out."
    ))
    .with_target(format!("properties.updating.endpoints.{name}")))
}

/// Puts the row's own part of the endpoints together.
fn store(cx: &mut PutContext<'_>, room: Room, brokers: Map<String, Value>, links: Vec<Linked>) {
    let prefix = room.link_word("");
    cx.resource.links.retain(|word, _| !word.starts_with(&prefix));
    let mut all = brokers;
    for link in links {
        // What was linked from its own side, and of which the namespace knows nothing more, is found there.
        if link.entry.is_empty() {
            continue;
        }
        cx.resource.links.insert(room.link_word(&link.name), link.reference);
        all.insert(link.name, Value::Object(link.entry));
    }
    match all.is_empty() {
        true => drop(cx.resource.properties.shift_remove(room.word())),
        false => drop(cx.resource.properties.insert(room.word().into(), json!({ "endpoints": all }))),
    }
}

/// Makes the links those that are wanted; gives what the row says of them.
async fn relink(
    cx: &mut PutContext<'_>,
    room: Room,
    mut links: Vec<Linked>,
    wanted: &[(&str, &Value)],
) -> Result<Vec<Linked>> {
    let mut kept: Vec<Linked> = Vec::new();
    for (name, entry) in wanted {
        let path = format!("properties.{}.endpoints.{name}", room.word());
        let id = entry.get("resourceId").and_then(Value::as_str).filter(|id| !id.is_empty()).ok_or_else(|| {
            Error::invalid_property(format!("{path}.resourceId"), "An endpoint that is a link needs a 'resourceId'.")
        })?;
        let twice = kept.iter().any(|link| is_target(link, id) || link.name.eq_ignore_ascii_case(name));
        if twice {
            return Err(Error::invalid_property(path, format!("'{id}' or the name '{name}' is there twice.")));
        }
        let known = links.iter().position(|link| is_target(link, id) || link.name.eq_ignore_ascii_case(name));
        let link = match known.map(|index| links.remove(index)) {
            Some(link) if !is_target(&link, id) || !link.name.eq_ignore_ascii_case(name) => {
                return Err(Error::conflict(format!(
                    "The endpoint '{}' links '{}'; an endpoint keeps its name and what it links. Take it away first.",
                    link.name, link.reference.id
                ))
                .with_code("PropertyChangeNotAllowed")
                .with_target(path));
            }
            other => other,
        };
        kept.push(one(cx, room, (name, entry), link, &path).await?);
    }
    for gone in links {
        unlink(cx, room, gone).await?;
    }
    Ok(kept)
}

/// The identity as which the namespace acts on its hubs: its own, unless one of its user-assigned identities is named.
async fn write_outbound(cx: &mut PutContext<'_>) -> Result<()> {
    let path = format!("properties.{OUTBOUND}");
    let sent = cx.resource.properties.shift_remove(OUTBOUND).filter(|sent| !sent.is_null());
    let text = |name: &str| sent.as_ref().and_then(|sent| sent.get(name)).and_then(Value::as_str);
    let user = text(USER).filter(|id| !id.is_empty()).map(str::to_owned);
    let kind = text("type").unwrap_or("SystemAssigned");
    match (kind.eq_ignore_ascii_case("UserAssigned"), user) {
        (true, Some(user)) => {
            let reference = attached(cx, &user).await?;
            cx.resource.links.insert(IDENTITY.into(), reference);
            return Ok(());
        }
        (true, None) => {
            return Err(Error::invalid_property(
                format!("{path}.{USER}"),
                "With the type UserAssigned, 'userAssignedIdentity' names the identity.",
            ));
        }
        (false, Some(_)) => {
            return Err(Error::invalid_property(
                format!("{path}.{USER}"),
                "'userAssignedIdentity' goes with the type UserAssigned only.",
            ));
        }
        (false, None) => drop(cx.resource.links.remove(IDENTITY)),
    }
    if sent.is_none() {
        return Ok(());
    }
    if cx.resource.identity.as_ref().is_none_or(|identity| identity.system_principal_id.is_none()) {
        return Err(Error::invalid_property(
            path,
            "The namespace has no system-assigned identity; give it one, or name a user-assigned identity.",
        ));
    }
    cx.resource.properties.insert(OUTBOUND.into(), json!({"type": "SystemAssigned"}));
    Ok(())
}
