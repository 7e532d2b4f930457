//! First start: tenant, subscription, owner, token key, platform CA. Later starts read what the first one made.

use crate::arm::types::{ROLE_ASSIGNMENT, role_assignment_lookup};
use crate::authn::SigningKey;
use crate::authz::builtin;
use crate::directory::{self, IOT_HUB_APP_ID};
use crate::keyring::Keyring;
use crate::platform::{Engines, Tenancy};
use crate::resources::{self, RowExtra};
use crate::tables::META;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::{ClientSecret, Principal, PrincipalKind};
use ferrohub_model::random::Random;
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::issue::Issuer;
use ferrohub_pki::key;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::platform::{DEFAULT_KEY, ServerIdentity, create_platform_root, create_server_identity};
use ferrohub_pki::profile::ServerFields;
use ferrohub_pki::signer::SoftwareSigner;
use ferrohub_store::{Put, Store, UnitOfWork};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Seconds for which the owner's secret is good: ten years. It is replaced by adding another one.
const OWNER_SECRET_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// Owner of the data key under which the installation's own secrets are sealed.
const OWNER_SCOPE: &str = "platform";
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

/// Reads the installation, or makes it.
///
/// # Errors
/// A wrong master key, a store that fails, a provider that cannot make keys.
pub async fn open(engines: &Engines, keyring: &Keyring, dns_names: &[String]) -> Result<Installation> {
    let store = engines.store.as_ref();
    match store.get(&META, "master-check").await? {
        Some(row) => keyring.verify_check_value(&row.parse::<String>()?)?,
        None => put_meta(store, "master-check", &keyring.check_value()).await?,
    }
    let (tenancy, owner) = match store.get(&META, "tenancy").await? {
        Some(row) => ((*row.parse::<Tenancy>()?).clone(), None),
        None => found(engines).await.map(|(tenancy, owner)| (tenancy, Some(owner)))?,
    };
    let signing = match read_secret(store, keyring, "signing-key").await? {
        Some(pkcs8) => pkcs8,
        None => {
            let pkcs8 = SigningKey::generate()?;
            put_secret(store, keyring, "signing-key", &pkcs8, Value::Null).await?;
            pkcs8
        }
    };
    let (ca_pem, server) = server_identity(engines, keyring, dns_names).await?;
    Ok(Installation { tenancy, owner, signing_key: SigningKey::from_pkcs8(&signing)?, ca_pem, server })
}

/// Makes tenant, subscription, owner and the first-party principal in one unit of work.
async fn found(engines: &Engines) -> Result<(Tenancy, OwnerCredential)> {
    let random = engines.random.as_ref();
    let tenancy = Tenancy { tenant_id: random.uuid_v4().to_string(), subscription_id: random.uuid_v4().to_string() };
    let secret = key::generate_client_secret(random);
    let stored = ClientSecret {
        key_id: random.uuid_v4().to_string(),
        hash: key::hash_secret(&secret, random),
        expires: engines.clock.unix_seconds() + OWNER_SECRET_SECONDS,
    };
    let owner = application(random, "Ferrohub owner", random.uuid_v4().to_string(), vec![stored]);
    let first_party = application(random, "Azure IoT Hub", IOT_HUB_APP_ID.into(), Vec::new());
    let mut unit = UnitOfWork::new();
    unit.expect_absent(&META, "tenancy");
    unit.put(meta("tenancy", &tenancy)?);
    unit.put(directory::put(&Principal { application_object_id: None, ..first_party })?);
    unit.put(directory::put(&owner)?);
    unit.put(meta("owner", &owner.id)?);
    unit.put(owner_assignment(engines, &tenancy, &owner)?);
    engines.store.commit(unit).await?;
    let credential = OwnerCredential {
        tenant_id: tenancy.tenant_id.clone(),
        subscription_id: tenancy.subscription_id.clone(),
        client_id: owner.app_id,
        client_secret: secret.to_string(),
    };
    Ok((tenancy, credential))
}

