//! Policies: an issuing CA with its leaf settings, as 2025-11-01-preview and 2026-03-01-preview show them
//! (`Microsoft.DeviceRegistry/namespaces/credentials/policies`). Behind one stand two rows: an issuing certificate
//! authority, whose name it has, and that authority's certificate policy.

use super::authority::{
    self, AUTHORITY_NAME, Standing, is_authority_name, is_external, is_root, issuing_beside, policy_id,
    refuse_live_leaves, write_external, write_issuing,
};
use super::authority_life;
use super::certificate_policy::{self, checked_days};
use super::registry_versions::REGISTRY_FAMILY;
use crate::arm::context::{DeleteContext, ListContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::query;
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, read_only};
use crate::certificate;
use crate::platform::Platform;
use crate::resources::{self, Entry, Face, Kind, RowExtra, Stored, Told, tag};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::LEAF_VALIDITY_DEFAULT_DAYS;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::name::SubjectName;
use serde_json::{Map, Value, json};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule { min: 3, max: 63, legal: is_authority_name, text: AUTHORITY_NAME },
    properties: PROPERTIES,
    delete: (204, 204),
    action_status: false,
    subs: &[("POST", "revokeIssuer"), ("POST", "activateBringYourOwnRoot"), ("GET", CHAIN)],
    behavior: &Policy,
    ..TypeDecl::new(
        Kind {
            face: Some(&Policy),
            ..Kind::new("po", "Microsoft.DeviceRegistry", &["namespaces", "credentials", "policies"])
        },
        REGISTRY_FAMILY,
        &[
            View::hiding(
                "2025-11-01-preview",
                Some("2025-11-01-preview"),
                &["etag", "properties.certificate.certificateAuthorityConfiguration.bringYourOwnRoot"],
            ),
            // A proxy resource from here on: no location, no tags (reference: device-registry-api.md section 1).
            View::hiding("2026-03-01-preview", Some("2026-03-01-preview"), &["etag", "location", "tags"]),
        ],
    )
};

/// Path, and member of the answer, of the certificates of a policy's authority.
const CHAIN: &str = "certificateChain";

const AUTHORITY_MEMBERS: &[Property] = &[
    acted("keyType", Check::OneOf(certificate::KEY_TYPES)),
    acted("subject", Check::Text(1024)),
    read_only("validityNotBefore"),
    read_only("validityNotAfter"),
    acted(
        "bringYourOwnRoot",
        Check::Members(&[
            acted("enabled", Check::Bool),
            read_only("certificateSigningRequest"),
            read_only("issuingCertificateThumbprint"),
            read_only("status"),
        ]),
    ),
];
/// What a policy's properties are (reference: device-registry-api.md section 4).
const PROPERTIES: &[Property] = &[
    acted(
        "certificate",
        Check::Members(&[
            acted("certificateAuthorityConfiguration", Check::Members(AUTHORITY_MEMBERS)),
            acted("leafCertificateConfiguration", Check::Members(&[acted("validityPeriodInDays", Check::Own)])),
        ]),
    ),
    acted(certificate::ENABLED, Check::Bool),
    PROVISIONING_STATE,
];
const AUTHORITY: &str = "properties.certificate.certificateAuthorityConfiguration";
const VALIDITY: &str = "properties.certificate.leafCertificateConfiguration.validityPeriodInDays";

struct Policy;

#[async_trait]
impl Face for Policy {
    async fn behind(&self, platform: &Platform, parent: &Stored, name: &str) -> Result<Option<Stored>> {
        // The parent is the root; authorities lie beside it, in the namespace.
        let Some(namespace) = parent.id.parent() else { return Ok(None) };
        let found = resources::named(platform, &authority::KIND, parent.parent, &namespace, name).await?;
        let Some(found) = found.filter(|found| !is_root(found)) else { return Ok(None) };
        let complete = certificate::policy_of(platform, found.uid).await?.is_some();
        Ok(Some(found).filter(|_| complete))
    }

