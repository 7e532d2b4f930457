//! Uploaded CA certificates of hubs and of provisioning services: what an upload may be, and the proof of possession.

use super::fixture::{HUB, Plant, World, plant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::Error;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::create_root;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::issue::{Issuer, Serial};
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use ferrohub_service::arm::request::ArmResponse;
use ferrohub_service::resources;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// An api-version of provisioning services that `az` 2.91 speaks.
const OLDER: &str = "2021-10-15";
const NEWEST: &str = "2026-11-01";

async fn authority(world: &World, name: &str, kind: KeyKind) -> Issuer {
    let key = Arc::new(SoftwareSigner::generate(kind).unwrap());
    create_root(SubjectName::from_common_name(name).unwrap(), key, &SystemRandom, world.clock.now()).await.unwrap()
}

/// A certificate with this common name of `issuer`, base64 of its PEM as `az` sends it.
async fn proof(world: &World, issuer: &Issuer, name: &str) -> String {
    let fields =
        LeafFields { common_name: name.into(), days: 1, credential_id: Uuid::nil(), crl_url: None, issuer_url: None };
    let key = SoftwareSigner::generate(KeyKind::P256).unwrap();
    let profile = Profile::leaf(fields).unwrap();
    let prepared =
        issuer.prepare(&profile, key.public_key_info_der(), Serial::random(&SystemRandom), world.clock.now()).unwrap();
    STANDARD.encode(Certificate::from_der(prepared.issue().await.unwrap().der()).unwrap().to_pem())
}

/// The entries that are looked at: one of a hub and one of a provisioning service, with an api-version each.
fn entries(plant: &Plant) -> [(String, &'static str); 2] {
    [(format!("{}/certificates/factory", plant.hub), HUB), (format!("{}/certificates/factory", plant.dps), NEWEST)]
}

async fn post(
    world: &World,
    path: &str,
    version: &str,
    body: Option<Value>,
    etag: Option<&str>,
) -> Result<ArmResponse, Error> {
    world.request(&world.owner, "POST", path, version, body, etag).await
}

/// Makes a code; the code and the entry's new etag.
async fn code(world: &World, entry: &str, version: &str, etag: &str) -> (String, String) {
    let path = format!("{entry}/generateVerificationCode");
    let answer = post(world, &path, version, None, Some(etag)).await.unwrap().body.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer["properties"]["verificationCode"]), text(&answer["etag"]))
}

