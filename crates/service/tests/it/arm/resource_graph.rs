//! Resource Graph: what a query finds is what was written before it, and what its caller may read.

use super::fixture::{ADR, DPS, HUB, Plant, World, plant};
use ferrohub_model::error::Error;
use ferrohub_model::time::rfc3339;
use ferrohub_service::authz::{Actor, builtin};
use ferrohub_service::resources::tag;
use serde_json::{Value, json};

const GRAPH: &str = "2022-10-01";
/// IoT Hub Data Reader.
pub(super) const DATA_READER: &str = "b447c946-2db7-41ec-983d-d8bf3b1c77e3";
const PATH: &str = "/providers/Microsoft.ResourceGraph/resources";

pub(super) async fn ask_as(world: &World, actor: &Actor, body: Value) -> Result<Value, Error> {
    world.send(actor, "POST", PATH, GRAPH, Some(body)).await.map(|answer| answer.body.unwrap())
}

async fn ask(world: &World, query: &str) -> Value {
    ask_as(world, &world.owner, json!({ "query": query }))
        .await
        .unwrap_or_else(|error| panic!("{query}: {error} {:?}", error.context))
}

/// The rows of a query as lists.
pub(super) async fn rows(world: &World, query: &str) -> Value {
    let body = json!({"query": query, "options": {"resultFormat": "table"}});
    ask_as(world, &world.owner, body).await.unwrap_or_else(|error| panic!("{query}: {error} {:?}", error.context))["data"]["rows"].take()
}

async fn device(world: &World, namespace: &str, name: &str, properties: Value, tags: Value) -> String {
    let id = format!("{namespace}/devices/{name}");
    world.put(&id, ADR, json!({"location": "westeurope", "properties": properties, "tags": tags})).await;
    id
}

/// A hub whose identity may write devices of the namespace, and the owner of its keys.
pub(super) async fn hub_owner(world: &World, plant: &Plant) -> Actor {
    let identity = world.get(&plant.identity, "2025-05-31-preview").await;
    let principal = identity["properties"]["principalId"].as_str().unwrap();
    world.assign(principal, builtin::CONTRIBUTOR, &plant.namespace).await;
    world.hub_owner(&plant.hub, "hub1.azure-devices.localhost").await
}

#[tokio::test]
async fn resources_and_devices_are_rows_as_a_get_shows_them() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let id = device(
        &world,
        &plant.namespace,
        "Pump-1",
        json!({"enabled": false, "manufacturer": "Contoso", "attributes": {"floor": 3, "x": ["a", "b"]}}),
        json!({"Line": "A"}),
    )
    .await;
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let found = ask(&world, "Resources | order by id asc").await;
    assert_eq!(found["totalRecords"], found["count"]);
    assert_eq!(found["resultTruncated"], "false");
    let rows = found["data"].as_array().unwrap();
    let types: Vec<&str> = rows.iter().map(|row| row["type"].as_str().unwrap()).collect();
    for wanted in [
        "microsoft.deviceregistry/namespaces",
        "microsoft.deviceregistry/namespaces/devices",
        "microsoft.devices/iothubs",
        "microsoft.devices/provisioningservices",
        "microsoft.managedidentity/userassignedidentities",
    ] {
        assert!(types.contains(&wanted), "{wanted}: {types:?}");
    }
    let listed = world.get(&format!("/subscriptions/{}/resources", world.subscription), "2024-11-01").await;
    assert_eq!(rows.len(), listed["value"].as_array().unwrap().len(), "the same that a list of resources has");
    let newest = world.platform().types.tagged(tag::IOT_HUB).unwrap().versions()[0];
    let hub = rows.iter().find(|row| row["id"] == json!(plant.hub)).unwrap();
    assert_eq!(hub["properties"], world.get(&plant.hub, newest).await["properties"]);
    assert_eq!((&hub["tenantId"], &hub["resourceGroup"]), (&json!(world.platform().tenancy.tenant_id), &json!("rg1")));
    let shown = world.get(&id, ADR).await;
    let row = rows.iter().find(|row| row["id"] == json!(id)).unwrap();
    for member in ["name", "location", "tags", "properties", "systemData"] {
        assert_eq!(row[member], shown[member], "{member}");
    }
    assert_eq!(row["type"], "microsoft.deviceregistry/namespaces/devices");
    assert_eq!(row["subscriptionId"], json!(world.subscription));
    let put = json!({"location": "westeurope", "properties": {"policy": {"resourceId": policy}}});
    world.put(&format!("{}/devices/with-policy", plant.namespace), ADR, put).await;
    assert_eq!(
        self::rows(&world, "where name == 'with-policy' | project properties.policy.resourceId").await,
        json!([[policy]])
    );
    assert_eq!(
        self::rows(&world, "ResourceContainers | project type, name | order by type asc").await,
        json!([
            ["microsoft.resources/subscriptions", "Ferrohub"],
            ["microsoft.resources/subscriptions/resourcegroups", "rg1"]
        ])
    );
    let (namespace, upper) = (&plant.namespace, plant.namespace.to_uppercase());
    for (filter, count) in [
        (format!("id startswith '{upper}/DEVICES/'"), 2),
        (format!("id startswith_cs '{namespace}/devices/p'"), 0),
        (format!("id startswith_cs '{namespace}/devices/P'"), 1),
        (format!("id startswith '{upper}/devices/x'"), 0),
        (format!("id !startswith '{namespace}' and type endswith '/devices'"), 0),
        (format!("id =~ '{upper}/devices/PUMP-1'"), 1),
        (format!("id == '{namespace}/devices/PUMP-1'"), 0),
        (format!("id != '{namespace}/devices/Pump-1' and type endswith '/devices'"), 1),
        ("name =~ 'PUMP-1' or id == 'x'".to_owned(), 1),
        ("name == 'PUMP-1'".to_owned(), 0),
    ] {
        assert_eq!(self::rows(&world, &format!("where {filter} | count")).await, json!([[count]]), "{filter}");
    }
    let roles = self::rows(&world, "AuthorizationResources | where type =~ 'Microsoft.Authorization/roleAssignments' | project properties.scope, id | count").await;
    assert!(roles[0][0].as_i64().unwrap() >= 2, "{roles}");
}

