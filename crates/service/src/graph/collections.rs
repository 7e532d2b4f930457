//! What is listed of the directory, and what several ids name at once.

use super::objects::{application_view, refuse_unknown};
use super::{Answer, Graph, GraphRequest, query};
use crate::directory;
use crate::tables::PRINCIPALS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_store::Pages;
use ferrohub_wire::odata::Terms;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Most ids of one `getByIds` (Graph: 1000).
const IDS: usize = 1000;

/// What lists are filtered by.
static PRINCIPAL_TERMS: Terms = Terms {
    fields: &[
        "id",
        "appId",
        "displayName",
        "appDisplayName",
        "servicePrincipalNames",
        "servicePrincipalType",
        "accountEnabled",
        "alternativeNames",
    ],
    marks: &[],
};
static APPLICATION_TERMS: Terms = Terms { fields: &["id", "appId", "displayName", "identifierUris"], marks: &[] };
static USER_TERMS: Terms = Terms {
    fields: &[
        "id",
        "userPrincipalName",
        "displayName",
        "mail",
        "mailNickname",
        "accountEnabled",
        "givenName",
        "surname",
        "jobTitle",
        "department",
        "employeeId",
        "userType",
    ],
    marks: &[],
};
static GROUP_TERMS: Terms = Terms {
    fields: &["id", "displayName", "mailNickname", "description", "securityEnabled", "mailEnabled"],
    marks: &[],
};

/// The collections that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collection {
    Users,
    Groups,
    ServicePrincipals,
    Applications,
}

impl Collection {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::ServicePrincipals => "servicePrincipals",
            Self::Applications => "applications",
        }
    }

    fn terms(self) -> &'static Terms {
        match self {
            Self::Users => &USER_TERMS,
            Self::Groups => &GROUP_TERMS,
            Self::ServicePrincipals => &PRINCIPAL_TERMS,
            Self::Applications => &APPLICATION_TERMS,
        }
    }

    fn holds(self, principal: &Principal) -> bool {
        match self {
            Self::Users => principal.kind == PrincipalKind::User,
            Self::Groups => principal.kind == PrincipalKind::Group,
            Self::ServicePrincipals => {
                matches!(principal.kind, PrincipalKind::ServicePrincipal | PrincipalKind::ManagedIdentity)
            }
            Self::Applications => principal.application_object_id.is_some(),
        }
    }
}

impl Graph {
    async fn all(&self) -> Result<Vec<Arc<Principal>>> {
        let mut found = Vec::new();
        let mut pages = Pages::scan(self.platform.store.as_ref(), &PRINCIPALS, "", READ_ROWS);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                found.push(directory::from_row(&row)?);
            }
        }
        Ok(found)
    }

    pub(super) async fn list(&self, request: &GraphRequest, collection: Collection) -> Result<Answer> {
        let list = query::List::of(request, collection.name(), collection.terms())?;
        let mut value = Vec::new();
        for principal in self.all().await?.iter().filter(|principal| collection.holds(principal)) {
            value.push(match collection {
                Collection::Applications => application_view(principal),
                _ => self.principal_view(principal).await?,
            });
        }
        list.answer(request, value)
    }

    pub(super) async fn get_by_ids(&self, request: &GraphRequest) -> Result<Answer> {
        refuse_unknown(request.body.as_ref(), "", &["ids", "types"])?;
        let texts = |name: &str| -> Vec<&str> {
            let list = request.body.as_ref().and_then(|body| body.get(name)).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let (ids, types) = (texts("ids"), texts("types"));
        if ids.len() > IDS {
            return Err(Error::invalid(format!("At most {IDS} ids can be asked for at once.")));
        }
        let mut value = Vec::new();
        for id in ids {
            if let Some(principal) = directory::by_id(self.platform.store.as_ref(), id).await?
                && is_one_of(&principal, &types)
            {
                value.push(self.principal_view(&principal).await?);
            }
        }
        Ok((200, Some(json!({ "value": value }))))
    }

    /// What has these object ids, applications too; what is gone is left out. The directory is gone through once at most.
    pub(super) async fn any_views(&self, ids: &[String]) -> Result<Vec<Value>> {
        let (mut views, mut applications) = (Vec::with_capacity(ids.len()), None);
        for id in ids {
            if let Some(found) = directory::by_id(self.platform.store.as_ref(), id).await? {
                views.push(self.principal_view(&found).await?);
                continue;
            }
            let known = match &mut applications {
                Some(known) => known,
                empty => empty.insert(self.applications().await?),
            };
            views.extend(known.get(&id.to_ascii_lowercase()).map(|found| application_view(found)));
        }
        Ok(views)
    }

    /// Every application, by its object id.
    pub(super) async fn applications(&self) -> Result<HashMap<String, Arc<Principal>>> {
        let named = |found: Arc<Principal>| {
            let id = found.application_object_id.as_ref().map(|id| id.to_ascii_lowercase())?;
            Some((id, found))
        };
        Ok(self.all().await?.into_iter().filter_map(named).collect())
    }
}

/// Whether a principal is of one of the asked types; none asks for all.
fn is_one_of(principal: &Principal, types: &[&str]) -> bool {
    let own = principal.kind.graph_word();
    types.is_empty() || types.iter().any(|word| word.eq_ignore_ascii_case(own))
}
