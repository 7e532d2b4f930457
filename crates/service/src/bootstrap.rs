//! First start: tenant, subscription, owner, token key, platform CA. Later starts read what the first one made.

use crate::arm::types::{ROLE_ASSIGNMENT, role_assignment_lookup};
use crate::attempts::Attempts;
use crate::authn::{SIGNING_KEY, SigningKey, StoredKeys};
use crate::authz::builtin;
use crate::directory::{self, IOT_HUB_APP_ID};
use crate::key_store::{KeyUse, Keys};
use crate::keyring::Keyring;
use crate::master_key::CHECK;
use crate::platform::{Engines, Platform, Tenancy};
use crate::resources::{self, RowExtra};
use crate::tables::META;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::principal::{ClientSecret, CredentialLabel, Principal, PrincipalKind};
use ferrohub_model::random::Random;
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_pki::ca_fault::CaFault;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::issue::Issuer;
use ferrohub_pki::key;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::platform::{DEFAULT_KEY, ServerIdentity, create_platform_root, create_server_chain};
use ferrohub_pki::profile::ServerFields;
use ferrohub_store::{Put, Row, Store, UnitOfWork};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Seconds for which the owner's secret is good: ten years. It is replaced by adding another one.
const OWNER_SECRET_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// Key in `META` of the row that says which principal is the owner of `owner.json`.
pub(crate) const OWNER: &str = "owner";
/// Scope of the installation's own keys.
pub(crate) const OWNER_SCOPE: &str = "platform";
/// Days for which a server certificate is issued; it is made anew at each start when less than a third is left.
const SERVER_DAYS: u32 = 397;

/// The owner's credential, known only at the first start.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerCredential {
    /// Tenant id.
    pub tenant_id: String,
    /// Subscription id.
    pub subscription_id: String,
    /// Application id of the owner's service principal.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl OwnerCredential {
    /// The credential of `owner` with `secret`.
    pub(crate) fn of(tenancy: &Tenancy, owner: &Principal, secret: &str) -> Self {
        Self {
            tenant_id: tenancy.tenant_id.clone(),
            subscription_id: tenancy.subscription_id.clone(),
            client_id: owner.app_id.clone(),
            client_secret: secret.to_owned(),
        }
    }
}

/// What a start finds or makes.
pub struct Installation {
    /// Tenant and subscription.
    pub tenancy: Tenancy,
    /// The owner's credential, when this start made it.
    pub owner: Option<OwnerCredential>,
    /// The key that signs tokens.
    pub signing_key: SigningKey,
    /// What TLS clients trust, PEM.
    pub ca_pem: String,
    /// The server's own certificate and key.
    pub server: ServerIdentity,
}

/// Reads the installation, or makes it. Several processes may start at once: each thing is made by the first of them, and
/// the others read it.
///
/// # Errors
/// A wrong master key, a store that fails, a provider that cannot make keys.
pub async fn open(engines: &Engines, keyring: &Keyring, keys: &Keys, dns_names: &[String]) -> Result<Installation> {
    let mut attempts = Attempts::new(engines.clock.as_ref(), engines.random.as_ref());
    let mut owner = None;
    loop {
        attempts.begin(|| Error::internal("other processes change the installation all the time")).await?;
        if let Some(installation) = attempt(engines, keyring, keys, dns_names, &mut owner).await? {
            return Ok(Installation { owner, ..installation });
        }
    }
}

