//! The credential policy that an enrollment names: Azure called it by another name in every generation of the API
//! (reference: iot-hub-and-dps.md B.3). All of them are taken, and must mean the same one.

use super::{bad, shown, text};
use crate::error::Result;
use crate::resource_id::ResourceId;
use serde_json::Value;

/// A policy as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyName {
    /// The namespace, where the request names it.
    pub namespace: Option<String>,
    /// Subscription and resource group of the namespace, where the request names them.
    pub scope: Option<(String, String)>,
    /// The issuing authority, by whose name the older generation calls the policy.
    pub authority: String,
    /// The policy's own name, where the request names it beside its authority's.
    pub policy: Option<String>,
}

impl PolicyName {
    /// Reads the names of an enrollment's body.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) naming the member.
    pub(super) fn parse(body: &Value) -> Result<Option<Self>> {
        let given = |name: &str| Ok(text(body, name)?.filter(|text| !text.is_empty()));
        let by_id = given("certificatePolicyResourceId")?.map(Self::of_id).transpose()?;
        let own = given("certificatePolicyName")?;
        let old = given("credentialPolicyName")?;
        let authority = given("certificateAuthorityName")?;
        let namespace = given("namespaceName")?;
        for (member, name) in [
            ("credentialPolicyName", old),
            ("certificatePolicyName", own),
            ("certificateAuthorityName", authority),
            ("namespaceName", namespace),
        ] {
            if let Some(name) = name {
                check(member, name)?;
            }
        }
        if let (Some(old), Some(other)) = (old, authority.or(own))
            && !old.eq_ignore_ascii_case(other)
        {
            let member = if authority.is_some() { "certificateAuthorityName" } else { "certificatePolicyName" };
            return Err(contradiction(member, other, old));
        }
        if let (None, Some(_)) = (old.or(own), authority) {
            return Err(bad("certificatePolicyName", "certificateAuthorityName needs a certificatePolicyName.".into()));
        }
        let named = match (authority.or(old).or(own), own) {
            (Some(authority), own) => Some(Self {
                namespace: namespace.map(str::to_owned),
                scope: None,
                authority: authority.to_owned(),
                policy: own.filter(|own| !own.eq_ignore_ascii_case(authority)).map(str::to_owned),
            }),
            (None, _) => None,
        };
        match (by_id, named) {
            (Some(by_id), Some(named)) if !by_id.authority.eq_ignore_ascii_case(&named.authority) => {
                Err(contradiction("certificatePolicyResourceId", &by_id.authority, &named.authority))
            }
            (by_id, named) => Ok(by_id.or(named)),
        }
    }

    /// The policy behind an id of Azure Resource Manager. The example of 2026-07-01-preview calls the namespaces
    /// `deviceRegistryNamespaces`; every other document calls them `namespaces`.
    fn of_id(text: &str) -> Result<Self> {
        let wrong = || {
            bad(
                "certificatePolicyResourceId",
                format!(
                    "'{}' is not the id of a certificate policy: /subscriptions/{{id}}/resourceGroups/{{group}}/providers/Microsoft.DeviceRegistry/namespaces/{{namespace}}/certificateAuthorities/{{authority}}/certificatePolicies/{{policy}}",
                    shown(text)
                ),
            )
        };
        let id = ResourceId::parse(text).map_err(|_| wrong())?;
        let (Some(subscription), Some(group), [provider]) =
            (id.subscription, id.resource_group, id.providers.as_slice())
        else {
            return Err(wrong());
        };
        let words: Vec<String> = provider.segments.iter().map(|segment| segment.kind.to_ascii_lowercase()).collect();
        let names: Vec<&str> = provider.segments.iter().map(|segment| segment.name.as_str()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (namespace, authority, policy) = match (words.as_slice(), names.as_slice()) {
            (
                ["namespaces" | "deviceregistrynamespaces", "certificateauthorities", "certificatepolicies"],
                [namespace, authority, policy],
            ) => (*namespace, *authority, Some(*policy)),
            (["namespaces", "credentials", "policies"], [namespace, _, policy]) => (*namespace, *policy, None),
            _ => return Err(wrong()),
        };
        if !provider.namespace.eq_ignore_ascii_case("Microsoft.DeviceRegistry") {
            return Err(wrong());
        }
        Ok(Self {
            namespace: Some(namespace.to_owned()),
            scope: Some((subscription, group)),
            authority: authority.to_owned(),
            policy: policy.filter(|policy| !policy.eq_ignore_ascii_case(authority)).map(str::to_owned),
        })
    }
}

fn check(member: &str, name: &str) -> Result<()> {
    if name.len() <= 63 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Ok(());
    }
    Err(bad(member, format!("{member} is '{}', which is no name: 3 to 63 letters, digits and '-'.", shown(name))))
}

