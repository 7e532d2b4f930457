//! Options that several commands have: what their values mean.

use super::args::Args;
use super::context::Context;
use super::failure::{Failure, Result};
use super::members::text;
use super::versions;
use serde_json::{Map, Value};

const ANY_ETAG: &str = "\"*\"";

/// `--tags a=b c "d=e f"` as an object; an empty text clears; `None` where not given.
pub(crate) fn tags(args: &Args) -> Option<Value> {
    let given = args.list("--tags")?;
    let mut tags = Map::new();
    for pair in given.iter().filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    Some(Value::Object(tags))
}

/// The region to create in: `--location` (a display name is looked up), else the group's.
pub(crate) async fn location(context: &mut Context<'_>, args: &Args, group: &str) -> Result<String> {
    match args.text("--location").filter(|location| !location.is_empty()) {
        Some(location) => region(context, location).await,
        None => {
            let path = context.group_path(group)?;
            let group = context.arm_get(&path, versions::RESOURCES).await?;
            Ok(text(&group, "/location").to_owned())
        }
    }
}

/// The short name of a region; one with a space is taken for a display name and looked up.
pub(crate) async fn region(context: &mut Context<'_>, location: &str) -> Result<String> {
    if !location.contains(' ') {
        return Ok(location.to_owned());
    }
    let path = format!("{}/locations", context.subscription_path()?);
    let all = context.arm_list(&path, versions::SUBSCRIPTIONS).await?;
    let found = all.iter().find(|one| text(one, "/displayName").eq_ignore_ascii_case(location));
    Ok(found.map_or(location, |one| text(one, "/name")).to_owned())
}

/// A scope or id with its leading slash: shells of Windows swallow it.
pub(crate) fn rooted(scope: &str) -> String {
    if scope.starts_with('/') { scope.to_owned() } else { format!("/{scope}") }
}

/// The scope that the options of a list name: a scope, a group, else the subscription.
pub(crate) fn scope_of(context: &mut Context<'_>, args: &Args) -> Result<String> {
    match (args.text("--scope"), args.text("--resource-group")) {
        (Some(scope), _) => Ok(rooted(scope.trim_end_matches('/'))),
        (None, Some(group)) => context.group_path(group),
        (None, None) => context.subscription_path(),
    }
}

/// The user-assigned identities that a create names.
pub(crate) fn user_identities(args: &Args) -> Vec<String> {
    let given = args.list("--mi-user-assigned").unwrap_or_default();
    given.iter().filter(|id| !id.is_empty() && *id != "[system]").cloned().collect()
}

/// Refuses an identity for the namespace that is none of the service's own: the server could only say so afterwards.
///
/// # Errors
/// A sentence with the option to add.
pub(crate) fn has_namespace_identity(args: &Args, what: &str) -> Result<()> {
    let Some(id) = args.text("--ns-identity-id").filter(|id| !id.is_empty()) else { return Ok(()) };
    if user_identities(args).iter().any(|own| rooted(own).eq_ignore_ascii_case(&rooted(id))) {
        return Ok(());
    }
    Err(Failure::error(format!(
        "The {what} works on the namespace as an identity that it has: add --mi-user-assigned {id} (the same one as --ns-identity-id)."
    )))
}

/// Options that name a resource of another service by its full id, and the command that prints such an id.
const IDS: &[(&[&str], &str)] = &[
    (
        &[
            "--mi-user-assigned",
            "--ns-identity-id",
            "--user-assigned",
            "--user-assigned-identity",
            "--user-assigned-mi",
            "--hub-user-assigned-mi",
            "--dps-user-assigned-mi",
            "--outbound-user-assigned-mi",
        ],
        "az identity show",
    ),
    (&["--ns-resource-id"], "az iot adr ns show"),
    (&["--hub-resource-id"], "az iot hub show"),
    (&["--dps-resource-id"], "az iot dps show"),
];

/// Refuses a bare name where a full resource id belongs: the server would look for a resource that nobody meant.
///
/// # Errors
/// A sentence with the command that prints the id.
pub(crate) fn check_ids(args: &Args) -> Result<()> {
    let given = IDS.iter().flat_map(|(keys, command)| keys.iter().map(move |key| (*key, *command)));
    for (key, command) in given.filter(|(key, _)| args.declares(key)) {
        // Shells of Windows swallow the leading slash, never all of them.
        let is_name = |id: &&String| !id.is_empty() && !id.starts_with('[') && !id.contains('/');
        if let Some(name) = args.list(key).unwrap_or_default().iter().find(is_name) {
            return Err(Failure::usage(format!(
                "{key} takes a full resource id (/subscriptions/…), and '{name}' is a name. Its id is printed by: \
                 {command} --name {name} --resource-group GROUP --query id -o tsv"
            )));
        }
    }
    Ok(())
}

/// The member of a key object that `--key-type` names.
pub(crate) fn key_member(args: &Args) -> &'static str {
    if args.text("--key-type") == Some("secondary") { "/secondaryKey" } else { "/primaryKey" }
}

/// The `If-Match` of a change: the ETag given, else any.
pub(crate) fn if_match(args: &Args) -> String {
    args.text("--etag").map_or_else(|| ANY_ETAG.to_owned(), |etag| format!("\"{}\"", etag.trim_matches('"')))
}

/// At most `--top` elements of a list; all where it is negative.
pub(crate) fn first(mut list: Value, args: &Args) -> Value {
    if let (Some(items), Some(top)) =
        (list.as_array_mut(), args.integer("--top").and_then(|top| usize::try_from(top).ok()))
    {
        items.truncate(top);
    }
    list
}
