//! Issuing CAs that are revoked, replaced, or signed by somebody else's root, and what devices see of it.

use super::world::{CONTRIBUTOR, World, csr, openssl, verify_chain};
use crate::owner::{HUB_API, REGISTRY_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::certificate::{self, AuthorityState};
use ferrohub_service::hub::{CloseReason, DeviceLogin, OpenSession, SessionEvent};
use ferrohub_service::platform::Change;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

const NEW: &str = "2026-11-02-preview";
const USAGE: &str = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign";

impl World {
    /// Everything linked, the namespace allowed to write to its hub, and a group that issues from the policy.
    async fn with_policy(policy: &str) -> (Self, Vec<u8>) {
        let world = Self::new().await;
        let principal = world.namespace_principal().await;
        world.grant(&principal, &world.hub_id("hub1"), CONTRIBUTOR).await;
        let key = world.group("g1", json!({ "credentialPolicyName": policy })).await;
        (world, key)
    }

    async fn namespace_principal(&self) -> String {
        let shown = self.owner.get(&self.namespace, REGISTRY_API).await;
        shown["identity"]["principalId"].as_str().unwrap().to_owned()
    }

    async fn action(&self, id: &ResourceId, action: &str, version: &str, body: Option<Value>) -> Result<ActionOutcome> {
        let at = ResourceId::parse(&id.to_string()).unwrap();
        let answer = self.owner.act(&format!("{at}/{action}"), version, body).await?;
        assert_eq!((answer.status, answer.body.is_none()), (202, true));
        let location = answer.headers.iter().find(|(name, _)| *name == "Location").unwrap().1.clone();
        assert!(answer.headers.iter().any(|(name, _)| *name == "Retry-After"));
        let path = location.split('?').next().unwrap();
        let path = &path[path.find("/subscriptions/").unwrap()..];
        let result = self.owner.look(path, version).await?;
        let status = self.owner.look(&path.replace("operationResults", "operationStatuses"), version).await?;
        Ok(ActionOutcome { status: result.status, answer: result.body.unwrap_or_default(), hubs: status.body.unwrap() })
    }

    async fn entries(&self) -> usize {
        let list = self.owner.look(&format!("{}/certificates", self.hub_id("hub1")), HUB_API).await.unwrap();
        list.body.unwrap()["value"].as_array().unwrap().len()
    }

    /// Registers with a request and gives the chain, leaf first.
    async fn chain(&self, key: &[u8], device: &str) -> Vec<Vec<u8>> {
        let done = self.register(key, device, Some(csr(self.folder.path(), device, &[]))).await;
        assert_eq!(done["status"], "assigned", "{done}");
        let chain = done["registrationState"]["issuedCertificateChain"].as_array().unwrap();
        chain.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect()
    }

    async fn connect(&self, device: &str, chain: &[Vec<u8>]) -> Result<OpenSession> {
        let login = DeviceLogin {
            host: self.hub_host.clone(),
            device_id: device.into(),
            module_id: None,
            model_id: None,
            token: None,
            peer_chain: chain.to_vec(),
            peer: Default::default(),
        };
        self.hubs().connect(login).await
    }

    async fn refused(&self, device: &str, chain: &[Vec<u8>]) -> Error {
        self.connect(device, chain).await.err().expect("a chain that is not trusted")
    }

    /// The states of the issuing authorities of a policy, in the order of their making.
    async fn states(&self, policy: &str) -> Vec<AuthorityState> {
        let owner = self.stored(&self.policy_id(policy)).await.uid;
        let mut found = certificate::generations(self.platform(), owner).await.unwrap();
        found.retain(|(record, _)| record.state != AuthorityState::External);
        found.sort_by_key(|(record, _)| record.id);
        found.iter().map(|(record, _)| record.state).collect()
    }

    async fn active(&self, policy: &str) -> Uuid {
        let owner = self.stored(&self.policy_id(policy)).await.uid;
        certificate::authority_of(self.platform(), owner).await.unwrap().unwrap().id
    }
}

struct ActionOutcome {
    status: u16,
    answer: Value,
    hubs: Value,
}

async fn closed(session: &mut OpenSession) -> CloseReason {
    match timeout(&SystemClock, Duration::from_secs(5), session.next_event()).await.unwrap() {
        SessionEvent::Closed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// Writes a chain and the lists of its authorities for openssl, and gives what `verify -crl_check_all` says.
async fn verify_with_lists(world: &World, chain: &[Vec<u8>], lists: &[Uuid]) -> String {
    let folder = world.folder.path();
    for (name, der) in ["leaf", "issuing", "root"].iter().zip(chain) {
        std::fs::write(folder.join(format!("{name}.der")), der).unwrap();
        openssl(folder, &["x509", "-inform", "DER", "-in", &format!("{name}.der"), "-out", &format!("{name}.pem")]);
    }
    let mut all = Vec::new();
    for (at, id) in lists.iter().enumerate() {
        let file = format!("{at}.crl");
        std::fs::write(folder.join(&file), certificate::crl(world.platform(), *id).await.unwrap()).unwrap();
        all.extend(openssl(folder, &["crl", "-inform", "DER", "-in", &file]));
    }
    std::fs::write(folder.join("lists.pem"), all).unwrap();
    let output = std::process::Command::new("openssl")
        .args(["verify", "-x509_strict", "-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", "root.pem"])
        .args(["-untrusted", "issuing.pem", "leaf.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_issuing_ca_is_replaced_at_the_hubs_and_lets_nobody_in() {
    let (world, key) = World::with_policy("default").await;
    world.synchronize().await;
    let old = world.chain(&key, "d1").await;
    let mut session = world.connect("d1", &old).await.unwrap();
    let (before, subject) = (world.active("default").await, old[1].clone());
    let root = certificate::authority(world.platform(), before).await.unwrap().unwrap().issuer.unwrap();
    assert!(verify_with_lists(&world, &old, &[before, root]).await.contains("leaf.pem: OK"));

    let done = world.action(&world.policy_id("default"), "revokeIssuer", REGISTRY_API, None).await.unwrap();
    assert_eq!((done.status, done.answer), (204, Value::Null));
    assert_eq!(done.hubs["operations"][0]["name"], "hub1");
    assert_eq!(closed(&mut session).await, CloseReason::TrustLost);
    for length in 2..=3 {
        let error = world.refused("d1", &old[..length]).await;
        assert_eq!(error.numeric_code(), 401_003);
        // The one of the same name that took its place did not sign it, which is not why it is refused.
        assert!(error.message.contains("was revoked; provision the device again"), "{error}");
    }
    let error = world.refused("d1", &old[..1]).await;
    assert!(error.message.contains("revoked or replaced by another one of the same name"), "{error}");
    assert_eq!(world.states("default").await, [AuthorityState::Revoked, AuthorityState::Active]);
    assert_eq!(world.entries().await, 1, "the entry of the new one, and no other");
    let said = verify_with_lists(&world, &old, &[before, root]).await;
    assert!(said.contains("certificate revoked"), "{said}");

    // Without another synchronization.
    let new = world.chain(&key, "d1").await;
    let _session = world.connect("d1", &new).await.unwrap();
    assert_ne!(new[1], subject);
    assert_eq!(new[2], old[2], "the root stays");
    let after = world.active("default").await;
    let said = verify_with_lists(&world, &new, &[after, before, root]).await;
    assert!(said.contains("leaf.pem: OK"), "{said}");
    // An operator who puts the revoked one back by hand, or the root, lets nobody in under it.
    for (name, der) in [("by-hand", &old[1]), ("root", &old[2])] {
        let body = json!({"properties": {"certificate": STANDARD.encode(der), "isVerified": true}});
        world.owner.put(&world.hub_id("hub1").child("certificates", name), HUB_API, body).await;
        for length in 1..=3 {
            world.refused("d1", &old[..length]).await;
        }
    }
    let certificate = certificate::ca_certificate(world.platform(), before).await.unwrap();
    assert_eq!(certificate, old[1], "it stays published");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_twice_at_once_leaves_one_active_and_a_refusing_hub_is_named() {
    let (world, key) = World::with_policy("default").await;
    world.synchronize().await;
    let old = world.chain(&key, "d1").await;
    let mut session = world.connect("d1", &old).await.unwrap();
    world.revoke_all().await;
    let id = world.policy_id("default");
    let both = futures_util::future::join_all((0..2).map(|_| world.action(&id, "revokeIssuer", REGISTRY_API, None)));
    for done in both.await {
        let done = done.unwrap();
        assert_eq!((done.status, &done.answer["error"]["code"]), (403, &json!("AuthorizationFailed")));
        let message = done.answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("hub1") && message.contains("az role assignment create"), "{message}");
    }
    // Who may not write to the hub revokes all the same.
    assert_eq!(closed(&mut session).await, CloseReason::TrustLost);
    world.refused("d1", &old).await;
    let states = world.states("default").await;
    let active = states.iter().filter(|state| **state == AuthorityState::Active).count();
    assert_eq!((active, states.last()), (1, Some(&AuthorityState::Active)), "{states:?}");

    world.grant(&world.namespace_principal().await, &world.hub_id("hub1"), CONTRIBUTOR).await;
    world.grant(&world.dps_principal, &world.namespace, CONTRIBUTOR).await;
    world.synchronize().await;
    assert_eq!(world.entries().await, 1);
    let new = world.chain(&key, "d1").await;
    world.connect("d1", &new).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_generation_revokes_and_rotates_what_is_issued_here_only() {
    let (world, key) = World::with_policy("default").await;
    world.synchronize().await;
    let at = |name: &str| world.namespace.child("certificateAuthorities", name);
    let old = world.chain(&key, "d1").await;
    let done = world.action(&at("default"), "revokeAndRotate", NEW, None).await.unwrap();
    assert_eq!(done.status, 204);
    world.refused("d1", &old).await;
    let new = world.chain(&key, "d1").await;
    world.connect("d1", &new).await.unwrap();

    let refused = async |name: &str, action: &str| {
        let error = world.action(&at(name), action, NEW, Some(json!({"certificateChain": "x"}))).await.err().unwrap();
        (error.http_status(), error.code)
    };
    assert_eq!(refused("default-root", "revokeAndRotate").await, (400, "InvalidCertificateAuthorityType"));
    assert_eq!(refused("default", "activate").await, (400, "InvalidIssuerType"));
    let external = json!({"location": "eastus", "properties": {"certificateAuthorityType": "ICA", "keyType": "ECC", "issuer": {"issuerType": "External"}}});
    let made = world.owner.put(&at("ext1"), NEW, external.clone()).await;
    let issuer = &made["properties"]["issuer"];
    assert_eq!((&issuer["issuerType"], &issuer["status"]), (&json!("External"), &json!("PendingActivation")));
    assert!(issuer["certificateSigningRequest"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    assert_eq!(refused("ext1", "revokeAndRotate").await, (400, "InvalidIssuerType"));
    assert_eq!(world.owner.put(&at("ext1"), NEW, made.clone()).await["properties"], made["properties"]);
    let mut other = external;
    other["properties"]["issuer"] =
        json!({"issuerType": "Microsoft", "certificateAuthorityResourceId": at("default-root").to_string()});
    let error = world.owner.ask("PUT", &at("ext1"), NEW, Some(other)).await.unwrap_err();
    assert_eq!(error.code, "PropertyChangeNotAllowed");
}

/// The customer: a root of their own in `folder`, and what it signs.
struct Customer<'a> {
    folder: &'a Path,
}

impl<'a> Customer<'a> {
    fn new(folder: &'a Path) -> Self {
        std::fs::write(
            folder.join("own.ext"),
            format!("basicConstraints=critical,CA:TRUE,pathlen:1\n{USAGE}\nsubjectKeyIdentifier=hash\n"),
        )
        .unwrap();
        openssl(folder, &["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "own.key"]);
        openssl(folder, &["req", "-new", "-key", "own.key", "-subj", "/O=Acme/CN=Acme Root", "-out", "own.csr"]);
        openssl(
            folder,
            &[
                "x509", "-req", "-in", "own.csr", "-signkey", "own.key", "-days", "7300", "-sha384", "-extfile",
                "own.ext", "-out", "own.pem",
            ],
        );
        Self { folder }
    }

    /// The chain for a request, leaf to root.
    fn sign(&self, request: &str, days: &str) -> String {
        std::fs::write(self.folder.join("ica.csr"), request).unwrap();
        openssl(
            self.folder,
            &[
                "x509",
                "-req",
                "-in",
                "ica.csr",
                "-CA",
                "own.pem",
                "-CAkey",
                "own.key",
                "-CAcreateserial",
                "-days",
                days,
                "-sha384",
                "-copy_extensions",
                "copy",
                "-out",
                "ica.pem",
            ],
        );
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap();
        format!("{}{}", read("ica.pem"), read("own.pem"))
    }
}

fn own_root(policy: &Value) -> Value {
    policy["properties"]["certificate"]["certificateAuthorityConfiguration"]["bringYourOwnRoot"].clone()
}

/// The policy `byor`, which waits for its chain.
async fn waiting(world: &World) -> (ResourceId, Value) {
    let byor = world.policy_id("byor");
    let body = json!({"properties": {"certificate": {
        "certificateAuthorityConfiguration": {"keyType": "ECC", "bringYourOwnRoot": {"enabled": true}},
        "leafCertificateConfiguration": {"validityPeriodInDays": 14}}}});
    let made = own_root(&world.owner.put(&byor, REGISTRY_API, body.clone()).await);
    assert_eq!((&made["enabled"], &made["status"]), (&json!(true), &json!("PendingActivation")));
    assert_eq!(own_root(&world.owner.put(&byor, REGISTRY_API, body).await), made, "the same again");
    (byor, made)
}

/// What it asks for, as PEM.
fn request(own_root: &Value) -> String {
    own_root["certificateSigningRequest"].as_str().unwrap().to_owned()
}

async fn activate(world: &World, byor: &ResourceId, chain: &str) -> Result<ActionOutcome> {
    let body = json!({ "certificateChain": chain });
    world.action(byor, "activateBringYourOwnRoot", REGISTRY_API, Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_of_ones_own_ends_the_chain() {
    let (world, _) = World::with_policy("default").await;
    let folder = world.folder.path();
    let (byor, made) = waiting(&world).await;
    // Nothing is issued yet, and nothing is there to revoke.
    let key = world.group("own", json!({"credentialPolicyName": "byor"})).await;
    let refused = world.register(&key, "e1", Some(csr(folder, "e1", &[]))).await;
    assert!(refused["registrationState"]["errorMessage"].as_str().unwrap().contains("PendingActivation"), "{refused}");
    let error = world.action(&byor, "revokeIssuer", REGISTRY_API, None).await.err().unwrap();
    assert_eq!((error.http_status(), error.code), (409, "IssuingCaNotActive"));

    let (customer, request) = (Customer::new(folder), request(&made));
    let soon = activate(&world, &byor, &customer.sign(&request, "300")).await.err().unwrap();
    assert_eq!((soon.http_status(), soon.code), (400, "CertificateExpiringSoon"));
    for (body, target) in [
        (json!({}), "certificateChain"),
        (json!({"certificateChain": 7}), "certificateChain"),
        (json!({"certificateChain": "x", "more": 1}), "more"),
        (json!({"certificateChain": "-".repeat(1 << 20)}), "certificateChain"),
    ] {
        let error = world.action(&byor, "activateBringYourOwnRoot", REGISTRY_API, Some(body)).await.err().unwrap();
        assert_eq!((error.http_status(), error.target.as_deref()), (400, Some(target)));
    }
    let chain = customer.sign(&request, "730");
    assert_eq!(activate(&world, &byor, &chain).await.unwrap().status, 204);
    assert_eq!(activate(&world, &byor, &chain).await.unwrap().status, 204, "a request that was sent again");
    let shown = own_root(&world.owner.get(&byor, REGISTRY_API).await);
    assert_eq!((&shown["status"], shown.get("certificateSigningRequest")), (&json!("Active"), None));
    assert_eq!(shown["issuingCertificateThumbprint"].as_str().unwrap().len(), 64);
    let other = activate(&world, &byor, &customer.sign(&request, "800")).await.err().unwrap();
    assert_eq!(other.code, "NoPendingCertificateSigningRequest");

    let issued = world.chain(&key, "e1").await;
    let own = openssl(folder, &["x509", "-in", "own.pem", "-outform", "DER"]);
    assert_eq!((issued.len(), &issued[2]), (3, &own), "the chain ends at the customer's root");
    let done = world.register(&key, "e1", Some(csr(folder, "e1", &[]))).await;
    verify_chain(folder, &done);
    world.connect("e1", &issued).await.unwrap();
    let error = world.owner.ask("DELETE", &byor, REGISTRY_API, None).await.unwrap_err();
    assert_eq!((error.http_status(), error.code), (409, "CertificateAuthorityInUse"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_of_ones_own_renews_without_a_gap_and_is_withdrawn() {
    let (world, _) = World::with_policy("default").await;
    let folder = world.folder.path();
    let (byor, made) = waiting(&world).await;
    let key = world.group("own", json!({"credentialPolicyName": "byor"})).await;
    let (customer, before) = (Customer::new(folder), request(&made));
    activate(&world, &byor, &customer.sign(&before, "730")).await.unwrap();
    let first = world.chain(&key, "e1").await;

    // Near its end a new request is shown while the old one goes on (when, is told in arm::rotation).
    let owner = world.stored(&byor).await.uid;
    let generations = certificate::generations(world.platform(), owner).await.unwrap();
    let (record, version) = generations.iter().find(|(record, _)| record.state == AuthorityState::Active).unwrap();
    let mut change = Change::new();
    certificate::ask_again(world.platform(), record, *version, &mut change).await.unwrap();
    world.platform().commit(change).await.unwrap();
    let shown = own_root(&world.owner.get(&byor, REGISTRY_API).await);
    assert_eq!(shown["status"], "ActiveButPendingRenewal");
    let renewal = request(&shown);
    assert_ne!(renewal, before);
    world.chain(&key, "e2").await;
    let stale = activate(&world, &byor, &customer.sign(&before, "900")).await.err().unwrap();
    assert_eq!(stale.code, "CertificateKeyMismatch");
    assert_eq!(activate(&world, &byor, &customer.sign(&renewal, "900")).await.unwrap().status, 204);
    let second = world.chain(&key, "e3").await;
    assert_ne!(first[1], second[1]);
    for (device, chain) in [("e1", &first), ("e3", &second)] {
        world.connect(device, chain).await.unwrap();
    }
    assert_eq!(world.states("byor").await, [AuthorityState::Superseded, AuthorityState::Active]);
    assert!(certificate::crl(world.platform(), record.id).await.is_ok(), "the former one still signs its list");

    let mut session = world.connect("e1", &first).await.unwrap();
    let done = world.action(&byor, "revokeIssuer", REGISTRY_API, None).await.unwrap();
    assert_eq!(done.status, 204);
    assert_eq!(closed(&mut session).await, CloseReason::TrustLost);
    world.refused("e3", &second).await;
    let shown = own_root(&world.owner.get(&byor, REGISTRY_API).await);
    assert_eq!(shown["status"], "PendingActivation");
    assert_ne!(request(&shown), renewal);
    assert_eq!(world.entries().await, 0);
    let credential = world.namespace.child("credentials", "default");
    world.owner.delete(&world.policy_id("default"), REGISTRY_API).await;
    assert_eq!(world.owner.ask("DELETE", &credential, REGISTRY_API, None).await.unwrap_err().code, "CredentialInUse");
    world.owner.delete(&byor, REGISTRY_API).await;
    world.owner.delete(&credential, REGISTRY_API).await;
}
