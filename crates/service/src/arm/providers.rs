//! Resource providers: what there is, and the registration that clients ask for. All are always registered.

use super::request::ArmResponse;
use super::types::Types;
use super::{not_built, region};
use crate::authz::Plane;
use crate::platform::Platform;
use crate::{hub, provisioning, registry};
use ferrohub_model::error::{Error, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Provider namespaces in use.
pub(super) fn namespaces(types: &Types) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = types.all().iter().map(|decl| decl.kind.provider).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// All providers.
pub(super) fn all(platform: &Platform) -> Vec<Value> {
    let types = &platform.types;
    namespaces(types).into_iter().map(|ns| provider(platform, types, ns)).collect()
}

/// One provider. A provider that Azure is known to have counts as registered, with no types.
pub(super) fn show(platform: &Platform, namespace: &str) -> Result<ArmResponse> {
    let types = &platform.types;
    let found = known(types, namespace).or_else(|error| not_built::provider(namespace).ok_or(error))?;
    Ok(ArmResponse::new(200, Some(provider(platform, types, found))))
}

/// Registers a provider. Scripts register whatever Azure would need, and we do not know every name that Azure has: each of
/// Azure's form is answered.
pub(super) fn register(platform: &Platform, namespace: &str) -> Result<ArmResponse> {
    match show(platform, namespace) {
        Err(_) if is_azures(namespace) => {
            Ok(ArmResponse::new(200, Some(provider(platform, &platform.types, namespace))))
        }
        answer => answer,
    }
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

/// Providers are part of the product, and those that are not built need no registration.
pub(super) fn unregister(platform: &Platform, namespace: &str) -> Result<ArmResponse> {
    let known = known(&platform.types, namespace);
    let what = match &known {
        Ok(namespace) => format!("'{namespace}' is part of Ferrohub and always registered"),
        Err(_) if is_azures(namespace) => format!("'{namespace}' has nothing here; it counts as registered always"),
        Err(error) => return Err(error.clone()),
    };
    Err(Error::conflict(format!("The resource provider {what}.")))
}

fn known(types: &Types, namespace: &str) -> Result<&'static str> {
    namespaces(types).into_iter().find(|ns| ns.eq_ignore_ascii_case(namespace)).ok_or_else(|| unknown(types, namespace))
}

/// The error for a provider namespace that is not served.
pub(super) fn unknown(types: &Types, namespace: &str) -> Error {
    let have = namespaces(types).join(", ");
    if let Some(refusal) = not_built::of_provider(types, namespace) {
        return refusal;
    }
    let shown: String = namespace.chars().take(80).collect();
    Error::not_found(format!("The resource namespace '{shown}' is invalid. Ferrohub has: {have}."))
        .with_code("InvalidResourceNamespace")
}

fn provider(platform: &Platform, types: &Types, namespace: &str) -> Value {
    let locations: Vec<&str> = region::names().into_iter().map(region::display).collect();
    let kinds: Vec<Value> = types
        .all()
        .iter()
        .filter(|decl| decl.kind.provider == namespace)
        .map(|decl| json!({"resourceType": decl.kind.path.join("/"), "locations": locations, "apiVersions": decl.versions(), "capabilities": "None"}))
        .collect();
    json!({
        "id": format!("/subscriptions/{}/providers/{namespace}", platform.tenancy.subscription_id),
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered",
        "resourceTypes": kinds
    })
}

/// Every action that can be asked for: of the types, and the data actions of the planes beside Resource Manager.
fn operations(types: &Types, namespace: &str) -> Vec<Value> {
    let control = types.all().iter().filter(|decl| decl.kind.provider == namespace).flat_map(|decl| decl.actions());
    let mut all: Vec<(bool, String)> = vec![(false, format!("{namespace}/register/action"))];
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
