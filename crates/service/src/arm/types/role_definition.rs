//! Role definitions, built-in and custom (`Microsoft.Authorization/roleDefinitions`).

use crate::arm::activity::{self, Origin};
use crate::arm::context::{DeleteContext, ListContext, PutContext};
use crate::arm::declaration::{Behavior, NameRule, Shown, TypeDecl, View};
use crate::arm::schema::{Check, Property, acted, descriptive, read_only, unbuilt};
use crate::authz::{Actor, builtin, linked};
use crate::platform::{Change, Platform};
use crate::resources::{self, Kind, RowExtra, Scope, Stored, root_of, tag};
use crate::subscriptions;
use crate::tables::{RESOURCES, SUBSCRIPTIONS};
use async_trait::async_trait;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{ROLE_ACTIONS, ROLE_NAME_CHARS, ROLE_SCOPES};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::role::Permission;
use ferrohub_model::time::rfc3339;
use ferrohub_store::Expect;
use ferrohub_wire::odata::{Asked, Filter, Terms};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Name and place.
const KIND: Kind = Kind {
    scope: Scope::Extension,
    listed: true,
    ..Kind::new(tag::ROLE_DEFINITION, "Microsoft.Authorization", &["roleDefinitions"])
};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    any_version: true,
    name: NameRule { min: 36, max: 36, legal: |name| Uuid::parse_str(name).is_ok(), text: "it must be a GUID" },
    properties: PROPERTIES,
    // The Python SDK accepts 201 only (reference: resource-manager.md section 11).
    put: (201, 201),
    delete_answers: true,
    filtered: true,
    behavior: &RoleDefinition,
    ..TypeDecl::new(
        KIND,
        &["2015-07-01", "2018-01-01-preview", "2022-04-01", "2022-05-01-preview"],
        &[View::hiding("2015-07-01", None, &["systemData", "etag", "location"])],
    )
};

const ACTION_LIST: Check = Check::Each(&Check::Text(512), ROLE_ACTIONS);
const NO_CONDITIONS: &str = "Ferrohub does not evaluate conditions.";
const PERMISSION: Check = Check::Members(&[
    acted("actions", ACTION_LIST),
    acted("notActions", ACTION_LIST),
    acted("dataActions", ACTION_LIST),
    acted("notDataActions", ACTION_LIST),
    unbuilt("condition", Check::Off, NO_CONDITIONS),
    unbuilt("conditionVersion", Check::Off, NO_CONDITIONS),
]);
/// What a role's properties are (reference: resource-manager.md section 11).
const PROPERTIES: &[Property] = &[
    acted("roleName", Check::Own),
    descriptive("description", Check::Text(2048), "a note of its author"),
    acted("type", Check::OneOf(&["CustomRole"])),
    acted("permissions", Check::Each(&PERMISSION, ROLE_ACTIONS)),
    acted("assignableScopes", Check::Each(&Check::Text(1024), ROLE_SCOPES)),
    read_only("createdOn"),
    read_only("createdBy"),
    read_only("updatedOn"),
    read_only("updatedBy"),
];

struct RoleDefinition;

#[async_trait]
impl Behavior for RoleDefinition {
    fn home(&self, platform: &Platform, id: &ResourceId) -> Option<ResourceId> {
        let subscription = ResourceId::subscription(&platform.tenancy.subscription_id);
        Some(KIND.child_of(&subscription, &id.name().to_lowercase()))
    }

    /// Definitions belong to the tenant, and whoever may read them in the subscription may do so by the id that has none.
    fn asked_at(&self, platform: &Platform, id: &ResourceId) -> Option<ResourceId> {
        id.subscription.is_none().then(|| ResourceId::subscription(&platform.tenancy.subscription_id))
    }

