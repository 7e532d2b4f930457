//! The root of a namespace is followed by another one: what is below it moves, and what devices have stays good meanwhile.

use super::fixture::{ADR, HUB, Plant, World, plant};
use super::rotation::{issue, live, records, synchronize, warnings, work_until};
use crate::provisioning::world::openssl;
use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState};
use ferrohub_model::clock::Clock;
use ferrohub_service::authz::builtin;
use ferrohub_service::certificate;
use ferrohub_service::resources::{self, tag};
use ferrohub_service::tables::AUTHORITIES;
use ferrohub_store::Page;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const NEWER: &str = "2026-11-02-preview";

async fn roots(world: &World) -> Vec<Arc<AuthorityRecord>> {
    let rows = world.platform().store.scan(&AUTHORITIES, "", Page::first(100)).await.unwrap();
    let mut roots: Vec<_> = rows.iter().map(|row| row.parse::<AuthorityRecord>().unwrap()).collect();
    roots.retain(|record| !record.is_issuing());
    roots.sort_by_key(|record| record.not_before);
    roots.sort_by_key(|record| record.follows.is_some());
    roots
}

fn rotate(plant: &Plant) -> String {
    format!("{}/credentials/default/rotate", plant.namespace)
}

/// Begins what takes time; its status, which says what became of it, and what the answer at its `Location` says.
async fn start(world: &World, path: &str, version: &str) -> (Value, Option<Value>) {
    let answer = world.send(&world.owner, "POST", path, version, None).await.unwrap();
    assert_eq!(answer.status, 202);
    let (_, location) = answer.headers.iter().find(|(name, _)| *name == "Location").unwrap();
    let location = location.split('?').next().unwrap();
    let location = &location[location.find("/subscriptions/").unwrap()..];
    let status = world.get(&location.replace("operationResults", "operationStatuses"), version).await;
    let result = world.send(&world.owner, "GET", location, version, None).await;
    (status, result.ok().and_then(|answer| answer.body))
}

async fn entries(world: &World, plant: &Plant) -> usize {
    world.get(&format!("{}/certificates", plant.hub), HUB).await["value"].as_array().unwrap().len()
}

