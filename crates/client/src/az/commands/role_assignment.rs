//! `az role assignment …`.

use super::role_definition::{definitions, resolve};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, query_value};
use crate::az::failure::{Failure, Result};
use crate::az::members::{put, text};
use crate::az::options::{rooted, scope_of};
use crate::az::output::{Columns, Output};
use crate::az::principals::{self, Principal};
use crate::az::versions;
use http::Method;
use serde_json::{Map, Value, json};

/// Columns of the table format of a list.
const COLUMNS: Columns = &[("Principal", "principalName"), ("Role", "roleDefinitionName"), ("Scope", "scope")];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "role assignment create",
        "Give a principal a role at a scope.",
        &["--role! # Role name or id.
--scope! # Resource id at which the role holds.
--assignee # Application id, object id or user name.
--assignee-object-id # Object id; the directory is not asked.
--assignee-principal-type {User,Group,ServicePrincipal,ForeignGroup} # Kind of the principal.
--name/-n # GUID of the assignment.
--description # Description.
--condition # Not supported by the server.
--condition-version # Not supported by the server."],
        create,
    ),
    Command::new(
        "role assignment list",
        "List role assignments.",
        &["--assignee # Application id, object id or user name.
--assignee-object-id # Object id.
--role # Role name or id.
--scope # Scope.
--resource-group/-g # Resource group as the scope.
--all flag # Everything under the subscription.
--include-inherited flag # Those of wider scopes too.
--include-groups flag # Ignored.
--fill-principal-name 3st =true # Look principals up in the directory.
--fill-role-definition-name 3st =true # Look role names up."],
        list,
    ),
    Command::new(
        "role assignment delete",
        "Take roles away.",
        &["--ids + # Ids of assignments.
--assignee # Application id, object id or user name.
--assignee-object-id # Object id.
--role # Role name or id.
--scope # Scope.
--resource-group/-g # Resource group as the scope.
--include-inherited flag # Those of wider scopes too.
--yes/-y flag # Do not ask."],
        delete,
    ),
];

/// Gives a principal a role; a repeat yields the assignment that exists.
///
/// # Errors
/// ARM's error.
pub(crate) async fn assign(
    context: &mut Context<'_>,
    principal: &Principal,
    role_id: &str,
    scope: &str,
    extra: Map<String, Value>,
) -> Result<Value> {
    let name = match extra.get("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => context.environment.random.uuid_v4().to_string(),
    };
    let mut properties = extra;
    properties.shift_remove("name");
    properties.insert("roleDefinitionId".to_owned(), json!(role_id));
    properties.insert("principalId".to_owned(), json!(principal.object_id));
    put(&mut properties, "principalType", principal.kind.as_deref().map(|kind| json!(kind)));
    let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
    let body = json!({"properties": properties});
    match context.arm_write(Method::PUT, &path, versions::ROLE_ASSIGNMENTS, &body, false).await {
        Err(failure) if failure.code.as_deref() == Some("RoleAssignmentExists") => {
            let existing = of_principal(context, scope, &principal.object_id).await?;
            let same = |one: &Value| {
                last(text(one, "/properties/roleDefinitionId")).eq_ignore_ascii_case(last(role_id))
                    && text(one, "/properties/scope").eq_ignore_ascii_case(scope)
            };
            existing.into_iter().find(same).ok_or(failure)
        }
        other => other,
    }
}

/// The assignments of a principal that hold at `scope`: made there or at a wider scope.
///
/// # Errors
/// ARM's error.
pub(crate) async fn of_principal(context: &mut Context<'_>, scope: &str, principal_id: &str) -> Result<Vec<Value>> {
    let filter = query_value(&format!("principalId eq '{principal_id}'"));
    let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments?$filter={filter}");
    let mut all = context.arm_list(&path, versions::ROLE_ASSIGNMENTS).await?;
    all.retain(|one| {
        text(one, "/properties/principalId").eq_ignore_ascii_case(principal_id)
            && covers(text(one, "/properties/scope"), scope)
    });
    Ok(all)
}

/// Whether what is granted at `granted` holds at `scope`.
pub(crate) fn covers(granted: &str, scope: &str) -> bool {
    let granted = granted.trim_end_matches('/').to_lowercase();
    let scope = scope.to_lowercase();
    scope == granted || scope.starts_with(&format!("{granted}/"))
}

fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// An assignment as core `az` prints it.
fn shown(assignment: &Value) -> Map<String, Value> {
    let mut flat = Map::new();
    for key in ["id", "name", "type"] {
        flat.insert(key.to_owned(), assignment.get(key).cloned().unwrap_or(Value::Null));
    }
    let properties = [
        "condition",
        "conditionVersion",
        "createdBy",
        "createdOn",
        "delegatedManagedIdentityResourceId",
        "description",
        "principalId",
        "principalType",
        "roleDefinitionId",
        "scope",
        "updatedBy",
        "updatedOn",
    ];
    for key in properties {
        flat.insert(key.to_owned(), assignment.pointer(&format!("/properties/{key}")).cloned().unwrap_or(Value::Null));
    }
    flat
}

/// The principal that the assignee options name; `None` where none was given.
async fn assignee(context: &mut Context<'_>, args: &Args, kind: Option<&str>) -> Result<Option<Principal>> {
    if let Some(object_id) = args.text("--assignee-object-id") {
        return Ok(Some(Principal { object_id: object_id.to_owned(), kind: kind.map(str::to_owned), name: None }));
    }
    match args.text("--assignee") {
        Some("") => args.filled("--assignee").map(|_| None),
        Some(name) => principals::resolve(context, name).await.map(Some),
        None => Ok(None),
    }
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let scope = rooted(args.filled("--scope")?.trim_end_matches('/'));
        let principal = assignee(context, args, args.text("--assignee-principal-type")).await?;
        let principal =
            principal.ok_or_else(|| Failure::error("usage error: --assignee STRING | --assignee-object-id GUID"))?;
        let role_id = resolve(context, args.filled("--role")?, &scope).await?;
        let mut extra = Map::new();
        let options = [
            ("name", "--name"),
            ("description", "--description"),
            ("condition", "--condition"),
            ("conditionVersion", "--condition-version"),
        ];
        for (key, option) in options {
            put(&mut extra, key, args.text(option).map(|value| json!(value)));
        }
        let made = assign(context, &principal, &role_id, &scope, extra).await?;
        Ok(Value::Object(shown(&made)).into())
    })
}

