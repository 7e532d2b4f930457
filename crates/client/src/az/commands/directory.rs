//! `az ad sp …`, `az ad app credential reset` and the look-up of principals in the directory.

use super::role_assignment::assign;
use super::role_definition::resolve as resolve_role;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::rooted;
use crate::az::output::{Columns, Output};
use crate::az::principals::{Principal, by_service_principal_name, quoted};
use ferrohub_model::limits::CLIENT_SECRET_YEARS;
use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

const SECRET_WARNING: &str = "The output includes credentials that you must protect. Be sure that you do not include these credentials in your code or check the credentials into your source control.";

/// Columns of the table format of a list.
const COLUMNS: Columns = &[("DisplayName", "displayName"), ("Id", "id"), ("AppId", "appId")];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "ad app credential reset",
        "Give an application a new secret.",
        &["--id! # Application id or object id of the application.
--append flag # Keep the secrets that it has; without it the new one replaces them.
--display-name # Description of the secret.
--years int # Life of the secret; one year without it.
--end-date # End of the secret's life, such as 2027-12-31 or 2027-12-31T11:59:59+00:00."],
        credential_reset,
    ),
    Command::new(
        "ad sp create-for-rbac",
        "Create a service principal with a secret, and give it roles.",
        &["--name/--display-name/-n # Display name.
--role # Role to give.
--scopes + # Scopes at which the role holds.
--years int =1 # Life of the secret.
~--skip-assignment 3st
--json-auth 3st # Not supported."],
        create_for_rbac,
    ),
    Command::new(
        "ad sp show",
        "Show a service principal.",
        &["--id! # Application id, object id or service principal name."],
        show,
    ),
    Command::new(
        "ad sp list",
        "List service principals.",
        &["--display-name # Only with this display name.
--filter # OData filter.
--spn # Only with this service principal name.
--all flag # Everything.
--show-mine flag # Ignored."],
        list,
    ),
];

fn create_for_rbac<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if args.given("--role") != args.given("--scopes") {
            return Err(Failure::error("Usage error: To create role assignments, specify both --role and --scopes."));
        }
        if args.switch("--json-auth") == Some(true) {
            return Err(Failure::error("--json-auth is not supported; the output has appId, password and tenant."));
        }
        let now = context.environment.clock.now();
        let name = match args.text("--name").filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => format!("azure-cli-{}", now.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d-%H-%M-%S")),
        };
        let ends = years_after(now, args.integer("--years"));
        let application = context.graph(Method::POST, "/applications", Some(&json!({"displayName": name}))).await?;
        let app_id = text(&application, "/appId").to_owned();
        let service = context.graph(Method::POST, "/servicePrincipals", Some(&json!({"appId": app_id}))).await?;
        let secret = add_secret(context, &application, Some("rbac"), ends).await?;
        let principal = Principal {
            object_id: text(&service, "/id").to_owned(),
            kind: Some("ServicePrincipal".to_owned()),
            name: Some(name.clone()),
        };
        if let Some(role) = args.text("--role") {
            for scope in args.list("--scopes").unwrap_or_default() {
                let scope = rooted(scope.trim_end_matches('/'));
                context.warn(&format!("Creating '{role}' role assignment under scope '{scope}'"));
                let role_id = resolve_role(context, role, &scope).await?;
                assign(context, &principal, &role_id, &scope, Map::new()).await?;
            }
        }
        context.warn(SECRET_WARNING);
        let tenant = context.profile()?.tenant_id.clone();
        Ok(json!({"appId": app_id, "displayName": name, "password": secret, "tenant": tenant}).into())
    })
}

fn years_after(now: Timestamp, years: Option<i64>) -> Timestamp {
    now + jiff::SignedDuration::from_hours(years.unwrap_or(1).clamp(1, CLIENT_SECRET_YEARS) * 365 * 24)
}

/// Gives an application a secret and yields its text.
async fn add_secret(
    context: &mut Context<'_>,
    application: &Value,
    name: Option<&str>,
    ends: Timestamp,
) -> Result<String> {
    let path = format!("/applications/{}/addPassword", segment(text(application, "/id")));
    let credential = json!({"passwordCredential": {"displayName": name, "endDateTime": ends.to_string()}});
    let secret = context.graph(Method::POST, &path, Some(&credential)).await?;
    Ok(text(&secret, "/secretText").to_owned())
}

/// The application that a person named by its application id or its object id.
pub(super) async fn application(context: &mut Context<'_>, id: &str) -> Result<Value> {
    let filter = format!("appId eq '{}'", quoted(id));
    if let Some(found) = context.graph_list("/applications", Some(&filter)).await?.into_iter().next() {
        return Ok(found);
    }
    context.graph(Method::GET, &format!("/applications/{}", segment(id)), None).await
}

/// A date or a point in time; without an offset it is UTC.
fn end_date(value: &str) -> Result<Timestamp> {
    let date_time = || value.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let parsed = value.parse::<Timestamp>().ok().or_else(|| date_time().map(|time| time.timestamp()));
    parsed.ok_or_else(|| {
        Failure::error(format!(
            "--end-date '{value}' is no time. Give one such as 2027-12-31 or 2027-12-31T11:59:59+00:00."
        ))
    })
}

fn credential_reset<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let id = args.filled("--id")?;
        if args.given("--years") && args.given("--end-date") {
            return Err(Failure::error("usage error: --years | --end-date"));
        }
        let ends = match args.text("--end-date") {
            Some(date) => end_date(date)?,
            None => years_after(context.environment.clock.now(), args.integer("--years")),
        };
        let application = application(context, id).await?;
        if !args.flag("--append") {
            let held = application.get("passwordCredentials").and_then(Value::as_array);
            let path = format!("/applications/{}/removePassword", segment(text(&application, "/id")));
            for secret in held.into_iter().flatten() {
                context.graph(Method::POST, &path, Some(&json!({"keyId": text(secret, "/keyId")}))).await?;
            }
        }
        let secret = add_secret(context, &application, args.text("--display-name"), ends).await?;
        context.warn(SECRET_WARNING);
        let tenant = context.profile()?.tenant_id.clone();
        Ok(json!({"appId": text(&application, "/appId"), "password": secret, "tenant": tenant}).into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let id = args.filled("--id")?;
        if let Some(found) = by_service_principal_name(context, id).await? {
            return Ok(found.into());
        }
        Ok(context.graph(Method::GET, &format!("/servicePrincipals/{}", segment(id)), None).await?.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let filter = match (args.text("--filter"), args.text("--display-name"), args.text("--spn")) {
            (Some(filter), _, _) => Some(filter.to_owned()),
            (None, Some(name), _) => Some(format!("startswith(displayName,'{}')", quoted(name))),
            (None, None, Some(name)) => Some(format!("servicePrincipalNames/any(c:c eq '{}')", quoted(name))),
            (None, None, None) => None,
        };
        let mut found = context.graph_list("/servicePrincipals", filter.as_deref()).await?;
        found.sort_by(|a, b| text(a, "/displayName").cmp(text(b, "/displayName")));
        Ok(Output::with_columns(Value::Array(found), COLUMNS))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_date_is_a_date_or_a_time() {
        for (given, meant) in [
            ("2027-12-31", "2027-12-31T00:00:00Z"),
            ("2027-12-31T11:59:59", "2027-12-31T11:59:59Z"),
            ("2027-12-31T11:59:59+02:00", "2027-12-31T09:59:59Z"),
        ] {
            assert_eq!(end_date(given).unwrap().to_string(), meant);
        }
        assert!(end_date("tomorrow").unwrap_err().message.contains("such as"));
    }
}
