//! CA certificates of a hub (`Microsoft.Devices/IotHubs/certificates`): uploaded by people, or brought by `synchronize`.
//! A hub trusts a device's chain to a verified one of these; deleting the entry takes the trust away.

use crate::arm::context::{DeleteContext, ListContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, IdentityRule, NameRule, Scope, SubAnswer, TypeDecl, View};
use crate::authz::Actor;
use crate::certificate::AuthorityRecord;
use crate::platform::{Change, Platform};
use crate::resources::{self, RowExtra, Stored, kind};
use crate::tables::RESOURCES;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::{rfc1123, rfc3339};
use ferrohub_pki::certificate::Certificate;
use ferrohub_store::StoreError;
use serde_json::{Map, Value};

/// The declaration.
pub static DECL: TypeDecl = TypeDecl {
    namespace: "Microsoft.Devices",
    kinds: &["IotHubs", "certificates"],
    key: kind::HUB_CERTIFICATE,
    scope: Scope::InGroup,
    tracked: false,
    singleton: None,
    views: &[
        View {
            versions: super::iot_hub::CLASSIC_VERSIONS,
            hidden: &["location", "systemData", "properties.policyResourceId"],
        },
        View { versions: super::iot_hub::REGISTRY_VERSIONS, hidden: &["location", "systemData"] },
    ],
    any_version: false,
    name: NameRule {
        min: 1,
        max: 64,
        legal: |name| name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
        text: "letters, digits, '-', '.' and '_'",
    },
    global_name: None,
    properties: &["certificate", "isVerified"],
    read_only: &["subject", "expiry", "thumbprint", "created", "updated", "policyResourceId"],
    create_only: &[],
    identity: IdentityRule::No,
    sku: false,
    put: (201, 200),
    delete: (200, 204),
    tree: false,
    subscription_list: false,
    behavior: &HubCertificate,
};

/// Certificates of one hub (IoT Hub: 25; ours is wider, for many policies).
const CERTIFICATES_PER_HUB: usize = 200;
/// Largest uploaded certificate text: ours.
const CERTIFICATE_TEXT_BYTES: usize = 32 * 1024;

struct HubCertificate;

#[async_trait]
impl Behavior for HubCertificate {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let hub = cx.parent.ok_or_else(|| Error::internal("a hub certificate without hub"))?;
        if let Some(stored) = cx.existing.filter(|stored| stored.resource.text(&["policyResourceId"]).is_some()) {
            if stored.resource.text(&["certificate"]) == cx.resource.text(&["certificate"]) {
                // Put back as it was read: it stays what it is.
                cx.resource.properties = stored.resource.properties.clone();
                return Ok(());
            }
            return Err(Error::conflict(format!(
                "The certificate '{}' was brought by a credential synchronization and cannot be replaced by hand. Delete it, or upload yours under another name.",
                cx.id.name()
            )));
        }
        let text = cx.resource.text(&["certificate"]).unwrap_or_default().to_string();
        let certificate = read_upload(&text)?;
        let verified = cx.resource.properties.get("isVerified").and_then(Value::as_bool).unwrap_or(false);
        let created = cx.existing.and_then(|stored| stored.resource.text(&["created"])).map(str::to_string);
        let siblings = resources::all_where(cx.platform.store.as_ref(), "parent", &hub.id()?.key()).await?;
        let count =
            siblings.iter().filter(|sibling| sibling.resource.kind.eq_ignore_ascii_case(kind::HUB_CERTIFICATE)).count();
        if cx.is_new() && count >= CERTIFICATES_PER_HUB {
            return Err(Error::conflict(format!(
                "A hub has at most {CERTIFICATES_PER_HUB} certificates; delete one first."
            ))
            .with_code("QuotaExceeded"));
        }
        cx.resource.properties = describe(cx.platform, &certificate, &text, verified, created);
        cx.change.trust_changed(hub.resource.uid);
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        let hub = cx.id.parent().ok_or_else(|| Error::internal("a hub certificate without hub"))?;
        if let Some(hub) = resources::get(cx.platform.store.as_ref(), &hub).await? {
            cx.change.trust_changed(hub.resource.uid);
        }
        Ok(())
    }

    /// The list is not paged: `{"value": [...]}` whole, as `az iot hub certificate list` expects it.
    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Resource>>> {
        let mut all = resources::all_where(cx.platform.store.as_ref(), "parent", &cx.scope.key()).await?;
        all.retain(|stored| stored.resource.kind.eq_ignore_ascii_case(kind::HUB_CERTIFICATE));
        Ok(Some(all.into_iter().map(|stored| stored.resource).collect()))
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &["generateVerificationCode"]) || cx.is("POST", &["verify"]) {
            return Err(Error::not_implemented(
                "Ferrohub has no proof of possession by verification code yet. Upload the certificate as verified: az iot hub certificate create --hub-name '<hub>' --name '<name>' --path '<file>' --verified",
            ));
        }
        Ok(None)
    }
}

