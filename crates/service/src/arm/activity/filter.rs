//! What the activity log can be asked for.

use super::entry::Entry;
use super::event::{channel, level, provider_of};
use crate::log_query::LogFilter;
use ferrohub_model::resource_id::ResourceId;

/// Members that can be asked for, in their canonical spelling.
pub(super) const FIELDS: &[&str] = &[
    "resourceGroupName",
    RESOURCE_URI,
    RESOURCE_ID,
    "resourceProvider",
    "resourceType",
    "correlationId",
    "caller",
    "status",
    "levels",
    "eventChannels",
    "operationName",
];
const RESOURCE_URI: &str = "resourceUri";
const RESOURCE_ID: &str = "resourceId";

/// The group or resource that is asked for, in the subscription: whose rights count for it.
pub(super) fn scope(filter: &LogFilter, subscription: &str) -> Option<ResourceId> {
    filter.terms.iter().find_map(|(field, value)| match *field {
        "resourceGroupName" => Some(ResourceId::group(subscription, value)),
        RESOURCE_URI | RESOURCE_ID => ResourceId::parse(value).ok(),
        _ => None,
    })
}

/// Whether the row, which is about `id`, is wanted.
pub(super) fn wants(filter: &LogFilter, entry: &Entry<'_>, id: &ResourceId) -> bool {
    filter.covers(&entry.time) && filter.terms.iter().all(|(field, value)| holds(field, value, entry, id))
}

fn holds(field: &str, value: &str, entry: &Entry<'_>, id: &ResourceId) -> bool {
    let is = |text: &str| text.to_lowercase() == value;
    let listed = |text: &str| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(text));
    match field {
        "resourceGroupName" => id.resource_group.as_deref().is_some_and(is),
        RESOURCE_URI | RESOURCE_ID => {
            let (key, wanted) = (id.key(), value.trim_end_matches('/'));
            key == wanted || key.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
        }
        "resourceProvider" => is(provider_of(id)),
        "resourceType" => is(&id.resource_type()),
        "correlationId" => is(&entry.correlation_id.to_string()),
        "caller" => is(&entry.caller) || is(&entry.caller_id),
        "status" => listed(&entry.status),
        "levels" => listed(level(entry)),
        "eventChannels" => listed(channel(entry)),
        "operationName" => is(&entry.operation_name),
        _ => false,
    }
}
