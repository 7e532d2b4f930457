use super::*;
use crate::limits::STATUS_REASON_CHARS;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

fn identity() -> DeviceIdentity {
    DeviceIdentity {
        hub: Uuid::nil(),
        uid: Uuid::nil(),
        device_id: "Pump:1".into(),
        module_id: None,
        managed_by: None,
        generation_id: "638".into(),
        etag: "MTIz".into(),
        status: DeviceStatus::Disabled,
        status_reason: None,
        status_updated: NEVER.into(),
        authentication: Authentication {
            kind: AuthenticationType::Sas,
            sealed_primary_key: Some("sealed-text".into()),
            ..Authentication::default()
        },
        iot_edge: false,
        parent: None,
        credential_id: None,
        policy: None,
        former_policies: Vec::new(),
        own_chain: false,
        created: NEVER.into(),
    }
}

#[test]
fn the_view_shows_keys_only_when_they_were_opened() {
    let hidden = identity().view(&DeviceLive::default());
    assert_eq!(hidden["authentication"]["symmetricKey"], json!({"primaryKey": null, "secondaryKey": null}));
    assert!(!hidden.to_string().contains("sealed-text"));
    assert_eq!((&hidden["status"], &hidden["connectionState"]), (&json!("disabled"), &json!("Disconnected")));
    assert_eq!(hidden["lastActivityTime"], NEVER);
    let live = DeviceLive {
        keys: Some(("a".into(), "b".into())),
        connection: ConnectionView { connected: true, ..ConnectionView::default() },
        parent_scope: None,
    };
    let shown = identity().view(&live);
    assert_eq!(shown["authentication"]["symmetricKey"], json!({"primaryKey": "a", "secondaryKey": "b"}));
    assert_eq!(shown["connectionState"], "Connected");
}

#[test]
fn a_place_says_whose_it_is() {
    let mut read = DeviceIdentity { hub: Uuid::from_u128(7), ..identity() };
    for module in [None, Some("$edge:1".to_owned())] {
        let made = DeviceIdentity {
            hub: Uuid::from_u128(7),
            device_id: "a+b".replace('+', "-"),
            module_id: module,
            ..identity()
        };
        let place = made.place().unwrap();
        assert!(read.stand_at(&place), "{place}");
        assert_eq!(read, made);
        let below =
            [devices_of(made.hub), modules_of(made.hub, None), format!("{}/", modules_of(made.hub, Some("a-b")))];
        let fits: Vec<bool> = below.iter().map(|prefix| place.starts_with(prefix.as_str())).collect();
        assert_eq!(fits, [made.module_id.is_none(), made.module_id.is_some(), made.module_id.is_some()]);
    }
    assert_eq!(read.client(), "a-b/$edge:1");
    for wrong in [
        "",
        "x",
        "----------------------",
        "----------------------+a",
        "----------------------a",
        "é-------------------------/a",
    ] {
        assert!(!read.stand_at(wrong), "{wrong}");
    }
    assert_eq!(module_place(Uuid::nil(), "d", "a/b").unwrap_err().numeric_code(), 400_004);
}

#[test]
fn the_stored_form_survives_json() {
    let stored = serde_json::to_string(&identity()).unwrap();
    // Hub, uid and device id stand in the row, not in the document; neither does what is as usual.
    for absent in ["Pump:1", "hub", "iotEdge", "statusUpdated", "null"] {
        assert!(!stored.contains(absent), "{stored}");
    }
    let read = DeviceIdentity { device_id: "Pump:1".into(), ..serde_json::from_str(&stored).unwrap() };
    assert_eq!(read, identity());
}

#[test]
fn the_policies_that_a_device_had_are_remembered_until_it_has_them_again() {
    let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
    let mut device = identity();
    for (policy, former) in [
        (Some(a), vec![]),
        (Some(b), vec![a]),
        (Some(c), vec![a, b]),
        (Some(a), vec![b, c]),
        (None, vec![b, c, a]),
        (None, vec![b, c, a]),
        (Some(b), vec![c, a]),
    ] {
        device.change_policy(policy);
        assert_eq!((device.policy, device.former_policies.clone()), (policy, former));
    }
    let read: DeviceIdentity = serde_json::from_str(&serde_json::to_string(&device).unwrap()).unwrap();
    assert_eq!((read.policy, read.former_policies), (Some(b), vec![c, a]));
    for number in 10..40 {
        device.change_policy(Some(Uuid::from_u128(number)));
    }
    assert_eq!(device.former_policies.len(), FORMER_POLICIES);
    assert_eq!(device.former_policies.last(), Some(&Uuid::from_u128(38)));
}

