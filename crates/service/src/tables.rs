//! The tables of the product. Engines build them from these declarations; the columns are what queries need.

use ferrohub_store::{Column, Table};

const fn plain(name: &'static str) -> Column {
    Column { name, unique: false }
}

const fn unique(name: &'static str) -> Column {
    Column { name, unique: true }
}

const fn table(name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, schema_version: 1, migrate: &[] }
}

/// Single values of the installation: tenancy, signing key, platform CA, master-key check. Key: the name.
pub static META: Table = table("meta", &[]);

/// ARM resources of every type ([`ferrohub_model::resource::Resource`]). Key: lower-cased resource id.
///
/// Columns: `subscription`; `resource_group` (lower-cased group id); `kind` (lower-cased type);
/// `parent` (lower-cased id of the parent resource or scope); `unique_name` (for names that are unique
/// beyond their scope, such as `iothubs/hub1`); `link` (lower-cased id of the namespace a hub or DPS is
/// linked to, or of the role definition of an assignment); `lookup` (what the data planes search by:
/// `{namespace uid}/{external device id}` of an ADR device, the id scope of a DPS).
pub static RESOURCES: Table = table(
    "resources",
    &[
        plain("subscription"),
        plain("resource_group"),
        plain("kind"),
        plain("parent"),
        unique("unique_name"),
        plain("link"),
        unique("lookup"),
    ],
);

/// Directory principals. Key: object id. Columns: `app_id`; `resource` (lower-cased ARM id of a managed identity's owner).
pub static PRINCIPALS: Table = table("principals", &[unique("app_id"), unique("resource")]);

/// Long-running operations. Key: operation id. Columns: `state` (`running`, `done`), `resource` (lower-cased id).
pub static OPERATIONS: Table = table("operations", &[plain("state"), plain("resource")]);

/// The activity log. Key: UUID version 7 (time order). Columns: `subscription`, `resource_group` (lower-cased name), `correlation`.
pub static ACTIVITY: Table = table("activity", &[plain("subscription"), plain("resource_group"), plain("correlation")]);

/// Certificate authorities with their sealed keys. Key: UUID of the authority.
/// Columns: `owner` (lower-cased id of the credential or policy resource), `namespace` (namespace uid),
/// `subject` (`{namespace uid}/{canonical DN}`, unique among the living ones), `thumbprint` (SHA-256, upper-case hex).
pub static AUTHORITIES: Table =
    table("authorities", &[unique("owner"), plain("namespace"), unique("subject"), unique("thumbprint")]);

/// Issued certificates, and intents to issue. Key: serial number, lower-case hex. Columns: `issuer` (authority UUID),
/// `device` (device uid), `state` (`intent`, `issued`).
pub static CERTIFICATES: Table = table("certificates", &[plain("issuer"), plain("device"), plain("state")]);

/// Hub device identities. Key: `{hub uid}/{device id}`. Columns: `hub` (hub uid), `uid` (device uid).
pub static DEVICES: Table = table("devices", &[plain("hub"), unique("uid")]);

/// Device twins. Key: `{hub uid}/{device id}`. Column: `hub` (hub uid).
pub static TWINS: Table = table("twins", &[plain("hub")]);

/// Enrollment groups. Key: `{dps uid}/{lower-cased group id}`. Column: `dps` (dps uid).
pub static ENROLLMENT_GROUPS: Table = table("enrollment_groups", &[plain("dps")]);

/// Registrations. Key: `{dps uid}/{lower-cased registration id}`. Columns: `dps` (dps uid), `group` (key of the enrollment group),
/// `operation` (operation id).
pub static REGISTRATIONS: Table = table("registrations", &[plain("dps"), plain("group"), unique("operation")]);

/// Wrapped data keys. Key: uid of the namespace, hub or DPS whose secrets they seal, or `platform`.
pub static DATA_KEYS: Table = table("data_keys", &[]);

/// Every table, in the order in which engines create them.
pub static ALL: &[&Table] = &[
    &META,
    &RESOURCES,
    &PRINCIPALS,
    &OPERATIONS,
    &ACTIVITY,
    &AUTHORITIES,
    &CERTIFICATES,
    &DEVICES,
    &TWINS,
    &ENROLLMENT_GROUPS,
    &REGISTRATIONS,
    &DATA_KEYS,
];
