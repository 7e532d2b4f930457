//! TLS: one server certificate, two configurations. On device names a client certificate is asked
//! for, elsewhere not.
//!
//! The handshake proves only that the peer holds the key of the certificate it shows. Whether that
//! certificate is trusted is decided by the services, after every handshake and on every request: a
//! resumed session skips the verifier, and each hub trusts other authorities.

use crate::possession::Possession;
use async_trait::async_trait;
use ferrohub_model::network::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ProtocolVersion, ServerConfig};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The server's certificate with its key, as PEM.
#[derive(Clone)]
pub struct ServerIdentity {
    /// Certificate chain, leaf first, PEM.
    pub chain_pem: Vec<u8>,
    /// Private key, PEM (PKCS#8, PKCS#1 or SEC1). Never printed.
    pub key_pem: Vec<u8>,
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerIdentity").field("chain_bytes", &self.chain_pem.len()).field("key", &"(hidden)").finish()
    }
}

impl From<&ferrohub_pki::platform::ServerIdentity> for ServerIdentity {
    fn from(made: &ferrohub_pki::platform::ServerIdentity) -> Self {
        Self { chain_pem: made.chain_pem().into_bytes(), key_pem: made.key_pem().as_bytes().to_vec() }
    }
}

impl ServerIdentity {
    /// Whether TLS can be served with it: chain and key are readable and belong together.
    ///
    /// # Errors
    /// [`TlsError`] as [`crate::Frontdoor::start`] would give it.
    pub fn check(&self) -> Result<(), TlsError> {
        Acceptor::new(self).map(|_| ())
    }
}

/// Why the server's certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text has no certificate or a damaged one.
    #[error("the server certificate is not readable: {0}. Give PEM text, leaf certificate first")]
    Chain(String),
    /// The PEM text has no private key or a damaged one.
    #[error("the server's private key is not readable: {0}. Give an unencrypted PEM key")]
    Key(String),
    /// Certificate and key do not belong together, or the key is of a kind that is not supported.
    #[error("the server certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Accepts TLS connections.
#[derive(Clone)]
pub(crate) struct Acceptor {
    /// Asks for a client certificate and does not insist on one.
    devices: Arc<ServerConfig>,
    /// Asks likewise, and takes TLS 1.3 only.
    strict: Arc<ServerConfig>,
    /// Never asks for one.
    services: Arc<ServerConfig>,
    hosts: Option<Arc<dyn Hosts>>,
}

/// What hosts ask of a handshake.
#[async_trait]
pub(crate) trait Hosts: Send + Sync {
    /// Whether this host takes TLS 1.3 only. Where that cannot be told it does not: what is behind it looks again.
    async fn takes_tls_1_3_only(&self, host: &str) -> bool;
}

/// When a listener asks its peers for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// On the names of hubs and provisioning services only: browsers would otherwise show a dialogue.
    DeviceNames,
    /// Always: only devices come to this port.
    Always,
}

