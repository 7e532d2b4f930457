//! Texts: topics, logins, tokens, ids, header values.

use crate::utf8;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::device_id::{check_device_id, check_registration_id, is_registry_name, registry_slug};
use ferrohub_model::limits::HUB_QUERY_TERMS;
use ferrohub_model::model_id::check_model_id;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::role::action_matches;
use ferrohub_wire::connection_string::ConnectionString;
use ferrohub_wire::dps_topic::{DpsLogin, DpsPublish, DpsResponse, is_response_filter};
use ferrohub_wire::etag::{EtagCondition, bare, quoted};
use ferrohub_wire::group_filter::{Condition, GroupFilter};
use ferrohub_wire::hub_delivery::HubDelivery;
use ferrohub_wire::hub_topic::{HubLogin, HubPublish, HubSubscription, PropertyBag};
use ferrohub_wire::iothub_query::{By, Projected, Query};
use ferrohub_wire::odata::{Asked, Filter, Terms};
use ferrohub_wire::sas_token::{SasToken, sign};
use serde_json::json;

pub(crate) fn api_version(data: &[u8]) {
    let Some(version) = utf8(data).and_then(|text| ApiVersion::parse(text).ok()) else { return };
    assert_eq!(ApiVersion::parse(version.as_str()).ok().as_ref(), Some(&version));
    assert!(version.as_str().starts_with(version.date()));
    assert_eq!(version.is_preview(), version.as_str().len() > version.date().len());
}

/// What is accepted prints to a text that means the same, and no key shows in `Debug`.
pub(crate) fn connection_string(data: &[u8]) {
    let Some(parsed) = utf8(data).and_then(|text| ConnectionString::parse(text).ok()) else { return };
    assert_eq!(ConnectionString::parse(&parsed.reveal()).ok().as_ref(), Some(&parsed));
    if let Some(key) = parsed.key().filter(|key| key.len() >= 16) {
        let elsewhere = parsed.reveal().matches(key).count() > 1;
        assert!(elsewhere || !format!("{parsed:?}").contains(key));
    }
    let _ = (parsed.host_name(), parsed.policy(), parsed.device_id(), parsed.module_id());
    let _ = (parsed.gateway_host_name(), parsed.is_x509());
}

/// The name that stands for a device in a registry is legal whatever the device id is.
pub(crate) fn device_id(data: &[u8]) {
    let Some(id) = utf8(data) else { return };
    assert!(is_registry_name(&format!("{}-0123456789", registry_slug(id))));
    if check_device_id(id).is_ok() || check_registration_id(id).is_ok() {
        assert!(id.is_ascii() && !id.contains(['/', '+', '#', ' ']) && id.len() <= 128);
    }
}

pub(crate) fn dps_login(data: &[u8]) {
    let Some(login) = utf8(data).and_then(|text| DpsLogin::parse(text).ok()) else { return };
    assert_eq!(DpsLogin::parse(&login.user_name()).ok().as_ref(), Some(&login));
    assert!(login.matches_client_id(&login.registration_id));
}

pub(crate) fn dps_topic(data: &[u8]) {
    let Some(topic) = utf8(data) else { return };
    match DpsPublish::parse(topic) {
        DpsPublish::Register { rid } => assert!(topic.contains(rid) && !rid.is_empty()),
        DpsPublish::OperationStatus { rid, operation_id } => assert!(!rid.is_empty() && !operation_id.is_empty()),
        DpsPublish::Unknown => {}
    }
    let _ = (DpsResponse::parse(topic), is_response_filter(topic));
}

pub(crate) fn etag(data: &[u8]) {
    let Some(value) = utf8(data) else { return };
    let condition = EtagCondition::parse(value);
    assert!(!condition.allows_match(None) && condition.allows_none_match(None));
    if let EtagCondition::OneOf(tags) = &condition {
        for tag in tags {
            assert!(condition.allows_match(Some(tag)));
        }
    }
    let plain = bare(value);
    assert_eq!(bare(plain), plain);
    assert_eq!(bare(&quoted(plain)), plain);
}

pub(crate) fn hub_login(data: &[u8]) {
    let Some(login) = utf8(data).and_then(|text| HubLogin::parse(text).ok()) else { return };
    assert_eq!(HubLogin::parse(&login.user_name()).ok().as_ref(), Some(&login));
    assert!(login.matches_client_id(&login.client_id()));
    if let Some(model) = login.model_id.filter(|model| check_model_id(model).is_ok()) {
        assert!(model.is_ascii() && model.starts_with("dtmi:"));
    }
}

/// What is accepted names what the list knows, and holds or does not, and its denial is the opposite.
pub(crate) fn odata_filter(data: &[u8]) {
    const TERMS: Terms = Terms { fields: &["name", "tags", "identity/principalId"], marks: &["atScope", "assignedTo"] };
    struct Row;
    impl Asked for Row {
        fn values(&self, field: &str) -> Vec<String> {
            if field == "tags" { vec!["a".into(), "b".into()] } else { vec!["x".into()] }
        }
    }
    let Some(filter) = utf8(data).and_then(|text| Filter::parse(text, &TERMS).ok().flatten()) else { return };
    assert!(filter.names().iter().all(|name| TERMS.fields.contains(name) || TERMS.marks.contains(name)));
    let holds = filter.matches(&Row);
    assert_eq!(Filter::Not(Box::new(filter)).matches(&Row), !holds);
}

