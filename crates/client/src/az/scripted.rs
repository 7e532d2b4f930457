//! A server that plays a script over real TLS, for tests of whole command lines.
#![expect(clippy::disallowed_methods, reason = "keys of a test")]

use crate::environment::Environment;
use bytes::Bytes;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::random::SeededRandom;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::platform::{DEFAULT_KEY, create_platform_root, create_server_chain};
use ferrohub_pki::profile::ServerFields;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Subscription of the scripted server.
pub(crate) const SUBSCRIPTION: &str = "11111111-1111-4111-8111-111111111111";

/// A request that the server got.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Method and path, without the api-version.
    pub(crate) call: String,
    pub(crate) host: String,
    pub(crate) authorization: String,
    pub(crate) body: Value,
    /// How often the same call came before.
    pub(crate) before: usize,
}

/// What the script answers.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Answer {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn list(items: Value) -> Self {
        Self::ok(json!({"value": items}))
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(status, json!({"error": {"code": code, "message": message}}))
    }

    /// A header; `{base}` in its value becomes the server's URL.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Script = fn(&Seen) -> Option<Answer>;

/// A running scripted server with a data folder and a place for sign-in state.
pub(crate) struct Scripted {
    folder: tempfile::TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// How a command line ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Scripted {
    /// Starts a server; what the script does not answer is 404.
    pub(crate) async fn start(script: Script) -> Self {
        let now = SystemClock.now();
        let name = SubjectName::from_common_name("Scripted").unwrap();
        let key = || Arc::new(SoftwareSigner::generate(DEFAULT_KEY).unwrap());
        let root = create_platform_root(name, key(), &SystemRandom, now).await.unwrap();
        let ca_pem = root.certificate().to_pem();
        let names = vec![
            "localhost".into(),
            "*.azure-devices-provisioning.localhost".into(),
            "*.azure-devices.localhost".into(),
        ];
        let fields = ServerFields { dns_names: names, ip_addresses: Vec::new(), days: 1 };
        let server = key();
        let public = server.public_key_info_der();
        let chain = create_server_chain(&root, fields, public, &SystemRandom, now).await.unwrap();
        let chain = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server.to_pkcs8().unwrap().to_vec()));
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&seen), script, port));
        let folder = tempfile::tempdir().unwrap();
        write_data_folder(folder.path(), &ca_pem, port);
        Self { folder, seen }
    }

    /// The environment of a command line; without a terminal.
    pub(crate) fn environment(&self) -> Environment {
        let path = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
        let variables = [("FERROHUB_DATA_DIR", path("data")), ("FERROHUB_CONFIG_DIR", path("config"))];
        Environment {
            variables: variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
            current_dir: self.folder.path().to_owned(),
            stdin: Box::new(std::io::empty()),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            clock: Arc::new(SystemClock),
            random: Arc::new(SeededRandom::new(7)),
        }
    }

    /// The folder of the server's data and the sign-in state.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs one command line.
    pub(crate) async fn az(&self, words: &[&str]) -> Ran {
        self.az_in(&mut self.environment(), words).await
    }

    /// The same in a given environment.
    pub(crate) async fn az_in(&self, environment: &mut Environment, words: &[&str]) -> Ran {
        let arguments = words.iter().map(|word| (*word).to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = Box::pin(crate::az::run(arguments, environment, &mut out, &mut err)).await;
        Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    }

    /// Starts a server and signs in with its owner.
    pub(crate) async fn signed_in(script: Script) -> Self {
        let server = Self::start(script).await;
        let ran = server.az(&["login"]).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        server
    }

    /// The calls so far, without those of the sign-in.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.call).collect()
    }

    /// The requests so far, without those of the sign-in.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| !seen.call.ends_with("/token") && seen.call != "GET /subscriptions")
            .cloned()
            .collect()
    }
}

fn write_data_folder(folder: &Path, ca_pem: &str, port: u16) {
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    let url = format!("https://localhost:{port}");
    let server = json!({
        "pid": 1, "version": "0.1.0", "domain": "localhost", "address": "127.0.0.1", "httpsPort": port, "mqttPort": 1, "pkiPort": null,
        "urls": {"resourceManager": url, "login": url, "graph": url}, "caFile": "ca.pem", "later": true,
    });
    let owner = json!({"tenantId": "t1", "subscriptionId": SUBSCRIPTION, "clientId": "c1", "clientSecret": "s3cret"});
    std::fs::write(data.join("server.json"), server.to_string()).unwrap();
    std::fs::write(data.join("owner.json"), owner.to_string()).unwrap();
    std::fs::write(data.join("ca.pem"), ca_pem).unwrap();
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, seen: Arc<Mutex<Vec<Seen>>>, script: Script, port: u16) {
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let stream = tls.accept(socket).await.unwrap();
            let service = hyper::service::service_fn(|request| serve(request, Arc::clone(&seen), script, port));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(
    request: http::Request<hyper::body::Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
    port: u16,
) -> Result<http::Response<Full<Bytes>>, std::convert::Infallible> {
    let header =
        |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let target = request.uri().path_and_query().unwrap().as_str();
    let path = target.split(['?', '&']).filter(|part| !part.starts_with("api-version=")).collect::<Vec<_>>().join("?");
    let call = format!("{} {path}", request.method());
    let (host, authorization) = (header("host"), header("authorization"));
    let bytes = request.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    let answer = {
        let mut all = seen.lock().unwrap();
        let before = all.iter().filter(|one| one.call == call).count();
        let one = Seen { call, host, authorization, body, before };
        let answer = sign_in(&one)
            .or_else(|| script(&one))
            .unwrap_or_else(|| Answer::error(404, "ResourceNotFound", "not scripted"));
        all.push(one);
        answer
    };
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value.replace("{base}", &format!("https://localhost:{port}")));
    }
    let body = if answer.body.is_null() { Bytes::new() } else { Bytes::from(answer.body.to_string()) };
    Ok(response.body(Full::new(body)).unwrap())
}

/// The parts of every script: the token and the subscriptions.
fn sign_in(seen: &Seen) -> Option<Answer> {
    if seen.call == "POST /t1/oauth2/v2.0/token" {
        let form = seen.body.as_str().unwrap_or_default();
        if !form.contains("client_secret=s3cret") {
            let text = "AADSTS7000215: Invalid client secret provided.";
            return Some(Answer::new(401, json!({"error": "invalid_client", "error_description": text})));
        }
        return Some(Answer::ok(json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "tok"})));
    }
    let one = json!({"subscriptionId": SUBSCRIPTION, "displayName": "Main", "state": "Enabled", "tenantId": "t1"});
    (seen.call == "GET /subscriptions").then(|| Answer::list(json!([one])))
}
