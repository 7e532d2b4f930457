//! `az ad app …`, `az ad sp create|delete|update|credential`, `az ad user …`: what the directory holds.

use super::directory::application;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::{put, text};
use crate::az::output::{Columns, Output};
use crate::az::principals::{by_service_principal_name, quoted};
use http::Method;
use serde_json::{Map, Value, json};

const ID: &str = "--id! # Application id, object id or, of a service principal, one of its names.";
const USER: &str = "--id! # Object id or user principal name.";
const LISTED: &str = "--display-name # Only where the display name begins with this.
--filter # OData filter.";

/// Columns of the table format of applications.
const COLUMNS: Columns = &[("DisplayName", "displayName"), ("Id", "id"), ("AppId", "appId")];
/// Columns of the table format of users.
const USER_COLUMNS: Columns =
    &[("DisplayName", "displayName"), ("Id", "id"), ("UserPrincipalName", "userPrincipalName")];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("ad app create", "Create an application.", &["--display-name! # Display name."], app_create),
    Command::new("ad app show", "Show an application.", &[ID], app_show),
    Command::new(
        "ad app list",
        "List applications.",
        &[LISTED, "--app-id # Only this one.\n--all flag # Everything.\n--show-mine flag # Ignored."],
        app_list,
    ),
    Command::new("ad app update", "Change an application.", &[ID, "--display-name! # Display name."], app_update),
    Command::new("ad app delete", "Delete an application and its service principal.", &[ID], app_delete),
    Command::new(
        "ad app credential list",
        "List the secrets or certificates of an application.",
        &[ID, "--cert 3st # Its certificates."],
        credentials,
    ),
    Command::new(
        "ad app credential delete",
        "Take a secret or a certificate away.",
        &[ID, "--key-id! # Its key id.\n--cert 3st # It is a certificate."],
        credential_delete,
    ),
    Command::new(
        "ad sp create",
        "Make a service principal of an application.",
        &["--id! # Application id."],
        sp_create,
    ),
    Command::new("ad sp delete", "Delete a service principal; its application stays.", &[ID], sp_delete),
    Command::new(
        "ad sp credential list",
        "List the secrets or certificates of a service principal.",
        &[ID, "--cert 3st # Its certificates."],
        credentials,
    ),
    Command::new(
        "ad sp credential delete",
        "Take a secret or a certificate away.",
        &[ID, "--key-id! # Its key id.\n--cert 3st # It is a certificate."],
        credential_delete,
    ),
    Command::new(
        "ad user create",
        "Create a user.",
        &["--display-name! # Display name.
--password! # Password.
--user-principal-name! # Name to sign in with: name@domain.
--mail-nickname # Mail name; the first part of the sign-in name without it.
--immutable-id # Id in a directory elsewhere.
--force-change-password-next-sign-in 3st # Whether the password must be changed first."],
        user_create,
    ),
    Command::new("ad user show", "Show a user.", &[USER], user_show),
    Command::new("ad user list", "List users.", &[LISTED, "--upn # Only with this user principal name."], user_list),
    Command::new(
        "ad user update",
        "Change a user.",
        &[
            USER,
            "--display-name # Display name.
--password # Password.
--account-enabled 3st # Whether it may sign in.
--mail-nickname # Mail name.
--force-change-password-next-sign-in 3st # Whether the password must be changed first.",
        ],
        user_update,
    ),
    Command::new("ad user delete", "Delete a user.", &[USER], user_delete),
    Command::new("ad signed-in-user show", "Show who is signed in, if it is a user.", &[], signed_in),
];

/// A filter of the directory for what a list's options say.
fn filter(args: &Args, exact: &[(&'static str, &str)]) -> Option<String> {
    if let Some(filter) = args.text("--filter") {
        return Some(filter.to_owned());
    }
    for (option, member) in exact {
        if let Some(value) = args.text(option) {
            return Some(format!("{member} eq '{}'", quoted(value)));
        }
    }
    args.text("--display-name").map(|name| format!("startswith(displayName,'{}')", quoted(name)))
}

async fn listed(context: &mut Context<'_>, path: &str, filter: Option<String>, columns: Columns) -> Result<Output> {
    let mut found = context.graph_list(path, filter.as_deref()).await?;
    found.sort_by(|a, b| text(a, "/displayName").cmp(text(b, "/displayName")));
    Ok(Output::with_columns(Value::Array(found), columns))
}

fn app_path(application: &Value) -> String {
    format!("/applications/{}", segment(text(application, "/id")))
}

fn app_create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let body = json!({"displayName": args.filled("--display-name")?});
        Ok(Output::with_columns(context.graph(Method::POST, "/applications", Some(&body)).await?, COLUMNS))
    })
}

fn app_show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(Output::with_columns(application(context, args.filled("--id")?).await?, COLUMNS)) })
}

