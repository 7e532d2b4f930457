//! The provisioning service's API for its operators: enrollments of both kinds and registrations
//! (reference: iot-hub-and-dps.md B). Paths are matched ignoring case, trailing slashes tolerated.

use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use crate::json_body;
use ferrohub_model::api_version;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authz::Actor;
use ferrohub_service::provisioning::EnrollmentKind::{Group, Individual};
use ferrohub_service::provisioning::{DpsRef, EnrollmentKind, PageRequest, Paged, ProvisioningService, check_names};
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use futures_util::future::BoxFuture;
use http::HeaderName;
use serde_json::Value;

type Run = for<'a> fn(&'a DpsCall<'a>, &'a [String]) -> BoxFuture<'a, Result<Reply>>;

const fn row(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::PolicyOrBearer, run }
}

static ROUTES: Table<Run> = Table::new(&[
    row("POST", "/enrollmentGroups", |at, _| Box::pin(at.bulk(Group))),
    row("POST", "/enrollmentGroups/query", |at, _| Box::pin(at.query(Group))),
    row("GET", "/enrollmentGroups/{id}", |at, path| Box::pin(at.get(Group, &path[0]))),
    row("PUT", "/enrollmentGroups/{id}", |at, path| Box::pin(at.put(Group, &path[0]))),
    row("DELETE", "/enrollmentGroups/{id}", |at, path| Box::pin(at.delete(Group, &path[0]))),
    row("POST", "/enrollmentGroups/{id}/attestationMechanism", |at, path| Box::pin(at.mechanism(Group, &path[0]))),
    row("POST", "/enrollments", |at, _| Box::pin(at.bulk(Individual))),
    row("POST", "/enrollments/query", |at, _| Box::pin(at.query(Individual))),
    row("GET", "/enrollments/{id}", |at, path| Box::pin(at.get(Individual, &path[0]))),
    row("PUT", "/enrollments/{id}", |at, path| Box::pin(at.put(Individual, &path[0]))),
    row("DELETE", "/enrollments/{id}", |at, path| Box::pin(at.delete(Individual, &path[0]))),
    row("POST", "/enrollments/{id}/attestationMechanism", |at, path| Box::pin(at.mechanism(Individual, &path[0]))),
    row("POST", "/registrations/{group}/query", |at, path| Box::pin(at.query_registrations(&path[0]))),
    row("GET", "/registrations/{id}", |at, path| Box::pin(at.registration(&path[0]))),
    row("DELETE", "/registrations/{id}", |at, path| Box::pin(at.delete_registration(&path[0]))),
]);

/// The routes of a provisioning service for its operators.
pub(super) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("dps")
}

/// The service that is meant, and who asks. That is proven first: a stranger does not learn what there is.
pub(super) async fn admit(service: &Service, call: &Call) -> Result<(DpsRef, Actor)> {
    let dps = service.provisioning.dps_by_host(&call.service_host(), call.client.peer).await?;
    let actor = service.provisioning.authenticate(&dps, call.authorization()).await?;
    Ok((dps, actor))
}

/// Answers a request of `actor` at `dps`.
pub(super) async fn handle(service: &Service, call: &Call, dps: DpsRef, actor: Actor) -> Result<Reply> {
    api_version::PROVISIONING.check(call.query("api-version"))?;
    call.without_options()?;
    let at = DpsCall { provisioning: &service.provisioning, call, dps, actor };
    match ROUTES.find(call.method.as_str(), &call.segments()?) {
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
    async fn bulk(&self, kind: EnrollmentKind) -> Result<Reply> {
        let (body, version) = (self.call.require_json()?, self.call.query("api-version"));
        Ok(Reply::json(200, &self.provisioning.bulk_enrollments(&self.actor, &self.dps, kind, version, &body).await?))
    }

    async fn query(&self, kind: EnrollmentKind) -> Result<Reply> {
        let (query, page) = (query_body(self.call), page(self.call)?);
        let mut found =
            self.provisioning.query_enrollments(&self.actor, &self.dps, kind, query.as_ref(), &page).await?;
        self.shape(kind, &mut found.items).await?;
        let item_type = match kind {
            Group => "enrollmentGroup",
            Individual => "enrollment",
        };
        Ok(listed(found, item_type))
    }

    async fn get(&self, kind: EnrollmentKind, id: &str) -> Result<Reply> {
        let mut found = self.provisioning.enrollment(&self.actor, &self.dps, kind, id).await?;
        self.shape(kind, std::slice::from_mut(&mut found)).await?;
        Ok(Reply::json_with_etag(200, &found))
    }

    async fn put(&self, kind: EnrollmentKind, id: &str) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        check_names(self.call.query("api-version"), &body)?;
        let mut made = self.provisioning.put_enrollment(&self.actor, &self.dps, kind, id, &body, if_match).await?;
        self.shape(kind, std::slice::from_mut(&mut made)).await?;
        Ok(Reply::json_with_etag(200, &made))
    }

    async fn shape(&self, kind: EnrollmentKind, enrollments: &mut [Value]) -> Result<()> {
        self.provisioning.shape(&self.actor, &self.dps, kind, self.call.query("api-version"), enrollments).await
    }

    async fn delete(&self, kind: EnrollmentKind, id: &str) -> Result<Reply> {
        let if_match = self.call.header("if-match");
        self.provisioning.delete_enrollment(&self.actor, &self.dps, kind, id, if_match).await?;
        Ok(Reply::empty(204))
    }

    async fn mechanism(&self, kind: EnrollmentKind, id: &str) -> Result<Reply> {
        Ok(Reply::json(200, &self.provisioning.attestation_mechanism(&self.actor, &self.dps, kind, id).await?))
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

/// Which page a request wants, of a list of this service or of a hub's.
pub(super) fn page(call: &Call) -> Result<PageRequest> {
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
        "The provisioning service has nothing at '{}'. It serves /enrollments, /enrollmentGroups, /registrations and, for devices, /{{idScope}}/registrations/{{registrationId}}/register.",
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
