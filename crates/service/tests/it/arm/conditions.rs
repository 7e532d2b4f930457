//! If-Match and If-None-Match on every write, and two writers who hold the same etag.

use super::fixture::{ADR, BASE, DPS, HUB, World, plant};
use super::views::{everything, world_of_everything};
use ferrohub_model::error::Error;
use ferrohub_service::arm::{ArmRequest, ArmResponse};
use serde_json::{Value, json};
use uuid::Uuid;

/// A request of the owner with both conditions as they are given.
async fn ask(
    world: &World,
    (method, path, version): (&str, &str, &str),
    body: Option<Value>,
    (if_match, if_none_match): (Option<&str>, Option<&str>),
) -> Result<ArmResponse, Error> {
    let request = ArmRequest {
        method: method.into(),
        path: path.into(),
        query: vec![("api-version".into(), version.into())],
        body,
        if_match: if_match.map(str::to_owned),
        if_none_match: if_none_match.map(str::to_owned),
        actor: world.owner.clone(),
        base_url: BASE.into(),
        request_id: Uuid::nil(),
        correlation_id: Uuid::nil(),
        client: Default::default(),
    };
    world.service().arm.handle(request).await
}

#[tokio::test]
async fn every_type_keeps_to_the_conditions_of_put_patch_and_delete() {
    let world = world_of_everything().await;
    for (decl, path) in everything(&world).await.into_iter().filter(|(decl, _)| !decl.read_only) {
        let version = decl.versions()[0];
        let body = world.get(&path, version).await;
        for (method, conditions) in [
            ("PUT", (Some("\"other\""), None)),
            ("PUT", (None, Some("*"))),
            ("PATCH", (Some("other"), None)),
            ("PATCH", (None, Some("*"))),
            ("DELETE", (Some("\"other\""), None)),
            ("DELETE", (None, Some("*"))),
        ] {
            let body = (method != "DELETE").then(|| body.clone());
            let error = ask(&world, (method, &path, version), body, conditions).await.unwrap_err();
            assert_eq!((error.http_status(), error.code), (412, "PreconditionFailed"), "{method} {path}: {error}");
        }
        let answer = ask(&world, ("GET", &path, version), None, (None, None)).await.unwrap();
        let etag = answer.headers.iter().find(|(name, _)| *name == "ETag").map(|(_, value)| value.clone());
        let etag = etag.unwrap_or_else(|| panic!("{path} has no ETag"));
        let kept = ask(&world, ("PUT", &path, version), Some(body), (Some(&etag), None)).await;
        kept.unwrap_or_else(|error| panic!("PUT {path}: {error}"));
    }
}

#[tokio::test]
async fn what_is_not_there_answers_by_the_matrix() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let hub = format!("{}/providers/Microsoft.Devices/IotHubs/none", plant.group);
    let body = json!({"location": "westeurope", "sku": {"name": "S1", "capacity": 1}});
    for (method, condition, want) in [
        ("PUT", (Some("*"), None), 412),
        ("PUT", (Some("\"x\""), None), 412),
        ("PATCH", (Some("*"), None), 404),
        ("DELETE", (Some("*"), None), 204),
        ("DELETE", (Some("\"x\""), None), 204),
        ("PUT", (None, Some("*")), 201),
        ("PUT", (None, Some("*")), 412),
    ] {
        let answer = ask(&world, (method, &hub, HUB), Some(body.clone()), condition).await;
        let status = answer.map_or_else(|error| error.http_status(), |answer| answer.status);
        assert_eq!(status, want, "{method} {condition:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_hold_the_same_etag_one_is_told() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let device = format!("{}/devices/dev1", plant.namespace);
    world.put(&device, ADR, json!({"location": "westeurope", "properties": {}})).await;
    for round in 0..10 {
        for (path, version) in [(&plant.hub, HUB), (&plant.dps, DPS), (&device, ADR)] {
            let etag = ask(&world, ("GET", path, version), None, (None, None)).await.unwrap();
            let etag = etag.headers.iter().find(|(name, _)| *name == "ETag").unwrap().1.clone();
            let write = async |who: &str| {
                let tags = json!({"tags": {"who": format!("{who}{round}")}});
                ask(&world, ("PATCH", path, version), Some(tags), (Some(&etag), None)).await
            };
            let both = async { tokio::join!(write("one"), write("other")) };
            let (one, other) = Box::pin(world.while_time_passes(both)).await;
            let told = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
            assert_eq!(told.len(), 1, "{path}");
            assert_eq!((told[0].http_status(), told[0].code), (412, "PreconditionFailed"));
        }
    }
    // A delete that was asked of another state than the one that is there takes nothing away.
    for (path, version) in [(&plant.dps, DPS), (&device, ADR)] {
        let etag = ask(&world, ("GET", path, version), None, (None, None)).await.unwrap();
        let etag = etag.headers.iter().find(|(name, _)| *name == "ETag").unwrap().1.clone();
        let tags = json!({"tags": {"who": "late"}});
        let write = ask(&world, ("PATCH", path, version), Some(tags), (Some(&etag), None));
        let delete = ask(&world, ("DELETE", path, version), None, (Some(&etag), None));
        let both = async { tokio::join!(write, delete) };
        let (written, gone) = Box::pin(world.while_time_passes(both)).await;
        let statuses = [written, gone].map(|one| one.map_or_else(|e| e.http_status(), |answer| answer.status));
        let there = ask(&world, ("GET", path, version), None, (None, None)).await.is_ok();
        assert!(
            matches!((statuses, there), ([200, 412], true) | ([404 | 409 | 412, 200 | 202 | 204], false)),
            "{path}: {statuses:?} {there}"
        );
    }
}
