//! Looking principals up in the directory.

use super::context::Context;
use super::failure::{Failure, Result};
use super::members::text;
use http::Method;
use serde_json::{Value, json};

/// A principal of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Object id.
    pub(crate) object_id: String,
    /// `ServicePrincipal`, `User` or `Group`, where known.
    pub(crate) kind: Option<String>,
    /// Display name, where known.
    pub(crate) name: Option<String>,
}

impl Principal {
    fn of(object: &Value) -> Self {
        let kind = match text(object, "/@odata.type").rsplit('.').next() {
            Some("user") => "User",
            Some("group") => "Group",
            _ => "ServicePrincipal",
        };
        Self {
            object_id: text(object, "/id").to_owned(),
            kind: Some(kind.to_owned()),
            name: object.get("displayName").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

/// A text inside the quotes of an OData filter.
pub(crate) fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// The service principal of that name, such as an application id.
///
/// # Errors
/// Graph's error.
pub(crate) async fn by_service_principal_name(context: &mut Context<'_>, name: &str) -> Result<Option<Value>> {
    let filter = format!("servicePrincipalNames/any(c:c eq '{}')", quoted(name));
    let found = context.graph_list("/servicePrincipals", Some(&filter)).await?;
    Ok(found.into_iter().next())
}

/// Directory objects by object id; those that do not exist are left out.
///
/// # Errors
/// Graph's error.
pub(crate) async fn by_ids(context: &mut Context<'_>, ids: &[&str]) -> Result<Vec<Value>> {
    let body = json!({"ids": ids, "types": ["user", "group", "servicePrincipal", "directoryObjectPartnerReference"]});
    let mut answer = context.graph(Method::POST, "/directoryObjects/getByIds", Some(&body)).await?;
    match answer.get_mut("value").map(Value::take) {
        Some(Value::Array(values)) => Ok(values),
        _ => Ok(Vec::new()),
    }
}

/// What `az` shows as a principal's name: the user's or the first service principal name.
pub(crate) fn short_name(object: &Value) -> &str {
    let user = text(object, "/userPrincipalName");
    let service = text(object, "/servicePrincipalNames/0");
    [user, service, text(object, "/displayName")].into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

/// The principal that a person named: application id, service principal name, user or object id.
///
/// # Errors
/// `az`'s text where the directory has none.
pub(crate) async fn resolve(context: &mut Context<'_>, assignee: &str) -> Result<Principal> {
    let mut found = None;
    if assignee.contains('@') {
        let filter = format!("userPrincipalName eq '{}'", quoted(assignee));
        found = context.graph_list("/users", Some(&filter)).await?.into_iter().next().map(|mut user| {
            user["@odata.type"] = json!("#microsoft.graph.user");
            user
        });
    }
    if found.is_none() {
        found = by_service_principal_name(context, assignee).await?;
    }
    if found.is_none() && uuid::Uuid::parse_str(assignee).is_ok() {
        found = by_ids(context, &[assignee]).await?.into_iter().next();
    }
    found.as_ref().map(Principal::of).ok_or_else(|| {
        Failure::error(format!(
            "Cannot find user or service principal in graph database for '{assignee}'. If the assignee is an appId, make sure the \
             corresponding service principal is created with 'az ad sp create --id {assignee}'."
        ))
    })
}