    /// As Azure: a role is one of each subscription in which it can be assigned.
    fn shown(&self, asked: &ResourceId, stored: &Stored) -> Shown {
        let Some(subscription) = &asked.subscription else { return Shown::AsStored };
        let subscription = ResourceId::subscription(subscription);
        if stored.version > 0 && !reaches(&stored.resource, &subscription, true) {
            return Shown::Not;
        }
        Shown::As(KIND.child_of(&subscription, stored.name()))
    }

    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        if builtin::description(&cx.id.name().to_ascii_lowercase()).is_some() {
            return Err(Error::forbidden(format!("The role '{}' is built in and cannot be changed.", cx.id.name())));
        }
        let name = check_name(&cx.resource)?;
        check_permissions(cx.resource.properties.get("permissions"))?;
        let scopes = assignable_scopes(cx)?;
        cx.resource
            .properties
            .insert("assignableScopes".into(), Value::Array(scopes.iter().map(|s| s.to_string().into()).collect()));
        // A subscription that is cancelled meanwhile would stay in the role for good.
        for uid in scopes.iter().filter_map(root_of).collect::<BTreeSet<_>>() {
            let key = subscriptions::key(uid);
            if cx.platform.store.get(&SUBSCRIPTIONS, &key).await?.is_none() {
                return Err(in_no_subscription(cx.platform, &format!("/subscriptions/{key}")));
            }
            cx.change.unit.expect_exists(&SUBSCRIPTIONS, key);
        }
        // Who may write it at its new scopes must also have been able to write it where it reaches already.
        let former = cx.existing.map(|stored| scopes_of(&stored.resource)).unwrap_or_default();
        for scope in scopes.iter().chain(&former) {
            cx.platform.authorize(cx.actor, "Microsoft.Authorization/roleDefinitions/write", scope).map_err(linked)?;
        }
        // It names what lies outside, so only to those who may look there.
        self.refuse_narrowing(cx, &scopes).await?;
        if builtin::definitions().iter().any(|role| role.name.eq_ignore_ascii_case(&name)) {
            return Err(same_name(&name));
        }
        for stored in resources::every(cx.platform, tag::ROLE_DEFINITION).await? {
            let other = stored.resource.text(&["roleName"]).unwrap_or_default();
            if other.eq_ignore_ascii_case(&name) && stored.uid != cx.uid {
                return Err(same_name(&name));
            }
        }
        // Two creations at the same time are told apart by the row, not by the look above.
        cx.extra.unique_name = Some(format!("roledefinitions/{}", name.to_lowercase()));
        stamp(cx);
        cx.resource.properties.insert("type".into(), "CustomRole".into());
        cx.change.access = true;
        Ok(())
    }

    fn taken(&self, id: &ResourceId, _column: &str) -> Option<Error> {
        Some(same_name(id.name()))
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        if !cx.cascade {
            for scope in scopes_of(&cx.stored.resource) {
                cx.platform
                    .authorize(cx.actor, "Microsoft.Authorization/roleDefinitions/delete", &scope)
                    .map_err(linked)?;
            }
        }
        let users = resources::linked(cx.platform, &format!("role/{}", cx.id.name().to_ascii_lowercase())).await?;
        if let Some(first) = users.first()
            && !cx.cascade
        {
            return Err(Error::conflict(format!(
                "There are existing role assignments referencing role '{}' (code: RoleDefinitionHasAssignments), for example '{}'. Delete them first.",
                cx.stored.resource.text(&["roleName"]).unwrap_or_default(),
                first.id
            ))
            .with_code("RoleDefinitionHasAssignments"));
        }
        // An assignment that is made meanwhile wins.
        let users = format!("role/{}", cx.id.name().to_ascii_lowercase());
        cx.change.unit.expect(Expect::NoneWith { table: &RESOURCES, column: "link", value: users });
        cx.change.access = true;
        Ok(())
    }

    async fn virtual_get(&self, platform: &Platform, id: &ResourceId) -> Result<Option<Stored>> {
        Ok(built_in(platform, &id.name().to_ascii_lowercase()))
    }

    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let mut all: Vec<Stored> =
            builtin::definitions().iter().filter_map(|role| built_in(cx.platform, &role.guid)).collect();
        let custom = resources::every(cx.platform, tag::ROLE_DEFINITION).await?;
        all.extend(custom.into_iter().filter(|stored| reaches(&stored.resource, cx.scope, true)));
        if let Some(filter) = Filter::parse(cx.filter.unwrap_or_default(), &TERMS)? {
            all.retain(|stored| {
                let at_scope = reaches(&stored.resource, cx.scope, false);
                filter.matches(&Role { resource: &stored.resource, at_scope })
            });
        }
        Ok(Some(all))
    }
}

