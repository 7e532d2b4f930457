//! What a subscription uses of Device Registry, beside Azure's documented limits. They hold where the subscription asks for
//! it with a tag: a script that must fail where Azure would can be tried that way.

use super::request::ArmRequest;
use crate::platform::Platform;
use crate::resources::{self, Kind, Stored, tag};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use serde_json::{Value, json};

/// Reading what is used.
pub(super) const READ: &str = "Microsoft.DeviceRegistry/usages/read";
/// Reading how many hubs and provisioning services there are.
pub(super) const READ_DEVICES: &str = "Microsoft.Devices/usages/read";
/// Tag of a subscription with which the limits hold. As with all tags, its case does not matter.
const TAG: &str = "ferrohub-quotas";
/// What the tag says then.
const ENFORCED: &str = "enforced";

/// What is used, in the shape of `az vm list-usage`: namespaces, and the devices of each.
pub(super) async fn list(platform: &Platform, request: &ArmRequest, known: &Subscription) -> Result<Vec<Value>> {
    let scope = ResourceId::subscription(&known.id.to_string());
    platform.authorize(&request.actor, READ, &scope)?;
    let mut namespaces = resources::every(platform, tag::NAMESPACE).await?;
    namespaces.retain(|namespace| namespace.id.is_within(&scope));
    let base = format!("{scope}/providers/Microsoft.DeviceRegistry/usages");
    let usage = |name: String, words: String, count: usize, limit: usize| {
        json!({
            "id": format!("{base}/{name}"),
            "name": {"value": name, "localizedValue": words},
            "unit": "Count",
            "currentValue": count,
            "limit": limit
        })
    };
    let mut all =
        vec![usage("namespaces".into(), "Namespaces".into(), namespaces.len(), limits::NAMESPACES_OF_SUBSCRIPTION)];
    for namespace in &namespaces {
        let name = namespace.name();
        let count = devices(platform, namespace).await?;
        let words = format!("Devices of the namespace '{name}'");
        all.push(usage(format!("namespaces-{name}-devices"), words, count, limits::DEVICES_OF_NAMESPACE));
    }
    Ok(all)
}

/// How many hubs and provisioning services a subscription has, in the shape of `UserSubscriptionQuota`, beside what Azure lets a
/// subscription have. Nothing holds them to it here.
pub(super) async fn list_devices(
    platform: &Platform,
    request: &ArmRequest,
    known: &Subscription,
) -> Result<Vec<Value>> {
    let scope = ResourceId::subscription(&known.id.to_string());
    platform.authorize(&request.actor, READ_DEVICES, &scope)?;
    let mut all = Vec::new();
    for (tag, name, words, limit) in [
        (tag::IOT_HUB, "IotHubs", "IoT hubs", limits::HUBS_OF_SUBSCRIPTION),
        (tag::PROVISIONING_SERVICE, "ProvisioningServices", "Provisioning services", limits::SERVICES_OF_SUBSCRIPTION),
    ] {
        let found = resources::every(platform, tag).await?;
        let count = found.iter().filter(|resource| resource.id.is_within(&scope)).count();
        all.push(json!({
            "id": format!("{scope}/providers/Microsoft.Devices/usages/{name}"),
            "type": "Microsoft.Devices/usages",
            "name": {"value": name, "localizedValue": words},
            "unit": "Count",
            "currentValue": count,
            "limit": limit
        }));
    }
    Ok(all)
}

/// Refuses a new resource over Azure's limit, where the subscription asks for it: `kind` is as what it is stored, whatever shape
/// it is made through. Two that are made at once may both get in.
///
/// # Errors
/// `QuotaExceeded`.
pub(super) async fn check(platform: &Platform, kind: &Kind, id: &ResourceId, parent: Option<&Stored>) -> Result<()> {
    let (namespace, device) = (kind.tag == tag::NAMESPACE, kind.tag == tag::DEVICE);
    if !(namespace || device) || !is_enforced(platform, id) {
        return Ok(());
    }
    let (count, most, what) = match parent.filter(|_| device) {
        Some(parent) => {
            let most = limits::DEVICES_OF_NAMESPACE;
            (devices(platform, parent).await?, most, format!("The namespace '{}' has {most} devices", parent.name()))
        }
        None => {
            let scope = ResourceId::subscription(id.subscription.as_deref().unwrap_or_default());
            let all = resources::every(platform, tag::NAMESPACE).await?;
            let most = limits::NAMESPACES_OF_SUBSCRIPTION;
            let count = all.iter().filter(|known| known.id.is_within(&scope)).count();
            (count, most, format!("The subscription has {most} namespaces"))
        }
    };
    if count < most {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{what}, which is Azure's limit. It holds because the subscription has the tag '{TAG}'; take the tag off to go on."
    ))
    .with_code("QuotaExceeded"))
}

fn is_enforced(platform: &Platform, id: &ResourceId) -> bool {
    let known = platform.subscription(id.subscription.as_deref().unwrap_or_default());
    known.is_some_and(|known| {
        known.tags.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case(TAG) && value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(ENFORCED))
        })
    })
}

/// The devices of a namespace, counted in the index.
async fn devices(platform: &Platform, namespace: &Stored) -> Result<usize> {
    let count = resources::count_children(platform, namespace.uid, tag::DEVICE).await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}
