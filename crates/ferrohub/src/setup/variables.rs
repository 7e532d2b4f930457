//! The variables of the script, under its names.

use ferrohub_model::error::{Error, Result};
use std::collections::BTreeMap;

/// Values by the name of their variable.
pub(super) type Values = BTreeMap<&'static str, String>;

/// A variable: its name, what it is, and what is proposed; none where it is the account's, or may be left out.
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    default: Option<&'static str>,
}

const TENANT: &str = "TenantId";
const SUBSCRIPTION: &str = "SubscriptionId";
const FOLDER: &str = "WorkingFolder";
const ROLE: &str = "CustomRoleName";

const fn variable(name: &'static str, what: &'static str, default: Option<&'static str>) -> Variable {
    Variable { name, what, default }
}

/// All of them, in the order in which they are asked for. The last one is ours: the script takes it from its template.
pub(super) const ALL: [Variable; 10] = [
    variable(TENANT, "tenant id ('az account show')", None),
    variable(SUBSCRIPTION, "subscription id ('az account show')", None),
    variable("ResourceGroup", "name of the resource group", Some("cms-rg")),
    variable("Location", "region", Some("westeurope")),
    variable("NamespaceName", "namespace: lower-case letters, digits and inner hyphens", Some("cms-ns")),
    variable("HubName", "hub: letters, digits and inner hyphens", Some("cms-hub")),
    variable("DpsName", "Device Provisioning Service", Some("cms-dps")),
    variable("UserIdentity", "user-assigned identity", Some("cms-identity")),
    variable(FOLDER, "folder with a role template (JSON); may be empty", Some("")),
    variable(ROLE, "name of the custom role; that of the template, or made of the namespace's, where empty", Some("")),
];

/// Who is signed in: what tenant and subscription are where nothing else is said.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) tenant: String,
    pub(super) subscription: String,
}

/// All that the steps need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) subscription: String,
    pub(super) group: String,
    pub(super) location: String,
    pub(super) namespace: String,
    pub(super) hub: String,
    pub(super) dps: String,
    pub(super) identity: String,
    pub(super) folder: Option<String>,
    pub(super) role: Option<String>,
}

impl Wanted {
    fn scope(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription, self.group)
    }

    /// Id of the resource group.
    pub(super) fn group_id(&self) -> String {
        self.scope()
    }

    /// Id of the namespace.
    pub(super) fn namespace_id(&self) -> String {
        format!("{}/providers/Microsoft.DeviceRegistry/namespaces/{}", self.scope(), self.namespace)
    }

    /// Id of the hub.
    pub(super) fn hub_id(&self) -> String {
        format!("{}/providers/Microsoft.Devices/IotHubs/{}", self.scope(), self.hub)
    }

    /// Id of the identity.
    pub(super) fn identity_id(&self) -> String {
        format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{}", self.scope(), self.identity)
    }
}

/// The variables in a text: `Name = value` or PowerShell's `$Name = "value"`, one a line.
///
/// # Errors
/// `Invalid` with the number of the line that is not understood.
pub(super) fn parse(text: &str) -> Result<Values> {
    let mut values = Values::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            set(&mut values, line)
                .map_err(|error| Error { message: format!("line {}: {}", number + 1, error.message), ..error })?;
        }
    }
    Ok(values)
}

/// Takes one assignment in.
///
/// # Errors
/// `Invalid` where it is none, or for a name that there is not.
pub(super) fn set(values: &mut Values, assignment: &str) -> Result<()> {
    let (name, value) =
        assignment.split_once('=').ok_or_else(|| Error::invalid(format!("'{assignment}' is not Name = value.")))?;
    let name = name.trim().trim_start_matches('$');
    let known = ALL.iter().find(|one| one.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|one| one.name).collect();
        Error::invalid(format!("There is no variable '{name}'; there are {}.", names.join(", ")))
    })?;
    values.insert(known.name, unquoted(value)?);
    Ok(())
}

/// A value without its quotes, or without the comment behind it.
fn unquoted(value: &str) -> Result<String> {
    let value = value.trim();
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        return Ok(value.split(" #").next().unwrap_or_default().trim().to_owned());
    };
    let inner = value[1..].split_once(quote).filter(|(_, rest)| rest.trim().is_empty() || rest.trim().starts_with('#'));
    match inner {
        Some((inner, _)) => Ok(inner.to_owned()),
        None => Err(Error::invalid(format!("the quotes of {value} do not match."))),
    }
}

