//! `az iot adr ns link …`: the hubs and the provisioning service of a namespace, as its endpoints.

use crate::az::adr_paths::namespace_path;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::members::text;
use crate::az::options::rooted;
use crate::az::output::{Columns, Output};
use crate::az::versions::AUTHORITIES;
use crate::az::wait;
use http::Method;
use serde_json::{Map, Value, json};
use std::time::Duration;

const NAMESPACE: &str = "--namespace/--ns! # Name of the namespace.
--resource-group/-g! # Resource group.";
const ENDPOINT: &str = "--endpoint-name/--en/--name/-n! # Name of the endpoint.";
const IDENTITY: &str = "--system-assigned-mi/--mi-sa 3st # Call as the service's own identity.
--user-assigned-mi/--mi-ua # Call as this user-assigned identity.";
const WEIGHT: &str = "--availability {Available,Disabled} # Whether devices are assigned to the hub.
--allocation-weight/--weight int # Its share of the devices.";
const WAIT: &str = "--timeout int =600 # Seconds to wait at most.
--interval int =30 # Seconds between looks.";
const NO_WAIT: &str = "--no-wait flag # Do not wait until the link stands.";

/// Columns of the table format.
const COLUMNS: Columns = &[("Name", "name"), ("LinkingState", "linkingState"), ("ResourceId", "resourceId")];

/// A kind of service that a namespace is linked to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hub,
    Dps,
}

impl Kind {
    /// The member of the namespace's properties that holds its endpoints.
    fn member(self) -> &'static str {
        match self {
            Self::Hub => "messaging",
            Self::Dps => "provisioning",
        }
    }

    fn endpoint_type(self) -> &'static str {
        match self {
            Self::Hub => "Microsoft.Devices/IotHubs",
            Self::Dps => "Microsoft.Devices/provisioningServices",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Dps => "provisioning service",
        }
    }

    /// That of a command's words.
    fn of(args: &Args) -> Self {
        if args.command().contains(" link dps ") { Self::Dps } else { Self::Hub }
    }
}

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot adr ns link hub add",
        "Link a hub to a namespace.",
        &[NAMESPACE, ENDPOINT, "--hub-resource-id/--hub-id! # Id of the hub.", IDENTITY, WEIGHT, WAIT, NO_WAIT],
        add,
    ),
    Command::new(
        "iot adr ns link hub update",
        "Change the identity of a link to a hub.",
        &[NAMESPACE, ENDPOINT, IDENTITY, WAIT, NO_WAIT],
        update,
    ),
    Command::new("iot adr ns link hub show", "Show a link to a hub.", &[NAMESPACE, ENDPOINT], show),
    Command::new("iot adr ns link hub list", "List the links to hubs.", &[NAMESPACE], list),
    Command::new(
        "iot adr ns link hub wait",
        "Wait until a link to a hub stands.",
        &[NAMESPACE, ENDPOINT, WAIT],
        wait_for,
    ),
    Command::new("iot adr ns link hub remove", "Take a link to a hub away.", &[NAMESPACE, ENDPOINT], remove)
        .confirmed(),
    Command::new(
        "iot adr ns link dps add",
        "Link a provisioning service to a namespace.",
        &[
            NAMESPACE,
            ENDPOINT,
            "--dps-resource-id/--dps-id! # Id of the provisioning service.",
            IDENTITY,
            WAIT,
            NO_WAIT,
        ],
        add,
    ),
    Command::new(
        "iot adr ns link dps update",
        "Change the identity of a link to a provisioning service.",
        &[NAMESPACE, ENDPOINT, IDENTITY, WAIT, NO_WAIT],
        update,
    ),
    Command::new("iot adr ns link dps show", "Show a link to a provisioning service.", &[NAMESPACE, ENDPOINT], show),
    Command::new("iot adr ns link dps list", "List the links to provisioning services.", &[NAMESPACE], list),
    Command::new(
        "iot adr ns link dps wait",
        "Wait until a link to a provisioning service stands.",
        &[NAMESPACE, ENDPOINT, WAIT],
        wait_for,
    ),
    Command::new(
        "iot adr ns link dps remove",
        "Take a link to a provisioning service away.",
        &[NAMESPACE, ENDPOINT],
        remove,
    )
    .confirmed(),
    Command::new(
        "iot adr ns link add",
        "Link a provisioning service and a hub to a namespace.",
        &[
            NAMESPACE,
            "--hub-endpoint-name/--hen! # Name of the hub's endpoint.
--hub-resource-id/--hub-id! # Id of the hub.
--dps-endpoint-name/--den! # Name of the provisioning service's endpoint.
--dps-resource-id/--dps-id! # Id of the provisioning service.
--hub-system-assigned-mi/--hub-mi-sa 3st # The hub calls as its own identity.
--hub-user-assigned-mi/--hub-mi-ua # The hub calls as this user-assigned identity.
--dps-system-assigned-mi/--dps-mi-sa 3st # The provisioning service calls as its own identity.
--dps-user-assigned-mi/--dps-mi-ua # The provisioning service calls as this user-assigned identity.
--hub-availability {Available,Disabled} # Whether devices are assigned to the hub.
--hub-allocation-weight/--hub-weight int # Its share of the devices.",
            WAIT,
            NO_WAIT,
        ],
        add_both,
    ),
    Command::new(
        "iot adr ns link wait",
        "Wait until a namespace and its links are as wanted.",
        &[NAMESPACE, wait::OPTIONS],
        wait_for_namespace,
    ),
];

