//! A namespace, a hub and a provisioning service over the real engines, made over ARM.

use crate::installation::Installation;
use crate::owner::{DPS_API, GROUP_API, HUB_API, IDENTITY_API, Owner, REGISTRY_API, ROLE_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::Result;
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::key::generate_symmetric_key;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::authn::Authenticator;
use ferrohub_service::authz::Actor;
use ferrohub_service::hub::{DeviceLogin, HubRef, HubService};
use ferrohub_service::platform::{Engines, Platform, Settings};
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::provisioning::{
    DeviceCaller, DpsRef, EnrollmentKind, OperationStatus, ProvisioningService, RegisterRequest,
};
use ferrohub_service::resources::{self, Stored, tag};
use ferrohub_service::tables::{ALL, CERTIFICATES};
use ferrohub_store::{Page, Row, Store, Table};
use ferrohub_store_sqlite::SqliteStore;
use ferrohub_wire::connection_string::ConnectionString;
use ferrohub_wire::sas_token::{derive_device_key, sign};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const DOMAIN: &str = "localhost";

pub(super) struct World {
    pub(super) installation: Installation,
    pub(super) owner: Owner,
    pub(super) resource_group: ResourceId,
    pub(super) namespace: ResourceId,
    pub(super) dps: ResourceId,
    /// Id scope of the provisioning service.
    pub(super) scope: String,
    pub(super) hub_host: String,
    pub(super) dps_principal: String,
    pub(super) folder: TempDir,
}

impl World {
    /// Everything linked and granted, without an enrollment group.
    pub(super) async fn new() -> Self {
        Self::timed(SystemClock::shared()).await
    }

    /// The same, by this clock.
    pub(super) async fn timed(clock: Arc<dyn Clock>) -> Self {
        let mut world = Self::bare(tempfile::tempdir().unwrap(), clock).await;
        world.owner.put(&world.resource_group, GROUP_API, json!({"location": "eastus"})).await;
        world.write_namespace().await;
        world.write_hub("hub1", true).await;
        let made = world.write_dps(true, &["hub1"]).await;
        world.know(&made);
        world.grant(&world.dps_principal, &world.namespace, CONTRIBUTOR).await;
        world
    }

    /// The same world, made earlier in `folder`.
    pub(super) async fn made_earlier(folder: TempDir) -> Self {
        let mut world = Self::bare(folder, SystemClock::shared()).await;
        let made = world.owner.get(&world.dps, DPS_API).await;
        world.know(&made);
        world
    }

    /// What ARM says of the provisioning service.
    fn know(&mut self, dps: &Value) {
        self.scope = dps["properties"]["idScope"].as_str().unwrap().to_owned();
        self.dps_principal = dps["identity"]["principalId"].as_str().unwrap().to_owned();
    }

    /// The owner and the names, and nothing made.
    async fn bare(folder: TempDir, clock: Arc<dyn Clock>) -> Self {
        let (installation, owner) = Owner::install(engines(folder.path(), clock), settings()).await;
        let mut group = ResourceId::subscription(&owner.subscription);
        group.resource_group = Some("rg".into());
        Self {
            installation,
            owner,
            namespace: group.resource("Microsoft.DeviceRegistry", "namespaces", "plant"),
            dps: group.resource("Microsoft.Devices", "provisioningServices", "dps1"),
            resource_group: group,
            scope: String::new(),
            hub_host: format!("hub1.azure-devices.{DOMAIN}"),
            dps_principal: String::new(),
            folder,
        }
    }

    pub(super) fn hub_id(&self, name: &str) -> ResourceId {
        self.resource_group.resource("Microsoft.Devices", "IotHubs", name)
    }

    pub(super) fn policy_id(&self, name: &str) -> ResourceId {
        self.namespace.child("credentials", "default").child("policies", name)
    }

    /// Closes the engines and opens them again on the same folder.
    pub(super) async fn reopen(&mut self) {
        let elsewhere = tempfile::tempdir().unwrap();
        // The former engines are closed by dropping the last handle on them.
        (self.installation, self.owner) =
            Owner::install(engines(elsewhere.path(), SystemClock::shared()), settings()).await;
        (self.installation, self.owner) =
            Owner::install(engines(self.folder.path(), SystemClock::shared()), settings()).await;
    }

    /// The provisioning services of the next process.
    pub(super) fn service(&self) -> &ProvisioningService {
        &self.installation.service().provisioning
    }

    /// The hubs of the next process.
    pub(super) fn hubs(&self) -> &HubService {
        &self.installation.service().hub
    }

    /// Provisioning services that share no memory with the others, as those of one more process.
    pub(super) fn elsewhere(&self) -> ProvisioningService {
        ProvisioningService::new(Arc::clone(self.platform()), Arc::clone(&self.installation.service().authn))
    }

    /// The tokens of the next process.
    pub(super) fn authenticator(&self) -> &Authenticator {
        &self.installation.service().authn
    }

    /// What the next process stands on.
    pub(super) fn platform(&self) -> &Arc<Platform> {
        self.installation.platform()
    }

    /// How many processes share the installation.
    pub(super) fn processes(&self) -> usize {
        self.installation.platforms().len()
    }

    /// The policy `provisioningserviceowner`.
    pub(super) async fn caller(&self) -> Actor {
        let dps = self.dps().await;
        let expiry = self.platform().clock.unix_seconds() + 3600;
        let host = format!("dps1.azure-devices-provisioning.{DOMAIN}");
        let token = sign(&host, &[7u8; 64], expiry, Some("provisioningserviceowner"));
        self.service().authenticate(&dps, Some(&token)).await.unwrap()
    }

    /// The hub `hub1`, and its owner policy as the caller.
    pub(super) async fn hub_caller(&self) -> (HubRef, Actor) {
        let hub = HubRef::of(self.stored(&self.hub_id("hub1")).await);
        let keys = self.owner.post(&self.hub_id("hub1"), "IotHubKeys/iothubowner/listkeys", HUB_API).await;
        let key = STANDARD.decode(keys["primaryKey"].as_str().unwrap()).unwrap();
        let expiry = self.platform().clock.unix_seconds() + 3600;
        let token = sign(&self.hub_host, &key, expiry, Some("iothubowner"));
        let caller = self.hubs().authenticate(&hub, Some(&token)).await.unwrap();
        (hub, caller)
    }

    async fn write_namespace(&self) {
        let identity = json!({"type": "SystemAssigned"});
        self.owner.put(&self.namespace, REGISTRY_API, json!({"location": "eastus", "identity": identity})).await;
        let credential = self.namespace.child("credentials", "default");
        self.owner.put(&credential, REGISTRY_API, json!({"location": "eastus"})).await;
        self.write_policy("default", None).await.unwrap();
    }

    pub(super) async fn write_policy(&self, name: &str, subject: Option<&str>) -> Result<()> {
        let certificate = json!({
            "certificateAuthorityConfiguration": {"keyType": "ECC", "subject": subject},
            "leafCertificateConfiguration": {"validityPeriodInDays": 42},
        });
        let body = json!({"properties": {"certificate": certificate}});
        self.owner.ask("PUT", &self.policy_id(name), REGISTRY_API, Some(body)).await?;
        Ok(())
    }

    /// Brings the policies of the namespace to its hubs.
    pub(super) async fn synchronize(&self) {
        let path = format!("{}/credentials/default/synchronize", self.namespace);
        let answer = self.owner.act(&path, REGISTRY_API, None).await.unwrap();
        assert_eq!(answer.status, 202);
    }

    pub(super) async fn stored(&self, id: &ResourceId) -> Stored {
        resources::require(self.platform(), id).await.unwrap()
    }

    pub(super) async fn write_hub(&self, name: &str, linked: bool) {
        let mut properties = json!({"authorizationPolicies": [
            {"keyName": "iothubowner", "rights": "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"},
            {"keyName": "service", "rights": "ServiceConnect"}]});
        if linked {
            properties["deviceRegistry"] = json!({"namespaceResourceId": self.namespace.to_string()});
        }
        let body = json!({"location": "eastus", "sku": {"name": "S1", "capacity": 1}, "identity": {"type": "SystemAssigned"}, "properties": properties});
        self.owner.put(&self.hub_id(name), HUB_API, body).await;
    }

    /// Gives the hub's owner policy a new primary key.
    pub(super) async fn rotate_hub_key(&self, name: &str) {
        let mut hub = self.owner.get(&self.hub_id(name), HUB_API).await;
        hub["properties"]["authorizationPolicies"] = json!([
            {"keyName": "iothubowner", "rights": "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect",
             "primaryKey": generate_symmetric_key(&SystemRandom).as_str()},
            {"keyName": "service", "rights": "ServiceConnect"}]);
        self.owner.put(&self.hub_id(name), HUB_API, hub).await;
    }

    /// Writes the provisioning service, linked to exactly these hubs with their present primary owner keys.
    pub(super) async fn write_dps(&self, linked: bool, hubs: &[&str]) -> Value {
        let key = STANDARD.encode([7u8; 64]);
        let mut list = Vec::new();
        for name in hubs {
            let policy = self.owner.post(&self.hub_id(name), "IotHubKeys/iothubowner/listkeys", HUB_API).await;
            let host = format!("{name}.azure-devices.{DOMAIN}");
            let text = ConnectionString::for_policy(&host, "iothubowner", policy["primaryKey"].as_str().unwrap());
            list.push(json!({"connectionString": text.reveal().as_str(), "location": "eastus"}));
        }
        let mut properties = json!({"allocationPolicy": "Hashed", "iotHubs": list, "authorizationPolicies": [
            {"keyName": "provisioningserviceowner", "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite", "primaryKey": key},
            {"keyName": "reader", "rights": "EnrollmentRead", "primaryKey": key}]});
        if linked {
            properties["deviceRegistryNamespace"] =
                json!({"resourceId": self.namespace.to_string(), "authenticationType": "SystemAssigned"});
        }
        // The identity that is attached beside its own is not the one as which it acts.
        let unused = self.resource_group.resource("Microsoft.ManagedIdentity", "userAssignedIdentities", "unused");
        self.owner.put(&unused, IDENTITY_API, json!({"location": "eastus"})).await;
        let identity =
            json!({"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {unused.to_string(): {}}});
        let body = json!({"location": "eastus", "sku": {"name": "S1", "capacity": 1}, "identity": identity, "properties": properties});
        self.owner.put(&self.dps, DPS_API, body).await
    }

    /// Links the provisioning service to exactly these hubs, with their present primary owner keys.
    pub(super) async fn link(&self, hubs: &[&str]) {
        self.write_dps(true, hubs).await;
    }

    /// Grants a role and returns the id of the assignment.
    pub(super) async fn grant(&self, principal: &str, scope: &ResourceId, role: &str) -> ResourceId {
        self.owner.assign(principal, role, scope).await
    }

    /// Makes a custom role with these actions.
    pub(super) async fn role(&self, actions: &[&str], data_actions: &[&str]) -> String {
        let guid = SystemRandom.uuid_v4().to_string();
        let subscription = ResourceId::subscription(&self.owner.subscription);
        let properties = json!({"roleName": format!("custom {guid}"), "assignableScopes": [subscription.to_string()], "permissions": [{"actions": actions, "dataActions": data_actions}]});
        let role = subscription.resource("Microsoft.Authorization", "roleDefinitions", &guid);
        self.owner.put(&role, ROLE_API, json!({ "properties": properties })).await;
        guid
    }

    /// Takes every role assignment away but the owner's.
    pub(super) async fn revoke_all(&self) {
        for stored in resources::every(self.platform(), tag::ROLE_ASSIGNMENT).await.unwrap() {
            if stored.resource.text(&["principalId"]) != Some(self.owner.id()) {
                self.owner.delete(&stored.id, ROLE_API).await;
            }
        }
    }

    pub(super) async fn dps(&self) -> DpsRef {
        self.service().dps_by_scope(&self.scope).await.unwrap()
    }

    /// Makes an enrollment group and returns its primary key.
    pub(super) async fn group(&self, name: &str, extra: Value) -> Vec<u8> {
        let mut body = json!({"enrollmentGroupId": name, "attestation": {"type": "symmetricKey", "symmetricKey": {}}});
        let Value::Object(extra) = extra else { panic!("extra members are an object") };
        for (key, value) in extra {
            body[key] = value;
        }
        let dps = self.dps().await;
        let if_match = self.service().enrollment(&self.caller().await, &dps, Group, name).await.is_ok().then_some("*");
        self.service().put_enrollment(&self.caller().await, &dps, Group, name, &body, if_match).await.unwrap();
        self.keys(Group, name).await[0].clone()
    }

    /// The keys of an enrollment, the primary one first.
    pub(super) async fn keys(&self, kind: EnrollmentKind, id: &str) -> [Vec<u8>; 2] {
        let (dps, caller) = (self.dps().await, self.caller().await);
        let mechanism = self.service().attestation_mechanism(&caller, &dps, kind, id).await.unwrap();
        ["primaryKey", "secondaryKey"]
            .map(|name| STANDARD.decode(mechanism["symmetricKey"][name].as_str().unwrap()).unwrap())
    }

    pub(super) fn token(&self, group_key: &[u8], registration: &str) -> String {
        let expiry = self.platform().clock.unix_seconds() + 3600;
        sign(
            &format!("{}/registrations/{registration}", self.scope),
            &derive_device_key(group_key, registration),
            expiry,
            Some("registration"),
        )
    }

    pub(super) fn request(&self, group_key: &[u8], registration: &str, csr: Option<String>) -> RegisterRequest {
        RegisterRequest {
            id_scope: self.scope.clone(),
            registration_id: registration.into(),
            authorization: Some(self.token(group_key, registration)),
            csr,
            ..RegisterRequest::default()
        }
    }

    /// Registers, expects `assigning`, polls, and gives the final `RegistrationOperationStatus`.
    pub(super) async fn register(&self, group_key: &[u8], registration: &str, csr: Option<String>) -> Value {
        self.register_at(self.service(), group_key, registration, csr).await
    }

    pub(super) async fn register_at(
        &self,
        service: &ProvisioningService,
        group_key: &[u8],
        registration: &str,
        csr: Option<String>,
    ) -> Value {
        let first = service.register(self.request(group_key, registration, csr)).await.unwrap();
        assert_eq!(first.body, json!({"operationId": first.operation_id, "status": "assigning"}));
        assert!((1..=3).contains(&first.retry_after_seconds));
        self.poll(group_key, registration, &first).await
    }

    pub(super) async fn poll(&self, group_key: &[u8], registration: &str, first: &OperationStatus) -> Value {
        let token = self.token(group_key, registration);
        let caller = DeviceCaller {
            id_scope: &self.scope,
            registration_id: registration,
            api_version: None,
            authorization: Some(&token),
            peer_chain: &[],
            peer: Default::default(),
        };
        let done = self.service().operation_status(caller, &first.operation_id).await.unwrap();
        assert_eq!(done.body["status"], done.status.as_str());
        done.body
    }

    /// Whether the hub lets the device in with a token signed by this key.
    pub(super) async fn connects_by_key(&self, device: &str, key: &[u8]) -> Result<()> {
        let expiry = self.platform().clock.unix_seconds() + 3600;
        let login = DeviceLogin {
            host: self.hub_host.clone(),
            device_id: device.into(),
            module_id: None,
            model_id: None,
            token: Some(sign(&format!("{}/devices/{device}", self.hub_host), key, expiry, None)),
            peer_chain: Vec::new(),
            peer: Default::default(),
        };
        self.hubs().connect(login).await.map(drop)
    }

    pub(super) async fn rows(&self, table: &'static Table) -> Vec<Arc<Row>> {
        self.platform().store.scan(table, "", Page::first(5000)).await.unwrap()
    }

    pub(super) async fn certificates(&self, state: &str) -> usize {
        self.rows(&CERTIFICATES).await.iter().filter(|row| row.value().unwrap()["state"] == state).count()
    }

    /// The ADR devices of the namespace as ARM shows them, with their uid, by their external device id.
    pub(super) async fn registry(&self) -> Map<String, Value> {
        let namespace = self.stored(&self.namespace).await;
        let found =
            resources::children(self.platform(), namespace.uid, &namespace.id, Some(tag::DEVICE)).await.unwrap();
        let mut devices = Map::new();
        for stored in found {
            let mut shown = self.owner.get(&stored.id, REGISTRY_API).await;
            shown["uid"] = stored.uid.to_string().into();
            devices.insert(shown["properties"]["externalDeviceId"].as_str().unwrap().to_owned(), shown);
        }
        devices
    }
}

fn engines(folder: &Path, clock: Arc<dyn Clock>) -> Engines {
    let options = ferrohub_store_sqlite::Options::default();
    let store = SqliteStore::open(&folder.join("store.db"), ALL, clock.clone(), options).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let log = LocalEventLog::open(
        Arc::new(RealDisk),
        &folder.join("log"),
        Arc::clone(&clock),
        ferrohub_messaging_local::Options::default(),
    )
    .unwrap();
    Engines {
        store,
        log: Arc::new(log),
        bus: Arc::new(LocalBus::new()),
        clock,
        random: Arc::new(SystemRandom),
        keys: None,
    }
}

fn settings() -> Settings {
    Settings { domain: DOMAIN.into(), pki_url: Some("http://127.0.0.1:8080".into()) }
}

/// Runs the openssl command line in `folder` and gives what it printed.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the openssl command is the oracle of this test");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A certificate request made by openssl with a P-256 key, as base64 of its DER.
pub(crate) fn csr(folder: &Path, common_name: &str, extra: &[&str]) -> String {
    let key = folder.join("device.key");
    if !key.exists() {
        openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "device.key"]);
    }
    let subject = format!("/CN={common_name}");
    let mut arguments = vec!["req", "-new", "-key", "device.key", "-subj", &subject, "-outform", "DER"];
    arguments.extend(extra);
    STANDARD.encode(openssl(folder, &arguments))
}

/// Lets openssl verify the chain of a result, as [`verify`] does.
pub(super) fn verify_chain(folder: &Path, status: &Value) -> [PathBuf; 3] {
    let chain = status["registrationState"]["issuedCertificateChain"].as_array().unwrap();
    let chain: Vec<Vec<u8>> = chain.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect();
    verify(folder, &chain)
}

/// Writes leaf, issuing CA and root as PEM files and lets openssl verify them as a TLS client's.
pub(super) fn verify(folder: &Path, chain: &[Vec<u8>]) -> [PathBuf; 3] {
    assert_eq!(chain.len(), 3);
    let mut files = Vec::new();
    for (name, der) in ["leaf", "issuing", "root"].iter().zip(chain) {
        let (from, to) = (format!("{name}.der"), format!("{name}.pem"));
        std::fs::write(folder.join(&from), der).unwrap();
        openssl(folder, &["x509", "-inform", "DER", "-in", &from, "-out", &to]);
        files.push(folder.join(to));
    }
    let words = "verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted issuing.pem leaf.pem";
    openssl(folder, &words.split(' ').collect::<Vec<_>>());
    files.try_into().unwrap()
}
