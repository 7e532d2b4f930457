//! The owner's hands: the product's own HTTPS API over real sockets, signed in with `owner.json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ferrohub_client::http::{Client, Response, ServerAddress};
use ferrohub_client::profile::{self, OwnerFile, ServerFile};
use ferrohub_client::tls_fault::UNTRUSTED;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_wire::sas_token;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::data_dir::{OWNER_FILE, read_bounded};
use crate::output::asking_for_the_server;

/// Longest wait for a long-running operation: ours.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause between polls where the server names none, seconds (ARM's own default is 30).
const DEFAULT_RETRY_SECONDS: u64 = 1;
/// How long a SAS token for a data plane is valid, seconds: ours.
const TOKEN_SECONDS: i64 = 300;

/// A signed-in owner.
pub(crate) struct Owner {
    client: Client,
    server: ServerFile,
    credential: OwnerFile,
    ca_pem: Vec<u8>,
    ca_file: PathBuf,
    subscription: String,
    /// For Resource Manager. It lives for an hour, and who follows events stays longer.
    token: Mutex<String>,
}

impl Owner {
    /// Reads `server.json`, `ca.pem` and `owner.json` of a data folder and signs in.
    ///
    /// # Errors
    /// `Invalid` where a file is missing or wrong, `Unavailable` where the server is not there.
    pub(crate) async fn sign_in(data_dir: &Path) -> Result<Self> {
        let server = profile::read_server_file(data_dir)?;
        let credential = profile::read_owner_file(&data_dir.join(OWNER_FILE))?;
        let subscription = credential.subscription_id.clone().ok_or_else(|| {
            Error::invalid(format!("{} names no subscriptionId.", data_dir.join(OWNER_FILE).display()))
        })?;
        let ca_file = data_dir.join(&server.ca_file);
        let ca_pem = read_bounded(&ca_file)?;
        let address = ServerAddress {
            domain: server.domain.clone(),
            host: server.address.clone(),
            https_port: server.https_port,
        };
        let client = Client::new(&ca_pem, address, SystemClock::shared())?;
        let owner = Self { client, server, credential, ca_pem, ca_file, subscription, token: Mutex::default() };
        match owner.renew().await {
            Ok(_) => Ok(owner),
            Err(error) if error.code == UNTRUSTED => Err(Error {
                message: format!(
                    "What answers at {}:{} has no certificate from the CA in {}: it is the server of another data folder, or none of ours.",
                    owner.server.address,
                    owner.server.https_port,
                    owner.ca_file.display()
                ),
                ..error
            }),
            Err(error) => Err(asking_for_the_server(error)),
        }
    }

    /// The server's file.
    pub(crate) fn server(&self) -> &ServerFile {
        &self.server
    }

    /// Tenant id.
    pub(crate) fn tenant(&self) -> &str {
        &self.credential.tenant_id
    }

    /// Application id.
    pub(crate) fn client_id(&self) -> &str {
        &self.credential.client_id
    }

    /// Subscription id.
    pub(crate) fn subscription(&self) -> &str {
        &self.subscription
    }

    /// What clients trust, PEM, and the file it is in.
    pub(crate) fn ca(&self) -> (&[u8], &Path) {
        (&self.ca_pem, &self.ca_file)
    }

    /// The resource at `path`, or none.
    ///
    /// # Errors
    /// ARM's error as a sentence.
    pub(crate) async fn get(&self, path: &str, version: &str) -> Result<Option<Value>> {
        let response = self.arm(Method::GET, path, version, None).await?;
        match response.status.as_u16() {
            404 => Ok(None),
            _ => checked(response)?.json().map(Some),
        }
    }

    /// Writes the resource at `path`, waits for the operation and gives the resource.
    ///
    /// # Errors
    /// ARM's error as a sentence.
    pub(crate) async fn put(&self, path: &str, version: &str, body: &Value) -> Result<Value> {
        let response = checked(self.arm(Method::PUT, path, version, Some(body)).await?)?;
        if !self.finish(&response).await? {
            return response.json();
        }
        let resource = self.get(path, version).await?;
        resource.ok_or_else(|| Error::internal(format!("{path} was written and is not there")))
    }

    /// Calls an action and waits for its operation; gives the immediate answer.
    ///
    /// # Errors
    /// ARM's error as a sentence.
    pub(crate) async fn post(&self, path: &str, version: &str, body: Option<&Value>) -> Result<Value> {
        let response = checked(self.arm(Method::POST, path, version, body).await?)?;
        self.finish(&response).await?;
        response.json()
    }

