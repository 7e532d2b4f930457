//! Nothing that is sent is taken and dropped: what nobody declared is refused at every depth, what is not built is refused
//! unless it asks for nothing, and what is only kept is listed in `docs/howto/descriptive-properties.md`.

use super::fixture::{ADR, DPS, HUB, World, plant};
use super::views::{everything, world_of_everything};
use ferrohub_model::error::Error;
use ferrohub_service::arm::declaration::TypeDecl;
use ferrohub_service::arm::request::ArmResponse;
use ferrohub_service::arm::schema::{Check, Meaning, Property};
use ferrohub_service::arm::types::Types;
use ferrohub_service::tables::ACTIVITY;
use ferrohub_store::Page;
use serde_json::{Value, json};

const UNKNOWN: &str = "zzNobodyKnows";

/// One resource of each type, under its newest api-version that is listed.
pub(super) async fn one_of_each(world: &World) -> Vec<(&'static TypeDecl, String, &'static str)> {
    let mut found: Vec<(&'static TypeDecl, String, &'static str)> = Vec::new();
    for (decl, path) in everything(world).await {
        if !decl.read_only && !found.iter().any(|(known, ..)| known.kind == decl.kind) {
            found.push((decl, path, decl.versions()[0]));
        }
    }
    assert_eq!(found.len(), world.platform().types.all().iter().filter(|decl| !decl.read_only).count());
    found
}

/// `doc` with `value` at a path of a declaration: an entry of a list, or a name of the client's choice, is made, and the word
/// that chooses a shape is said.
fn with(doc: &Value, path: &str, value: Value) -> Value {
    let mut doc = doc.clone();
    let mut at = &mut doc;
    for step in steps(path) {
        let (name, mut rest) = step.split_at(step.find(['[', '{']).unwrap_or(step.len()));
        let name = if name == "*" { "x" } else { name };
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[]") {
                *at = json!([{}]);
                at = &mut at[0];
                rest = after;
            } else {
                let (shape, after) = rest[1..].split_once('}').unwrap();
                let (chooser, word) = shape.split_once('=').unwrap();
                if !at.is_object() {
                    *at = json!({});
                }
                at[chooser] = json!(word);
                rest = after;
            }
        }
    }
    *at = value;
    doc
}

/// The steps of a path; the word that chooses a shape may have dots.
fn steps(path: &str) -> Vec<&str> {
    let mut inside = false;
    path.split(|c| {
        inside = (inside || c == '{') && c != '}';
        c == '.' && !inside
    })
    .collect()
}

/// The path as a refusal names it.
fn named(path: &str) -> String {
    let steps = steps(path).into_iter().map(|step| {
        let shape = step.find('{').and_then(|start| Some(start..=step.find('}')?));
        shape.map_or_else(|| step.to_owned(), |shape| [&step[..*shape.start()], &step[shape.end() + 1..]].concat())
    });
    let path: Vec<String> = steps.collect();
    path.join(".").replace("[]", "[0]").replace(".*", ".x")
}

/// The paths of the objects with members of their own that a check describes.
fn objects(check: &Check, path: String, found: &mut Vec<String>) {
    match check {
        Check::Members(_) => found.push(path),
        Check::Each(inner, _) => objects(inner, format!("{path}[]"), found),
        Check::Named(inner, _) => objects(inner, format!("{path}.*"), found),
        Check::Shapes(chooser, shapes) => {
            found.extend(shapes.iter().map(|(word, _)| format!("{path}{{{}={word}}}", chooser.name)));
        }
        _ => {}
    }
}

/// A write of the owner, over what stands where the type asks for that to be said.
async fn write(
    world: &World,
    decl: &TypeDecl,
    method: &str,
    path: &str,
    version: &str,
    body: Value,
) -> Result<ArmResponse, Error> {
    let if_match = decl.needs_if_match.then_some("*");
    world.request(&world.owner, method, path, version, Some(body), if_match).await
}