fn contradiction(member: &str, name: &str, other: &str) -> crate::error::Error {
    bad(
        member,
        format!(
            "{member} names the policy '{}', and another member names '{}'; name one policy.",
            shown(name),
            shown(other)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(namespace: Option<&str>, authority: &str, policy: Option<&str>) -> PolicyName {
        PolicyName {
            namespace: namespace.map(str::to_owned),
            scope: None,
            authority: authority.into(),
            policy: policy.map(str::to_owned),
        }
    }

    #[test]
    fn every_generation_names_it_its_own_way() {
        let parse = |body: Value| PolicyName::parse(&body).unwrap();
        assert_eq!(parse(json!({"credentialPolicyName": "", "namespaceName": null})), None);
        assert_eq!(parse(json!({"credentialPolicyName": "p"})), Some(named(None, "p", None)));
        assert_eq!(parse(json!({"certificatePolicyName": "p"})), Some(named(None, "p", None)));
        let three = json!({"namespaceName": "n", "certificateAuthorityName": "a", "certificatePolicyName": "p"});
        assert_eq!(parse(three), Some(named(Some("n"), "a", Some("p"))));
        let group = "/subscriptions/s/resourceGroups/g/providers/Microsoft.DeviceRegistry";
        for kind in ["namespaces", "deviceRegistryNamespaces"] {
            let id = format!("{group}/{kind}/n/certificateAuthorities/a/certificatePolicies/p");
            let found = parse(json!({"certificatePolicyResourceId": id})).unwrap();
            assert_eq!(found.scope, Some(("s".into(), "g".into())));
            assert_eq!((found.authority.as_str(), found.policy.as_deref()), ("a", Some("p")));
        }
        let old = parse(
            json!({"certificatePolicyResourceId": format!("{group}/namespaces/n/credentials/default/policies/p")}),
        );
        assert_eq!(old.map(|found| (found.authority, found.policy)), Some(("p".into(), None)));
    }

    #[test]
    fn contradictions_and_what_is_no_policy_are_named() {
        for (body, target) in [
            (json!({"credentialPolicyName": "a", "certificatePolicyName": "b"}), "certificatePolicyName"),
            (
                json!({"credentialPolicyName": "a", "certificateAuthorityName": "b", "certificatePolicyName": "a"}),
                "certificateAuthorityName",
            ),
            (json!({"certificateAuthorityName": "b"}), "certificatePolicyName"),
            (json!({"credentialPolicyName": "a/b"}), "credentialPolicyName"),
            (json!({"namespaceName": 7}), "namespaceName"),
            (json!({"certificatePolicyResourceId": "/subscriptions/s"}), "certificatePolicyResourceId"),
            (
                json!({"certificatePolicyResourceId": "/subscriptions/s/resourceGroups/g/providers/X/namespaces/n/certificateAuthorities/a/certificatePolicies/p"}),
                "certificatePolicyResourceId",
            ),
        ] {
            let error = PolicyName::parse(&body).unwrap_err();
            assert_eq!((error.numeric_code(), error.target.as_deref()), (400_004, Some(target)), "{body}");
        }
    }
}
