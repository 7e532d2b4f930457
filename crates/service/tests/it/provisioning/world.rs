//! A namespace, a hub and a provisioning service over the real engines, written as ARM would write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::disk::RealDisk;
use ferrohub_messaging_local::{LocalBus, LocalEventLog};
use ferrohub_model::clock::{Clock, SystemClock};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::random::Random;
use ferrohub_model::resource::{AssignedIdentity, Identity, Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::key::generate_symmetric_key;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::keyring::Keyring;
use ferrohub_service::platform::{Change, Engines, Platform, Settings, Tenancy};
use ferrohub_service::provisioning::{DeviceCaller, DpsRef, OperationStatus, ProvisioningService, RegisterRequest};
use ferrohub_service::resources::{self, RowExtra, Stored};
use ferrohub_service::tables::{ALL, CERTIFICATES, RESOURCES};
use ferrohub_service::{certificate, directory};
use ferrohub_store::{Page, Row, Store, Table};
use ferrohub_store_sqlite::SqliteStore;
use ferrohub_wire::connection_string::ConnectionString;
use ferrohub_wire::sas_token::{derive_device_key, sign};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

pub(super) const SUBSCRIPTION: &str = "10000000-0000-0000-0000-000000000001";
pub(super) const SCOPE: &str = "0NE0000000A";
pub(super) const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const DOMAIN: &str = "localhost";

pub(super) struct World {
    pub(super) platform: Arc<Platform>,
    pub(super) service: Arc<ProvisioningService>,
    pub(super) namespace: ResourceId,
    pub(super) dps: ResourceId,
    pub(super) hub_host: String,
    pub(super) dps_principal: String,
    pub(super) folder: TempDir,
}

pub(super) fn id(text: &str) -> ResourceId {
    ResourceId::parse(&format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/{text}")).unwrap()
}

pub(super) fn hub_id(name: &str) -> ResourceId {
    id(&format!("Microsoft.Devices/IotHubs/{name}"))
}

fn resource(id: &ResourceId, uid: Uuid, properties: Value) -> Resource {
    let Value::Object(properties) = properties else { panic!("properties are an object") };
    Resource {
        id: id.to_string(),
        uid,
        name: id.name().into(),
        kind: id.resource_type(),
        location: Some("eastus".into()),
        tags: None,
        sku: None,
        identity: None,
        properties,
        secrets: BTreeMap::new(),
        system_data: SystemData::default(),
        etag: "e".into(),
    }
}

impl World {
    /// Everything linked and granted, without an enrollment group.
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let platform = Arc::new(open(folder.path()).await);
        let namespace = id("Microsoft.DeviceRegistry/namespaces/plant");
        let dps = id("Microsoft.Devices/provisioningServices/dps1");
        let hub_host = format!("hub1.azure-devices.{DOMAIN}");
        let world = Self {
            service: Arc::new(ProvisioningService::new(Arc::clone(&platform))),
            platform,
            namespace,
            dps,
            hub_host,
            dps_principal: SystemRandom.uuid_v4().to_string(),
            folder,
        };
        world.principal(&world.dps_principal).await;
        world.write_namespace().await;
        world.write_hub("hub1", true).await;
        world.write_dps(true).await;
        world.link(&["hub1"]).await;
        world.grant(&world.dps_principal, &world.namespace, CONTRIBUTOR).await;
        world
    }

    /// Closes the engines and opens them again on the same folder.
    pub(super) async fn reopen(&mut self) {
        let elsewhere = tempfile::tempdir().unwrap();
        let empty = Arc::new(open(elsewhere.path()).await);
        // The former engines are closed by dropping the last handle on them.
        self.service = Arc::new(ProvisioningService::new(Arc::clone(&empty)));
        self.platform = empty;
        self.platform = Arc::new(open(self.folder.path()).await);
        self.service = Arc::new(ProvisioningService::new(Arc::clone(&self.platform)));
    }

    async fn principal(&self, object: &str) {
        let mut change = Change::new();
        let principal = Principal {
            id: object.into(),
            app_id: SystemRandom.uuid_v4().to_string(),
            display_name: "dps1".into(),
            kind: PrincipalKind::ManagedIdentity,
            resource_id: Some(object.into()),
            application_object_id: None,
            secrets: Vec::new(),
        };
        change.unit.put(directory::put(&principal).unwrap());
        self.platform.commit(change).await.unwrap();
    }

    pub(super) async fn write(&self, resource: &Resource, extra: RowExtra) {
        let mut change = Change::new();
        change.access = true;
        change.unit.put(resources::put(resource, extra).unwrap());
        self.platform.commit(change).await.unwrap();
    }

    async fn write_namespace(&self) {
        let uid = self.platform.new_id();
        self.write(&resource(&self.namespace, uid, json!({"uuid": uid.to_string()})), RowExtra::default()).await;
        let credential = self.namespace.child("credentials", "default");
        self.write(&resource(&credential, self.platform.new_id(), json!({})), RowExtra::default()).await;
        let mut change = Change::new();
        let namespace = self.stored(&self.namespace).await;
        certificate::create_root(&self.platform, &namespace, &credential, &mut change).await.unwrap();
        self.platform.commit(change).await.unwrap();
        self.write_policy("default", None).await.unwrap();
    }

    pub(super) async fn write_policy(&self, name: &str, subject: Option<&str>) -> ferrohub_model::error::Result<()> {
        let policy = self.namespace.child("credentials", "default").child("policies", name);
        let mut change = Change::new();
        let namespace = self.stored(&self.namespace).await;
        certificate::create_issuing(&self.platform, &namespace, &policy, subject, &mut change).await?;
        let body = json!({"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 42}}});
        change.unit.put(resources::put(&resource(&policy, self.platform.new_id(), body), RowExtra::default())?);
        self.platform.commit(change).await?;
        Ok(())
    }

    pub(super) async fn stored(&self, id: &ResourceId) -> Stored {
        resources::require(self.platform.store.as_ref(), id).await.unwrap()
    }

    async fn seal(&self, resource: &mut Resource, field: &str, text: &str) {
        let row = ResourceId::parse(&resource.id).unwrap().key();
        let owner = resource.uid.to_string();
        let store = self.platform.store.as_ref();
        let sealed =
            self.platform.keyring.seal(store, &owner, RESOURCES.name, &row, field, text.as_bytes()).await.unwrap();
        resource.secrets.insert(field.into(), sealed);
    }

    pub(super) async fn write_hub(&self, name: &str, linked: bool) {
        let host = format!("{name}.azure-devices.{DOMAIN}");
        let mut properties = json!({"hostName": host, "state": "Active", "authorizationPolicies": [
            {"keyName": "iothubowner", "rights": "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect"},
            {"keyName": "service", "rights": "ServiceConnect"}]});
        if linked {
            properties["deviceRegistry"] = json!({"namespaceResourceId": self.namespace.to_string()});
        }
        let mut hub = resource(&hub_id(name), self.platform.new_id(), properties);
        for policy in ["iothubowner", "service"] {
            for which in ["primary", "secondary"] {
                let key = generate_symmetric_key(&SystemRandom);
                self.seal(&mut hub, &format!("{policy}/{which}"), &key).await;
            }
        }
        let extra = RowExtra {
            unique_name: Some(format!("iothubs/{name}")),
            link: linked.then(|| self.namespace.key()),
            lookup: Some(format!("host/{host}")),
        };
        self.write(&hub, extra).await;
    }

    /// Gives the hub's owner policy a new primary key.
    pub(super) async fn rotate_hub_key(&self, name: &str) {
        let mut hub = self.stored(&hub_id(name)).await.resource;
        let key = generate_symmetric_key(&SystemRandom);
        self.seal(&mut hub, "iothubowner/primary", &key).await;
        self.rewrite(&hub).await;
    }

    /// Writes a resource again with the columns that its row has.
    pub(super) async fn rewrite(&self, resource: &Resource) {
        let key = ResourceId::parse(&resource.id).unwrap().key();
        let row = self.platform.store.get(&RESOURCES, &key).await.unwrap().unwrap();
        self.write(resource, RowExtra::of(&row)).await;
    }

    async fn write_dps(&self, linked: bool) {
        let mut properties = json!({"idScope": SCOPE, "allocationPolicy": "Hashed", "iotHubs": [],
            "serviceOperationsHostName": format!("dps1.azure-devices-provisioning.{DOMAIN}"),
            "deviceProvisioningHostName": format!("global.azure-devices-provisioning.{DOMAIN}"),
            "authorizationPolicies": [
                {"keyName": "provisioningserviceowner", "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite"},
                {"keyName": "reader", "rights": "EnrollmentRead"}]});
        if linked {
            properties["deviceRegistryNamespace"] =
                json!({"resourceId": self.namespace.to_string(), "authenticationType": "SystemAssigned"});
        }
        let mut dps = resource(&self.dps, self.platform.new_id(), properties);
        dps.identity = Some(Identity {
            system_principal_id: Some(self.dps_principal.clone()),
            user_assigned: BTreeMap::from([("/unused".to_owned(), AssignedIdentity::default())]),
        });
        for policy in ["provisioningserviceowner", "reader"] {
            self.seal(&mut dps, &format!("{policy}/primary"), &STANDARD.encode([7u8; 64])).await;
        }
        let extra = RowExtra {
            unique_name: Some("provisioningservices/dps1".into()),
            link: linked.then(|| self.namespace.key()),
            lookup: Some(format!("scope/{SCOPE}")),
        };
        self.write(&dps, extra).await;
    }

    /// Links the provisioning service to exactly these hubs, with their present primary owner keys.
    pub(super) async fn link(&self, hubs: &[&str]) {
        let mut dps = self.stored(&self.dps).await.resource;
        let mut list = Vec::new();
        for name in hubs {
            let hub = self.stored(&hub_id(name)).await;
            let host = hub.resource.text(&["hostName"]).unwrap().to_owned();
            let store = self.platform.store.as_ref();
            let sealed = &hub.resource.secrets["iothubowner/primary"];
            let (owner, row) = (hub.resource.uid.to_string(), hub_id(name).key());
            let key = self
                .platform
                .keyring
                .open(store, &owner, RESOURCES.name, &row, "iothubowner/primary", sealed)
                .await
                .unwrap();
            let text = ConnectionString::for_policy(&host, "iothubowner", std::str::from_utf8(&key).unwrap()).reveal();
            self.seal(&mut dps, &format!("linkedHub/{host}"), &text).await;
            list.push(json!({"name": host, "location": "eastus"}));
        }
        dps.properties.insert("iotHubs".into(), Value::Array(list));
        self.rewrite(&dps).await;
    }

    /// Grants a role and returns the id of the assignment.
    pub(super) async fn grant(&self, principal: &str, scope: &ResourceId, role: &str) -> ResourceId {
        let assignment =
            scope.resource("Microsoft.Authorization", "roleAssignments", &SystemRandom.uuid_v4().to_string());
        let properties = json!({"principalId": principal, "scope": scope.to_string(),
            "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{role}")});
        self.write(&resource(&assignment, self.platform.new_id(), properties), RowExtra::default()).await;
        assignment
    }

    /// Makes a custom role with these actions.
    pub(super) async fn role(&self, actions: &[&str], data_actions: &[&str]) -> String {
        let guid = SystemRandom.uuid_v4().to_string();
        let role = ResourceId::parse(&format!("/providers/Microsoft.Authorization/roleDefinitions/{guid}")).unwrap();
        let properties = json!({"roleName": format!("custom {guid}"), "assignableScopes": ["/"], "permissions": [{"actions": actions, "dataActions": data_actions}]});
        self.write(&resource(&role, self.platform.new_id(), properties), RowExtra::default()).await;
        guid
    }

    /// Takes every role assignment away.
    pub(super) async fn revoke_all(&self) {
        let mut change = Change::new();
        change.access = true;
        for stored in
            resources::all_where(self.platform.store.as_ref(), "kind", resources::kind::ROLE_ASSIGNMENT).await.unwrap()
        {
            change.unit.delete(&RESOURCES, stored.id().unwrap().key());
        }
        self.platform.commit(change).await.unwrap();
    }

    pub(super) async fn dps(&self) -> DpsRef {
        self.service.dps_by_scope(SCOPE).await.unwrap()
    }

    /// Makes an enrollment group and returns its primary key.
    pub(super) async fn group(&self, name: &str, extra: Value) -> Vec<u8> {
        let mut body = json!({"enrollmentGroupId": name, "attestation": {"type": "symmetricKey", "symmetricKey": {}}});
        let Value::Object(extra) = extra else { panic!("extra members are an object") };
        for (key, value) in extra {
            body[key] = value;
        }
        let dps = self.dps().await;
        self.service.put_group(&dps, name, &body, None).await.unwrap();
        let mechanism = self.service.attestation_mechanism(&dps, name).await.unwrap();
        STANDARD.decode(mechanism["symmetricKey"]["primaryKey"].as_str().unwrap()).unwrap()
    }

    pub(super) fn token(&self, group_key: &[u8], registration: &str) -> String {
        let expiry = self.platform.clock.unix_seconds() + 3600;
        sign(
            &format!("{SCOPE}/registrations/{registration}"),
            &derive_device_key(group_key, registration),
            expiry,
            Some("registration"),
        )
    }

    pub(super) fn request(&self, group_key: &[u8], registration: &str, csr: Option<String>) -> RegisterRequest {
        RegisterRequest {
            id_scope: SCOPE.into(),
            registration_id: registration.into(),
            authorization: Some(self.token(group_key, registration)),
            csr,
            ..RegisterRequest::default()
        }
    }

    /// Registers, expects `assigning`, polls, and gives the final `RegistrationOperationStatus`.
    pub(super) async fn register(&self, group_key: &[u8], registration: &str, csr: Option<String>) -> Value {
        self.register_at(&self.service, group_key, registration, csr).await
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
            id_scope: SCOPE,
            registration_id: registration,
            authorization: Some(&token),
            peer_chain: &[],
        };
        let done = self.service.operation_status(caller, &first.operation_id).await.unwrap();
        assert_eq!(done.body["status"], done.status.as_str());
        done.body
    }

    pub(super) async fn rows(&self, table: &'static Table) -> Vec<Arc<Row>> {
        self.platform.store.scan(table, "", Page::first(5000)).await.unwrap()
    }

    pub(super) async fn certificates(&self, state: &str) -> usize {
        self.rows(&CERTIFICATES).await.iter().filter(|row| row.value().unwrap()["state"] == state).count()
    }

    /// The ADR devices of the namespace by their external device id.
    pub(super) async fn registry(&self) -> Map<String, Value> {
        let found = resources::all_where(self.platform.store.as_ref(), "kind", resources::kind::DEVICE).await.unwrap();
        found
            .into_iter()
            .map(|stored| {
                (
                    stored.resource.text(&["externalDeviceId"]).unwrap().to_owned(),
                    serde_json::to_value(stored.resource).unwrap(),
                )
            })
            .collect()
    }
}

pub(super) async fn open(folder: &Path) -> Platform {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&folder.join("store.db"), ALL, ferrohub_store_sqlite::Options::default()).unwrap());
    let log = LocalEventLog::open(
        Arc::new(RealDisk),
        &folder.join("log"),
        Arc::clone(&clock),
        ferrohub_messaging_local::Options::default(),
    )
    .unwrap();
    let engines =
        Engines { store, log: Arc::new(log), bus: Arc::new(LocalBus::new()), clock, random: Arc::clone(&random) };
    let keyring = Keyring::new(MasterKey::from_bytes(&[42; 32]).unwrap(), random);
    let settings = Settings { domain: DOMAIN.into(), pki_url: Some("http://127.0.0.1:8080".into()) };
    let tenancy = Tenancy { tenant_id: "t".into(), subscription_id: SUBSCRIPTION.into() };
    Platform::open(engines, keyring, settings, tenancy).await.unwrap()
}

