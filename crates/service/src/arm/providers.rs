//! Resource providers: what there is, and the registration that clients ask for. All are always registered.

use super::region;
use super::request::{ArmRequest, ArmResponse};
use super::types::Types;
use crate::platform::Platform;
use ferrohub_model::error::{Error, Result};
use serde_json::{Value, json};

/// Provider namespaces in use.
fn namespaces(types: &Types) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = types.all().iter().map(|decl| decl.kind.provider).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Answers `providers`, `providers/{ns}`, `providers/{ns}/register` and `/unregister` below a subscription or the tenant.
pub(super) fn answer(
    platform: &Platform,
    types: &Types,
    request: &ArmRequest,
    tail: &[String],
) -> Result<Option<ArmResponse>> {
    match (request.method.as_str(), tail) {
        ("GET", []) => {
            let value: Vec<Value> = namespaces(types).into_iter().map(|ns| provider(platform, types, ns)).collect();
            Ok(Some(ArmResponse::new(200, Some(json!({ "value": value })))))
        }
        ("GET", [namespace]) => {
            Ok(Some(ArmResponse::new(200, Some(provider(platform, types, known(types, namespace)?)))))
        }
        ("GET", [namespace, word]) if word.eq_ignore_ascii_case("operations") => {
            Ok(Some(ArmResponse::new(200, Some(operations(types, known(types, namespace)?)))))
        }
        ("POST", [namespace, word]) if word.eq_ignore_ascii_case("register") => {
            Ok(Some(ArmResponse::new(200, Some(provider(platform, types, known(types, namespace)?)))))
        }
        ("POST", [namespace, word]) if word.eq_ignore_ascii_case("unregister") => Err(Error::conflict(format!(
            "The resource provider '{}' is part of Ferrohub and always registered.",
            known(types, namespace)?
        ))),
        _ => Ok(None),
    }
}

fn known(types: &Types, namespace: &str) -> Result<&'static str> {
    namespaces(types).into_iter().find(|ns| ns.eq_ignore_ascii_case(namespace)).ok_or_else(|| unknown(types, namespace))
}

/// Azure's providers that are planned and not built.
const PLANNED: &[(&str, &str)] = &[
    ("Microsoft.ResourceGraph", "Resource Graph queries"),
    ("Microsoft.Insights", "queries of the activity log"),
    ("Microsoft.PolicyInsights", "Azure Policy"),
];

/// The error for a provider namespace that is not served.
pub(super) fn unknown(types: &Types, namespace: &str) -> Error {
    let have = namespaces(types).join(", ");
    if let Some((name, what)) = PLANNED.iter().find(|(name, _)| name.eq_ignore_ascii_case(namespace)) {
        return Error::not_implemented(format!("Ferrohub does not have {what} ({name}) yet. It has: {have}."));
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

fn operations(types: &Types, namespace: &str) -> Value {
    let mut value = vec![json!({"name": format!("{namespace}/register/action"), "isDataAction": false})];
    for decl in types.all().iter().filter(|decl| decl.kind.provider == namespace) {
        for verb in ["read", "write", "delete"] {
            let display = json!({"provider": namespace, "resource": decl.kind.path.join("/"), "operation": verb});
            value.push(json!({"name": decl.action(verb), "isDataAction": false, "display": display}));
        }
        for action in decl.actions {
            let display = json!({"provider": namespace, "resource": decl.kind.path.join("/"), "operation": action});
            value.push(
                json!({"name": decl.action(&format!("{action}/action")), "isDataAction": false, "display": display}),
            );
        }
    }
    json!({ "value": value })
}