/// Fills in what was not given, by asking: name, what it is, and what is proposed.
///
/// # Errors
/// Those of `ask`; a tenant that is not the one that is signed in; a name against its rules.
pub(super) fn complete(
    mut given: Values,
    account: &Account,
    mut ask: impl FnMut(&str, &str, &str) -> Result<String>,
) -> Result<Wanted> {
    let mut value = |name: &'static str| -> Result<String> {
        let one = ALL.iter().find(|one| one.name == name);
        let default = match name {
            TENANT => account.tenant.as_str(),
            SUBSCRIPTION => account.subscription.as_str(),
            _ => one.and_then(|one| one.default).unwrap_or_default(),
        };
        match given.remove(name).filter(|value| !value.is_empty()) {
            Some(value) => Ok(value),
            None => ask(name, one.map_or("", |one| one.what), default),
        }
    };
    let tenant = value(TENANT)?;
    if !tenant.eq_ignore_ascii_case(&account.tenant) {
        return Err(Error::invalid(format!(
            "TenantId is {tenant}, but the server's tenant is {}; leave it empty, or sign in elsewhere.",
            account.tenant
        )));
    }
    let optional = |value: String| Some(value).filter(|value| !value.is_empty());
    let wanted = Wanted {
        subscription: value(SUBSCRIPTION)?,
        group: value("ResourceGroup")?,
        location: value("Location")?,
        namespace: value("NamespaceName")?,
        hub: value("HubName")?,
        dps: value("DpsName")?,
        identity: value("UserIdentity")?,
        folder: optional(value(FOLDER)?),
        role: optional(value(ROLE)?),
    };
    check(&wanted)?;
    Ok(wanted)
}

/// Looks at the names before anything is made.
fn check(wanted: &Wanted) -> Result<()> {
    let inner = |name: &str| !name.starts_with('-') && !name.ends_with('-');
    let lower = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let rules = [
        (
            "NamespaceName",
            &wanted.namespace,
            lower(&wanted.namespace),
            "3 to 64 lower-case letters, digits and inner hyphens",
            64,
        ),
        ("HubName", &wanted.hub, plain(&wanted.hub), "3 to 50 letters, digits and inner hyphens", 50),
        ("DpsName", &wanted.dps, plain(&wanted.dps), "3 to 64 letters, digits and inner hyphens", 64),
    ];
    for (name, value, characters, rule, most) in rules {
        if !characters || !inner(value) || value.len() < 3 || value.len() > most {
            return Err(Error::invalid(format!("{name} is '{value}', and must be {rule}.")));
        }
    }
    for (name, value) in
        [("ResourceGroup", &wanted.group), ("Location", &wanted.location), ("UserIdentity", &wanted.identity)]
    {
        if value.is_empty() {
            return Err(Error::invalid(format!("{name} is empty; give it.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { tenant: "t1".into(), subscription: "s1".into() }
    }

    fn proposed(_: &str, _: &str, default: &str) -> Result<String> {
        Ok(default.to_owned())
    }

    #[test]
    fn the_scripts_own_lines_are_understood() {
        let text = "\u{feff}# Variables\n$TenantId = \"T1\"   # yours\n$SubscriptionId=''\nresourcegroup = plant # here\n\n$HubName = 'hub1'\n$WorkingFolder = \"C:\\work # folder\"\n";
        let values = parse(text).unwrap();
        assert_eq!(values["TenantId"], "T1");
        assert_eq!((values["ResourceGroup"].as_str(), values["HubName"].as_str()), ("plant", "hub1"));
        assert_eq!(values["WorkingFolder"], "C:\\work # folder");
        let wanted = complete(values, &account(), proposed).unwrap();
        assert_eq!((wanted.subscription.as_str(), wanted.hub.as_str(), wanted.dps.as_str()), ("s1", "hub1", "cms-dps"));
        assert_eq!(wanted.hub_id(), "/subscriptions/s1/resourceGroups/plant/providers/Microsoft.Devices/IotHubs/hub1");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("HubNme = x", "no variable 'HubNme'"),
            ("ok\n", "line 1"),
            ("# c\nHubName = \"x", "line 2"),
            ("HubName = \"x\" y", "do not match"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(word), "{text}: {error}");
        }
        for (name, value) in [
            ("TenantId", "other"),
            ("NamespaceName", "Upper"),
            ("NamespaceName", "-a-"),
            ("HubName", "a_b"),
            ("DpsName", "ab"),
        ] {
            let error = complete(Values::from([(name, value.to_owned())]), &account(), proposed).unwrap_err();
            assert!(error.message.starts_with(name), "{error}");
        }
    }
}
