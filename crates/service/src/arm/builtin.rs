//! What is no resource type: subscriptions, tenants, locations, providers, resource listings, name checks, polls.

use super::activity::listing as log;
use super::declaration::TypeDecl;
use super::filter::ResourceFilter;
use super::request::{ArmRequest, ArmResponse};
use super::types::Types;
use super::{
    access, actions, listing, name_check, not_built, operations, providers, query, read, region, render, subscription,
    tag_names, tag_scope, usages,
};
use crate::audit;
use crate::platform::Platform;
use crate::resource_graph;
use crate::resources::{self, tag};
use crate::route::{RouteInfo, Row, Table, Wants};
use crate::subscriptions;
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;

type Run = for<'a> fn(&'a Asked<'a>) -> BoxFuture<'a, Result<Option<ArmResponse>>>;

/// What stands behind a route.
struct Answer {
    /// The action that a write is, with the names of the path in it; empty for what only shows something.
    action: &'static str,
    run: Run,
}

/// A request that one of these rows is for.
struct Asked<'a> {
    platform: &'a Platform,
    request: &'a ArmRequest,
    segments: &'a [String],
    /// What stands for the `{name}`s of the row's path.
    path: Vec<String>,
}

/// What `$expand` may ask of providers: all that is shown already.
const PROVIDER_EXPANDABLE: &[&str] = &["metadata", "resourceTypes", "resourceTypes/aliases"];

/// The tags of a scope.
const TAGS: &str = "/**/providers/Microsoft.Resources/tags/default";
const TAG_NAME: &str = "/subscriptions/{subscription}/tagNames/{name}";
const TAG_VALUE: &str = "/subscriptions/{subscription}/tagNames/{name}/tagValues/{value}";

const fn open(method: &'static str, path: &'static str, run: Run) -> Row<Answer> {
    Row { method, path, wants: Wants::Principal, run: Answer { action: "", run } }
}

const fn right(method: &'static str, path: &'static str, run: Run) -> Row<Answer> {
    Row { method, path, wants: Wants::Right, run: Answer { action: "", run } }
}

const fn write(method: &'static str, path: &'static str, action: &'static str, run: Run) -> Row<Answer> {
    Row { method, path, wants: Wants::Right, run: Answer { action, run } }
}

