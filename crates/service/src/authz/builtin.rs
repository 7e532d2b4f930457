//! Azure's built-in roles that this product knows (reference: built-in roles, ms.date 12/31/2025).

use super::RoleDefinition;
use ferrohub_model::role::Permission;
use std::sync::LazyLock;

/// Owner.
pub const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
/// Contributor.
pub const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
/// Reader.
pub const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
/// User Access Administrator.
pub const USER_ACCESS_ADMINISTRATOR: &str = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9";

/// Text of a built-in role: GUID, name, description, actions, notActions, dataActions.
struct BuiltIn(
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const ALL: &[BuiltIn] = &[
    BuiltIn(
        OWNER,
        "Owner",
        "Grants full access to manage all resources, including the ability to assign roles.",
        &["*"],
        &[],
        &[],
    ),
    BuiltIn(
        CONTRIBUTOR,
        "Contributor",
        "Grants full access to manage all resources, but does not allow assigning roles.",
        &["*"],
        &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
            "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete",
        ],
        &[],
    ),
    BuiltIn(READER, "Reader", "View all resources, but does not allow any changes.", &["*/read"], &[], &[]),
    BuiltIn(
        USER_ACCESS_ADMINISTRATOR,
        "User Access Administrator",
        "Lets you manage user access to resources.",
        &["*/read", "Microsoft.Authorization/*"],
        &[],
        &[],
    ),
    BuiltIn(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        "Manage access to resources by assigning roles.",
        &["Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read"],
        &[],
        &[],
    ),
    BuiltIn(
        "a5c3590a-3a1a-4cd4-9648-ea0a32b15137",
        "Azure Device Registry Contributor",
        "Lets IoT devices be onboarded and managed in a Device Registry namespace.",
        &[
            "Microsoft.DeviceRegistry/namespaces/read",
            "Microsoft.DeviceRegistry/namespaces/devices/*",
            "Microsoft.DeviceRegistry/namespaces/discoveredDevices/*",
            "Microsoft.DeviceRegistry/namespaces/credentials/read",
            "Microsoft.DeviceRegistry/namespaces/credentials/policies/read",
            "Microsoft.Devices/IotHubs/certificates/*",
            "Microsoft.Devices/IotHubs/read",
        ],
        &[],
        &[
            "Microsoft.DeviceRegistry/namespaces/credentials/policies/issueCertificate/action",
            "Microsoft.Devices/IotHubs/devices/*",
        ],
    ),
    BuiltIn(
        "09267e11-2e06-40b5-8fe4-68cea20794c9",
        "Azure Device Registry Credentials Contributor",
        "Manage the credentials and policies of a Device Registry namespace.",
        &[
            "Microsoft.DeviceRegistry/namespaces/credentials/*",
            "Microsoft.DeviceRegistry/namespaces/credentials/policies/*",
        ],
        &[],
        &[],
    ),
    BuiltIn(
        "547f7f0a-69c0-4807-bd9e-0321dfb66a84",
        "Azure Device Registry Onboarding",
        "Set up a Device Registry namespace with its hubs and provisioning services.",
        &[
            "Microsoft.DeviceRegistry/namespaces/read",
            "Microsoft.DeviceRegistry/namespaces/write",
            "Microsoft.DeviceRegistry/namespaces/delete",
            "Microsoft.DeviceRegistry/namespaces/credentials/*",
            "Microsoft.DeviceRegistry/namespaces/credentials/policies/*",
            "Microsoft.Devices/IotHubs/*",
            "Microsoft.Devices/provisioningServices/*",
        ],
        &[],
        &[
            "Microsoft.Devices/provisioningServices/enrollments/*",
            "Microsoft.Devices/provisioningServices/enrollmentGroups/*",
        ],
    ),
    BuiltIn(
        "12675fd7-7f59-493f-9201-f7944860a2f1",
        "Azure Device Registry Administrator",
        "Full access to Device Registry resources.",
        &["Microsoft.DeviceRegistry/*"],
        &[],
        &[],
    ),
    BuiltIn(
        "5bc02df6-6cd5-43fe-ad3d-4c93cf56cc16",
        "Azure IoT Operations Administrator",
        "View, create, edit and delete the Device Registry resources of Azure IoT Operations.",
        &[
            "Microsoft.DeviceRegistry/assets/*",
            "Microsoft.DeviceRegistry/assetEndpointProfiles/*",
            "Microsoft.DeviceRegistry/schemaRegistries/*",
            "Microsoft.DeviceRegistry/namespaces/assets/*",
            "Microsoft.DeviceRegistry/namespaces/devices/*",
            "Microsoft.DeviceRegistry/namespaces/discoveredAssets/*",
            "Microsoft.DeviceRegistry/namespaces/discoveredDevices/*",
        ],
        &[],
        &[],
    ),
    BuiltIn(
        "4fc6c259-987e-4a07-842e-c321cc9d413f",
        "IoT Hub Data Contributor",
        "Full access to IoT Hub data plane operations.",
        &[],
        &[],
        &["Microsoft.Devices/IotHubs/*"],
    ),
    BuiltIn(
        "b447c946-2db7-41ec-983d-d8bf3b1c77e3",
        "IoT Hub Data Reader",
        "Read access to IoT Hub data plane properties.",
        &[],
        &[],
        &["Microsoft.Devices/IotHubs/*/read", "Microsoft.Devices/IotHubs/fileUpload/notifications/action"],
    ),
    BuiltIn(
        "4ea46cd5-c1b2-4a8e-910b-273211f9ce47",
        "IoT Hub Registry Contributor",
        "Full access to the IoT Hub device registry.",
        &[],
        &[],
        &["Microsoft.Devices/IotHubs/devices/*"],
    ),
    BuiltIn(
        "494bdba2-168f-4f31-a0a1-191d2f7c028c",
        "IoT Hub Twin Contributor",
        "Read and write access to all IoT Hub device and module twins.",
        &[],
        &[],
        &["Microsoft.Devices/IotHubs/twins/*"],
    ),
    BuiltIn(
        "dfce44e4-17b7-4bd1-a6d1-04996ec95633",
        "Device Provisioning Service Data Contributor",
        "Full access to Device Provisioning Service data plane operations.",
        &[],
        &[],
        &["Microsoft.Devices/provisioningServices/*"],
    ),
    BuiltIn(
        "10745317-c249-44a1-a5ce-3a4353c0bbd8",
        "Device Provisioning Service Data Reader",
        "Read access to Device Provisioning Service data plane properties.",
        &[],
        &[],
        &["Microsoft.Devices/provisioningServices/*/read"],
    ),
    BuiltIn(
        "f1a07417-d97a-45cb-824c-7a7467783830",
        "Managed Identity Operator",
        "Read and assign user-assigned identities.",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
            "Microsoft.ManagedIdentity/userAssignedIdentities/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
        &[],
    ),
    BuiltIn(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        "Managed Identity Contributor",
        "Create, read, update and delete user-assigned identities.",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/write",
            "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
        &[],
    ),
    BuiltIn(
        "4a9ae827-6dc8-4573-8ac7-8239d42aa03f",
        "Tag Contributor",
        "Manage tags of resources without access to the resources themselves.",
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
            "Microsoft.Resources/subscriptions/resources/read",
            "Microsoft.Resources/tags/*",
        ],
        &[],
        &[],
    ),
    BuiltIn(
        "28bf596f-4eb7-45ce-b5bc-6cf482fec137",
        "Locks Contributor",
        "Manage locks of resources.",
        &[
            "Microsoft.Authorization/locks/read",
            "Microsoft.Authorization/locks/write",
            "Microsoft.Authorization/locks/delete",
        ],
        &[],
        &[],
    ),
    BuiltIn(
        "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
        "Monitoring Reader",
        "Read all monitoring data.",
        &["*/read"],
        &[],
        &[],
    ),
];

