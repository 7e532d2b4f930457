//! What is held in memory to answer authorization: role definitions and assignments.

use super::{Plane, builtin};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::role::Permission;
use std::collections::{BTreeMap, HashMap};

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

/// A member of a group, as authorization needs it.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Object id of the group, lower case.
    pub group: String,
    /// Object id of the member, lower case; it may be a group.
    pub member: String,
}

/// The GUIDs of the roles that somebody has, by the lower-cased scope at which they are assigned.
type Held = BTreeMap<String, Vec<String>>;

/// An immutable picture of all roles, replaced as a whole. What a question costs does not grow with the assignments that there
/// are: it looks at the levels above its scope, for the principal and for each of its groups.
#[derive(Debug, Default)]
pub struct AccessSnapshot {
    definitions: HashMap<String, RoleDefinition>,
    held: HashMap<String, Held>,
    groups: HashMap<String, Vec<String>>,
}

impl AccessSnapshot {
    /// A snapshot of the built-in roles, the custom definitions, all assignments and the members of groups.
    pub fn new(custom: Vec<RoleDefinition>, assignments: Vec<Assignment>, memberships: Vec<Membership>) -> Self {
        let mut definitions: HashMap<String, RoleDefinition> = HashMap::new();
        for definition in builtin::definitions().iter().cloned().chain(custom) {
            definitions.insert(definition.guid.clone(), definition);
        }
        let mut held: HashMap<String, Held> = HashMap::new();
        for Assignment { scope, principal, role } in assignments {
            held.entry(principal).or_default().entry(scope).or_default().push(role);
        }
        let mut groups: HashMap<String, Vec<String>> = HashMap::new();
        for Membership { group, member } in memberships {
            groups.entry(member).or_default().push(group);
        }
        Self { definitions, held, groups }
    }

    /// Whether an assignment at or above `scope`, of the principal or of a group that it is in, grants `action`.
    pub fn allows(&self, principal: &str, plane: Plane, action: &str, scope: &ResourceId) -> bool {
        self.grant(principal, plane, action, scope).is_some()
    }

    /// Whether an assignment at, above or below `scope` grants the control-plane `action` to the principal.
    pub fn allows_within(&self, principal: &str, action: &str, scope: &ResourceId) -> bool {
        let (key, principal) = (scope.key(), principal.to_ascii_lowercase());
        let held = self.with_groups(&principal).into_iter().filter_map(|holder| self.held.get(holder)).flatten();
        held.filter(|(at, _)| covers(at, &key) || covers(&key, at))
            .flat_map(|(at, roles)| roles.iter().map(move |role| (at, role)))
            .filter_map(|(at, role)| self.definitions.get(role).filter(|definition| definition.assignable_at(at)))
            .any(|definition| definition.grants(Plane::Control, action))
    }

    /// The assignment at or above `scope` that grants `action`, where there is one.
    pub fn grant(&self, principal: &str, plane: Plane, action: &str, scope: &ResourceId) -> Option<Assignment> {
        let (key, principal) = (scope.key(), principal.to_ascii_lowercase());
        let found = self.effective(&principal, &key).find(|(_, _, definition)| definition.grants(plane, action));
        found.map(|(holder, scope, definition)| Assignment {
            scope: scope.to_owned(),
            principal: holder.to_owned(),
            role: definition.guid.clone(),
        })
    }

