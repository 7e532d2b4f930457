//! What individual enrollments and enrollment groups have in common on the command line.

use crate::az::args::Args;
use crate::az::context::Context;
use crate::az::failure::{Failure, Result};
use crate::az::json_text;
use crate::az::members::{set_at, text};
use crate::profile::read_bounded;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Options of both.
pub(super) const SETTINGS: &str = "--primary-key/--pk # Primary key of the attestation, base64.
--secondary-key/--sk # Secondary key of the attestation, base64.
--certificate-path/--cp # File of the certificate that attests, PEM or DER.
--secondary-certificate-path/--scp # File of the other certificate.
--credential-policy-name/--cpn # Policy of the linked namespace that issues the devices' certificates; an empty text clears it.
--provisioning-status/--ps {disabled,enabled} # Whether devices may register.
--reprovision-policy/--rp {reprovisionandmigratedata,reprovisionandresetdata,never} # What happens when a device registers again.
--allocation-policy/--ap {hashed,geoLatency,static,custom} # How a hub is chosen.
--iot-hubs/--ih + # Host names of the hubs to choose from.
--initial-twin-tags/--tags # JSON of tags of a new twin, or a file with it.
--initial-twin-properties/--props # JSON of desired properties of a new twin, or a file with it.
--edge-enabled/--ee 3st # Whether the devices are edge devices.
--webhook-url/--wh # URL of the function that chooses a hub, with --allocation-policy custom.
--api-version/--av # Version of the API of that function.
~--iot-hub-host-name/--hn";

/// Options of an update of both.
pub(super) const REMOVALS: &str = "--remove-certificate/--rc 3st # Take the primary certificate away.
--remove-secondary-certificate/--rsc 3st # Take the secondary certificate away.";

/// A certificate file as the services take it: PEM as it is, DER in base64.
pub(super) fn certificate_text(context: &Context<'_>, file: &str) -> Result<String> {
    Ok(as_text(read_bounded(&context.environment.path(file))?))
}

fn as_text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(pem) => pem.trim_end().to_owned(),
        Err(der) => STANDARD.encode(der.as_bytes()),
    }
}

/// The two keys that the options name; `None` where they name none.
pub(super) fn keys(args: &Args) -> Option<Value> {
    pair(args, ["--primary-key", "--secondary-key"], ["primaryKey", "secondaryKey"])
}

/// The two options under the names of their members.
pub(super) fn pair(args: &Args, options: [&'static str; 2], members: [&str; 2]) -> Option<Value> {
    let given: Map<String, Value> = options
        .into_iter()
        .zip(members)
        .filter_map(|(option, member)| Some((member.to_owned(), json!(args.text(option)?))))
        .collect();
    (!given.is_empty()).then_some(Value::Object(given))
}

/// The certificates in the files that the options name, over those that `held` has and the options do not take away.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn certificates(context: &Context<'_>, args: &Args, held: &Value) -> Result<Option<Value>> {
    let sides = [
        ("primary", "--certificate-path", "--remove-certificate"),
        ("secondary", "--secondary-certificate-path", "--remove-secondary-certificate"),
    ];
    let (mut pair, mut changed) = (held.as_object().cloned().unwrap_or_default(), false);
    for (side, file, remove) in sides {
        if args.declares(remove) && args.switch(remove) == Some(true) {
            if args.given(file) {
                return Err(Failure::error(format!("{file} and {remove} exclude each other.")));
            }
            pair.shift_remove(side);
            changed = true;
        }
        if let Some(file) = args.text(file) {
            pair.insert(side.to_owned(), json!({"certificate": certificate_text(context, file)?}));
            changed = true;
        }
    }
    pair.retain(|_, certificate| !certificate.is_null());
    if changed && pair.is_empty() {
        return Err(Failure::error("Please provide at least one certificate: nothing would attest any more."));
    }
    Ok(changed.then_some(Value::Object(pair)))
}

/// Writes the options, but those of the attestation, into an enrollment.
///
/// # Errors
/// Options that contradict each other, files that cannot be read, texts that are not JSON.
pub(super) fn apply(context: &Context<'_>, args: &Args, enrollment: &mut Value) -> Result<()> {
    if let Some(policy) = args.text("--credential-policy-name") {
        enrollment["credentialPolicyName"] = if policy.is_empty() { Value::Null } else { json!(policy) };
    }
    if let Some(status) = args.text("--provisioning-status") {
        enrollment["provisioningStatus"] = json!(status);
    }
    allocation(args, enrollment)?;
    if let Some(edge) = args.switch("--edge-enabled") {
        set_at(enrollment, &["capabilities", "iotEdge"], json!(edge))?;
    }
    if let Some(policy) = args.text("--reprovision-policy") {
        let (update, migrate) = match policy {
            "reprovisionandmigratedata" => (true, true),
            "reprovisionandresetdata" => (true, false),
            _ => (false, false),
        };
        enrollment["reprovisionPolicy"] = json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
    }
    let twin: [(&'static str, &[&str]); 2] = [
        ("--initial-twin-tags", &["initialTwin", "tags"]),
        ("--initial-twin-properties", &["initialTwin", "properties", "desired"]),
    ];
    for (option, at) in twin {
        if let Some(given) = args.text(option) {
            set_at(enrollment, at, json_text::given_or_file(context, given)?)?;
        }
    }
    Ok(())
}

/// How a hub is chosen, with `az`'s own words for what does not go together.
fn allocation(args: &Args, enrollment: &mut Value) -> Result<()> {
    let old = args.text("--iot-hub-host-name");
    let policy = match (args.text("--allocation-policy"), old) {
        (Some(_), Some(_)) => {
            return Err(Failure::error("'iot_hub_host_name' is not required when allocation-policy is defined."));
        }
        (None, Some(_)) => Some("static"),
        (policy, None) => policy,
    };
    let given = args.list("--iot-hubs").map(|hubs| hubs.iter().flat_map(|hubs| hubs.split_whitespace()).collect());
    let hubs: Option<Vec<&str>> = given.or_else(|| old.map(|hub| vec![hub]));
    let webhook = args.text("--webhook-url").zip(args.text("--api-version"));
    match policy {
        Some("static") => match hubs.as_deref() {
            Some([_]) => {}
            Some([_, ..]) => return Err(Failure::error("Only one hub is required in static allocation policy.")),
            _ => return Err(Failure::error("Please provide a hub to be assigned with device.")),
        },
        Some("custom") if webhook.is_none() => {
            return Err(Failure::error(
                "Please provide both the Azure function webhook url and Azure function api-version when the allocation-policy is defined as Custom.",
            ));
        }
        _ => {}
    }
    if let Some(policy) = policy {
        enrollment["allocationPolicy"] = json!(policy);
        if policy != "custom" {
            enrollment["customAllocationDefinition"] = Value::Null;
        }
    }
    if let Some(hubs) = hubs {
        enrollment["iotHubs"] = json!(hubs);
    }
    if args.given("--webhook-url") || args.given("--api-version") {
        let custom = text(enrollment, "/allocationPolicy") == "custom";
        let Some((url, version)) = webhook.filter(|_| custom) else {
            return Err(Failure::error(
                "--webhook-url and --api-version go together, with --allocation-policy custom.",
            ));
        };
        enrollment["customAllocationDefinition"] = json!({"webhookUrl": url, "apiVersion": version});
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_goes_as_it_is_and_der_in_base64() {
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert_eq!(as_text(pem.as_bytes().to_vec()), pem.trim_end());
        assert_eq!(as_text(vec![0x30, 0x82, 0xff]), "MIL/");
    }
}
