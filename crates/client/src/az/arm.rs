//! Resource Manager and Graph calls: JSON in and out, paging, long-running operations.

use super::context::{ARM_SCOPE, Context, GRAPH_SCOPE, query_value, segment};
use super::failure::{Failure, Result};
use crate::http::Response;
use bytes::Bytes;
use ferrohub_model::limits::CLIENT_LIST_PAGES;
use http::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Wait between polls where the server names none: ours (Azure's clients take 30 s).
const DEFAULT_RETRY_SECONDS: u64 = 2;
/// Longest wait between polls that is honoured.
const MAX_RETRY_SECONDS: u64 = 60;
/// Polls of one operation before the client gives up: ours.
const MAX_POLLS: usize = 3600;

/// What a poll of a long-running operation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not there yet; ask again after this many seconds.
    Running(u64),
    /// Done.
    Succeeded,
}

impl Context<'_> {
    /// `/subscriptions/{id}` of the chosen subscription.
    ///
    /// # Errors
    /// Not signed in, or an unknown subscription.
    pub(crate) fn subscription_path(&mut self) -> Result<String> {
        Ok(format!("/subscriptions/{}", self.subscription()?))
    }

    /// `/subscriptions/{id}/resourceGroups/{group}`.
    ///
    /// # Errors
    /// As [`Context::subscription_path`].
    pub(crate) fn group_path(&mut self, group: &str) -> Result<String> {
        Ok(format!("{}/resourceGroups/{}", self.subscription_path()?, segment(group)))
    }

    /// A collection in the group, or in the whole subscription where there is no group:
    /// `kind` is such as `Microsoft.Devices/IotHubs`.
    ///
    /// # Errors
    /// As [`Context::subscription_path`].
    pub(crate) fn collection_path(&mut self, group: Option<&str>, kind: &str) -> Result<String> {
        let scope = match group {
            Some(group) => self.group_path(group)?,
            None => self.subscription_path()?,
        };
        Ok(format!("{scope}/providers/{kind}"))
    }

    /// One request to Resource Manager; `path` starts with `/` and has no api-version.
    ///
    /// # Errors
    /// The server cannot be reached, or sign-in failed. HTTP errors are in the response.
    pub(crate) async fn arm_raw(
        &mut self,
        method: Method,
        path: &str,
        version: &str,
        body: Option<&Value>,
    ) -> Result<Response> {
        self.arm_with(method, path, version, body, &[]).await
    }

    async fn arm_with(
        &mut self,
        method: Method,
        path: &str,
        version: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response> {
        let base = self.urls()?.resource_manager;
        let join = if path.contains('?') { '&' } else { '?' };
        self.arm_url(method, &format!("{base}{path}{join}api-version={version}"), body, headers).await
    }

    async fn arm_url(
        &mut self,
        method: Method,
        url: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response> {
        if !self.owns_url(url)? {
            return Err(Failure::error(format!(
                "The server pointed to {url}, which is not its own; no token is sent there."
            )));
        }
        let authorization = format!("Bearer {}", self.token(ARM_SCOPE).await?.secret);
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        self.send(method, url, Some(&authorization), headers, bytes).await
    }

    /// GET.
    ///
    /// # Errors
    /// ARM's error; exit 3 for 404.
    pub(crate) async fn arm_get(&mut self, path: &str, version: &str) -> Result<Value> {
        arm_json(&self.arm_raw(Method::GET, path, version, None).await?)
    }

    /// GET that answers `None` for 404.
    ///
    /// # Errors
    /// ARM's other errors.
    pub(crate) async fn arm_find(&mut self, path: &str, version: &str) -> Result<Option<Value>> {
        match self.arm_get(path, version).await {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// All pages of a list.
    ///
    /// # Errors
    /// ARM's error.
    pub(crate) async fn arm_list(&mut self, path: &str, version: &str) -> Result<Vec<Value>> {
        self.arm_list_some(path, version, usize::MAX).await
    }

    /// The first pages of a list, until there are `enough` entries.
    ///
    /// # Errors
    /// ARM's error.
    pub(crate) async fn arm_list_some(&mut self, path: &str, version: &str, enough: usize) -> Result<Vec<Value>> {
        let mut page = self.arm_get(path, version).await?;
        let mut items = Vec::new();
        for _ in 0..CLIENT_LIST_PAGES {
            if let Some(Value::Array(values)) = page.get_mut("value").map(Value::take) {
                items.extend(values);
            }
            let next = page.get("nextLink").and_then(Value::as_str).filter(|next| !next.is_empty());
            let Some(next) = next.filter(|_| items.len() < enough) else { return Ok(items) };
            let next = next.to_owned();
            page = arm_json(&self.arm_url(Method::GET, &next, None, &[]).await?)?;
        }
        Err(Failure::error(format!("The list has more than {CLIENT_LIST_PAGES} pages.")))
    }

    /// POST without a long-running operation.
    ///
    /// # Errors
    /// ARM's error.
    pub(crate) async fn arm_post(&mut self, path: &str, version: &str, body: Option<&Value>) -> Result<Value> {
        arm_json(&self.arm_raw(Method::POST, path, version, body).await?)
    }

    /// The same with an `If-Match`.
    ///
    /// # Errors
    /// ARM's error.
    pub(crate) async fn arm_post_if(
        &mut self,
        path: &str,
        version: &str,
        body: Option<&Value>,
        etag: &str,
    ) -> Result<Value> {
        arm_json(&self.arm_with(Method::POST, path, version, body, &[("if-match", etag)]).await?)
    }

    /// PUT or PATCH, then waits until the resource is made, unless `no_wait`; yields the resource.
    ///
    /// # Errors
    /// ARM's error, or the operation's.
    pub(crate) async fn arm_write(
        &mut self,
        method: Method,
        path: &str,
        version: &str,
        body: &Value,
        no_wait: bool,
    ) -> Result<Value> {
        self.arm_write_if(method, path, version, body, no_wait, None).await
    }

    /// The same with an `If-Match`.
    ///
    /// # Errors
    /// ARM's error, or the operation's.
    pub(crate) async fn arm_write_if(
        &mut self,
        method: Method,
        path: &str,
        version: &str,
        body: &Value,
        no_wait: bool,
        etag: Option<&str>,
    ) -> Result<Value> {
        let headers: Vec<(&str, &str)> = etag.map(|etag| ("if-match", etag)).into_iter().collect();
        let response = self.arm_with(method, path, version, Some(body), &headers).await?;
        let resource = arm_json(&response)?;
        if no_wait {
            return Ok(Value::Null);
        }
        let polled = self.wait(&response).await?;
        let unfinished = resource
            .pointer("/properties/provisioningState")
            .and_then(Value::as_str)
            .is_some_and(|state| !is_final(state));
        if !polled && unfinished {
            return self.wait_for_state(path, version).await;
        }
        if polled { self.arm_get(path, version).await } else { Ok(resource) }
    }

    /// DELETE or a long POST; waits for its end unless `no_wait`. A missing thing is no error for
    /// DELETE where the service answers 204.
    ///
    /// # Errors
    /// ARM's error, or the operation's.
    pub(crate) async fn arm_act(
        &mut self,
        method: Method,
        path: &str,
        version: &str,
        body: Option<&Value>,
        no_wait: bool,
    ) -> Result<Value> {
        let response = self.arm_raw(method, path, version, body).await?;
        let result = arm_json(&response)?;
        if !no_wait {
            self.wait(&response).await?;
        }
        Ok(result)
    }

    /// Does something that takes time, waits for its end, and gives what the answer at `Location` says then.
    ///
    /// # Errors
    /// ARM's error, or that of the operation.
    pub(crate) async fn arm_result(&mut self, path: &str, version: &str) -> Result<Value> {
        let first = self.arm_raw(Method::POST, path, version, None).await?;
        let at_once = arm_json(&first)?;
        if !self.wait(&first).await? {
            return Ok(at_once);
        }
        let Some(location) = first.header("location") else { return Ok(at_once) };
        arm_json(&self.arm_url(Method::GET, location, None, &[]).await?)
    }

    /// DELETE with an `If-Match`.
    ///
    /// # Errors
    /// ARM's error.
    pub(crate) async fn arm_delete_if(&mut self, path: &str, version: &str, etag: &str) -> Result<()> {
        let response = self.arm_with(Method::DELETE, path, version, None, &[("if-match", etag)]).await?;
        arm_json(&response)?;
        self.wait(&response).await?;
        Ok(())
    }

    /// Follows `Azure-AsyncOperation`, else `Location`, to the end. Says whether there was one.
    async fn wait(&mut self, first: &Response) -> Result<bool> {
        let (url, by_status) = match (first.header("azure-asyncoperation"), first.header("location")) {
            (Some(url), _) => (url.to_owned(), false),
            (None, Some(url)) if first.status == StatusCode::ACCEPTED || first.status == StatusCode::CREATED => {
                (url.to_owned(), true)
            }
            _ => return Ok(false),
        };
        for _ in 0..MAX_POLLS {
            let response = self.arm_url(Method::GET, &url, None, &[]).await?;
            match if by_status { location_progress(&response)? } else { operation_progress(&response)? } {
                Progress::Succeeded => return Ok(true),
                Progress::Running(seconds) => self.environment.clock.sleep(Duration::from_secs(seconds)).await,
            }
        }
        Err(Failure::error(format!(
            "The operation at {url} did not end in {MAX_POLLS} polls; it goes on at the server."
        )))
    }

    async fn wait_for_state(&mut self, path: &str, version: &str) -> Result<Value> {
        for _ in 0..MAX_POLLS {
            let resource = self.arm_get(path, version).await?;
            match resource.pointer("/properties/provisioningState").and_then(Value::as_str) {
                Some(state @ ("Failed" | "Canceled")) => {
                    return Err(Failure::error(format!("The resource ended in provisioning state '{state}'.")));
                }
                Some(state) if !is_final(state) => {
                    self.environment.clock.sleep(Duration::from_secs(DEFAULT_RETRY_SECONDS)).await;
                }
                _ => return Ok(resource),
            }
        }
        Err(Failure::error(format!("{path} was not ready in {MAX_POLLS} polls.")))
    }

    /// One Graph call; `path` follows `/v1.0`.
    ///
    /// # Errors
    /// Graph's error.
    pub(crate) async fn graph(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}/v1.0{path}", self.urls()?.graph);
        let authorization = format!("Bearer {}", self.token(GRAPH_SCOPE).await?.secret);
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        arm_json(&self.send(method, &url, Some(&authorization), &[], bytes).await?)
    }

    /// The members of a Graph collection that `filter` selects.
    ///
    /// # Errors
    /// Graph's error.
    pub(crate) async fn graph_list(&mut self, collection: &str, filter: Option<&str>) -> Result<Vec<Value>> {
        let query = filter.map(|filter| format!("?$filter={}", query_value(filter))).unwrap_or_default();
        let mut answer = self.graph(Method::GET, &format!("{collection}{query}"), None).await?;
        match answer.get_mut("value").map(Value::take) {
            Some(Value::Array(values)) => Ok(values),
            _ => Ok(Vec::new()),
        }
    }
}

fn is_final(state: &str) -> bool {
    matches!(state, "Succeeded" | "Failed" | "Canceled")
}

/// The JSON of a successful response.
///
/// # Errors
/// ARM's error text.
pub(crate) fn arm_json(response: &Response) -> Result<Value> {
    if !response.status.is_success() {
        let reason = response.status.canonical_reason().unwrap_or("Unknown");
        return Err(Failure::of_arm(response.status.as_u16(), reason, &response.body));
    }
    Ok(response.json()?)
}

/// What the status document behind `Azure-AsyncOperation` says.
///
/// # Errors
/// The operation's own error.
pub(crate) fn operation_progress(response: &Response) -> Result<Progress> {
    let body = arm_json(response)?;
    match body.get("status").and_then(Value::as_str) {
        Some("Succeeded") => Ok(Progress::Succeeded),
        Some(status @ ("Failed" | "Canceled")) => {
            let code = body.pointer("/error/code").and_then(Value::as_str).unwrap_or(status).to_owned();
            let bytes = body.to_string();
            let http_status = if code.ends_with("NotFound") { 404 } else { 409 };
            let mut failure = Failure::of_arm(http_status, status, bytes.as_bytes());
            if body.get("error").is_none_or(Value::is_null) {
                failure.message = format!("Operation returned an invalid status '{status}'");
            }
            failure.exit = super::failure::EXIT_ERROR;
            Err(failure)
        }
        _ => Ok(Progress::Running(retry_after(response))),
    }
}

/// What the status code behind `Location` says: 202 runs, any other success is the end.
///
/// # Errors
/// ARM's error.
pub(crate) fn location_progress(response: &Response) -> Result<Progress> {
    if response.status == StatusCode::ACCEPTED {
        return Ok(Progress::Running(retry_after(response)));
    }
    arm_json(response).map(|_| Progress::Succeeded)
}

fn retry_after(response: &Response) -> u64 {
    let seconds = response.header("retry-after").and_then(|value| value.trim().parse().ok());
    seconds.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_RETRY_SECONDS).min(MAX_RETRY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn response(status: u16, retry: Option<&str>, body: &str) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(retry) = retry {
            headers.insert("retry-after", retry.parse().unwrap());
        }
        Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn an_operation_runs_succeeds_or_fails() {
        assert_eq!(
            operation_progress(&response(200, Some("1"), r#"{"status":"InProgress"}"#)),
            Ok(Progress::Running(1))
        );
        assert_eq!(operation_progress(&response(200, None, r#"{"status":"Succeeded"}"#)), Ok(Progress::Succeeded));
        let failed =
            operation_progress(&response(200, None, r#"{"status":"Failed","error":{"code":"C","message":"m"}}"#));
        let failure = failed.unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (1, "(C) m\nCode: C\nMessage: m"));
        let bare = operation_progress(&response(200, None, r#"{"status":"Canceled"}"#)).unwrap_err();
        assert_eq!(bare.message, "Operation returned an invalid status 'Canceled'");
    }

    #[test]
    fn a_location_runs_while_it_answers_202() {
        assert_eq!(location_progress(&response(202, Some("0"), "")), Ok(Progress::Running(DEFAULT_RETRY_SECONDS)));
        assert_eq!(location_progress(&response(202, Some("900"), "")), Ok(Progress::Running(MAX_RETRY_SECONDS)));
        assert_eq!(location_progress(&response(204, None, "")), Ok(Progress::Succeeded));
        assert_eq!(location_progress(&response(404, None, "")).unwrap_err().exit, 3);
    }
}
