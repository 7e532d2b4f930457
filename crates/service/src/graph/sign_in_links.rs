//! Links that sign a person in once. Who may change the directory may make one: he could as well set a password.

use super::applications::object;
use super::objects::refuse_unknown;
use super::users::{bad, text};
use super::{Answer, Graph, GraphRequest};
use crate::arm::activity::Origin;
use crate::authn;
use crate::owner_person;
use crate::platform::Change;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::USER_NAME_CHARS;
use ferrohub_model::principal::Principal;
use serde_json::json;
use std::sync::Arc;

impl Graph {
    /// `POST /ferrohub.signInLink`: a link for the person of `userPrincipalName`, or for the installation's own, who is made where there is
    /// none.
    pub(super) async fn sign_in_link(&self, request: &GraphRequest) -> Result<Answer> {
        refuse_unknown(request.body.as_ref(), "", &["userPrincipalName"])?;
        let named = object(request)?.get("userPrincipalName").filter(|value| !value.is_null());
        let named = named.map(|value| text(value, "userPrincipalName", USER_NAME_CHARS)).transpose()?;
        let contended =
            || Error::conflict("Links for this person are being made by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let mut change = Change::new();
            let person = match &named {
                Some(name) => self.user(name).await?,
                None => self.own_person(request, &mut change).await?,
            };
            let name = person.name().to_owned();
            if person.disabled {
                return Err(bad(
                    "userPrincipalName",
                    format!(
                        "{name} is disabled. An owner enables it: az ad user update --id {name} --account-enabled true"
                    ),
                ));
            }
            let link = authn::new_sign_in_link(&self.platform, &person, &mut change).await?;
            if self.platform.try_commit(change).await? {
                let view = json!({
                    "id": person.id,
                    "userPrincipalName": name,
                    "path": format!("{}?ticket={}", authn::LINK_PATH, link.ticket.as_str()),
                    "expiresDateTime": super::objects::time(link.expires)
                });
                return Ok((201, Some(view)));
            }
        }
    }

    /// The person who owns the installation.
    async fn own_person(&self, request: &GraphRequest, change: &mut Change) -> Result<Arc<Principal>> {
        if let Some(known) = owner_person::known(&self.platform).await? {
            return Ok(known);
        }
        let correlation = self.platform.new_id();
        let origin = Origin::service(&request.actor, correlation, correlation);
        owner_person::make(&self.platform, &origin, change).await
    }
}
