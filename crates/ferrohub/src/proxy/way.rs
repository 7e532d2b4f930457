//! Which names and ports lead where. What is in no row here is refused: a client behind the proxy reaches this server, and nobody
//! else by mistake.

use ferrohub_client::http::ServerAddress;
use ferrohub_client::profile::ServerFile;
use ferrohub_model::azure_names;
use std::net::IpAddr;

/// HTTPS, as clients have it built in.
const HTTPS_PORT: u16 = 443;
/// MQTT over TLS, as clients have it built in.
const MQTT_PORT: u16 = 8883;
/// AMQP over TLS.
const AMQP_PORT: u16 = 5671;

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// To a port of the server, byte for byte.
    Through(u16),
    /// TLS ends here, and a connection of our own goes to a port of the server under this name.
    Ended(String, u16),
}

/// The way to `host` and `port`.
///
/// # Errors
/// A sentence for the client, where there is none.
pub(super) fn way(host: &str, port: u16, server: &ServerFile) -> Result<Way, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    if let Some(name) = azure_names::here(&bare, &server.domain) {
        return Ok(Way::Ended(name, standard(port, server)?));
    }
    let address =
        ServerAddress { domain: server.domain.clone(), host: server.address.clone(), https_port: server.https_port };
    let is_address = bare == server.address || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !address.owns(&bare) && !is_address {
        return Err(format!(
            "'{bare}' is none of the names that this server answers for, and nothing else is reached through this proxy. It knows {}, {}, {}, *.{}, *.{} and *.{}.",
            azure_names::MANAGEMENT,
            azure_names::LOGIN,
            azure_names::GRAPH,
            azure_names::HUBS,
            azure_names::PROVISIONING,
            server.domain
        ));
    }
    let own = [Some(server.https_port), server.mqtt_port];
    if own.contains(&Some(port)) {
        return Ok(Way::Through(port));
    }
    standard(port, server).map(Way::Through)
}

/// The server's port for a port that clients have built in.
fn standard(port: u16, server: &ServerFile) -> Result<u16, String> {
    match (port, server.mqtt_port) {
        (HTTPS_PORT, _) => Ok(server.https_port),
        (MQTT_PORT, Some(mqtt)) => Ok(mqtt),
        (AMQP_PORT, _) => Err("AMQP (port 5671) is not built.".to_owned()),
        _ => Err(format!("Port {port} leads nowhere; 443 is HTTPS, and 8883 MQTT.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(domain: &str) -> ServerFile {
        let file = serde_json::json!({
            "domain": domain, "address": "127.0.0.1", "httpsPort": 8443, "mqttPort": 18883,
            "urls": {"resourceManager": "", "login": "", "graph": ""},
        });
        serde_json::from_value(file).unwrap()
    }

    #[test]
    fn azures_names_end_here_and_ours_go_through() {
        let server = server("localhost");
        for (host, port, wanted) in [
            ("management.azure.com", 443, Way::Ended("management.localhost".into(), 8443)),
            ("Login.MicrosoftOnline.com.", 443, Way::Ended("login.localhost".into(), 8443)),
            ("hub1.azure-devices.net", 8883, Way::Ended("hub1.azure-devices.localhost".into(), 18883)),
            ("hub1.azure-devices.localhost", 443, Way::Through(8443)),
            ("hub1.azure-devices.localhost", 8883, Way::Through(18883)),
            ("localhost", 8443, Way::Through(8443)),
            ("localhost", 18883, Way::Through(18883)),
            ("[::1]", 8443, Way::Through(8443)),
            ("127.0.0.1", 8443, Way::Through(8443)),
        ] {
            assert_eq!(way(host, port, &server), Ok(wanted), "{host}:{port}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let server = server("plant.example");
        for (host, port, word) in [
            ("graph.windows.net", 443, "none of the names"),
            ("management.azure.com.evil.example", 443, "none of the names"),
            ("xplant.example", 443, "none of the names"),
            ("192.0.2.1", 8443, "none of the names"),
            ("management.azure.com", 8443, "Port 8443"),
            ("management.azure.com", 22, "Port 22"),
            ("hub1.azure-devices.net", 5671, "AMQP"),
            ("localhost", 22, "Port 22"),
            ("a.plant.example", 9464, "Port 9464"),
        ] {
            let refused = way(host, port, &server).unwrap_err();
            assert!(refused.contains(word), "{host}:{port}: {refused}");
        }
    }
}