/// General roles from the narrowest to the widest: the order in which a remedy is looked for when people manage resources.
pub const FOR_PEOPLE: &[&str] =
    &[READER, CONTRIBUTOR, "f58310d9-a9f6-439a-9e8d-f62e7b41a168", USER_ACCESS_ADMINISTRATOR, OWNER];

/// Roles from the narrowest to the widest: the order in which a remedy is looked for.
pub const BY_BREADTH: &[&str] = &[
    "494bdba2-168f-4f31-a0a1-191d2f7c028c",
    "4ea46cd5-c1b2-4a8e-910b-273211f9ce47",
    "b447c946-2db7-41ec-983d-d8bf3b1c77e3",
    "4fc6c259-987e-4a07-842e-c321cc9d413f",
    "10745317-c249-44a1-a5ce-3a4353c0bbd8",
    "dfce44e4-17b7-4bd1-a6d1-04996ec95633",
    "a5c3590a-3a1a-4cd4-9648-ea0a32b15137",
    "09267e11-2e06-40b5-8fe4-68cea20794c9",
    "f1a07417-d97a-45cb-824c-7a7467783830",
    "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
    "28bf596f-4eb7-45ce-b5bc-6cf482fec137",
    "4a9ae827-6dc8-4573-8ac7-8239d42aa03f",
    "5bc02df6-6cd5-43fe-ad3d-4c93cf56cc16",
    "547f7f0a-69c0-4807-bd9e-0321dfb66a84",
    "12675fd7-7f59-493f-9201-f7944860a2f1",
    READER,
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
    CONTRIBUTOR,
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    USER_ACCESS_ADMINISTRATOR,
    OWNER,
];

/// All built-in definitions.
pub fn definitions() -> &'static [RoleDefinition] {
    static MADE: LazyLock<Vec<RoleDefinition>> = LazyLock::new(made);
    &MADE
}

fn made() -> Vec<RoleDefinition> {
    ALL.iter()
        .map(|BuiltIn(guid, name, _, actions, not_actions, data_actions)| {
            let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
            let entry = Permission {
                actions: texts(actions),
                not_actions: texts(not_actions),
                data_actions: texts(data_actions),
                not_data_actions: Vec::new(),
            };
            RoleDefinition {
                guid: (*guid).into(),
                name: (*name).into(),
                permissions: vec![entry],
                assignable: vec!["/".into()],
            }
        })
        .collect()
}

/// Description of a built-in role.
pub fn description(guid: &str) -> Option<&'static str> {
    ALL.iter().find(|role| role.0 == guid).map(|role| role.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_place_in_the_order_of_remedies() {
        let mut listed: Vec<&str> = BY_BREADTH.to_vec();
        let mut known: Vec<&str> = definitions().iter().map(|d| d.guid.as_str()).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
