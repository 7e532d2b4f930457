//! From a request path to what it means: a resource, a collection, or a path below a resource.

use super::declaration::TypeDecl;
use super::types::Types;
use crate::resources::Scope;
use crate::route;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::{Provider, ResourceId, Segment};
use percent_encoding::percent_decode_str;

/// What a path means.
pub(super) enum Target {
    /// One resource.
    Resource {
        /// Its type.
        decl: &'static TypeDecl,
        /// Its id.
        id: ResourceId,
    },
    /// The resources of a type below a scope or parent.
    Collection {
        /// The type.
        decl: &'static TypeDecl,
        /// The scope (subscription, group, any resource for extensions) or the parent resource.
        scope: ResourceId,
    },
    /// An action or a sub-path of a resource.
    Sub {
        /// The resource's type.
        decl: &'static TypeDecl,
        /// The resource's id.
        id: ResourceId,
        /// What follows the id.
        tail: Vec<String>,
    },
}

impl Target {
    /// The resource, or the scope of a collection.
    pub(super) fn id(&self) -> &ResourceId {
        match self {
            Self::Resource { id, .. } | Self::Sub { id, .. } => id,
            Self::Collection { scope, .. } => scope,
        }
    }

    /// The right that a request needs.
    pub(super) fn action(&self, method: &str) -> String {
        match self {
            Self::Sub { decl, tail, .. } => decl.sub_action(method, tail),
            Self::Resource { decl, .. } | Self::Collection { decl, .. } => decl.action(match method {
                "GET" | "HEAD" => "read",
                "DELETE" => "delete",
                _ => "write",
            }),
        }
    }
}

/// Splits a raw path into decoded segments. Some SDKs encode the scope before `providers/Microsoft.Authorization` as one
/// segment, with its slashes (`/subscriptions%2F..%2FresourceGroups%2Fg/providers/..`): Azure takes it as it is meant.
///
/// # Errors
/// `InvalidRequestUri` for text that is not UTF-8, or hides a control character, or a '/' anywhere but in a leading scope.
pub(super) fn segments(path: &str) -> Result<Vec<String>> {
    let mut segments = Vec::new();
    // SDKs leave an empty part where an optional one stands (`providers/{ns}//{type}`); Azure does not mind.
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let text = percent_decode_str(part).decode_utf8().map_err(|_| bad_uri("it is not UTF-8"))?;
        if text.chars().any(char::is_control) {
            return Err(bad_uri("it has a control character"));
        }
        if segments.is_empty() && is_scope(&text) {
            segments.extend(text.split('/').filter(|word| !word.is_empty()).map(str::to_owned));
        } else if text.contains('/') {
            return Err(bad_uri("it has an encoded '/'"));
        } else {
            segments.push(text.into_owned());
        }
    }
    Ok(segments)
}

/// Whether a segment is a whole scope, such as `subscriptions/s/resourceGroups/g`.
fn is_scope(text: &str) -> bool {
    let first = text.trim_start_matches('/').split_once('/').map(|(first, _)| first);
    first.is_some_and(|first| ["subscriptions", "providers"].iter().any(|word| first.eq_ignore_ascii_case(word)))
}

fn bad_uri(why: &str) -> Error {
    Error::invalid(format!("The request path is malformed: {why}.")).with_code("InvalidRequestUri")
}

/// Resolves decoded segments; `None` when no declared type matches.
///
/// # Errors
/// `InvalidResourceId`, `InvalidResourceNamespace` or `InvalidResourceType`.
pub(super) fn resolve(types: &Types, segments: &[String]) -> Result<Option<Target>> {
    let (scope, rest) = scope_of(segments);
    if rest.is_empty() {
        return group_target(types, &scope);
    }
    if !rest[0].eq_ignore_ascii_case("providers")
        && let Some(Target::Resource { decl, id }) = group_target(types, &scope)?
        && decl.subs.iter().any(|(_, path)| route::captures(path, rest).is_some())
    {
        return Ok(Some(Target::Sub { decl, id, tail: rest.to_vec() }));
    }
    let last = rest.iter().rposition(|word| word.eq_ignore_ascii_case("providers")).unwrap_or(0);
    let (before, block) = rest.split_at(last);
    let Some((namespace, parts)) = block.get(1).zip(block.get(2..)) else { return Ok(None) };
    let mut scope = scope;
    if !before.is_empty() {
        let text = format!(
            "{}/{}",
            if scope.subscription.is_some() { scope.to_string() } else { String::new() },
            before.join("/")
        );
        scope = ResourceId::parse(&text)?;
    }
    if parts.is_empty() {
        return Ok(None);
    }
    resolve_block(types, &scope, namespace, parts).map(Some)
}

