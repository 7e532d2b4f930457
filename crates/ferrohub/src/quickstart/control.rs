//! The control plane half: what seed 000 does with `az`, through the same HTTPS API.

use super::names::{
    self, ACTIONS, CONTRIBUTOR, HUB_REGISTRY_CONTRIBUTOR, IOT_HUB_APPLICATION, LOCATION, Names, POLICY, ROLE,
};
use crate::output::{Done, Progress};
use crate::owner::{Owner, SharedKey};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use http::Method;
use serde_json::{Value, json};

const GROUP_VERSION: &str = "2024-11-01";
const ROLE_VERSION: &str = "2022-04-01";
const IDENTITY_VERSION: &str = "2024-11-30";
const REGISTRY_VERSION: &str = "2026-03-01-preview";
/// Version of hub management with `deviceRegistry` and `policyResourceId`.
pub(crate) const HUB_VERSION: &str = "2025-08-01-preview";
const DPS_VERSION: &str = "2025-02-01-preview";
/// Version of the DPS service API with `credentialPolicyName`.
const ENROLLMENT_VERSION: &str = "2025-07-01-preview";

/// What the device half needs to know.
pub(super) struct Plant {
    pub(super) names: Names,
    pub(super) hub_host: String,
    pub(super) hub_key: SharedKey,
    pub(super) device_host: String,
    pub(super) id_scope: String,
    pub(super) group_key: String,
}

/// Makes or finds everything up to the enrollment group.
///
/// # Errors
/// That of the step that failed.
pub(super) async fn build(owner: &Owner, clock: &dyn Clock, progress: &mut Progress) -> Result<Plant> {
    let names = Names::of(owner.tenant(), owner.subscription());
    let setup = Setup { owner, names: &names, clock };
    setup.access(progress).await?;
    let identity = progress.step("user-assigned identity quickstart-identity", setup.identity()).await?;
    let namespace = setup.namespace(progress, &identity).await?;
    let hub = setup.hub(progress, &namespace).await?;
    let dps = setup.provisioning(progress, &hub).await?;
    progress.step("credential synchronize", setup.synchronize()).await?;
    progress.step("hub trusts the policy's CA", setup.hub_certificate()).await?;
    let group_key =
        progress.step("enrollment group quickstart-group with policy default", setup.enrollment(&dps)).await?;
    let hub_key = owner.shared_key(&names.hub, HUB_VERSION, &["ServiceConnect", "RegistryRead"]).await?;
    Ok(Plant {
        hub_host: text(&hub, "/properties/hostName")?,
        device_host: text(&dps, "/properties/deviceProvisioningHostName")?,
        id_scope: text(&dps, "/properties/idScope")?,
        hub_key,
        group_key,
        names,
    })
}

struct Setup<'a> {
    owner: &'a Owner,
    names: &'a Names,
    clock: &'a dyn Clock,
}

