//! Webhooks of custom allocation over HTTPS: only to hosts that the server's configuration names, and only where its trust file
//! vouches for them. A connection serves one request; a redirect is an answer like any other, and none that counts.

use async_trait::async_trait;
use bytes::Bytes;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::WEBHOOK_ANSWER_BYTES;
use ferrohub_model::limits::WEBHOOK_URL_CHARS;
use ferrohub_service::provisioning::{WebhookFault, Webhooks};
use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The webhooks that may be asked.
pub struct HttpsWebhooks {
    allowed: Vec<Allowed>,
    tls: TlsConnector,
}

/// A host that may be asked: a name or an address, and a port.
#[derive(Debug, PartialEq, Eq)]
struct Allowed {
    host: String,
    /// Any name below `host`, and not `host` itself.
    below: bool,
    port: u16,
}

/// Where a URL leads.
struct Target {
    uri: Uri,
    host: String,
    port: u16,
}

impl HttpsWebhooks {
    /// Webhooks at the hosts in `allow`, such as `functions.example.com`, `10.1.2.3:8443` or `*.azurewebsites.net`, whose
    /// certificates are issued under one of `trusted_pem`.
    ///
    /// # Errors
    /// `Invalid` naming the entry that is no host, or where `trusted_pem` holds no certificate that can be trusted.
    pub fn new(allow: &[String], trusted_pem: &[u8]) -> Result<Self> {
        let allowed = allow.iter().map(|text| Allowed::parse(text)).collect::<Result<Vec<_>>>()?;
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(trusted_pem).collect::<Result<Vec<_>, _>>();
        let certificates =
            certificates.map_err(|error| Error::invalid(format!("The trust file of webhooks is not PEM: {error}.")))?;
        // A bundle of the system has some that no verifier takes.
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err(Error::invalid("The trust file of webhooks has no CA certificate that can be trusted."));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal(format!("TLS versions: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { allowed, tls: TlsConnector::from(Arc::new(config)) })
    }

    fn target(&self, url: &str) -> Result<Target, String> {
        let target = Target::parse(url)?;
        if self.allowed.iter().any(|allowed| allowed.covers(&target)) {
            return Ok(target);
        }
        Err(format!(
            "the host '{}:{}' is not among those that this server may ask; its operator adds it to webhooks.allow of the configuration",
            target.host, target.port
        ))
    }

    async fn exchange(&self, target: &Target, body: Vec<u8>) -> Result<Vec<u8>, WebhookFault> {
        let broken = |error: &dyn std::fmt::Display| WebhookFault::Passing(format!("cannot be asked: {error}"));
        let socket = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(|error| broken(&error))?;
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| WebhookFault::Lasting("has no host name that TLS knows".into()))?;
        let stream = self.tls.connect(name, socket).await.map_err(|error| broken(&error))?;
        let (mut sender, connection) =
            http1::Builder::new().max_headers(64).handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        let request = request(target, body)?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
            read(answer).await
        };
        // The connection lives as long as its request: who stops waiting closes it.
        tokio::pin!(connection, answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(broken(&error)),
            },
        }
    }
}

#[async_trait]
impl Webhooks for HttpsWebhooks {
    fn check(&self, url: &str) -> Result<(), String> {
        self.target(url).map(drop)
    }

    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, WebhookFault> {
        let target = self.target(url).map_err(|why| WebhookFault::Lasting(format!("may not be asked: {why}")))?;
        self.exchange(&target, body).await
    }
}

fn request(target: &Target, body: Vec<u8>) -> Result<Request<Full<Bytes>>, WebhookFault> {
    let path = target.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let host = target.uri.authority().map_or("", http::uri::Authority::as_str);
    let request = Request::post(path).header(HOST, host).header(CONNECTION, "close");
    request
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| WebhookFault::Lasting(format!("cannot be asked: {error}")))
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Result<Vec<u8>, WebhookFault> {
    let status = answer.status();
    if status != StatusCode::OK {
        let text = match status.is_redirection() {
            true => format!("answered with a redirect ({status}), which is not followed"),
            false => format!("answered {status}"),
        };
        let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        return Err(if passing { WebhookFault::Passing(text) } else { WebhookFault::Lasting(text) });
    }
    let body = Limited::new(answer.into_body(), WEBHOOK_ANSWER_BYTES).collect().await;
    body.map(|body| body.to_bytes().to_vec()).map_err(|error| match error.is::<LengthLimitError>() {
        true => WebhookFault::Lasting(format!("answered with more than {WEBHOOK_ANSWER_BYTES} bytes")),
        false => WebhookFault::Passing(format!("broke off its answer: {error}")),
    })
}

