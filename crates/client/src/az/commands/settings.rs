//! `az config`, `configure`, `cloud`, `version`, and the commands that have nothing to do here.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task};
use crate::az::failure::{Failure, Result};
use crate::az::output::Output;
use crate::profile::save_settings;
use serde_json::{Value, json};

/// The `az` whose grammar is followed.
pub(crate) const CORE_VERSION: &str = "2.91.0";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "config set",
        "Set configuration values.",
        &["key_value! + # section.key=value, such as defaults.group=rg.
--local flag # Ignored: there is one configuration."],
        config_set,
    ),
    Command::new(
        "config get",
        "Show configuration values.",
        &["key ? # section or section.key; everything without it.
--local flag # Ignored: there is one configuration."],
        config_get,
    ),
    Command::new(
        "config unset",
        "Remove configuration values.",
        &["key! + # section.key
--local flag # Ignored: there is one configuration."],
        config_unset,
    ),
    Command::new(
        "configure",
        "Set defaults of arguments.",
        &["--defaults/-d + # key=value, such as group=rg location=westus.
--list-defaults/-l 3st # List them.
--scope {global,local} =global # Ignored: there is one configuration."],
        configure,
    ),
    Command::new("cloud show", "Show the cloud in use.", &["--name/-n =AzureCloud # Name of the cloud."], cloud_show),
    Command::new("cloud list", "List the clouds.", &[], cloud_list),
    Command::new(
        "cloud list-profiles",
        "List the profiles of the cloud.",
        &["--name/-n =AzureCloud # Name of the cloud.
--show-all flag # Ignored."],
        cloud_profiles,
    ),
    Command::new(
        "cloud set",
        "Choose the cloud: there is one.",
        &["--name/-n! # Name of the cloud.
--profile {latest} # Ignored."],
        cloud_set,
    ),
    Command::new(
        "cloud register",
        "Refused: the server that is signed in at is the one cloud.",
        &["--name/-n! # Name of the cloud.
--endpoint-resource-manager # Ignored.
~--endpoint-active-directory
~--endpoint-active-directory-resource-id
~--endpoint-microsoft-graph-resource-id
~--cloud-config
~--skip-endpoint-discovery flag"],
        one_cloud,
    ),
    Command::new(
        "cloud unregister",
        "Refused: the server that is signed in at is the one cloud.",
        &["--name/-n! # Name of the cloud."],
        one_cloud,
    ),
    Command::new("version", "Show versions.", &[], version),
    Command::new(
        "upgrade",
        "Does nothing: the program is updated as a whole.",
        &["--allow-preview-extensions/--allow-preview 3st # Ignored.
--all 3st =true # Ignored.
--yes/-y flag # Ignored."],
        nothing,
    ),
    Command::new(
        "extension add",
        "Does nothing: everything is built in.",
        &["--name/-n # Name of the extension.
--source/-s # Ignored.
--allow-preview 3st # Ignored.
--upgrade flag # Ignored.
--version =latest # Ignored.
--system flag # Ignored.
--pip-proxy # Ignored.
--pip-extra-index-urls + # Ignored.
--yes/-y flag # Ignored."],
        nothing,
    ),
    Command::new(
        "extension remove",
        "Does nothing: everything is built in.",
        &["--name/-n! # Name of the extension."],
        nothing,
    ),
    Command::new(
        "extension update",
        "Does nothing: everything is built in.",
        &["--name/-n! # Name of the extension.
--allow-preview 3st # Ignored.
--pip-proxy # Ignored.
--pip-extra-index-urls + # Ignored."],
        nothing,
    ),
    Command::new("extension list", "List the extensions: the one whose commands are built in.", &[], extension_list),
    Command::new(
        "extension show",
        "Show the extension whose commands are built in.",
        &["--name/-n! # Name of the extension."],
        extension_show,
    ),
    Command::new(
        "extension list-versions",
        "List the versions to install: none, everything is built in.",
        &["--name/-n! # Name of the extension."],
        none_to_install,
    ),
    Command::new(
        "extension list-available",
        "List the extensions to install: none, everything is built in.",
        &["--show-details/-d flag # Ignored."],
        none_to_install,
    ),
];

fn split_key(text: &str) -> Result<(String, String)> {
    let (section, key) = text.split_once('.').ok_or_else(|| Failure::error("Usage: [section].[name]=[value] ..."))?;
    Ok((section.to_lowercase(), key.to_lowercase()))
}

fn config_set<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        for pair in args.list("key_value").unwrap_or_default() {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| Failure::error("Usage: [section].[name]=[value] ..."))?;
            let (section, key) = split_key(name)?;
            context.settings.entry(section).or_default().insert(key, value.to_owned());
        }
        save_settings(context.environment, &context.settings)?;
        Ok(Output::nothing())
    })
}

fn config_get<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let entry = |key: &str, value: &str| json!({"name": key, "value": value, "source": "config.toml"});
        let section_list = |section: &str| {
            let keys = context.settings.get(section);
            Value::Array(keys.into_iter().flatten().map(|(key, value)| entry(key, value)).collect())
        };
        match args.text("key") {
            None => {
                let all = context.settings.keys().map(|section| (section.clone(), section_list(section))).collect();
                Ok(Value::Object(all).into())
            }
            Some(name) if !name.contains('.') => Ok(section_list(name).into()),
            Some(name) => {
                let (section, key) = split_key(name)?;
                let value = context.settings.get(&section).and_then(|keys| keys.get(&key));
                let value = value.ok_or_else(|| Failure::error(format!("Configuration '{name}' is not set.")))?;
                Ok(entry(&key, value).into())
            }
        }
    })
}

fn config_unset<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        for name in args.list("key").unwrap_or_default() {
            let (section, key) = split_key(name)?;
            if let Some(keys) = context.settings.get_mut(&section) {
                keys.remove(&key);
            }
        }
        context.settings.retain(|_, keys| !keys.is_empty());
        save_settings(context.environment, &context.settings)?;
        Ok(Output::nothing())
    })
}

