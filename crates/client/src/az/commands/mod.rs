//! The commands, one file per group. Each has its part of the table and its handlers.

use super::command::Command;
mod account;
mod adr_authority;
mod adr_certificate;
mod adr_credential;
mod adr_device;
mod adr_identity;
mod adr_namespace;
mod adr_policy;
mod ca_certificate;
mod device_identity;
mod device_registration;
mod device_twin;
mod directory;
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
mod identity;
mod linked_hub;
mod managed_identity;
mod resource;
mod rest;
mod role_assignment;
mod role_definition;
pub(crate) mod settings;
mod shared_policies;
mod sign_in;

/// Every part of the command table.
pub(crate) const TABLES: &[&[Command]] = &[
    sign_in::COMMANDS,
    account::COMMANDS,
    settings::COMMANDS,
    group::COMMANDS,
    resource::COMMANDS,
    role_definition::COMMANDS,
    role_assignment::COMMANDS,
    directory::COMMANDS,
    identity::COMMANDS,
    adr_namespace::COMMANDS,
    adr_identity::COMMANDS,
    adr_credential::COMMANDS,
    adr_policy::COMMANDS,
    adr_certificate::COMMANDS,
    adr_authority::COMMANDS,
    adr_device::COMMANDS,
    hub_create::COMMANDS,
    hub::COMMANDS,
    managed_identity::COMMANDS,
    ca_certificate::COMMANDS,
    hub_keys::COMMANDS,
    shared_policies::COMMANDS,
    device_identity::COMMANDS,
    device_twin::COMMANDS,
    dps::COMMANDS,
    linked_hub::COMMANDS,
    enrollment::COMMANDS,
    enrollment_group::COMMANDS,
    dps_registration::COMMANDS,
    device_registration::COMMANDS,
    rest::COMMANDS,
];