impl Acceptor {
    /// An acceptor that shows `identity`.
    ///
    /// # Errors
    /// [`TlsError`] for an unusable certificate or key.
    pub(crate) fn new(identity: &ServerIdentity) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&identity.chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|e| TlsError::Chain(e.to_string()))?;
        if chain.is_empty() {
            return Err(TlsError::Chain("it holds no certificate".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(|e| TlsError::Key(e.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(Possession::new(&provider));
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = |versions| ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
        let asking = |versions| {
            let builder = builder(versions)?.with_client_cert_verifier(verifier.clone());
            finish(builder.with_single_cert(chain.clone(), key.clone_key())?).map(Arc::new)
        };
        let (devices, strict) = (asking(&versions)?, asking(&versions[..1])?);
        let services = builder(&versions)?.with_no_client_auth().with_single_cert(chain.clone(), key.clone_key())?;
        Ok(Self { devices, strict, services: Arc::new(finish(services)?), hosts: None })
    }

    /// The same, which asks `hosts` what they ask for.
    pub(crate) fn with_hosts(self, hosts: Arc<dyn Hosts>) -> Self {
        Self { hosts: Some(hosts), ..self }
    }

    /// Does the handshake. The caller bounds its time.
    ///
    /// # Errors
    /// What the peer did wrong, for the log.
    pub(crate) async fn accept<S>(&self, stream: S, ask: Ask) -> std::io::Result<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let name = start.client_hello().server_name().map(str::to_ascii_lowercase);
        let device = name.filter(|name| is_device_name(name));
        let asked = ask == Ask::Always || device.is_some();
        let config = match (&self.hosts, device) {
            (Some(hosts), Some(host)) if hosts.takes_tls_1_3_only(&host).await => &self.strict,
            _ if asked => &self.devices,
            _ => &self.services,
        };
        let stream = start.into_stream(config.clone()).await?;
        let session = &stream.get_ref().1;
        let chain = session.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect();
        let tls = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Tls::V1_3,
            _ => Tls::V1_2,
        };
        Ok(Accepted { stream: Box::new(stream), chain, tls })
    }
}

/// A finished handshake.
pub(crate) struct Accepted<S> {
    /// The stream of plain bytes. Boxed, because it is large and passes through several futures on its way.
    pub(crate) stream: Box<TlsStream<S>>,
    /// Certificates of the peer, leaf first, DER; empty when it showed none. The same after a resumption.
    pub(crate) chain: Vec<Vec<u8>>,
    /// The version that was agreed on.
    pub(crate) tls: Tls,
}

/// Whether a host name belongs to a hub or a provisioning service, in our domain or Azure's.
pub(crate) fn is_device_name(name: &str) -> bool {
    name.contains(".azure-devices.") || name.contains(".azure-devices-provisioning.")
}

/// Whether a handshake failed because one side refused the other's certificate or protocol, not because of what a stranger sent.
pub(crate) fn is_refusal(error: &std::io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        error,
        Some(
            rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_)
        )
    )
}

