//! Assets of a namespace (`Microsoft.DeviceRegistry/namespaces/assets`).

use super::asset_action::{self, EXECUTE};
use super::registry_document::{Document, lower_name};
use super::registry_members::{
    ATTRIBUTES, CONFIGURATION, DATASET_DESTINATIONS, DATASETS, DEVICE_REF, EVENT_DESTINATIONS, EVENT_GROUPS,
    MANAGEMENT_GROUPS, STREAMS, TEXT, TEXTS, kept,
};
use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::context::{PutContext, SubContext};
use crate::arm::declaration::{Behavior, ExtendedLocationRule, SubAnswer, TypeDecl, View};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, read_only};
use crate::platform::Platform;
use crate::resources::{Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::error::Result;
use serde_json::Value;

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: lower_name(63),
    extended_location: ExtendedLocationRule::Must,
    properties: PROPERTIES,
    delete: (204, 204),
    subs: &[("POST", EXECUTE)],
    newer_subs: &[(EXECUTE, "2026-04-01")],
    behavior: &NamespaceAsset,
    ..TypeDecl::new(
        Kind {
            counted: true,
            ..Kind::new(tag::NAMESPACE_ASSET, "Microsoft.DeviceRegistry", &["namespaces", "assets"])
        },
        REGISTRY_FAMILY,
        &[View::hiding("2025-10-01", None, &["etag"])],
    )
};

const PROPERTIES: &[Property] = &[
    kept("deviceRef", DEVICE_REF).required().create_only(),
    kept("enabled", Check::Bool),
    kept("externalAssetId", TEXT).create_only(),
    kept("displayName", TEXT),
    kept("description", TEXT),
    kept("assetTypeRefs", TEXTS),
    kept("manufacturer", TEXT),
    kept("manufacturerUri", TEXT),
    kept("model", TEXT),
    kept("productCode", TEXT),
    kept("hardwareRevision", TEXT),
    kept("softwareRevision", TEXT),
    kept("documentationUri", TEXT),
    kept("serialNumber", TEXT),
    kept("attributes", ATTRIBUTES),
    kept("discoveredAssetRefs", TEXTS).create_only(),
    kept("defaultDatasetsConfiguration", CONFIGURATION),
    kept("defaultEventsConfiguration", CONFIGURATION),
    kept("defaultStreamsConfiguration", CONFIGURATION),
    kept("defaultManagementGroupsConfiguration", CONFIGURATION),
    kept("defaultDatasetsDestinations", DATASET_DESTINATIONS),
    kept("defaultEventsDestinations", EVENT_DESTINATIONS),
    kept("defaultStreamsDestinations", EVENT_DESTINATIONS),
    kept("datasets", DATASETS),
    kept("eventGroups", EVENT_GROUPS),
    kept("streams", STREAMS),
    kept("managementGroups", MANAGEMENT_GROUPS),
    read_only("uuid"),
    read_only("version"),
    read_only("lastTransitionTime"),
    read_only("status"),
    PROVISIONING_STATE,
];

/// What every document of the registry has.
const DOCUMENT: Document = Document { uuid: true, transition: true };

struct NamespaceAsset;

#[async_trait]
impl Behavior for NamespaceAsset {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        DOCUMENT.before_put(cx).await
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, shape: &View, doc: &mut Value) -> Result<()> {
        DOCUMENT.decorate(platform, stored, shape, doc).await
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        match cx.is("POST", &[EXECUTE]) {
            true => asset_action::answer(cx).map(Some),
            false => Ok(None),
        }
    }
}
