//! Certificate authorities of a namespace, root and issuing
//! (`Microsoft.DeviceRegistry/namespaces/certificateAuthorities`, from 2026-11-01-preview).
//!
//! The rows behind both generations: `credentials/default` shows the root, `credentials/default/policies/{p}` an issuing
//! authority with its certificate policy. Key and certificate are rows of their own ([`crate::certificate`]).

use super::{NEWEST, REGISTRY_FAMILY, authority_life, root_rotation};
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::render;
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, read_only};
use crate::certificate::{self, AuthorityRecord};
use crate::extensions;
use crate::platform::Platform;
use crate::resources::{self, Kind, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Reference;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::external::request_pem;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Name and place.
pub(super) const KIND: Kind =
    Kind::new(tag::CERTIFICATE_AUTHORITY, "Microsoft.DeviceRegistry", &["namespaces", "certificateAuthorities"]);

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    tracked: true,
    name: NameRule { min: 3, max: 63, legal: is_authority_name, text: AUTHORITY_NAME },
    properties: PROPERTIES,
    delete: (204, 204),
    action_status: false,
    subs: &[("POST", "activate"), ("POST", "revokeAndRotate"), ("POST", root_rotation::ACTION)],
    behavior: &Authority,
    ..TypeDecl::new(KIND, REGISTRY_FAMILY, &[View::hiding(NEWEST, None, &["etag"])])
};

/// What an authority's properties are (reference: device-registry-api.md section 6).
const PROPERTIES: &[Property] = &[
    acted("certificateAuthorityType", Check::OneOf(&[ROOT, ISSUING])).create_only(),
    acted("keyType", Check::OneOf(certificate::KEY_TYPES)).create_only(),
    acted(
        "issuer",
        Check::Members(&[
            acted("issuerType", Check::OneOf(&["Microsoft", "External"])),
            acted("certificateAuthorityResourceId", Check::Text(1024)),
            read_only("certificateSigningRequest"),
            read_only("status"),
            read_only("thumbprint"),
        ]),
    ),
    read_only("subject"),
    read_only("validityNotBefore"),
    read_only("validityNotAfter"),
    read_only("uuid"),
    PROVISIONING_STATE,
];
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

struct Authority;

#[async_trait]
impl Behavior for Authority {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let namespace = cx.parent.ok_or_else(|| Error::internal("a certificate authority without namespace"))?;
        let root = match cx.resource.text(&["certificateAuthorityType"]) {
            Some(kind) => kind.eq_ignore_ascii_case(ROOT),
            None => {
                return Err(Error::invalid_property(
                    "properties.certificateAuthorityType",
                    "A certificate authority needs a 'certificateAuthorityType': Root or ICA.",
                ));
            }
        };
        let issuer = cx.resource.properties.shift_remove("issuer");
        if root {
            return write_root(cx, namespace, None).await;
        }
        if wants_external(cx, issuer.as_ref())? {
            return write_external(cx, namespace, None).await;
        }
        let signer = issuing_root(cx, namespace, issuer.as_ref()).await?;
        write_issuing(cx, namespace, &signer, None).await
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        refuse_needed(cx).await?;
        if !cx.cascade {
            refuse_live_leaves(cx.platform, cx.stored).await?;
        }
        certificate::retire(cx.platform, cx.stored.uid, &mut cx.change).await
    }

    fn taken(&self, id: &ResourceId, column: &str) -> Option<Error> {
        (column == "lookup").then(|| second_root(id))
    }

    async fn decorate(&self, platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        let properties = &mut doc["properties"];
        properties["uuid"] = stored.uid.to_string().into();
        let standing = Standing::of(platform, stored.uid).await?;
        if let Some(subject) = standing.subject() {
            properties["subject"] = subject.into();
        }
        if let Some(active) = &standing.active {
            properties["validityNotBefore"] = rfc3339(active.not_before).into();
            properties["validityNotAfter"] = rfc3339(active.not_after).into();
        }
        if is_external(stored) {
            properties["issuer"] = json!({"issuerType": EXTERNAL});
            standing.show_external(&mut properties["issuer"], "thumbprint");
        }
        if let Some(issuer) = stored.resource.links.get(ISSUER) {
            let id = render::reference_id(platform, issuer).await?;
            properties["issuer"] = json!({"issuerType": "Microsoft", "certificateAuthorityResourceId": id});
        }
        Ok(())
    }

    async fn sub(&self, cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
        if cx.is("POST", &["activate"]) {
            refuse_root(cx)?;
            return authority_life::activate(cx, &DECL.action("activate/action")).await.map(Some);
        }
        if cx.is("POST", &["revokeAndRotate"]) {
            refuse_root(cx)?;
            if is_external(cx.stored) {
                return Err(Error::invalid(format!(
                    "The issuing CA '{}' is signed by a root of your own (issuerType External), and only that root can revoke it. To stop trusting it here, delete its entries at the hubs and the authority.",
                    cx.stored.name()
                ))
                .with_code("InvalidIssuerType"));
            }
            return authority_life::revoke(cx, &DECL.action("revokeAndRotate/action")).await.map(Some);
        }
        if cx.is("POST", &[root_rotation::ACTION]) {
            return root_rotation::rotate(cx, &DECL.action("rotate/action")).await.map(Some);
        }
        Ok(None)
    }

    async fn run(&self, platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
        authority_life::run(platform, record, lease).await
    }
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

