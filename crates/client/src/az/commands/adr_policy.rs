//! `az iot adr ns policy …`: certificate policies, each with its issuing CA.

use super::enrollment_settings::certificate_text;
use super::policy_use;
use crate::az::adr_paths::{credential_path, namespace_path, policy_path, region_of};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::members::{put, set_at, text};
use crate::az::options::tags;
use crate::az::output::Output;
use crate::az::versions;
use ferrohub_model::limits::LEAF_VALIDITY_DEFAULT_DAYS;
use http::Method;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";
const NAME: &str = "--policy-name/--pn/--name/-n! # Name of the policy: 3 to 63 letters, digits and hyphens, beginning with a letter or digit.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns policy create",
        "Create a policy with its issuing CA. A name that exists is refused.",
        &[
            NAMESPACE,
            NAME,
            "--cert-key-type {ECC,ECC-P256,ECC-P384,ECC-P521,RSA-3072} =ECC # Key type of the issuing CA; Azure knows ECC only (P-384).
--cert-subject # Subject of the issuing CA, such as CN=TestDevice; unique in the namespace.
--cert-validity-days int # Validity of the certificates it issues, 1 to 3650 days; 30 without it.
--enable-byor 3st # Sign the issuing CA with a root of your own.
--location/-l # Ignored: a policy lies in its namespace's region.
--tags * # Tags: key=value.",
        ],
        create,
    ),
    Command::new("iot adr ns policy show", "Show a policy.", &[NAMESPACE, NAME], show),
    Command::new("iot adr ns policy list", "List policies.", &[NAMESPACE], list),
    Command::new(
        "iot adr ns policy update",
        "Change a policy.",
        &[
            NAMESPACE,
            NAME,
            "--cert-validity-days int # Validity of the certificates it issues.
--cert-subject # Subject of the issuing CA; an existing one cannot change.
--tags * # Tags: key=value.",
        ],
        update,
    ),
    Command::new(
        "iot adr ns policy disable",
        "Let a policy issue nothing. Ferrohub's own: Azure has no such command.",
        &[NAMESPACE, NAME],
        disable,
    ),
    Command::new(
        "iot adr ns policy enable",
        "Let a disabled policy issue again. Ferrohub's own: Azure has no such command.",
        &[NAMESPACE, NAME],
        enable,
    ),
    Command::new("iot adr ns policy delete", "Delete a policy.", &[NAMESPACE, NAME], delete).confirmed(),
    Command::new(
        "iot adr ns policy revoke-issuer",
        "Revoke the issuing CA of a policy and replace it.",
        &[NAMESPACE, NAME],
        revoke_issuer,
    )
    .confirmed_after(
        "Every device with a certificate of this CA loses its connection and is not let in with it again. Each comes back by\n\
         registering anew with a certificate request, and gets one of the CA that follows (under a root of your own, once you\n\
         activated that). How many they are: az iot adr ns certificate list --issuer NAME --state Active --query 'length([])' …",
    ),
    Command::new(
        "iot adr ns policy activate-byor",
        "Activate the issuing CA of a policy with the certificate that your own root signed for it.",
        &[
            NAMESPACE,
            NAME,
            "--certificate-chain-file/--ccf! # File of the signed chain, PEM, from the issuing CA to the root.",
        ],
        activate,
    ),
];

/// What a new policy is to be.
pub(crate) struct PolicyRequest<'r> {
    /// Name.
    pub(crate) name: &'r str,
    /// Key type; ECC where `None`.
    pub(crate) key_type: Option<&'r str>,
    /// Subject of the issuing CA; the server chooses one where `None`.
    pub(crate) subject: Option<&'r str>,
    /// Days that its certificates hold; 30 where `None`.
    pub(crate) validity_days: Option<i64>,
    /// Region of the namespace.
    pub(crate) region: &'r str,
    /// Tags.
    pub(crate) tags: Option<Value>,
    /// Whether the issuing CA is signed by a root of the customer.
    pub(crate) bring_your_own_root: Option<bool>,
}

/// Makes a policy.
///
/// # Errors
/// ARM's error.
pub(crate) async fn create_policy(
    context: &mut Context<'_>,
    namespace: &str,
    request: &PolicyRequest<'_>,
) -> Result<Value> {
    let mut authority = Map::new();
    put(&mut authority, "keyType", Some(json!(request.key_type.unwrap_or("ECC"))));
    put(&mut authority, "subject", request.subject.map(|subject| json!(subject)));
    put(&mut authority, "bringYourOwnRoot", request.bring_your_own_root.map(|enabled| json!({"enabled": enabled})));
    let days = request.validity_days.unwrap_or(i64::from(LEAF_VALIDITY_DEFAULT_DAYS));
    let mut body = Map::new();
    put(&mut body, "location", Some(json!(request.region)));
    put(&mut body, "tags", request.tags.clone());
    let certificate = json!({
        "certificateAuthorityConfiguration": authority,
        "leafCertificateConfiguration": {"validityPeriodInDays": days},
    });
    put(&mut body, "properties", Some(json!({"certificate": certificate})));
    context
        .arm_write(Method::PUT, &policy_path(namespace, request.name), versions::REGISTRY, &Value::Object(body), false)
        .await
}

