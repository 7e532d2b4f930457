//! The documents of the Device Registry that are only kept: everything that their declarations know is taken, shown, and put
//! back unchanged through every api-version; what is wrong is refused by its path.

use super::fixture::{ADR, Plant, World, plant};
use super::views::stable;
use ferrohub_service::arm::declaration::{ExtendedLocationRule, TypeDecl};
use ferrohub_service::arm::schema::{Check, Meaning, Property};
use ferrohub_service::resources::tag;
use serde_json::{Map, Value, json};

const NEWEST: &str = "2026-11-02-preview";
const ARM: &str = "2024-11-01";

/// Where a resource of each kind is made, what it is called and what rules in words need: tag, place below the provider, values by path.
type Sample = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SAMPLES: &[Sample] = &[
    (tag::ASSET, "assets/press-1", &[]),
    (tag::ASSET_ENDPOINT_PROFILE, "assetEndpointProfiles/aep-1", &[]),
    (tag::NAMESPACE_ASSET, "namespaces/plant7/assets/press-1", &[]),
    (tag::DISCOVERED_ASSET, "namespaces/plant7/discoveredAssets/cam-9-a", &[("lastUpdatedOn", "2026-04-02T07:59:00Z")]),
    (tag::DISCOVERED_DEVICE, "namespaces/plant7/discoveredDevices/cam-9", &[("lastUpdatedOn", "2026-04-02T07:59:00Z")]),
    (
        tag::SCHEMA_REGISTRY,
        "schemaRegistries/reg-1",
        &[("namespace", "plant7-schemas"), ("storageAccountContainerUrl", "https://st7.blob.core.windows.net/schemas")],
    ),
    (tag::SCHEMA, "schemaRegistries/reg-1/schemas/telemetry", &[]),
    (
        tag::SCHEMA_VERSION,
        "schemaRegistries/reg-1/schemas/telemetry/schemaVersions/1",
        &[("schemaContent", "{\"type\":\"object\"}")],
    ),
];

/// A value of the kind that a member takes, as full as it can be.
fn sample(property: &Property, said: &[(&str, &str)]) -> Value {
    match said.iter().find(|(name, _)| *name == property.name) {
        Some((_, value)) => json!(value),
        None => of(&property.check, said),
    }
}

fn of(check: &Check, said: &[(&str, &str)]) -> Value {
    match check {
        Check::Bool => json!(false),
        Check::Integer(least, most) => json!((least + 7).min(*most)),
        Check::OneOf(words) => json!(words[0]),
        Check::Object(_) => json!({"line": "B", "floor": 2, "any": [null, {"deep": {"er": 1.5}}]}),
        Check::Members(members) => full(members, said),
        Check::Each(inner, _) => match inner {
            Check::Shapes(chooser, shapes) => shapes
                .iter()
                .map(|(word, members)| {
                    let mut made = full(members, said);
                    made[chooser.name] = json!(word);
                    made
                })
                .collect(),
            inner => json!([of(inner, said)]),
        },
        Check::Named(inner, _) => json!({"One": of(inner, said), "two.2": of(inner, said)}),
        _ => json!("Some text"),
    }
}

fn full(members: &[Property], said: &[(&str, &str)]) -> Value {
    let written = members.iter().filter(|p| !matches!(p.meaning, Meaning::ReadOnly | Meaning::Unbuilt(_)));
    Value::Object(written.map(|p| (p.name.to_owned(), sample(p, said))).collect::<Map<_, _>>())
}

fn place(world: &World) -> Value {
    let name = format!("{}/providers/Microsoft.ExtendedLocation/customLocations/site7", world.group("rg1"));
    json!({"type": "CustomLocation", "name": name})
}

/// The fullest body that a declaration takes.
fn fullest(world: &World, decl: &TypeDecl, said: &[(&str, &str)]) -> Value {
    let mut body = json!({"properties": full(decl.properties, said)});
    if decl.tracked {
        body["location"] = json!("westeurope");
        body["tags"] = json!({"site": "7"});
    }
    if decl.extended_location != ExtendedLocationRule::No {
        body["extendedLocation"] = place(world);
    }
    body
}

