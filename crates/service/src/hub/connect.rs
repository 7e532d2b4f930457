//! Who a device is that wants to use its hub, whatever protocol it speaks.

use super::access::{unauthorized, unauthorized_access};
use super::device_connection::Lasting;
use super::identity::{ClientId, DeviceRef};
use super::open_session::{CloseReason, From, OpenSession};
use super::trust::{Trusted, View};
use super::{HubRef, HubService, identity, unknown_hub};
use crate::platform::{Change, Platform};
use crate::resources;
use crate::shared_access::{Right, check_resource, verify, verify_policy_token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::device::{AuthenticationType, DeviceIdentity, DeviceStatus};
use ferrohub_model::device_session::SessionKind;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::message::AuthMethod;
use ferrohub_model::model_id::check_model_id;
use ferrohub_model::network::Peer;
use ferrohub_pki::certificate::Certificate;
use ferrohub_wire::sas_token::SasToken;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Who a device says it is, and with what it proves that. Free of any protocol.
#[derive(Clone)]
pub struct DeviceLogin {
    /// Host of the hub.
    pub host: String,
    /// Device id.
    pub device_id: String,
    /// Module id, when it is a module of the device.
    pub module_id: Option<String>,
    /// The model that it announces, a DTMI.
    pub model_id: Option<String>,
    /// A SAS token; empty counts as none.
    pub token: Option<String>,
    /// Certificates of the TLS peer, leaf first, whose key it proved to hold; empty without a client certificate. They
    /// count where there is no token.
    pub peer_chain: Vec<Vec<u8>>,
    /// From where it comes.
    pub peer: Peer,
}

impl DeviceLogin {
    fn client(&self) -> ClientId<'_> {
        ClientId { device_id: &self.device_id, module_id: self.module_id.as_deref() }
    }
}

/// On what a connection rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// A token under a key of the device, by that key's sealed text.
    DeviceKey { sealed: String, expiry_unix: i64 },
    /// A token under a policy of the hub, kept to be verified again when the hub's keys change.
    Policy { token: SasToken, expiry_unix: i64 },
    /// A chain to a CA of the hub: the credential id in its leaf, the certificate authority of the namespace in which it ends if
    /// it is one, and when the first certificate of the path ends.
    Chain { credential_id: Option<Uuid>, authority: Option<Uuid>, expiry_unix: i64 },
    /// A certificate with these thumbprints, and the end of its validity.
    Thumbprint { sha1: String, sha256: String, expiry_unix: i64 },
}

impl Proof {
    /// What the message annotations call it.
    pub(super) fn method(&self) -> AuthMethod {
        match self {
            Self::DeviceKey { .. } => AuthMethod::DeviceSas,
            Self::Policy { .. } => AuthMethod::HubSas,
            Self::Chain { .. } | Self::Thumbprint { .. } => AuthMethod::X509,
        }
    }

    /// When the connection ends by itself, Unix seconds: a token by its `se`, a certificate by its `notAfter`.
    pub(super) fn expiry_unix(&self) -> i64 {
        match self {
            Self::DeviceKey { expiry_unix, .. }
            | Self::Policy { expiry_unix, .. }
            | Self::Chain { expiry_unix, .. }
            | Self::Thumbprint { expiry_unix, .. } => *expiry_unix,
        }
    }

    /// Why the connection ends then.
    pub(super) fn expired(&self) -> CloseReason {
        match self {
            Self::DeviceKey { .. } | Self::Policy { .. } => CloseReason::TokenExpired,
            Self::Chain { .. } | Self::Thumbprint { .. } => CloseReason::CertificateExpired,
        }
    }

    /// The credential id in the certificate that it is.
    pub(super) fn credential_id(&self) -> Option<Uuid> {
        match self {
            Self::Chain { credential_id, .. } => *credential_id,
            Self::DeviceKey { .. } | Self::Policy { .. } | Self::Thumbprint { .. } => None,
        }
    }

    /// Whether the identity, as it stands now, would accept it again (the chain itself apart).
    pub(super) fn still_holds(&self, device: &DeviceIdentity) -> bool {
        let now = &device.authentication;
        match self {
            Self::DeviceKey { sealed, .. } => {
                now.kind == AuthenticationType::Sas
                    && (now.sealed_primary_key.as_ref() == Some(sealed)
                        || now.sealed_secondary_key.as_ref() == Some(sealed))
            }
            Self::Policy { .. } => now.kind == AuthenticationType::Sas,
            Self::Chain { credential_id, authority, .. } => {
                now.kind == AuthenticationType::CertificateAuthority
                    && credential_allows(device, *credential_id, *authority)
            }
            Self::Thumbprint { sha1, sha256, .. } => {
                now.kind == AuthenticationType::SelfSigned && thumbprint_fits(device, sha1, sha256)
            }
        }
    }
}