/// openssl takes a leaf of `issuing` under `root`, with the lists of both.
async fn judge(world: &World, folder: &Path, leaf: &[u8], issuing: Uuid, root: Uuid) {
    std::fs::write(folder.join("leaf.der"), leaf).unwrap();
    openssl(folder, &["x509", "-inform", "DER", "-in", "leaf.der", "-out", "leaf.pem"]);
    let mut lists = String::new();
    for (name, id) in [("issuing", issuing), ("root", root)] {
        let certificate = certificate::ca_certificate(world.platform(), id).await.unwrap();
        std::fs::write(folder.join(format!("{name}.der")), certificate).unwrap();
        let (der, pem) = (format!("{name}.der"), format!("{name}.pem"));
        openssl(folder, &["x509", "-inform", "DER", "-in", &der, "-out", &pem]);
        std::fs::write(folder.join("list.der"), certificate::crl(world.platform(), id).await.unwrap()).unwrap();
        lists += &String::from_utf8(openssl(folder, &["crl", "-inform", "DER", "-in", "list.der"])).unwrap();
    }
    std::fs::write(folder.join("lists.pem"), lists).unwrap();
    let at = world.clock.unix_seconds().to_string();
    let words = "verify -x509_strict -crl_check_all -purpose sslclient -CRLfile lists.pem -CAfile root.pem -untrusted issuing.pem -attime";
    let mut words: Vec<&str> = words.split(' ').collect();
    words.extend([at.as_str(), "leaf.pem"]);
    openssl(folder, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_below_a_root_moves_to_the_next_one_and_both_stand_while_they_are_needed() {
    let world = World::new().await;
    let (plant, folder) = (plant(&world).await, tempfile::tempdir().unwrap());
    let second = format!("{}/credentials/default/policies/second", plant.namespace);
    world.put(&second, ADR, json!({"properties": {}})).await;
    synchronize(&world, &plant).await;
    let (first, below) = (roots(&world).await, records(&world).await);
    assert_eq!((first.len(), below.len(), entries(&world, &plant).await), (1, 2, 2));
    let old_leaf = issue(&world, &plant, &folder).await;

    let (done, next) = start(&world, &rotate(&plant), ADR).await;
    assert_eq!(done["status"], "Succeeded", "{done}");
    assert_eq!(done["operations"].as_array().unwrap().len(), 2, "each issuing CA has its own outcome: {done}");
    let now = roots(&world).await;
    let states: Vec<AuthorityState> = now.iter().map(|root| root.state).collect();
    assert_eq!(states, [AuthorityState::Superseded, AuthorityState::Active]);
    let (old, new) = (&now[0], &now[1]);
    assert_eq!((new.follows, new.owner), (Some(old.id), old.owner));
    assert_ne!(new.subject, old.subject, "a root is found by its name");
    let next = next.unwrap();
    let pem = ferrohub_pki::certificate::Certificate::from_pem(next["certificate"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&next["subject"], pem.der()),
        (&json!(new.subject), &new.certificate_der[..]),
        "it is there to be trusted"
    );
    let moved = records(&world).await;
    assert_eq!(moved.len(), 4);
    for was in &below {
        let next = moved.iter().find(|record| record.follows == Some(was.id)).unwrap();
        assert_eq!((next.state, next.issuer, &next.subject), (AuthorityState::Active, Some(new.id), &was.subject));
    }
    assert_eq!(entries(&world, &plant).await, 4, "hubs trust both while leaves of both live");
    let shown = world.get(&format!("{}/certificateAuthorities/default-root", plant.namespace), NEWER).await;
    assert_eq!(shown["properties"]["subject"], json!(new.subject));

    // What was issued before is as good as what is issued now.
    let new_leaf = issue(&world, &plant, &folder).await;
    let signer = |leaf: &[u8], among: &[Arc<AuthorityRecord>]| {
        let leaf = ferrohub_pki::certificate::Certificate::from_der(leaf).unwrap();
        let signed = |record: &&Arc<AuthorityRecord>| {
            let issuer = ferrohub_pki::certificate::Certificate::from_der(&record.certificate_der).unwrap();
            leaf.verify_signed_by(&issuer).is_ok()
        };
        among.iter().find(signed).unwrap().clone()
    };
    let (before, after) = (signer(&old_leaf, &moved), signer(&new_leaf, &moved));
    assert_eq!((before.issuer, after.issuer), (Some(old.id), Some(new.id)));
    judge(&world, folder.path(), &old_leaf, before.id, old.id).await;
    judge(&world, folder.path(), &new_leaf, after.id, new.id).await;

    // When nothing below the former lives any more, it ends, with a last list that names nothing wrong.
    live(&world, 31).await;
    work_until(&world, "the end of the former root", async || roots(&world).await[0].state == AuthorityState::Retired)
        .await;
    assert!(roots(&world).await[0].key.is_none() && certificate::crl(world.platform(), old.id).await.is_ok());
    assert_eq!(entries(&world, &plant).await, 2);
    assert_eq!(start(&world, &rotate(&plant), ADR).await.0["status"], "Succeeded", "and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_refuses_keeps_its_issuing_ca_until_it_takes_the_next() {
    let world = World::new().await;
    let plant = plant(&world).await;
    synchronize(&world, &plant).await;
    for stored in resources::every(world.platform(), tag::ROLE_ASSIGNMENT).await.unwrap() {
        if stored.id.to_string().starts_with(&plant.hub) {
            world.send(&world.owner, "DELETE", &stored.id.to_string(), "2022-04-01", None).await.unwrap();
        }
    }
    let (failed, _) = start(&world, &rotate(&plant), ADR).await;
    assert_eq!(failed["status"], "Failed", "{failed}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("certificates/write"), "{failed}");
    let below = records(&world).await;
    let state = |is_next: bool| below.iter().find(|record| record.follows.is_some() == is_next).unwrap().state;
    let states = (state(false), state(true));
    assert_eq!(states, (AuthorityState::Active, AuthorityState::Pending), "nobody signs what the hub does not know");
    let again = world.refused(&world.owner, "POST", &rotate(&plant), ADR, None).await;
    assert_eq!((again.code, again.http_status()), ("RootRotationUnderWay", 409));
    assert!(again.message.contains("default"), "{}", again.message);
    let principal = world.get(&plant.namespace, ADR).await["identity"]["principalId"].as_str().unwrap().to_owned();
    world.assign(&principal, builtin::CONTRIBUTOR, &plant.hub).await;
    work_until(&world, "the move", async || {
        let (root, below) = (roots(&world).await[1].id, records(&world).await);
        below.iter().any(|record| record.state == AuthorityState::Active && record.issuer == Some(root))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_what_is_still_below_the_former_root_is_on_its_list() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let folder = tempfile::tempdir().unwrap();
    issue(&world, &plant, &folder).await;
    start(&world, &rotate(&plant), ADR).await;
    let policy = format!("{}/credentials/default/policies/default/revokeIssuer", plant.namespace);
    assert_eq!(start(&world, &policy, ADR).await.0["status"], "Succeeded");
    let all = roots(&world).await;
    for root in &all {
        let list = certificate::crl(world.platform(), root.id).await.unwrap();
        std::fs::write(folder.path().join("list.crl"), list).unwrap();
        let text = openssl(folder.path(), &["crl", "-inform", "DER", "-in", "list.crl", "-text", "-noout"]);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("Serial Number:").count(), 1, "each root revokes what it signed: {text}");
    }
    let active: Vec<_> =
        records(&world).await.into_iter().filter(|record| record.state == AuthorityState::Active).collect();
    assert_eq!((active.len(), active[0].issuer), (1, Some(all[1].id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_shape_rotates_a_root_and_no_issuing_ca() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let authorities = format!("{}/certificateAuthorities", plant.namespace);
    let refused = world.refused(&world.owner, "POST", &format!("{authorities}/default/rotate"), NEWER, None).await;
    assert_eq!((refused.code, refused.http_status()), ("InvalidCertificateAuthorityType", 400));
    // Two at once: one root follows, whoever was first.
    let path = format!("{authorities}/default-root/rotate");
    let both = futures_util::future::join(
        world.send(&world.owner, "POST", &path, NEWER, None),
        world.send(&world.owner, "POST", &path, NEWER, None),
    );
    let (one, other) = Box::pin(world.while_time_passes(both)).await;
    for outcome in [one, other] {
        match outcome {
            Ok(answer) => assert_eq!(answer.status, 202),
            Err(error) => assert_eq!(error.code, "RootRotationUnderWay"),
        }
    }
    let all = roots(&world).await;
    assert_eq!(all.iter().filter(|root| root.state == AuthorityState::Active).count(), 1, "{all:?}");
    let stranger = world.stranger().await;
    assert_eq!(world.refused(&stranger, "POST", &path, NEWER, None).await.http_status(), 403);
    // A credential that is deleted takes all its roots along.
    let policy = format!("{}/credentials/default/policies/default", plant.namespace);
    for path in [policy, format!("{}/credentials/default", plant.namespace)] {
        world.send(&world.owner, "DELETE", &path, ADR, None).await.unwrap();
    }
    assert!(roots(&world).await.iter().all(|root| root.state == AuthorityState::Retired && root.key.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_would_cut_an_issuing_ca_short_is_followed_by_itself() {
    let world = World::new().await;
    let plant = plant(&world).await;
    synchronize(&world, &plant).await;
    let days = |from: &AuthorityRecord, at: jiff::Timestamp| {
        u32::try_from(from.not_after.duration_since(at).as_hours() / 24).unwrap()
    };
    // The first issuing CA is followed under the same root, which lasts for longer.
    live(&world, days(&records(&world).await[0], world.clock.now()) - 59).await;
    work_until(&world, "a successor", async || {
        records(&world).await.iter().any(|record| record.state == AuthorityState::Active && record.follows.is_some())
    })
    .await;
    assert_eq!(roots(&world).await.len(), 1);
    // The one after it would end with the root.
    live(&world, days(&roots(&world).await[0], world.clock.now()) - 364).await;
    work_until(&world, "a word", async || warnings(&world).await == ["CertificateAuthorityExpiring"]).await;
    live(&world, 364 - 58).await;
    work_until(&world, "another root", async || {
        let (roots, below) = (roots(&world).await, records(&world).await);
        let under =
            |id: Uuid| below.iter().any(|record| record.state == AuthorityState::Active && record.issuer == Some(id));
        roots.len() == 2 && under(roots[1].id)
    })
    .await;
    assert!(
        warnings(&world).await.contains(&"RootCertificateAuthorityFollowed".to_owned()),
        "{:?}",
        warnings(&world).await
    );
    assert_eq!(roots(&world).await.len(), 2, "it is followed once");
}
