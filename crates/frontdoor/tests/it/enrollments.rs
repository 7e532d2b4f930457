//! Devices that attest by certificate, over MQTT and HTTPS, and individual enrollments over the service API.

use crate::http_client::HttpClient;
use crate::journey::{DPS_HOST, HUB_HOST, Plant, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_client::device::dial::{ClientCertificate, Dial};
use ferrohub_client::device::hub::{HubDevice, Proof};
use ferrohub_client::device::registration::{Registration, RegistrationRequest, register};
use ferrohub_clock::SystemClock;
use ferrohub_model::error::Result;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const GLOBAL: &str = "global.azure-devices-provisioning.localhost";

/// Certificates in one folder of openssl's.
struct Issuer(tempfile::TempDir);

impl Issuer {
    fn new() -> Self {
        let issuer = Self(tempfile::tempdir().unwrap());
        issuer.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=factory",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
        issuer
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.0.path(), name)
    }

    /// The CA's certificate, PEM.
    fn pem(&self) -> String {
        std::fs::read_to_string(self.path("ca.pem")).unwrap()
    }

    /// A certificate of the CA for a device's key, DER.
    fn sign(&self, id: &str, key: &DeviceKey) -> Vec<u8> {
        std::fs::write(self.path("csr.der"), STANDARD.decode(key.certificate_request(id).unwrap()).unwrap()).unwrap();
        std::fs::write(self.path("ext"), "extendedKeyUsage=clientAuth").unwrap();
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            "csr.der",
            "-inform",
            "DER",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            "ext",
            "-outform",
            "DER",
            "-out",
            "leaf.der",
        ]);
        std::fs::read(self.path("leaf.der")).unwrap()
    }
}

impl Plant {
    async fn enrollments(&self, method: &str, path: &str, body: Option<&Value>) -> crate::http_client::Answer {
        let authorization = token(DPS_HOST, &self.dps_key, "provisioningserviceowner");
        let headers = [("authorization", authorization.as_str())];
        let path = format!("{path}?api-version=2021-10-01");
        self.rig.https.send(method, DPS_HOST, &path, &headers, body.map(Value::to_string).unwrap_or_default()).await
    }

    async fn register_by(
        &self,
        id: &str,
        chain: &[Vec<u8>],
        key: &DeviceKey,
        csr: Option<String>,
    ) -> Result<Registration> {
        let certificate = ClientCertificate { chain, key };
        let ca = self.rig.ca_pem.as_bytes();
        let dial = Dial::new(self.rig.mqtt(), GLOBAL, ca, Some(certificate), SystemClock::shared()).unwrap();
        let request = RegistrationRequest {
            id_scope: self.id_scope.clone(),
            registration_id: id.into(),
            device_key: None,
            csr,
            payload: None,
        };
        register(&dial, &request).await
    }
}

#[tokio::test]
async fn a_client_certificate_registers_over_mqtt() {
    let plant = Plant::build().await;
    let issuer = Issuer::new();
    let (own, later) = (DeviceKey::generate().unwrap(), DeviceKey::generate().unwrap());
    let chain = vec![issuer.sign("x1", &own)];
    assert!(plant.register_by("x1", &chain, &own, None).await.is_err(), "nobody knows the CA");
    let group = json!({"credentialPolicyName": "policy1", "attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": issuer.pem()}}}}});
    let made = plant.enrollments("PUT", "/enrollmentGroups/factory", Some(&group)).await.expect(200);
    let info = &made["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
    assert_eq!(info["subjectName"], "CN=factory");
    let first = plant.register_by("x1", &chain, &own, None).await.unwrap();
    assert_eq!((first.assigned_hub.as_str(), first.device_id.as_str(), first.chain.len()), (HUB_HOST, "x1", 0));
    assert!(plant.register_by("x2", &chain, &own, None).await.is_err(), "the certificate is another device's");
    // The certificate for production is another one.
    let request = later.certificate_request("x1").unwrap();
    let second = plant.register_by("x1", &chain, &own, Some(request)).await.unwrap();
    assert_eq!(second.chain.len(), 3);
    let certificate = ClientCertificate { chain: &second.chain, key: &later };
    let dial =
        Dial::new(plant.rig.mqtt(), HUB_HOST, plant.rig.ca_pem.as_bytes(), Some(certificate), SystemClock::shared())
            .unwrap();
    HubDevice::connect(&dial, HUB_HOST, "x1", Proof::Certificate).await.unwrap();
    plant.rig.stop().await;
}

