//! Root and issuing authorities: made, found, retired. Their keys live in a key store, under the namespace's scope.

use super::authority_rows::{generations, of_namespace, put, rewrite, row_of};
use super::publishing::put_last;
use super::record::{has_living, touch};
use crate::key_store::KeyUse;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored};
use crate::settled;
use crate::tables::AUTHORITIES;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::limits::POLICIES_PER_NAMESPACE;
use ferrohub_model::uid::uid_key;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority as pki;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::external;
use ferrohub_pki::issue::Issuer;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::Profile;
use ferrohub_pki::signer::Signer;
use std::sync::Arc;
use uuid::Uuid;

/// Makes key (of `kind`) and certificate of a namespace's root, the resource with the uid `owner`, and adds the row to `change`.
/// Without a `subject` it is `CN={namespace} root {short id}`.
///
/// # Errors
/// `InvalidPropertyValue` for a malformed subject; internal when the key cannot be made or sealed.
pub async fn create_root(
    platform: &Platform,
    namespace: &Stored,
    owner: Uuid,
    subject: Option<&str>,
    kind: KeyKind,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let record = draft_root(platform, namespace, owner, subject, kind, change).await?;
    change.unit.expect_absent(&AUTHORITIES, record.id.to_string());
    change.unit.put(put(&record)?);
    Ok(record)
}

/// The same without its row; the key comes into use when `change` is committed.
pub(super) async fn draft_root(
    platform: &Platform,
    namespace: &Stored,
    owner: Uuid,
    subject: Option<&str>,
    kind: KeyKind,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let id = platform.new_id();
    let subject = match subject {
        Some(text) => SubjectName::parse(text)?,
        None => SubjectName::from_common_name(&format!("{} root {}", namespace.name(), short(id)))?,
    };
    let profile = Profile::root(subject, None)?;
    let (key, signer) = new_key(platform, namespace.uid, kind, change).await?;
    let made = pki::create_self_signed(&profile, signer, platform.random.as_ref(), platform.now()).await?;
    let draft = Draft { id, namespace: namespace.uid, owner, issuer: None, key };
    Ok(record(draft, made.certificate()))
}

/// What an issuing authority is to be.
pub struct Issuing<'a> {
    /// Name of its resource.
    pub name: &'a str,
    /// Resource group of the namespace, for messages.
    pub group: &'a str,
    /// Distinguished name (`CN=Plant 7`); without one it is `CN={name}.{namespace}-{short id}`.
    pub subject: Option<&'a str>,
    /// Kind of its key.
    pub key: KeyKind,
}

/// Makes key and certificate of an issuing authority, the resource with the uid `owner`, signed by the root whose resource
/// has the uid `signer`, and adds the row to `change`.
///
/// # Errors
/// `SubjectAlreadyExists` (409) when another authority of the namespace has the subject; `Conflict` when the
/// policy has an authority already or the namespace has no root; `InvalidPropertyValue` for a malformed subject.
pub async fn create_issuing(
    platform: &Platform,
    namespace: &Stored,
    owner: Uuid,
    signer: Uuid,
    wanted: &Issuing<'_>,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let (id, subject, siblings) = named(platform, namespace, wanted).await?;
    let signs = |record: &AuthorityRecord| record.owner == signer && record.state == AuthorityState::Active;
    let root = siblings.into_iter().find(|record| signs(record) && !record.is_issuing()).ok_or_else(|| {
        Error::conflict(format!(
            "The namespace '{0}' has no credential, so there is no root that could sign this policy. Create it first: az iot adr ns credential create --namespace {0} --resource-group {1}",
            namespace.name(),
            wanted.group
        ))
        .with_code("CredentialNotFound")
    })?;
    let made = sign_issuing(platform, &root, subject, wanted.key, change).await?;
    let draft = Draft { id, namespace: namespace.uid, owner, issuer: Some(root.id), key: made.0 };
    store(draft, &made.1, change)
}

/// Makes key and request of an issuing authority, the resource with the uid `owner`, that a root of somebody else is to sign,
/// and adds the row to `change`.
///
/// # Errors
/// As [`create_issuing`], without those of the root.
pub async fn create_external(
    platform: &Platform,
    namespace: &Stored,
    owner: Uuid,
    wanted: &Issuing<'_>,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let (id, subject, _) = named(platform, namespace, wanted).await?;
    let waiting = Waiting { id, namespace: namespace.uid, owner, follows: None };
    ask_to_sign(platform, waiting, &subject, wanted.key, change).await
}

