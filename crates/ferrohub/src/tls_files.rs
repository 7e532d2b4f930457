//! The server's certificate from files: read, checked as our own clients will check it, and every complaint
//! with the setting and the file that it is about.

use crate::config::TlsFiles;
use crate::data_dir::{Urls, read_bounded};
use ferrohub_frontdoor::{ServerIdentity, TlsError};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Reads certificate and key and checks that they belong together, and that a client which trusts the
/// certificate file accepts the server under the names of `domain`. Names of devices that the certificate
/// does not cover, and dates that do not fit, are warnings: a server that still serves some is better than none.
///
/// # Errors
/// `Invalid` naming setting and file, with what to change.
pub(crate) fn load(files: &TlsFiles, domain: &str, clock: &dyn Clock) -> Result<ServerIdentity> {
    let certificate = Named { setting: "tls.certificate", path: &files.certificate };
    let key = Named { setting: "tls.key", path: &files.key };
    let identity = ServerIdentity { chain_pem: certificate.read()?, key_pem: key.read()? };
    identity.check().map_err(|error| match error {
        TlsError::Chain(_) => certificate.wrong(&error.to_string()),
        TlsError::Key(_) => key.wrong(&error.to_string()),
        TlsError::Unusable(rustls::Error::InconsistentKeys(_)) => {
            key.wrong(&format!("it is not the key of the first certificate in {}", files.certificate.display()))
        }
        TlsError::Unusable(_) => certificate.wrong(&error.to_string()),
    })?;
    trusted(&certificate, &identity.chain_pem, domain, clock)?;
    Ok(identity)
}

/// A file with the setting that names it.
struct Named<'a> {
    setting: &'static str,
    path: &'a Path,
}

impl Named<'_> {
    fn read(&self) -> Result<Vec<u8>> {
        read_bounded(self.path)
            .map_err(|error| Error { message: format!("{}: {}", self.setting, error.message), ..error })
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::invalid(format!("{} ({}): {reason}.", self.setting, self.path.display()))
    }
}

