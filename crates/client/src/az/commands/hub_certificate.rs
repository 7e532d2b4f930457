//! `az iot hub certificate …`: the CA certificates that a hub trusts.

use super::{hub, text, versions};
use crate::az::failure::Result;
use crate::az::grammar::Command;
use crate::az::output::Outcome;
use crate::az::parser::Args;
use crate::az::session::{Session, Task, segment};
use serde_json::json;

const HUB: &str = "--hub-name! # Name of the hub.
--resource-group/-g # Resource group; the subscription is searched without it.";
const NAME: &str = "--name/-n! # Name of the certificate.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub certificate list", "List the CA certificates of a hub.", &[HUB], list)
        .with_ids(&["--hub-name"]),
    Command::new("iot hub certificate show", "Show a CA certificate of a hub.", &[HUB, NAME], show)
        .with_ids(&["--hub-name", "--name"]),
    Command::new(
        "iot hub certificate delete",
        "Take a CA certificate from a hub.",
        &[HUB, NAME, "--etag/-e! # ETag of the certificate, or *."],
        delete,
    )
    .with_ids(&["--hub-name", "--name"]),
];

async fn collection(session: &mut Session<'_>, args: &Args) -> Result<String> {
    let hub = hub::find(session, args, "--hub-name").await?;
    Ok(format!("{}/certificates", text(&hub, "/id")))
}

fn list<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = collection(session, args).await?;
        let found = session.arm_list(&path, versions::HUB).await?;
        Ok(json!({"value": found}).into())
    })
}

fn show<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/{}", collection(session, args).await?, segment(args.filled("--name")?));
        Ok(session.arm_get(&path, versions::HUB).await?.into())
    })
}

fn delete<'a>(session: &'a mut Session<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/{}", collection(session, args).await?, segment(args.filled("--name")?));
        session.arm_delete_if(&path, versions::HUB, args.filled("--etag")?).await?;
        Ok(Outcome::nothing())
    })
}