/// Rows are tried in order; one that answers `None` leaves the request to the next, and the last to the resource types.
/// Lists that show what the caller may read, and nothing else, ask for no right.
static ROUTES: Table<Answer> = Table::new(&[
    right("GET", "/**/operationStatuses/{id}", |asked| Box::pin(asked.poll(false))),
    right("GET", "/**/operationResults/{id}", |asked| Box::pin(asked.poll(true))),
    right("GET", "/**/asyncOperationStatuses/{id}", |asked| Box::pin(asked.poll(false))),
    open("GET", "/tenants", |asked| Box::pin(async { asked.listed(tenants(asked.platform)) })),
    open("GET", "/subscriptions", |asked| Box::pin(async { asked.listed(asked.subscriptions()) })),
    right("GET", "/subscriptions/{subscription}", |asked| Box::pin(async { asked.subscription() })),
    open("GET", "/subscriptions/{subscription}/locations", |asked| Box::pin(async { asked.locations() })),
    open("GET", "/subscriptions/{subscription}/resources", |asked| Box::pin(asked.resources())),
    open("GET", "/subscriptions/{subscription}/resourceGroups", |asked| Box::pin(asked.groups())),
    open("GET", "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/resources", |asked| {
        Box::pin(asked.resources())
    }),
    open("GET", "/**/providers/Microsoft.Authorization/permissions", |asked| {
        Box::pin(async {
            access::permissions(asked.platform, asked.request, asked.segments).and_then(|all| asked.listed(all))
        })
    }),
    right("GET", "/**/providers/Microsoft.Authorization/denyAssignments", |asked| {
        Box::pin(async {
            access::denials(asked.platform, asked.request, asked.segments).and_then(|all| asked.page(all))
        })
    }),
    write("*", "/**/providers/Microsoft.Authorization/denyAssignments/{id}", access::WRITE_DENIALS, |asked| {
        Box::pin(async { access::denial(asked.platform, asked.request, asked.segments) })
    }),
    open("POST", "/**/providers/Microsoft.Authorization/checkAccess", |asked| {
        Box::pin(async { access::check(asked.platform, asked.request, asked.segments).await.map(Some) })
    }),
    right("GET", "/**/providers/Microsoft.ManagedIdentity/identities/default", |asked| {
        Box::pin(async { access::system_identity(asked.platform, asked.request, asked.segments).await.map(Some) })
    }),
    open("GET", "/providers/Microsoft.Authorization/providerOperations", |asked| {
        Box::pin(async { asked.provider_operations(None) })
    }),
    open("GET", "/providers/Microsoft.Authorization/providerOperations/{provider}", |asked| {
        Box::pin(async { asked.provider_operations(Some(&asked.path[0])) })
    }),
    open("GET", "/providers", |asked| Box::pin(async { asked.providers() })),
    open("GET", "/providers/{provider}", |asked| Box::pin(async { asked.provider(&asked.path[0]) })),
    // Shows what the caller may read, and nothing else.
    open("POST", "/providers/Microsoft.ResourceGraph/resources", |asked| {
        Box::pin(async { resource_graph::answer(asked.platform, asked.request).await.map(Some) })
    }),
    open("GET", "/providers/Microsoft.ResourceGraph/operations", |asked| {
        Box::pin(async { asked.listed(resource_graph::operations()) })
    }),
    open("GET", "/providers/{provider}/operations", |asked| {
        Box::pin(async { providers::operations_of(asked.platform, &asked.path[0]).and_then(|all| asked.listed(all)) })
    }),
    open("GET", "/subscriptions/{subscription}/providers", |asked| {
        Box::pin(async { asked.own().and_then(|_| asked.providers()) })
    }),
    open("GET", "/subscriptions/{subscription}/providers/{provider}", |asked| {
        Box::pin(async { asked.own().and_then(|_| asked.provider(&asked.path[1])) })
    }),
    write(
        "POST",
        "/subscriptions/{subscription}/providers/{provider}/register",
        "{provider}/register/action",
        |asked| Box::pin(asked.register(true)),
    ),
    write(
        "POST",
        "/subscriptions/{subscription}/providers/{provider}/unregister",
        "{provider}/unregister/action",
        |asked| Box::pin(asked.register(false)),
    ),
    write(
        "POST",
        "/subscriptions/{subscription}/providers/Microsoft.Subscription/rename",
        subscription::RENAME,
        |asked| Box::pin(asked.rename()),
    ),
    write(
        "POST",
        "/subscriptions/{subscription}/providers/Microsoft.Subscription/cancel",
        subscription::CANCEL,
        |asked| Box::pin(asked.cancel()),
    ),
    open("GET", "/subscriptions/{subscription}/providers/{provider}/resourceTypes", |asked| {
        Box::pin(async { asked.resource_types() })
    }),
    write(
        "POST",
        "/subscriptions/{subscription}/providers/{provider}/{nameCheck}",
        "{provider}/{nameCheck}/action",
        |asked| Box::pin(asked.check_name()),
    ),
    right("GET", "/subscriptions/{subscription}/providers/Microsoft.Devices/usages", |asked| {
        Box::pin(asked.device_usages())
    }),
    right("GET", "/subscriptions/{subscription}/providers/Microsoft.DeviceRegistry/usages", |asked| {
        Box::pin(asked.usages())
    }),
    right(
        "GET",
        "/subscriptions/{subscription}/providers/Microsoft.DeviceRegistry/locations/{location}/usages",
        |asked| Box::pin(asked.usages()),
    ),
    open("GET", "/providers/Microsoft.Subscription/aliases", |asked| {
        Box::pin(async { subscription::aliases(asked.platform, asked.request).and_then(|all| asked.listed(all)) })
    }),
    open("GET", "/providers/Microsoft.Subscription/aliases/{alias}", |asked| {
        Box::pin(async { subscription::alias(asked.platform, asked.request, &asked.path[0]).map(Some) })
    }),
    write("PUT", "/providers/Microsoft.Subscription/aliases/{alias}", subscription::MAKE, |asked| {
        Box::pin(async { subscription::make(asked.platform, asked.request, &asked.path[0]).await.map(Some) })
    }),
    write("DELETE", "/providers/Microsoft.Subscription/aliases/{alias}", subscription::FORGET, |asked| {
        Box::pin(async { subscription::forget(asked.platform, asked.request, &asked.path[0]).await.map(Some) })
    }),
    right("GET", TAGS, |asked| Box::pin(asked.tags())),
    write("PUT", TAGS, tag_scope::WRITE, |asked| Box::pin(asked.tags())),
    write("PATCH", TAGS, tag_scope::WRITE, |asked| Box::pin(asked.tags())),
    write("DELETE", TAGS, tag_scope::DELETE, |asked| Box::pin(asked.tags())),
    right("GET", "/subscriptions/{subscription}/tagNames", |asked| Box::pin(asked.tag_names())),
    write("PUT", TAG_NAME, tag_names::WRITE, |asked| Box::pin(asked.tag_name())),
    write("DELETE", TAG_NAME, tag_names::DELETE, |asked| Box::pin(asked.tag_name())),
    write("PUT", TAG_VALUE, tag_names::WRITE, |asked| Box::pin(asked.tag_name())),
    write("DELETE", TAG_VALUE, tag_names::DELETE, |asked| Box::pin(asked.tag_name())),
    open("GET", "/providers/Microsoft.Insights/eventcategories", |asked| {
        Box::pin(async { log::categories(asked.request).map(Some) })
    }),
    right("GET", "/providers/Microsoft.Insights/eventtypes/management/values", |asked| {
        Box::pin(async { log::answer(asked.platform, asked.request, None).await.map(Some) })
    }),
    right("GET", "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values", |asked| {
        Box::pin(async {
            asked.own()?;
            log::answer(asked.platform, asked.request, Some(&asked.path[0])).await.map(Some)
        })
    }),
    right("GET", "/subscriptions/{subscription}/providers/Ferrohub/auditEvents", |asked| {
        Box::pin(async {
            asked.own()?;
            audit::listing::answer(asked.platform, asked.request).await.map(Some)
        })
    }),
]);

