//! Reading the audit log: newest first, page by page, for those who may.

use super::{AuditEvent, READ};
use crate::arm::{ArmRequest, ArmResponse, query, read};
use crate::log_query::{self, LogFilter};
use crate::platform::Platform;
use crate::tables::AUDIT;
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Row;
use serde_json::{Value, json};

/// Members that can be asked for.
const FIELDS: &[&str] = &["kind", "status", "caller", "resource", "address", "code", "correlationId"];

/// The events of the installation, whichever subscription the path names: the right to read them is one on the first, from where
/// rights over the installation reach.
///
/// # Errors
/// The refusal of an actor without the right; what is wrong with the question.
pub(crate) async fn answer(platform: &Platform, request: &ArmRequest) -> Result<ArmResponse> {
    query::version(request)?;
    let whole = ResourceId::subscription(&platform.tenancy.subscription_id);
    platform.authorize(&request.actor, READ, &whole)?;
    query::check(request, &["$filter", "$skipToken"])?;
    let filter = LogFilter::parse(request.query("$filter"), FIELDS)?;
    let after = request.query("$skipToken").filter(|token| !token.is_empty()).map(query::decode_token).transpose()?;
    let shown = |row: &Row| {
        let event = row.part::<AuditEvent>()?;
        Ok(wants(&filter, &event).then(|| view(&row.key, &event)))
    };
    let (value, next) = log_query::newest(platform, &AUDIT, &filter, after, shown).await?;
    Ok(read::envelope(value, next.map(|after| query::next_link(request, &after))))
}

/// An event with its id, as it is stored.
fn view(key: &str, event: &AuditEvent) -> Value {
    let mut view = serde_json::to_value(event).unwrap_or(Value::Null);
    if let Some(map) = view.as_object_mut() {
        map.insert("eventTimestamp".into(), event.time.as_str().into());
        map.shift_remove("time");
        map.insert("id".into(), key.into());
    }
    view
}

fn wants(filter: &LogFilter, event: &AuditEvent) -> bool {
    filter.covers(&event.time) && filter.terms.iter().all(|(field, value)| holds(field, value, event))
}

fn holds(field: &str, value: &str, event: &AuditEvent) -> bool {
    let is = |text: &str| text.to_lowercase() == value;
    let listed = |text: &str| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(text));
    match field {
        "kind" => listed(event.kind.word()),
        "status" => json!(event.status).as_str().is_some_and(listed),
        "caller" => is(&event.who) || is(&event.who_id),
        "resource" => event.resource.to_lowercase().starts_with(value),
        "address" => event.address.as_deref().is_some_and(is),
        "code" => event.code.as_deref().is_some_and(is),
        "correlationId" => event.correlation_id.is_some_and(|id| is(&id.to_string())),
        _ => false,
    }
}
