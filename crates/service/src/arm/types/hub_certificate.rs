//! CA certificates of a hub (`Microsoft.Devices/IotHubs/certificates`): uploaded by people, or brought by `synchronize`.
//! A hub trusts a device's chain to a verified one of these; deleting the entry takes the trust away.

use super::uploaded::{self, Upload};
use crate::arm::context::{DeleteContext, ListContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, SubAnswer, TypeDecl, View};
use crate::arm::schema::read_only;
use crate::arm::{activity, render};
use crate::certificate::AuthorityRecord;
use crate::extensions;
use crate::platform::{Change, Platform};
use crate::registry::{self, AUTHORITY, NAMESPACE};
use crate::resources::{self, Entry, Kind, RowExtra, Stored, Told, tag};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CERTIFICATES_PER_HUB;
use ferrohub_model::resource::{Reference, Resource};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::certificate::Certificate;
use ferrohub_store::StoreError;
use serde_json::Value;
use uuid::Uuid;

const KIND: Kind = Kind::new(tag::HUB_CERTIFICATE, "Microsoft.Devices", &["IotHubs", "certificates"]);

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    name: uploaded::NAME,
    properties: &[
        uploaded::CERTIFICATE,
        uploaded::IS_VERIFIED,
        uploaded::SUBJECT,
        uploaded::EXPIRY,
        uploaded::THUMBPRINT,
        uploaded::CREATED,
        uploaded::UPDATED,
        uploaded::VERIFICATION_CODE,
        read_only(AUTHORITY_ID),
    ],
    needs_if_match: true,
    subs: uploaded::SUBS,
    behavior: &HubCertificate,
    ..TypeDecl::new(
        KIND,
        super::iot_hub::FAMILY,
        &[
            View::hiding(
                super::iot_hub::FIRST,
                Some(super::iot_hub::LAST_CLASSIC),
                &["location", "systemData", uploaded::CODE_PATH, "properties.certificateAuthorityResourceId"],
            ),
            // The older name, and the older generation's id, of the authority that it was brought from.
            View {
                to: to_policy,
                from: from_policy,
                ..View::hiding(
                    super::iot_hub::FIRST_REGISTRY,
                    Some(super::iot_hub::LAST_POLICY),
                    &["location", "systemData", uploaded::CODE_PATH],
                )
            },
            View::hiding(super::iot_hub::FIRST_AUTHORITY, None, &["location", "systemData", uploaded::CODE_PATH]),
        ],
    )
};

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
        let upload = Upload::read(cx.platform, &cx.resource)?;
        let siblings = resources::children(cx.platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await?;
        if cx.is_new() && siblings.len() >= CERTIFICATES_PER_HUB {
            return Err(too_many(hub));
        }
        uploaded::put(cx, &upload);
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

    async fn decorate(&self, platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        if let Some(authority) = stored.resource.links.get(AUTHORITY) {
            doc["properties"][AUTHORITY_ID] = render::reference_id(platform, authority).await?.into();
        }
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.stored.resource.links.contains_key(AUTHORITY) {
            return Err(Error::conflict(format!(
                "The certificate '{}' was brought by a credential synchronization: it is verified.",
                cx.id.name()
            )));
        }
        if cx.is("POST", &["generateVerificationCode"]) {
            return uploaded::generate_code(cx).await.map(Some);
        }
        if cx.is("POST", &["verify"]) {
            return uploaded::verify(cx, Some(cx.stored.parent)).await.map(Some);
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

/// Brings an issuing CA to a hub as a verified certificate entry. Nothing changes where it stands already, or the hub is not linked
/// any more.
///
/// # Errors
/// When the hub has too many entries, or the store fails.
pub(super) async fn bring(
    platform: &Platform,
    origin: &activity::Origin<'_>,
    hub: &Stored,
    authority: &AuthorityRecord,
) -> Result<()> {
    let Some(owner) = resources::by_uid(platform, authority.owner).await? else { return Ok(()) };
    let mut attempts = platform.attempts();
    loop {
        attempts
            .begin(|| Error::unavailable(format!("The hub '{}' is being changed by many at once.", hub.name()), 1))
            .await?;
        // Somebody may have unlinked it, and taken what was brought.
        let Some(hub) = resources::by_uid(platform, hub.uid).await? else { return Ok(()) };
        if hub.resource.link(NAMESPACE) != Some(authority.namespace) {
            return Ok(());
        }
        // The name carries the CA's thumbprint, so that a policy made anew does not take away the trust in the former CA.
        let short = authority.thumbprint.get(..12).unwrap_or_default().to_lowercase();
        let owner_name: String = owner.name().chars().take(48).collect();
        let id = KIND.child_of(&hub.id, &format!("{owner_name}-{short}"));
        if resources::get(platform, &id).await?.is_some() {
            return Ok(());
        }
        let there = resources::children(platform, hub.uid, &hub.id, Some(tag::HUB_CERTIFICATE)).await?;
        if there.len() >= CERTIFICATES_PER_HUB {
            return Err(too_many(&hub));
        }
        let mut change = Change::new();
        put_brought(platform, origin, &hub, (&owner, authority), id, &mut change)?;
        registry::hold_link(&hub, &mut change)?;
        change.trust_changed(hub.uid);
        if platform.try_commit(change).await? {
            return Ok(());
        }
    }
}

/// The entry of an authority's certificate, verified, that refers to the authority's resource.
fn put_brought(
    platform: &Platform,
    origin: &activity::Origin<'_>,
    hub: &Stored,
    (owner, authority): (&Stored, &AuthorityRecord),
    id: ResourceId,
    change: &mut Change,
) -> Result<()> {
    let certificate = Certificate::from_der(&authority.certificate_der)?;
    let properties =
        uploaded::describe(platform, &certificate, &STANDARD.encode(&authority.certificate_der), true, None);
    let mut resource = Resource { name: id.name().into(), properties, ..Resource::default() };
    resource.links.insert(AUTHORITY.into(), Reference { uid: owner.uid, id: owner.id.to_string() });
    let told = Told::Row(activity::of_service(platform, origin, &id, &DECL.action("write"))?);
    let entry = Entry {
        uid: platform.new_id(),
        kind: &KIND,
        parent: hub.uid,
        id,
        below_new: false,
        was: None,
        resource,
        extra: RowExtra::default(),
    };
    resources::put(platform, origin.actor, entry, told, change).map(drop)
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
        change.unit.put(activity::of_service(platform, origin, &entry.id, &DECL.action("delete"))?);
        // What somebody made on it must not keep a CA trusted.
        let made = [tag::ROLE_ASSIGNMENT, tag::LOCK];
        extensions::remove_with(platform, origin.actor, &entry, &made, &mut change).await?;
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
