//! The small part of Microsoft Graph that role assignments and `az ad` need: people, groups, applications, service principals.

mod applications;
mod collections;
mod credentials;
mod groups;
mod members;
mod not_built;
mod objects;
mod path_keys;
mod query;
mod sign_in_links;
mod users;

use crate::audit::{self, AuditEvent, Kind, sign_ins};
use crate::authz::{Actor, Plane, authorize};
use crate::directory::{self, Relation};
use crate::platform::Platform;
use crate::resources;
use crate::route::{Found, RouteInfo, Row, Table, Wants};
use collections::Collection;
use credentials::Holder;
use ferrohub_model::error::{ErrorKind, Result};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_wire::odata::Terms;
use futures_util::future::BoxFuture;
use objects::{application_view, principal_view, unknown};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

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
    /// Where it comes from.
    pub address: Option<IpAddr>,
}

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

static ROUTES: Table<Run> = Table::new(&[
    read("GET", "/servicePrincipals", |graph, request, _| Box::pin(graph.list(request, Collection::ServicePrincipals))),
    read("GET", "/applications", |graph, request, _| Box::pin(graph.list(request, Collection::Applications))),
    read("GET", "/users", |graph, request, _| Box::pin(graph.list(request, Collection::Users))),
    read("GET", "/groups", |graph, request, _| Box::pin(graph.list(request, Collection::Groups))),
    read("GET", "/servicePrincipals/{id}", |graph, _, path| Box::pin(graph.show_principal(&path[0]))),
    read("GET", "/applications/{id}", |graph, _, path| Box::pin(graph.show_application(&path[0]))),
    read("GET", "/users/{id}", |graph, _, path| {
        Box::pin(async move { Ok((200, Some(users::user_view(&*graph.user(&path[0]).await?)))) })
    }),
    read("GET", "/groups/{id}", |graph, _, path| {
        Box::pin(async move { Ok((200, Some(groups::group_view(&*graph.group(&path[0]).await?)))) })
    }),
    read("GET", "/directoryObjects/{id}", |graph, _, path| Box::pin(graph.show_any(&path[0]))),
    read("POST", "/directoryObjects/getByIds", |graph, request, _| Box::pin(graph.get_by_ids(request))),
    read("GET", "/me", |graph, request, _| {
        Box::pin(async move { Ok((200, Some(users::user_view(&*graph.user(&graph.me(request)?.id).await?)))) })
    }),
    read("POST", "/me/changePassword", |graph, request, _| Box::pin(graph.change_own_password(request))),
    read("POST", "/me/revokeSignInSessions", |graph, request, _| {
        Box::pin(async move { graph.revoke_sign_ins(&graph.me(request)?.id).await })
    }),
    read("GET", "/me/memberOf", |graph, request, _| {
        Box::pin(async move { graph.list_groups_of(request, &graph.me(request)?.id, false).await })
    }),
    read("GET", "/me/ownedObjects", |graph, request, _| {
        Box::pin(async move { graph.list_owned(request, &graph.me(request)?.id).await })
    }),
    read("GET", "/groups/{id}/members", |graph, request, path| {
        Box::pin(async move { graph.list_targets(request, &graph.group(&path[0]).await?.id, Relation::Member).await })
    }),
    read("GET", "/groups/{id}/transitiveMembers", |graph, request, path| {
        Box::pin(async move { graph.list_transitive(request, &graph.group(&path[0]).await?.id).await })
    }),
    read("GET", "/{collection}/{id}/owners", |graph, request, path| {
        Box::pin(async move { graph.list_targets(request, &graph.owned(path).await?.1, Relation::Owner).await })
    }),
    read("GET", "/{collection}/{id}/memberOf", |graph, request, path| {
        Box::pin(async move { graph.list_groups_of(request, &graph.member(path).await?, false).await })
    }),
    read("GET", "/{collection}/{id}/transitiveMemberOf", |graph, request, path| {
        Box::pin(async move { graph.list_groups_of(request, &graph.member(path).await?, true).await })
    }),
    read("GET", "/{collection}/{id}/ownedObjects", |graph, request, path| {
        Box::pin(async move { graph.list_owned(request, &graph.member(path).await?).await })
    }),
    read("POST", "/{collection}/{id}/getMemberGroups", |graph, request, path| {
        Box::pin(async move { graph.member_groups(request, &graph.member(path).await?).await })
    }),
    read("POST", "/{collection}/{id}/getMemberObjects", |graph, request, path| {
        Box::pin(async move { graph.member_groups(request, &graph.member(path).await?).await })
    }),
    read("POST", "/{collection}/{id}/checkMemberGroups", |graph, request, path| {
        Box::pin(async move { graph.check_member_groups(request, &graph.member(path).await?).await })
    }),
    read("POST", "/{collection}/{id}/checkMemberObjects", |graph, request, path| {
        Box::pin(async move { graph.check_member_groups(request, &graph.member(path).await?).await })
    }),
    change("POST", "/users", |graph, request, _| Box::pin(graph.create_user(request))),
    change("PATCH", "/users/{id}", |graph, request, path| Box::pin(graph.update_user(request, &path[0]))),
    change("DELETE", "/users/{id}", |graph, request, path| Box::pin(graph.delete_user(request, &path[0]))),
    change("POST", "/users/{id}/revokeSignInSessions", |graph, _, path| {
        Box::pin(async move { graph.revoke_sign_ins(&graph.user(&path[0]).await?.id).await })
    }),
    // Ours: Entra's temporary access passes are typed in, and are for a policy to allow.
    change("POST", "/ferrohub.signInLink", |graph, request, _| Box::pin(graph.sign_in_link(request))),
    change("POST", "/groups", |graph, request, _| Box::pin(graph.create_group(request))),
    change("PATCH", "/groups/{id}", |graph, request, path| Box::pin(graph.update_group(request, &path[0]))),
    change("DELETE", "/groups/{id}", |graph, request, path| {
        Box::pin(async move { graph.delete_principal(request, &graph.group(&path[0]).await?.id).await })
    }),
    change("POST", "/groups/{id}/members/$ref", |graph, request, path| {
        Box::pin(async move {
            let id = graph.group(&path[0]).await?.id.clone();
            graph.add_ref(request, &id, &id, Relation::Member).await
        })
    }),
    change("DELETE", "/groups/{id}/members/{member}/$ref", |graph, _, path| {
        Box::pin(async move { graph.remove_ref(&graph.group(&path[0]).await?.id, Relation::Member, &path[1]).await })
    }),
    change("POST", "/{collection}/{id}/owners/$ref", |graph, request, path| {
        Box::pin(async move {
            let (row, of) = graph.owned(path).await?;
            graph.add_ref(request, &row, &of, Relation::Owner).await
        })
    }),
    change("DELETE", "/{collection}/{id}/owners/{owner}/$ref", |graph, _, path| {
        Box::pin(async move { graph.remove_ref(&graph.owned(path).await?.1, Relation::Owner, &path[2]).await })
    }),
    change("GET", "/auditLogs/signIns", |graph, request, _| Box::pin(graph.sign_ins(request))),
    change("POST", "/applications", |graph, request, _| Box::pin(graph.create_application(request))),
    change("POST", "/servicePrincipals", |graph, request, _| Box::pin(graph.create_principal(request))),
    change("PATCH", "/applications/{id}", |graph, request, path| {
        Box::pin(async move { graph.update(request, &*graph.application(&path[0]).await?, Holder::Application).await })
    }),
    change("PATCH", "/servicePrincipals/{id}", |graph, request, path| {
        Box::pin(
            async move { graph.update(request, &*graph.service_principal(&path[0]).await?, Holder::Principal).await },
        )
    }),
    change("POST", "/applications/{id}/addPassword", |graph, request, path| {
        Box::pin(
            async move { graph.add_password(request, &*graph.application(&path[0]).await?, Holder::Application).await },
        )
    }),
    change("POST", "/servicePrincipals/{id}/addPassword", |graph, request, path| {
        Box::pin(async move {
            graph.add_password(request, &*graph.service_principal(&path[0]).await?, Holder::Principal).await
        })
    }),
    change("POST", "/applications/{id}/removePassword", |graph, request, path| {
        Box::pin(async move {
            graph.remove_password(request, &*graph.application(&path[0]).await?, Holder::Application).await
        })
    }),
    change("POST", "/servicePrincipals/{id}/removePassword", |graph, request, path| {
        Box::pin(async move {
            graph.remove_password(request, &*graph.service_principal(&path[0]).await?, Holder::Principal).await
        })
    }),
    change("DELETE", "/applications/{id}", |graph, request, path| {
        Box::pin(async move { graph.remove(request, &*graph.application(&path[0]).await?, false).await })
    }),
    change("DELETE", "/servicePrincipals/{id}", |graph, request, path| {
        Box::pin(async move { graph.remove(request, &*graph.service_principal(&path[0]).await?, true).await })
    }),
]);

