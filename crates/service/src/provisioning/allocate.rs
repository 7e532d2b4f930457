//! Which of the linked hubs a device gets.

use super::DpsRef;
use super::access::shown;
use super::linked_hub::{LinkedHub, linked_hubs};
use super::webhook::{Answer, failed};
use aws_lc_rs::digest;
use ferrohub_model::enrollment::{AllocationPolicy, EnrollmentSettings};
use ferrohub_model::error::{Error, Result};

/// The hub for a device: the one it has where that is still allowed, else the one that the policy chooses.
///
/// # Errors
/// `Invalid` (400208) when no hub may be chosen, saying why; 400207 where the webhook decided nothing that counts.
pub(super) fn allocate(
    dps: &DpsRef,
    settings: &EnrollmentSettings,
    registration_id: &str,
    present: Option<&str>,
    decided: &Decided<'_>,
) -> Result<String> {
    let linked = linked_hubs(dps);
    if linked.is_empty() {
        return Err(no_hub(format!(
            "The provisioning service '{0}' has no linked hub. Link one: az iot dps linked-hub create --dps-name {0} --resource-group {1} --hub-name '<hub>'",
            dps.name,
            dps.id.resource_group.as_deref().unwrap_or("<resource group>")
        )));
    }
    let policy = match settings.allocation_policy {
        Some(policy) => policy,
        None => AllocationPolicy::parse(dps.stored.resource.text(&["allocationPolicy"]).unwrap_or("Hashed"))?,
    };
    let allowed = candidates(&linked, settings, policy);
    // Without updateHubAssignment a device stays where it is as long as the hub is linked at all. Latencies and webhooks are asked
    // again each time.
    let settles = matches!(policy, AllocationPolicy::Static | AllocationPolicy::Hashed);
    let stays = |hub: &&LinkedHub| {
        !settings.reprovision_policy.update_hub_assignment
            || settles && allowed.iter().any(|candidate| candidate.host == hub.host)
    };
    let here = present.and_then(|host| linked.iter().find(|hub| hub.host.eq_ignore_ascii_case(host))).filter(stays);
    if let Some(hub) = here {
        return Ok(hub.host.clone());
    }
    let chosen = match policy {
        AllocationPolicy::Static => allowed.first().copied(),
        AllocationPolicy::Hashed => weighted(&allowed, registration_id),
        AllocationPolicy::GeoLatency => weighted(&nearest(&allowed, decided.latencies), registration_id),
        AllocationPolicy::Custom => Some(named_by_webhook(&allowed, decided.answer)?),
    };
    chosen.map(|hub| hub.host.clone()).ok_or_else(|| {
        no_hub(format!(
            "None of the hubs linked to the provisioning service '{}' may be chosen by the enrollment: check its iotHubs and allocationPolicy, and applyAllocationPolicy of the linked hubs.",
            dps.name
        ))
    })
}

/// What was found out before a hub is chosen.
#[derive(Default)]
pub(super) struct Decided<'a> {
    /// What the webhook said; `None` where none was asked.
    pub(super) answer: Option<&'a Result<Answer>>,
    /// Latencies of hubs by host, ms.
    pub(super) latencies: &'a [(String, u64)],
}

/// Those with the lowest latency. A hub without one is further away than any with one.
fn nearest<'a>(hubs: &[&'a LinkedHub], latencies: &[(String, u64)]) -> Vec<&'a LinkedHub> {
    let latency = |hub: &LinkedHub| {
        let found = latencies.iter().find(|(host, _)| host.eq_ignore_ascii_case(&hub.host));
        found.map_or(u64::MAX, |(_, latency)| *latency)
    };
    let least = hubs.iter().map(|hub| latency(hub)).min();
    hubs.iter().copied().filter(|hub| Some(latency(hub)) == least).collect()
}

/// The hub that a webhook named, which must be one of those that it could choose from.
fn named_by_webhook<'a>(allowed: &[&'a LinkedHub], answer: Option<&Result<Answer>>) -> Result<&'a LinkedHub> {
    let answer =
        answer.ok_or_else(|| failed("Custom allocation failed: the webhook was not asked; register again.".into()))?;
    let host = match answer {
        Ok(answer) => &answer.hub_host,
        Err(error) => return Err(error.clone()),
    };
    allowed.iter().copied().find(|hub| hub.host.eq_ignore_ascii_case(host)).ok_or_else(|| {
        failed(format!(
            "Custom allocation failed: the webhook named the hub '{}', which is none of those that it was offered.",
            shown(host)
        ))
    })
}