/// An id and a free subject for a new issuing authority, and the authorities beside it that stand.
async fn named(
    platform: &Platform,
    namespace: &Stored,
    wanted: &Issuing<'_>,
) -> Result<(Uuid, SubjectName, Vec<Arc<AuthorityRecord>>)> {
    let id = platform.new_id();
    let subject = match wanted.subject {
        Some(text) => SubjectName::parse(text)?,
        None => SubjectName::from_common_name(&format!("{}.{}-{}", wanted.name, namespace.name(), short(id)))?,
    };
    let mut siblings = of_namespace(platform, namespace.uid).await?;
    siblings.retain(|record| matches!(record.state, AuthorityState::Active | AuthorityState::Pending));
    refuse_same_subject(platform, &siblings, &subject).await?;
    let issuing = siblings.iter().filter(|record| record.is_issuing() && record.follows.is_none());
    if issuing.count() >= POLICIES_PER_NAMESPACE {
        return Err(Error::conflict(format!(
            "The namespace '{}' has {POLICIES_PER_NAMESPACE} policies, which is the most; delete one first.",
            namespace.name()
        ))
        .with_code("QuotaExceeded"));
    }
    Ok((id, subject, siblings))
}

/// A key of `kind` and, for it, an issuing certificate signed by `root`, which must still be there, with its key, when `change` is committed.
pub(super) async fn sign_issuing(
    platform: &Platform,
    root: &AuthorityRecord,
    subject: SubjectName,
    kind: KeyKind,
    change: &mut Change,
) -> Result<(KeyReference, Certificate)> {
    let row = row_of(platform, root.id).await?;
    let issuer = open_issuer(platform, root).await?;
    let profile = with_urls(platform, Profile::issuing(subject, None)?, root.id)?;
    let (key, signer) = new_key(platform, root.namespace, kind, change).await?;
    let made = pki::create_issuing(&issuer, &profile, signer, platform.random.as_ref(), platform.now()).await?;
    change.unit.expect_version(&AUTHORITIES, row.key.clone(), row.version);
    Ok((key, made.certificate().clone()))
}

/// Where an authority that waits for its certificate belongs.
pub(super) struct Waiting {
    pub(super) id: Uuid,
    pub(super) namespace: Uuid,
    pub(super) owner: Uuid,
    pub(super) follows: Option<Uuid>,
}

/// A key of `kind` with a request for its certificate, as a row that waits.
pub(super) async fn ask_to_sign(
    platform: &Platform,
    waiting: Waiting,
    subject: &SubjectName,
    kind: KeyKind,
    change: &mut Change,
) -> Result<AuthorityRecord> {
    let (key, signer) = new_key(platform, waiting.namespace, kind, change).await?;
    let now = platform.now();
    let record = AuthorityRecord {
        id: waiting.id,
        namespace: waiting.namespace,
        owner: waiting.owner,
        subject: subject.to_string(),
        certificate_der: Vec::new(),
        not_before: now,
        not_after: now,
        thumbprint: String::new(),
        issuer: None,
        state: AuthorityState::Pending,
        key: Some(key),
        last_crl: Vec::new(),
        request_der: external::request(subject, signer.as_ref()).await?,
        follows: waiting.follows,
        revoked: None,
        warned: false,
        left: false,
    };
    change.unit.expect_absent(&AUTHORITIES, record.id.to_string());
    change.unit.put(put(&record)?);
    Ok(record)
}

/// Retires the keys of an authority resource that is deleted, with the uid `owner`: the keys go, its certificates and last
/// revocation lists that never run out stay published. While devices have certificates of one, which may be revoked, it signs its
/// list (ADR 0055). Nothing happens where there is none.
///
/// # Errors
/// When the store cannot be read or a last list cannot be signed.
pub async fn retire(platform: &Platform, owner: Uuid, change: &mut Change) -> Result<()> {
    let now = settled::stood(platform).await?;
    for (record, version) in generations(platform, owner).await? {
        match record.state {
            AuthorityState::Active | AuthorityState::Superseded => {
                if record.is_issuing() && has_living(platform, record.id, now).await? {
                    let left = AuthorityRecord { state: AuthorityState::Superseded, left: true, ..(*record).clone() };
                    rewrite(&left, version, change)?;
                    continue;
                }
                close(platform, &record, version, AuthorityState::Retired, change).await?;
            }
            AuthorityState::Pending => drop_pending(platform, &record, version, change)?,
            AuthorityState::Revoked | AuthorityState::Retired | AuthorityState::External => {}
        }
    }
    Ok(())
}

/// Ends an authority that signs: its last revocation list is signed, its key given up, and its state becomes `end`.
pub(super) async fn close(
    platform: &Platform,
    record: &AuthorityRecord,
    version: u64,
    end: AuthorityState,
    change: &mut Change,
) -> Result<()> {
    let mut closed = record.clone();
    put_last(platform, record, change).await?;
    closed.state = end;
    closed.revoked = (end == AuthorityState::Revoked).then(|| platform.now());
    if let Some(key) = closed.key.take() {
        platform.keys.give_up(&key, &mut change.unit)?;
    }
    platform.authorities.forget(closed.id);
    if let Some(root) = closed.issuer.filter(|_| end == AuthorityState::Revoked) {
        touch(root, &mut change.unit)?;
    }
    rewrite(&closed, version, change)
}

