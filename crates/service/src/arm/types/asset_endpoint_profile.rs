//! Endpoint profiles of assets in a resource group (`Microsoft.DeviceRegistry/assetEndpointProfiles`).

use super::registry_document::{Document, lower_name};
use super::registry_members::{AUTHENTICATION, CONFIGURATION, TEXT, kept};
use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::declaration::{ExtendedLocationRule, TypeDecl, View};
use crate::arm::schema::{PROVISIONING_STATE, read_only};
use crate::resources::{Kind, tag};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: lower_name(63),
    extended_location: ExtendedLocationRule::Must,
    properties: &[
        kept("targetAddress", TEXT).required(),
        kept("endpointProfileType", TEXT).required(),
        kept("authentication", AUTHENTICATION),
        kept("additionalConfiguration", CONFIGURATION),
        kept("discoveredAssetEndpointProfileRef", TEXT).create_only(),
        read_only("uuid"),
        read_only("status"),
        PROVISIONING_STATE,
    ],
    delete: (204, 204),
    behavior: &Document { uuid: true, transition: false },
    ..TypeDecl::new(
        Kind {
            listed: true,
            ..Kind::new(tag::ASSET_ENDPOINT_PROFILE, "Microsoft.DeviceRegistry", &["assetEndpointProfiles"])
        },
        REGISTRY_FAMILY,
        &[View::hiding("2024-11-01", None, &["etag"])],
    )
};
