//! What is held in memory to answer authorization: role definitions and assignments.

use super::{Plane, builtin};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::role::Permission;
use std::collections::HashMap;

/// A role definition as authorization needs it.
#[derive(Debug, Clone)]
pub struct RoleDefinition {
    /// GUID of the definition, lower case.
    pub guid: String,
    /// Role name as people write it.
    pub name: String,
    /// Permission entries; a grant by any one of them suffices.
    pub permissions: Vec<Permission>,
    /// Lower-cased scopes at and below which it may be assigned; `/` is everywhere.
    pub assignable: Vec<String>,
}

impl RoleDefinition {
    /// Whether it may be assigned at the scope with this key.
    pub fn assignable_at(&self, scope: &str) -> bool {
        self.assignable.iter().any(|root| covers(root, scope))
    }

    /// Whether any entry grants the action.
    pub fn grants(&self, plane: Plane, action: &str) -> bool {
        self.permissions.iter().any(|entry| match plane {
            Plane::Control => entry.grants(action),
            Plane::Data => entry.grants_data(action),
        })
    }
}

/// A role assignment as authorization needs it.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Lower-cased scope id; `/` is the tenant.
    pub scope: String,
    /// Object id of the principal, lower case.
    pub principal: String,
    /// GUID of the role definition, lower case.
    pub role: String,
}

/// An immutable picture of all roles, replaced as a whole.
#[derive(Debug, Default)]
pub struct AccessSnapshot {
    definitions: HashMap<String, RoleDefinition>,
    by_principal: HashMap<String, Vec<Assignment>>,
}

impl AccessSnapshot {
    /// A snapshot of the built-in roles, the custom definitions and all assignments.
    pub fn new(custom: Vec<RoleDefinition>, assignments: Vec<Assignment>) -> Self {
        let mut definitions: HashMap<String, RoleDefinition> = HashMap::new();
        for definition in builtin::definitions().into_iter().chain(custom) {
            definitions.insert(definition.guid.clone(), definition);
        }
        let mut by_principal: HashMap<String, Vec<Assignment>> = HashMap::new();
        for assignment in assignments {
            by_principal.entry(assignment.principal.clone()).or_default().push(assignment);
        }
        Self { definitions, by_principal }
    }

    /// Whether an assignment at or above `scope` grants `action` to the principal.
    pub fn allows(&self, principal: &str, plane: Plane, action: &str, scope: &ResourceId) -> bool {
        let key = scope.key();
        self.by_principal
            .get(&principal.to_ascii_lowercase())
            .into_iter()
            .flatten()
            .filter(|assignment| covers(&assignment.scope, &key))
            .filter_map(|assignment| {
                self.definitions.get(&assignment.role).filter(|role| role.assignable_at(&assignment.scope))
            })
            .any(|definition| definition.grants(plane, action))
    }

    /// Whether the principal has any assignment.
    pub fn knows(&self, principal: &str) -> bool {
        self.by_principal.contains_key(&principal.to_ascii_lowercase())
    }

    /// A definition by its GUID.
    pub fn definition(&self, guid: &str) -> Option<&RoleDefinition> {
        self.definitions.get(guid)
    }

    /// Whether the principal has any assignment at, above or below `scope`.
    pub fn reaches_into(&self, principal: &str, scope: &ResourceId) -> bool {
        let key = scope.key();
        let below = format!("{key}/");
        self.by_principal.get(&principal.to_ascii_lowercase()).into_iter().flatten().any(|a| {
            a.scope == "/" || a.scope == key || a.scope.starts_with(&below) || key.starts_with(&format!("{}/", a.scope))
        })
    }

    /// The lower-cased scopes at which the principal has an assignment.
    pub(crate) fn scopes_of(&self, principal: &str) -> impl Iterator<Item = &str> {
        let assigned = self.by_principal.get(&principal.to_ascii_lowercase()).into_iter().flatten();
        assigned.map(|assignment| assignment.scope.as_str())
    }

    /// Permission entries that the principal has at `scope`, for the `permissions` listing.
    pub fn permissions_at(&self, principal: &str, scope: &ResourceId) -> Vec<Permission> {
        let key = scope.key();
        self.by_principal
            .get(&principal.to_ascii_lowercase())
            .into_iter()
            .flatten()
            .filter(|a| covers(&a.scope, &key))
            .filter_map(|a| self.definitions.get(&a.role).filter(|role| role.assignable_at(&a.scope)))
            .flat_map(|definition| definition.permissions.clone())
            .collect()
    }
}

/// Whether the scope with key `root` is, or lies above, the one with key `key`; whole segments count.
fn covers(root: &str, key: &str) -> bool {
    root == "/" || key == root || (key.starts_with(root) && key.as_bytes().get(root.len()) == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(scope: &str, role: &str) -> AccessSnapshot {
        AccessSnapshot::new(
            Vec::new(),
            vec![Assignment { scope: scope.into(), principal: "p".into(), role: role.into() }],
        )
    }

    #[test]
    fn an_assignment_reaches_down_by_whole_segments() {
        let roles = snapshot("/subscriptions/s/resourcegroups/g", builtin::READER);
        let at = |id: &str| ResourceId::parse(id).unwrap();
        let read = "Microsoft.Devices/IotHubs/read";
        assert!(roles.allows("P", Plane::Control, read, &at("/subscriptions/S/resourceGroups/G/providers/A.B/c/d")));
        assert!(!roles.allows("p", Plane::Control, read, &at("/subscriptions/s/resourceGroups/gg")));
        assert!(!roles.allows("p", Plane::Control, read, &at("/subscriptions/s")));
        assert!(!roles.allows(
            "p",
            Plane::Control,
            "Microsoft.Devices/IotHubs/write",
            &at("/subscriptions/s/resourceGroups/g")
        ));
        assert!(!roles.allows("q", Plane::Control, read, &at("/subscriptions/s/resourceGroups/g")));
    }

    #[test]
    fn a_control_wildcard_grants_no_data_action() {
        let roles = snapshot("/", builtin::OWNER);
        let scope = ResourceId::subscription("s");
        assert!(roles.allows("p", Plane::Control, "Anything/at/all", &scope));
        assert!(!roles.allows("p", Plane::Data, "Microsoft.Devices/IotHubs/devices/read", &scope));
    }
}
