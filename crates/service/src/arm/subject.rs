//! What a write is about, for the log of what was done: where, and which action it is. Whatever the path, a failed write has
//! both, so that none goes unseen.

use super::{builtin, path};
use crate::platform::Platform;
use ferrohub_model::resource_id::ResourceId;

/// The scope and the action of a write; `None` for what writes nothing, for a path that is none, and for a subscription that
/// is not ours, whose log nobody could read.
pub(super) fn of(platform: &Platform, method: &str, path: &str) -> Option<(ResourceId, String)> {
    let segments = path::segments(path).ok()?;
    let (id, action) = match builtin::action_of(method, &segments) {
        Some(action) if action.is_empty() => return None,
        Some(action) => (scope_of(platform, &segments)?, action),
        None => match path::resolve(&platform.types, &segments) {
            Ok(Some(target)) => (target.id().clone(), target.action(method)),
            Ok(None) | Err(_) => unserved(platform, method, &segments)?,
        },
    };
    let ours = id.subscription.as_deref().is_none_or(|subscription| platform.subscription(subscription).is_some());
    ours.then_some((id, action))
}

/// What stands before the last provider, and without a provider the subscription. Above the subscriptions lies nothing: what is
/// done there needs its right at the first one.
fn scope_of(platform: &Platform, segments: &[String]) -> Option<ResourceId> {
    let end = segments.iter().rposition(|word| word.eq_ignore_ascii_case("providers"));
    let scope = ResourceId::parse(&format!("/{}", segments[..end.unwrap_or(2).min(segments.len())].join("/"))).ok()?;
    let nowhere = scope.subscription.is_none() && scope.providers.is_empty();
    Some(if nowhere { ResourceId::subscription(&platform.tenancy.subscription_id) } else { scope })
}

/// The same of a path that nothing serves, as far as it can be read: a resource, or an action on one.
fn unserved(platform: &Platform, method: &str, segments: &[String]) -> Option<(ResourceId, String)> {
    let read = |segments: &[String]| ResourceId::parse(&format!("/{}", segments.join("/"))).ok();
    if let Some(id) = read(segments).filter(|_| method != "POST") {
        let action = format!("{}/{}", id.resource_type(), if method == "DELETE" { "delete" } else { "write" });
        return Some((id, action));
    }
    let (word, above) = segments.split_last()?;
    let (id, kind) = match read(above) {
        Some(id) => {
            let kind = id.resource_type();
            (id, kind)
        }
        // An action of a provider, or of nothing that is known.
        None => (scope_of(platform, segments)?, provider_of(segments)),
    };
    Some((id, format!("{kind}/{word}/action")))
}

fn provider_of(segments: &[String]) -> String {
    let at = segments.iter().rposition(|word| word.eq_ignore_ascii_case("providers"));
    let name = at.and_then(|at| segments.get(at + 1)).map_or("Microsoft.Resources", String::as_str);
    name.to_owned()
}
