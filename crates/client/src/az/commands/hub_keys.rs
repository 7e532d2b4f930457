//! `az iot hub policy|connection-string|generate-sas-token`: shared access keys of a hub.

use super::hub;
use crate::az::args::Args;
use crate::az::command::{Command, HUB_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::Service;
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::key_member;
use crate::az::sas;
use crate::az::versions;
use ferrohub_wire::connection_string::ConnectionString;
use http::Method;
use serde_json::{Value, json};

const HUB: &str = "--hub-name! # Name of the hub.
--resource-group/-g # Resource group; the subscription is searched without it.";
const KEY_TYPE: &str = "--key-type/--kt {primary,secondary} =primary # Which of the two keys.";
const POLICY: &str = "--policy-name/--pn =iothubowner # Shared access policy.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("iot hub policy list", "List shared access policies.", &[HUB], policy_list).with_ids(&["--hub-name"]),
    Command::new(
        "iot hub policy show",
        "Show a shared access policy.",
        &[HUB, "--name/-n! # Name of the policy."],
        policy_show,
    ),
    Command::new(
        "iot hub connection-string show",
        "Show connection strings.",
        &[
            "--hub-name/-n # Name of the hub; every hub without it.
--resource-group/-g # Resource group.
--show-all/--all flag # Every policy.
--default-eventhub/--eh 3st # The built-in Event-Hubs-compatible endpoint instead.",
            KEY_TYPE,
            POLICY,
        ],
        connection_string,
    ),
    Command::new(
        "iot hub show-connection-string",
        "Show connection strings; az iot hub connection-string show is the newer one.",
        &["--hub-name/--name/-n # Name of the hub; every hub without it.
--resource-group/-g # Resource group.
--all flag # Every policy.
--key {primary,secondary} =primary # Which of the two keys.
--policy-name =iothubowner # Shared access policy."],
        show_connection_string,
    ),
    Command::new(
        "iot hub generate-sas-token",
        "Make a shared access signature.",
        &[
            HUB_CONTEXT,
            KEY_TYPE,
            POLICY,
            "--device-id/-d # For this device, with its key.
--duration/--du int =3600 # Life, seconds.
--connection-string/--cs # Connection string to sign with.
~--module-id/-m",
        ],
        generate_sas,
    ),
];

async fn keys(context: &mut Context<'_>, resource: &Value) -> Result<Vec<Value>> {
    let path = format!("{}/listkeys", text(resource, "/id"));
    let mut answer = context.arm_post(&path, versions::HUB, None).await?;
    match answer.get_mut("value").map(Value::take) {
        Some(Value::Array(keys)) => Ok(keys),
        _ => Ok(Vec::new()),
    }
}

async fn key(context: &mut Context<'_>, resource: &Value, policy: &str) -> Result<Value> {
    let path = format!("{}/IotHubKeys/{}/listkeys", text(resource, "/id"), segment(policy));
    context.arm_post(&path, versions::HUB, None).await
}

fn policy_list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let hub = hub::find(context, args, "--hub-name").await?;
        Ok(Value::Array(keys(context, &hub).await?).into())
    })
}

fn policy_show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let hub = hub::find(context, args, "--hub-name").await?;
        Ok(key(context, &hub, args.filled("--name")?).await?.into())
    })
}

/// Which connection strings are wanted.
struct Wanted<'a> {
    /// The policy; every one without it.
    policy: Option<&'a str>,
    /// The member of the keys.
    key: &'static str,
    /// The built-in Event-Hubs-compatible endpoint's.
    events: bool,
}

impl Wanted<'_> {
    /// The connection string of one policy of a hub.
    fn rendered(&self, hub: &Value, key: &Value) -> String {
        let secret = text(key, self.key);
        let name = text(key, "/keyName");
        if self.events {
            let events = "/properties/eventHubEndpoints/events";
            let endpoint = text(hub, &format!("{events}/endpoint"));
            let path = text(hub, &format!("{events}/path"));
            return ConnectionString::for_event_hub(endpoint, name, secret, path).reveal();
        }
        ConnectionString::for_policy(text(hub, "/properties/hostName"), name, secret).reveal()
    }

    async fn of(&self, context: &mut Context<'_>, hub: &Value) -> Result<Value> {
        let Some(policy) = self.policy else {
            let keys = keys(context, hub).await?;
            return Ok(Value::Array(keys.iter().map(|key| json!(self.rendered(hub, key))).collect()));
        };
        let key = key(context, hub, policy).await?;
        Ok(json!(self.rendered(hub, &key)))
    }

    /// Those of the hub that is named, else of every hub.
    async fn of_all(&self, context: &mut Context<'_>, args: &Args) -> Result<Value> {
        if args.text("--hub-name").is_some() {
            let hub = hub::find(context, args, "--hub-name").await?;
            return Ok(json!({"connectionString": self.of(context, &hub).await?}));
        }
        let path = context.collection_path(args.text("--resource-group"), Service::Hub.kind())?;
        let mut all = Vec::new();
        for hub in context.arm_list(&path, versions::HUB).await? {
            let strings = self.of(context, &hub).await?;
            all.push(json!({"name": text(&hub, "/name"), "connectionString": strings}));
        }
        Ok(Value::Array(all))
    }
}

fn connection_string<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let wanted = Wanted {
            policy: if args.flag("--show-all") { None } else { Some(args.required("--policy-name")?) },
            key: key_member(args),
            events: args.switch("--default-eventhub") == Some(true),
        };
        Ok(wanted.of_all(context, args).await?.into())
    })
}

fn show_connection_string<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        context.warn(
            "This command has been deprecated and will be removed in a future release. Use 'IoT Extension (azure-iot) connection-string command (az iot hub connection-string show)' instead.",
        );
        let wanted = Wanted {
            policy: if args.flag("--all") { None } else { Some(args.required("--policy-name")?) },
            key: if args.text("--key") == Some("secondary") { "/secondaryKey" } else { "/primaryKey" },
            events: false,
        };
        Ok(wanted.of_all(context, args).await?.into())
    })
}

fn generate_sas<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if args.given("--module-id") {
            return Err(Failure::error("Module identities are not built yet; leave --module-id away."));
        }
        let life = args.integer("--duration").unwrap_or(3600).clamp(1, i64::from(u32::MAX));
        let expiry = context.environment.clock.unix_seconds() + life;
        let token = if let Some(given) = args.text("--connection-string") {
            sas::token_of(&ConnectionString::parse(given)?, expiry)?
        } else if let Some(device) = args.text("--device-id") {
            let plane = context.data_plane(args, Service::Hub).await?;
            let identity =
                context.call(&plane, Method::GET, &format!("/devices/{}", segment(device)), None, None).await?;
            let secret = text(&identity, &format!("/authentication/symmetricKey{}", key_member(args)));
            if secret.is_empty() {
                return Err(Failure::error(format!(
                    "Device '{device}' does not sign in with a key, so it has no signature."
                )));
            }
            sas::token(&format!("{}/devices/{device}", plane.host), secret, None, expiry)?
        } else if let Some(login) = args.text("--login") {
            sas::token_of(&ConnectionString::parse(login)?, expiry)?
        } else {
            let hub = hub::find(context, args, "--hub-name").await?;
            let policy = args.required("--policy-name")?;
            let key = key(context, &hub, policy).await?;
            sas::token(text(&hub, "/properties/hostName"), text(&key, key_member(args)), Some(policy), expiry)?
        };
        Ok(json!({"sas": token}).into())
    })
}