impl Allowed {
    fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "webhooks.allow has '{text}', which is no host: give a name, '*.' and a name, or an IP address, with ':' and a port where it is not 443."
            ))
        };
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let target = Target::parse(&format!("https://{rest}/")).map_err(|_| wrong())?;
        let bare = target.uri.path_and_query().is_some_and(|path| path == "/");
        let wide = below && (!target.host.contains('.') || target.host.parse::<std::net::IpAddr>().is_ok());
        if rest.contains(['/', '?', '#', '@']) || !bare || wide {
            return Err(wrong());
        }
        Ok(Self { host: target.host, below, port: target.port })
    }

    fn covers(&self, target: &Target) -> bool {
        let fits = match self.below {
            true => target.host.strip_suffix(&self.host).is_some_and(|front| front.ends_with('.') && front.len() > 1),
            false => target.host == self.host,
        };
        fits && target.port == self.port
    }
}

impl Target {
    /// Reads an `https` URL without user information.
    fn parse(url: &str) -> Result<Self, String> {
        if url.len() > WEBHOOK_URL_CHARS {
            return Err(format!("its URL is over {WEBHOOK_URL_CHARS} bytes"));
        }
        let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
        if uri.scheme_str() != Some("https") {
            return Err("it is no https URL".into());
        }
        let authority = uri.authority().ok_or_else(|| "its URL has no host".to_owned())?;
        if authority.as_str().contains('@') {
            return Err("its URL has user information".into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() || ServerName::try_from(host.clone()).is_err() {
            return Err("its URL has no host".into());
        }
        let port = authority.port_u16().unwrap_or(443);
        Ok(Self { host, port, uri })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = include_str!("webhook/ca.pem");

    fn webhooks(allow: &[&str]) -> Result<HttpsWebhooks> {
        HttpsWebhooks::new(&allow.iter().map(ToString::to_string).collect::<Vec<_>>(), CA.as_bytes())
    }

    #[test]
    fn only_hosts_that_are_named_may_be_asked() {
        let webhooks = webhooks(&["hooks.example.com", "*.azurewebsites.net", "10.1.2.3:8443", "[::1]:9"]).unwrap();
        for url in [
            "https://hooks.example.com/api/allocate?code=x",
            "https://HOOKS.example.com:443/",
            "https://f1.azurewebsites.net/a",
            "https://a.b.azurewebsites.net",
            "https://10.1.2.3:8443/",
            "https://[::1]:9/",
        ] {
            assert_eq!(webhooks.check(url), Ok(()), "{url}");
        }
        for (url, word) in [
            ("http://hooks.example.com/", "no https"),
            ("ftp://hooks.example.com/", "no https"),
            ("https://hooks.example.com:8443/", "webhooks.allow"),
            ("https://10.1.2.3/", "webhooks.allow"),
            ("https://azurewebsites.net/", "webhooks.allow"),
            ("https://.azurewebsites.net/", "no host"),
            ("https://evilazurewebsites.net/", "webhooks.allow"),
            ("https://hooks.example.com.evil.example/", "webhooks.allow"),
            ("https://hooks.example.com@evil.example/", "user information"),
            ("https://evil.example#@hooks.example.com/", "webhooks.allow"),
            ("https://localhost/", "webhooks.allow"),
            ("https://169.254.169.254/metadata", "webhooks.allow"),
            ("https://[::ffff:10.1.2.3]:8443/", "webhooks.allow"),
            ("https:///path", "no"),
            ("hooks.example.com", "no https"),
            ("", "no URL"),
        ] {
            let why = webhooks.check(url).unwrap_err();
            assert!(why.contains(word), "{url}: {why}");
        }
        assert!(webhooks.check(&format!("https://hooks.example.com/{}", "a".repeat(2048))).is_err());
    }

    #[test]
    fn entries_of_the_list_and_the_trust_file_are_checked() {
        for entry in ["", "*", "*.", "*.com", "*.10.0.0.1", "https://a.example", "a.example/path", "a@b.example", "a b"]
        {
            let error = webhooks(&[entry]).err().unwrap_or_else(|| panic!("{entry} was taken"));
            assert!(error.message.contains("webhooks.allow"), "{entry}: {error}");
        }
        for trusted in ["", "not pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(HttpsWebhooks::new(&[], trusted.as_bytes()).is_err(), "{trusted}");
        }
    }
}
