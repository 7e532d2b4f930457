//! Who would miss a credential policy: enrollments that name it.

use crate::az::context::Context;
use crate::az::data_plane::Service;
use crate::az::failure::Result;
use crate::az::members::text;
use crate::az::versions;
use serde_json::{Value, json};

/// Enrollments that are looked at in each service, so that a warning never takes long: ours.
const MOST: i64 = 1000;

/// Warns where enrollments of a provisioning service of the namespace name the policy. What cannot be looked at (for want of a right on a
/// service, say) is no reason to keep a policy.
pub(super) async fn warn(context: &mut Context<'_>, namespace: &str, policy: &str) {
    let Ok(path) = context.collection_path(None, Service::Dps.kind()) else { return };
    let Ok(services) = context.arm_list(&path, versions::DPS).await else { return };
    for service in services.iter().filter(|one| is_linked(one, namespace)) {
        let Ok(naming) = enrollments(context, service, policy).await else { continue };
        if !naming.is_empty() {
            context.warn(&format!(
                "The provisioning service '{}' has enrollments that name the policy '{policy}': {}. Without it their devices cannot register for a \
                 certificate; give them another one with 'az iot dps enrollment-group update' (or 'enrollment update') --credential-policy-name.",
                text(service, "/name"),
                naming.join(", ")
            ));
        }
    }
}

fn is_linked(service: &Value, namespace: &str) -> bool {
    text(service, "/properties/deviceRegistryNamespace/resourceId").eq_ignore_ascii_case(namespace)
}

/// The enrollments of a service that name the policy.
async fn enrollments(context: &mut Context<'_>, service: &Value, policy: &str) -> Result<Vec<String>> {
    let plane = context.data_plane_of(Service::Dps, service).await?;
    let mut naming = Vec::new();
    for (path, id) in [("/enrollmentGroups/query", "/enrollmentGroupId"), ("/enrollments/query", "/registrationId")] {
        let found = context.query(&plane, path, &json!({"query": "SELECT *"}), Some(MOST)).await?;
        let found = found.as_array().cloned().unwrap_or_default();
        let named = found.iter().filter(|one| text(one, "/credentialPolicyName").eq_ignore_ascii_case(policy));
        naming.extend(named.map(|one| format!("'{}'", text(one, id))));
    }
    Ok(naming)
}

#[cfg(test)]
mod tests {
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn who_names_a_policy_is_told_before_it_goes() {
        let server = Scripted::signed_in(|seen| {
            let (method, path) = seen.call.split_once(' ')?;
            let namespace = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg/providers/Microsoft.DeviceRegistry/namespaces/N1";
            let dps = |name: &str, namespace: &str| {
                json!({"id": format!("/{name}"), "name": name, "properties": {
                    "serviceOperationsHostName": format!("{name}.azure-devices-provisioning.localhost"),
                    "deviceRegistryNamespace": {"resourceId": namespace},
                }})
            };
            Some(match (method, path) {
                ("GET", path) if path.ends_with("/provisioningServices") => {
                    Answer::list(json!([dps("d1", namespace), dps("d2", "/other"), dps("d3", namespace)]))
                }
                ("POST", "/d1/listkeys") => {
                    Answer::list(json!([{"keyName": "o", "primaryKey": "T1A=", "rights": "ServiceConfig, EnrollmentWrite"}]))
                }
                ("POST", "/d3/listkeys") => Answer::error(403, "AuthorizationFailed", "no right"),
                ("POST", "/enrollmentGroups/query") => Answer::ok(
                    json!([{"enrollmentGroupId": "g1", "credentialPolicyName": "Short"}, {"enrollmentGroupId": "g2"}]),
                ),
                ("POST", "/enrollments/query") => {
                    Answer::ok(json!([{"registrationId": "r1", "credentialPolicyName": "short"}]))
                }
                ("DELETE", _) => Answer::new(204, Value::Null),
                _ => return None,
            })
        })
        .await;
        let words = ["iot", "adr", "ns", "policy", "delete", "--ns", "n1", "-g", "rg", "-n", "short", "-y"];
        let ran = server.az(&words).await;
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
        assert!(ran.err.contains("'d1' has enrollments that name the policy 'short': 'g1', 'r1'."), "{}", ran.err);
        assert!(server.calls().pop().unwrap().starts_with("DELETE "));
        let words = ["iot", "adr", "ns", "policy", "delete", "--ns", "n1", "-g", "rg", "-n", "unused", "-y"];
        assert_eq!(server.az(&words).await.err, "");
    }
}
