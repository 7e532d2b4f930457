//! Resource providers: what there is, and which of them a subscription is registered for: all, unless it says otherwise.

use super::request::{ArmRequest, ArmResponse};
use super::types::Types;
use super::{activity, not_built, region};
use crate::authz::Plane;
use crate::platform::{Change, Platform};
use crate::resources;
use crate::{hub, provisioning, registry};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// All providers, as a subscription is registered for them; the tenant's list has no state.
pub(super) fn all(platform: &Platform, known: Option<&Subscription>) -> Vec<Value> {
    let types = &platform.types;
    types.providers().into_iter().map(|ns| provider(types, known, ns)).collect()
}

/// One provider. A provider that Azure is known to have counts as registered, with no types.
pub(super) fn show(platform: &Platform, known: Option<&Subscription>, namespace: &str) -> Result<ArmResponse> {
    let types = &platform.types;
    let found = self::known(types, namespace)
        .or_else(|error| not_built::provider(namespace).ok_or(error))
        .or_else(|error| namespace.eq_ignore_ascii_case(SUBSCRIPTION).then_some(SUBSCRIPTION).ok_or(error))?;
    Ok(ArmResponse::new(200, Some(provider(types, known, found))))
}

/// Registers a subscription for a provider, or takes that back. Scripts register whatever Azure would need, and we do not know
/// every name that Azure has: each of Azure's form is answered, and counts as registered always.
///
/// # Errors
/// Without the provider's right; unregistering one whose resources are there, or that needs no registration.
pub(super) async fn register(
    platform: &Platform,
    request: &ArmRequest,
    subscription: &Subscription,
    namespace: &str,
    registered: bool,
) -> Result<ArmResponse> {
    let types = &platform.types;
    let found = known(types, namespace);
    if let Err(error) = &found
        && !is_azures(namespace)
    {
        return Err(error.clone());
    }
    let scope = ResourceId::subscription(&subscription.id.to_string());
    let name = *found.as_ref().unwrap_or(&namespace);
    let action = format!("{name}/{}/action", if registered { "register" } else { "unregister" });
    platform.authorize(&request.actor, &action, &scope)?;
    let Ok(name) = found else {
        if registered {
            return Ok(ArmResponse::new(200, Some(provider(types, Some(subscription), namespace))));
        }
        return Err(Error::conflict(format!(
            "The resource provider '{namespace}' has nothing here; it counts as registered always."
        )));
    };
    if !registered {
        check_unused(platform, &scope, name).await?;
    }
    let row = activity::success_row(platform, request, &scope, &action, 200)?;
    let write = |known: &mut Subscription, change: &mut Change| {
        known.unregistered.retain(|other| !other.eq_ignore_ascii_case(name));
        if !registered {
            known.unregistered.push(name.to_lowercase());
        }
        change.unit.put(row.clone());
        Ok(())
    };
    let now = platform.change_subscription(subscription.id, &write).await?;
    Ok(ArmResponse::new(200, Some(provider(types, Some(&now), name))))
}

/// The provider of aliases of subscriptions, which has no resource types.
const SUBSCRIPTION: &str = "Microsoft.Subscription";
/// Providers of Resource Manager itself, which need no registration.
const ALWAYS: &[&str] = &["Microsoft.Resources", "Microsoft.Authorization", SUBSCRIPTION];

/// The actions of registering the providers of `types`, and of taking that back.
pub(super) fn registering(types: &Types) -> impl Iterator<Item = String> {
    types.providers().into_iter().filter(|provider| !ALWAYS.contains(provider)).flat_map(register_actions)
}

fn register_actions(provider: &str) -> [String; 2] {
    ["register", "unregister"].map(|verb| format!("{provider}/{verb}/action"))
}

/// Refuses to unregister a provider that needs no registration, or of which there are resources.
async fn check_unused(platform: &Platform, scope: &ResourceId, namespace: &str) -> Result<()> {
    if ALWAYS.contains(&namespace) {
        return Err(Error::conflict(format!(
            "The resource provider '{namespace}' is part of Resource Manager and always registered."
        ))
        .with_code("CannotUnregisterRegistrationFreeResourceProvider"));
    }
    for decl in platform.types.all().iter().filter(|decl| decl.kind.provider == namespace && decl.kind.listed) {
        let all = resources::every(platform, decl.kind.tag).await?;
        if let Some(found) = all.iter().find(|stored| stored.id.is_within(scope)) {
            return Err(Error::conflict(format!(
                "The resource provider '{namespace}' cannot be unregistered while the subscription has resources of it, such as '{}'. Delete them first.",
                found.id
            ))
            .with_code("CannotUnregisterResourceProvider"));
        }
    }
    Ok(())
}

/// Refuses a write in a subscription that is not registered for the provider. Clients register it by themselves then: they
/// read the provider in the last quotes of the message.
///
/// # Errors
/// `MissingSubscriptionRegistration`.
pub(super) fn require_registered(platform: &Platform, id: &ResourceId) -> Result<()> {
    let Some(provider) = id.providers.last().map(|provider| provider.namespace.as_str()) else { return Ok(()) };
    let known = platform.subscription(id.subscription.as_deref().unwrap_or_default());
    if known.is_none_or(|known| known.is_registered(provider)) {
        return Ok(());
    }
    let message = format!(
        "The subscription is not registered to use namespace '{provider}'. See https://aka.ms/rps-not-found for how to register subscriptions."
    );
    Err(Error::conflict(message).with_code("MissingSubscriptionRegistration"))
}

