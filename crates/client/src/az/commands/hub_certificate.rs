//! `az iot hub certificate …`: the CA certificates that a hub trusts.

use super::hub;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::output::{Columns, Output};
use crate::az::shell::shell_quoted;
use crate::az::versions;
use crate::profile::read_bounded;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

const HUB: &str = "--hub-name! # Name of the hub.
--resource-group/-g # Resource group; the subscription is searched without it.";
const NAME: &str = "--name/-n! # Name of the certificate.";

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
    Command::new(
        "iot hub certificate create",
        "Upload a CA certificate to a hub.",
        &[
            HUB,
            NAME,
            "--path/-p! # File of the certificate, PEM or DER.
--verified/-v 3st # Trust it at once, without proof of possession.",
        ],
        create,
    ),
    Command::new(
        "iot hub certificate delete",
        "Take a CA certificate from a hub.",
        &[HUB, NAME, "--etag/-e! # ETag of the certificate, or *."],
        delete,
    )
    .with_ids(&["--hub-name", "--name"]),
];

async fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let hub = hub::find(context, args, "--hub-name").await?;
    Ok(format!("{}/certificates", text(&hub, "/id")))
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(context, args).await?;
        let found = context.arm_list(&path, versions::HUB).await?;
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
        let path = format!("{}/{}", collection(context, args).await?, segment(args.filled("--name")?));
        Ok(context.arm_get(&path, versions::HUB).await?.into())
    })
}

/// A certificate file as the service takes it: PEM as it is, DER in base64.
fn upload(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(pem) => pem.trim_end().to_owned(),
        Err(der) => STANDARD.encode(der.as_bytes()),
    }
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let name = args.filled("--name")?;
        let certificate = upload(read_bounded(&context.environment.path(args.filled("--path")?))?);
        let hub = hub::find(context, args, "--hub-name").await?;
        let path = format!("{}/certificates/{}", text(&hub, "/id"), segment(name));
        if let Some(held) = context.arm_find(&path, versions::HUB).await? {
            return Err(Failure::error(format!(
                "Certificate '{name}' already exists. Choose another name, or delete it first: az iot hub certificate delete --hub-name {} --name {} --etag {}",
                shell_quoted(args.filled("--hub-name")?),
                shell_quoted(name),
                shell_quoted(text(&held, "/etag"))
            )));
        }
        let verified = args.switch("--verified") == Some(true);
        let body = json!({"properties": {"certificate": certificate, "isVerified": verified}});
        Ok(context.arm_write(Method::PUT, &path, versions::HUB, &body, false).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/{}", collection(context, args).await?, segment(args.filled("--name")?));
        context.arm_delete_if(&path, versions::HUB, args.filled("--etag")?).await?;
        Ok(Output::nothing())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_goes_as_it_is_and_der_in_base64() {
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert_eq!(upload(pem.as_bytes().to_vec()), pem.trim_end());
        assert_eq!(upload(vec![0x30, 0x82, 0xff]), "MIL/");
    }
}
