//! CA certificates of a hub (`Microsoft.Devices/IotHubs/certificates`): uploaded by people, or brought by `synchronize`.
//! A hub trusts a device's chain to a verified one of these; deleting the entry takes the trust away.

use crate::arm::context::{DeleteContext, ListContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::schema::{Check, acted, read_only};
use crate::arm::{activity, render};
use crate::certificate::AuthorityRecord;
use crate::platform::{Change, Platform};
use crate::registry::AUTHORITY;
use crate::resources::{self, Entry, Kind, RowExtra, Stored, tag};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CERTIFICATES_PER_HUB;
use ferrohub_model::resource::{Reference, Resource};
use ferrohub_model::time::rfc1123;
use ferrohub_pki::ca_fault::CaFault;
use ferrohub_pki::certificate::Certificate;
use ferrohub_store::StoreError;
use serde_json::{Map, Value};
use uuid::Uuid;

const KIND: Kind = Kind::new(tag::HUB_CERTIFICATE, "Microsoft.Devices", &["IotHubs", "certificates"]);

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    name: NameRule {
        min: 1,
        max: 64,
        legal: |name| name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
        text: "letters, digits, '-', '.' and '_'",
    },
    properties: &[
        acted("certificate", Check::Own),
        acted("isVerified", Check::Bool),
        read_only("subject"),
        read_only("expiry"),
        read_only("thumbprint"),
        read_only("created"),
        read_only("updated"),
        read_only(AUTHORITY_ID),
    ],
    needs_if_match: true,
    subs: &[("POST", "generateVerificationCode"), ("POST", "verify")],
    behavior: &HubCertificate,
    ..TypeDecl::new(
        KIND,
        super::iot_hub::FAMILY,
        &[
            View::hiding(
                super::iot_hub::FIRST,
                Some(super::iot_hub::LAST_CLASSIC),
                &["location", "systemData", "properties.certificateAuthorityResourceId"],
            ),
            // The older name, and the older generation's id, of the authority that it was brought from.
            View {
                to: to_policy,
                from: from_policy,
                ..View::hiding(
                    super::iot_hub::FIRST_REGISTRY,
                    Some(super::iot_hub::LAST_POLICY),
                    &["location", "systemData"],
                )
            },
            View::hiding(super::iot_hub::FIRST_AUTHORITY, None, &["location", "systemData"]),
        ],
    )
};

/// Largest uploaded certificate text: ours.
const CERTIFICATE_TEXT_BYTES: usize = 32 * 1024;

/// The certificate authority that an entry was brought from, in the newest shape.
const AUTHORITY_ID: &str = "certificateAuthorityResourceId";
/// The same from 2025-08-01-preview to 2026-05-01-preview.
const POLICY_ID: &str = "policyResourceId";
const AUTHORITIES_SEGMENT: &str = "/certificateAuthorities/";
const POLICIES_SEGMENT: &str = "/credentials/default/policies/";

fn to_policy(doc: &mut Value) {
    rename(doc, (AUTHORITY_ID, AUTHORITIES_SEGMENT), (POLICY_ID, POLICIES_SEGMENT));
}

fn from_policy(doc: &mut Value) {
    rename(doc, (POLICY_ID, POLICIES_SEGMENT), (AUTHORITY_ID, AUTHORITIES_SEGMENT));
}

fn rename(doc: &mut Value, from: (&str, &str), to: (&str, &str)) {
    let Some(properties) = doc.get_mut("properties").and_then(Value::as_object_mut) else { return };
    if let Some(id) = properties.shift_remove(from.0) {
        let id = id.as_str().map(|text| text.replacen(from.1, to.1, 1)).map_or(id, Value::from);
        properties.insert(to.0.into(), id);
    }
}

struct HubCertificate;