#[tokio::test]
async fn what_nobody_declared_is_refused_at_every_depth() {
    let world = world_of_everything().await;
    for (decl, path, version) in one_of_each(&world).await {
        let doc = world.get(&path, version).await;
        let mut levels = vec![String::new(), "properties.".to_owned()];
        for (path, property) in decl.members().into_iter().filter(|(_, p)| p.meaning != Meaning::ReadOnly) {
            let mut found = Vec::new();
            objects(&property.check, path, &mut found);
            levels.extend(found.into_iter().map(|path| format!("{path}.")));
        }
        for level in levels {
            let unknown = format!("{level}{UNKNOWN}");
            let body = with(&doc, &unknown, json!("x"));
            let error = write(&world, decl, "PUT", &path, version, body).await.unwrap_err();
            let seen = (error.http_status(), error.code, error.target.as_deref());
            assert_eq!(
                seen,
                (400, "InvalidRequestContent", Some(named(&unknown).as_str())),
                "{path} {}",
                error.message
            );
            assert!(error.message.contains(UNKNOWN) && error.message.contains(&decl.full()), "{}", error.message);
            let body = with(&json!({}), &unknown, json!(7));
            let error = write(&world, decl, "PATCH", &path, version, body).await.unwrap_err();
            assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(named(&unknown).as_str())), "{path}");
        }
        // Null says nothing, and is not kept.
        let body = with(&doc, &format!("properties.{UNKNOWN}"), Value::Null);
        let answer = write(&world, decl, "PUT", &path, version, body).await.unwrap().body.unwrap();
        assert!(answer["properties"].get(UNKNOWN).is_none(), "{path}");
    }
}

/// A value that asks for something.
fn busy(check: &Check) -> Value {
    match check {
        Check::Off => json!(true),
        Check::Integer(..) => json!(77),
        Check::Each(inner, _) => json!([busy(inner)]),
        _ => json!("zz-something-else"),
    }
}

#[tokio::test]
async fn what_is_not_built_is_refused_with_a_sentence() {
    let world = world_of_everything().await;
    let mut refused = 0;
    for (decl, path, version) in one_of_each(&world).await {
        let doc = world.get(&path, version).await;
        let unbuilt = decl.members().into_iter().filter(|(_, p)| matches!(p.meaning, Meaning::Unbuilt(_)));
        for (at, property) in unbuilt {
            let body = with(&doc, &at, busy(&property.check));
            let error = write(&world, decl, "PUT", &path, version, body).await.unwrap_err();
            assert_eq!((error.http_status(), error.target), (501, Some(named(&at))), "{path}");
            let Meaning::Unbuilt(why) = property.meaning else { unreachable!() };
            assert!(error.message.contains(why) && why.ends_with('.'), "{}", error.message);
            refused += 1;
        }
    }
    assert!(refused > 40, "{refused}");
}

#[tokio::test]
async fn what_an_api_version_does_not_know_is_refused() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let (policy, identity) = (format!("{}/credentials/default/policies/default", plant.namespace), &plant.identity);
    let link = json!({"resourceId": plant.namespace, "authenticationType": "SystemAssigned"});
    let identities = json!({"type": "UserAssigned", "userAssignedIdentities": {identity: {}}});
    let device = format!("{}/devices/pump-1", plant.namespace);
    for (path, version, at, value) in [
        (&plant.hub, "2023-06-30", "properties.deviceRegistry", json!({"namespaceResourceId": plant.namespace})),
        (&plant.dps, "2022-12-12", "properties.deviceRegistryNamespace", link.clone()),
        (&plant.dps, "2021-10-15", "properties.deviceRegistryNamespace", link),
        (&plant.dps, "2021-10-15", "identity", identities),
        (&device, "2026-04-01", "properties.policy", json!({"resourceId": policy})),
    ] {
        let body = with(&json!({"location": "westeurope"}), at, value);
        let error = world.refused(&world.owner, "PUT", path, version, Some(body)).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(at)), "{path} {version}");
        assert!(error.message.contains(version) && error.message.contains("These do: 20"), "{}", error.message);
    }
}

/// A value of the wrong kind for every rule that is not the type's own.
#[tokio::test]
async fn a_value_against_its_rule_is_refused_and_named() {
    let world = world_of_everything().await;
    for (decl, path, version) in one_of_each(&world).await {
        let doc = world.get(&path, version).await;
        for (at, property) in decl.members() {
            if property.meaning == Meaning::ReadOnly || matches!(property.check, Check::Own) {
                continue;
            }
            let wrong = if matches!(property.check, Check::Each(..)) { json!("zz") } else { json!(["zz"]) };
            let body = with(&doc, &at, wrong);
            let error = write(&world, decl, "PUT", &path, version, body).await.unwrap_err();
            let (status, target) = (error.http_status(), error.target.unwrap_or_default());
            assert!(target == named(&at) && [400, 501].contains(&status), "{path} {at}: {target} {}", error.message);
        }
    }
}