    /// Reads from Microsoft Graph; `path` has its query.
    ///
    /// # Errors
    /// Graph's error as a sentence.
    pub(crate) async fn graph(&self, path: &str) -> Result<Value> {
        self.directory(Method::GET, path, None).await
    }

    /// Calls an action of Microsoft Graph.
    ///
    /// # Errors
    /// Graph's error as a sentence.
    pub(crate) async fn graph_post(&self, path: &str, body: &Value) -> Result<Value> {
        self.directory(Method::POST, path, Some(body)).await
    }

    async fn directory(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let base = self.server.urls.graph.trim_end_matches('/');
        let token = self.request_token(base).await?;
        checked(self.bearer(method, &format!("{base}/v1.0{path}"), &token, body).await?)?.json()
    }

    /// Calls a data plane at `host` with a token signed by a shared access key; `path` has its query.
    /// `None` for 404.
    ///
    /// # Errors
    /// The service's error as a sentence.
    pub(crate) async fn data(
        &self,
        method: Method,
        host: &str,
        path: &str,
        key: &SharedKey,
        body: Option<&Value>,
        clock: &dyn Clock,
    ) -> Result<Option<Value>> {
        let token = key.token(host, clock)?;
        let mut headers = vec![("authorization", token.as_str()), ("accept", "application/json")];
        if body.is_some() {
            headers.push(("content-type", "application/json; charset=utf-8"));
        }
        let response = self.client.request(method, &format!("https://{host}{path}"), &headers, encoded(body)?).await?;
        match response.status.as_u16() {
            404 => Ok(None),
            _ => checked(response)?.json().map(Some),
        }
    }

    /// The key of a hub or provisioning service that holds all of `rights`.
    ///
    /// # Errors
    /// ARM's error as a sentence, or that no policy has the rights.
    pub(crate) async fn shared_key(&self, resource: &str, version: &str, rights: &[&str]) -> Result<SharedKey> {
        let answer = self.post(&format!("{resource}/listkeys"), version, None).await?;
        let rules = answer["value"].as_array().cloned().unwrap_or_default();
        let fits = |rule: &&Value| {
            let held: Vec<&str> = rule["rights"].as_str().unwrap_or("").split(',').map(str::trim).collect();
            rights.iter().all(|right| held.contains(right))
        };
        let rule = rules.iter().find(fits).ok_or_else(|| {
            Error::not_found(format!("No shared access policy of {resource} has the rights {}.", rights.join(", ")))
        })?;
        match (rule["keyName"].as_str(), rule["primaryKey"].as_str()) {
            (Some(policy), Some(key)) => Ok(SharedKey { policy: policy.to_owned(), key: key.to_owned() }),
            _ => Err(Error::internal("listkeys answered a rule without a key")),
        }
    }

    async fn arm(&self, method: Method, path: &str, version: &str, body: Option<&Value>) -> Result<Response> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let base = self.server.urls.resource_manager.trim_end_matches('/');
        self.manage(method, &format!("{base}{path}{separator}api-version={version}"), body).await
    }

    /// A request to Resource Manager; when its token is not accepted any more, with a new one.
    async fn manage(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Response> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = self.bearer(method.clone(), url, &token, body).await?;
        if response.status.as_u16() != 401 {
            return Ok(response);
        }
        let token = self.renew().await?;
        self.bearer(method, url, &token, body).await
    }

    /// Takes a new token for Resource Manager into use.
    async fn renew(&self) -> Result<String> {
        let token = self.request_token(&self.server.urls.resource_manager).await?;
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&token);
        Ok(token)
    }

    async fn bearer(&self, method: Method, url: &str, token: &str, body: Option<&Value>) -> Result<Response> {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("authorization", authorization.as_str()), ("accept", "application/json")];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        self.client.request(method, url, &headers, encoded(body)?).await
    }

    /// Waits for the operation that a response names, if it names one.
    async fn finish(&self, response: &Response) -> Result<bool> {
        let Some(url) =
            response.header("azure-asyncoperation").or_else(|| response.header("location")).map(str::to_owned)
        else {
            return Ok(false);
        };
        let deadline = SystemClock.monotonic() + OPERATION_TIMEOUT;
        loop {
            let answer = checked(self.manage(Method::GET, &url, None).await?)?;
            let document = answer.json()?;
            match document["status"].as_str() {
                Some("Succeeded") => return Ok(true),
                Some("Failed" | "Canceled") => return Err(failure(answer.status.as_u16(), &document)),
                None if answer.status.as_u16() != 202 => return Ok(true),
                _ => {}
            }
            let retry =
                answer.header("retry-after").and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_RETRY_SECONDS);
            let pause = Duration::from_secs(retry.clamp(1, 30));
            if SystemClock.monotonic() + pause > deadline {
                let text = format!("The operation {url} did not end within {} seconds.", OPERATION_TIMEOUT.as_secs());
                return Err(Error::unavailable(text, 1));
            }
            SystemClock.sleep(pause).await;
        }
    }

    /// A token for the service at `audience`, a base URL.
    async fn request_token(&self, audience: &str) -> Result<String> {
        let url =
            format!("{}/{}/oauth2/v2.0/token", self.server.urls.login.trim_end_matches('/'), self.credential.tenant_id);
        let scope = format!("{}/.default", audience.trim_end_matches('/'));
        let field = |name: &str, value: &str| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        let form = [
            "grant_type=client_credentials".to_owned(),
            field("client_id", &self.credential.client_id),
            field("client_secret", &self.credential.client_secret),
            field("scope", &scope),
        ];
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
        let response = self.client.request(Method::POST, &url, &headers, Bytes::from(form.join("&"))).await?;
        let answer = response.json()?;
        if let Some(token) = answer["access_token"].as_str() {
            return Ok(token.to_owned());
        }
        let reason = answer["error_description"].as_str().unwrap_or("it gave no reason");
        Err(Error::unauthenticated(format!("The server refused to sign the owner in: {reason}")))
    }
}