/// The `subscriptions/x[/resourceGroups/y]` head and what follows it.
fn scope_of(segments: &[String]) -> (ResourceId, &[String]) {
    let mut scope = ResourceId { subscription: None, resource_group: None, providers: Vec::new() };
    let mut rest = segments;
    if let [word, subscription, tail @ ..] = rest
        && word.eq_ignore_ascii_case("subscriptions")
    {
        scope.subscription = Some(subscription.clone());
        rest = tail;
        if let [word, group, tail @ ..] = rest
            && word.eq_ignore_ascii_case("resourceGroups")
        {
            scope.resource_group = Some(group.clone());
            rest = tail;
        }
    }
    (scope, rest)
}

fn group_target(types: &Types, scope: &ResourceId) -> Result<Option<Target>> {
    if scope.resource_group.is_none() {
        return Ok(None);
    }
    let Some(decl) = types.all().iter().copied().find(|decl| decl.kind.scope == Scope::Group) else { return Ok(None) };
    let id = ResourceId::parse(&scope.to_string())?;
    Ok(Some(Target::Resource { decl, id }))
}

fn resolve_block(types: &Types, scope: &ResourceId, namespace: &str, parts: &[String]) -> Result<Target> {
    let candidates: Vec<&'static TypeDecl> =
        types.all().iter().copied().filter(|decl| decl.kind.provider.eq_ignore_ascii_case(namespace)).collect();
    if candidates.is_empty() {
        return Err(super::providers::unknown(types, namespace));
    }
    let matching = candidates.into_iter().filter(|decl| {
        let depth = decl.kind.path.len();
        parts.len() + 1 >= depth * 2
            && decl.kind.path.iter().enumerate().all(|(i, kind)| parts[i * 2].eq_ignore_ascii_case(kind))
    });
    let Some(decl) = matching.max_by_key(|decl| decl.kind.path.len()) else {
        let kinds: Vec<&str> = parts.iter().step_by(2).map(String::as_str).collect();
        let shown: String = kinds.join("/").chars().take(200).collect();
        return Err(Error::not_found(format!(
            "The resource type '{shown}' could not be found in the namespace '{namespace}'. Ferrohub serves: {}.",
            types.all().iter().map(|decl| decl.full()).collect::<Vec<_>>().join(", ")
        ))
        .with_code("InvalidResourceType"));
    };
    let depth = decl.kind.path.len();
    if decl.kind.scope == Scope::InGroup && scope.resource_group.is_none() && !(parts.len() == 1 && depth == 1) {
        return Err(
            Error::invalid("A resource id needs a subscription and a resource group.").with_code("InvalidResourceId")
        );
    }
    let outside = match decl.kind.scope {
        Scope::InGroup if !scope.providers.is_empty() => Some("a resource group, not on another resource"),
        Scope::InSubscription if scope.resource_group.is_some() || scope.subscription.is_none() => {
            Some("the subscription itself: /subscriptions/{subscription}/providers/...")
        }
        Scope::InSubscription if !scope.providers.is_empty() => Some("the subscription itself"),
        _ => None,
    };
    if let Some(place) = outside {
        return Err(Error::invalid(format!("A resource of type '{}' lies in {place}.", decl.full()))
            .with_code("InvalidResourceId"));
    }
    if decl.is_extension() {
        refuse_on_extension(types, decl, scope)?;
    }
    let named = parts.len().min(depth * 2) / 2;
    let segments: Vec<Segment> =
        (0..named).map(|i| Segment { kind: decl.kind.path[i].into(), name: parts[i * 2 + 1].clone() }).collect();
    let mut id = scope.clone();
    if !segments.is_empty() {
        id.providers.push(Provider { namespace: decl.kind.provider.into(), segments });
    }
    if parts.len() < depth * 2 {
        return Ok(Target::Collection { decl, scope: id });
    }
    // The id goes through the parser once more, so that every name obeys the common rules.
    let id = ResourceId::parse(&id.to_string())?;
    match parts.get(depth * 2..) {
        Some([]) | None => Ok(Target::Resource { decl, id }),
        Some(tail) => Ok(Target::Sub { decl, id, tail: tail.to_vec() }),
    }
}