/// The assignments that the options of `list` and `delete` select.
async fn select(context: &mut Context<'_>, args: &Args, scope: &str, everything: bool) -> Result<Vec<Value>> {
    let principal = assignee(context, args, None).await?;
    let filter = match &principal {
        Some(principal) => format!("?$filter={}", query_value(&format!("principalId eq '{}'", principal.object_id))),
        None if everything => String::new(),
        None => format!("?$filter={}", query_value("atScope()")),
    };
    let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments{filter}");
    let mut found = context.arm_list(&path, versions::ROLE_ASSIGNMENTS).await?;
    let inherited = args.flag("--include-inherited");
    found.retain(|one| {
        let at = text(one, "/properties/scope");
        everything || at.eq_ignore_ascii_case(scope) || (inherited && covers(at, scope))
    });
    if let Some(role) = args.text("--role") {
        let role_id = resolve(context, role, scope).await?;
        found.retain(|one| last(text(one, "/properties/roleDefinitionId")).eq_ignore_ascii_case(last(&role_id)));
    }
    Ok(found)
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let scope = scope_of(context, args)?;
        let found = select(context, args, &scope, args.flag("--all")).await?;
        let roles = if args.switch("--fill-role-definition-name") == Some(true) && !found.is_empty() {
            definitions(context, &scope, None).await?
        } else {
            Vec::new()
        };
        let names = if args.switch("--fill-principal-name") == Some(true) && !found.is_empty() {
            let ids: Vec<&str> = found.iter().map(|one| text(one, "/properties/principalId")).collect();
            principals::by_ids(context, &ids).await?
        } else {
            Vec::new()
        };
        let rows = found.iter().map(|one| {
            let mut row = shown(one);
            let role = last(text(one, "/properties/roleDefinitionId"));
            let named = roles.iter().find(|definition| text(definition, "/name").eq_ignore_ascii_case(role));
            put(
                &mut row,
                "roleDefinitionName",
                named.map(|definition| json!(text(definition, "/properties/roleName"))),
            );
            let principal = names
                .iter()
                .find(|object| text(object, "/id").eq_ignore_ascii_case(text(one, "/properties/principalId")));
            put(&mut row, "principalName", principal.map(|object| json!(principals::short_name(object))));
            Value::Object(row)
        });
        Ok(Output::with_columns(Value::Array(rows.collect()), COLUMNS))
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let ids: Vec<String> = match args.list("--ids") {
            Some(ids) => ids.iter().map(|id| rooted(id)).collect(),
            None => {
                let narrowed = ["--assignee", "--assignee-object-id", "--role", "--scope", "--resource-group"];
                if !narrowed.into_iter().any(|option| args.given(option)) {
                    return Err(Failure::error(
                        "Say which assignments to delete: --ids, or --assignee, --role, --scope or --resource-group.",
                    ));
                }
                let scope = scope_of(context, args)?;
                let found = select(context, args, &scope, false).await?;
                found.iter().map(|one| text(one, "/id").to_owned()).collect()
            }
        };
        if ids.is_empty() {
            return Err(Failure::error("No matched assignments were found to delete"));
        }
        for id in ids {
            context.arm_act(Method::DELETE, &id, versions::ROLE_ASSIGNMENTS, None, false).await?;
        }
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_its_scope_and_what_lies_under_it() {
        assert!(covers("/subscriptions/S", "/subscriptions/s/resourceGroups/g"));
        assert!(covers("/", "/subscriptions/s"));
        assert!(!covers("/subscriptions/s/resourceGroups/g", "/subscriptions/s/resourceGroups/g2"));
    }

    #[test]
    fn an_assignment_is_flat_with_every_key() {
        let row = shown(&json!({"id": "i", "name": "n", "properties": {"scope": "/s"}}));
        assert_eq!(row["scope"], "/s");
        assert_eq!(row["condition"], Value::Null);
        assert_eq!(row.len(), 15);
    }
}
