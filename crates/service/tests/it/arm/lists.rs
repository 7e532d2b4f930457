//! What a list is asked for it obeys, or refuses.

use super::fixture::{BASE, HUB, Plant, World, plant};
use super::registry;
use ferrohub_service::arm::types::Types;
use ferrohub_service::graph::GraphRequest;
use serde_json::{Value, json};

const ARM: &str = "2024-11-01";

fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        list["value"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

/// Groups with tags: `a` (x=1, team=red), `b` (x=2), `c` (none).
async fn tagged() -> World {
    let world = World::new().await;
    for (name, tags) in [("a", json!({"x": "1", "team": "red"})), ("b", json!({"X": "2"})), ("c", json!({}))] {
        world.put(&world.group(name), ARM, json!({"location": "westeurope", "tags": tags})).await;
    }
    world
}

#[tokio::test]
async fn groups_are_filtered_by_tag_and_name() {
    let world = tagged().await;
    let groups = format!("/subscriptions/{}/resourceGroups", world.subscription);
    for (filter, want) in [
        ("", &["a", "b", "c"][..]),
        ("tagname eq 'x'", &["a", "b"]),
        ("tagname eq 'x' and tagvalue eq '1'", &["a"]),
        ("tagName eq 'team' and tagValue eq '1'", &[]),
        ("tagName eq 'x' and (tagValue eq '1' or tagValue eq '2')", &["a", "b"]),
        ("tagName eq 'team' or (tagName eq 'x' and tagValue eq '2')", &["a", "b"]),
        ("startswith(tagname, 'te')", &["a"]),
        ("name eq 'A' or name eq 'c'", &["a", "c"]),
        ("not (name eq 'a') and location eq 'westeurope'", &["b", "c"]),
        ("name ne 'a' and substringof('C', name)", &["c"]),
    ] {
        let found = world.get(&format!("{groups}?$filter={filter}"), ARM).await;
        assert_eq!(names(&found), want, "{filter}");
    }
    for filter in ["colour eq 'red'", "tagName eq 'x' and name eq 'a'", "tagValue eq '1'", "name eq 'a", "name gt 'a'"]
    {
        let error = world.refused(&world.owner, "GET", &format!("{groups}?$filter={filter}"), ARM, None).await;
        assert_eq!((error.code, error.http_status()), ("InvalidFilterInQueryString", 400), "{filter}: {error}");
    }
}

#[tokio::test]
async fn resources_are_filtered_expanded_and_paged() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let all = format!("/subscriptions/{}/resources", world.subscription);
    let mut hub = world.get(&plant.hub, HUB).await;
    hub["tags"] = json!({"line": "B"});
    world.put(&plant.hub, HUB, hub).await;
    for (filter, want) in [
        ("resourceType eq 'microsoft.devices/iothubs'", &["hub1"][..]),
        (
            "resourceType eq 'Microsoft.Devices/IotHubs' or resourceType eq 'Microsoft.Devices/provisioningServices'",
            &["dps1", "hub1"],
        ),
        ("resourceGroup eq 'RG1' and substringof('dps', name)", &["dps1"]),
        ("identity eq 'SystemAssigned'", &["plant7"]),
        ("tagname eq 'line'", &["hub1"]),
        ("tagname eq 'line' and tagvalue eq 'x'", &[]),
        ("resourceGroup ne 'rg1'", &[]),
    ] {
        let found = world.get(&format!("{all}?$filter={filter}"), ARM).await;
        assert_eq!(names(&found), want, "{filter}");
    }
    let by_tag = world.get(&format!("{all}?$filter=tagname eq 'line'"), ARM).await;
    assert!(by_tag["value"][0].get("tags").is_none(), "{by_tag}");

    let blank = world.get(&format!("{all}?$filter=&$expand="), ARM).await;
    assert_eq!(names(&blank).len(), 7);
    assert!(blank["value"][0].get("createdTime").is_none() && blank["value"][0].get("provisioningState").is_none());
    let expanded = world.get(&format!("{all}?$expand=createdTime,changedTime,provisioningState"), ARM).await;
    assert_eq!(expanded["value"][0]["provisioningState"], "Succeeded");
    assert!(expanded["value"][0]["createdTime"].is_string() && expanded["value"][0]["changedTime"].is_string());

    // Page by page it is the same list.
    let (mut seen, mut path) = (Vec::new(), format!("{all}?$top=3"));
    loop {
        let page = world.get(&path, ARM).await;
        assert!(page["value"].as_array().unwrap().len() <= 3);
        seen.extend(names(&page));
        let Some(next) = page["nextLink"].as_str() else { break };
        path = decoded(next);
    }
    seen.sort_unstable();
    assert_eq!(seen, names(&blank));
}

