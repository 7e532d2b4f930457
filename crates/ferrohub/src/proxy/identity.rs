//! The certificate for Azure's names. The root above it exists for as long as it takes to sign that one certificate, and could
//! vouch for Azure's names only; who trusts it trusts this proxy and nothing that comes after.

use ferrohub_model::azure_names;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::platform::{DEFAULT_KEY, create_constrained_root, create_server_chain};
use ferrohub_pki::profile::ServerFields;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// What the proxy shows under Azure's names.
pub(super) struct Identity {
    /// The root that clients trust, PEM.
    pub(super) root_pem: String,
    /// TLS with the certificate.
    pub(super) tls: Arc<ServerConfig>,
}

/// Azure's names as a certificate has them: hubs and provisioning services by a wildcard.
fn certified_names() -> Vec<String> {
    let mut names = [azure_names::MANAGEMENT, azure_names::LOGIN, azure_names::GRAPH].map(str::to_owned).to_vec();
    names.extend([azure_names::HUBS, azure_names::PROVISIONING].map(|suffix| format!("*.{suffix}")));
    names
}

/// Makes root and certificate, valid for `days`, and throws the root's key away.
///
/// # Errors
/// `Internal` on a fault of the cryptographic provider.
#[expect(clippy::disallowed_methods, reason = "a key that lives as long as this process and is kept nowhere")]
pub(super) async fn make(days: u32, random: &dyn Random, clock: &dyn Clock) -> Result<Identity> {
    let now = clock.now();
    let permitted = certified_names().into_iter().map(|name| name.trim_start_matches("*.").to_owned()).collect();
    let name = SubjectName::from_common_name("Ferrohub proxy: Azure's names on this machine")?;
    let root_key = Arc::new(SoftwareSigner::generate(DEFAULT_KEY)?);
    let root = create_constrained_root(name, days, permitted, root_key, random, now).await?;
    let key = SoftwareSigner::generate(DEFAULT_KEY)?;
    let fields = ServerFields { dns_names: certified_names(), ip_addresses: Vec::new(), days };
    let chain = create_server_chain(&root, fields, key.public_key_info_der(), random, now).await?;
    let leaf = chain.iter().take(1).map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8()?.to_vec()));
    let unusable = |error: rustls::Error| Error::internal(format!("TLS for Azure's names: {error}"));
    let mut tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(leaf, key)
        .map_err(unusable)?;
    // As the server itself offers them.
    tls.alpn_protocols = vec![b"http/1.1".to_vec(), b"mqtt".to_vec()];
    Ok(Identity { root_pem: root.certificate().to_pem(), tls: Arc::new(tls) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;
    use ferrohub_pki::random::SystemRandom;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::time::Duration;

    #[tokio::test]
    async fn clients_that_trust_the_root_take_azures_names_and_no_others() {
        let identity = make(30, &SystemRandom, &SystemClock).await.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(identity.root_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let (client, server) = tokio::io::duplex(65_536);
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_webpki_verifier(verifier.clone())
            .with_no_client_auth();
        let name = ServerName::try_from("hub1.azure-devices.net").unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(identity.tls.clone());
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let (accepted, connected) = tokio::join!(acceptor.accept(server), connector.connect(name, client));
        accepted.unwrap();
        let stream = connected.unwrap();
        let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(SystemClock.unix_seconds().unsigned_abs()));
        let accepts = |host: &str| {
            let name = ServerName::try_from(host.to_owned()).unwrap();
            verifier.verify_server_cert(&leaf, &[], &name, &[], now).is_ok()
        };
        for host in [
            "management.azure.com",
            "login.microsoftonline.com",
            "graph.microsoft.com",
            "dps1.azure-devices-provisioning.net",
        ] {
            assert!(accepts(host), "{host}");
        }
        for host in ["localhost", "azure.com", "x.management.azure.com", "vault.azure.net"] {
            assert!(!accepts(host), "{host}");
        }
    }
}
