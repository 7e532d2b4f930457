//! Schemas of a registry (`Microsoft.DeviceRegistry/schemaRegistries/schemas`): what their versions are written in.

use super::registry_document::{lower_name, show_state};
use super::registry_members::TEXT;
use super::registry_versions::{NEWEST, REGISTRY_FAMILY};
use super::schema_content::{DELTA, JSON_LD, JSON_SCHEMA};
use crate::arm::context::PutContext;
use crate::arm::declaration::{Behavior, TypeDecl, View};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, descriptive, read_only};
use crate::platform::Platform;
use crate::resources::{Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use serde_json::Value;

/// What there was before [`NEWEST`] brought further formats and types (reference: device-registry-api.md section 4).
const OLD_FORMATS: &[&str] = &[JSON_SCHEMA, DELTA];
const OLD_TYPES: &[&str] = &["MessageSchema"];

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    name: lower_name(64),
    properties: PROPERTIES,
    delete: (204, 204),
    tree: true,
    marked: true,
    behavior: &Schema,
    ..TypeDecl::new(
        Kind::new(tag::SCHEMA, "Microsoft.DeviceRegistry", &["schemaRegistries", "schemas"]),
        REGISTRY_FAMILY,
        &[
            View::hiding("2025-07-01-preview", Some("2026-04-01"), &["etag", "location"]),
            View::hiding(NEWEST, None, &["etag", "location"]),
        ],
    )
};

const NAMES_IT: &str = "what people call it";
/// Tags of a schema: ours, as many as ARM lets a resource have.
const TAGS: Check = Check::Named(&Check::Text(256), 50);
const PROPERTIES: &[Property] = &[
    acted("format", Check::OneOf(&[JSON_SCHEMA, DELTA, JSON_LD])).required().create_only(),
    descriptive(
        "schemaType",
        Check::OneOf(&["MessageSchema", "ThingDescription", "ThingModel"]),
        "what the schema describes",
    )
    .required()
    .create_only(),
    descriptive("displayName", TEXT, NAMES_IT),
    descriptive("description", TEXT, NAMES_IT),
    descriptive("tags", TAGS, "words of its owner"),
    read_only("uuid"),
    PROVISIONING_STATE,
];

struct Schema;

#[async_trait]
impl Behavior for Schema {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        if !cx.is_new() || cx.view.first == NEWEST {
            return Ok(());
        }
        for (member, known) in [("format", OLD_FORMATS), ("schemaType", OLD_TYPES)] {
            let word = cx.resource.text(&[member]).unwrap_or_default();
            if !known.contains(&word) {
                return Err(Error::invalid_property(
                    format!("properties.{member}"),
                    format!("'{member}' is one of: {}. '{word}' came with the api-version {NEWEST}.", known.join(", ")),
                ));
            }
        }
        Ok(())
    }

    async fn decorate(&self, _: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        let properties = &mut doc["properties"];
        properties["uuid"] = stored.uid.to_string().into();
        show_state(stored, properties);
        Ok(())
    }
}