pub(crate) fn iothub_query(data: &[u8]) {
    let Some(query) = utf8(data).and_then(|text| Query::parse(text).ok()) else { return };
    let items = query.items();
    for (index, item) in items.iter().enumerate() {
        assert!(items[..index].iter().all(|before| before.name != item.name), "two entries have one name");
        if let (Projected::Value(value), true) = (&item.shows, query.is_grouped()) {
            assert!(query.groups.contains(value), "an entry that no group has");
        }
    }
    for order in &query.order {
        match order.by {
            By::Item(index) => assert!(query.is_grouped() && index < items.len()),
            By::Group(index) => assert!(query.is_grouped() && index < query.groups.len()),
            By::Value(_) => assert!(!query.is_grouped()),
        }
    }
    let mut terms = 0;
    query.expressions().for_each(|expression| expression.walk(&mut |_| terms += 1));
    assert!(terms <= 10 * HUB_QUERY_TERMS, "{terms} terms");
}

pub(crate) fn hub_topic(data: &[u8]) {
    let Some(topic) = utf8(data) else { return };
    if let HubPublish::Telemetry { device, module, bag } = HubPublish::parse(topic) {
        assert!(!device.is_empty() && module.is_none_or(|module| !module.is_empty()));
        bag_survives(bag);
    }
    let _ = HubSubscription::parse(topic);
    let _ = HubDelivery::parse(topic);
}

pub(crate) fn property_bag(data: &[u8]) {
    if let Some(text) = utf8(data) {
        bag_survives(text);
    }
}

/// What is read prints to a text that reads back as the same.
fn bag_survives(text: &str) {
    let Ok(bag) = PropertyBag::parse(text) else { return };
    assert_eq!(PropertyBag::parse(&bag.to_string()).ok().as_ref(), Some(&bag));
    for (key, _) in &bag.application {
        assert!(bag.application(key).is_some());
    }
}

/// An id prints to a text that means the same; it lies within each of its ancestors, which end at the tenant.
pub(crate) fn resource_id(data: &[u8]) {
    let Some(id) = utf8(data).and_then(|text| ResourceId::parse(text).ok()) else { return };
    assert_eq!(ResourceId::parse(&id.to_string()).ok().as_ref(), Some(&id));
    assert!(id.same(&id) && id.is_within(&id));
    let _ = (id.resource_type(), id.name());
    let (mut at, mut steps) = (id.clone(), 0);
    while let Some(parent) = at.parent() {
        assert!(id.is_within(&parent), "{id} {parent}");
        (at, steps) = (parent, steps + 1);
    }
    assert!(at.to_string() == "/" && steps <= 2048);
}

/// First line a pattern, the rest an action; compared with a plain backtracking match.
pub(crate) fn role_action(data: &[u8]) {
    let Some((pattern, action)) = utf8(data).and_then(|text| text.split_once('\n')) else { return };
    if pattern.len() > 64 || action.len() > 64 {
        return;
    }
    let wanted = covers(pattern.trim().to_ascii_lowercase().as_bytes(), action.to_ascii_lowercase().as_bytes());
    assert_eq!(action_matches(pattern, action), wanted);
}

/// By dynamic programming over prefixes: slow and plain.
fn covers(pattern: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for &step in pattern {
        let before = reached.clone();
        for at in 0..=text.len() {
            reached[at] = if step == b'*' {
                before[at] || (at > 0 && reached[at - 1])
            } else {
                at > 0 && before[at - 1] && text[at - 1] == step
            };
        }
    }
    reached[text.len()]
}

/// Nothing passes under a key that did not sign it, nothing secret shows, and what we sign verifies.
pub(crate) fn sas_token(data: &[u8]) {
    const KEY: &[u8] = b"a key that signed none of these";
    let Some(token) = utf8(data).and_then(|text| SasToken::parse(text).ok()) else { return };
    assert!(token.verify(KEY, 0).is_err());
    let _ = (token.covers("hub.example/devices/d"), token.covers(&token.resource), format!("{token:?}"));
    let own = sign(&token.resource, KEY, token.expiry_unix, token.policy.as_deref());
    if let Ok(own) = SasToken::parse(&own) {
        assert_eq!((&own.resource, own.expiry_unix), (&token.resource, token.expiry_unix));
        assert!(token.expiry_unix <= 0 || own.verify(KEY, token.expiry_unix - 1).is_ok());
    }
}

/// Whatever members a device can have: a condition and its contrary are never both true.
pub(crate) fn group_filter(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let device =
        json!({"name": "p-7", "tags": {"site": "x", "list": ["a'b"]}, "properties": {"count": 4, "on": false}});
    match GroupFilter::parse(text, |_| true) {
        Ok(GroupFilter::All) => assert_eq!(text.trim(), "*"),
        Ok(GroupFilter::Where(condition)) => {
            let contrary = GroupFilter::Where(Condition::Not(Box::new(condition.clone())));
            assert_ne!(GroupFilter::Where(condition).matches(&device), contrary.matches(&device));
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
}
