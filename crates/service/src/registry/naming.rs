//! The ADR name of a hub device.

use crate::platform::Platform;
use crate::resources::{Stored, place, tag};
use crate::sha256;
use crate::tables::RESOURCES;
use ferrohub_model::device_id::{is_registry_name, registry_slug};
use ferrohub_model::error::{Error, Result};
use uuid::Uuid;

/// Hexadecimal digits of a hash in a name: with the longest slug (51) and a dash they stay below 63 characters.
const HASH_DIGITS: [usize; 2] = [10, 11];

/// A free name in `namespace`: the device id where it is legal and no other device has it (ADR names ignore case),
/// else its slug with a hash of hub and device id.
///
/// # Errors
/// `Conflict` when all candidates are taken; when the store cannot be read.
pub(super) async fn free_name(platform: &Platform, namespace: &Stored, hub: Uuid, device_id: &str) -> Result<String> {
    for name in candidates(hub, device_id) {
        let taken = platform.store.find_one(&RESOURCES, "place", &place(namespace.uid, tag::DEVICE, &name)).await?;
        if taken.is_none() {
            return Ok(name);
        }
    }
    Err(Error::conflict(format!(
        "The device '{device_id}' needs a name in the namespace '{}', and all that stand for it are taken; delete the device resources that no hub device stands behind.",
        namespace.name()
    )))
}

/// The name that [`free_name`] tries first.
pub(super) fn first_name(hub: Uuid, device_id: &str) -> String {
    if is_registry_name(device_id) {
        return device_id.to_owned();
    }
    candidates(hub, device_id).into_iter().next().unwrap_or_else(|| device_id.to_owned())
}

fn candidates(hub: Uuid, device_id: &str) -> Vec<String> {
    let hash = sha256::hex(format!("{hub}/{device_id}").as_bytes());
    let slug = registry_slug(device_id);
    let hashed = HASH_DIGITS.iter().filter_map(|digits| hash.get(..*digits)).map(|short| format!("{slug}-{short}"));
    is_registry_name(device_id).then(|| device_id.to_owned()).into_iter().chain(hashed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_ids_come_first_and_every_candidate_is_legal() {
        let hub = Uuid::from_u128(7);
        assert_eq!(candidates(hub, "sensor1")[0], "sensor1");
        assert!(candidates(hub, "Pump:1")[0].starts_with("Pump-1-"));
        assert_eq!(first_name(hub, "Pump:1"), candidates(hub, "Pump:1")[0]);
        for id in ["a", "sensor1", "Pump:1", "_x", &"d".repeat(63), &"d".repeat(64), &"%".repeat(128)] {
            for name in candidates(hub, id) {
                assert!(is_registry_name(&name), "{name}");
            }
        }
        assert_ne!(candidates(hub, "a:b"), candidates(hub, "a.b"));
        assert_ne!(candidates(hub, "a:b"), candidates(Uuid::from_u128(8), "a:b"));
    }
}
