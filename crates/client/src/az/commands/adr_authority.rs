//! `az iot adr ns ca …` and `az iot adr ns ca policy …`: the newer grammar of certificate management, with certificate authorities.

use super::enrollment_settings::certificate_text;
use crate::az::adr_paths::{namespace_path, region_of};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::{put, set_at};
use crate::az::options::{region, tags};
use crate::az::output::Output;
use crate::az::versions::AUTHORITIES;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";
const NAME: &str = "--ca-name/--name/-n! # Name of the certificate authority.";
const AUTHORITY: &str = "--ca-name/--ca! # Name of the issuing CA.";
const POLICY: &str = "--policy-name/--pn/--name/-n! # Name of the policy.";
const NO_WAIT: &str = "--no-wait flag # Do not wait for the end.";
const TAGS: &str = "--tags * # Tags: key=value; an empty text clears them.";
const LOCATION: &str = "--location/-l # Region; that of the namespace without it.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns ca create",
        "Create a certificate authority: the root of the namespace, or an issuing CA.",
        &[
            NAMESPACE,
            NAME,
            "--ca-type/--type! {Root,ICA} # A root, or an issuing CA (intermediate).
--issuer-type {Microsoft,External} # Who signs an issuing CA: the namespace's root, or a root of your own.
--issuer-ca-name/--issuer-certificate-authority-name # Name of the root that signs, with --issuer-type Microsoft.
--key-type {ECC} =ECC # Key type.",
            LOCATION,
            TAGS,
            NO_WAIT,
        ],
        create,
    ),
    Command::new("iot adr ns ca show", "Show a certificate authority.", &[NAMESPACE, NAME], show),
    Command::new("iot adr ns ca list", "List certificate authorities.", &[NAMESPACE], list),
    Command::new(
        "iot adr ns ca update",
        "Change the tags of a certificate authority.",
        &[NAMESPACE, NAME, TAGS, NO_WAIT],
        update,
    ),
    Command::new("iot adr ns ca delete", "Delete a certificate authority.", &[NAMESPACE, NAME, NO_WAIT], delete)
        .confirmed(),
    Command::new(
        "iot adr ns ca activate",
        "Activate an issuing CA with the certificate that your own root signed for it.",
        &[
            NAMESPACE,
            NAME,
            "--certificate-chain-file/--ccf! # File of the signed chain, PEM, from the issuing CA to the root.",
            NO_WAIT,
        ],
        activate,
    ),
    Command::new(
        "iot adr ns ca revoke",
        "Revoke the certificate of an issuing CA and replace it.",
        &[NAMESPACE, NAME, NO_WAIT],
        revoke,
    )
    .confirmed_after(
        "Every device with a certificate of this CA loses its connection and is not let in with it again. Each comes back by\n\
         registering anew with a certificate request, and gets one of the CA that follows (under a root of your own, once you\n\
         activated that). How many they are: az iot adr ns certificate list --issuer NAME --state Active --query 'length([])' …",
    ),
    Command::new(
        "iot adr ns ca rotate",
        "Let another root take the place of a root, and move the issuing CAs below it. Ferrohub's own: Azure has no such command.",
        &[NAMESPACE, NAME],
        rotate,
    )
    .confirmed(),
    Command::new(
        "iot adr ns ca wait",
        "Wait until a certificate authority is as wanted.",
        &[NAMESPACE, NAME, wait::OPTIONS],
        wait_for,
    ),
    Command::new(
        "iot adr ns ca policy create",
        "Create a certificate policy of an issuing CA.",
        &[
            NAMESPACE,
            AUTHORITY,
            POLICY,
            "--validity-days/--vd! int # Validity of the certificates it issues: 1 to 3650 days; Azure takes 1 to 90.",
            LOCATION,
            TAGS,
            NO_WAIT,
        ],
        create,
    ),
    Command::new("iot adr ns ca policy show", "Show a certificate policy.", &[NAMESPACE, AUTHORITY, POLICY], show),
    Command::new("iot adr ns ca policy list", "List certificate policies.", &[NAMESPACE, AUTHORITY], list),
    Command::new(
        "iot adr ns ca policy update",
        "Change a certificate policy.",
        &[
            NAMESPACE,
            AUTHORITY,
            POLICY,
            "--validity-days/--vd int # Validity of the certificates it issues: 1 to 3650 days; Azure takes 1 to 90.",
            TAGS,
            NO_WAIT,
        ],
        update,
    ),
    Command::new(
        "iot adr ns ca policy delete",
        "Delete a certificate policy.",
        &[NAMESPACE, AUTHORITY, POLICY, NO_WAIT],
        delete,
    )
    .confirmed(),
    Command::new(
        "iot adr ns ca policy wait",
        "Wait until a certificate policy is as wanted.",
        &[NAMESPACE, AUTHORITY, POLICY, wait::OPTIONS],
        wait_for,
    ),
];

fn namespace(context: &mut Context<'_>, args: &Args) -> Result<String> {
    namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)
}