fn samples(world: &World, plant: &Plant) -> Vec<(&'static TypeDecl, String, Value)> {
    let made = |(tag, place, said): &Sample| {
        let decl = world.platform().types.tagged(tag).unwrap();
        let path = format!("{}/providers/Microsoft.DeviceRegistry/{place}", plant.group);
        (decl, path, fullest(world, decl, said))
    };
    SAMPLES.iter().map(made).collect()
}

/// Makes one of each.
pub(super) async fn fill(world: &World, plant: &Plant) {
    for (decl, path, body) in samples(world, plant) {
        world.put(&path, decl.versions()[0], body).await;
    }
}

/// Whether `shown` says everything that `sent` says.
fn says(shown: &Value, sent: &Value) -> bool {
    match (shown, sent) {
        (Value::Object(shown), Value::Object(sent)) => {
            sent.iter().all(|(name, value)| shown.get(name).is_some_and(|shown| says(shown, value)))
        }
        (Value::Array(shown), Value::Array(sent)) => {
            shown.len() == sent.len() && shown.iter().zip(sent).all(|(shown, sent)| says(shown, sent))
        }
        _ => shown == sent,
    }
}

#[tokio::test]
async fn everything_declared_is_taken_shown_and_put_back_by_every_version() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for (decl, path, body) in samples(&world, &plant) {
        let made = world.send(&world.owner, "PUT", &path, decl.versions()[0], Some(body.clone())).await.unwrap();
        assert_eq!(made.status, 201, "{path}");
        let made = made.body.unwrap();
        assert!(says(&made, &body), "{path}: {made} lacks something of {body}");
        assert_eq!(made["properties"]["provisioningState"], "Succeeded", "{path}");
        for version in decl.versions() {
            let read = world.get(&path, version).await;
            assert!(says(&read, &body), "{path} {version}: {read}");
            let again = world.send(&world.owner, "PUT", &path, version, Some(read.clone())).await.unwrap();
            assert_eq!((again.status, stable(again.body.unwrap())), (200, stable(read)), "{path} {version}");
            let patched = world.send(&world.owner, "PATCH", &path, version, Some(json!({}))).await.unwrap();
            assert_eq!(patched.status, 200, "{path}");
            assert!(says(&world.get(&path, version).await, &body), "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_required_is_missed_by_its_path_at_every_depth() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let mut missed = 0;
    for (decl, path, body) in samples(&world, &plant) {
        // The parents are there, so that only the body is wrong.
        world.put(&path, decl.versions()[0], body.clone()).await;
        for (pointer, target) in required(decl.properties, &body["properties"], "/properties", "properties") {
            for cut in [None, Some(Value::Null)] {
                let mut wrong = body.clone();
                let (above, name) = pointer.rsplit_once('/').unwrap();
                let map = wrong.pointer_mut(above).unwrap().as_object_mut().unwrap();
                match cut {
                    None => drop(map.shift_remove(name)),
                    Some(null) => drop(map.insert(name.to_owned(), null)),
                }
                let error = world.refused(&world.owner, "PUT", &path, decl.versions()[0], Some(wrong)).await;
                let seen = (error.http_status(), error.code, error.target.as_deref());
                assert_eq!(seen, (400, "InvalidRequestContent", Some(target.as_str())), "{path}: {}", error.message);
                assert!(error.message.contains(&format!("'{target}'")), "{}", error.message);
                missed += 1;
            }
        }
        if decl.extended_location == ExtendedLocationRule::Must {
            let mut wrong = body.clone();
            wrong.as_object_mut().unwrap().shift_remove("extendedLocation");
            let error = world.refused(&world.owner, "PUT", &path, decl.versions()[0], Some(wrong)).await;
            assert_eq!(error.target.as_deref(), Some("extendedLocation"), "{path}: {error}");
        }
        let error = world
            .refused(
                &world.owner,
                "PUT",
                &path,
                decl.versions()[0],
                Some(json!({"location": "westeurope", "extendedLocation": place(&world)})),
            )
            .await;
        assert_eq!(error.http_status(), 400, "{path}: {error}");
    }
    assert!(missed > 100, "{missed}");
}

/// JSON pointers to every required member of a full body, with the path that a refusal names.
fn required(known: &[Property], body: &Value, pointer: &str, path: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for property in known.iter().filter(|property| body.get(property.name).is_some()) {
        let (pointer, path) = (format!("{pointer}/{}", property.name), format!("{path}.{}", property.name));
        if property.required {
            found.push((pointer.clone(), path.clone()));
        }
        below(&property.check, &body[property.name], &pointer, &path, &mut found);
    }
    found
}

fn below(check: &Check, body: &Value, pointer: &str, path: &str, found: &mut Vec<(String, String)>) {
    match (check, body) {
        (Check::Members(members), _) => found.extend(required(members, body, pointer, path)),
        (Check::Each(inner, _), Value::Array(list)) => {
            for (index, entry) in list.iter().enumerate() {
                below(inner, entry, &format!("{pointer}/{index}"), &format!("{path}[{index}]"), found);
            }
        }
        (Check::Named(inner, _), Value::Object(map)) => {
            for (name, entry) in map {
                below(inner, entry, &format!("{pointer}/{name}"), &format!("{path}.{name}"), found);
            }
        }
        (Check::Shapes(chooser, shapes), _) => {
            found.push((format!("{pointer}/{}", chooser.name), format!("{path}.{}", chooser.name)));
            let members = shapes.iter().find(|(word, _)| body[chooser.name] == *word).unwrap().1;
            found.extend(required(members, body, pointer, path));
        }
        _ => {}
    }
}

#[tokio::test]
async fn what_is_made_once_never_changes() {
    let world = World::new().await;
    let plant = plant(&world).await;
    fill(&world, &plant).await;
    for (decl, path, body) in samples(&world, &plant) {
        for property in decl.properties.iter().filter(|property| property.create_only) {
            let mut wrong = body.clone();
            wrong["properties"][property.name] = match (&property.check, property.name) {
                (Check::OneOf(words), _) => json!(words[1]),
                (Check::Each(..), _) => json!(["another"]),
                (Check::Members(members), _) => {
                    Value::Object(members.iter().map(|member| (member.name.to_owned(), json!("another"))).collect())
                }
                (_, "storageAccountContainerUrl") => json!("https://st7.blob.core.windows.net/SCHEMAS"),
                (_, "schemaContent") => json!("{\"type\":\"array\"}"),
                _ => json!("another"),
            };
            for method in ["PUT", "PATCH"] {
                let error = world.refused(&world.owner, method, &path, decl.versions()[0], Some(wrong.clone())).await;
                let target = format!("properties.{}", property.name);
                let seen = (error.http_status(), error.code, error.target.as_deref());
                assert_eq!(seen, (409, "PropertyChangeNotAllowed", Some(target.as_str())), "{method} {path}: {error}");
            }
        }
        if decl.extended_location != ExtendedLocationRule::No {
            let mut wrong = body.clone();
            wrong["extendedLocation"]["name"] = json!("elsewhere");
            let error = world.refused(&world.owner, "PUT", &path, decl.versions()[0], Some(wrong)).await;
            assert_eq!((error.code, error.target.as_deref()), ("PropertyChangeNotAllowed", Some("extendedLocation")));
            // The same place in other letters is the same place.
            let mut same = body.clone();
            same["extendedLocation"]["name"] = body["extendedLocation"]["name"].as_str().unwrap().to_uppercase().into();
            world.put(&path, decl.versions()[0], same).await;
        }
    }
}

#[tokio::test]
async fn words_are_taken_in_any_case_and_kept_in_one() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let asset = format!("{}/assets/a-1", plant.namespace);
    let of = |properties: Value| json!({"location": "westeurope", "extendedLocation": place(&world), "properties": properties});
    let destination =
        json!({"target": "mqtt", "configuration": {"topic": "t", "qos": "QOS1", "retain": "keep", "ttl": 0}});
    let reference = json!({"deviceName": "d", "endpointName": "e"});
    let made = world
        .put(&asset, "2025-10-01", of(json!({"deviceRef": reference, "defaultDatasetsDestinations": [destination]})))
        .await;
    assert_eq!(
        made["properties"]["defaultDatasetsDestinations"],
        json!([{"target": "Mqtt", "configuration": {"topic": "t", "qos": "Qos1", "retain": "Keep", "ttl": 0}}])
    );
    for (wrong, target) in [
        (json!({"target": "Kafka", "configuration": {}}), "target"),
        (json!({"target": 7, "configuration": {}}), "target"),
        (json!({"configuration": {"topic": "t"}}), "target"),
        (json!({"target": "Storage", "configuration": {"topic": "t"}}), "configuration.topic"),
        (json!({"target": "BrokerStateStore", "configuration": {}}), "configuration.key"),
        (json!({"target": "Mqtt", "configuration": {"topic": "t", "qos": "Qos2"}}), "configuration.qos"),
        (json!({"target": "Mqtt", "configuration": {"topic": "t", "ttl": -1}}), "configuration.ttl"),
        (json!({"target": "Mqtt"}), "configuration"),
    ] {
        let body = of(json!({"deviceRef": reference, "datasets": [{"name": "d", "destinations": [wrong]}]}));
        let error = world.refused(&world.owner, "PUT", &asset, "2025-10-01", Some(body)).await;
        let path = format!("properties.datasets[0].destinations[0].{target}");
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(path.as_str())), "{error}");
    }
    // Events go to no state store.
    let store = json!([{"target": "BrokerStateStore", "configuration": {"key": "k"}}]);
    let body = of(json!({"deviceRef": reference, "defaultEventsDestinations": store}));
    let error = world.refused(&world.owner, "PUT", &asset, "2025-10-01", Some(body)).await;
    assert_eq!(error.target.as_deref(), Some("properties.defaultEventsDestinations[0].target"), "{error}");
    assert!(error.message.contains("Mqtt, Storage"), "{error}");
}