/// The namespace that the options name, and its path.
async fn namespace(context: &mut Context<'_>, args: &Args) -> Result<(String, Value)> {
    let path = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
    let found = context.arm_get(&path, AUTHORITIES).await?;
    Ok((path, found))
}

fn wait_for_namespace<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        wait::check(args)?;
        let path = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
        wait::until(context, args, &path, AUTHORITIES).await
    })
}

/// The endpoints of a kind that a namespace has, by name.
fn endpoints(namespace: &Value, kind: Kind) -> Map<String, Value> {
    let found = namespace.pointer(&format!("/properties/{}/endpoints", kind.member()));
    let all = found.and_then(Value::as_object).cloned().unwrap_or_default();
    all.into_iter().filter(|(_, one)| text(one, "/endpointType").eq_ignore_ascii_case(kind.endpoint_type())).collect()
}

fn with_name(name: &str, endpoint: &Value) -> Value {
    let mut shown = endpoint.clone();
    shown["name"] = json!(name);
    shown
}

/// The endpoint of that name.
fn found(namespace: &Value, kind: Kind, args: &Args) -> Result<Value> {
    let name = args.filled("--endpoint-name")?;
    let all = endpoints(namespace, kind);
    let one = all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    one.map(|(name, endpoint)| with_name(name, endpoint)).ok_or_else(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("there are: {}", known.join(", ")) };
        Failure::not_found(format!("The namespace has no {} endpoint named '{name}'; {known}.", kind.title()))
    })
}

/// The identity that options name, as the endpoint has it.
fn identity(args: &Args, own: &'static str, user: &'static str) -> Result<Value> {
    match (args.switch(own), args.text(user).filter(|id| !id.is_empty())) {
        (Some(true), Some(_)) => Err(Failure::error(format!("{own} and {user} exclude each other."))),
        (_, Some(id)) => Ok(json!({"type": "UserAssigned", "userAssignedIdentity": rooted(id)})),
        (Some(true), None) => Ok(json!({"type": "SystemAssigned"})),
        (_, None) => {
            Err(Failure::error(format!("Give {own} or {user}: the identity with which it calls the namespace.")))
        }
    }
}

/// Writes endpoints into the namespace, by a PATCH that leaves the others.
async fn write(context: &mut Context<'_>, path: &str, kind: Kind, endpoints: Value) -> Result<Value> {
    let body = json!({"properties": {(kind.member()): {"endpoints": endpoints}}});
    context.arm_write(Method::PATCH, path, AUTHORITIES, &body, false).await
}

/// Looks at a link until it stands.
async fn linked(context: &mut Context<'_>, args: &Args, path: &str, kind: Kind, name: &str) -> Result<Value> {
    let interval = u64::try_from(args.integer("--interval").unwrap_or(30)).unwrap_or(30).max(1);
    let timeout = u64::try_from(args.integer("--timeout").unwrap_or(600)).unwrap_or(600);
    for _ in 0..=timeout / interval {
        let namespace = context.arm_get(path, AUTHORITIES).await?;
        let all = endpoints(&namespace, kind);
        let one = all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((known, endpoint)) = one else {
            return Err(Failure::not_found(format!("The namespace has no {} endpoint named '{name}'.", kind.title())));
        };
        match text(endpoint, "/linkingState") {
            "InProgress" => context.environment.clock.sleep(Duration::from_secs(interval)).await,
            "Failed" => {
                let (code, why) = (text(endpoint, "/linkingError/code"), text(endpoint, "/linkingError/message"));
                return Err(Failure::error(format!("The link '{name}' failed. ({code}) {why}")));
            }
            _ => return Ok(with_name(known, endpoint)),
        }
    }
    Err(Failure::error("Wait operation timed-out after the given time; see --timeout."))
}

