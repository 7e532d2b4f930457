//! `az role definition …`.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, query_value};
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::{flattened, text};
use crate::az::options::{rooted, scope_of};
use crate::az::output::{Columns, Output};
use crate::az::versions;
use ferrohub_model::spelling::closest;
use http::Method;
use serde_json::{Map, Value, json};

const DEFINITION: &str = "--role-definition! # JSON of the role, or a file with it.";

/// Columns of the table format of a list.
const COLUMNS: Columns = &[("Name", "roleName"), ("Type", "type"), ("Description", "description")];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("role definition create", "Create a custom role.", &[DEFINITION], create),
    Command::new("role definition update", "Change a custom role.", &[DEFINITION], update),
    Command::new(
        "role definition list",
        "List roles.",
        &["--name/-n # Role name or id.
--scope # Scope at which the roles can be assigned.
--resource-group/-g # Resource group as the scope.
--custom-role-only 3st # Custom roles only."],
        list,
    ),
    Command::new(
        "role definition show",
        "Show a role.",
        &["--name/-n # Role id (GUID).
--id # Full resource id.
--scope # Scope of the role."],
        show,
    ),
    Command::new(
        "role definition delete",
        "Delete a custom role.",
        &["--name/-n! # Role name or id.
--scope # Scope of the role.
--resource-group/-g # Resource group as the scope.
--custom-role-only 3st # Ignored: only custom roles can be deleted."],
        delete,
    ),
];

/// The definitions at `scope`, by role name where one is given.
pub(crate) async fn definitions(context: &mut Context<'_>, scope: &str, name: Option<&str>) -> Result<Vec<Value>> {
    let filter =
        name.map(|name| format!("?$filter={}", query_value(&format!("roleName eq '{}'", name.replace('\'', "''")))));
    let path = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions{}", filter.unwrap_or_default());
    context.arm_list(&path, versions::ROLE_DEFINITIONS).await
}

/// The id of the role that a person named: a GUID, a full id or a role name.
///
/// # Errors
/// `az`'s texts where there is none or more than one.
pub(crate) async fn resolve(context: &mut Context<'_>, role: &str, scope: &str) -> Result<String> {
    if role.to_lowercase().contains("/roledefinitions/") {
        return Ok(rooted(role));
    }
    if uuid::Uuid::parse_str(role).is_ok() {
        let subscription = context.subscription_path()?;
        return Ok(format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"));
    }
    let found = definitions(context, scope, Some(role)).await?;
    match found.as_slice() {
        [] => Err(unknown(context, role, scope).await),
        [one] => Ok(text(one, "/id").to_owned()),
        several => {
            let ids: Vec<&str> = several.iter().map(|one| text(one, "/id")).collect();
            let ids = json!(ids);
            Err(Failure::error(format!(
                "More than one role matches the given name '{role}'. Please pick a value from '{}'",
                crate::az::failure::python_repr(&ids)
            )))
        }
    }
}

/// `az`'s text for a role that is not there, and the one that may be meant.
async fn unknown(context: &mut Context<'_>, role: &str, scope: &str) -> Failure {
    // Who may not list roles is told only that this one is not there.
    let all = definitions(context, scope, None).await.unwrap_or_default();
    let meant = closest(role, all.iter().map(|one| text(one, "/properties/roleName")));
    let meant = meant.map_or_else(String::new, |name| format!("\nDid you mean '{name}' ?"));
    Failure::error(format!(
        "Role '{role}' doesn't exist.{meant}\nThe roles are listed by: az role definition list --query '[].roleName' -o tsv"
    ))
}

/// The role as the person wrote it (text or file), top-level keys with a lower-case first letter.
fn read(context: &Context<'_>, args: &Args) -> Result<Map<String, Value>> {
    let given = args.required("--role-definition")?;
    let value = match json_text::given_or_file(context, given)? {
        Value::Array(mut items) if items.len() == 1 => items.remove(0),
        other => other,
    };
    let Value::Object(members) = value else {
        return Err(Failure::error("Invalid role definition. A valid dictionary JSON representation is expected."));
    };
    Ok(members.into_iter().map(|(key, value)| (lower_first(&key), value)).collect())
}

fn lower_first(key: &str) -> String {
    let mut characters = key.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// The scopes of a role, each with its leading slash.
fn scopes(role: &Map<String, Value>) -> Result<Vec<String>> {
    let given = role.get("assignableScopes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let scopes: Vec<String> = given.iter().filter_map(Value::as_str).map(rooted).collect();
    if scopes.is_empty() {
        return Err(Failure::error("please provide 'assignableScopes'"));
    }
    for scope in &scopes {
        if let Some(variable) = shell_variable(scope) {
            return Err(Failure::error(format!(
                "The assignable scope '{scope}' holds the text {variable}: it stands inside single quotes, where the shell does not expand \
                 variables. Close and reopen the single quotes around each variable, as the Name does: \
                 \"AssignableScopes\": [\"/subscriptions/'$SUBSCRIPTION_ID'/resourceGroups/'$RESOURCE_GROUP'\"], or put the JSON in double quotes."
            )));
        }
    }
    Ok(scopes)
}

/// A `$NAME` or `${NAME}` that the shell should have replaced.
fn shell_variable(scope: &str) -> Option<&str> {
    let start = scope.find('$')?;
    let rest = &scope[start + 1..];
    let body = rest.strip_prefix('{').unwrap_or(rest);
    let length = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let name_starts = body.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let end = start + 1 + (rest.len() - body.len()) + length;
    name_starts.then(|| &scope[start..(end + usize::from(body.len() != rest.len())).min(scope.len())])
}

/// The body of a role definition.
fn body(role: &Map<String, Value>, name: &str, scopes: &[String]) -> Value {
    let mut permission = Map::new();
    for key in ["actions", "notActions", "dataActions", "notDataActions"] {
        permission.insert(key.to_owned(), role.get(key).cloned().unwrap_or_else(|| json!([])));
    }
    let permissions = role.get("permissions").cloned().unwrap_or_else(|| json!([permission]));
    json!({"properties": {
        "roleName": name,
        "description": role.get("description").cloned().unwrap_or(Value::Null),
        "assignableScopes": scopes,
        "permissions": permissions,
    }})
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let role = read(context, args)?;
        let name = role_name(&role).ok_or_else(|| Failure::error("please provide role name"))?.to_owned();
        let scopes = scopes(&role)?;
        let id = context.environment.random.uuid_v4();
        let path =
            format!("{}/providers/Microsoft.Authorization/roleDefinitions/{id}", scopes[0].trim_end_matches('/'));
        let made = context
            .arm_write(Method::PUT, &path, versions::ROLE_DEFINITIONS, &body(&role, &name, &scopes), false)
            .await?;
        Ok(shown(made).into())
    })
}

fn role_name(role: &Map<String, Value>) -> Option<&str> {
    let text = |key: &str| role.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
    text("roleName").or_else(|| text("name"))
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let role = read(context, args)?;
        let wanted = role_name(&role).ok_or_else(|| Failure::error("please provide role name"))?.to_owned();
        let scopes = scopes(&role)?;
        // A listing's output names the role by GUID in `name` and by title in `roleName`.
        let by_guid = role.get("name").and_then(Value::as_str).filter(|name| uuid::Uuid::parse_str(name).is_ok());
        let id = match by_guid {
            Some(guid) => {
                format!("{}/providers/Microsoft.Authorization/roleDefinitions/{guid}", scopes[0].trim_end_matches('/'))
            }
            None => {
                let found = definitions(context, scopes[0].trim_end_matches('/'), Some(&wanted)).await?;
                match found.first() {
                    Some(one) => text(one, "/id").to_owned(),
                    None => return Err(unknown(context, &wanted, scopes[0].trim_end_matches('/')).await),
                }
            }
        };
        let made = context
            .arm_write(Method::PUT, &id, versions::ROLE_DEFINITIONS, &body(&role, &wanted, &scopes), false)
            .await?;
        Ok(shown(made).into())
    })
}

async fn matching(context: &mut Context<'_>, args: &Args) -> Result<Vec<Value>> {
    let scope = scope_of(context, args)?;
    let name = args.text("--name");
    let by_guid = name.filter(|name| uuid::Uuid::parse_str(name).is_ok());
    let mut found = definitions(context, &scope, if by_guid.is_some() { None } else { name }).await?;
    if let Some(guid) = by_guid {
        found.retain(|one| text(one, "/name").eq_ignore_ascii_case(guid));
    }
    if args.switch("--custom-role-only") == Some(true) {
        found.retain(|one| text(one, "/properties/type") == "CustomRole");
    }
    Ok(found)
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let found = matching(context, args).await?;
        Ok(Output::with_columns(Value::Array(found.into_iter().map(shown).collect()), COLUMNS))
    })
}

