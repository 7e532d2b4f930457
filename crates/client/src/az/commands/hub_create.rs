//! `az iot hub create`.

use super::hub_link;
use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, segment};
use crate::az::failure::{Failure, Result};
use crate::az::members::{put, set_at};
use crate::az::options::{has_namespace_identity, location, tags, user_identities};
use crate::az::versions;
use http::Method;
use serde_json::{Map, Value, json};

/// The options that decide a hub's messaging; `hub update` has them too.
pub(crate) const SETTINGS: &str = "--c2d-max-delivery-count/--cdd int # Deliveries of a cloud-to-device message, 10.
--c2d-ttl/--ct int # Life of a cloud-to-device message, hours, 1.
--feedback-lock-duration/--fld int # Lock of the feedback queue, seconds, 5.
--feedback-max-delivery-count/--fd int # Deliveries of a feedback message, 10.
--feedback-ttl/--ft int # Life of a feedback message, hours, 1.
--fileupload-notifications/--fn/--enable-file-upload 3st # Notify of uploaded files.
--fileupload-notification-lock-duration/--fnld int # Lock of the notification queue, seconds, 5.
--fileupload-notification-max-delivery-count/--fnd int # Deliveries of a notification, 10.
--fileupload-notification-ttl/--fnt int # Life of a notification, hours, 1.
--fileupload-sas-ttl/--fst int # Life of an upload URL, hours, 1.
--fileupload-storage-auth-type/--fsa {keyBased,identityBased} # How storage is reached.
--fileupload-storage-connectionstring/--fcs # Connection string of the storage.
--fileupload-storage-container-name/--fc # Container of the storage.
--fileupload-storage-identity/--fsi # Identity that reaches the storage.
--disable-local-auth/--dla 3st # Refuse shared access keys.
--disable-device-sas/--dds 3st # Refuse device keys.
--disable-module-sas/--dms 3st # Refuse module keys.
--min-tls-version/--mintls # Least TLS version.
--retention-day/--rd int # Days that events are kept, 1.
--sku {F1,S1,S2,S3,B1,B2,B3,GEN2} # Pricing tier: S1, or GEN2 with --ns-resource-id.
--unit int # Units, 1.
--tags * # Tags: key=value; an empty text clears them.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new(
    "iot hub create",
    "Create an IoT hub, linked to a namespace where one is named or follows from the identity.",
    &[
        "--name/-n! # Name of the hub: 3 to 50 letters, digits and inner hyphens.
--resource-group/-g! # Resource group.
--location/-l # Region; the group's without it.
--partition-count int =4 # Partitions of the event log.
--enforce-data-residency/--edr 3st # Keep data in the region.
--mi-system-assigned 3st # Give the hub an identity of its own.
--mi-user-assigned/--assign-identity * # User-assigned identities; [system] for one of its own.
--role # Role for the hub's own identity, at --scopes.
--scopes * # Scopes of --role.
--ns-resource-id/--adr-ns-id # Namespace to link to.
--ns-identity-id/--adr-identity-id # Identity with which the hub works on the namespace.
--skip-ns-ra 3st # Do not give the namespace its roles on the hub.
--custom-ns-role-id # Role for the namespace on the hub, instead of the two usual ones.
--no-wait flag # Do not wait for the end.",
        SETTINGS,
    ],
    create,
)];

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let name = hub_name(args)?;
        let group = args.filled("--resource-group")?;
        args.refuse_empty(&["--mi-user-assigned", "--ns-resource-id", "--ns-identity-id"])?;
        let identity = identity(args);
        let sku = sku(args)?;
        has_namespace_identity(args, "hub")?;
        let link = hub_link::choose(context, args, group).await?;
        if sku == "GEN2" && link.is_none() {
            return Err(Failure::error(
                "Generation2 IoT Hubs require both ADR namespace resource ID (--adr-ns-id) and ADR identity resource ID (--adr-identity-id).",
            ));
        }
        let mut properties = default_properties(args);
        if let Some(link) = &link {
            properties["deviceRegistry"] =
                json!({"namespaceResourceId": link.namespace, "identityResourceId": link.identity});
        }
        apply_settings(args, &mut properties)?;
        leave_out_file_upload(context, args, &mut properties);
        let region = location(context, args, group).await?;
        let mut body = Map::new();
        put(&mut body, "location", Some(json!(region)));
        put(&mut body, "tags", tags(args));
        let sku = json!({"name": sku, "capacity": args.integer("--unit").unwrap_or(1)});
        put(&mut body, "sku", Some(sku));
        put(&mut body, "identity", identity);
        put(&mut body, "properties", Some(properties));
        let path = format!("{}/{}", context.collection_path(Some(group), "Microsoft.Devices/IotHubs")?, segment(name));
        let no_wait = args.flag("--no-wait");
        let hub = context.arm_write(Method::PUT, &path, versions::HUB, &Value::Object(body), no_wait).await?;
        if no_wait {
            return Ok(Value::Null.into());
        }
        if let Some(role) = args.text("--role") {
            hub_link::grant_own_identity(context, &hub, role, args.list("--scopes").unwrap_or_default()).await?;
        }
        let skip = args.switch("--skip-ns-ra") == Some(true);
        if let Some(link) = link.filter(|_| !skip) {
            let role = args.text("--custom-ns-role-id");
            hub_link::grant_namespace(context, &link.namespace, &hub, role).await?;
        }
        Ok(hub.into())
    })
}