#[tokio::test]
async fn versions_count_changes_and_names_are_legal() {
    let world = World::new().await;
    let plant = plant(&world).await;
    fill(&world, &plant).await;
    let provider = format!("{}/providers/Microsoft.DeviceRegistry", plant.group);
    for path in [format!("{provider}/assets/press-1"), format!("{}/assets/press-1", plant.namespace)] {
        let before = world.get(&path, NEWEST).await;
        let patch = json!({"properties": {"displayName": "Press 1", "attributes": {"floor": null, "line": "C"}}});
        let after = world.send(&world.owner, "PATCH", &path, NEWEST, Some(patch)).await.unwrap().body.unwrap();
        let version = |doc: &Value| doc["properties"]["version"].as_u64().unwrap();
        assert_eq!(version(&after), version(&before) + 1);
        assert_eq!(after["properties"]["uuid"], before["properties"]["uuid"]);
        assert_eq!(after["properties"]["attributes"], json!({"line": "C", "any": [null, {"deep": {"er": 1.5}}]}));
    }
    for (decl, path, body) in samples(&world, &plant) {
        let (above, _) = path.rsplit_once('/').unwrap();
        for name in ["Upper", "-dash", "dash-", "a_b", "ab", &"a".repeat(65), "ü-ü-ü"] {
            let error = world
                .refused(&world.owner, "PUT", &format!("{above}/{name}"), decl.versions()[0], Some(body.clone()))
                .await;
            assert_eq!((error.code, error.http_status()), ("InvalidResourceName", 400), "{above}/{name}: {error}");
        }
    }
}

