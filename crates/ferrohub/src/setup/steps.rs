//! The steps. Each looks first whether its work is done, so that a setup that was ended half-way, or runs again, goes on where it was.

use super::command_line::{CommandLine, Ran, typed};
use super::guide::{Decision, Guide};
use super::variables::{Account, Values, Wanted};
use crate::data_dir::read_bounded;
use ferrohub_model::error::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

/// Azure's first-party IoT Hub application, the same in every tenant (seed 000).
pub(super) const IOT_HUB_APPLICATION: &str = "89d10474-74af-4874-99a7-c23c2f643083";
/// The policy that is made with the namespace.
pub(super) const POLICY: &str = "default";
/// What the namespace may do at the hub (seed 000).
pub(super) const HUB_ROLES: [&str; 2] = ["Contributor", "IoT Hub Registry Contributor"];
/// The custom role's actions (seed 000).
const ACTIONS: [&str; 6] = [
    "Microsoft.DeviceRegistry/namespaces/devices/read",
    "Microsoft.DeviceRegistry/namespaces/devices/write",
    "Microsoft.DeviceRegistry/namespaces/read",
    "Microsoft.DeviceRegistry/namespaces/write",
    "Microsoft.DeviceRegistry/namespaces/credentials/read",
    "Microsoft.DeviceRegistry/namespaces/credentials/policies/read",
];

/// Signs in, unless somebody is, and gives tenant and subscription.
///
/// # Errors
/// What the sign-in said, after it was shown.
pub(super) async fn sign_in(az: &mut CommandLine, guide: &mut Guide, given: &Values) -> Result<Account> {
    if az.look(&["account", "show"]).await.is_none() {
        let ran = az.run(&["login"]).await;
        finish(guide, "az login", &ran)?;
    }
    if let Some(subscription) = given.get("SubscriptionId").filter(|id| !id.is_empty()) {
        let ran = az.run(&["account", "set", "--subscription", subscription]).await;
        finish(guide, "az account set", &ran)?;
    }
    let shown = az.look(&["account", "show"]).await.unwrap_or_default();
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    guide.done(&format!("signed in: tenant {}, subscription {} ({})", text("tenantId"), text("id"), text("name")));
    Ok(Account { tenant: text("tenantId"), subscription: text("id") })
}

/// The same in the subscription that was said last: lines name groups, and a group is one of the subscription that is set. It may have been
/// said by its name, and ids have its id.
///
/// # Errors
/// What `az account set` said, after it was shown.
pub(super) async fn in_subscription(
    az: &mut CommandLine,
    guide: &mut Guide,
    account: &Account,
    wanted: Wanted,
) -> Result<Wanted> {
    if wanted.subscription.eq_ignore_ascii_case(&account.subscription) {
        return Ok(wanted);
    }
    let ran = az.run(&["account", "set", "--subscription", &wanted.subscription]).await;
    finish(guide, "az account set", &ran)?;
    let shown = az.look(&["account", "show"]).await.unwrap_or_default();
    let id = shown["id"].as_str().unwrap_or(&wanted.subscription).to_owned();
    guide.done(&format!("in subscription {id} ({})", shown["name"].as_str().unwrap_or_default()));
    Ok(Wanted { subscription: id, ..wanted })
}

/// Shows the warnings of a line, and its error.
fn finish(guide: &Guide, what: &str, ran: &Ran) -> Result<()> {
    for warning in &ran.warnings {
        guide.warning(warning);
    }
    if ran.code == 0 {
        return Ok(());
    }
    guide.error(&ran.error);
    Err(Error::invalid(format!(
        "The setup stopped at: {what}. Put right what the error says and run it again: what is there already is found."
    )))
}

/// One setup.
struct Setup<'a> {
    az: &'a mut CommandLine,
    guide: &'a mut Guide,
    wanted: &'a Wanted,
}

/// Makes everything.
///
/// # Errors
/// The step that failed, after it was shown.
pub(super) async fn run(az: &mut CommandLine, guide: &mut Guide, wanted: &Wanted) -> Result<()> {
    let role = role(wanted, guide)?;
    let mut setup = Setup { az, guide, wanted };
    setup.access(&role).await?;
    setup.namespace(role["Name"].as_str().unwrap_or_default()).await?;
    setup.hub().await?;
    setup.provisioning().await?;
    let sync =
        ["iot", "adr", "ns", "credential", "sync", "--namespace", &wanted.namespace, "--resource-group", &wanted.group];
    setup.step("Let the hub trust the namespace's issuing CAs", None, &sync).await
}

