//! `GET /metadata/endpoints`: where a cloud's services are. `az cloud register` reads it without signing in.

use crate::platform::Settings;
use serde_json::{Value, json};

/// One cloud, as an object (not a list): the CLI indexes it by name (reference: clients.md section 1).
///
/// Resource Manager and Graph share an origin and must not share tokens. The CLI asks for a token of the first audience for
/// the one, and of the URL below which it finds the other for that, so Graph has a path of its own.
pub fn endpoints(base_url: &str, settings: &Settings) -> Value {
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