/// The endpoint that options describe.
fn endpoint(kind: Kind, resource: &str, identity: Value, availability: Option<&str>, weight: Option<i64>) -> Value {
    let mut made = json!({
        "endpointType": kind.endpoint_type(), "resourceId": rooted(resource), "inboundCallerIdentity": identity,
    });
    let mut provisioning = Map::new();
    provisioning.extend(availability.map(|value| ("availability".to_owned(), json!(value))));
    provisioning.extend(weight.map(|value| ("allocationWeight".to_owned(), json!(value))));
    if !provisioning.is_empty() {
        made["provisioning"] = Value::Object(provisioning);
    }
    made
}

fn add<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let kind = Kind::of(args);
        let resource = args.filled(if kind == Kind::Hub { "--hub-resource-id" } else { "--dps-resource-id" })?;
        let identity = identity(args, "--system-assigned-mi", "--user-assigned-mi")?;
        let (availability, weight) = match kind {
            Kind::Hub => (args.text("--availability"), args.integer("--allocation-weight")),
            Kind::Dps => (None, None),
        };
        let made = endpoint(kind, resource, identity, availability, weight);
        let (path, before) = namespace(context, args).await?;
        let name = args.filled("--endpoint-name")?;
        if endpoints(&before, kind).keys().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(Failure::error(format!(
                "The namespace has an endpoint named '{name}' already; 'link update' changes it."
            )));
        }
        let written = write(context, &path, kind, json!({(name): made})).await?;
        finish(context, args, &path, kind, name, &written).await
    })
}

/// What a link became: as it is now, or with `--no-wait` as it was accepted.
async fn finish(
    context: &mut Context<'_>,
    args: &Args,
    path: &str,
    kind: Kind,
    name: &str,
    written: &Value,
) -> Result<Output> {
    if args.flag("--no-wait") {
        let all = endpoints(written, kind);
        return Ok(all.get(name).map_or_else(Output::nothing, |one| with_name(name, one).into()));
    }
    Ok(Output::with_columns(linked(context, args, path, kind, name).await?, COLUMNS))
}

fn update<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let kind = Kind::of(args);
        let mut identity = identity(args, "--system-assigned-mi", "--user-assigned-mi")?;
        if identity["type"] == "SystemAssigned" {
            // A PATCH leaves what it does not name: the id of a user-assigned identity that it was before.
            identity["userAssignedIdentity"] = Value::Null;
        }
        let (path, before) = namespace(context, args).await?;
        let one = found(&before, kind, args)?;
        let name = text(&one, "/name").to_owned();
        let mut changed = endpoints(&before, kind).remove(&name).unwrap_or_default();
        changed["inboundCallerIdentity"] = identity;
        let written = write(context, &path, kind, json!({(&name): changed})).await?;
        finish(context, args, &path, kind, &name, &written).await
    })
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (_, namespace) = namespace(context, args).await?;
        Ok(Output::with_columns(found(&namespace, Kind::of(args), args)?, COLUMNS))
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (_, namespace) = namespace(context, args).await?;
        let all = endpoints(&namespace, Kind::of(args));
        let shown = all.iter().map(|(name, endpoint)| with_name(name, endpoint)).collect();
        Ok(Output::with_columns(Value::Array(shown), COLUMNS))
    })
}

fn wait_for<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let path = namespace_path(context, args.filled("--resource-group")?, args.filled("--namespace")?)?;
        linked(context, args, &path, Kind::of(args), args.filled("--endpoint-name")?).await?;
        Ok(Output::nothing())
    })
}

fn remove<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let kind = Kind::of(args);
        let (path, before) = namespace(context, args).await?;
        let one = found(&before, kind, args)?;
        write(context, &path, kind, json!({(text(&one, "/name")): null})).await?;
        Ok(Output::nothing())
    })
}