    async fn id_of(&self, platform: &Platform, stored: &Stored) -> Result<Option<ResourceId>> {
        let authority = match stored.kind.tag {
            tag::CERTIFICATE_AUTHORITY if !is_root(stored) => Some(stored.id.clone()),
            tag::CERTIFICATE_POLICY => resources::id_of(platform, stored.parent).await?,
            _ => None,
        };
        Ok(authority.and_then(|id| Some(policy_id(&id.parent()?, id.name()))))
    }
}

/// The id under which the older generation shows an issuing authority or its certificate policy.
pub(super) async fn face(platform: &Platform, stored: &Stored) -> Result<Option<ResourceId>> {
    Policy.id_of(platform, stored).await
}

#[async_trait]
impl Behavior for Policy {
    async fn stored_as(&self, platform: &Platform, parent: &Stored) -> Result<Option<(&'static Kind, Stored)>> {
        Ok(resources::by_uid(platform, parent.parent).await?.map(|namespace| (&authority::KIND, namespace)))
    }

    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let wanted = Wanted::read(cx).await?;
        let root = cx.parent.ok_or_else(|| Error::internal("a policy without credential"))?;
        let namespace = resources::by_uid(cx.platform, root.parent).await?;
        let namespace = namespace.ok_or_else(|| Error::internal("a policy without namespace"))?;
        if let Some(existing) = cx.existing {
            wanted.keep_subject(cx.platform, existing).await?;
            wanted.keep_key_type(existing)?;
            wanted.keep_issuer(existing)?;
        } else {
            refuse_unfinished(cx, &namespace).await?;
        }
        cx.resource.properties.shift_remove("certificate");
        if let Some(key_type) = wanted.key_type {
            cx.resource.properties.insert(authority::KEY_TYPE.into(), key_type.into());
        }
        match wanted.own_root {
            true => write_external(cx, &namespace, wanted.subject.as_deref()).await?,
            false => write_issuing(cx, &namespace, root, wanted.subject.as_deref()).await?,
        }
        // It is the certificate policy's, whose authority this row is.
        cx.resource.properties.shift_remove(certificate::ENABLED);
        write_leaf(cx, &wanted).await
    }

    /// No new certificates come from a deleted policy; hubs trust what it issued until their entry is deleted (reference: certificates.md section 4).
    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        // A namespace that is deleted takes its authorities along as such, not as policies.
        refuse_live_leaves(cx.platform, cx.stored).await?;
        authority::remove_policies(cx).await?;
        certificate::retire(cx.platform, cx.stored.uid, &mut cx.change).await
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        let mut shown = Map::new();
        shown.insert("provisioningState".into(), doc["properties"]["provisioningState"].clone());
        let standing = Standing::of(platform, stored.uid).await?;
        let mut ca = json!({"keyType": stored.resource.text(&[authority::KEY_TYPE]).unwrap_or(certificate::ECC)});
        if let Some(subject) = standing.subject() {
            ca["subject"] = subject.into();
        }
        if let Some(active) = &standing.active {
            ca["validityNotBefore"] = active.not_before.to_string().into();
            ca["validityNotAfter"] = active.not_after.to_string().into();
        }
        if is_external(stored) {
            let mut own_root = json!({"enabled": true});
            standing.show_external(&mut own_root, "issuingCertificateThumbprint");
            ca["bringYourOwnRoot"] = own_root;
        }
        let policy = certificate::policy_of(platform, stored.uid).await?;
        let days = policy.as_ref().and_then(certificate::leaf_days);
        let leaf = json!({"validityPeriodInDays": days});
        let certificate = json!({"certificateAuthorityConfiguration": ca, "leafCertificateConfiguration": leaf});
        shown.insert("certificate".into(), certificate);
        shown.insert(certificate::ENABLED.into(), policy.as_ref().is_none_or(certificate::is_enabled).into());
        doc["properties"] = Value::Object(shown);
        Ok(())
    }

    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let Some(root) = cx.parent else { return Ok(None) };
        let mut found = Vec::new();
        // Those under a root of somebody else are not linked to ours.
        for issuing in issuing_beside(cx.platform, root).await? {
            if certificate::policy_of(cx.platform, issuing.uid).await?.is_some() {
                let id = root.id.child("policies", issuing.name());
                found.push(Stored { id, ..issuing });
            }
        }
        found.sort_by_key(|stored| stored.name().to_lowercase());
        Ok(Some(found))
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &["revokeIssuer"]) {
            return authority_life::revoke(cx, &DECL.action("revokeIssuer/action")).await.map(Some);
        }
        if cx.is("POST", &["activateBringYourOwnRoot"]) {
            return authority_life::activate(cx, &DECL.action("activateBringYourOwnRoot/action")).await.map(Some);
        }
        if cx.is("GET", &[CHAIN]) {
            return chain(cx).await.map(Some);
        }
        Ok(None)
    }
}

