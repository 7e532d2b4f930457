//! The provisioning service's API for its operators: enrollment groups and registrations
//! (reference: iot-hub-and-dps.md B). Paths are matched ignoring case, trailing slashes tolerated.

use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use crate::json_body;
use ferrohub_model::api_version;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authz::Actor;
use ferrohub_service::provisioning::{DpsRef, PageRequest, Paged, ProvisioningService, check_names};
use ferrohub_service::route::{self, Found, RouteInfo, Row, Wants};
use futures_util::future::BoxFuture;
use http::HeaderName;
use serde_json::Value;

type Run = for<'a> fn(&'a DpsCall<'a>, &'a [String]) -> BoxFuture<'a, Result<Reply>>;

const fn row(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::PolicyOrBearer, run }
}

static ROUTES: &[Row<Run>] = &[
    row("*", "/enrollmentGroups", |at, _| Box::pin(at.bulk())),
    row("POST", "/enrollmentGroups/query", |at, _| Box::pin(at.query_groups())),
    row("GET", "/enrollmentGroups/{id}", |at, path| Box::pin(at.group(&path[0]))),
    row("PUT", "/enrollmentGroups/{id}", |at, path| Box::pin(at.put_group(&path[0]))),
    row("DELETE", "/enrollmentGroups/{id}", |at, path| Box::pin(at.delete_group(&path[0]))),
    row("POST", "/enrollmentGroups/{id}/attestationMechanism", |at, path| Box::pin(at.mechanism(&path[0]))),
    row("POST", "/registrations/{group}/query", |at, path| Box::pin(at.query_registrations(&path[0]))),
    row("GET", "/registrations/{id}", |at, path| Box::pin(at.registration(&path[0]))),
    row("DELETE", "/registrations/{id}", |at, path| Box::pin(at.delete_registration(&path[0]))),
    row("*", "/enrollments/**", |at, _| Box::pin(at.individual())),
];

/// The routes of a provisioning service for its operators.
pub(super) fn routes() -> Vec<RouteInfo> {
    route::info("dps", ROUTES)
}

/// Answers a request. Who asks is proven first: a stranger does not learn what there is.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let dps = service.provisioning.dps_by_host(&call.service_host(), call.client.peer).await?;
    let actor = service.provisioning.authenticate(&dps, call.authorization()).await?;
    api_version::PROVISIONING.check(call.query("api-version"))?;
    call.without_options()?;
    let at = DpsCall { provisioning: &service.provisioning, call, dps, actor };
    match route::find(ROUTES, call.method.as_str(), &call.segments()?) {
        Found::Row(row, path) => (row.run)(&at, &path).await,
        Found::OtherMethods(methods) => Err(method_not_allowed(call, &methods.join(", "))),
        Found::Nothing => Err(unknown(call)),
    }
}

/// A request at its provisioning service.
struct DpsCall<'a> {
    provisioning: &'a ProvisioningService,
    call: &'a Call,
    dps: DpsRef,
    actor: Actor,
}

