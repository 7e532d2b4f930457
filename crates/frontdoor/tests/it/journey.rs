//! From a namespace to telemetry: Resource Manager, provisioning over both protocols, a device at its hub.

use crate::http_client::Answer;
use crate::rig::Rig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_client::device::dial::{ClientCertificate, Dial};
use ferrohub_client::device::hub::{HubDevice, Proof};
use ferrohub_client::device::key;
use ferrohub_client::device::registration::{Registration, RegistrationRequest, register};
use ferrohub_clock::SystemClock;
use ferrohub_messaging::ReadFrom;
use ferrohub_model::clock::Clock;
use ferrohub_wire::sas_token;
use serde_json::{Value, json};
use std::time::Duration;

const REGISTRY: &str = "2026-03-01-preview";
pub(crate) const HUB: &str = "2025-08-01-preview";
pub(crate) const DPS: &str = "2025-02-01-preview";
const ROLE: &str = "2022-04-01";
const LOCATION: &str = "swedencentral";
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
pub(crate) const HUB_HOST: &str = "hub1.azure-devices.localhost";
pub(crate) const DPS_HOST: &str = "dps1.azure-devices-provisioning.localhost";

/// A server with a hub, a provisioning service and an enrollment group.
pub(crate) struct Plant {
    pub(crate) rig: Rig,
    pub(crate) id_scope: String,
    pub(crate) group_key: String,
    pub(crate) hub_key: String,
    pub(crate) dps_key: String,
}

