//! Where a device connects, under which name, trusting whom.

use super::csr::DeviceKey;
use crate::tls_fault;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{CERTIFICATE_BYTES, CHAIN_LENGTH, CONNECT_TIMEOUT_SECONDS};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate that proves who a device is, with the key it was issued for.
#[derive(Debug, Clone, Copy)]
pub struct ClientCertificate<'a> {
    /// DER certificates, leaf first.
    pub chain: &'a [Vec<u8>],
    /// Key of the leaf.
    pub key: &'a DeviceKey,
}

/// A server to connect to. The name goes out as SNI and is what the server's certificate must hold;
/// it is never resolved.
#[derive(Clone)]
pub struct Dial {
    addresses: Vec<SocketAddr>,
    name: ServerName<'static>,
    tls: TlsConnector,
    clock: Arc<dyn Clock>,
}

impl Dial {
    /// A server at `address` that proves to be `name` with a certificate under `ca_pem` (PEM, one or
    /// more; nothing else is trusted). With `certificate` the device proves its own identity too. Tokens,
    /// pauses and deadlines of its connections go by `clock`.
    ///
    /// # Errors
    /// `Invalid` where the name, the CA certificates or the device's certificate cannot be used.
    pub fn new(
        address: SocketAddr,
        name: &str,
        ca_pem: &[u8],
        certificate: Option<ClientCertificate<'_>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Self::to(vec![address], name, ca_pem, certificate, clock)
    }

    /// The same at the first of `addresses` that answers.
    ///
    /// # Errors
    /// As [`Dial::new`].
    pub fn to(
        addresses: Vec<SocketAddr>,
        name: &str,
        ca_pem: &[u8],
        certificate: Option<ClientCertificate<'_>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| Error::invalid(format!("'{name}' is not a host name.")))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal(format!("TLS versions: {error}")))?
            .with_root_certificates(trusted(ca_pem)?);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => builder
                .with_client_auth_cert(bounded(certificate.chain)?, certificate.key.for_tls()?)
                .map_err(|error| Error::invalid(format!("The device's certificate cannot be used: {error}.")))?,
        };
        Ok(Self { addresses, name: server_name, tls: TlsConnector::from(Arc::new(config)), clock })
    }

    /// The server's name.
    pub fn name(&self) -> String {
        self.name.to_str().into_owned()
    }

    /// The clock of its connections.
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The addresses that are dialled, in this order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The same server name and trust at other addresses.
    #[must_use]
    pub fn at(&self, addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, ..self.clone() }
    }

    /// Connects and finishes TLS within `limits::CONNECT_TIMEOUT_SECONDS`.
    ///
    /// # Errors
    /// `Unavailable` with what went wrong on the way; [`tls_fault::UNTRUSTED`] and [`tls_fault::MISNAMED`] where the server's
    /// certificate is not trusted.
    pub(super) async fn open(&self) -> Result<TlsStream<TcpStream>> {
        let opening = async {
            let socket = TcpStream::connect(self.addresses.as_slice())
                .await
                .map_err(|error| self.unreachable(&error.to_string()))?;
            socket.set_nodelay(true).map_err(|error| self.unreachable(&error.to_string()))?;
            let stream = self.tls.connect(self.name.clone(), socket).await;
            stream.map_err(|error| tls_fault::told(&error, &self.name(), &self.places()))
        };
        match timeout(self.clock.as_ref(), Duration::from_secs(CONNECT_TIMEOUT_SECONDS), opening).await {
            Ok(stream) => stream,
            Err(_) => Err(self.unreachable(&format!("no connection within {CONNECT_TIMEOUT_SECONDS} seconds"))),
        }
    }

    fn unreachable(&self, detail: &str) -> Error {
        Error::unavailable(format!("Cannot reach {} at {}: {detail}.", self.name(), self.places()), 1)
    }

    fn places(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        addresses.join(", ")
    }
}

fn trusted(ca_pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        let certificate = certificate.map_err(|error| Error::invalid(format!("The CA file is not PEM: {error}.")))?;
        roots
            .add(certificate)
            .map_err(|error| Error::invalid(format!("The CA file has an unusable certificate: {error}.")))?;
    }
    if roots.is_empty() {
        return Err(Error::invalid("The CA file holds no certificate; give the server's ca.pem."));
    }
    Ok(roots)
}

fn bounded(chain: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>> {
    if chain.is_empty() || chain.len() > CHAIN_LENGTH || chain.iter().any(|one| one.len() > CERTIFICATE_BYTES) {
        return Err(Error::invalid(format!(
            "A device's chain is 1 to {CHAIN_LENGTH} certificates of at most {CERTIFICATE_BYTES} bytes each."
        )));
    }
    Ok(chain.iter().map(|one| CertificateDer::from(one.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;

    #[test]
    fn names_and_trust_are_checked_before_anything_is_sent() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8883));
        let clock: Arc<dyn Clock> = SystemClock::shared();
        let error = Dial::new(address, "no host name", b"", None, clock.clone()).err().unwrap();
        assert!(error.message.contains("not a host name"), "{error}");
        let error = Dial::new(address, "hub.localhost", b"", None, clock).err().unwrap();
        assert!(error.message.contains("no certificate"), "{error}");
    }

    #[test]
    fn chains_have_limits() {
        assert!(bounded(&[]).is_err());
        assert!(bounded(&vec![vec![0]; CHAIN_LENGTH + 1]).is_err());
        assert!(bounded(&[vec![0; CERTIFICATE_BYTES + 1]]).is_err());
        assert_eq!(bounded(&[vec![1], vec![2]]).unwrap().len(), 2);
    }
}
