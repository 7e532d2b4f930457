//! The summary: what is there, where, and how to point clients at it.

use super::control::Plant;
use super::names::{DEVICE, ENROLLMENT};
use crate::data_dir::OWNER_FILE;
use crate::output::{Progress, duration, endpoint, line};
use crate::owner::Owner;
use crate::owner_link::{self, SignInLink};
use std::path::Path;

/// Port that the device SDKs have built in.
const SDK_MQTT_PORT: u16 = 8883;

/// Prints the summary; without a link the server ends now.
pub(super) fn print(owner: &Owner, plant: &Plant, data_dir: &Path, progress: &Progress, link: Option<&SignInLink>) {
    for text in text(owner, plant, data_dir, progress, link) {
        line(&text);
    }
}

fn text(owner: &Owner, plant: &Plant, data_dir: &Path, progress: &Progress, link: Option<&SignInLink>) -> Vec<String> {
    let server = owner.server();
    let (_, ca_file) = owner.ca();
    let (ca, owner_file) = (ca_file.display(), data_dir.join(OWNER_FILE));
    let mqtt_port = server.mqtt_port.unwrap_or(SDK_MQTT_PORT);
    let mut lines = vec![
        String::new(),
        format!("Done: {} steps in {}.", progress.steps(), duration(progress.elapsed())),
        String::new(),
        format!(
            "  Portal             {}  (people: docs/howto/sign-in.md)",
            owner_link::portal(&server.domain, server.https_port)
        ),
        format!("  Resource Manager   {}", server.urls.resource_manager),
        format!("  Hub                {}  (host {})", plant.names.hub_name, plant.hub_host),
        format!(
            "  Provisioning       {}  (host {}, id scope {})",
            plant.names.dps_name, plant.device_host, plant.id_scope
        ),
        "  Namespace          quickstart-ns in quickstart-rg, policy default".to_owned(),
        format!("  Enrollment group   {ENROLLMENT}"),
        format!("  Device             {DEVICE}"),
        format!("  MQTT over TLS      {}", endpoint(&server.address, mqtt_port)),
        format!("  Data folder        {}", data_dir.display()),
        format!("  CA file            {ca}  (what clients must trust)"),
        format!("  Owner credential   {}  (tenantId, subscriptionId, clientId, clientSecret)", owner_file.display()),
        String::new(),
    ];
    match link {
        Some(link) => lines.extend(portal(link, &ca.to_string(), data_dir)),
        // What follows needs a server, and this one ends now; its ports are those of this start only if they are asked for.
        None => lines.insert(
            2,
            format!(
                "This server ends now. Before any of the lines below: ferrohub serve --data-dir {} --https-port {} --mqtt-port {mqtt_port}",
                data_dir.display(),
                server.https_port
            ),
        ),
    }
    lines.extend([
        "The built-in command line:".to_owned(),
        format!("  export FERROHUB_DATA_DIR={}", data_dir.display()),
        "  ferrohub az login".to_owned(),
        format!("  ferrohub az iot hub show --name {}", plant.names.hub_name),
        format!("  ferrohub events {}", plant.names.hub_name),
        String::new(),
    ]);
    lines.extend(azure_cli(owner, &ca.to_string(), &owner_file));
    lines.extend(python(owner, plant, &ca.to_string(), mqtt_port));
    lines
}

/// How a person gets into the portal.
fn portal(link: &SignInLink, ca: &str, data_dir: &Path) -> Vec<String> {
    vec![
        format!("The portal, in a browser that trusts {ca}:"),
        format!("  {}", link.url),
        format!("  This link signs {} in, once, within 15 minutes. Another one:", link.name),
        format!("  ferrohub owner link --data-dir {}", data_dir.display()),
        String::new(),
    ]
}

/// The recipe of reference/clients.md, section 1.
fn azure_cli(owner: &Owner, ca: &str, owner_file: &Path) -> Vec<String> {
    let secret =
        format!("$(python3 -c 'import json; print(json.load(open(\"{}\"))[\"clientSecret\"])')", owner_file.display());
    vec![
        "Azure's own az:".to_owned(),
        "  export AZURE_CONFIG_DIR=$(mktemp -d)".to_owned(),
        format!("  export REQUESTS_CA_BUNDLE={ca} SSL_CERT_FILE={ca}"),
        "  export AZURE_CORE_INSTANCE_DISCOVERY=false AZURE_CORE_COLLECT_TELEMETRY=no".to_owned(),
        format!("  az cloud register -n ferrohub --endpoint-resource-manager {}", owner.server().urls.resource_manager),
        "  az cloud set -n ferrohub".to_owned(),
        format!("  az login --service-principal -u {} -p \"{secret}\" --tenant {}", owner.client_id(), owner.tenant()),
        String::new(),
    ]
}

fn python(owner: &Owner, plant: &Plant, ca: &str, mqtt_port: u16) -> Vec<String> {
    let gateway = &owner.server().domain;
    let mut lines = vec![
        "A device in Python (azure-iot-device; GatewayHostName spares the name look-up):".to_owned(),
        format!("  export SSL_CERT_FILE={ca}"),
        format!(
            "  ProvisioningDeviceClient.create_from_symmetric_key(provisioning_host=\"{gateway}\", id_scope=\"{}\", registration_id=..., symmetric_key=...)",
            plant.id_scope
        ),
        format!(
            "  IoTHubDeviceClient.create_from_connection_string(\"HostName={};DeviceId=...;SharedAccessKey=...;GatewayHostName={gateway}\")",
            plant.hub_host
        ),
    ];
    if mqtt_port != SDK_MQTT_PORT {
        lines.push(format!("  The SDK always dials port {SDK_MQTT_PORT}, and this server listens on {mqtt_port}: start it with --mqtt-port {SDK_MQTT_PORT} for SDK devices."));
    }
    lines
}
