//! Role assignments (`Microsoft.Authorization/roleAssignments`).

use crate::arm::context::{DeleteContext, ListContext, PutContext};
use crate::arm::declaration::{Behavior, NameRule, TypeDecl, View};
use crate::arm::schema::{Check, acted, descriptive, read_only, unbuilt};
use crate::authz::AccessSnapshot;
use crate::platform::Platform;
use crate::resources::{self, Kind, Scope, Stored, tag};
use crate::tables::PRINCIPALS;
use crate::{departure, directory};
use async_trait::async_trait;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_model::uid::uid_key;
use ferrohub_wire::odata::{Asked, Filter, Terms};
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use uuid::Uuid;

/// Name and place.
pub(crate) const KIND: Kind = Kind {
    scope: Scope::Extension,
    listed: true,
    ..Kind::new(tag::ROLE_ASSIGNMENT, "Microsoft.Authorization", &["roleAssignments"])
};

/// The declaration.
pub(super) static DECL: TypeDecl = TypeDecl {
    any_version: true,
    name: NameRule { min: 36, max: 36, legal: |name| Uuid::parse_str(name).is_ok(), text: "it must be a GUID" },
    global_name: Some("roleassignments"),
    properties: &[
        acted("roleDefinitionId", Check::Text(1024)),
        acted("principalId", Check::Text(64)),
        acted("principalType", Check::OneOf(&["User", "Group", "ServicePrincipal", "ForeignGroup", "Device"])),
        descriptive("description", Check::Text(2048), "a note of whoever assigned the role"),
        unbuilt("condition", Check::Off, NO_CONDITIONS),
        unbuilt("conditionVersion", Check::OneOf(&["2.0"]), NO_CONDITIONS),
        unbuilt(
            "delegatedManagedIdentityResourceId",
            Check::Off,
            "Ferrohub has one tenant, so nobody assigns roles for another one.",
        ),
        read_only("scope"),
        read_only("createdOn"),
        read_only("createdBy"),
        read_only("updatedOn"),
        read_only("updatedBy"),
    ],
    put: (201, 201),
    filtered: true,
    // Roles answer with what was deleted (reference: resource-manager.md section 11).
    delete_answers: true,
    behavior: &RoleAssignment,
    ..TypeDecl::new(
        KIND,
        &["2015-07-01", "2018-01-01-preview", "2020-04-01-preview", "2022-04-01"],
        &[View::hiding("2015-07-01", None, &["systemData", "etag", "location"])],
    )
};

const NO_CONDITIONS: &str = "Ferrohub does not evaluate conditions on role assignments.";

struct RoleAssignment;

#[async_trait]
impl Behavior for RoleAssignment {
    async fn before_put(&self, cx: &mut PutContext<'_>) -> Result<()> {
        let scope = cx.id.parent().unwrap_or_else(|| cx.id.clone());
        check_scope(cx, &scope).await?;
        let above = resources::uid_of(cx.platform, &scope).await?.ok_or_else(|| resources::missing(&scope))?;
        let principal = plain_guid(text(&cx.resource, "principalId"));
        let role = text(&cx.resource, "roleDefinitionId").rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        check_principal(cx, &principal).await?;
        check_role(cx, &scope, &role)?;
        if let Some(existing) = cx.existing {
            let same = |name: &str, now: &str| {
                existing
                    .resource
                    .text(&[name])
                    .is_some_and(|before| before.rsplit('/').next().is_some_and(|b| b.eq_ignore_ascii_case(now)))
            };
            if !same("principalId", &principal) || !same("roleDefinitionId", &role) {
                return Err(not_permitted());
            }
        }
        // One assignment per scope, principal and role: the second creation gets RoleAssignmentExists.
        let lookup = lookup(above, &principal, &role);
        if cx.is_new() && cx.platform.store.find_one(&crate::tables::RESOURCES, "lookup", &lookup).await?.is_some() {
            return Err(exists());
        }
        cx.extra.lookup = Some(lookup);
        cx.extra.link = Some(format!("role/{role}"));
        complete(cx, &principal, &role);
        cx.change.access = true;
        Ok(())
    }

    fn taken(&self, _id: &ResourceId, column: &str) -> Option<Error> {
        Some(if column == "lookup" { exists() } else { not_permitted() })
    }