#[tokio::test]
async fn create_only_values_stay_when_they_are_left_out() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = format!("{}/devices/pump-1", plant.namespace);
    let of = |properties: Value| json!({"location": "westeurope", "properties": properties});
    world.put(&device, ADR, of(json!({"manufacturer": "Contoso"}))).await;
    let again = world.put(&device, ADR, of(json!({"enabled": true}))).await;
    assert_eq!(again["properties"]["manufacturer"], "Contoso");
    let error = world.refused(&world.owner, "PUT", &device, ADR, Some(of(json!({"manufacturer": "Other"})))).await;
    assert_eq!(error.code, "PropertyChangeNotAllowed");
}

#[tokio::test]
async fn the_least_tls_version_is_chosen_once() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let strict = format!("{}/providers/Microsoft.Devices/IotHubs/strict1", plant.group);
    let of = |version: Value| json!({"location": "westeurope", "properties": {"minTlsVersion": version}});
    for bad in [json!("1.1"), json!("1.0"), json!("TLS1_2"), json!(1.2), json!("")] {
        let error = world.refused(&world.owner, "PUT", &strict, HUB, Some(of(bad))).await;
        assert_eq!(error.target.as_deref(), Some("properties.minTlsVersion"));
    }
    world.put(&strict, HUB, of(json!("1.3"))).await;
    let kept = world.put(&strict, HUB, json!({"location": "westeurope"})).await;
    assert_eq!(kept["properties"]["minTlsVersion"], "1.3");
    for (hub, version) in [(&strict, "1.2"), (&plant.hub, "1.3")] {
        let patch = json!({"properties": {"minTlsVersion": version}});
        let error = world.refused(&world.owner, "PATCH", hub, HUB, Some(patch)).await;
        assert_eq!(
            (error.code, error.target.as_deref()),
            ("PropertyChangeNotAllowed", Some("properties.minTlsVersion"))
        );
    }
    world
        .send(&world.owner, "PATCH", &plant.hub, HUB, Some(json!({"properties": {"minTlsVersion": "1.2"}})))
        .await
        .unwrap();
}

#[tokio::test]
async fn address_rules_are_checked_when_they_are_written() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let rule = |name: &str, action: &str, mask: &str| json!({"filterName": name, "action": action, "ipMask": mask});
    let good = rule("one", "Accept", "10.0.0.0/8");
    for (rules, target) in [
        (json!([{"action": "Accept", "ipMask": "1.2.3.4"}]), "properties.ipFilterRules[0].filterName"),
        (json!([good, rule("two", "Maybe", "1.2.3.4")]), "properties.ipFilterRules[1].action"),
        (json!([rule("one", "Accept", "10.0.0.0/40")]), "properties.ipFilterRules[0].ipMask"),
        (json!([good, rule("ONE", "Reject", "1.2.3.4")]), "properties.ipFilterRules[1].filterName"),
        (Value::Array(vec![good.clone(); 101]), "properties.ipFilterRules"),
        (json!({}), "properties.ipFilterRules"),
        (json!([7]), "properties.ipFilterRules[0]"),
    ] {
        for (service, version) in [(&plant.hub, HUB), (&plant.dps, DPS)] {
            let patch = json!({"properties": {"ipFilterRules": rules}});
            let error = world.refused(&world.owner, "PATCH", service, version, Some(patch)).await;
            assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)), "{}", error.message);
        }
    }
    let targeted = json!([{"filterName": "one", "action": "Accept", "ipMask": "::1", "target": "deviceApi"}]);
    let patch = json!({"properties": {"ipFilterRules": targeted, "publicNetworkAccess": "Disabled"}});
    let error = world.refused(&world.owner, "PATCH", &plant.hub, HUB, Some(patch.clone())).await;
    assert_eq!(error.target.as_deref(), Some("properties.ipFilterRules[0].target"));
    let answer = world.send(&world.owner, "PATCH", &plant.dps, DPS, Some(patch)).await.unwrap();
    let properties = &answer.body.unwrap()["properties"];
    assert_eq!((&properties["ipFilterRules"], &properties["publicNetworkAccess"]), (&targeted, &json!("Disabled")));
}

