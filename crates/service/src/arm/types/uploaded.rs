//! What the CA certificates of hubs and of provisioning services share: the upload, how it is shown, and the proof that
//! whoever uploaded it holds its key (reference: iot-hub-and-dps.md G.1 and G.2).

use crate::arm::context::{PutContext, SubContext};
use crate::arm::declaration::{NameRule, SubAnswer};
use crate::arm::schema::{Check, Property, acted, read_only};
use crate::platform::{Change, Platform};
use crate::resources::{self, Entry, Told};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CERTIFICATE_TEXT_BYTES;
use ferrohub_model::resource::Resource;
use ferrohub_model::time::rfc1123;
use ferrohub_pki::ca_fault::CaFault;
use ferrohub_pki::certificate::Certificate;
use ferrohub_store::StoreError;
use ferrohub_wire::etag::EtagCondition;
use serde_json::{Map, Value};
use uuid::Uuid;

/// What names are legal.
pub(super) const NAME: NameRule = NameRule {
    min: 1,
    max: 64,
    legal: |name| name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    text: "letters, digits, '-', '.' and '_'",
};

pub(super) const CERTIFICATE: Property = acted("certificate", Check::Own);
pub(super) const IS_VERIFIED: Property = acted("isVerified", Check::Bool);
pub(super) const SUBJECT: Property = read_only("subject");
pub(super) const EXPIRY: Property = read_only("expiry");
pub(super) const THUMBPRINT: Property = read_only("thumbprint");
pub(super) const CREATED: Property = read_only("created");
pub(super) const UPDATED: Property = read_only("updated");
/// Kept until the proof is there or another certificate comes; only the answer of `generateVerificationCode` shows it.
pub(super) const VERIFICATION_CODE: Property = read_only(CODE);
/// Its path, which every view hides.
pub(super) const CODE_PATH: &str = "properties.verificationCode";

/// What is served below an entry.
pub(super) const SUBS: &[(&str, &str)] = &[("POST", "generateVerificationCode"), ("POST", "verify")];

const CODE: &str = "verificationCode";
/// Random bytes of a verification code; Azure's have as many, shown as 48 hexadecimal digits.
const CODE_BYTES: usize = 24;

/// An uploaded CA certificate, and the text that is kept of it.
pub(super) struct Upload {
    pub(super) certificate: Certificate,
    pub(super) text: String,
}

impl Upload {
    /// Reads `properties.certificate`: base64 of DER, base64 of PEM text, or PEM text itself; one CA certificate.
    pub(super) fn read(platform: &Platform, resource: &Resource) -> Result<Self> {
        let text = resource.text(&["certificate"]).unwrap_or_default();
        let path = "properties.certificate";
        let certificate = parse(text, path)?;
        // One that only begins later may be uploaded ahead of time.
        let ended = certificate.time_fault(platform.now()).filter(|fault| matches!(fault, CaFault::Expired(_)));
        match certificate.lasting_ca_fault().or(ended) {
            None => Ok(Self { text: plain(&certificate, text), certificate }),
            Some(fault) => Err(Error::invalid_property(
                path,
                format!(
                    "No device could ever be trusted through this certificate: '{}' {fault}.",
                    certificate.subject()
                ),
            )),
        }
    }
}