/// Whether a body asks for an authority under a root of somebody else; what was made as one stays one.
fn wants_external(cx: &PutContext<'_>, issuer: Option<&Value>) -> Result<bool> {
    let sent = issuer.and_then(|issuer| issuer.get("issuerType")).and_then(Value::as_str);
    let stored = cx.existing.map(is_external);
    let wanted = match (sent, stored) {
        (Some(sent), _) => sent.eq_ignore_ascii_case(EXTERNAL),
        (None, stored) => stored.unwrap_or(false),
    };
    if stored.is_some_and(|stored| stored != wanted) {
        return Err(changed_issuer(cx));
    }
    let signer = issuer.and_then(|issuer| issuer.get("certificateAuthorityResourceId")).filter(|id| !id.is_null());
    if wanted && signer.is_some() {
        return Err(Error::invalid_property(
            "properties.issuer.certificateAuthorityResourceId",
            "An authority with the 'issuerType' External is signed by a root of your own, not by one of the namespace; leave this out.",
        ));
    }
    Ok(wanted)
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

/// The root that is to sign, as `issuer` of a body names it.
async fn issuing_root(cx: &PutContext<'_>, namespace: &Stored, issuer: Option<&Value>) -> Result<Stored> {
    let path = "properties.issuer";
    let text = |name: &str| issuer.and_then(|issuer| issuer.get(name)).and_then(Value::as_str);
    let kept = cx.existing.and_then(|stored| stored.resource.link(ISSUER));
    match text("issuerType") {
        Some(kind) if kind.eq_ignore_ascii_case("Microsoft") => {}
        None if kept.is_some() => {}
        _ => {
            return Err(Error::invalid_property(
                format!("{path}.issuerType"),
                "An issuing authority needs an 'issuer' with an 'issuerType': Microsoft or External.",
            ));
        }
    }
    let found = match text("certificateAuthorityResourceId") {
        Some(id) => resources::get(cx.platform, &ResourceId::parse(id)?).await?,
        None => match kept {
            Some(uid) => resources::by_uid(cx.platform, uid).await?,
            None => None,
        },
    };
    let found = found.filter(|found| found.is(tag::CERTIFICATE_AUTHORITY) && found.parent == namespace.uid);
    let Some(signer) = found.filter(is_root) else {
        return Err(Error::invalid_property(
            format!("{path}.certificateAuthorityResourceId"),
            "The issuer is not a Root certificate authority of this namespace.",
        ));
    };
    if kept.is_some_and(|kept| kept != signer.uid) {
        return Err(changed_issuer(cx));
    }
    Ok(signer)
}

/// An authority with policies or with authorities that it signed stays, unless everything goes.
async fn refuse_needed(cx: &DeleteContext<'_>) -> Result<()> {
    let policies =
        resources::children(cx.platform, cx.stored.uid, &cx.stored.id, Some(tag::CERTIFICATE_POLICY)).await?;
    if let Some(policy) = policies.first().filter(|_| !cx.cascade) {
        return Err(Error::conflict(format!(
            "The certificate authority '{}' cannot be deleted while it has the policy '{}'. Delete that first.",
            cx.stored.name(),
            policy.name()
        ))
        .with_code("CertificateAuthorityInUse"));
    }
    let signed = resources::linked(cx.platform, &cx.stored.key()).await?;
    if signed.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = signed.iter().map(Stored::name).collect();
    Err(Error::conflict(format!(
        "The certificate authority '{}' cannot be deleted while it is the issuer of: {}. Delete those first.",
        cx.stored.name(),
        names.join(", ")
    ))
    .with_code("CertificateAuthorityInUse"))
}

fn second_root(id: &ResourceId) -> Error {
    Error::conflict(format!(
        "The namespace '{}' has a root certificate authority already, and it can have one only. Delete it first, or use it.",
        id.parent().map(|parent| parent.name().to_owned()).unwrap_or_default()
    ))
    .with_code("CredentialQuotaExceeded")
}

fn changed_issuer(cx: &PutContext<'_>) -> Error {
    Error::conflict(format!("The issuer of '{}' cannot be changed after creation. Create another authority.", cx.id))
        .with_code("PropertyChangeNotAllowed")
        .with_target("properties.issuer")
}

fn refuse_root(cx: &SubContext<'_>) -> Result<()> {
    if !is_root(cx.stored) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The certificate authority '{}' is a Root; only issuing authorities (ICA) are activated, or revoked and replaced.",
        cx.stored.name()
    ))
    .with_code("InvalidCertificateAuthorityType"))
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
