use super::fixture::{World, request};
use crate::owner::{HUB_API, REGISTRY_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::resource::Reference;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::{create_issuing, create_root};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::issue::{Issuer, Serial};
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use ferrohub_service::hub::identity::{self, Credentials, DeviceSpec};
use ferrohub_service::hub::{CloseReason, SessionEvent};
use ferrohub_service::platform::Change;
use ferrohub_service::{certificate, registry, resources};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

struct Hierarchy {
    root: Vec<u8>,
    issuing: Issuer,
}

impl Hierarchy {
    async fn new(world: &World, name: &str) -> Self {
        let key = || Arc::new(SoftwareSigner::generate(KeyKind::P384).unwrap());
        let subject = SubjectName::from_common_name(&format!("{name} root")).unwrap();
        let root = create_root(subject, key(), &SystemRandom, world.now()).await.unwrap();
        let profile =
            Profile::issuing(SubjectName::from_common_name(&format!("{name} issuing")).unwrap(), None).unwrap();
        let issuing = create_issuing(&root, &profile, key(), &SystemRandom, world.now()).await.unwrap();
        Self { root: root.certificate().der().to_vec(), issuing }
    }

    /// Leaf, issuing CA, root.
    async fn chain(&self, world: &World, device: &str, credential_id: Uuid) -> Vec<Vec<u8>> {
        let fields =
            LeafFields { common_name: device.into(), days: 30, credential_id, crl_url: None, issuer_url: None };
        let key = SoftwareSigner::generate(KeyKind::P256).unwrap();
        let profile = Profile::leaf(fields).unwrap();
        let prepared = self
            .issuing
            .prepare(&profile, key.public_key_info_der(), Serial::random(&SystemRandom), world.now())
            .unwrap();
        vec![
            prepared.issue().await.unwrap().der().to_vec(),
            self.issuing.certificate().der().to_vec(),
            self.root.clone(),
        ]
    }
}

fn entry_id(world: &World, name: &str) -> ResourceId {
    world.made.id.child("certificates", name)
}

/// Trusts a CA on the hub.
async fn trust(world: &World, name: &str, der: &[u8], verified: bool) {
    let body = json!({"properties": {"certificate": STANDARD.encode(der), "isVerified": verified}});
    let id = entry_id(world, name);
    let if_match = resources::get(world.platform(), &id).await.unwrap().map(|_| "*");
    world.owner.ask_if("PUT", &id, HUB_API, Some(body), if_match).await.unwrap();
}

/// Trusts a CA on the hub as `synchronize` does, which says whose it is.
async fn bring(world: &World, name: &str, der: &[u8]) {
    trust(world, name, der, true).await;
    let stored = resources::get(world.platform(), &entry_id(world, name)).await.unwrap().unwrap();
    let mut resource = (*stored.resource).clone();
    resource.links.insert(registry::AUTHORITY.into(), Reference { uid: Uuid::from_u128(0xca), id: String::new() });
    let mut change = Change::new();
    resources::rewrite(&stored, resource, &mut change).unwrap();
    change.trust_changed(world.hub.uid);
    world.platform().commit(change).await.unwrap();
}

async fn distrust(world: &World, name: &str) {
    world.owner.delete(&entry_id(world, name), HUB_API).await;
}

async fn ca_device(world: &World, id: &str, credential_id: Option<Uuid>) {
    let mut spec = DeviceSpec::new(id, Credentials::CertificateAuthority);
    spec.credential_id = credential_id;
    let mut device = identity::draft(world.platform(), &world.hub, spec).await.unwrap();
    let mut change = Change::new();
    let twin =
        ferrohub_model::twin::Twin::initial(Some(&json!({"site": 1})), None, "2026-11-20T10:00:00.0000000Z").unwrap();
    identity::add_create(world.platform(), &mut device, &twin, &mut change).unwrap();
    world.platform().commit(change).await.unwrap();
}

async fn refusal(world: &World, id: &str, chain: Vec<Vec<u8>>) -> (u32, String) {
    let error = world.service().connect(request(id, None, chain)).await.err().expect("a refusal");
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    (error.numeric_code(), error.message)
}

#[tokio::test]
async fn a_chain_to_a_synchronized_ca_opens_the_hub_until_it_is_taken_away() {
    let world = World::new().await;
    let hierarchy = Hierarchy::new(&world, "ns1").await;
    let id = Uuid::from_u128(7);
    ca_device(&world, "d", Some(id)).await;
    let chain = hierarchy.chain(&world, "d", id).await;
    let (code, message) = refusal(&world, "d", chain.clone()).await;
    assert_eq!(code, 401_003, "{message}");

    trust(&world, "policy1", hierarchy.issuing.certificate().der(), false).await;
    assert_eq!(refusal(&world, "d", chain.clone()).await.0, 401_003, "an unverified entry trusts nobody");
    trust(&world, "policy1", hierarchy.issuing.certificate().der(), true).await;
    let (code, message) = refusal(&world, "d", chain.clone()).await;
    assert!(
        code == 401_003 && message.contains("synchronize the policy"),
        "a credential id of a CA of others: {message}"
    );
    bring(&world, "policy1", hierarchy.issuing.certificate().der()).await;
    for length in [3, 2, 1] {
        assert!(
            world.service().connect(request("d", None, chain[..length].to_vec())).await.is_ok(),
            "{length} certificates"
        );
    }
    let mut session = world.service().connect(request("d", Some(String::new()), chain.clone())).await.unwrap();
    let other = Hierarchy::new(&world, "ns2").await;
    trust(&world, "policy2", other.issuing.certificate().der(), true).await;
    assert!(
        timeout(&SystemClock, Duration::from_millis(50), session.next_event()).await.is_err(),
        "other trust does not matter"
    );

    distrust(&world, "policy1").await;
    let event = timeout(&SystemClock, Duration::from_secs(5), session.next_event()).await.unwrap();
    assert_eq!(event, SessionEvent::Closed { reason: CloseReason::TrustLost });
    assert_eq!(refusal(&world, "d", chain).await.0, 401_003);
}

#[tokio::test]
async fn certificates_of_others_are_refused() {
    let world = World::new().await;
    let (mine, foreign) = (Hierarchy::new(&world, "ns1").await, Hierarchy::new(&world, "ns2").await);
    bring(&world, "policy1", mine.issuing.certificate().der()).await;
    let id = Uuid::from_u128(7);
    ca_device(&world, "d", Some(id)).await;
    ca_device(&world, "plain", None).await;
    let (_, message) = refusal(&world, "d", foreign.chain(&world, "d", id).await).await;
    assert!(message.contains("unknown issuer"), "{message}");
    let (_, message) = refusal(&world, "d", mine.chain(&world, "e", id).await).await;
    assert!(message.contains("is for 'e'"), "{message}");
    let (_, message) = refusal(&world, "d", mine.chain(&world, "D", id).await).await;
    assert!(message.contains("is for 'D'"), "{message}");
    let (_, message) = refusal(&world, "d", mine.chain(&world, "d", Uuid::from_u128(8)).await).await;
    assert!(message.contains("revoked or replaced"), "{message}");
    let (code, _) = refusal(&world, "d", vec![vec![1, 2, 3]]).await;
    assert_eq!(code, 401_002);
    let (code, _) = refusal(&world, "d", vec![mine.root.clone(); 9]).await;
    assert_eq!(code, 401_002);
    let root_in_front = vec![mine.issuing.certificate().der().to_vec(), mine.root.clone()];
    assert_eq!(refusal(&world, "d", root_in_front).await.0, 401_003);
    assert!(world.service().connect(request("plain", None, mine.chain(&world, "plain", id).await)).await.is_ok());
    let chain = mine.chain(&world, "d", id).await;
    world.clock.advance(Duration::from_secs(31 * 24 * 3600));
    let (_, message) = refusal(&world, "d", chain).await;
    assert!(message.contains("expired"), "{message}");
}

#[tokio::test]
async fn a_remembered_chain_expires_too() {
    let world = World::new().await;
    let mine = Hierarchy::new(&world, "ns1").await;
    trust(&world, "policy1", mine.issuing.certificate().der(), true).await;
    ca_device(&world, "d", None).await;
    let chain = mine.chain(&world, "d", Uuid::nil()).await;
    assert!(world.service().connect(request("d", None, chain.clone())).await.is_ok());
    world.clock.advance(Duration::from_secs(31 * 24 * 3600));
    assert!(refusal(&world, "d", chain).await.1.contains("expired"));
}

#[tokio::test]
async fn a_session_ends_with_its_certificate() {
    let world = World::new().await;
    let mine = Hierarchy::new(&world, "ns1").await;
    trust(&world, "policy1", mine.issuing.certificate().der(), true).await;
    ca_device(&world, "issued", None).await;
    let issued = mine.chain(&world, "issued", Uuid::nil()).await;
    let own = mine.chain(&world, "whatever", Uuid::nil()).await;
    let print = ferrohub_pki::chain::thumbprints(&own[0]).1;
    let body = json!({"authentication": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": print}}});
    world.service().put_device(&world.caller, &world.hub, "pinned", &body, None).await.unwrap();
    let mut sessions = Vec::new();
    for (id, chain) in [("issued", &issued), ("pinned", &own)] {
        sessions.push(world.service().connect(request(id, None, chain.clone())).await.unwrap());
    }
    let end = Certificate::from_der(&issued[0]).unwrap().not_after();
    let left = u64::try_from(end.as_second() - world.now_unix()).unwrap();
    world.clock.advance(Duration::from_secs(left - 1));
    for session in &mut sessions {
        let waited = timeout(&SystemClock, Duration::from_millis(50), session.next_event()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    world.clock.advance(Duration::from_secs(1));
    for session in &mut sessions {
        let event = timeout(&SystemClock, Duration::from_secs(5), session.next_event()).await.unwrap();
        assert_eq!(event, SessionEvent::Closed { reason: CloseReason::CertificateExpired });
    }
    assert_eq!(CloseReason::CertificateExpired.to_string(), "the device's certificate expired");
}

#[tokio::test]
async fn a_chain_with_two_trusted_cas_survives_the_loss_of_one() {
    let world = World::new().await;
    let mine = Hierarchy::new(&world, "ns1").await;
    trust(&world, "policy1", mine.issuing.certificate().der(), true).await;
    trust(&world, "root", &mine.root, true).await;
    ca_device(&world, "d", None).await;
    let chain = mine.chain(&world, "d", Uuid::nil()).await;
    let mut session = world.service().connect(request("d", None, chain)).await.unwrap();
    distrust(&world, "policy1").await;
    let waited = timeout(&SystemClock, Duration::from_millis(100), session.next_event()).await;
    assert!(waited.is_err(), "{waited:?}");
    distrust(&world, "root").await;
    let event = timeout(&SystemClock, Duration::from_secs(5), session.next_event()).await.unwrap();
    assert_eq!(event, SessionEvent::Closed { reason: CloseReason::TrustLost });
}

#[tokio::test]
async fn rotating_the_credential_id_closes_the_connection() {
    let world = World::new().await;
    let mine = Hierarchy::new(&world, "ns1").await;
    bring(&world, "policy1", mine.issuing.certificate().der()).await;
    let id = Uuid::from_u128(7);
    ca_device(&world, "d", Some(id)).await;
    let chain = mine.chain(&world, "d", id).await;
    let mut session = world.service().connect(request("d", None, chain.clone())).await.unwrap();
    let was = identity::load(world.platform().store.as_ref(), world.hub.uid, "d").await.unwrap().unwrap();
    let mut device = (*was.device).clone();
    device.credential_id = Some(Uuid::from_u128(8));
    let mut change = Change::new();
    identity::add_update(world.platform(), &was, &mut device, &mut change).unwrap();
    world.platform().commit(change).await.unwrap();
    let event = timeout(&SystemClock, Duration::from_secs(5), session.next_event()).await.unwrap();
    assert_eq!(event, SessionEvent::Closed { reason: CloseReason::CredentialsChanged });
    assert!(refusal(&world, "d", chain).await.1.contains("revoked"));
}

#[tokio::test]
async fn the_authentication_type_decides_what_counts() {
    let world = World::new().await;
    let mine = Hierarchy::new(&world, "ns1").await;
    trust(&world, "policy1", mine.issuing.certificate().der(), true).await;
    let key = world.sas_device("keyed").await;
    let (_, message) = refusal(&world, "keyed", mine.chain(&world, "keyed", Uuid::nil()).await).await;
    assert!(message.contains("'sas'") && message.contains("client certificate"), "{message}");
    ca_device(&world, "d", None).await;
    for token in [world.device_token("d", &key), world.policy_token(super::fixture::HOST, "device")] {
        let error = world.service().connect(request("d", Some(token), Vec::new())).await.err().unwrap();
        assert!(error.message.contains("'certificateAuthority'"), "{error}");
    }
    world
        .service()
        .put_device(&world.caller, &world.hub, "none", &json!({"authentication": {"type": "none"}}), None)
        .await
        .unwrap();
    assert!(refusal(&world, "none", mine.chain(&world, "none", Uuid::nil()).await).await.1.contains("'none'"));
}

#[tokio::test]
async fn a_self_signed_device_is_known_by_either_thumbprint() {
    let world = World::new().await;
    let any = Hierarchy::new(&world, "whoever").await;
    let chain = any.chain(&world, "anything", Uuid::nil()).await;
    let (sha1, sha256) = ferrohub_pki::chain::thumbprints(&chain[0]);
    let register = async |id: &str, primary: &str, secondary: Option<&str>| {
        let body = json!({"authentication": {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary}}});
        world.service().put_device(&world.caller, &world.hub, id, &body, None).await.unwrap();
    };
    register("one", &sha1, None).await;
    register("two", &"0".repeat(64), Some(&sha256.to_lowercase())).await;
    register("three", &"0".repeat(40), None).await;
    for id in ["one", "two"] {
        assert!(world.service().connect(request(id, None, chain.clone())).await.is_ok(), "{id}");
    }
    let (code, message) = refusal(&world, "three", chain.clone()).await;
    assert_eq!(code, 401_002);
    assert!(message.starts_with("Thumbprint does not match configuration: Thumbprint: SHA1Hash="), "{message}");
    world.clock.advance(Duration::from_secs(31 * 24 * 3600));
    assert!(refusal(&world, "one", chain.clone()).await.1.contains("has expired on"));
    world.clock.set_wall("2020-01-01T00:00:00Z".parse().unwrap());
    assert!(refusal(&world, "one", chain).await.1.contains("check the clocks"));
}

#[tokio::test]
async fn an_upload_is_exactly_one_ca_certificate_that_can_work() {
    let world = World::new().await;
    let hierarchy = Hierarchy::new(&world, "ns1").await;
    let pem = hierarchy.issuing.certificate().to_pem();
    let leaf = Certificate::from_der(&hierarchy.chain(&world, "d", Uuid::nil()).await[0]).unwrap().to_pem();
    let mut forged = hierarchy.root.clone();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Certificate::from_der(&forged).unwrap().to_pem();
    let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
    let put = async |text: &str| {
        let body = json!({"properties": {"certificate": text, "isVerified": true}});
        world.owner.ask("PUT", &entry_id(&world, "up"), HUB_API, Some(body)).await
    };
    for (text, word) in [
        (format!("{pem}{key}"), "private key"),
        (format!("{key}{pem}"), "private key"),
        (format!("{pem}{pem}"), "exactly one"),
        (pem.replace("CERTIFICATE", "X509 CRL"), "'X509 CRL'"),
        (leaf, "is no certificate authority"),
        (forged, "wrong signature"),
    ] {
        for text in [text.clone(), STANDARD.encode(&text)] {
            let error = put(&text).await.err().unwrap_or_else(|| panic!("{word}: accepted"));
            assert!(error.message.contains(word), "{error}");
            assert_eq!(error.http_status(), 400, "{error}");
        }
    }
    for text in [format!("Notes: hunter2\n{pem}"), STANDARD.encode(format!("{pem}\nNotes: hunter2\n"))] {
        let shown = put(&text).await.unwrap().body.unwrap()["properties"]["certificate"].as_str().unwrap().to_owned();
        let kept =
            if shown.contains("BEGIN") { shown } else { String::from_utf8(STANDARD.decode(shown).unwrap()).unwrap() };
        assert_eq!(kept, pem);
        world.owner.delete(&entry_id(&world, "up"), HUB_API).await;
    }
    world.clock.advance(Duration::from_secs(40 * 366 * 24 * 3600));
    let error = put(&pem).await.err().unwrap();
    assert!(error.message.contains("has expired on"), "{error}");
}

#[tokio::test]
async fn an_entry_is_changed_and_deleted_only_under_its_etag() {
    let world = World::new().await;
    let hierarchy = Hierarchy::new(&world, "ns1").await;
    let other = Hierarchy::new(&world, "ns2").await;
    let id = entry_id(&world, "up");
    let body = |of: &Hierarchy| Some(json!({"properties": {"certificate": of.issuing.certificate().to_pem()}}));
    let ask = async |method: &str, body: Option<serde_json::Value>, if_match: Option<&str>| {
        let answer = world.owner.ask_if(method, &id, HUB_API, body, if_match).await;
        answer.map(|answer| answer.status).map_err(|error| (error.http_status(), error.code))
    };
    let refused = Err((412, "PreconditionFailed"));
    assert_eq!(ask("PUT", body(&hierarchy), Some("*")).await, refused, "there is none yet");
    assert_eq!(ask("PUT", body(&hierarchy), None).await, Ok(201));
    let shown = world.owner.get(&id, HUB_API).await;
    let etag = shown["etag"].as_str().unwrap();
    for if_match in [None, Some("\"AAAA\"")] {
        assert_eq!(ask("PUT", body(&other), if_match).await, refused);
        assert_eq!(ask("DELETE", None, if_match).await, refused);
    }
    assert_eq!(world.owner.get(&id, HUB_API).await, shown, "nothing was changed");
    assert_eq!(ask("PUT", body(&other), Some(&format!("\"{etag}\""))).await, Ok(200));
    assert_eq!(ask("DELETE", None, Some(etag)).await, refused, "an older one");
    assert_eq!(ask("DELETE", None, Some("\"*\"")).await, Ok(200));
    assert_eq!(ask("DELETE", None, None).await, Ok(204), "nothing is there to be lost");
}

#[tokio::test]
async fn an_authority_has_a_revocation_list_up_to_its_end_and_past_it() {
    let world = World::linked().await;
    let credential = world.namespace_id().child("credentials", "default");
    let policy = credential.child("policies", "policy1");
    world.owner.put(&credential, REGISTRY_API, json!({"location": "westeurope"})).await;
    world.owner.put(&policy, REGISTRY_API, json!({"location": "westeurope"})).await;
    let stored = resources::get(world.platform(), &policy).await.unwrap().unwrap();
    let record = certificate::authority_of(world.platform(), stored.uid).await.unwrap().unwrap();
    let left = u64::try_from(record.not_after.as_second() - world.now_unix()).unwrap();
    for step in [left - 3600, 3599, 1, 24 * 3600] {
        world.clock.advance(Duration::from_secs(step));
        let list = certificate::crl(world.platform(), record.id).await.unwrap();
        assert!(list == certificate::crl(world.platform(), record.id).await.unwrap(), "{step}: signed anew");
    }
}
