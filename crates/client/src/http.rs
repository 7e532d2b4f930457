//! A small HTTPS client over hyper and rustls.
//!
//! It differs from a general one in two ways: names of the server's domain (and every name that
//! ends in `.localhost`) are dialled at the server's known address, because plain glibc does not
//! resolve them; and it trusts the given CA certificates and nothing else.

use crate::tls_fault;
use bytes::Bytes;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::CLIENT_RESPONSE_BYTES;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Time to connect and finish TLS: ours.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time from the request to the last byte of its response: ours.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Idle connections kept per server name: ours.
const MAX_IDLE: usize = 4;

/// Where the server listens, and for which names it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Domain of all the server's names, such as `localhost`.
    pub domain: String,
    /// Host or IP address to dial.
    pub host: String,
    /// HTTPS port to dial where a URL names none.
    pub https_port: u16,
}

impl ServerAddress {
    /// Whether `host` is a name that only this server can answer for.
    pub fn owns(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let domain = self.domain.to_ascii_lowercase();
        host == domain || host.ends_with(&format!(".{domain}")) || host == "localhost" || host.ends_with(".localhost")
    }
}

/// A response whose body was read whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, at most [`CLIENT_RESPONSE_BYTES`].
    pub body: Bytes,
}

impl Response {
    /// The header `name` as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON; `Null` where it is empty.
    ///
    /// # Errors
    /// `Internal` where the body is not JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        if self.body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::new(ErrorKind::Internal, "InvalidResponse", format!("The server's answer is not JSON: {error}."))
        })
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// An HTTPS client for one server. Cheap to share behind an `Arc`; connections are reused.
pub struct Client {
    tls: TlsConnector,
    server: ServerAddress,
    idle: Mutex<HashMap<String, Vec<Sender>>>,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// A client that trusts the certificates in `ca_pem` (PEM, one or more) and nothing else; its
    /// deadlines go by `clock`.
    ///
    /// # Errors
    /// `Invalid` where `ca_pem` has no certificate or one that cannot be a trust anchor.
    pub fn new(ca_pem: &[u8], server: ServerAddress, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            let certificate =
                certificate.map_err(|error| Error::invalid(format!("The CA file is not PEM: {error}.")))?;
            roots
                .add(certificate)
                .map_err(|error| Error::invalid(format!("The CA file has an unusable certificate: {error}.")))?;
        }
        if roots.is_empty() {
            return Err(Error::invalid("The CA file holds no certificate; give the server's ca.pem."));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal(format!("TLS versions: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), server, idle: Mutex::new(HashMap::new()), clock })
    }

    /// The server this client dials.
    pub fn server(&self) -> &ServerAddress {
        &self.server
    }

    /// Sends one request and reads its whole response. `url` is an absolute `https` URL; its host
    /// goes out as SNI and, with the URL's port if it has one, as `Host`.
    ///
    /// # Errors
    /// `Invalid` for a bad URL or header, `Unavailable` where the server cannot be reached or does
    /// not answer in time, [`tls_fault::UNTRUSTED`] and [`tls_fault::MISNAMED`] where its certificate is not trusted, `TooLarge` for a response over [`CLIENT_RESPONSE_BYTES`].
    pub async fn request(&self, method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Response> {
        let uri: Uri = url.parse().map_err(|_| Error::invalid(format!("'{url}' is not a URL.")))?;
        let target = Target::of(&uri, &self.server)?;
        let exchange = Box::pin(self.exchange(method, &uri, &target, headers, body));
        match timeout(self.clock.as_ref(), REQUEST_TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Error::unavailable(
                format!("{} did not answer within {} seconds.", target.authority, REQUEST_TIMEOUT.as_secs()),
                1,
            )),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        uri: &Uri,
        target: &Target,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response> {
        let mut request = build(&method, uri, target, headers, body)?;
        // A kept connection may have been closed by the server meanwhile; hyper then hands the
        // request back unsent, and it goes out on a fresh one.
        while let Some(mut sender) = self.take_idle(&target.authority) {
            match sender.try_send_request(request).await {
                Ok(response) => return self.finish(response, sender, target).await,
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(target, failed.error())),
                },
            }
        }
        let mut sender = self.connect(target).await?;
        let response = sender.send_request(request).await.map_err(|error| broken(target, &error))?;
        self.finish(response, sender, target).await
    }

    async fn finish(
        &self,
        response: http::Response<hyper::body::Incoming>,
        sender: Sender,
        target: &Target,
    ) -> Result<Response> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, CLIENT_RESPONSE_BYTES).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                let text = format!("The answer of {} is over {CLIENT_RESPONSE_BYTES} bytes.", target.authority);
                return Error::new(ErrorKind::TooLarge, "ResponseTooLarge", text);
            }
            broken(target, error.as_ref())
        })?;
        self.keep_idle(&target.authority, sender);
        Ok(Response { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }

    async fn connect(&self, target: &Target) -> Result<Sender> {
        let unreachable = |detail: String| {
            Error::unavailable(
                format!("Cannot reach {} ({}:{}): {detail}.", target.authority, target.dial_host, target.dial_port),
                1,
            )
        };
        let opening = async {
            let socket = TcpStream::connect((target.dial_host.as_str(), target.dial_port))
                .await
                .map_err(|error| unreachable(error.to_string()))?;
            socket.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| Error::invalid(format!("'{}' is not a host name.", target.host)))?;
            let address = format!("{}:{}", target.dial_host, target.dial_port);
            self.tls.connect(name, socket).await.map_err(|error| tls_fault::told(&error, &target.authority, &address))
        };
        let stream = match timeout(self.clock.as_ref(), CONNECT_TIMEOUT, opening).await {
            Ok(stream) => stream?,
            Err(_) => {
                return Err(unreachable(format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs())));
            }
        };
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(target, &error))?;
        tokio::spawn(async move {
            // The request that used the connection reports its failure; nothing is left to say here.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn take_idle(&self, authority: &str) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(authority)?;
        senders.retain(|sender| !sender.is_closed());
        let ready = senders.iter().position(SendRequest::is_ready)?;
        Some(senders.swap_remove(ready))
    }

    fn keep_idle(&self, authority: &str, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.entry(authority.to_owned()).or_default();
        if senders.len() < MAX_IDLE {
            senders.push(sender);
        }
    }
}

