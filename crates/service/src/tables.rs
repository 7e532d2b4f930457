//! The tables of the product. Engines build them from these declarations; the columns are what queries need.

use ferrohub_store::{Column, Table};

const fn plain(name: &'static str) -> Column {
    Column { name, unique: false }
}

const fn unique(name: &'static str) -> Column {
    Column { name, unique: true }
}

/// Single values of the installation: tenancy, platform CA, references of its keys, master-key check. Key: the name.
pub static META: Table = Table::new("meta", &[]);

/// ARM resources of every type ([`ferrohub_model::resource::Resource`]). Key: uid.
///
/// Columns: `place` (`{uid of the parent}/{tag of the type}/{lower-cased name}`: what an ARM id is looked up by, step by
/// step, and what children are listed by; a subscription is its own uid, the tenant the nil one); `kind` (the tag of types
/// that are listed over a whole subscription, else nothing); `unique_name` (for names that are unique beyond their scope,
/// such as `iothubs/hub1`); `link` (uid of what it is linked to: the namespace of a hub or DPS; `role/{guid}` of an
/// assignment); `lookup` (what else it is searched by, such as the host of a hub or the id scope of a DPS).
///
/// Nothing in a row repeats a name or an id from above it: a namespace that moves to another group is one row written.
pub static RESOURCES: Table =
    Table::new("resources", &[unique("place"), plain("kind"), unique("unique_name"), plain("link"), unique("lookup")]);

/// Subscriptions ([`ferrohub_model::subscription::Subscription`]). Key: the id. Column: `alias` (lower case, of those that have one).
pub static SUBSCRIPTIONS: Table = Table::new("subscriptions", &[unique("alias")]);

/// Directory principals. Key: object id. Columns: `app_id` of applications and identities; `name` of people, the lower-cased one that
/// they sign in with.
pub static PRINCIPALS: Table = Table::new("principals", &[unique("app_id"), unique("name")]);

/// Who belongs to what in the directory. Key: `{object id}/{relation}/{object id}`, such as `{group}/members/{user}`. Column: `target`
/// (`{object id}/{relation}`: what the second one belongs to).
pub static MEMBERSHIPS: Table = Table::new("memberships", &[plain("target")]);

/// Sessions of browsers (`authn::browser_sessions`). Key: UUID version 7, which the cookie names. Column: `person` (object id).
pub static SESSIONS: Table = Table::new("sessions", &[plain("person")]);

/// Authorization codes, until they run out. Key: UUID version 7, which the code names.
pub static AUTHORIZATION_CODES: Table = Table::new("authorization_codes", &[]);

/// Sign-ins of devices without a browser (`authn::device_code`). Key: UUID version 7, which the device code names. Columns: `user_code`
/// (what a person types), `address` (of the device), `client` (application id).
pub static DEVICE_CODES: Table = Table::new("device_codes", &[unique("user_code"), plain("address"), plain("client")]);

/// Links that sign a person in once (`authn::sign_in_links`). Key: UUID version 7, which the link names. Column: `person` (object id).
pub static SIGN_IN_LINKS: Table = Table::new("sign_in_links", &[plain("person")]);

/// Chains of refresh tokens (`authn::chains`). Key: UUID version 7. Columns: `person` (object id), `session` (key of the session in which
/// it began).
pub static REFRESH_CHAINS: Table = Table::new("refresh_chains", &[plain("person"), plain("session")]);

/// Who tries passwords of a person, once they are too many, and addresses from which the right one came (`guesses`). Key: object id.
pub static PASSWORD_GUESSES: Table = Table::new("password_guesses", &[]);

/// Long-running operations. Key: operation id. Column: `state` (`running`, `done`).
pub static OPERATIONS: Table = Table::new("operations", &[plain("state")]);

/// The activity log. Key: UUID version 7, so that a span of time is a range of keys: Azure's questions all name one.
pub static ACTIVITY: Table = Table::log("activity");

/// What is audited beside the activity log: sign-ins, keys read, certificates, refusals. Key: UUID version 7, as that of
/// [`ACTIVITY`].
pub static AUDIT: Table = Table::log("audit");

/// Certificates of certificate authorities and the names of their keys. Key: UUID of the pair, which names its files at the
/// publishing point. Columns: `owner` (uid of the living authority's resource), `namespace` (namespace uid),
/// `subject` (`{namespace uid}/{canonical DN}`, unique among the living ones), `thumbprint` (SHA-256, upper-case hex).
pub static AUTHORITIES: Table =
    Table::new("authorities", &[unique("owner"), plain("namespace"), unique("subject"), unique("thumbprint")]);

/// Signed revocation lists of living authorities, so that every process serves the same one. Key: UUID of the authority.
pub static REVOCATION_LISTS: Table = Table::new("revocation_lists", &[]);
/// What of a revocation list does not fit its row. Key `{authority}/{nth}`.
pub static REVOCATION_LIST_PARTS: Table = Table::new("revocation_list_parts", &[]);

/// Issued certificates. Key: serial number, lower-case hex. Columns: `device` (device uid), `place` (uid of the authority, end of
/// the validity, end of the serial number: the order in which those of an authority end).
pub static CERTIFICATES: Table = Table::new("certificates", &[plain("device"), unique("place")]);