impl HubService {
    /// Opens a device's session that ends with its connection: checks hub, credentials and status, takes the device over
    /// from an older connection, and forgets what was remembered for it.
    ///
    /// # Errors
    /// 401001 unknown hub, 401002 for an address or a TLS version that the hub does not let in, 401002 and 401003 for credentials, 403012 for a disabled device; 400004 for a model id that is no DTMI; the same for a module of the device.
    pub async fn connect(&self, login: DeviceLogin) -> Result<OpenSession> {
        self.open(login, SessionKind::Clean).await
    }

    /// The same for a session that may outlive its connection; [`OpenSession::remembered`] is what is left of an earlier one.
    ///
    /// # Errors
    /// As [`HubService::connect`].
    pub async fn open(&self, login: DeviceLogin, kind: SessionKind) -> Result<OpenSession> {
        if let Some(model) = &login.model_id {
            check_model_id(model)?;
        }
        let hub = self.by_host(&login.host).await?;
        // Listening starts before hub and identity are read, so that no change falls between the two.
        let ears = self.listen(&hub, login.client()).await?;
        let view = self.trust.look(&self.platform, hub.uid).await?;
        let view = view.ok_or_else(|| unknown_hub(&login.host))?;
        let hub = &view.hub;
        hub.let_in(login.peer)?;
        let (device, proof) = self.admit(&view, &login).await?;
        self.settle_policy(&device, &proof).await?;
        let lasting = Lasting { kind, model_id: login.model_id };
        let from = From { chain: login.peer_chain, peer: login.peer };
        self.open_session(hub, &device, lasting, proof, from, ears).await
    }

    /// Proves a device without opening a session, for what it asks over HTTPS.
    ///
    /// # Errors
    /// As [`HubService::connect`].
    pub async fn attest(&self, login: &DeviceLogin) -> Result<()> {
        let hub = self.by_host(&login.host).await?;
        let view = self.trust.look(&self.platform, hub.uid).await?;
        let view = view.ok_or_else(|| unknown_hub(&login.host))?;
        self.admit(&view, login).await.map(drop)
    }

    /// The identity that is meant and how it was proven. A module is let in while its device is enabled.
    async fn admit(&self, view: &View, login: &DeviceLogin) -> Result<(Arc<DeviceIdentity>, Proof)> {
        let (hub, client) = (&view.hub, login.client());
        let found = identity::load(self.platform.store.as_ref(), hub.uid, client).await?;
        let device = found.map(|found| found.device).ok_or_else(|| no_such_client(hub, client))?;
        let proof = self.prove(view, &device, login).await?;
        let owner = match client.module_id {
            None => Arc::clone(&device),
            Some(_) => {
                let owner = identity::load(self.platform.store.as_ref(), hub.uid, client.device_id).await?;
                owner.map(|owner| owner.device).ok_or_else(|| no_such_client(hub, client))?
            }
        };
        if owner.status == DeviceStatus::Disabled {
            return Err(disabled(&owner));
        }
        Ok((device, proof))
    }