    /// Who holds what at which scope, of everything that counts for the principal at the scope with this key. A role that may not be
    /// assigned where it is counts for nothing.
    fn effective<'a>(
        &'a self,
        principal: &'a str,
        key: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a RoleDefinition)> {
        self.with_groups(principal)
            .into_iter()
            .filter_map(|holder| Some((holder, self.held.get(holder)?)))
            .flat_map(move |(holder, held)| {
                let roles = levels(key).filter_map(|level| held.get_key_value(level));
                roles.flat_map(move |(scope, roles)| roles.iter().map(move |role| (holder, scope.as_str(), role)))
            })
            .filter_map(|(holder, scope, role)| {
                self.definitions
                    .get(role)
                    .filter(|definition| definition.assignable_at(scope))
                    .map(|definition| (holder, scope, definition))
            })
    }

    /// The principal, and every group that it is in, be it through another one.
    fn with_groups<'a>(&'a self, principal: &'a str) -> Vec<&'a str> {
        let mut all = vec![principal];
        let mut next = 0;
        while let Some(member) = all.get(next) {
            for group in self.groups.get(*member).into_iter().flatten() {
                if !all.contains(&group.as_str()) {
                    all.push(group);
                }
            }
            next += 1;
        }
        all
    }

    /// Object ids of the groups that a principal is in, also through others.
    pub fn groups_of(&self, principal: &str) -> Vec<String> {
        let principal = principal.to_ascii_lowercase();
        self.with_groups(&principal).into_iter().skip(1).map(str::to_owned).collect()
    }

    /// Whether the principal itself has any assignment.
    pub fn knows(&self, principal: &str) -> bool {
        self.held.contains_key(&principal.to_ascii_lowercase())
    }

    /// A definition by its GUID.
    pub fn definition(&self, guid: &str) -> Option<&RoleDefinition> {
        self.definitions.get(guid)
    }

    /// Whether the principal, or a group that it is in, has any assignment at, above or below `scope`.
    pub fn reaches_into(&self, principal: &str, scope: &ResourceId) -> bool {
        let (key, principal) = (scope.key(), principal.to_ascii_lowercase());
        let below = if key == "/" { key.clone() } else { format!("{key}/") };
        self.with_groups(&principal).into_iter().filter_map(|holder| self.held.get(holder)).any(|held| {
            levels(&key).any(|level| held.contains_key(level))
                || held.range(below.clone()..).next().is_some_and(|(scope, _)| scope.starts_with(&below))
        })
    }

    /// The lower-cased scopes at which the principal, or a group that it is in, has an assignment.
    pub(crate) fn scopes_of(&self, principal: &str) -> Vec<&str> {
        let principal = principal.to_ascii_lowercase();
        let held = self.with_groups(&principal).into_iter().filter_map(|holder| self.held.get(holder)).flatten();
        held.map(|(scope, _)| scope.as_str()).collect()
    }

    /// Permission entries that the principal has at `scope`, for the `permissions` listing.
    pub fn permissions_at(&self, principal: &str, scope: &ResourceId) -> Vec<Permission> {
        let (key, principal) = (scope.key(), principal.to_ascii_lowercase());
        self.effective(&principal, &key).flat_map(|(_, _, definition)| definition.permissions.clone()).collect()
    }
}

/// Whether the scope with key `root` is, or lies above, the one with key `key`; whole segments count.
pub(crate) fn covers(root: &str, key: &str) -> bool {
    root == "/" || key == root || (key.starts_with(root) && key.as_bytes().get(root.len()) == Some(&b'/'))
}

/// The keys of everything that is, or lies above, the scope with this key: the tenant first.
fn levels(key: &str) -> impl Iterator<Item = &str> {
    let above = key.match_indices('/').map(|(at, _)| &key[..at]).filter(|level| !level.is_empty());
    std::iter::once("/").chain(above).chain((key != "/").then_some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(scope: &str, role: &str) -> AccessSnapshot {
        AccessSnapshot::new(
            Vec::new(),
            vec![Assignment { scope: scope.into(), principal: "p".into(), role: role.into() }],
            Vec::new(),
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
    fn a_group_lends_its_roles_to_members_of_its_members_whatever_the_circles() {
        let one = |group: &str, member: &str| Membership { group: group.into(), member: member.into() };
        let roles = AccessSnapshot::new(
            Vec::new(),
            vec![Assignment {
                scope: "/subscriptions/s".into(),
                principal: "outer".into(),
                role: builtin::READER.into(),
            }],
            vec![one("inner", "p"), one("outer", "inner"), one("inner", "outer"), one("other", "q")],
        );
        let (scope, read) = (ResourceId::group("s", "g"), "Microsoft.Devices/IotHubs/read");
        assert!(roles.allows("P", Plane::Control, read, &scope) && roles.reaches_into("p", &scope));
        assert!(!roles.allows("q", Plane::Control, read, &scope) && !roles.reaches_into("q", &scope));
        assert_eq!(roles.groups_of("P"), ["inner", "outer"]);
        assert!(!roles.knows("p"), "it holds nothing itself");
        assert_eq!(roles.permissions_at("p", &scope).len(), 1);
        let grant = roles.grant("p", Plane::Control, read, &scope).unwrap();
        assert_eq!((grant.principal.as_str(), grant.scope.as_str()), ("outer", "/subscriptions/s"));
    }

    #[test]
    fn what_lies_above_a_scope() {
        let all: Vec<&str> = levels("/subscriptions/s/resourcegroups/g").collect();
        assert_eq!(
            all,
            [
                "/",
                "/subscriptions",
                "/subscriptions/s",
                "/subscriptions/s/resourcegroups",
                "/subscriptions/s/resourcegroups/g"
            ]
        );
        assert_eq!(levels("/").collect::<Vec<_>>(), ["/"]);
        let below = snapshot("/subscriptions/s/resourcegroups/g/providers/a.b/c/d", builtin::READER);
        for (id, want) in [("/", true), ("/subscriptions/s", true), ("/subscriptions/s/resourceGroups/gg", false)] {
            assert_eq!(below.reaches_into("p", &ResourceId::parse(id).unwrap()), want, "{id}");
        }
    }

    #[test]
    fn a_control_wildcard_grants_no_data_action() {
        let roles = snapshot("/", builtin::OWNER);
        let scope = ResourceId::subscription("s");
        assert!(roles.allows("p", Plane::Control, "Anything/at/all", &scope));
        assert!(!roles.allows("p", Plane::Data, "Microsoft.Devices/IotHubs/devices/read", &scope));
    }
}