impl RoleDefinition {
    /// Refuses scopes that leave out an assignment of the role: it would count for nothing, and nobody would see why.
    async fn refuse_narrowing(&self, cx: &PutContext<'_>, scopes: &[ResourceId]) -> Result<()> {
        if cx.is_new() {
            return Ok(());
        }
        for assignment in resources::linked(cx.platform, &format!("role/{}", cx.id.name().to_ascii_lowercase())).await?
        {
            let at = assignment.id.parent().unwrap_or_else(|| assignment.id.clone());
            if !scopes.iter().any(|scope| at.is_within(scope)) {
                return Err(Error::conflict(format!(
                    "The assignable scopes of role '{}' cannot be narrowed: '{}' lies outside of them. Delete that assignment first.",
                    cx.resource.text(&["roleName"]).unwrap_or_default(),
                    assignment.id
                ))
                .with_code("RoleDefinitionHasAssignments"));
            }
        }
        Ok(())
    }
}

/// `$filter` of a list: none = what can be assigned at the scope, or below; `atScope()` = at the scope; and names.
static TERMS: Terms = Terms { fields: &["roleName", "type"], marks: &["atScope", "atScopeAndBelow"] };

/// A role that is listed at a scope.
struct Role<'a> {
    resource: &'a Resource,
    /// Whether it can be assigned at the scope itself.
    at_scope: bool,
}

impl Asked for Role<'_> {
    fn values(&self, field: &str) -> Vec<String> {
        self.resource.text(&[field]).map(str::to_owned).into_iter().collect()
    }

    fn holds(&self, mark: &str, _: Option<&str>) -> bool {
        mark == "atScopeAndBelow" || self.at_scope
    }
}

/// Whether a role can be assigned at `scope`, or with `below` somewhere below it.
fn reaches(resource: &Resource, scope: &ResourceId, below: bool) -> bool {
    scopes_of(resource).iter().any(|s| scope.is_within(s) || below && s.is_within(scope))
}

/// The roles that can be assigned in the subscription.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn reaching_into(platform: &Platform, subscription: &ResourceId) -> Result<Vec<Stored>> {
    let mut all = resources::every(platform, tag::ROLE_DEFINITION).await?;
    all.retain(|role| scopes_of(&role.resource).iter().any(|scope| scope.is_within(subscription)));
    Ok(all)
}

/// Adds to `change` that these roles cannot be assigned any more in a subscription that goes; one that could be assigned there only
/// goes with it.
///
/// # Errors
/// Internal, when a row does not serialize.
pub(crate) fn withdraw(
    platform: &Platform,
    actor: &Actor,
    correlation: Uuid,
    (subscription, roles): (&ResourceId, &[Stored]),
    change: &mut Change,
) -> Result<()> {
    let origin = Origin::service(actor, correlation, correlation);
    for role in roles {
        let kept: Vec<Value> = scopes_of(&role.resource)
            .into_iter()
            .filter(|scope| !scope.is_within(subscription))
            .map(|scope| scope.to_string().into())
            .collect();
        let word = if kept.is_empty() { "delete" } else { "write" };
        change.unit.put(activity::of_service(platform, &origin, &role.id, &DECL.action(word))?);
        change.access = true;
        if kept.is_empty() {
            resources::delete(role, change);
            continue;
        }
        let mut resource = role.resource.as_ref().clone();
        resource.properties.insert("assignableScopes".into(), Value::Array(kept));
        resources::rewrite(role, resource, change)?;
    }
    Ok(())
}

/// A refusal at a scope that the request reaches through the role's assignable scopes.
/// The assignable scopes of a stored role.
fn scopes_of(resource: &Resource) -> Vec<ResourceId> {
    let scopes = resource.properties.get("assignableScopes").and_then(Value::as_array);
    scopes.into_iter().flatten().filter_map(Value::as_str).filter_map(|text| ResourceId::parse(text).ok()).collect()
}

fn same_name(name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "RoleDefinitionWithSameNameExists",
        format!(
            "A role definition with the name '{name}' exists in the directory already. Names of roles are unique in the tenant; use the existing one or choose another name."
        ),
    )
}

fn check_name(resource: &Resource) -> Result<String> {
    let name = resource.text(&["roleName"]).unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > ROLE_NAME_CHARS {
        return Err(Error::invalid_property(
            "properties.roleName",
            "A role needs a 'roleName' of 1 to 128 characters.",
        ));
    }
    Ok(name.into())
}

