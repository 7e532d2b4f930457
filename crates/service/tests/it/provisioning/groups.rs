//! Enrollment groups and registrations through the service API.

use super::world::{CONTRIBUTOR, World};
use crate::owner::REGISTRY_API;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_model::principal::{ClientSecret, Principal, PrincipalKind};
use ferrohub_pki::key::hash_secret;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::directory;
use ferrohub_service::platform::Change;
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::provisioning::{DpsRef, PageRequest};
use ferrohub_service::shared_access::Right;
use ferrohub_wire::sas_token::{derive_device_key, sign};
use serde_json::{Value, json};

const GROUP_READ: &str = "Microsoft.Devices/provisioningServices/enrollmentGroups/read";

fn body(extra: Value) -> Value {
    let mut body = json!({"attestation": {"type": "symmetricKey", "symmetricKey": {}}});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_kept_and_shown_only_on_demand() {
    let world = World::new().await;
    let (dps, caller) = (world.dps().await, world.caller().await);
    let made = world.service().put_enrollment(&caller, &dps, Group, "Line:1", &body(json!({})), None).await.unwrap();
    assert_eq!(
        (&made["attestation"], &made["provisioningStatus"]),
        (&json!({"type": "symmetricKey"}), &json!("enabled"))
    );
    for again in ["Line:1", "LINE:1"] {
        let refused = world.service().put_enrollment(&caller, &dps, Group, again, &body(json!({})), None).await;
        assert_eq!(refused.unwrap_err().numeric_code(), 409_201, "users of the service are refused without If-Match");
    }
    let keys = world.service().attestation_mechanism(&caller, &dps, Group, "line:1").await.unwrap();
    let primary = keys["symmetricKey"]["primaryKey"].as_str().unwrap().to_owned();
    assert_eq!(keys["type"], "symmetricKey");
    assert_ne!(keys["symmetricKey"]["secondaryKey"], json!(primary));
    // Read, changed and put back as clients do.
    let mut again = made.clone();
    again["provisioningStatus"] = json!("disabled");
    let etag = made["etag"].as_str().unwrap();
    let changed = world
        .service()
        .put_enrollment(&caller, &dps, Group, "Line:1", &again, Some(&format!("\"{etag}\"")))
        .await
        .unwrap();
    assert_eq!(changed["provisioningStatus"], "disabled");
    assert_eq!(changed["createdDateTimeUtc"], made["createdDateTimeUtc"]);
    assert_eq!(world.service().attestation_mechanism(&caller, &dps, Group, "Line:1").await.unwrap(), keys);
    let stale = world.service().put_enrollment(&caller, &dps, Group, "Line:1", &again, Some(etag)).await.unwrap_err();
    assert_eq!(stale.numeric_code(), 412_001);
    // Sealed at rest, and in no answer.
    let stored = world.rows(&ferrohub_service::tables::ENROLLMENT_GROUPS).await;
    assert!(!stored.is_empty() && stored.iter().all(|row| !row.text().contains(&primary)));
    let page = world.service().query_enrollments(&caller, &dps, Group, None, &PageRequest::default()).await.unwrap();
    assert!(!format!("{page:?}{changed}").contains(&primary));
    assert_eq!(
        world
            .service()
            .delete_enrollment(&caller, &dps, Group, "Line:1", Some("\"x\""))
            .await
            .unwrap_err()
            .numeric_code(),
        412_001
    );
    world.service().delete_enrollment(&caller, &dps, Group, "LINE:1", Some("*")).await.unwrap();
    assert_eq!(world.service().enrollment(&caller, &dps, Group, "Line:1").await.unwrap_err().numeric_code(), 404_201);
    assert_eq!(
        world.service().delete_enrollment(&caller, &dps, Group, "Line:1", None).await.unwrap_err().numeric_code(),
        404_201
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn either_key_of_a_group_is_good_here_and_at_the_hub() {
    let world = World::new().await;
    world.group("g1", json!({})).await;
    let [primary, secondary] = world.keys(Group, "g1").await;
    for (id, key) in [("d1", &secondary), ("d2", &primary)] {
        let done = world.register(key, id, None).await;
        assert_eq!((&done["status"], &done["registrationState"]["deviceId"]), (&json!("assigned"), &json!(id)));
        assert_eq!(done["registrationState"]["symmetricKey"], json!({"enrollmentGroupId": "g1"}));
        for key in [&primary, &secondary] {
            world.connects_by_key(id, &derive_device_key(key, id)).await.unwrap();
        }
    }
    // While the primary one is changed, devices go on with the other one.
    let keys = json!({"primaryKey": STANDARD.encode([5u8; 64]), "secondaryKey": STANDARD.encode(&secondary)});
    world.group("g1", json!({"attestation": {"type": "symmetricKey", "symmetricKey": keys}})).await;
    for id in ["d1", "d3"] {
        assert_eq!(world.register(&secondary, id, None).await["status"], "assigned");
        let refused = world.service().register(world.request(&primary, id, None)).await.unwrap_err();
        assert_eq!(refused.numeric_code(), 401_002);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_and_hubs_are_checked() {
    let world = World::new().await;
    let dps = world.dps().await;
    let refuse = async |extra: Value| {
        let error = world
            .service()
            .put_enrollment(&world.caller().await, &world.dps().await, Group, "g", &body(extra), None)
            .await
            .unwrap_err();
        assert_eq!((error.http_status(), error.numeric_code()), (400, 400_004));
        error.message
    };
    assert!(refuse(json!({"credentialPolicyName": "nope"})).await.contains("it has 'default'"));
    assert!(refuse(json!({"certificatePolicyName": "default", "namespaceName": "other"})).await.contains("plant"));
    assert!(
        refuse(json!({"allocationPolicy": "hashed", "iotHubs": ["hub9.azure-devices.localhost"]}))
            .await
            .contains(&world.hub_host)
    );
    assert!(refuse(json!({"allocationPolicy": "static"})).await.contains("exactly one hub"));
    assert!(refuse(json!({"allocationPolicy": "custom"})).await.contains("customAllocationDefinition"));
    assert!(refuse(json!({"attestation": {"type": "x509"}})).await.contains("signingCertificates"));
    assert!(
        refuse(json!({"certificatePolicyName": "other", "certificateAuthorityName": "default"}))
            .await
            .contains("has no certificate policy 'other'")
    );
    assert!(refuse(json!({"colour": "red"})).await.contains("'colour'"));
    assert!(refuse(json!({"initialTwin": {"tags": {"a.b$": "x".repeat(9000)}}})).await.contains("tags"));
    let all_names = json!({"certificatePolicyName": "default", "certificateAuthorityName": "default", "namespaceName": "Plant", "allocationPolicy": "hashed", "iotHubs": [world.hub_host]});
    let made =
        world.service().put_enrollment(&world.caller().await, &dps, Group, "g2", &body(all_names), None).await.unwrap();
    assert_eq!((&made["credentialPolicyName"], &made["iotHubs"]), (&json!("default"), &json!([world.hub_host])));

    world.write_dps(false, &["hub1"]).await;
    let message = refuse(json!({"credentialPolicyName": "default"})).await;
    assert!(message.contains("az iot dps update --name dps1") && message.contains("--ns-resource-id"), "{message}");

    // What an enrollment names already may stay, so that it can be disabled; nothing else that is wrong with it.
    let put = async |extra: Value| {
        let (caller, dps) = (world.caller().await, world.dps().await);
        world.service().put_enrollment(&caller, &dps, Group, "g2", &body(extra), Some("*")).await
    };
    let kept = put(json!({"credentialPolicyName": "default", "provisioningStatus": "disabled"})).await.unwrap();
    assert_eq!((&kept["credentialPolicyName"], &kept["provisioningStatus"]), (&json!("default"), &json!("disabled")));
    assert_eq!(put(json!({"credentialPolicyName": "other"})).await.unwrap_err().http_status(), 400);
    world.write_dps(true, &["hub1"]).await;
    let wrong = json!({"certificatePolicyName": "other", "certificateAuthorityName": "default"});
    assert_eq!(put(wrong).await.unwrap_err().http_status(), 400);
    world.owner.delete(&world.policy_id("default"), REGISTRY_API).await;
    assert_eq!(put(json!({"credentialPolicyName": "default"})).await.unwrap()["credentialPolicyName"], "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other() {
    let world = World::new().await;
    let (dps, caller) = (world.dps().await, world.caller().await);
    let mut key = Vec::new();
    for number in 0..5 {
        key = world.group(&format!("g{number}"), json!({})).await;
    }
    let mut seen = Vec::new();
    let mut request = PageRequest { max_items: Some(2), continuation: None };
    loop {
        let mangled = json!({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"});
        let page = world.service().query_enrollments(&caller, &dps, Group, Some(&mangled), &request).await.unwrap();
        seen.extend(page.items.into_iter().map(|group| group["enrollmentGroupId"].clone()));
        request.continuation = page.continuation;
        if request.continuation.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["g0", "g1", "g2", "g3", "g4"]);
    for id in ["a", "b", "c"] {
        world.register(&key, id, None).await;
    }
    let (mut seen, mut pages) = (Vec::new(), Vec::new());
    let mut request = PageRequest { max_items: Some(2), continuation: None };
    // Pages that begin anew come to no end.
    while pages.len() < 4 {
        let page = world.service().query_registrations(&caller, &dps, "G4", None, &request).await.unwrap();
        pages.push(page.items.len());
        seen.extend(page.items.into_iter().map(|state| state["registrationId"].clone()));
        request.continuation = page.continuation;
        if request.continuation.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (vec![json!("a"), json!("b"), json!("c")], vec![2, 1]));
    assert!(
        world
            .service()
            .query_registrations(&caller, &dps, "g0", None, &PageRequest::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(
        world
            .service()
            .query_registrations(&caller, &dps, "g9", None, &PageRequest::default())
            .await
            .unwrap_err()
            .numeric_code(),
        404_201
    );
    let etag = world.service().registration(&caller, &dps, "A").await.unwrap()["etag"].as_str().unwrap().to_owned();
    assert_eq!(
        world.service().delete_registration(&caller, &dps, "a", Some("x")).await.unwrap_err().numeric_code(),
        412_001
    );
    world.service().delete_registration(&caller, &dps, "a", Some(&etag)).await.unwrap();
    assert_eq!(world.service().registration(&caller, &dps, "a").await.unwrap_err().numeric_code(), 404_202);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_the_service_api() {
    let world = World::new().await;
    let dps = world
        .service()
        .dps_by_host("DPS1.azure-devices-provisioning.localhost:8443", Default::default())
        .await
        .unwrap();
    assert_eq!(dps.name, "dps1");
    assert_eq!(
        world
            .service()
            .dps_by_host("dps2.azure-devices-provisioning.localhost", Default::default())
            .await
            .unwrap_err()
            .numeric_code(),
        404_201
    );
    let now = world.platform().clock.unix_seconds();
    let host = "dps1.azure-devices-provisioning.localhost";
    let token = |host: &str, key: &[u8], policy: &str, expiry: i64| sign(host, key, expiry, Some(policy));
    let key = [7u8; 64];
    let owner = token(host, &key, "provisioningserviceowner", now + 60);
    let reader = token(host, &key, "reader", now + 60);
    let attempt = async |text: Option<&str>, right| attempt(&world, &dps, text, right).await;
    for (text, right) in
        [(&owner, Right::EnrollmentWrite), (&owner, Right::RegistrationStatusRead), (&reader, Right::EnrollmentRead)]
    {
        attempt(Some(text), right).await.unwrap();
    }
    for other_form in [token(&format!("{host}:8443"), &key, "reader", now + 60), token(host, &key, "READER", now + 60)]
    {
        attempt(Some(&other_form), Right::EnrollmentRead).await.unwrap();
    }
    let forbidden = attempt(Some(&reader), Right::EnrollmentWrite).await.unwrap_err();
    assert_eq!(forbidden.numeric_code(), 403_000);
    for text in [
        token("dps2.azure-devices-provisioning.localhost", &key, "provisioningserviceowner", now + 60),
        token(host, &[8u8; 64], "provisioningserviceowner", now + 60),
        token(host, &key, "nobody", now + 60),
        token(host, &key, "provisioningserviceowner", now - 600),
        format!("{} nonsense", world.scope),
    ] {
        let error = attempt(Some(&text), Right::EnrollmentRead).await.unwrap_err();
        assert_eq!(error.numeric_code(), 401_002, "{text}");
    }
    // Names of policies are not for strangers.
    let wrong_key =
        attempt(Some(&token(host, &[8u8; 64], "reader", now + 60)), Right::EnrollmentRead).await.unwrap_err();
    let no_policy =
        attempt(Some(&token(host, &[8u8; 64], "nobody", now + 60)), Right::EnrollmentRead).await.unwrap_err();
    assert_eq!((&wrong_key.message, wrong_key.code), (&no_policy.message, no_policy.code));
    assert_eq!(attempt(None, Right::EnrollmentRead).await.unwrap_err().http_status(), 401);
    assert_eq!(attempt(Some("Bearer x.y.z"), Right::EnrollmentRead).await.unwrap_err().http_status(), 401);
}

/// Whether the `Authorization` lets its bearer past authorization in an operation that needs `right`.
async fn attempt(world: &World, dps: &DpsRef, authorization: Option<&str>, right: Right) -> Result<(), Error> {
    let service = world.service();
    let actor = service.authenticate(dps, authorization).await?;
    let answer = match right {
        Right::EnrollmentRead => service.enrollment(&actor, dps, Group, "none").await.map(drop),
        Right::EnrollmentWrite => service.delete_enrollment(&actor, dps, Group, "none", None).await,
        _ => service.registration(&actor, dps, "none").await.map(drop),
    };
    match answer {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_needs_the_data_action_on_the_service() {
    let world = World::new().await;
    let dps = world.dps().await;
    let (object, client) = ("44444444-4444-4444-4444-444444444444", "55555555-5555-5555-5555-555555555555");
    let expires = world.platform().clock.unix_seconds() + 9999;
    let secret = ClientSecret {
        key_id: "k".into(),
        hash: hash_secret("s3cret", &SystemRandom),
        expires,
        label: Default::default(),
    };
    let principal = Principal {
        secrets: vec![secret],
        ..Principal::new(PrincipalKind::ServicePrincipal, object.into(), client.into(), "operator".into())
    };
    let mut change = Change::new();
    change.unit.put(directory::put(&principal).unwrap());
    world.platform().commit(change).await.unwrap();
    let token = async |scope: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", "s3cret"),
            ("scope", scope),
        ];
        let form: Vec<(String, String)> = form.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let answer =
            world.authenticator().token(&world.platform().tenancy.tenant_id, &form, None, None, true).await.unwrap();
        format!("Bearer {}", answer["access_token"].as_str().unwrap())
    };
    let call = async |token: &str| attempt(&world, &dps, Some(token), Right::EnrollmentRead).await;
    let good = token("https://azure-devices-provisioning.net/.default").await;
    let denied = call(&good).await.unwrap_err();
    assert_eq!((denied.numeric_code(), denied.denial.as_ref().unwrap().action.as_str()), (403_000, GROUP_READ));
    assert!(denied.message.contains("Device Provisioning Service Data Reader"), "{denied}");
    // Control-plane rights are no data rights; the role that the refusal names is.
    world.grant(object, &world.dps, CONTRIBUTOR).await;
    assert_eq!(call(&good).await.unwrap_err().numeric_code(), 403_000);
    world.grant(object, &world.dps, "10745317-c249-44a1-a5ce-3a4353c0bbd8").await;
    call(&good).await.unwrap();
    assert_eq!(call(&token("https://iothubs.azure.net/.default").await).await.unwrap_err().http_status(), 401);
}
