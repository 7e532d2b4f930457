//! `az rest`: any request, signed.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{ARM_SCOPE, Context, DPS_SCOPE, GRAPH_SCOPE, HUB_SCOPE, Task, query_value};
use crate::az::failure::{EXIT_ERROR, Failure, Result};
use crate::az::json_text;
use crate::az::output::Output;
use bytes::Bytes;
use http::Method;
use serde_json::Value;

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new(
    "rest",
    "Send a request; sign it where it goes to the signed-in server.",
    &["--url/--uri/-u! # URL; one that starts with / goes to Resource Manager. {subscriptionId} is replaced.
--method/-m {head,get,put,post,delete,options,patch} =get # Method.
--body/-b # Body; @file reads a file.
--headers + # Headers: key=value, or JSON.
--uri-parameters/--url-parameters + # Query parameters: key=value, or JSON.
--resource # Resource of the token, instead of guessing it from the URL.
--skip-authorization-header flag # Send no token.
--output-file # Write the body of the answer to this file."],
    rest,
)];

/// `key=value` pairs or JSON objects, in order.
fn pairs(given: &[String]) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for item in given {
        if let Ok(Value::Object(members)) = serde_json::from_str(item) {
            let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            all.extend(members.into_iter().map(|(key, value)| (key, text(value))));
            continue;
        }
        let (key, value) = item.split_once('=').ok_or_else(|| Failure::error(format!("'{item}' is not key=value.")))?;
        all.push((key.to_owned(), value.to_owned()));
    }
    Ok(all)
}

async fn url(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let mut url = args.filled("--url")?.to_owned();
    if url.contains("{subscriptionId}") {
        url = url.replace("{subscriptionId}", &context.subscription()?);
    }
    if !url.contains("://") {
        url = format!("{}/{}", context.urls()?.resource_manager, url.trim_start_matches('/'));
    }
    for (key, value) in pairs(args.list("--uri-parameters").unwrap_or_default())? {
        let join = if url.contains('?') { '&' } else { '?' };
        url.push_str(&format!("{join}{}={}", query_value(&key), query_value(&value)));
    }
    // A filter may be typed with its spaces; nothing else is encoded a second time.
    Ok(url.replace(' ', "%20"))
}

/// The scope of the token for a URL of the server; `None` where no token fits.
async fn scope(context: &mut Context<'_>, args: &Args, url: &str) -> Result<Option<String>> {
    if args.flag("--skip-authorization-header") {
        return Ok(None);
    }
    if !context.owns_url(url)? {
        if args.given("--resource") {
            return Err(Failure::error(format!(
                "{url} does not belong to the signed-in server; no token is sent there."
            )));
        }
        context.warn("Can't derive appropriate Azure AD resource from --url to acquire an access token. If access token is required, use --resource to specify the resource");
        return Ok(None);
    }
    if let Some(resource) = args.text("--resource") {
        return Ok(Some(format!("{}/.default", resource.trim_end_matches('/'))));
    }
    let urls = context.urls()?;
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_lowercase)).unwrap_or_default();
    let below = |base: &str| url.strip_prefix(base).is_some_and(|path| path.starts_with("/v1.0/"));
    let graph = below(&urls.graph) || below(&urls.resource_manager);
    let scope = if host.contains(".azure-devices-provisioning.") {
        DPS_SCOPE
    } else if host.contains(".azure-devices.") {
        HUB_SCOPE
    } else if graph {
        GRAPH_SCOPE
    } else {
        ARM_SCOPE
    };
    Ok(Some(scope.to_owned()))
}

fn rest<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let url = url(context, args).await?;
        let headers = pairs(args.list("--headers").unwrap_or_default())?;
        let signed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let authorization = match scope(context, args, &url).await? {
            Some(scope) if !signed => Some(format!("Bearer {}", context.token(&scope).await?.secret)),
            _ => None,
        };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let method = args.required("--method")?.to_uppercase();
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Failure::error(format!("'{method}' is not a method.")))?;
        if let Some(sentence) = args.text("--body").and_then(json_text::unread_file) {
            return Err(Failure::error(sentence));
        }
        let body = Bytes::from(args.text("--body").unwrap_or_default().to_owned());
        let response = context.send(method, &url, authorization.as_deref(), &headers, body).await?;
        if !response.status.is_success() {
            let reason = response.status.canonical_reason().unwrap_or("Unknown");
            let text = String::from_utf8_lossy(&response.body);
            let message = if text.is_empty() { reason.to_owned() } else { format!("{reason}({text})") };
            return Err(Failure { exit: EXIT_ERROR, message, status: Some(response.status.as_u16()), code: None });
        }
        if let Some(file) = args.text("--output-file") {
            let path = context.environment.path(file);
            std::fs::write(&path, &response.body)
                .map_err(|error| Failure::error(format!("Cannot write {}: {error}.", path.display())))?;
            return Ok(Output::nothing());
        }
        if response.body.is_empty() {
            return Ok(Output::nothing());
        }
        Ok(match serde_json::from_slice::<Value>(&response.body) {
            Ok(value) => value.into(),
            Err(_) => Output::text(format!("{}\n", String::from_utf8_lossy(&response.body))),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_or_json() {
        let given = ["If-Match=*".to_owned(), r#"{"A":"b","C":1}"#.to_owned()];
        let expected =
            [("If-Match", "*"), ("A", "b"), ("C", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(pairs(&given).unwrap(), expected);
        assert!(pairs(&["nothing".to_owned()]).is_err());
    }
}
