//! `az iot hub certificate …` and `az iot dps certificate …`: CA certificates that a hub or a provisioning service trusts once somebody
//! has proven to hold their key.

use super::dps;
use super::enrollment_settings::certificate_text;
use super::hub;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::output::{Columns, Output};
use crate::az::shell::shell_quoted;
use http::Method;
use serde_json::{Value, json};

const HUB: &str = "--hub-name! # Name of the hub.
--resource-group/-g # Resource group; the subscription is searched without it.";
const DPS: &str = "--dps-name! # Name of the service.
--resource-group/-g # Resource group; the subscription is searched without it.";
const NAME: &str = "--name/-n! # Name of the certificate.";
const DPS_NAME: &str = "--certificate-name/--name/-n! # Name of the certificate.";
const ETAG: &str = "--etag/-e! # ETag of the certificate, or *.";
const FILE: &str = "--path/-p! # File of the certificate, PEM or DER.
--verified/-v 3st # Trust it at once, without proof of possession.";
const PROOF: &str =
    "--path/-p! # File of a certificate that the CA issued for the verification code as its common name, PEM or DER.";

/// Columns of the table format of a list.
const COLUMNS: Columns = &[
    ("Name", "name"),
    ("ResourceGroup", "resourceGroup"),
    ("Created", "properties.created"),
    ("Expiry", "properties.expiry"),
    ("Subject", "properties.subject"),
    ("Thumbprint", "properties.thumbprint"),
    ("IsVerified", "properties.isVerified"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub certificate list", "List the CA certificates of a hub.", &[HUB], list)
        .with_ids(&["--hub-name"]),
    Command::new("iot hub certificate show", "Show a CA certificate of a hub.", &[HUB, NAME], show)
        .with_ids(&["--hub-name", "--name"]),
    Command::new("iot hub certificate create", "Upload a CA certificate to a hub.", &[HUB, NAME, FILE], create),
    Command::new("iot hub certificate update", "Replace a CA certificate of a hub.", &[HUB, NAME, FILE, ETAG], update)
        .with_ids(&["--hub-name", "--name"]),
    Command::new("iot hub certificate delete", "Take a CA certificate from a hub.", &[HUB, NAME, ETAG], delete)
        .with_ids(&["--hub-name", "--name"]),
    Command::new(
        "iot hub certificate generate-verification-code",
        "Ask for the code with which to prove that one holds the CA's key.",
        &[HUB, NAME, ETAG],
        verification_code,
    )
    .with_ids(&["--hub-name", "--name"]),
    Command::new(
        "iot hub certificate verify",
        "Prove that one holds the CA's key, with a certificate for the verification code.",
        &[HUB, NAME, PROOF, ETAG],
        verify,
    )
    .with_ids(&["--hub-name", "--name"]),
    Command::new("iot dps certificate list", "List the CA certificates of a provisioning service.", &[DPS], list),
    Command::new(
        "iot dps certificate show",
        "Show a CA certificate of a provisioning service.",
        &[DPS, DPS_NAME],
        show,
    ),
    Command::new(
        "iot dps certificate create",
        "Upload a CA certificate to a provisioning service.",
        &[DPS, DPS_NAME, FILE],
        create,
    ),
    Command::new(
        "iot dps certificate update",
        "Replace a CA certificate of a provisioning service.",
        &[DPS, DPS_NAME, FILE, ETAG],
        update,
    ),
    Command::new(
        "iot dps certificate delete",
        "Take a CA certificate from a provisioning service.",
        &[DPS, DPS_NAME, ETAG],
        delete,
    ),
    Command::new(
        "iot dps certificate generate-verification-code",
        "Ask for the code with which to prove that one holds the CA's key.",
        &[DPS, DPS_NAME, ETAG],
        verification_code,
    ),
    Command::new(
        "iot dps certificate verify",
        "Prove that one holds the CA's key, with a certificate for the verification code.",
        &[DPS, DPS_NAME, PROOF, ETAG],
        verify,
    ),
];

/// The service that holds the certificates, by the option that its commands have.
fn service(args: &Args) -> Service {
    if args.declares("--hub-name") { Service::Hub } else { Service::Dps }
}

fn owner_option(args: &Args) -> &'static str {
    if service(args) == Service::Hub { "--hub-name" } else { "--dps-name" }
}