    async fn prove(&self, view: &View, device: &DeviceIdentity, login: &DeviceLogin) -> Result<Proof> {
        match login.token.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => self.authenticate_token(&view.hub, device, token).await,
            None if login.peer_chain.is_empty() => Err(unauthorized(
                "The device presents neither a SAS token (as password over MQTT) nor a client certificate; send one.",
            )),
            None => self.authenticate_chain(view, device, &login.peer_chain).await,
        }
    }

    async fn authenticate_token(&self, hub: &HubRef, device: &DeviceIdentity, text: &str) -> Result<Proof> {
        let token =
            SasToken::parse(text).map_err(|error| error.with_code("IotHubUnauthorized").with_iot_code(401_003))?;
        let resource = audience(hub, DeviceRef::of(device).client);
        check_resource(&hub.holder(), &token, &resource)?;
        if device.authentication.kind != AuthenticationType::Sas {
            return Err(wrong_type(device, "a SAS token"));
        }
        let expiry_unix = token.ends_unix();
        if token.policy.is_some() {
            check_policy_token(&self.platform, hub, &token, &resource).await?;
            return Ok(Proof::Policy { token, expiry_unix });
        }
        check_device_keys(hub, device.module_id.is_some())?;
        let sealed = self.fitting_key(hub, device, &token).await?;
        Ok(Proof::DeviceKey { sealed, expiry_unix })
    }

    /// The sealed text of the device key that signed the token.
    async fn fitting_key(&self, hub: &HubRef, device: &DeviceIdentity, token: &SasToken) -> Result<String> {
        let keys = identity::open_keys(&self.platform, device).await?;
        let (primary, secondary) =
            keys.ok_or_else(|| Error::internal(format!("device {} has no keys", device.device_id)))?;
        let (primary, secondary) = (decoded(&primary)?, decoded(&secondary)?);
        let now = self.platform.clock.unix_seconds();
        let authentication = &device.authentication;
        let sealed = if token.verify(&primary, now).is_ok() {
            &authentication.sealed_primary_key
        } else {
            verify(&hub.holder(), token, &[&primary, &secondary], now)?;
            &authentication.sealed_secondary_key
        };
        Ok(sealed.clone().unwrap_or_default())
    }

    /// Whether `authority` is that of the device's policy, or of one that it had before the registry gave it another one: it comes
    /// with that certificate for the new one. A policy that is gone leaves those of the namespace, which sign nothing that is not ours.
    async fn signed_by_its_policy(&self, device: &DeviceIdentity, authority: Option<Uuid>) -> Result<bool> {
        let Some(authority) = authority else { return Ok(false) };
        let Some(policy) = device.policy else { return Ok(true) };
        let policy = resources::by_uid(&self.platform, policy).await?;
        if policy.is_none_or(|policy| policy.parent == authority) {
            return Ok(true);
        }
        for former in &device.former_policies {
            let former = resources::by_uid(&self.platform, *former).await?;
            if former.is_some_and(|former| former.parent == authority) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A device that shows a certificate of its policy has it, so that those of its former ones count no more. Somebody who
    /// changes the device meanwhile goes first; its next connection settles it.
    async fn settle_policy(&self, device: &DeviceIdentity, proof: &Proof) -> Result<()> {
        let (Some(policy), Proof::Chain { authority: Some(authority), .. }) = (device.policy, proof) else {
            return Ok(());
        };
        if device.former_policies.is_empty() {
            return Ok(());
        }
        let policy = resources::by_uid(&self.platform, policy).await?;
        if policy.is_none_or(|policy| policy.parent != *authority) {
            return Ok(());
        }
        let _turn = self.platform.twin_turn(&device.device_id).await;
        let found = identity::by_uid(self.platform.store.as_ref(), device.uid).await?;
        let Some(found) = found.filter(|found| found.device.policy == device.policy) else { return Ok(()) };
        let mut change = Change::new();
        identity::add_settled_policy(&found, &mut change)?;
        self.platform.try_commit(change).await.map(drop)
    }

    async fn authenticate_chain(&self, view: &View, device: &DeviceIdentity, chain: &[Vec<u8>]) -> Result<Proof> {
        match device.authentication.kind {
            AuthenticationType::CertificateAuthority => {
                let Trusted { leaf, authority } = self.trust.verify(view, chain, self.platform.now())?;
                if leaf.common_name.as_deref() != Some(device.client().as_str()) {
                    let name: String =
                        leaf.common_name.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
                    return Err(unauthorized(format!(
                        "The client certificate is for '{name}', not for '{}'; use its own certificate.",
                        device.client()
                    )));
                }
                if !credential_allows(device, leaf.credential_id, authority) {
                    return Err(unauthorized(format!(
                        "The client certificate of '{}' was revoked or replaced; provision the device again.",
                        device.device_id
                    )));
                }
                if device.credential_id.is_some() && !self.signed_by_its_policy(device, authority).await? {
                    return Err(unauthorized(format!(
                        "The client certificate of '{}' ends in a certificate authority that is not the one of the device's credential policy; synchronize the policy to this hub.",
                        device.device_id
                    )));
                }
                let expiry_unix = leaf.valid_until.as_second();
                Ok(Proof::Chain { credential_id: leaf.credential_id, authority, expiry_unix })
            }
            AuthenticationType::SelfSigned => by_thumbprint(&self.platform, device, chain),
            AuthenticationType::Sas | AuthenticationType::None => Err(wrong_type(device, "a client certificate")),
        }
    }
}

/// Whether the hub, as it stands now, would accept the token of an open session again. Certificates are not looked at.
pub(super) async fn recheck_token(
    platform: &Platform,
    hub: &HubRef,
    client: ClientId<'_>,
    proof: &Proof,
) -> Result<()> {
    match proof {
        Proof::DeviceKey { .. } => check_device_keys(hub, client.module_id.is_some()),
        Proof::Policy { token, .. } => check_policy_token(platform, hub, token, &audience(hub, client)).await,
        Proof::Chain { .. } | Proof::Thumbprint { .. } => Ok(()),
    }
}

/// Refuses unless the token was signed with a key of a policy of the hub that lets devices connect.
async fn check_policy_token(platform: &Platform, hub: &HubRef, token: &SasToken, resource: &str) -> Result<()> {
    let holder = hub.holder();
    let grant = verify_policy_token(platform, &holder, token, resource).await?;
    grant.require_right(Right::DeviceConnect, &holder)
}

fn audience(hub: &HubRef, client: ClientId<'_>) -> String {
    let ClientId { device_id, module_id } = client;
    match module_id {
        Some(module_id) => format!("{}/devices/{device_id}/modules/{module_id}", hub.host),
        None => format!("{}/devices/{device_id}", hub.host),
    }
}

fn check_device_keys(hub: &HubRef, of_module: bool) -> Result<()> {
    let (what, switch) = if of_module { ("module", "disableModuleSAS") } else { ("device", "disableDeviceSAS") };
    if hub.is_on(switch) {
        return Err(unauthorized_access(format!(
            "The hub '{}' has {what} keys switched off ({switch}); connect with a certificate.",
            hub.name
        )));
    }
    Ok(())
}

fn by_thumbprint(platform: &Platform, device: &DeviceIdentity, chain: &[Vec<u8>]) -> Result<Proof> {
    let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
    let leaf = Certificate::from_der(leaf).map_err(|error| unauthorized_access(error.message))?;
    let (sha1, sha256) = (leaf.sha1().to_owned(), leaf.sha256().to_owned());
    if !thumbprint_fits(device, &sha1, &sha256) {
        let shown = |print: &Option<String>| print.clone().unwrap_or_default();
        return Err(unauthorized_access(format!(
            "Thumbprint does not match configuration: Thumbprint: SHA1Hash={sha1}, SHA2Hash={sha256}; Configuration: PrimaryThumbprint={}, SecondaryThumbprint={}",
            shown(&device.authentication.primary_thumbprint),
            shown(&device.authentication.secondary_thumbprint)
        )));
    }
    let now = platform.now();
    if now < leaf.not_before() {
        return Err(unauthorized(format!(
            "The client certificate of '{}' is not valid before {}; check the clocks of the device and of this server.",
            device.device_id,
            leaf.not_before()
        )));
    }
    if now >= leaf.not_after() {
        return Err(unauthorized(format!(
            "The client certificate of '{}' has expired on {}; renew it.",
            device.device_id,
            leaf.not_after()
        )));
    }
    Ok(Proof::Thumbprint { sha1, sha256, expiry_unix: leaf.not_after().as_second() })
}

fn thumbprint_fits(device: &DeviceIdentity, sha1: &str, sha256: &str) -> bool {
    let known = [&device.authentication.primary_thumbprint, &device.authentication.secondary_thumbprint];
    known.into_iter().flatten().any(|print| print == sha1 || print == sha256)
}

/// A device with a credential id accepts only certificates that carry it, and one that was provisioned with a chain of its own
/// none that we issued to it before.
fn credential_allows(device: &DeviceIdentity, in_leaf: Option<Uuid>, authority: Option<Uuid>) -> bool {
    match device.credential_id {
        Some(_) => device.credential_id == in_leaf,
        None => !device.own_chain || in_leaf.is_none() || authority.is_none(),
    }
}

fn decoded(key: &str) -> Result<Zeroizing<Vec<u8>>> {
    STANDARD.decode(key).map(Zeroizing::new).map_err(|_| Error::internal("an opened device key is not base64"))
}

fn no_such_client(hub: &HubRef, client: ClientId<'_>) -> Error {
    let (what, code) =
        if client.module_id.is_some() { ("module", "ModuleNotFound") } else { ("device", "DeviceNotFound") };
    Error::unauthenticated(format!("IotHub '{}' does not contain the specified {what} '{client}'", hub.name))
        .with_code(code)
        .with_iot_code(401_002)
}

fn wrong_type(device: &DeviceIdentity, presented: &str) -> Error {
    unauthorized(format!(
        "The device '{}' has the authentication type '{}' and cannot connect with {presented}.",
        device.device_id,
        device.authentication.kind.as_str()
    ))
}

fn disabled(device: &DeviceIdentity) -> Error {
    let reason = device.status_reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    Error::new(
        ErrorKind::Forbidden,
        "DeviceDisabled",
        format!(
            "The device '{}' is disabled{reason}; enable it: {}",
            device.device_id,
            identity::enabling("HUB", &device.device_id)
        ),
    )
    .with_iot_code(403_012)
}
