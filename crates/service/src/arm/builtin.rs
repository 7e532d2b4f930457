//! What is no resource type: subscriptions, tenants, locations, providers, resource listings, name checks, polls.

use super::activity::listing as log;
use super::declaration::TypeDecl;
use super::filter::ResourceFilter;
use super::request::{ArmRequest, ArmResponse};
use super::types::Types;
use super::{listing, name_check, not_built, operations, providers, query, read, region, render, require_subscription};
use crate::audit;
use crate::platform::Platform;
use crate::resources::{self, tag};
use crate::route::{self, RouteInfo, Row, Wants};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

type Run = for<'a> fn(&'a Asked<'a>) -> BoxFuture<'a, Result<Option<ArmResponse>>>;

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

/// Reading the subscription itself.
const READ_SUBSCRIPTION: &str = "Microsoft.Resources/subscriptions/read";

/// Actions of what is no resource type.
pub const ACTIONS: &[&str] = &[READ_SUBSCRIPTION, operations::READ_RESULTS, log::READ, audit::READ];

const fn open(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::Principal, run }
}

const fn right(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::Right, run }
}

/// Rows are tried in order; one that answers `None` leaves the request to the next, and the last to the resource types.
/// Lists that show what the caller may read, and nothing else, ask for no right.
static ROUTES: &[Row<Run>] = &[
    right("GET", "/**/operationStatuses/{id}", |asked| Box::pin(asked.poll(false))),
    right("GET", "/**/operationResults/{id}", |asked| Box::pin(asked.poll(true))),
    right("GET", "/**/asyncOperationStatuses/{id}", |asked| Box::pin(asked.poll(false))),
    open("GET", "/tenants", |asked| Box::pin(async { asked.listed(tenants(asked.platform)) })),
    open("GET", "/subscriptions", |asked| Box::pin(async { asked.listed(visible_subscriptions(asked)) })),
    right("GET", "/subscriptions/{subscription}", |asked| Box::pin(async { asked.subscription() })),
    open("GET", "/subscriptions/{subscription}/locations", |asked| Box::pin(async { asked.locations() })),
    open("GET", "/subscriptions/{subscription}/resources", |asked| Box::pin(asked.resources())),
    open("GET", "/subscriptions/{subscription}/resourceGroups", |asked| Box::pin(asked.groups())),
    open("GET", "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/resources", |asked| {
        Box::pin(asked.resources())
    }),
    open("GET", "/**/providers/Microsoft.Authorization/permissions", |asked| {
        Box::pin(async { permissions(asked.platform, asked.request, asked.segments).and_then(|all| asked.listed(all)) })
    }),
    open("GET", "/providers", |asked| Box::pin(async { asked.providers() })),
    open("GET", "/providers/{provider}", |asked| Box::pin(async { asked.provider(&asked.path[0]) })),
    open("GET", "/providers/{provider}/operations", |asked| {
        Box::pin(async { providers::operations_of(asked.platform, &asked.path[0]).and_then(|all| asked.listed(all)) })
    }),
    open("GET", "/subscriptions/{subscription}/providers", |asked| {
        Box::pin(async { asked.own().and_then(|()| asked.providers()) })
    }),
    open("GET", "/subscriptions/{subscription}/providers/{provider}", |asked| {
        Box::pin(async { asked.own().and_then(|()| asked.provider(&asked.path[1])) })
    }),
    open("POST", "/subscriptions/{subscription}/providers/{provider}/register", |asked| {
        Box::pin(async { asked.own().and_then(|()| providers::register(asked.platform, &asked.path[1])).map(Some) })
    }),
    open("POST", "/subscriptions/{subscription}/providers/{provider}/unregister", |asked| {
        Box::pin(async { asked.own().and_then(|()| providers::unregister(asked.platform, &asked.path[1])).map(Some) })
    }),
    open("POST", "/subscriptions/{subscription}/providers/{provider}/{nameCheck}", |asked| {
        Box::pin(asked.check_name())
    }),
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
            audit::listing::answer(asked.platform, asked.request, &asked.path[0]).await.map(Some)
        })
    }),
];

/// The routes of Resource Manager: those of no resource type, those of every type, and those that are not built.
pub fn routes() -> Vec<RouteInfo> {
    let mut all = route::info("arm", ROUTES);
    for decl in Types::built_in().all() {
        all.extend(decl.routes().into_iter().filter(|new| !ROUTES.iter().any(|row| is_same(row, new))));
    }
    all.extend(not_built::routes());
    all
}

