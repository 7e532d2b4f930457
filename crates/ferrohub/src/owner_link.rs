//! `ferrohub owner link`: a link that signs a person in to the portal once, for whoever holds the data folder of a running server.

use crate::cli::OwnerLinkArgs;
use crate::config::{Variables, default_data_dir};
use crate::data_dir::ServerFile;
use crate::output::{line, print};
use crate::owner::Owner;
use ferrohub_model::error::{Error, Result};
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::Path;

/// A link, and what there is to say about it.
pub(crate) struct SignInLink {
    /// Whom it signs in.
    pub(crate) name: String,
    /// What a browser opens. A secret.
    pub(crate) url: String,
}

/// Makes a link and prints it.
///
/// # Errors
/// The server's error, or that it is not there.
pub(crate) async fn run(args: &OwnerLinkArgs, variables: &Variables) -> Result<()> {
    let data_dir = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir(variables)?,
    };
    let owner = Owner::sign_in(&data_dir).await?;
    let SignInLink { name, url } = of(&owner, args.user.as_deref()).await?;
    print(&format!(
        "Signs {name} in, once, within 15 minutes; links of before are good no more. The browser must trust {}.\n{url}",
        owner.ca().1.display()
    ))
}

/// A link for the person called `name`, or for the installation's own.
///
/// # Errors
/// The server's error.
pub(crate) async fn of(owner: &Owner, name: Option<&str>) -> Result<SignInLink> {
    let body = name.map_or_else(|| json!({}), |name| json!({"userPrincipalName": name}));
    let made = owner.graph_post("/ferrohub.signInLink", &body).await?;
    let text = |member: &str| {
        let found = made.get(member).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| Error::internal(format!("the answer has no {member}")))
    };
    let server = owner.server();
    let url = format!("https://portal.{}:{}{}", server.domain, server.https_port, text("path")?);
    Ok(SignInLink { name: text("userPrincipalName")?, url })
}

/// Address of the portal.
pub(crate) fn portal(domain: &str, https_port: u16) -> String {
    format!("https://portal.{domain}:{https_port}/portal/")
}

/// Tells whoever starts a server where the portal is, and how to get in. The first start hands out a link, unless standard output is
/// kept: what is in a journal is read by others, and later.
pub(crate) async fn tell(server: &ServerFile, data_dir: &Path, is_first: bool) {
    let command = format!("ferrohub owner link --data-dir {}", data_dir.display());
    let portal = portal(&server.domain, server.https_port);
    if !is_first || !std::io::stdout().is_terminal() {
        line(&format!("portal {portal}, signed in to by a password or a link: {command}"));
        return;
    }
    let made = async { of(&Owner::sign_in(data_dir).await?, None).await };
    match made.await {
        Ok(SignInLink { name, url }) => line(&format!(
            "portal {portal}\nThis link signs {name} in, once, within 15 minutes ({command} makes another one):\n  {url}"
        )),
        Err(error) => {
            tracing::warn!(%error, "no link to the portal could be made");
            line(&format!("portal {portal}, signed in to by a link: {command}"));
        }
    }
}
