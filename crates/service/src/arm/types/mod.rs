//! The resource types, one file each. To add a type: write its file, name it here twice.

pub mod credential;
pub mod device;
pub mod hub_certificate;
pub mod iot_hub;
mod keys;
pub mod namespace;
pub mod policy;
pub mod provisioning_service;
pub mod resource_group;
pub mod role_assignment;
pub mod role_definition;
pub mod user_assigned_identity;

use super::declaration::TypeDecl;

static ALL: &[&TypeDecl] = &[
    &resource_group::DECL,
    &role_definition::DECL,
    &role_assignment::DECL,
    &user_assigned_identity::DECL,
    &namespace::DECL,
    &credential::DECL,
    &policy::DECL,
    &device::DECL,
    &iot_hub::DECL,
    &hub_certificate::DECL,
    &provisioning_service::DECL,
];

/// Every declared type.
pub fn all() -> &'static [&'static TypeDecl] {
    ALL
}

/// A type by its full name, ignoring case.
pub fn by_key(kind: &str) -> Option<&'static TypeDecl> {
    ALL.iter().copied().find(|decl| decl.key.eq_ignore_ascii_case(kind))
}

/// Whether `name` has only ASCII letters, digits and '-', starting and ending with a letter or digit.
fn inner_dashes(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
