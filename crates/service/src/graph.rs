//! The small part of Microsoft Graph that role assignments, `az ad app` and `az ad sp` need.

mod applications;
mod credentials;
mod not_built;
mod objects;
mod query;

use crate::audit::{self, AuditEvent, Kind, sign_ins};
use crate::authz::{Actor, Plane, authorize};
use crate::directory;
use crate::platform::Platform;
use crate::resources;
use crate::route::{self, Found, RouteInfo, Row, Wants};
use crate::tables::PRINCIPALS;
use credentials::Holder;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Pages;
use ferrohub_wire::odata::Terms;
use futures_util::future::BoxFuture;
use objects::{application_view, principal_view, refuse_unknown, unknown};
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

static SIGN_IN_TERMS: Terms =
    Terms { fields: &["appId", "ipAddress", "correlationId", "resourceDisplayName", "id"], marks: &[] };

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
    change("GET", "/auditLogs/signIns", |graph, request, _| Box::pin(graph.sign_ins(request))),
    change("POST", "/applications", |graph, request, _| Box::pin(graph.create_application(request))),
    change("POST", "/servicePrincipals", |graph, request, _| Box::pin(graph.create_principal(request))),
    change("PATCH", "/applications/{id}", |graph, request, path| {
        Box::pin(async move { graph.update(request, &*graph.application(&path[0]).await?, Holder::Application).await })
    }),
    change("PATCH", "/servicePrincipals/{id}", |graph, request, path| {
        Box::pin(async move { graph.update(request, &*graph.principal(&path[0]).await?, Holder::Principal).await })
    }),
    change("POST", "/applications/{id}/addPassword", |graph, request, path| {
        Box::pin(
            async move { graph.add_password(request, &*graph.application(&path[0]).await?, Holder::Application).await },
        )
    }),
    change("POST", "/servicePrincipals/{id}/addPassword", |graph, request, path| {
        Box::pin(
            async move { graph.add_password(request, &*graph.principal(&path[0]).await?, Holder::Principal).await },
        )
    }),
    change("POST", "/applications/{id}/removePassword", |graph, request, path| {
        Box::pin(async move {
            graph.remove_password(request, &*graph.application(&path[0]).await?, Holder::Application).await
        })
    }),
    change("POST", "/servicePrincipals/{id}/removePassword", |graph, request, path| {
        Box::pin(
            async move { graph.remove_password(request, &*graph.principal(&path[0]).await?, Holder::Principal).await },
        )
    }),
    change("DELETE", "/applications/{id}", |graph, request, path| {
        Box::pin(async move { graph.remove(request, &*graph.application(&path[0]).await?, false).await })
    }),
    change("DELETE", "/servicePrincipals/{id}", |graph, request, path| {
        Box::pin(async move { graph.remove(request, &*graph.principal(&path[0]).await?, true).await })
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
                if row.wants == Wants::Right && row.method != "GET" {
                    audit::note(&self.platform, changed(&request, body.as_ref()));
                }
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

    /// The latest sign-ins. Who may change the directory may see who uses it.
    async fn sign_ins(&self, request: &GraphRequest) -> Result<Answer> {
        let list = query::List::of(request, "auditLogs/signIns", &SIGN_IN_TERMS)?;
        list.answer(request, sign_ins::latest(&self.platform).await?)
    }

    async fn show_principal(&self, id: &str) -> Result<Answer> {
        Ok((200, Some(self.principal_view(&*self.principal(id).await?).await?)))
    }

    async fn show_application(&self, id: &str) -> Result<Answer> {
        Ok((200, Some(application_view(&*self.application(id).await?))))
    }

    async fn principal(&self, id: &str) -> Result<Arc<Principal>> {
        if let Some(app_id) = id.strip_prefix("(appId='").and_then(|rest| rest.strip_suffix("')")) {
            let found = directory::by_app_id(self.platform.store.as_ref(), app_id).await?;
            return found.filter(|found| found.kind != PrincipalKind::Application).ok_or_else(|| unknown(id));
        }
        directory::by_id(self.platform.store.as_ref(), id).await?.ok_or_else(|| unknown(id))
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
        all.retain(|p| match applications {
            true => p.application_object_id.is_some(),
            false => p.kind != PrincipalKind::Application,
        });
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

    /// A principal as Graph shows it; a managed identity with the id of its resource as it is now.
    async fn principal_view(&self, principal: &Principal) -> Result<Value> {
        let resource = match principal.resource {
            Some(uid) => resources::id_of(&self.platform, uid).await?.map(|id| id.to_string()),
            None => None,
        };
        Ok(principal_view(principal, resource, &self.platform.tenancy.tenant_id))
    }
}

/// A change of the directory, for the audit log: what was asked for, and the id of what was made.
fn changed(request: &GraphRequest, body: Option<&Value>) -> AuditEvent {
    let path = format!("/{}", request.path.join("/"));
    let made = body.and_then(|body| body.get("id")).and_then(Value::as_str);
    let what = made.filter(|_| request.method == "POST").map_or_else(String::new, |id| format!(" -> {id}"));
    AuditEvent::by(Kind::DirectoryChanged, &request.actor, path.clone())
        .what(format!("{} {path}{what}", request.method))
}

/// Whether a principal is of one of the asked types; none asks for all.
fn is_one_of(principal: &Principal, types: &[&str]) -> bool {
    let own = if principal.kind == PrincipalKind::User { "user" } else { "servicePrincipal" };
    types.is_empty() || types.iter().any(|word| word.eq_ignore_ascii_case(own))
}
