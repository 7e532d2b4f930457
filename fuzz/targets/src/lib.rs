//! One function per decoder of bytes and texts that strangers send.
//!
//! A target gets any bytes, gives them to the decoder, and asserts what must hold of whatever the decoder
//! accepts: most often that it prints to something that reads back as the same. Refusing is always fine;
//! panicking, hanging and breaking an assertion never are.
//!
//! `fuzz/fuzz_targets/` runs them under libFuzzer; `tests/seeds.rs` runs them over `fuzz/seeds/` and over
//! mutations of these, with `cargo test`. CONTRIBUTING.md says how to add one.

mod json;
mod kql;
mod mqtt;
mod pki;
mod text;
mod websocket;

/// A target.
pub type Target = fn(&[u8]);

/// Every target by its name, which also names its folder of seeds and its file for libFuzzer.
pub const TARGETS: &[(&str, Target)] = &[
    ("age", pki::age),
    ("age_keys", pki::age_keys),
    ("api_version", text::api_version),
    ("certificate", pki::certificate),
    ("chain", pki::chain),
    ("client_secret", pki::client_secret),
    ("connection_string", text::connection_string),
    ("csr", pki::csr),
    ("device_id", text::device_id),
    ("device_put", json::device_put),
    ("distinguished_name", pki::distinguished_name),
    ("dps_login", text::dps_login),
    ("dps_topic", text::dps_topic),
    ("enrollment_group", json::enrollment_group),
    ("etag", text::etag),
    ("external_chain", pki::external_chain),
    ("group_filter", text::group_filter),
    ("hub_login", text::hub_login),
    ("hub_topic", text::hub_topic),
    ("iothub_query", text::iothub_query),
    ("jmespath", json::jmespath),
    ("kql", kql::kql),
    ("mqtt", mqtt::mqtt),
    ("odata_filter", text::odata_filter),
    ("pkcs8", pki::pkcs8),
    ("property_bag", text::property_bag),
    ("public_key", pki::public_key),
    ("resource_id", text::resource_id),
    ("role_action", text::role_action),
    ("sas_token", text::sas_token),
    ("sealed", pki::sealed),
    ("tpm_public", pki::tpm_public),
    ("twin", json::twin),
    ("websocket", websocket::websocket),
];

/// Runs the target called `name`.
///
/// # Panics
/// Where there is no such target, and where the target finds a fault.
pub fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    assert!(found.is_some(), "there is no target '{name}'");
    if let Some((_, target)) = found {
        target(data);
    }
}

/// The input as text; `None` where it is not UTF-8, which no decoder of text ever gets.
fn utf8(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
