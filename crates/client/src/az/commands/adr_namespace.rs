//! `az iot adr ns …`: namespaces.

use super::adr_credential::create_credential;
use super::adr_policy::{PolicyRequest, create_policy};
use crate::az::adr_paths::{NAMESPACES, credential_path, namespace_path, policy_path};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::identities::{BOTH, Identities};
use crate::az::members::put;
use crate::az::options::{location, rooted, tags};
use crate::az::outbound::{self, Outbound};
use crate::az::output::Output;
use crate::az::versions;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};

/// Name of the credential, and of the policy that a bare `create` makes.
const DEFAULT: &str = "default";

const TARGET: &str =
    "--namespace/--name/-n! # Name of the namespace: 3 to 64 lower-case letters, digits and inner hyphens.
--resource-group/-g! # Resource group.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns create",
        "Create a namespace, with a credential (root CA) and a policy (issuing CA) named default.",
        &[
            TARGET,
            "--location/-l # Region; the group's without it.
--tags * # Tags: key=value; an empty text clears them.
--enable-certificate-management/--ecm/--enable-credential-policy 3st # false: make neither credential nor policy.
--no-credential flag # Make neither credential nor policy.
--no-policy flag # Make the credential only.
--policy-name/--pn # Name of the policy; default without it.
--cert-key-type {ECC,ECC-P256,ECC-P384,ECC-P521,RSA-3072} # Key type of the issuing CA; Azure knows ECC only (P-384).
--cert-subject # Subject of the issuing CA.
--cert-validity-days int # Validity of the certificates that the policy issues.",
            outbound::OPTIONS,
        ],
        create,
    ),
    Command::new("iot adr ns show", "Show a namespace.", &[TARGET], show),
    Command::new(
        "iot adr ns list",
        "List namespaces.",
        &["--resource-group/-g # Resource group; the subscription without it."],
        list,
    ),
    Command::new(
        "iot adr ns update",
        "Change a namespace's tags, and as whom it works on its hubs.",
        &[
            TARGET,
            "--tags * # Tags: key=value; an empty text clears them.
--no-wait flag # Do not wait for the end.",
            outbound::OPTIONS,
        ],
        update,
    ),
    Command::new(
        "iot adr ns delete",
        "Delete a namespace with its credential, policies and devices.",
        &[TARGET, "--no-wait flag # Do not wait for the end."],
        delete,
    )
    .confirmed(),
    Command::new(
        "iot adr ns migrate",
        "Take assets of a resource group into a namespace.",
        &[TARGET, "--resource-ids/--ids! + # Ids of assets (Microsoft.DeviceRegistry/assets)."],
        migrate,
    ),
    Command::new("iot adr ns wait", "Wait until a namespace is as wanted.", &[TARGET, wait::OPTIONS], wait_for),
];

fn migrate<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let given = args.list("--resource-ids").unwrap_or_default();
        let ids: Vec<String> = given.iter().flat_map(|ids| ids.split_whitespace()).map(rooted).collect();
        let path = format!("{}/migrate", path(context, args)?);
        let body = json!({"scope": "Resources", "resourceIds": ids});
        Ok(context.arm_act(Method::POST, &path, versions::AUTHORITIES, Some(&body), false).await?.into())
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let path = path(context, args)?;
        wait::until(context, args, &path, versions::AUTHORITIES).await
    })
}

fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)
}

/// What of the credential and policy a create makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    credential: bool,
    policy: bool,
}

/// # Errors
/// Policy options beside a refusal to make a policy.
fn extent(args: &Args) -> Result<Extent> {
    // Who names an outbound identity speaks the newest generation, where certificate authorities are made one by one.
    let newest = args.given("--outbound-system-assigned-mi") || args.given("--outbound-user-assigned-mi");
    let off = newest || args.flag("--no-credential") || args.switch("--enable-certificate-management") == Some(false);
    let extent = Extent { credential: !off, policy: !off && !args.flag("--no-policy") };
    let policy_options = ["--policy-name", "--cert-key-type", "--cert-subject", "--cert-validity-days"];
    let given: Vec<&str> = policy_options.into_iter().filter(|option| args.given(option)).collect();
    if !extent.policy && !given.is_empty() {
        return Err(Failure::error(format!("{} cannot be used where no policy is made.", given.join(", "))));
    }
    Ok(extent)
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (extent, outbound) = (extent(args)?, Outbound::of(args)?);
        let path = path(context, args)?;
        let region = location(context, args, args.required("--resource-group")?).await?;
        let mut body = Map::new();
        put(&mut body, "location", Some(json!(region)));
        put(&mut body, "tags", tags(args));
        let identities = outbound.attached(Identities { own: true, users: Vec::new() });
        put(&mut body, "identity", Some(identities.body(BOTH)));
        let calls_as = outbound.body().filter(|body| !body.is_null());
        let version = if calls_as.is_some() { versions::AUTHORITIES } else { versions::REGISTRY };
        let properties = calls_as.map_or_else(|| json!({}), |body| json!({"outboundIdentity": body}));
        put(&mut body, "properties", Some(properties));
        let namespace = context.arm_write(Method::PUT, &path, version, &Value::Object(body), false).await?;
        if extent.credential {
            certificates(context, args, &path, &region, extent).await?;
        }
        Ok(namespace.into())
    })
}

