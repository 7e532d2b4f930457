//! Root and issuing authorities: made, found, retired. Their keys live in a key store, under the namespace's scope.

use super::publishing::last_crl;
use crate::key_store::KeyUse;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored};
use crate::tables::{AUTHORITIES, REVOCATION_LISTS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::limits::{POLICIES_PER_NAMESPACE, READ_ROWS};
use ferrohub_model::uid::uid_key;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority as pki;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::issue::Issuer;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::Profile;
use ferrohub_pki::signer::Signer;
use ferrohub_store::{Pages, Put, Row};
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
    let id = platform.new_id();
    let subject = match subject {
        Some(text) => SubjectName::parse(text)?,
        None => SubjectName::from_common_name(&format!("{} root {}", namespace.name(), short(id)))?,
    };
    let profile = Profile::root(subject, None)?;
    let (key, signer) = new_key(platform, namespace.uid, kind, change).await?;
    let made = pki::create_self_signed(&profile, signer, platform.random.as_ref(), platform.now()).await?;
    let draft = Draft { id, namespace: namespace.uid, owner, issuer: None, key };
    store(draft, made.certificate(), change)
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
    let namespace_uid = namespace.uid;
    let id = platform.new_id();
    let subject = match wanted.subject {
        Some(text) => SubjectName::parse(text)?,
        None => SubjectName::from_common_name(&format!("{}.{}-{}", wanted.name, namespace.name(), short(id)))?,
    };
    let siblings = authorities_of(platform, namespace_uid).await?;
    refuse_same_subject(platform, &siblings, &subject).await?;
    if siblings.iter().filter(|record| record.issuer.is_some()).count() >= POLICIES_PER_NAMESPACE {
        return Err(Error::conflict(format!(
            "The namespace '{}' has {POLICIES_PER_NAMESPACE} policies, which is the most; delete one first.",
            namespace.name()
        ))
        .with_code("QuotaExceeded"));
    }
    let root = siblings.into_iter().find(|record| record.owner == signer && record.issuer.is_none()).ok_or_else(|| {
        Error::conflict(format!(
            "The namespace '{0}' has no credential, so there is no root that could sign this policy. Create it first: az iot adr ns credential create --namespace {0} --resource-group {1}",
            namespace.name(),
            wanted.group
        ))
        .with_code("CredentialNotFound")
    })?;
    let issuer = open_issuer(platform, &root).await?;
    let profile = with_urls(platform, Profile::issuing(subject, None)?, root.id)?;
    let (key, signer) = new_key(platform, namespace_uid, wanted.key, change).await?;
    let made = pki::create_issuing(&issuer, &profile, signer, platform.random.as_ref(), platform.now()).await?;
    // The root must still be there, with its key, when the unit is committed.
    let row = row_of(platform, root.id).await?;
    change.unit.expect_version(&AUTHORITIES, row.key.clone(), row.version);
    let draft = Draft { id, namespace: namespace_uid, owner, issuer: Some(root.id), key };
    store(draft, made.certificate(), change)
}

/// Key and certificate of the authority resource with the uid `owner`.
///
/// # Errors
/// When the store cannot be read.
pub async fn authority_of(platform: &Platform, owner: Uuid) -> Result<Option<Arc<AuthorityRecord>>> {
    Ok(row_of_owner(platform, owner).await?.map(|(record, _)| record))
}

/// An authority by id, living or retired.
///
/// # Errors
/// When the store cannot be read.
pub async fn authority(platform: &Platform, id: Uuid) -> Result<Option<Arc<AuthorityRecord>>> {
    platform.store.get(&AUTHORITIES, &id.to_string()).await?.as_deref().map(from_row).transpose()
}

/// The certificates of these authorities, living or retired, base64 DER, without those that have no row.
///
/// # Errors
/// When the store cannot be read.
pub async fn certificates_of(platform: &Platform, ids: &[Uuid]) -> Result<Vec<String>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(authority(platform, *id).await?.map(|record| STANDARD.encode(&record.certificate_der)));
    }
    Ok(found)
}

