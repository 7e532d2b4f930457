//! One connection of the proxy, from its first byte to its last.

use super::connect::{self, Refusal};
use super::identity::Identity;
use super::way::{Way, way};
use ferrohub_client::profile::{self, ServerFile};
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Time for a request, for a connection to the server, and for a handshake, each: ours.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a fault of the system: ours.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// What every connection shares.
pub(super) struct Proxy {
    /// Data folder of the server, whose ports may change with its next start.
    folder: PathBuf,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    clock: Arc<dyn Clock>,
}

impl Proxy {
    /// A proxy to the server of `folder`, which proves who it is under `ca_pem`.
    ///
    /// # Errors
    /// `Invalid` where `ca_pem` holds no certificate that can be trusted.
    pub(super) fn new(folder: PathBuf, ca_pem: Vec<u8>, identity: Identity, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&ca_pem) {
            let wrong = |reason: String| Error::invalid(format!("The server's CA file cannot be used: {reason}."));
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal(format!("TLS versions: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (acceptor, connector) = (TlsAcceptor::from(identity.tls), TlsConnector::from(Arc::new(config)));
        Ok(Self { folder, acceptor, connector, clock })
    }

    /// Serves one client to its end.
    pub(super) async fn tunnel(&self, mut client: TcpStream) {
        let _ = client.set_nodelay(true);
        let asked = match timeout(self.clock.as_ref(), PATIENCE, connect::read(&mut client)).await {
            Ok(Ok(Some(asked))) => asked,
            Ok(Err(refusal)) => return refusal.send(&mut client).await,
            // Nothing was asked: nobody to answer.
            Ok(Ok(None)) | Err(_) => return,
        };
        let (host, port) = asked;
        match self.lead(&host, port).await {
            Ok((way, server)) => self.join(client, server, way, &host).await,
            Err(refusal) => {
                tracing::info!(host, port, "refused: {}", refusal.text);
                refusal.send(&mut client).await;
            }
        }
    }

    /// The way to what was asked for, and a connection to the server at its other end.
    async fn lead(&self, host: &str, port: u16) -> Result<(Way, TcpStream), Refusal> {
        let server = profile::read_server_file(&self.folder).map_err(|error| Refusal::unreachable(error.message))?;
        let way = way(host, port, &server).map_err(Refusal::forbidden)?;
        let (Way::Through(port) | Way::Ended(_, port)) = &way;
        let stream = self.dial(&server, *port).await?;
        Ok((way, stream))
    }

    async fn dial(&self, server: &ServerFile, port: u16) -> Result<TcpStream, Refusal> {
        let failed = |reason: String| {
            Refusal::unreachable(format!(
                "The server does not answer at {}:{port} ({reason}). Is it running? 'ferrohub serve' starts it.",
                server.address
            ))
        };
        let connecting = TcpStream::connect((server.address.as_str(), port));
        let stream = match timeout(self.clock.as_ref(), PATIENCE, connecting).await {
            Ok(stream) => stream.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed(format!("not within {} seconds", PATIENCE.as_secs()))),
        };
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Says that the tunnel stands and carries bytes both ways until either end is done.
    async fn join(&self, mut client: TcpStream, server: TcpStream, way: Way, host: &str) {
        if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
            return;
        }
        let name = match way {
            Way::Through(_) => return carry(client, server).await,
            Way::Ended(name, _) => name,
        };
        let shaken = timeout(self.clock.as_ref(), PATIENCE, async {
            let client = self.acceptor.accept(client).await.map_err(|error| format!("of the client: {error}"))?;
            let wanted = ServerName::try_from(name.clone()).map_err(|_| format!("'{name}' is no host name"))?;
            let server = self.connector.connect(wanted, server).await;
            Ok::<_, String>((client, server.map_err(|error| format!("of the server as {name}: {error}"))?))
        });
        match shaken.await {
            Ok(Ok((client, server))) => carry(client, server).await,
            Ok(Err(error)) => tracing::warn!(host, "TLS failed, {error}; clients must trust what 'ferrohub env' names"),
            Err(_) => tracing::warn!(host, "TLS was not done in time"),
        }
    }
}

async fn carry(mut client: impl AsyncRead + AsyncWrite + Unpin, mut server: impl AsyncRead + AsyncWrite + Unpin) {
    // How a connection ends is a matter of the two at its ends.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
