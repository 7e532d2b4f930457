//! The commands, one file per group. Each has its part of the table and its handlers.

use super::command::Command;
mod account;
mod adr_authority;
mod adr_certificate;
mod adr_credential;
mod adr_device;
mod adr_identity;
mod adr_link;
mod adr_namespace;
mod adr_policy;
mod adr_registry;
mod adr_schema;
mod adr_schema_registry;
mod ca_certificate;
mod consumer_group;
mod device_family;
mod device_identity;
mod device_registration;
mod device_twin;
mod directory;
mod directory_objects;
mod dps;
mod dps_registration;
mod enrollment;
mod enrollment_group;
mod enrollment_settings;
mod group;
mod hub;
mod hub_create;
mod hub_keys;
mod hub_link;
mod hub_query;
mod identity;
mod identity_keys;
mod linked_hub;
mod lock;
mod managed_identity;
mod module_identity;
mod monitor;
mod policy_use;
mod resource;
mod resource_graph;
mod resource_write;
mod rest;
mod role_assignment;
mod role_definition;
pub(crate) mod settings;
mod shared_policies;
mod sign_in;
mod tag;

/// Every part of the command table.
pub(crate) const TABLES: &[&[Command]] = &[
    sign_in::COMMANDS,
    account::COMMANDS,
    settings::COMMANDS,
    group::COMMANDS,
    resource::COMMANDS,
    resource_write::COMMANDS,
    resource_graph::COMMANDS,
    lock::COMMANDS,
    tag::COMMANDS,
    monitor::COMMANDS,
    role_definition::COMMANDS,
    role_assignment::COMMANDS,
    directory::COMMANDS,
    directory_objects::COMMANDS,
    identity::COMMANDS,
    adr_namespace::COMMANDS,
    adr_identity::COMMANDS,
    adr_credential::COMMANDS,
    adr_policy::COMMANDS,
    adr_certificate::COMMANDS,
    adr_authority::COMMANDS,
    adr_device::COMMANDS,
    adr_registry::COMMANDS,
    adr_link::COMMANDS,
    adr_schema_registry::COMMANDS,
    adr_schema::COMMANDS,
    hub_create::COMMANDS,
    hub::COMMANDS,
    managed_identity::COMMANDS,
    ca_certificate::COMMANDS,
    hub_keys::COMMANDS,
    shared_policies::COMMANDS,
    device_identity::COMMANDS,
    device_family::COMMANDS,
    device_twin::COMMANDS,
    module_identity::COMMANDS,
    identity_keys::COMMANDS,
    hub_query::COMMANDS,
    consumer_group::COMMANDS,
    dps::COMMANDS,
    linked_hub::COMMANDS,
    enrollment::COMMANDS,
    enrollment_group::COMMANDS,
    dps_registration::COMMANDS,
    device_registration::COMMANDS,
    rest::COMMANDS,
];