#[tokio::test]
async fn a_client_certificate_registers_over_https() {
    let plant = Plant::build().await;
    let issuer = Issuer::new();
    issuer.openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "own.key",
        "-subj",
        "/CN=x3",
        "-outform",
        "DER",
        "-out",
        "own.der",
    ]);
    let read = |name: &str| std::fs::read(issuer.path(name)).unwrap();
    let leaf = read("own.der");
    let individual = json!({"registrationId": "x3", "deviceId": "Pump", "attestation": {"type": "x509",
        "x509": {"clientCertificates": {"primary": {"certificate": STANDARD.encode(&leaf)}}}}});
    plant.enrollments("PUT", "/enrollments/x3", Some(&individual)).await.expect(200);
    let client =
        HttpClient::with_certificate(vec![plant.rig.ports().https], &plant.rig.ca_pem, vec![leaf], &read("own.key"));
    let path = format!("/{}/registrations/x3", plant.id_scope);
    let version = "api-version=2019-03-31";
    let started = client.send("PUT", GLOBAL, &format!("{path}/register?{version}"), &[], "{}").await.expect(202);
    let poll = format!("{path}/operations/{}?{version}", started["operationId"].as_str().unwrap());
    let done = client.send("GET", GLOBAL, &poll, &[], "").await.expect(200);
    let state = &done["registrationState"];
    assert_eq!(
        (&state["deviceId"], &state["x509"]["certificateInfo"]["subjectName"]),
        (&json!("Pump"), &json!("CN=x3"))
    );
    let shown = client.send("POST", GLOBAL, &format!("{path}?{version}"), &[], "{}").await.expect(200);
    assert_eq!(shown["x509"], state["x509"]);
    let refused = plant.rig.https.send("PUT", GLOBAL, &format!("{path}/register?{version}"), &[], "{}").await;
    assert_eq!((refused.status, refused.header("x-ms-error-code")), (401, "401002"));
    plant.rig.stop().await;
}

#[tokio::test]
async fn individual_enrollments_over_the_service_api() {
    let plant = Plant::build().await;
    let body = json!({"registrationId": "d1", "attestation": {"type": "symmetricKey"}});
    plant.enrollments("PUT", "/enrollments/d1", Some(&body)).await.expect(200);
    assert_eq!(plant.enrollments("PUT", "/enrollments/d1", Some(&body)).await.status, 409);
    plant.enrollments("GET", "/Enrollments/D1", None).await.expect(200);
    // Node ends its path with a slash.
    let bulk =
        json!({"mode": "create", "enrollments": [{"registrationId": "d2", "attestation": {"type": "symmetricKey"}}]});
    let done = plant.enrollments("POST", "/enrollments/", Some(&bulk)).await.expect(200);
    assert_eq!(done, json!({"isSuccessful": true, "errors": []}));
    let query = json!({"query": "SELECT * FROM enrollments"});
    let found = plant.enrollments("POST", "/enrollments/query", Some(&query)).await;
    assert_eq!((found.expect(200).as_array().unwrap().len(), found.header("x-ms-item-type")), (2, "enrollment"));
    plant.enrollments("POST", "/enrollments/d1/attestationmechanism", None).await.expect(200);
    plant.enrollments("DELETE", "/enrollments/d1", None).await.expect(204);
    let gone = plant.enrollments("GET", "/enrollments/d1", None).await;
    assert_eq!((gone.status, gone.header("x-ms-error-code")), (404, "404201"));
    plant.rig.stop().await;
}