fn parse(text: &str, path: &str) -> Result<Certificate> {
    if text.is_empty() || text.len() > CERTIFICATE_TEXT_BYTES {
        return Err(Error::invalid_property(
            path,
            format!(
                "A certificate is expected: the base64 of its PEM or DER form, {CERTIFICATE_TEXT_BYTES} bytes at most."
            ),
        ));
    }
    Certificate::from_pem_or_base64(text).map_err(|error| Error::invalid_property(path, error.message))
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

/// The properties of an entry.
pub(super) fn describe(
    platform: &Platform,
    certificate: &Certificate,
    text: &str,
    verified: bool,
    created: Option<&str>,
) -> Map<String, Value> {
    let now = rfc1123(platform.now());
    let mut properties = Map::new();
    properties.insert("subject".into(), certificate.subject().to_string().into());
    properties.insert("expiry".into(), rfc1123(certificate.not_after()).into());
    properties.insert("thumbprint".into(), certificate.sha1().into());
    properties.insert("isVerified".into(), verified.into());
    properties.insert("created".into(), created.map_or_else(|| now.clone(), str::to_owned).into());
    properties.insert("updated".into(), now.into());
    properties.insert("certificate".into(), text.into());
    properties
}

/// Completes a PUT of an upload. The same certificate put back keeps the verification code that was made for it.
pub(super) fn put(cx: &mut PutContext<'_>, upload: &Upload) {
    let was = cx.existing.map(|stored| stored.resource.as_ref());
    let created = was.and_then(|was| was.text(&["created"]));
    let verified = is_verified(&cx.resource);
    let code = was.filter(|was| was.text(&["thumbprint"]) == Some(upload.certificate.sha1()));
    let code = code.and_then(|was| was.value(&[CODE])).cloned();
    let mut properties = describe(cx.platform, &upload.certificate, &upload.text, verified, created);
    if let Some(code) = code {
        properties.insert(CODE.into(), code);
    }
    cx.resource.properties = properties;
}

/// Whether an entry counts as verified.
pub(super) fn is_verified(resource: &Resource) -> bool {
    resource.value(&["isVerified"]).and_then(Value::as_bool) == Some(true)
}

/// A new verification code, which takes the place of one that was made before. The answer alone shows it.
///
/// # Errors
/// `PreconditionFailed` without the entry's etag.
pub(super) async fn generate_code(cx: &SubContext<'_>) -> Result<SubAnswer> {
    check_etag(cx)?;
    let mut bytes = [0u8; CODE_BYTES];
    cx.platform.random.fill(&mut bytes);
    let code = hex::encode_upper(bytes);
    let mut resource = (*cx.stored.resource).clone();
    resource.properties.insert(CODE.into(), code.clone().into());
    let mut view = write(cx, resource, None).await?;
    view["properties"][CODE] = code.into();
    Ok(SubAnswer::Written(200, Some(view)))
}

/// Verifies an entry: the body's certificate names the verification code as its common name and is signed with the key of
/// the entry's certificate. `trusting` hears of the changed trust.
///
/// # Errors
/// `PreconditionFailed` without the entry's etag; `Invalid` saying what the proof lacks, or that no code was made.
pub(super) async fn verify(cx: &SubContext<'_>, trusting: Option<Uuid>) -> Result<SubAnswer> {
    check_etag(cx)?;
    let sent = cx.body.and_then(|body| body.get("certificate")).and_then(Value::as_str).unwrap_or_default();
    let proof = parse(sent, "certificate")?;
    let Some(code) = cx.stored.resource.text(&[CODE]) else {
        return Err(Error::invalid(format!(
            "No verification code stands for '{}'. Make one first: POST .../generateVerificationCode (az iot hub|dps certificate generate-verification-code).",
            cx.stored.name()
        )));
    };
    let ca = Certificate::from_pem_or_base64(cx.stored.resource.text(&["certificate"]).unwrap_or_default())?;
    check_proof(cx.platform, &proof, &ca, code).map_err(|why| {
        Error::invalid_property("certificate", format!("The certificate is no proof of possession: {why}"))
    })?;
    let mut resource = (*cx.stored.resource).clone();
    resource.properties.shift_remove(CODE);
    resource.properties.insert("isVerified".into(), true.into());
    resource.properties.insert("updated".into(), rfc1123(cx.platform.now()).into());
    Ok(SubAnswer::Written(200, Some(write(cx, resource, trusting).await?)))
}

/// What the proof lacks, as a sentence.
fn check_proof(platform: &Platform, proof: &Certificate, ca: &Certificate, code: &str) -> Result<(), String> {
    if proof.common_name() != Some(code) {
        return Err(format!(
            "its common name is '{}', and not the verification code that was made last.",
            proof.common_name().unwrap_or_default().chars().take(64).collect::<String>()
        ));
    }
    let now = platform.now();
    for certificate in [proof, ca] {
        if let Some(fault) = certificate.time_fault(now) {
            return Err(format!("'{}' {fault}.", certificate.subject()));
        }
    }
    if let Some(fault) = ca.lasting_ca_fault() {
        return Err(format!("'{}' {fault}.", ca.subject()));
    }
    proof.key_kind().map_err(|error| error.message)?;
    proof.verify_signed_by(ca).map_err(|error| error.message)
}

/// Both actions say by If-Match of which state they are, as a change does.
fn check_etag(cx: &SubContext<'_>) -> Result<()> {
    let etag = cx.stored.resource.etag.as_str();
    match &cx.request.if_match {
        Some(text) if EtagCondition::parse(text).allows_match(Some(etag)) => Ok(()),
        Some(_) => Err(changed()),
        None => {
            Err(Error::precondition(format!("Send the etag of '{}' in If-Match (--etag), or '*'.", cx.stored.name())))
        }
    }
}

fn changed() -> Error {
    Error::precondition(
        "The condition of If-Match is not met: the resource has another ETag. Read it again and repeat.",
    )
}

async fn write(cx: &SubContext<'_>, resource: Resource, trusting: Option<Uuid>) -> Result<Value> {
    let mut change = Change::new();
    let entry = Entry {
        uid: cx.stored.uid,
        kind: cx.stored.kind,
        parent: cx.stored.parent,
        id: cx.stored.id.clone(),
        below_new: false,
        was: Some(cx.stored),
        resource,
        extra: cx.stored.extra.clone(),
    };
    let stored = resources::put(cx.platform, cx.actor, entry, Told::Row(cx.told(200)?), &mut change)?;
    if let Some(holder) = trusting {
        change.trust_changed(holder);
    }
    match cx.platform.commit(change).await {
        Ok(_) => cx.render(&stored).await,
        Err(StoreError::Conflict { .. }) => Err(changed()),
        Err(other) => Err(other.into()),
    }
}