/// The hubs that an enrollment may choose from.
pub(super) fn candidates<'a>(
    linked: &'a [LinkedHub],
    settings: &EnrollmentSettings,
    policy: AllocationPolicy,
) -> Vec<&'a LinkedHub> {
    let named = |host: &str| match &settings.iot_hubs {
        None => true,
        Some(hosts) => hosts.iter().any(|name| name.eq_ignore_ascii_case(host)),
    };
    let mut found: Vec<&LinkedHub> = linked.iter().filter(|hub| named(&hub.host)).collect();
    if policy != AllocationPolicy::Static {
        found.retain(|hub| hub.allocates);
    } else if let Some(host) = &settings.iot_hub_host_name {
        found.retain(|hub| hub.host.eq_ignore_ascii_case(host));
    }
    found
}

/// Weighted rendezvous hashing: every hub draws a number from the registration id; the weights stretch the draws.
/// Adding or removing a hub moves only the devices that it gains or loses.
fn weighted<'a>(hubs: &[&'a LinkedHub], registration_id: &str) -> Option<&'a LinkedHub> {
    let cost = |hub: &LinkedHub| {
        let text = format!("{}\n{}", registration_id.to_ascii_lowercase(), hub.host.to_ascii_lowercase());
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        // 53 bits fill a float's mantissa; plus one half keeps the draw off zero.
        let draw = hash.as_ref().iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte)) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly, and weights are small")]
        let (draw, weight) = ((draw as f64 + 0.5) / (1u64 << 53) as f64, hub.weight as f64);
        -draw.ln() / weight
    };
    hubs.iter().copied().min_by(|a, b| cost(a).total_cmp(&cost(b)))
}

fn no_hub(message: String) -> Error {
    Error::invalid(message).with_iot_code(400_208)
}

#[cfg(test)]
mod tests {
    use super::super::linked_hub::Entry;
    use super::*;

    fn hub(host: &str, weight: u64) -> LinkedHub {
        LinkedHub { host: host.into(), weight, allocates: true, entry: Entry::Key }
    }

    #[test]
    fn shares_follow_the_weights_and_do_not_depend_on_case() {
        let hubs = [hub("a", 1), hub("b", 3)];
        let refs: Vec<&LinkedHub> = hubs.iter().collect();
        let heavy = (0..4000).filter(|n| weighted(&refs, &format!("device-{n}")).unwrap().host == "b").count();
        assert!((2850..3150).contains(&heavy), "{heavy}");
        assert_eq!(weighted(&refs, "Device-1"), weighted(&refs, "device-1"));
        assert!(weighted(&[], "d").is_none());
    }

    #[test]
    fn the_nearest_hubs_are_those_with_the_lowest_latency() {
        let hubs = [hub("a", 1), hub("b", 1), hub("c", 1)];
        let refs: Vec<&LinkedHub> = hubs.iter().collect();
        let near = |latencies: &[(&str, u64)]| -> Vec<String> {
            let latencies: Vec<(String, u64)> = latencies.iter().map(|(host, ms)| ((*host).to_owned(), *ms)).collect();
            nearest(&refs, &latencies).iter().map(|hub| hub.host.clone()).collect()
        };
        assert_eq!(near(&[("a", 30), ("B", 20), ("c", 25)]), ["b"]);
        assert_eq!(near(&[("a", 20), ("c", 20)]), ["a", "c"]);
        assert_eq!(near(&[("c", 500)]), ["c"]);
        assert_eq!(near(&[]).len(), 3);
        assert!(nearest(&[], &[]).is_empty());
    }

    #[test]
    fn a_further_hub_moves_devices_only_to_itself() {
        let (two, three) = ([hub("a", 1), hub("b", 1)], [hub("a", 1), hub("b", 1), hub("c", 1)]);
        let (two, three): (Vec<_>, Vec<_>) = (two.iter().collect(), three.iter().collect());
        for n in 0..500 {
            let id = format!("d{n}");
            let (before, after) = (weighted(&two, &id).unwrap(), weighted(&three, &id).unwrap());
            assert!(after.host == "c" || after.host == before.host);
        }
    }
}
