//! The command that would have let a refused actor pass.

use super::{AccessSnapshot, Plane, builtin};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::resource_id::ResourceId;

/// An `az role assignment create` line with a built-in role that grants `action`.
///
/// A service's identity gets the narrowest role, made for services. A person or application that manages resources
/// gets the general role that people expect: Reader, Contributor, and for roles those that may assign them.
pub(super) fn command(
    snapshot: &AccessSnapshot,
    principal: &Principal,
    plane: Plane,
    action: &str,
    scope: &ResourceId,
) -> String {
    let service = principal.kind == PrincipalKind::ManagedIdentity;
    let order = if service || plane == Plane::Data { builtin::BY_BREADTH } else { builtin::FOR_PEOPLE };
    let role = order
        .iter()
        .filter_map(|guid| snapshot.definition(guid))
        .find(|definition| definition.grants(plane, action))
        .map_or("Owner", |definition| definition.name.as_str());
    format!(
        "az role assignment create --assignee-object-id \"{}\" --assignee-principal-type ServicePrincipal --role \"{role}\" --scope \"{scope}\"",
        principal.id
    )
}