/// The published instructions ask for file upload, which the server refuses because it has none. The hub is made without.
fn leave_out_file_upload(context: &mut Context<'_>, args: &Args, properties: &mut Value) {
    if args.switch("--fileupload-notifications") == Some(true) {
        context.warn(
            "Ferrohub has no file upload; the hub is made without it (--enable-file-upload, --fileupload-notifications).",
        );
        properties["enableFileUploadNotifications"] = json!(false);
    }
}

/// The pricing tier: a hub that is linked by name is of the second generation, where nothing else is said.
fn sku(args: &Args) -> Result<&str> {
    let linked = args.given("--ns-resource-id") || args.given("--ns-identity-id");
    match args.text("--sku") {
        None => Ok(if linked { "GEN2" } else { "S1" }),
        Some(sku) if linked && sku != "GEN2" => {
            Err(Failure::error("ADR properties are only supported for Generation2 IoT Hub SKUs."))
        }
        Some(sku) => Ok(sku),
    }
}

/// The hub's name; an empty one is most often the variable that the instructions never set.
fn hub_name(args: &Args) -> Result<&str> {
    let name = args.required("--name")?;
    if name.is_empty() {
        return Err(Failure::error(
            "The value of --name is empty. If the command was --name \"$IOT_HUB_NAME\", the variable IOT_HUB_NAME is not set; set it first: \
             IOT_HUB_NAME=\"$HUB_NAME\"",
        ));
    }
    Ok(name)
}

/// The identity object of a new hub; `None` where no identity was asked for.
fn identity(args: &Args) -> Option<Value> {
    let users = user_identities(args);
    let own = args.switch("--mi-system-assigned") == Some(true)
        || args.list("--mi-user-assigned").is_some_and(|all| all.iter().any(|id| id == "[system]"));
    let kind = match (own, users.is_empty()) {
        (true, true) => "SystemAssigned",
        (true, false) => "SystemAssigned, UserAssigned",
        (false, false) => "UserAssigned",
        (false, true) => return None,
    };
    let mut identity = Map::new();
    put(&mut identity, "type", Some(json!(kind)));
    if !users.is_empty() {
        let users: Map<String, Value> = users.into_iter().map(|id| (id, json!({}))).collect();
        put(&mut identity, "userAssignedIdentities", Some(Value::Object(users)));
    }
    Some(Value::Object(identity))
}

/// The properties that `az` sends for a hub with nothing said.
fn default_properties(args: &Args) -> Value {
    let mut properties = json!({
        "eventHubEndpoints": {"events": {"retentionTimeInDays": 1, "partitionCount": args.integer("--partition-count").unwrap_or(4)}},
        "storageEndpoints": {"$default": {"sasTtlAsIso8601": "PT1H", "connectionString": "", "containerName": ""}},
        "messagingEndpoints": {"fileNotifications": {"lockDurationAsIso8601": "PT5S", "ttlAsIso8601": "PT1H", "maxDeliveryCount": 10}},
        "enableFileUploadNotifications": false,
        "cloudToDevice": {
            "maxDeliveryCount": 10,
            "defaultTtlAsIso8601": "PT1H",
            "feedback": {"lockDurationAsIso8601": "PT5S", "ttlAsIso8601": "PT1H", "maxDeliveryCount": 10},
        },
    });
    if args.switch("--enforce-data-residency") == Some(true) {
        properties["enableDataResidency"] = json!(true);
    }
    properties
}

/// How the value of a setting is written into the hub.
#[derive(Clone, Copy)]
enum Form {
    Number,
    Hours,
    Seconds,
    Switch,
    Text,
}