/// A definition as core `az` prints it: flat, its kind under `roleType`.
fn shown(definition: Value) -> Value {
    let kind = definition.pointer("/properties/type").cloned();
    let own_type = definition.get("type").cloned();
    let mut flat = flattened(definition);
    if let (Some(members), Some(kind)) = (flat.as_object_mut(), kind) {
        members.insert("roleType".to_owned(), kind);
        members.insert("type".to_owned(), own_type.unwrap_or(Value::Null));
    }
    flat
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = match (args.text("--id"), args.text("--name")) {
            (Some(id), _) => rooted(id),
            (None, Some(name)) => {
                let scope = args.text("--scope").map(|scope| rooted(scope.trim_end_matches('/'))).unwrap_or_default();
                format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{name}")
            }
            (None, None) => {
                return Err(Failure::error("--id, or --name with --scope, is required."));
            }
        };
        Ok(shown(context.arm_get(&path, versions::ROLE_DEFINITIONS).await?).into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let found = matching(context, args).await?;
        let custom: Vec<&Value> = found.iter().filter(|one| text(one, "/properties/type") != "BuiltInRole").collect();
        let [one] = custom.as_slice() else {
            let name = args.required("--name")?;
            return Err(Failure::error(if custom.is_empty() {
                format!("No custom role '{name}' was found to delete.")
            } else {
                format!("More than one role matches the given name '{name}'. Delete by id instead.")
            }));
        };
        context.arm_act(Method::DELETE, text(one, "/id"), versions::ROLE_DEFINITIONS, None, false).await?;
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(scope: &str) -> Map<String, Value> {
        json!({"assignableScopes": [scope]}).as_object().cloned().unwrap()
    }

    #[test]
    fn a_scope_that_the_shell_did_not_expand_is_named() {
        let failure = scopes(&role("/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP")).unwrap_err();
        assert_eq!(failure.exit, 1);
        assert!(
            failure.message.contains("$SUBSCRIPTION_ID") && failure.message.contains("single quotes"),
            "{}",
            failure.message
        );
        assert_eq!(shell_variable("/a/${B_1}/c"), Some("${B_1}"));
        assert_eq!(shell_variable("/a/$1"), None);
        assert_eq!(shell_variable("/a/b"), None);
    }

    #[test]
    fn a_scope_without_its_slash_is_accepted() {
        assert_eq!(scopes(&role("subscriptions/s")).unwrap(), ["/subscriptions/s"]);
        assert!(scopes(&Map::new()).unwrap_err().message.contains("assignableScopes"));
    }

    #[test]
    fn a_definition_is_flat_and_keeps_both_types() {
        let flat = shown(
            json!({"id": "i", "type": "Microsoft.Authorization/roleDefinitions", "properties": {"type": "CustomRole", "roleName": "n"}}),
        );
        assert_eq!(flat["roleType"], "CustomRole");
        assert_eq!(flat["type"], "Microsoft.Authorization/roleDefinitions");
        assert_eq!(lower_first("AssignableScopes"), "assignableScopes");
    }
}
