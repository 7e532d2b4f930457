//! How a device or a module signs in: what its options mean, its connection string, its keys made anew.

use crate::az::args::Args;
use crate::az::command::{Command, HUB_CONTEXT};
use crate::az::context::{Context, Task, segment};
use crate::az::data_plane::{DataPlane, Service};
use crate::az::failure::{Failure, Result};
use crate::az::members::{set_at, text};
use crate::az::options::{if_match, key_member};
use crate::az::output::Output;
use ferrohub_wire::connection_string::ConnectionString;
use http::Method;
use serde_json::{Value, json};

/// The options of an identity that is made or changed.
pub(super) const AUTHENTICATION: &str =
    "--auth-method/--am {shared_private_key,x509_thumbprint,x509_ca} # How it signs in.
--primary-key/--pk # Its primary key, base64.
--secondary-key/--sk # Its secondary key, base64.
--primary-thumbprint/--ptp # Thumbprint of its certificate.
--secondary-thumbprint/--stp # Thumbprint of its other certificate.";
const KEY_TYPE: &str = "--key-type/--kt! {primary,secondary,swap,both} # Which of the two keys.
--etag/-e # Only if it has this ETag.
--no-progress 3st # Ignored.";
/// Identities of one request (Azure's own number).
const AT_ONCE: usize = 100;
/// All that sign in with keys.
const ALL: &str = "*";

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "iot hub device-identity renew-key",
        "Make the keys of devices anew.",
        &[
            HUB_CONTEXT,
            "--device-id/-d! + # Ids of devices, or '*' for all that sign in with keys.
--include-modules/--im 3st # With '*', the keys of modules too.",
            KEY_TYPE,
        ],
        renew_devices,
    ),
    Command::new(
        "iot hub module-identity renew-key",
        "Make the keys of modules anew.",
        &[
            HUB_CONTEXT,
            "--device-id/-d! # Id of the device.
--module-id/-m! + # Ids of modules, or '*' for all that sign in with keys.",
            KEY_TYPE,
        ],
        renew_modules,
    ),
];

/// Writes into an identity what the options say of how it signs in.
pub(super) fn apply(args: &Args, identity: &mut Value) -> Result<()> {
    let thumbprints = args.given("--primary-thumbprint") || args.given("--secondary-thumbprint");
    let keys = args.given("--primary-key") || args.given("--secondary-key");
    if keys && thumbprints {
        return Err(Failure::error("Whoever signs in does so with keys or with certificates; give one kind."));
    }
    match args.text("--auth-method") {
        Some("x509_ca") => identity["authentication"] = json!({"type": "certificateAuthority"}),
        Some("x509_thumbprint") if !thumbprints => {
            return Err(Failure::error("--primary-thumbprint is required with --auth-method x509_thumbprint."));
        }
        Some("x509_thumbprint") => identity["authentication"] = json!({"type": "selfSigned"}),
        Some(_) => identity["authentication"] = json!({"type": "sas", "symmetricKey": {}}),
        None => {}
    }
    for (option, at) in [
        ("--primary-key", ["authentication", "symmetricKey", "primaryKey"]),
        ("--secondary-key", ["authentication", "symmetricKey", "secondaryKey"]),
        ("--primary-thumbprint", ["authentication", "x509Thumbprint", "primaryThumbprint"]),
        ("--secondary-thumbprint", ["authentication", "x509Thumbprint", "secondaryThumbprint"]),
    ] {
        if let Some(value) = args.text(option) {
            set_at(identity, &at, json!(value))?;
        }
    }
    Ok(())
}

/// The connection string of a device or a module, as `connection-string show` prints it.
pub(super) fn connection_string(args: &Args, plane: &DataPlane, identity: &Value) -> Output {
    let (device, module) = (text(identity, "/deviceId"), text(identity, "/moduleId"));
    let key = text(identity, &format!("/authentication/symmetricKey{}", key_member(args)));
    let string = match (module, key) {
        ("", "") => ConnectionString::for_x509_device(&plane.host, device),
        ("", key) => ConnectionString::for_device(&plane.host, device, key),
        (module, key) => {
            ConnectionString::for_module(&plane.host, device, module, Some(key).filter(|key| !key.is_empty()))
        }
    };
    json!({"connectionString": string.reveal()}).into()
}

/// A device, or a module of one.
#[derive(Clone)]
struct Named {
    device: String,
    module: Option<String>,
}

impl Named {
    fn device(id: &str) -> Self {
        Self { device: id.to_owned(), module: None }
    }

    fn path(&self) -> String {
        match &self.module {
            Some(module) => format!("/devices/{}/modules/{}", segment(&self.device), segment(module)),
            None => format!("/devices/{}", segment(&self.device)),
        }
    }