/// The path and query of a next link, as the fixture takes them.
fn decoded(next: &str) -> String {
    let path = next.strip_prefix(BASE).unwrap();
    let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
    let (path, query) = path.split_once('?').unwrap();
    let query: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("api-version=")).collect();
    format!("{path}?{}", query.join("&"))
}

/// The lists of every type, of what the world has, with the newest api-version.
fn lists_of_types(world: &World, plant: &Plant) -> Vec<(String, String)> {
    let names = [
        ("/{scope}", plant.group.as_str()),
        ("{subscription}", &world.subscription),
        ("{resourceGroup}", "rg1"),
        ("{namespace}", "plant7"),
        ("{credential}", "default"),
        ("{certificateAuthoritie}", "default"),
        ("{schemaRegistrie}", "reg-1"),
        ("{schema}", "telemetry"),
        ("{IotHub}", "hub1"),
        ("{provisioningService}", "dps1"),
    ];
    let mut lists = Vec::new();
    for decl in Types::built_in().all() {
        for route in decl.routes().into_iter().filter(|route| route.method == "GET" && !route.path.ends_with('}')) {
            let path = names.iter().fold(route.path.clone(), |path, (word, name)| path.replace(word, name));
            if decl.subs.iter().all(|(_, tail)| !route.path.ends_with(tail)) {
                lists.push((path, decl.versions()[0].to_owned()));
            }
        }
    }
    lists
}

#[tokio::test]
async fn every_list_obeys_top_and_refuses_what_it_does_not_know() {
    let world = tagged().await;
    let plant = plant(&world).await;
    registry::fill(&world, &plant).await;
    for name in ["hub2", "hub3"] {
        let id = format!("{}/providers/Microsoft.Devices/IotHubs/{name}", plant.group);
        world.put(&id, HUB, json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}})).await;
    }
    let subscription = format!("/subscriptions/{}", world.subscription);
    let mut lists = vec![
        ("/tenants".to_owned(), ARM.to_owned()),
        ("/subscriptions".to_owned(), ARM.to_owned()),
        (format!("{subscription}/locations"), ARM.to_owned()),
        (format!("{subscription}/resources"), ARM.to_owned()),
        (format!("{}/resources", plant.group), ARM.to_owned()),
        (format!("{subscription}/resourceGroups"), ARM.to_owned()),
        (format!("{subscription}/providers"), ARM.to_owned()),
        ("/providers/Microsoft.Devices/operations".to_owned(), HUB.to_owned()),
        (format!("{}/providers/Microsoft.Authorization/permissions", plant.group), "2022-04-01".to_owned()),
    ];
    lists.extend(lists_of_types(&world, &plant));
    for (path, version) in lists {
        let whole = world.get(&path, &version).await;
        let all = whole["value"].as_array().unwrap_or_else(|| panic!("{path} is no list")).len();
        let (mut seen, mut pages, mut next) = (0, 0, format!("{path}?$top=2"));
        loop {
            let page = world.get(&next, &version).await;
            let found = page["value"].as_array().unwrap().len();
            assert!(found <= 2, "{path}: {found}");
            (seen, pages) = (seen + found, pages + 1);
            let Some(link) = page["nextLink"].as_str() else { break };
            next = decoded(link);
        }
        assert_eq!(seen, all, "{path}");
        assert!(pages >= all.div_ceil(2).max(1), "{path}: {pages}");
        for option in [
            "$orderby=name",
            "$search=x",
            "$select=name",
            "$count=true",
            "$skip=1",
            "$apply=x",
            "$top=0",
            "$top=x",
            "$expand=colour",
        ] {
            let error = world.refused(&world.owner, "GET", &format!("{path}?{option}"), &version, None).await;
            assert_eq!((error.code, error.http_status()), ("InvalidQueryParameter", 400), "{path} {option}: {error}");
        }
        let filter = world.send(&world.owner, "GET", &format!("{path}?$filter=colour eq 'red'"), &version, None).await;
        assert_eq!(filter.err().unwrap().http_status(), 400, "{path}");
    }
    let single = world.refused(&world.owner, "GET", &format!("{}?$select=name", plant.hub), HUB, None).await;
    assert_eq!(single.code, "InvalidQueryParameter");
}