#[tokio::test]
async fn a_query_sees_every_write_before_it() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let count = "Resources | where type =~ 'Microsoft.DeviceRegistry/namespaces/devices' | count";
    assert_eq!(rows(&world, count).await, json!([[0]]));
    for number in 0..5 {
        device(&world, &plant.namespace, &format!("dev-{number}"), json!({"enabled": true}), json!({})).await;
        assert_eq!(rows(&world, count).await, json!([[number + 1]]));
    }
    let one = format!("{}/devices/dev-3", plant.namespace);
    let enabled = "where name == 'dev-3' | project properties.enabled, tags.a";
    assert_eq!(rows(&world, enabled).await, json!([[true, null]]));
    world
        .send(&world.owner, "PATCH", &one, ADR, Some(json!({"tags": {"a": "1"}, "properties": {"enabled": false}})))
        .await
        .unwrap();
    assert_eq!(rows(&world, enabled).await, json!([[false, "1"]]));
    world.send(&world.owner, "DELETE", &one, ADR, None).await.unwrap();
    assert_eq!(rows(&world, enabled).await, json!([]));
    assert_eq!(rows(&world, count).await, json!([[4]]));
    // What a resource shows of another one follows that.
    let mut hub = world.get(&plant.hub, HUB).await;
    hub["tags"] = json!({"line": "B"});
    world.put(&plant.hub, HUB, hub).await;
    assert_eq!(rows(&world, "where type =~ 'microsoft.devices/iothubs' | project tags.line").await, json!([["B"]]));
    let group = world.group("rg2");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    assert_eq!(rows(&world, "resourcecontainers | where name == 'rg2' | count").await, json!([[1]]));
}