    fn body(&self, etag: Option<&str>) -> Value {
        let mut body = json!({"id": self.device});
        for (name, value) in [("moduleId", self.module.as_deref()), ("etag", etag)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

fn renew_devices<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let ids = args.list("--device-id").unwrap_or_default();
        let all = ids.iter().any(|id| id == ALL);
        let modules_too = args.switch("--include-modules") == Some(true);
        if modules_too && !all {
            return Err(Failure::error(
                "--include-modules goes with --device-id '*'; for modules of one device there is 'az iot hub module-identity renew-key'.",
            ));
        }
        let plane = context.data_plane(args, Service::Hub).await?;
        let mut named: Vec<Named> = ids.iter().map(|id| Named::device(id)).collect();
        if all {
            named.clear();
            let body = json!({"query": "select deviceId, authenticationType from devices"});
            let found = context.query(&plane, "/devices/query", &body, None).await?;
            for device in found.as_array().into_iter().flatten() {
                let id = text(device, "/deviceId");
                if text(device, "/authenticationType") == "sas" {
                    named.push(Named::device(id));
                }
                if modules_too {
                    named.extend(modules_of(context, &plane, id).await?);
                }
            }
        }
        renew(context, args, &plane, &named, all).await
    })
}

fn renew_modules<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (device, ids) = (args.filled("--device-id")?, args.list("--module-id").unwrap_or_default());
        let all = ids.iter().any(|id| id == ALL);
        let plane = context.data_plane(args, Service::Hub).await?;
        let named = match all {
            true => modules_of(context, &plane, device).await?,
            false => ids.iter().map(|id| Named { module: Some(id.clone()), ..Named::device(device) }).collect(),
        };
        renew(context, args, &plane, &named, all).await
    })
}

/// The modules of a device that sign in with keys.
async fn modules_of(context: &mut Context<'_>, plane: &DataPlane, device: &str) -> Result<Vec<Named>> {
    let path = format!("/devices/{}/modules", segment(device));
    let found = context.call(plane, Method::GET, &path, None, None).await?;
    let with_keys =
        found.as_array().into_iter().flatten().filter(|module| text(module, "/authentication/type") == "sas");
    Ok(with_keys
        .map(|one| Named { module: Some(text(one, "/moduleId").to_owned()), ..Named::device(device) })
        .collect())
}

async fn renew(
    context: &mut Context<'_>,
    args: &Args,
    plane: &DataPlane,
    named: &[Named],
    all: bool,
) -> Result<Output> {
    let one = match named {
        [one] if !all => Some(one),
        _ => None,
    };
    if one.is_none() && args.given("--etag") {
        return Err(Failure::error("--etag is for one device or module."));
    }
    let kind = match args.required("--key-type")? {
        "both" => "both",
        // The hub knows no swap; it is a write of what it shows.
        "swap" => {
            let one = one.ok_or_else(|| Failure::error("Keys are swapped of one device or module at a time."))?;
            return swap(context, args, plane, one).await;
        }
        "secondary" => "secondaryKey",
        _ => "primaryKey",
    };
    let (mut rotated, mut errors) = (Vec::new(), Vec::new());
    for some in named.chunks(AT_ONCE) {
        let devices: Vec<Value> = some.iter().map(|named| named.body(args.text("--etag"))).collect();
        let body = json!({"policyKey": kind, "devices": devices});
        let answer = context.call(plane, Method::POST, "/devices/keys/regenerate", Some(&body), None).await?;
        let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        rotated.extend(list("rotatedKeys"));
        errors.extend(list("errors"));
    }
    if !errors.is_empty() && (one.is_some() || rotated.is_empty()) {
        return Err(refused(&errors));
    }
    let Some(one) = one else {
        return Ok(json!({"policyKey": kind, "errors": errors, "rotatedKeys": rotated}).into());
    };
    let mut identity = context.call(plane, Method::GET, &one.path(), None, None).await?;
    if one.module.is_none() {
        identity["hub"] = json!(plane.host);
    }
    Ok(identity.into())
}

/// Exchanges the two keys, unless somebody changed them meanwhile.
async fn swap(context: &mut Context<'_>, args: &Args, plane: &DataPlane, one: &Named) -> Result<Output> {
    let mut identity = context.call(plane, Method::GET, &one.path(), None, None).await?;
    let key = |member: &str| text(&identity, &format!("/authentication/symmetricKey/{member}")).to_owned();
    let (primary, secondary) = (key("primaryKey"), key("secondaryKey"));
    if primary.is_empty() || secondary.is_empty() {
        let name = one.module.as_deref().map_or(one.device.clone(), |module| format!("{}/{module}", one.device));
        return Err(Failure::error(format!("'{name}' has no two keys to swap: it does not sign in with keys.")));
    }
    identity["authentication"]["symmetricKey"] = json!({"primaryKey": secondary, "secondaryKey": primary});
    let etag = match args.text("--etag") {
        Some(_) => if_match(args),
        None => format!("\"{}\"", text(&identity, "/etag")),
    };
    let mut made = context.call(plane, Method::PUT, &one.path(), Some(&identity), Some(&etag)).await?;
    if one.module.is_none() {
        made["hub"] = json!(plane.host);
    }
    Ok(made.into())
}

