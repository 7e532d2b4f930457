//! `az account …`: the signed-in subscriptions.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{ARM_SCOPE, Context, GRAPH_SCOPE, Task, unknown_subscription};
use crate::az::failure::{Failure, Result};
use crate::az::output::{Columns, Output};
use crate::az::versions;
use crate::profile::{Profile, Subscription};
use serde_json::{Value, json};

/// Columns of the table format of a list.
pub(crate) const COLUMNS: Columns = &[
    ("Name", "name"),
    ("CloudName", "cloudName"),
    ("SubscriptionId", "id"),
    ("TenantId", "tenantId"),
    ("State", "state"),
    ("IsDefault", "isDefault"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "account list",
        "List the subscriptions of the sign-in.",
        &["--all flag # List disabled ones too.
--refresh flag # Ask the server again."],
        list,
    ),
    Command::new("account show", "Show the subscription in use.", &["--subscription/-s/--name/-n # Name or id."], show),
    Command::new(
        "account set",
        "Choose the subscription to use.",
        &["--subscription/-s/--name/-n! # Name or id."],
        set,
    ),
    Command::new("account clear", "Forget the sign-in.", &[], clear),
    Command::new(
        "account get-access-token",
        "Get a token for a resource.",
        &["--resource # Resource, such as https://management.azure.com/.
--resource-type {oss-rdbms,arm,aad-graph,ms-graph,batch,media,data-lake} # A well-known resource.
--scope * # Scope, instead of a resource.
--subscription/-s/--name/-n # Name or id.
--tenant/-t # The tenant of the sign-in; the server has no other."],
        access_token,
    ),
    Command::new(
        "account list-locations",
        "List the regions.",
        &["--include-extended-locations 3st # Ignored."],
        locations,
    ),
];

/// The refusal of a tenant that is not the server's, in Entra's words.
pub(crate) fn foreign_tenant(tenant: &str, ours: &str) -> Failure {
    Failure::error(format!("AADSTS90002: Tenant '{tenant}' not found. The tenant of this server is '{ours}'."))
}

/// One subscription as `az` prints it; `cloud_key` is `cloudName` or `environmentName`.
fn entry(profile: &Profile, one: &Subscription, cloud_key: &str) -> Value {
    let mut entry = json!({
        "homeTenantId": one.tenant_id,
        "id": one.id,
        "isDefault": one.is_default,
        "managedByTenants": [],
        "name": one.name,
        "state": one.state,
        "tenantDefaultDomain": null,
        "tenantDisplayName": null,
        "tenantId": one.tenant_id,
        "user": {"name": profile.client_id, "type": "servicePrincipal"},
    });
    entry[cloud_key] = Value::String("AzureCloud".to_owned());
    entry
}

/// All subscriptions of a profile.
pub(crate) fn listing(profile: &Profile, cloud_key: &str) -> Value {
    Value::Array(profile.subscriptions.iter().map(|one| entry(profile, one, cloud_key)).collect())
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let Some(mut profile) = Profile::load(context.environment)? else {
            context.warn("Please run \"az login\" to access your accounts.");
            return Ok(json!([]).into());
        };
        if args.flag("--refresh") {
            refresh(context, &mut profile).await?;
        }
        profile.subscriptions.retain(|one| args.flag("--all") || one.state == "Enabled");
        Ok(Output::with_columns(listing(&profile, "cloudName"), COLUMNS))
    })
}

async fn refresh(context: &mut Context<'_>, profile: &mut Profile) -> Result<()> {
    let found = context.arm_list("/subscriptions", versions::SUBSCRIPTIONS).await?;
    let default = profile.subscription(None).map(|one| one.id.clone());
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    profile.subscriptions = found
        .iter()
        .map(|one| Subscription {
            id: text(one, "subscriptionId"),
            name: text(one, "displayName"),
            state: text(one, "state"),
            tenant_id: text(one, "tenantId"),
            is_default: Some(text(one, "subscriptionId")) == default,
        })
        .collect();
    Ok(profile.save(context.environment)?)
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let choice = args.text("--subscription");
        let profile = context.profile()?;
        match (profile.subscription(choice), choice) {
            (Some(one), _) => Ok(entry(profile, one, "environmentName").into()),
            (None, Some(name)) => Err(unknown_subscription(name)),
            (None, None) => Err(Failure::not_signed_in()),
        }
    })
}

fn set<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let choice = args.required("--subscription")?;
        let mut profile = context.profile()?.clone();
        let id =
            profile.subscription(Some(choice)).map(|one| one.id.clone()).ok_or_else(|| unknown_subscription(choice))?;
        for one in &mut profile.subscriptions {
            one.is_default = one.id == id;
        }
        profile.save(context.environment)?;
        Ok(Output::nothing())
    })
}

fn clear<'a>(context: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        Profile::remove(context.environment)?;
        Ok(Output::nothing())
    })
}

fn access_token<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if let Some(choice) = args.text("--subscription") {
            context.choose_subscription(choice);
        }
        if let Some(tenant) = args.text("--tenant") {
            let ours = context.profile()?.tenant_id.clone();
            if !tenant.eq_ignore_ascii_case(&ours) {
                return Err(foreign_tenant(tenant, &ours));
            }
        }
        let scope = match (args.list("--scope").and_then(|scopes| scopes.first()), args.text("--resource")) {
            (Some(scope), _) => scope.clone(),
            (None, Some(resource)) => format!("{}/.default", resource.trim_end_matches('/')),
            (None, None) if args.text("--resource-type") == Some("ms-graph") => GRAPH_SCOPE.to_owned(),
            (None, None) => ARM_SCOPE.to_owned(),
        };
        let token = context.token(&scope).await?;
        let ends = jiff::Timestamp::from_second(token.expires_on).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let subscription = context.subscription()?;
        let tenant = context.profile()?.tenant_id.clone();
        // az prints the local time here; expires_on is the one that scripts should read.
        let local = ends.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S.000000").to_string();
        Ok(json!({
            "accessToken": token.secret,
            "expiresOn": local,
            "expires_on": token.expires_on,
            "subscription": subscription,
            "tenant": tenant,
            "tokenType": "Bearer",
        })
        .into())
    })
}

fn locations<'a>(context: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = format!("{}/locations", context.subscription_path()?);
        Ok(Value::Array(context.arm_list(&path, versions::SUBSCRIPTIONS).await?).into())
    })
}
