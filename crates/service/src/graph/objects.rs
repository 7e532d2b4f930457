//! Applications and service principals as Graph shows them, with every member that clients look for.

use super::credentials::{Holder, certificate_view, password_view};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::time::rfc3339;
use serde_json::{Map, Value, json};

pub(super) fn unknown(id: &str) -> Error {
    let shown: String = id.chars().take(80).collect();
    Error::not_found(format!(
        "Resource '{shown}' does not exist or one of its queried reference-property objects are not present."
    ))
    .with_code("Request_ResourceNotFound")
}

/// A service principal; `resource` is the id of the resource whose identity it is.
pub(super) fn principal_view(principal: &Principal, resource: Option<String>, tenant: &str) -> Value {
    let managed = principal.kind == PrincipalKind::ManagedIdentity;
    let mut view = json!({
        "@odata.type": "#microsoft.graph.servicePrincipal",
        "id": principal.id,
        "deletedDateTime": null,
        "accountEnabled": !principal.disabled,
        "addIns": [],
        "alternativeNames": resource.into_iter().collect::<Vec<_>>(),
        "appDescription": null,
        "appDisplayName": principal.display_name,
        "appId": principal.app_id,
        "appOwnerOrganizationId": tenant,
        "appRoleAssignmentRequired": false,
        "appRoles": [],
        "applicationTemplateId": null,
        "createdDateTime": time(principal.made),
        "description": null,
        "disabledByMicrosoftStatus": null,
        "displayName": principal.display_name,
        "homepage": null,
        "info": info(),
        "loginUrl": null,
        "logoutUrl": null,
        "notes": null,
        "notificationEmailAddresses": [],
        "oauth2PermissionScopes": [],
        "preferredSingleSignOnMode": null,
        "replyUrls": [],
        "resourceSpecificApplicationPermissions": [],
        "servicePrincipalNames": [principal.app_id],
        "servicePrincipalType": if managed { "ManagedIdentity" } else { "Application" },
        "signInAudience": if managed { Value::Null } else { AUDIENCE.into() },
        "tags": [],
        "tokenEncryptionKeyId": null
    });
    add_credentials(&mut view, principal, Holder::Principal);
    view
}

/// An application.
pub(super) fn application_view(principal: &Principal) -> Value {
    let mut view = json!({
        "@odata.type": "#microsoft.graph.application",
        "id": principal.application_object_id,
        "deletedDateTime": null,
        "addIns": [],
        "api": {
            "acceptMappedClaims": null, "knownClientApplications": [], "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [], "requestedAccessTokenVersion": null
        },
        "appId": principal.app_id,
        "appRoles": [],
        "applicationTemplateId": null,
        "createdDateTime": time(principal.made),
        "defaultRedirectUri": null,
        "description": null,
        "disabledByMicrosoftStatus": null,
        "displayName": principal.display_name,
        "groupMembershipClaims": null,
        "identifierUris": [],
        "info": info(),
        "isDeviceOnlyAuthSupported": null,
        "isFallbackPublicClient": null,
        "notes": null,
        "optionalClaims": null,
        "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
        "publicClient": {"redirectUris": []},
        "publisherDomain": null,
        "requiredResourceAccess": [],
        "samlMetadataUrl": null,
        "serviceManagementReference": null,
        "signInAudience": AUDIENCE,
        "spa": {"redirectUris": []},
        "tags": [],
        "tokenEncryptionKeyId": null,
        "web": {
            "homePageUrl": null, "logoutUrl": null, "redirectUris": [],
            "implicitGrantSettings": {"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false}
        }
    });
    add_credentials(&mut view, principal, Holder::Application);
    view
}

/// A time of making, where it is known.
pub(super) fn time(made: i64) -> Value {
    let at = jiff::Timestamp::from_second(made).ok().filter(|_| made > 0);
    at.map_or(Value::Null, |at| rfc3339(at).into())
}

/// Accounts of this tenant only.
const AUDIENCE: &str = "AzureADMyOrg";

fn info() -> Value {
    json!({"logoUrl": null, "marketingUrl": null, "privacyStatementUrl": null, "supportUrl": null, "termsOfServiceUrl": null})
}

fn add_credentials(view: &mut Value, principal: &Principal, holder: Holder) {
    let secrets = principal.secrets.iter().filter(|secret| holder.holds(&secret.label));
    let certificates = principal.certificates.iter().filter(|certificate| holder.holds(&certificate.label));
    view["passwordCredentials"] = secrets.map(password_view).collect();
    view["keyCredentials"] = certificates.map(certificate_view).collect();
}

/// Refuses a member of `sent` that would have to be acted upon and is not; what says what `view` shows already, or
/// nothing, changes nothing.
pub(super) fn refuse_unbuilt(sent: &Map<String, Value>, view: &Value, acted_upon: &[&str]) -> Result<()> {
    for (name, value) in sent.iter().filter(|(name, _)| !name.contains('@') && !acted_upon.contains(&name.as_str())) {
        let empty = match value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !empty && view.get(name) != Some(value) {
            let shown: String = name.chars().take(80).collect();
            return Err(Error::not_implemented(format!(
                "Ferrohub's directory does not act on '{shown}'; leave it out. It acts on {}.",
                acted_upon.join(", ")
            ))
            .with_target(shown));
        }
    }
    Ok(())
}

/// Refuses members of the object at `path` (empty for the body) that nobody knows. Annotations and nulls ask for nothing.
pub(super) fn refuse_unknown(sent: Option<&Value>, path: &str, known: &[&str]) -> Result<()> {
    let Some(map) = sent.and_then(Value::as_object) else { return Ok(()) };
    let foreign = |(name, value): &(&String, &Value)| {
        !name.contains('@') && !value.is_null() && !known.iter().any(|word| word == name)
    };
    let Some((name, _)) = map.iter().find(foreign) else { return Ok(()) };
    let shown: String = name.chars().take(80).collect();
    let full = if path.is_empty() { shown } else { format!("{path}.{shown}") };
    Err(Error::invalid(format!(
        "'{full}' is no member that is known here; leave it out. Known are: {}.",
        known.join(", ")
    ))
    .with_code("Request_BadRequest")
    .with_target(full))
}
