//! The command that would have let a refused actor pass.

use super::{AccessSnapshot, Actor, Plane, builtin};
use ferrohub_model::resource_id::ResourceId;

/// An `az role assignment create` line with the narrowest built-in role that grants `action`.
pub(super) fn command(
    snapshot: &AccessSnapshot,
    actor: &Actor,
    plane: Plane,
    action: &str,
    scope: &ResourceId,
) -> String {
    let role = builtin::BY_BREADTH
        .iter()
        .filter_map(|guid| snapshot.definition(guid))
        .find(|definition| definition.grants(plane, action))
        .map_or("Owner", |definition| definition.name.as_str());
    format!(
        "az role assignment create --assignee-object-id \"{}\" --assignee-principal-type ServicePrincipal --role \"{role}\" --scope \"{scope}\"",
        actor.id()
    )
}
