//! Certificate authorities and policies: two generations of the API over the same rows.

use super::fixture::{ADR, World, plant};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::resources;
use ferrohub_service::tables::RESOURCES;
use ferrohub_store::RowChange;
use serde_json::{Value, json};

/// The generation of certificate authorities.
const NEW: &str = "2026-11-02-preview";

fn issuing(root: &str) -> Value {
    json!({"location": "westeurope", "properties": {"certificateAuthorityType": "ICA", "keyType": "ECC",
        "issuer": {"issuerType": "Microsoft", "certificateAuthorityResourceId": root}}})
}

fn leaf(days: u32) -> Value {
    json!({"location": "westeurope", "properties": {"certificate": {"validityPeriodInDays": days}}})
}

async fn namespace(world: &World) -> String {
    let group = world.group("rg1");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/plant7");
    world.put(&namespace, ADR, json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}})).await;
    namespace
}

async fn names(world: &World, path: &str, version: &str) -> Vec<String> {
    let list = world.get(path, version).await;
    list["value"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

async fn gone(world: &World, path: &str, version: &str) {
    assert_eq!(world.refused(&world.owner, "GET", path, version, None).await.http_status(), 404, "{path}");
}

#[tokio::test]
async fn made_the_old_way_seen_changed_and_deleted_the_new_way() {
    let world = World::new().await;
    let namespace = plant(&world).await.namespace;
    let authorities = format!("{namespace}/certificateAuthorities");
    assert_eq!(names(&world, &authorities, NEW).await, ["default", "default-root"]);
    let root = world.get(&format!("{authorities}/default-root"), NEW).await;
    assert_eq!(root["properties"]["certificateAuthorityType"], "Root");
    assert!(root["properties"].get("issuer").is_none());
    let ica = world.get(&format!("{authorities}/default"), NEW).await;
    assert_eq!(ica["properties"]["issuer"]["certificateAuthorityResourceId"], root["id"]);
    let old = world.get(&format!("{namespace}/credentials/default/policies/default"), ADR).await;
    let ca = &old["properties"]["certificate"]["certificateAuthorityConfiguration"];
    assert_eq!(ca["subject"], ica["properties"]["subject"]);

    let policy = format!("{authorities}/default/certificatePolicies/default");
    assert_eq!(world.get(&policy, NEW).await["properties"]["certificate"]["validityPeriodInDays"], 30);
    world.put(&policy, NEW, leaf(45)).await;
    let old = format!("{namespace}/credentials/default/policies/default");
    let days = |view: &Value| {
        view["properties"]["certificate"]["leafCertificateConfiguration"]["validityPeriodInDays"].clone()
    };
    assert_eq!(days(&world.get(&old, ADR).await), 45);
    // A write through the old generation that says nothing of the days keeps them, and the tags that it does not know.
    world
        .put(
            &policy,
            NEW,
            json!({"location": "westeurope", "tags": {"line": "B"}, "properties": leaf(45)["properties"]}),
        )
        .await;
    world.put(&old, ADR, json!({"location": "westeurope", "properties": {}})).await;
    let kept = world.get(&policy, NEW).await;
    assert_eq!(
        (kept["properties"]["certificate"]["validityPeriodInDays"].as_u64(), kept["tags"]["line"].as_str()),
        (Some(45), Some("B"))
    );

    let error = world.refused(&world.owner, "DELETE", &format!("{authorities}/default"), NEW, None).await;
    assert_eq!(error.code, "CertificateAuthorityInUse");
    let error = world.refused(&world.owner, "DELETE", &format!("{authorities}/default-root"), NEW, None).await;
    assert_eq!(error.code, "CertificateAuthorityInUse");
    for path in [policy.as_str(), &format!("{authorities}/default"), &format!("{authorities}/default-root")] {
        assert_eq!(world.send(&world.owner, "DELETE", path, NEW, None).await.unwrap().status, 204, "{path}");
    }
    gone(&world, &old, ADR).await;
    gone(&world, &format!("{namespace}/credentials/default"), ADR).await;
}

#[tokio::test]
async fn made_the_new_way_seen_changed_and_deleted_the_old_way() {
    let world = World::new().await;
    let namespace = namespace(&world).await;
    let authorities = format!("{namespace}/certificateAuthorities");
    let root = format!("{authorities}/root1");
    world
        .put(
            &root,
            NEW,
            json!({"location": "westeurope", "properties": {"certificateAuthorityType": "Root", "keyType": "ECC"}}),
        )
        .await;
    // Several issuing authorities below one root; one without a policy is no policy yet.
    for name in ["line-a", "line-b", "line-c"] {
        world.put(&format!("{authorities}/{name}"), NEW, issuing(&root)).await;
    }
    for (name, policy, days) in [("line-a", "leaf30", 30), ("line-b", "leaf7", 7)] {
        world.put(&format!("{authorities}/{name}/certificatePolicies/{policy}"), NEW, leaf(days)).await;
    }
    let credential = format!("{namespace}/credentials/default");
    let shown = world.get(&credential, ADR).await;
    assert_eq!((shown["name"].as_str(), shown["id"].as_str()), (Some("default"), Some(credential.as_str())));
    assert_eq!(names(&world, &format!("{credential}/policies"), ADR).await, ["line-a", "line-b"]);
    let old = format!("{credential}/policies/line-b");
    let view = world.get(&old, ADR).await;
    assert_eq!(view["id"], old);
    assert_eq!(view["properties"]["certificate"]["leafCertificateConfiguration"]["validityPeriodInDays"], 7);

    let body = json!({"location": "westeurope", "properties": {"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 9}}}});
    world.put(&old, ADR, body).await;
    let policy = format!("{authorities}/line-b/certificatePolicies/leaf7");
    assert_eq!(world.get(&policy, NEW).await["properties"]["certificate"]["validityPeriodInDays"], 9);
    let uid = world.get(&format!("{authorities}/line-b"), NEW).await["properties"]["uuid"].clone();
    assert!(uid.is_string());

    let error = world.refused(&world.owner, "DELETE", &credential, ADR, None).await;
    assert_eq!(error.code, "CredentialInUse");
    assert_eq!(world.send(&world.owner, "DELETE", &old, ADR, None).await.unwrap().status, 204);
    gone(&world, &policy, NEW).await;
    gone(&world, &format!("{authorities}/line-b"), NEW).await;
    // A name that only the newer generation knows is not given away by the older one.
    let error = world
        .refused(
            &world.owner,
            "PUT",
            &format!("{credential}/policies/line-c"),
            ADR,
            Some(json!({"location": "westeurope"})),
        )
        .await;
    assert_eq!(error.code, "NameNotAvailable");
    for path in [
        format!("{authorities}/line-a/certificatePolicies/leaf30"),
        format!("{authorities}/line-a"),
        format!("{authorities}/line-c"),
    ] {
        assert_eq!(world.send(&world.owner, "DELETE", &path, NEW, None).await.unwrap().status, 204, "{path}");
    }
    assert_eq!(world.send(&world.owner, "DELETE", &credential, ADR, None).await.unwrap().status, 204);
    gone(&world, &root, NEW).await;
}

/// Cut off before any of its units, a policy that goes the old way is there or is not, its authority with it; and it goes with the roles on both.
#[tokio::test]
async fn a_policy_goes_with_its_authority_or_stays() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let authority = format!("{}/certificateAuthorities/default", plant.namespace);
    let stranger = world.stranger().await;
    let roles = [&policy, &format!("{authority}/certificatePolicies/default")];
    for scope in roles {
        world.assign(stranger.id(), ferrohub_service::authz::builtin::READER, scope).await;
    }
    let meant = resources::require(world.platform(), &ResourceId::parse(&authority).unwrap()).await.unwrap().key();
    world.store.refuse(move |unit| {
        unit.changes().iter().any(|change| match change {
            RowChange::Delete { table, key } => table.name == RESOURCES.name && *key == meant,
            RowChange::Put(_) => false,
        })
    });
    world.refused(&world.owner, "DELETE", &policy, ADR, None).await;
    assert_eq!(world.get(&policy, ADR).await["name"], "default", "whole");
    assert_eq!(world.get(&authority, NEW).await["name"], "default");
    world.store.refuse(|_| false);
    assert_eq!(world.send(&world.owner, "DELETE", &policy, ADR, None).await.unwrap().status, 204);
    gone(&world, &policy, ADR).await;
    gone(&world, &authority, NEW).await;
    let body = json!({"location": "westeurope", "properties": {"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 7}}}});
    world.put(&policy, ADR, body).await;
}

#[tokio::test]
async fn wrong_authorities_are_refused_with_their_reason() {
    let world = World::new().await;
    let namespace = namespace(&world).await;
    let at = |name: &str| format!("{namespace}/certificateAuthorities/{name}");
    let root = |name: &str| {
        (
            at(name),
            json!({"location": "westeurope", "properties": {"certificateAuthorityType": "Root", "keyType": "ECC"}}),
        )
    };
    let refused = async |path: &str, body: Value| world.refused(&world.owner, "PUT", path, NEW, Some(body)).await;

    assert_eq!(
        refused(&at("ica1"), issuing(&at("root1"))).await.target.as_deref(),
        Some("properties.issuer.certificateAuthorityResourceId")
    );
    let (path, body) = root("root1");
    world.put(&path, NEW, body.clone()).await;
    assert_eq!(refused(&at("root2"), body).await.code, "CredentialQuotaExceeded");
    assert_eq!(
        refused(&at("xx1"), json!({"location": "westeurope"})).await.target.as_deref(),
        Some("properties.certificateAuthorityType")
    );
    for (member, value) in [("certificateAuthorityType", "BringYourOwn"), ("keyType", "RSA")] {
        let mut body = issuing(&path);
        body["properties"][member] = json!(value);
        assert_eq!(refused(&at("ica1"), body).await.target, Some(format!("properties.{member}")));
    }
    let mut external = issuing(&path);
    external["properties"]["issuer"]["issuerType"] = json!("External");
    assert_eq!(
        refused(&at("ica1"), external.clone()).await.target.as_deref(),
        Some("properties.issuer.certificateAuthorityResourceId")
    );
    external["properties"]["issuer"] = json!({"issuerType": "Nobody"});
    assert_eq!(refused(&at("ica1"), external).await.target.as_deref(), Some("properties.issuer.issuerType"));
    assert_eq!(refused(&at("_x"), issuing(&path)).await.code, "InvalidResourceName");
    // The root of another namespace signs nothing here.
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/plant8", world.group("rg1"));
    world.put(&other, ADR, json!({"location": "westeurope"})).await;
    let foreign = format!("{other}/certificateAuthorities/root1");
    world.put(&foreign, NEW, root("root1").1).await;
    assert_eq!(
        refused(&at("ica1"), issuing(&foreign)).await.target.as_deref(),
        Some("properties.issuer.certificateAuthorityResourceId")
    );

    world.put(&at("ica1"), NEW, issuing(&path)).await;
    assert_eq!(
        refused(
            &at("ica1"),
            json!({"location": "westeurope", "properties": {"certificateAuthorityType": "Root", "keyType": "ECC"}})
        )
        .await
        .code,
        "PropertyChangeNotAllowed"
    );
    let policy = |ca: &str, name: &str| format!("{}/certificatePolicies/{name}", at(ca));
    assert_eq!(refused(&policy("root1", "leaf"), leaf(30)).await.code, "PolicyRequiresIssuingCa");
    for days in [json!(0), json!(3651), json!("many"), Value::Null] {
        let body = json!({"location": "westeurope", "properties": {"certificate": {"validityPeriodInDays": days}}});
        assert_eq!(
            refused(&policy("ica1", "leaf"), body).await.target.as_deref(),
            Some("properties.certificate.validityPeriodInDays")
        );
    }
    world.put(&policy("ica1", "leaf"), NEW, leaf(30)).await;
    assert_eq!(refused(&policy("ica1", "more"), leaf(30)).await.code, "CertificatePolicyQuotaExceeded");
    let error = world.refused(&world.owner, "POST", &format!("{}/activate", at("ica1")), NEW, None).await;
    assert_eq!((error.http_status(), error.code), (400, "InvalidIssuerType"));
    for action in ["activate", "revokeAndRotate"] {
        let error = world.refused(&world.owner, "POST", &format!("{path}/{action}"), NEW, None).await;
        assert_eq!((error.http_status(), error.code), (400, "InvalidCertificateAuthorityType"));
    }
}

#[tokio::test]
async fn a_role_on_either_generations_id_reaches_both() {
    let world = World::new().await;
    let namespace = plant(&world).await.namespace;
    let stranger = world.stranger().await;
    let (old, new) = (
        format!("{namespace}/credentials/default/policies/default"),
        format!("{namespace}/certificateAuthorities/default"),
    );
    world.refused(&stranger, "GET", &new, NEW, None).await;
    world.assign(stranger.id(), ferrohub_service::authz::builtin::READER, &old).await;
    for (path, version) in [(&old, ADR), (&new, NEW)] {
        assert_eq!(world.send(&stranger, "GET", path, version, None).await.unwrap().status, 200, "{path}");
    }
    world.refused(&stranger, "GET", &namespace, ADR, None).await;
}

#[tokio::test]
async fn a_namespace_that_moves_writes_no_row_below_it() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = format!("{}/devices/pump-1", plant.namespace);
    world.put(&device, ADR, json!({"location": "westeurope", "properties": {"enabled": true}})).await;
    let other = world.group("rg2");
    world.put(&other, "2024-11-01", json!({"location": "westeurope"})).await;
    let platform = world.platform();
    let stored = async |path: &str| resources::require(platform, &ResourceId::parse(path).unwrap()).await.unwrap();
    let (group, before) = (stored(&other).await, stored(&device).await);
    let mut change = ferrohub_service::platform::Change::new();
    resources::relocate(&stored(&plant.namespace).await, group.uid, &mut change).unwrap();
    assert_eq!(change.unit.len(), 1);
    platform.commit(change).await.unwrap();

    gone(&world, &device, ADR).await;
    let moved = plant.namespace.replace("/rg1/", "/rg2/");
    let after = stored(&format!("{moved}/devices/pump-1")).await;
    assert_eq!((after.uid, after.version), (before.uid, before.version));
    // What points at it follows: the hub shows its namespace where it is now, and the policy its issuer.
    let hub = world.get(&plant.hub, super::fixture::HUB).await;
    assert_eq!(hub["properties"]["deviceRegistry"]["namespaceResourceId"], moved);
    let policy = world.get(&format!("{moved}/credentials/default/policies/default"), ADR).await;
    assert_eq!(policy["name"], "default");
}