impl Setup<'_> {
    /// A step of one line; `found` is what is there already.
    async fn step(&mut self, title: &str, found: Option<String>, words: &[&str]) -> Result<()> {
        if self.guide.step(self.az.environment(), title, &[typed(words)])? == Decision::Skip {
            self.guide.warning("skipped");
            return Ok(());
        }
        if let Some(found) = found {
            self.guide.done(&format!("found: {found}"));
            return Ok(());
        }
        let ran = self.az.run(words).await;
        finish(self.guide, title, &ran)?;
        self.guide.done("done");
        Ok(())
    }

    /// What a look gives as a text to show, if it is there.
    async fn found(&mut self, words: &[&str]) -> Option<String> {
        let value = self.az.look(words).await?;
        match &value {
            Value::Bool(false) | Value::Null => None,
            Value::Array(items) if items.is_empty() => None,
            _ => Some(value["id"].as_str().or(value[0]["id"].as_str()).unwrap_or("it is there").to_owned()),
        }
    }

    /// Resource group, custom role, the right of Azure's IoT Hub application, and the identity.
    async fn access(&mut self, role: &Value) -> Result<()> {
        let (group, location) = (&self.wanted.group, &self.wanted.location);
        let found = self.found(&["group", "exists", "--name", group]).await.map(|_| group.clone());
        self.step("Resource group", found, &["group", "create", "--name", group, "--location", location]).await?;
        let (name, scope) = (role["Name"].as_str().unwrap_or_default(), self.wanted.group_id());
        let found = self.found(&["role", "definition", "list", "--name", name, "--scope", &scope]).await;
        let definition = role.to_string();
        let words = ["role", "definition", "create", "--role-definition", &definition];
        self.step("Custom role for hub and provisioning service", found, &words).await?;
        let words = [
            "role",
            "assignment",
            "create",
            "--assignee",
            IOT_HUB_APPLICATION,
            "--role",
            "Contributor",
            "--scope",
            &scope,
        ];
        self.step("Azure IoT Hub is Contributor on the group", None, &words).await?;
        let identity = ["--name", &self.wanted.identity, "--resource-group", group];
        let found = self.found(&[&["identity", "show"], &identity[..]].concat()).await;
        let words = [&["identity", "create"], &identity[..], &["--location", location]].concat();
        self.step("User-assigned identity", found, &words).await
    }

    /// Namespace, root CA and policy, and the identity's role there.
    async fn namespace(&mut self, role: &str) -> Result<()> {
        let (group, location) = (&self.wanted.group, &self.wanted.location);
        let own = ["--name", &self.wanted.namespace, "--resource-group", group];
        let found = self.found(&[&["iot", "adr", "ns", "show"], &own[..]].concat()).await;
        let words =
            [&["iot", "adr", "ns", "create"], &own[..], &["--location", location, "--policy-name", POLICY]].concat();
        self.step("Namespace with credential (root CA) and policy (issuing CA)", found, &words).await?;
        // Each by itself: a setup that was ended may have left the one without the other.
        let of = ["--namespace", &self.wanted.namespace, "--resource-group", group];
        let found = self.found(&[&["iot", "adr", "ns", "credential", "show"], &of[..]].concat()).await;
        if found.is_none() {
            let words = [&["iot", "adr", "ns", "credential", "create"], &of[..]].concat();
            self.step("Credential (root CA)", None, &words).await?;
        }
        let named = [&of[..], &["--name", POLICY]].concat();
        let found = self.found(&[&["iot", "adr", "ns", "policy", "show"], &named[..]].concat()).await;
        if found.is_none() {
            let words = [&["iot", "adr", "ns", "policy", "create"], &named[..]].concat();
            self.step("Policy (issuing CA)", None, &words).await?;
        }
        let shown = ["identity", "show", "--name", &self.wanted.identity, "--resource-group", group];
        let principal = principal(self.az.look(&shown).await, "/principalId");
        let scope = self.wanted.namespace_id();
        let words = ["role", "assignment", "create", "--assignee", &principal, "--role", role, "--scope", &scope];
        self.step("The identity has the custom role on the namespace", None, &words).await
    }

    /// The hub, linked to the namespace, and what the namespace may do there.
    async fn hub(&mut self) -> Result<()> {
        let wanted = self.wanted;
        let (identity, namespace) = (wanted.identity_id(), wanted.namespace_id());
        let own = ["--name", &wanted.hub, "--resource-group", &wanted.group];
        let found = self.found(&[&["iot", "hub", "show"], &own[..]].concat()).await;
        let link = ["--mi-user-assigned", &identity, "--ns-resource-id", &namespace, "--ns-identity-id", &identity];
        let rest = ["--location", &wanted.location, "--sku", "GEN2"];
        let words = [&["iot", "hub", "create"], &own[..], &rest[..], &link[..]].concat();
        self.step("Hub, linked to the namespace", found, &words).await?;
        let shown = ["iot", "adr", "ns", "show", "--name", &wanted.namespace, "--resource-group", &wanted.group];
        let principal = principal(self.az.look(&shown).await, "/identity/principalId");
        let scope = wanted.hub_id();
        for role in HUB_ROLES {
            let words = ["role", "assignment", "create", "--assignee", &principal, "--role", role, "--scope", &scope];
            self.step(&format!("The namespace is {role} on the hub"), None, &words).await?;
        }
        Ok(())
    }

    /// The provisioning service, linked to the namespace and to the hub.
    async fn provisioning(&mut self) -> Result<()> {
        let wanted = self.wanted;
        let (identity, namespace) = (wanted.identity_id(), wanted.namespace_id());
        let own = ["--name", &wanted.dps, "--resource-group", &wanted.group];
        let found = self.found(&[&["iot", "dps", "show"], &own[..]].concat()).await;
        let link = ["--mi-user-assigned", &identity, "--ns-resource-id", &namespace, "--ns-identity-id", &identity];
        let words = [&["iot", "dps", "create"], &own[..], &["--location", &wanted.location], &link[..]].concat();
        self.step("Device Provisioning Service, linked to the namespace", found, &words).await?;
        let of = ["--dps-name", &wanted.dps, "--resource-group", &wanted.group];
        let linked = self.az.look(&[&["iot", "dps", "linked-hub", "list"], &of[..]].concat()).await.unwrap_or_default();
        let found = linked_hub(&linked, &wanted.hub).map(str::to_owned);
        let words = [&["iot", "dps", "linked-hub", "create"], &of[..], &["--hub-name", &wanted.hub]].concat();
        self.step("The provisioning service assigns devices to the hub", found, &words).await
    }
}