/// `ca.pem` becomes a copy of the certificate file: the chain in it must verify with nothing else.
fn trusted(file: &Named<'_>, chain_pem: &[u8], domain: &str, clock: &dyn Clock) -> Result<()> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| file.wrong(&format!("it is not PEM: {error}")))?;
    let Some((leaf, issuers)) = chain.split_first() else { return Err(file.wrong("it holds no certificate")) };
    let mut roots = RootCertStore::empty();
    for certificate in &chain {
        roots
            .add(certificate.clone())
            .map_err(|error| file.wrong(&format!("a certificate cannot be trusted: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| Error::internal(format!("certificate verifier: {error}")))?;
    let seconds = u64::try_from(clock.unix_seconds()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let verdict = |name: &str| -> Result<Option<rustls::Error>> {
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| Error::invalid(format!("'{name}' is no host name.")))?;
        Ok(verifier.verify_server_cert(leaf, issuers, &name, &[], now).err())
    };
    for name in control_names(domain) {
        match verdict(&name)? {
            None => {}
            Some(rustls::Error::InvalidCertificate(problem)) => judge(file, &name, &problem)?,
            Some(error) => return Err(file.wrong(&error.to_string())),
        }
    }
    let mut missing = Vec::new();
    for name in device_names(domain) {
        if let Some(rustls::Error::InvalidCertificate(problem)) = verdict(&name)?
            && is_name(&problem)
        {
            missing.push(name);
        }
    }
    if !missing.is_empty() {
        tracing::warn!(
            file = %file.path.display(),
            names = missing.join(", "),
            "{} does not cover names that devices dial; add them (with a wildcard for hubs) to the certificate",
            file.setting
        );
    }
    Ok(())
}

/// A complaint about the certificate itself ends the start, one about its dates is a warning.
fn judge(file: &Named<'_>, name: &str, problem: &CertificateError) -> Result<()> {
    match problem {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            tracing::warn!(file = %file.path.display(), %problem, "{}: clients will refuse the certificate; renew it", file.setting);
            Ok(())
        }
        CertificateError::UnknownIssuer => Err(file.wrong(
            "its chain does not lead to a certificate in the file, so no client could trust it. \
             Append the certificate of the issuer (the CA) to the file",
        )),
        problem if is_name(problem) => Err(file.wrong(&format!(
            "it is not valid for the name '{name}', which clients dial. Make one with that name, or set the domain (--domain) that it is for"
        ))),
        problem if problem.to_string().contains("CaUsedAsEndEntity") => Err(file.wrong(
            "its first certificate is a CA's, which clients do not accept for a server. \
             Make a server certificate, leaf first (a self-signed one without CA:TRUE will do)",
        )),
        problem => Err(file.wrong(&format!("clients would refuse it: {problem}"))),
    }
}

fn is_name(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
}

/// Hosts of the control plane's URLs.
fn control_names(domain: &str) -> Vec<String> {
    let urls = Urls::of(domain, 443);
    let host = |url: &str| url.trim_start_matches("https://").split('/').next().unwrap_or_default().to_owned();
    let mut names = vec![host(&urls.resource_manager), host(&urls.login), host(&urls.graph)];
    names.dedup();
    names
}

/// Hosts that devices dial; one hub stands for all.
fn device_names(domain: &str) -> [String; 2] {
    [format!("any-hub.azure-devices.{domain}"), format!("global.azure-devices-provisioning.{domain}")]
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "keys of a test")]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ferrohub_clock::SystemClock;
    use ferrohub_model::clock::ManualClock;
    use ferrohub_pki::name::SubjectName;
    use ferrohub_pki::platform::{DEFAULT_KEY, ServerIdentity, create_platform_root, create_server_chain};
    use ferrohub_pki::profile::ServerFields;
    use ferrohub_pki::random::SystemRandom;
    use ferrohub_pki::signer::{Signer, SoftwareSigner};

    /// PEM of leaf, CA and the leaf's key, for `domain`.
    async fn made(domain: &str) -> [String; 3] {
        let now = SystemClock.now();
        let name = SubjectName::from_common_name("private CA").unwrap();
        let key = || Arc::new(SoftwareSigner::generate(DEFAULT_KEY).unwrap());
        let root = create_platform_root(name, key(), &SystemRandom, now).await.unwrap();
        let dns_names = vec![domain.to_owned(), format!("*.{domain}"), format!("*.azure-devices.{domain}")];
        let fields = ServerFields { dns_names, ip_addresses: Vec::new(), days: 30 };
        let key = key();
        let chain = create_server_chain(&root, fields, key.public_key_info_der(), &SystemRandom, now).await.unwrap();
        let server = ServerIdentity { chain, key_pkcs8: key.to_pkcs8().unwrap() };
        let chain = server.chain_pem();
        let leaf_end = chain.find("-----END CERTIFICATE-----").unwrap() + "-----END CERTIFICATE-----\n".len();
        [chain[..leaf_end].to_owned(), chain[leaf_end..].to_owned(), server.key_pem().to_string()]
    }

    fn loaded(certificate: &str, key: &str, domain: &str, clock: &dyn Clock) -> std::result::Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem") };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        load(&files, domain, clock).map(|_| ()).map_err(|error| error.message)
    }

    #[tokio::test]
    async fn a_whole_chain_is_taken_and_a_lone_leaf_is_not() {
        for domain in ["localhost", "iot.example"] {
            let [leaf, ca, key] = made(domain).await;
            loaded(&format!("{leaf}{ca}"), &key, domain, &SystemClock).unwrap();
            let refused = loaded(&leaf, &key, domain, &SystemClock).unwrap_err();
            assert!(refused.starts_with("tls.certificate (") && refused.contains("c.pem"), "{refused}");
            assert!(refused.contains("Append the certificate of the issuer"), "{refused}");
        }
    }

    #[tokio::test]
    async fn the_name_must_fit_and_dates_only_warn() {
        let [leaf, ca, key] = made("iot.example").await;
        let chain = format!("{leaf}{ca}");
        let refused = loaded(&chain, &key, "other.example", &SystemClock).unwrap_err();
        assert!(refused.contains("'management.other.example'") && refused.contains("--domain"), "{refused}");
        let later = ManualClock::new(SystemClock.now() + jiff::SignedDuration::from_hours(24 * 60));
        loaded(&chain, &key, "iot.example", &later).unwrap();
    }

    #[tokio::test]
    async fn complaints_name_setting_and_file() {
        let ([leaf, ca, key], [_, _, other_key]) = (made("localhost").await, made("localhost").await);
        let chain = format!("{leaf}{ca}");
        for (certificate, key, begins, contains) in [
            ("", key.as_str(), "tls.certificate (", "no certificate"),
            (chain.as_str(), "no key", "tls.key (", "k.pem"),
            (chain.as_str(), other_key.as_str(), "tls.key (", "not the key of the first certificate in"),
        ] {
            let refused = loaded(certificate, key, "localhost", &SystemClock).unwrap_err();
            assert!(refused.starts_with(begins) && refused.contains(contains), "{refused}");
        }
        let files = TlsFiles { certificate: "/nonexistent/c".into(), key: "/nonexistent/k".into() };
        let refused = load(&files, "localhost", &SystemClock).unwrap_err().message;
        assert!(refused.starts_with("tls.certificate: Cannot read /nonexistent/c"), "{refused}");
    }

    #[tokio::test]
    async fn a_ca_for_a_server_is_explained() {
        let name = SubjectName::from_common_name("localhost").unwrap();
        let key = Arc::new(SoftwareSigner::generate(DEFAULT_KEY).unwrap());
        let root = create_platform_root(name, key.clone(), &SystemRandom, SystemClock.now()).await.unwrap();
        let key = STANDARD.encode(key.to_pkcs8().unwrap());
        let key = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
        let refused = loaded(&root.certificate().to_pem(), &key, "localhost", &SystemClock).unwrap_err();
        assert!(refused.contains("first certificate is a CA's"), "{refused}");
    }
}
