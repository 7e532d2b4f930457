//! Reading the activity log: what an event says, who sees which, in what order, and what a filter wants.

use super::fixture::{ADR, HUB, World, plant};
use ferrohub_model::error::Error;
use ferrohub_service::arm::{ArmRequest, ArmResponse, Client};
use ferrohub_service::authz::{Actor, builtin};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const GROUPS: &str = "2024-11-01";
const LOG: &str = "2015-04-01";

/// A question to the log of a subscription, or of the tenant.
struct Question<'a> {
    actor: &'a Actor,
    scope: &'a str,
    filter: &'a str,
    more: Vec<(String, String)>,
}

impl<'a> Question<'a> {
    fn new(actor: &'a Actor, scope: &'a str, filter: &'a str) -> Self {
        Self { actor, scope, filter, more: Vec::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.into(), value.into()));
        self
    }

    async fn ask(self, world: &World) -> Result<ArmResponse, Error> {
        let mut query = vec![("api-version".to_owned(), LOG.to_owned()), ("$filter".into(), self.filter.into())];
        query.extend(self.more);
        let path = format!("{}/providers/microsoft.insights/eventtypes/management/values", self.scope);
        let request = request(self.actor, "GET", &path, query, None);
        world.service().arm.handle(request).await
    }

    async fn events(self, world: &World) -> Vec<Value> {
        let body = self.ask(world).await.unwrap().body.unwrap();
        assert!(body.get("nextLink").is_none(), "more than a page");
        body["value"].as_array().unwrap().clone()
    }
}

fn request(actor: &Actor, method: &str, path: &str, query: Vec<(String, String)>, body: Option<Value>) -> ArmRequest {
    ArmRequest {
        method: method.into(),
        path: path.into(),
        query,
        body,
        if_match: None,
        if_none_match: None,
        actor: actor.clone(),
        base_url: "https://localhost:8443".into(),
        request_id: Uuid::from_u128(1),
        correlation_id: Uuid::from_u128(2),
        client: Client { address: Some("::ffff:192.0.2.7".parse().unwrap()), request_id: Some("mine".into()) },
    }
}

/// From the world's beginning on.
const ALL: &str = "eventTimestamp ge '2020-01-01T00:00:00Z'";

fn subscription(world: &World) -> String {
    format!("/subscriptions/{}", world.subscription)
}

fn all_of(members: &[&str], event: &Value) -> Vec<String> {
    let text = |member: &&str| event.pointer(member).and_then(Value::as_str).unwrap_or("-").to_owned();
    members.iter().map(text).collect()
}

#[tokio::test]
async fn an_event_says_who_did_what_when_from_where_and_how_it_ended() {
    let world = World::new().await;
    let group = world.group("rg1");
    let body = json!({"location": "westeurope"});
    let query = vec![("api-version".to_owned(), GROUPS.to_owned())];
    let asked = request(&world.owner, "PUT", &group, query, Some(body));
    assert_eq!(world.service().arm.handle(asked).await.unwrap().status, 201);
    let scope = subscription(&world);
    let events =
        Question::new(&world.owner, &scope, &format!("{ALL} and resourceGroupName eq 'RG1'")).events(&world).await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    let members = [
        "/caller",
        "/claims/appid",
        "/claims/http:~1~1schemas.microsoft.com~1identity~1claims~1objectidentifier",
        "/operationName/value",
        "/operationName/localizedValue",
        "/resourceId",
        "/resourceGroupName",
        "/resourceProviderName/value",
        "/resourceType/value",
        "/eventName/value",
        "/status/value",
        "/subStatus/localizedValue",
        "/level",
        "/category/value",
        "/httpRequest/method",
        "/httpRequest/clientIpAddress",
        "/httpRequest/clientRequestId",
        "/httpRequest/uri",
        "/correlationId",
        "/operationId",
        "/properties/statusCode",
        "/authorization/action",
        "/subscriptionId",
    ];
    assert_eq!(
        all_of(&members, event),
        [
            world.owner.name(),
            world.owner.name(),
            world.owner.id(),
            "Microsoft.Resources/subscriptions/resourceGroups/write",
            "Create or update resource groups",
            &group,
            "rg1",
            "Microsoft.Resources",
            "Microsoft.Resources/subscriptions/resourceGroups",
            "EndRequest",
            "Succeeded",
            "Created (HTTP Status Code: 201)",
            "Informational",
            "Administrative",
            "PUT",
            "192.0.2.7",
            "mine",
            &format!("https://localhost:8443{group}?api-version={GROUPS}"),
            "00000000-0000-0000-0000-000000000002",
            "00000000-0000-0000-0000-000000000001",
            "Created",
            "Microsoft.Resources/subscriptions/resourceGroups/write",
            &world.subscription,
        ]
    );
    assert!(event["eventTimestamp"].as_str().unwrap().ends_with('Z'));
    let id = format!("{group}/events/{}/ticks/", event["eventDataId"].as_str().unwrap());
    assert!(event["id"].as_str().unwrap().starts_with(&id), "{}", event["id"]);
}