/// Whom to dial and what to call them.
struct Target {
    host: String,
    authority: String,
    dial_host: String,
    dial_port: u16,
}

impl Target {
    fn of(uri: &Uri, server: &ServerAddress) -> Result<Self> {
        if uri.scheme_str() != Some("https") {
            return Err(Error::invalid(format!("'{uri}' is not an https URL.")));
        }
        let host = uri.host().ok_or_else(|| Error::invalid(format!("'{uri}' has no host.")))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let authority = match uri.port_u16() {
            Some(port) if port != 443 => format!("{host}:{port}"),
            _ => host.to_owned(),
        };
        let owned = server.owns(&bare);
        let dial_host = if owned { server.host.clone() } else { bare.clone() };
        let dial_port = uri.port_u16().unwrap_or(if owned { server.https_port } else { 443 });
        Ok(Self { host: bare, authority, dial_host, dial_port })
    }
}

fn build(
    method: &Method,
    uri: &Uri,
    target: &Target,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<http::Request<Full<Bytes>>> {
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = http::Request::builder().method(method).uri(path).header("host", &target.authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(Full::new(body))
        .map_err(|error| Error::invalid(format!("A header of the request is not valid: {error}.")))
}

fn broken(target: &Target, error: &dyn std::error::Error) -> Error {
    Error::unavailable(format!("The connection to {} broke: {error}.", target.authority), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerAddress {
        ServerAddress { domain: "hub.example".into(), host: "192.0.2.7".into(), https_port: 8443 }
    }

    fn target(url: &str) -> Target {
        Target::of(&url.parse().unwrap(), &server()).unwrap()
    }

    #[test]
    fn names_of_the_domain_are_dialled_at_the_server() {
        let hub = target("https://h1.azure-devices.hub.example/devices/d1");
        assert_eq!((hub.dial_host.as_str(), hub.dial_port), ("192.0.2.7", 8443));
        assert_eq!(hub.authority, "h1.azure-devices.hub.example");
        let arm = target("https://localhost:9443/subscriptions");
        assert_eq!(
            (arm.dial_host.as_str(), arm.dial_port, arm.authority.as_str()),
            ("192.0.2.7", 9443, "localhost:9443")
        );
    }

    #[test]
    fn other_names_are_left_to_the_resolver() {
        let other = target("https://not-hub.example.org/");
        assert_eq!((other.dial_host.as_str(), other.dial_port), ("not-hub.example.org", 443));
        assert!(!server().owns("nothub.example"));
    }

    #[test]
    fn only_https_is_spoken() {
        assert!(Target::of(&"http://localhost/".parse().unwrap(), &server()).is_err());
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        let error = Client::new(b"not pem", server(), ferrohub_clock::SystemClock::shared()).err().unwrap();
        assert!(error.message.contains("no certificate"), "{}", error.message);
    }
}