/// Whether a row stands before the route of a type: the list of resource groups is one of ours.
fn is_same(row: &Row<Run>, route: &RouteInfo) -> bool {
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
        check_version(platform, request)?;
    }
    for (row, path) in route::fitting(ROUTES, &request.method, segments) {
        let asked = Asked { platform, request, segments, path };
        if let Some(answer) = (row.run)(&asked).await? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

impl Asked<'_> {
    /// Refuses a subscription that is not ours; it is the first name of the path.
    fn own(&self) -> Result<()> {
        require_subscription(self.platform, &self.path[0])
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
        check_given_version(self.platform, self.request)?;
        query::check(self.request, &["$expand", "$top", "$skipToken"])?;
        query::expand(self.request, PROVIDER_EXPANDABLE)?;
        self.page(providers::all(self.platform))
    }

    fn provider(&self, namespace: &str) -> Result<Option<ArmResponse>> {
        check_given_version(self.platform, self.request)?;
        query::check(self.request, &["$expand"])?;
        query::expand(self.request, PROVIDER_EXPANDABLE)?;
        providers::show(self.platform, namespace).map(Some)
    }

    async fn poll(&self, results: bool) -> Result<Option<ArmResponse>> {
        let id = self.path.last().map(String::as_str).unwrap_or_default();
        operations::poll(self.platform, self.request, results, id).await.map(Some)
    }

    fn subscription(&self) -> Result<Option<ArmResponse>> {
        self.own()?;
        let scope = ResourceId::subscription(&self.path[0]);
        self.platform.authorize(&self.request.actor, READ_SUBSCRIPTION, &scope)?;
        query::check(self.request, &[])?;
        done(subscription(self.platform))
    }

    fn locations(&self) -> Result<Option<ArmResponse>> {
        self.own()?;
        self.listed(region::listing(&self.platform.tenancy.subscription_id))
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

    async fn groups(&self) -> Result<Option<ArmResponse>> {
        self.own()?;
        groups(self.platform, self.request, &self.path[0]).await.map(Some)
    }

    async fn check_name(&self) -> Result<Option<ArmResponse>> {
        let Some(decl) = name_checked(self.platform, &self.path[1], &self.path[2]) else { return Ok(None) };
        self.own()?;
        name_check::answer(self.platform, self.request, decl).await.map(Some)
    }
}

/// The type whose names this action of a provider checks.
fn name_checked(platform: &Platform, provider: &str, word: &str) -> Option<&'static TypeDecl> {
    platform.types.all().iter().copied().find(|decl| {
        decl.kind.provider.eq_ignore_ascii_case(provider)
            && decl.name_check.is_some_and(|action| action.eq_ignore_ascii_case(word))
    })
}

/// ARM's own paths take the api-versions of its own types, and they take one.
fn check_version(platform: &Platform, request: &ArmRequest) -> Result<()> {
    let version = request.query("api-version").ok_or_else(|| {
        Error::invalid("The api-version query parameter (?api-version=) is required for all requests.")
            .with_code("MissingApiVersionParameter")
    })?;
    let version = ApiVersion::parse(version)?;
    platform.types.tagged(tag::RESOURCE_GROUP).map_or(Ok(()), |own| own.view(&version, None).map(drop))
}

/// The same for what may be asked without one.
fn check_given_version(platform: &Platform, request: &ArmRequest) -> Result<()> {
    if request.query("api-version").is_some_and(|version| !version.is_empty()) {
        return check_version(platform, request);
    }
    Ok(())
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

fn subscription(platform: &Platform) -> Value {
    let id = &platform.tenancy.subscription_id;
    json!({
        "id": format!("/subscriptions/{id}"),
        "subscriptionId": id,
        "tenantId": platform.tenancy.tenant_id,
        "displayName": "Ferrohub",
        "state": "Enabled",
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "Ferrohub", "spendingLimit": "Off"},
        "authorizationSource": "RoleBased",
        "managedByTenants": []
    })
}

/// A caller sees the subscription when any of its roles reads something in it.
fn visible_subscriptions(asked: &Asked<'_>) -> Vec<Value> {
    let platform = asked.platform;
    let scope = ResourceId::subscription(&platform.tenancy.subscription_id);
    let visible = platform.access().reaches_into(asked.request.actor.id(), &scope);
    visible.then(|| subscription(platform)).into_iter().collect()
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
        let wanted = filter.as_ref().is_none_or(|filter| filter.matches(&stored));
        if wanted && (everything || platform.authorize(&request.actor, &decl.action("read"), &stored.id).is_ok()) {
            value.push(render::render(platform, decl, shape, &stored).await?);
        }
    }
    let (value, next) = query::page(request, value)?;
    Ok(read::envelope(value, next))
}

fn permissions(platform: &Platform, request: &ArmRequest, segments: &[String]) -> Result<Vec<Value>> {
    let scope = ResourceId::parse(&format!("/{}", segments[..segments.len() - 3].join("/")))?;
    let all = platform.access().permissions_at(request.actor.id(), &scope);
    Ok(all.into_iter().map(|p| serde_json::to_value(p).unwrap_or(Value::Null)).collect())
}
