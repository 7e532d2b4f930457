//! `GET /metadata/endpoints`: where a cloud's services are. `az cloud register` reads it without signing in.

use crate::platform::Settings;
use serde_json::{Value, json};

/// One cloud, as an object (not a list): the CLI indexes it by name (reference: clients.md section 1).
pub fn endpoints(base_url: &str, settings: &Settings) -> Value {
    json!({
        "name": "Ferrohub",
        "portal": base_url,
        "authentication": {
            "loginEndpoint": base_url,
            "audiences": [format!("{base_url}/"), "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD"
        },
        "resourceManager": base_url,
        "microsoftGraphResourceId": format!("{base_url}/"),
        "graph": base_url,
        "graphAudience": format!("{base_url}/"),
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
