//! The device half: a simulated device over real sockets, with the certificate it was issued.

use super::control::Plant;
use super::names::DEVICE;
use crate::output::{Done, Progress};
use crate::owner::Owner;
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_client::device::dial::{ClientCertificate, Dial};
use ferrohub_client::device::hub::{HubDevice, Proof};
use ferrohub_client::device::key;
use ferrohub_client::device::registration::{Registration, RegistrationRequest, register};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::certificate::Certificate;
use http::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// Messages that the device sends.
pub(super) const MESSAGES: u32 = 10;
/// Version of the hub's service API (that of the Python service SDK).
const SERVICE_VERSION: &str = "2021-04-12";
/// Longest wait for a desired property: ours.
const DESIRED_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the device from its key to its desired property.
///
/// # Errors
/// That of the step that failed.
pub(super) async fn run(
    owner: &Owner,
    plant: &Plant,
    mqtt: SocketAddr,
    clock: &dyn Clock,
    progress: &mut Progress,
) -> Result<()> {
    let (ca_pem, _) = owner.ca();
    let device_key = progress
        .step("device key derived from the group's key", async { key::derive(&plant.group_key, DEVICE).map(Done::new) })
        .await?;
    let own_key = DeviceKey::generate()?;
    let request = RegistrationRequest {
        id_scope: plant.id_scope.clone(),
        registration_id: DEVICE.to_owned(),
        device_key: Some(device_key),
        csr: Some(own_key.certificate_request(DEVICE)?),
        payload: None,
    };
    let dial = Dial::new(mqtt, &plant.device_host, ca_pem, None, SystemClock::shared())?;
    let registering = async {
        let registration = register(&dial, &request).await?;
        let note = format!("assigned to {}", registration.assigned_hub);
        Ok(Done::with(registration, note))
    };
    let registration = progress.step(&format!("device {DEVICE} registers over MQTT with a CSR"), registering).await?;
    progress.step("chain of three certificates", async { check_chain(&registration) }).await?;
    let certificate = ClientCertificate { chain: &registration.chain, key: &own_key };
    let dial = Dial::new(mqtt, &registration.assigned_hub, ca_pem, Some(certificate), SystemClock::shared())?;
    let connecting = async {
        HubDevice::connect(&dial, &registration.assigned_hub, &registration.device_id, Proof::Certificate)
            .await
            .map(Done::new)
    };
    let mut device = progress.step("device connects to the hub over mutual TLS", connecting).await?;
    progress.step(&format!("{MESSAGES} telemetry messages, QoS 1"), telemetry(&device)).await?;
    progress.step("device reports a twin property", report(&mut device, clock)).await?;
    progress
        .step("device receives a desired property", desired(owner, plant, &registration, &mut device, clock))
        .await?;
    device.close().await;
    Ok(())
}

fn check_chain(registration: &Registration) -> Result<Done<()>> {
    if registration.chain.len() != 3 {
        return Err(Error::internal(format!("DPS issued {} certificates instead of three", registration.chain.len())));
    }
    let leaf = Certificate::from_der(&registration.chain[0])?;
    Ok(Done::with((), format!("leaf {} until {}", leaf.subject(), leaf.not_after().strftime("%Y-%m-%d"))))
}

async fn telemetry(device: &HubDevice) -> Result<Done<()>> {
    for number in 1..=MESSAGES {
        let body = json!({ "number": number, "temperature": 20.0 + f64::from(number) / 10.0 }).to_string();
        device.send(body, &[("$.ct", "application/json"), ("$.ce", "utf-8"), ("level", "info")]).await?;
    }
    Ok(Done::with((), "all acknowledged"))
}

async fn report(device: &mut HubDevice, clock: &dyn Clock) -> Result<Done<()>> {
    let version =
        device.report(&json!({ "firmware": { "version": "1.0.0", "startedAt": clock.unix_seconds() } })).await?;
    let twin = device.twin().await?;
    if twin.reported["firmware"]["version"] != "1.0.0" {
        return Err(Error::internal("the twin does not show what the device reported"));
    }
    Ok(Done::with((), format!("version {version}")))
}

/// The back end changes the twin while the device listens. The value differs from run to run, because
/// a change to the same value is none.
async fn desired(
    owner: &Owner,
    plant: &Plant,
    registration: &Registration,
    device: &mut HubDevice,
    clock: &dyn Clock,
) -> Result<Done<()>> {
    let before = device.twin().await?.desired["interval"].as_i64().unwrap_or(0);
    let wanted = before + 1;
    let path = format!("/twins/{}?api-version={SERVICE_VERSION}", registration.device_id);
    let patch = json!({ "properties": { "desired": { "interval": wanted } } });
    let twin = owner.data(Method::PATCH, &plant.hub_host, &path, &plant.hub_key, Some(&patch), clock).await?;
    if twin.is_none() {
        return Err(Error::not_found(format!("The hub knows no twin of {}.", registration.device_id)));
    }
    let change = device.desired(DESIRED_TIMEOUT).await?;
    if change.patch.get("interval").and_then(Value::as_i64) != Some(wanted) {
        return Err(Error::internal("the device received another desired property than was set"));
    }
    Ok(Done::with((), format!("interval = {wanted}, version {}", change.version)))
}