fn configure<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if let Some(defaults) = args.list("--defaults") {
            for pair in defaults {
                let (key, value) =
                    pair.split_once('=').ok_or_else(|| Failure::error("usage error: --defaults STRING=STRING ..."))?;
                context.settings.entry("defaults".to_owned()).or_default().insert(key.to_lowercase(), value.to_owned());
            }
            save_settings(context.environment, &context.settings)?;
            return Ok(Output::nothing());
        }
        if args.switch("--list-defaults") == Some(true) {
            let keys = context.settings.get("defaults");
            let entry =
                |(key, value): (&String, &String)| json!({"name": key, "value": value, "source": "config.toml"});
            return Ok(Value::Array(keys.into_iter().flatten().map(entry).collect()).into());
        }
        Err(Failure::error("Nothing to configure. Use --defaults key=value or --list-defaults."))
    })
}

fn cloud(context: &mut Context<'_>) -> Result<Value> {
    let urls = context.urls()?;
    let domain = context.domain()?;
    Ok(json!({
        "endpoints": {
            "activeDirectory": urls.login,
            "activeDirectoryResourceId": "https://management.azure.com/",
            "management": urls.resource_manager,
            "microsoftGraphResourceId": format!("{}/", urls.graph),
            "resourceManager": urls.resource_manager,
        },
        "isActive": true,
        "name": "AzureCloud",
        "profile": "latest",
        "suffixes": {"iotHub": format!(".azure-devices.{domain}"), "iotDps": format!(".azure-devices-provisioning.{domain}")},
    }))
}

fn cloud_show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        match args.text("--name") {
            Some("AzureCloud") | None => Ok(cloud(context)?.into()),
            Some(other) => Err(Failure::error(format!("The cloud '{other}' is not registered."))),
        }
    })
}

fn cloud_list<'a>(context: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(json!([cloud(context)?]).into()) })
}

fn cloud_profiles<'a>(_session: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(json!(["latest"]).into()) })
}

fn cloud_set<'a>(_session: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        match args.required("--name")? {
            "AzureCloud" => Ok(Output::nothing()),
            other => Err(Failure::error(format!("The cloud '{other}' is not registered."))),
        }
    })
}

fn one_cloud<'a>(_session: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        Err(Failure::error(
            "This az has one cloud, AzureCloud: the server that it is signed in at. 'az login' signs in at the local one, 'az login --server URL --ca FILE' \
             elsewhere.",
        ))
    })
}

fn extension() -> Value {
    json!({"experimental": false, "extensionType": "builtin", "name": "azure-iot", "path": null, "preview": false, "version": "0.30.0b2"})
}

fn version<'a>(_session: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        Ok(json!({
            "azure-cli": CORE_VERSION,
            "azure-cli-core": CORE_VERSION,
            "extensions": {"azure-iot": extension()["version"]},
            "ferrohub": env!("CARGO_PKG_VERSION"),
        })
        .into())
    })
}

fn extension_list<'a>(_session: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(json!([extension()]).into()) })
}

fn extension_show<'a>(_session: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        match args.required("--name")? {
            "azure-iot" => Ok(extension().into()),
            other => Err(Failure::error(format!("The extension {other} is not installed."))),
        }
    })
}

fn none_to_install<'a>(_session: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(json!([]).into()) })
}

fn nothing<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        context.warn(&format!("az {}: nothing to do, every command is built in.", args.command()));
        Ok(Output::nothing())
    })
}
