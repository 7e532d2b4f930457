//! The small part of Microsoft Graph that role assignments and `az ad sp` need.

mod not_built;
mod query;

use crate::authz::{Actor, Plane, authorize};
use crate::departure::remove_principal;
use crate::directory;
use crate::platform::{Change, Platform};
use crate::resources;
use crate::route::{self, Found, RouteInfo, Row, Wants};
use crate::tables::PRINCIPALS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::principal::{ClientSecret, Principal, PrincipalKind};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_pki::key;
use ferrohub_store::Pages;
use ferrohub_wire::odata::Terms;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;

/// A Graph request, free of HTTP.
#[derive(Debug, Clone)]
pub struct GraphRequest {
    /// Method, upper case.
    pub method: String,
    /// Path below `/v1.0`, without leading slash, decoded.
    pub path: Vec<String>,
    /// Query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<Value>,
    /// Who asks.
    pub actor: Actor,
    /// Origin of the request.
    pub base_url: String,
}

/// Longest display name: Graph's 256.
const DISPLAY_NAME_CHARS: usize = 256;
/// Secrets of one application: ours.
const SECRETS: usize = 20;
/// Life of a secret where none is given, seconds (Graph: 2 years; `az` asks for one).
const SECRET_SECONDS: i64 = 365 * 24 * 3600;
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
static USER_TERMS: Terms =
    Terms { fields: &["id", "userPrincipalName", "displayName", "mail", "mailNickname", "accountEnabled"], marks: &[] };

/// Status and body.
type Answer = (u16, Option<Value>);

type Run = for<'a> fn(&'a Graph, &'a GraphRequest, &'a [String]) -> BoxFuture<'a, Result<Answer>>;

/// Any principal may read the directory, as Entra's members may.
const fn read(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::Principal, run }
}

const fn change(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::Right, run }
}

static ROUTES: &[Row<Run>] = &[
    read("GET", "/servicePrincipals", |graph, request, _| Box::pin(graph.list(request, false))),
    read("GET", "/applications", |graph, request, _| Box::pin(graph.list(request, true))),
    read("GET", "/servicePrincipals/{id}", |graph, _, path| Box::pin(graph.show_principal(&path[0]))),
    read("GET", "/applications/{id}", |graph, _, path| Box::pin(graph.show_application(&path[0]))),
    read("GET", "/directoryObjects/{id}", |graph, _, path| Box::pin(graph.show_principal(&path[0]))),
    read("POST", "/directoryObjects/getByIds", |graph, request, _| Box::pin(graph.get_by_ids(request))),
    read("GET", "/users", |_, request, _| Box::pin(async { Graph::list_users(request) })),
    change("POST", "/applications", |graph, request, _| Box::pin(graph.create_application(request))),
    change("POST", "/servicePrincipals", |graph, request, _| Box::pin(graph.create_principal(request))),
    change("POST", "/applications/{id}/addPassword", |graph, request, path| {
        Box::pin(async move { graph.add_password(request, &*graph.application(&path[0]).await?).await })
    }),
    change("POST", "/servicePrincipals/{id}/addPassword", |graph, request, path| {
        Box::pin(async move { graph.add_password(request, &*graph.principal(&path[0]).await?).await })
    }),
    change("DELETE", "/applications/{id}", |graph, request, path| {
        Box::pin(async move { graph.delete(request, &*graph.application(&path[0]).await?).await })
    }),
    change("DELETE", "/servicePrincipals/{id}", |graph, request, path| {
        Box::pin(async move { graph.delete(request, &*graph.principal(&path[0]).await?).await })
    }),
];

/// The routes of Graph, below `/v1.0`.
pub fn routes() -> Vec<RouteInfo> {
    let below = |route: RouteInfo| RouteInfo { path: format!("/v1.0{}", route.path), ..route };
    route::info("graph", ROUTES).into_iter().chain(not_built::routes()).map(below).collect()
}

/// Microsoft Graph.
pub struct Graph {
    platform: Arc<Platform>,
}