/// The routes of Resource Manager: those of no resource type, those of every type, and those that are not built.
pub fn routes() -> Vec<RouteInfo> {
    let mut all = ROUTES.info("arm");
    for decl in Types::built_in().all() {
        all.extend(decl.routes().into_iter().filter(|new| !ROUTES.rows().iter().any(|row| is_same(row, new))));
    }
    all.extend(not_built::routes());
    all
}

/// Whether a row stands before the route of a type: the list of resource groups is one of ours.
fn is_same(row: &Row<Answer>, route: &RouteInfo) -> bool {
    row.method == route.method && row.path == route.path
}

/// Answers the request if its path is one of these; `None` leaves it to the resource types.
pub(super) async fn answer(
    platform: &Platform,
    request: &ArmRequest,
    segments: &[String],
) -> Result<Option<ArmResponse>> {
    let is = |at: usize, word: &str| segments.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(word));
    let below_provider = segments.iter().any(|segment| segment.eq_ignore_ascii_case("providers"));
    let owned = (is(0, "tenants") || is(0, "subscriptions")) && !below_provider;
    let with_group = segments.len() > 3 && is(2, "resourceGroups") && !is(4, "resources");
    if owned && !with_group {
        query::check_version(platform, request)?;
    }
    for (row, path) in ROUTES.fitting(&request.method, segments) {
        let asked = Asked { platform, request, segments, path };
        if let Some(answer) = (row.run.run)(&asked).await? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

/// The action of a request, by the row that is for it: empty for one that only shows something, `None` for what is none of these.
pub(super) fn action_of(method: &str, segments: &[String]) -> Option<String> {
    let (row, names) = ROUTES.fitting(method, segments).next()?;
    let words = row.path.split('/').filter(|word| word.starts_with('{'));
    Some(words.zip(&names).fold(row.run.action.to_owned(), |action, (word, name)| action.replace(word, name)))
}

impl Asked<'_> {
    /// The subscription that is the first name of the path; refused where it is not ours.
    fn own(&self) -> Result<Arc<Subscription>> {
        subscriptions::require(self.platform, &self.path[0])
    }

    /// The subscription of a path that may have none.
    fn of_path(&self) -> Result<Option<Arc<Subscription>>> {
        let named = self.segments.first().is_some_and(|word| word.eq_ignore_ascii_case("subscriptions"));
        named.then(|| self.own()).transpose()
    }

    /// A list that is whole in memory, page by page.
    fn listed(&self, value: Vec<Value>) -> Result<Option<ArmResponse>> {
        query::check(self.request, query::PAGED)?;
        self.page(value)
    }

    fn page(&self, value: Vec<Value>) -> Result<Option<ArmResponse>> {
        let (value, next) = query::page(self.request, value)?;
        Ok(Some(read::envelope(value, next)))
    }

    fn providers(&self) -> Result<Option<ArmResponse>> {
        query::check_given_version(self.platform, self.request)?;
        query::check(self.request, &["$expand", "$top", "$skipToken"])?;
        query::expand(self.request, PROVIDER_EXPANDABLE)?;
        self.page(providers::all(self.platform, self.of_path()?.as_deref()))
    }

    fn provider(&self, namespace: &str) -> Result<Option<ArmResponse>> {
        query::check_given_version(self.platform, self.request)?;
        query::check(self.request, &["$expand"])?;
        query::expand(self.request, PROVIDER_EXPANDABLE)?;
        providers::show(self.platform, self.of_path()?.as_deref(), namespace).map(Some)
    }

    fn provider_operations(&self, namespace: Option<&str>) -> Result<Option<ArmResponse>> {
        query::check(self.request, &["$expand", "$top", "$skipToken"])?;
        query::expand(self.request, &["resourceTypes"])?;
        let Some(namespace) = namespace else { return self.page(actions::provider_documents(self.platform)) };
        match actions::provider_operations(self.platform, namespace) {
            Some(document) => done(document),
            None => Err(providers::unknown(&self.platform.types, namespace)),
        }
    }

    async fn poll(&self, results: bool) -> Result<Option<ArmResponse>> {
        let id = self.path.last().map(String::as_str).unwrap_or_default();
        operations::poll(self.platform, self.request, results, id).await.map(Some)
    }

    fn subscription(&self) -> Result<Option<ArmResponse>> {
        let known = self.own()?;
        let scope = ResourceId::subscription(&self.path[0]);
        self.platform.authorize(&self.request.actor, subscription::READ, &scope)?;
        query::check(self.request, &[])?;
        done(subscription::view(self.platform, &known))
    }

    fn locations(&self) -> Result<Option<ArmResponse>> {
        self.listed(region::listing(&self.own()?.id.to_string()))
    }

    async fn resources(&self) -> Result<Option<ArmResponse>> {
        self.own()?;
        let scope = match self.path.as_slice() {
            [subscription, group] => ResourceId::group(subscription, group),
            _ => ResourceId::subscription(&self.path[0]),
        };
        // Who may see nothing here does not learn whether the group is there.
        if !self.platform.access().reaches_into(self.request.actor.id(), &scope) {
            return Ok(Some(read::envelope(Vec::new(), None)));
        }
        listing::answer(self.platform, self.request, &scope).await.map(Some)
    }

    /// A caller sees a subscription when any of its roles reads something in it.
    fn subscriptions(&self) -> Vec<Value> {
        let visible = subscription::visible(self.platform, self.request);
        visible.iter().map(|known| subscription::view(self.platform, known)).collect()
    }

    async fn groups(&self) -> Result<Option<ArmResponse>> {
        self.own()?;
        groups(self.platform, self.request, &self.path[0]).await.map(Some)
    }

    async fn check_name(&self) -> Result<Option<ArmResponse>> {
        let Some(decl) = name_checked(self.platform, &self.path[1], &self.path[2]) else { return Ok(None) };
        let known = self.own()?;
        name_check::answer(self.platform, self.request, &known, decl).await.map(Some)
    }

    async fn register(&self, registered: bool) -> Result<Option<ArmResponse>> {
        query::check_given_version(self.platform, self.request)?;
        providers::register(self.platform, self.request, &*self.own()?, &self.path[1], registered).await.map(Some)
    }

    async fn rename(&self) -> Result<Option<ArmResponse>> {
        let known = self.own()?;
        subscription::rename(self.platform, self.request, known.id).await.map(Some)
    }

    async fn cancel(&self) -> Result<Option<ArmResponse>> {
        let known = self.own()?;
        subscription::cancel(self.platform, self.request, known.id).await.map(Some)
    }

    fn resource_types(&self) -> Result<Option<ArmResponse>> {
        self.own()?;
        query::check_given_version(self.platform, self.request)?;
        query::expand(self.request, PROVIDER_EXPANDABLE)?;
        done(json!({"value": providers::resource_types(&self.platform.types, &self.path[1])?}))
    }

    async fn device_usages(&self) -> Result<Option<ArmResponse>> {
        let known = self.own()?;
        let all = usages::list(self.platform, self.request, &known, usages::OF_DEVICES).await?;
        self.listed(all)
    }

    async fn usages(&self) -> Result<Option<ArmResponse>> {
        let known = self.own()?;
        if let Some(location) = self.path.get(1) {
            region::normalize(location, "Microsoft.DeviceRegistry/usages")?;
        }
        let all = usages::list(self.platform, self.request, &known, usages::OF_REGISTRY).await?;
        self.listed(all)
    }

    async fn tags(&self) -> Result<Option<ArmResponse>> {
        query::check(self.request, &[])?;
        tag_scope::answer(self.platform, self.request, self.segments).await.map(Some)
    }

    async fn tag_names(&self) -> Result<Option<ArmResponse>> {
        let all = tag_names::list(self.platform, self.request, &*self.own()?).await?;
        self.listed(all)
    }

    async fn tag_name(&self) -> Result<Option<ArmResponse>> {
        let tag = (self.path[1].as_str(), self.path.get(2).map(String::as_str));
        tag_names::change(self.platform, self.request, &*self.own()?, tag).await.map(Some)
    }
}