/// The name of a hub among the linked ones.
pub(super) fn linked_hub<'a>(linked: &'a Value, hub: &str) -> Option<&'a str> {
    let names = linked.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
    names.into_iter().find(|name| name.split('.').next().is_some_and(|first| first.eq_ignore_ascii_case(hub)))
}

/// A principal's id in an answer; where a step before was skipped there is none, and the line says so by itself.
fn principal(shown: Option<Value>, pointer: &str) -> String {
    let found = shown.as_ref().and_then(|shown| shown.pointer(pointer)).and_then(Value::as_str);
    found.unwrap_or("<principal id>").to_owned()
}

/// The definition of the custom role: the template in the working folder, else that of the instructions.
fn role(wanted: &Wanted, guide: &Guide) -> Result<Value> {
    let template = match &wanted.folder {
        Some(folder) => template(Path::new(folder))?,
        None => None,
    };
    if let (Some(folder), None) = (&wanted.folder, &template) {
        guide.warning(&format!(
            "WorkingFolder {folder} holds no role template (a JSON file with Actions); the usual role is taken."
        ));
    }
    let mut role = template.unwrap_or_else(|| {
        json!({
            "Name": format!("cms-{}", wanted.namespace),
            "Description": "Custom role for ADR namespace integration",
            "Actions": ACTIONS,
        })
    });
    if let Some(name) = &wanted.role {
        role["Name"] = json!(name);
    }
    // A template has places to fill in.
    role["AssignableScopes"] = json!([wanted.group_id()]);
    Ok(role)
}

/// The first JSON file of a folder that is a role definition, its members named as in the instructions.
fn template(folder: &Path) -> Result<Option<Value>> {
    let unreadable =
        |error: std::io::Error| Error::invalid(format!("Cannot read WorkingFolder {}: {error}.", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            files.push(path);
        }
    }
    files.sort();
    for file in files {
        let Ok(Value::Object(members)) = serde_json::from_slice(&read_bounded(&file)?) else { continue };
        let named = members.into_iter().map(|(name, value)| {
            let mut letters = name.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            (first.into_iter().chain(letters).collect::<String>(), value)
        });
        let role: serde_json::Map<String, Value> = named.collect();
        if role.contains_key("Actions") && role.get("Name").is_some_and(Value::is_string) {
            return Ok(Some(Value::Object(role)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_template_is_found_and_its_scope_filled_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), "[1]").unwrap();
        std::fs::write(
            folder.path().join("b.JSON"),
            r#"{"name": "Mine", "actions": ["x/read"], "AssignableScopes": ["<scope>"]}"#,
        )
        .unwrap();
        assert_eq!(template(folder.path()).unwrap().unwrap()["Actions"], json!(["x/read"]));
        std::fs::remove_file(folder.path().join("b.JSON")).unwrap();
        assert_eq!(template(folder.path()).unwrap(), None);
        assert!(template(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_linked_hub_is_known_by_its_first_label() {
        let linked = json!([{"name": "other.azure-devices.localhost"}, {"name": "hub1.azure-devices.localhost"}]);
        assert_eq!(linked_hub(&linked, "HUB1"), Some("hub1.azure-devices.localhost"));
        assert_eq!(linked_hub(&linked, "hub"), None);
        assert_eq!(linked_hub(&Value::Null, "hub"), None);
    }
}
