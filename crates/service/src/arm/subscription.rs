//! Subscriptions as Resource Manager shows them, and how there come to be more of them: the aliases of
//! `Microsoft.Subscription`, as Azure has them. Who makes one is its Owner.

use super::activity;
use super::query;
use super::request::{ArmRequest, ArmResponse};
use crate::arm::types::{ROLE_ASSIGNMENT, role_assignment_lookup, roles_reaching_into, withdraw_roles};
use crate::authz::builtin;
use crate::departure;
use crate::locks::Operation;
use crate::platform::{Change, Platform};
use crate::resources::{self, Entry, RowExtra, Stored, Told, tag};
use crate::subscriptions;
use crate::tables::{RESOURCES, SUBSCRIPTIONS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use ferrohub_model::time::rfc3339;
use ferrohub_model::uid::uid_key;
use ferrohub_store::Expect;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Reading a subscription.
pub(super) const READ: &str = "Microsoft.Resources/subscriptions/read";
/// Making a subscription; asked for on the first one, because nothing lies above.
pub(super) const MAKE: &str = "Microsoft.Subscription/aliases/write";
/// Taking the alias of a subscription away.
pub(super) const FORGET: &str = "Microsoft.Subscription/aliases/delete";
/// Giving a subscription another name.
pub(super) const RENAME: &str = "Microsoft.Subscription/rename/action";

/// Taking a subscription away that has nothing in it.
pub(super) const CANCEL: &str = "Microsoft.Subscription/cancel/action";

/// Longest name of a subscription or of an alias (Azure: 64).
const NAME_CHARS: usize = 64;

/// A subscription (reference: resource-manager.md section 10).
pub(super) fn view(platform: &Platform, known: &Subscription) -> Value {
    let mut doc = json!({
        "id": format!("/subscriptions/{}", known.id),
        "subscriptionId": known.id,
        "tenantId": platform.tenancy.tenant_id,
        "displayName": known.name,
        "state": "Enabled",
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "Ferrohub", "spendingLimit": "Off"},
        "authorizationSource": "RoleBased",
        "managedByTenants": []
    });
    if !known.tags.is_empty() {
        doc["tags"] = Value::Object(known.tags.clone());
    }
    doc
}

/// The subscriptions in which the caller has any role.
pub(super) fn visible(platform: &Platform, request: &ArmRequest) -> Vec<Arc<Subscription>> {
    let access = platform.access();
    let reached = |known: &&Arc<Subscription>| {
        access.reaches_into(request.actor.id(), &ResourceId::subscription(&known.id.to_string()))
    };
    platform.subscriptions().iter().filter(reached).cloned().collect()
}

/// The aliases of the subscriptions that the caller sees.
pub(super) fn aliases(platform: &Platform, request: &ArmRequest) -> Result<Vec<Value>> {
    check_version(request)?;
    Ok(visible(platform, request).iter().filter_map(|known| alias_view(known)).collect())
}

/// One alias.
pub(super) fn alias(platform: &Platform, request: &ArmRequest, name: &str) -> Result<ArmResponse> {
    check_version(request)?;
    let found = visible(platform, request).into_iter().find(|known| has_alias(known, name));
    let doc = found.as_deref().and_then(alias_view).ok_or_else(|| unknown(name))?;
    Ok(ArmResponse::new(200, Some(doc)))
}

/// Makes a subscription under an alias; the same alias once more is the same subscription.
pub(super) async fn make(platform: &Platform, request: &ArmRequest, alias: &str) -> Result<ArmResponse> {
    check_version(request)?;
    let first = ResourceId::subscription(&platform.tenancy.subscription_id);
    platform.authorize(&request.actor, MAKE, &first)?;
    let wanted = wanted_name(request)?;
    check_name("alias", alias)?;
    let mut attempts = platform.attempts();
    loop {
        attempts
            .begin(|| Error::conflict("Subscriptions are being made by others at the same time; try again."))
            .await?;
        let all = platform.subscriptions();
        if let Some(known) = all.iter().find(|known| has_alias(known, alias)) {
            return Ok(ArmResponse::new(200, alias_view(known)));
        }
        if all.len() >= limits::SUBSCRIPTIONS {
            return Err(Error::conflict(format!(
                "There are {} subscriptions, and this server has no more.",
                limits::SUBSCRIPTIONS
            ))
            .with_code("SubscriptionQuotaExceeded"));
        }
        let mut made = Subscription::new(platform.random.uuid_v4(), wanted.as_deref().unwrap_or(alias));
        made.alias = Some(alias.to_owned());
        let mut change = Change::new();
        change.unit.expect_absent(&SUBSCRIPTIONS, subscriptions::key(made.id));
        change.unit.put(subscriptions::put(&made)?);
        change.access = true;
        own(platform, request, &made, &mut change)?;
        let id = ResourceId::subscription(&made.id.to_string());
        change.unit.put(activity::success_row(platform, request, &id, MAKE, 201)?);
        if platform.try_commit(change).await? {
            return Ok(ArmResponse::new(201, alias_view(&made)));
        }
        platform.refresh_access().await?;
    }
}