#[tokio::test]
async fn keys_of_storage_accounts_are_refused_and_never_shown() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let secret = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0";
    for (at, value) in [
        ("properties.storageEndpoints.$default.connectionString", json!(secret)),
        ("properties.storageEndpoints.other.connectionString", json!(secret)),
        ("properties.routing.endpoints.storageContainers", json!([{"name": "s", "connectionString": secret}])),
        ("properties.routing.endpoints.eventHubs", json!([{"name": "s", "connectionString": secret}])),
        ("properties.encryption", json!({"keySource": "Microsoft.KeyVault"})),
    ] {
        for (method, doc) in [("PUT", world.get(&plant.hub, HUB).await), ("PATCH", json!({}))] {
            let error = world.refused(&world.owner, method, &plant.hub, HUB, Some(with(&doc, at, value.clone()))).await;
            assert_eq!((error.http_status(), error.target.as_deref()), (501, Some(at)), "{method}");
            assert!(!error.message.contains("c2VjcmV0"), "{}", error.message);
        }
    }
}

#[tokio::test]
async fn a_read_of_events_knows_its_members() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let path = format!("{}/readEvents", plant.hub);
    let body = json!({"partition": 0, "fromSequence": 0, "maxEvents": 1});
    let rows = async || world.platform().store.scan(&ACTIVITY, "", Page::first(1000)).await.unwrap().len();
    let before = rows().await;
    world.send(&world.owner, "POST", &path, HUB, Some(body)).await.unwrap();
    assert_eq!(rows().await, before, "who follows events buries the activity log");
    let error = world.refused(&world.owner, "POST", &path, HUB, Some(json!({"partitions": 3}))).await;
    assert!(error.http_status() == 400 && error.message.contains("'partitions'"), "{error}");
}

/// The declared members with a meaning, one line each.
fn table(wanted: fn(&Property) -> Option<String>) -> String {
    let mut lines = String::new();
    for decl in Types::built_in().all() {
        let mut above: Option<(String, String)> = None;
        for (path, property) in decl.members() {
            // What lies below a listed one and is the same needs no line of its own.
            let Some(words) = wanted(property) else { continue };
            let below = |(top, said): &(String, String)| {
                path.strip_prefix(top.as_str()).is_some_and(|rest| rest.starts_with(['.', '[', '{'])) && *said == words
            };
            if !above.as_ref().is_some_and(below) {
                above = Some((path.clone(), words.clone()));
                lines.push_str(&format!("| `{}` | `{path}` | {words} |\n", decl.full()));
            }
        }
    }
    lines
}

#[test]
fn the_table_lists_what_is_only_kept_and_what_is_not_built() {
    let kept = table(|property| match property.meaning {
        Meaning::Descriptive(what) => Some(what.to_owned()),
        _ => None,
    });
    let unbuilt = table(|property| match property.meaning {
        Meaning::Unbuilt(why) => Some(format!("{} | {why}", property.check.words())),
        _ => None,
    });
    let page = format!(
        "{HEAD}\n## Kept and shown, and nothing more\n\n| type | property | what it is for |\n|---|---|---|\n{kept}\n\
         ## Not built\n\nThe value in the third column asks for nothing and is taken, because Azure's clients send it. \
         Any other is refused (501) with the sentence in the last.\n\n\
         | type | property | taken | why no other |\n|---|---|---|---|\n{unbuilt}"
    );
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/howto/descriptive-properties.md");
    if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
        std::fs::write(file, &page).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(written == page, "{file} is not what the types declare; run this test with INSTA_UPDATE=always");
}

const HEAD: &str = "# What becomes of a property\n
Made from the declarations by `cargo test -p ferrohub-service --test it arm::properties` (with `INSTA_UPDATE=always`).\n
A property that is sent to Resource Manager is acted upon, or it is in one of the two tables below. One that the type does not
have is refused (400, `InvalidRequestContent`) with its path; so is one that only other api-versions have. `null` says nothing.
What only the server writes (`provisioningState`, `hostName`, `uuid` and their like) is not looked at, because clients put back
what they read.
";
