//! `GET /metadata/endpoints`: where a cloud's services are. `az cloud register` reads it without signing in.

use crate::platform::Settings;
use serde_json::{Value, json};

/// The answer to `GET /metadata/endpoints?api-version={version}`: 2015-01-01 has a shape of its own, which older
/// `az` (2.65 is one) reads at `cloud register`.
pub fn endpoints(base_url: &str, version: Option<&str>, settings: &Settings) -> Value {
    match version {
        Some("2015-01-01") => first_endpoints(base_url),
        _ => cloud(base_url, settings),
    }
}

/// The shape of 2015-01-01: four addresses by name.
fn first_endpoints(base_url: &str) -> Value {
    json!({
        "galleryEndpoint": base_url,
        "graphEndpoint": format!("{base_url}/"),
        "portalEndpoint": base_url,
        "authentication": {
            "loginEndpoint": base_url,
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
