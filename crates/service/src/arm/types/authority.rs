//! The row of a certificate authority, whichever generation reads or writes it: `certificateAuthorities/{n}`, or
//! `credentials/default` and its policies.

use crate::arm::context::{DeleteContext, PutContext};
use crate::certificate::{self, AuthorityRecord};
use crate::extensions;
use crate::platform::Platform;
use crate::resources::{self, Kind, Stored, tag};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Reference;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::external::request_pem;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Name and place.
pub(super) const KIND: Kind =
    Kind::new(tag::CERTIFICATE_AUTHORITY, "Microsoft.DeviceRegistry", &["namespaces", "certificateAuthorities"]);

/// `certificateAuthorityType` of a root.
pub(super) const ROOT: &str = "Root";
/// `issuerType` of an authority that a root of somebody else signs.
pub(super) const EXTERNAL: &str = "External";
/// `certificateAuthorityType` of an issuing authority.
pub(super) const ISSUING: &str = "ICA";
/// The type of an authority's key.
pub(super) const KEY_TYPE: &str = "keyType";
/// The reference from an issuing authority to the one that signed it.
pub(super) const ISSUER: &str = "issuer";
/// The only name of a credential, which is how the older generation shows the root.
pub(super) const CREDENTIAL: &str = "default";
/// The rule for names, in words (reference: iot-hub-and-dps.md G.4).
pub(super) const AUTHORITY_NAME: &str = "letters, digits and '-', starting with a letter or digit";

/// Whether the characters of a name are legal for an authority or a policy.
pub(super) fn is_authority_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// The `lookup` column of the one root of a namespace.
pub(super) fn root_lookup(namespace: Uuid) -> String {
    format!("root/{}", uid_key(namespace))
}

/// The root of a namespace, if it has one.
pub(super) async fn root(platform: &Platform, namespace: Uuid) -> Result<Option<Stored>> {
    resources::by_lookup(platform, "lookup", &root_lookup(namespace)).await
}

/// Whether a stored authority is a root.
pub(super) fn is_root(stored: &Stored) -> bool {
    stored.resource.text(&["certificateAuthorityType"]) == Some(ROOT)
}

/// The id under which the older generation shows the issuing authority `name` of a namespace.
pub(super) fn policy_id(namespace: &ResourceId, name: &str) -> ResourceId {
    namespace.child("credentials", CREDENTIAL).child("policies", name)
}

/// The issuing authorities of the namespace of a root.
pub(super) async fn issuing_beside(platform: &Platform, root: &Stored) -> Result<Vec<Stored>> {
    let Some(namespace) = resources::by_uid(platform, root.parent).await? else { return Ok(Vec::new()) };
    let kind = Some(tag::CERTIFICATE_AUTHORITY);
    let mut found = resources::children(platform, namespace.uid, &namespace.id, kind).await?;
    found.retain(|stored| !is_root(stored));
    Ok(found)
}

/// Completes the row of a namespace's root, whichever generation writes it, and makes its key and certificate.
pub(super) async fn write_root(cx: &mut PutContext<'_>, namespace: &Stored, subject: Option<&str>) -> Result<()> {
    if cx.is_new() {
        if root(cx.platform, namespace.uid).await?.is_some() {
            return Err(second_root(cx.id));
        }
        let key = certificate::key_kind(cx.resource.text(&[KEY_TYPE]));
        certificate::create_root(cx.platform, namespace, cx.uid, subject, key, &mut cx.change).await?;
    }
    cx.extra.lookup = Some(root_lookup(namespace.uid));
    complete(cx, ROOT);
    Ok(())
}

/// Completes the row of an issuing authority that a root of somebody else is to sign, whichever generation writes it, and makes
/// its key and request.
pub(super) async fn write_external(cx: &mut PutContext<'_>, namespace: &Stored, subject: Option<&str>) -> Result<()> {
    if cx.is_new() {
        let (name, group) = (cx.id.name().to_owned(), namespace.group().to_owned());
        let key = certificate::key_kind(cx.resource.text(&[KEY_TYPE]));
        if let KeyKind::Rsa(_) = key {
            return Err(Error::invalid_property(
                "keyType",
                "An issuing authority under a root of your own has an elliptic curve key: ECC, ECC-P256, ECC-P384 or ECC-P521.",
            ));
        }
        let wanted = certificate::Issuing { name: &name, group: &group, subject, key };
        certificate::create_external(cx.platform, namespace, cx.uid, &wanted, &mut cx.change).await?;
    }
    complete(cx, ISSUING);
    cx.resource.properties.insert("issuer".into(), json!({"issuerType": EXTERNAL}));
    Ok(())
}