/// A new secret for the owner, when the file with the first one was lost before it was written.
///
/// # Errors
/// When the store fails or there is no owner.
pub async fn renew_owner(engines: &Engines, tenancy: &Tenancy) -> Result<OwnerCredential> {
    let store = engines.store.as_ref();
    let row = store.get(&META, "owner").await?;
    let owner_id = row.ok_or_else(|| Error::internal("the founding owner is not recorded"))?.parse::<String>()?;
    let mut owner =
        directory::by_id(store, &owner_id).await?.ok_or_else(|| Error::internal("the owner's principal is missing"))?;
    let secret = key::generate_client_secret(engines.random.as_ref());
    owner.secrets.push(ClientSecret {
        key_id: engines.random.uuid_v4().to_string(),
        hash: key::hash_secret(&secret, engines.random.as_ref()),
        expires: engines.clock.unix_seconds() + OWNER_SECRET_SECONDS,
    });
    let mut unit = UnitOfWork::new();
    unit.put(directory::put(&owner)?);
    store.commit(unit).await?;
    Ok(OwnerCredential {
        tenant_id: tenancy.tenant_id.clone(),
        subscription_id: tenancy.subscription_id.clone(),
        client_id: owner.app_id,
        client_secret: secret.to_string(),
    })
}

fn application(random: &dyn Random, name: &str, app_id: String, secrets: Vec<ClientSecret>) -> Principal {
    Principal {
        id: random.uuid_v4().to_string(),
        app_id,
        display_name: name.into(),
        kind: PrincipalKind::ServicePrincipal,
        resource: None,
        application_object_id: Some(random.uuid_v4().to_string()),
        secrets,
    }
}

fn owner_assignment(engines: &Engines, tenancy: &Tenancy, owner: &Principal) -> Result<Put> {
    let scope = ResourceId::subscription(&tenancy.subscription_id);
    let name = engines.random.uuid_v4().to_string();
    let now = rfc3339(engines.clock.now());
    let definition = scope.resource("Microsoft.Authorization", "roleDefinitions", builtin::OWNER).to_string();
    let mut properties = Map::new();
    for (key, value) in [
        ("roleDefinitionId", definition),
        ("principalId", owner.id.clone()),
        ("principalType", "ServicePrincipal".into()),
        ("createdOn", now.clone()),
        ("createdBy", owner.app_id.clone()),
        ("updatedOn", now.clone()),
        ("updatedBy", owner.app_id.clone()),
    ] {
        properties.insert(key.into(), value.into());
    }
    for key in ["condition", "conditionVersion", "description", "delegatedManagedIdentityResourceId"] {
        properties.insert(key.into(), Value::Null);
    }
    let resource = Resource {
        name: name.clone(),
        properties,
        system_data: SystemData::from(vec![owner.app_id.clone(), "Application".into(), now]),
        etag: engines.random.uuid_v4().to_string(),
        ..Resource::default()
    };
    let above = Uuid::parse_str(&tenancy.subscription_id)
        .map_err(|e| Error::internal(format!("subscription {}: {e}", tenancy.subscription_id)))?;
    let extra = RowExtra {
        unique_name: Some(format!("roleassignments/{name}")),
        link: Some(format!("role/{}", builtin::OWNER)),
        lookup: Some(role_assignment_lookup(above, &owner.id, builtin::OWNER)),
    };
    let uid = engines.random.uuid_v7(u64::try_from(engines.clock.now().as_millisecond()).unwrap_or(0));
    resources::founding_row(uid, &ROLE_ASSIGNMENT, above, &resource, extra)
}