/// Makes the caller Owner of a subscription that comes with the same unit.
fn own(platform: &Platform, request: &ArmRequest, made: &Subscription, change: &mut Change) -> Result<()> {
    let (actor, now) = (&request.actor, rfc3339(platform.now()));
    let scope = ResourceId::subscription(&made.id.to_string());
    let name = platform.random.uuid_v4().to_string();
    let kind = if actor.kind_name() == "User" { "User" } else { "ServicePrincipal" };
    let definition = scope.resource("Microsoft.Authorization", "roleDefinitions", builtin::OWNER).to_string();
    let mut properties = Map::new();
    for (key, value) in [
        ("roleDefinitionId", definition.as_str()),
        ("principalId", actor.id()),
        ("principalType", kind),
        ("createdOn", &now),
        ("createdBy", actor.name()),
        ("updatedOn", &now),
        ("updatedBy", actor.name()),
    ] {
        properties.insert(key.into(), value.into());
    }
    for key in ["condition", "conditionVersion", "description", "delegatedManagedIdentityResourceId"] {
        properties.insert(key.into(), Value::Null);
    }
    let extra = RowExtra {
        unique_name: Some(format!("roleassignments/{name}")),
        link: Some(format!("role/{}", builtin::OWNER)),
        lookup: Some(role_assignment_lookup(made.id, actor.id(), builtin::OWNER)),
    };
    let entry = Entry {
        uid: platform.new_id(),
        kind: &ROLE_ASSIGNMENT,
        parent: made.id,
        id: ROLE_ASSIGNMENT.child_of(&scope, &name),
        below_new: true,
        was: None,
        resource: Resource { name, properties, ..Resource::default() },
        extra,
    };
    let told =
        Told::Row(activity::of_request(platform, request, &entry.id, &format!("{}/write", ROLE_ASSIGNMENT.full()))?);
    resources::put(platform, actor, entry, told, change).map(drop)
}

/// Takes an alias away; the subscription stays.
pub(super) async fn forget(platform: &Platform, request: &ArmRequest, alias: &str) -> Result<ArmResponse> {
    check_version(request)?;
    let Some(known) = visible(platform, request).into_iter().find(|known| has_alias(known, alias)) else {
        let first = ResourceId::subscription(&platform.tenancy.subscription_id);
        platform.authorize(&request.actor, FORGET, &first)?;
        return Ok(ArmResponse::new(204, None));
    };
    let scope = ResourceId::subscription(&known.id.to_string());
    platform.authorize(&request.actor, FORGET, &scope)?;
    let row = activity::success_row(platform, request, &scope, FORGET, 200)?;
    platform
        .change_subscription(known.id, &|known, change| {
            known.alias = None;
            change.unit.put(row.clone());
            Ok(())
        })
        .await?;
    Ok(ArmResponse::new(200, None))
}

/// Gives a subscription another name.
pub(super) async fn rename(platform: &Platform, request: &ArmRequest, id: Uuid) -> Result<ArmResponse> {
    check_version(request)?;
    let scope = ResourceId::subscription(&id.to_string());
    platform.authorize(&request.actor, RENAME, &scope)?;
    let body = request.body.as_ref().unwrap_or(&Value::Null);
    let name = body.get("subscriptionName").and_then(Value::as_str).unwrap_or_default().to_owned();
    check_name("subscriptionName", &name)?;
    let row = activity::success_row(platform, request, &scope, RENAME, 200)?;
    platform
        .change_subscription(id, &|known, change| {
            known.name.clone_from(&name);
            change.unit.put(row.clone());
            Ok(())
        })
        .await?;
    Ok(ArmResponse::new(200, Some(json!({"subscriptionId": id}))))
}

/// Takes a subscription away in which there are no groups, with the roles that were given at it.
pub(super) async fn cancel(platform: &Platform, request: &ArmRequest, id: Uuid) -> Result<ArmResponse> {
    check_version(request)?;
    let scope = ResourceId::subscription(&id.to_string());
    platform.authorize(&request.actor, CANCEL, &scope)?;
    if id == platform.first_subscription()? {
        return Err(Error::conflict(
            "The first subscription is where rights over the installation lie; it cannot be taken away.",
        )
        .with_code("SubscriptionInUse"));
    }
    let _turn = platform.turn(&subscriptions::key(id)).await;
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(|| Error::conflict(format!("'{scope}' is being changed by others; try again."))).await?;
        if empty(platform, request, id, &scope).await? {
            return Ok(ArmResponse::new(200, Some(json!({"subscriptionId": id}))));
        }
    }
}

