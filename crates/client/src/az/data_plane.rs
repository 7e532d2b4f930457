//! Data-plane calls to a hub or a Device Provisioning Service: find it, authorise, send JSON.

use super::args::Args;
use super::context::{Context, DPS_SCOPE, HUB_SCOPE};
use super::failure::{Failure, Result};
use super::sas;
use super::versions;
use crate::http::Response;
use bytes::Bytes;
use ferrohub_model::limits::CLIENT_LIST_PAGES;
use ferrohub_wire::connection_string::ConnectionString;
use http::Method;
use serde_json::Value;

/// Life of the signatures made for one command: ours.
const SIGNATURE_SECONDS: i64 = 3600;

/// Which service is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// An IoT hub.
    Hub,
    /// A Device Provisioning Service.
    Dps,
}

/// A data plane that a command was pointed at.
#[derive(Debug, Clone)]
pub(crate) struct DataPlane {
    /// Which service.
    pub(crate) service: Service,
    /// Its host name.
    pub(crate) host: String,
    authorization: String,
}

impl Service {
    /// Its resource type.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Hub => "Microsoft.Devices/IotHubs",
            Self::Dps => "Microsoft.Devices/provisioningServices",
        }
    }

    /// The api-version of its resources.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Hub => versions::HUB,
            Self::Dps => versions::DPS,
        }
    }

    fn name_option(self) -> &'static str {
        match self {
            Self::Hub => "--hub-name",
            Self::Dps => "--dps-name",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Hub => "IoT Hub",
            Self::Dps => "IoT Hub Device Provisioning Service",
        }
    }

    fn host_pointer(self) -> &'static str {
        match self {
            Self::Hub => "/properties/hostName",
            Self::Dps => "/properties/serviceOperationsHostName",
        }
    }

    /// Rights a key must have for every operation of the data plane.
    fn rights(self) -> &'static [&'static str] {
        match self {
            Self::Hub => &["RegistryWrite", "ServiceConnect", "DeviceConnect"],
            Self::Dps => &["ServiceConfig", "EnrollmentWrite"],
        }
    }
}