#[test]
fn a_put_reads_what_clients_send() {
    let key = STANDARD.encode([7u8; 32]);
    let body = json!({"deviceId": "d", "status": "Enabled", "statusReason": null, "connectionState": "x", "cloudToDeviceMessageCount": "0", "moduleId": null, "connectionString": "HostName=h",
        "capabilities": {"iotEdge": "True"},
        "authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": ""}, "x509Thumbprint": {"primaryThumbprint": null}}});
    let put = DevicePut::parse("d", &body).unwrap();
    assert_eq!((put.status, put.status_reason, put.iot_edge), (Some(DeviceStatus::Enabled), Some(None), Some(true)));
    assert_eq!(put.authentication, Some(AuthenticationPut::Sas { primary: Some(key), secondary: None }));
    assert_eq!(DevicePut::parse("d", &json!({})).unwrap(), DevicePut::default());
}

#[test]
fn a_put_of_thumbprints_names_the_type_by_itself() {
    let print = "ab:".repeat(20);
    let put =
        DevicePut::parse("d", &json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": print}}})).unwrap();
    assert_eq!(
        put.authentication,
        Some(AuthenticationPut::SelfSigned { primary: Some("AB".repeat(20)), secondary: None })
    );
}

#[test]
fn bad_puts_are_refused() {
    let short = STANDARD.encode([1u8; 15]);
    let long = STANDARD.encode([1u8; 65]);
    for (body, word) in [
        (json!([]), "object"),
        (json!({"deviceId": "D"}), "deviceId"),
        (json!({"deviceId": 1}), "deviceId"),
        (json!({"status": "on"}), "status"),
        (json!({"status": 1}), "status"),
        (json!({"statusReason": "x".repeat(STATUS_REASON_CHARS + 1)}), "statusReason"),
        (json!({"capabilities": {"iotEdge": 1}}), "iotEdge"),
        (json!({"capabilities": []}), "capabilities"),
        (json!({"capabilities": {"iotEdge": true, "gpu": true}}), "capabilities.gpu"),
        (json!({"tags": {}}), "'tags'"),
        (json!({"Status": "enabled"}), "'Status'"),
        (json!({"managedBy": "x"}), "managedBy"),
        (json!({"authentication": {"SymmetricKey": {}}}), "authentication.SymmetricKey"),
        (json!({"authentication": {"symmetricKey": {"thirdKey": ""}}}), "authentication.symmetricKey.thirdKey"),
        (json!({"authentication": {"x509Thumbprint": {"a\nb": ""}}}), "authentication.x509Thumbprint.ab"),
        (json!({"deviceScope": 1}), "deviceScope"),
        (json!({"parentScopes": "x"}), "parentScopes"),
        (json!({"parentScopes": ["a", "b"]}), "parentScopes"),
        (json!({"parentScopes": [1]}), "parentScopes"),
        (json!({"authentication": "sas"}), "authentication"),
        (json!({"authentication": {"type": "key"}}), "authentication.type"),
        (json!({"authentication": {"symmetricKey": {"primaryKey": short}}}), "primaryKey"),
        (json!({"authentication": {"symmetricKey": {"secondaryKey": long}}}), "secondaryKey"),
        (json!({"authentication": {"symmetricKey": {"secondaryKey": "!"}}}), "secondaryKey"),
        (json!({"authentication": {"symmetricKey": []}}), "symmetricKey"),
        (json!({"authentication": {"type": "selfSigned"}}), "x509Thumbprint"),
        (json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": "abc"}}}), "primaryThumbprint"),
    ] {
        let error = DevicePut::parse("d", &body).unwrap_err();
        assert_eq!((error.numeric_code(), error.code), (400_004, "ArgumentInvalid"), "{body}");
        assert!(error.message.contains(word), "{body}: {}", error.message);
    }
    assert!(DevicePut::parse("a/b", &json!({})).is_err());
}

fn edge() -> DeviceIdentity {
    DeviceIdentity { device_id: "gate-1".into(), generation_id: "77".into(), iot_edge: true, ..identity() }
}

#[test]
fn an_edge_device_has_a_scope_and_others_have_their_parents() {
    let own = "ms-azure-iot-edge://gate-1-77";
    assert_eq!(EdgeScope::of(&edge()).unwrap().to_string(), own);
    assert!(EdgeScope::parse(own).unwrap().is_of(&edge()));
    assert_eq!(EdgeScope::of(&identity()), None);
    let mut again = edge();
    again.generation_id = "78".into();
    assert!(!EdgeScope::parse(own).unwrap().is_of(&again));
    for bad in [
        "",
        "gate-1-77",
        "ms-azure-iot-edge://",
        "ms-azure-iot-edge://gate",
        "ms-azure-iot-edge://-7",
        "ms-azure-iot-edge://g-",
    ] {
        assert_eq!(EdgeScope::parse(bad), None, "{bad}");
    }
    let live = |parent: Option<&str>| DeviceLive { parent_scope: parent.map(str::to_owned), ..DeviceLive::default() };
    let alone = identity().view(&live(None));
    assert!(alone.get("deviceScope").is_none() && alone.get("parentScopes").is_none(), "{alone}");
    let leaf = identity().view(&live(Some(own)));
    assert_eq!((&leaf["deviceScope"], &leaf["parentScopes"]), (&json!(own), &json!([own])));
    let root = edge().view(&live(None));
    assert_eq!((&root["deviceScope"], &root["parentScopes"]), (&json!(own), &json!([])));
    let nested = edge().view(&live(Some("ms-azure-iot-edge://root-1")));
    assert_eq!(
        (&nested["deviceScope"], &nested["parentScopes"]),
        (&json!(own), &json!(["ms-azure-iot-edge://root-1"]))
    );
}

fn wish(device: &DeviceIdentity, shown: &Scopes, scope: Option<&str>, parents: Option<&[&str]>) -> Result<String, u32> {
    let wanted = DevicePut {
        device_scope: scope.map(str::to_owned),
        parent_scopes: parents.map(|parents| parents.iter().map(|&parent| parent.to_owned()).collect()),
        ..DevicePut::default()
    };
    wanted_parent(device, &wanted, shown).map(|wish| format!("{wish:?}")).map_err(|error| error.numeric_code())
}

#[test]
fn what_a_put_says_about_the_parent() {
    let (mine, one, two) = ("ms-azure-iot-edge://gate-1-77", "ms-azure-iot-edge://a-1", "ms-azure-iot-edge://b-2");
    let leaf = |scope: Option<&str>, parents: Option<&[&str]>, was: Option<&str>| {
        wish(&identity(), &identity().scopes(was), scope, parents)
    };
    let set = |scope: &str| Ok(format!("{:?}", ParentWish::Scope(scope)));
    assert_eq!(leaf(None, None, Some(one)), Ok("Keep".into()));
    assert_eq!(leaf(Some(one), Some(&[one]), Some(one)), Ok("Keep".into()), "sent back as it was read");
    assert_eq!(leaf(Some(""), Some(&[]), None), Ok("Keep".into()));
    assert_eq!(leaf(Some(one), None, None), set(one));
    assert_eq!(leaf(None, Some(&[one]), None), set(one));
    assert_eq!(leaf(Some(two), Some(&[two]), Some(one)), set(two));
    assert_eq!(leaf(Some(""), None, Some(one)), Ok("Nobody".into()));
    assert_eq!(leaf(None, Some(&[]), Some(one)), Ok("Nobody".into()));
    // As az sets, changes and takes away a parent: it leaves the list as it was.
    assert_eq!(leaf(Some(two), Some(&[one]), Some(one)), set(two));
    assert_eq!(leaf(Some(""), Some(&[one]), Some(one)), Ok("Nobody".into()));
    // C# always sends a list.
    assert_eq!(leaf(Some(one), Some(&[]), None), set(one));
    assert_eq!(leaf(Some(one), Some(&[]), Some(one)), Ok("Keep".into()));
    assert_eq!(leaf(Some(one), Some(&[two]), Some(one)), Err(400_028));
    assert_eq!(leaf(Some(one), Some(&[two]), None), Err(400_028));
    let gate = |scope: Option<&str>, parents: Option<&[&str]>| wish(&edge(), &edge().scopes(None), scope, parents);
    assert_eq!(gate(Some(mine), Some(&[])), Ok("Keep".into()));
    assert_eq!(gate(Some(mine), Some(&[one])), set(one));
    assert_eq!(gate(Some(one), None), Err(400_028));
    assert_eq!(gate(Some(""), None), Err(400_028));
}

#[test]
fn a_debug_text_has_no_key() {
    let put = AuthenticationPut::Sas { primary: Some("secret".into()), secondary: None };
    assert!(!format!("{put:?}").contains("secret"));
}

proptest! {
    #[test]
    fn thumbprints_never_panic(text in "\\PC{0,80}") {
        let _ = DevicePut::parse("d", &json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": text}}}));
    }
}