fn check_permissions(sent: Option<&Value>) -> Result<()> {
    let entries: Vec<Permission> = match sent {
        Some(value) => serde_json::from_value(value.clone()).map_err(|e| {
            Error::invalid_property("properties.permissions", format!("'permissions' is malformed: {e}"))
        })?,
        None => Vec::new(),
    };
    let count: usize = entries
        .iter()
        .map(|e| e.actions.len() + e.not_actions.len() + e.data_actions.len() + e.not_data_actions.len())
        .sum();
    if entries.is_empty() || count == 0 || count > ROLE_ACTIONS {
        return Err(Error::invalid_property(
            "properties.permissions",
            format!("A role needs permissions with 1 to {ROLE_ACTIONS} actions or data actions."),
        ));
    }
    let all = entries.iter().flat_map(|e| [&e.actions, &e.not_actions, &e.data_actions, &e.not_data_actions]).flatten();
    match all.into_iter().find(|action| !is_pattern(action.trim())) {
        None => Ok(()),
        Some(action) => {
            let shown: String = action.chars().filter(|c| !c.is_control()).take(120).collect();
            Err(Error::invalid(format!(
                "'{shown}' does not match any of the actions supported by the providers: it is written as '*', '*/read' or 'Microsoft.Devices/IotHubs/write'."
            ))
            .with_code("InvalidActionOrNotAction")
            .with_target("properties.permissions"))
        }
    }
}

/// Whether a text has the form of an action, with `*` for any part of it.
fn is_pattern(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "*./_-$".contains(c);
    text == "*" || (text.contains('/') && text.chars().all(legal) && text.split('/').all(|part| !part.is_empty()))
}

/// The assignable scopes, accepted without their leading '/'.
fn assignable_scopes(cx: &PutContext<'_>) -> Result<Vec<ResourceId>> {
    let texts: Vec<&str> = cx
        .resource
        .properties
        .get("assignableScopes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if texts.is_empty() {
        return Err(Error::invalid_property(
            "properties.assignableScopes",
            "A custom role needs at least one assignable scope: a subscription or resource group.",
        ));
    }
    texts
        .into_iter()
        .map(|text| {
            let id = ResourceId::parse(text.trim_end_matches('/'))?;
            match &id.subscription {
                Some(subscription) if cx.platform.subscription(subscription).is_some() => Ok(id),
                _ => Err(in_no_subscription(cx.platform, text)),
            }
        })
        .collect()
}

fn in_no_subscription(platform: &Platform, scope: &str) -> Error {
    Error::invalid_property(
        "properties.assignableScopes",
        format!(
            "The assignable scope '{}' is in no subscription of this installation, such as '{}'. If it holds a '$', the shell did not expand a variable: use double quotes.",
            scope.chars().take(200).collect::<String>(),
            platform.tenancy.subscription_id
        ),
    )
}

fn stamp(cx: &mut PutContext<'_>) {
    let (by, now) = (cx.actor.name().to_owned(), rfc3339(cx.platform.now()));
    let was = cx.existing.map(|stored| &stored.resource.system_data);
    let (created_at, created_by) =
        was.map_or((now.clone(), by.clone()), |was| (was.created_at.clone(), was.created_by.clone()));
    let properties = &mut cx.resource.properties;
    properties.insert("createdOn".into(), created_at.into());
    properties.insert("createdBy".into(), created_by.into());
    properties.insert("updatedOn".into(), now.into());
    properties.insert("updatedBy".into(), by.into());
}

/// A built-in role as a resource; its id is qualified by the subscription, as Azure lists it.
fn built_in(platform: &Platform, guid: &str) -> Option<Stored> {
    let role = builtin::definitions().iter().find(|role| role.guid == guid)?;
    let above = ResourceId::subscription(&platform.tenancy.subscription_id);
    let mut properties = Map::new();
    properties.insert("roleName".into(), role.name.clone().into());
    properties.insert("type".into(), "BuiltInRole".into());
    properties.insert("description".into(), builtin::description(guid).unwrap_or_default().into());
    properties.insert("assignableScopes".into(), json!(["/"]));
    properties.insert("permissions".into(), serde_json::to_value(&role.permissions).unwrap_or(Value::Null));
    Some(Stored {
        uid: Uuid::parse_str(guid).ok()?,
        kind: &DECL.kind,
        parent: root_of(&above)?,
        id: KIND.child_of(&above, guid),
        resource: Arc::new(Resource { name: guid.into(), properties, ..Resource::default() }),
        extra: RowExtra::default(),
        version: 0,
    })
}