/// The host name of a service's data plane.
fn host_of(service: Service, resource: &Value) -> String {
    resource.pointer(service.host_pointer()).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Context<'_> {
    /// The service that the command's context options name, ready for calls.
    ///
    /// # Errors
    /// `az`'s texts where no name is given or the service is not found.
    pub(crate) async fn data_plane(&mut self, args: &Args, service: Service) -> Result<DataPlane> {
        if let Some(login) = args.text("--login") {
            return self.by_connection_string(login, service);
        }
        let option = service.name_option();
        let Some(name) = args.text(option).filter(|name| !name.is_empty()) else {
            return Err(Failure::error(format!(
                "Please provide an {} entity name (via the '['{option}']' or '-n' parameter) or {0} connection string via --login...",
                service.title()
            )));
        };
        // A host name is accepted for a name.
        let short = name.split('.').next().unwrap_or(name);
        let resource = self.find_service(service, short, args.text("--resource-group")).await?;
        if args.text("--auth-type") != Some("login") {
            return self.data_plane_of(service, &resource).await;
        }
        let scope = if service == Service::Hub { HUB_SCOPE } else { DPS_SCOPE };
        let authorization = format!("Bearer {}", self.token(scope).await?.secret);
        Ok(DataPlane { service, host: host_of(service, &resource), authorization })
    }

    /// The data plane of a resource that was found, with a key of its own.
    ///
    /// # Errors
    /// ARM's error, or a sentence where no key suffices.
    pub(crate) async fn data_plane_of(&mut self, service: Service, resource: &Value) -> Result<DataPlane> {
        let host = host_of(service, resource);
        let key = self.key_with_rights(resource, service).await?;
        let text = |member: &str| key.get(member).and_then(Value::as_str).unwrap_or_default();
        let authorization = self.signature(&host, text("primaryKey"), text("keyName"))?;
        Ok(DataPlane { service, host, authorization })
    }

    /// The resource of the service `name`; without a group, the subscription is searched.
    ///
    /// # Errors
    /// `az`'s text, exit 3, where there is none.
    pub(crate) async fn find_service(&mut self, service: Service, name: &str, group: Option<&str>) -> Result<Value> {
        let path = self.collection_path(group, service.kind())?;
        let found = match group {
            Some(_) => self.arm_find(&format!("{path}/{}", super::context::segment(name)), service.version()).await?,
            None => {
                let all = self.arm_list(&path, service.version()).await?;
                all.into_iter()
                    .find(|one| one.get("name").and_then(Value::as_str).is_some_and(|n| n.eq_ignore_ascii_case(name)))
            }
        };
        let subscription = self.subscription()?;
        found.ok_or_else(|| {
            let place = match group {
                Some(group) => format!("resource group: {group}"),
                None => format!("current subscription {subscription}"),
            };
            Failure::not_found(format!("Unable to find {}: {name} in {place}.", service.title()))
        })
    }

    /// The first shared access key of a service that has every right of its data plane.
    ///
    /// # Errors
    /// ARM's error, or a sentence where no key suffices.
    pub(crate) async fn key_with_rights(&mut self, resource: &Value, service: Service) -> Result<Value> {
        let id = resource.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut keys = self.arm_post(&format!("{id}/listkeys"), service.version(), None).await?;
        let Some(Value::Array(keys)) = keys.get_mut("value").map(Value::take) else {
            return Err(Failure::error("The service listed no keys."));
        };
        let suffices = |key: &Value| {
            let rights = key.get("rights").and_then(Value::as_str).unwrap_or_default();
            let held: Vec<&str> = rights.split(',').map(str::trim).collect();
            service.rights().iter().all(|right| held.contains(right))
        };
        keys.into_iter().find(suffices).ok_or_else(|| {
            Failure::error(format!(
                "No shared access policy of the service has all of the rights {}.",
                service.rights().join(", ")
            ))
        })
    }

    fn by_connection_string(&mut self, login: &str, service: Service) -> Result<DataPlane> {
        let given = ConnectionString::parse(login)?;
        let host = sas::host_of(&given)?.to_owned();
        let expiry = self.environment.clock.unix_seconds() + SIGNATURE_SECONDS;
        Ok(DataPlane { service, host, authorization: sas::token_of(&given, expiry)? })
    }

    fn signature(&mut self, host: &str, key: &str, policy: &str) -> Result<String> {
        let expiry = self.environment.clock.unix_seconds() + SIGNATURE_SECONDS;
        sas::token(&host.to_ascii_lowercase(), key, Some(policy), expiry)
    }

    /// One call to a data plane; `path` starts with `/` and has no api-version.
    ///
    /// # Errors
    /// The service's error as `az` prints it, exit 3 for 404.
    pub(crate) async fn call(
        &mut self,
        plane: &DataPlane,
        method: Method,
        path: &str,
        body: Option<&Value>,
        etag: Option<&str>,
    ) -> Result<Value> {
        let headers: Vec<(&str, &str)> = etag.map(|etag| ("if-match", etag)).into_iter().collect();
        Ok(self.call_with(plane, method, path, body, &headers).await?.json()?)
    }

    /// The pages of a query, until they end or there are `top`; a negative or missing `top` means all.
    ///
    /// # Errors
    /// As [`Context::call`].
    pub(crate) async fn query(
        &mut self,
        plane: &DataPlane,
        path: &str,
        query: &Value,
        top: Option<i64>,
    ) -> Result<Value> {
        let most = top.and_then(|top| usize::try_from(top).ok()).unwrap_or(usize::MAX);
        let (mut all, mut next) = (Vec::new(), None::<String>);
        for _ in 0..CLIENT_LIST_PAGES {
            let headers: Vec<(&str, &str)> =
                next.as_deref().map(|next| ("x-ms-continuation", next)).into_iter().collect();
            let response = self.call_with(plane, Method::POST, path, Some(query), &headers).await?;
            if let Value::Array(page) = response.json()? {
                all.extend(page);
            }
            next = response.header("x-ms-continuation").filter(|next| !next.is_empty()).map(str::to_owned);
            if next.is_none() || all.len() >= most {
                all.truncate(most);
                return Ok(Value::Array(all));
            }
        }
        Err(Failure::error(format!("The list has more than {CLIENT_LIST_PAGES} pages.")))
    }

    async fn call_with(
        &mut self,
        plane: &DataPlane,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response> {
        let version = if plane.service == Service::Hub { versions::HUB_DATA } else { versions::DPS_DATA };
        let url = format!("https://{}{path}?api-version={version}", plane.host);
        if !self.owns_url(&url)? {
            let domain = self.domain()?;
            return Err(Failure::error(format!(
                "{} does not belong to the signed-in server (its domain is {domain}); no signature is sent there.",
                plane.host
            )));
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let response = self.send(method, &url, Some(&plane.authorization), headers, bytes).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        let reason = response.status.canonical_reason().unwrap_or("Unknown");
        Err(Failure::of_data_plane(response.status.as_u16(), reason, &response.body))
    }
}