#[tokio::test]
async fn a_long_operation_begins_and_ends_in_the_log() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let scope = subscription(&world);
    world.clock.advance(Duration::from_millis(5));
    let query = vec![("api-version".to_owned(), GROUPS.to_owned())];
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::OWNER, &plant.group).await;
    world.clock.advance(Duration::from_millis(5));
    let since = format!("eventTimestamp ge '{}'", world.platform().now());
    let gone = world.service().arm.handle(request(&stranger, "DELETE", &plant.group, query, None)).await.unwrap();
    assert_eq!(gone.status, 200);
    let wanted = format!("{since} and correlationId eq '{}' and resourceUri eq '{}'", Uuid::from_u128(2), plant.group);
    let events = Question::new(&world.owner, &scope, &wanted).events(&world).await;
    let of_group: Vec<&Value> = events.iter().filter(|event| event["resourceId"] == plant.group.as_str()).collect();
    let mut told: Vec<[&Value; 4]> = of_group
        .iter()
        .map(|event| [&event["eventName"]["value"], &event["status"]["value"], &event["caller"], &event["operationId"]])
        .collect();
    told.sort_by_key(|row| row[0].to_string());
    let (who, operation) = (json!(stranger.name()), json!(Uuid::from_u128(1)));
    assert_eq!(
        told,
        [
            [&json!("BeginRequest"), &json!("Started"), &who, &operation],
            [&json!("EndRequest"), &json!("Succeeded"), &who, &operation],
        ]
    );
    assert!(of_group.iter().all(|event| event["httpRequest"]["clientIpAddress"] == "192.0.2.7"), "{of_group:?}");
}

#[tokio::test]
async fn a_filter_takes_what_it_says() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let stranger = world.stranger().await;
    world.refused(&stranger, "PUT", &plant.hub, HUB, Some(json!({"location": "westeurope"}))).await;
    world.clock.advance(Duration::from_secs(60));
    let late = world.platform().now();
    world.send(&world.owner, "POST", &format!("{}/listkeys", plant.hub), HUB, None).await.unwrap();
    let scope = subscription(&world);
    let count = async |more: &str| {
        let filter = format!("{ALL}{more}");
        Question::new(&world.owner, &scope, &filter).events(&world).await.len()
    };
    let every = count("").await;
    assert_eq!(count(" and status eq 'failed'").await, 1);
    assert_eq!(count(" and levels eq 'Critical,Error'").await, 1);
    assert_eq!(count(&format!(" and caller eq '{}'", stranger.id())).await, 1);
    assert_eq!(count(&format!(" and caller eq '{}'", stranger.name())).await, 1);
    assert_eq!(count(" and status eq 'Failed' and caller eq 'somebody else'").await, 0);
    assert_eq!(count(&format!(" and eventTimestamp ge '{late}'")).await, 1);
    assert_eq!(count(&format!(" and eventTimestamp le '{late}'")).await, every);
    assert_eq!(count(" and eventTimestamp le '2021-01-01'").await, 0);
    assert_eq!(count(" and resourceGroupName eq 'nothing'").await, 0);
    assert_eq!(count(" and resourceProvider eq 'microsoft.devices' and status eq 'Succeeded'").await, 3);
    assert_eq!(count(" and eventChannels eq 'Admin, Operation'").await, every);
    assert_eq!(count(" and eventChannels eq 'Admin'").await, 0);
    // With the role that was assigned on it.
    assert_eq!(count(&format!(" and resourceId eq '{}'", plant.hub.to_uppercase())).await, 4);
    // What a name begins with is another name.
    assert_eq!(count(&format!(" and resourceUri eq '{}'", &plant.hub[..plant.hub.len() - 1])).await, 0);
}

