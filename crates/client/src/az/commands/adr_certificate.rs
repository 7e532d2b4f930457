//! `az iot adr ns certificate …`: the certificates that devices got in a namespace. Azure has no such group; Ferrohub has.

use crate::az::adr_paths::namespace_path;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, query_value, segment};
use crate::az::failure::Result;
use crate::az::output::{Columns, Output};
use crate::az::versions;
use serde_json::Value;

const NAMESPACE: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";

/// Columns of the table format.
const COLUMNS: Columns = &[
    ("SerialNumber", "properties.serialNumber"),
    ("DeviceId", "properties.deviceId"),
    ("State", "properties.state"),
    ("ValidityNotAfter", "properties.validityNotAfter"),
    ("Issuer", "properties.issuer.subject"),
];

/// Options that narrow the list, and the server's words for them.
const NARROWING: [(&str, &str); 5] = [
    ("--device-id", "deviceId"),
    ("--issuer", "issuer"),
    ("--state", "state"),
    ("--expires-before", "expiresBefore"),
    ("--serial-number", "serialNumber"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns certificate list",
        "List the certificates that devices got. Ferrohub's own: Azure has no such command.",
        &[
            NAMESPACE,
            "--device-id/-d # Those of this device.
--issuer # Those of this issuing CA: name or id of a policy or certificate authority, subject or thumbprint.
--state {Active,Revoked,Expired,IssuerRevoked} # Those that stand so.
--expires-before # Those that end before this time, such as 2027-01-31T00:00:00Z.
--serial-number/--serial # The one with this serial number.
--top int # Most certificates to show; all without it.",
        ],
        list,
    ),
    Command::new(
        "iot adr ns certificate show",
        "Show a certificate that a device got. Ferrohub's own: Azure has no such command.",
        &[NAMESPACE, "--serial-number/--serial/--name/-n! # Its serial number, hex."],
        show,
    ),
];

fn collection(context: &mut Context<'_>, args: &Args) -> Result<String> {
    let namespace = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    Ok(format!("{namespace}/certificates"))
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let given = NARROWING.iter().filter_map(|(option, word)| Some((word, args.text(option)?)));
        let query: Vec<String> = given.map(|(word, value)| format!("{word}={}", query_value(value))).collect();
        let mut path = collection(context, args)?;
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let found = match args.integer("--top").and_then(|top| usize::try_from(top).ok()) {
            Some(top) => {
                let mut found = context.arm_list_some(&path, versions::REGISTRY, top).await?;
                found.truncate(top);
                found
            }
            None => context.arm_list(&path, versions::REGISTRY).await?,
        };
        Ok(Output::with_columns(Value::Array(found), COLUMNS))
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let serial: String = args.filled("--serial-number")?.chars().filter(|c| *c != ':').collect();
        let path = format!("{}/{}", collection(context, args)?, segment(&serial));
        Ok(Output::with_columns(context.arm_get(&path, versions::REGISTRY).await?, COLUMNS))
    })
}
