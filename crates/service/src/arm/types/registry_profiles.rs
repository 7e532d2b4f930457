//! `registryDevices/{device}/authenticationProfiles` and `.../capabilities`: how a device proves who it is, and what it can be used
//! for, shown of the hub identity behind it. A device has one identity, and so one profile and one capability, or none of either.

use super::device;
use super::device_revoke::{self, Asked};
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::arm::query;
use crate::hub::identity;
use crate::registry;
use crate::registry::endpoint::endpoint_name;
use crate::resources;
use ferrohub_model::device::{AuthenticationType, DeviceIdentity, DeviceStatus};
use ferrohub_model::error::{Error, Result};
use serde_json::{Value, json};
use std::sync::Arc;

const PROFILES: &str = "authenticationProfiles";
/// The name of the one profile.
const PROFILE: &str = "default";
const CAPABILITIES: &str = "capabilities";

/// Answers a request on the profiles of a device.
pub(super) async fn answer(cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
    let identity = registry::hub_device(cx.platform, cx.stored.uid).await?;
    let profile = match &identity {
        Some(identity) => profile(cx, identity).await?,
        None => None,
    };
    if cx.is("GET", &["*"]) {
        query::check(cx.request, &[])?;
        let value: Vec<Value> = profile.into_iter().collect();
        return Ok(Some(SubAnswer::Done(200, Some(json!({ "value": value })))));
    }
    let asked = cx.tail.get(1).map(String::as_str).unwrap_or_default();
    let (Some(identity), Some(profile)) = (identity, profile.filter(|_| asked.eq_ignore_ascii_case(PROFILE))) else {
        return Err(missing(cx, PROFILES, asked));
    };
    if cx.is("POST", &["*", "*", "listKeys"]) {
        return list_keys(cx, &identity).await.map(Some);
    }
    if cx.is("POST", &["*", "*", "revokeCertificates"]) {
        return revoke(cx, &identity).await.map(Some);
    }
    query::check(cx.request, &[])?;
    Ok(Some(SubAnswer::Done(200, Some(profile))))
}

/// The profile of an identity; `None` for one that cannot prove itself.
async fn profile(cx: &SubContext<'_>, identity: &DeviceIdentity) -> Result<Option<Value>> {
    let authentication = &identity.authentication;
    let mut properties = match authentication.kind {
        // The keys are told by `listKeys` only.
        AuthenticationType::Sas => json!({"authenticationType": "SymmetricKey"}),
        AuthenticationType::SelfSigned => json!({
            "authenticationType": "SelfSignedX509Certificate",
            "selfSignedThumbprints": identity.thumbprints(),
        }),
        AuthenticationType::CertificateAuthority => {
            let policy = match identity.policy {
                Some(policy) => resources::id_of(cx.platform, policy).await?,
                None => None,
            };
            // A device under a CA that was uploaded to its hub has no policy.
            let authority =
                policy.map_or_else(|| json!({}), |id| json!({"certificatePolicyResourceId": id.to_string()}));
            json!({
                "authenticationType": "CertificateAuthoritySignedX509Certificate",
                "certificateAuthority": authority,
            })
        }
        AuthenticationType::None => return Ok(None),
    };
    properties["provisioningState"] = "Succeeded".into();
    Ok(Some(document(cx, PROFILES, PROFILE, properties)))
}

async fn list_keys(cx: &SubContext<'_>, identity: &Arc<DeviceIdentity>) -> Result<SubAnswer> {
    let Some((primary, secondary)) = identity::open_keys(cx.platform, identity).await? else {
        return Err(wrong_type(cx, identity, "has keys only with the authentication type SymmetricKey"));
    };
    let keys = json!({"primaryKey": primary.as_str(), "secondaryKey": secondary.as_str()});
    Ok(SubAnswer::Done(200, Some(json!({ "symmetricKey": keys }))))
}

