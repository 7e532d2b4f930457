//! `az login` and `az logout`.

use super::account::{foreign_tenant, listing};
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{ARM_SCOPE, Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::output::Output;
use crate::az::versions;
use crate::http::{Client, ServerAddress};
use crate::profile::{
    self, Endpoint, NO_SERVER, OwnerFile, Profile, ServerReference, ServerUrls, Subscription, data_dir, read_bounded,
    read_owner_file,
};
use crate::tls_fault::UNTRUSTED;
use bytes::Bytes;
use http::{Method, Uri};
use serde_json::Value;
use std::path::Path;

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "login",
        "Sign in: with the owner of the local data folder, or as a service principal.",
        &["--username/-u # Application id of the service principal.
--password/-p # Secret of the service principal.
--tenant/-t # Tenant of the service principal.
--service-principal flag # Sign in as a service principal.
--server # URL of a Ferrohub server elsewhere, such as https://ferrohub.example:8443.
--ca # CA file of that server (its ca.pem).
--owner-file # An owner.json to sign in with.
--allow-no-subscriptions flag # Sign in even where no subscription is visible.
--identity/-i flag # Not supported.
--use-device-code flag # Not supported.
~--scope +
~--skip-subscription-discovery/--skip-sub flag
~--certificate
~--federated-token
~--claims-challenge
~--client-id
~--object-id
~--resource-id
~--use-cert-sn-issuer flag"],
        login,
    ),
    Command::new("logout", "Forget the sign-in.", &["--username # Ignored: there is one sign-in."], logout),
];

fn login<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        refuse_unbuilt(args)?;
        let (reference, endpoint) = find_server(context, args).await?;
        let owner = credentials(context, args, &reference)?;
        if let Some(tenant) = args.text("--tenant").filter(|_| !args.flag("--service-principal"))
            && !tenant.eq_ignore_ascii_case(&owner.file.tenant_id)
        {
            return Err(foreign_tenant(tenant, &owner.file.tenant_id));
        }
        // The data folder's own owner is looked up there each time; any other secret is kept here.
        let kept = (!owner.from_data_folder).then(|| owner.file.client_secret.clone());
        let mut profile = Profile {
            server: reference,
            tenant_id: owner.file.tenant_id.clone(),
            client_id: owner.file.client_id.clone(),
            client_secret: kept,
            subscriptions: Vec::new(),
        };
        context.connect(profile.clone(), endpoint.clone())?;
        context.token(ARM_SCOPE).await?;
        let found = context.arm_list("/subscriptions", versions::SUBSCRIPTIONS).await?;
        let wanted = args.text("--subscription").map(str::to_owned).or(owner.file.subscription_id);
        profile.subscriptions = subscriptions(&found, wanted.as_deref(), &profile.tenant_id);
        // `common` and its like mean the tenant that the server has.
        if let Some(one) = profile.subscriptions.first() {
            profile.tenant_id.clone_from(&one.tenant_id);
        }
        if profile.subscriptions.is_empty() && !args.flag("--allow-no-subscriptions") {
            return Err(Failure::error(format!("No subscriptions found for {}.", profile.client_id)));
        }
        profile.save(context.environment)?;
        let shown = listing(&profile, "cloudName");
        context.connect(profile, endpoint)?;
        Ok(shown.into())
    })
}

fn refuse_unbuilt(args: &Args) -> Result<()> {
    let unbuilt = [
        ("--identity", "a managed identity"),
        ("--use-device-code", "a device code"),
        ("--certificate", "a certificate"),
        ("--federated-token", "a federated token"),
    ];
    for (option, what) in unbuilt {
        if args.given(option) {
            return Err(Failure::error(format!(
                "Sign-in with {what} ({option}) is not built yet. Use --service-principal -u APP_ID -p SECRET -t TENANT, or no arguments \
                 to sign in with the local data folder's owner."
            )));
        }
    }
    if args.given("--username") && !args.flag("--service-principal") {
        return Err(Failure::error(
            "Sign-in of a person with a password is not built yet. Add --service-principal to sign in as a service principal.",
        ));
    }
    Ok(())
}

