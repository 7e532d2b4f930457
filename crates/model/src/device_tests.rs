use super::*;
use proptest::prelude::*;

fn identity() -> DeviceIdentity {
    DeviceIdentity {
        hub: Uuid::nil(),
        uid: Uuid::nil(),
        device_id: "Pump:1".into(),
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
        credential_id: None,
        policy: None,
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
    };
    let shown = identity().view(&live);
    assert_eq!(shown["authentication"]["symmetricKey"], json!({"primaryKey": "a", "secondaryKey": "b"}));
    assert_eq!(shown["connectionState"], "Connected");
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
fn a_put_reads_what_clients_send() {
    let key = STANDARD.encode([7u8; 32]);
    let body = json!({"deviceId": "d", "status": "Enabled", "statusReason": null, "connectionState": "x", "unknown": [1],
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
        (json!({"statusReason": "x".repeat(129)}), "statusReason"),
        (json!({"capabilities": {"iotEdge": 1}}), "iotEdge"),
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
