//! A small HTTPS client that dials the servers' ports by turns and sends a name of its choice as SNI and Host.

use crate::rig::Turns;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Dials one of several ports, another one for the next request.
pub(crate) struct HttpClient {
    ports: Vec<u16>,
    turns: Turns,
    tls: TlsConnector,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Of the server that sent it.
    pub(crate) port: u16,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body, after a check of the status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }
}

impl HttpClient {
    pub(crate) fn new(ports: Vec<u16>, ca_pem: &str) -> Self {
        Self::speaking(ports, ca_pem, rustls::DEFAULT_VERSIONS)
    }

    /// One that presents a device's certificates.
    pub(crate) fn with_certificate(ports: Vec<u16>, ca_pem: &str, chain: Vec<Vec<u8>>, key_pem: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key_pem).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain.into_iter().map(CertificateDer::from).collect(), key)
            .unwrap();
        Self { ports, turns: Turns::default(), tls: TlsConnector::from(Arc::new(config)) }
    }

    /// One that speaks these versions of TLS.
    pub(crate) fn speaking(ports: Vec<u16>, ca_pem: &str, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { ports, turns: Turns::default(), tls: TlsConnector::from(Arc::new(config)) }
    }

    /// A connection to a port under a name.
    pub(crate) async fn dial(&self, port: u16, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        self.dial_from(1, port, name).await
    }

    /// The same from the address 127.0.0.`from`.
    pub(crate) async fn dial_from(&self, from: u8, port: u16, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, from], 0).into())?;
        let stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
        self.tls.connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.send_by(host, method, host, path, headers, body).await
    }

    /// The same on a connection that was made under the name `sni`.
    pub(crate) async fn send_by(
        &self,
        sni: &str,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let port = *self.turns.next(&self.ports);
        let stream = self.dial(port, sni).await.unwrap();
        ask(stream, (method, host, port, path), headers, body).await
    }

    /// The same as [`Self::send`] from the address 127.0.0.`from`.
    pub(crate) async fn send_from(
        &self,
        from: u8,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let port = *self.turns.next(&self.ports);
        let stream = self.dial_from(from, port, host).await.unwrap();
        ask(stream, (method, host, port, path), headers, body).await
    }
}

/// Sends a request to `host` at `port` and reads the answer.
async fn ask(
    stream: TlsStream<TcpStream>,
    (method, host, port, path): (&str, &str, u16, &str),
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", format!("{host}:{port}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { port, status: parts.status.as_u16(), headers: parts.headers, text }
}