#[tokio::test]
async fn what_a_resource_shows_of_others_is_as_new() {
    let world = World::new().await;
    let plant = plant(&world).await;
    // After each write every resource is what a GET shows, though few of them were shown again.
    let compare = async || {
        for row in
            ask(&world, "Resources | union ResourceContainers | where type !endswith '/subscriptions'").await["data"]
                .as_array()
                .unwrap()
        {
            let id = row["id"].as_str().unwrap();
            let platform = world.platform();
            let decl = platform.types.all().iter().find(|decl| {
                let full = decl.full().to_lowercase();
                row["type"] == json!(full)
                    || row["type"] == "microsoft.resources/subscriptions/resourcegroups"
                        && full == "microsoft.resources/resourcegroups"
            });
            let Some(decl) = decl else { panic!("{row}") };
            let shown = world.get(id, decl.versions()[0]).await;
            for member in ["properties", "tags", "identity", "systemData"] {
                let blank = |value: &Value| value.is_null() || *value == json!({});
                assert!(
                    row[member] == shown[member] || blank(&row[member]) && blank(&shown[member]),
                    "{id} {member}: {} {}",
                    row[member],
                    shown[member]
                );
            }
        }
    };
    compare().await;
    let mut hub = world.get(&plant.hub, HUB).await;
    hub["tags"] = json!({"line": "B"});
    world.put(&plant.hub, HUB, hub).await;
    compare().await;
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    let days = json!({"properties": {"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 20}}}});
    world.send(&world.owner, "PATCH", &policy, ADR, Some(days)).await.unwrap();
    compare().await;
    world.put(&format!("{}/credentials/default/policies/other", plant.namespace), ADR, json!({"properties": {}})).await;
    compare().await;
    let group = world.group("rg2");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    compare().await;
    // What moves has another id, and so has all that lies below it; the rest shows that.
    for resource in [&plant.identity, &plant.namespace, &plant.hub] {
        let body = json!({"resources": [resource], "targetResourceGroup": group});
        let action = format!("{}/moveResources", plant.group);
        world.send(&world.owner, "POST", &action, "2024-11-01", Some(body)).await.unwrap();
        compare().await;
    }
    let moved = plant.hub.replace("/rg1/", "/rg2/");
    let linked = format!("where type endswith '/namespaces' and tostring(properties) contains '{moved}' | count");
    assert_eq!(rows(&world, &linked).await, json!([[1]]));
    world.send(&world.owner, "DELETE", &plant.dps, DPS, None).await.unwrap();
    compare().await;
    world.send(&world.owner, "DELETE", &plant.hub.replace("/rg1/", "/rg2/"), HUB, None).await.unwrap();
    compare().await;
    world.send(&world.owner, "DELETE", &group, "2024-11-01", None).await.unwrap();
    compare().await;
    assert_eq!(rows(&world, "Resources | count").await, json!([[0]]));
}

#[tokio::test]
async fn what_a_query_computes_is_bounded_whoever_asks() {
    let world = World::new().await;
    let stranger = world.stranger().await;
    let named = |first: &str, next: &str, last: &str| {
        let lets = (1..60).map(|n| format!("let v{n} = {};\n", next.replace('@', &format!("v{}", n - 1))));
        format!("let v0 = {first};\n{}{}", lets.collect::<String>(), last.replace('@', "v59"))
    };
    let doubled = named("true and true", "@ and @", "Resources | where @ | count");
    let found = ask_as(&world, &stranger, json!({ "query": doubled })).await.unwrap();
    assert_eq!(found["data"], json!([{"Count": 0}]));
    let patterns = (0..1000).map(|n| format!("name matches regex 'a{n}'")).collect::<Vec<_>>().join(" or ");
    let made = (0..60).map(|n| format!("isempty(strcat(v0, '{n}'))")).collect::<Vec<_>>().join(" or ");
    let long = format!("let v0 = '{}';\n", "x".repeat(20_000));
    for query in [
        format!("Resources | where {patterns}"),
        format!(
            "{long}let v1 = strcat(v0, v0, v0, v0, v0, v0, v0, v0, v0, v0); Resources | where {}",
            made.replace("v0", "v1, v1, v1, v1")
        ),
    ] {
        let refused = ask_as(&world, &stranger, json!({ "query": query })).await.unwrap_err();
        assert_eq!(refused.details[0].0, "QueryLimitExceeded", "{refused}");
    }
    // A facet that is refused so spoils no other.
    let facets = json!([{"expression": format!("iff({patterns}, 'a', 'b')")}, {"expression": "location"}]);
    let found = ask_as(&world, &world.owner, json!({"query": "Resources", "facets": facets})).await.unwrap();
    assert_eq!(
        (&found["facets"][0]["resultType"], &found["facets"][1]["resultType"]),
        (&json!("FacetError"), &json!("FacetResult"))
    );
}

#[tokio::test]
async fn identities_of_hubs_stand_in_a_table_of_their_own_and_behind_their_devices() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let caller = hub_owner(&world, &plant).await;
    let service = world.service().clone();
    let hub = service.hub.by_host("hub1.azure-devices.localhost").await.unwrap();
    assert_eq!(rows(&world, "iothubdevices | count").await, json!([[0]]));
    for (id, body) in [("d:1", json!({})), ("d2", json!({"status": "disabled", "statusReason": "broken"}))] {
        service.hub.put_device(&caller, &hub, id, &body, None).await.unwrap();
    }
    let patch = json!({"tags": {"hall": "A"}, "properties": {"desired": {"speed": {"max": 5}}}});
    service.hub.patch_twin(&caller, &hub, "d2", &patch, None).await.unwrap();
    let all = "iothubdevices | order by name asc | project name, hub, status, authenticationType, tags.hall, properties.desired.speed.max, properties.statusReason, id";
    assert_eq!(rows(&world, all).await, json!([]), "an owner of the subscription has no data action on the hub");
    let devices = "where type =~ 'microsoft.deviceregistry/namespaces/devices' | project properties.externalDeviceId, properties.enabled, properties.endpoints.outbound.assigned.hub1.address | order by tostring(properties_externalDeviceId) asc";
    let address = "hub1.azure-devices.localhost";
    assert_eq!(rows(&world, devices).await, json!([["d2", false, address], ["d:1", true, address]]));
    world.assign(world.owner.id(), DATA_READER, &plant.hub).await;
    let id = |name: &str| format!("{}/devices/{name}", plant.hub);
    assert_eq!(
        rows(&world, all).await,
        json!([
            ["d2", "hub1", "disabled", "sas", "A", 5, "broken", id("d2")],
            ["d:1", "hub1", "enabled", "sas", null, null, null, id("d:1")]
        ])
    );
    let one = ask(&world, &format!("iothubdevices | where id =~ '{}'", id("D2").to_uppercase())).await;
    let properties = &one["data"][0]["properties"];
    assert_eq!(one["count"], 1);
    assert_eq!(properties["desired"], json!({"speed": {"max": 5}}));
    let text = one.to_string();
    assert!(!text.contains("ealed") && !text.contains("primaryKey"), "no key is shown: {text}");
    let joined = "Resources | where type endswith 'namespaces/devices' | extend device = tostring(properties.externalDeviceId) | join kind=inner (iothubdevices | project device = name, hall = tostring(tags.hall)) on device | where hall == 'A' | project device";
    assert_eq!(rows(&world, joined).await, json!([["d2"]]));
    service.hub.delete_device(&caller, &hub, "d2", Some("*")).await.unwrap();
    assert_eq!(rows(&world, "iothubdevices | project name").await, json!([["d:1"]]));
    assert_eq!(rows(&world, "where type endswith 'namespaces/devices' | count").await, json!([[1]]));
}

#[tokio::test]
async fn nobody_sees_or_counts_what_he_may_not_read() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let mine = device(&world, &plant.namespace, "mine", json!({}), json!({})).await;
    device(&world, &plant.namespace, "theirs", json!({}), json!({})).await;
    let stranger = world.stranger().await;
    let body = |query: &str| json!({ "query": query });
    let count =
        async |query: &str| ask_as(&world, &stranger, body(query)).await.unwrap()["totalRecords"].as_u64().unwrap();
    for table in ["resources", "resourcecontainers", "authorizationresources", "iothubdevices"] {
        assert_eq!(count(table).await, 0, "{table}");
    }
    let scoped = json!({"query": "resources", "subscriptions": [world.subscription]});
    let refused = ask_as(&world, &stranger, scoped.clone()).await.unwrap_err();
    assert_eq!(refused.details[0].0, "NoValidSubscriptionsInQueryRequest");
    world.assign(stranger.id(), builtin::READER, &mine).await;
    assert_eq!(
        ask_as(&world, &stranger, body("resources | project name")).await.unwrap()["data"],
        json!([{"name": "mine"}])
    );
    assert_eq!(count("where name == 'theirs'").await, 0);
    assert_eq!(ask_as(&world, &stranger, scoped).await.unwrap()["count"], 1);
    let made = world.assign(stranger.id(), builtin::READER, &plant.namespace).await;
    assert_eq!(count("where type endswith '/devices'").await, 2);
    assert_eq!(count("where type =~ 'microsoft.devices/iothubs'").await, 0);
    world.send(&world.owner, "DELETE", made["id"].as_str().unwrap(), "2022-04-01", None).await.unwrap();
    assert_eq!(count("where type endswith '/devices'").await, 1, "a right that was taken away counts at once");
    let alias = json!({"properties": {"displayName": "Second", "workload": "Production"}});
    let made = world.put("/providers/Microsoft.Subscription/aliases/second", "2021-10-01", alias).await;
    let second = made["properties"]["subscriptionId"].as_str().unwrap().to_owned();
    world
        .put(&format!("/subscriptions/{second}/resourceGroups/far"), "2024-11-01", json!({"location": "westeurope"}))
        .await;
    for (subscriptions, expected) in [
        (json!([second]), json!([{"name": "Second"}, {"name": "far"}])),
        (json!([world.subscription]), json!([{"name": "Ferrohub"}, {"name": "rg1"}])),
        (Value::Null, json!([{"name": "Ferrohub"}, {"name": "Second"}, {"name": "far"}, {"name": "rg1"}])),
    ] {
        let body =
            json!({"query": "ResourceContainers | project name | order by name asc", "subscriptions": subscriptions});
        assert_eq!(ask_as(&world, &world.owner, body).await.unwrap()["data"], expected);
    }
    assert_eq!(count("resourcecontainers").await, 0, "a role on a device shows no group");
    let foreign = json!({"query": "resources", "subscriptions": ["00000000-0000-0000-0000-000000000001"]});
    let refused = ask_as(&world, &world.owner, foreign).await.unwrap_err();
    assert_eq!((refused.http_status(), refused.details[0].0.as_str()), (400, "NoValidSubscriptionsInQueryRequest"));
}

#[tokio::test]
async fn pages_follow_each_other_whatever_goes() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for number in 0..7 {
        let colour = ["red", "blue"][number % 2];
        device(&world, &plant.namespace, &format!("dev-{number}"), json!({}), json!({ "colour": colour })).await;
    }
    let query = "where type endswith 'namespaces/devices' | project id, name";
    let (mut names, mut token, mut pages, mut total, mut gone) = (Vec::new(), Value::Null, 0, 7, String::new());
    loop {
        let page = ask_as(&world, &world.owner, json!({"query": query, "options": {"$top": 3, "$skipToken": token}}))
            .await
            .unwrap();
        assert_eq!((&page["totalRecords"], &page["resultTruncated"]), (&json!(total), &json!("false")));
        names.extend(page["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        pages += 1;
        token = page["$skipToken"].clone();
        if token.is_null() {
            break;
        }
        // What goes away in front of a page moves nothing out of it.
        if pages == 1 {
            gone = page["data"][0]["name"].as_str().unwrap().to_owned();
            world
                .send(&world.owner, "DELETE", &format!("{}/devices/{gone}", plant.namespace), ADR, None)
                .await
                .unwrap();
            total = 6;
        }
    }
    assert_eq!((pages, names.len()), (3, 7));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 7);
    let colour = if ["dev-1", "dev-3", "dev-5"].contains(&gone.as_str()) { "blue" } else { "red" };
    device(&world, &plant.namespace, &gone, json!({}), json!({ "colour": colour })).await;
    let cut = ask_as(&world, &world.owner, json!({"query": format!("{query} | project name"), "options": {"$top": 3}}))
        .await
        .unwrap();
    assert_eq!(
        (cut["$skipToken"].is_null(), cut["resultTruncated"].as_str()),
        (true, Some("true")),
        "without id there are no pages"
    );
    let skipped = json!({"query": format!("{query} | order by name asc"), "options": {"$skip": 5}});
    assert_eq!(ask_as(&world, &world.owner, skipped).await.unwrap()["count"], 2);
}

#[tokio::test]
async fn answers_have_the_form_that_is_asked_for() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for number in 0..7 {
        let colour = ["red", "blue"][number % 2];
        device(&world, &plant.namespace, &format!("dev-{number}"), json!({}), json!({ "colour": colour })).await;
    }
    let table = json!({"query": "where name == 'dev-1' | project name, n = 1, tags, at = now(), ok = true, r = 1.5", "options": {"resultFormat": "table"}});
    let table = ask_as(&world, &world.owner, table).await.unwrap();
    let columns: Vec<(&str, &str)> = table["data"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        columns,
        [
            ("name", "string"),
            ("n", "integer"),
            ("tags", "object"),
            ("at", "string"),
            ("ok", "boolean"),
            ("r", "number")
        ]
    );
    let at = format!("{}.0000000Z", rfc3339(world.platform().now()).trim_end_matches('Z').split('.').next().unwrap());
    assert_eq!(table["data"]["rows"], json!([["dev-1", 1, {"colour": "blue"}, at, true, 1.5]]));

    let facets = json!({"query": "where type endswith 'namespaces/devices'", "facets": [
        {"expression": "tostring(tags.colour)"},
        {"expression": "name", "options": {"sortBy": "name", "sortOrder": "asc", "filter": "name contains 'dev'", "$top": 2}},
        {"expression": "nothing"}
    ]});
    let facets = ask_as(&world, &world.owner, facets).await.unwrap()["facets"].take();
    assert_eq!(facets[0]["data"], json!([{"tags_colour": "red", "count": 4}, {"tags_colour": "blue", "count": 3}]));
    assert_eq!((&facets[1]["totalRecords"], &facets[1]["data"][1]), (&json!(7), &json!({"name": "dev-1", "count": 1})));
    assert_eq!(facets[2]["resultType"], "FacetError");
}