fn app_list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(listed(context, "/applications", filter(args, &[("--app-id", "appId")]), COLUMNS))
}

fn app_update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let found = application(context, args.filled("--id")?).await?;
        let body = json!({"displayName": args.filled("--display-name")?});
        context.graph(Method::PATCH, &app_path(&found), Some(&body)).await?;
        Ok(Output::nothing())
    })
}

fn app_delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let found = application(context, args.filled("--id")?).await?;
        context.graph(Method::DELETE, &app_path(&found), None).await?;
        Ok(Output::nothing())
    })
}

/// The thing whose secrets are meant, and its path: an application, or for `ad sp` a service principal.
async fn holder(context: &mut Context<'_>, args: &Args) -> Result<(String, Value)> {
    let id = args.filled("--id")?;
    if args.command().starts_with("ad sp ") {
        let found = service_principal(context, id).await?;
        // Both hold the secrets of one application here; it is written to where it keeps them.
        let application = application(context, text(&found, "/appId")).await?;
        return Ok((app_path(&application), application));
    }
    let found = application(context, id).await?;
    Ok((app_path(&found), found))
}

/// The member that holds secrets, or certificates.
fn credential_member(args: &Args) -> &'static str {
    if args.switch("--cert") == Some(true) { "keyCredentials" } else { "passwordCredentials" }
}

fn credentials<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (_, found) = holder(context, args).await?;
        Ok(found.get(credential_member(args)).cloned().unwrap_or_else(|| json!([])).into())
    })
}

fn credential_delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (path, found) = holder(context, args).await?;
        let (key, member) = (args.filled("--key-id")?, credential_member(args));
        let held = found.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
        let (gone, kept): (Vec<Value>, Vec<Value>) =
            held.into_iter().partition(|one| text(one, "/keyId").eq_ignore_ascii_case(key));
        if gone.is_empty() {
            return Err(Failure::error(format!("No credential with the key id '{key}' exists.")));
        }
        match member {
            "passwordCredentials" => {
                let body = json!({"keyId": key});
                context.graph(Method::POST, &format!("{path}/removePassword"), Some(&body)).await?;
            }
            _ => {
                context.graph(Method::PATCH, &path, Some(&json!({"keyCredentials": kept}))).await?;
            }
        }
        Ok(Output::nothing())
    })
}

async fn service_principal(context: &mut Context<'_>, id: &str) -> Result<Value> {
    match by_service_principal_name(context, id).await? {
        Some(found) => Ok(found),
        None => context.graph(Method::GET, &format!("/servicePrincipals/{}", segment(id)), None).await,
    }
}

fn sp_create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let found = application(context, args.filled("--id")?).await?;
        let body = json!({"appId": text(&found, "/appId")});
        Ok(Output::with_columns(context.graph(Method::POST, "/servicePrincipals", Some(&body)).await?, COLUMNS))
    })
}

fn sp_delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let found = service_principal(context, args.filled("--id")?).await?;
        let path = format!("/servicePrincipals/{}", segment(text(&found, "/id")));
        context.graph(Method::DELETE, &path, None).await?;
        Ok(Output::nothing())
    })
}

fn user_path(args: &Args) -> Result<String> {
    Ok(format!("/users/{}", segment(args.filled("--id")?)))
}

/// The password that options give, as the directory takes it.
fn password(args: &Args) -> Option<Value> {
    let force = args.switch("--force-change-password-next-sign-in");
    let given = args.text("--password")?;
    Some(json!({"password": given, "forceChangePasswordNextSignIn": force.unwrap_or(false)}))
}

fn user_create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let name = args.filled("--user-principal-name")?;
        let nickname = args.text("--mail-nickname").or_else(|| name.split('@').next()).unwrap_or_default();
        let mut body = Map::new();
        put(&mut body, "accountEnabled", Some(json!(true)));
        put(&mut body, "displayName", Some(json!(args.filled("--display-name")?)));
        put(&mut body, "userPrincipalName", Some(json!(name)));
        put(&mut body, "mailNickname", Some(json!(nickname)));
        put(&mut body, "passwordProfile", password(args));
        put(&mut body, "onPremisesImmutableId", args.text("--immutable-id").map(|id| json!(id)));
        let made = context.graph(Method::POST, "/users", Some(&Value::Object(body))).await?;
        Ok(Output::with_columns(made, USER_COLUMNS))
    })
}

fn user_show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        Ok(Output::with_columns(context.graph(Method::GET, &user_path(args)?, None).await?, USER_COLUMNS))
    })
}

fn user_list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(listed(context, "/users", filter(args, &[("--upn", "userPrincipalName")]), USER_COLUMNS))
}

