//! Assets that discovery found (`Microsoft.DeviceRegistry/namespaces/discoveredAssets`). Whoever discovers counts the versions.

use super::registry_document::{Document, lower_name};
use super::registry_members::{
    ATTRIBUTES, CONFIGURATION, COUNT, DATASET_DESTINATIONS, DEVICE_REF, DISCOVERED_DATASETS, DISCOVERED_EVENT_GROUPS,
    DISCOVERED_MANAGEMENT_GROUPS, DISCOVERED_STREAMS, EVENT_DESTINATIONS, TEXT, TEXTS, kept,
};
use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::declaration::{ExtendedLocationRule, TypeDecl, View};
use crate::arm::schema::{PROVISIONING_STATE, Property};
use crate::resources::{Kind, tag};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: lower_name(63),
    extended_location: ExtendedLocationRule::Must,
    properties: PROPERTIES,
    delete: (204, 204),
    behavior: &Document { uuid: false, transition: false },
    ..TypeDecl::new(
        Kind::new(tag::DISCOVERED_ASSET, "Microsoft.DeviceRegistry", &["namespaces", "discoveredAssets"]),
        REGISTRY_FAMILY,
        &[View::hiding("2025-10-01", None, &["etag"])],
    )
};

const PROPERTIES: &[Property] = &[
    kept("deviceRef", DEVICE_REF).required(),
    kept("discoveryId", TEXT).required(),
    kept("version", COUNT).required(),
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
    kept("defaultDatasetsConfiguration", CONFIGURATION),
    kept("defaultEventsConfiguration", CONFIGURATION),
    kept("defaultStreamsConfiguration", CONFIGURATION),
    kept("defaultManagementGroupsConfiguration", CONFIGURATION),
    kept("defaultDatasetsDestinations", DATASET_DESTINATIONS),
    kept("defaultEventsDestinations", EVENT_DESTINATIONS),
    kept("defaultStreamsDestinations", EVENT_DESTINATIONS),
    kept("datasets", DISCOVERED_DATASETS),
    kept("eventGroups", DISCOVERED_EVENT_GROUPS),
    kept("streams", DISCOVERED_STREAMS),
    kept("managementGroups", DISCOVERED_MANAGEMENT_GROUPS),
    PROVISIONING_STATE,
];
