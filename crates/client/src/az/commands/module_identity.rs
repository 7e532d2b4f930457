//! `az iot hub module-identity …`.

use super::identity_keys::{self, AUTHENTICATION};
use crate::az::args::Args;
use crate::az::command::{Command, GENERIC_UPDATE, HUB_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::{DataPlane, Service};
use crate::az::failure::{Failure, Result};
use crate::az::options::{first, if_match};
use crate::az::output::Output;
use crate::az::update;
use http::Method;
use serde_json::{Value, json};

const DEVICE: &str = "--device-id/-d! # Id of the device.";
const MODULE: &str = "--module-id/-m! # Id of the module.";
const ETAG: &str = "--etag/-e # Only if the module has this ETag.";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot hub module-identity create",
        "Create a module of a device.",
        &[HUB_CONTEXT, DEVICE, MODULE, AUTHENTICATION],
        create,
    ),
    Command::new("iot hub module-identity show", "Show a module.", &[HUB_CONTEXT, DEVICE, MODULE], show),
    Command::new(
        "iot hub module-identity list",
        "List the modules of a device.",
        &[HUB_CONTEXT, DEVICE, "--top int =1000 # Modules at most."],
        list,
    ),
    Command::new(
        "iot hub module-identity update",
        "Change a module.",
        &[HUB_CONTEXT, DEVICE, MODULE, ETAG, GENERIC_UPDATE],
        update_module,
    ),
    Command::new("iot hub module-identity delete", "Delete a module.", &[HUB_CONTEXT, DEVICE, MODULE, ETAG], delete),
    Command::new(
        "iot hub module-identity connection-string show",
        "Show a module's connection string.",
        &[HUB_CONTEXT, DEVICE, MODULE, "--key-type/--kt {primary,secondary} =primary # Which of the two keys."],
        connection_string,
    ),
];

/// The modules of the device.
fn modules(args: &Args) -> Result<String> {
    Ok(format!("/devices/{}/modules", segment(args.filled("--device-id")?)))
}

fn path(args: &Args) -> Result<String> {
    Ok(format!("{}/{}", modules(args)?, segment(args.filled("--module-id")?)))
}

fn create<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (device, module) = (args.filled("--device-id")?, args.filled("--module-id")?);
        let mut identity = json!({
            "deviceId": device, "moduleId": module, "authentication": {"type": "sas", "symmetricKey": {}}
        });
        identity_keys::apply(args, &mut identity)?;
        let plane = context.data_plane(args, Service::Hub).await?;
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&identity), None).await?.into())
    })
}

async fn get(context: &mut Context<'_>, args: &Args) -> Result<(DataPlane, Value)> {
    let plane = context.data_plane(args, Service::Hub).await?;
    let identity = context.call(&plane, Method::GET, &path(args)?, None, None).await?;
    Ok((plane, identity))
}

fn show<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move { Ok(get(context, args).await?.1.into()) })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        Ok(first(context.call(&plane, Method::GET, &modules(args)?, None, None).await?, args).into())
    })
}

fn update_module<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        if !update::requested(args) {
            return Err(Failure::error("Nothing to change. Give --set, --add or --remove."));
        }
        let (plane, mut identity) = get(context, args).await?;
        update::apply(args, &mut identity)?;
        let etag = if_match(args);
        identity["etag"] = json!(etag.trim_matches('"'));
        Ok(context.call(&plane, Method::PUT, &path(args)?, Some(&identity), Some(&etag)).await?.into())
    })
}

fn delete<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let plane = context.data_plane(args, Service::Hub).await?;
        context.call(&plane, Method::DELETE, &path(args)?, None, Some(&if_match(args))).await?;
        Ok(Output::nothing())
    })
}

fn connection_string<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (plane, identity) = get(context, args).await?;
        Ok(identity_keys::connection_string(args, &plane, &identity))
    })
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::{Value, json};

    const LOGIN: &str = "HostName=h1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0";

    #[tokio::test]
    async fn modules_and_their_twins() {
        let server = Scripted::signed_in(|seen| {
            let module =
                json!({"deviceId": "d/1", "moduleId": "m", "authentication": {"symmetricKey": {"primaryKey": "UEs="}}});
            Some(match seen.call.split(' ').next()? {
                "GET" if seen.call.ends_with("/modules") => Answer::ok(json!([module, module])),
                "GET" => Answer::ok(module),
                "DELETE" => Answer::new(204, Value::Null),
                _ => Answer::ok(seen.body.clone()),
            })
        })
        .await;
        for (words, call, body) in [
            (
                "module-identity create -d d/1 -m m",
                "PUT /devices/d%2F1/modules/m",
                json!({"deviceId": "d/1", "moduleId": "m", "authentication": {"type": "sas", "symmetricKey": {}}}),
            ),
            ("module-identity list -d d/1 --top 1", "GET /devices/d%2F1/modules", json!("")),
            ("module-identity delete -d d -m m", "DELETE /devices/d/modules/m", json!("")),
            ("module-twin show -d d -m m", "GET /twins/d/modules/m", json!("")),
            ("module-twin update -d d -m m --tags {\"a\":1}", "PATCH /twins/d/modules/m", json!({"tags": {"a": 1}})),
        ] {
            let words = format!("iot hub {words} --login {LOGIN}");
            let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
            assert_eq!(ran.code, 0, "{words}: {}", ran.err);
            let seen = server.seen().pop().unwrap();
            assert_eq!((seen.call.as_str(), seen.body), (call, body), "{words}");
        }
        let string = "iot hub module-identity connection-string show -d d/1 -m m -o tsv --login";
        let ran = server.az(&string.split(' ').chain([LOGIN]).collect::<Vec<_>>()).await;
        let wanted = "HostName=h1.azure-devices.localhost;DeviceId=d/1;ModuleId=m;SharedAccessKey=UEs=\n";
        assert_eq!(ran.out, wanted, "{}", ran.err);
        for wrong in ["update -d d -m m", "create -d d -m m --am x509_thumbprint"] {
            let words = format!("iot hub module-identity {wrong} --login {LOGIN}");
            assert_eq!(server.az(&words.split(' ').collect::<Vec<_>>()).await.code, 1, "{wrong}");
        }
    }
}
