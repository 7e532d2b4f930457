//! Reading the roles: assignments point at uids; the snapshot that answers knows them by the ids of now.

use super::{every, ids_of, tag};
use crate::authz::{AccessSnapshot, Assignment, Membership, RoleDefinition};
use crate::directory::{Relation, membership_of};
use crate::platform::Platform;
use crate::tables::MEMBERSHIPS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::role::Permission;
use ferrohub_store::Pages;
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use uuid::Uuid;

/// Reads the roles.
///
/// # Errors
/// When the store cannot be read.
pub async fn load_access(platform: &Platform) -> Result<AccessSnapshot> {
    let mut definitions = Vec::new();
    for stored in every(platform, tag::ROLE_DEFINITION).await? {
        match role_definition(&stored.resource) {
            Ok(definition) => definitions.push(definition),
            // It grants nothing; all others do.
            Err(error) => {
                tracing::error!(id = %stored.id, context = error.context, "a role cannot be read; it is left out")
            }
        }
    }
    let mut assignments = Vec::new();
    let mut scopes: HashMap<Uuid, Vec<String>> = HashMap::new();
    for stored in every(platform, tag::ROLE_ASSIGNMENT).await? {
        let text = |name: &str| stored.resource.text(&[name]).unwrap_or_default().to_ascii_lowercase();
        // A resource that two generations show is one scope under several ids.
        let known = match scopes.entry(stored.parent) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let ids = ids_of(platform, stored.parent).await?;
                place.insert(ids.iter().map(ResourceId::key).collect())
            }
        };
        for scope in known.iter() {
            assignments.push(Assignment {
                scope: scope.clone(),
                principal: text("principalId"),
                role: text("roleDefinitionId").rsplit('/').next().unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(AccessSnapshot::new(definitions, assignments, memberships(platform).await?))
}

/// Who is a member of which group.
async fn memberships(platform: &Platform) -> Result<Vec<Membership>> {
    let mut found = Vec::new();
    let mut pages = Pages::scan(platform.store.as_ref(), &MEMBERSHIPS, "", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        found.extend(
            rows.iter()
                .filter_map(|row| membership_of(row, Relation::Member))
                .map(|(group, member)| Membership { group: group.to_owned(), member: member.to_owned() }),
        );
    }
    Ok(found)
}

fn role_definition(resource: &Resource) -> Result<RoleDefinition> {
    let permissions: Vec<Permission> = match resource.properties.get("permissions") {
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|e| Error::internal(format!("role {}: {e}", resource.name)))?,
        None => Vec::new(),
    };
    let scopes = resource.properties.get("assignableScopes").and_then(Value::as_array);
    Ok(RoleDefinition {
        guid: resource.name.to_ascii_lowercase(),
        name: resource.text(&["roleName"]).unwrap_or_default().into(),
        permissions,
        assignable: scopes
            .into_iter()
            .flatten()
            .filter_map(|scope| Some(ResourceId::parse(scope.as_str()?).ok()?.key()))
            .collect(),
    })
}