/// What lies on any scope does not lie on another of its like: a role on a role would reach nothing, and nobody would find it.
fn refuse_on_extension(types: &Types, decl: &TypeDecl, scope: &ResourceId) -> Result<()> {
    let on = scope.resource_type();
    let other = types.all().iter().find(|other| other.is_extension() && other.full().eq_ignore_ascii_case(&on));
    let Some(other) = other.filter(|_| !scope.providers.is_empty()) else { return Ok(()) };
    Err(Error::invalid(format!(
        "A resource of type '{}' lies on a subscription, a resource group or a resource, not on one of type '{}'.",
        decl.full(),
        other.full()
    ))
    .with_code("InvalidScope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(path: &str) -> String {
        match resolve(&Types::built_in(), &segments(path).unwrap()) {
            Ok(Some(Target::Resource { decl, id })) => format!("resource {} {id}", decl.full()),
            Ok(Some(Target::Collection { decl, scope })) => format!("list {} {scope}", decl.full()),
            Ok(Some(Target::Sub { decl, id, tail })) => format!("sub {} {id} {}", decl.full(), tail.join("/")),
            Ok(None) => "none".into(),
            Err(error) => format!("error {}", error.code),
        }
    }

    #[test]
    fn paths() {
        let g = "/subscriptions/s/resourcegroups/g";
        for (path, want) in [
            (g.to_string(), "resource Microsoft.Resources/resourceGroups /subscriptions/s/resourceGroups/g".to_string()),
            (format!("{g}/providers/microsoft.devices/iothubs/h"), "resource Microsoft.Devices/IotHubs /subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/h".into()),
            (format!("{g}/providers/Microsoft.Devices/IotHubs"), "list Microsoft.Devices/IotHubs /subscriptions/s/resourceGroups/g".into()),
            ("/subscriptions/s/providers/Microsoft.Devices/IotHubs".into(), "list Microsoft.Devices/IotHubs /subscriptions/s".into()),
            (format!("{g}/providers/Microsoft.Devices/IotHubs/h/certificates"), "list Microsoft.Devices/IotHubs/certificates /subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/h".into()),
            (format!("{g}/providers/Microsoft.Devices/IotHubs/h/IotHubKeys/k/listkeys"), "sub Microsoft.Devices/IotHubs /subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/h IotHubKeys/k/listkeys".into()),
            (format!("{g}/providers/Microsoft.Devices/IotHubs/h/providers/Microsoft.Authorization/roleAssignments/1"), "resource Microsoft.Authorization/roleAssignments /subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/h/providers/Microsoft.Authorization/roleAssignments/1".into()),
            ("/providers/Microsoft.Authorization/roleDefinitions".into(), "list Microsoft.Authorization/roleDefinitions /".into()),
            (format!("{g}/providers/No.Such/x/y"), "error InvalidResourceNamespace".into()),
            (format!("{g}/providers/Microsoft.Devices/nothing/y"), "error InvalidResourceType".into()),
            ("/subscriptions/s/providers/Microsoft.Devices/IotHubs/h".into(), "error InvalidResourceId".into()),
            (format!("{g}/providers/Microsoft.Devices/IotHubs/h/providers/Microsoft.Devices/IotHubs/i"), "error InvalidResourceId".into()),
            (format!("{g}/moveresources"), "sub Microsoft.Resources/resourceGroups /subscriptions/s/resourceGroups/g moveresources".into()),
            (format!("{g}/elsewhere"), "none".into()),
            (format!("{g}/providers/Microsoft.Authorization/roleDefinitions/1/providers/Microsoft.Authorization/roleAssignments/2"), "error InvalidScope".into()),
            ("/subscriptions/s/providers/microsoft.authorization/roleassignments/1/providers/Microsoft.Authorization/roleDefinitions".into(), "error InvalidScope".into()),
            ("/elsewhere".into(), "none".into()),
        ] {
            assert_eq!(show(&path), want, "{path}");
        }
        assert_eq!(segments("/a//b/").unwrap(), ["a", "b"]);
        let scope = "subscriptions%2Fs%2FresourceGroups%2Fg%2fproviders%2FMicrosoft.Devices%2FIotHubs%2Fh";
        for slash in ["", "%2F"] {
            assert_eq!(
                show(&format!("/{slash}{scope}/providers/Microsoft.Authorization/roleAssignments/1")),
                format!(
                    "resource Microsoft.Authorization/roleAssignments {g}/providers/Microsoft.Devices/IotHubs/h/providers/Microsoft.Authorization/roleAssignments/1",
                    g = "/subscriptions/s/resourceGroups/g"
                ),
            );
        }
        for bad in ["/a%2Fb", "/subscriptions/s%2Ft", "/subscriptions/s/resourceGroups%2Fg", "/subscriptions%2Fs%0a"] {
            assert_eq!(segments(bad).unwrap_err().code, "InvalidRequestUri", "{bad}");
        }
    }
}