#[tokio::test]
async fn pages_go_back_in_time_and_miss_nothing() {
    let world = World::new().await;
    for number in 0..405 {
        world.clock.advance(Duration::from_millis(3));
        world.put(&world.group(&format!("g{number}")), GROUPS, json!({"location": "westeurope"})).await;
    }
    let scope = subscription(&world);
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut question =
            Question::new(&world.owner, &scope, ALL).with("$select", "eventTimestamp , resourceGroupName");
        if let Some(token) = &token {
            question = question.with("$skipToken", token);
        }
        let body = question.ask(&world).await.unwrap().body.unwrap();
        let page = body["value"].as_array().unwrap();
        assert!(page.len() <= 200);
        assert!(page.iter().all(|event| event.as_object().unwrap().len() == 2), "only what was selected");
        seen.extend(page.iter().map(|event| event["resourceGroupName"].as_str().unwrap().to_owned()));
        // What comes while somebody reads is not on the pages that follow.
        world.clock.advance(Duration::from_millis(3));
        world.put(&world.group("g0"), GROUPS, json!({"location": "westeurope"})).await;
        let Some(link) = body["nextLink"].as_str() else { break };
        assert!(link.contains("%24filter=eventTimestamp"), "{link}");
        token = Some(link.split("$skipToken=").nth(1).unwrap().to_owned());
    }
    let wanted: Vec<String> = (0..405).rev().map(|number| format!("g{number}")).collect();
    let groups: Vec<String> = seen.into_iter().filter(|group| !group.is_empty()).collect();
    assert_eq!(groups, wanted);
}

#[tokio::test]
async fn everybody_sees_what_they_may_read() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let other = world.group("other");
    world.put(&other, GROUPS, json!({"location": "westeurope"})).await;
    let (reader, stranger, scope) = (world.stranger().await, world.stranger().await, subscription(&world));
    world.assign(reader.id(), builtin::READER, &plant.namespace).await;
    let groups = async |actor: &Actor| {
        let events = Question::new(actor, &scope, ALL).events(&world).await;
        events.iter().map(|event| event["resourceId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let seen = groups(&reader).await;
    assert!(!seen.is_empty() && seen.iter().all(|id| id.starts_with(&plant.namespace)), "{seen:?}");
    assert!(groups(&world.owner).await.contains(&other));
    for (who, asked) in [(&stranger, ALL.to_owned()), (&reader, format!("{ALL} and resourceGroupName eq 'other'"))] {
        let refused = Question::new(who, &scope, &asked).ask(&world).await.unwrap_err();
        assert_eq!(refused.code, "AuthorizationFailed");
        assert!(refused.message.contains("Microsoft.Insights/eventtypes/values/read"), "{}", refused.message);
    }
    // The tenant's own log has nothing of the subscription, and is for those who may read it.
    assert_eq!(Question::new(&stranger, "", ALL).ask(&world).await.unwrap_err().code, "AuthorizationFailed");
    world.assign(reader.id(), builtin::READER, &scope).await;
    assert!(groups(&reader).await.contains(&other));
    assert_eq!(world.get(&plant.namespace, ADR).await["name"], "plant7");
}

#[tokio::test]
async fn wrong_questions_are_refused_with_their_reason() {
    let world = World::new().await;
    let scope = subscription(&world);
    let why = async |question: Question<'_>| question.ask(&world).await.expect_err("a refusal").message;
    let ask = |filter| Question::new(&world.owner, &scope, filter);
    assert!(why(ask("")).await.contains("missing"));
    assert!(why(ask("caller eq 'me'")).await.contains("from when on"));
    assert!(why(ask(ALL).with("$select", "colour")).await.contains("'colour'"));
    assert!(why(ask(ALL).with("$orderby", "status")).await.contains("'$orderby'"));
    assert!(why(ask(ALL).with("$skipToken", "~~")).await.contains("$skipToken"));
    let elsewhere = format!("/subscriptions/{}", Uuid::from_u128(9));
    assert!(why(Question::new(&world.owner, &elsewhere, ALL)).await.contains("could not be found"));
    let path = "/providers/Microsoft.Insights/eventcategories";
    let categories = world.get(path, LOG).await;
    assert_eq!(categories["value"][2], json!({"value": "ServiceHealth", "localizedValue": "Service Health"}));
    let error = world.service().arm.handle(request(&world.owner, "GET", path, Vec::new(), None)).await.unwrap_err();
    assert_eq!(error.code, "MissingApiVersionParameter");
}