#[tokio::test]
async fn schemas_are_checked_hashed_and_go_with_their_registry() {
    let world = World::new().await;
    let plant = plant(&world).await;
    fill(&world, &plant).await;
    let registry = format!("{}/providers/Microsoft.DeviceRegistry/schemaRegistries/reg-1", plant.group);
    let version = format!("{registry}/schemas/telemetry/schemaVersions/1");
    let read = world.get(&version, ADR).await;
    // printf '{"type":"object"}' | sha256sum
    assert_eq!(read["properties"]["hash"], "a2c799262a3ce3c19ef5cdd983bf3d12b43ab3c426227091b909dcb7054738c0");
    for (content, word) in [("{", "not JSON"), ("[]", "a schema is an object"), ("{\"type\":\"text\"}", "#/type")] {
        let body = json!({"properties": {"schemaContent": content}});
        let path = format!("{registry}/schemas/telemetry/schemaVersions/2");
        let error = world.refused(&world.owner, "PUT", &path, ADR, Some(body)).await;
        assert_eq!(error.target.as_deref(), Some("properties.schemaContent"));
        assert!(error.message.contains(word), "{error}");
    }
    // A format that only the newest api-version has.
    for (properties, target) in [
        (json!({"format": "JsonLD/1.1", "schemaType": "MessageSchema"}), "properties.format"),
        (json!({"format": "Delta/1.0", "schemaType": "ThingModel"}), "properties.schemaType"),
    ] {
        let path = format!("{registry}/schemas/thing");
        let error = world.refused(&world.owner, "PUT", &path, ADR, Some(json!({"properties": properties}))).await;
        assert_eq!(error.target.as_deref(), Some(target), "{error}");
        assert!(error.message.contains("the api-version 2026-11-01-preview"), "{error}");
    }
    // Another registry cannot have the same namespace, whatever its group.
    world.put(&world.group("rg2"), ARM, json!({"location": "westeurope"})).await;
    let other = format!("{}/providers/Microsoft.DeviceRegistry/schemaRegistries/reg-2", world.group("rg2"));
    let url = "https://st7.blob.core.windows.net/schemas";
    let body = |namespace: &str| json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {"namespace": namespace, "storageAccountContainerUrl": url}});
    let error = world.refused(&world.owner, "PUT", &other, ADR, Some(body("plant7-schemas"))).await;
    assert_eq!(
        (error.http_status(), error.code, error.target.as_deref()),
        (409, "SchemaRegistryNamespaceNotAvailable", Some("properties.namespace"))
    );
    let made = world.put(&other, ADR, body("other")).await;
    assert!(made["identity"]["principalId"].is_string(), "{made}");
    // The tree goes whole; the name is free again.
    let gone = world.send(&world.owner, "DELETE", &registry, ADR, None).await.unwrap();
    assert_eq!((gone.status, gone.body), (204, None));
    for path in [&registry, &version] {
        assert_eq!(world.refused(&world.owner, "GET", path, ADR, None).await.http_status(), 404, "{path}");
    }
    let long = format!("{}/providers/Microsoft.DeviceRegistry/schemaRegistries/{}", plant.group, "r".repeat(64));
    let error = world.refused(&world.owner, "PUT", &long, ADR, Some(body("plant7-schemas"))).await;
    assert_eq!(error.code, "InvalidResourceName");
    world.put(&long, NEWEST, body("plant7-schemas")).await;
}

