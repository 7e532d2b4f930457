//! Names and ids that the quickstart uses: fixed, so that a second run finds the first one's work. What stands in an MQTT user name is
//! short: the samples of azure-sdk-for-c have 128 bytes for it.

use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;

/// Region of everything.
pub(super) const LOCATION: &str = "swedencentral";
/// Enrollment group.
pub(super) const ENROLLMENT: &str = "quickstart-group";
/// Registration id, and so device id, of the simulated device.
pub(super) const DEVICE: &str = "qs-device";
/// Custom role: its name is unique in the tenant.
pub(super) const ROLE: &str = "ferrohub-quickstart";
/// Credential policy.
pub(super) const POLICY: &str = "default";
/// Azure's first-party IoT Hub application, the same in every tenant (seed 000).
pub(super) const IOT_HUB_APPLICATION: &str = "89d10474-74af-4874-99a7-c23c2f643083";
/// Built-in role Contributor.
pub(super) const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
/// Built-in role IoT Hub Registry Contributor.
pub(super) const HUB_REGISTRY_CONTRIBUTOR: &str = "4ea46cd5-c1b2-4a8e-910b-273211f9ce47";
/// The custom role's actions (seed 000).
pub(super) const ACTIONS: [&str; 6] = [
    "Microsoft.DeviceRegistry/namespaces/devices/read",
    "Microsoft.DeviceRegistry/namespaces/devices/write",
    "Microsoft.DeviceRegistry/namespaces/read",
    "Microsoft.DeviceRegistry/namespaces/write",
    "Microsoft.DeviceRegistry/namespaces/credentials/read",
    "Microsoft.DeviceRegistry/namespaces/credentials/policies/read",
];

/// Resource ids and names of one subscription.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// `/subscriptions/{id}`.
    pub(super) subscription: String,
    /// Resource group id.
    pub(super) group: String,
    /// Custom role definition id.
    pub(super) role: String,
    /// User-assigned identity id.
    pub(super) identity: String,
    /// Namespace id.
    pub(super) namespace: String,
    /// Credential id.
    pub(super) credential: String,
    /// Policy id.
    pub(super) policy: String,
    /// Hub name; hub names are unique over all tenants.
    pub(super) hub_name: String,
    /// Hub id.
    pub(super) hub: String,
    /// Provisioning service name.
    pub(super) dps_name: String,
    /// Provisioning service id.
    pub(super) dps: String,
}

impl Names {
    /// The names for a tenant's subscription.
    pub(super) fn of(tenant: &str, subscription: &str) -> Self {
        let suffix: String =
            tenant.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>().to_ascii_lowercase();
        let (hub_name, dps_name) = (format!("qs-hub-{suffix}"), format!("qs-dps-{suffix}"));
        let subscription = format!("/subscriptions/{subscription}");
        let group = format!("{subscription}/resourceGroups/quickstart-rg");
        let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/quickstart-ns");
        let credential = format!("{namespace}/credentials/default");
        Self {
            role: format!("{group}/providers/Microsoft.Authorization/roleDefinitions/{}", id_of(&["role", &group])),
            identity: format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/quickstart-identity"),
            policy: format!("{credential}/policies/{POLICY}"),
            hub: format!("{group}/providers/Microsoft.Devices/IotHubs/{hub_name}"),
            dps: format!("{group}/providers/Microsoft.Devices/provisioningServices/{dps_name}"),
            subscription,
            group,
            namespace,
            credential,
            hub_name,
            dps_name,
        }
    }

    /// Id of the assignment of a role (its definition's GUID) to a principal on a scope.
    pub(super) fn assignment(scope: &str, principal: &str, role: &str) -> String {
        format!(
            "{scope}/providers/Microsoft.Authorization/roleAssignments/{}",
            id_of(&["assignment", scope, principal, role])
        )
    }

    /// Id of a built-in role's definition.
    pub(super) fn built_in_role(&self, guid: &str) -> String {
        format!("{}/providers/Microsoft.Authorization/roleDefinitions/{guid}", self.subscription)
    }
}

/// A UUID (version 8) that the same parts always give: clients choose the ids of roles and assignments.
fn id_of(parts: &[&str]) -> Uuid {
    let hash = digest(&SHA256, parts.join("\n").to_ascii_lowercase().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_legal() {
        let names = Names::of("9A41b6c2-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000001");
        assert_eq!((names.hub_name.as_str(), names.dps_name.as_str()), ("qs-hub-9a41b6c2", "qs-dps-9a41b6c2"));
        assert!(names.hub_name.len() <= 50);
        let again = Names::of("9A41b6c2-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000001");
        assert_eq!(names.role, again.role);
    }

    #[test]
    fn the_device_s_user_name_fits_into_the_buffer_of_the_c_samples() {
        let names = Names::of("9A41b6c2-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000001");
        // The longest client types of azure-sdk-for-c, a beta of the library and the one of its ESP32 sample.
        for client in ["azsdk-c%2F1.10.0-beta.1", "c%2F1.10.0-beta.1(ard;esp32)"] {
            let user_name = format!(
                "{}.azure-devices.localhost/{DEVICE}/?api-version=2020-09-30&DeviceClientType={client}",
                names.hub_name
            );
            assert!(user_name.len() < 128, "{} bytes: {user_name}", user_name.len());
        }
    }

    #[test]
    fn assignments_differ_by_scope_principal_and_role() {
        let one = Names::assignment("/a", "p", "r");
        assert_eq!(one, Names::assignment("/a", "p", "r"));
        for other in
            [Names::assignment("/a", "p", "q"), Names::assignment("/a", "o", "r"), Names::assignment("/b", "p", "r")]
        {
            assert_ne!(one, other);
        }
    }
}