/// What people change of themselves without a right, and what the audit log tells of.
const OF_ONESELF: &[&str] = &["/me/changePassword", "/me/revokeSignInSessions"];

/// The routes of Graph, below `/v1.0`.
pub fn routes() -> Vec<RouteInfo> {
    let below = |route: RouteInfo| RouteInfo { path: format!("/v1.0{}", route.path), ..route };
    ROUTES.info("graph").into_iter().chain(not_built::routes()).map(below).collect()
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
    pub async fn handle(&self, mut request: GraphRequest) -> Result<Answer> {
        request.path = path_keys::keyed(request.path);
        match ROUTES.find(&request.method, &request.path) {
            Found::Row(row, path) => {
                if row.wants == Wants::Right {
                    self.platform.refresh_access().await?;
                    let allowed = self.may_change(&request.actor);
                    if allowed.is_err() && !self.is_owned(&request.actor, &path).await? {
                        allowed?;
                    }
                }
                let done = (row.run)(self, &request, &path).await;
                if row.wants == Wants::Right && row.method != "GET" || OF_ONESELF.contains(&row.path) {
                    self.note(&request, &done);
                }
                let (status, body) = done?;
                Ok((status, query::selected(&request, body)?))
            }
            Found::OtherMethods(_) | Found::Nothing => Err(not_built::refusal(&request)),
        }
    }

    /// Takes note of a change for the audit log; one that failed is counted with its like of the same caller.
    fn note(&self, request: &GraphRequest, done: &Result<Answer>) {
        match done {
            Ok((_, body)) => audit::note(&self.platform, changed(request, body.as_ref())),
            Err(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal) => {}
            Err(error) => {
                audit::note_once(&self.platform, request.actor.id(), changed(request, None).failed(error));
            }
        }
    }

    /// Whether the actor is an owner of what the path names.
    async fn is_owned(&self, actor: &Actor, path: &[String]) -> Result<bool> {
        let Some(id) = path.iter().find_map(|part| Uuid::parse_str(part).ok()) else { return Ok(false) };
        let owners = directory::targets_of(self.platform.store.as_ref(), &id.to_string(), Relation::Owner).await?;
        Ok(owners.iter().any(|owner| owner == actor.id()))
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
        Ok((200, Some(self.principal_view(&*self.service_principal(id).await?).await?)))
    }

    async fn show_application(&self, id: &str) -> Result<Answer> {
        Ok((200, Some(application_view(&*self.application(id).await?))))
    }

    async fn show_any(&self, id: &str) -> Result<Answer> {
        let found = self.any_views(&[id.to_owned()]).await?.into_iter().next();
        Ok((200, Some(found.ok_or_else(|| unknown(id))?)))
    }

    /// A service principal by object id, or by `(appId='…')`.
    async fn service_principal(&self, id: &str) -> Result<Arc<Principal>> {
        let store = self.platform.store.as_ref();
        let found = match id.strip_prefix("(appId='").and_then(|rest| rest.strip_suffix("')")) {
            Some(app_id) => directory::by_app_id(store, app_id).await?,
            None => directory::by_id(store, id).await?,
        };
        let is = |kind| matches!(kind, PrincipalKind::ServicePrincipal | PrincipalKind::ManagedIdentity);
        found.filter(|found| is(found.kind)).ok_or_else(|| unknown(id))
    }

    /// Row and object id of what a path names that may have owners: a collection and an id.
    async fn owned(&self, path: &[String]) -> Result<(String, String)> {
        let (collection, id) = (path[0].to_ascii_lowercase(), &path[1]);
        match collection.as_str() {
            "groups" => self.group(id).await.map(|found| (found.id.clone(), found.id.clone())),
            "serviceprincipals" => self.service_principal(id).await.map(|found| (found.id.clone(), found.id.clone())),
            "applications" => {
                let found = self.application(id).await?;
                let object = found.application_object_id.clone().unwrap_or_default();
                Ok((found.id.clone(), object))
            }
            _ => Err(unknown(id)),
        }
    }

    /// Object id of what a path names that may be in groups.
    async fn member(&self, path: &[String]) -> Result<String> {
        let (collection, id) = (path[0].to_ascii_lowercase(), &path[1]);
        let found = match collection.as_str() {
            "users" => self.user(id).await?,
            "groups" => self.group(id).await?,
            "serviceprincipals" => self.service_principal(id).await?,
            "directoryobjects" => {
                directory::by_id(self.platform.store.as_ref(), id).await?.ok_or_else(|| unknown(id))?
            }
            _ => return Err(unknown(id)),
        };
        Ok(found.id.clone())
    }

    /// A principal of any kind as Graph shows it; a managed identity with the id of its resource as it is now.
    async fn principal_view(&self, principal: &Principal) -> Result<Value> {
        match principal.kind {
            PrincipalKind::User => return Ok(users::user_view(principal)),
            PrincipalKind::Group => return Ok(groups::group_view(principal)),
            _ => {}
        }
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