/// The certificate of a policy's authority and those above it, PEM. Azure shows it at a hub only.
async fn chain(cx: &SubContext<'_>) -> Result<SubAnswer> {
    query::check(cx.request, &[])?;
    let (mut text, mut next) = (String::new(), certificate::authority_of(cx.platform, cx.stored.uid).await?);
    while let Some(authority) = next {
        text.push_str(&Certificate::from_der(&authority.certificate_der)?.to_pem());
        next = match authority.issuer {
            Some(id) => certificate::authority(cx.platform, id).await?,
            None => None,
        };
    }
    if text.is_empty() {
        return Err(Error::not_found(format!(
            "The policy '{}' has no certificate authority yet; activate it with a certificate first.",
            cx.stored.name()
        ))
        .with_code("ResourceNotFound"));
    }
    Ok(SubAnswer::Done(200, Some(json!({ CHAIN: text }))))
}

/// Writes the certificate policy that stands behind a policy, beside its authority.
async fn write_leaf(cx: &mut PutContext<'_>, wanted: &Wanted) -> Result<()> {
    let was = match cx.existing {
        Some(existing) => certificate::policy_of(cx.platform, existing.uid).await?,
        None => None,
    };
    let same = |was: &Stored| {
        certificate::leaf_days(was) == Some(wanted.days)
            && wanted.enabled.is_none_or(|enabled| certificate::is_enabled(was) == enabled)
    };
    if was.as_ref().is_some_and(same) {
        return Ok(());
    }
    let mut resource = was.as_ref().map(|was| was.resource.as_ref().clone()).unwrap_or_default();
    if was.is_none() {
        resource = Resource { name: cx.id.name().into(), location: cx.resource.location.clone(), ..resource };
        resource.properties.insert("provisioningState".into(), "Succeeded".into());
    }
    resource.properties.insert("certificate".into(), json!({ "validityPeriodInDays": wanted.days }));
    if let Some(enabled) = wanted.enabled {
        resource.properties.insert(certificate::ENABLED.into(), enabled.into());
    }
    let entry = Entry {
        uid: was.as_ref().map_or_else(|| cx.platform.new_id(), |was| was.uid),
        kind: &certificate_policy::KIND,
        parent: cx.uid,
        id: certificate_policy::KIND.child_of(cx.id, &resource.name),
        below_new: cx.is_new(),
        was: was.as_ref(),
        resource,
        extra: RowExtra { lookup: Some(certificate::policy_lookup(cx.uid)), ..RowExtra::default() },
    };
    let told = Told::Row(cx.told(&entry.id, &format!("{}/write", certificate_policy::KIND.full()))?);
    resources::put(cx.platform, cx.actor, entry, told, &mut cx.change)?;
    Ok(())
}

/// A new policy needs a name that no authority of the namespace has.
async fn refuse_unfinished(cx: &PutContext<'_>, namespace: &Stored) -> Result<()> {
    let id = namespace.id.child("certificateAuthorities", cx.id.name());
    match resources::get(cx.platform, &id).await? {
        None => Ok(()),
        Some(stored) => Err(Error::conflict(format!(
            "The namespace '{}' has a certificate authority '{}' that is no issuing authority with a certificate policy, so the name is taken. Choose another one, or give that authority a policy (api-version 2026-11-01).",
            namespace.name(),
            stored.name()
        ))
        .with_code("NameNotAvailable")),
    }
}

