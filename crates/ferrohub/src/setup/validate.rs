//! The end of a setup: whether hub, provisioning service, namespace, identity and role assignments are there and belong together.

use super::command_line::CommandLine;
use super::guide::Guide;
use super::steps::{HUB_ROLES, IOT_HUB_APPLICATION, POLICY, linked_hub};
use super::variables::Wanted;
use crate::output::line;
use ferrohub_model::error::Result;
use serde_json::Value;

/// What was looked at.
struct Validation<'a> {
    az: &'a mut CommandLine,
    guide: &'a Guide,
    wanted: &'a Wanted,
    good: bool,
}

/// Prints a finding for each thing; `false` where one is bad.
///
/// # Errors
/// Where nobody reads any more.
pub(super) async fn run(az: &mut CommandLine, guide: &mut Guide, wanted: &Wanted) -> Result<bool> {
    line("\nValidation");
    let mut all = Validation { az, guide, wanted, good: true };
    let identity = all.identity().await?;
    let namespace = all.namespace().await?;
    all.hub().await?;
    all.dps().await?;
    all.roles(&identity, &namespace).await?;
    let good = all.good;
    line(if good {
        "\nAll is there. Next: an enrollment group ('az iot dps enrollment-group create'), and a device ('ferrohub device run')."
    } else {
        "\nSomething is missing; run the setup again, without skipping its step."
    });
    Ok(good)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Validation<'_> {
    fn finding(&mut self, good: bool, what: &str) -> Result<()> {
        self.good &= good;
        self.guide.finding(good, what)
    }

    async fn look(&mut self, words: &[&str]) -> Value {
        self.az.look(words).await.unwrap_or_default()
    }

    /// The identity's principal.
    async fn identity(&mut self) -> Result<String> {
        let wanted = self.wanted;
        let found =
            self.look(&["identity", "show", "--name", &wanted.identity, "--resource-group", &wanted.group]).await;
        let principal = text(&found, "/principalId").to_owned();
        self.finding(!principal.is_empty(), &format!("identity {} (principal {principal})", wanted.identity))?;
        Ok(principal)
    }

    /// The principal of the namespace's own identity.
    async fn namespace(&mut self) -> Result<String> {
        let wanted = self.wanted;
        let found = self
            .look(&["iot", "adr", "ns", "show", "--name", &wanted.namespace, "--resource-group", &wanted.group])
            .await;
        let (state, principal) = (text(&found, "/properties/provisioningState"), text(&found, "/identity/principalId"));
        let what = format!("namespace {} ({state}, principal {principal})", wanted.namespace);
        let principal = principal.to_owned();
        self.finding(state == "Succeeded" && !principal.is_empty(), &what)?;
        let of = ["--namespace", &wanted.namespace, "--resource-group", &wanted.group];
        let credential = self.look(&[&["iot", "adr", "ns", "credential", "show"], &of[..]].concat()).await;
        self.finding(!text(&credential, "/id").is_empty(), "credential default (root CA)")?;
        let policy = self.look(&[&["iot", "adr", "ns", "policy", "show"], &of[..], &["--name", POLICY]].concat()).await;
        self.finding(!text(&policy, "/id").is_empty(), &format!("policy {POLICY} (issuing CA)"))?;
        Ok(principal)
    }

    async fn hub(&mut self) -> Result<()> {
        let wanted = self.wanted;
        let own = ["--name", &wanted.hub, "--resource-group", &wanted.group];
        let hub = self.look(&[&["iot", "hub", "show"], &own[..]].concat()).await;
        let host = text(&hub, "/properties/hostName").to_owned();
        self.finding(!host.is_empty(), &format!("hub {} ({host})", wanted.hub))?;
        let linked = text(&hub, "/properties/deviceRegistry/namespaceResourceId");
        let linked = linked.eq_ignore_ascii_case(&wanted.namespace_id());
        self.finding(linked, "the hub is linked to the namespace")?;
        let attached = hub.pointer("/identity/userAssignedIdentities").and_then(Value::as_object);
        let attached = attached.is_some_and(|all| all.keys().any(|id| id.eq_ignore_ascii_case(&wanted.identity_id())));
        self.finding(attached, "the hub has the identity")?;
        let of = ["--hub-name", &wanted.hub, "--resource-group", &wanted.group];
        let trusted = self.look(&[&["iot", "hub", "certificate", "list"], &of[..]].concat()).await;
        let policy = format!("{}/credentials/default/policies/{POLICY}", wanted.namespace_id());
        let trusted = trusted["value"].as_array().is_some_and(|all| {
            all.iter().any(|one| text(one, "/properties/policyResourceId").eq_ignore_ascii_case(&policy))
        });
        self.finding(trusted, &format!("the hub trusts the issuing CA of the policy {POLICY}"))
    }

    async fn dps(&mut self) -> Result<()> {
        let wanted = self.wanted;
        let own = ["--name", &wanted.dps, "--resource-group", &wanted.group];
        let dps = self.look(&[&["iot", "dps", "show"], &own[..]].concat()).await;
        let scope = text(&dps, "/properties/idScope").to_owned();
        self.finding(!scope.is_empty(), &format!("provisioning service {} (id scope {scope})", wanted.dps))?;
        let linked = text(&dps, "/properties/deviceRegistryNamespace/resourceId");
        let linked = linked.eq_ignore_ascii_case(&wanted.namespace_id());
        self.finding(linked, "the provisioning service is linked to the namespace")?;
        let assigns = linked_hub(&dps["properties"]["iotHubs"], &wanted.hub).is_some();
        self.finding(assigns, &format!("the provisioning service assigns devices to {}", wanted.hub))
    }

    async fn roles(&mut self, identity: &str, namespace: &str) -> Result<()> {
        let wanted = self.wanted;
        let at_namespace = self.assignments(&wanted.namespace_id()).await;
        let held = at_namespace.iter().find(|(principal, _)| !identity.is_empty() && principal == identity);
        let role = held.map_or("no role", |(_, role)| role.as_str()).to_owned();
        self.finding(held.is_some(), &format!("the identity has {role} on the namespace"))?;
        let shown = self.look(&["ad", "sp", "show", "--id", IOT_HUB_APPLICATION]).await;
        let application = text(&shown, "/id").to_owned();
        let at_group = self.assignments(&wanted.group_id()).await;
        let has = |all: &[(String, String)], who: &str, role: &str| {
            !who.is_empty() && all.iter().any(|(principal, held)| principal == who && held == role)
        };
        let contributes = has(&at_group, &application, "Contributor");
        self.finding(contributes, "Azure IoT Hub is Contributor on the group")?;
        let at_hub = self.assignments(&wanted.hub_id()).await;
        for role in HUB_ROLES {
            self.finding(has(&at_hub, namespace, role), &format!("the namespace is {role} on the hub"))?;
        }
        Ok(())
    }

    /// Principals with the names of their roles at a scope.
    async fn assignments(&mut self, scope: &str) -> Vec<(String, String)> {
        let found = self.look(&["role", "assignment", "list", "--scope", scope]).await;
        let both = |one: &Value| (text(one, "/principalId").to_owned(), text(one, "/roleDefinitionName").to_owned());
        found.as_array().map(|all| all.iter().map(both).collect()).unwrap_or_default()
    }
}