/// One try; `false` when somebody wrote meanwhile.
async fn empty(platform: &Platform, request: &ArmRequest, id: Uuid, scope: &ResourceId) -> Result<bool> {
    let locks = platform.locks().await?;
    locks.check(Operation::Delete, scope)?;
    if let Some(group) =
        resources::children_page(platform, id, scope, Some(tag::RESOURCE_GROUP), None, 1).await?.first()
    {
        return Err(Error::conflict(format!(
            "'{scope}' has resource groups, such as '{}'. Delete them first.",
            group.name()
        ))
        .with_code("SubscriptionInUse"));
    }
    let (generation, _) = platform.access_at().await?;
    let mut roles = resources::children(platform, id, scope, Some(tag::ROLE_ASSIGNMENT)).await?;
    // Owners go with the subscription itself: one that is cut off half-way, or gets a group meanwhile, still has them.
    roles.sort_by_key(|role| !departure::gives_owner(role));
    let without_groups = || {
        let mut change = Change::new();
        locks.expect(&mut change);
        let prefix = format!("{}/{}/", uid_key(id), tag::RESOURCE_GROUP);
        change.unit.expect(Expect::NonePrefixed { table: &RESOURCES, column: "place", prefix });
        change
    };
    let definitions = roles_reaching_into(platform, scope).await?;
    let remove = |some: &[Stored], change: &mut Change| {
        departure::remove_assignments(platform, &request.actor, request.correlation_id, some, change)
    };
    let withdraw = |some: &[Stored], change: &mut Change| {
        withdraw_roles(platform, &request.actor, request.correlation_id, (scope, some), change)
    };
    if let Some(sooner) = roles.get(departure::AT_ONCE..).filter(|sooner| !sooner.is_empty()) {
        for some in sooner.chunks(departure::AT_ONCE) {
            let mut change = without_groups();
            remove(some, &mut change)?;
            platform.try_commit(change).await?;
        }
        return Ok(false);
    }
    if let Some(sooner) = definitions.get(departure::AT_ONCE..).filter(|sooner| !sooner.is_empty()) {
        for some in sooner.chunks(departure::AT_ONCE) {
            let mut change = without_groups();
            withdraw(some, &mut change)?;
            platform.try_commit(change).await?;
        }
        return Ok(false);
    }
    let mut change = without_groups();
    change.access = true;
    departure::expect_access(generation, &mut change);
    remove(&roles, &mut change)?;
    withdraw(&definitions, &mut change)?;
    change.unit.expect_exists(&SUBSCRIPTIONS, subscriptions::key(id));
    change.unit.delete(&SUBSCRIPTIONS, subscriptions::key(id));
    change.unit.put(activity::success_row(platform, request, scope, CANCEL, 200)?);
    platform.try_commit(change).await
}

fn alias_view(known: &Subscription) -> Option<Value> {
    let alias = known.alias.as_ref()?;
    Some(json!({
        "id": format!("/providers/Microsoft.Subscription/aliases/{alias}"),
        "name": alias,
        "type": "Microsoft.Subscription/aliases",
        "properties": {
            "subscriptionId": known.id,
            "displayName": known.name,
            "provisioningState": "Succeeded",
            "acceptOwnershipState": "Completed"
        }
    }))
}

fn has_alias(known: &Subscription, name: &str) -> bool {
    known.alias.as_ref().is_some_and(|alias| alias.eq_ignore_ascii_case(name))
}

fn unknown(alias: &str) -> Error {
    let shown: String = alias.chars().take(80).collect();
    Error::not_found(format!("The subscription alias '{shown}' could not be found."))
        .with_code("SubscriptionAliasNotFound")
}

/// The name that the body wants. What Azure bills a subscription by is nothing here; whose it is, is decided by roles.
fn wanted_name(request: &ArmRequest) -> Result<Option<String>> {
    let body = request.body.as_ref().unwrap_or(&Value::Null);
    let known = ["displayName", "workload", "billingScope"];
    if let Some((name, _)) = body
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .find(|(name, value)| !known.contains(&name.as_str()) && !value.is_null())
    {
        let shown: String = name.chars().take(60).collect();
        return Err(Error::not_implemented(format!(
            "A subscription is made with a displayName; '{shown}' is not taken: an existing subscription has its alias already, and its owner is whoever makes it."
        ))
        .with_target(format!("properties.{shown}")));
    }
    let Some(name) = body.pointer("/properties/displayName").filter(|name| !name.is_null()) else { return Ok(None) };
    let name = name.as_str().unwrap_or_default();
    check_name("properties.displayName", name)?;
    Ok(Some(name.to_owned()))
}

fn check_name(path: &str, name: &str) -> Result<()> {
    let bad = |c: char| c.is_control() || "<>;|".contains(c);
    if (1..=NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(bad) {
        return Ok(());
    }
    Err(Error::invalid_property(path, format!("A name has 1 to {NAME_CHARS} characters and none of < > ; |.")))
}

/// `Microsoft.Subscription` has had few api-versions, of one shape.
fn check_version(request: &ArmRequest) -> Result<()> {
    query::version(request).map(drop)
}