/// The type whose names this action of a provider checks.
fn name_checked(platform: &Platform, provider: &str, word: &str) -> Option<&'static TypeDecl> {
    platform.types.all().iter().copied().find(|decl| {
        decl.kind.provider.eq_ignore_ascii_case(provider)
            && decl.name_check.is_some_and(|action| action.eq_ignore_ascii_case(word))
    })
}

fn done(body: Value) -> Result<Option<ArmResponse>> {
    Ok(Some(ArmResponse::new(200, Some(body))))
}

fn tenants(platform: &Platform) -> Vec<Value> {
    let id = &platform.tenancy.tenant_id;
    vec![json!({
        "id": format!("/tenants/{id}"),
        "tenantId": id,
        "displayName": "Ferrohub",
        "defaultDomain": platform.settings.domain,
        "domains": [platform.settings.domain],
        "tenantCategory": "Home",
        "tenantType": "AAD"
    })]
}

async fn groups(platform: &Platform, request: &ArmRequest, subscription: &str) -> Result<ArmResponse> {
    query::check(request, query::FILTERED)?;
    let filter = ResourceFilter::parse(request.query("$filter"))?;
    let scope = ResourceId::subscription(subscription);
    let Some(decl) = platform.types.tagged(tag::RESOURCE_GROUP) else { return Ok(read::envelope(Vec::new(), None)) };
    let everything = platform.authorize(&request.actor, &decl.action("read"), &scope).is_ok();
    let mut value = Vec::new();
    let Some(shape) = decl.views.last() else { return Ok(read::envelope(value, None)) };
    for stored in resources::every(platform, decl.kind.tag).await? {
        let wanted = stored.id.is_within(&scope) && filter.as_ref().is_none_or(|filter| filter.matches(&stored));
        if wanted && (everything || platform.authorize(&request.actor, &decl.action("read"), &stored.id).is_ok()) {
            value.push(render::render(platform, decl, shape, &stored).await?);
        }
    }
    let (value, next) = query::page(request, value)?;
    Ok(read::envelope(value, next))
}
