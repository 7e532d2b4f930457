//! Links that several want, or that cannot be made any more.

use super::fixture::HUB;
use super::namespace_links::{NEWEST, REGISTRY_CONTRIBUTOR, Site, dps_of, hub_of};
use ferrohub_service::authz::builtin;
use serde_json::json;

#[tokio::test]
async fn what_cannot_be_linked_any_more_hinders_no_other_write() {
    let site = Site::new().await;
    // Failed for want of roles; then somebody else got the hub, and with the roles it is not taken from him.
    site.put(site.body()).await;
    site.grant().await;
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/other", site.group);
    let made =
        site.world.put(&other, NEWEST, json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}})).await;
    site.world.assign(made["identity"]["principalId"].as_str().unwrap(), builtin::CONTRIBUTOR, &site.hub).await;
    let hub = site.principal(&site.hub, HUB).await;
    site.world.assign(&hub, REGISTRY_CONTRIBUTOR, &other).await;
    let mut theirs = site.body();
    theirs["properties"].as_object_mut().unwrap().shift_remove("provisioning");
    assert_eq!(hub_of(&site.world.put(&other, NEWEST, theirs).await)["linkingState"], "Succeeded");
    let shown = site.put(site.body()).await;
    assert_eq!(
        (&hub_of(&shown)["linkingState"], &hub_of(&shown)["linkingError"]["code"]),
        (&json!("Failed"), &json!("LinkInitiateFailed"))
    );
    assert_eq!(dps_of(&shown)["linkingState"], "Succeeded");
    assert_eq!(site.world.get(&site.hub, HUB).await["properties"]["deviceRegistry"]["namespaceResourceId"], other);
    // A link whose identity is gone, and one that the caller could not make, go through a change of tags.
    let mut dps = site.world.get(&site.dps, "2026-11-01").await;
    dps["identity"]["type"] = "UserAssigned".into();
    let kept = site.world.send(&site.world.owner, "PUT", &site.dps, "2026-11-01", Some(dps)).await;
    assert!(kept.is_ok(), "{:?}", kept.err());
    let stranger = site.world.stranger().await;
    site.world.assign(stranger.id(), builtin::CONTRIBUTOR, &site.namespace).await;
    for actor in [&site.world.owner, &stranger] {
        let tags = Some(json!({"tags": {"by": actor.id()}}));
        let answer = site.world.send(actor, "PATCH", &site.namespace, NEWEST, tags).await.unwrap().body.unwrap();
        assert_eq!(answer["tags"]["by"], actor.id());
        assert_eq!(answer["properties"], site.world.get(&site.namespace, NEWEST).await["properties"]);
    }
}

#[tokio::test]
async fn of_two_namespaces_that_want_a_hub_one_gets_it() {
    let site = Site::new().await;
    site.grant().await;
    let other = format!("{}/providers/Microsoft.DeviceRegistry/namespaces/other", site.group);
    let made =
        site.world.put(&other, NEWEST, json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}})).await;
    site.world.assign(made["identity"]["principalId"].as_str().unwrap(), builtin::CONTRIBUTOR, &site.hub).await;
    let hub = site.principal(&site.hub, HUB).await;
    site.world.assign(&hub, REGISTRY_CONTRIBUTOR, &other).await;
    let mut body = site.body();
    body["properties"].as_object_mut().unwrap().shift_remove("provisioning");
    let (world, owner) = (&site.world, &site.world.owner);
    for round in 0..6 {
        let write = |id: &str| {
            let (id, body) = (id.to_owned(), body.clone());
            async move { world.send(owner, "PUT", &id, NEWEST, Some(body)).await }
        };
        let (one, two) =
            Box::pin(world.while_time_passes(async { tokio::join!(write(&site.namespace), write(&other)) })).await;
        let won = [one.is_ok(), two.is_ok()].into_iter().filter(|won| *won).count();
        assert_eq!(won, 1, "round {round}");
        let winner = if one.is_ok() { &site.namespace } else { &other };
        let loser = one.err().or(two.err()).unwrap();
        assert_eq!(loser.code, "AlreadyLinkedToAnotherNamespace", "{loser}");
        let shown = world.get(&site.hub, HUB).await;
        assert_eq!(shown["properties"]["deviceRegistry"]["namespaceResourceId"], *winner);
        let gone = json!({"properties": {"messaging": {"endpoints": {"hub-one": null}}}});
        world.send(owner, "PATCH", winner, NEWEST, Some(gone)).await.unwrap();
    }
}

#[tokio::test]
async fn a_namespace_that_goes_gets_no_hub() {
    let site = Site::new().await;
    site.grant().await;
    let (world, owner) = (&site.world, &site.world.owner);
    let link = world.send(owner, "PUT", &site.namespace, NEWEST, Some(site.body()));
    let delete = world.send(owner, "DELETE", &site.namespace, NEWEST, None);
    let (linked, deleted) = Box::pin(world.while_time_passes(async { tokio::join!(link, delete) })).await;
    let hub = world.get(&site.hub, HUB).await["properties"].get("deviceRegistry").cloned();
    match deleted {
        // Either the link was there first, and holds the namespace.
        Err(error) => {
            assert!(["NamespaceInUse", "ResourceGroupDeletionBlocked"].contains(&error.code), "{error}");
            assert!(linked.is_ok() && hub.is_some());
        }
        // Or the namespace went first; written after that it is another one, which links the hub, or it was going and is refused.
        Ok(answer) => {
            assert_eq!(answer.status, 204);
            let there = world.send(owner, "GET", &site.namespace, NEWEST, None).await;
            assert_eq!(linked.is_ok(), there.is_ok(), "{:?}", linked.err().map(|error| error.code));
            assert!(hub.is_none_or(|hub| hub["linkingProperties"]["state"] != "Orphaned"));
        }
    }
}

#[tokio::test]
async fn a_lock_on_what_is_linked_holds_its_link() {
    let site = Site::new().await;
    site.grant().await;
    let lock = format!("{}/providers/Microsoft.Authorization/locks/held", site.hub);
    let body = json!({"properties": {"level": "ReadOnly"}});
    site.world.put(&lock, "2016-09-01", body.clone()).await;
    let refused = site.world.refused(&site.world.owner, "PUT", &site.namespace, NEWEST, Some(site.body())).await;
    assert_eq!((refused.http_status(), refused.code), (409, "ScopeLocked"), "{refused}");
    site.world.send(&site.world.owner, "DELETE", &lock, "2016-09-01", None).await.unwrap();
    let linked = site.put(site.body()).await;
    assert_eq!(hub_of(&linked)["linkingState"], "Succeeded");
    site.world.put(&lock, "2016-09-01", body).await;
    assert_eq!(
        site.put(linked.clone()).await["properties"],
        linked["properties"],
        "what changes nothing there is no write of it"
    );
    let gone = json!({"properties": {"messaging": {"endpoints": {"hub-one": null}}}});
    let refused = site.world.refused(&site.world.owner, "PATCH", &site.namespace, NEWEST, Some(gone)).await;
    assert_eq!(refused.code, "ScopeLocked", "{refused}");
}
