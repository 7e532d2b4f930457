//! The operations of a hub's service API: from the request to the hub's method, and from its answer to the reply.

use super::dps_service::page;
use super::reply::Reply;
use super::request::{Call, shown};
use crate::errors;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authz::Actor;
use ferrohub_service::hub::{ClientId, Failed, HubRef, Regenerated};
use http::HeaderName;
use serde_json::{Value, json};

/// A request at its hub.
pub(super) struct HubCall<'a> {
    pub(super) service: &'a Service,
    pub(super) call: &'a Call,
    pub(super) hub: HubRef,
    pub(super) actor: Actor,
}

impl HubCall<'_> {
    pub(super) async fn get_device(&self, id: &str) -> Result<Reply> {
        Ok(Reply::json_with_etag(200, &self.service.hub.get_device(&self.actor, &self.hub, id).await?))
    }

    pub(super) async fn put_device(&self, id: &str) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        let device = self.service.hub.put_device(&self.actor, &self.hub, id, &body, if_match).await?;
        Ok(Reply::json_with_etag(200, &device))
    }

    pub(super) async fn delete_device(&self, id: &str) -> Result<Reply> {
        self.service.hub.delete_device(&self.actor, &self.hub, id, self.call.header("if-match")).await?;
        Ok(Reply::empty(204))
    }

    pub(super) async fn list_devices(&self) -> Result<Reply> {
        let top = self.call.query("top").map(str::trim).filter(|top| !top.is_empty());
        let top = top.map(|top| top.parse().map_err(|_| no_number("top", top))).transpose()?;
        let devices = self.service.hub.list_devices(&self.actor, &self.hub, top).await?;
        Ok(Reply::json(200, &Value::Array(devices)))
    }

    /// Where an entry fails the answer is 400 and has the list of them all the same; the header tells clients which 400 it is.
    pub(super) async fn bulk(&self) -> Result<Reply> {
        let failed = self.service.hub.bulk(&self.actor, &self.hub, &self.call.require_json()?).await?;
        let entries: Vec<Value> = failed.iter().map(|failed| entry("deviceId", failed)).collect();
        let result = json!({"isSuccessful": failed.is_empty(), "errors": entries, "warnings": []});
        Ok(match failed.is_empty() {
            true => Reply::json(200, &result),
            false => Reply::json(400, &result).with(ERROR_CODE, "BulkRegistryOperationFailure"),
        })
    }

    /// 207 where some of the keys are new, 400 where none is.
    pub(super) async fn regenerate_keys(&self) -> Result<Reply> {
        let body = self.call.require_json()?;
        let Regenerated { policy_key, rotated, failed } =
            self.service.hub.regenerate_keys(&self.actor, &self.hub, &body).await?;
        let status = match (rotated.is_empty(), failed.is_empty()) {
            (_, true) => 200,
            (false, false) => 207,
            (true, false) => 400,
        };
        let errors: Vec<Value> = failed.iter().map(|failed| entry("id", failed)).collect();
        let reply = Reply::json(status, &json!({"policyKey": policy_key, "rotatedKeys": rotated, "errors": errors}));
        Ok(match failed.is_empty() {
            true => reply,
            false => reply.with(ERROR_CODE, "BulkRegenerateDeviceKeyOperationFailure"),
        })
    }

    pub(super) async fn query(&self) -> Result<Reply> {
        let body = self.call.require_json()?;
        // Without a text the hub refuses, once it has asked for the right.
        let text = body.get("query").and_then(Value::as_str).unwrap_or_default();
        let page = self.service.hub.query(&self.actor, &self.hub, text, &page(self.call)?).await?;
        let reply =
            Reply::json(200, &Value::Array(page.items)).with(HeaderName::from_static("x-ms-item-type"), page.item_type);
        Ok(match page.continuation {
            Some(token) => reply.with(HeaderName::from_static("x-ms-continuation"), token),
            None => reply,
        })
    }

    pub(super) async fn list_modules(&self, id: &str) -> Result<Reply> {
        let modules = self.service.hub.list_modules(&self.actor, &self.hub, id).await?;
        Ok(Reply::json(200, &Value::Array(modules)))
    }

    pub(super) async fn get_module(&self, client: ClientId<'_>) -> Result<Reply> {
        Ok(Reply::json_with_etag(200, &self.service.hub.get_module(&self.actor, &self.hub, client).await?))
    }

    pub(super) async fn put_module(&self, client: ClientId<'_>) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        let (module, new) = self.service.hub.put_module(&self.actor, &self.hub, client, &body, if_match).await?;
        Ok(Reply::json_with_etag(if new { 201 } else { 200 }, &module))
    }

    pub(super) async fn delete_module(&self, client: ClientId<'_>) -> Result<Reply> {
        self.service.hub.delete_module(&self.actor, &self.hub, client, self.call.header("if-match")).await?;
        Ok(Reply::empty(204))
    }

    pub(super) async fn get_twin(&self, client: ClientId<'_>) -> Result<Reply> {
        Ok(Reply::json_with_etag(200, &self.service.hub.get_twin(&self.actor, &self.hub, client).await?))
    }

    pub(super) async fn patch_twin(&self, client: ClientId<'_>) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        let twin = self.service.hub.patch_twin(&self.actor, &self.hub, client, &body, if_match).await?;
        Ok(Reply::json_with_etag(200, &twin))
    }

    pub(super) async fn put_twin(&self, client: ClientId<'_>) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        let twin = self.service.hub.replace_twin(&self.actor, &self.hub, client, &body, if_match).await?;
        Ok(Reply::json_with_etag(200, &twin))
    }

    pub(super) async fn device_statistics(&self) -> Result<Reply> {
        Ok(Reply::json(200, &self.service.hub.device_statistics(&self.actor, &self.hub).await?))
    }

    pub(super) async fn service_statistics(&self) -> Result<Reply> {
        Ok(Reply::json(200, &self.service.hub.service_statistics(&self.actor, &self.hub).await?))
    }
}

const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");

/// An entry of a list of what failed, the device's id under the name `id`.
fn entry(id: &str, failed: &Failed) -> Value {
    let mut entry = json!({
        "moduleId": failed.module_id,
        "errorCode": errors::hub::name(&failed.error),
        "errorStatus": failed.error.message,
    });
    entry[id] = failed.device_id.as_str().into();
    entry
}

fn no_number(name: &str, given: &str) -> Error {
    Error::invalid(format!(
        "The query option '{name}' is '{}'; it must be a number that is not negative.",
        shown(given)
    ))
    .with_code("ArgumentInvalid")
    .with_iot_code(400_004)
}