/// Reads each thing, or makes it; `None` when another process was the first to make one of them. The `owner` who was made
/// is kept for the next attempt.
async fn attempt(
    engines: &Engines,
    keyring: &Keyring,
    keys: &Keys,
    dns_names: &[String],
    owner: &mut Option<OwnerCredential>,
) -> Result<Option<Installation>> {
    let store = engines.store.as_ref();
    match store.get(&META, CHECK).await? {
        Some(row) => keyring.verify_check_value(&row.parse::<String>()?)?,
        None => {
            let mut unit = UnitOfWork::new();
            unit.expect_absent(&META, CHECK);
            unit.put(meta(CHECK, &keyring.check_value())?);
            if !is_first(store, unit).await? {
                return Ok(None);
            }
        }
    }
    let tenancy = match tenancy(store).await? {
        Some(tenancy) => tenancy,
        None => {
            let Some((tenancy, credential)) = found(engines).await? else { return Ok(None) };
            *owner = Some(credential);
            tenancy
        }
    };
    let signer = match store.get(&META, SIGNING_KEY).await? {
        Some(row) => keys.open(&reference(&row)?).await?,
        None => {
            let mut unit = UnitOfWork::new();
            unit.expect_absent(&META, SIGNING_KEY);
            let (key, signer) = keys.generate(KeyUse::Signing, OWNER_SCOPE, SigningKey::KIND, &mut unit).await?;
            unit.put(meta(SIGNING_KEY, &StoredKeys::new(key, engines.clock.unix_seconds()))?);
            if !is_first(store, unit).await? {
                return Ok(None);
            }
            signer
        }
    };
    let issuer = match store.get(&META, "platform-ca").await? {
        Some(row) => Some(Issuer::new(certificate(&row)?, keys.open(&reference(&row)?).await?).await?),
        None => make_platform_ca(engines, keys).await?,
    };
    let Some(issuer) = issuer else { return Ok(None) };
    let Some(server) = server_identity(engines, keys, dns_names, &issuer).await? else { return Ok(None) };
    let ca_pem = issuer.certificate().to_pem();
    Ok(Some(Installation { tenancy, owner: None, signing_key: SigningKey::new(signer)?, ca_pem, server }))
}

/// Tenant and subscription, when there is an installation.
pub(crate) async fn tenancy(store: &dyn Store) -> Result<Option<Tenancy>> {
    let row = store.get(&META, "tenancy").await?;
    Ok(row.map(|row| row.parse::<Tenancy>()).transpose()?.map(|tenancy| Tenancy::clone(&tenancy)))
}

/// Commits what expects to be the first; `false` when another process was.
async fn is_first(store: &dyn Store, unit: UnitOfWork) -> Result<bool> {
    match store.commit(unit).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes tenant, subscription, owner and the first-party principal in one unit of work, if nobody did.
async fn found(engines: &Engines) -> Result<Option<(Tenancy, OwnerCredential)>> {
    let random = engines.random.as_ref();
    let tenancy = Tenancy { tenant_id: random.uuid_v4().to_string(), subscription_id: random.uuid_v4().to_string() };
    let (stored, secret) = owner_secret(engines);
    let owner = new_owner(random, stored);
    let first_party = application(random, "Azure IoT Hub", IOT_HUB_APP_ID.into(), Vec::new());
    let mut unit = UnitOfWork::new();
    unit.expect_absent(&META, "tenancy");
    unit.put(meta("tenancy", &tenancy)?);
    unit.put(directory::put(&Principal { application_object_id: None, ..first_party })?);
    unit.put(directory::put(&owner)?);
    unit.put(meta(OWNER, &owner.id)?);
    unit.put(owner_assignment(engines.into(), &tenancy, &owner, (&owner.app_id, "Application"))?.1);
    if !is_first(engines.store.as_ref(), unit).await? {
        return Ok(None);
    }
    let credential = OwnerCredential::of(&tenancy, &owner, &secret);
    Ok(Some((tenancy, credential)))
}

/// A further secret for the founding owner, when the file with the first one was lost before it was written.
///
/// # Errors
/// `NotFound` when that owner was deleted meanwhile; when the store fails.
pub async fn renew_owner(engines: &Engines, tenancy: &Tenancy) -> Result<OwnerCredential> {
    let store = engines.store.as_ref();
    let row = store.get(&META, OWNER).await?;
    let owner_id = row.ok_or_else(|| Error::internal("the founding owner is not recorded"))?.parse::<String>()?;
    let owner = directory::by_id(store, &owner_id).await?;
    let owner = owner.ok_or_else(|| Error::not_found("The founding owner of this installation was deleted."))?;
    let mut owner = Principal::clone(&owner);
    let (stored, secret) = owner_secret(engines);
    // What has ended opens nothing: only what is still good is kept.
    owner.secrets.retain(|known| known.expires > engines.clock.unix_seconds());
    owner.secrets.push(stored);
    let mut unit = UnitOfWork::new();
    unit.put(directory::put(&owner)?);
    store.commit(unit).await?;
    Ok(OwnerCredential::of(tenancy, &owner, &secret))
}

/// A new secret of an owner, as it is stored and as it is handed out.
pub(crate) fn owner_secret(engines: &Engines) -> (ClientSecret, Zeroizing<String>) {
    let random = engines.random.as_ref();
    let secret = key::generate_client_secret(random);
    let stored = ClientSecret {
        key_id: random.uuid_v4().to_string(),
        hash: key::hash_secret(&secret, random),
        expires: engines.clock.unix_seconds() + OWNER_SECRET_SECONDS,
        label: CredentialLabel::default(),
    };
    (stored, secret)
}

/// The principal of a new owner.
pub(crate) fn new_owner(random: &dyn Random, secret: ClientSecret) -> Principal {
    application(random, "Ferrohub owner", random.uuid_v4().to_string(), vec![secret])
}

fn application(random: &dyn Random, name: &str, app_id: String, secrets: Vec<ClientSecret>) -> Principal {
    let id = random.uuid_v4().to_string();
    Principal {
        application_object_id: Some(random.uuid_v4().to_string()),
        secrets,
        ..Principal::new(PrincipalKind::ServicePrincipal, id, app_id, name.into())
    }
}

/// What a new row needs of the world.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) random: &'a dyn Random,
    pub(crate) clock: &'a dyn Clock,
}

