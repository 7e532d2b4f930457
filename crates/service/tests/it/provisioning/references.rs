//! CA references: enrollments that name uploaded certificates of the provisioning service.

use super::world::World;
use super::x509::{AUTHORITY, DEVICE, Kind};
use crate::owner::DPS_API;
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::arm::request::ArmResponse;
use ferrohub_service::provisioning::EnrollmentKind::{Group, Individual};
use serde_json::json;

fn entry(world: &World, name: &str) -> ResourceId {
    world.dps.child("certificates", name)
}

/// Uploads a certificate made before.
async fn upload(world: &World, name: &str, verified: bool) {
    let body = json!({"properties": {"certificate": world.pem(name), "isVerified": verified}});
    world.owner.ask_if("PUT", &entry(world, name), DPS_API, Some(body), None).await.unwrap();
}

async fn delete(world: &World, name: &str) -> Result<ArmResponse> {
    world.owner.ask_if("DELETE", &entry(world, name), DPS_API, None, Some("*")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_below_a_verified_certificate_are_let_in() {
    let world = World::new().await;
    world.certificate("factory", "factory", None, &AUTHORITY);
    let line = world.certificate("line", "line", Some("factory"), &AUTHORITY);
    let device = world.certificate("d1", "d1", Some("line"), &DEVICE);
    let other = world.certificate("d2", "d2", Some("factory"), &DEVICE);
    upload(&world, "factory", false).await;
    let names = json!({"caReferences": {"primary": "Factory"}});
    for kind in [Group, Individual] {
        let refused =
            world.try_enroll(kind, "d2", json!({"type": "x509", "x509": names}), json!({})).await.unwrap_err();
        assert!(refused.message.contains("no verified certificate 'Factory'"), "{refused}");
    }
    let shown = world.owner.get(&entry(&world, "factory"), DPS_API).await;
    let verified = json!({"properties": {"certificate": shown["properties"]["certificate"], "isVerified": true}});
    world
        .owner
        .ask_if("PUT", &entry(&world, "factory"), DPS_API, Some(verified), shown["etag"].as_str())
        .await
        .unwrap();
    world.enroll_x509(Group, "g", names.clone(), json!({})).await;
    let state = world.register_x509("d1", &[&device, &line], None).await.unwrap();
    assert_eq!((&state["status"], &state["x509"]["enrollmentGroupId"]), (&json!("assigned"), &json!("g")), "{state}");
    assert_eq!(state["x509"]["signingCertificateInfo"]["subjectName"], "CN=factory");
    world.enroll_x509(Individual, "d2", names.clone(), json!({"deviceId": "two"})).await;
    assert_eq!(world.register_x509("d2", &[&other], None).await.unwrap()["deviceId"], "two");
    // A namesake of the CA lets nobody in.
    world.certificate("fake", "factory", None, &AUTHORITY);
    let forged = world.certificate("d3", "d3", Some("fake"), &Kind { ..DEVICE });
    world.refused_x509("d3", &[&forged]).await;
    // It stays as long as it is named.
    let refused = delete(&world, "factory").await.err().unwrap();
    assert_eq!((refused.http_status(), refused.kind), (409, ferrohub_model::error::ErrorKind::Conflict));
    for name in ["the enrollment group 'g'", "the individual enrollment 'd2'"] {
        assert!(refused.message.contains(name), "{refused}");
    }
    // Not verified any more, it lets nobody in at once; what names it can still be disabled.
    let unverified = json!({"properties": {"certificate": shown["properties"]["certificate"], "isVerified": false}});
    world.owner.ask_if("PUT", &entry(&world, "factory"), DPS_API, Some(unverified), Some("*")).await.unwrap();
    world.refused_x509("d1", &[&device, &line]).await;
    world.enroll_x509(Group, "g", names, json!({"provisioningStatus": "disabled"})).await;
    for (kind, id) in [(Group, "g"), (Individual, "d2")] {
        let (actor, dps) = (world.caller().await, world.dps().await);
        world.service().delete_enrollment(&actor, &dps, kind, id, None).await.unwrap();
    }
    delete(&world, "factory").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_below_the_secondary_reference_are_let_in_too() {
    let world = World::new().await;
    world.certificate("old", "old", None, &AUTHORITY);
    world.certificate("new", "new", None, &AUTHORITY);
    let below = |name: &str, ca: &str| world.certificate(name, name, Some(ca), &DEVICE);
    let (first, second, alone) = (below("d1", "old"), below("d2", "new"), below("d3", "new"));
    upload(&world, "old", true).await;
    upload(&world, "new", false).await;
    let names = json!({"caReferences": {"primary": "old", "secondary": "new"}});
    let attestation = json!({"type": "x509", "x509": names});
    let refused = world.try_enroll(Group, "g", attestation, json!({})).await.unwrap_err();
    assert!(refused.message.contains("no verified certificate 'new'"), "{refused}");
    let verify = async |verified: bool| {
        let body = json!({"properties": {"certificate": world.pem("new"), "isVerified": verified}});
        world.owner.ask_if("PUT", &entry(&world, "new"), DPS_API, Some(body), Some("*")).await.unwrap();
    };
    verify(true).await;
    world.enroll_x509(Group, "g", names.clone(), json!({})).await;
    for (id, device, ca) in [("d2", &second, "CN=new"), ("d1", &first, "CN=old")] {
        let state = world.register_x509(id, &[device], None).await.unwrap();
        assert_eq!((&state["status"], &state["x509"]["enrollmentGroupId"]), (&json!("assigned"), &json!("g")));
        assert_eq!(state["x509"]["signingCertificateInfo"]["subjectName"], ca);
    }
    world.enroll_x509(Individual, "d3", names, json!({"deviceId": "three"})).await;
    assert_eq!(world.register_x509("d3", &[&alone], None).await.unwrap()["deviceId"], "three");
    // A certificate that is named in the second place stays too.
    let refused = delete(&world, "new").await.err().unwrap();
    for name in ["the enrollment group 'g'", "the individual enrollment 'd3'"] {
        assert!(refused.http_status() == 409 && refused.message.contains(name), "{refused}");
    }
    verify(false).await;
    world.refused_x509("d2", &[&second]).await;
    world.refused_x509("d3", &[&alone]).await;
    assert_eq!(world.register_x509("d1", &[&first], None).await.unwrap()["status"], "assigned");
}