fn finish(mut config: ServerConfig) -> Result<ServerConfig, rustls::Error> {
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"mqtt".to_vec()];
    // Stateless tickets: a fleet that reconnects at once resumes without a table of sessions here. A ticket
    // carries the peer's chain, so one is enough.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "keys of a test")]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;
    use ferrohub_model::clock::Clock;
    use ferrohub_model::limits;
    use ferrohub_model::random::Random;
    use ferrohub_pki::algorithm::KeyKind;
    use ferrohub_pki::name::SubjectName;
    use ferrohub_pki::platform::{DEFAULT_KEY, create_platform_root, create_server_chain};
    use ferrohub_pki::profile::ServerFields;
    use ferrohub_pki::random::SystemRandom;
    use ferrohub_pki::signer::{Signer, SoftwareSigner};
    use rustls::client::ResolvesClientCert;
    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConfig, HandshakeKind, RootCertStore, SignatureScheme};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;

    const DEVICE_NAME: &str = "hub1.azure-devices.localhost";

    /// A server, and what clients need to trust it.
    struct Rig {
        acceptor: Acceptor,
        roots: RootCertStore,
    }

    /// Always shows the same certificate.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesClientCert for Shows {
        fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    async fn rig() -> Rig {
        let now = SystemClock.now();
        let key = Arc::new(SoftwareSigner::generate(DEFAULT_KEY).unwrap());
        let name = SubjectName::from_common_name("root").unwrap();
        let root = create_platform_root(name, key, &SystemRandom, now).await.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root.certificate().der().to_vec())).unwrap();
        let names = vec![
            "localhost".into(),
            "*.azure-devices.localhost".into(),
            "*.azure-devices-provisioning.localhost".into(),
        ];
        let fields = ServerFields { dns_names: names, ip_addresses: Vec::new(), days: 30 };
        let key = SoftwareSigner::generate(DEFAULT_KEY).unwrap();
        let chain = create_server_chain(&root, fields, key.public_key_info_der(), &SystemRandom, now).await.unwrap();
        let server = ferrohub_pki::platform::ServerIdentity { chain, key_pkcs8: key.to_pkcs8().unwrap() };
        Rig { acceptor: Acceptor::new(&ServerIdentity::from(&server)).unwrap(), roots }
    }

    /// A self-signed certificate with its key.
    async fn device() -> (Vec<u8>, Arc<SoftwareSigner>) {
        let mut serial = [0; 8];
        SystemRandom.fill(&mut serial);
        let name = SubjectName::from_common_name(&format!("d{}", u64::from_be_bytes(serial))).unwrap();
        let key = Arc::new(SoftwareSigner::generate(KeyKind::P384).unwrap());
        let made = create_platform_root(name, key.clone(), &SystemRandom, SystemClock.now()).await.unwrap();
        (made.certificate().der().to_vec(), key)
    }

    fn certified(chain: Vec<Vec<u8>>, key: &SoftwareSigner) -> Arc<CertifiedKey> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8().unwrap().to_vec()));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), key))
    }

    fn client(
        rig: &Rig,
        version: &'static rustls::SupportedProtocolVersion,
        shows: Option<Arc<CertifiedKey>>,
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(rig.roots.clone());
        Arc::new(match shows {
            Some(certificate) => builder.with_client_cert_resolver(Arc::new(Shows(certificate))),
            None => builder.with_no_client_auth(),
        })
    }

    /// What the server saw, and whether the session was resumed.
    async fn meet(
        rig: &Rig,
        config: &Arc<ClientConfig>,
        name: &str,
        ask: Ask,
    ) -> std::io::Result<(Vec<Vec<u8>>, HandshakeKind)> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(config.clone());
        let dial = async {
            let mut stream = connector.connect(name, near).await?;
            let mut byte = [0; 1];
            stream.read_exact(&mut byte).await?;
            let kind = stream.get_ref().1.handshake_kind();
            stream.shutdown().await?;
            Ok::<_, std::io::Error>(kind.unwrap_or(HandshakeKind::Full))
        };
        let answer = async {
            let mut accepted = rig.acceptor.accept(far, ask).await?;
            accepted.stream.write_all(b"x").await?;
            accepted.stream.flush().await?;
            let _ = accepted.stream.read(&mut [0; 1]).await;
            Ok::<_, std::io::Error>(accepted.chain)
        };
        let (kind, chain) = tokio::join!(dial, answer);
        Ok((chain?, kind?))
    }

    #[tokio::test]
    async fn a_certificate_is_asked_for_on_device_names_only() {
        let rig = rig().await;
        let (der, key) = device().await;
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = client(&rig, version, Some(certified(vec![der.clone()], &key)));
            assert_eq!(meet(&rig, &config, DEVICE_NAME, Ask::DeviceNames).await.unwrap().0, std::slice::from_ref(&der));
            assert!(meet(&rig, &config, "localhost", Ask::DeviceNames).await.unwrap().0.is_empty());
            assert_eq!(meet(&rig, &config, "localhost", Ask::Always).await.unwrap().0, std::slice::from_ref(&der));
            let without = client(&rig, version, None);
            assert!(meet(&rig, &without, DEVICE_NAME, Ask::DeviceNames).await.unwrap().0.is_empty());
        }
    }

    struct OneStrict;

    #[async_trait]
    impl Hosts for OneStrict {
        async fn takes_tls_1_3_only(&self, host: &str) -> bool {
            host == "strict.azure-devices.localhost"
        }
    }

    #[tokio::test]
    async fn a_host_may_take_tls_1_3_only() {
        let mut rig = rig().await;
        rig.acceptor = rig.acceptor.with_hosts(Arc::new(OneStrict));
        let (der, key) = device().await;
        for (version, welcome) in [(&rustls::version::TLS12, false), (&rustls::version::TLS13, true)] {
            let config = client(&rig, version, Some(certified(vec![der.clone()], &key)));
            let met = meet(&rig, &config, "strict.azure-devices.localhost", Ask::DeviceNames).await;
            assert_eq!(met.as_ref().map(|met| met.0.len()).ok(), welcome.then_some(1), "{version:?}");
            if let Err(error) = met {
                assert!(is_refusal(&error), "{error}");
            }
            for name in [DEVICE_NAME, "localhost"] {
                assert!(meet(&rig, &config, name, Ask::Always).await.is_ok(), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn the_chain_is_still_there_after_a_resumption() {
        let rig = rig().await;
        let (der, key) = device().await;
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = client(&rig, version, Some(certified(vec![der.clone()], &key)));
            assert_eq!(
                meet(&rig, &config, DEVICE_NAME, Ask::Always).await.unwrap(),
                (vec![der.clone()], HandshakeKind::Full)
            );
            assert_eq!(
                meet(&rig, &config, DEVICE_NAME, Ask::Always).await.unwrap(),
                (vec![der.clone()], HandshakeKind::Resumed)
            );
        }
    }

    #[tokio::test]
    async fn a_certificate_without_its_key_is_refused() {
        let rig = rig().await;
        let ((der, _), (_, other_key)) = (device().await, device().await);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = client(&rig, version, Some(certified(vec![der.clone()], &other_key)));
            assert!(meet(&rig, &config, DEVICE_NAME, Ask::Always).await.is_err());
        }
    }

    /// A self-signed certificate as Azure's tutorials make it: version 1, with its key.
    fn version_1(key: &[&str]) -> (Vec<u8>, PrivateKeyDer<'static>) {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &[&str]| {
            let done = std::process::Command::new("openssl").current_dir(folder.path()).args(arguments).output();
            let done = done.expect("this test needs the openssl command line (Debian: apt install openssl)");
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        openssl(
            &[&["req", "-new", "-nodes", "-keyout", "k.pem", "-out", "c.csr", "-subj", "/CN=d1", "-newkey"], key]
                .concat(),
        );
        openssl(&[
            "x509", "-req", "-days", "30", "-in", "c.csr", "-signkey", "k.pem", "-outform", "DER", "-out", "c.der",
        ]);
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", "k.pem", "-outform", "DER", "-out", "k.der"]);
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(ferrohub_pki::certificate::version_of(&read("c.der")), Some(1));
        (read("c.der"), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(read("k.der"))))
    }

    #[tokio::test]
    async fn a_certificate_of_version_1_proves_its_key_like_others() {
        let rig = rig().await;
        let (_, other) = device().await;
        for key in [
            vec!["rsa:2048"],
            vec!["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            vec!["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        ] {
            let (der, key) = version_1(&key);
            let shown = |key: &PrivateKeyDer<'_>| {
                let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).unwrap();
                Arc::new(CertifiedKey::new(vec![CertificateDer::from(der.clone())], key))
            };
            for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
                let config = client(&rig, version, Some(shown(&key)));
                assert_eq!(meet(&rig, &config, DEVICE_NAME, Ask::Always).await.unwrap().0, std::slice::from_ref(&der));
                let stolen = client(&rig, version, Some(certified(vec![der.clone()], &other)));
                assert!(meet(&rig, &stolen, DEVICE_NAME, Ask::Always).await.is_err());
            }
        }
    }

    #[tokio::test]
    async fn a_refused_certificate_says_why() {
        let rig = rig().await;
        let (der, key) = device().await;
        let long = certified(vec![der; limits::CHAIN_LENGTH + 1], &key);
        let config = client(&rig, &rustls::version::TLS13, Some(long));
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from(DEVICE_NAME).unwrap();
        let connector = TlsConnector::from(config);
        let (_, refused) = tokio::join!(connector.connect(name, near), rig.acceptor.accept(far, Ask::Always));
        let refused = refused.err().unwrap();
        assert!(is_refusal(&refused) && refused.to_string().contains("at most 8 are read"), "{refused}");
        let (mut near, far) = tokio::io::duplex(64 * 1024);
        near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(!is_refusal(&rig.acceptor.accept(far, Ask::Always).await.err().unwrap()));
    }

    #[tokio::test]
    async fn chains_and_certificates_over_the_limits_are_refused() {
        let rig = rig().await;
        let (der, key) = device().await;
        let version = &rustls::version::TLS13;
        let longest = client(&rig, version, Some(certified(vec![der.clone(); limits::CHAIN_LENGTH], &key)));
        assert_eq!(meet(&rig, &longest, DEVICE_NAME, Ask::Always).await.unwrap().0.len(), limits::CHAIN_LENGTH);
        let too_long = client(&rig, version, Some(certified(vec![der.clone(); limits::CHAIN_LENGTH + 1], &key)));
        assert!(meet(&rig, &too_long, DEVICE_NAME, Ask::Always).await.is_err());
        let too_large = client(&rig, version, Some(certified(vec![der, vec![0; limits::CERTIFICATE_BYTES + 1]], &key)));
        assert!(meet(&rig, &too_large, DEVICE_NAME, Ask::Always).await.is_err());
    }

    #[tokio::test]
    async fn unusable_identities_are_explained() {
        let of = |chain: &str, key: &str| match Acceptor::new(&ServerIdentity {
            chain_pem: chain.into(),
            key_pem: key.into(),
        }) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        };
        assert!(of("", "").contains("it holds no certificate"));
        let (der, _) = device().await;
        let pem = ferrohub_pki::certificate::Certificate::from_der(&der).unwrap().to_pem();
        assert!(of(&pem, "").contains("private key is not readable"));
    }
}