fn name(args: &Args) -> Result<&str> {
    args.filled(if service(args) == Service::Hub { "--name" } else { "--certificate-name" })
}

async fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let option = owner_option(args);
    let owner = match service(args) {
        Service::Hub => hub::find(context, args, option).await?,
        Service::Dps => dps::find(context, args, option).await?,
    };
    Ok(format!("{}/certificates", text(&owner, "/id")))
}

async fn path(context: &mut Context<'_>, args: &Args) -> Result<String> {
    Ok(format!("{}/{}", collection(context, args).await?, segment(name(args)?)))
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(context, args).await?;
        let found = context.arm_list(&path, service(args).version()).await?;
        Ok(Output::with_rows(json!({"value": found.into_iter().map(with_group).collect::<Vec<_>>()}), "value", COLUMNS))
    })
}

/// A certificate with its resource group, which the table shows.
fn with_group(mut certificate: Value) -> Value {
    let group = text(&certificate, "/id").split('/').nth(4).map(str::to_owned);
    if let Some(group) = group.filter(|_| certificate.is_object()) {
        certificate["resourceGroup"] = json!(group);
    }
    certificate
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args).await?;
        Ok(context.arm_get(&path, service(args).version()).await?.into())
    })
}

fn body(context: &Context<'_>, args: &Args) -> Result<Value> {
    let certificate = certificate_text(context, args.filled("--path")?)?;
    let verified = args.switch("--verified") == Some(true);
    Ok(json!({"properties": {"certificate": certificate, "isVerified": verified}}))
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (name, body) = (name(args)?, body(context, args)?);
        let path = path(context, args).await?;
        if let Some(held) = context.arm_find(&path, service(args).version()).await? {
            let (kind, option) = (if service(args) == Service::Hub { "hub" } else { "dps" }, owner_option(args));
            return Err(Failure::error(format!(
                "Certificate '{name}' already exists. Choose another name, or delete it first: az iot {kind} certificate delete {option} {} --name {} --etag {}",
                shell_quoted(args.filled(option)?),
                shell_quoted(name),
                shell_quoted(text(&held, "/etag"))
            )));
        }
        Ok(context.arm_write(Method::PUT, &path, service(args).version(), &body, false).await?.into())
    })
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let body = body(context, args)?;
        let (path, etag) = (path(context, args).await?, args.filled("--etag")?);
        let version = service(args).version();
        if context.arm_find(&path, version).await?.is_none() {
            let kind = if service(args) == Service::Hub { "hub" } else { "dps" };
            return Err(Failure::error(format!(
                "Certificate '{}' does not exist. Use 'iot {kind} certificate create' to create a new certificate.",
                name(args)?
            )));
        }
        Ok(context.arm_write_if(Method::PUT, &path, version, &body, false, Some(etag)).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = path(context, args).await?;
        context.arm_delete_if(&path, service(args).version(), args.filled("--etag")?).await?;
        Ok(Output::nothing())
    })
}

fn verification_code<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/generateVerificationCode", path(context, args).await?);
        let etag = args.filled("--etag")?;
        Ok(context.arm_post_if(&path, service(args).version(), None, etag).await?.into())
    })
}

fn verify<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let body = json!({"certificate": certificate_text(context, args.filled("--path")?)?});
        let path = format!("{}/verify", path(context, args).await?);
        let etag = args.filled("--etag")?;
        Ok(context.arm_post_if(&path, service(args).version(), Some(&body), etag).await?.into())
    })
}