/// Runs the openssl command line in `folder` and gives what it printed.
pub(super) fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the openssl command is the oracle of this test");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A certificate request made by openssl with a P-256 key, as base64 of its DER.
pub(super) fn csr(folder: &Path, common_name: &str, extra: &[&str]) -> String {
    let key = folder.join("device.key");
    if !key.exists() {
        openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "device.key"]);
    }
    let subject = format!("/CN={common_name}");
    let mut arguments = vec!["req", "-new", "-key", "device.key", "-subj", &subject, "-outform", "DER"];
    arguments.extend(extra);
    STANDARD.encode(openssl(folder, &arguments))
}

/// Writes the chain of a result as PEM files and lets openssl verify it as a TLS client's.
pub(super) fn verify_chain(folder: &Path, status: &Value) -> [PathBuf; 3] {
    let chain = status["registrationState"]["issuedCertificateChain"].as_array().unwrap();
    assert_eq!(chain.len(), 3);
    let mut files = Vec::new();
    for (name, base64) in ["leaf", "issuing", "root"].iter().zip(chain) {
        let der = folder.join(format!("{name}.der"));
        std::fs::write(&der, STANDARD.decode(base64.as_str().unwrap()).unwrap()).unwrap();
        let pem = folder.join(format!("{name}.pem"));
        openssl(folder, &["x509", "-inform", "DER", "-in", der.to_str().unwrap(), "-out", pem.to_str().unwrap()]);
        files.push(pem);
    }
    openssl(
        folder,
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-CAfile",
            "root.pem",
            "-untrusted",
            "issuing.pem",
            "leaf.pem",
        ],
    );
    files.try_into().unwrap()
}
