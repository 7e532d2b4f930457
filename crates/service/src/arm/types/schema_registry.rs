//! Schema registries (`Microsoft.DeviceRegistry/schemaRegistries`).

use super::registry_document::{lower_name, show_state};
use super::registry_members::TEXT;
use super::registry_versions::{NEWEST, REGISTRY_FAMILY};
use crate::arm::context::PutContext;
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, TypeDecl, View, inner_dashes};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only, unbuilt};
use crate::platform::Platform;
use crate::resources::{Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use serde_json::Value;

/// Longest name before 2026-11-01-preview, which took one character more (reference: device-registry-api.md section 2).
const OLD_NAME: NameRule = lower_name(63);

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: lower_name(64),
    properties: PROPERTIES,
    identity: IdentityRule::System,
    delete: (204, 204),
    tree: true,
    marked: true,
    behavior: &SchemaRegistry,
    ..TypeDecl::new(
        Kind { listed: true, ..Kind::new(tag::SCHEMA_REGISTRY, "Microsoft.DeviceRegistry", &["schemaRegistries"]) },
        REGISTRY_FAMILY,
        &[
            View::hiding("2025-07-01-preview", Some("2026-04-01"), &["etag", "properties.outboundIdentity"]),
            View::hiding(NEWEST, None, &["etag"]),
        ],
    )
};

const NAMES_IT: &str = "what people call it";
const PROPERTIES: &[Property] = &[
    acted("namespace", Check::Matches(is_namespace, "3 to 32 lower-case letters, digits and inner '-'"))
        .required()
        .create_only(),
    descriptive(
        "storageAccountContainerUrl",
        Check::Matches(is_container, "the URL of a container, such as https://account.blob.core.windows.net/schemas"),
        "where Azure would keep the contents of schemas; Ferrohub keeps them itself",
    )
    .required()
    .create_only(),
    descriptive("displayName", TEXT, NAMES_IT),
    descriptive("description", TEXT, NAMES_IT),
    unbuilt(
        "outboundIdentity",
        Check::Off,
        "Ferrohub writes to no storage account, so a registry needs no identity for that.",
    ),
    read_only("uuid"),
    PROVISIONING_STATE,
];

/// `^[a-z0-9][a-z0-9-]*[a-z0-9]$`, at most 32 (reference: device-registry-api.md section 4); the pattern needs two.
fn is_namespace(text: &str) -> bool {
    (2..=32).contains(&text.len()) && inner_dashes(text) && !text.chars().any(|c| c.is_ascii_uppercase())
}

fn is_container(text: &str) -> bool {
    let rest = text.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).and_then(|_| text.get(8..));
    let parts = rest.and_then(|rest| rest.split_once('/'));
    text.len() <= 2048
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        && parts.is_some_and(|(host, path)| !host.is_empty() && !path.trim_matches('/').is_empty())
}

struct SchemaRegistry;

#[async_trait]
impl Behavior for SchemaRegistry {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        if cx.is_new() && !cx.can_say("properties.outboundIdentity") {
            OLD_NAME.check(&DECL.full(), cx.id.name())?;
        }
        let namespace = cx.resource.text(&["namespace"]).unwrap_or_default();
        cx.extra.unique_name = Some(format!("schemaregistries/{namespace}"));
        Ok(())
    }

    fn taken(&self, id: &ResourceId, _: &str) -> Option<Error> {
        let error = Error::conflict(format!(
            "The namespace that '{}' asks for belongs to another schema registry: 'properties.namespace' is unique over the whole tenant. Choose another one.",
            id.name()
        ));
        Some(error.with_code("SchemaRegistryNamespaceNotAvailable").with_target("properties.namespace"))
    }

    async fn decorate(&self, _: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        let properties = &mut doc["properties"];
        properties["uuid"] = stored.uid.to_string().into();
        show_state(stored, properties);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_and_containers() {
        for (text, legal) in [
            ("a", false),
            ("a1", true),
            ("-a", false),
            ("A1", false),
            (&"a".repeat(32), true),
            (&"a".repeat(33), false),
        ] {
            assert_eq!(is_namespace(text), legal, "{text}");
        }
        for (text, legal) in [
            ("https://st7.blob.core.windows.net/schemas", true),
            ("HTTPS://127.0.0.1:10000/account/schemas/", true),
            ("https://st7.blob.core.windows.net/", false),
            ("https:///schemas", false),
            ("http://st7.blob.core.windows.net/schemas", false),
            ("https://st7 /schemas", false),
            ("schemas", false),
            ("https:/é", false),
        ] {
            assert_eq!(is_container(text), legal, "{text}");
        }
    }
}
