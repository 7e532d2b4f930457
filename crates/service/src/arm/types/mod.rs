//! The resource types, one file each. To add a type: write its file, name it here twice.

mod asset;
mod asset_action;
mod asset_endpoint_profile;
mod asset_migration;
mod authority;
mod authority_life;
mod authority_rotation;
mod billing_container;
mod certificate_authority;
mod certificate_inventory;
mod certificate_policy;
mod consumer_groups;
mod credential;
mod device;
mod device_revoke;
mod discovered_asset;
mod discovered_device;
mod group;
mod hub_certificate;
mod hub_reads;
mod iot_hub;
mod iot_hub_properties;
mod keys;
mod linked_devices;
mod linked_hubs;
mod linked_namespace;
mod lock;
mod namespace;
mod namespace_asset;
mod namespace_link;
mod namespace_links;
mod network;
mod policy;
mod provisioning_certificate;
mod provisioning_service;
mod registry_attributes;
mod registry_device;
mod registry_document;
mod registry_members;
mod registry_profiles;
mod registry_schema;
mod registry_versions;
mod resource_group;
mod resource_group_move;
mod role_assignment;
mod role_definition;
mod root_rotation;
mod schema_content;
mod schema_registry;
mod schema_version;
pub(crate) mod synchronization;
mod synchronize;
mod uploaded;
mod user_assigned_identity;

use super::declaration::TypeDecl;
use crate::resources::Kinds;

pub(crate) use authority_rotation::sweep as rotate_authorities;
pub(crate) use role_assignment::{KIND as ROLE_ASSIGNMENT, lookup as role_assignment_lookup};
pub(crate) use role_definition::{reaching_into as roles_reaching_into, withdraw as withdraw_roles};

static ALL: &[&TypeDecl] = &[
    &resource_group::DECL,
    &role_definition::DECL,
    &role_assignment::DECL,
    &lock::DECL,
    &user_assigned_identity::DECL,
    &namespace::DECL,
    &credential::DECL,
    &policy::DECL,
    &certificate_authority::DECL,
    &certificate_policy::DECL,
    &device::DECL,
    &registry_device::DECL,
    &namespace_asset::DECL,
    &discovered_asset::DECL,
    &discovered_device::DECL,
    &asset::DECL,
    &asset_endpoint_profile::DECL,
    &schema_registry::DECL,
    &registry_schema::DECL,
    &schema_version::DECL,
    &billing_container::DECL,
    &group::DECL,
    &iot_hub::DECL,
    &hub_certificate::DECL,
    &provisioning_service::DECL,
    &provisioning_certificate::DECL,
];

/// The types that an engine serves.
#[derive(Clone)]
pub struct Types(Vec<&'static TypeDecl>);

impl Types {
    /// Every type of the product.
    pub fn built_in() -> Self {
        Self(ALL.to_vec())
    }

    /// These types and some more.
    #[must_use]
    pub fn with(mut self, more: &[&'static TypeDecl]) -> Self {
        self.0.extend_from_slice(more);
        self
    }

    /// Every type.
    pub fn all(&self) -> &[&'static TypeDecl] {
        &self.0
    }

    /// The type with this tag.
    pub fn tagged(&self, tag: &str) -> Option<&'static TypeDecl> {
        self.0.iter().copied().find(|decl| decl.kind.tag == tag)
    }

    /// Their provider namespaces.
    pub fn providers(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.0.iter().map(|decl| decl.kind.provider).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What rows and ids need to know of the types.
    pub fn kinds(&self) -> Kinds {
        Kinds::new(self.0.iter().map(|decl| &decl.kind).collect())
    }
}
