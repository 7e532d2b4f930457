//! What a subscription uses, beside Azure's documented limits, which types declare. Some hold where the subscription asks for
//! it with a tag: a script that must fail where Azure would can be tried that way.

use super::declaration::Quota;
use super::request::ArmRequest;
use crate::platform::Platform;
use crate::resources::{self, Kind, Stored};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use serde_json::{Value, json};

/// Device Registry, and the right to read what is used of it.
pub(super) const OF_REGISTRY: (&str, &str) = ("Microsoft.DeviceRegistry", "Microsoft.DeviceRegistry/usages/read");
/// Hubs and provisioning services, and the right to read how many there are.
pub(super) const OF_DEVICES: (&str, &str) = ("Microsoft.Devices", "Microsoft.Devices/usages/read");
/// Tag of a subscription with which the limits hold. As with all tags, its case does not matter.
const TAG: &str = "ferrohub-quotas";
/// What the tag says then.
const ENFORCED: &str = "enforced";

/// What a subscription uses of the types of a provider, in the shape of `az vm list-usage` and of `UserSubscriptionQuota`: of those that are
/// counted in the subscription, and, for those that are counted in a resource above, of each of these.
pub(super) async fn list(
    platform: &Platform,
    request: &ArmRequest,
    known: &Subscription,
    (provider, right): (&str, &str),
) -> Result<Vec<Value>> {
    let scope = ResourceId::subscription(&known.id.to_string());
    platform.authorize(&request.actor, right, &scope)?;
    let usage = |name: String, words: String, count: usize, limit: usize| {
        json!({
            "id": format!("{scope}/providers/{provider}/usages/{name}"),
            "type": format!("{provider}/usages"),
            "name": {"value": name, "localizedValue": words},
            "unit": "Count",
            "currentValue": count,
            "limit": limit
        })
    };
    let mut all = Vec::new();
    for decl in platform.types.all().iter().filter(|decl| decl.kind.provider == provider) {
        let Some(quota) = &decl.quota else { continue };
        let Some((noun, parents)) = quota.above.zip(above(platform, &decl.kind)) else {
            let count = within(platform, decl.kind.tag, &scope).await?.len();
            all.push(usage(quota.name.into(), quota.words.into(), count, quota.most));
            continue;
        };
        for parent in within(platform, parents.tag, &scope).await? {
            let words = format!("{} of the {noun} '{}'", quota.words, parent.name());
            let name = format!("{noun}s-{}-{}", parent.name(), quota.name);
            all.push(usage(name, words, below(platform, &parent, decl.kind.tag).await?, quota.most));
        }
    }
    Ok(all)
}

/// Refuses a new resource over Azure's limit, where the subscription asks for it: `kind` is as what it is stored, whatever shape
/// it is made through. Two that are made at once may both get in.
///
/// # Errors
/// `QuotaExceeded`.
pub(super) async fn check(platform: &Platform, kind: &Kind, id: &ResourceId, parent: Option<&Stored>) -> Result<()> {
    let quota = platform.types.tagged(kind.tag).and_then(|decl| decl.quota).filter(|quota| quota.holds);
    let Some(Quota { name, most, above, .. }) = quota.filter(|_| is_enforced(platform, id)) else { return Ok(()) };
    let (count, what) = match above.zip(parent) {
        Some((noun, parent)) => {
            (below(platform, parent, kind.tag).await?, format!("The {noun} '{}' has {most} {name}", parent.name()))
        }
        None => {
            let scope = ResourceId::subscription(id.subscription.as_deref().unwrap_or_default());
            (within(platform, kind.tag, &scope).await?.len(), format!("The subscription has {most} {name}"))
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

/// The type right above another one, whose resources have rows.
fn above(platform: &Platform, kind: &Kind) -> Option<&'static Kind> {
    let path = kind.path.split_last()?.1;
    let decl = platform.types.all().iter().find(|decl| decl.kind.provider == kind.provider && decl.kind.path == path);
    decl.map(|decl| &decl.kind)
}

/// The resources of a type in a subscription.
async fn within(platform: &Platform, tag: &str, scope: &ResourceId) -> Result<Vec<Stored>> {
    let mut all = resources::every(platform, tag).await?;
    all.retain(|stored| stored.id.is_within(scope));
    Ok(all)
}

/// Those below one resource, counted in the index.
async fn below(platform: &Platform, parent: &Stored, tag: &str) -> Result<usize> {
    let count = resources::count_children(platform, parent.uid, tag).await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn is_enforced(platform: &Platform, id: &ResourceId) -> bool {
    let known = platform.subscription(id.subscription.as_deref().unwrap_or_default());
    known.is_some_and(|known| {
        known.tags.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case(TAG) && value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(ENFORCED))
        })
    })
}
