//! Certificate policies: the leaf settings of an issuing authority
//! (`Microsoft.DeviceRegistry/namespaces/certificateAuthorities/certificatePolicies`, from 2026-11-01-preview).

use super::authority::{AUTHORITY_NAME, is_authority_name, is_root};
use super::linked_namespace::linked_hubs;
use super::namespace_link;
use super::registry_versions::{NEWEST, REGISTRY_FAMILY};
use crate::arm::context::{DeleteContext, PutContext};
use crate::arm::declaration::{Behavior, NameRule, TypeDecl, View};
use crate::arm::schema::{Check, PROVISIONING_STATE, acted, read_only};
use crate::certificate;
use crate::platform::Platform;
use crate::resources::{self, Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::LEAF_VALIDITY_DAYS;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use serde_json::{Value, json};

/// Name and place.
pub(super) const KIND: Kind = Kind::new(
    tag::CERTIFICATE_POLICY,
    "Microsoft.DeviceRegistry",
    &["namespaces", "certificateAuthorities", "certificatePolicies"],
);

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule { min: 3, max: 63, legal: is_authority_name, text: AUTHORITY_NAME },
    properties: &[
        acted("certificate", Check::Members(&[acted("validityPeriodInDays", Check::Own)])),
        acted(certificate::ENABLED, Check::Bool),
        read_only("uuid"),
        PROVISIONING_STATE,
    ],
    delete: (204, 204),
    behavior: &Policy,
    ..TypeDecl::new(KIND, REGISTRY_FAMILY, &[View::hiding(NEWEST, None, &["etag"])])
};

const VALIDITY: &str = "properties.certificate.validityPeriodInDays";

/// Checks the days that a body asks for.
///
/// # Errors
/// `InvalidPropertyValue` at `path`.
pub(super) fn checked_days(value: &Value, path: &str) -> Result<u32> {
    let given = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    given
        .and_then(|days| u32::try_from(days).ok())
        .filter(|days| (LEAF_VALIDITY_DAYS.0..=LEAF_VALIDITY_DAYS.1).contains(days))
        .ok_or_else(|| {
            Error::invalid_property(
                path,
                format!(
                    "The validity of leaf certificates is a whole number of days from {} to {}.",
                    LEAF_VALIDITY_DAYS.0, LEAF_VALIDITY_DAYS.1
                ),
            )
        })
}

struct Policy;

/// Lets the issuing CA of a new policy go to the hubs of its namespace, which this generation does without being asked; the worker
/// does it.
async fn bring(cx: &mut PutContext<'_>, authority: &Stored) -> Result<()> {
    let Some(namespace) = resources::by_uid(cx.platform, authority.parent).await? else { return Ok(()) };
    if linked_hubs(cx.platform, &namespace).await?.is_empty() {
        return Ok(());
    }
    let input = json!({"policies": [uid_key(authority.uid)]});
    let record = namespace_link::synchronization(cx.platform, cx.actor.id(), &namespace.id, input);
    cx.change.unit.put(record.put()?);
    Ok(())
}

#[async_trait]
impl Behavior for Policy {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let authority = cx.parent.ok_or_else(|| Error::internal("a certificate policy without authority"))?;
        if is_root(authority) {
            return Err(Error::conflict(format!(
                "The certificate authority '{}' is a Root; certificate policies are made below an issuing authority (ICA).",
                authority.name()
            ))
            .with_code("PolicyRequiresIssuingCa"));
        }
        let sent = cx.resource.value(&["certificate", "validityPeriodInDays"]).filter(|value| !value.is_null());
        let sent = sent.ok_or_else(|| {
            Error::invalid_property(VALIDITY, "A certificate policy needs 'certificate.validityPeriodInDays'.")
        })?;
        let days = checked_days(sent, VALIDITY)?;
        // Clients of Azure do not know it: what they leave out stays.
        let stored = cx.existing.and_then(|stored| stored.resource.value(&[certificate::ENABLED]));
        let enabled = cx.resource.value(&[certificate::ENABLED]).or(stored).cloned();
        let properties = &mut cx.resource.properties;
        properties.extend(enabled.map(|enabled| (certificate::ENABLED.to_owned(), enabled)));
        properties.insert("certificate".into(), json!({ "validityPeriodInDays": days }));
        properties.insert("provisioningState".into(), "Succeeded".into());
        cx.extra.lookup = Some(certificate::policy_lookup(authority.uid));
        if cx.is_new() {
            bring(cx, authority).await?;
        }
        Ok(())
    }

    fn taken(&self, id: &ResourceId, _column: &str) -> Option<Error> {
        Some(
            Error::conflict(format!(
                "The certificate authority '{}' has a certificate policy already, and it can have one only. Change that one.",
                id.parent().map(|parent| parent.name().to_owned()).unwrap_or_default()
            ))
            .with_code("CertificatePolicyQuotaExceeded"),
        )
    }

    async fn before_delete(&self, _cx: &mut DeleteContext<'_>) -> Result<()> {
        // What it issued stays trusted until its authority goes (reference: certificates.md section 4).
        Ok(())
    }

    async fn decorate(&self, _platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        doc["properties"]["uuid"] = stored.uid.to_string().into();
        doc["properties"][certificate::ENABLED] = certificate::is_enabled(stored).into();
        Ok(())
    }
}
