//! The provisioning service's API for its operators: enrollment groups and registrations
//! (reference: iot-hub-and-dps.md B). Paths are matched ignoring case, trailing slashes tolerated.

use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::provisioning::{DpsRef, PageRequest, Paged, Right};
use http::{HeaderName, Method};
use serde_json::Value;

/// Prefix of every data action here.
const ACTIONS: &str = "Microsoft.Devices/provisioningServices";

/// Answers a request.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let dps = service.provisioning.dps_by_host(&call.service_host()).await?;
    let door = Door { service, call, dps };
    let segments = call.segments()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some((collection, rest)) = segments.split_first() else { return Err(unknown(call)) };
    match collection.to_ascii_lowercase().as_str() {
        "enrollmentgroups" => door.groups(rest).await,
        "registrations" => door.registrations(rest).await,
        "enrollments" => {
            door.allow(Right::EnrollmentRead, "enrollments/read").await?;
            service.provisioning.individual_enrollments().map(|body| Reply::json(200, &body))
        }
        _ => Err(unknown(call)),
    }
}

/// A request at its provisioning service.
struct Door<'a> {
    service: &'a Service,
    call: &'a Call,
    dps: DpsRef,
}

impl Door<'_> {
    /// Refuses unless the caller has `right`, or `action` below the provisioning service.
    async fn allow(&self, right: Right, action: &str) -> Result<()> {
        let action = format!("{ACTIONS}/{action}");
        self.service
            .provisioning
            .service_caller(&self.dps, self.call.authorization(), right, &action, &self.service.authn)
            .await
    }

    async fn groups(&self, rest: &[&str]) -> Result<Reply> {
        let (provisioning, call) = (&self.service.provisioning, self.call);
        match rest {
            [] => {
                self.allow(Right::EnrollmentWrite, "enrollmentGroups/write").await?;
                Err(Error::not_implemented("Bulk changes of enrollment groups are not built; write them one by one with PUT /enrollmentGroups/{id}.")
                    .with_iot_code(501_000))
            }
            [word] if word.eq_ignore_ascii_case("query") && call.method == Method::POST => {
                self.allow(Right::EnrollmentRead, "enrollmentGroups/read").await?;
                let page = provisioning.query_groups(&self.dps, query_body(call).as_ref(), &page(call)?).await?;
                Ok(listed(page, "enrollmentGroup"))
            }
            [id] => self.group(id).await,
            [id, word] if word.eq_ignore_ascii_case("attestationmechanism") => {
                if call.method != Method::POST {
                    return Err(method_not_allowed(call, "POST"));
                }
                self.allow(Right::EnrollmentWrite, "attestationmechanism/details/action").await?;
                Ok(Reply::json(200, &provisioning.attestation_mechanism(&self.dps, id).await?))
            }
            _ => Err(unknown(call)),
        }
    }

    async fn group(&self, id: &str) -> Result<Reply> {
        let (provisioning, call) = (&self.service.provisioning, self.call);
        let if_match = call.header("if-match");
        match call.method {
            Method::GET => {
                self.allow(Right::EnrollmentRead, "enrollmentGroups/read").await?;
                Ok(Reply::json_with_etag(200, &provisioning.group(&self.dps, id).await?))
            }
            Method::PUT => {
                self.allow(Right::EnrollmentWrite, "enrollmentGroups/write").await?;
                Ok(Reply::json_with_etag(
                    200,
                    &provisioning.put_group(&self.dps, id, &call.require_json()?, if_match).await?,
                ))
            }
            Method::DELETE => {
                self.allow(Right::EnrollmentWrite, "enrollmentGroups/delete").await?;
                provisioning.delete_group(&self.dps, id, if_match).await?;
                Ok(Reply::empty(204))
            }
            _ => Err(method_not_allowed(call, "GET, PUT or DELETE")),
        }
    }

    async fn registrations(&self, rest: &[&str]) -> Result<Reply> {
        let (provisioning, call) = (&self.service.provisioning, self.call);
        match (rest, &call.method) {
            ([group, word], &Method::POST) if word.eq_ignore_ascii_case("query") => {
                self.allow(Right::RegistrationStatusRead, "registrationStates/read").await?;
                let page = provisioning.query_registrations(&self.dps, group, &page(call)?).await?;
                Ok(listed(page, "deviceRegistration"))
            }
            ([id], &Method::GET) => {
                self.allow(Right::RegistrationStatusRead, "registrationStates/read").await?;
                Ok(Reply::json_with_etag(200, &provisioning.registration(&self.dps, id).await?))
            }
            ([id], &Method::DELETE) => {
                self.allow(Right::RegistrationStatusWrite, "registrationStates/delete").await?;
                provisioning.delete_registration(&self.dps, id, call.header("if-match")).await?;
                Ok(Reply::empty(204))
            }
            ([_], _) => Err(method_not_allowed(call, "GET or DELETE")),
            _ => Err(unknown(call)),
        }
    }
}

/// The body of a query. The CLI sends the text of a Python dictionary, which is not JSON: it is passed on as text.
fn query_body(call: &Call) -> Option<Value> {
    call.json().unwrap_or_else(|_| Some(Value::String(String::from_utf8_lossy(&call.body).into_owned())))
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
