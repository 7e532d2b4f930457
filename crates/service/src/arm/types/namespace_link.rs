//! One link of a namespace: found, made, changed, taken away. [`super::namespace_links`] says which.

use super::authority::CREDENTIAL;
use super::{credential, linked_devices};
use crate::arm::context::PutContext;
use crate::arm::operation::StoredOperation;
use crate::arm::render;
use crate::authz;
use crate::extensions;
use crate::locks::Operation;
use crate::platform::Platform;
use crate::registry::endpoint::{AVAILABLE, Devices, PROVISIONING, Room, devices_of};
use crate::registry::{self, IDENTITY, NAMESPACE, UNLINKING};
use crate::resources::{self, Entry, Kind, RowExtra, Stored, Told, tag};
use crate::tables::DEVICES;
use ferrohub_model::device_id::is_registry_name;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::{Reference, Resource};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use ferrohub_store::Expect;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The identity of what is linked, as which it acts on the namespace.
pub(super) const CALLER: &str = "inboundCallerIdentity";
/// The user-assigned identity that is meant.
pub(super) const USER: &str = "userAssignedIdentity";
/// Why a link failed.
pub(super) const ERROR: &str = "linkingError";
/// As what the namespace acts.
pub(super) const OUTBOUND: &str = "outboundIdentity";
/// Longest text of a noted failure: ours.
const MESSAGE_CHARS: usize = 2000;

/// An endpoint that is a link, as things stand before a write.
pub(super) struct Linked {
    pub(super) name: String,
    /// What it links, as it is named in the row.
    pub(super) reference: Reference,
    /// The same, where it is still there.
    pub(super) target: Option<Stored>,
    /// Whether the link stands.
    pub(super) stands: bool,
    /// What the row says beside.
    pub(super) entry: Map<String, Value>,
}

pub(super) fn kind_of(platform: &Platform, room: Room) -> String {
    platform.kinds.tagged(room.tag()).map(Kind::full).unwrap_or_default()
}

/// As what a hub or provisioning service acts on its namespace.
pub(super) async fn acts_as(platform: &Platform, resource: &Resource) -> Result<Value> {
    Ok(match resource.links.get(IDENTITY) {
        Some(user) => json!({"type": "UserAssigned", USER: render::reference_id(platform, user).await?}),
        None => json!({"type": "SystemAssigned"}),
    })
}

pub(super) fn is_target(link: &Linked, id: &str) -> bool {
    let now = link.target.as_ref().map_or_else(|| link.reference.id.clone(), |target| target.id.to_string());
    now.eq_ignore_ascii_case(id) || link.reference.id.eq_ignore_ascii_case(id)
}

