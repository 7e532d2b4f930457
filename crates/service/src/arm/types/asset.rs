//! Assets in a resource group (`Microsoft.DeviceRegistry/assets`), the generation before namespaces.

use super::registry_document::{Document, lower_name};
use super::registry_members::{ATTRIBUTES, CONFIGURATION, ENTRIES, TEXT, TEXTS, TOPIC, kept};
use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::declaration::{ExtendedLocationRule, TypeDecl, View};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, read_only};
use crate::resources::{Kind, tag};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: lower_name(63),
    extended_location: ExtendedLocationRule::Must,
    properties: PROPERTIES,
    delete: (204, 204),
    behavior: &Document { uuid: true, transition: false },
    ..TypeDecl::new(
        Kind { listed: true, counted: true, ..Kind::new(tag::ASSET, "Microsoft.DeviceRegistry", &["assets"]) },
        REGISTRY_FAMILY,
        &[View::hiding("2024-11-01", None, &["etag"])],
    )
};

const PROPERTIES: &[Property] = &[
    kept("assetEndpointProfileRef", TEXT).required().create_only(),
    kept("enabled", Check::Bool),
    kept("externalAssetId", TEXT).create_only(),
    kept("displayName", TEXT),
    kept("description", TEXT),
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
    kept("defaultTopic", TOPIC),
    kept("datasets", DATASETS),
    kept("events", EVENTS),
    read_only("uuid"),
    read_only("version"),
    read_only("status"),
    PROVISIONING_STATE,
];
const DATASETS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("datasetConfiguration", CONFIGURATION),
        kept("topic", TOPIC),
        kept(
            "dataPoints",
            Check::Each(
                &Check::Members(&[
                    kept("name", TEXT).required(),
                    kept("dataSource", TEXT).required(),
                    kept("dataPointConfiguration", CONFIGURATION),
                    kept("observabilityMode", Check::OneOf(&["None", "Counter", "Gauge", "Histogram", "Log"])),
                ]),
                ENTRIES,
            ),
        ),
    ]),
    ENTRIES,
);
const EVENTS: Check = Check::Each(
    &Check::Members(&[
        kept("name", TEXT).required(),
        kept("eventNotifier", TEXT).required(),
        kept("eventConfiguration", CONFIGURATION),
        kept("topic", TOPIC),
        kept("observabilityMode", Check::OneOf(&["None", "Log"])),
    ]),
    ENTRIES,
);
