//! The actions that role editors choose from: those of the types, of what is no resource type, and of the data planes.

use super::activity::listing as log;
use super::types::Types;
use super::{access, operations, providers, subscription, tag_names, tag_scope, usages};
use crate::audit;
use crate::authz::Plane;
use crate::platform::Platform;
use crate::{hub, provisioning, registry};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Actions of what is no resource type and no provider of one.
const ACTIONS: &[&str] = &[
    subscription::READ,
    subscription::MAKE,
    subscription::FORGET,
    subscription::RENAME,
    subscription::CANCEL,
    operations::READ_RESULTS,
    tag_scope::READ,
    tag_scope::WRITE,
    tag_scope::DELETE,
    tag_names::READ,
    tag_names::WRITE,
    tag_names::DELETE,
    usages::OF_REGISTRY.1,
    usages::OF_DEVICES.1,
    access::READ_DENIALS,
    access::WRITE_DENIALS,
    log::READ,
    audit::READ,
    access::READ_IDENTITIES,
];

/// Every action that some operation asks for, from the declarations of the types and the tables of the planes.
pub fn declared_actions(types: &Types) -> BTreeSet<(&'static str, String)> {
    let (control, data) = ("control", "data");
    let mut all: BTreeSet<(&'static str, String)> = BTreeSet::new();
    for decl in types.all() {
        all.extend(decl.actions().into_iter().chain(decl.name_check_action()).map(|action| (control, action)));
    }
    all.extend(providers::registering(types).map(|action| (control, action)));
    all.extend(ACTIONS.iter().map(|action| (control, (*action).to_owned())));
    all.extend([registry::DEVICES_WRITE, registry::POLICIES_READ].map(|action| (control, action.to_owned())));
    all.insert((data, registry::ISSUE_CERTIFICATE.to_owned()));
    for (plane, action) in hub::NEEDS.iter().chain(provisioning::NEEDS).flat_map(|need| need.actions) {
        all.insert((if *plane == Plane::Control { control } else { data }, (*action).to_owned()));
    }
    all
}

/// The operations of a provider with their resource types, as `az provider operation show` prints them.
pub(super) fn provider_operations(platform: &Platform, namespace: &str) -> Option<Value> {
    provider_documents(platform)
        .into_iter()
        .find(|document| document["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(namespace)))
}

/// The same of every provider.
pub(super) fn provider_documents(platform: &Platform) -> Vec<Value> {
    let mut providers: BTreeMap<String, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
    for (plane, action) in declared_actions(&platform.types) {
        let Some((provider, rest)) = action.split_once('/') else { continue };
        let parts: Vec<&str> = rest.split('/').collect();
        let verb = if parts.last() == Some(&"action") { 2 } else { 1 };
        let resource = parts[..parts.len().saturating_sub(verb)].join("/");
        let operation = parts[parts.len().saturating_sub(verb)..].join("/");
        let row = json!({
            "name": action,
            "displayName": format!("{operation} of {resource}"),
            "description": format!("{operation} of {resource}"),
            "origin": "user,system",
            "properties": null,
            "isDataAction": plane == "data"
        });
        providers.entry(provider.to_owned()).or_default().entry(resource).or_default().push(row);
    }
    let document = |(provider, kinds): (String, BTreeMap<String, Vec<Value>>)| {
        let (own, kinds): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|(kind, _)| kind.is_empty());
        let kinds: Vec<Value> = kinds
            .into_iter()
            .map(|(kind, operations)| json!({"name": kind, "displayName": kind, "operations": operations}))
            .collect();
        json!({
            "id": format!("/providers/Microsoft.Authorization/providerOperations/{provider}"),
            "name": provider,
            "type": "Microsoft.Authorization/providerOperations",
            "displayName": provider,
            "resourceTypes": kinds,
            "operations": own.into_iter().flat_map(|(_, operations)| operations).collect::<Vec<_>>()
        })
    };
    providers.into_iter().map(document).collect()
}