/// The server to sign in at: `--server`, else the local data folder's.
async fn find_server(context: &mut Context<'_>, args: &Args) -> Result<(ServerReference, Endpoint)> {
    let Some(url) = args.text("--server") else {
        let path = data_dir(context.environment)?;
        let reference = ServerReference::DataFolder { path };
        let endpoint = reference.endpoint().map_err(|error| match error.code {
            NO_SERVER => Failure::error(format!(
                "{} To sign in at a server elsewhere: az login --server URL --ca FILE.",
                error.message
            )),
            _ => error.into(),
        })?;
        return Ok((reference, endpoint));
    };
    let ca_file = context.environment.path(args.text("--ca").ok_or_else(|| {
        Failure::error("--server needs --ca FILE: the server's ca.pem, which is in its data folder.")
    })?);
    let uri: Uri = url.parse().map_err(|_| Failure::error(format!("'{url}' is not a URL.")))?;
    if uri.scheme_str() != Some("https") {
        let bare = url.strip_prefix("http://").unwrap_or(url);
        return Err(Failure::error(format!("--server {url}: give it with https://, such as https://{bare}.")));
    }
    let host = uri.host().ok_or_else(|| Failure::error(format!("'{url}' has no host.")))?.to_owned();
    let https_port = uri.port_u16().unwrap_or(443);
    // The server's names lie beside its management name: management.example.org -> example.org.
    let domain = host.strip_prefix("management.").unwrap_or(&host).to_owned();
    let address = ServerAddress { domain: domain.clone(), host: host.clone(), https_port };
    let ca_pem = read_bounded(&ca_file)?;
    let client = Client::new(&ca_pem, address.clone(), context.environment.clock.clone())?;
    let urls = discover(&client, &ca_file, url.trim_end_matches('/')).await?;
    let reference = ServerReference::Remote { domain, host, https_port, urls: urls.clone(), ca_file };
    Ok((reference, Endpoint { address, urls, ca_pem }))
}

/// The base URLs that a server announces.
async fn discover(client: &Client, ca_file: &Path, base: &str) -> Result<ServerUrls> {
    let url = format!("{base}/metadata/endpoints?api-version={}", versions::METADATA);
    let answer = client.request(Method::GET, &url, &[("accept", "application/json")], Bytes::new()).await;
    let response = answer.map_err(|error| match error.code {
        UNTRUSTED => Failure::error(format!(
            "The certificate of {base} is not from the CA in {}. Give the ca.pem of that server's data folder with --ca.",
            ca_file.display()
        )),
        _ => error.into(),
    })?;
    if !response.status.is_success() {
        return Err(Failure::error(format!("{url} answered {}; is this a Ferrohub server?", response.status)));
    }
    let body = response.json()?;
    let member =
        |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or(base).trim_end_matches('/').to_owned();
    Ok(ServerUrls {
        resource_manager: member("/resourceManager"),
        login: member("/authentication/loginEndpoint"),
        graph: member("/microsoftGraphResourceId"),
    })
}

struct Credentials {
    file: OwnerFile,
    from_data_folder: bool,
}

fn credentials(context: &Context<'_>, args: &Args, reference: &ServerReference) -> Result<Credentials> {
    if args.flag("--service-principal") {
        let option = |key| {
            args.text(key).map(str::to_owned).ok_or_else(|| {
                Failure::error(format!("{key} is required with --service-principal: az login --service-principal -u APP_ID -p SECRET -t TENANT"))
            })
        };
        let file = OwnerFile {
            tenant_id: option("--tenant")?,
            subscription_id: None,
            client_id: option("--username")?,
            client_secret: option("--password")?,
        };
        return Ok(Credentials { file, from_data_folder: false });
    }
    if let Some(path) = args.text("--owner-file") {
        let file = read_owner_file(&context.environment.path(path))?;
        return Ok(Credentials { file, from_data_folder: false });
    }
    match reference {
        ServerReference::DataFolder { path } => {
            Ok(Credentials { file: read_owner_file(&path.join("owner.json"))?, from_data_folder: true })
        }
        ServerReference::Remote { .. } => Err(Failure::error(
            "A server elsewhere needs to know who signs in: add --owner-file FILE (its owner.json), or --service-principal -u APP_ID -p SECRET -t TENANT.",
        )),
    }
}

fn subscriptions(found: &[Value], wanted: Option<&str>, tenant: &str) -> Vec<Subscription> {
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut all: Vec<Subscription> = found
        .iter()
        .map(|one| Subscription {
            id: text(one, "subscriptionId"),
            name: text(one, "displayName"),
            state: text(one, "state"),
            tenant_id: Some(text(one, "tenantId")).filter(|id| !id.is_empty()).unwrap_or_else(|| tenant.to_owned()),
            is_default: false,
        })
        .collect();
    let matches = |one: &Subscription| {
        wanted.is_some_and(|wanted| one.id.eq_ignore_ascii_case(wanted) || one.name.eq_ignore_ascii_case(wanted))
    };
    let default = all.iter().position(matches).unwrap_or_default();
    if let Some(one) = all.get_mut(default) {
        one.is_default = true;
    }
    all
}

fn logout<'a>(context: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        profile::Profile::remove(context.environment)?;
        Ok(Output::nothing())
    })
}