#[tokio::test]
async fn possession_is_proven_with_a_code() {
    let world = World::new().await;
    let plant = plant(&world).await;
    for kind in [KeyKind::P384, KeyKind::P256] {
        let ca = authority(&world, "factory root", kind).await;
        for (entry, version) in entries(&plant) {
            let body = json!({"properties": {"certificate": ca.certificate().to_base64()}});
            let made = world.put(&entry, version, body).await;
            assert_eq!(made["properties"]["isVerified"], false);
            assert_eq!(made["properties"]["subject"], "CN=factory root");
            assert_eq!(made["properties"]["thumbprint"], ca.certificate().sha1());
            let (code, etag) = code(&world, &entry, version, made["etag"].as_str().unwrap()).await;
            assert!(code.len() == 48 && code.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()), "{code}");
            let shown = world.get(&entry, version).await;
            assert!(shown["properties"].get("verificationCode").is_none(), "only who made it reads it");
            assert_eq!(shown["etag"], *etag);
            // What is put back as it was read keeps the code.
            let etag = world.put(&entry, version, shown).await["etag"].as_str().unwrap().to_owned();
            let verify = format!("{entry}/verify");
            let body = json!({"certificate": proof(&world, &ca, &code).await});
            let answer = post(&world, &verify, version, Some(body.clone()), Some(&etag)).await.unwrap();
            let verified = answer.body.unwrap();
            assert_eq!((answer.status, &verified["properties"]["isVerified"]), (200, &json!(true)));
            assert_eq!(world.get(&entry, version).await, verified);
            let error = post(&world, &verify, version, Some(body), Some("*")).await.unwrap_err();
            assert!(error.message.contains("generate-verification-code"), "a code counts once: {error}");
            // Another certificate in its place is to be proven anew.
            let other = authority(&world, "other root", KeyKind::P256).await;
            let body = json!({"properties": {"certificate": other.certificate().to_base64()}});
            assert_eq!(world.put(&entry, version, body).await["properties"]["isVerified"], false);
            world.send(&world.owner, "DELETE", &entry, version, None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_no_proof_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let ca = authority(&world, "factory root", KeyKind::P384).await;
    let namesake = authority(&world, "factory root", KeyKind::P384).await;
    let stranger = authority(&world, "stranger", KeyKind::P384).await;
    for (entry, version) in entries(&plant) {
        let body = json!({"properties": {"certificate": ca.certificate().to_base64()}});
        world.put(&entry, version, body).await;
        let verify = format!("{entry}/verify");
        let (former, _) = code(&world, &entry, version, "*").await;
        let (code, etag) = code(&world, &entry, version, "\"*\"").await;
        let ask = async |certificate: Value, etag: Option<&str>| {
            let body = Some(json!({"certificate": certificate}));
            post(&world, &verify, version, body, etag).await.unwrap_err()
        };
        for (sent, word) in [
            (proof(&world, &ca, &former).await, "not the verification code that was made last"),
            (proof(&world, &ca, &code.to_lowercase()).await, "not the verification code"),
            (proof(&world, &namesake, &code).await, "does not verify with the key of"),
            (proof(&world, &stranger, &code).await, "was issued by 'CN=stranger'"),
            (ca.certificate().to_base64(), "not the verification code"),
            (String::new(), "A certificate is expected"),
            ("A".repeat(34 * 1024), "bytes at most"),
            (STANDARD.encode("nonsense"), "not a DER-encoded"),
        ] {
            let error = ask(sent.into(), Some("*")).await;
            let seen = (error.http_status(), error.target.as_deref(), error.message.contains(word));
            assert_eq!(seen, (400, Some("certificate"), true), "{word}: {error}");
        }
        for sent in [json!(7), Value::Null, json!(["x"])] {
            assert_eq!(ask(sent, Some("*")).await.http_status(), 400);
        }
        assert_eq!(post(&world, &verify, version, None, Some("*")).await.unwrap_err().http_status(), 400);
        let good = Value::from(proof(&world, &ca, &code).await);
        for wrong in [None, Some("\"AAAA\"")] {
            assert_eq!(ask(good.clone(), wrong).await.http_status(), 412, "{wrong:?}");
            let path = format!("{entry}/generateVerificationCode");
            assert_eq!(post(&world, &path, version, None, wrong).await.unwrap_err().http_status(), 412);
        }
        let shown = world.get(&entry, version).await;
        assert_eq!((&shown["properties"]["isVerified"], &shown["etag"]), (&json!(false), &json!(etag)));
        let stranger = world.stranger().await;
        for path in [&verify, &format!("{entry}/generateVerificationCode")] {
            let error = world.refused(&stranger, "POST", path, version, None).await;
            assert_eq!(error.http_status(), 403);
        }
        // A proof that has ended, or one of a CA that has.
        world.clock.advance(Duration::from_secs(3 * 24 * 3600));
        assert!(ask(good.clone(), Some("*")).await.message.contains("has expired on"));
        world.clock.advance(Duration::from_secs(40 * 366 * 24 * 3600));
        assert!(ask(good, Some("*")).await.message.contains("has expired on"));
        world.clock.set_wall("2026-11-20T10:00:00Z".parse().unwrap());
        let body = Some(json!({"certificate": proof(&world, &ca, &code).await}));
        post(&world, &verify, version, body, Some(&etag)).await.unwrap();
    }
}

#[tokio::test]
async fn two_proofs_at_once_count_once() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let ca = authority(&world, "factory root", KeyKind::P384).await;
    let (entry, version) = entries(&plant)[1].clone();
    world.put(&entry, version, json!({"properties": {"certificate": ca.certificate().to_base64()}})).await;
    let (code, _) = code(&world, &entry, version, "*").await;
    let body = json!({"certificate": proof(&world, &ca, &code).await});
    let path = format!("{entry}/verify");
    let ask = || post(&world, &path, version, Some(body.clone()), Some("*"));
    let answers = futures_util::future::join_all([ask(), ask(), ask(), ask()]).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_provisioning_services_certificate_is_read_in_every_form() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let ca = authority(&world, "factory root", KeyKind::P384).await;
    let entry = format!("{}/certificates/factory", plant.dps);
    let pem = ca.certificate().to_pem();
    for (version, body, kept) in [
        (OLDER, json!({"certificate": STANDARD.encode(&pem), "isVerified": true}), STANDARD.encode(&pem)),
        (
            OLDER,
            json!({"certificate": STANDARD.encode(&pem), "isVerified": null, "properties": null}),
            STANDARD.encode(&pem),
        ),
        ("2017-11-15", json!({"certificate": pem}), STANDARD.encode(&pem)),
        (NEWEST, json!({"properties": {"certificate": pem, "isVerified": true}}), STANDARD.encode(&pem)),
        (NEWEST, json!({"properties": {"certificate": ca.certificate().to_base64()}}), ca.certificate().to_base64()),
        (
            NEWEST,
            json!({"certificate": ca.certificate().to_base64(), "properties": {"isVerified": true}}),
            ca.certificate().to_base64(),
        ),
    ] {
        let verified = body["isVerified"] == true || body["properties"]["isVerified"] == true;
        let answer = world.request(&world.owner, "PUT", &entry, version, Some(body), None).await.unwrap();
        let made = answer.body.unwrap();
        assert_eq!((answer.status, &made["properties"]["isVerified"]), (200, &json!(verified)));
        assert_eq!(
            (&made["type"], &made["name"]),
            (&json!("Microsoft.Devices/provisioningServices/certificates"), &json!("factory"))
        );
        let properties = &made["properties"];
        assert_eq!((&properties["certificate"], properties.as_object().unwrap().len()), (&json!(kept), 7));
        assert_eq!(properties["created"], "Fri, 20 Nov 2026 10:00:00 GMT");
        let list = world.get(&format!("{}/certificates", plant.dps), version).await;
        assert_eq!(list, json!({"value": [made]}));
        let delete = async |etag| {
            let query = "?certificate.name=factory&certificate.purpose=clientAuthentication";
            let asked = world.request(&world.owner, "DELETE", &format!("{entry}{query}"), version, None, etag).await;
            asked.map(|answer| answer.status).map_err(|error| error.http_status())
        };
        assert_eq!(delete(None).await, Err(412));
        assert_eq!(delete(made["etag"].as_str()).await, Ok(200));
        assert_eq!(delete(Some("*")).await, Ok(204));
    }
    for (body, target) in [
        (json!({"certificate": pem, "properties": {"certificate": pem}}), "certificate"),
        (json!({"properties": {"isVerified": true}}), "properties.certificate"),
        (json!({"certificate": pem, "properties": 7}), "certificate"),
        (json!({"certificate": pem, "isVerified": "yes"}), "properties.isVerified"),
    ] {
        let error = world.refused(&world.owner, "PUT", &entry, NEWEST, Some(body.clone())).await;
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)), "{body}");
    }
    let parent = format!("{}-none/certificates/factory", plant.dps);
    let error = world.refused(&world.owner, "PUT", &parent, NEWEST, Some(json!({"certificate": pem}))).await;
    assert_eq!(error.code, "ParentResourceNotFound");
}