/// Makes the credential and the policy of a new namespace. What exists already is left as it is, so
/// that a repeated create never resets a policy that was changed since.
async fn certificates(
    context: &mut Context<'_>,
    args: &Args,
    namespace: &str,
    region: &str,
    extent: Extent,
) -> Result<()> {
    let credential = credential_path(namespace);
    if context.arm_find(&credential, versions::REGISTRY).await?.is_none() {
        create_credential(context, namespace, region, None)
            .await
            .map_err(|failure| explained("Error creating default namespace credential", failure))?;
    }
    if !extent.policy {
        return Ok(());
    }
    let name = args.text("--policy-name").unwrap_or(DEFAULT);
    if context.arm_find(&policy_path(namespace, name), versions::REGISTRY).await?.is_some() {
        return Ok(());
    }
    let request = PolicyRequest {
        name,
        key_type: args.text("--cert-key-type"),
        subject: args.text("--cert-subject"),
        validity_days: args.integer("--cert-validity-days"),
        region,
        tags: None,
        bring_your_own_root: None,
    };
    create_policy(context, namespace, &request)
        .await
        .map_err(|failure| explained("Error creating default namespace credential policy", failure))?;
    Ok(())
}

fn explained(what: &str, failure: Failure) -> Failure {
    Failure { message: format!("{what}: the namespace exists, but {}", failure.message), ..failure }
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(context.arm_get(&path, versions::REGISTRY).await?.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = context.collection_path(args.text("--resource-group"), NAMESPACES)?;
        Ok(Value::Array(context.arm_list(&path, versions::REGISTRY).await?).into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let outbound = Outbound::of(args)?;
        let path = path(context, args)?;
        if !args.given("--tags") && outbound == Outbound::Unsaid {
            return Ok(context.arm_get(&path, versions::REGISTRY).await?.into());
        }
        let mut body = Map::new();
        put(&mut body, "tags", tags(args));
        let mut version = versions::REGISTRY;
        if let Some(calls_as) = outbound.patch() {
            version = versions::AUTHORITIES;
            let held = Identities::of(&context.arm_get(&path, version).await?);
            let wanted = outbound.attached(held.clone());
            put(&mut body, "identity", (wanted != held).then(|| wanted.patch(&held, BOTH)));
            put(&mut body, "properties", Some(json!({"outboundIdentity": calls_as})));
        }
        let no_wait = args.flag("--no-wait");
        Ok(context.arm_write(Method::PATCH, &path, version, &Value::Object(body), no_wait).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        context.warn("Deleting a namespace deletes its credential, policies and devices.");
        // While hubs or provisioning services are linked, the server refuses and names them.
        context.arm_act(Method::DELETE, &path, versions::REGISTRY, None, args.flag("--no-wait")).await?;
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::az::parser;
    use std::collections::HashMap;

    fn extent_of(options: &[&str]) -> Result<Extent> {
        let command = &COMMANDS[0];
        let mut arguments: Vec<String> = ["-n", "ns", "-g", "g"].map(str::to_owned).to_vec();
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        extent(&parser::parse(command, &arguments, &HashMap::new())?)
    }

    #[test]
    fn a_bare_create_makes_both_and_three_spellings_make_neither() {
        assert_eq!(extent_of(&[]), Ok(Extent { credential: true, policy: true }));
        assert_eq!(extent_of(&["--ecm"]), Ok(Extent { credential: true, policy: true }));
        for off in [
            &["--no-credential"][..],
            &["--ecm", "false"],
            &["--enable-certificate-management=no"],
            &["--enable-credential-policy", "0"],
            &["--omi-ua", "/u"],
        ] {
            assert_eq!(extent_of(off), Ok(Extent { credential: false, policy: false }));
        }
        assert_eq!(extent_of(&["--no-policy"]), Ok(Extent { credential: true, policy: false }));
    }

    #[test]
    fn policy_options_without_a_policy_are_refused() {
        let failure = extent_of(&["--no-policy", "--policy-name", "p"]).unwrap_err();
        assert!(failure.message.contains("--policy-name"), "{}", failure.message);
        assert_eq!(failure.exit, 1);
    }
}