impl<'a> From<&'a Engines> for Sources<'a> {
    fn from(engines: &'a Engines) -> Self {
        Self { random: engines.random.as_ref(), clock: engines.clock.as_ref() }
    }
}

impl<'a> From<&'a Platform> for Sources<'a> {
    fn from(platform: &'a Platform) -> Self {
        Self { random: platform.random.as_ref(), clock: platform.clock.as_ref() }
    }
}

/// The id and the row of an assignment of Owner over the subscription; `by` is whose doing it is, and of what kind.
pub(crate) fn owner_assignment(
    sources: Sources<'_>,
    tenancy: &Tenancy,
    owner: &Principal,
    (by, kind): (&str, &str),
) -> Result<(ResourceId, Put)> {
    let Sources { random, clock } = sources;
    let scope = ResourceId::subscription(&tenancy.subscription_id);
    let name = random.uuid_v4().to_string();
    let now = rfc3339(clock.now());
    let definition = scope.resource("Microsoft.Authorization", "roleDefinitions", builtin::OWNER).to_string();
    let mut properties = Map::new();
    for (key, value) in [
        ("roleDefinitionId", definition),
        ("principalId", owner.id.clone()),
        ("principalType", owner.kind.role_word().into()),
        ("createdOn", now.clone()),
        ("createdBy", by.to_owned()),
        ("updatedOn", now.clone()),
        ("updatedBy", by.to_owned()),
    ] {
        properties.insert(key.into(), value.into());
    }
    for key in ["condition", "conditionVersion", "description", "delegatedManagedIdentityResourceId"] {
        properties.insert(key.into(), Value::Null);
    }
    let resource = Resource {
        name: name.clone(),
        properties,
        system_data: SystemData::from(vec![by.to_owned(), kind.to_owned(), now]),
        etag: random.uuid_v4().to_string(),
        ..Resource::default()
    };
    let above = Uuid::parse_str(&tenancy.subscription_id)
        .map_err(|e| Error::internal(format!("subscription {}: {e}", tenancy.subscription_id)))?;
    let extra = RowExtra {
        unique_name: Some(format!("roleassignments/{name}")),
        link: Some(format!("role/{}", builtin::OWNER)),
        lookup: Some(role_assignment_lookup(above, &owner.id, builtin::OWNER)),
    };
    let uid = random.uuid_v7(u64::try_from(clock.now().as_millisecond()).unwrap_or(0));
    let id = ROLE_ASSIGNMENT.child_of(&scope, &name);
    Ok((id, resources::founding_row(uid, &ROLE_ASSIGNMENT, above, resource, extra)?))
}

/// A server certificate of the platform CA that covers `dns_names`.
async fn server_identity(
    engines: &Engines,
    keys: &Keys,
    dns_names: &[String],
    issuer: &Issuer,
) -> Result<Option<ServerIdentity>> {
    let row = engines.store.get(&META, "server-certificate").await?;
    let server = match &row {
        Some(row) => reuse_server(row, keys, engines.clock.as_ref(), dns_names, issuer.certificate()).await?,
        None => None,
    };
    match server {
        Some(server) => Ok(Some(server)),
        None => make_server(engines, keys, dns_names, issuer, row.as_deref()).await,
    }
}