#[tokio::test]
async fn a_namespace_takes_its_documents_along_and_so_does_a_group() {
    let world = World::new().await;
    let plant = plant(&world).await;
    fill(&world, &plant).await;
    let second = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/second", plant.group);
    world.put(&second, NEWEST, json!({"location": "westeurope"})).await;
    let mut inside = Vec::new();
    for (decl, path, body) in samples(&world, &plant).into_iter().filter(|(_, path, _)| path.contains("/plant7/")) {
        let path = path.replace("/plant7/", "/second/");
        world.put(&path, decl.versions()[0], body).await;
        inside.push(path);
    }
    assert_eq!(inside.len(), 3);
    assert_eq!(world.send(&world.owner, "DELETE", &second, NEWEST, None).await.unwrap().status, 204);
    for path in &inside {
        assert_eq!(world.refused(&world.owner, "GET", path, NEWEST, None).await.http_status(), 404, "{path}");
    }
    // Those of the same names in the other namespace stay; with the group everything goes.
    for (decl, path, _) in samples(&world, &plant) {
        world.get(&path, decl.versions()[0]).await;
    }
    let gone = world.send(&world.owner, "DELETE", &plant.group, ARM, None).await.unwrap();
    assert!([200, 202, 204].contains(&gone.status), "{}", gone.status);
    for (decl, path, _) in samples(&world, &plant) {
        let error = world.refused(&world.owner, "GET", &path, decl.versions()[0], None).await;
        assert_eq!(error.http_status(), 404, "{path}");
    }
    // The namespace of the registry is free for another one.
    world.put(&plant.group, ARM, json!({"location": "westeurope"})).await;
    let (_, path, body) = samples(&world, &plant).swap_remove(5);
    world.put(&path, NEWEST, body).await;
}