#[tokio::test]
async fn what_is_wrong_is_answered_in_azures_form() {
    let world = World::new().await;
    let error =
        ask_as(&world, &world.owner, json!({"query": "Resources\n| evaluate bag_unpack(tags)"})).await.unwrap_err();
    assert_eq!((error.http_status(), error.code), (400, "BadRequest"));
    let codes: Vec<&str> = error.details.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["InvalidQuery", "InvalidQueryLanguage"]);
    let place = error.place.unwrap();
    assert_eq!((place.line, place.character, place.token.as_str()), (2, 3, "evaluate"));
    for (body, words) in [
        (json!({}), "'query' is missing"),
        (json!({"query": ""}), "'query' is missing"),
        (json!({"query": "Resources |"}), "<EOF>"),
        (json!({"query": "Resources | where name == 'x"}), "closing quote"),
        (json!({"query": "Nothing"}), "no table 'Nothing'"),
        (json!({"query": "Resources", "options": {"$top": 0}}), "'$top'"),
        (json!({"query": "Resources", "options": {"$top": 1001}}), "'$top'"),
        (json!({"query": "Resources", "options": {"$top": "x"}}), "'$top'"),
        (json!({"query": "Resources", "options": {"$skipToken": "x"}}), "'$skipToken'"),
        (json!({"query": "Resources", "options": {"resultFormat": "xml"}}), "'resultFormat'"),
        (json!({"query": "Resources", "options": {"colour": 1}}), "'options.colour'"),
        (json!({"query": "Resources", "options": []}), "'options'"),
        (json!({"query": "Resources", "subscriptions": ["x"]}), "must be a GUID"),
        (json!({"query": "Resources", "subscriptions": "x"}), "'subscriptions'"),
        (json!({"query": "Resources", "managementGroups": ["x"]}), "management group 'x'"),
        (json!({"query": "Resources", "facets": [{}]}), "'expression'"),
        (json!({"query": "Resources", "more": 1}), "'more'"),
        (json!([]), "'query'"),
    ] {
        let error = ask_as(&world, &world.owner, body.clone()).await.expect_err(&body.to_string());
        assert!(error.http_status() == 400 && error.message.contains(words), "{body}: {error}");
    }
    let error = world.refused(&world.owner, "POST", PATH, "2000-01-01", Some(json!({"query": "Resources"}))).await;
    assert_eq!(error.code, "NoRegisteredProviderFound");
    let error = world
        .refused(&world.owner, "POST", "/providers/Microsoft.ResourceGraph/resourcesHistory", GRAPH, Some(json!({})))
        .await;
    assert!(error.http_status() == 501 && error.message.contains("history of resources"), "{error}");
    let operations = world.get("/providers/Microsoft.ResourceGraph/operations", GRAPH).await;
    assert_eq!(operations["value"][0]["name"], "Microsoft.ResourceGraph/resources/action");
}

#[tokio::test]
async fn queries_of_one_process_run_beside_each_other_and_beside_writers() {
    let world = World::new().await;
    let plant = plant(&world).await;
    device(&world, &plant.namespace, "first", json!({}), json!({})).await;
    let queries = (0..20).map(|number| {
        let (world, plant) = (&world, &plant);
        async move {
            if number % 4 == 0 {
                device(world, &plant.namespace, &format!("dev-{number}"), json!({}), json!({})).await;
            }
            let found = rows(world, "where type endswith 'namespaces/devices' | count").await;
            found[0][0].as_u64().unwrap()
        }
    });
    let counts = futures_util::future::join_all(queries).await;
    assert!(counts.iter().all(|count| (1..=6).contains(count)), "{counts:?}");
    assert_eq!(rows(&world, "where type endswith 'namespaces/devices' | count").await, json!([[6]]));
}