async fn make_platform_ca(engines: &Engines, keys: &Keys) -> Result<Option<Issuer>> {
    let subject = SubjectName::from_common_name("Ferrohub platform root")?;
    let mut unit = UnitOfWork::new();
    let (key, signer) = keys.generate(KeyUse::Signing, OWNER_SCOPE, DEFAULT_KEY, &mut unit).await?;
    let made = create_platform_root(subject, signer, engines.random.as_ref(), engines.clock.now()).await?;
    let doc = json!({"certificate": STANDARD.encode(made.certificate().der()), "key": key});
    unit.expect_absent(&META, "platform-ca");
    unit.put(meta("platform-ca", &doc)?);
    Ok(is_first(engines.store.as_ref(), unit).await?.then_some(made))
}

/// A new server certificate with a new key; the key of the former one (`was`) goes.
async fn make_server(
    engines: &Engines,
    keys: &Keys,
    dns_names: &[String],
    issuer: &Issuer,
    was: Option<&Row>,
) -> Result<Option<ServerIdentity>> {
    let addresses = [std::net::IpAddr::from([127, 0, 0, 1]), std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];
    let fields = ServerFields { dns_names: dns_names.to_vec(), ip_addresses: addresses.to_vec(), days: SERVER_DAYS };
    let mut unit = UnitOfWork::new();
    let (key, signer) = keys.generate(KeyUse::Tls, OWNER_SCOPE, DEFAULT_KEY, &mut unit).await?;
    let public = signer.public_key_info_der();
    let chain = create_server_chain(issuer, fields, public, engines.random.as_ref(), engines.clock.now()).await?;
    let key_pkcs8 = keys.export(&key).await?;
    match was {
        Some(was) => {
            unit.expect_version(&META, "server-certificate", was.version);
            keys.give_up(&reference(was)?, &mut unit)?;
        }
        None => {
            unit.expect_absent(&META, "server-certificate");
        }
    }
    let leaf = chain.first().map(|leaf| STANDARD.encode(leaf.der())).unwrap_or_default();
    unit.put(meta("server-certificate", &json!({"certificate": leaf, "names": dns_names, "key": key}))?);
    Ok(is_first(engines.store.as_ref(), unit).await?.then_some(ServerIdentity { chain, key_pkcs8 }))
}

/// The stored server certificate, when it covers the same names, has begun (it was made under a clock that stood ahead
/// otherwise) and has a third of its life left.
async fn reuse_server(
    row: &Row,
    keys: &Keys,
    clock: &dyn Clock,
    dns_names: &[String],
    ca: &Certificate,
) -> Result<Option<ServerIdentity>> {
    let names = row.value()?.get("names").cloned().unwrap_or(Value::Null);
    let names: Vec<String> = serde_json::from_value(names).unwrap_or_default();
    let certificate = certificate(row)?;
    let left = certificate.not_after().as_second() - clock.unix_seconds();
    let now = clock.now();
    if let Some(CaFault::NotYetValid(start)) = ca.time_fault(now) {
        // Nothing better can be made, and the devices' clocks may be right.
        tracing::error!(clock = %now, authority_begins = %start, "this server's clock stands before the beginning of its own CA; set the clock right");
    } else if certificate.not_before() > now {
        return Ok(None);
    }
    if names != dns_names || left < i64::from(SERVER_DAYS) * 86_400 / 3 {
        return Ok(None);
    }
    let key_pkcs8 = keys.export(&reference(row)?).await?;
    Ok(Some(ServerIdentity { chain: vec![certificate, ca.clone()], key_pkcs8 }))
}

/// The certificate in a row of [`META`].
fn certificate(row: &Row) -> Result<Certificate> {
    let doc = row.value()?;
    let text = doc.get("certificate").and_then(Value::as_str).unwrap_or_default();
    let der = STANDARD.decode(text).map_err(|e| Error::internal(format!("certificate of {}: {e}", row.key)))?;
    Certificate::from_der(&der)
}

/// The reference of the key in a row of [`META`].
fn reference(row: &Row) -> Result<KeyReference> {
    let key = row.value()?.get("key").cloned().unwrap_or(Value::Null);
    serde_json::from_value(key).map_err(|e| Error::internal(format!("key of {}: {e}", row.key)))
}

pub(crate) fn meta(key: &str, doc: &impl Serialize) -> Result<Put> {
    Ok(Put::new(&META, key, Vec::new(), doc)?)
}
