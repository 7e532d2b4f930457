//! Shared access policies of hubs and provisioning services: made, sealed, listed, replaced.

use crate::arm::context::{PutContext, SubContext};
use crate::arm::schema::{Check, Property, acted};
use crate::platform::Platform;
use crate::provisioning::linked_hub;
use crate::resources::Stored;
use crate::shared_access::open_secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::uid::uid_key;
use serde_json::{Value, json};

/// A default policy: name and rights as ARM prints them.
pub(super) struct DefaultPolicy(pub(super) &'static str, pub(super) &'static str);

/// Most policies of one service (IoT Hub: 10; ours is wider).
const POLICIES: usize = 20;

/// What a body says of them. No view shows it: keys are read with `listkeys`.
pub(super) const POLICIES_PROPERTY: Property = acted(
    "authorizationPolicies",
    Check::Each(
        &Check::Members(&[
            acted("keyName", Check::Text(64)),
            acted("primaryKey", Check::Text(200)),
            acted("secondaryKey", Check::Text(200)),
            acted("rights", Check::Text(500)),
        ]),
        POLICIES,
    ),
);

/// Makes the default policies of a new service, or takes over those that the body sends with or without keys.
pub(super) async fn apply(cx: &mut PutContext<'_>, defaults: &[DefaultPolicy], known_rights: &[&str]) -> Result<()> {
    let sent = cx
        .body
        .get("properties")
        .and_then(|p| p.get("authorizationPolicies"))
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty())
        .cloned();
    let policies = match (sent, cx.is_new()) {
        (Some(list), _) => list,
        (None, true) => {
            defaults.iter().map(|DefaultPolicy(name, rights)| json!({"keyName": name, "rights": rights})).collect()
        }
        (None, false) => return Ok(()),
    };
    let mut kept = Vec::new();
    let mut fields = Vec::new();
    for policy in &policies {
        let name = policy.get("keyName").and_then(Value::as_str).unwrap_or_default();
        let rights = check_rights(policy.get("rights").and_then(Value::as_str).unwrap_or_default(), known_rights)?;
        if name.is_empty()
            || name.eq_ignore_ascii_case("linkedHub")
            || name.len() > 64
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        {
            return Err(Error::invalid_property(
                "properties.authorizationPolicies",
                "A policy's keyName has 1 to 64 letters, digits, '-', '.' and '_'.",
            ));
        }
        let sent = |member: &str| policy.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
        let given = |member: &str| sent(member).is_some_and(|text| !text.contains('*'));
        for (member, other, which) in
            [("primaryKey", "secondaryKey", "primary"), ("secondaryKey", "primaryKey", "secondary")]
        {
            let field = format!("{name}/{which}");
            // `az iot hub policy renew-key` sends only the key that stays: the other one is made anew.
            if sent(member).is_none() && given(other) {
                cx.resource.secrets.remove(&field);
            }
            seal_key(cx, &field, sent(member)).await?;
            fields.push(field);
        }
        kept.push(json!({"keyName": name, "rights": rights}));
    }
    cx.resource.secrets.retain(|field, _| linked_hub::is_link_field(field) || fields.contains(field));
    cx.resource.properties.insert("authorizationPolicies".into(), Value::Array(kept));
    Ok(())
}

/// Seals the key that was sent; a missing or masked one keeps the stored key, and without one a new key is made.
async fn seal_key(cx: &mut PutContext<'_>, field: &str, sent: Option<&str>) -> Result<()> {
    let key = match sent.filter(|text| !text.is_empty() && !text.contains('*')) {
        Some(text) => {
            let bytes = STANDARD.decode(text).map_err(|_| bad_key())?;
            if !(16..=64).contains(&bytes.len()) {
                return Err(bad_key());
            }
            zeroize::Zeroizing::new(text.to_string())
        }
        None if cx.resource.secrets.contains_key(field) => return Ok(()),
        None => ferrohub_pki::key::generate_symmetric_key(cx.platform.random.as_ref()),
    };
    let owner = uid_key(cx.uid);
    let sealed = cx
        .platform
        .keyring
        .seal(cx.platform.store.as_ref(), &owner, "resources", &owner, field, key.as_bytes())
        .await?;
    cx.resource.secrets.insert(field.into(), sealed);
    Ok(())
}

fn bad_key() -> Error {
    Error::invalid_property(
        "properties.authorizationPolicies",
        "A shared access key is 16 to 64 bytes, base64-encoded.",
    )
}

/// The rights in canonical spelling, joined by ", " as clients expect them.
fn check_rights(text: &str, known: &[&str]) -> Result<String> {
    let mut rights = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match known.iter().find(|right| right.eq_ignore_ascii_case(word)) {
            Some(right) => rights.push(*right),
            None => {
                return Err(Error::invalid_property(
                    "properties.authorizationPolicies",
                    format!(
                        "The right '{}' is not known; there are: {}.",
                        word.chars().take(40).collect::<String>(),
                        known.join(", ")
                    ),
                ));
            }
        }
    }
    if rights.is_empty() {
        return Err(Error::invalid_property(
            "properties.authorizationPolicies",
            format!("A policy needs rights: {}.", known.join(", ")),
        ));
    }
    Ok(rights.join(", "))
}

/// Opens one key of a service: the base64 text that clients see.
///
/// # Errors
/// Internal, when the key is missing or does not open.
pub(super) async fn open_key(platform: &Platform, stored: &Stored, field: &str) -> Result<zeroize::Zeroizing<String>> {
    let bytes = open_secret(platform, stored, field).await?;
    let bytes = bytes.ok_or_else(|| Error::internal(format!("{} has no key {field}", stored.id)))?;
    String::from_utf8(bytes.to_vec()).map(zeroize::Zeroizing::new).map_err(|_| Error::internal("a key is not text"))
}

async fn policy_view(platform: &Platform, stored: &Stored, policy: &Value) -> Result<Value> {
    let name = policy.get("keyName").and_then(Value::as_str).unwrap_or_default();
    let primary = open_key(platform, stored, &format!("{name}/primary")).await?;
    let secondary = open_key(platform, stored, &format!("{name}/secondary")).await?;
    Ok(
        json!({"keyName": name, "primaryKey": primary.as_str(), "secondaryKey": secondary.as_str(), "rights": policy.get("rights")}),
    )
}

/// Answers `listkeys` with all policies, or with the one called `only`.
pub(super) async fn list(cx: &SubContext<'_>, only: Option<&str>) -> Result<Value> {
    let policies = cx
        .stored
        .resource
        .properties
        .get("authorizationPolicies")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let Some(wanted) = only else {
        let mut value = Vec::new();
        for policy in &policies {
            value.push(policy_view(cx.platform, cx.stored, policy).await?);
        }
        return Ok(json!({ "value": value }));
    };
    let found = policies
        .iter()
        .find(|p| p.get("keyName").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
    match found {
        Some(policy) => policy_view(cx.platform, cx.stored, policy).await,
        None => Err(Error::not_found(format!(
            "The shared access policy '{}' does not exist on '{}'. There are: {}.",
            wanted.chars().take(64).collect::<String>(),
            cx.stored.name(),
            policies.iter().filter_map(|p| p.get("keyName").and_then(Value::as_str)).collect::<Vec<_>>().join(", ")
        ))),
    }
}