async fn revoke(cx: &SubContext<'_>, identity: &DeviceIdentity) -> Result<SubAnswer> {
    if cx.body.is_some_and(|body| !body.is_null() && body.as_object().is_none_or(|members| !members.is_empty())) {
        return Err(Error::invalid("'revokeCertificates' has no body.").with_code("InvalidRequestContent"));
    }
    if identity.authentication.kind != AuthenticationType::CertificateAuthority {
        return Err(wrong_type(
            cx,
            identity,
            "has certificates of a policy only with the authentication type CertificateAuthoritySignedX509Certificate",
        ));
    }
    let asked = Asked {
        disable: false,
        action: "Microsoft.DeviceRegistry/namespaces/registryDevices/authenticationProfiles/revokeCertificates/action",
        ended: (204, None),
    };
    match device_revoke::accept(cx, device::DECL.kind.tag, &asked).await? {
        Some(operation) => Ok(SubAnswer::Accepted { operation }),
        // It has no certificate of a policy, so none counts.
        None => Ok(SubAnswer::Done(204, None)),
    }
}

fn wrong_type(cx: &SubContext<'_>, identity: &DeviceIdentity, rule: &str) -> Error {
    Error::invalid(format!(
        "The device '{}' {rule}; at its hub it has the type '{}'.",
        cx.id.name(),
        identity.authentication.kind.as_str()
    ))
    .with_code("InvalidAuthenticationType")
}

/// Answers a request on the capabilities of a device.
pub(super) async fn capabilities(cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
    let capability = capability(cx).await?;
    if cx.is("GET", &["*"]) {
        query::check(cx.request, &[])?;
        let value: Vec<Value> = capability.into_iter().collect();
        return Ok(Some(SubAnswer::Done(200, Some(json!({ "value": value })))));
    }
    query::check(cx.request, &[])?;
    let asked = cx.tail.get(1).map(String::as_str).unwrap_or_default();
    let named = |one: &Value| one["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(asked));
    match capability.filter(named) {
        Some(found) => Ok(Some(SubAnswer::Done(200, Some(found)))),
        None => Err(missing(cx, CAPABILITIES, asked)),
    }
}

/// Being a device of a hub; its name is that of the hub's endpoint in the namespace.
async fn capability(cx: &SubContext<'_>) -> Result<Option<Value>> {
    let Some(identity) = registry::hub_device(cx.platform, cx.stored.uid).await? else { return Ok(None) };
    let namespace = resources::by_uid(cx.platform, cx.stored.parent).await?;
    let hub = resources::by_uid(cx.platform, identity.hub).await?;
    let (Some(namespace), Some(hub)) = (namespace, hub) else { return Ok(None) };
    let endpoint = endpoint_name(&namespace, &hub);
    let state = match (device::is_enabled(cx.stored), identity.status) {
        (false, _) => "DisabledByParent",
        (true, DeviceStatus::Enabled) => "Enabled",
        (true, DeviceStatus::Disabled) => "Disabled",
    };
    let mut properties = json!({
        "capabilityType": "Microsoft.IoTHub",
        "enablementState": state,
        "messagingEndpointName": endpoint,
        "provisioningState": "Succeeded",
    });
    if identity.authentication.kind != AuthenticationType::None {
        properties["authenticationProfileResourceId"] = format!("{}/{PROFILES}/{PROFILE}", cx.id).into();
    }
    Ok(Some(document(cx, CAPABILITIES, &endpoint, properties)))
}

fn document(cx: &SubContext<'_>, segment: &str, name: &str, properties: Value) -> Value {
    json!({
        "id": format!("{}/{segment}/{name}", cx.id),
        "name": name,
        "type": format!("Microsoft.DeviceRegistry/namespaces/registryDevices/{segment}"),
        "properties": properties,
        "systemData": cx.stored.resource.system_data.view(),
    })
}

/// Azure's text for a resource that does not exist.
pub(super) fn missing(cx: &SubContext<'_>, segment: &str, name: &str) -> Error {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    resources::missing(&cx.id.child(segment, &shown))
}