/// Entries of revocation lists, beside the certificates that are revoked. Key: `{uid of the authority}/{serial number}`.
pub static REVOCATIONS: Table = Table::new("revocations", &[]);

/// Whether a revocation list knows of every revocation: the version of the row grows with each of its authority. Key: UUID of
/// the authority.
pub static REVOCATION_GENERATIONS: Table = Table::new("revocation_generations", &[]);

/// How near its end an authority was said to be (key: its UUID), and on which day it was said how many certificates of a namespace
/// end soon (key: uid of the namespace).
pub static EXPIRY_WARNINGS: Table = Table::new("expiry_warnings", &[]);

/// What became of the last synchronization of a policy with a hub. Key: `{uid of the hub}/{uid of the issuing authority's resource}`.
pub static SYNCHRONIZATIONS: Table = Table::new("synchronizations", &[]);

/// Blocks of serial numbers that a process reserved, for good. Key: what the numbers of the block begin with, lower-case hex.
pub static SERIAL_BLOCKS: Table = Table::new("serial_blocks", &[]);

/// Hub device identities. Key: uid of the device, which its twin and its ADR device share. Column: `place`
/// (`{hub uid}/{device id}`).
pub static DEVICES: Table = Table::new("devices", &[unique("place")]);

/// Device twins. Key: uid of the device.
pub static TWINS: Table = Table::new("twins", &[]);

/// What is known of a device's connections, and what it wants to hear after a reconnect
/// ([`ferrohub_model::device_session::DeviceSession`]). Key: uid of the device; only of devices that connected. Column:
/// `process` (uid of the process that holds its connection, while there is one).
pub static DEVICE_SESSIONS: Table = Table::new("device_sessions", &[plain("process")]);

/// Renewals of device certificates through the hub ([`ferrohub_model::renewal::Renewals`]). Key: uid of the device; only of devices
/// that asked for one. Column: `state` (`pending` while one is to be carried out, else nothing).
pub static RENEWALS: Table = Table::new("renewals", &[plain("state")]);

/// Processes that hold connections of devices, and until when they count as living. Key: uid made at their start.
pub static PROCESSES: Table = Table::new("processes", &[]);

/// Enrollment groups. Key: `{dps uid}/{lower-cased group id}`. Columns: `primary` and `secondary`, of groups that attest by X.509:
/// `{dps uid}/x509/{hash of the subject of the signing certificate}` or `{dps uid}/ca/{lower-cased name of the CA reference}`.
pub static ENROLLMENT_GROUPS: Table = Table::new("enrollment_groups", &[plain("primary"), plain("secondary")]);

/// Enrollments of single devices. Key: `{dps uid}/{lower-cased registration id}`. Columns: `primary` and `secondary`, of those with CA
/// references: as those of groups.
pub static INDIVIDUAL_ENROLLMENTS: Table =
    Table::new("individual_enrollments", &[plain("primary"), plain("secondary")]);

/// Whether a provisioning service's enrollment groups are still those that were read: the version of its row grows with
/// every change of one. Key: uid of the service.
pub static GROUP_GENERATIONS: Table = Table::new("group_generations", &[]);

/// Registrations. Key: `{dps uid}/{lower-cased registration id}`. Column: `group` (key of the enrollment group;
/// nothing where an individual enrollment let the device in, whose key is the registration's own).
pub static REGISTRATIONS: Table = Table::new("registrations", &[plain("group")]);

/// Wrapped data keys. Key: uid of the namespace, hub or DPS whose secrets they seal, or `platform`.
pub static DATA_KEYS: Table = Table::new("data_keys", &[]);

/// Private keys of the engine [`crate::key_store::SealedKeys`], sealed. Key: id of the key.
pub static SEALED_KEYS: Table = Table::new("sealed_keys", &[]);

/// Names of private keys that no row uses: not yet, or not any more ([`crate::key_store`]). Key: id of the key.
pub static LOOSE_KEYS: Table = Table::new("loose_keys", &[]);

/// Every table, in the order in which engines create them.
pub static ALL: &[&Table] = &[
    &META,
    &RESOURCES,
    &PRINCIPALS,
    &OPERATIONS,
    &ACTIVITY,
    &AUDIT,
    &AUTHORITIES,
    &REVOCATION_LISTS,
    &REVOCATION_LIST_PARTS,
    &CERTIFICATES,
    &REVOCATIONS,
    &REVOCATION_GENERATIONS,
    &EXPIRY_WARNINGS,
    &SYNCHRONIZATIONS,
    &SERIAL_BLOCKS,
    &DEVICES,
    &TWINS,
    &DEVICE_SESSIONS,
    &RENEWALS,
    &PROCESSES,
    &ENROLLMENT_GROUPS,
    &INDIVIDUAL_ENROLLMENTS,
    &GROUP_GENERATIONS,
    &REGISTRATIONS,
    &DATA_KEYS,
    &SEALED_KEYS,
    &LOOSE_KEYS,
    &SUBSCRIPTIONS,
    &MEMBERSHIPS,
    &SESSIONS,
    &AUTHORIZATION_CODES,
    &REFRESH_CHAINS,
    &DEVICE_CODES,
    &PASSWORD_GUESSES,
    &SIGN_IN_LINKS,
];