impl Plant {
    pub(crate) async fn build() -> Self {
        let rig = Rig::start().await;
        let group = format!("/subscriptions/{}/resourceGroups/g1", rig.owner.subscription_id);
        let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/ns1");
        let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1");
        let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub1");
        let dps = format!("{group}/providers/Microsoft.Devices/provisioningServices/dps1");
        put(&rig, &group, "2024-11-01", json!({"location": LOCATION})).await;
        let principal =
            put(&rig, &identity, "2024-11-30", json!({"location": LOCATION})).await["properties"]["principalId"]
                .clone();
        put(&rig, &namespace, REGISTRY, json!({"location": LOCATION, "identity": {"type": "SystemAssigned"}})).await;
        put(
            &rig,
            &format!("{namespace}/credentials/default"),
            REGISTRY,
            json!({"location": LOCATION, "properties": {}}),
        )
        .await;
        let policy = json!({"location": LOCATION, "properties": {"certificate": {
            "certificateAuthorityConfiguration": {"keyType": "ECC"}, "leafCertificateConfiguration": {"validityPeriodInDays": 30}}}});
        put(&rig, &format!("{namespace}/credentials/default/policies/policy1"), REGISTRY, policy).await;
        let role = format!(
            "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}",
            rig.owner.subscription_id
        );
        let assignment =
            format!("{group}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-00000000000a");
        put(&rig, &assignment, ROLE, json!({"properties": {"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"}})).await;
        let identities = json!({"type": "UserAssigned", "userAssignedIdentities": {identity.as_str(): {}}});
        let body = json!({"location": LOCATION, "sku": {"name": "GEN2", "capacity": 1}, "identity": identities, "properties": {
            "deviceRegistry": {"namespaceResourceId": namespace, "identityResourceId": identity}}});
        put(&rig, &hub, HUB, body).await;
        let namespace_principal =
            rig.arm("GET", &namespace, REGISTRY, None).await.expect(200)["identity"]["principalId"].clone();
        let assignment =
            format!("{hub}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-00000000000b");
        put(&rig, &assignment, ROLE, json!({"properties": {"roleDefinitionId": role, "principalId": namespace_principal, "principalType": "ServicePrincipal"}})).await;
        let hub_key = owner_key(&rig, &hub, HUB, "iothubowner").await;
        let link = format!("HostName={HUB_HOST};SharedAccessKeyName=iothubowner;SharedAccessKey={hub_key}");
        let body = json!({"location": LOCATION, "sku": {"name": "S1", "capacity": 1}, "identity": identities, "properties": {
            "iotHubs": [{"connectionString": link, "location": LOCATION}],
            "deviceRegistryNamespace": {"resourceId": namespace, "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": identity}}});
        let made = put(&rig, &dps, DPS, body).await;
        let id_scope = made["properties"]["idScope"].as_str().unwrap().to_owned();
        let dps_key = owner_key(&rig, &dps, DPS, "provisioningserviceowner").await;
        let synchronize =
            rig.arm("POST", &format!("{namespace}/credentials/default/synchronize"), REGISTRY, None).await;
        assert!(synchronize.status < 300, "{}", synchronize.text);
        let mut plant = Self { rig, id_scope, group_key: String::new(), hub_key, dps_key };
        let group = json!({"attestation": {"type": "symmetricKey", "symmetricKey": {}}, "credentialPolicyName": "policy1", "provisioningStatus": "enabled"});
        plant.dps("PUT", "/enrollmentGroups/eg1", Some(&group)).await.expect(200);
        let mechanism = plant.dps("POST", "/enrollmentgroups/eg1/attestationmechanism/", None).await.expect(200);
        plant.group_key = mechanism["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned();
        plant
    }

    async fn data(
        &self,
        method: &str,
        host: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut all = vec![("authorization", token)];
        all.extend_from_slice(headers);
        self.rig.https.send(method, host, path, &all, body.map(Value::to_string).unwrap_or_default()).await
    }

    async fn dps(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let token = token(DPS_HOST, &self.dps_key, "provisioningserviceowner");
        self.data(method, DPS_HOST, &format!("{path}?api-version=2025-07-01-preview"), &token, &[], body).await
    }

    async fn hub(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let token = token(HUB_HOST, &self.hub_key, "iothubowner");
        self.data(method, HUB_HOST, &format!("{path}?api-version=2021-04-12"), &token, headers, body).await
    }

    /// Registers over MQTT with a certificate signing request.
    pub(crate) async fn register(&self, id: &str, own_key: &DeviceKey) -> Registration {
        let request = RegistrationRequest {
            id_scope: self.id_scope.clone(),
            registration_id: id.into(),
            device_key: Some(key::derive(&self.group_key, id).unwrap()),
            csr: Some(own_key.certificate_request(id).unwrap()),
            payload: None,
        };
        let dial = Dial::new(
            self.rig.mqtt(),
            "global.azure-devices-provisioning.localhost",
            self.rig.ca_pem.as_bytes(),
            None,
            SystemClock::shared(),
        )
        .unwrap();
        register(&dial, &request).await.unwrap()
    }
}

pub(crate) async fn put(rig: &Rig, path: &str, version: &str, body: Value) -> Value {
    let answer = rig.arm("PUT", path, version, Some(&body)).await;
    assert!(answer.status == 200 || answer.status == 201, "{path}: {} {}", answer.status, answer.text);
    assert!(!answer.header("x-ms-request-id").is_empty());
    answer.json()
}

pub(crate) async fn owner_key(rig: &Rig, resource: &str, version: &str, policy: &str) -> String {
    let keys = rig.arm("POST", &format!("{resource}/listkeys"), version, None).await.expect(200);
    let found = keys["value"].as_array().unwrap().iter().find(|key| key["keyName"] == policy).unwrap();
    found["primaryKey"].as_str().unwrap().to_owned()
}

pub(crate) fn token(resource: &str, key: &str, policy: &str) -> String {
    sas_token::sign(resource, &STANDARD.decode(key).unwrap(), SystemClock.unix_seconds() + 3600, Some(policy))
}

#[tokio::test]
async fn from_a_certificate_request_to_stored_telemetry() {
    let plant = Plant::build().await;
    let own_key = DeviceKey::generate().unwrap();
    let registration = plant.register("d1", &own_key).await;
    assert_eq!((registration.assigned_hub.as_str(), registration.chain.len()), (HUB_HOST, 3));
    let certificate = ClientCertificate { chain: &registration.chain, key: &own_key };
    let dial =
        Dial::new(plant.rig.mqtt(), HUB_HOST, plant.rig.ca_pem.as_bytes(), Some(certificate), SystemClock::shared())
            .unwrap();
    let mut device = HubDevice::connect(&dial, HUB_HOST, "d1", Proof::Certificate).await.unwrap();

    device.send(r#"{"t":1}"#, &[("$.ct", "application/json"), ("level", "hot")]).await.unwrap();
    let hub = plant.rig.service().hub.by_host(HUB_HOST).await.unwrap();
    let owner = token(HUB_HOST, &plant.hub_key, "iothubowner");
    let actor = plant.rig.service().hub.authenticate(&hub, Some(&owner)).await.unwrap();
    let mut stored = Vec::new();
    for partition in 0..hub.partition_count {
        stored.extend(
            plant.rig.service().hub.read_events(&actor, &hub, partition, ReadFrom::Beginning, 10).await.unwrap(),
        );
    }
    assert_eq!(stored.len(), 1);
    assert_eq!(
        (&stored[0].body[..], stored[0].properties.system("content-type")),
        (&br#"{"t":1}"#[..], Some("application/json"))
    );
    assert_eq!(stored[0].properties.system("iothub-connection-device-id"), Some("d1"));

    device.report(&json!({"firmware": 3})).await.unwrap();
    let twin = plant.hub("GET", "/twins/d1", &[], None).await;
    assert_eq!(twin.expect(200)["properties"]["reported"]["firmware"], 3);
    assert!(twin.header("etag").starts_with('"'));
    let patch = json!({"properties": {"desired": {"interval": 5}}});
    plant.hub("PATCH", "/twins/d1", &[("if-match", "\"*\"")], Some(&patch)).await.expect(200);
    let desired = device.desired(Duration::from_secs(10)).await.unwrap();
    assert_eq!(desired.patch["interval"], 5);

    // Disabling the device ends its session, and it is not let in again.
    let mut identity = plant.hub("GET", "/devices/d1", &[], None).await.expect(200);
    identity["status"] = json!("disabled");
    plant.hub("PUT", "/devices/d1", &[("if-match", "*")], Some(&identity)).await.expect(200);
    assert!(device.desired(Duration::from_secs(10)).await.is_err());
    assert!(HubDevice::connect(&dial, HUB_HOST, "d1", Proof::Certificate).await.is_err());
    plant.rig.stop().await;
}

#[tokio::test]
async fn a_revoked_issuing_ca_ends_its_sessions_and_a_fresh_registration_connects() {
    let plant = Plant::build().await;
    let dial = |registration: &Registration, key: &DeviceKey| {
        let certificate = ClientCertificate { chain: &registration.chain, key };
        let ca = plant.rig.ca_pem.as_bytes();
        Dial::new(plant.rig.mqtt(), HUB_HOST, ca, Some(certificate), SystemClock::shared()).unwrap()
    };
    let own_key = DeviceKey::generate().unwrap();
    let first = plant.register("d1", &own_key).await;
    let old = dial(&first, &own_key);
    let mut device = HubDevice::connect(&old, HUB_HOST, "d1", Proof::Certificate).await.unwrap();
    device.send("x", &[]).await.unwrap();

    let group = format!("/subscriptions/{}/resourceGroups/g1", plant.rig.owner.subscription_id);
    let policy =
        format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/ns1/credentials/default/policies/policy1");
    let accepted = plant.rig.arm("POST", &format!("{policy}/revokeIssuer"), REGISTRY, None).await;
    assert_eq!((accepted.status, accepted.text.as_str()), (202, ""));
    assert!(accepted.header("location").contains("/operationResults/") && accepted.header("retry-after") == "1");
    assert!(device.desired(Duration::from_secs(10)).await.is_err(), "the connection is closed");
    assert!(HubDevice::connect(&old, HUB_HOST, "d1", Proof::Certificate).await.is_err(), "on a new handshake too");

    let second = plant.register("d1", &own_key).await;
    assert_ne!(first.chain[1], second.chain[1]);
    let device = HubDevice::connect(&dial(&second, &own_key), HUB_HOST, "d1", Proof::Certificate).await.unwrap();
    device.send("y", &[]).await.unwrap();
    assert!(HubDevice::connect(&old, HUB_HOST, "d1", Proof::Certificate).await.is_err());
    device.close().await;
    plant.rig.stop().await;
}

#[tokio::test]
async fn registering_over_https() {
    let plant = Plant::build().await;
    let host = "global.azure-devices-provisioning.localhost";
    let scope = &plant.id_scope;
    let key = key::derive(&plant.group_key, "d2").unwrap();
    let sas = key::registration_token(scope, "d2", &key, SystemClock.unix_seconds() + 600).unwrap();
    let path = format!("/{scope}/registrations/d2");
    let register = format!("{path}/register?api-version=2019-03-31");
    let started = plant.data("PUT", host, &register, &sas, &[], Some(&json!({"registrationId": "d2"}))).await;
    let operation = started.expect(202)["operationId"].as_str().unwrap().to_owned();
    assert!(started.header("retry-after").parse::<u32>().is_ok());
    assert!(started.header("location").ends_with(&format!("{path}/register")));
    let polled = plant
        .data("GET", host, &format!("{path}/operations/{operation}?api-version=2019-03-31"), &sas, &[], None)
        .await
        .expect(200);
    assert_eq!(
        (&polled["status"], &polled["registrationState"]["assignedHub"]),
        (&json!("assigned"), &json!(HUB_HOST))
    );
    // The same on a bare localhost: the id scope says which service is meant.
    let looked_up =
        plant.data("POST", "localhost", &format!("{path}?api-version=2019-03-31"), &sas, &[], Some(&json!({}))).await;
    assert_eq!(looked_up.expect(200)["deviceId"], "d2");

    let wrong =
        key::registration_token(scope, "d2", &STANDARD.encode([7; 32]), SystemClock.unix_seconds() + 600).unwrap();
    let refused = plant.data("PUT", host, &register, &wrong, &[], Some(&json!({}))).await;
    assert_eq!((refused.status, refused.header("x-ms-error-code")), (401, "401002"));
    assert_eq!(plant.dps("POST", "/registrations/eg1/query", None).await.expect(200)[0]["registrationId"], "d2");
    let listed =
        plant.dps("POST", "/enrollmentGroups/query", Some(&json!({"query": "SELECT * FROM enrollmentGroups"}))).await;
    assert_eq!((listed.expect(200).as_array().unwrap().len(), listed.header("x-ms-item-type")), (1, "enrollmentGroup"));
    assert_eq!(plant.dps("GET", "/enrollments/x", None).await.status, 404);
    // From 2026-11-01 on an enrollment group names its policy by three names, which go together.
    let auth = token(DPS_HOST, &plant.dps_key, "provisioningserviceowner");
    let newest = "/enrollmentGroups/eg1?api-version=2026-11-01";
    let mut shown = plant.data("GET", DPS_HOST, newest, &auth, &[], None).await.expect(200);
    assert_eq!(
        (&shown["namespaceName"], &shown["certificateAuthorityName"], &shown["certificatePolicyName"]),
        (&json!("ns1"), &json!("policy1"), &json!("policy1"))
    );
    assert!(shown.get("credentialPolicyName").is_none());
    let put = plant.data("PUT", DPS_HOST, newest, &auth, &[("if-match", "*")], Some(&shown)).await.expect(200);
    assert_eq!(put["certificatePolicyName"], "policy1");
    assert_eq!(plant.dps("GET", "/enrollmentGroups/eg1", None).await.expect(200)["credentialPolicyName"], "policy1");
    shown["namespaceName"] = json!("");
    assert_eq!(plant.data("PUT", DPS_HOST, newest, &auth, &[("if-match", "*")], Some(&shown)).await.status, 400);
    let one = json!({"query": "SELECT * FROM registrations WHERE registrationId = 'd2'"});
    assert_eq!(plant.dps("POST", "/registrations/eg1/query", Some(&one)).await.status, 400);
    // A stranger does not learn what there is below a registration.
    for (method, tail, want) in
        [("GET", "nothing", 404), ("PATCH", "register", 405), ("POST", "onboarding/getDeviceUpdate", 501)]
    {
        let path = format!("{path}/{tail}?api-version=2019-03-31");
        assert_eq!(plant.data(method, host, &path, &sas, &[], None).await.status, want, "{tail}");
        assert_eq!(plant.data(method, host, &path, &wrong, &[], None).await.status, 401, "{tail}");
        assert_eq!(plant.rig.https.send(method, host, &path, &[], "").await.status, 401, "{tail}");
    }
    plant.rig.stop().await;
}

/// What services read of the hub with the one device `s1`, and write of many devices at once.
async fn reading(plant: &Plant) {
    let query = |text: &str| json!({ "query": text });
    let found = plant.hub("POST", "/devices/query", &[], Some(&query("SELECT * FROM devices"))).await;
    assert_eq!((found.status, found.header("x-ms-item-type")), (200, "twin"));
    assert_eq!(found.json()[0]["deviceId"], "s1");
    for (body, options, word) in [
        (query("SELECT * FROM"), &[][..], "position 14"),
        (json!({"Query": "SELECT * FROM devices"}), &[], "'query'"),
        (json!([]), &[], "'query'"),
        (query("SELECT * FROM devices"), &[("x-ms-max-item-count", "many")], "x-ms-max-item-count"),
        (query("SELECT * FROM devices"), &[("x-ms-continuation", "xyz")], "x-ms-continuation"),
    ] {
        let refused = plant.hub("POST", "/devices/query", options, Some(&body)).await;
        assert_eq!((refused.status, refused.header("iothub-errorcode")), (400, "ArgumentInvalid"), "{body}");
        assert!(refused.json()["Message"].as_str().unwrap().contains(word), "{body}");
    }
    assert_eq!(plant.hub("POST", "/devices/query", &[], Some(&query("SELECT * FROM devices.jobs"))).await.status, 501);
    let sas = token(HUB_HOST, &plant.hub_key, "iothubowner");
    let top = async |top: &str| {
        plant.data("GET", HUB_HOST, &format!("/devices?api-version=2021-04-12&top={top}"), &sas, &[], None).await
    };
    assert_eq!(top("5").await.expect(200)[0]["deviceId"], "s1");
    assert_eq!(top("-1").await.status, 400);
    assert_eq!(plant.hub("GET", "/statistics/devices", &[], None).await.expect(200)["totalDeviceCount"], 1);
    assert_eq!(plant.hub("GET", "/statistics/service", &[], None).await.expect(200)["connectedDeviceCount"], 0);

    let made = plant.hub("PUT", "/devices/s1/modules/m", &[], Some(&json!({}))).await;
    assert_eq!(made.status, 201);
    assert_eq!(plant.hub("PUT", "/devices/s1/modules/m", &[("if-match", "*")], Some(&json!({}))).await.status, 200);
    let twice = plant.hub("PUT", "/devices/s1/modules/m", &[], Some(&json!({}))).await;
    assert_eq!((twice.status, twice.header("iothub-errorcode")), (409, "ModuleAlreadyExistsOnDevice"));
    assert_eq!(plant.hub("GET", "/twins/s1/modules/m", &[], None).await.expect(200)["moduleId"], "m");
    let paged = plant
        .hub(
            "POST",
            "/devices/query",
            &[("x-ms-max-item-count", "1")],
            Some(&query("SELECT moduleId FROM devices.modules")),
        )
        .await;
    assert_eq!((paged.header("x-ms-item-type"), paged.json()), ("raw", json!([{"moduleId": "m"}])));
    assert_eq!(plant.hub("DELETE", "/devices/s1/modules/m", &[("if-match", "\"*\"")], None).await.status, 204);
    let gone = plant.hub("GET", "/devices/s1/modules/m", &[], None).await;
    assert_eq!((gone.status, gone.header("iothub-errorcode")), (404, "ModuleNotFound"));

    let entries = json!([{"id": "b1", "importMode": "create"}, {"id": "s1", "importMode": "create"}]);
    let some = plant.hub("POST", "/devices", &[], Some(&entries)).await;
    assert_eq!((some.status, some.header("iothub-errorcode")), (400, "BulkRegistryOperationFailure"));
    let some = some.json();
    let codes: Vec<_> =
        some["errors"].as_array().unwrap().iter().map(|one| (&one["deviceId"], &one["errorCode"])).collect();
    assert_eq!((&some["isSuccessful"], codes), (&json!(false), vec![(&json!("s1"), &json!("DeviceAlreadyExists"))]));
    let keys = |ids: &[&str]| json!({"policyKey": "secondaryKey", "devices": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()});
    for (ids, status) in [(&["b1"][..], 200), (&["b1", "none"], 207), (&["none"], 400)] {
        let done = plant.hub("POST", "/devices/keys/regenerate", &[], Some(&keys(ids))).await;
        assert_eq!(done.status, status, "{ids:?}");
        assert_eq!(done.json()["policyKey"], "secondaryKey");
    }
    let gone =
        plant.hub("POST", "/devices", &[], Some(&json!([{"id": "b1", "importMode": "delete"}]))).await.expect(200);
    assert_eq!(gone, json!({"isSuccessful": true, "errors": [], "warnings": []}));
}

#[tokio::test]
async fn the_hubs_service_api() {
    let plant = Plant::build().await;
    let made = plant.hub("PUT", "/devices/s1", &[], Some(&json!({"deviceId": "s1"}))).await.expect(200);
    let device_key = made["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap();
    let twice = plant.hub("PUT", "/devices/s1", &[], Some(&json!({"deviceId": "s1"}))).await;
    assert_eq!((twice.status, twice.header("iothub-errorcode")), (409, "DeviceAlreadyExists"));
    let missing = plant.hub("GET", "/devices/none", &[], None).await;
    assert_eq!((missing.status, missing.header("iothub-errorcode")), (404, "DeviceNotFound"));
    let missing = missing.json();
    assert!(missing["Message"].as_str().unwrap().starts_with("ErrorCode:DeviceNotFound;"), "{missing}");
    assert_eq!(missing["errorCode"], 404_001);
    reading(&plant).await;
    assert_eq!(plant.hub("GET", "/devices/s1?$select=deviceId", &[], None).await.status, 400);
    // What devices cannot do over HTTPS yet they are told as devices; a stranger is told nothing.
    let of_device = |key: &str| {
        let key = STANDARD.decode(key).unwrap();
        sas_token::sign(&format!("{HUB_HOST}/devices/s1"), &key, SystemClock.unix_seconds() + 600, None)
    };
    for path in ["messages/events", "messages/deviceBound", "files", "files/notifications"] {
        let path = format!("/devices/s1/{path}?api-version=2021-04-12");
        let (own, wrong) = (of_device(device_key), of_device(&plant.hub_key));
        assert_eq!(plant.data("POST", HUB_HOST, &path, &own, &[], None).await.status, 501, "{path}");
        assert_eq!(plant.data("POST", HUB_HOST, &path, &wrong, &[], None).await.status, 401, "{path}");
        let nobody = plant.rig.https.send("POST", HUB_HOST, &path, &[], "").await;
        assert_eq!(nobody.status, 401, "{path}");
        let elsewhere = path.replace("/s1/", "/s9/");
        assert_eq!(plant.data("POST", HUB_HOST, &elsewhere, &own, &[], None).await.status, 401, "{elsewhere}");
    }
    // On a bare localhost the token's audience says which hub is meant.
    let sas = token(HUB_HOST, &plant.hub_key, "iothubowner");
    assert_eq!(
        plant.data("GET", "localhost", "/devices/s1?api-version=2021-04-12", &sas, &[], None).await.expect(200)["deviceId"],
        "s1"
    );

    let dial = Dial::new(plant.rig.mqtt(), HUB_HOST, plant.rig.ca_pem.as_bytes(), None, SystemClock::shared()).unwrap();
    let device = HubDevice::connect(&dial, HUB_HOST, "s1", Proof::Key(device_key)).await.unwrap();
    device.send("x", &[]).await.unwrap();
    assert!(HubDevice::connect(&dial, HUB_HOST, "s1", Proof::Key(&plant.hub_key)).await.is_err());
    device.close().await;
    plant.hub("DELETE", "/devices/s1", &[("if-match", "*")], None).await.expect(204);
    plant.rig.stop().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_read_over_and_an_unknown_version_refused() {
    let plant = Plant::build().await;
    let global = "global.azure-devices-provisioning.localhost";
    let hub = token(HUB_HOST, &plant.hub_key, "iothubowner");
    let dps = token(DPS_HOST, &plant.dps_key, "provisioningserviceowner");
    let key = key::derive(&plant.group_key, "b1").unwrap();
    let device = key::registration_token(&plant.id_scope, "b1", &key, SystemClock.unix_seconds() + 600).unwrap();
    let register = format!("/{}/registrations/b1/register", plant.id_scope);
    let group = r#"{"attestation": {"type": "symmetricKey"}}"#;
    for (method, host, path, token, body, version, status) in [
        ("PUT", HUB_HOST, "/devices/b1", &hub, r#"{"deviceId": "b1"}"#, "2021-04-12", 200),
        ("PATCH", HUB_HOST, "/twins/b1", &hub, r#"{"tags": {"a": 1}}"#, "2020-09-30", 200),
        ("PUT", DPS_HOST, "/enrollmentGroups/bom", &dps, group, "2021-10-01", 200),
        ("PUT", global, register.as_str(), &device, "{}", "2019-03-31", 202),
    ] {
        let send = async |version: &str, body: String| {
            let headers = [("authorization", token.as_str()), ("if-match", "*")];
            let headers = if path.starts_with("/twins") { &headers[..] } else { &headers[..1] };
            plant.rig.https.send(method, host, &format!("{path}?api-version={version}"), headers, body).await
        };
        let unknown = send("2031-01-01", body.into()).await;
        assert_eq!(unknown.status, 400, "{path}: {}", unknown.text);
        assert!(unknown.text.contains("2031-01-01") && unknown.text.contains(version), "{}", unknown.text);
        assert_eq!(unknown.json()["errorCode"], 400_001, "{}", unknown.text);
        let broken = send(version, "\u{feff}{\"tags\": {\"a\": }}".into()).await;
        assert!(broken.status == 400 && broken.text.contains("'tags.a'"), "{path}: {}", broken.text);
        let marked = send(version, format!("\u{feff}{body}")).await;
        assert_eq!(marked.status, status, "{path}: {}", marked.text);
    }
    let bearer = format!("Bearer {}", plant.rig.token().await);
    let path = format!("/subscriptions/{}/resourceGroups/bom?api-version=2024-11-01", plant.rig.owner.subscription_id);
    let marked = "\u{feff}{\"location\": \"swedencentral\"}";
    let headers = [("authorization", bearer.as_str())];
    plant.rig.https.send("PUT", "management.localhost", &path, &headers, marked).await.expect(201);
    plant.rig.stop().await;
}