/// Whether the command is about a policy, not about a certificate authority.
fn of_policy(args: &Args) -> bool {
    args.command().starts_with("iot adr ns ca policy ")
}

/// The path of what the command lists.
fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let authorities = format!("{}/certificateAuthorities", namespace(context, args)?);
    if !of_policy(args) {
        return Ok(authorities);
    }
    Ok(format!("{authorities}/{}/certificatePolicies", segment(args.filled("--ca-name")?)))
}

/// The path of the certificate authority or policy that the command names.
fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let name = args.filled(if of_policy(args) { "--policy-name" } else { "--ca-name" })?;
    Ok(format!("{}/{}", collection(context, args)?, segment(name)))
}

/// The properties of a new certificate authority.
fn authority(args: &Args, namespace: &str) -> Result<Value> {
    let (kind, issuer) = (args.required("--ca-type")?, args.text("--issuer-type"));
    let by = args.text("--issuer-ca-name");
    let mut properties = json!({"certificateAuthorityType": kind, "keyType": args.required("--key-type")?});
    if kind == "Root" {
        if issuer.is_some() || by.is_some() {
            return Err(Failure::error("--issuer-type and --issuer-ca-name are for --type ICA: a root signs itself."));
        }
        return Ok(properties);
    }
    properties["issuer"] = match (issuer, by) {
        (None, _) => return Err(Failure::error("--issuer-type is required when --type ICA.")),
        (Some("External"), Some(_)) => {
            return Err(Failure::error("--issuer-ca-name is for --issuer-type Microsoft: your own root signs here."));
        }
        (Some("External"), None) => json!({"issuerType": "External"}),
        (Some(issuer), Some(by)) => {
            let id = format!("{namespace}/certificateAuthorities/{}", segment(by));
            json!({"issuerType": issuer, "certificateAuthorityResourceId": id})
        }
        (Some(_), None) => {
            return Err(Failure::error("--issuer-ca-name is required when --issuer-type Microsoft."));
        }
    };
    Ok(properties)
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let namespace = namespace(context, args)?;
        let properties = if of_policy(args) {
            json!({"certificate": {"validityPeriodInDays": args.integer("--validity-days")}})
        } else {
            authority(args, &namespace)?
        };
        let path = path(context, args)?;
        let location = match args.text("--location").filter(|location| !location.is_empty()) {
            Some(location) => region(context, location).await?,
            None => region_of(context, &namespace).await?,
        };
        if context.arm_find(&path, AUTHORITIES).await?.is_some() {
            let (what, name) = match of_policy(args) {
                true => ("policy", args.filled("--policy-name")?),
                false => ("certificate authority", args.filled("--ca-name")?),
            };
            return Err(Failure::error(format!("A {what} named '{name}' already exists. Choose another name.")));
        }
        let mut body = Map::new();
        put(&mut body, "location", Some(json!(location)));
        put(&mut body, "tags", tags(args));
        put(&mut body, "properties", Some(properties));
        let (body, no_wait) = (Value::Object(body), args.flag("--no-wait"));
        Ok(context.arm_write(Method::PUT, &path, AUTHORITIES, &body, no_wait).await?.into())
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(context.arm_get(&path, AUTHORITIES).await?.into())
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(context, args)?;
        Ok(Value::Array(context.arm_list(&path, AUTHORITIES).await?).into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        let mut patch = json!({});
        if let Some(tags) = tags(args) {
            patch["tags"] = tags;
        }
        if of_policy(args)
            && let Some(days) = args.integer("--validity-days")
        {
            set_at(&mut patch, &["properties", "certificate", "validityPeriodInDays"], json!(days))?;
        }
        if patch == json!({}) {
            return Err(Failure::error("Nothing to change: give --tags, or for a policy --validity-days."));
        }
        let no_wait = args.flag("--no-wait");
        Ok(context.arm_write(Method::PATCH, &path, AUTHORITIES, &patch, no_wait).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        context.arm_act(Method::DELETE, &path, AUTHORITIES, None, args.flag("--no-wait")).await?;
        Ok(Output::nothing())
    })
}

fn activate<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let body = json!({"certificateChain": certificate_text(context, args.filled("--certificate-chain-file")?)?});
        let path = path(context, args)?;
        act(context, args, &path, "activate", Some(&body)).await
    })
}

fn revoke<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        act(context, args, &path, "revokeAndRotate", None).await
    })
}

fn rotate<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args)?;
        Ok(context.arm_result(&format!("{path}/rotate"), AUTHORITIES).await?.into())
    })
}

/// Does something with a certificate authority and shows what became of it.
async fn act(context: &mut Context<'_>, args: &Args, path: &str, action: &str, body: Option<&Value>) -> Result<Output> {
    let no_wait = args.flag("--no-wait");
    context.arm_act(Method::POST, &format!("{path}/{action}"), AUTHORITIES, body, no_wait).await?;
    if no_wait {
        return Ok(Output::nothing());
    }
    Ok(context.arm_get(path, AUTHORITIES).await?.into())
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let path = path(context, args)?;
        wait::until(context, args, &path, AUTHORITIES).await
    })
}
