//! Policies beyond Azure's: the type of the key of the issuing CA, and policies that are switched off.

use super::world::{World, csr, openssl, verify_chain};
use crate::owner::REGISTRY_API;
use ferrohub_model::enrollment::EnrollmentKind;
use ferrohub_model::resource_id::ResourceId;
use serde_json::{Value, json};

/// The api-version with authorities and policies apart.
const NEWEST: &str = "2026-11-02-preview";

#[tokio::test(flavor = "multi_thread")]
async fn the_issuing_ca_has_the_key_that_its_policy_names() {
    let world = World::new().await;
    let folder = world.folder.path();
    for (index, (key_type, words)) in [
        ("ECC", "P-384"),
        ("ECC-P256", "P-256"),
        ("ECC-P384", "P-384"),
        ("ECC-P521", "P-521"),
        ("rsa-3072", "3072 bit"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("policy{index}");
        let body = json!({"properties": {"certificate": {"certificateAuthorityConfiguration": {"keyType": key_type}}}});
        let made = world.owner.ask("PUT", &world.policy_id(&name), REGISTRY_API, Some(body.clone())).await.unwrap();
        let shown = &made.body.unwrap()["properties"]["certificate"]["certificateAuthorityConfiguration"]["keyType"];
        assert_eq!(*shown, key_type.to_uppercase());
        let authority = world.namespace.child("certificateAuthorities", &name);
        assert_eq!(world.owner.get(&authority, NEWEST).await["properties"]["keyType"], key_type.to_uppercase());

        let key = world.group(&name, json!({"credentialPolicyName": name})).await;
        let device = format!("d{index}");
        let done = world.register(&key, &device, Some(csr(folder, &device, &[]))).await;
        assert_eq!(done["status"], "assigned", "{done}");
        verify_chain(folder, &done);
        let text = String::from_utf8(openssl(folder, &["x509", "-in", "issuing.pem", "-noout", "-text"])).unwrap();
        assert!(text.contains(words), "{key_type}: {text}");

        // Put back as it is, in either case, it is no change; another one cannot be.
        world.owner.ask("PUT", &world.policy_id(&name), REGISTRY_API, Some(body)).await.unwrap();
        let other = if key_type == "ECC" { "ECC-P521" } else { "ECC" };
        let body = json!({"properties": {"certificate": {"certificateAuthorityConfiguration": {"keyType": other}}}});
        let refused = world.owner.ask("PUT", &world.policy_id(&name), REGISTRY_API, Some(body)).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.code), (409, "PropertyChangeNotAllowed"), "{key_type}");
    }
    for wrong in ["RSA", "RSA-2048", "Ed25519", ""] {
        let body = json!({"properties": {"certificate": {"certificateAuthorityConfiguration": {"keyType": wrong}}}});
        let refused = world.owner.ask("PUT", &world.policy_id("wrong"), REGISTRY_API, Some(body)).await.unwrap_err();
        assert_eq!(refused.code, "InvalidPropertyValue", "{wrong}");
        assert!(refused.message.contains("RSA-3072"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_root_of_ones_own_has_the_key_that_the_policy_names() {
    let world = World::new().await;
    let folder = world.folder.path();
    // Both generations ask for them.
    world.owner.delete(&world.policy_id("default"), REGISTRY_API).await;
    for (index, (key_type, words)) in
        [("ECC", "P-384"), ("ECC-P256", "P-256"), ("ECC-P521", "P-521")].into_iter().enumerate()
    {
        let name = format!("own{index}");
        let text = if index == 1 {
            let id = world.namespace.child("certificateAuthorities", &name);
            let properties =
                json!({"certificateAuthorityType": "ICA", "keyType": key_type, "issuer": {"issuerType": "External"}});
            let made = world.owner.put(&id, NEWEST, json!({"location": "eastus", "properties": properties})).await;
            made["properties"]["issuer"]["certificateSigningRequest"].clone()
        } else {
            let authority = json!({"keyType": key_type, "bringYourOwnRoot": {"enabled": true}});
            let body = json!({"properties": {"certificate": {"certificateAuthorityConfiguration": authority}}});
            let made = world.owner.put(&world.policy_id(&name), REGISTRY_API, body).await;
            let shown = &made["properties"]["certificate"]["certificateAuthorityConfiguration"];
            assert_eq!(shown["keyType"], key_type);
            shown["bringYourOwnRoot"]["certificateSigningRequest"].clone()
        };
        std::fs::write(folder.join("request.pem"), text.as_str().unwrap()).unwrap();
        let read = openssl(folder, &["req", "-in", "request.pem", "-noout", "-text", "-verify"]);
        let read = String::from_utf8(read).unwrap();
        assert!(read.contains(words), "{key_type}: {read}");
    }
    let authority = json!({"keyType": "RSA-3072", "bringYourOwnRoot": {"enabled": true}});
    let body = json!({"properties": {"certificate": {"certificateAuthorityConfiguration": authority}}});
    let refused = world.owner.ask("PUT", &world.policy_id("own9"), REGISTRY_API, Some(body)).await.unwrap_err();
    assert!(refused.http_status() == 400 && refused.message.contains("elliptic curve"), "{refused}");
}

async fn switch(world: &World, id: &ResourceId, version: &str, enabled: bool) -> Value {
    let body = json!({"properties": {"enabled": enabled}});
    let answer = world.owner.ask("PATCH", id, version, Some(body)).await.unwrap();
    answer.body.unwrap()["properties"]["enabled"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_policy_issues_nothing_and_says_so() {
    let world = World::new().await;
    let folder = world.folder.path();
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let newer = world.namespace.child("certificateAuthorities", "default").child("certificatePolicies", "default");
    let views = [(world.policy_id("default"), REGISTRY_API), (newer.clone(), NEWEST)];
    for (index, (id, version)) in views.into_iter().enumerate() {
        let device = format!("d{index}");
        assert_eq!(world.owner.get(&id, version).await["properties"]["enabled"], true);
        assert_eq!(switch(&world, &id, version, false).await, false);
        assert_eq!(world.owner.get(&newer, NEWEST).await["properties"]["enabled"], false);
        assert_eq!(world.owner.get(&world.policy_id("default"), REGISTRY_API).await["properties"]["enabled"], false);
        let done = world.register(&key, &device, Some(csr(folder, &device, &[]))).await;
        let state = &done["registrationState"];
        assert_eq!((&done["status"], &state["errorCode"]), (&json!("failed"), &json!(409_000)), "{done}");
        let message = state["errorMessage"].as_str().unwrap();
        assert!(message.contains("'default'") && message.contains("az iot adr ns policy enable"), "{message}");
        assert_eq!(world.certificates("issued").await, index);

        // The enrollment keeps the policy, and a device without a request is let in as before.
        let dps = world.dps().await;
        let group = world.service().enrollment(&world.caller().await, &dps, EnrollmentKind::Group, "g1").await.unwrap();
        assert_eq!(group["credentialPolicyName"], "default");
        let without = world.register(&key, &format!("plain{index}"), None).await;
        assert_eq!(without["status"], "assigned");

        // What does not name it leaves it as it is.
        let days =
            json!({"properties": {"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 5}}}});
        let put = world.owner.ask("PUT", &world.policy_id("default"), REGISTRY_API, Some(days)).await.unwrap();
        assert_eq!(put.body.unwrap()["properties"]["enabled"], false);
        assert_eq!(switch(&world, &id, version, true).await, true);
        let done = world.register(&key, &device, Some(csr(folder, &device, &[]))).await;
        assert_eq!(done["status"], "assigned", "{done}");
        verify_chain(folder, &done);
        openssl(folder, &["x509", "-in", "leaf.pem", "-noout", "-checkend", &(4 * 86_400).to_string()]);
    }
    let body = json!({"properties": {"enabled": "no"}});
    let refused = world.owner.ask("PATCH", &newer, NEWEST, Some(body)).await.unwrap_err();
    assert_eq!(refused.code, "InvalidPropertyValue");
}