/// Whether a stored authority is signed by a root of somebody else, or is to be.
pub(super) fn is_external(stored: &Stored) -> bool {
    stored.resource.text(&["issuer", "issuerType"]) == Some(EXTERNAL)
}

/// What an authority resource has now: the authority that signs, and the one that will.
pub(super) struct Standing {
    pub(super) active: Option<Arc<AuthorityRecord>>,
    pending: Option<Arc<AuthorityRecord>>,
}

impl Standing {
    pub(super) async fn of(platform: &Platform, owner: Uuid) -> Result<Self> {
        let pending = certificate::pending_of(platform, owner).await?.map(|(record, _)| record);
        Ok(Self { active: certificate::authority_of(platform, owner).await?, pending })
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.active.as_ref().or(self.pending.as_ref()).map(|record| record.subject.as_str())
    }

    /// The state of one under somebody else's root (reference: certificates.md 1.1), with its request while that waits, and
    /// with the thumbprint of its certificate under the name that the generation has for it.
    pub(super) fn show_external(&self, shown: &mut Value, thumbprint: &str) {
        shown["status"] = match (&self.active, &self.pending) {
            (Some(_), None) => "Active",
            (Some(_), Some(_)) => "ActiveButPendingRenewal",
            (None, _) => "PendingActivation",
        }
        .into();
        if let Some(pending) = &self.pending {
            shown["certificateSigningRequest"] = request_pem(&pending.request_der).into();
        }
        if let Some(active) = &self.active {
            shown[thumbprint] = active.thumbprint.clone().into();
        }
    }
}

/// Completes the row of an issuing authority, whichever generation writes it, and makes its key and certificate.
pub(super) async fn write_issuing(
    cx: &mut PutContext<'_>,
    namespace: &Stored,
    signer: &Stored,
    subject: Option<&str>,
) -> Result<()> {
    if cx.is_new() {
        let (name, group) = (cx.id.name().to_owned(), namespace.group().to_owned());
        let key = certificate::key_kind(cx.resource.text(&[KEY_TYPE]));
        let wanted = certificate::Issuing { name: &name, group: &group, subject, key };
        certificate::create_issuing(cx.platform, namespace, cx.uid, signer.uid, &wanted, &mut cx.change).await?;
        cx.change.unit.expect_exists(&crate::tables::RESOURCES, signer.key());
        let reference = Reference { uid: signer.uid, id: signer.id.to_string() };
        cx.resource.links.insert(ISSUER.into(), reference);
        cx.extra.link = Some(signer.key());
    }
    complete(cx, ISSUING);
    Ok(())
}

fn complete(cx: &mut PutContext<'_>, kind: &str) {
    let stored = cx.existing.and_then(|stored| stored.resource.text(&[KEY_TYPE]));
    let key = stored.or_else(|| cx.resource.text(&[KEY_TYPE])).and_then(certificate::key_type);
    let key = key.unwrap_or(certificate::ECC);
    let properties = &mut cx.resource.properties;
    properties.insert("certificateAuthorityType".into(), kind.into());
    properties.insert(KEY_TYPE.into(), key.into());
    properties.insert("provisioningState".into(), "Succeeded".into());
}

/// The error where a namespace has a root already.
pub(super) fn second_root(id: &ResourceId) -> Error {
    Error::conflict(format!(
        "The namespace '{}' has a root certificate authority already, and it can have one only. Delete it first, or use it.",
        id.parent().map(|parent| parent.name().to_owned()).unwrap_or_default()
    ))
    .with_code("CredentialQuotaExceeded")
}

/// One under a root of somebody else stays while devices have good certificates of it: its root's owner could not tell the hubs
/// (reference: certificates.md section 4).
pub(super) async fn refuse_live_leaves(platform: &Platform, stored: &Stored) -> Result<()> {
    if !is_external(stored) || !certificate::has_live_leaves(platform, stored.uid).await? {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "'{}' cannot be deleted while devices have certificates of its issuing CA, which is signed by a root of your own. Revoke each device first: az iot adr ns device revoke --namespace '<namespace>' --resource-group '<group>' --name '<device>'",
        stored.name()
    ))
    .with_code("CertificateAuthorityInUse"))
}

/// Adds that the certificate policy of an issuing authority goes in the unit in which the authority does.
pub(super) async fn remove_policies(cx: &mut DeleteContext<'_>) -> Result<()> {
    let below = resources::children(cx.platform, cx.stored.uid, &cx.stored.id, Some(tag::CERTIFICATE_POLICY)).await?;
    for policy in &below {
        extensions::remove_with(cx.platform, cx.actor, policy, &[tag::ROLE_ASSIGNMENT], &mut cx.change).await?;
    }
    cx.owned.extend(below);
    Ok(())
}