/// The provisioning service first: a hub is linked only below one that stands.
fn add_both<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let of_dps = identity(args, "--dps-system-assigned-mi", "--dps-user-assigned-mi")?;
        let of_hub = identity(args, "--hub-system-assigned-mi", "--hub-user-assigned-mi")?;
        let (dps, hub) = (args.filled("--dps-endpoint-name")?, args.filled("--hub-endpoint-name")?);
        let (path, _) = namespace(context, args).await?;
        let made = endpoint(Kind::Dps, args.filled("--dps-resource-id")?, of_dps, None, None);
        write(context, &path, Kind::Dps, json!({(dps): made})).await?;
        linked(context, args, &path, Kind::Dps, dps).await?;
        let (availability, weight) = (args.text("--hub-availability"), args.integer("--hub-allocation-weight"));
        let made = endpoint(Kind::Hub, args.filled("--hub-resource-id")?, of_hub, availability, weight);
        let written = write(context, &path, Kind::Hub, json!({(hub): made})).await?;
        finish(context, args, &path, Kind::Hub, hub, &written).await
    })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted, Seen};
    use serde_json::json;

    fn script(seen: &Seen) -> Option<Answer> {
        let namespace = json!({"name": "n1", "properties": {
            "messaging": {"endpoints": {
                "h1": {"endpointType": "Microsoft.Devices/IotHubs", "resourceId": "/h", "linkingState": "Succeeded"},
                "bad": {"endpointType": "Microsoft.Devices/IotHubs", "resourceId": "/b", "linkingState": "Failed",
                    "linkingError": {"code": "Forbidden", "message": "no right"}},
                "grid": {"endpointType": "Microsoft.EventGrid", "address": "x"},
            }},
            "provisioning": {"endpoints": {
                "d1": {"endpointType": "Microsoft.Devices/provisioningServices", "resourceId": "/d", "linkingState": "Succeeded"}
            }},
        }});
        match seen.call.split(' ').next()? {
            "GET" | "PATCH" => Some(Answer::ok(namespace)),
            _ => None,
        }
    }

    #[tokio::test]
    async fn links_are_endpoints_of_the_namespace() {
        let server = Scripted::signed_in(script).await;
        let az = async |words: &str| {
            let words = format!("iot adr ns link {words} --ns n1 -g rg");
            server.az(&words.split(' ').collect::<Vec<_>>()).await
        };
        let listed = az("hub list --query [].name -o tsv").await;
        assert_eq!(listed.out, "h1\nbad\n", "{}", listed.err);
        assert_eq!(az("dps show -n D1 --query resourceId -o tsv").await.out, "/d\n");
        let missing = az("hub show -n h9").await;
        assert!(missing.code == 3 && missing.err.contains("there are: h1, bad"), "{}", missing.err);
        let added = az("hub add -n new --hub-id /hub --mi-ua /uami --weight 3 --no-wait").await;
        assert_eq!(added.code, 0, "{}", added.err);
        let sent = server.seen().pop().unwrap();
        let made = &sent.body["properties"]["messaging"]["endpoints"]["new"];
        assert_eq!(made["inboundCallerIdentity"], json!({"type": "UserAssigned", "userAssignedIdentity": "/uami"}));
        assert_eq!((&made["resourceId"], &made["provisioning"]["allocationWeight"]), (&json!("/hub"), &json!(3)));
        let failed = az("hub wait -n bad").await;
        assert!(failed.code == 1 && failed.err.contains("(Forbidden) no right"), "{}", failed.err);
        assert_eq!(az("dps update -n d1 --mi-sa --no-wait").await.code, 0);
        let sent = &server.seen().pop().unwrap().body["properties"]["provisioning"]["endpoints"]["d1"];
        assert_eq!(sent["inboundCallerIdentity"], json!({"type": "SystemAssigned", "userAssignedIdentity": null}));
        assert_eq!(az("dps update -n d1 --mi-sa").await.code, 0);
        assert_eq!(az("hub remove -n h1 -y").await.code, 0);
        assert_eq!(server.seen().pop().unwrap().body["properties"]["messaging"]["endpoints"], json!({"h1": null}));
        assert_eq!(az("wait --custom properties.messaging.endpoints.h1").await.code, 0);
        let condition = az("wait").await;
        assert!(condition.code == 1 && condition.err.contains("--exists"), "{}", condition.err);
        let identity = server.az(&["iot", "adr", "ns", "identity", "wait", "-n", "n1", "-g", "rg", "--exists"]).await;
        assert!(
            identity.code == 0 && server.seen().pop().unwrap().call.ends_with("/namespaces/n1"),
            "{}",
            identity.err
        );
        let both = az("add --hen h1 --hub-id /h --den d1 --dps-id /d --hub-mi-sa --dps-mi-ua /u").await;
        assert_eq!(both.code, 0, "{}", both.err);
        for wrong in [
            "hub add -n new --hub-id /h",
            "hub add -n h1 --hub-id /h --mi-sa",
            "dps add -n x --dps-id /d --mi-sa --mi-ua /u",
        ] {
            assert_eq!(az(wrong).await.code, 1, "{wrong}");
        }
    }
}
