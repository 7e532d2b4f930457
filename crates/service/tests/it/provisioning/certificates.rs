//! Attestation with client certificates: individual enrollments by the certificate itself, groups by a CA above it.

use super::world::{World, csr};
use super::x509::{AUTHORITY, CA, CERT_SIGN, DEVICE, Kind, LEAF};
use crate::owner::HUB_API;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_service::provisioning::EnrollmentKind::{Group, Individual};
use serde_json::{Value, json};

/// Certificates that a state holds, DER.
fn issued(state: &Value) -> Vec<Vec<u8>> {
    let chain = state["issuedCertificateChain"].as_array().unwrap();
    chain.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect()
}

fn slices(chain: &[Vec<u8>]) -> Vec<&[u8]> {
    chain.iter().map(Vec::as_slice).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_individual_enrollment_names_the_certificate() {
    let world = World::new().await;
    let first = world.certificate("first", "d1", None, &DEVICE);
    let second = world.certificate("second", "d1", None, &DEVICE);
    let other = world.certificate("other", "d1", None, &DEVICE);
    let x509 = json!({"clientCertificates": {"primary": {"certificate": world.pem("first")}, "secondary": {"certificate": STANDARD.encode(&second)}}});
    let made = world.enroll_x509(Individual, "d1", x509, json!({"deviceId": "Pump-7"})).await;
    let shown = &made["attestation"]["x509"]["clientCertificates"]["primary"];
    assert_eq!((&shown["info"]["subjectName"], &shown["info"]["version"]), (&json!("CN=d1"), &json!(3)));
    assert!(shown.get("certificate").is_none() && made.get("registrationState").is_none());
    for certificate in [&first, &second] {
        let state = world.register_x509("d1", &[certificate], None).await.unwrap();
        assert_eq!((&state["status"], &state["deviceId"]), (&json!("assigned"), &json!("Pump-7")));
        assert_eq!(state["x509"]["certificateInfo"]["issuerName"], "CN=d1");
        assert!(state["x509"].get("enrollmentGroupId").is_none());
        world.connects("Pump-7", &[certificate]).await.unwrap();
    }
    assert!(world.connects("Pump-7", &[&other]).await.unwrap_err().contains("Thumbprint does not match"));
    assert!(world.refused_x509("d1", &[&other]).await.contains("No enrollment"));
    assert!(world.refused_x509("d2", &[&first]).await.contains("is for 'd1', not for 'd2'"));
    // What is read can be put back, and means the same certificates.
    let (dps, caller) = (world.dps().await, world.caller().await);
    let mut read = world.service().enrollment(&caller, &dps, Individual, "D1").await.unwrap();
    assert_eq!(read["registrationState"]["assignedHub"], json!(world.hub_host));
    read["provisioningStatus"] = json!("disabled");
    let etag = read["etag"].as_str().unwrap().to_owned();
    let put = world.service().put_enrollment(&caller, &dps, Individual, "d1", &read, Some(&etag)).await.unwrap();
    assert_eq!(put["attestation"], made["attestation"]);
    let mechanism = world.service().attestation_mechanism(&caller, &dps, Individual, "d1").await.unwrap();
    let whole = &mechanism["x509"]["clientCertificates"]["primary"]["certificate"];
    assert_eq!(whole, &json!(STANDARD.encode(&first)));
    assert!(world.refused_x509("d1", &[&first]).await.contains("disabled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_group_above_a_device_decides() {
    let world = World::new().await;
    let root = world.certificate("root", "root", None, &AUTHORITY);
    let middle = world.certificate("middle", "middle", Some("root"), &AUTHORITY);
    let own = world.certificate("own", "d1", Some("middle"), &DEVICE);
    assert!(world.refused_x509("d1", &[&own, &middle]).await.contains("No enrollment"));
    world.group_x509("by-root", "root", json!({})).await;
    assert!(world.refused_x509("d1", &[&own]).await.contains("present all certificates between"));
    let state = world.register_x509("d1", &[&own, &middle, &root], None).await.unwrap();
    let x509 = &state["x509"];
    assert_eq!((&state["deviceId"], &x509["enrollmentGroupId"]), (&json!("d1"), &json!("by-root")));
    assert_eq!(x509["signingCertificateInfo"]["subjectName"], "CN=root");
    world.register_x509("d1", &[&own, &middle], None).await.unwrap();
    // The hub trusts it as soon as it has the CA.
    assert!(world.connects("d1", &[&own, &middle]).await.unwrap_err().contains("unknown issuer"));
    let body = json!({"properties": {"certificate": STANDARD.encode(&root), "isVerified": true}});
    world.owner.put(&world.hub_id("hub1").child("certificates", "root"), HUB_API, body).await;
    world.connects("d1", &[&own, &middle]).await.unwrap();

    world.group_x509("by-middle", "middle", json!({})).await;
    let other = world.certificate("other", "d2", Some("middle"), &DEVICE);
    for chain in [&[other.as_slice()][..], &[&other, &middle], &[&other, &middle, &root], &[&other, &root, &middle]] {
        let state = world.register_x509("d2", chain, None).await.unwrap();
        assert_eq!(state["x509"]["enrollmentGroupId"], "by-middle", "{}", chain.len());
    }
    world.group_x509("by-middle", "middle", json!({"provisioningStatus": "disabled"})).await;
    let refused = world.refused_x509("d2", &[&other, &middle, &root]).await;
    assert!(refused.contains("'by-middle' is disabled"), "no fall-through to the root's: {refused}");
    // A registration of one group is not another group's.
    let third = world.certificate("third", "d1", Some("root"), &DEVICE);
    world.group_x509("by-middle", "middle", json!({})).await;
    let conflict = world.register_x509("d1", &[&own, &middle], None).await.unwrap_err();
    assert_eq!(conflict.numeric_code(), 409_201);
    world.register_x509("d1", &[&third], None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_request_goes_with_certificates_too() {
    let world = World::new().await;
    let policy = json!({"credentialPolicyName": "default"});
    world.certificate("root", "root", None, &AUTHORITY);
    world.group_x509("g1", "root", policy.clone()).await;
    let own = world.certificate("own", "d1", Some("root"), &DEVICE);
    let state = world.register_x509("d1", &[&own], Some(csr(world.folder.path(), "d1", &[]))).await.unwrap();
    let chain = issued(&state);
    assert_eq!(chain.len(), 3);
    let hub = world.hub_id("hub1");
    let upload = async |name: &str, der: &[u8]| {
        let body = json!({"properties": {"certificate": STANDARD.encode(der), "isVerified": true}});
        world.owner.put(&hub.child("certificates", name), HUB_API, body).await;
    };
    upload("issuing", &chain[1]).await;
    world.connects("d1", &slices(&chain)).await.unwrap();
    // Without a request its own chain counts again, and what was issued before does not.
    upload("root", &STANDARD.decode(pem_body(&world.pem("root"))).unwrap()).await;
    assert!(world.connects("d1", &[&own]).await.unwrap_err().contains("revoked or replaced"));
    world.register_x509("d1", &[&own], None).await.unwrap();
    world.connects("d1", &[&own]).await.unwrap();
    assert!(world.connects("d1", &slices(&chain)).await.unwrap_err().contains("revoked or replaced"));

    let alone = world.certificate("alone", "d2", None, &DEVICE);
    let x509 = json!({"clientCertificates": {"primary": {"certificate": world.pem("alone")}}});
    let both = json!({"credentialPolicyName": "default", "deviceId": "Other"});
    world.enroll_x509(Individual, "d2", x509, both).await;
    let request = csr(world.folder.path(), "d2", &[]);
    let state = world.register_x509("d2", &[&alone], Some(request)).await.unwrap();
    assert_eq!((issued(&state).len(), &state["deviceId"]), (3, &json!("Other")));
    world.connects("Other", &slices(&issued(&state))).await.unwrap();
}

fn pem_body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_chains_are_refused_with_their_reason() {
    let world = World::new().await;
    let ca = |name: &str, extensions: &[&str], expired: bool| {
        world.certificate(name, name, Some("root"), &Kind { extensions, expired, ..AUTHORITY })
    };
    world.certificate("root", "root", None, &AUTHORITY);
    world.group_x509("g1", "root", json!({})).await;
    let short = ca("short", &["basicConstraints=critical,CA:TRUE,pathlen:0", CERT_SIGN], false);
    let below = world.certificate("below", "below", Some("short"), &AUTHORITY);
    let no_ca = ca("no-ca", &["basicConstraints=critical,CA:FALSE"], false);
    let expired = ca("expired", &[CA, CERT_SIGN], true);
    let named = ca("named", &[CA, CERT_SIGN, "nameConstraints=critical,permitted;DNS:example.com"], false);
    let twin = world.certificate("twin", "root", None, &AUTHORITY);
    let leaf = |name: &str, issuer: &str| world.certificate(name, "d1", Some(issuer), &DEVICE);
    let of_named = world.certificate(
        "of-named",
        "d1",
        Some("named"),
        &Kind { extensions: &[LEAF, "subjectAltName=DNS:elsewhere.org"], ..DEVICE },
    );
    let rsa = ["rsa", "-pkeyopt", "rsa_keygen_bits:1024"];
    let weak = world.certificate("weak", "d1", Some("root"), &Kind { key: &rsa, ..DEVICE });
    let sha1 = world.certificate("sha1", "d1", Some("root"), &Kind { digest: "-sha1", ..DEVICE });
    let old = world.certificate("old", "d1", Some("root"), &Kind { expired: true, ..DEVICE });
    let server = world.certificate(
        "server",
        "d1",
        Some("root"),
        &Kind { extensions: &["extendedKeyUsage=serverAuth"], ..DEVICE },
    );
    let good = leaf("good", "root");
    let authority = world.certificate("authority", "d1", Some("root"), &AUTHORITY);
    let many: Vec<&[u8]> = std::iter::repeat_n(good.as_slice(), 20).collect();
    let mut large = good.clone();
    large.resize(1024 * 1024, 0);
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let (of_below, of_no_ca, of_expired, of_twin) =
        (leaf("a", "below"), leaf("b", "no-ca"), leaf("c", "expired"), leaf("d", "twin"));
    let rows: &[(&[&[u8]], &str)] = &[
        (&[&of_below, &below, &short], "too long"),
        (&[&of_no_ca, &no_ca], "no certificate authority"),
        (&[&of_expired, &expired], "expired"),
        (&[&of_named, &named], "name constraints"),
        (&[&of_twin, &twin], "wrong"),
        (&[&weak], "1024"),
        (&[&sha1], "SHA-1"),
        (&[&old], "expired"),
        (&[&server], "clientAuth"),
        (&[&authority], "is a CA certificate"),
        (&many, "20 certificates"),
        (&[&large], "bytes"),
        (&[&good[..40]], "Invalid certificate."),
        (&[&forged], "wrong"),
        (&[], "no client certificate"),
    ];
    for (chain, word) in rows {
        let message = world.refused_x509("d1", chain).await;
        assert!(message.contains(word), "{word}: {message}");
    }
    world.register_x509("d1", &[&good], None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_common_name_is_read_to_its_end() {
    let world = World::new().await;
    world.certificate("root", "root", None, &AUTHORITY);
    world.group_x509("g1", "root", json!({})).await;
    // openssl's command line makes no NUL; a character of the same length is put in its place before it is signed by nobody.
    let mut nul = world.certificate("nul", "d1#evil", Some("root"), &DEVICE);
    let place = nul.windows(7).rposition(|window| window == b"d1#evil").unwrap();
    nul[place + 2] = 0;
    let message = world.refused_x509("d1", &[&nul]).await;
    assert!(message.contains("not for 'd1'") || message.contains("Invalid certificate."), "{message}");
    let two = world.certificate("two", "d1/CN=d2", Some("root"), &DEVICE);
    assert!(world.refused_x509("d2", &[&two]).await.contains("is for 'd1', not for 'd2'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_could_never_be_used_are_not_enrolled() {
    let world = World::new().await;
    let device = world.certificate("device", "d1", None, &DEVICE);
    world.certificate("old", "d1", None, &Kind { expired: true, ..DEVICE });
    world.certificate("root", "root", None, &AUTHORITY);
    world.certificate("old-root", "old-root", None, &Kind { expired: true, ..AUTHORITY });
    let rsa = ["rsa", "-pkeyopt", "rsa_keygen_bits:1024"];
    world.certificate("weak", "d1", None, &Kind { key: &rsa, ..DEVICE });
    let refuse = async |kind, x509: Value| {
        let attestation = json!({"type": "x509", "x509": x509});
        let error = world.try_enroll(kind, "d1", attestation, json!({})).await.unwrap_err();
        assert_eq!((error.http_status(), error.numeric_code()), (400, 400_004), "{error}");
        error.message
    };
    let client = |text: &str| json!({"clientCertificates": {"primary": {"certificate": text}}});
    let signing = |text: &str| json!({"signingCertificates": {"secondary": {"certificate": text}}});
    assert!(refuse(Individual, client(&world.pem("old"))).await.contains("has expired"));
    assert!(refuse(Individual, client(&world.pem("weak"))).await.contains("key"));
    assert!(
        refuse(Individual, client("nonsense!"))
            .await
            .contains("attestation.x509.clientCertificates.primary.certificate")
    );
    assert!(refuse(Group, signing(&world.pem("device"))).await.contains("no certificate authority"));
    assert!(refuse(Group, signing(&world.pem("old-root"))).await.contains("has expired"));
    let two = format!("{}{}", world.pem("root"), world.pem("device"));
    assert!(refuse(Group, signing(&two)).await.contains("certificate"));
    let kept = json!({"clientCertificates": {"primary": {"info": {"sha256Thumbprint": "AB".repeat(32)}}}});
    assert!(refuse(Individual, kept).await.contains("no certificate with the thumbprint"));
    let reference = json!({"caReferences": {"primary": "nobody"}});
    for kind in [Group, Individual] {
        assert!(refuse(kind, reference.clone()).await.contains("no verified certificate 'nobody'"));
    }
    assert!(world.refused_x509("d1", &[&device]).await.contains("No enrollment"), "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_takes_devices_below_either_of_its_two_certificates() {
    let world = World::new().await;
    let mut devices = Vec::new();
    for (ca, device) in [("old", "d1"), ("new", "d2"), ("other", "d3")] {
        world.certificate(ca, ca, None, &AUTHORITY);
        devices.push(world.certificate(device, device, Some(ca), &DEVICE));
    }
    let [by_old, by_new, by_other] = devices.try_into().unwrap();
    let (old, new) = (json!({"certificate": world.pem("old")}), json!({"certificate": world.pem("new")}));
    let both = json!({"signingCertificates": {"primary": old, "secondary": new}});
    let made = world.enroll_x509(Group, "g1", both, json!({})).await;
    assert_eq!(made["attestation"]["x509"]["signingCertificates"]["secondary"]["info"]["subjectName"], "CN=new");
    for (id, device, ca) in [("d2", &by_new, "CN=new"), ("d1", &by_old, "CN=old")] {
        let state = world.register_x509(id, &[device], None).await.unwrap();
        assert_eq!((&state["status"], &state["x509"]["enrollmentGroupId"]), (&json!("assigned"), &json!("g1")));
        assert_eq!(state["x509"]["signingCertificateInfo"]["subjectName"], ca);
    }
    world.refused_x509("d3", &[&by_other]).await;
    // The old one goes, and the secondary one is enough.
    let alone = json!({"signingCertificates": {"secondary": new}});
    world.enroll_x509(Group, "g1", alone, json!({})).await;
    assert_eq!(world.register_x509("d2", &[&by_new], None).await.unwrap()["status"], "assigned");
    world.refused_x509("d1", &[&by_old]).await;
}