/// An upload is base64 of DER, base64 of PEM text, or PEM text itself; one CA certificate.
fn read_upload(text: &str) -> Result<Certificate> {
    let path = "properties.certificate";
    if text.is_empty() || text.len() > CERTIFICATE_TEXT_BYTES {
        return Err(Error::invalid_property(
            path,
            "A certificate is expected: the base64 of its PEM or DER form, 32 KB at most.",
        ));
    }
    let bytes = if text.trim_start().starts_with("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        STANDARD.decode(compact).map_err(|_| Error::invalid_property(path, "The certificate is not base64."))?
    };
    let certificate = match std::str::from_utf8(&bytes) {
        Ok(pem) if pem.trim_start().starts_with("-----BEGIN") => Certificate::from_pem(pem),
        _ => Certificate::from_der(&bytes),
    }?;
    if !certificate.is_ca() {
        return Err(Error::invalid_property(
            path,
            "The certificate is not that of a certificate authority (basic constraints CA:TRUE are missing).",
        ));
    }
    Ok(certificate)
}

fn describe(
    platform: &Platform,
    certificate: &Certificate,
    text: &str,
    verified: bool,
    created: Option<String>,
) -> Map<String, Value> {
    let now = rfc1123(platform.now());
    let mut properties = Map::new();
    properties.insert("subject".into(), certificate.subject().to_string().into());
    properties.insert("expiry".into(), rfc1123(certificate.not_after()).into());
    properties.insert("thumbprint".into(), certificate.sha1().into());
    properties.insert("isVerified".into(), verified.into());
    properties.insert("created".into(), created.unwrap_or_else(|| now.clone()).into());
    properties.insert("updated".into(), now.into());
    properties.insert("certificate".into(), text.into());
    properties
}

/// Brings an issuing CA to a hub as a verified certificate entry. Nothing changes where it stands already.
///
/// # Errors
/// When the hub went away or the store fails.
pub(super) async fn bring(platform: &Platform, actor: &Actor, hub: &Stored, authority: &AuthorityRecord) -> Result<()> {
    let hub_id = hub.id()?;
    let policy = ResourceId::parse(&authority.owner)?;
    // The name carries the CA's thumbprint, so that a policy made anew does not take away the trust in the former CA.
    let short = authority.thumbprint.get(..12).unwrap_or_default().to_lowercase();
    let policy_name: String = policy.name().chars().take(48).collect();
    let id = hub_id.child("certificates", &format!("{policy_name}-{short}"));
    if resources::get(platform.store.as_ref(), &id).await?.is_some() {
        return Ok(());
    }
    let certificate = Certificate::from_der(&authority.certificate_der)?;
    let mut properties = describe(platform, &certificate, &STANDARD.encode(&authority.certificate_der), true, None);
    properties.insert("policyResourceId".into(), authority.owner.clone().into());
    let now = rfc3339(platform.now());
    let resource = Resource {
        id: id.to_string(),
        uid: platform.new_id(),
        name: id.name().into(),
        kind: DECL.full(),
        location: None,
        tags: None,
        sku: None,
        identity: None,
        properties,
        secrets: std::collections::BTreeMap::new(),
        system_data: SystemData {
            created_by: actor.name().into(),
            created_by_type: actor.kind_name().into(),
            created_at: now.clone(),
            last_modified_by: actor.name().into(),
            last_modified_by_type: actor.kind_name().into(),
            last_modified_at: now,
        },
        etag: platform.random.uuid_v4().to_string(),
    };
    let mut change = Change::new();
    change.unit.expect_exists(&RESOURCES, hub_id.key());
    change.unit.expect_absent(&RESOURCES, id.key());
    change.unit.put(resources::put(&resource, RowExtra::default())?);
    change.trust_changed(hub.resource.uid);
    match platform.commit(change).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(other) => Err(other.into()),
    }
}
