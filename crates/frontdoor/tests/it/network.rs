//! `minTlsVersion`, `ipFilterRules` and `publicNetworkAccess` on real sockets, over both protocols.

use crate::http_client::HttpClient;
use crate::journey::{DPS, DPS_HOST, HUB, HUB_HOST, Plant, owner_key, put, token};
use bytes::{Bytes, BytesMut};
use ferrohub_client::device::dial::Dial;
use ferrohub_client::device::hub::{HubDevice, Proof};
use ferrohub_client::device::key;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_wire::mqtt::{Connect, Packet, encode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GLOBAL: &str = "global.azure-devices-provisioning.localhost";

impl Plant {
    fn resource(&self, kind: &str, name: &str) -> String {
        let subscription = &self.rig.owner.subscription_id;
        format!("/subscriptions/{subscription}/resourceGroups/g1/providers/Microsoft.Devices/{kind}/{name}")
    }

    async fn set_hub(&self, properties: Value) {
        let patch = json!({ "properties": properties });
        self.rig.arm("PATCH", &self.resource("IotHubs", "hub1"), HUB, Some(&patch)).await.expect(200);
    }

    async fn set_dps(&self, properties: Value) {
        let patch = json!({ "properties": properties });
        self.rig.arm("PATCH", &self.resource("provisioningServices", "dps1"), DPS, Some(&patch)).await.expect(200);
    }

    /// Status and error of the hub's service API for its owner.
    async fn ask_hub(&self) -> (u16, String) {
        let token = token(HUB_HOST, &self.hub_key, "iothubowner");
        let path = "/devices/nobody?api-version=2020-09-30";
        let answer = self.rig.https.send("GET", HUB_HOST, path, &[("authorization", &token)], "").await;
        (answer.status, answer.header("iothub-errorcode").to_owned())
    }

    /// Status of the service API of the provisioning service, and of a registration.
    async fn ask_dps(&self) -> (u16, u16) {
        let token = token(DPS_HOST, &self.dps_key, "provisioningserviceowner");
        let path = "/enrollmentGroups/eg1?api-version=2025-07-01-preview";
        let service = self.rig.https.send("GET", DPS_HOST, path, &[("authorization", &token)], "").await;
        let device = key::derive(&self.group_key, "r1").unwrap();
        let sas = key::registration_token(&self.id_scope, "r1", &device, SystemClock.unix_seconds() + 600).unwrap();
        let path = format!("/{}/registrations/r1/register?api-version=2019-03-31", self.id_scope);
        let headers = [("authorization", sas.as_str()), ("content-type", "application/json")];
        let device = self.rig.https.send("PUT", GLOBAL, &path, &headers, "{}").await;
        (service.status, device.status)
    }
}

fn rule(action: &str, mask: &str) -> Value {
    json!({"filterName": format!("{action} {mask}"), "action": action, "ipMask": mask})
}

#[tokio::test]
async fn a_hub_is_reached_from_where_its_rules_say() {
    let plant = Plant::build().await;
    let made = plant.rig.arm("GET", &plant.resource("IotHubs", "hub1"), HUB, None).await.expect(200);
    assert_eq!(made["properties"]["ipFilterRules"], json!([]));
    let owner = token(HUB_HOST, &plant.hub_key, "iothubowner");
    let headers = [("authorization", owner.as_str()), ("content-type", "application/json")];
    let path = "/devices/s1?api-version=2021-04-12";
    let device = plant.rig.https.send("PUT", HUB_HOST, path, &headers, r#"{"deviceId":"s1"}"#).await.expect(200);
    let device_key = device["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned();
    let dial = Dial::new(plant.rig.mqtt(), HUB_HOST, plant.rig.ca_pem.as_bytes(), None, SystemClock::shared()).unwrap();
    let connect = async || HubDevice::connect(&dial, HUB_HOST, "s1", Proof::Key(&device_key)).await;
    let (open, refused) = ((404, "DeviceNotFound".to_owned()), (401, "IotHubUnauthorizedAccess".to_owned()));
    for (closing, opening) in [
        (json!({"publicNetworkAccess": "Disabled"}), json!({"publicNetworkAccess": "Enabled"})),
        (
            json!({"ipFilterRules": [rule("Accept", "192.0.2.0/24"), rule("Reject", "127.0.0.0/8")]}),
            json!({"ipFilterRules": [rule("Accept", "127.0.0.1"), rule("Reject", "0.0.0.0/0")]}),
        ),
    ] {
        assert_eq!(plant.ask_hub().await, open);
        let mut session = connect().await.unwrap();
        plant.set_hub(closing).await;
        assert!(session.desired(Duration::from_secs(10)).await.is_err(), "an open session ends");
        assert_eq!(plant.ask_hub().await, refused);
        let error = connect().await.err().unwrap();
        assert!(error.to_string().contains("5"), "{error}");
        plant.set_hub(opening).await;
        connect().await.unwrap();
    }
    plant.rig.stop().await;
}

#[tokio::test]
async fn rules_of_a_provisioning_service_have_targets() {
    let plant = Plant::build().await;
    let of = |target: &str| {
        let mut rule = rule("Reject", "127.0.0.0/8");
        rule["target"] = json!(target);
        json!({"ipFilterRules": [rule], "publicNetworkAccess": "Enabled"})
    };
    for (properties, expected) in [
        (of("all"), (401, 401)),
        (of("serviceApi"), (401, 202)),
        (of("deviceApi"), (200, 401)),
        (json!({"ipFilterRules": [], "publicNetworkAccess": "Disabled"}), (401, 401)),
        (json!({"ipFilterRules": [], "publicNetworkAccess": "Enabled"}), (200, 202)),
    ] {
        plant.set_dps(properties.clone()).await;
        assert_eq!(plant.ask_dps().await, expected, "{properties}");
    }
    plant.rig.stop().await;
}

/// The CONNACK code for a device of `host` on a connection that was made for `sni`.
async fn connack(plant: &Plant, client: &HttpClient, sni: &str, host: &str, key: &str) -> Result<u8, std::io::Error> {
    let mut stream = client.dial(plant.rig.ports().mqtt, sni).await?;
    let connect = Connect {
        client_id: "s1".into(),
        clean_session: true,
        keep_alive_seconds: 0,
        will: None,
        user_name: Some(format!("{host}/s1/?api-version=2021-04-12")),
        password: Some(Bytes::from(token(&format!("{host}/devices/s1"), key, "iothubowner"))),
    };
    let mut out = BytesMut::new();
    encode(&Packet::Connect(connect), &mut out).unwrap();
    stream.write_all(&out).await?;
    let mut ack = [0; 4];
    stream.read_exact(&mut ack).await?;
    Ok(ack[3])
}

#[tokio::test]
async fn a_hub_may_take_tls_1_3_only() {
    let plant = Plant::build().await;
    let hub = plant.resource("IotHubs", "strict");
    let strict = "strict.azure-devices.localhost";
    put(&plant.rig, &hub, HUB, json!({"location": "swedencentral", "properties": {"minTlsVersion": "1.3"}})).await;
    let hub_key = owner_key(&plant.rig, &hub, HUB, "iothubowner").await;
    let ports = vec![plant.rig.ports().https];
    let older = HttpClient::speaking(ports.clone(), &plant.rig.ca_pem, &[&rustls::version::TLS12]);
    let newer = HttpClient::speaking(ports, &plant.rig.ca_pem, &[&rustls::version::TLS13, &rustls::version::TLS12]);
    let owner = token(strict, &hub_key, "iothubowner");
    let headers = [("authorization", owner.as_str()), ("content-type", "application/json")];
    let path = "/devices/s1?api-version=2020-09-30";
    newer.send("PUT", strict, path, &headers, r#"{"deviceId":"s1"}"#).await.expect(200);

    let port = plant.rig.ports().https;
    assert!(older.dial(port, strict).await.is_err(), "the handshake is refused");
    assert!(older.dial(port, HUB_HOST).await.is_ok() && older.dial(port, "localhost").await.is_ok());
    // Whoever gets in under another name is met by the hub itself.
    let answer = older.send_by(HUB_HOST, "GET", strict, path, &headers, "").await;
    assert_eq!((answer.status, answer.header("iothub-errorcode")), (401, "IotHubUnauthorizedAccess"));
    assert!(answer.text.contains("TLS 1.3"), "{}", answer.text);
    newer.send_by(HUB_HOST, "GET", strict, path, &headers, "").await.expect(200);

    assert_eq!(connack(&plant, &newer, strict, strict, &hub_key).await.unwrap(), 0);
    assert!(connack(&plant, &older, strict, strict, &hub_key).await.is_err());
    assert_eq!(connack(&plant, &older, HUB_HOST, strict, &hub_key).await.unwrap(), 5);
    plant.rig.stop().await;
}
