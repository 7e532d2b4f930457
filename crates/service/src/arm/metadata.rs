//! `GET /metadata/endpoints`: where a cloud's services are. `az cloud register` reads it without signing in.

use crate::platform::Settings;
use ferrohub_model::azure_names::{GRAPH, HUBS, LOGIN, MANAGEMENT};
use serde_json::{Value, json};

/// The answer to `GET /metadata/endpoints?api-version={version}`: 2015-01-01 has a shape of its own, which older
/// `az` (2.65 is one) reads at `cloud register`.
pub fn endpoints(base_url: &str, version: Option<&str>, settings: &Settings) -> Value {
    match version {
        Some("2015-01-01") if is_azures(base_url) => first_endpoints(&azures(LOGIN), &azures(GRAPH), base_url),
        Some("2015-01-01") => first_endpoints(base_url, base_url, base_url),
        _ if is_azures(base_url) => azure_cloud(base_url),
        _ => cloud(base_url, settings),
    }
}

/// Whether the client knows us under Azure's own name, as clients behind `ferrohub proxy` do.
fn is_azures(base_url: &str) -> bool {
    base_url == azures(MANAGEMENT)
}

fn azures(host: &str) -> String {
    format!("https://{host}")
}

/// Azure's public cloud, as far as it is served: what a client that came by Azure's name can go on with.
fn azure_cloud(base_url: &str) -> Value {
    let (login, graph) = (azures(LOGIN), azures(GRAPH));
    json!({
        "name": "AzureCloud",
        "portal": base_url,
        "authentication": {
            "loginEndpoint": login,
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD"
        },
        "resourceManager": format!("{base_url}/"),
        "microsoftGraphResourceId": format!("{graph}/"),
        "graph": format!("{graph}/"),
        "graphAudience": format!("{graph}/"),
        "gallery": base_url,
        "batch": base_url,
        "media": base_url,
        "sqlManagement": base_url,
        "vmImageAliasDoc": format!("{base_url}/aliases.json"),
        "activeDirectoryDataLake": base_url,
        "logAnalyticsResourceId": base_url,
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "iotHub": HUBS
        }
    })
}

/// The shape of 2015-01-01: four addresses by name.
fn first_endpoints(login: &str, graph: &str, base_url: &str) -> Value {
    json!({
        "galleryEndpoint": base_url,
        "graphEndpoint": format!("{graph}/"),
        "portalEndpoint": base_url,
        "authentication": {
            "loginEndpoint": login,
            "audiences": [format!("{base_url}/"), "https://management.azure.com/"]
        }
    })
}

/// One cloud, as an object (not a list): the CLI indexes it by name (reference: clients.md section 1).
///
/// Resource Manager and Graph share an origin and must not share tokens. The CLI asks for a token of the first audience for
/// the one, and of the URL below which it finds the other for that, so Graph has a path of its own.
fn cloud(base_url: &str, settings: &Settings) -> Value {
    json!({
        "name": "Ferrohub",
        "portal": base_url,
        "authentication": {
            "loginEndpoint": base_url,
            "audiences": ["https://management.azure.com/", format!("{base_url}/")],
            "tenant": "common",
            "identityProvider": "AAD"
        },
        "resourceManager": base_url,
        "microsoftGraphResourceId": format!("{base_url}/graph/"),
        "graph": format!("{base_url}/graph"),
        "graphAudience": format!("{base_url}/graph/"),
        "gallery": base_url,
        "batch": base_url,
        "media": base_url,
        "sqlManagement": base_url,
        "vmImageAliasDoc": format!("{base_url}/aliases.json"),
        "activeDirectoryDataLake": base_url,
        "logAnalyticsResourceId": base_url,
        "suffixes": {
            "storage": format!("core.{}", settings.domain),
            "keyVaultDns": format!("vault.{}", settings.domain),
            "iotHub": format!("azure-devices.{}", settings.domain)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { domain: "localhost".into(), pki_url: None }
    }

    #[test]
    fn under_azures_name_the_cloud_is_azures() {
        let cloud = endpoints("https://management.azure.com", Some("2022-09-01"), &settings());
        assert_eq!(cloud["name"], "AzureCloud");
        assert_eq!(cloud["authentication"]["loginEndpoint"], "https://login.microsoftonline.com");
        assert_eq!(cloud["microsoftGraphResourceId"], "https://graph.microsoft.com/");
        assert_eq!(cloud["suffixes"]["iotHub"], "azure-devices.net");
        let first = endpoints("https://management.azure.com", Some("2015-01-01"), &settings());
        assert_eq!(first["authentication"]["loginEndpoint"], "https://login.microsoftonline.com");
        assert_eq!(first["graphEndpoint"], "https://graph.microsoft.com/");
    }

    #[test]
    fn under_our_own_it_is_ours() {
        for base in ["https://localhost:8443", "https://management.azure.com.evil", "https://management.azure.com:8443"]
        {
            let cloud = endpoints(base, None, &settings());
            assert_eq!((&cloud["name"], &cloud["resourceManager"]), (&json!("Ferrohub"), &json!(base)));
            let first = endpoints(base, Some("2015-01-01"), &settings());
            assert_eq!(first["authentication"]["loginEndpoint"], base);
        }
    }
}