fn user_update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let mut body = Map::new();
        put(&mut body, "displayName", args.text("--display-name").map(|name| json!(name)));
        put(&mut body, "mailNickname", args.text("--mail-nickname").map(|name| json!(name)));
        put(&mut body, "accountEnabled", args.switch("--account-enabled").map(Value::Bool));
        put(&mut body, "passwordProfile", password(args));
        if body.is_empty() {
            return Err(Failure::error(
                "Nothing to change: give --display-name, --password, --account-enabled or --mail-nickname.",
            ));
        }
        context.graph(Method::PATCH, &user_path(args)?, Some(&Value::Object(body))).await?;
        Ok(Output::nothing())
    })
}

fn user_delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        context.graph(Method::DELETE, &user_path(args)?, None).await?;
        Ok(Output::nothing())
    })
}

fn signed_in<'a>(context: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(Output::with_columns(context.graph(Method::GET, "/me", None).await?, USER_COLUMNS)) })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn applications_principals_and_users() {
        let server = Scripted::signed_in(|seen| {
            let application = json!({"id": "o1", "appId": "a1", "displayName": "A", "passwordCredentials": [{"keyId": "k1"}], "keyCredentials": [{"keyId": "c1"}, {"keyId": "c2"}]});
            let (method, path) = seen.call.split_once(' ')?;
            Some(match (method, path.split('?').next()?) {
                ("GET", "/v1.0/applications") => Answer::list(json!([application])),
                ("GET", "/v1.0/servicePrincipals") => Answer::list(json!([{"id": "s1", "appId": "a1"}])),
                ("GET", "/v1.0/users") => Answer::list(json!([{"id": "u1", "displayName": "Ann"}])),
                ("GET", "/v1.0/users/ann%40plant.example") => Answer::ok(json!({"id": "u1"})),
                ("POST", "/v1.0/applications/o1/removePassword") => Answer::new(204, Value::Null),
                ("POST", _) => Answer::new(201, seen.body.clone()),
                ("PATCH" | "DELETE", _) => Answer::new(204, Value::Null),
                _ => return None,
            })
        })
        .await;
        for (words, call, body) in [
            ("app create --display-name A", "POST /v1.0/applications", json!({"displayName": "A"})),
            ("app update --id a1 --display-name B", "PATCH /v1.0/applications/o1", json!({"displayName": "B"})),
            ("app delete --id a1", "DELETE /v1.0/applications/o1", json!("")),
            (
                "app credential delete --id a1 --key-id K1",
                "POST /v1.0/applications/o1/removePassword",
                json!({"keyId": "K1"}),
            ),
            (
                "sp credential delete --id a1 --key-id c1 --cert",
                "PATCH /v1.0/applications/o1",
                json!({"keyCredentials": [{"keyId": "c2"}]}),
            ),
            ("sp create --id a1", "POST /v1.0/servicePrincipals", json!({"appId": "a1"})),
            ("sp delete --id a1", "DELETE /v1.0/servicePrincipals/s1", json!("")),
            (
                "user create --display-name Ann --password pw --user-principal-name ann@plant.example",
                "POST /v1.0/users",
                json!({"accountEnabled": true, "displayName": "Ann", "userPrincipalName": "ann@plant.example", "mailNickname": "ann",
                    "passwordProfile": {"password": "pw", "forceChangePasswordNextSignIn": false}}),
            ),
            ("user show --id ann@plant.example", "GET /v1.0/users/ann%40plant.example", json!("")),
            ("user update --id u1 --account-enabled false", "PATCH /v1.0/users/u1", json!({"accountEnabled": false})),
            ("user delete --id u1", "DELETE /v1.0/users/u1", json!("")),
        ] {
            let words: Vec<&str> = ["ad"].into_iter().chain(words.split(' ')).collect();
            let ran = server.az(&words).await;
            assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
            let seen = server.seen().pop().unwrap();
            assert_eq!((seen.call.as_str(), seen.body), (call, body), "{words:?}");
        }
        let listed =
            server.az(&["ad", "app", "credential", "list", "--id", "a1", "--query", "[].keyId", "-o", "tsv"]).await;
        assert_eq!(listed.out, "k1\n", "{}", listed.err);
        let users = server.az(&["ad", "user", "list", "--upn", "o'c@x", "-o", "table"]).await;
        assert!(users.out.contains("Ann"), "{}", users.err);
        assert!(
            server.calls().pop().unwrap().contains("userPrincipalName%20eq%20%27o%27%27c%40x%27"),
            "{:?}",
            server.calls().pop()
        );
        for wrong in
            [&["user", "update", "--id", "u1"][..], &["app", "credential", "delete", "--id", "a1", "--key-id", "none"]]
        {
            assert_ne!(server.az(&[&["ad"], wrong].concat()).await.code, 0, "{wrong:?}");
        }
    }
}
