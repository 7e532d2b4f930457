//! Making, changing and deleting applications and their service principals.

use super::credentials::{Holder, set_certificates};
use super::objects::{application_view, principal_view, refuse_unbuilt, unknown};
use super::users::{set_enabled, truth};
use super::{Answer, Graph, GraphRequest};
use crate::departure::remove_principal;
use crate::directory;
use crate::platform::Change;
use crate::tables::{MEMBERSHIPS, PRINCIPALS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::DISPLAY_NAME_CHARS;
use ferrohub_model::principal::{Principal, PrincipalKind};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

impl Graph {
    /// A new application with its service principal.
    pub(super) async fn create_application(&self, request: &GraphRequest) -> Result<Answer> {
        let body = object(request)?;
        let name = display_name(body.get("displayName").unwrap_or(&Value::Null))?;
        let new_id = || self.platform.random.uuid_v4().to_string();
        let mut principal = Principal {
            application_object_id: Some(new_id()),
            made: self.platform.clock.unix_seconds(),
            ..Principal::new(PrincipalKind::ServicePrincipal, new_id(), new_id(), name)
        };
        refuse_unbuilt(body, &application_view(&principal), &["displayName", "keyCredentials"])?;
        if let Some(sent) = body.get("keyCredentials").filter(|sent| !sent.is_null()) {
            set_certificates(&mut principal, Holder::Application, sent)?;
        }
        let mut change = Change::new();
        change.unit.put(directory::put(&principal)?);
        self.platform.commit(change).await?;
        Ok((201, Some(application_view(&principal))))
    }

    /// An application's service principal exists from the start; one that was deleted is made anew, with another object
    /// id and without the roles of the former.
    pub(super) async fn create_principal(&self, request: &GraphRequest) -> Result<Answer> {
        let body = object(request)?;
        let app_id = body.get("appId").and_then(Value::as_str).unwrap_or_default();
        let Some(found) = directory::by_app_id(self.platform.store.as_ref(), app_id).await? else {
            let shown: String = app_id.chars().take(80).collect();
            return Err(Error::invalid(format!(
                "The appId '{shown}' of the service principal does not reference a valid application object."
            ))
            .with_code("Request_BadRequest"));
        };
        refuse_unbuilt(body, &principal_view(&found, None, &self.platform.tenancy.tenant_id), &["appId"])?;
        if found.kind != PrincipalKind::Application {
            return Ok((201, Some(self.principal_view(&found).await?)));
        }
        let id = self.platform.random.uuid_v4().to_string();
        let made = self
            .change(&found.id, |principal| {
                principal.kind = PrincipalKind::ServicePrincipal;
                principal.id.clone_from(&id);
                Ok(())
            })
            .await?;
        Ok((201, Some(self.principal_view(&made).await?)))
    }

    /// PATCH of an application or of its service principal: the name, and the certificates.
    pub(super) async fn update(&self, request: &GraphRequest, principal: &Principal, holder: Holder) -> Result<Answer> {
        refuse_fixed(principal)?;
        let body = object(request)?;
        let (shown, acted_upon): (_, &[&str]) = match holder {
            Holder::Application => (application_view(principal), &["displayName", "keyCredentials"]),
            Holder::Principal => (self.principal_view(principal).await?, &["keyCredentials", "accountEnabled"]),
        };
        refuse_unbuilt(body, &shown, acted_upon)?;
        let name = body.get("displayName").filter(|_| holder == Holder::Application).map(display_name).transpose()?;
        let enabled = body.get("accountEnabled").filter(|sent| holder == Holder::Principal && !sent.is_null());
        let enabled = enabled.map(|sent| truth(sent, "accountEnabled")).transpose()?;
        self.change(&principal.id, |principal| {
            if let Some(enabled) = enabled {
                set_enabled(principal, enabled);
            }
            if let Some(name) = &name {
                principal.display_name.clone_from(name);
            }
            match body.get("keyCredentials") {
                Some(sent) => set_certificates(principal, holder, sent),
                None => Ok(()),
            }
        })
        .await?;
        Ok((204, None))
    }

    /// Deletes an application with its service principal, or (`keep`) the service principal with the credentials that were
    /// given to it: its application stays then, under its own object id. The principal goes with its roles, unless it is the
    /// last Owner.
    pub(super) async fn remove(&self, request: &GraphRequest, principal: &Principal, keep: bool) -> Result<Answer> {
        let Some(application) = &principal.application_object_id else { return Err(fixed(principal)) };
        let contended = || Error::conflict("The principal is being changed by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let row = self.platform.store.get(&PRINCIPALS, &principal.id).await?;
            let row = row.ok_or_else(|| unknown(&principal.id))?;
            let mut change = Change::new();
            change.unit.expect_version(&PRINCIPALS, principal.id.clone(), row.version);
            remove_principal(&self.platform, &request.actor, &principal.id, &mut change).await?;
            for owner in directory::memberships_with(self.platform.store.as_ref(), application).await? {
                if !keep {
                    change.unit.delete(&MEMBERSHIPS, owner);
                }
            }
            if keep {
                let mut rest = Principal::clone(&*directory::from_row(&row)?);
                rest.id.clone_from(application);
                rest.kind = PrincipalKind::Application;
                rest.secrets.retain(|secret| !secret.label.of_principal);
                rest.certificates.retain(|certificate| !certificate.label.of_principal);
                change.unit.put(directory::put(&rest)?);
            }
            if self.platform.try_commit(change).await? {
                return Ok((204, None));
            }
        }
    }

    /// An application by its object id; it shares the row of its principal.
    pub(super) async fn application(&self, id: &str) -> Result<Arc<Principal>> {
        // A text that is no GUID names none, and is not looked for.
        let id = Uuid::parse_str(id).map_err(|_| unknown(id))?.to_string();
        self.applications().await?.remove(&id).ok_or_else(|| unknown(&id))
    }
}

/// The body, which is an object.
pub(super) fn object(request: &GraphRequest) -> Result<&Map<String, Value>> {
    request
        .body
        .as_ref()
        .and_then(Value::as_object)
        .ok_or_else(|| Error::invalid("The request's body must be a JSON object.").with_code("Request_BadRequest"))
}

/// A name for people: what is written into lists and logs has no control characters, nor those that turn the direction of text.
pub(super) fn display_name(sent: &Value) -> Result<String> {
    let name = sent.as_str().unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > DISPLAY_NAME_CHARS || name.chars().any(is_hidden) {
        return Err(Error::invalid_property(
            "displayName",
            "A 'displayName' has 1 to 256 characters, none of them a control character.",
        ));
    }
    Ok(name.to_owned())
}

/// Whether a character is not seen, or hides others: control characters, line and paragraph separators, and the marks that turn
/// the direction of text.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Refuses to give credentials to what no application stands behind, a managed identity in Entra's words: whoever had one
/// would be the resource.
pub(super) fn refuse_fixed(principal: &Principal) -> Result<()> {
    if principal.kind == PrincipalKind::ManagedIdentity {
        return Err(Error::invalid(format!(
            "Updates to managed identity service principals are not allowed through this API: '{}' belongs to a resource and has no credentials of its own.",
            principal.display_name
        ))
        .with_code("Request_BadRequest"));
    }
    if principal.application_object_id.is_none() { Err(fixed(principal)) } else { Ok(()) }
}

/// What no application stands behind cannot be changed through Graph.
fn fixed(principal: &Principal) -> Error {
    Error::forbidden(format!(
        "The principal '{}' is built in or belongs to a resource and cannot be changed or deleted here.",
        principal.display_name
    ))
}