/// Options of [`SETTINGS`] that are one property, and where it lies.
const PROPERTIES: &[(&str, Form, &str)] = &[
    ("--c2d-max-delivery-count", Form::Number, "cloudToDevice/maxDeliveryCount"),
    ("--c2d-ttl", Form::Hours, "cloudToDevice/defaultTtlAsIso8601"),
    ("--feedback-lock-duration", Form::Seconds, "cloudToDevice/feedback/lockDurationAsIso8601"),
    ("--feedback-max-delivery-count", Form::Number, "cloudToDevice/feedback/maxDeliveryCount"),
    ("--feedback-ttl", Form::Hours, "cloudToDevice/feedback/ttlAsIso8601"),
    ("--retention-day", Form::Number, "eventHubEndpoints/events/retentionTimeInDays"),
    ("--fileupload-notifications", Form::Switch, "enableFileUploadNotifications"),
    (
        "--fileupload-notification-lock-duration",
        Form::Seconds,
        "messagingEndpoints/fileNotifications/lockDurationAsIso8601",
    ),
    (
        "--fileupload-notification-max-delivery-count",
        Form::Number,
        "messagingEndpoints/fileNotifications/maxDeliveryCount",
    ),
    ("--fileupload-notification-ttl", Form::Hours, "messagingEndpoints/fileNotifications/ttlAsIso8601"),
    ("--fileupload-sas-ttl", Form::Hours, "storageEndpoints/$default/sasTtlAsIso8601"),
    ("--fileupload-storage-auth-type", Form::Text, "storageEndpoints/$default/authenticationType"),
    ("--fileupload-storage-connectionstring", Form::Text, "storageEndpoints/$default/connectionString"),
    ("--fileupload-storage-container-name", Form::Text, "storageEndpoints/$default/containerName"),
    ("--fileupload-storage-identity", Form::Text, "storageEndpoints/$default/identity/userAssignedIdentity"),
    ("--disable-local-auth", Form::Switch, "disableLocalAuth"),
    ("--disable-device-sas", Form::Switch, "disableDeviceSAS"),
    ("--disable-module-sas", Form::Switch, "disableModuleSAS"),
    ("--min-tls-version", Form::Text, "minTlsVersion"),
];

/// Applies the given ones of [`SETTINGS`] to a hub's properties.
///
/// # Errors
/// Where the properties are not the objects they should be.
pub(crate) fn apply_settings(args: &Args, properties: &mut Value) -> Result<()> {
    for (option, form, path) in PROPERTIES {
        let value = match form {
            Form::Number => args.integer(option).map(|number| json!(number)),
            Form::Hours => args.integer(option).map(|hours| json!(format!("PT{hours}H"))),
            Form::Seconds => args.integer(option).map(|seconds| json!(format!("PT{seconds}S"))),
            Form::Switch => args.switch(option).map(Value::Bool),
            Form::Text => args.text(option).map(|text| json!(text)),
        };
        if let Some(value) = value {
            let path: Vec<&str> = path.split('/').collect();
            set_at(properties, &path, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::az::parser;
    use std::collections::HashMap;

    fn args(options: &[&str]) -> Args {
        let arguments: Vec<String> = ["-g", "g"].iter().chain(options).map(|option| (*option).to_owned()).collect();
        parser::parse(&COMMANDS[0], &arguments, &HashMap::new()).unwrap()
    }

    #[test]
    fn an_empty_name_names_the_variable_to_set() {
        let args = args(&["--name", ""]);
        let failure = hub_name(&args).unwrap_err();
        assert_eq!(failure.exit, 1);
        assert!(failure.message.contains("IOT_HUB_NAME=\"$HUB_NAME\""), "{}", failure.message);
    }

    #[test]
    fn both_spellings_of_the_identity_option_mean_the_same() {
        for option in ["--assign-identity", "--mi-user-assigned"] {
            let identity = identity(&args(&["-n", "h", option, "/i"])).unwrap();
            assert_eq!(identity, json!({"type": "UserAssigned", "userAssignedIdentities": {"/i": {}}}));
        }
        assert_eq!(identity(&args(&["-n", "h"])), None);
        let both = identity(&args(&["-n", "h", "--assign-identity", "[system]", "/i"])).unwrap();
        assert_eq!(both["type"], "SystemAssigned, UserAssigned");
    }

    #[test]
    fn settings_reach_their_properties() {
        let args = args(&["-n", "h", "--enable-file-upload", "true", "--sku", "gen2", "--fst", "3"]);
        let mut properties = default_properties(&args);
        apply_settings(&args, &mut properties).unwrap();
        assert_eq!(properties["enableFileUploadNotifications"], true);
        assert_eq!(properties["storageEndpoints"]["$default"]["sasTtlAsIso8601"], "PT3H");
        assert_eq!(args.text("--sku"), Some("GEN2"));
    }
}
