//! Where DPS and hubs are, and what is trusted there: one server that is all of them, or services whose names are looked up.

use super::dial::{ClientCertificate, Dial};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::certificate::Certificate;
use rustls::RootCertStore;
use std::net::SocketAddr;
use std::sync::Arc;

/// Port of MQTT over TLS (IANA; Azure has no other).
pub const MQTT_PORT: u16 = 8883;

/// Where a service is, by its host name.
#[derive(Debug, Clone)]
pub enum Place {
    /// Every name is at this address.
    At(SocketAddr),
    /// Names are looked up; the port is [`MQTT_PORT`].
    LookedUp,
}

/// The services that a device talks to.
#[derive(Clone)]
pub struct Network {
    place: Place,
    ca_pem: Vec<u8>,
    clock: Arc<dyn Clock>,
}

impl Network {
    /// Services at `place` that prove who they are under `ca_pem` (PEM, one or more).
    pub fn new(place: Place, ca_pem: Vec<u8>, clock: Arc<dyn Clock>) -> Self {
        Self { place, ca_pem, clock }
    }

    /// The clock of everything that happens on it.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The way to the service called `host`.
    ///
    /// # Errors
    /// `Unavailable` for a name that is nobody's; as [`Dial::new`].
    pub async fn dial(&self, host: &str, certificate: Option<ClientCertificate<'_>>) -> Result<Dial> {
        let addresses = match self.place {
            Place::At(address) => vec![address],
            Place::LookedUp => looked_up(host).await?,
        };
        Dial::to(addresses, host, &self.ca_pem, certificate, self.clock.clone())
    }
}

async fn looked_up(host: &str) -> Result<Vec<SocketAddr>> {
    let nobody = |detail: String| Error::unavailable(format!("The name {host} cannot be looked up: {detail}."), 1);
    let found = tokio::net::lookup_host((host, MQTT_PORT)).await.map_err(|error| nobody(error.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() { Err(nobody("it has no address".into())) } else { Ok(found) }
}

/// The roots that this machine trusts (`SSL_CERT_FILE` names others), as PEM. What cannot be read among them is left out.
///
/// # Errors
/// `Invalid` where there is none.
pub fn system_roots() -> Result<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs();
    let mut pem = String::new();
    let mut usable = RootCertStore::empty();
    for der in found.certs {
        if let (Ok(certificate), Ok(())) = (Certificate::from_der(&der), usable.add(der)) {
            pem.push_str(&certificate.to_pem());
        }
    }
    if pem.is_empty() {
        let reason = found.errors.first().map_or_else(|| "it has none".to_owned(), ToString::to_string);
        return Err(Error::invalid(format!(
            "This machine's trusted certificates cannot be read ({reason}); give a CA file with --ca."
        )));
    }
    Ok(pem.into_bytes())
}
