//! Groups of registry devices.

use super::fixture::{World, plant};
use ferrohub_service::arm::ArmResponse;
use ferrohub_service::authz::builtin;
use serde_json::{Value, json};

const NEWEST: &str = "2026-11-02-preview";

struct Site {
    world: World,
    namespace: String,
}

impl Site {
    async fn new() -> Self {
        let world = World::new().await;
        let namespace = plant(&world).await.namespace;
        Self { world, namespace }
    }

    async fn device(&self, name: &str, tags: Value, properties: Value) {
        let mut body = json!({"location": "westeurope", "tags": tags, "properties": properties});
        body["properties"]["enablementState"] = "Enabled".into();
        self.world.put(&format!("{}/registryDevices/{name}", self.namespace), NEWEST, body).await;
    }

    fn id(&self, group: &str) -> String {
        format!("{}/groups/{group}", self.namespace)
    }

    async fn group(&self, name: &str, filter: &str) -> Value {
        let body =
            json!({"location": "westeurope", "properties": {"groupType": "RegistryDevice", "queryFilter": filter}});
        self.world.put(&self.id(name), NEWEST, body).await
    }

    async fn act(&self, group: &str, action: &str, body: Option<Value>) -> ArmResponse {
        let path = format!("{}/{action}", self.id(group));
        self.world
            .send(&self.world.owner, "POST", &path, NEWEST, body)
            .await
            .unwrap_or_else(|e| panic!("{action}: {e}"))
    }

    /// Names of all members, page by page.
    async fn members(&self, group: &str, size: usize) -> Vec<String> {
        let (mut names, mut body) = (Vec::new(), json!({ "pageSize": size }));
        loop {
            let answer = self.act(group, "listMembers", Some(body.clone())).await;
            assert_eq!(answer.status, 200);
            let page = answer.body.unwrap();
            let members = page["members"].as_array().unwrap();
            assert!(members.len() <= size);
            for member in members {
                let id = member["id"].as_str().unwrap();
                names.push(id.strip_prefix(&format!("{}/registryDevices/", self.namespace)).unwrap().to_owned());
            }
            match page.get("skipToken") {
                Some(token) => body["skipToken"] = token.clone(),
                None => return names,
            }
        }
    }

    async fn count(&self, group: &str) -> Value {
        self.act(group, "countMembers", None).await.body.unwrap()
    }
}

#[tokio::test]
async fn the_members_are_those_for_which_the_filter_holds_now() {
    let site = Site::new().await;
    for number in 0..7 {
        let tags = json!({"site": if number % 2 == 0 { "even" } else { "odd" }});
        site.device(&format!("Pump-{number}"), tags, json!({"model": "P9", "deviceTypeRefs": ["dtmi:p;9"]})).await;
    }
    site.device("valve-1", json!({}), json!({"model": "V1"})).await;
    let attributes = format!("{}/registryDevices/pump-3/attributes/place", site.namespace);
    site.world.put(&attributes, NEWEST, json!({"properties": {"reportedBy": "User", "hall": 7}})).await;
    for (name, filter, count) in [
        ("all-of-them", "*", 8),
        ("pumps", "WHERE properties.model = 'P9'", 7),
        ("odd-ones", "tags.site = 'odd' AND STARTSWITH(name, 'Pump')", 3),
        ("in-hall", "attributes.place.hall = 7", 1),
        ("typed", "properties.deviceTypeRefs = 'dtmi:p;9'", 7),
        ("known", "properties.externalDeviceId IN ['valve-1', 'Pump-0']", 2),
        ("off", "properties.enablementState = 'Disabled'", 0),
    ] {
        let made = site.group(name, filter).await;
        assert_eq!(made["properties"]["membershipState"], "Ready");
        assert_eq!(site.count(name).await, json!({ "count": count }), "{filter}");
        for size in [1, 2, 1000] {
            let members = site.members(name, size).await;
            assert_eq!(members.len(), count, "{filter} by {size}: {members:?}");
        }
    }
    assert_eq!(site.members("odd-ones", 2).await, ["Pump-1", "Pump-3", "Pump-5"]);
    // Through the older shape a device is switched off and is a member at once.
    let older = format!("{}/devices/Pump-2", site.namespace);
    let off = json!({"properties": {"enabled": false}});
    site.world.send(&site.world.owner, "PATCH", &older, "2026-03-01-preview", Some(off)).await.unwrap();
    assert_eq!(site.members("off", 1000).await, ["Pump-2"]);
    site.world.send(&site.world.owner, "DELETE", &older, "2026-03-01-preview", None).await.unwrap();
    assert_eq!((site.count("off").await, site.count("pumps").await), (json!({"count": 0}), json!({"count": 6})));
}