impl DpsCall<'_> {
    async fn bulk(&self) -> Result<Reply> {
        Ok(Reply::json(200, &self.provisioning.bulk_groups(&self.actor, &self.dps).await?))
    }

    async fn individual(&self) -> Result<Reply> {
        Ok(Reply::json(200, &self.provisioning.individual_enrollments(&self.actor, &self.dps).await?))
    }

    async fn query_groups(&self) -> Result<Reply> {
        let (query, page) = (query_body(self.call), page(self.call)?);
        let mut found = self.provisioning.query_groups(&self.actor, &self.dps, query.as_ref(), &page).await?;
        self.shape(&mut found.items).await?;
        Ok(listed(found, "enrollmentGroup"))
    }

    async fn group(&self, id: &str) -> Result<Reply> {
        let mut group = self.provisioning.group(&self.actor, &self.dps, id).await?;
        self.shape(std::slice::from_mut(&mut group)).await?;
        Ok(Reply::json_with_etag(200, &group))
    }

    async fn put_group(&self, id: &str) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        check_names(self.call.query("api-version"), &body)?;
        let mut group = self.provisioning.put_group(&self.actor, &self.dps, id, &body, if_match).await?;
        self.shape(std::slice::from_mut(&mut group)).await?;
        Ok(Reply::json_with_etag(200, &group))
    }

    async fn shape(&self, groups: &mut [Value]) -> Result<()> {
        self.provisioning.shape(&self.dps, self.call.query("api-version"), groups).await
    }

    async fn delete_group(&self, id: &str) -> Result<Reply> {
        self.provisioning.delete_group(&self.actor, &self.dps, id, self.call.header("if-match")).await?;
        Ok(Reply::empty(204))
    }

    async fn mechanism(&self, id: &str) -> Result<Reply> {
        Ok(Reply::json(200, &self.provisioning.attestation_mechanism(&self.actor, &self.dps, id).await?))
    }

    async fn query_registrations(&self, group: &str) -> Result<Reply> {
        let (query, page) = (query_body(self.call), page(self.call)?);
        let found = self.provisioning.query_registrations(&self.actor, &self.dps, group, query.as_ref(), &page).await?;
        Ok(listed(found, "deviceRegistration"))
    }

    async fn registration(&self, id: &str) -> Result<Reply> {
        Ok(Reply::json_with_etag(200, &self.provisioning.registration(&self.actor, &self.dps, id).await?))
    }

    async fn delete_registration(&self, id: &str) -> Result<Reply> {
        self.provisioning.delete_registration(&self.actor, &self.dps, id, self.call.header("if-match")).await?;
        Ok(Reply::empty(204))
    }
}

/// The body of a query. The CLI sends the text of a Python dictionary, which is not JSON: it is passed on as text.
fn query_body(call: &Call) -> Option<Value> {
    call.json()
        .unwrap_or_else(|_| Some(Value::String(String::from_utf8_lossy(json_body::unmarked(&call.body)).into_owned())))
}

fn page(call: &Call) -> Result<PageRequest> {
    let max_items = match call.header("x-ms-max-item-count").map(str::trim).filter(|count| !count.is_empty()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Error::invalid(format!("The header x-ms-max-item-count is '{}'; it must be a number.", shown(text)))
                .with_iot_code(400_004)
        })?),
    };
    Ok(PageRequest { max_items, continuation: call.header("x-ms-continuation").map(str::to_owned) })
}

fn listed(page: Paged, item_type: &str) -> Reply {
    let count = page.items.len().to_string();
    let reply = Reply::json(200, &Value::Array(page.items))
        .with(HeaderName::from_static("x-ms-item-type"), item_type)
        .with(HeaderName::from_static("x-ms-max-item-count"), count);
    match page.continuation {
        Some(token) => reply.with(HeaderName::from_static("x-ms-continuation"), token),
        None => reply,
    }
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!(
        "The provisioning service has nothing at '{}'. It serves /enrollmentGroups, /registrations and, for devices, /{{idScope}}/registrations/{{registrationId}}/register.",
        shown(&call.path)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::request::tests::call;

    #[test]
    fn paging_headers() {
        let mut call = call("POST", "h", "/enrollmentGroups/query", "{'query': 'SELECT * FROM enrollmentGroups'}");
        assert_eq!(page(&call).unwrap().max_items, None);
        assert!(query_body(&call).unwrap().as_str().unwrap().contains("SELECT"));
        call.headers.insert("x-ms-max-item-count", "7".parse().unwrap());
        call.headers.insert("x-ms-continuation", "abc".parse().unwrap());
        let wanted = page(&call).unwrap();
        assert_eq!((wanted.max_items, wanted.continuation.as_deref()), (Some(7), Some("abc")));
        call.headers.insert("x-ms-max-item-count", "many".parse().unwrap());
        assert_eq!(page(&call).unwrap_err().numeric_code(), 400_004);
        let reply = listed(Paged { items: vec![Value::Null], continuation: Some("next".into()) }, "enrollmentGroup");
        assert!(reply.headers.contains(&(HeaderName::from_static("x-ms-continuation"), "next".into())));
    }
}