/// Takes away an authority that waits: it signed nothing.
pub(super) fn drop_pending(
    platform: &Platform,
    record: &AuthorityRecord,
    version: u64,
    change: &mut Change,
) -> Result<()> {
    if let Some(key) = &record.key {
        platform.keys.give_up(key, &mut change.unit)?;
    }
    change.unit.expect_version(&AUTHORITIES, record.id.to_string(), version);
    change.unit.delete(&AUTHORITIES, record.id.to_string());
    Ok(())
}

/// The authority, ready to sign certificates. Its key is opened once and kept in memory.
pub(super) async fn open_issuer(platform: &Platform, record: &AuthorityRecord) -> Result<Arc<Issuer>> {
    if record.state != AuthorityState::Active {
        return Err(Error::conflict(format!(
            "The certificate authority '{}' was replaced, revoked or deleted and signs nothing any more.",
            record.subject
        )));
    }
    open(platform, record).await
}

/// The authority, ready to sign revocation lists.
pub(super) async fn open_for_lists(platform: &Platform, record: &AuthorityRecord) -> Result<Arc<Issuer>> {
    if !record.state.signs_lists() {
        return Err(Error::internal(format!("the authority {} has no key to sign a revocation list", record.id)));
    }
    open(platform, record).await
}

async fn open(platform: &Platform, record: &AuthorityRecord) -> Result<Arc<Issuer>> {
    if let Some(issuer) = platform.authorities.issuer(record.id) {
        return Ok(issuer);
    }
    let key = record.key.as_ref();
    let key = key.ok_or_else(|| Error::internal(format!("the living authority {} has no key", record.id)))?;
    let signer = platform.keys.open(key).await?;
    let certificate = Certificate::from_der(&record.certificate_der)?;
    let issuer = Arc::new(Issuer::new(certificate, signer).await?);
    platform.authorities.keep_issuer(record.id, Arc::clone(&issuer));
    Ok(issuer)
}

/// A profile with the publishing point's addresses of its issuer, where there is a publishing point.
fn with_urls(platform: &Platform, profile: Profile, issuer: Uuid) -> Result<Profile> {
    let Some(base) = platform.settings.pki_url.as_deref() else { return Ok(profile) };
    profile.with_crl_url(crl_url(base, issuer))?.with_issuer_url(ca_url(base, issuer))
}

pub(super) fn crl_url(base: &str, authority: Uuid) -> String {
    format!("{}/crl/{authority}.crl", base.trim_end_matches('/'))
}

pub(super) fn ca_url(base: &str, authority: Uuid) -> String {
    format!("{}/ca/{authority}.cer", base.trim_end_matches('/'))
}

async fn refuse_same_subject(
    platform: &Platform,
    siblings: &[Arc<AuthorityRecord>],
    subject: &SubjectName,
) -> Result<()> {
    let same =
        siblings.iter().find(|record| SubjectName::parse(&record.subject).is_ok_and(|other| other.matches(subject)));
    match same {
        None => Ok(()),
        Some(other) => Err(Error::conflict(format!(
            "The subject '{subject}' is taken in this namespace by '{}'; choose another subject.",
            resources::id_of(platform, other.owner).await?.map(|id| id.to_string()).unwrap_or_default()
        ))
        .with_code("SubjectAlreadyExists")
        .with_target("subject")),
    }
}

pub(super) struct Draft {
    pub(super) id: Uuid,
    pub(super) namespace: Uuid,
    pub(super) owner: Uuid,
    pub(super) issuer: Option<Uuid>,
    pub(super) key: KeyReference,
}

/// A key for an authority; it comes into use when `change` is committed.
async fn new_key(
    platform: &Platform,
    namespace: Uuid,
    kind: KeyKind,
    change: &mut Change,
) -> Result<(KeyReference, Arc<dyn Signer>)> {
    platform.keys.generate(KeyUse::Signing, &uid_key(namespace), kind, &mut change.unit).await
}

fn store(draft: Draft, certificate: &Certificate, change: &mut Change) -> Result<AuthorityRecord> {
    let record = record(draft, certificate);
    change.unit.expect_absent(&AUTHORITIES, record.id.to_string());
    change.unit.put(put(&record)?);
    Ok(record)
}

/// An active authority with this certificate.
pub(super) fn record(draft: Draft, certificate: &Certificate) -> AuthorityRecord {
    AuthorityRecord {
        id: draft.id,
        namespace: draft.namespace,
        owner: draft.owner,
        subject: certificate.subject().to_string(),
        certificate_der: certificate.der().to_vec(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        thumbprint: certificate.sha256().to_ascii_uppercase(),
        issuer: draft.issuer,
        state: AuthorityState::Active,
        key: Some(draft.key),
        last_crl: Vec::new(),
        request_der: Vec::new(),
        follows: None,
        revoked: None,
        warned: false,
        left: false,
    }
}

/// The random end of a UUID, short enough for a name.
fn short(id: Uuid) -> String {
    let text = id.simple().to_string();
    text.get(24..).unwrap_or_default().to_owned()
}
