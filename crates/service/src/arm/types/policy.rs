//! Policies: an issuing CA with its leaf settings (`Microsoft.DeviceRegistry/namespaces/credentials/policies`).

use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Scope, SubAnswer, TypeDecl, View};
use crate::certificate;
use crate::resources::{self, Stored, kind};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{LEAF_VALIDITY_DAYS, LEAF_VALIDITY_DEFAULT_DAYS};
use ferrohub_pki::name::SubjectName;
use serde_json::{Value, json};

/// The declaration.
pub static DECL: TypeDecl = TypeDecl {
    namespace: "Microsoft.DeviceRegistry",
    kinds: &["namespaces", "credentials", "policies"],
    key: kind::POLICY,
    scope: Scope::InGroup,
    tracked: true,
    singleton: None,
    views: &[
        View { versions: &["2025-11-01-preview"], hidden: &["etag"] },
        // A proxy resource from here on: no location, no tags (reference: device-registry-api.md section 1).
        View { versions: &["2026-03-01-preview"], hidden: &["etag", "location", "tags"] },
    ],
    any_version: false,
    name: NameRule {
        min: 3,
        max: 63,
        legal: |name| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        },
        text: "letters, digits and '-', starting with a letter or digit",
    },
    global_name: None,
    properties: &["certificate"],
    read_only: &["provisioningState"],
    create_only: &[],
    identity: IdentityRule::No,
    sku: false,
    put: (201, 200),
    delete: (204, 204),
    tree: false,
    subscription_list: false,
    behavior: &Policy,
};

const AUTHORITY: &str = "properties.certificate.certificateAuthorityConfiguration";
const VALIDITY: &str = "properties.certificate.leafCertificateConfiguration.validityPeriodInDays";

struct Policy;

#[async_trait]
impl Behavior for Policy {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let wanted = Wanted::read(cx)?;
        let (subject, not_before, not_after) = match cx.existing {
            None => {
                let namespace = namespace_of(cx).await?;
                let made = certificate::create_issuing(
                    cx.platform,
                    &namespace,
                    cx.id,
                    wanted.subject.as_deref(),
                    &mut cx.change,
                )
                .await?;
                (made.subject, made.not_before.to_string(), made.not_after.to_string())
            }
            Some(existing) => {
                wanted.keep_subject(existing)?;
                let text = |name: &str| authority_text(existing, name).unwrap_or_default().to_string();
                (text("subject"), text("validityNotBefore"), text("validityNotAfter"))
            }
        };
        cx.resource.properties.insert("provisioningState".into(), "Succeeded".into());
        cx.resource.properties.insert(
            "certificate".into(),
            json!({
                "certificateAuthorityConfiguration": {
                    "keyType": "ECC", "subject": subject, "validityNotBefore": not_before, "validityNotAfter": not_after
                },
                "leafCertificateConfiguration": {"validityPeriodInDays": wanted.days}
            }),
        );
        Ok(())
    }

    /// No new certificates come from a deleted policy; hubs trust what it issued until their entry is deleted (reference: certificates.md section 4).
    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        certificate::remove_authority(cx.platform, cx.id, &mut cx.change).await
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &["revokeIssuer"]) {
            return Err(Error::not_implemented(
                "Ferrohub does not revoke issuing CAs yet. To stop a hub from trusting one, delete its entry: az iot hub certificate delete --hub-name '<hub>' --name '<entry>' --etag '*'",
            ));
        }
        if cx.is("POST", &["activateBringYourOwnRoot"]) {
            return Err(byor());
        }
        Ok(None)
    }
}

fn byor() -> Error {
    Error::not_implemented(
        "Ferrohub does not support a root of your own (bringYourOwnRoot) yet; leave it out or set enabled to false.",
    )
}

fn authority_text<'a>(stored: &'a Stored, name: &str) -> Option<&'a str> {
    stored.resource.text(&["certificate", "certificateAuthorityConfiguration", name])
}

/// The namespace above the policy's credential.
async fn namespace_of(cx: &PutContext<'_>) -> Result<Stored> {
    let id = cx
        .id
        .parent()
        .and_then(|credential| credential.parent())
        .ok_or_else(|| Error::internal("a policy without namespace"))?;
    resources::require(cx.platform.store.as_ref(), &id).await
}

/// What a body asks of a policy.
struct Wanted {
    subject: Option<String>,
    days: u32,
}

impl Wanted {
    fn read(cx: &PutContext<'_>) -> Result<Self> {
        let certificate = cx.body.get("properties").and_then(|p| p.get("certificate"));
        let authority = certificate.and_then(|c| c.get("certificateAuthorityConfiguration"));
        let text = |name: &str| authority.and_then(|a| a.get(name)).and_then(Value::as_str);
        if let Some(key) = text("keyType")
            && !key.eq_ignore_ascii_case("ECC")
        {
            return Err(Error::invalid_property(
                format!("{AUTHORITY}.keyType"),
                format!("The key type '{}' is not supported; 'ECC' is.", key.chars().take(20).collect::<String>()),
            ));
        }
        if authority.and_then(|a| a.pointer("/bringYourOwnRoot/enabled")).and_then(Value::as_bool) == Some(true) {
            return Err(byor());
        }
        let sent = certificate.and_then(|c| c.pointer("/leafCertificateConfiguration/validityPeriodInDays"));
        let kept = cx
            .existing
            .and_then(|e| e.resource.value(&["certificate", "leafCertificateConfiguration", "validityPeriodInDays"]))
            .and_then(Value::as_u64);
        let days = match sent.filter(|value| !value.is_null()) {
            Some(value) => {
                value.as_u64().or_else(|| value.as_str().and_then(|t| t.parse().ok())).ok_or_else(bad_days)?
            }
            None => kept.unwrap_or_else(|| u64::from(LEAF_VALIDITY_DEFAULT_DAYS)),
        };
        let days = u32::try_from(days)
            .ok()
            .filter(|d| (LEAF_VALIDITY_DAYS.0..=LEAF_VALIDITY_DAYS.1).contains(d))
            .ok_or_else(bad_days)?;
        Ok(Self { subject: text("subject").filter(|s| !s.trim().is_empty()).map(str::to_string), days })
    }

    /// An existing policy keeps its subject; the same subject in another spelling is no change.
    fn keep_subject(&self, existing: &Stored) -> Result<()> {
        let (Some(wanted), Some(stored)) = (self.subject.as_deref(), authority_text(existing, "subject")) else {
            return Ok(());
        };
        if SubjectName::parse(wanted)?.canonical() == SubjectName::parse(stored)?.canonical() {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "The subject of policy '{}' is '{stored}' and cannot be changed. Create another policy for another subject.",
            existing.resource.name
        ))
        .with_code("PropertyChangeNotAllowed")
        .with_target(format!("{AUTHORITY}.subject")))
    }
}

fn bad_days() -> Error {
    Error::invalid_property(
        VALIDITY,
        format!(
            "The validity of leaf certificates is a whole number of days from {} to {}.",
            LEAF_VALIDITY_DAYS.0, LEAF_VALIDITY_DAYS.1
        ),
    )
}
