//! The command table: every command, and what each group is.

use super::command::Command;
use super::commands;

/// Every command.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    commands::TABLES.iter().flat_map(|table| table.iter())
}

/// Groups and what they are, by their words.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("", "The command line of Ferrohub, as Azure's az has it."),
    ("account", "The signed-in subscription."),
    ("account lock", "Locks of the subscription."),
    ("ad", "The directory."),
    ("ad app", "Applications."),
    ("ad app credential", "Secrets of an application."),
    ("ad sp", "Service principals."),
    ("ad sp credential", "Secrets and certificates of a service principal."),
    ("ad user", "Users."),
    ("ad signed-in-user", "Who is signed in."),
    ("cloud", "The cloud in use."),
    ("config", "Settings of this command line."),
    ("extension", "Extensions: everything is built in."),
    ("graph", "Resource Graph: one query over all resources."),
    ("group", "Resource groups."),
    ("group lock", "Locks of a resource group."),
    ("identity", "User-assigned managed identities."),
    ("iot", "IoT hubs, provisioning and the device registry."),
    ("iot adr", "Azure Device Registry."),
    ("iot adr ns", "Namespaces of the device registry."),
    ("iot adr ns ca", "Certificate authorities of a namespace: its root and the issuing CAs."),
    ("iot adr ns ca policy", "Certificate policies of an issuing CA."),
    ("iot adr ns certificate", "Certificates that devices got in a namespace; Ferrohub's own group."),
    ("iot adr ns credential", "The root CA of a namespace."),
    ("iot adr ns device", "Devices of a namespace."),
    ("iot adr ns device attribute", "Attributes of a device."),
    ("iot adr ns device auth", "Authentication profiles of a device."),
    ("iot adr ns device capability", "Capabilities of a device."),
    ("iot adr ns group", "Groups of devices."),
    ("iot adr ns identity", "The identity of a namespace."),
    ("iot adr ns link", "The hubs and the provisioning service of a namespace."),
    ("iot adr ns link dps", "The provisioning service of a namespace."),
    ("iot adr ns link hub", "The hubs of a namespace."),
    ("iot adr ns policy", "Certificate policies, each with its issuing CA."),
    ("iot adr schema", "Schemas of a registry."),
    ("iot adr schema registry", "Registries of schemas."),
    ("iot adr schema version", "Versions of a schema."),
    ("iot device", "Devices."),
    ("iot device registration", "Registrations that devices make."),
    ("iot dps", "Device Provisioning Services."),
    ("iot dps certificate", "CA certificates that a provisioning service trusts."),
    ("iot dps connection-string", "Connection strings of a Device Provisioning Service."),
    ("iot dps enrollment", "Individual enrollments."),
    ("iot dps enrollment registration", "The registration of an individual enrollment."),
    ("iot dps enrollment-group", "Enrollment groups."),
    ("iot dps enrollment-group registration", "Registrations of an enrollment group."),
    ("iot dps identity", "Managed identities of a Device Provisioning Service."),
    ("iot dps linked-hub", "Hubs that a Device Provisioning Service assigns devices to."),
    ("iot dps policy", "Shared access policies of a Device Provisioning Service."),
    ("iot dps registration", "Registrations of devices."),
    ("iot hub", "IoT hubs."),
    ("iot hub certificate", "CA certificates that a hub trusts."),
    ("iot hub connection-string", "Connection strings of a hub."),
    ("iot hub consumer-group", "Consumer groups of a hub's event endpoint."),
    ("iot hub device-identity", "Device identities."),
    ("iot hub device-identity children", "Devices below an edge device."),
    ("iot hub device-identity connection-string", "Connection strings of a device."),
    ("iot hub device-identity parent", "The edge device that a device is below."),
    ("iot hub device-twin", "Device twins."),
    ("iot hub identity", "Managed identities of a hub."),
    ("iot hub module-identity", "Modules of devices."),
    ("iot hub module-identity connection-string", "Connection strings of a module."),
    ("iot hub module-twin", "Twins of modules."),
    ("iot hub policy", "Shared access policies of a hub."),
    ("lock", "Locks: what may not be deleted, or not be changed."),
    ("monitor", "What happened."),
    ("monitor activity-log", "What Resource Manager did."),
    ("provider", "Resource providers."),
    ("resource", "Resources of any type."),
    ("resource lock", "Locks of a resource."),
    ("role", "Role-based access control."),
    ("role assignment", "Role assignments."),
    ("role definition", "Role definitions."),
    ("tag", "Tags."),
];

/// What `az --version` prints.
pub(crate) fn version_text() -> String {
    format!(
        "azure-cli                         {}\n\nFerrohub's own command line, version {}.\n",
        commands::settings::CORE_VERSION,
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_of_the_table_is_in_the_notation() {
        for command in all() {
            let specs = command.specs().unwrap_or_else(|line| panic!("{}: {line}", command.words));
            let mut seen = HashSet::new();
            for alias in specs.iter().flat_map(|spec| &spec.aliases) {
                assert!(seen.insert(*alias), "{}: {alias} is declared twice", command.words);
            }
            for part in command.id_parts {
                assert!(specs.iter().any(|spec| spec.key() == *part), "{}: no {part}", command.words);
            }
            assert!(!command.summary.is_empty());
        }
    }

    #[test]
    fn every_group_has_a_summary_and_no_command_is_listed_twice() {
        let mut seen = HashSet::new();
        for command in all() {
            assert!(seen.insert(command.words), "{} twice", command.words);
            let words: Vec<&str> = command.words.split(' ').collect();
            for length in 1..words.len() {
                let path = words[..length].join(" ");
                assert!(GROUPS.iter().any(|(group, _)| *group == path), "no summary for {path}");
            }
        }
    }
}