fn namespace(context: &mut Context<'_>, args: &Args) -> Result<String> {
    namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let name = args.filled("--policy-name")?;
        let region = region_of(context, &namespace).await?;
        if context.arm_find(&policy_path(&namespace, name), versions::REGISTRY).await?.is_some() {
            return Err(Failure::error(format!(
                "A policy named '{name}' already exists in namespace '{}'. Choose another name, or change it with 'az iot adr ns policy update'.",
                args.required("--namespace")?
            )));
        }
        let request = PolicyRequest {
            name,
            key_type: args.text("--cert-key-type"),
            subject: args.text("--cert-subject"),
            validity_days: args.integer("--cert-validity-days"),
            region: &region,
            tags: tags(args),
            bring_your_own_root: args.switch("--enable-byor"),
        };
        let made = create_policy(context, &namespace, &request).await;
        Ok(made.map_err(|failure| without_credential(failure, args))?.into())
    })
}

fn without_credential(failure: Failure, args: &Args) -> Failure {
    if !failure.is_not_found() {
        return failure;
    }
    let (ns, group) = (args.text("--namespace").unwrap_or_default(), args.text("--resource-group").unwrap_or_default());
    Failure {
        message: format!(
            "No credential exists on namespace '{ns}' in resource group '{group}'. Please create a credential using \
             'az iot adr ns credential create --ns {ns} -g {group}' to manage credential policies."
        ),
        ..failure
    }
}

/// Turns a missing policy into a sentence that lists those there are.
async fn missing(context: &mut Context<'_>, namespace: &str, args: &Args, failure: Failure) -> Failure {
    if !failure.is_not_found() {
        return failure;
    }
    // Where the list fails too, the namespace or credential is missing: the server's words stand.
    let Ok(all) = context.arm_list(&format!("{}/policies", credential_path(namespace)), versions::REGISTRY).await
    else {
        return failure;
    };
    let names: Vec<String> = all.iter().map(|one| format!("'{}'", text(one, "/name"))).collect();
    let existing = if names.is_empty() {
        "it has no policy yet".to_owned()
    } else {
        format!("its policies are: {}", names.join(", "))
    };
    Failure {
        message: format!(
            "No policy named '{}' exists in namespace '{}'; {existing}. Give one of these names with --name.",
            args.text("--policy-name").unwrap_or_default(),
            args.text("--namespace").unwrap_or_default()
        ),
        ..failure
    }
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        match context.arm_get(&policy_path(&namespace, args.filled("--policy-name")?), versions::REGISTRY).await {
            Ok(policy) => Ok(policy.into()),
            Err(failure) => Err(missing(context, &namespace, args, failure).await),
        }
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/policies", credential_path(&namespace(context, args)?));
        Ok(Value::Array(context.arm_list(&path, versions::REGISTRY).await?).into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let path = policy_path(&namespace, args.filled("--policy-name")?);
        let mut policy = match context.arm_get(&path, versions::REGISTRY).await {
            Ok(policy) => policy,
            Err(failure) => return Err(missing(context, &namespace, args, failure).await),
        };
        if let Some(days) = args.integer("--cert-validity-days") {
            let at = ["properties", "certificate", "leafCertificateConfiguration", "validityPeriodInDays"];
            set_at(&mut policy, &at, json!(days))?;
        }
        if let Some(subject) = args.text("--cert-subject") {
            let at = ["properties", "certificate", "certificateAuthorityConfiguration", "subject"];
            set_at(&mut policy, &at, json!(subject))?;
        }
        if let Some(tags) = tags(args) {
            policy["tags"] = tags;
        }
        Ok(context.arm_write(Method::PUT, &path, versions::REGISTRY, &policy, false).await?.into())
    })
}

async fn switch(context: &mut Context<'_>, args: &Args, enabled: bool) -> Result<Output> {
    let namespace = namespace(context, args)?;
    let path = policy_path(&namespace, args.filled("--policy-name")?);
    let body = json!({"properties": {"enabled": enabled}});
    match context.arm_write(Method::PATCH, &path, versions::REGISTRY, &body, false).await {
        Ok(policy) => Ok(policy.into()),
        Err(failure) => Err(missing(context, &namespace, args, failure).await),
    }
}

fn disable<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(switch(context, args, false))
}

fn enable<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(switch(context, args, true))
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let name = args.filled("--policy-name")?;
        policy_use::warn(context, &namespace, name).await;
        let path = policy_path(&namespace, name);
        context.arm_act(Method::DELETE, &path, versions::REGISTRY, None, false).await?;
        Ok(Output::nothing())
    })
}

fn revoke_issuer<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = policy_path(&namespace(context, args)?, args.filled("--policy-name")?);
        context.arm_act(Method::POST, &format!("{path}/revokeIssuer"), versions::REGISTRY, None, false).await?;
        Ok(Output::nothing())
    })
}

fn activate<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let chain = certificate_text(context, args.filled("--certificate-chain-file")?)?;
        let path = policy_path(&namespace(context, args)?, args.filled("--policy-name")?);
        let (action, body) = (format!("{path}/activateBringYourOwnRoot"), json!({"certificateChain": chain}));
        context.arm_act(Method::POST, &action, versions::REGISTRY, Some(&body), false).await?;
        Ok(context.arm_get(&path, versions::REGISTRY).await?.into())
    })
}