#[tokio::test]
async fn certificates_go_with_their_provisioning_service() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let ca = authority(&world, "factory root", KeyKind::P384).await;
    let entry = format!("{}/certificates/factory", plant.dps);
    world.put(&entry, NEWEST, json!({"certificate": ca.certificate().to_pem()})).await;
    let id = ferrohub_model::resource_id::ResourceId::parse(&entry).unwrap();
    let uid = resources::get(world.platform(), &id).await.unwrap().unwrap().uid;
    world.send(&world.owner, "DELETE", &plant.dps, NEWEST, None).await.unwrap();
    assert!(resources::by_uid(world.platform(), uid).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_synchronization_brought_needs_no_proof() {
    let world = World::new().await;
    let plant = plant(&world).await;
    let synchronize = format!("{}/credentials/default/synchronize", plant.namespace);
    world.send(&world.owner, "POST", &synchronize, super::fixture::ADR, None).await.unwrap();
    let list = world.get(&format!("{}/certificates", plant.hub), HUB).await;
    let brought = list["value"][0]["id"].as_str().unwrap();
    for action in ["generateVerificationCode", "verify"] {
        let error = post(&world, &format!("{brought}/{action}"), HUB, None, Some("*")).await.unwrap_err();
        assert_eq!(error.http_status(), 409, "{error}");
    }
}