/// A shared access policy with its key.
pub(crate) struct SharedKey {
    policy: String,
    key: String,
}

impl SharedKey {
    /// The connection string of a hub, as `az iot dps linked-hub create` sends it.
    pub(crate) fn connection_string(&self, host: &str) -> String {
        format!("HostName={host};SharedAccessKeyName={};SharedAccessKey={}", self.policy, self.key)
    }

    fn token(&self, host: &str, clock: &dyn Clock) -> Result<String> {
        let key = STANDARD.decode(&self.key).map_err(|_| Error::internal("a shared access key is not base64"))?;
        Ok(sas_token::sign(host, &key, clock.unix_seconds() + TOKEN_SECONDS, Some(&self.policy)))
    }
}

fn encoded(body: Option<&Value>) -> Result<Bytes> {
    match body {
        None => Ok(Bytes::new()),
        Some(body) => serde_json::to_vec(body).map(Bytes::from).map_err(|error| Error::internal(error.to_string())),
    }
}

/// The response, or its error document as a sentence.
fn checked(response: Response) -> Result<Response> {
    if response.status.is_success() {
        return Ok(response);
    }
    let document = response.json().unwrap_or(Value::Null);
    Err(failure(response.status.as_u16(), &document))
}

/// ARM, Graph and operations say `error.code` and `error.message`, data planes `message` or `Message`.
fn failure(status: u16, document: &Value) -> Error {
    let kind = match status {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        412 => ErrorKind::PreconditionFailed,
        429 => ErrorKind::Throttled,
        500.. => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    let error = &document["error"];
    let message = [&error["message"], &document["message"], &document["Message"]].into_iter().find_map(Value::as_str);
    let text = match (error["code"].as_str(), message) {
        (Some(code), Some(message)) => format!("{message} ({code}, HTTP {status})"),
        (None, Some(message)) => format!("{message} (HTTP {status})"),
        _ => format!("the server answered HTTP {status} without a message"),
    };
    Error::new(kind, "RequestFailed", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ServerFlags;
    use crate::config::Config;
    use serde_json::json;

    /// The only test of this program that starts a server in its own process: metrics have one recorder.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_token_that_is_not_accepted_any_more_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let flags = ServerFlags {
            data_dir: Some(folder.path().to_owned()),
            https_port: Some(0),
            mqtt_port: Some(0),
            metrics_port: Some(0),
            ..ServerFlags::default()
        };
        let server = crate::serve::start(&Config::load(&flags, &Default::default()).unwrap()).await.unwrap();
        let owner = Owner::sign_in(folder.path()).await.unwrap();
        *owner.token.lock().unwrap() = "expired".into();
        let path = format!("/subscriptions/{}", owner.subscription());
        let found = owner.get(&path, "2022-12-01").await.unwrap().unwrap();
        assert_eq!(found["subscriptionId"], owner.subscription());
        assert_ne!(*owner.token.lock().unwrap(), "expired");
        server.stop().await;
    }

    #[test]
    fn error_documents_become_sentences() {
        let error = failure(403, &json!({"error": {"code": "AuthorizationFailed", "message": "No right."}}));
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Forbidden, "No right. (AuthorizationFailed, HTTP 403)")
        );
        let error = failure(404, &json!({"errorCode": 404_001, "message": "DeviceNotFound"}));
        assert_eq!(error.message, "DeviceNotFound (HTTP 404)");
        assert!(failure(500, &Value::Null).message.contains("HTTP 500"));
    }
}
