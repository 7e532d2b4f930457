//! Devices that discovery found (`Microsoft.DeviceRegistry/namespaces/discoveredDevices`). Whoever discovers counts the versions.

use super::registry_document::{Document, lower_name};
use super::registry_members::{ATTRIBUTES, CONFIGURATION, COUNT, ENTRIES, LAST_UPDATED, METHODS, OUTBOUND, TEXT, kept};
use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::declaration::{ExtendedLocationRule, TypeDecl, View};
use crate::arm::schema::{Check, PROVISIONING_STATE, Property};
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
        Kind::new(tag::DISCOVERED_DEVICE, "Microsoft.DeviceRegistry", &["namespaces", "discoveredDevices"]),
        REGISTRY_FAMILY,
        &[View::hiding("2025-10-01", None, &["etag"])],
    )
};

const PROPERTIES: &[Property] = &[
    kept("discoveryId", TEXT).required(),
    kept("version", COUNT).required(),
    kept("externalDeviceId", TEXT),
    kept("manufacturer", TEXT).create_only(),
    kept("model", TEXT).create_only(),
    kept("operatingSystem", TEXT).create_only(),
    kept("operatingSystemVersion", TEXT),
    kept("attributes", ATTRIBUTES),
    kept(
        "endpoints",
        Check::Members(&[
            kept("inbound", Check::Named(&INBOUND, ENTRIES)),
            kept("outbound", Check::Members(&[kept("assigned", Check::Named(&OUTBOUND, ENTRIES)).required()])),
        ]),
    ),
    PROVISIONING_STATE,
];
const INBOUND: Check = Check::Members(&[
    kept("endpointType", TEXT).required(),
    kept("address", TEXT).required(),
    kept("version", TEXT),
    kept("additionalConfiguration", CONFIGURATION),
    kept("supportedAuthenticationMethods", Check::Each(&METHODS, 10)),
    LAST_UPDATED,
]);