/// Makes, changes or keeps one link.
pub(super) async fn one(
    cx: &mut PutContext<'_>,
    room: Room,
    (name, entry): (&str, &Value),
    was: Option<Linked>,
    path: &str,
) -> Result<Linked> {
    let fresh = was.is_none();
    let mut link = match was {
        Some(link) => link,
        None => found(cx, room, name, entry, path).await?,
    };
    let offer = entry.get(PROVISIONING).filter(|offer| !offer.is_null());
    if let Some(offer) = offer {
        let text = offer.get("availability").and_then(Value::as_str).unwrap_or(AVAILABLE);
        let available = if text.eq_ignore_ascii_case(AVAILABLE) { AVAILABLE } else { "Disabled" };
        let weight = offer.get("allocationWeight").filter(|weight| !weight.is_null()).cloned().unwrap_or(json!(1));
        link.entry.insert(PROVISIONING.into(), json!({"availability": available, "allocationWeight": weight}));
    } else if fresh && room == Room::Messaging {
        link.entry.insert(PROVISIONING.into(), json!({"availability": AVAILABLE, "allocationWeight": 1}));
    }
    // What is gone can only be shown, and taken away.
    let Some(target) = link.target.clone() else { return Ok(link) };
    check_address(&target, entry, path)?;
    let sent = entry.get(CALLER).filter(|caller| !caller.is_null()).cloned();
    let stands = if link.stands { Some(acts_as(cx.platform, &target.resource).await?) } else { None };
    let noted = stands.clone().or_else(|| link.entry.get(CALLER).cloned());
    let caller = sent.or_else(|| noted.clone()).unwrap_or_else(|| json!({"type": "SystemAssigned"}));
    let as_before = !fresh && noted.as_ref().is_some_and(|noted| same_identity(noted, &caller));
    // What stands is shown as it is, whatever became of its identity.
    if link.stands && as_before {
        link.entry.shift_remove(ERROR);
        linked_devices::bring_again(cx, &target, &mut link.entry).await?;
        return Ok(link);
    }
    let (user, principal) = match (identity_of(&target, &caller, path), authorize_caller(cx, room, &target)) {
        (Ok(identity), Ok(())) => identity,
        // A failed endpoint that is put back with the rest, by whom or as what could not make it, stays what it is.
        (Ok(_) | Err(_), _) if as_before => return Ok(link),
        (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
    };
    link.entry.insert(CALLER.into(), caller);
    match failure(cx, room, &target, &principal).await? {
        None => {
            link.entry.shift_remove(ERROR);
            write_target(cx, &target, Some(user)).await?;
            if !link.stands && room == Room::Messaging {
                bring_authorities(cx, &target).await?;
                linked_devices::bring(cx, &target, &mut link.entry).await?;
            }
            link.stands = true;
        }
        // A link that stands is not broken by a change that cannot be made.
        Some((_, message)) if link.stands => {
            return Err(Error::forbidden(message).with_code("LinkedAuthorizationFailed").with_target(path));
        }
        Some((code, message)) => {
            let message: String = message.chars().take(MESSAGE_CHARS).collect();
            link.entry.insert(ERROR.into(), json!({"code": code, "message": message}));
        }
    }
    Ok(link)
}

/// Whether two callers name one identity; words and ids compare ignoring case.
fn same_identity(one: &Value, other: &Value) -> bool {
    let same = |name: &str| {
        let text = |caller: &Value| caller.get(name).and_then(Value::as_str).unwrap_or_default().to_lowercase();
        text(one) == text(other)
    };
    same("type") && same(USER)
}

/// What a new endpoint links: it must exist, and be linked to no other namespace.
async fn found(cx: &PutContext<'_>, room: Room, name: &str, entry: &Value, path: &str) -> Result<Linked> {
    if !((3..=63).contains(&name.len()) && is_registry_name(name)) {
        return Err(Error::invalid_property(
            path,
            "The name of an endpoint has 3 to 63 characters, letters, digits and '-', starting with a letter or digit.",
        ));
    }
    let text = entry.get("resourceId").and_then(Value::as_str).unwrap_or_default();
    let at = format!("{path}.resourceId");
    let id = ResourceId::parse(text).map_err(|error| error.with_target(at.clone()))?;
    if cx.platform.kinds.of(&id).is_none_or(|kind| kind.tag != room.tag()) {
        let kind = kind_of(cx.platform, room);
        return Err(Error::invalid_property(at, format!("'{text}' is not the id of a resource of type '{kind}'.")));
    }
    let target = resources::get(cx.platform, &id).await?;
    // Who may not see it is not told whether it is there.
    let read = format!("{}/read", kind_of(cx.platform, room));
    cx.platform.authorize(cx.actor, &read, &id).map_err(authz::linked)?;
    let target =
        target.ok_or_else(|| Error::invalid_property(at.clone(), format!("'{id}' does not exist. Make it first.")))?;
    if let Some(other) = target.resource.links.get(NAMESPACE).filter(|other| other.uid != cx.uid) {
        return Err(Error::conflict(format!(
            "'{id}' is linked to the namespace '{}', and can be linked to one only. Take it off there first.",
            render::reference_id(cx.platform, other).await?
        ))
        .with_code("AlreadyLinkedToAnotherNamespace")
        .with_target(at));
    }
    if room == Room::Provisioning && target.resource.location != cx.resource.location {
        return Err(Error::invalid_property(
            at,
            format!(
                "A Device Provisioning Service lies in the region of its namespace: '{}' is in '{}', the namespace in '{}'.",
                target.name(),
                target.resource.location.as_deref().unwrap_or_default(),
                cx.resource.location.as_deref().unwrap_or_default()
            ),
        ));
    }
    let kind = json!({"endpointType": kind_of(cx.platform, room)});
    let entry = kind.as_object().cloned().unwrap_or_default();
    let reference = Reference { uid: target.uid, id: target.id.to_string() };
    Ok(Linked { name: name.to_owned(), reference, target: Some(target), stands: false, entry })
}

/// The address of a hub follows from the hub.
fn check_address(target: &Stored, entry: &Value, path: &str) -> Result<()> {
    let host = target.resource.text(&["hostName"]).unwrap_or_default();
    let sent = entry.get("address").and_then(Value::as_str).filter(|text| !text.is_empty());
    match sent {
        Some(sent) if target.is(tag::IOT_HUB) && !sent.eq_ignore_ascii_case(host) => Err(Error::invalid_property(
            format!("{path}.address"),
            format!("The address of the hub '{}' is '{host}'; leave it out.", target.name()),
        )),
        _ => Ok(()),
    }
}

/// The identity of `target` that a caller names, as a reference where it is a user-assigned one, and its principal.
fn identity_of(target: &Stored, caller: &Value, path: &str) -> Result<(Option<Reference>, String)> {
    let at = format!("{path}.{CALLER}");
    let text = |name: &str| caller.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let identity = target.resource.identity.as_ref();
    let user = text("type").is_some_and(|kind| kind.eq_ignore_ascii_case("UserAssigned"));
    match (user, text(USER)) {
        (true, Some(id)) => {
            let all = identity.iter().flat_map(|identity| &identity.user_assigned);
            let found = all.into_iter().find(|assigned| assigned.id.eq_ignore_ascii_case(id)).ok_or_else(|| {
                Error::invalid_property(
                    format!("{at}.{USER}"),
                    format!("The identity '{id}' is not attached to '{}'. Attach it first.", target.id),
                )
            })?;
            Ok((Some(Reference { uid: found.uid, id: found.id.clone() }), found.principal_id.clone()))
        }
        (true, None) => Err(Error::invalid_property(
            format!("{at}.{USER}"),
            "With the type UserAssigned, 'userAssignedIdentity' names the identity.",
        )),
        (false, Some(_)) => Err(Error::invalid_property(
            format!("{at}.{USER}"),
            "'userAssignedIdentity' goes with the type UserAssigned only.",
        )),
        (false, None) => match identity.and_then(|identity| identity.system_principal_id.clone()) {
            Some(principal) => Ok((None, principal)),
            None => Err(Error::invalid_property(
                at,
                format!(
                    "'{}' has no system-assigned identity with which it could act on the namespace. Give it one, or name one of its user-assigned identities.",
                    target.id
                ),
            )),
        },
    }
}

/// Whoever links a provisioning service changes what it trusts; a hub's owner agrees by giving the namespace its role.
fn authorize_caller(cx: &PutContext<'_>, room: Room, target: &Stored) -> Result<()> {
    let action = match room {
        Room::Messaging => "Microsoft.Devices/IotHubs/read",
        Room::Provisioning => "Microsoft.Devices/provisioningServices/write",
    };
    cx.platform.authorize(cx.actor, action, &target.id).map_err(authz::linked)
}

/// What keeps a link from being made, with Azure's code; `None` where nothing does.
async fn failure(
    cx: &PutContext<'_>,
    room: Room,
    target: &Stored,
    principal: &str,
) -> Result<Option<(&'static str, String)>> {
    if target.is_going() {
        return Ok(Some(("LinkableResourceNotReady", format!("'{}' is being deleted.", target.id))));
    }
    if target.resource.link(NAMESPACE).is_some_and(|other| other != cx.uid) {
        let text = format!("'{}' is linked to another namespace by now, and can be linked to one only.", target.id);
        return Ok(Some(("LinkInitiateFailed", text)));
    }
    if room == Room::Messaging {
        let outbound = match registry::outbound_principal(&cx.resource) {
            Some(outbound) => outbound,
            None => {
                let text = format!(
                    "The namespace '{}' has no identity with which it could write to the hub. Give it a system-assigned one, or name one in '{OUTBOUND}'.",
                    cx.id.name()
                );
                return Ok(Some(("OutboundIdentityUnavailable", text)));
            }
        };
        let actor = match cx.platform.identity_actor(outbound).await {
            Ok(actor) => actor,
            // It is made in this very write, and has no role yet.
            Err(error) if error.code == "PrincipalNotFound" => {
                let text = format!(
                    "The identity of the namespace '{}' with object id '{outbound}' is not there yet, or was deleted. Grant it its role on '{}', and send the endpoint again.",
                    cx.id.name(),
                    target.id
                );
                return Ok(Some(("NamespaceMiTokenAcquisitionFailed", text)));
            }
            Err(error) => return Err(error),
        };
        if let Err(refusal) = cx.platform.authorize(&actor, "Microsoft.Devices/IotHubs/write", &target.id) {
            return Ok(Some(("AdrMiNotAuthorized", refusal.message)));
        }
    }
    match cx.platform.identity_actor(principal).await {
        Ok(actor) => match cx.platform.authorize(&actor, registry::DEVICES_WRITE, cx.id) {
            Ok(()) => Ok(None),
            Err(refusal) => Ok(Some(("AuthorizationFailed", refusal.message))),
        },
        Err(error) if error.code == "PrincipalNotFound" => Ok(Some(("AuthorizationFailed", error.message))),
        Err(error) => Err(error),
    }
}

/// Writes the link into the row of what is linked: with the user-assigned identity as which it acts, if it is one; `None` takes it away.
async fn write_target(cx: &mut PutContext<'_>, target: &Stored, link: Option<Option<Reference>>) -> Result<()> {
    // That no lock comes meanwhile the engine sees to.
    cx.platform.locks().await?.check(Operation::Write, &target.id)?;
    let mut resource = target.resource.as_ref().clone();
    let mut extra: RowExtra = target.extra.clone();
    resource.links.remove(IDENTITY);
    resource.links.remove(UNLINKING);
    match link {
        Some(user) => {
            resource.links.insert(NAMESPACE.into(), Reference { uid: cx.uid, id: cx.id.to_string() });
            resource.links.extend(user.map(|user| (IDENTITY.to_owned(), user)));
            extra.link = Some(uid_key(cx.uid));
        }
        None => {
            resource.links.remove(NAMESPACE);
            extra.link = None;
        }
    }
    let entry = Entry {
        uid: target.uid,
        kind: target.kind,
        parent: target.parent,
        id: target.id.clone(),
        below_new: false,
        was: Some(target),
        resource,
        extra,
    };
    let told = Told::Row(cx.told(&entry.id, &format!("{}/write", target.kind.full()))?);
    resources::put(cx.platform, cx.actor, entry, told, &mut cx.change)?;
    if target.is(tag::IOT_HUB) {
        cx.change.trust_changed(target.uid);
    }
    Ok(())
}

/// Lets the issuing CAs of the namespace follow to a hub that was just linked; the worker does it.
async fn bring_authorities(cx: &mut PutContext<'_>, hub: &Stored) -> Result<()> {
    if cx.is_new() {
        return Ok(());
    }
    let record = synchronization(cx.platform, cx.actor.id(), cx.id, json!({"hubs": [uid_key(hub.uid)]}));
    cx.change.unit.put(record.put()?);
    Ok(())
}

/// An operation that brings issuing CAs of the namespace `id` to its hubs; `input` says which.
pub(super) fn synchronization(
    platform: &Platform,
    initiator: &str,
    id: &ResourceId,
    mut input: Value,
) -> StoredOperation {
    let correlation: Uuid = platform.random.uuid_v4();
    input["correlation"] = correlation.to_string().into();
    let (declared, name) = (&credential::DECL, credential::SYNCHRONIZE);
    let resource = id.child("credentials", CREDENTIAL);
    StoredOperation::with(platform, initiator, correlation, declared.kind.tag, name, &resource, 204, input)
}

/// Takes a link away. A hub whose devices the namespace has stays; the devices that the link brought, and the CAs that were brought to the hub, go with it.
pub(super) async fn unlink(cx: &mut PutContext<'_>, room: Room, link: Linked) -> Result<()> {
    let Some(mut target) = link.target.filter(|_| link.stands) else { return Ok(()) };
    // Who may write the namespace only does not change what somebody else's row says.
    cx.platform.authorize(cx.actor, &format!("{}/write", target.kind.full()), &target.id).map_err(authz::linked)?;
    let locks = cx.platform.locks().await?;
    locks.check(Operation::Write, &target.id)?;
    if room == Room::Messaging {
        // From here on, whoever writes what is looked at now makes this unit fail.
        let Some(marked) = registry::mark_unlinking(cx.platform, target.uid, cx.uid).await? else { return Ok(()) };
        target = marked;
        let device = match devices_of(cx.platform, target.uid, cx.id, &mut cx.change).await? {
            Devices::Mirrored(device) => Some(device),
            // Some may be on their way.
            Devices::Unmirrored | Devices::Brought => {
                linked_devices::release(cx, &target)?;
                None
            }
            Devices::None => {
                // One that is made meanwhile wins.
                let prefix = ferrohub_model::device::devices_of(target.uid);
                cx.change.unit.expect(Expect::NonePrefixed { table: &DEVICES, column: "place", prefix });
                None
            }
        };
        if let Some(device) = device {
            return Err(Error::conflict(format!(
                "The endpoint '{}' cannot be taken away while the namespace has devices of the hub '{}', such as '{device}'. Delete those at the hub first: az iot hub device-identity delete --hub-name '{1}' --device-id '{device}'",
                link.name,
                target.name()
            ))
            .with_code("EndpointInUse")
            .with_target(format!("properties.{}.endpoints.{}", room.word(), link.name)));
        }
        for certificate in resources::children(cx.platform, target.uid, &target.id, Some(tag::HUB_CERTIFICATE)).await? {
            if certificate.resource.link(registry::AUTHORITY).is_some() {
                locks.check(Operation::Delete, &certificate.id)?;
                let made = [tag::ROLE_ASSIGNMENT];
                extensions::remove_with(cx.platform, cx.actor, &certificate, &made, &mut cx.change).await?;
            }
        }
    }
    write_target(cx, &target, None).await
}