/// The platform CA, and a server certificate from it that covers `dns_names`.
async fn server_identity(
    engines: &Engines,
    keyring: &Keyring,
    dns_names: &[String],
) -> Result<(String, ServerIdentity)> {
    let (store, random, clock) = (engines.store.as_ref(), engines.random.as_ref(), engines.clock.as_ref());
    let stored = match store.get(&META, "platform-ca").await? {
        Some(row) => row.value()?.get("certificate").and_then(Value::as_str).map(str::to_string),
        None => None,
    };
    let (certificate, signer) = match (stored, read_secret(store, keyring, "platform-ca").await?) {
        (Some(text), Some(pkcs8)) => {
            let der = STANDARD.decode(text).map_err(|e| Error::internal(format!("platform CA: {e}")))?;
            (Certificate::from_der(&der)?, SoftwareSigner::from_pkcs8(&pkcs8)?)
        }
        _ => make_platform_ca(store, keyring, random, clock).await?,
    };
    let issuer = Issuer::new(certificate.clone(), Box::new(signer))?;
    let server = match reuse_server(store, keyring, clock, dns_names, &certificate).await? {
        Some(server) => server,
        None => {
            let addresses =
                [std::net::IpAddr::from([127, 0, 0, 1]), std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];
            let fields =
                ServerFields { dns_names: dns_names.to_vec(), ip_addresses: addresses.to_vec(), days: SERVER_DAYS };
            let server = create_server_identity(&issuer, fields, random, clock.now())?;
            let leaf = server.chain.first().map(|leaf| STANDARD.encode(leaf.der())).unwrap_or_default();
            let doc = json!({"certificate": leaf, "names": dns_names});
            put_secret(store, keyring, "server-certificate", &server.key_pkcs8, doc).await?;
            server
        }
    };
    Ok((certificate.to_pem(), server))
}

async fn make_platform_ca(
    store: &dyn Store,
    keyring: &Keyring,
    random: &dyn Random,
    clock: &dyn Clock,
) -> Result<(Certificate, SoftwareSigner)> {
    let made = create_platform_root(
        SubjectName::from_common_name("Ferrohub platform root")?,
        DEFAULT_KEY,
        random,
        clock.now(),
    )?;
    let pkcs8 = made.signer.to_pkcs8()?;
    let doc = json!({"certificate": STANDARD.encode(made.certificate.der())});
    put_secret(store, keyring, "platform-ca", &pkcs8, doc).await?;
    Ok((made.certificate, made.signer))
}

/// The stored server certificate, when it covers the same names and has a third of its life left.
async fn reuse_server(
    store: &dyn Store,
    keyring: &Keyring,
    clock: &dyn Clock,
    dns_names: &[String],
    ca: &Certificate,
) -> Result<Option<ServerIdentity>> {
    let Some(row) = store.get(&META, "server-certificate").await? else { return Ok(None) };
    let doc = row.value()?;
    let names: Vec<String> =
        serde_json::from_value(doc.get("names").cloned().unwrap_or(Value::Null)).unwrap_or_default();
    let der = doc.get("certificate").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    let (Some(der), Some(key)) = (der, read_secret(store, keyring, "server-certificate").await?) else {
        return Ok(None);
    };
    let certificate = Certificate::from_der(&der)?;
    let left = certificate.not_after().as_second() - clock.unix_seconds();
    if names != dns_names || left < i64::from(SERVER_DAYS) * 86_400 / 3 {
        return Ok(None);
    }
    Ok(Some(ServerIdentity { chain: vec![certificate, ca.clone()], key_pkcs8: key }))
}

fn meta(key: &str, doc: &impl Serialize) -> Result<Put> {
    Ok(Put::new(&META, key, Vec::new(), doc)?)
}

async fn put_meta(store: &dyn Store, key: &str, doc: &impl Serialize) -> Result<()> {
    let mut unit = UnitOfWork::new();
    unit.put(meta(key, doc)?);
    store.commit(unit).await?;
    Ok(())
}

async fn put_secret(store: &dyn Store, keyring: &Keyring, key: &str, secret: &[u8], doc: Value) -> Result<()> {
    let sealed = keyring.seal(store, OWNER_SCOPE, "meta", key, "secret", secret).await?;
    let mut doc = if doc.is_object() { doc } else { json!({}) };
    doc["secret"] = sealed.into();
    put_meta(store, key, &doc).await
}

async fn read_secret(store: &dyn Store, keyring: &Keyring, key: &str) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let Some(row) = store.get(&META, key).await? else { return Ok(None) };
    match row.value()?.get("secret").and_then(Value::as_str) {
        Some(sealed) => keyring.open(store, OWNER_SCOPE, "meta", key, "secret", sealed).await.map(Some),
        None => Ok(None),
    }
}