/// Whether a provider namespace has the form of Azure's own, such as `Microsoft.Storage`.
fn is_azures(namespace: &str) -> bool {
    let form = namespace.split_once('.').filter(|(first, _)| first.eq_ignore_ascii_case("microsoft"));
    let words =
        |rest: &str| rest.split('.').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()));
    form.is_some_and(|(_, rest)| namespace.len() <= 80 && words(rest))
}

/// The operations of a provider.
pub(super) fn operations_of(platform: &Platform, namespace: &str) -> Result<Vec<Value>> {
    let types = &platform.types;
    Ok(operations(types, known(types, namespace)?))
}

fn known(types: &Types, namespace: &str) -> Result<&'static str> {
    types.providers().into_iter().find(|ns| ns.eq_ignore_ascii_case(namespace)).ok_or_else(|| unknown(types, namespace))
}

/// The error for a provider namespace that is not served.
pub(super) fn unknown(types: &Types, namespace: &str) -> Error {
    let have = types.providers().join(", ");
    if let Some(refusal) = not_built::of_provider(types, namespace) {
        return refusal;
    }
    let shown: String = namespace.chars().take(80).collect();
    Error::not_found(format!("The resource namespace '{shown}' is invalid. Ferrohub has: {have}."))
        .with_code("InvalidResourceNamespace")
}

/// The types of a provider.
pub(super) fn resource_types(types: &Types, namespace: &str) -> Result<Vec<Value>> {
    known(types, namespace).map(|namespace| types_of(types, namespace))
}

fn types_of(types: &Types, namespace: &str) -> Vec<Value> {
    let locations: Vec<&str> = region::names().into_iter().map(region::display).collect();
    types
        .all()
        .iter()
        .filter(|decl| decl.kind.provider == namespace)
        .map(|decl| json!({"resourceType": decl.kind.path.join("/"), "locations": locations, "apiVersions": decl.versions(), "capabilities": "None"}))
        .collect()
}

fn provider(types: &Types, subscription: Option<&Subscription>, namespace: &str) -> Value {
    let mut doc = json!({"namespace": namespace, "registrationPolicy": "RegistrationRequired", "resourceTypes": types_of(types, namespace)});
    if ALWAYS.contains(&namespace) {
        doc["registrationPolicy"] = "RegistrationFree".into();
    }
    if let Some(subscription) = subscription {
        let registered = subscription.is_registered(namespace);
        doc["id"] = format!("/subscriptions/{}/providers/{namespace}", subscription.id).into();
        doc["registrationState"] = if registered { "Registered" } else { "NotRegistered" }.into();
    }
    doc
}

/// Every action that can be asked for: of the types, and the data actions of the planes beside Resource Manager.
fn operations(types: &Types, namespace: &str) -> Vec<Value> {
    let own_types = types.all().iter().filter(|decl| decl.kind.provider == namespace);
    let control = own_types.flat_map(|decl| decl.actions().into_iter().chain(decl.name_check_action()));
    let mut all: Vec<(bool, String)> = register_actions(namespace).into_iter().map(|action| (false, action)).collect();
    all.extend(control.map(|action| (false, action)));
    let needs = hub::NEEDS.iter().chain(provisioning::NEEDS).flat_map(|need| need.actions);
    let data = needs.filter(|(plane, _)| *plane == Plane::Data).map(|(_, action)| *action);
    let own = |action: &&str| action.get(..namespace.len()).is_some_and(|head| head.eq_ignore_ascii_case(namespace));
    all.extend(data.chain([registry::ISSUE_CERTIFICATE]).filter(own).map(|action| (true, action.to_owned())));
    let mut seen = BTreeSet::new();
    all.retain(|entry| seen.insert(entry.clone()));
    all.iter().map(|(is_data, action)| operation(action, *is_data)).collect()
}

/// An action as `az provider operation` and the SDKs read it.
fn operation(action: &str, is_data: bool) -> Value {
    let (provider, path) = action.split_once('/').unwrap_or((action, ""));
    let words: Vec<&str> = path.split('/').collect();
    // `{types}/read`, or `{types}/{name}/action`.
    let (resource, verb) = match words.as_slice() {
        [resource @ .., name, "action"] => (resource.join("/"), *name),
        [resource @ .., verb] => (resource.join("/"), *verb),
        [] => (String::new(), ""),
    };
    let resource = if resource.is_empty() { provider.to_owned() } else { resource };
    let description = match verb {
        "read" => format!("Reads {resource}."),
        "write" => format!("Creates or changes {resource}."),
        "delete" => format!("Deletes {resource}."),
        verb => format!("Asks for {verb} of {resource}."),
    };
    let display = json!({"provider": provider, "resource": resource, "operation": verb, "description": description});
    json!({"name": action, "isDataAction": is_data, "display": display, "origin": "user,system"})
}