#[tokio::test]
async fn roles_are_filtered_by_what_they_say() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let roles = format!("{}/providers/Microsoft.Authorization/roleDefinitions", plant.group);
    let custom = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/10000000-0000-0000-0000-000000000008",
        world.subscription
    );
    let at_hub = json!({"properties": {"roleName": "Hub viewer", "assignableScopes": [plant.hub], "permissions": [{"actions": ["*/read"]}]}});
    world.put(&custom, "2022-04-01", at_hub).await;
    for (filter, count) in [
        ("type eq 'CustomRole'", 1),
        ("type eq 'CustomRole' and atScopeAndBelow()", 1),
        ("type eq 'CustomRole' and atScope()", 0),
        ("roleName eq 'owner' or roleName eq 'hub viewer'", 2),
        ("startswith(roleName, 'hub v')", 1),
    ] {
        let found = world.get(&format!("{roles}?$filter={filter}"), "2022-04-01").await;
        assert_eq!(found["value"].as_array().unwrap().len(), count, "{filter}");
    }
    let assignments = format!("{}/providers/Microsoft.Authorization/roleAssignments", plant.group);
    let principal = world.owner.id();
    for (filter, count) in [
        (String::new(), 2),
        ("atScope()".into(), 1),
        (format!("principalId eq '{principal}'"), 1),
        (format!("principalId ne '{principal}'"), 1),
        (format!("atScope() and assignedTo('{principal}')"), 1),
        (format!("not atScope() and assignedTo('{principal}')"), 0),
        ("assignedTo('00000000-0000-0000-0000-000000000000')".into(), 0),
    ] {
        let found = world.get(&format!("{assignments}?$filter={filter}"), "2022-04-01").await;
        assert_eq!(found["value"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn lists_of_graph_do_the_same() {
    let world = World::new().await;
    let ask = async |method: &str, path: &str, query: &[(&str, &str)], body: Option<Value>| {
        let request = GraphRequest {
            method: method.into(),
            path: path.split('/').map(str::to_owned).collect(),
            query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body,
            actor: world.owner.clone(),
            base_url: BASE.into(),
            address: None,
        };
        world.service().graph.handle(request).await.map(|(_, body)| body.unwrap())
    };
    let mut apps = Vec::new();
    for name in ["alpha", "beta", "alphabet"] {
        apps.push(ask("POST", "applications", &[], Some(json!({"displayName": name}))).await.unwrap());
    }
    let app_id = apps[1]["appId"].as_str().unwrap();
    let by_app = format!("servicePrincipalNames/any(c:c eq '{app_id}')");
    for (what, filter, count) in [
        ("servicePrincipals", "startswith(displayName,'alpha')", 2),
        ("servicePrincipals", by_app.as_str(), 1),
        ("servicePrincipals", "displayname eq 'beta' and servicePrincipalType eq 'Application'", 1),
        ("servicePrincipals", "displayName eq 'beta' or displayName eq 'alpha'", 2),
        ("applications", "identifierUris/any(s:s eq 'x')", 0),
        ("applications", "displayName in ('beta', 'alpha')", 2),
        ("users", "userPrincipalName eq 'ann@example.com'", 0),
    ] {
        let found = ask("GET", what, &[("$filter", filter)], None).await.unwrap();
        assert_eq!(found["value"].as_array().unwrap().len(), count, "{what} {filter}");
    }
    let page = ask("GET", "applications", &[("$top", "2"), ("$count", "true"), ("$select", "displayName")], None)
        .await
        .unwrap();
    assert_eq!((page["value"].as_array().unwrap().len(), &page["@odata.count"]), (2, &json!(4)));
    assert!(page["value"][0].get("displayName").is_some() && page["value"][0].get("appId").is_none());
    let link = page["@odata.nextLink"].as_str().unwrap();
    let token = link.rsplit_once('=').unwrap().1;
    let rest = ask("GET", "applications", &[("$top", "2"), ("$skiptoken", token)], None).await.unwrap();
    assert_eq!(rest["value"].as_array().unwrap().len(), 2);
    assert!(rest.get("@odata.nextLink").is_none());
    for query in [
        ("$orderby", "displayName"),
        ("$search", "x"),
        ("$expand", "owners"),
        ("$skip", "1"),
        ("$top", "0"),
        ("$top", "1000"),
        ("$count", "maybe"),
        ("$skiptoken", "?"),
        ("$filter", "colour eq 'red'"),
    ] {
        for what in ["applications", "servicePrincipals", "users", "groups"] {
            let error = ask("GET", what, &[query], None).await.unwrap_err();
            assert_eq!((error.code, error.http_status()), ("Request_UnsupportedQuery", 400), "{what} {query:?}");
        }
    }
    for (method, path) in [("GET", "devices"), ("GET", "applications/x/extensionProperties"), ("GET", "domains")] {
        assert_eq!(ask(method, path, &[], None).await.unwrap_err().http_status(), 501, "{path}");
    }
}

#[tokio::test]
async fn many_resources_are_listed_page_by_page_while_others_write() {
    let world = World::new().await;
    let group = world.group("big");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let namespace = format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/big");
    world.put(&namespace, "2026-03-01-preview", json!({"location": "westeurope"})).await;
    let device = |number: usize| format!("{namespace}/devices/device-{number:05}");
    let make = async |number: usize| {
        world.put(&device(number), "2026-03-01-preview", json!({"location": "westeurope", "properties": {}})).await;
    };
    // Even numbers first; odd ones come while the list is read.
    let some = futures_util::stream::iter((0..4000).step_by(2));
    futures_util::StreamExt::for_each_concurrent(some, 32, make).await;
    let (mut path, mut seen, mut pages) = (format!("{group}/resources?$top=200"), Vec::new(), 0);
    loop {
        let list = world.get(&path, "2024-11-01").await;
        let page = list["value"].as_array().unwrap();
        assert!(page.len() <= 200);
        seen.extend(page.iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        pages += 1;
        make(pages * 300 + 1).await;
        if pages == 2 {
            let gone = world.send(&world.owner, "DELETE", &device(0), "2026-03-01-preview", None).await.unwrap();
            assert!(matches!(gone.status, 200 | 202 | 204));
        }
        let Some(next) = list["nextLink"].as_str() else { break };
        let token = next.split("$skipToken=").nth(1).unwrap();
        path = format!("{group}/resources?$top=200&$skipToken={token}");
    }
    let kept: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(kept.len(), seen.len(), "nothing twice");
    assert!((0..4000).step_by(2).all(|number| kept.contains(&format!("device-{number:05}"))), "nothing missing");
    assert!(pages >= 8 && kept.contains(&"big".to_owned()), "{pages}");
}