    async fn before_delete(&self, cx: &mut DeleteContext<'_>) -> Result<()> {
        departure::check_assignment(cx.platform, cx.stored, &mut cx.change).await?;
        cx.change.access = true;
        Ok(())
    }

    async fn list(&self, cx: &ListContext<'_>) -> Result<Option<Vec<Stored>>> {
        let wanted = Filter::parse(cx.filter.unwrap_or_default(), &TERMS)?;
        let access = cx.platform.access();
        let mut found = Vec::new();
        let mut scopes: HashMap<Uuid, Vec<ResourceId>> = HashMap::new();
        for mut stored in resources::every(cx.platform, tag::ROLE_ASSIGNMENT).await? {
            let ids = match scopes.entry(stored.parent) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(resources::ids_of(cx.platform, stored.parent).await?),
            };
            let Some((scope, at_or_above)) = seen_from(cx.scope, ids) else { continue };
            let asked = Assignment { resource: &stored.resource, at_or_above, access: &access, caller: cx.actor.id() };
            if wanted.as_ref().is_none_or(|filter| filter.matches(&asked)) {
                stored.id = KIND.child_of(scope, stored.name());
                found.push(stored);
            }
        }
        Ok(Some(found))
    }

    async fn decorate(&self, _platform: &Platform, stored: &Stored, _: &View, doc: &mut Value) -> Result<()> {
        let scope = stored.id.parent().unwrap_or_else(|| stored.id.clone());
        doc["properties"]["scope"] = scope.to_string().into();
        Ok(())
    }
}

/// The id of a scope as it is seen from `asked`, and whether it is that scope or one above it; `None` where it lies elsewhere. A
/// resource that two generations show is one scope under several ids, and clients compare the texts.
fn seen_from<'a>(asked: &ResourceId, ids: &'a [ResourceId]) -> Option<(&'a ResourceId, bool)> {
    let above = || ids.iter().find(|id| asked.is_within(id)).map(|id| (id, true));
    let below = || ids.iter().find(|id| id.is_within(asked)).map(|id| (id, false));
    ids.iter().find(|id| id.same(asked)).map(|id| (id, true)).or_else(above).or_else(below)
}

/// The `lookup` column of an assignment.
pub(crate) fn lookup(scope: Uuid, principal: &str, role: &str) -> String {
    format!("assignment/{}/{principal}/{role}", uid_key(scope))
}

/// A GUID in its plain form, however it was written; another text as it is, to be refused by name.
fn plain_guid(text: &str) -> String {
    Uuid::parse_str(text).map_or_else(|_| text.to_ascii_lowercase(), |id| id.to_string())
}

fn exists() -> Error {
    Error::new(ErrorKind::Conflict, "RoleAssignmentExists", "The role assignment already exists.")
}

fn not_permitted() -> Error {
    Error::conflict("Tenant ID, application ID, principal ID, and scope are not allowed to be updated.")
        .with_code("RoleAssignmentUpdateNotPermitted")
}

fn text<'a>(resource: &'a Resource, name: &str) -> &'a str {
    resource.text(&[name]).unwrap_or_default()
}

/// Assignments live below existing scopes of the subscription, never at the tenant.
async fn check_scope(cx: &PutContext<'_>, scope: &ResourceId) -> Result<()> {
    if scope.subscription.is_none() {
        return Err(Error::invalid("Role assignments are made at a subscription, a resource group or a resource.")
            .with_code("InvalidScope"));
    }
    if scope.resource_group.is_some() {
        resources::require(cx.platform, scope).await?;
    }
    Ok(())
}

/// Types of principals in a role assignment (Microsoft.Authorization 2022-04-01).
const PRINCIPAL_TYPES: &[&str] = &["User", "Group", "ServicePrincipal", "ForeignGroup", "Device"];

