//! The command that would have let a refused actor pass.

use super::{AccessSnapshot, Plane, builtin};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::resource_id::ResourceId;

/// Providers whose rights are the general roles' business.
const GENERAL: &[&str] = &["Microsoft.Resources/", "Microsoft.Authorization/"];

/// An `az role assignment create` line with the narrowest built-in role that grants `action`.
///
/// For people, reading is Reader's, which changes nothing; and groups and roles are the general roles' business, though
/// some narrow role mentions them by the way.
pub(super) fn command(
    snapshot: &AccessSnapshot,
    principal: &Principal,
    plane: Plane,
    action: &str,
    scope: &ResourceId,
) -> String {
    let service = principal.kind == PrincipalKind::ManagedIdentity;
    let general = action.ends_with("/read") || GENERAL.iter().any(|provider| action.starts_with(provider));
    let people = !service && plane == Plane::Control && general;
    let order = if people { builtin::FOR_PEOPLE } else { builtin::BY_BREADTH };
    let role = order
        .iter()
        .filter_map(|guid| snapshot.definition(guid))
        .find(|definition| definition.grants(plane, action))
        .map_or("Owner", |definition| definition.name.as_str());
    format!(
        "az role assignment create --assignee-object-id \"{}\" --assignee-principal-type {} --role \"{role}\" --scope \"{scope}\"",
        principal.id,
        principal.kind.role_word()
    )
}
