//! What Microsoft Graph has and Ferrohub has not, so that a client reads "not built" and the name of what it meant.

use super::GraphRequest;
use crate::route::{RouteInfo, Wants};
use ferrohub_model::error::Error;

/// What Graph has and Ferrohub has not: the start of a path, and what it is, completing "Ferrohub does not have …".
static NOT_BUILT: &[(&str, &str)] = &[
    ("me", "this use of the signed-in person"),
    ("users/{id}/manager", "managers of people"),
    ("users/{id}/directReports", "managers of people"),
    ("users/{id}/authentication", "further ways to sign in"),
    ("users/{id}/licenseDetails", "licences"),
    ("users/{id}/appRoleAssignments", "app roles"),
    ("users/{id}/oauth2PermissionGrants", "permission grants"),
    ("users/{id}", "this use of users"),
    ("users", "this use of users"),
    ("groups/{id}/appRoleAssignments", "app roles"),
    ("groups/{id}", "this use of groups"),
    ("groups", "this use of groups"),
    ("devices", "devices of the directory; the devices of hubs are in Microsoft.DeviceRegistry"),
    ("organization", "the organization"),
    ("domains", "domains"),
    ("directory", "the deleted objects and settings of the directory"),
    ("directoryRoles", "roles of the directory; what may change it are Azure roles at the subscription"),
    ("directoryRoleTemplates", "roles of the directory; what may change it are Azure roles at the subscription"),
    ("roleManagement", "roles of the directory; what may change it are Azure roles at the subscription"),
    ("applications/{id}/federatedIdentityCredentials", "federated identity credentials"),
    ("applications/{id}/addKey", "keys with a proof of possession; PATCH keyCredentials"),
    ("applications/{id}/removeKey", "keys with a proof of possession; PATCH keyCredentials"),
    ("applications/{id}/extensionProperties", "extension properties"),
    ("applications/{id}/appManagementPolicies", "policies of applications"),
    ("applications/{id}", "this use of applications"),
    ("applications", "this use of applications"),
    ("servicePrincipals/{id}/addKey", "keys with a proof of possession; PATCH keyCredentials"),
    ("servicePrincipals/{id}/removeKey", "keys with a proof of possession; PATCH keyCredentials"),
    ("servicePrincipals/{id}/appRoleAssignments", "app roles"),
    ("servicePrincipals/{id}/appRoleAssignedTo", "app roles"),
    ("servicePrincipals/{id}/oauth2PermissionGrants", "permission grants"),
    ("servicePrincipals/{id}", "this use of service principals"),
    ("servicePrincipals", "this use of service principals"),
    ("directoryObjects", "this use of directory objects"),
    ("oauth2PermissionGrants", "permission grants"),
    ("policies", "policies of the directory"),
    ("identity", "conditional access"),
    ("auditLogs", "these audit logs; there are auditLogs/signIns, and 'ferrohub audit' for the rest"),
    ("subscriptions", "change notifications"),
    ("subscribedSkus", "licences"),
    ("$batch", "batches of requests"),
    ("$metadata", "the metadata document"),
];

/// The routes of what is not built, below `/v1.0`.
pub(super) fn routes() -> Vec<RouteInfo> {
    let info = |path: &str| RouteInfo {
        plane: "graph",
        method: "*".into(),
        path: format!("/{path}/**"),
        wants: Wants::Principal,
    };
    NOT_BUILT.iter().map(|(path, _)| info(path)).collect()
}

/// The error for what no row answers: not built, or nothing that Graph has.
pub(super) fn refusal(request: &GraphRequest) -> Error {
    let fits = |pattern: &str| {
        let parts = pattern.split('/');
        parts.clone().count() <= request.path.len()
            && parts
                .zip(&request.path)
                .all(|(part, segment)| part.starts_with('{') || part.eq_ignore_ascii_case(segment))
    };
    let shown: String = format!("{} /{}", request.method, request.path.join("/")).chars().take(200).collect();
    match NOT_BUILT.iter().find(|(pattern, _)| fits(pattern)) {
        Some((_, what)) => {
            let (what, instead) = what.split_at(what.find(';').unwrap_or(what.len()));
            Error::not_implemented(format!("Ferrohub does not have {what} of Graph ('{shown}') yet{instead}."))
        }
        None => Error::not_found(format!(
            "Graph has nothing at '{shown}'. Ferrohub serves users, groups, service principals, applications and directory objects."
        ))
        .with_code("Request_ResourceNotFound"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::Actor;

    fn of(path: &str) -> Error {
        refusal(&GraphRequest {
            method: "PATCH".into(),
            path: path.split('/').map(str::to_owned).collect(),
            query: Vec::new(),
            body: None,
            actor: Actor::worker_for("a test"),
            base_url: "https://localhost".into(),
            address: None,
        })
    }

    #[test]
    fn what_is_meant_is_named() {
        for (path, words) in [
            ("groups/x/members", "this use of groups"),
            ("Applications/x", "this use of applications"),
            ("applications/x/appManagementPolicies", "policies of applications"),
            ("me/messages", "signed-in"),
            ("servicePrincipals/x/appRoleAssignments", "app roles"),
        ] {
            let error = of(path);
            assert_eq!(error.http_status(), 501, "{path}");
            assert!(error.message.contains(words), "{path}: {}", error.message);
        }
        assert_eq!(of("nonsense").http_status(), 404);
    }
}