async fn check_principal(cx: &mut PutContext<'_>, principal: &str) -> Result<()> {
    if Uuid::parse_str(principal).is_err() {
        return Err(Error::invalid_property(
            "properties.principalId",
            format!("The principal id '{}' is not a GUID.", principal.chars().take(60).collect::<String>()),
        ));
    }
    let named = text(&cx.resource, "principalType");
    if let Some(known) = PRINCIPAL_TYPES.iter().find(|known| named.eq_ignore_ascii_case(known)) {
        cx.resource.properties.insert("principalType".into(), (*known).into());
    } else if !named.is_empty() {
        return Err(Error::invalid_property(
            "properties.principalType",
            format!(
                "The principal type '{}' is not known; there are: {}.",
                named.chars().take(40).collect::<String>(),
                PRINCIPAL_TYPES.join(", ")
            ),
        ));
    }
    let named = text(&cx.resource, "principalType");
    if let Some(found) = directory::by_id(cx.platform.store.as_ref(), principal).await? {
        let kind = found.kind.role_word();
        if named.is_empty() || named == kind {
            // Whoever removes it meanwhile removes its roles, and must not miss this one.
            cx.change.unit.expect_exists(&PRINCIPALS, found.id.clone());
            cx.resource.properties.insert("principalType".into(), kind.into());
            return Ok(());
        }
        return Err(Error::invalid(format!(
            "The PrincipalId '{principal}' has type '{kind}', which is different from specified PrincipalType '{named}'."
        ))
        .with_code("UnmatchedPrincipalType"));
    }
    // Whoever names the type says that the principal will be there; Azure does not look then.
    if !named.is_empty() {
        return Ok(());
    }
    let tenant = &cx.platform.tenancy.tenant_id;
    Err(Error::invalid(format!(
        "Principal {principal} does not exist in the directory {tenant}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype"
    ))
    .with_code("PrincipalNotFound"))
}

fn check_role(cx: &PutContext<'_>, scope: &ResourceId, role: &str) -> Result<()> {
    let access = cx.platform.access();
    let Some(definition) = access.definition(role) else {
        let shown: String = role.chars().take(60).collect();
        return Err(Error::invalid(format!("The specified role definition with ID '{shown}' does not exist."))
            .with_code("RoleDefinitionDoesNotExist"));
    };
    if definition.assignable_at(&scope.key()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The role '{}' cannot be assigned at '{scope}': its assignable scopes are {}.",
        definition.name,
        definition.assignable.join(", ")
    ))
    .with_code("RoleAssignmentScopeNotAssignableToRoleDefinition"))
}

fn complete(cx: &mut PutContext<'_>, principal: &str, role: &str) {
    let (by, now) = (cx.actor.name().to_owned(), rfc3339(cx.platform.now()));
    let was = cx.existing.map(|stored| &stored.resource.system_data);
    let (created_at, created_by) =
        was.map_or((now.clone(), by.clone()), |was| (was.created_at.clone(), was.created_by.clone()));
    let definition = ResourceId::subscription(&cx.platform.tenancy.subscription_id).resource(
        "Microsoft.Authorization",
        "roleDefinitions",
        role,
    );
    let properties = &mut cx.resource.properties;
    properties.insert("roleDefinitionId".into(), definition.to_string().into());
    properties.insert("principalId".into(), principal.into());
    properties.shift_remove("scope");
    properties.insert("createdOn".into(), created_at.into());
    properties.insert("createdBy".into(), created_by.into());
    properties.insert("updatedOn".into(), now.into());
    properties.insert("updatedBy".into(), by.into());
    for name in ["condition", "conditionVersion", "description", "delegatedManagedIdentityResourceId"] {
        properties.entry(name).or_insert(Value::Null);
    }
}

/// `$filter` of a list: none = at, above and below the scope; `atScope()` = at or above; a principal; `assignedTo` a principal or
/// to a group that it is in; `asTarget()` = to the caller.
static TERMS: Terms = Terms { fields: &["principalId"], marks: &["atScope", "assignedTo", "asTarget"] };

/// An assignment that is listed at a scope.
struct Assignment<'a> {
    resource: &'a Resource,
    /// Whether it is made at the scope, or above.
    at_or_above: bool,
    access: &'a AccessSnapshot,
    /// Object id of whoever lists.
    caller: &'a str,
}

impl Assignment<'_> {
    fn is_of(&self, principal: &str) -> bool {
        let holder = text(self.resource, "principalId");
        holder.eq_ignore_ascii_case(principal)
            || self.access.groups_of(principal).iter().any(|group| group.eq_ignore_ascii_case(holder))
    }
}

impl Asked for Assignment<'_> {
    fn values(&self, field: &str) -> Vec<String> {
        vec![text(self.resource, field).to_owned()]
    }

    fn holds(&self, mark: &str, principal: Option<&str>) -> bool {
        match (mark, principal) {
            ("atScope", None) => self.at_or_above,
            ("asTarget", None) => self.is_of(self.caller),
            ("assignedTo", Some(id)) => self.is_of(id),
            _ => false,
        }
    }
}