#[async_trait]
impl Behavior for HubCertificate {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let hub = cx.parent.ok_or_else(|| Error::internal("a hub certificate without hub"))?;
        if let Some(stored) = cx.existing.filter(|stored| stored.resource.links.contains_key(AUTHORITY)) {
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
        let certificate = read_upload(cx.platform, &text)?;
        let text = plain(&certificate, &text);
        let verified = cx.resource.properties.get("isVerified").and_then(Value::as_bool).unwrap_or(false);
        let created = cx.existing.and_then(|stored| stored.resource.text(&["created"])).map(str::to_string);
        let siblings = resources::children(cx.platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await?;
        if cx.is_new() && siblings.len() >= CERTIFICATES_PER_HUB {
            return Err(too_many(hub));
        }
        cx.resource.properties = describe(cx.platform, &certificate, &text, verified, created);
        cx.change.trust_changed(hub.uid);
        Ok(())
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        cx.change.trust_changed(cx.stored.parent);
        Ok(())
    }

    /// The list is not paged: `{"value": [...]}` whole, as `az iot hub certificate list` expects it.
    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let Some(hub) = cx.parent else { return Ok(None) };
        resources::children(cx.platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await.map(Some)
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, doc: &mut Value) -> Result<()> {
        if let Some(authority) = stored.resource.links.get(AUTHORITY) {
            doc["properties"][AUTHORITY_ID] = render::reference_id(platform, authority).await?.into();
        }
        Ok(())
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

fn too_many(hub: &Stored) -> Error {
    Error::conflict(format!(
        "The hub '{}' has {CERTIFICATES_PER_HUB} certificates, which is the most; delete one first.",
        hub.name()
    ))
    .with_code("QuotaExceeded")
}

/// An upload is base64 of DER, base64 of PEM text, or PEM text itself; one CA certificate.
fn read_upload(platform: &Platform, text: &str) -> Result<Certificate> {
    let path = "properties.certificate";
    if text.is_empty() || text.len() > CERTIFICATE_TEXT_BYTES {
        return Err(Error::invalid_property(
            path,
            "A certificate is expected: the base64 of its PEM or DER form, 32 KB at most.",
        ));
    }
    let bytes = if text.contains("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        STANDARD.decode(compact).map_err(|_| Error::invalid_property(path, "The certificate is not base64."))?
    };
    let certificate = match std::str::from_utf8(&bytes) {
        Ok(pem) if pem.contains("-----BEGIN") => Certificate::from_pem(pem),
        _ => Certificate::from_der(&bytes),
    }
    .map_err(|error| Error::invalid_property(path, error.message))?;
    // One that only begins later may be uploaded ahead of time.
    let ended = certificate.time_fault(platform.now()).filter(|fault| matches!(fault, CaFault::Expired(_)));
    match certificate.lasting_ca_fault().or(ended) {
        None => Ok(certificate),
        Some(fault) => Err(Error::invalid_property(
            path,
            format!("No device could ever be trusted through this certificate: '{}' {fault}.", certificate.subject()),
        )),
    }
}

/// The upload as it is kept: what stands around a PEM block is not.
fn plain(certificate: &Certificate, text: &str) -> String {
    let bare = |pem: &str| pem.trim().starts_with("-----BEGIN") && pem.trim().ends_with("-----END CERTIFICATE-----");
    if text.contains("-----BEGIN") {
        return if bare(text) { text.to_owned() } else { certificate.to_pem() };
    }
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(pem) if pem.contains("-----BEGIN") && !bare(&pem) => STANDARD.encode(certificate.to_pem()),
        _ => text.to_owned(),
    }
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
pub(super) async fn bring(
    platform: &Platform,
    origin: &activity::Origin<'_>,
    hub: &Stored,
    authority: &AuthorityRecord,
) -> Result<()> {
    let Some(owner) = resources::by_uid(platform, authority.owner).await? else { return Ok(()) };
    // The name carries the CA's thumbprint, so that a policy made anew does not take away the trust in the former CA.
    let short = authority.thumbprint.get(..12).unwrap_or_default().to_lowercase();
    let owner_name: String = owner.name().chars().take(48).collect();
    let id = KIND.child_of(&hub.id, &format!("{owner_name}-{short}"));
    if resources::get(platform, &id).await?.is_some() {
        return Ok(());
    }
    let there = resources::children(platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await?;
    if there.len() >= CERTIFICATES_PER_HUB {
        return Err(too_many(hub));
    }
    let certificate = Certificate::from_der(&authority.certificate_der)?;
    let properties = describe(platform, &certificate, &STANDARD.encode(&authority.certificate_der), true, None);
    let mut resource = Resource { name: id.name().into(), properties, ..Resource::default() };
    resource.links.insert(AUTHORITY.into(), Reference { uid: owner.uid, id: owner.id.to_string() });
    let mut change = Change::new();
    let entry = Entry {
        uid: platform.new_id(),
        kind: &KIND,
        parent: hub.uid,
        id: id.clone(),
        below_new: false,
        was: None,
        resource,
        extra: RowExtra::default(),
    };
    resources::put(platform, origin.actor, entry, &mut change)?;
    change.unit.put(activity::of_service(platform, origin, &id, &DECL.action("write"))?);
    change.trust_changed(hub.uid);
    match platform.commit(change).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// Takes the entry that was brought of an authority off a hub. Nothing happens where there is none.
///
/// # Errors
/// When the store fails.
pub(super) async fn take_away(
    platform: &Platform,
    origin: &activity::Origin<'_>,
    hub: &Stored,
    authority: &AuthorityRecord,
) -> Result<()> {
    let text = STANDARD.encode(&authority.certificate_der);
    take(platform, origin, hub, authority.owner, Some(&text)).await
}

/// Takes every entry that was brought of an authority resource off a hub, the present and former ones.
///
/// # Errors
/// When the store fails.
pub(super) async fn take_away_all(
    platform: &Platform,
    origin: &activity::Origin<'_>,
    hub: &Stored,
    owner: Uuid,
) -> Result<()> {
    take(platform, origin, hub, owner, None).await
}

async fn take(
    platform: &Platform,
    origin: &activity::Origin<'_>,
    hub: &Stored,
    owner: Uuid,
    text: Option<&str>,
) -> Result<()> {
    for entry in resources::children(platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await? {
        let brought = entry.resource.link(AUTHORITY) == Some(owner);
        if !brought || text.is_some_and(|text| entry.resource.text(&["certificate"]) != Some(text)) {
            continue;
        }
        let mut change = Change::new();
        resources::delete(&entry, &mut change);
        change.unit.put(activity::of_service(platform, origin, &entry.id, &DECL.action("delete"))?);
        change.trust_changed(hub.uid);
        match platform.commit(change).await {
            // Somebody else took it, or the next look does.
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}

/// Whether a hub has an entry that was brought of this authority resource.
pub(super) async fn has_of(platform: &Platform, hub: &Stored, owner: Uuid) -> Result<bool> {
    let entries = resources::children(platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await?;
    Ok(entries.iter().any(|entry| entry.resource.link(AUTHORITY) == Some(owner)))
}
