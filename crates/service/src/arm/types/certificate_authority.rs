//! Certificate authorities of a namespace, root and issuing
//! (`Microsoft.DeviceRegistry/namespaces/certificateAuthorities`, from 2026-11-01-preview).
//!
//! The rows behind both generations: `credentials/default` shows the root, `credentials/default/policies/{p}` an issuing
//! authority with its certificate policy. Key and certificate are rows of their own ([`crate::certificate`]).

use super::authority::{
    self, AUTHORITY_NAME, EXTERNAL, ISSUER, ISSUING, KIND, ROOT, Standing, is_authority_name, is_external, is_root,
    second_root,
};
use super::authority_life;
use super::registry_versions::{NEWEST, REGISTRY_FAMILY};
use super::root_rotation::{self, ROTATE};
use crate::arm::context::{DeleteContext, PutContext, SubContext};
use crate::arm::declaration::{Behavior, NameRule, SubAnswer, TypeDecl, View};
use crate::arm::operation::{Lease, StoredOperation};
use crate::arm::render;
use crate::arm::schema::{Check, PROVISIONING_STATE, Property, acted, read_only};
use crate::certificate;
use crate::platform::Platform;
use crate::resources::{self, Stored, tag};
use async_trait::async_trait;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use serde_json::{Value, json};

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
            return authority::write_root(cx, namespace, None).await;
        }
        if wants_external(cx, issuer.as_ref())? {
            return authority::write_external(cx, namespace, None).await;
        }
        let signer = issuing_root(cx, namespace, issuer.as_ref()).await?;
        authority::write_issuing(cx, namespace, &signer, None).await
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        refuse_needed(cx).await?;
        if !cx.cascade {
            authority::refuse_live_leaves(cx.platform, cx.stored).await?;
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
        // It was deleted meanwhile, and its authorities with it.
        let Some(owner) = authority_life::owner_of(platform, record).await? else { return Ok(()) };
        match record.kind.as_str() {
            ROTATE => root_rotation::run(platform, record, lease, &owner).await,
            _ => authority_life::run(platform, record, lease, &owner).await,
        }
    }
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