impl Setup<'_> {
    /// Resource group, custom role, and the right of Azure's IoT Hub application on the group.
    async fn access(&self, progress: &mut Progress) -> Result<()> {
        let group = json!({ "location": LOCATION });
        progress.step("resource group quickstart-rg", self.ensure(&self.names.group, GROUP_VERSION, &group)).await?;
        let role = json!({ "properties": {
            "roleName": ROLE,
            "description": "Custom role for ADR namespace integration",
            "assignableScopes": [self.names.group],
            "permissions": [{ "actions": ACTIONS, "notActions": [], "dataActions": [], "notDataActions": [] }],
        }});
        progress.step(&format!("role definition {ROLE}"), self.ensure(&self.names.role, ROLE_VERSION, &role)).await?;
        let first_party = async {
            let principal = self.iot_hub_principal().await?;
            self.assign(&self.names.group, &principal, &self.names.built_in_role(CONTRIBUTOR)).await
        };
        progress.step("role assignment: Azure IoT Hub is Contributor on the group", first_party).await?;
        Ok(())
    }

    async fn identity(&self) -> Result<Done<Value>> {
        self.ensure(&self.names.identity, IDENTITY_VERSION, &json!({ "location": LOCATION })).await
    }

    async fn namespace(&self, progress: &mut Progress, identity: &Value) -> Result<Value> {
        let names = self.names;
        let body = json!({ "location": LOCATION, "identity": { "type": "SystemAssigned" } });
        let namespace =
            progress.step("namespace quickstart-ns", self.ensure(&names.namespace, REGISTRY_VERSION, &body)).await?;
        let credential = json!({ "location": LOCATION, "properties": {} });
        progress
            .step("credential default (root CA)", self.ensure(&names.credential, REGISTRY_VERSION, &credential))
            .await?;
        let policy = json!({ "location": LOCATION, "properties": { "certificate": {
            "certificateAuthorityConfiguration": { "keyType": "ECC" },
            "leafCertificateConfiguration": { "validityPeriodInDays": 30 },
        }}});
        let what = format!("policy {POLICY} (issuing CA)");
        progress.step(&what, self.ensure(&names.policy, REGISTRY_VERSION, &policy)).await?;
        let assignment =
            async { self.assign(&names.namespace, &text(identity, "/properties/principalId")?, &names.role).await };
        progress.step(&format!("role assignment: the identity is {ROLE} on the namespace"), assignment).await?;
        Ok(namespace)
    }

    async fn hub(&self, progress: &mut Progress, namespace: &Value) -> Result<Value> {
        let names = self.names;
        let body = json!({
            "location": LOCATION,
            "sku": { "name": "GEN2", "capacity": 1 },
            "identity": { "type": "UserAssigned", "userAssignedIdentities": { (names.identity.as_str()): {} } },
            "properties": {
                "eventHubEndpoints": { "events": { "retentionTimeInDays": 1, "partitionCount": 4 } },
                "deviceRegistry": { "namespaceResourceId": names.namespace, "identityResourceId": names.identity },
            },
        });
        let what = format!("hub {} linked to the namespace", names.hub_name);
        let hub = progress.step(&what, self.ensure(&names.hub, HUB_VERSION, &body)).await?;
        for (label, role) in [("Contributor", CONTRIBUTOR), ("IoT Hub Registry Contributor", HUB_REGISTRY_CONTRIBUTOR)]
        {
            let assignment = async {
                let principal = text(namespace, "/identity/principalId")?;
                self.assign(&names.hub, &principal, &names.built_in_role(role)).await
            };
            progress.step(&format!("role assignment: the namespace is {label} on the hub"), assignment).await?;
        }
        Ok(hub)
    }

    async fn provisioning(&self, progress: &mut Progress, hub: &Value) -> Result<Value> {
        let names = self.names;
        let body = json!({
            "location": LOCATION,
            "sku": { "name": "S1", "capacity": 1 },
            "identity": { "type": "UserAssigned", "userAssignedIdentities": { (names.identity.as_str()): {} } },
            "properties": { "deviceRegistryNamespace": {
                "resourceId": names.namespace,
                "authenticationType": "UserAssigned",
                "selectedUserAssignedIdentityResourceId": names.identity,
            }},
        });
        let what = format!("provisioning service {} linked to the namespace", names.dps_name);
        let dps = progress.step(&what, self.ensure(&names.dps, DPS_VERSION, &body)).await?;
        progress.step("linked hub of the provisioning service", self.linked_hub(dps, hub)).await
    }

    /// As `az iot dps linked-hub create`: the whole resource is written back with one hub more.
    async fn linked_hub(&self, mut dps: Value, hub: &Value) -> Result<Done<Value>> {
        let host = text(hub, "/properties/hostName")?;
        let linked = dps["properties"]["iotHubs"].as_array().cloned().unwrap_or_default();
        if linked.iter().any(|one| one["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&host))) {
            return Ok(Done::with(dps, "found"));
        }
        let rights = ["RegistryRead", "RegistryWrite", "ServiceConnect", "DeviceConnect"];
        let key = self.owner.shared_key(&self.names.hub, HUB_VERSION, &rights).await?;
        let mut hubs = linked;
        hubs.push(json!({ "connectionString": key.connection_string(&host), "location": LOCATION }));
        dps["properties"]["iotHubs"] = Value::Array(hubs);
        self.owner.put(&self.names.dps, DPS_VERSION, &dps).await.map(Done::new)
    }

    async fn synchronize(&self) -> Result<Done<()>> {
        self.owner.post(&format!("{}/synchronize", self.names.credential), REGISTRY_VERSION, None).await?;
        Ok(Done::new(()))
    }

    async fn hub_certificate(&self) -> Result<Done<()>> {
        let list =
            self.owner.get(&format!("{}/certificates", self.names.hub), HUB_VERSION).await?.unwrap_or(Value::Null);
        let ours = |entry: &&Value| {
            entry["properties"]["policyResourceId"]
                .as_str()
                .is_some_and(|id| id.eq_ignore_ascii_case(&self.names.policy))
        };
        let entries = list["value"].as_array().map(Vec::as_slice).unwrap_or_default();
        match entries.iter().find(ours) {
            Some(entry) => Ok(Done::with((), entry["properties"]["subject"].as_str().unwrap_or("").to_owned())),
            None => Err(Error::not_found(format!(
                "The hub {} lists no certificate of the policy after the synchronization.",
                self.names.hub_name
            ))),
        }
    }

    /// The group's primary key; the group is made if it is missing.
    async fn enrollment(&self, dps: &Value) -> Result<Done<String>> {
        let host = text(dps, "/properties/serviceOperationsHostName")?;
        let rights = ["ServiceConfig", "EnrollmentWrite"];
        let key = self.owner.shared_key(&self.names.dps, DPS_VERSION, &rights).await?;
        let path = format!("/enrollmentGroups/{}", names::ENROLLMENT);
        let query = format!("?api-version={ENROLLMENT_VERSION}");
        let call = |method: Method, path: String, body: Option<Value>| {
            let (host, key) = (&host, &key);
            async move { self.owner.data(method, host, &path, key, body.as_ref(), self.clock).await }
        };
        let found = call(Method::GET, format!("{path}{query}"), None).await?.is_some();
        if !found {
            let body = json!({
                "enrollmentGroupId": names::ENROLLMENT,
                "attestation": { "type": "symmetricKey", "symmetricKey": {} },
                "credentialPolicyName": POLICY,
                "provisioningStatus": "enabled",
            });
            call(Method::PUT, format!("{path}{query}"), Some(body)).await?;
        }
        let mechanism = call(Method::POST, format!("{path}/attestationmechanism{query}"), None).await?;
        let key = text(&mechanism.unwrap_or(Value::Null), "/symmetricKey/primaryKey")?;
        Ok(Done::with(key, if found { "found" } else { "" }))
    }

    /// The resource at `path`, made if it is missing.
    async fn ensure(&self, path: &str, version: &str, body: &Value) -> Result<Done<Value>> {
        if let Some(found) = self.owner.get(path, version).await? {
            return Ok(Done::with(found, "found"));
        }
        self.owner.put(path, version, body).await.map(Done::new)
    }

    async fn assign(&self, scope: &str, principal: &str, role: &str) -> Result<Done<Value>> {
        let body = json!({ "properties": { "roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal" } });
        let guid = role.rsplit('/').next().unwrap_or(role);
        match self.ensure(&Names::assignment(scope, principal, guid), ROLE_VERSION, &body).await {
            // Somebody made the same assignment under another id.
            Err(error) if error.kind == ErrorKind::Conflict && error.message.contains("RoleAssignmentExists") => {
                Ok(Done::with(Value::Null, "found"))
            }
            result => result,
        }
    }

    async fn iot_hub_principal(&self) -> Result<String> {
        let filter = format!("servicePrincipalNames/any(c:c%20eq%20'{IOT_HUB_APPLICATION}')");
        let answer = self.owner.graph(&format!("/servicePrincipals?$filter={filter}")).await?;
        text(&answer, "/value/0/id")
    }
}

/// The text at a JSON pointer.
fn text(document: &Value, pointer: &str) -> Result<String> {
    let found = document.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Error::internal(format!("the server's answer has no {pointer}")))
}
