//! Azure's own host names, and which of our names stands for each: clients that know no other name reach us by way of
//! `ferrohub proxy`. Names in answers stay ours.

/// Azure Resource Manager (reference: clients.md section 5).
pub const MANAGEMENT: &str = "management.azure.com";
/// Entra's sign-in.
pub const LOGIN: &str = "login.microsoftonline.com";
/// Microsoft Graph.
pub const GRAPH: &str = "graph.microsoft.com";
/// What hubs' names end in.
pub const HUBS: &str = "azure-devices.net";
/// What provisioning services' names end in.
pub const PROVISIONING: &str = "azure-devices-provisioning.net";

/// The name in `domain` of the service that Azure has under `host`, in lower case; `None` where the host is none of these names.
pub fn here(host: &str, domain: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    for (theirs, ours) in [(MANAGEMENT, "management"), (LOGIN, "login"), (GRAPH, "graph")] {
        if host == theirs {
            return Some(format!("{ours}.{domain}"));
        }
    }
    for (suffix, label) in [(HUBS, "azure-devices"), (PROVISIONING, "azure-devices-provisioning")] {
        let name = host.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.'));
        if let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('.')) {
            return Some(format!("{name}.{label}.{domain}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_azures_names_has_one_here() {
        for (host, ours) in [
            ("management.azure.com", Some("management.plant.example")),
            ("LOGIN.microsoftonline.com", Some("login.plant.example")),
            ("graph.microsoft.com", Some("graph.plant.example")),
            ("Hub1.azure-devices.net", Some("hub1.azure-devices.plant.example")),
            ("global.azure-devices-provisioning.net", Some("global.azure-devices-provisioning.plant.example")),
            ("azure-devices.net", None),
            (".azure-devices.net", None),
            ("a.b.azure-devices.net", None),
            ("hub1azure-devices.net", None),
            ("hub1.azure-devices.net.evil.example", None),
            ("vault.azure.net", None),
            ("", None),
        ] {
            assert_eq!(here(host, "plant.example").as_deref(), ours, "{host}");
        }
    }
}