#[tokio::test]
async fn a_group_is_made_changed_and_deleted_and_keeps_its_filter() {
    let site = Site::new().await;
    let made = site.group("all-of-them", "*").await;
    assert_eq!(
        (&made["type"], &made["location"]),
        (&json!("Microsoft.DeviceRegistry/namespaces/groups"), &json!("westeurope"))
    );
    let refreshed = made["properties"]["lastMembershipRefreshTime"].clone();
    let patch = json!({"tags": {"a": "b"}, "properties": {"displayName": "All", "description": "of them"}});
    let id = site.id("all-of-them");
    let changed = site.world.send(&site.world.owner, "PATCH", &id, NEWEST, Some(patch)).await.unwrap().body.unwrap();
    assert_eq!((&changed["tags"], &changed["properties"]["displayName"]), (&json!({"a": "b"}), &json!("All")));
    assert_eq!(changed["properties"]["uuid"], made["properties"]["uuid"]);
    site.world.put(&id, NEWEST, changed.clone()).await;

    site.world.clock.advance(std::time::Duration::from_secs(60));
    let answer = site.act("all-of-them", "refreshMembers", None).await;
    assert_eq!((answer.status, answer.body), (202, None));
    let location = answer.headers.iter().find(|(name, _)| *name == "Location").unwrap().1.clone();
    let path = location.split_once("/subscriptions").unwrap().1.split('?').next().unwrap().to_owned();
    let polled =
        site.world.send(&site.world.owner, "GET", &format!("/subscriptions{path}"), NEWEST, None).await.unwrap();
    assert_eq!((polled.status, polled.body), (204, None));
    let shown = site.world.get(&id, NEWEST).await;
    assert_ne!(shown["properties"]["lastMembershipRefreshTime"], refreshed);
    assert_eq!(shown["systemData"], site.world.get(&id, NEWEST).await["systemData"]);

    let with = |name: &str, value: Value| {
        let mut body =
            json!({"location": "westeurope", "properties": {"groupType": "RegistryDevice", "queryFilter": "*"}});
        body["properties"][name] = value;
        body
    };
    for (name, value) in [("queryFilter", json!("name = 'x'")), ("groupType", json!("Other"))] {
        let error = site.world.refused(&site.world.owner, "PUT", &id, NEWEST, Some(with(name, value))).await;
        assert!(error.http_status() == 409 || error.http_status() == 400, "{error}");
        assert_eq!(error.target.unwrap(), format!("properties.{name}"));
    }
    let other = site.id("other");
    for (name, value, code) in [
        ("groupType", Value::Null, "InvalidPropertyValue"),
        ("queryFilter", Value::Null, "InvalidPropertyValue"),
        ("queryFilter", json!(""), "InvalidQueryFilter"),
        ("queryFilter", json!("properties.nothing = 1"), "InvalidQueryFilter"),
        ("queryFilter", json!("name = 'a' UNION SELECT"), "InvalidQueryFilter"),
        ("displayName", json!("d".repeat(257)), "InvalidPropertyValue"),
        ("description", json!("d".repeat(1025)), "InvalidPropertyValue"),
    ] {
        let error = site.world.refused(&site.world.owner, "PUT", &other, NEWEST, Some(with(name, value.clone()))).await;
        assert_eq!((error.http_status(), error.code), (400, code), "{name} {value}");
        assert_eq!(error.target.unwrap(), format!("properties.{name}"));
    }
    for _ in 0..2 {
        assert_eq!(site.world.send(&site.world.owner, "DELETE", &id, NEWEST, None).await.unwrap().status, 204);
    }
}

#[tokio::test]
async fn members_are_told_to_those_who_may_and_asked_for_in_the_right_way() {
    let site = Site::new().await;
    site.group("all-of-them", "*").await;
    let (world, id) = (&site.world, site.id("all-of-them"));
    for (body, target) in [
        (json!({"pageSize": 0}), "pageSize"),
        (json!({"pageSize": 1001}), "pageSize"),
        (json!({"pageSize": "7"}), "pageSize"),
        (json!({"skipToken": 7}), "skipToken"),
        (json!({"top": 7}), "top"),
        (json!([]), ""),
    ] {
        let error = world.refused(&world.owner, "POST", &format!("{id}/listMembers"), NEWEST, Some(body.clone())).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)), "{body}");
    }
    let token = json!({"skipToken": "%%%"});
    let error = world.refused(&world.owner, "POST", &format!("{id}/listMembers"), NEWEST, Some(token)).await;
    assert_eq!(error.code, "InvalidSkipToken");
    for action in ["countMembers", "refreshMembers"] {
        let error = world.refused(&world.owner, "POST", &format!("{id}/{action}"), NEWEST, Some(json!({"a": 1}))).await;
        assert_eq!(error.code, "InvalidRequestContent");
    }
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::READER, &site.namespace).await;
    for action in ["listMembers", "countMembers", "refreshMembers"] {
        let error = world.refused(&stranger, "POST", &format!("{id}/{action}"), NEWEST, None).await;
        assert_eq!(error.code, "AuthorizationFailed", "{action}");
    }
    // What Device Update would do over groups is named.
    for path in ["jobs/j1", "jobs/j1/runs/r1", "generateReport", "getLatestReport"] {
        let error = world.refused(&world.owner, "GET", &format!("{}/{path}", site.namespace), NEWEST, None).await;
        assert_eq!(error.http_status(), 501, "{path}: {error}");
    }
}