/// What a body asks of a policy.
struct Wanted {
    subject: Option<String>,
    key_type: Option<&'static str>,
    /// Whether a root of somebody else is to sign.
    own_root: bool,
    /// What the body says of that.
    own_root_sent: Option<bool>,
    days: u32,
    enabled: Option<bool>,
}

impl Wanted {
    async fn read(cx: &PutContext<'_>) -> Result<Self> {
        let certificate = cx.body.get("properties").and_then(|p| p.get("certificate"));
        let authority = certificate.and_then(|c| c.get("certificateAuthorityConfiguration"));
        let text = |name: &str| authority.and_then(|a| a.get(name)).and_then(Value::as_str);
        let sent = certificate.and_then(|c| c.pointer("/leafCertificateConfiguration/validityPeriodInDays"));
        let days = match (sent.filter(|value| !value.is_null()), cx.existing) {
            (Some(value), _) => checked_days(value, VALIDITY)?,
            (None, Some(existing)) => {
                let policy = certificate::policy_of(cx.platform, existing.uid).await?;
                policy.as_ref().and_then(certificate::leaf_days).unwrap_or(LEAF_VALIDITY_DEFAULT_DAYS)
            }
            (None, None) => LEAF_VALIDITY_DEFAULT_DAYS,
        };
        let own_root_sent = authority.and_then(|a| a.pointer("/bringYourOwnRoot/enabled")).and_then(Value::as_bool);
        let own_root = own_root_sent.or(cx.existing.map(is_external)).unwrap_or(false);
        let subject = text("subject").filter(|s| !s.trim().is_empty()).map(str::to_string);
        let key_type = text(authority::KEY_TYPE).and_then(certificate::key_type);
        let enabled = cx.body.pointer("/properties/enabled").and_then(Value::as_bool);
        Ok(Self { subject, key_type, own_root, own_root_sent, days, enabled })
    }

    /// An existing policy keeps the type of its key.
    fn keep_key_type(&self, existing: &Stored) -> Result<()> {
        let stored = existing.resource.text(&[authority::KEY_TYPE]).unwrap_or(certificate::ECC);
        if self.key_type.is_none_or(|wanted| wanted == stored) {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "The key type of policy '{}' is '{stored}' and cannot be changed. Create another policy for another one.",
            existing.name()
        ))
        .with_code("PropertyChangeNotAllowed")
        .with_target(format!("{AUTHORITY}.{}", authority::KEY_TYPE)))
    }

    /// An existing policy keeps its root.
    fn keep_issuer(&self, existing: &Stored) -> Result<()> {
        if self.own_root_sent.is_none_or(|sent| sent == is_external(existing)) {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "Whose root signs the policy '{}' is chosen when it is made (bringYourOwnRoot.enabled) and cannot be changed. Create another policy.",
            existing.name()
        ))
        .with_code("PropertyChangeNotAllowed")
        .with_target(format!("{AUTHORITY}.bringYourOwnRoot.enabled")))
    }

    /// An existing policy keeps its subject; the same subject in another spelling is no change.
    async fn keep_subject(&self, platform: &Platform, existing: &Stored) -> Result<()> {
        let standing = Standing::of(platform, existing.uid).await?;
        let (Some(wanted), Some(stored)) = (self.subject.as_deref(), standing.subject()) else { return Ok(()) };
        if SubjectName::parse(wanted)?.canonical() == SubjectName::parse(stored)?.canonical() {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "The subject of policy '{}' is '{stored}' and cannot be changed. Create another policy for another subject.",
            existing.name()
        ))
        .with_code("PropertyChangeNotAllowed")
        .with_target(format!("{AUTHORITY}.subject")))
    }
}