/// The living issuing authorities of a namespace: what `synchronize` brings to its hubs.
///
/// # Errors
/// When the store cannot be read.
pub async fn issuing_of_namespace(platform: &Platform, namespace: Uuid) -> Result<Vec<Arc<AuthorityRecord>>> {
    let mut records = authorities_of(platform, namespace).await?;
    records.retain(|record| record.issuer.is_some());
    Ok(records)
}

/// Retires the key of an authority that is deleted, the resource with the uid `owner`: the key goes, its certificate and a last
/// revocation list that never runs out stay published. Nothing happens where there is none.
///
/// # Errors
/// When the store cannot be read or the last list cannot be signed.
pub async fn retire(platform: &Platform, owner: Uuid, change: &mut Change) -> Result<()> {
    let Some((record, version)) = row_of_owner(platform, owner).await? else { return Ok(()) };
    let mut record = (*record).clone();
    record.last_crl = last_crl(platform, &record).await?;
    record.state = AuthorityState::Retired;
    if let Some(key) = record.key.take() {
        platform.keys.give_up(&key, &mut change.unit)?;
    }
    platform.authorities.forget(record.id);
    change.unit.delete(&REVOCATION_LISTS, record.id.to_string());
    change.unit.expect_version(&AUTHORITIES, record.id.to_string(), version);
    change.unit.put(put(&record)?);
    Ok(())
}

/// The authority, ready to sign. Its key is opened once and kept in memory.
pub(super) async fn open_issuer(platform: &Platform, record: &AuthorityRecord) -> Result<Arc<Issuer>> {
    if record.state != AuthorityState::Active {
        return Err(Error::conflict(format!(
            "The certificate authority '{}' was deleted and signs nothing any more.",
            record.subject
        )));
    }
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

/// The row of an authority that must exist, for its version.
pub(super) async fn row_of(platform: &Platform, id: Uuid) -> Result<Arc<Row>> {
    let row = platform.store.get(&AUTHORITIES, &id.to_string()).await?;
    row.ok_or_else(|| Error::internal(format!("authority {id} has no row")))
}

/// The living authority of a resource, with its row's version.
pub(super) async fn row_of_owner(platform: &Platform, owner: Uuid) -> Result<Option<(Arc<AuthorityRecord>, u64)>> {
    let Some(row) = platform.store.find_one(&AUTHORITIES, "owner", &uid_key(owner)).await? else { return Ok(None) };
    Ok(Some((from_row(&row)?, row.version)))
}

async fn authorities_of(platform: &Platform, namespace: Uuid) -> Result<Vec<Arc<AuthorityRecord>>> {
    let mut found = Vec::new();
    let namespace = uid_key(namespace);
    let mut pages = Pages::find(platform.store.as_ref(), &AUTHORITIES, "namespace", &namespace, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = from_row(&row)?;
            if record.state == AuthorityState::Active {
                found.push(record);
            }
        }
    }
    Ok(found)
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

struct Draft {
    id: Uuid,
    namespace: Uuid,
    owner: Uuid,
    issuer: Option<Uuid>,
    key: KeyReference,
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
    let record = AuthorityRecord {
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
    };
    change.unit.expect_absent(&AUTHORITIES, draft.id.to_string());
    change.unit.put(put(&record)?);
    Ok(record)
}

/// The row of an authority. A retired one gives its owner and subject free.
fn put(record: &AuthorityRecord) -> Result<Put> {
    let living = record.state == AuthorityState::Active;
    let canonical = SubjectName::parse(&record.subject)?.canonical();
    let columns = vec![
        living.then(|| uid_key(record.owner)),
        Some(uid_key(record.namespace)),
        living.then(|| format!("{}/{canonical}", uid_key(record.namespace))),
        Some(record.thumbprint.clone()),
    ];
    Ok(Put::new(&AUTHORITIES, record.id.to_string(), columns, record)?)
}

pub(super) fn from_row(row: &Row) -> Result<Arc<AuthorityRecord>> {
    Ok(row.parse()?)
}

/// The random end of a UUID, short enough for a name.
fn short(id: Uuid) -> String {
    let text = id.simple().to_string();
    text.get(24..).unwrap_or_default().to_owned()
}
