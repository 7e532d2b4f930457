//! What clients ask for, some at once, and what they were told.

use super::ledger::{Ledger, Versions};
use super::life::{Life, Machine};
use super::twins::{REPORTED, REVISION, WHOLE, state_of, versions_of};
use crate::owner::{DPS_API, GROUP_API, HUB_API, REGISTRY_API, ROLE_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::{ReadFrom, partition_for};
use ferrohub_model::clock::Clock;
use ferrohub_model::device_session::{SessionKind, Subscriptions};
use ferrohub_model::error::{ErrorKind, Result};
use ferrohub_model::limits::SAS_CLOCK_SKEW_SECONDS;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::certificate::Certificate;
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::hub::{DeviceLogin, HubRef, Telemetry};
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::provisioning::{DeviceCaller, RegisterRequest};
use ferrohub_wire::connection_string::ConnectionString;
use ferrohub_wire::sas_token::{derive_device_key, sign};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

pub(super) const HOST: &str = "hub1.azure-devices.localhost";
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const LOCK_API: &str = "2016-09-01";
const KEY: [u8; 64] = [7; 64];
/// Devices that register, and devices that come and go.
const REGISTRANTS: u64 = 3;
const DEVICES: u64 = 3;
/// Groups that come and go with all that is in them.
const TREES: u64 = 2;

/// Bodies that devices send and report; a twin takes no larger integer.
const BODIES: u64 = 1 << 52;
/// What the workload stands on and never takes away.
pub(super) struct Plant {
    pub(super) hub: ResourceId,
    namespace: ResourceId,
    scope: String,
    group_key: Vec<u8>,
    subscription: String,
    pub(super) ledger: Mutex<Ledger>,
}

/// What people make on devices.
#[derive(Debug, Clone, Copy)]
pub(super) enum Made {
    Role,
    Lock,
}

impl Made {
    /// What the ledger calls it.
    fn key(self, number: u64) -> String {
        let word = match self {
            Self::Role => "role",
            Self::Lock => "lock",
        };
        format!("made/{word}/{number}")
    }
}

impl Clone for Plant {
    /// The same plant on another machine: nothing was promised there yet.
    fn clone(&self) -> Self {
        Self {
            hub: self.hub.clone(),
            namespace: self.namespace.clone(),
            scope: self.scope.clone(),
            group_key: self.group_key.clone(),
            subscription: self.subscription.clone(),
            ledger: Mutex::default(),
        }
    }
}

impl Plant {
    /// A namespace with a policy, a linked hub, a linked provisioning service, an enrollment group, the roles.
    pub(super) async fn build(life: &Life) -> Self {
        let owner = &life.owner;
        let mut group = ResourceId::subscription(&owner.subscription);
        group.resource_group = Some("plant".into());
        let namespace = group.resource("Microsoft.DeviceRegistry", "namespaces", "ns1");
        let hub = group.resource("Microsoft.Devices", "IotHubs", "hub1");
        owner.put(&group, GROUP_API, json!({"location": "eastus"})).await;
        let own = json!({"type": "SystemAssigned"});
        owner.put(&namespace, REGISTRY_API, json!({"location": "eastus", "identity": own})).await;
        owner.put(&namespace.child("credentials", "default"), REGISTRY_API, json!({"location": "eastus"})).await;
        let policy = namespace.child("credentials", "default").child("policies", "default");
        owner.put(&policy, REGISTRY_API, json!({"properties": {}})).await;
        let rights = "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect";
        let policies = json!([{"keyName": "iothubowner", "rights": rights, "primaryKey": STANDARD.encode(KEY)}]);
        let link = json!({"namespaceResourceId": namespace.to_string()});
        let properties = json!({"authorizationPolicies": policies, "deviceRegistry": link});
        let body = json!({"location": "eastus", "sku": {"name": "S1", "capacity": 1}, "identity": own, "properties": properties});
        let made = owner.put(&hub, HUB_API, body).await;
        owner.assign(made["identity"]["principalId"].as_str().unwrap(), CONTRIBUTOR, &namespace).await;
        let found = owner.get(&namespace, REGISTRY_API).await;
        owner.assign(found["identity"]["principalId"].as_str().unwrap(), CONTRIBUTOR, &hub).await;
        let synchronize = format!("{namespace}/credentials/default/synchronize");
        assert_eq!(owner.act(&synchronize, REGISTRY_API, None).await.unwrap().status, 202);
        let text = ConnectionString::for_policy(HOST, "iothubowner", &STANDARD.encode(KEY));
        let properties = json!({
            "iotHubs": [{"connectionString": text.reveal().as_str(), "location": "eastus"}],
            "authorizationPolicies": [{"keyName": "provisioningserviceowner", "rights": "ServiceConfig, DeviceConnect, EnrollmentWrite", "primaryKey": STANDARD.encode(KEY)}],
            "deviceRegistryNamespace": {"resourceId": namespace.to_string(), "authenticationType": "SystemAssigned"}
        });
        let dps = group.resource("Microsoft.Devices", "provisioningServices", "dps1");
        let body = json!({"location": "eastus", "sku": {"name": "S1", "capacity": 1}, "identity": own, "properties": properties});
        let made = owner.put(&dps, DPS_API, body).await;
        owner.assign(made["identity"]["principalId"].as_str().unwrap(), CONTRIBUTOR, &namespace).await;
        let scope = made["properties"]["idScope"].as_str().unwrap().to_owned();
        let group_key = enroll(life, &scope).await;
        let (subscription, ledger) = (owner.subscription.clone(), Mutex::default());
        Self { hub, namespace, scope, group_key, subscription, ledger }
    }

    /// A hub's owner policy.
    pub(super) async fn caller(&self, life: &Life) -> Result<(HubRef, Actor)> {
        let hub = life.hub.by_host(HOST).await?;
        let token = sign(HOST, &KEY, life.platform.clock.unix_seconds() + 3600, Some("iothubowner"));
        let actor = life.hub.authenticate(&hub, Some(&token)).await?;
        Ok((hub, actor))
    }

    /// One thing that a client wants. An error is an answer too: it promises nothing.
    pub(super) async fn step(&self, life: &Life, machine: &Machine, requests: &[String]) {
        let outcome = match machine.below(26) {
            0..=2 => self.register(life, machine.below(REGISTRANTS), None).await,
            3 => {
                let number = machine.below(REGISTRANTS);
                self.register(life, number, Some(requests[usize::try_from(number).unwrap()].clone())).await
            }
            4..=5 => self.put_device(life, machine.below(DEVICES)).await,
            6 => self.delete_device(life, machine.below(DEVICES)).await,
            7..=9 => self.patch_twin(life, machine.below(DEVICES), machine.below(1_000_000)).await,
            10..=12 => self.connect(life, machine.below(DEVICES), machine.below(BODIES)).await,
            13..=14 => self.put_tree(life, machine.below(TREES)).await,
            15 => self.delete_tree(life, machine.below(TREES)).await,
            16 => self.switch_device(life, machine.below(DEVICES), machine.below(2) == 0).await,
            18..=19 => self.put_on(life, Made::Role, machine.below(DEVICES)).await,
            20..=21 => self.put_on(life, Made::Lock, machine.below(DEVICES)).await,
            22 => self.delete_from(life, Made::Role, machine.below(DEVICES)).await,
            // Oftener than they are made, or nothing would be deleted any more.
            23..=24 => self.delete_from(life, Made::Lock, machine.below(DEVICES)).await,
            25 => self.jump(life, machine).await,
            _ => {
                let number = machine.below(REGISTRANTS);
                self.renew(life, number, &requests[usize::try_from(number).unwrap()]).await
            }
        };
        // Kept apart from the workload: what the faults of the store and the disk lead to is told in these words.
        if let Err(error) = outcome {
            assert_ne!(error.code, "NotImplemented", "seed {}: {error}", machine.seed);
        }
    }

    fn ledger<T>(&self, note: impl FnOnce(&mut Ledger) -> T) -> T {
        note(&mut self.ledger.lock().unwrap())
    }

    async fn register(&self, life: &Life, number: u64, csr: Option<String>) -> Result<()> {
        let id = format!("r{number}");
        let begun = self.ledger(|ledger| ledger.create(format!("registration/{id}")));
        let outcome = self.registered(life, &id, csr).await;
        self.ledger(|ledger| ledger.end(&begun, matches!(outcome, Ok(true))));
        outcome.map(|_| ())
    }

    async fn registered(&self, life: &Life, id: &str, csr: Option<String>) -> Result<bool> {
        let expiry = life.platform.clock.unix_seconds() + 3600;
        let resource = format!("{}/registrations/{id}", self.scope);
        let token = sign(&resource, &derive_device_key(&self.group_key, id), expiry, Some("registration"));
        let wants_chain = csr.is_some();
        let request = RegisterRequest {
            id_scope: self.scope.clone(),
            registration_id: id.to_owned(),
            authorization: Some(token.clone()),
            csr,
            ..RegisterRequest::default()
        };
        let first = life.provisioning.register(request).await?;
        let (id_scope, authorization) = (self.scope.as_str(), Some(token.as_str()));
        let caller = DeviceCaller {
            id_scope,
            registration_id: id,
            api_version: None,
            authorization,
            peer_chain: &[],
            peer: Default::default(),
        };
        let done = life.provisioning.operation_status(caller, &first.operation_id).await?;
        if done.body["status"] != "assigned" {
            return Ok(false);
        }
        let chain = done.body["registrationState"]["issuedCertificateChain"].as_array();
        assert_eq!(chain.is_some_and(|chain| chain.len() == 3), wants_chain, "{}", done.body);
        if let Some(leaf) = chain.and_then(|chain| chain[0].as_str()) {
            let leaf = Certificate::from_der(&STANDARD.decode(leaf).unwrap()).unwrap();
            let serial = leaf.serial_hex().to_lowercase();
            let chain: Vec<Vec<u8>> =
                chain.into_iter().flatten().map(|one| STANDARD.decode(one.as_str().unwrap()).unwrap()).collect();
            let issuer = Certificate::from_der(&chain[1]).unwrap();
            assert!(
                issuer.not_before() <= leaf.not_before() && leaf.not_after() <= issuer.not_after(),
                "a certificate of {id} that its issuing CA does not cover"
            );
            self.ledger(|ledger| ledger.chains.insert(id.to_owned(), chain));
            self.ledger(|ledger| ledger.given(serial, format!("the registration {}", first.operation_id)));
        }
        Ok(true)
    }

    pub(super) async fn put_device(&self, life: &Life, number: u64) -> Result<()> {
        let id = format!("dev{number}");
        let (hub, caller) = self.caller(life).await?;
        let begun = self.ledger(|ledger| ledger.create(format!("device/{id}")));
        let outcome = life.hub.put_device(&caller, &hub, &id, &json!({}), None).await;
        self.ledger(|ledger| ledger.end(&begun, outcome.is_ok()));
        outcome.map(|_| ())
    }

    /// Lets a device connect or not, which its ADR device shows as well.
    async fn switch_device(&self, life: &Life, number: u64, enabled: bool) -> Result<()> {
        let (hub, caller) = self.caller(life).await?;
        let status = if enabled { "enabled" } else { "disabled" };
        let id = format!("dev{number}");
        life.hub.put_device(&caller, &hub, &id, &json!({"status": status}), Some("*")).await.map(|_| ())
    }

    async fn delete_device(&self, life: &Life, number: u64) -> Result<()> {
        let id = format!("dev{number}");
        let (hub, caller) = self.caller(life).await?;
        let all = [format!("device/{id}"), Made::Role.key(number), Made::Lock.key(number)];
        let begun = self.ledger(|ledger| ledger.remove(all.to_vec()));
        let outcome = life.hub.delete_device(&caller, &hub, &id, Some("*")).await;
        self.ledger(|ledger| ledger.end(&begun, outcome.is_ok()));
        outcome
    }

    /// Makes a role or a lock on the ADR device of a device.
    pub(super) async fn put_on(&self, life: &Life, made: Made, number: u64) -> Result<()> {
        let begun = self.ledger(|ledger| ledger.create(made.key(number)));
        let body = match made {
            Made::Role => {
                let role = ResourceId::subscription(&self.subscription).resource(
                    "Microsoft.Authorization",
                    "roleDefinitions",
                    builtin::READER,
                );
                json!({"properties": {"principalId": life.owner.id(), "roleDefinitionId": role.to_string()}})
            }
            Made::Lock => json!({"properties": {"level": "CanNotDelete"}}),
        };
        let (id, version) = self.made(made, number);
        let outcome = life.owner.ask("PUT", &id, version, Some(body)).await;
        self.ledger(|ledger| ledger.end(&begun, outcome.is_ok()));
        outcome.map(|_| ())
    }

    async fn delete_from(&self, life: &Life, made: Made, number: u64) -> Result<()> {
        let begun = self.ledger(|ledger| ledger.remove(vec![made.key(number)]));
        let (id, version) = self.made(made, number);
        let outcome = life.owner.ask("DELETE", &id, version, None).await;
        self.ledger(|ledger| ledger.end(&begun, outcome.is_ok()));
        outcome.map(|_| ())
    }

    fn made(&self, made: Made, number: u64) -> (ResourceId, &'static str) {
        let (device, provider) = (self.namespace.child("devices", &format!("dev{number}")), "Microsoft.Authorization");
        match made {
            Made::Role => {
                let name = format!("00000000-0000-4000-8000-{number:012}");
                (device.resource(provider, "roleAssignments", &name), ROLE_API)
            }
            Made::Lock => (device.resource(provider, "locks", "held"), LOCK_API),
        }
    }

    /// Whether ARM shows what the ledger calls `key`.
    pub(super) async fn shows_made(&self, life: &Life, key: &str) -> bool {
        let (word, number) = key.strip_prefix("made/").unwrap().split_once('/').unwrap();
        let made = if word == "role" { Made::Role } else { Made::Lock };
        let (id, version) = self.made(made, number.parse().unwrap());
        life.owner.ask("GET", &id, version, None).await.is_ok()
    }

    async fn patch_twin(&self, life: &Life, number: u64, value: u64) -> Result<()> {
        let (id, key) = (format!("dev{number}"), format!("device/dev{number}"));
        let (hub, caller) = self.caller(life).await?;
        let begun = self.ledger(|ledger| ledger.life(&key));
        let body = match value % 3 {
            0 => json!({"tags": {"value": value}}),
            1 => json!({"properties": {"desired": {"value": value}}}),
            _ => json!({"tags": {"value": value}, "properties": {"desired": {"value": value}}}),
        };
        let twin = life.hub.patch_twin(&caller, &hub, &id, &body, None).await?;
        let (versions, turn) = (versions_of(&twin), begun.as_ref().map(|(turn, _)| *turn));
        for part in [WHOLE, REVISION] {
            let was = begun.as_ref().and_then(|(_, before)| before.get(part)).copied().unwrap_or_default();
            let lives = self.ledger(|ledger| ledger.life(&key)).map(|(turn, _)| turn) == turn;
            assert!(versions[part] > was || !lives, "{part} of {id} did not grow from {was} with {body}: {twin}");
        }
        self.ledger(|ledger| ledger.changed(&key, &versions, begun));
        self.ledger(|ledger| ledger.stood_for(&key, versions[REVISION], &state_of(&twin), turn));
        Ok(())
    }

    /// The wall clock is set wrong. A token is good for as long as the clock
    /// says, whatever was said of it before.
    async fn jump(&self, life: &Life, machine: &Machine) -> Result<()> {
        let hub = life.hub.by_host(HOST).await?;
        let expiry = life.platform.clock.unix_seconds() + 3600;
        let token = sign(HOST, &KEY, expiry, Some("iothubowner"));
        life.hub.authenticate(&hub, Some(&token)).await?;
        let before = life.platform.now();
        machine.jump();
        let now = life.platform.now();
        self.ledger(|ledger| ledger.it_is(before.max(now)));
        let outcome = life.hub.authenticate(&hub, Some(&token)).await;
        // Where somebody else set it meanwhile, nothing is known.
        if life.platform.now().duration_since(now).unsigned_abs() < Duration::from_secs(60) {
            let good = now.as_second() < expiry + SAS_CLOCK_SKEW_SECONDS;
            assert!(outcome.is_err() || good, "seed {}: a token that has ended is taken", machine.seed);
            let refused = outcome.as_ref().is_err_and(|error| error.kind == ErrorKind::Unauthenticated);
            assert!(!refused || !good, "seed {}: a token is refused before its end: {outcome:?}", machine.seed);
        }
        outcome.map(|_| self.ledger(|ledger| ledger.jumps += 1))
    }

    /// Devices that connect.
    pub(super) fn devices(&self) -> impl Iterator<Item = String> {
        (0..DEVICES).map(|number| format!("dev{number}"))
    }

    /// A device connects, says what it wants to hear, reports and sends.
    pub(super) async fn connect(&self, life: &Life, number: u64, body: u64) -> Result<()> {
        let id = format!("dev{number}");
        let token = sign(HOST, &KEY, life.platform.clock.unix_seconds() + 3600, Some("iothubowner"));
        let host = HOST.to_owned();
        let login = DeviceLogin {
            host,
            device_id: id,
            module_id: None,
            model_id: None,
            token: Some(token),
            peer_chain: Vec::new(),
            peer: Default::default(),
        };
        let kind = if body.is_multiple_of(2) { SessionKind::Clean } else { SessionKind::Lasting };
        let stays = body.is_multiple_of(3);
        let key = format!("device/dev{number}");
        let begun = self.ledger(|ledger| ledger.life(&key));
        let session = life.hub.open(login, kind).await?;
        session.connection().remember(Subscriptions { twin: true, ..Subscriptions::default() }).await?;
        let before = session.twin().await?["reported"]["$version"].as_u64().unwrap();
        let after = session.patch_reported(json!({ "body": body }), None).await?;
        assert!(after > before, "the reported version fell from {before} to {after}");
        self.ledger(|ledger| ledger.changed(&key, &Versions::from([(REPORTED, after)]), begun));
        let body = format!("{body:x}");
        session.publish(&[Telemetry { payload: body.clone().into(), ..Telemetry::default() }]).await?;
        self.ledger(|ledger| {
            ledger.acknowledged += 1;
            ledger.published.insert(body);
        });
        // Some stay for long enough to be written down as connected.
        if stays {
            life.clock().sleep(Duration::from_secs(3)).await;
        }
        drop(session);
        Ok(())
    }

    /// A device registers, connects with the chain that it got, and asks for the next certificate.
    pub(super) async fn renew(&self, life: &Life, number: u64, csr: &str) -> Result<()> {
        let id = format!("r{number}");
        // Whoever registered without a request since has keys now.
        self.register(life, number, Some(csr.to_owned())).await?;
        let Some(peer_chain) = self.ledger(|ledger| ledger.chains.get(&id).cloned()) else { return Ok(()) };
        let leaf = Certificate::from_der(&peer_chain[0]).unwrap();
        let login = DeviceLogin {
            host: HOST.into(),
            device_id: id.clone(),
            module_id: None,
            model_id: None,
            token: None,
            peer_chain,
            peer: Default::default(),
        };
        let before = life.platform.now();
        let session = life.hub.open(login, SessionKind::Clean).await?;
        // The clock may have been set meanwhile; one of the two times let it in.
        let times = [before, life.platform.now()];
        assert!(
            times.iter().any(|now| leaf.not_before() <= *now && *now < leaf.not_after()),
            "{id} came in with a certificate that is not valid at {times:?}"
        );
        let turn = self.ledger(|ledger| ledger.renew(&id));
        let body = json!({"id": id, "csr": csr, "replace": "*"});
        let request = format!("rid-{turn}");
        let accepted = session.connection().renew(&request, &body).await.map_err(|refused| refused.error)?;
        self.ledger(|ledger| ledger.accepted(&id, turn, accepted.correlation_id, accepted.expires));
        Ok(())
    }

    fn tree(&self, number: u64) -> Vec<(String, ResourceId, &'static str)> {
        let mut group = ResourceId::subscription(&self.subscription);
        group.resource_group = Some(format!("tree{number}"));
        let key = |part: &str| format!("tree/{number}/{part}");
        let namespace = group.resource("Microsoft.DeviceRegistry", "namespaces", &format!("leaf{number}"));
        vec![
            (key("hub"), group.resource("Microsoft.Devices", "IotHubs", &format!("branch{number}")), HUB_API),
            (
                key("dps"),
                group.resource("Microsoft.Devices", "provisioningServices", &format!("dps-{number}")),
                DPS_API,
            ),
            (key("credential"), namespace.child("credentials", "default"), REGISTRY_API),
            (key("namespace"), namespace, REGISTRY_API),
            (key("group"), group, GROUP_API),
        ]
    }

    /// Makes a group with a namespace, a hub and a provisioning service that are linked to it.
    async fn put_tree(&self, life: &Life, number: u64) -> Result<()> {
        let tree = self.tree(number);
        let namespace = tree[3].1.to_string();
        for (key, id, version) in tree.into_iter().rev() {
            let mut body = json!({"location": "eastus"});
            let own = json!({"type": "SystemAssigned"});
            if key.ends_with("hub") {
                body = json!({"location": "eastus", "sku": {"name": "S1", "capacity": 1}, "identity": own,
                    "properties": {"deviceRegistry": {"namespaceResourceId": namespace}}});
            } else if key.ends_with("dps") {
                body = json!({"location": "eastus", "sku": {"name": "S1", "capacity": 1}, "identity": own,
                    "properties": {"deviceRegistryNamespace": {"resourceId": namespace, "authenticationType": "SystemAssigned"}}});
            }
            let begun = self.ledger(|ledger| ledger.create(key));
            let outcome = life.owner.ask("PUT", &id, version, Some(body)).await;
            self.ledger(|ledger| ledger.end(&begun, outcome.is_ok()));
            outcome?;
        }
        Ok(())
    }

    async fn delete_tree(&self, life: &Life, number: u64) -> Result<()> {
        let tree = self.tree(number);
        let group = tree[4].1.clone();
        let begun = self.ledger(|ledger| ledger.remove(tree.into_iter().map(|(key, ..)| key).collect()));
        let answer = life.owner.ask("DELETE", &group, GROUP_API, None).await?;
        match answer.status {
            202 => self.ledger(Ledger::goes_on),
            _ => self.ledger(|ledger| ledger.end(&begun, true)),
        }
        Ok(())
    }

    /// Whether ARM shows a part of a tree.
    pub(super) async fn shows(&self, life: &Life, key: &str) -> bool {
        let number = key.split('/').nth(1).unwrap().parse().unwrap();
        let (_, id, version) = self.tree(number).into_iter().find(|(of, ..)| of == key).unwrap();
        life.owner.ask("GET", &id, version, None).await.is_ok()
    }

    /// Bodies of every event of the hub.
    pub(super) async fn events(&self, life: &Life) -> BTreeSet<String> {
        let (hub, caller) = self.caller(life).await.unwrap();
        let mut bodies = BTreeSet::new();
        for partition in (0..DEVICES).map(|number| partition_for(&format!("dev{number}"), hub.partition_count)) {
            let found = life.hub.read_events(&caller, &hub, partition, ReadFrom::Beginning, usize::MAX).await.unwrap();
            bodies.extend(found.iter().map(|event| String::from_utf8(event.body.to_vec()).unwrap()));
        }
        bodies
    }
}

/// Makes the enrollment group and gives its key.
async fn enroll(life: &Life, scope: &str) -> Vec<u8> {
    let dps = life.provisioning.dps_by_scope(scope).await.unwrap();
    let expiry = life.platform.clock.unix_seconds() + 3600;
    let token = sign("dps1.azure-devices-provisioning.localhost", &KEY, expiry, Some("provisioningserviceowner"));
    let caller = life.provisioning.authenticate(&dps, Some(&token)).await.unwrap();
    let body: Value = json!({"enrollmentGroupId": "g", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
        "credentialPolicyName": "default"});
    life.provisioning.put_enrollment(&caller, &dps, Group, "g", &body, None).await.unwrap();
    let mechanism = life.provisioning.attestation_mechanism(&caller, &dps, Group, "g").await.unwrap();
    STANDARD.decode(mechanism["symmetricKey"]["primaryKey"].as_str().unwrap()).unwrap()
}