impl Graph {
    /// Graph over `platform`.
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }

    /// Answers a request: status and body.
    ///
    /// # Errors
    /// The product's error, in Graph's shape the same as ARM's.
    pub async fn handle(&self, request: GraphRequest) -> Result<Answer> {
        match route::find(ROUTES, &request.method, &request.path) {
            Found::Row(row, path) => {
                if row.wants == Wants::Right {
                    self.platform.refresh_access().await?;
                    self.may_change(&request.actor)?;
                }
                let (status, body) = (row.run)(self, &request, &path).await?;
                Ok((status, query::selected(&request, body)?))
            }
            Found::OtherMethods(_) | Found::Nothing => Err(not_built::refusal(&request)),
        }
    }

    /// Changing the directory takes a right that Owner has: ours, since Entra's directory roles are not modelled.
    fn may_change(&self, actor: &Actor) -> Result<()> {
        let scope = ResourceId::subscription(&self.platform.tenancy.subscription_id);
        authorize(
            &self.platform.access(),
            actor,
            Plane::Control,
            "Microsoft.Authorization/roleAssignments/write",
            &scope,
        )
        .map_err(|mut error| {
            error.code = "Authorization_RequestDenied";
            error
        })
    }

    async fn show_principal(&self, id: &str) -> Result<Answer> {
        Ok((200, Some(self.principal_view(&*self.principal(id).await?).await?)))
    }

    async fn show_application(&self, id: &str) -> Result<Answer> {
        Ok((200, Some(application_view(&*self.application(id).await?))))
    }

    async fn principal(&self, id: &str) -> Result<Arc<Principal>> {
        if let Some(app_id) = id.strip_prefix("(appId='").and_then(|rest| rest.strip_suffix("')")) {
            return directory::by_app_id(self.platform.store.as_ref(), app_id).await?.ok_or_else(|| unknown(id));
        }
        directory::by_id(self.platform.store.as_ref(), id).await?.ok_or_else(|| unknown(id))
    }

    /// An application by its object id; applications share the row of their principal.
    async fn application(&self, id: &str) -> Result<Arc<Principal>> {
        let all = self.all().await?;
        all.into_iter()
            .find(|p| p.application_object_id.as_deref().is_some_and(|o| o.eq_ignore_ascii_case(id)))
            .ok_or_else(|| unknown(id))
    }

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

    /// Lists service principals, or the applications among them.
    async fn list(&self, request: &GraphRequest, applications: bool) -> Result<Answer> {
        let what = if applications { "applications" } else { "servicePrincipals" };
        let list = query::List::of(request, what, if applications { &APPLICATION_TERMS } else { &PRINCIPAL_TERMS })?;
        let mut all = self.all().await?;
        if applications {
            all.retain(|p| p.application_object_id.is_some());
        }
        let mut value = Vec::with_capacity(all.len());
        for principal in &all {
            value.push(if applications { application_view(principal) } else { self.principal_view(principal).await? });
        }
        list.answer(request, value)
    }

    /// There are no users; what is asked about them is looked at all the same.
    fn list_users(request: &GraphRequest) -> Result<Answer> {
        query::List::of(request, "users", &USER_TERMS)?.answer(request, Vec::new())
    }

    async fn get_by_ids(&self, request: &GraphRequest) -> Result<Answer> {
        let ids: Vec<&str> = request
            .body
            .as_ref()
            .and_then(|b| b.get("ids"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if ids.len() > IDS {
            return Err(Error::invalid(format!("At most {IDS} ids can be asked for at once.")));
        }
        let mut value = Vec::new();
        for id in ids {
            if let Some(principal) = directory::by_id(self.platform.store.as_ref(), id).await? {
                value.push(self.principal_view(&principal).await?);
            }
        }
        Ok((200, Some(json!({ "value": value }))))
    }

    async fn create_application(&self, request: &GraphRequest) -> Result<Answer> {
        let name = request
            .body
            .as_ref()
            .and_then(|b| b.get("displayName"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_string();
        if name.is_empty() || name.chars().count() > DISPLAY_NAME_CHARS {
            return Err(Error::invalid_property(
                "displayName",
                "An application needs a 'displayName' of 1 to 256 characters.",
            ));
        }
        let principal = Principal {
            id: self.platform.random.uuid_v4().to_string(),
            app_id: self.platform.random.uuid_v4().to_string(),
            display_name: name,
            kind: PrincipalKind::ServicePrincipal,
            resource: None,
            application_object_id: Some(self.platform.random.uuid_v4().to_string()),
            secrets: Vec::new(),
        };
        let mut change = Change::new();
        change.unit.put(directory::put(&principal)?);
        self.platform.commit(change).await?;
        Ok((201, Some(application_view(&principal))))
    }

    /// The principal of an application exists from the start; creating it answers with it.
    async fn create_principal(&self, request: &GraphRequest) -> Result<Answer> {
        let app_id = request.body.as_ref().and_then(|b| b.get("appId")).and_then(Value::as_str).unwrap_or_default();
        let principal =
            directory::by_app_id(self.platform.store.as_ref(), app_id).await?.ok_or_else(|| unknown(app_id))?;
        Ok((201, Some(self.principal_view(&principal).await?)))
    }

    /// A principal as Graph shows it; a managed identity with the id of its resource as it is now.
    async fn principal_view(&self, principal: &Principal) -> Result<Value> {
        let resource = match principal.resource {
            Some(uid) => resources::id_of(&self.platform, uid).await?.map(|id| id.to_string()),
            None => None,
        };
        Ok(principal_view(principal, resource))
    }

    async fn add_password(&self, request: &GraphRequest, principal: &Principal) -> Result<Answer> {
        refuse_managed(principal)?;
        let credential = request.body.as_ref().and_then(|b| b.get("passwordCredential"));
        let text = |name: &str| credential.and_then(|c| c.get(name)).and_then(Value::as_str);
        let now = self.platform.clock.unix_seconds();
        let expires = match text("endDateTime") {
            Some(end) => end
                .parse::<jiff::Timestamp>()
                .map_err(|_| {
                    Error::invalid_property(
                        "passwordCredential.endDateTime",
                        "A time such as 2027-01-31T00:00:00Z is expected.",
                    )
                })?
                .as_second(),
            None => now + SECRET_SECONDS,
        };
        let secret = key::generate_client_secret(self.platform.random.as_ref());
        let key_id = self.platform.random.uuid_v4().to_string();
        let stored = ClientSecret {
            key_id: key_id.clone(),
            hash: key::hash_secret(&secret, self.platform.random.as_ref()),
            expires,
        };
        self.store_secret(&principal.id, stored).await?;
        let end = jiff::Timestamp::from_second(expires).map(rfc3339).unwrap_or_default();
        Ok((
            200,
            Some(json!({
                "keyId": key_id, "displayName": text("displayName"), "startDateTime": rfc3339(self.platform.now()), "endDateTime": end,
                "hint": secret.get(..3).unwrap_or_default(), "secretText": secret.as_str()
            })),
        ))
    }

    async fn store_secret(&self, id: &str, secret: ClientSecret) -> Result<()> {
        let contended = || Error::conflict("The application is being changed by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let Some(row) = self.platform.store.get(&PRINCIPALS, id).await? else { return Err(unknown(id)) };
            let version = row.version;
            let mut principal = Principal::clone(&*directory::from_row(&row)?);
            if principal.secrets.len() >= SECRETS {
                return Err(Error::conflict(format!(
                    "An application has at most {SECRETS} secrets; remove one first."
                )));
            }
            principal.secrets.push(secret.clone());
            let mut change = Change::new();
            change.unit.expect_version(&PRINCIPALS, id, version);
            change.unit.put(directory::put(&principal)?);
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
        }
    }

    /// The principal goes with its roles, unless it is the last Owner.
    async fn delete(&self, request: &GraphRequest, principal: &Principal) -> Result<Answer> {
        if principal.application_object_id.is_none() {
            return Err(Error::forbidden(format!(
                "The principal '{}' is built in or belongs to a resource and cannot be deleted here.",
                principal.display_name
            )));
        }
        let contended = || Error::conflict("The principal is being changed by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let mut change = Change::new();
            remove_principal(&self.platform, &request.actor, &principal.id, &mut change).await?;
            if self.platform.try_commit(change).await? {
                return Ok((204, None));
            }
        }
    }
}

/// Nobody knows a secret of a managed identity, and there is none: whoever had one would be the resource (Entra refuses it in
/// the same words).
fn refuse_managed(principal: &Principal) -> Result<()> {
    if principal.kind == PrincipalKind::ManagedIdentity {
        return Err(Error::invalid(format!(
            "Updates to managed identity service principals are not allowed through this API: '{}' belongs to a resource and has no credentials of its own.",
            principal.display_name
        ))
        .with_code("Request_BadRequest"));
    }
    if principal.kind != PrincipalKind::ServicePrincipal {
        return Err(Error::invalid(format!(
            "'{}' is no application; only applications have secrets.",
            principal.display_name
        ))
        .with_code("Request_BadRequest"));
    }
    Ok(())
}

fn unknown(id: &str) -> Error {
    let shown: String = id.chars().take(80).collect();
    Error::not_found(format!(
        "Resource '{shown}' does not exist or one of its queried reference-property objects are not present."
    ))
    .with_code("Request_ResourceNotFound")
}

fn principal_view(principal: &Principal, resource: Option<String>) -> Value {
    let kind = match principal.kind {
        PrincipalKind::ManagedIdentity => "ManagedIdentity",
        PrincipalKind::ServicePrincipal | PrincipalKind::User => "Application",
    };
    json!({
        "@odata.type": if principal.kind == PrincipalKind::User { "#microsoft.graph.user" } else { "#microsoft.graph.servicePrincipal" },
        "id": principal.id,
        "appId": principal.app_id,
        "displayName": principal.display_name,
        "appDisplayName": principal.display_name,
        "servicePrincipalNames": [principal.app_id],
        "servicePrincipalType": kind,
        "accountEnabled": true,
        "alternativeNames": resource.into_iter().collect::<Vec<_>>()
    })
}

fn application_view(principal: &Principal) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.application",
        "id": principal.application_object_id,
        "appId": principal.app_id,
        "displayName": principal.display_name,
        "identifierUris": [],
        "passwordCredentials": principal.secrets.iter().map(|s| json!({"keyId": s.key_id})).collect::<Vec<_>>()
    })
}