/// The failure of an answer that names errors.
fn refused(errors: &[Value]) -> Failure {
    let said: Vec<String> = errors
        .iter()
        .map(|error| {
            let code = error.get("errorCode").map(Value::to_string).unwrap_or_default();
            format!("{}: {} {}", text(error, "/deviceId"), code.trim_matches('"'), text(error, "/errorStatus"))
        })
        .collect();
    Failure::error(format!("Keys were not made anew. {}", said.join("; ")))
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted, Seen};
    use serde_json::{Value, json};

    const LOGIN: &str = "HostName=h1.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0";

    fn script(seen: &Seen) -> Option<Answer> {
        let keys = json!({"type": "sas", "symmetricKey": {"primaryKey": "P", "secondaryKey": "S"}});
        Some(match seen.call.as_str() {
            "POST /devices/keys/regenerate" if seen.body["devices"][0]["id"] == "gone" => Answer::ok(
                json!({"errors": [{"deviceId": "gone", "errorCode": 404001, "errorStatus": "no such device"}]}),
            ),
            "POST /devices/keys/regenerate" => Answer::ok(json!({"errors": [], "rotatedKeys": seen.body["devices"]})),
            "POST /devices/query" => Answer::ok(json!([
                {"deviceId": "a", "authenticationType": "sas"}, {"deviceId": "c", "authenticationType": "selfSigned"}
            ])),
            "GET /devices/a" => Answer::ok(json!({"deviceId": "a"})),
            "GET /devices/a/modules" => Answer::ok(json!([])),
            "GET /devices/c/modules" => Answer::ok(json!([
                {"moduleId": "m", "authentication": keys}, {"moduleId": "n", "authentication": {"type": "none"}}
            ])),
            "GET /devices/b" => Answer::ok(json!({"deviceId": "b", "etag": "e", "authentication": keys})),
            "GET /devices/b/modules/m" => {
                Answer::ok(json!({"deviceId": "b", "moduleId": "m", "etag": "e", "authentication": keys}))
            }
            "PUT /devices/b" | "PUT /devices/b/modules/m" => Answer::ok(seen.body.clone()),
            _ => return None,
        })
    }

    #[tokio::test]
    async fn keys_are_made_anew_and_swapped() {
        let server = Scripted::signed_in(script).await;
        let az = async |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            server.az(&[&["iot", "hub"], words.as_slice(), &["--login", LOGIN]].concat()).await
        };
        let renewed = az("device-identity renew-key -d a --kt both").await;
        assert!(renewed.out.contains("h1.azure-devices.localhost"), "{}", renewed.err);
        let swapped_keys = json!({"primaryKey": "S", "secondaryKey": "P"});
        for (kind, path) in [("device-identity", "/devices/b"), ("module-identity", "/devices/b/modules/m")] {
            let module = if kind == "module-identity" { " -m m" } else { "" };
            let swapped = az(&format!("{kind} renew-key -d b{module} --kt swap")).await;
            assert_eq!(swapped.code, 0, "{}", swapped.err);
            let sent = server.seen().pop().unwrap();
            assert_eq!(sent.call, format!("PUT {path}"));
            assert_eq!(sent.body["authentication"]["symmetricKey"], swapped_keys, "{kind}");
        }
        let gone = az("device-identity renew-key -d gone --kt primary").await;
        assert!(gone.code == 1 && gone.err.contains("gone: 404001 no such device"), "{}", gone.err);

        let rotated = async |line: &str| -> Value {
            let ran = az(line).await;
            let answer: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{line}: {}", ran.err));
            answer["rotatedKeys"].clone()
        };
        let some = rotated("module-identity renew-key -d c -m m n --kt primary").await;
        assert_eq!(some, json!([{"id": "c", "moduleId": "m"}, {"id": "c", "moduleId": "n"}]));
        assert_eq!(rotated("device-identity renew-key -d * --kt both").await, json!([{"id": "a"}]));
        let with_modules = rotated("device-identity renew-key -d * --im --kt secondary").await;
        assert_eq!(with_modules, json!([{"id": "a"}, {"id": "c", "moduleId": "m"}]));
        assert_eq!(
            rotated("module-identity renew-key -d c -m * --kt primary").await,
            json!([{"id": "c", "moduleId": "m"}])
        );
        for wrong in [
            "device-identity renew-key -d a b --kt swap",
            "device-identity renew-key -d a b --kt both --etag x",
            "device-identity renew-key -d a --im --kt both",
            "device-identity renew-key -d a --kt swap",
        ] {
            assert_eq!(az(wrong).await.code, 1, "{wrong}");
        }
    }
}
