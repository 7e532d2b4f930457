//! Versions of a schema (`Microsoft.DeviceRegistry/schemaRegistries/schemas/schemaVersions`): contents that never change.

use super::registry_document::show_state;
use super::registry_members::TEXT;
use super::registry_versions::REGISTRY_FAMILY;
use super::schema_content;
use crate::arm::context::PutContext;
use crate::arm::declaration::{Behavior, NameRule, TypeDecl, View};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only};
use crate::platform::Platform;
use crate::resources::{Kind, Stored, tag};
use crate::sha256;
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::SCHEMA_CONTENT_CHARS;
use serde_json::Value;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    name: NameRule {
        min: 1,
        max: 10,
        legal: |name| name.bytes().all(|b| b.is_ascii_digit()),
        text: "digits (^[0-9]*$)",
    },
    properties: PROPERTIES,
    delete: (204, 204),
    behavior: &SchemaVersion,
    ..TypeDecl::new(
        Kind::new(tag::SCHEMA_VERSION, "Microsoft.DeviceRegistry", &["schemaRegistries", "schemas", "schemaVersions"]),
        REGISTRY_FAMILY,
        &[View::hiding("2025-07-01-preview", None, &["etag", "location"])],
    )
};

const CONTENT: &str = "schemaContent";
const PROPERTIES: &[Property] = &[
    acted(CONTENT, Check::Text(SCHEMA_CONTENT_CHARS)).required().create_only(),
    descriptive("description", TEXT, "what changed with the version"),
    read_only("hash"),
    read_only("uuid"),
    PROVISIONING_STATE,
];

struct SchemaVersion;

#[async_trait]
impl Behavior for SchemaVersion {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        if !cx.is_new() {
            return Ok(());
        }
        let schema = cx.parent.ok_or_else(|| Error::internal("a version of no schema"))?;
        let format = schema.resource.text(&["format"]).unwrap_or_default();
        let content = cx.resource.text(&[CONTENT]).unwrap_or_default();
        if let Some(fault) = schema_content::fault(format, content) {
            return Err(Error::invalid_property(
                format!("properties.{CONTENT}"),
                format!("'{CONTENT}' is no schema of the format '{format}': {fault}"),
            ));
        }
        let hash = sha256::hex(content.as_bytes());
        cx.resource.properties.insert("hash".into(), hash.into());
        Ok(())
    }

    async fn decorate(&self, _: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        let properties = &mut doc["properties"];
        properties["uuid"] = stored.uid.to_string().into();
        show_state(stored, properties);
        Ok(())
    }
}
